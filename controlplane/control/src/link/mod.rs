//! The link to the media plane: a handle that takes commands without blocking, and a queue of what media says.
//!
//! [`start`] connects to a media plane that is already there (it may have survived a former control plane) or starts one,
//! and keeps doing so. Wanted state is small and idempotent, so commands queue without a bound of their own while media is
//! away; after [`LinkEvent::Up`] the driver sends everything again and what was queued before is dropped by the link.
//! Nothing here knows what the commands mean.

mod connection;
mod lines;
mod mixer;
mod supervisor;
#[cfg(test)]
mod tests;

pub use mixer::{MixerProcess, MixerTask, mixer_socket_path, start_mixer};
pub use supervisor::MediaProcess;

use connection::{Connection, Ended};
use plenum_contract::Command;
use plenum_contract::event::{EventBody, Hello, Metrics};
use plenum_contract::snapshot::Snapshot;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use supervisor::Supervisor;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Events on their way to the driver. When it is full the link stops reading, media drops what is not durable and asks for
/// a resync: a driver that is behind catches up with one snapshot instead of a long history.
const MAX_EVENTS: usize = 4_096;

/// How long a media plane that was asked to finish may say BYE to its peers.
const FINISH: Duration = Duration::from_secs(2);
/// How long it may then take to end before it is killed, and to be gone when it was.
const END: Duration = Duration::from_secs(1);

/// How long to wait before a program is started again that ended `failures` times in a row. The first start comes at once: people look
/// at a frozen picture.
fn back_off(failures: usize) -> Duration {
    const MS: [u64; 6] = [0, 200, 500, 1_000, 2_000, 5_000];
    Duration::from_millis(MS[failures.min(MS.len() - 1)])
}

/// Sends commands to media. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MediaLink {
    commands: mpsc::UnboundedSender<Command>,
}

impl MediaLink {
    /// A handle and the queue that it fills; the link's task (or a test) reads the queue.
    pub fn channel() -> (MediaLink, mpsc::UnboundedReceiver<Command>) {
        let (commands, queue) = mpsc::unbounded_channel();
        (MediaLink { commands }, queue)
    }

    /// Queues a command. Never blocks; a link that has ended drops it.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

/// What the link tells the driver.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    /// Connected, said hello and got the whole snapshot. Also sent on a living connection after media had to drop events.
    Up {
        /// Who media is. Its addresses are the advertised ones where 1:1 NAT is configured.
        hello: Hello,
        /// Whether it is the boot that was last connected to: by this process, or by the one before on this data folder.
        same_boot: bool,
        /// All parts joined.
        snapshot: Snapshot,
    },
    /// The connection is gone; media is being restarted or connected to again.
    Down,
    /// An event. The link acknowledges durable ones, a second after the driver took them.
    Event(EventBody),
    /// Counters, once a second.
    Metrics(Metrics),
    /// A picture of a presentation.
    Still(plenum_contract::Still),
    /// A command was refused.
    Refused {
        /// Its number on this connection.
        index: u64,
        /// Why, for the log.
        reason: String,
        /// When it was a session: its leg.
        leg: Option<plenum_contract::LegKey>,
    },
}

/// What the link needs to know.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Data folder: socket, lock, pid and boot id of media lie in it.
    pub data: PathBuf,
    /// How to start media; `None` waits for one that somebody else starts.
    pub process: Option<MediaProcess>,
    /// 1:1 NAT: a local address of media and the one that clients must be told instead.
    pub advertised: Vec<(IpAddr, IpAddr)>,
}

/// Where the media plane of a data folder listens.
pub fn socket_path(data: &Path) -> PathBuf {
    data.join("media.sock")
}

/// The running link.
#[derive(Debug)]
pub struct LinkTask {
    stop: watch::Sender<bool>,
    join: JoinHandle<()>,
}

impl LinkTask {
    /// Ends media (its peers are told) and the link. Returns when both are gone, after 4 s at the latest.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if self.join.await.is_err() {
            tracing::error!("the task of the media link panicked");
        }
    }
}

/// Starts the link on the current runtime.
pub fn start(config: LinkConfig) -> (MediaLink, mpsc::Receiver<LinkEvent>, LinkTask) {
    let (link, commands) = MediaLink::channel();
    let (events, queue) = mpsc::channel(MAX_EVENTS);
    let (stop, stopped) = watch::channel(false);
    let known_boot = read_boot(&config.data);
    let supervisor = Supervisor::new(&config.data, config.process.clone());
    let task = Link { config, supervisor, commands, events, stopped, known_boot, delivered: 0 };
    (link, queue, LinkTask { stop, join: tokio::spawn(task.run()) })
}

/// The task's state, which outlives connections.
struct Link {
    config: LinkConfig,
    supervisor: Supervisor,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<LinkEvent>,
    stopped: watch::Receiver<bool>,
    /// The boot that was last connected to.
    known_boot: Option<u128>,
    /// Number of the last event of that boot that went to the driver.
    delivered: u64,
}

impl Link {
    async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        loop {
            let stream = tokio::select! {
                stream = self.supervisor.reach() => stream,
                () = asked_to_stop(&mut stopped) => {
                    self.supervisor.kill();
                    break;
                }
            };
            let ended = Connection::new(stream).serve(&mut self).await;
            match &ended {
                Ended::Stopped | Ended::DriverGone => break,
                Ended::Lost(reason) => tracing::warn!(%reason, "the connection to media is lost"),
                Ended::Unusable(reason) => {
                    tracing::error!(%reason, "media cannot be used");
                    self.supervisor.unusable();
                }
            }
            if self.events.send(LinkEvent::Down).await.is_err() {
                asked_to_stop(&mut stopped).await;
                self.supervisor.kill();
                break;
            }
        }
        self.supervisor.finish(END).await;
    }

    /// Notes that the driver was told of `boot`. Written after the driver has it: a kill in between tells it again.
    fn remember_boot(&mut self, boot: u128) {
        if self.known_boot == Some(boot) {
            return;
        }
        self.known_boot = Some(boot);
        if let Err(error) = std::fs::write(boot_path(&self.config.data), format!("{boot:032x}\n")) {
            tracing::warn!(%error, "the boot id of media was not written");
        }
    }

    /// `hello` with advertised addresses in the place of those behind NAT.
    fn advertise(&self, mut hello: Hello) -> Hello {
        let map = |address: &mut SocketAddr| {
            if let Some((_, public)) = self.config.advertised.iter().find(|(local, _)| *local == address.ip()) {
                address.set_ip(*public);
            }
        };
        for shard in &mut hello.shards {
            shard.udp.iter_mut().chain(&mut shard.tcp).for_each(map);
        }
        hello
    }
}

/// Returns when the task is to stop; never when nobody can ask any more.
async fn asked_to_stop(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn boot_path(data: &Path) -> PathBuf {
    data.join("media.boot")
}

fn read_boot(data: &Path) -> Option<u128> {
    let text = std::fs::read_to_string(boot_path(data)).ok()?;
    u128::from_str_radix(text.trim(), 16).ok()
}
