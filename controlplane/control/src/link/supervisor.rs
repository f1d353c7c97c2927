//! Keeps a media plane running, and finds one that a former control plane left behind.
//!
//! Media outlives us: it has its own process group, and whether one is alive is told by a lock that it holds, not by a pid.
//! The lock file is its standard input, so the kernel releases the lock when it dies however it dies. A pid is used only
//! while that lock is held. A media plane that answers is never replaced.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How to start media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaProcess {
    /// The program.
    pub binary: PathBuf,
    /// All its arguments, the socket's path among them (see [`super::socket_path`]).
    pub args: Vec<OsString>,
}

/// How often we look whether media answers while it starts. It is up within some 50 ms.
const POLL: Duration = Duration::from_millis(20);
/// A media plane that lives and does not answer for so long is killed: pools of many gigabytes take seconds to make.
const START_LIMIT: Duration = Duration::from_secs(20);
/// A media plane that lived for so long begins the back-off anew.
const STABLE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Supervisor {
    socket: PathBuf,
    lock: PathBuf,
    pid: PathBuf,
    process: Option<MediaProcess>,
    child: Option<Child>,
    started: Instant,
    /// Starts in a row that did not last.
    failures: usize,
    /// Since when somebody holds the lock and does not answer.
    silent_since: Option<Instant>,
}

impl Supervisor {
    pub(super) fn new(data: &Path, process: Option<MediaProcess>) -> Supervisor {
        Supervisor {
            socket: super::socket_path(data),
            lock: data.join("media.lock"),
            pid: data.join("media.pid"),
            process,
            child: None,
            started: Instant::now(),
            failures: 0,
            silent_since: None,
        }
    }

    /// A connection to media, however long it takes. Starts media where none is alive.
    pub(super) async fn reach(&mut self) -> UnixStream {
        loop {
            match self.connect().await {
                Ok(stream) => {
                    self.silent_since = None;
                    return stream;
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    tracing::error!(%error, "media's socket is not ours");
                    sleep(super::back_off(usize::MAX)).await;
                }
                Err(_) => {}
            }
            self.look_after().await;
            sleep(POLL).await;
        }
    }

    /// Connects, and checks that a process of our user (or root) is at the other end.
    async fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket).await?;
        let peer = stream.peer_cred()?.uid();
        let own = std::fs::metadata("/proc/self")?.uid();
        if peer != own && peer != 0 {
            let reason = format!("{}: served by user {peer}, we are {own}", self.socket.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        Ok(stream)
    }

    /// Nobody answers: reaps, kills what hangs, starts what is missing.
    async fn look_after(&mut self) {
        if self.process.is_none() {
            return;
        }
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            tracing::error!(%status, "media died");
            self.child = None;
            let _ = std::fs::remove_file(&self.pid);
            if self.started.elapsed() >= STABLE {
                self.failures = 0;
            }
        }
        match self.take_lock() {
            Ok(Some(lock)) => {
                self.silent_since = None;
                if self.child.is_none() {
                    self.start(lock).await;
                }
            }
            Ok(None) => {
                let since = *self.silent_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= START_LIMIT {
                    tracing::error!("media lives and does not answer: it is killed");
                    self.silent_since = None;
                    self.kill();
                }
            }
            Err(error) => {
                tracing::error!(%error, path = %self.lock.display(), "media's lock cannot be opened");
                sleep(super::back_off(usize::MAX)).await;
            }
        }
    }

    /// The lock, when no media plane holds it.
    fn take_lock(&self) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.lock)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    async fn start(&mut self, lock: File) {
        let Some(process) = self.process.clone() else { return };
        let wait = super::back_off(self.failures);
        self.failures += 1;
        if !wait.is_zero() {
            tracing::warn!(?wait, "media is started again after a wait");
            sleep(wait).await;
        }
        let _ = std::fs::remove_file(&self.socket);
        let mut command = Command::new(&process.binary);
        command.args(&process.args).stdin(Stdio::from(lock)).process_group(0).kill_on_drop(false);
        // It outlives us, so it must not hold our output open. Its log comes over the contract.
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        self.started = Instant::now();
        match command.spawn() {
            Ok(mut child) => {
                if let Some(stderr) = child.stderr.take() {
                    tokio::spawn(super::lines::follow(stderr));
                }
                let id = child.id().unwrap_or_default();
                tracing::info!(pid = id, binary = %process.binary.display(), "media started");
                if let Err(error) = std::fs::write(&self.pid, format!("{id}\n")) {
                    tracing::warn!(%error, "media's pid was not written");
                }
                self.child = Some(child);
            }
            Err(error) => {
                tracing::error!(%error, binary = %process.binary.display(), "media cannot be started");
            }
        }
    }

    /// Media answers and is of no use (hangs, another contract version): it is killed, so that a new one is started. One
    /// that somebody else started is left alone and tried again.
    pub(super) fn unusable(&mut self) {
        self.kill();
    }

    /// Kills our child, or the one that a former control plane started. The pid file counts only while the lock is held.
    pub(super) fn kill(&mut self) {
        if self.process.is_none() {
            return;
        }
        if let Some(child) = &mut self.child {
            let _ = child.start_kill();
            return;
        }
        if !matches!(self.take_lock(), Ok(None)) {
            return;
        }
        let pid = std::fs::read_to_string(&self.pid).ok().and_then(|text| text.trim().parse().ok());
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { return };
        if let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::KILL) {
            tracing::error!(%error, "media cannot be killed");
        }
    }

    /// Media was asked to finish: waits until it has, and kills it after `limit`.
    pub(super) async fn finish(&mut self, limit: Duration) {
        if self.process.is_none() {
            return;
        }
        if timeout(limit, self.gone()).await.is_err() {
            tracing::warn!("media did not finish in time: it is killed");
            self.kill();
            let _ = timeout(limit, self.gone()).await;
        }
        let _ = std::fs::remove_file(&self.pid);
    }

    async fn gone(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.wait().await;
            self.child = None;
        }
        while matches!(self.take_lock(), Ok(None)) {
            sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kills media. No time passes: nothing waits for any.
    async fn die(supervisor: &mut Supervisor) {
        let child = supervisor.child.as_mut().unwrap();
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }

    /// After how long media runs again, beside the [`POLL`] before we look.
    async fn again(supervisor: &mut Supervisor) -> Duration {
        let begun = Instant::now();
        loop {
            supervisor.look_after().await;
            if supervisor.child.is_some() {
                return begun.elapsed();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_media_plane_that_died_is_started_again_within_a_second_unless_it_keeps_dying() {
        let data = tempfile::tempdir().unwrap();
        // It takes the lock and never answers.
        let process = MediaProcess { binary: "sleep".into(), args: vec!["600".into()] };
        let mut supervisor = Supervisor::new(data.path(), Some(process));
        assert_eq!(again(&mut supervisor).await, Duration::ZERO);
        for _ in 0..2 {
            tokio::time::advance(STABLE).await;
            die(&mut supervisor).await;
            assert_eq!(again(&mut supervisor).await, Duration::ZERO, "one that lived is missed at once");
        }
        for ms in [200, 500, 1_000, 2_000, 5_000, 5_000] {
            die(&mut supervisor).await;
            let waited = again(&mut supervisor).await;
            // The paused clock counts whole milliseconds and may add one.
            assert!((ms..=ms + 1).contains(&waited.as_millis()), "{waited:?} instead of {ms} ms");
        }
        tokio::time::advance(STABLE).await;
        die(&mut supervisor).await;
        assert!(again(&mut supervisor).await + POLL < Duration::from_secs(1));
        die(&mut supervisor).await;
    }
}
