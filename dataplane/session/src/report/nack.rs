//! Which packets of a stream are missing, and when to ask for them (RFC 4585 section 6.2.1).
//!
//! One list for each SSRC that negotiated NACK. A packet is asked for after a short wait that learns how far this path
//! reorders, then once per round trip, until it comes or is no longer worth it. Bounded: a gap larger than [`MAX_GAP`]
//! is not asked for at all; a key frame serves better. Says that, and does not ask for it itself.

use core::time::Duration;
use plenum_packet::Time;

/// Missing packets of one stream. Larger: a burst of requests that the path cannot serve. Smaller: a lost frame of a
/// large picture (100 packets and more) cannot be repaired.
pub const MAX_GAP: usize = 256;
/// How often a packet is asked for.
pub const MAX_TRIES: u8 = 8;
/// How long a packet is worth asking for: receivers do not wait longer for a frame.
pub const MAX_AGE: Duration = Duration::from_millis(1000);
/// Bounds of the wait before the first request.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Bounds of the time between two requests for one packet.
const RETRY: core::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_millis(400);

#[derive(Clone, Copy, Debug)]
struct Missing {
    number: u64,
    since: Time,
    /// When it was asked for last; meaningful when `tries` is not 0.
    asked: Time,
    tries: u8,
}

/// The missing packets of one stream.
#[derive(Debug)]
pub struct NackList {
    newest: Option<u64>,
    /// Ascending by number.
    missing: Vec<Missing>,
    wait: Duration,
    /// No request is due before this.
    next: Time,
}

impl Default for NackList {
    fn default() -> Self {
        NackList { newest: None, missing: Vec::new(), wait: SHORTEST_WAIT, next: Time::NEVER }
    }
}

impl NackList {
    /// Packet `number` (unwrapped) arrived; `retransmitted` when it came as RTX. Whether the gap before it is too
    /// large to ask for: then all is forgotten, and a key frame is needed.
    pub fn received(&mut self, now: Time, number: u64, retransmitted: bool, rtt: Duration) -> bool {
        let Some(newest) = self.newest else {
            self.newest = Some(number);
            return false;
        };
        if number <= newest {
            self.arrived_late(now, number, retransmitted, rtt);
            return false;
        }
        self.newest = Some(number);
        self.wait -= self.wait.saturating_sub(SHORTEST_WAIT) / 512;
        let gap = number - newest - 1;
        if gap == 0 {
            return false;
        }
        if gap + self.missing.len() as u64 > MAX_GAP as u64 {
            self.missing.clear();
            self.next = Time::NEVER;
            return true;
        }
        for number in newest + 1..number {
            self.missing.push(Missing { number, since: now, asked: Time::ZERO, tries: 0 });
        }
        self.next = self.next.min(now + self.wait);
        false
    }

    /// Whether a packet that was given up is among those since the last call is told by the second value; the first is
    /// how many sequence numbers to ask for now were written to `out`, ascending.
    pub fn due(&mut self, now: Time, rtt: Duration, out: &mut [u16]) -> (usize, bool) {
        if now < self.next {
            return (0, false);
        }
        let before = self.missing.len();
        self.missing.retain(|m| now.since(m.since) < MAX_AGE && (m.tries < MAX_TRIES || now < m.asked + retry(rtt)));
        let gave_up = self.missing.len() < before;
        let (mut count, mut next) = (0, Time::NEVER);
        for missing in &mut self.missing {
            let at = missing.due(self.wait, rtt);
            if now >= at && count < out.len() && missing.tries < MAX_TRIES {
                out[count] = missing.number as u16;
                count += 1;
                missing.tries += 1;
                missing.asked = now;
            }
            next = next.min(missing.due(self.wait, rtt));
        }
        self.next = next;
        (count, gave_up)
    }

    /// When [`NackList::due`] has something to say; [`Time::NEVER`] when nothing is missing.
    pub fn poll_timeout(&self) -> Time {
        self.next
    }

    /// How many packets are missing.
    pub fn len(&self) -> usize {
        self.missing.len()
    }

    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// A key frame began at `number`: what was before it is no longer needed.
    pub fn forget_before(&mut self, number: u64) {
        self.missing.retain(|m| m.number >= number);
        if self.missing.is_empty() {
            self.next = Time::NEVER;
        }
    }

