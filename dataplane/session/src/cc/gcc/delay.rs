//! The delay-based part: packets in, a [`Usage`] out. Joins the trend line and the detector.
//!
//! Adds two rules to them. A slope counts as overuse only while even the quickest packet of the last [`RECENT`] was
//! slower than the quickest one of the last seconds. A queue delays every packet; jitter spares some. So jitter on an
//! empty queue does not cost rate. And a long queue that grows is overuse whatever the line says.

use super::overuse::{Overuse, Usage};
use super::trendline::{BEND, Trendline};
use crate::cc::send_history::Acked;
use core::time::Duration;
use plenum_packet::Time;

/// A queue below this is never called one, with the path's noise, [`NOISES`] times, on top. Larger: small queues may
/// stand for ever. Smaller: false alarms.
const TOLERATED_MS: f64 = 5.0;
/// See [`TOLERATED_MS`].
const NOISES: f64 = 1.3;
/// The quickest packet is looked for in this time. Longer: a queue is noticed later. Shorter: too few packets to spare
/// one.
pub const RECENT: Duration = Duration::from_millis(200);
/// Below this noise, half of that time is enough: a path that narrows is noticed earlier.
const QUIET_MS: f64 = 10.0;
/// The floor is the smallest delay in the last one to two of these. Longer: slow to accept a longer route. Shorter: a
/// queue that stands is taken for the route.
const FLOOR_WINDOW: Duration = Duration::from_secs(10);
/// A queue longer than this is to be drained. Larger: sound is late for longer after a path narrowed. Smaller: video yields to
/// small queues.
pub const LONG_QUEUE_MS: f64 = 100.0;

/// More than this is a jump of the path, not its noise.
const MOST_JITTER_MS: f64 = 150.0;

/// The delay-based part.
#[derive(Debug, Default)]
pub struct DelayBased {
    line: Trendline,
    detector: Overuse,
    floor: Lowest<2>,
    recent: Lowest<4>,
    /// Delays of the last two packets, microseconds, and the mean size of their second differences.
    last: [i64; 2],
    packet_jitter_ms: f64,
    /// Packets so far, up to 66.
    packets: u32,
    usage: Usage,
}

impl DelayBased {
    /// Takes an acknowledged packet, in the order of sending.
    pub fn packet(&mut self, acked: &Acked) {
        let delay = acked.arrival_us.saturating_sub((acked.sent.nanos() / 1000) as i64);
        // A queue that grows or drains evenly is no jitter, as in the trend line.
        let bend = delay.saturating_sub(self.last[0].saturating_mul(2)).saturating_add(self.last[1]);
        let bend = (bend.unsigned_abs() as f64 / 1e3 / BEND).min(MOST_JITTER_MS);
        // The first ones weigh as much as all before them.
        self.packets = (self.packets + 1).min(66);
        if self.packets > 2 {
            self.packet_jitter_ms += (bend - self.packet_jitter_ms) / f64::from(self.packets - 2);
        }
        self.last = [delay, self.last[0]];
        self.floor.note(acked.sent, FLOOR_WINDOW, delay);
        // By the peer's clock: a burst that waits in a queue is sent at one time and arrives for long.
        let arrival = Time((acked.arrival_us.max(0) as u64).saturating_mul(1000));
        self.recent.note(arrival, RECENT / 4, delay);
        let Some(sample) = self.line.packet(acked.sent, acked.arrival_us) else { return };
        let verdict = self.detector.sample(sample);
        self.usage = match verdict {
            // Nor does a delay that falls say anything when no queue stands: nothing drains.
            Usage::Over | Usage::Under if !self.stands() => Usage::Normal,
            other => other,
        };
    }

    /// The verdict so far.
    pub fn usage(&self) -> Usage {
        if self.swells() { Usage::Over } else { self.usage }
    }

    /// Whether a long queue grows on: each packet of the last half of [`RECENT`] was slower than the quickest one of the half
    /// before. The line needs several groups for that, of which little arrives when the path has all but closed.
    fn swells(&self) -> bool {
        let [new, old] =
            [self.recent.of(2), self.recent.before(2)].map(|d| d.saturating_sub(self.floor.of(2)) as f64 / 1e3);
        old < new && new > LONG_QUEUE_MS && new - old > self.noise_ms()
    }

