//! The received packets of one encoding, kept for retransmission and for late starters.
//!
//! A ring indexed by sequence number: finding, replacing and noticing a duplicate cost one look. Bounded by count and by
//! age; what leaves goes back to the pool, and every plan that refers to it stops resolving. The ring grows by doubling
//! until it holds what arrives within the age limit, so quiet encodings stay small.

use crate::info::PacketInfo;
use core::time::Duration;
use plenum_packet::{Buf, Pool, Time};

/// Bounds of a cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Most packets, rounded up to a power of two. At the limit the oldest leaves.
    pub packets: usize,
    /// Packets older than this leave. Longer: more memory. Shorter than the pacer's longest queue: plans find nothing.
    pub age: Duration,
}

impl CacheLimits {
    /// Video: a second of 4 Mbit/s in 1000-byte packets. A NACK that is older would come too late to be shown.
    pub const VIDEO: CacheLimits = CacheLimits { packets: 512, age: Duration::from_millis(1000) };
    /// Audio: 20 ms packets; sound is not retransmitted after half a second.
    pub const AUDIO: CacheLimits = CacheLimits { packets: 64, age: Duration::from_millis(500) };
}

/// Slots of a new ring.
const FIRST_CAPACITY: usize = 16;

#[derive(Debug)]
struct Entry {
    buf: Buf,
    info: PacketInfo,
}

/// The ring of one encoding.
#[derive(Debug)]
pub struct Cache {
    limits: CacheLimits,
    ring: Vec<Option<Entry>>,
    /// Numbers below were here and left: they are not taken again.
    floor: u64,
    /// Lowest sequence number that may be here.
    oldest: u64,
    /// One above the highest sequence number here; equal to `oldest` when empty.
    next: u64,
    held: usize,
}

impl Cache {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Cache {
        let packets = limits.packets.max(FIRST_CAPACITY).next_power_of_two();
        Cache { limits: CacheLimits { packets, ..limits }, ring: Vec::new(), floor: 0, oldest: 0, next: 0, held: 0 }
    }

    /// Whether the packet with this number is here.
    pub fn contains(&self, sequence: u64) -> bool {
        self.get(sequence).is_some()
    }

    /// Whether a packet with this number would be older than everything that is kept.
    pub fn is_too_old(&self, sequence: u64) -> bool {
        sequence < self.floor || sequence.saturating_add(self.limits.packets as u64) <= self.next
    }

    /// What is known of the packet with this number.
    pub fn get(&self, sequence: u64) -> Option<&PacketInfo> {
        if sequence < self.oldest || sequence >= self.next {
            return None;
        }
        let entry = self.ring[self.index(sequence)].as_ref()?;
        (entry.info.sequence == sequence).then_some(&entry.info)
    }

    /// Takes a packet in; what must leave for it goes back to `pool`. The caller has checked [`Cache::contains`] and
    /// [`Cache::is_too_old`]; a packet that fails them goes back to the pool at once.
    pub fn insert(&mut self, buf: Buf, info: PacketInfo, pool: &mut Pool) {
        let sequence = info.sequence;
        if self.is_too_old(sequence) || self.contains(sequence) {
            pool.free(buf);
            return;
        }
        self.expire(info.received, pool);
        if self.held == 0 {
            (self.oldest, self.next) = (sequence, sequence);
        }
        self.make_room(sequence, pool);
        let index = self.index(sequence);
        debug_assert!(self.ring[index].is_none());
        self.ring[index] = Some(Entry { buf, info });
        self.held += 1;
        self.oldest = self.oldest.min(sequence);
        self.next = self.next.max(sequence + 1);
    }

    /// Lets everything older than the age limit go.
    pub fn expire(&mut self, now: Time, pool: &mut Pool) {
        let limit = now.before(self.limits.age);
        while self.held > 0 {
            let index = self.index(self.oldest);
            if let Some(entry) = &self.ring[index] {
                if entry.info.received >= limit {
                    return;
                }
                self.evict(index, pool);
            }
            self.oldest += 1;
            self.floor = self.oldest;
        }
    }

    /// Gives every packet back and forgets all numbers.
    pub fn clear(&mut self, pool: &mut Pool) {
        for entry in self.ring.iter_mut().filter_map(Option::take) {
            pool.free(entry.buf);
        }
        (self.floor, self.oldest, self.next, self.held) = (0, 0, 0, 0);
    }