    fn arrived_late(&mut self, now: Time, number: u64, retransmitted: bool, rtt: Duration) {
        let Ok(at) = self.missing.binary_search_by_key(&number, |m| m.number) else { return };
        let missing = self.missing.remove(at);
        // Came by itself: not asked for, or sooner than an answer can be here.
        let original = missing.tries == 0 || now.since(missing.asked) < rtt / 2;
        if original && !retransmitted {
            self.wait = self.wait.max(now.since(missing.since) * 5 / 4).min(LONGEST_WAIT);
        }
        if self.missing.is_empty() {
            self.next = Time::NEVER;
        }
    }
}

impl Missing {
    fn due(&self, wait: Duration, rtt: Duration) -> Time {
        let at = if self.tries == 0 { self.since + wait } else { self.asked + retry(rtt) };
        at.min(self.since + MAX_AGE)
    }
}

fn retry(rtt: Duration) -> Duration {
    // A quarter more than a round trip, so that an answer under way is not asked for again.
    (rtt * 5 / 4).clamp(*RETRY.start(), *RETRY.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(80);

    fn asked(list: &mut NackList, ms: u64) -> Vec<u16> {
        let mut out = [0; 64];
        let (count, _) = list.due(Time::from_millis(ms), RTT, &mut out);
        out[..count].to_vec()
    }

    fn receive(list: &mut NackList, ms: u64, number: u64) {
        assert!(!list.received(Time::from_millis(ms), number, false, RTT));
    }

    #[test]
    fn a_lost_packet_is_asked_for_once_per_round_trip_until_it_comes() {
        let mut list = NackList::default();
        receive(&mut list, 0, 65_535);
        receive(&mut list, 10, 65_538);
        assert!(asked(&mut list, 11).is_empty(), "it may only be late");
        assert_eq!(list.poll_timeout(), Time::from_millis(15));
        assert_eq!(asked(&mut list, 15), [0, 1]);
        assert!(asked(&mut list, 100).is_empty());
        assert!(!list.received(Time::from_millis(105), 65_536, true, RTT));
        assert_eq!(asked(&mut list, 115), [1]);
        assert!(!list.received(Time::from_millis(200), 65_537, true, RTT));
        assert!(list.is_empty() && list.poll_timeout() == Time::NEVER);
    }

    #[test]
    fn what_does_not_come_is_given_up() {
        let mut list = NackList::default();
        receive(&mut list, 0, 1);
        receive(&mut list, 1, 3);
        let (mut times, mut gave_up, mut out) = (0, false, [0; 4]);
        while list.poll_timeout() != Time::NEVER {
            let (count, gone) = list.due(list.poll_timeout(), RTT, &mut out);
            times += count;
            gave_up |= gone;
        }
        assert!(gave_up && times > 3 && times <= usize::from(MAX_TRIES), "{times}");
    }

    #[test]
    fn a_path_that_reorders_is_learned() {
        let mut list = NackList::default();
        let mut needless = 0;
        for i in 0..200u64 {
            // Every fourth packet is 40 ms late: two packets pass it.
            let ms = i * 20;
            if !i.is_multiple_of(4) {
                receive(&mut list, ms, i + 1);
            }
            if i >= 2 && (i - 2).is_multiple_of(4) {
                receive(&mut list, ms, i - 1);
            }
            if i > 20 {
                needless += asked(&mut list, ms).len();
            } else {
                asked(&mut list, ms);
            }
        }
        assert_eq!(needless, 0);
    }

    #[test]
    fn a_large_gap_asks_for_a_key_frame_instead() {
        let mut list = NackList::default();
        receive(&mut list, 0, 10);
        receive(&mut list, 1, 12);
        assert!(list.received(Time::from_millis(2), 12 + MAX_GAP as u64 + 1, false, RTT));
        assert!(list.is_empty() && list.poll_timeout() == Time::NEVER);
        receive(&mut list, 3, 12 + MAX_GAP as u64 + 3);
        list.forget_before(u64::MAX);
        assert!(list.is_empty());
    }

    proptest! {
        #[test]
        fn any_arrivals_keep_the_list_bounded_and_its_timer_moving(
            steps in proptest::collection::vec((0u64..700, any::<bool>(), 0u64..50), 1..500)
        ) {
            let mut list = NackList::default();
            let (mut now, mut out) = (Time::from_millis(5), [0; 16]);
            for (number, rtx, wait) in steps {
                now += Duration::from_millis(wait);
                list.received(now, number, rtx, RTT);
                while list.poll_timeout() <= now {
                    let (count, gave_up) = list.due(now, RTT, &mut out);
                    prop_assert!(count > 0 || gave_up || list.poll_timeout() > now);
                }
                prop_assert!(list.len() <= MAX_GAP);
                prop_assert_eq!(list.is_empty(), list.poll_timeout() == Time::NEVER);
            }
        }
    }
}
