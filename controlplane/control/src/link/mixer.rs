//! Keeps a mixer running. It comes and goes as it likes: nothing is lost with it, and media tells the next one everything again.
//!
//! Like media it outlives us, and a lock that it holds (its standard input) tells whether one is alive. It ends by itself when
//! media does. One that keeps ending is started again after growing waits.

use super::lines;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// Where the mixer of a data folder gets its rings.
pub fn mixer_socket_path(data: &Path) -> PathBuf {
    data.join("mixer.sock")
}

/// How to start a mixer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixerProcess {
    /// The program.
    pub binary: PathBuf,
    /// Data folder: lock and pid of the mixer lie in it, and the socket where media gives it its rings.
    pub data: PathBuf,
    /// Threads for pictures; 0 = as many as it sees fit.
    pub threads: u32,
}

/// How often we look whether media is there, and whether a former mixer has ended.
const POLL: Duration = Duration::from_millis(50);
/// A mixer that lived for so long begins the back-off anew.
const STABLE: Duration = Duration::from_secs(5);
/// How long a mixer that was asked to end may take.
const END: Duration = Duration::from_secs(1);

/// The task that keeps a mixer running.
#[derive(Debug)]
pub struct MixerTask {
    stop: watch::Sender<bool>,
    join: JoinHandle<()>,
}

impl MixerTask {
    /// Ends the mixer and the task. Returns after some two seconds at the latest.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if self.join.await.is_err() {
            tracing::error!("the task of the mixer panicked");
        }
    }
}

/// Starts the task on the current runtime.
pub fn start_mixer(process: MixerProcess) -> MixerTask {
    let (stop, mut stopped) = watch::channel(false);
    let join = tokio::spawn(async move {
        let mut starts = Starts(0);
        loop {
            tokio::select! {
                child = next(&process, starts.wait()) => {
                    let started = Instant::now();
                    if let Some(mut child) = child {
                        tokio::select! {
                            status = child.wait() => tracing::warn!(status = ?status.ok(), "the mixer ended"),
                            () = super::asked_to_stop(&mut stopped) => return end(child).await,
                        }
                    }
                    starts.ended(started.elapsed());
                }
                () = super::asked_to_stop(&mut stopped) => return,
            }
        }
    });
    MixerTask { stop, join }
}

/// Mixers in a row that did not last.
#[derive(Debug)]
struct Starts(usize);

impl Starts {
    /// How long the next one waits.
    fn wait(&self) -> Duration {
        super::back_off(self.0)
    }

    /// A mixer lived for so long.
    fn ended(&mut self, lived: Duration) {
        self.0 = if lived >= STABLE { 0 } else { self.0 + 1 };
    }
}

/// The next mixer after `wait`, when media is there and no other mixer is.
async fn next(process: &MixerProcess, wait: Duration) -> Option<Child> {
    sleep(wait).await;
    let socket = mixer_socket_path(&process.data);
    let lock = loop {
        match take_lock(&process.data.join("mixer.lock")) {
            Ok(Some(lock)) if socket.exists() => break lock,
            Ok(_) => sleep(POLL).await,
            Err(error) => {
                tracing::error!(%error, "the mixer's lock cannot be opened");
                return None;
            }
        }
    };
    let mut command = Command::new(&process.binary);
    command
        .args(["serve", "--socket"])
        .arg(&socket)
        .arg("--threads")
        .arg(process.threads.to_string())
        .stdin(Stdio::from(lock))
        .process_group(0)
        .kill_on_drop(false);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .inspect_err(|error| tracing::error!(%error, binary = %process.binary.display(), "the mixer cannot be started"))
        .ok()?;
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(lines::follow_mixer(stderr));
    }
    let id = child.id().unwrap_or_default();
    tracing::info!(pid = id, binary = %process.binary.display(), "the mixer started");
    if let Err(error) = std::fs::write(process.data.join("mixer.pid"), format!("{id}\n")) {
        tracing::warn!(%error, "the mixer's pid was not written");
    }
    Some(child)
}

/// The lock, when no mixer holds it.
fn take_lock(path: &Path) -> std::io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

async fn end(mut child: Child) {
    let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if timeout(END, child.wait()).await.is_err() {
        let _ = child.start_kill();
        let _ = timeout(END, child.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program that writes its pid into a folder and sleeps: what a mixer looks like from here.
    fn stand_in(data: &Path) -> MixerProcess {
        let binary = data.join("mixer.sh");
        std::fs::write(&binary, "#!/bin/sh\necho $$ >> \"${3%/*}/started\"\nexec sleep 600\n").unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o700)).unwrap();
        MixerProcess { binary, data: data.to_owned(), threads: 0 }
    }

    async fn started(data: &Path, count: usize) -> Vec<i32> {
        loop {
            let text = std::fs::read_to_string(data.join("started")).unwrap_or_default();
            let pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
            if pids.len() >= count {
                return pids;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The mixer's part of the two seconds within which mixed legs go on is in the simulation (tests/sim/mixed.rs), which counts on these 250 ms.
    #[test]
    fn a_mixer_that_ran_is_started_again_at_once_and_one_that_died_young_within_250_ms_the_first_time() {
        let most = Duration::from_millis(250);
        let mut starts = Starts(0);
        for lived in [STABLE, 1000 * STABLE] {
            starts.ended(lived);
            assert_eq!(starts.wait(), Duration::ZERO, "{lived:?}");
        }
        starts.ended(Duration::ZERO);
        assert!(starts.wait() + POLL <= most, "{:?}", starts.wait());
        // One that keeps dying is waited for longer and longer, up to five seconds.
        for _ in 0..10 {
            let before = starts.wait();
            starts.ended(STABLE / 2);
            assert!(starts.wait() >= before && starts.wait() <= Duration::from_secs(5));
        }
        starts.ended(STABLE);
        assert_eq!(starts.wait(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_mixer_that_is_killed_is_started_again_and_ends_with_its_task() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        std::fs::write(mixer_socket_path(data), "").unwrap();
        let task = start_mixer(stand_in(data));
        let first = started(data, 1).await[0];
        let kill = |pid| {
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
        };
        kill(first).unwrap();
        let second = started(data, 2).await[1];
        assert_ne!(first, second);
        task.stop().await;
        assert!(kill(second).is_err(), "it is gone");
    }
}
