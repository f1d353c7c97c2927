//! The link to the media plane: a handle that takes commands without blocking, and a queue of what media says.
//!
//! Wanted state is small and idempotent, so commands queue without a bound of their own while media is away; after
//! [`LinkEvent::Up`] the driver sends everything again and what was queued before is dropped by the link.

use plenum_contract::event::{EventBody, Hello, Metrics};
use plenum_contract::snapshot::Snapshot;
use plenum_contract::Command;
use tokio::sync::mpsc;

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
    /// Connected, said hello and got the whole snapshot.
    Up {
        /// Who media is.
        hello: Hello,
        /// Whether it is the boot that this process was connected to before.
        same_boot: bool,
        /// All parts joined.
        snapshot: Snapshot,
    },
    /// The connection is gone; media is being restarted or connected to again.
    Down,
    /// An event. The link acknowledges durable ones.
    Event(EventBody),
    /// Counters, once a second.
    Metrics(Metrics),
    /// A command was refused.
    Refused {
        /// Its number on this connection.
        index: u64,
        /// Why, for the log.
        reason: String,
    },
}
