//! The queues between the control thread and the shards' threads.
//!
//! Towards a shard: unbounded, because wanted state is small and control waits for answers. From the shards: bounded, and a
//! shard never waits; what does not fit is counted, and control is told to resync.

use crate::mixer::MixerLink;
use crate::watch::{Pulse, Watch};
use plenum_contract::event::ShardMetrics;
use plenum_contract::{Command, EventBody, LegKey, Snapshot, Still};
use plenum_io::Waker;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};

/// Reports of shards that may wait for the control thread: a burst in which every leg of a full machine changes.
const MAX_REPORTS: usize = 65_536;

/// What a shard is asked for.
pub(crate) enum Order {
    /// What control wants.
    Command(Box<Command>),
    /// The shard's part of a snapshot, marked with this number: a control plane that returns twice asks twice, and parts of the
    /// first answer must not be taken for the second.
    Snapshot(u64),
    /// A mixer came (its rings), or went.
    Mixer(Option<Box<MixerLink>>),
}

/// What a shard tells the control thread.
pub(crate) enum ToControl {
    /// Something happened.
    Event {
        /// Whether it must reach control.
        durable: bool,
        /// What.
        body: EventBody,
    },
    /// A command was refused.
    Refused {
        /// The leg that it was about.
        leg: Option<LegKey>,
        /// Of the session that was refused.
        revision: Option<u64>,
        /// Whether the shard has a session for this leg all the same: an older one.
        there: bool,
        /// Why.
        reason: String,
    },
    /// A picture of a presentation.
    Still(Box<Still>),
    /// The shard cut its link to the mixer of this number.
    MixerCut(u64),
    /// The shard's part of a snapshot.
    Snapshot {
        /// As in [`Order::Snapshot`].
        round: u64,
        /// The part.
        part: Snapshot,
    },
    /// Counters.
    Metrics {
        /// Which shard.
        shard: u16,
        /// Its counters.
        metrics: ShardMetrics,
        /// Estimates by leg key.
        bandwidth: Vec<(u64, u64)>,
    },
}

/// The control thread's end.
pub(crate) struct Shards {
    inboxes: Vec<(Sender<Order>, Waker, Arc<AtomicBool>)>,
    pulses: Vec<Pulse>,
    wake: Waker,
    dropped: Arc<AtomicU64>,
}

/// A shard thread's end.
pub(crate) struct ShardEnd {
    /// Orders for the shard.
    pub(crate) inbox: Receiver<Order>,
    /// Ends the shard's wait; its descriptor must be watched.
    pub(crate) waker: Waker,
    /// Beats with every turn.
    pub(crate) pulse: Pulse,
    /// Whether the waker was used: spares a system call in every other turn.
    woken: Arc<AtomicBool>,
    reports: SyncSender<ToControl>,
    control: Waker,
    dropped: Arc<AtomicU64>,
}

/// Makes the queues for `count` shards.
///
/// # Errors
/// When the kernel gives no eventfd.
pub(crate) fn queues(count: usize) -> std::io::Result<(Shards, Receiver<ToControl>, Vec<ShardEnd>)> {
    let (reports, from_shards) = sync_channel(MAX_REPORTS);
    let wake = Waker::new()?;
    let dropped = Arc::new(AtomicU64::new(0));
    let mut inboxes = Vec::new();
    let mut ends = Vec::new();
    let pulses = (0..count).map(|_| Pulse::default()).collect::<Vec<_>>();
    for pulse in pulses.iter().cloned() {
        let (sender, inbox) = channel();
        let (waker, woken) = (Waker::new()?, Arc::new(AtomicBool::new(false)));
        inboxes.push((sender, waker.clone(), Arc::clone(&woken)));
        let (reports, control) = (reports.clone(), wake.clone());
        ends.push(ShardEnd { inbox, waker, pulse, woken, reports, control, dropped: dropped.clone() });
    }
    Ok((Shards { inboxes, pulses, wake, dropped }, from_shards, ends))
}

impl Shards {
    /// Looks at whether every shard turns.
    pub(crate) fn watch(&self) -> Watch {
        Watch::new(self.pulses.iter().cloned())
    }

    /// Gives an order to one shard.
    pub(crate) fn send(&self, shard: u16, order: Order) {
        let (inbox, waker, woken) = &self.inboxes[usize::from(shard)];
        if inbox.send(order).is_ok() {
            // In this order: a shard that sees the mark finds the descriptor readable, and makes it quiet.
            waker.wake();
            woken.store(true, Ordering::Release);
        }
    }

    /// Sends `command` to every shard.
    pub(crate) fn send_all(&self, command: &Command) {
        for shard in 0..self.inboxes.len() {
            self.send(shard as u16, Order::Command(Box::new(command.clone())));
        }
    }

    /// Asks every shard for its part of a snapshot.
    pub(crate) fn ask_snapshot(&self, round: u64) {
        for shard in 0..self.inboxes.len() {
            self.send(shard as u16, Order::Snapshot(round));
        }
    }

    /// The descriptor that shards make readable.
    pub(crate) fn control_wake_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    /// Makes it unreadable again.
    pub(crate) fn clear_control_wake(&self) {
        self.wake.clear();
    }

    #[cfg(test)]
    pub(crate) fn peek_dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Reports that did not fit since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

impl ShardEnd {
    /// Makes the waker's descriptor quiet when it was used.
    pub(crate) fn clear_waker(&self) {
        if self.woken.swap(false, Ordering::Acquire) {
            self.waker.clear();
        }
    }

    /// Hands a report to the control thread, or counts it as dropped. Never waits.
    pub(crate) fn report(&self, report: ToControl) {
        match self.reports.try_send(report) {
            Ok(()) => self.control.wake(),
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.control.wake();
            }
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}
