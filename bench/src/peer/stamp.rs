//! The mark that a sender leaves in each payload and a receiver reads: who made it, which frame, which part, when, and on what
//! the frame depends. Servers do not touch payloads behind the descriptor, so it tells the truth about what was forwarded.

use plenum_packet::Time;

/// Bytes of a stamp.
pub const LEN: usize = 32;
const MAGIC: u16 = 0x9c7e;

/// The mark in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The sender's track.
    pub track: u32,
    /// Number of the frame in its encoding; of sound, of the packet.
    pub frame: u32,
    /// The frame that this one refers to; itself for a key frame.
    pub refers: u32,
    /// The newest frame of the lowest temporal layer, this one included.
    pub base: u32,
    /// Index of this packet in its frame.
    pub part: u8,
    /// Packets in the frame.
    pub parts: u8,
    /// Frames a second of the encoding.
    pub fps: u8,
    /// Simulcast encoding.
    pub encoding: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// When the packet left its sender.
    pub sent: Time,
}

impl Stamp {
    /// Whether it is a key frame's.
    pub fn is_key(&self) -> bool {
        self.refers == self.frame
    }

    /// Track and encoding as one number: what the guard knows a source by.
    pub fn source(&self) -> u64 {
        u64::from(self.track) << 8 | u64::from(self.encoding)
    }

    /// Writes the stamp over the first [`LEN`] bytes of `out`.
    ///
    /// # Panics
    /// If `out` is shorter.
    pub fn write(&self, out: &mut [u8]) {
        out[0..2].copy_from_slice(&MAGIC.to_be_bytes());
        out[2] = self.encoding;
        out[3] = self.temporal;
        out[4..8].copy_from_slice(&self.track.to_be_bytes());
        out[8..12].copy_from_slice(&self.frame.to_be_bytes());
        out[12..16].copy_from_slice(&self.refers.to_be_bytes());
        out[16..20].copy_from_slice(&self.base.to_be_bytes());
        out[20..24].copy_from_slice(&[self.part, self.parts, self.fps, 0]);
        out[24..32].copy_from_slice(&self.sent.nanos().to_be_bytes());
    }

    /// Reads a stamp at the start of `bytes`; `None` when there is none.
    pub fn read(bytes: &[u8]) -> Option<Stamp> {
        let b = bytes.first_chunk::<LEN>()?;
        let word = |at: usize| u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let half = |at: usize| u16::from_be_bytes([b[at], b[at + 1]]);
        if half(0) != MAGIC {
            return None;
        }
        Some(Stamp {
            encoding: b[2],
            temporal: b[3],
            track: word(4),
            frame: word(8),
            refers: word(12),
            base: word(16),
            part: b[20],
            parts: b[21],
            fps: b[22],
            sent: Time(u64::from(word(24)) << 32 | u64::from(word(28))),
        })
    }

    /// The stamp in a VP8 payload: behind the descriptor, and behind the frame header in a frame's first packet.
    pub fn in_vp8(payload: &[u8]) -> Option<Stamp> {
        Stamp::read(payload.get(super::video::coded_offset(payload)?..)?)
    }

    /// Where the send time stands, counted from the stamp's first byte.
    pub(crate) const SENT_AT: usize = 24;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_other_bytes_are_none() {
        let stamp = Stamp {
            track: 0xdead_beef,
            frame: 70_000,
            refers: 69_996,
            base: 70_000,
            part: 3,
            parts: 7,
            fps: 30,
            encoding: 2,
            temporal: 1,
            sent: Time(u64::MAX - 5),
        };
        let mut bytes = [0; LEN + 3];
        stamp.write(&mut bytes);
        assert_eq!(Stamp::read(&bytes), Some(stamp));
        assert_eq!(Stamp::read(&bytes[..LEN - 1]), None);
        bytes[0] ^= 1;
        assert_eq!(Stamp::read(&bytes), None);
    }
}
