//! The delay-based part: packets in, a [`Usage`] out. Joins the trend line and the detector.
//!
//! Adds one rule to them: a slope counts as overuse only when the delay also stands above its recent floor by more than
//! the noise of the path, so that jitter on an empty queue does not cost rate.

use super::overuse::{Overuse, Usage};
use super::trendline::Trendline;
use crate::cc::send_history::Acked;
use core::time::Duration;
use plenum_packet::Time;

/// Delay above the floor that is never called a queue. Larger: a small queue may stand for ever. Smaller: false alarms.
const TOLERATED_MS: f64 = 5.0;
/// The floor is the smallest delay in the last one to two of these. Longer: slow to accept a longer route. Shorter: a
/// queue that stands is taken for the route.
const FLOOR_WINDOW: Duration = Duration::from_secs(10);

/// The delay-based part.
#[derive(Default)]
pub struct DelayBased {
    line: Trendline,
    detector: Overuse,
    floor: Floor,
    smoothed_us: Option<f64>,
    usage: Usage,
}

impl DelayBased {
    /// Takes an acknowledged packet, in the order of sending.
    pub fn packet(&mut self, acked: &Acked) {
        let Some(sample) = self.line.packet(acked.sent, acked.arrival_us) else {
            return self.note_delay(acked);
        };
        self.note_delay(acked);
        let verdict = self.detector.sample(sample);
        self.usage = match verdict {
            Usage::Over if self.queue_ms() < TOLERATED_MS + self.line.jitter_ms() => Usage::Normal,
            other => other,
        };
    }

    /// The verdict so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The smoothed delay above its recent floor, milliseconds.
    pub fn queue_ms(&self) -> f64 {
        self.smoothed_us.map_or(0.0, |us| (us - self.floor.lowest() as f64) / 1e3)
    }

    /// Noise of the path, milliseconds.
    pub fn jitter_ms(&self) -> f64 {
        self.line.jitter_ms()
    }

    /// The peer's clock jumped or the path changed: begin again.
    pub fn reset(&mut self) {
        self.line.reset();
        self.detector.reset();
        self.floor = Floor::default();
        self.smoothed_us = None;
        self.usage = Usage::Normal;
    }

    fn note_delay(&mut self, acked: &Acked) {
        let delay = acked.arrival_us.saturating_sub((acked.sent.nanos() / 1000) as i64);
        self.floor.note(acked.sent, delay);
        let smoothed = self.smoothed_us.get_or_insert(delay as f64);
        *smoothed += (delay as f64 - *smoothed) / 16.0;
    }
}

/// The smallest value of the last one to two windows.
struct Floor {
    since: Time,
    current: i64,
    previous: i64,
}

impl Default for Floor {
    fn default() -> Self {
        Floor { since: Time::ZERO, current: i64::MAX, previous: i64::MAX }
    }
}

impl Floor {
    fn note(&mut self, now: Time, value: i64) {
        if now.since(self.since) >= FLOOR_WINDOW {
            (self.previous, self.current, self.since) = (self.current, value, now);
        }
        self.current = self.current.min(value);
    }

    fn lowest(&self) -> i64 {
        self.current.min(self.previous)
    }
}
