//! The small SFU on Pion: built from `bench/peers/pion-sfu` with Debian's Go packages, steered by offers over HTTP.

use super::{Join, Rival};
use crate::fanout::Server;
use crate::network::{Network, SERVER};
use crate::process::{Program, run, words};
use crate::swarm::offer::{Told, offer};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const PORT: u16 = 8089;
/// Longest wait until it listens.
const PATIENCE: Duration = Duration::from_secs(10);
/// Debian's Go packages.
const DEBIAN: &str = "/usr/share/gocode";

/// A running one.
pub(super) struct Pion {
    program: Program,
}

/// Builds it; where the program lies.
///
/// # Errors
/// What is missing.
pub(super) fn build() -> Result<PathBuf, String> {
    if !Path::new(DEBIAN).join("src/github.com/pion/webrtc").exists() {
        return Err("golang-github-pion-webrtc.v3-dev is not installed (packaging/setup.sh bench)".into());
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/pion-sfu");
    // Debian's packages are a GOPATH of before modules: only a program that stands in one itself finds their major versions.
    let gopath = std::path::absolute("target/bench/gopath").map_err(|e| e.to_string())?;
    let folder = gopath.join("src/pion-sfu");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    for file in ["main.go", "go.mod"] {
        std::fs::copy(source.join(file), folder.join(file)).map_err(|e| format!("{file}: {e}"))?;
    }
    let program = gopath.join("pion-sfu");
    let path = format!("GOPATH={}:{DEBIAN}", gopath.display());
    let output = program.to_string_lossy().into_owned();
    let folder = folder.to_string_lossy().into_owned();
    run("env", &["-C", &folder, "GO111MODULE=off", &path, "go", "build", "-o", &output, "."])?;
    Ok(program)
}

impl Pion {
    /// Starts `program` in `network`.
    pub(super) fn start(program: &Path, network: &Network) -> Result<Pion, String> {
        let mut command = network.command(&program.to_string_lossy());
        command.args(["-listen", &format!("{SERVER}:{PORT}")]);
        command.stdin(Stdio::null()).stdout(words()).stderr(words());
        let mut pion = Pion { program: Program::start(&mut command).map_err(|e| e.to_string())? };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect((SERVER, PORT)).is_err() {
            if Instant::now() > end || pion.program.has_ended() {
                return Err("it does not listen".into());
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(pion)
    }
}

impl Server for Pion {
    fn cpu(&self) -> Duration {
        self.program.cpu()
    }

    fn attend(&mut self) -> Result<(), String> {
        if self.program.has_ended() { Err("it ended".into()) } else { Ok(()) }
    }
}

impl Rival for Pion {
    fn signal(&mut self, join: &Join<'_>) -> Result<Told, String> {
        let offer = offer(join.config, (join.ufrag, join.pwd), join.fingerprint);
        let what = if join.publishes { "publish" } else { "view" };
        let answer = post(&format!("/{what}?room={}", join.room), &offer).map_err(|e| e.to_string())?;
        Told::read(&answer)
    }
}

/// One request with a description, and the description that answers it.
fn post(path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((SERVER, PORT))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(stream, "POST {path} HTTP/1.0\r\nhost: pion\r\ncontent-length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(format!(
            "it answers {}: {}",
            head.lines().next().unwrap_or("nothing"),
            body.trim()
        ))),
    }
}
