//! Measured bitrate and frame rate of one encoding, by spatial and temporal layer, over a sliding window.
//!
//! Two half windows: the running one and the finished one before it, weighted by how much of it still lies in the window.
//! Constant memory and a few adds per packet. It does not predict: a layer's rate is what was received.

use crate::info::{MAX_SPATIAL, MAX_TEMPORAL};
use core::time::Duration;
use plenum_packet::{Bitrate, Time};

/// Length of the window. Shorter: a key frame looks like a rise of the rate. Longer: a dying layer looks alive.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Bytes that each packet costs besides its payload: RTP with extensions, SRTP tag, UDP and IPv4.
pub const PACKET_OVERHEAD: usize = 72;

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    bytes: [[u32; MAX_TEMPORAL]; MAX_SPATIAL],
    frames: [u16; MAX_TEMPORAL],
}

/// The meter of one encoding.
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    running: Window,
    finished: Window,
    /// Start of the running window; `None` before the first packet.
    started: Option<Time>,
    /// How long the meter has run, at most two windows: young meters divide by less.
    first: Time,
}

impl RateMeter {
    /// Counts one packet of `payload` bytes; `new_frame` when it is the first packet seen of its frame.
    pub fn add(&mut self, spatial: u8, temporal: u8, payload: usize, new_frame: bool, now: Time) {
        self.roll(now);
        let temporal = usize::from(temporal).min(MAX_TEMPORAL - 1);
        let cell = &mut self.running.bytes[usize::from(spatial).min(MAX_SPATIAL - 1)][temporal];
        *cell = cell.saturating_add((payload + PACKET_OVERHEAD) as u32);
        if new_frame {
            self.running.frames[temporal] = self.running.frames[temporal].saturating_add(1);
        }
    }

    /// The rate of spatial layers up to `spatial` and temporal layers up to `temporal` together.
    pub fn bitrate(&self, spatial: u8, temporal: u8, now: Time) -> Bitrate {
        let sum = |w: &Window| {
            w.bytes
                .iter()
                .take(usize::from(spatial) + 1)
                .flat_map(|t| t.iter().take(usize::from(temporal) + 1))
                .fold(0u64, |sum, &b| sum + u64::from(b))
        };
        Bitrate((self.windowed(sum(&self.running), sum(&self.finished), now) * 8.0) as u64)
    }

    /// Frames a second of temporal layers up to `temporal`.
    pub fn frame_rate(&self, temporal: u8, now: Time) -> f32 {
        let sum = |w: &Window| w.frames.iter().take(usize::from(temporal) + 1).map(|&f| u64::from(f)).sum();
        self.windowed(sum(&self.running), sum(&self.finished), now) as f32
    }

    /// Whether this layer itself brought bytes in the window.
    pub fn has(&self, spatial: u8, temporal: u8) -> bool {
        let (s, t) = (usize::from(spatial).min(MAX_SPATIAL - 1), usize::from(temporal).min(MAX_TEMPORAL - 1));
        self.running.bytes[s][t] > 0 || self.finished.bytes[s][t] > 0
    }

    /// Forgets everything: the layers may be others from now on.
    pub fn reset(&mut self) {
        *self = RateMeter::default();
    }

    fn roll(&mut self, now: Time) {
        let Some(started) = self.started else {
            self.started = Some(now);
            self.first = now;
            return;
        };
        let passed = now.since(started);
        if passed < WINDOW {
            return;
        }
        // After a pause the finished window is kept empty, and layers count as gone until they bring bytes again.
        self.finished = if passed < WINDOW * 2 { self.running } else { Window::default() };
        self.running = Window::default();
        self.started = Some(if passed < WINDOW * 2 { started + WINDOW } else { now });
    }

    /// Units per second, from what the two windows hold.
    fn windowed(&self, running: u64, finished: u64, now: Time) -> f64 {
        let Some(started) = self.started else { return 0.0 };
        let passed = now.since(started).as_secs_f64();
        let window = WINDOW.as_secs_f64();
        if passed >= 2.0 * window {
            return 0.0;
        }
        let share = (1.0 - passed / window).max(0.0);
        // A young meter has no finished window; a fifth of the window at least, or the first packets would look huge.
        let age = now.since(self.first).as_secs_f64().max(window / 5.0);
        (running as f64 + finished as f64 * share) / passed.max(window).min(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(meter: &mut RateMeter, from_ms: u64, to_ms: u64, payload: usize) {
        for ms in (from_ms..to_ms).step_by(10) {
            meter.add(0, 0, payload, ms % 30 == 0, Time::from_millis(ms));
        }
    }

    #[test]
    fn a_steady_stream_is_measured_within_five_percent() {
        let mut meter = RateMeter::default();
        run(&mut meter, 1000, 6000, 1000 - PACKET_OVERHEAD);
        for ms in [6000, 6250, 6500] {
            run(&mut meter, ms, ms + 250, 1000 - PACKET_OVERHEAD);
            let bps = meter.bitrate(0, 0, Time::from_millis(ms + 250)).bps();
            assert!((760_000..840_000).contains(&bps), "{bps}");
        }
        let fps = meter.frame_rate(0, Time::from_millis(6750));
        assert!((31.0..36.0).contains(&fps), "{fps}");
    }

    #[test]
    fn layers_add_up_and_a_silent_stream_falls_to_zero() {
        let mut meter = RateMeter::default();
        let mut ms = 0;
        while ms < 3000 {
            meter.add(0, 0, 500, true, Time::from_millis(ms));
            meter.add(1, 1, 500, false, Time::from_millis(ms));
            ms += 20;
        }
        let now = Time::from_millis(3000);
        assert!(meter.has(1, 1) && !meter.has(1, 0));
        assert_eq!(meter.bitrate(0, 0, now).bps() * 2, meter.bitrate(1, 1, now).bps());
        assert_eq!(meter.bitrate(0, 0, Time::from_millis(6000)), Bitrate::ZERO);
    }

    #[test]
    fn a_young_meter_is_neither_zero_nor_huge() {
        let mut meter = RateMeter::default();
        meter.add(0, 0, 1000, true, Time::from_millis(5));
        let bps = meter.bitrate(0, 0, Time::from_millis(5)).bps();
        assert!((30_000..60_000).contains(&bps), "{bps}");
    }
}