    fn noise_ms(&self) -> f64 {
        TOLERATED_MS + NOISES * self.line.jitter_ms()
    }

    /// The queue that stands: the smallest recent delay above the floor, milliseconds.
    pub fn queue_ms(&self) -> f64 {
        let windows = if self.line.jitter_ms() < QUIET_MS { 2 } else { 4 };
        self.recent.of(windows).saturating_sub(self.floor.of(2)) as f64 / 1e3
    }

    /// Whether a queue stands, as far as the newest packets show.
    fn stands(&self) -> bool {
        self.queue_ms() > self.noise_ms()
    }

    /// Noise of the path, milliseconds.
    pub fn jitter_ms(&self) -> f64 {
        self.line.jitter_ms()
    }

    /// Noise of single packets, milliseconds: what blurs a probe.
    pub fn packet_jitter_ms(&self) -> f64 {
        self.packet_jitter_ms
    }

    /// The peer's clock jumped or the path changed: begin again.
    pub fn reset(&mut self) {
        self.line.reset();
        self.detector.reset();
        self.floor = Lowest::default();
        self.recent = Lowest::default();
        self.usage = Usage::Normal;
    }
}

/// The smallest value of the last `N` windows, the last of which is still open.
#[derive(Debug)]
struct Lowest<const N: usize> {
    windows: [i64; N],
    opened: Time,
}

impl<const N: usize> Default for Lowest<N> {
    fn default() -> Self {
        Lowest { windows: [i64::MAX; N], opened: Time::ZERO }
    }
}

impl<const N: usize> Lowest<N> {
    fn note(&mut self, now: Time, window: Duration, value: i64) {
        let passed = (now.since(self.opened).as_nanos() / window.as_nanos()).min(N as u128) as usize;
        if passed > 0 {
            self.windows.rotate_right(passed % N);
            self.windows[..passed].fill(i64::MAX);
            self.opened = now;
        }
        self.windows[0] = self.windows[0].min(value);
    }

    /// The smallest value of the newest `count` windows.
    fn of(&self, count: usize) -> i64 {
        self.windows.iter().take(count).copied().min().unwrap_or(0)
    }

    /// The smallest value of those before the newest `count` windows.
    fn before(&self, count: usize) -> i64 {
        self.windows.iter().skip(count).copied().min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_value_is_forgotten_with_its_window() {
        let mut lowest = Lowest::<4>::default();
        let window = Duration::from_millis(50);
        for (ms, value, expected) in
            [(1000, 7, 7), (1049, 9, 7), (1051, 9, 7), (1160, 8, 7), (1210, 8, 8), (5000, 30, 30)]
        {
            lowest.note(Time::from_millis(ms), window, value);
            assert_eq!(lowest.of(4), expected, "at {ms} ms");
        }
    }

    /// Sends at `sent`, arrives at `arrival` (milliseconds of two clocks that differ).
    fn packet(delay: &mut DelayBased, sent: u64, arrival: u64) {
        let arrival_us = (7_000_000 + arrival * 1000) as i64;
        let sent = Time::from_millis(sent);
        delay.packet(&Acked { sequence: 0, sent, arrival_us, size: 1200, cumulative: 0, cluster: 0, recovered: false });
    }

    #[test]
    fn a_burst_that_waits_in_a_queue_shows_it_before_anything_later_arrives() {
        let mut delay = DelayBased::default();
        (0..200).for_each(|i| packet(&mut delay, i * 10, i * 10 + 20));
        assert_eq!((delay.usage(), delay.queue_ms() as u64), (Usage::Normal, 0));
        // What left at one time arrives at a packet in each 40 ms.
        (1..=3).for_each(|i| packet(&mut delay, 2000, 2020 + i * 40));
        assert_eq!(delay.usage(), Usage::Normal, "a frame that was large");
        (4..=7).for_each(|i| packet(&mut delay, 2000, 2020 + i * 40));
        assert_eq!(delay.usage(), Usage::Over);
        assert!(delay.queue_ms() > 150.0, "{}", delay.queue_ms());
        // The queue drains: less was sent since.
        (1..=10).for_each(|i| packet(&mut delay, 2020 + i * 80, 2300 + i * 40));
        assert_ne!(delay.usage(), Usage::Over);
    }
}
