//! The round trip, from report blocks about what we send (RFC 3550 section 6.4.1).

use core::time::Duration;

/// Longer is a forged, stale or wrapped report.
const LONGEST: Duration = Duration::from_secs(30);

/// The smoothed round trip of one path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rtt {
    smoothed: Option<Duration>,
}

impl Rtt {
    /// A report block came at NTP time `now` (its middle 32 bits): it names our report (`last_sender_report`) and how
    /// long the peer held it, in 1/65536 s. The new sample, or `None` when the block tells nothing.
    pub fn reported(&mut self, now: u32, last_sender_report: u32, delay_since_last: u32) -> Option<Duration> {
        if last_sender_report == 0 {
            return None;
        }
        // The peer's rounding may make it a little negative.
        let units = now.wrapping_sub(last_sender_report).wrapping_sub(delay_since_last);
        let units = if units > u32::MAX - 66 { 0 } else { units };
        let sample = Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16);
        if sample > LONGEST {
            return None;
        }
        self.smoothed = Some(self.smoothed.map_or(sample, |old| (old * 7 + sample) / 8));
        Some(sample)
    }

    /// The smoothed round trip; `None` before the first sample.
    pub fn get(&self) -> Option<Duration> {
        self.smoothed
    }

    /// The path changed: what was measured says nothing of the new one.
    pub fn reset(&mut self) {
        self.smoothed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_the_peer_held_the_report_does_not_count() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.reported(5 << 16, 0, 0), None);
        // Sent at 2 s, held for 1 s, back at 3.125 s.
        assert_eq!(rtt.reported((3 << 16) + 8192, 2 << 16, 1 << 16), Some(Duration::from_millis(125)));
        assert_eq!(rtt.get(), Some(Duration::from_millis(125)));
        rtt.reset();
        assert_eq!(rtt.get(), None);
    }

    #[test]
    fn wraps_and_lies_are_told_apart() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.reported(0x0000_8000, 0xffff_8000, 0), Some(Duration::from_secs(1)), "the clock wrapped");
        assert_eq!(rtt.reported(1 << 16, 1 << 16, 10), Some(Duration::ZERO), "rounding");
        assert_eq!(rtt.reported(1 << 16, 1 << 16, 2 << 16), None, "held longer than it was away");
        assert_eq!(rtt.reported(1 << 16, 0xdead_beef, 0), None);
    }
}
