//! What one peer may send: a token bucket over authenticated packets.
//!
//! Packets that were not authenticated are not counted, or whoever forges them could silence the peer. A short packet counts as
//! [`LEAST`] bytes, because it takes a whole slot of the pool: the limit of bits is one of packets, too.

use plenum_packet::Time;

/// What a packet counts at least. Sound of 50 packets a second is far below any limit with it. Smaller: short packets could take
/// most of the pool.
pub(crate) const LEAST: u64 = 256;
/// How long a peer may send at once what it may send in that time: a key frame, or what a network held back.
const BURST_MS: u64 = 500;

/// A peer's allowance. In bits times a billion, so that no nanosecond is lost.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u128,
    counted: Time,
}

const UNIT: u128 = 1_000_000_000;

impl Allowance {
    /// A full one.
    pub(crate) fn new(limit: u64, now: Time) -> Allowance {
        Allowance { left: most(limit), counted: now }
    }

    /// Takes a packet of `bytes` in, if `limit` bits a second allow it.
    pub(crate) fn take(&mut self, now: Time, limit: u64, bytes: usize) -> bool {
        let passed = now.since(self.counted).as_nanos();
        self.counted = self.counted.max(now);
        self.left = self.left.saturating_add(passed.saturating_mul(u128::from(limit))).min(most(limit));
        let cost = u128::from(8 * (bytes as u64).max(LEAST)) * UNIT;
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

fn most(limit: u64) -> u128 {
    u128::from(limit) * u128::from(BURST_MS) * (UNIT / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 1_000_000;

    /// Bytes that pass in `seconds` of a packet of `bytes` each `every_us` microseconds.
    fn passed(bytes: usize, every_us: u64, seconds: u64) -> u64 {
        let mut allowance = Allowance::new(LIMIT, Time::ZERO);
        let packets = seconds * 1_000_000 / every_us;
        let took = |n: &u64| allowance.take(Time(n * every_us * 1000), LIMIT, bytes);
        (0..packets).filter(took).count() as u64 * bytes as u64
    }

    #[test]
    fn what_is_below_the_limit_passes_whole_and_what_is_above_is_cut_to_it() {
        assert_eq!(passed(1_000, 10_000, 10), 1_000_000, "0.8 Mbit/s");
        let cut = passed(1_000, 1_000, 10);
        // Ten seconds and the burst of half a second.
        assert!((1_300_000..=1_313_000).contains(&cut), "8 Mbit/s became {cut} bytes");
    }

    #[test]
    fn short_packets_are_counted_as_what_they_take() {
        let cut = passed(20, 100, 10);
        let packets = cut / 20;
        assert!((5_100..=5_130).contains(&packets), "{packets} packets of 256 bytes");
    }

    #[test]
    fn a_pause_gives_no_more_than_the_burst_and_time_that_goes_back_gives_nothing() {
        let mut allowance = Allowance::new(LIMIT, Time::ZERO);
        let mut burst = |at| (0..1_000).filter(|_| allowance.take(Time::from_millis(at), LIMIT, 1_000)).count();
        assert_eq!((burst(0), burst(3_600_000), burst(10)), (62, 62, 0));
    }
}
