//! The two programs, started as a user starts them: on free loopback ports, with a data folder of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running appliance; ends with its value.
pub(crate) struct Appliance {
    child: Child,
    data: tempfile::TempDir,
    port: u16,
    log: Arc<Mutex<String>>,
    extra: Vec<String>,
}

/// Time between two looks at something that another process does.
pub(crate) fn pause() {
    std::thread::park_timeout(Duration::from_millis(50));
}

/// Where the programs that are tested lie: beside this test's own folder.
pub(crate) fn program(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("a test has a path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let program = path.join(name);
    assert!(program.exists(), "{} is not built; `make test` builds it", program.display());
    program
}

/// Where screenshots go, to be looked at after a run: `target/e2e`.
pub(crate) fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e");
    std::fs::create_dir_all(&folder).expect("target is writable");
    folder
}

impl Appliance {
    /// Starts it with the embedded defaults, on loopback; of `extra`, settings (`PLENUM_CODECS_SET=opus,vp9`) go into the
    /// environment, everything else behind the arguments. A mixer runs, as users have it, unless `extra` says `--mixer=off`.
    pub(crate) fn start(extra: &[&str]) -> Appliance {
        let data = tempfile::tempdir().expect("a data folder");
        let port = free_port();
        let extra: Vec<String> = extra.iter().map(|s| (*s).to_owned()).collect();
        let log = Arc::new(Mutex::new(String::new()));
        let child = spawn(&[], data.path(), port, &extra, &log);
        let mut appliance = Appliance { child, data, port, log, extra };
        appliance.wait_until_healthy();
        appliance
    }

    /// The address of the room page.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Makes a conference, as its operator on the machine does.
    pub(crate) fn create(&self, arguments: &[&str]) {
        let (done, said) = self.conference("create", arguments);
        assert!(done, "{said}");
    }

    /// `plenum conference <what>`: whether it was done, and what it said otherwise.
    pub(crate) fn conference(&self, what: &str, arguments: &[&str]) -> (bool, String) {
        let (code, _, errors) = self.command(&[&["conference", what], arguments].concat());
        (code == Some(0), errors)
    }

    /// A command of `plenum` on this data folder: its exit code, and what it wrote to standard output and standard error.
    pub(crate) fn command(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(program("plenum"));
        let done = command.args(words).arg("--data").arg(self.data.path()).output().expect("plenum starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    }

    /// The port of HTTPS.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The room page, entered at once.
    pub(crate) fn room(&self, name: &str, more: &str) -> String {
        format!("{}/?conference=1061&name={name}&join=1{more}", self.url())
    }

    /// Waits until `GET /health` says that both planes work.
    pub(crate) fn wait_until_healthy(&mut self) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("the program can be asked") {
                panic!("plenum ended with {status}:\n{}", self.log());
            }
            if self.get("/health").is_some_and(|(status, _)| status == 200) {
                return;
            }
            pause();
        }
        panic!("plenum was not healthy in time:\n{}", self.log());
    }

