//! Sealed packets of a slot whose peer asks for lost packets but negotiated no RTX.
//!
//! Such a packet must be the same packet: an SRTP index is sealed once, so the stored ciphertext goes out again, byte for byte.
//! Only slots with generic NACK and without RTX have this ring; it is allocated at their first packet.

/// Packets kept: 128 are half a second of a video of 2 Mbit/s. Larger: 1.5 KiB each. Smaller: nothing is left after one round
/// trip.
const CAPACITY: usize = 128;
/// Longest packet kept; longer ones are not sent again.
const MAX_PACKET: usize = 1500;

/// The ring.
#[derive(Default)]
pub(crate) struct SealedRing {
    bytes: Box<[u8]>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    index: u64,
    len: u16,
}

impl SealedRing {
    /// Keeps the sealed packet of `index`.
    pub(crate) fn push(&mut self, index: u64, packet: &[u8]) {
        if packet.len() > MAX_PACKET {
            return;
        }
        if self.bytes.is_empty() {
            self.bytes = vec![0; CAPACITY * MAX_PACKET].into_boxed_slice();
            self.entries = vec![Entry { index: 0, len: 0 }; CAPACITY];
        }
        let place = index as usize % CAPACITY;
        self.bytes[place * MAX_PACKET..][..packet.len()].copy_from_slice(packet);
        self.entries[place] = Entry { index, len: packet.len() as u16 };
    }

    /// The sealed packet of `index`, if it is still kept.
    pub(crate) fn get(&self, index: u64) -> Option<&[u8]> {
        let place = index as usize % CAPACITY;
        let entry = self.entries.get(place).filter(|e| e.index == index && e.len > 0)?;
        Some(&self.bytes[place * MAX_PACKET..][..usize::from(entry.len)])
    }

    /// Bytes that the ring takes.
    pub(crate) fn footprint(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }
}

impl std::fmt::Debug for SealedRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedRing({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_kept_until_a_newer_one_takes_its_place() {
        let mut ring = SealedRing::default();
        assert_eq!(ring.get(0), None);
        ring.push(5, b"five");
        assert_eq!(ring.get(5), Some(&b"five"[..]));
        assert_eq!(ring.get(5 + CAPACITY as u64), None);
        ring.push(5 + CAPACITY as u64, b"later");
        assert_eq!(ring.get(5), None);
        ring.push(6, &[0; MAX_PACKET + 1]);
        assert_eq!(ring.get(6), None);
    }
}
