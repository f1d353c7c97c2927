//! How late packets come: against the fastest one of the last seconds, as a distribution that forgets.
//!
//! The sender's media clock gives when a packet was due; the fastest way through the network is the zero. A quantile of the rest is how long a
//! buffer must wait to have that share of the packets in time. The zero creeps with the window, so that clocks that drift do no harm.

use super::MS;

/// Width of a class. Finer: more memory; coarser: more delay than needed.
const CLASS: u64 = 10 * MS;
/// Classes: what is later than 1 s counts as 1 s.
const CLASSES: usize = 100;
/// The fastest packet is looked for in two windows of this length.
const WINDOW: u64 = 5_000 * MS;
/// What remains of a packet's weight when the next one comes: about ten seconds of sound.
const KEEP: f32 = 0.998;
/// A media clock that jumps by more than this against the arrivals is another clock.
const JUMP: u64 = 10_000 * MS;

/// `timestamp` of a media clock of `clock` Hz in nanoseconds.
pub fn media_time(timestamp: u64, clock: u32) -> u64 {
    (u128::from(timestamp) * 1_000_000_000 / u128::from(clock.max(1))) as u64
}

/// Arrivals of one stream.
#[derive(Clone, Debug)]
pub struct Lateness {
    classes: [f32; CLASSES],
    packets: u32,
    /// Arrival less media time of the fastest, in this window and in the one before.
    fastest: Option<(i64, i64)>,
    window: u64,
}

impl Default for Lateness {
    fn default() -> Self {
        Lateness { classes: [0.0; CLASSES], packets: 0, fastest: None, window: 0 }
    }
}

impl Lateness {
    /// A packet of media time `media` arrived; both in nanoseconds.
    pub fn arrived(&mut self, media: u64, arrival: u64) {
        let transit = arrival as i64 - media as i64;
        if self.zero().is_some_and(|zero| zero.abs_diff(transit) > JUMP) {
            *self = Lateness::default();
        }
        let (now, before) = self.fastest.unwrap_or((transit, transit));
        self.fastest = Some(if self.packets > 0 && arrival.saturating_sub(self.window) >= WINDOW {
            self.window = arrival;
            (transit, now)
        } else {
            if self.packets == 0 {
                self.window = arrival;
            }
            (now.min(transit), before)
        });
        let late = transit - self.zero().unwrap_or(transit);
        let class = (late.max(0) as u64 / CLASS).min(CLASSES as u64 - 1) as usize;
        // The first packets weigh alike.
        let keep = KEEP.min(self.packets as f32 / (self.packets as f32 + 1.0));
        for weight in &mut self.classes {
            *weight *= keep;
        }
        self.classes[class] += 1.0 - keep;
        self.packets = self.packets.saturating_add(1);
    }

    /// Arrival less media time of the fastest packet; `None` before the first.
    pub fn zero(&self) -> Option<i64> {
        self.fastest.map(|(now, before)| now.min(before))
    }

    /// How long after the fastest this share (0 to 1) of the packets have come, in nanoseconds; a whole number of classes.
    pub fn quantile(&self, share: f32) -> u64 {
        let mut sum = 0.0;
        for (class, weight) in self.classes.iter().enumerate() {
            sum += weight;
            if sum >= share {
                return (class as u64 + 1) * CLASS;
            }
        }
        if self.packets == 0 { CLASS } else { CLASSES as u64 * CLASS }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Lateness::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_needs_hardly_any_wait_and_a_jittery_one_its_jitter() {
        let mut steady = Lateness::default();
        let mut jittery = Lateness::default();
        for i in 0..500u64 {
            steady.arrived(i * 20 * MS, 7_000 * MS + i * 20 * MS);
            jittery.arrived(i * 20 * MS, 7_000 * MS + i * 20 * MS + (i * 37 % 31) * 10 * MS);
        }
        assert_eq!(steady.quantile(0.97), 10 * MS);
        assert!((280..=310).contains(&(jittery.quantile(0.97) / MS)), "{}", jittery.quantile(0.97) / MS);
        assert_eq!(steady.zero(), Some(7_000 * MS as i64));
    }

    #[test]
    fn the_zero_follows_a_route_that_becomes_longer_and_a_clock_that_drifts() {
        let mut late = Lateness::default();
        for i in 0..2000u64 {
            let longer = if i > 500 { 80 } else { 0 };
            late.arrived(i * 20 * MS, i * 20 * MS + longer * MS + i * MS / 100);
        }
        assert!((80..110).contains(&(late.zero().unwrap() / MS as i64)), "{:?}", late.zero());
        assert!(late.quantile(0.9) <= 20 * MS);
    }

    #[test]
    fn another_clock_starts_anew() {
        let mut late = Lateness::default();
        late.arrived(media_time(90_000, 90_000), 5_000 * MS);
        late.arrived(media_time(90_000 * 3600, 90_000), 5_020 * MS);
        assert_eq!(late.zero(), Some(5_020 * MS as i64 - 3_600_000 * MS as i64));
        late.reset();
        assert_eq!((late.zero(), late.quantile(0.5)), (None, 10 * MS));
    }
}
