//! The peer's clock in feedback: unwraps the reference time and notices jumps.
//!
//! Only differences of arrival times mean anything; the origin is the peer's. When the time between two packets
//! differs between both ends by more than [`JUMP`], the clock jumped or the path stood still that long: in both cases
//! everything that was measured must begin again.

use plenum_packet::Time;

/// Largest difference that is still believed to be a delay. Larger: a small jump of the clock looks like a huge queue.
/// Smaller: a long queue looks like a jump.
const JUMP_US: i64 = 3_000_000;
/// The reference time has 24 bits of 64 ms: 2^32 ticks of 250 µs.
const TICK_US: i64 = 250;

/// Follows the clock of one peer.
#[derive(Debug, Default)]
pub struct ArrivalClock {
    last_ticks: Option<i64>,
    /// The unwrapped time of `last_ticks`, in ticks.
    unwrapped: i64,
    last: Option<(Time, i64)>,
}

impl ArrivalClock {
    /// The unwrapped arrival time in microseconds of `ticks` (250 µs, wrapping at 2^32 as the reference time does).
    pub fn unwrap(&mut self, ticks: i64) -> i64 {
        let step = self.last_ticks.map_or(0, |last| i64::from(ticks.wrapping_sub(last) as i32));
        self.last_ticks = Some(ticks);
        self.unwrapped += step;
        self.unwrapped * TICK_US
    }

    /// Notes a packet that left at `sent` and arrived at `arrival_us`. Whether the clock jumped since the one before.
    pub fn jumped(&mut self, sent: Time, arrival_us: i64) -> bool {
        let Some((last_sent, last_arrival)) = self.last.replace((sent, arrival_us)) else { return false };
        let passed_here = sent.nanos() as i128 / 1000 - last_sent.nanos() as i128 / 1000;
        let passed_there = i128::from(arrival_us) - i128::from(last_arrival);
        (passed_there - passed_here).abs() > i128::from(JUMP_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_time_wraps_unnoticed() {
        let mut clock = ArrivalClock::default();
        let wrap = 1i64 << 32;
        assert_eq!(clock.unwrap(wrap - 4), 0);
        assert_eq!(clock.unwrap(wrap - 2), 500);
        assert_eq!(clock.unwrap(0), 1000);
        assert_eq!(clock.unwrap(wrap - 4), 0, "and back, when packets are reported out of order");
    }

    #[test]
    fn jumps_are_told_from_queues() {
        let mut clock = ArrivalClock::default();
        assert!(!clock.jumped(Time::from_millis(0), 77_000_000));
        assert!(!clock.jumped(Time::from_millis(20), 79_000_000), "two seconds of queue");
        assert!(clock.jumped(Time::from_millis(40), 3_679_000_000), "an hour forward");
        assert!(clock.jumped(Time::from_millis(60), 79_000_000), "and back");
        assert!(!clock.jumped(Time::from_millis(10_060), 89_000_000), "a pause on both ends");
    }
}
