//! Counts of durations in fixed buckets: what a shard keeps of residence and pacer wait.
//!
//! Bounds double from 1 µs to about 1 s; recording is a leading-zero count and an addition.

use core::time::Duration;

/// Buckets: up to 1 µs, 2 µs, 4 µs … 2^20 µs, and one for all above.
const BUCKETS: usize = 22;

/// A histogram of durations.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: [u64; BUCKETS],
}

impl Histogram {
    /// Counts `d` once.
    pub fn record(&mut self, d: Duration) {
        let micros = d.as_nanos().div_ceil(1_000).max(1) as u64;
        let bucket = (64 - (micros - 1).leading_zeros()) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
    }

    /// Upper bound in nanoseconds and count of each bucket; the last bound is `u64::MAX`.
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let bound = |i: usize| if i == BUCKETS - 1 { u64::MAX } else { 1_000 << i };
        self.counts.iter().enumerate().map(|(i, &n)| (bound(i), n)).collect()
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_under_the_first_bound_that_is_not_below_it() {
        let mut h = Histogram::default();
        for nanos in [0, 1_000, 1_001, 2_000, 2_001, 5_000_000_000] {
            h.record(Duration::from_nanos(nanos));
        }
        let buckets = h.buckets();
        assert_eq!(buckets[0], (1_000, 2));
        assert_eq!(buckets[1], (2_000, 2));
        assert_eq!(buckets[2], (4_000, 1));
        assert_eq!(buckets[BUCKETS - 1], (u64::MAX, 1));
        assert_eq!(h.count(), 6);
    }
}
