//! RTP timestamps of one continuous egress stream.
//!
//! Within an ingress stream timestamps keep their distance. Where another one begins, the step is the time that really
//! passed: between captures by the sender's own clock when both frames come from one sender with sender reports, else
//! between arrivals. It is always above zero, so a receiver never takes the first new frame for an old one.

use core::time::Duration;
use plenum_packet::Time;

/// Smallest step where another stream begins. Zero would join two frames into one.
const LEAST_STEP: Duration = Duration::from_millis(1);

/// Largest difference between captures and arrivals that is believed: more, and the sender's reports are wrong.
const MOST_SKEW: Duration = Duration::from_secs(1);

/// One frame's moments.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When its first packet arrived.
    pub received: Time,
    /// When it was captured, by the clock of `sender`.
    pub captured: Option<Time>,
    /// Whose clock that is: the track.
    pub sender: u32,
}

/// The map of timestamps.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Egress = ingress + `offset`, wrapping.
    offset: u32,
    /// The newest egress timestamp and its moment.
    newest: Option<(u32, Moment)>,
    first: u32,
}

impl Clock {
    /// A stream whose first timestamp is `first`.
    pub fn new(first: u32) -> Clock {
        Clock { offset: 0, newest: None, first }
    }

    /// Another ingress stream begins with a frame of `timestamp`, in a clock of `rate` Hz.
    pub fn begin(&mut self, timestamp: u32, at: Moment, rate: u32) {
        let out = match &self.newest {
            None => self.first,
            Some((last, before)) => last.wrapping_add(ticks(elapsed(before, &at).max(LEAST_STEP), rate)),
        };
        self.offset = out.wrapping_sub(timestamp);
        self.newest = Some((out, at));
    }

    /// The egress timestamp of a packet of the running stream.
    pub fn pass(&mut self, timestamp: u32, at: Moment) -> u32 {
        let out = timestamp.wrapping_add(self.offset);
        if self.newest.is_none_or(|(last, _)| (out.wrapping_sub(last) as i32) > 0) {
            self.newest = Some((out, at));
        }
        out
    }

    /// The newest egress timestamp and when its frame arrived: what a sender report is made from.
    pub fn newest(&self) -> Option<(u32, Time)> {
        self.newest.map(|(timestamp, at)| (timestamp, at.received))
    }
}

/// Time between two frames; zero when the second is older.
fn elapsed(before: &Moment, at: &Moment) -> Duration {
    let by_arrival = at.received.since(before.received);
    match (before.captured, at.captured) {
        (Some(then), Some(now)) if before.sender == at.sender => {
            let by_capture = now.since(then);
            if by_capture.abs_diff(by_arrival) <= MOST_SKEW { by_capture } else { by_arrival }
        }
        _ => by_arrival,
    }
}

/// `d` in ticks of `rate` Hz; durations beyond the timestamp's range wrap, as the sender's own clock would.
fn ticks(d: Duration, rate: u32) -> u32 {
    (d.as_nanos() * u128::from(rate) / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64, captured: Option<u64>) -> Moment {
        Moment { received: Time::from_millis(ms), captured: captured.map(Time::from_millis), sender: 1 }
    }

    #[test]
    fn a_change_of_stream_steps_by_the_time_that_passed() {
        let mut clock = Clock::new(u32::MAX - 10);
        clock.begin(5000, at(1000, None), 90_000);
        assert_eq!(clock.pass(5000, at(1000, None)), u32::MAX - 10);
        let last = clock.pass(5000 + 3000, at(1033, None));
        clock.begin(77, at(2033, None), 90_000);
        assert_eq!(clock.pass(77, at(2033, None)).wrapping_sub(last), 90_000);
        assert_eq!(clock.newest().unwrap().1, Time::from_millis(2033));
    }

    #[test]
    fn captures_of_one_sender_count_more_than_arrivals() {
        let mut clock = Clock::new(0);
        clock.begin(0, at(1000, Some(500_000)), 90_000);
        clock.begin(0, at(1200, Some(500_100)), 90_000);
        assert_eq!(clock.pass(0, at(1200, None)), 9_000);
        let other = Moment { sender: 2, ..at(1300, Some(500_000)) };
        clock.begin(0, other, 90_000);
        assert_eq!(clock.pass(0, other), 18_000);
    }

    #[test]
    fn the_step_is_never_zero_and_nonsense_reports_are_not_believed() {
        let mut clock = Clock::new(0);
        clock.begin(9, at(1000, Some(500_000)), 90_000);
        clock.begin(9, at(1005, Some(499_990)), 90_000);
        assert_eq!(clock.pass(9, at(1005, None)), 90);
        clock.begin(9, at(1105, Some(900_000)), 90_000);
        assert_eq!(clock.pass(9, at(1105, None)), 90 + 9000);
    }

    #[test]
    fn an_older_packet_does_not_move_the_newest_moment() {
        let mut clock = Clock::new(0);
        clock.begin(10_000, at(0, None), 90_000);
        clock.pass(16_000, at(66, None));
        clock.pass(13_000, at(70, None));
        assert_eq!(clock.newest(), Some((6_000, Time::from_millis(66))));
    }
}
