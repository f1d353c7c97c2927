//! The sending peer's pacer: sound at once, then retransmissions, then pictures, at two and a half times the rate, as libwebrtc's.

use plenum_packet::{Bitrate, Time};
use std::collections::VecDeque;
use std::time::Duration;

/// How much faster than its average a burst leaves.
const FACTOR: f64 = 2.5;
/// Unused time that may be made up for, unless a peer is told otherwise.
pub(crate) const BURST: Duration = Duration::from_millis(5);
/// Packets that wait at most; more are dropped, as from an encoder that is too fast.
const MOST: usize = 2000;

/// What waits.
pub(crate) struct Waiting {
    /// Index of the stream that sends it.
    pub(crate) stream: usize,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    /// Whether its stamp is to say when it left.
    pub(crate) stamped: bool,
    /// Set when it is a retransmission: of this sequence number.
    pub(crate) repairs: Option<u16>,
    pub(crate) payload: Vec<u8>,
}

/// The queue.
pub(crate) struct Pacing {
    rate: Bitrate,
    burst: Duration,
    repairs: VecDeque<Waiting>,
    frames: VecDeque<Waiting>,
    /// When the next packet may leave.
    next: Time,
    pub(crate) dropped: u64,
}

impl Pacing {
    pub(crate) fn new(rate: Bitrate, burst: Duration) -> Pacing {
        Pacing { rate, burst, repairs: VecDeque::new(), frames: VecDeque::new(), next: Time::ZERO, dropped: 0 }
    }

    /// The average rate; never so low that a frame takes seconds.
    pub(crate) fn set_rate(&mut self, rate: Bitrate) {
        self.rate = rate.max(Bitrate::kbps(100));
    }

    pub(crate) fn push(&mut self, waiting: Waiting) {
        let queue = if waiting.repairs.is_some() { &mut self.repairs } else { &mut self.frames };
        if queue.len() >= MOST {
            self.dropped += 1;
            return;
        }
        queue.push_back(waiting);
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        if self.repairs.is_empty() && self.frames.is_empty() { Time::NEVER } else { self.next }
    }

    /// The next packet that may leave.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Waiting> {
        if self.poll_timeout() > now {
            return None;
        }
        let waiting = self.repairs.pop_front().or_else(|| self.frames.pop_front())?;
        let size = waiting.payload.len() as u64 + 60;
        self.next = self.next.max(now.before(self.burst)) + self.rate.scale(FACTOR).time_for(size);
        Some(waiting)
    }

    /// Forgets what waits: the receiver is another one now.
    pub(crate) fn clear(&mut self) {
        self.repairs.clear();
        self.frames.clear();
    }
}