    /// Status and body of a GET, through curl's absence of opinions about self-signed certificates.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = tls_connect(self.port)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let body = answer.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default();
        Some((status, body))
    }

    /// What the programs logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().map(|l| l.clone()).unwrap_or_default()
    }

    /// Process id of the control plane.
    pub(crate) fn control_pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Process id of the media plane, from its pid file.
    pub(crate) fn media_pid(&self) -> i32 {
        let text = std::fs::read_to_string(self.data.path().join("media.pid")).expect("media.pid is there");
        text.trim().parse().expect("a process id")
    }

    /// Process id of the mixer, from its pid file; `None` before it was started.
    pub(crate) fn mixer_pid(&self) -> Option<i32> {
        std::fs::read_to_string(self.data.path().join("mixer.pid")).ok()?.trim().parse().ok()
    }

    /// The sum of a metric over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, body) = self.get("/metrics").unwrap_or_default();
        let of = |line: &str| {
            let (key, value) = line.rsplit_once(' ')?;
            (key.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
        };
        body.lines().filter_map(of).sum()
    }

    /// Kills the control plane without warning and starts another on the same data.
    pub(crate) fn kill_control_and_restart(&mut self) {
        self.kill_control();
        self.child = spawn(&[], self.data.path(), self.port, &self.extra, &self.log);
        self.wait_until_healthy();
    }

    /// Kills the control plane without warning and starts another that sees the same data folder read-only: in a mount
    /// namespace of its own. Waits until it answers.
    pub(crate) fn kill_control_and_restart_read_only(&mut self) {
        self.kill_control();
        let data = self.data.path().to_str().expect("a path in UTF-8");
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
        let inside = ["unshare", "--mount", "sh", "-c", script, data];
        self.child = spawn(&inside, self.data.path(), self.port, &self.extra, &self.log);
        let end = Instant::now() + PATIENCE;
        while self.get("/health").is_none() {
            assert!(Instant::now() < end, "it did not answer:\n{}", self.log());
            pause();
        }
    }

    fn kill_control(&mut self) {
        kill(self.control_pid());
        let _ = self.child.wait();
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let metrics = self.get("/metrics").map(|(_, body)| body).unwrap_or_default();
            let counters = metrics.lines().filter(|l| !l.starts_with('#') && !l.contains("bucket"));
            eprintln!("plenum's counters:\n{}", counters.collect::<Vec<_>>().join("\n"));
            eprintln!("plenum's log:\n{}", self.log());
        }
        // SIGTERM lets the control plane end its media plane; SIGKILL is the fall-back.
        signal(self.control_pid(), libc::SIGTERM);
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            pause();
        }
        let media = std::fs::read_to_string(self.data.path().join("media.pid")).ok();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(pid) = media.and_then(|t| t.trim().parse().ok()) {
            kill(pid);
        }
    }
}

/// `kill -9`, of a process that this test started.
pub(crate) fn kill(pid: i32) {
    signal(pid, libc::SIGKILL);
}

fn signal(pid: i32, signal: i32) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status();
}

/// `inside`: a command that runs the one that follows it.
fn spawn(inside: &[&str], data: &Path, port: u16, extra: &[String], log: &Arc<Mutex<String>>) -> Child {
    let (settings, arguments): (Vec<_>, Vec<_>) =
        extra.iter().map(|e| e.as_str()).partition(|e| e.starts_with("PLENUM_"));
    let plenum = program("plenum");
    let mut words = inside.iter().map(std::ffi::OsStr::new).chain([plenum.as_os_str()]);
    let mut child = Command::new(words.next().expect("a program"))
        .args(words)
        .args(["up", "--listen", &format!("127.0.0.1:{port}"), "--media-ip", "127.0.0.1"])
        .arg("--data")
        .arg(data)
        .args(arguments)
        .env("PLENUM_MEDIA_PORT_BASE", "0")
        .envs(settings.into_iter().filter_map(|s| s.split_once('=')))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("plenum starts");
    let out = child.stdout.take().expect("piped");
    let err = child.stderr.take().expect("piped");
    follow(out, log.clone());
    follow(err, log.clone());
    child
}

/// Adds the lines that come to `log`.
pub(crate) fn follow(from: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if let Ok(mut log) = log.lock() {
                log.push_str(&line);
                log.push('\n');
            }
        }
    })
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("bound").port()
}

/// A TLS connection that trusts whatever certificate it is shown: the appliance makes its own.
pub(crate) fn tls_connect(port: u16) -> Option<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    tls_over(TcpStream::connect(("127.0.0.1", port)).ok()?)
}

/// The same over a connection that is there.
pub(crate) fn tls_over(tcp: TcpStream) -> Option<rustls::StreamOwned<rustls::ClientConnection, TcpStream>> {
    tcp.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let config = plenum_bench::http::trusting();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").ok()?;
    let connection = rustls::ClientConnection::new(config, name).ok()?;
    Some(rustls::StreamOwned::new(connection, tcp))
}
