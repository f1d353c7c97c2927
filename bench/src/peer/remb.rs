//! Receiver-side bandwidth estimation, for peers without transport-wide feedback.
//!
//! Much simpler than libwebrtc's: the rate goes down when packets queue (their delay grows above the least seen), and up by a
//! share each second otherwise: a small one near the rate that was too much the last time, as libwebrtc's. Delays come from the
//! stamps, so both ends have one clock.

use plenum_packet::{Bitrate, Time};
use std::time::Duration;

/// How often an estimate is sent.
const EVERY: Duration = Duration::from_millis(250);
/// Queueing delay that means the way is full.
const FULL: Duration = Duration::from_millis(60);
/// Share that a full way takes off, from what arrived.
const DOWN: f64 = 0.85;
/// Growth in each interval: about a third a second.
const UP: f64 = 1.08;
/// Growth near what filled the way the last time: about a packet in a response time.
const UP_NEAR: f64 = 1.015;
/// What is near it.
const NEAR: (f64, f64) = (0.75, 1.15);
/// Bounds of the estimate, bits a second.
const BOUNDS: (u64, u64) = (50_000, 20_000_000);

/// The estimator.
pub(crate) struct Remb {
    estimate: Bitrate,
    /// What arrived when the way was full.
    full_at: Option<Bitrate>,
    least: Option<Duration>,
    /// Least delay in this interval.
    recent: Option<Duration>,
    bytes: u64,
    due: Option<Time>,
    interval_from: Time,
}

impl Remb {
    pub(crate) fn new(first: Bitrate) -> Remb {
        Remb {
            estimate: first,
            full_at: None,
            least: None,
            recent: None,
            bytes: 0,
            due: None,
            interval_from: Time::ZERO,
        }
    }

    /// A packet arrived; `delay` when its stamp was readable.
    pub(crate) fn packet(&mut self, now: Time, size: usize, delay: Option<Duration>) {
        if self.due.is_none() {
            self.interval_from = now;
            self.due = Some(now + EVERY);
        }
        self.bytes += size as u64;
        if let Some(delay) = delay {
            self.recent = Some(self.recent.map_or(delay, |d| d.min(delay)));
            self.least = Some(self.least.map_or(delay, |d| d.min(delay)));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        self.due.unwrap_or(Time::NEVER)
    }

    /// The estimate to send, when it is due.
    pub(crate) fn take(&mut self, now: Time) -> Option<Bitrate> {
        if self.poll_timeout() > now {
            return None;
        }
        self.due = None;
        let seconds = now.since(self.interval_from).as_secs_f64().max(0.01);
        let arrived = Bitrate((self.bytes as f64 * 8.0 / seconds) as u64);
        let queued = match (self.recent.take(), self.least) {
            (Some(recent), Some(least)) => recent.saturating_sub(least),
            _ => Duration::ZERO,
        };
        self.bytes = 0;
        let near = |at: &Bitrate| (at.scale(NEAR.0)..at.scale(NEAR.1)).contains(&self.estimate);
        self.full_at = if queued > FULL { Some(arrived) } else { self.full_at.filter(near) };
        let up = if self.full_at.is_some() { UP_NEAR } else { UP };
        let next = match queued > FULL {
            true => arrived.scale(DOWN).min(self.estimate),
            // Never far above what was seen to pass.
            false => self.estimate.scale(up).min(arrived.scale(1.5).max(self.estimate)),
        };
        self.estimate = Bitrate(next.bps().clamp(BOUNDS.0, BOUNDS.1));
        Some(self.estimate)
    }
}
