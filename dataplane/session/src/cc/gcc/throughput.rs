//! What reached the peer, by its own clock: bytes in buckets of arrival time.
//!
//! Four readings: a short one, which is exact while a queue keeps the path busy and so serves decreases; one of no more than the
//! time for which a long queue stood; one of twice the short one's length for paths whose jitter moves packets out of it; and a
//! long one, which evens out frames and so bounds increases. The bucket that still fills is left out.

use plenum_packet::Bitrate;

const BUCKET_US: i64 = 25_000;
/// Buckets kept; the longest window.
const BUCKETS: usize = 24;
/// Window of [`Throughput::short`], in buckets. Longer: late to see a drop. Shorter: frames look like bursts.
const SHORT: i64 = 8;
/// The end of [`Throughput::short`] in which a queue that stands kept the path busy, in buckets.
const BUSY: i64 = 5;
/// Least window of [`Throughput::busy`], in buckets. Longer: late to see that a path all but closed. Shorter: the size of a packet
/// decides.
const LEAST_BUSY: i64 = 4;
/// Window of [`Throughput::steady`], in buckets. Longer: late to see a drop. Shorter: jitter of 100 ms looks like one.
const STEADY: i64 = 16;
/// Window of [`Throughput::long`], in buckets.
const LONG: i64 = 20;
const _: () = assert!(BUSY < SHORT && SHORT < STEADY && STEADY < LONG && LONG < BUCKETS as i64);

/// Bytes by time of arrival.
#[derive(Debug, Default)]
pub struct Throughput {
    buckets: [u32; BUCKETS],
    newest: Option<i64>,
    oldest: i64,
}

impl Throughput {
    /// Takes an acknowledged packet; what arrived before all kept buckets is ignored.
    pub fn packet(&mut self, arrival_us: i64, size: u16) {
        self.add(arrival_us, u32::from(size));
    }

    fn add(&mut self, arrival_us: i64, size: u32) {
        let bucket = arrival_us.div_euclid(BUCKET_US);
        let newest = *self.newest.get_or_insert_with(|| {
            self.oldest = bucket;
            bucket
        });
        if bucket <= newest - BUCKETS as i64 {
            return;
        }
        for passed in (newest + 1..=bucket).rev().take(BUCKETS) {
            self.buckets[passed.rem_euclid(BUCKETS as i64) as usize] = 0;
        }
        self.newest = Some(newest.max(bucket));
        let bytes = &mut self.buckets[bucket.rem_euclid(BUCKETS as i64) as usize];
        *bytes = bytes.saturating_add(size);
    }

    /// Takes `bytes` that arrived some time after `from_us` and not after `until_us`: spread evenly.
    pub fn span(&mut self, from_us: i64, until_us: i64, bytes: u32) {
        let parts = ((until_us - from_us) / BUCKET_US).clamp(1, BUCKETS as i64);
        for part in 1..=parts {
            let at = from_us + (until_us - from_us) * part / parts;
            let size = bytes / parts as u32;
            self.add(at, size);
        }
    }

    /// The rate of the last 200 ms, or of their second half if that is higher: before a queue began the path may have been
    /// idle, which says nothing of its capacity. `None` before they have passed.
    pub fn short(&self) -> Option<Bitrate> {
        self.rate(SHORT).max(self.rate(BUSY))
    }

    /// What passed while a queue of `queue_ms` stood, of the last 200 ms at the most: it kept the path busy for as long, so that
    /// this is the capacity, whatever was delivered before. `None` when that is too short to say.
    pub fn busy(&self, queue_ms: f64) -> Option<Bitrate> {
        let window = (queue_ms * 1e3 / BUCKET_US as f64) as i64;
        if window < LEAST_BUSY { None } else { self.rate(window.min(SHORT)) }
    }

    /// What [`Throughput::short`] says, or the rate of the last 400 ms if that is higher: jitter moves packets out of a short
    /// window, and of several looks at it the lowest would decide.
    pub fn steady(&self) -> Option<Bitrate> {
        self.short().max(self.rate(STEADY))
    }

    /// The rate of the last 500 ms; `None` before they have passed.
    pub fn long(&self) -> Option<Bitrate> {
        self.rate(LONG)
    }

    /// Forgets all: the peer's clock jumped.
    pub fn reset(&mut self) {
        *self = Throughput::default();
    }

    fn rate(&self, window: i64) -> Option<Bitrate> {
        let newest = self.newest?;
        if newest - self.oldest < window {
            return None;
        }
        let bytes: u64 =
            (newest - window..newest).map(|b| u64::from(self.buckets[b.rem_euclid(BUCKETS as i64) as usize])).sum();
        Some(Bitrate(bytes * 8_000_000 / (window * BUCKET_US) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_is_measured_and_silence_counts_as_nothing() {
        let mut throughput = Throughput::default();
        for i in 0..1000 {
            throughput.packet(i * 1000, 125);
        }
        assert_eq!(throughput.short(), Some(Bitrate::kbps(1000)));
        assert_eq!(throughput.long(), Some(Bitrate::kbps(1000)));
        throughput.packet(3_000_000, 125);
        assert_eq!(throughput.short(), Some(Bitrate::ZERO));
        throughput.packet(10, 125);
        assert_eq!(throughput.long(), Some(Bitrate::ZERO), "what is too old is ignored");
    }

    #[test]
    fn a_gap_that_jitter_leaves_is_not_taken_for_a_drop() {
        let mut throughput = Throughput::default();
        for i in (0..900).chain(1000..1051) {
            throughput.packet(i * 1000, 125);
        }
        assert!(throughput.short() < Some(Bitrate::kbps(600)), "{:?}", throughput.short());
        assert_eq!(throughput.steady(), Some(Bitrate::kbps(750)));
    }

    #[test]
    fn a_queue_that_stands_tells_the_capacity_whatever_passed_before() {
        let mut throughput = Throughput::default();
        (0..1000).for_each(|i| throughput.packet(i * 1000, 250));
        (1000..1126).step_by(5).for_each(|i| throughput.packet(i * 1000, 125));
        assert!(throughput.short() > Some(Bitrate::kbps(800)), "{:?}", throughput.short());
        assert_eq!(throughput.busy(110.0), Some(Bitrate::kbps(200)));
        assert!(throughput.busy(1e9) > Some(Bitrate::kbps(800)), "never further back than the short window");
        assert_eq!(throughput.busy(99.0), None, "too short to say");
    }

    #[test]
    fn nothing_is_claimed_before_the_window_is_full() {
        let mut throughput = Throughput::default();
        throughput.packet(-50_000, 1200);
        assert_eq!(throughput.short(), None);
        throughput.packet(i64::MAX / 2, 1200);
        assert_eq!(throughput.short(), Some(Bitrate::ZERO));
    }
}