    /// How many packets are held.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether no packet is held.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    fn index(&self, sequence: u64) -> usize {
        sequence as usize & (self.ring.len() - 1)
    }

    fn evict(&mut self, index: usize, pool: &mut Pool) {
        if let Some(entry) = self.ring[index].take() {
            pool.free(entry.buf);
            self.held -= 1;
        }
    }

    /// Makes the span from the oldest number to `sequence` fit the ring: by growing it, and at the limit by evicting.
    fn make_room(&mut self, sequence: u64, pool: &mut Pool) {
        let low = self.oldest.min(sequence);
        let span = (self.next.max(sequence + 1) - low) as usize;
        if span > self.ring.len() && self.ring.len() < self.limits.packets {
            self.grow(span.next_power_of_two().clamp(FIRST_CAPACITY, self.limits.packets));
        }
        let lowest = (sequence + 1).saturating_sub(self.ring.len() as u64);
        if lowest >= self.next {
            // A jump beyond everything that is here.
            self.clear(pool);
            (self.oldest, self.next) = (sequence, sequence);
        }
        while self.oldest < lowest {
            let index = self.index(self.oldest);
            self.evict(index, pool);
            self.oldest += 1;
            self.floor = self.oldest;
        }
    }

    /// Bytes that the ring takes; packets lie in the pool.
    pub(crate) fn footprint(&self) -> usize {
        self.ring.capacity() * size_of::<Option<Entry>>()
    }

    fn grow(&mut self, capacity: usize) {
        let old = core::mem::take(&mut self.ring);
        self.ring.resize_with(capacity.min(self.limits.packets), || None);
        for entry in old.into_iter().flatten() {
            let index = self.index(entry.info.sequence);
            self.ring[index] = Some(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::info;

    fn put(cache: &mut Cache, pool: &mut Pool, sequence: u64, ms: u64) {
        let buf = pool.copy_in(0, &[1; 100]).unwrap();
        let mut info = info(pool.reference(&buf));
        (info.sequence, info.received) = (sequence, Time::from_millis(ms));
        cache.insert(buf, info, pool);
    }

    #[test]
    fn packets_are_found_until_they_are_too_old() {
        let mut pool = Pool::new(64);
        let mut cache = Cache::new(CacheLimits { packets: 32, age: Duration::from_millis(100) });
        for n in 0..10 {
            put(&mut cache, &mut pool, 1000 + n, n * 20);
        }
        assert!(cache.get(1009).is_some() && cache.get(1004).is_some());
        assert!(cache.get(1003).is_none() && cache.is_too_old(1003));
        assert_eq!(pool.in_use(), cache.len());
        cache.expire(Time::from_millis(1000), &mut pool);
        assert_eq!((cache.len(), pool.in_use()), (0, 0));
        put(&mut cache, &mut pool, 1010, 1000);
        assert!(cache.contains(1010));
        cache.clear(&mut pool);
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn the_count_is_bounded_and_late_packets_find_their_place() {
        let mut pool = Pool::new(128);
        let mut cache = Cache::new(CacheLimits { packets: 32, age: Duration::from_secs(10) });
        put(&mut cache, &mut pool, 500, 0);
        put(&mut cache, &mut pool, 498, 1);
        assert!(cache.contains(498) && !cache.contains(499));
        for n in 501..560 {
            put(&mut cache, &mut pool, n, 2);
        }
        assert_eq!((cache.len(), pool.in_use()), (32, 32));
        put(&mut cache, &mut pool, 498, 3);
        put(&mut cache, &mut pool, 559, 3);
        assert_eq!((cache.len(), pool.in_use()), (32, 32));
        put(&mut cache, &mut pool, 100_000, 4);
        assert_eq!((cache.len(), pool.in_use()), (1, 1));
        cache.clear(&mut pool);
        assert_eq!(pool.in_use(), 0);
    }

    proptest::proptest! {
        #[test]
        fn every_slot_is_held_or_free_whatever_arrives(steps in proptest::collection::vec((0u64..60, 0u64..40, 0u64..8), 1..200)) {
            let mut pool = Pool::new(512);
            let mut cache = Cache::new(CacheLimits { packets: 32, age: Duration::from_millis(100) });
            let (mut newest, mut ms) = (1000, 0);
            for (back, ahead, pass) in steps {
                ms += pass;
                let sequence = if ahead < 4 { newest + ahead } else { (newest - back.min(newest)).max(1) };
                newest = newest.max(sequence);
                if !cache.contains(sequence) && !cache.is_too_old(sequence) {
                    put(&mut cache, &mut pool, sequence, ms);
                }
                proptest::prop_assert_eq!(pool.in_use(), cache.len());
                proptest::prop_assert_eq!(cache.ring.iter().flatten().count(), cache.len());
            }
            cache.clear(&mut pool);
            proptest::prop_assert_eq!(pool.in_use(), 0);
        }
    }
}
