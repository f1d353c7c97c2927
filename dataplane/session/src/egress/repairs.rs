//! How much of what is sent is sent again: the part of the estimate that new packets cannot have.
//!
//! Bytes of both kinds fade by half in every [`HALF_LIFE`], so that one outage that is made up for does not take pictures away
//! for long. Probes count as neither. Does not decide what is sent.

use plenum_packet::Time;
use std::time::Duration;

/// Older bytes count half after this. Longer: layers stay too high, or too low, for longer when loss changes. Shorter: chance
/// moves them.
const HALF_LIFE: Duration = Duration::from_secs(2);
/// Bytes are added up for this long before the older ones fade.
const STEP: Duration = Duration::from_millis(250);
/// Repairs are granted at most this share: above, less loss is to be had by sending less of it all.
const MOST: f64 = 0.5;

/// Bytes that were sent for the first time, and again.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    first: f64,
    again: f64,
    faded: Time,
}

impl Repairs {
    /// A packet of `size` bytes leaves, for the first time or again.
    pub(super) fn sent(&mut self, now: Time, size: usize, again: bool) {
        let passed = now.since(self.faded);
        if passed >= STEP {
            let stays = 0.5f64.powf(passed.as_secs_f64() / HALF_LIFE.as_secs_f64());
            (self.first, self.again) = (self.first * stays, self.again * stays);
            self.faded = now;
        }
        *(if again { &mut self.again } else { &mut self.first }) += size as f64;
    }

    /// The share of repairs in what is sent, 0 to 0.5.
    pub(super) fn share(&self) -> f64 {
        // The first packets say nothing yet.
        (self.again / (self.first + self.again).max(1.0)).min(MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_follows_what_is_sent_again_and_an_outage_is_forgotten() {
        let mut repairs = Repairs::default();
        assert_eq!(repairs.share(), 0.0);
        let second = |repairs: &mut Repairs, at: u64, every: u64| {
            for i in 0..1000 {
                let now = Time::from_millis(at * 1000 + i);
                repairs.sent(now, 1000, false);
                if i % every == 0 {
                    repairs.sent(now, 1000, true);
                }
            }
        };
        (0..10).for_each(|at| second(&mut repairs, at, 9));
        assert!((0.09..0.11).contains(&repairs.share()), "one in ten: {}", repairs.share());
        (10..14).for_each(|at| second(&mut repairs, at, 1));
        assert!(repairs.share() > 0.3, "{}", repairs.share());
        (14..26).for_each(|at| second(&mut repairs, at, 1001));
        assert!(repairs.share() < 0.02, "{}", repairs.share());
    }
}
