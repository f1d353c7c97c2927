//! Bits, most significant first, as the video headers need them: fixed widths, Exp-Golomb, `ns` and `uvlc` codes.
//!
//! A reader may skip the emulation prevention bytes of H.264 and H.265 (`00 00 03`) while it reads, so that a parameter
//! set is parsed where it lies. Every read and write checks its bounds.

use crate::{Malformed, NoRoom};

/// A cursor over bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Index of the next byte to load.
    at: usize,
    /// The byte being read and how many of its bits are left.
    current: u8,
    left: u8,
    /// Zero bytes seen in a row; counted only where `escaped`.
    zeros: u8,
    escaped: bool,
}

impl<'a> BitReader<'a> {
    /// Reads `bytes` as they are.
    pub(crate) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, at: 0, current: 0, left: 0, zeros: 0, escaped: false }
    }

    /// Reads an RBSP: emulation prevention bytes are skipped (ITU-T H.264 7.4.1).
    pub(crate) fn escaped(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { escaped: true, ..BitReader::new(bytes) }
    }

    fn load(&mut self) -> Result<(), Malformed> {
        let mut byte = *self.bytes.get(self.at).ok_or(Malformed::Truncated)?;
        self.at += 1;
        if self.escaped {
            if self.zeros >= 2 && byte == 3 {
                byte = *self.bytes.get(self.at).ok_or(Malformed::Truncated)?;
                self.at += 1;
                self.zeros = 0;
            }
            self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        }
        self.current = byte;
        self.left = 8;
        Ok(())
    }

    /// One bit.
    pub(crate) fn bit(&mut self) -> Result<bool, Malformed> {
        if self.left == 0 {
            self.load()?;
        }
        self.left -= 1;
        Ok(self.current >> self.left & 1 == 1)
    }

    /// `n` bits, at most 32.
    pub(crate) fn bits(&mut self, n: u32) -> Result<u32, Malformed> {
        debug_assert!(n <= 32);
        let mut value = 0u64;
        let mut wanted = n;
        while wanted > 0 {
            if self.left == 0 {
                self.load()?;
            }
            let take = wanted.min(u32::from(self.left));
            self.left -= take as u8;
            value = value << take | u64::from(self.current >> self.left) & ((1 << take) - 1);
            wanted -= take;
        }
        Ok(value as u32)
    }

    /// Skips `n` bits.
    pub(crate) fn skip(&mut self, mut n: u32) -> Result<(), Malformed> {
        while n > 0 {
            let step = n.min(32);
            self.bits(step)?;
            n -= step;
        }
        Ok(())
    }

    /// `ue(v)`: unsigned Exp-Golomb, at most 2^32 - 2.
    pub(crate) fn ue(&mut self) -> Result<u32, Malformed> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Malformed::Value);
            }
        }
        Ok(((1u64 << zeros) - 1) as u32 + self.bits(zeros)?)
    }

    /// `se(v)`: signed Exp-Golomb.
    pub(crate) fn se(&mut self) -> Result<i32, Malformed> {
        let k = i64::from(self.ue()?);
        Ok(if k & 1 == 1 { (k + 1) / 2 } else { -(k / 2) } as i32)
    }

    /// `ns(n)`: a value below `n` (at least 1), as the AV1 specification codes it (4.10.7).
    pub(crate) fn ns(&mut self, n: u32) -> Result<u32, Malformed> {
        let width = 32 - n.leading_zeros();
        let short = (1 << width) - n;
        let value = self.bits(width - 1)?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1) - short + self.bits(1)?)
    }

    /// `uvlc()` of AV1 (4.10.3).
    pub(crate) fn uvlc(&mut self) -> Result<u32, Malformed> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros >= 32 {
                return Ok(u32::MAX);
            }
        }
        Ok(((1u64 << zeros) - 1) as u32 + self.bits(zeros)?)
    }
}

/// Writes bits into bytes, the last one filled up with zeros.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    bytes: &'a mut [u8],
    /// Bits written.
    at: usize,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> BitWriter<'a> {
        BitWriter { bytes, at: 0 }
    }

    /// Bytes begun.
    pub(crate) fn len(&self) -> usize {
        self.at.div_ceil(8)
    }

    /// One bit.
    pub(crate) fn bit(&mut self, bit: bool) -> Result<(), NoRoom> {
        let place = self.bytes.get_mut(self.at / 8).ok_or(NoRoom)?;
        let mask = 0x80 >> (self.at % 8);
        // What stood there before is overwritten.
        *place = *place & !(mask | (mask - 1)) | if bit { mask } else { 0 };
        self.at += 1;
        Ok(())
    }

    /// The low `n` bits of a value, at most 32.
    pub(crate) fn bits(&mut self, value: u32, n: u32) -> Result<(), NoRoom> {
        (0..n).rev().try_for_each(|i| self.bit(value >> i & 1 == 1))
    }

    /// `ns(n)`: a value below `n`, as [`BitReader::ns`] reads it.
    pub(crate) fn ns(&mut self, value: u32, n: u32) -> Result<(), NoRoom> {
        let width = 32 - n.leading_zeros();
        let short = (1 << width) - n;
        if value < short { self.bits(value, width - 1) } else { self.bits(value + short, width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_stops_at_the_end() {
        let mut bytes = [0xff; 4];
        let mut w = BitWriter::new(&mut bytes);
        w.bits(0b101, 3).unwrap();
        for n in 1..6 {
            (0..n).for_each(|value| w.ns(value, n).unwrap());
        }
        let len = w.len();
        assert_eq!((len, w.bits(0, 32)), (4, Err(NoRoom)));
        let mut r = BitReader::new(&bytes);
        assert_eq!(r.bits(3), Ok(0b101));
        for n in 1..6 {
            (0..n).for_each(|value| assert_eq!(r.ns(n), Ok(value), "{value} of {n}"));
        }
    }

    #[test]
    fn exp_golomb_codes_are_read_as_the_standard_lists_them() {
        // 1, 010, 011, 00100, 00101
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut r = BitReader::new(&bytes);
        assert_eq!([r.ue(), r.ue(), r.ue(), r.ue(), r.ue()].map(Result::unwrap), [0, 1, 2, 3, 4]);
        let mut r = BitReader::new(&bytes);
        assert_eq!([r.se(), r.se(), r.se(), r.se(), r.se()].map(Result::unwrap), [0, 1, -1, 2, -2]);
    }

    #[test]
    fn emulation_prevention_bytes_are_skipped() {
        let mut r = BitReader::escaped(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 5]);
        assert_eq!(r.bits(24).unwrap(), 1);
        assert_eq!(r.bits(32).unwrap(), 0);
        assert_eq!(r.bits(8).unwrap(), 5);
        assert_eq!(r.bit(), Err(Malformed::Truncated));
    }

    #[test]
    fn non_symmetric_codes_use_short_words_first() {
        // ns(5): 0,1,2 take two bits, 3 and 4 take three.
        let bytes = [0b0001_1011, 0b0111_0000];
        let mut r = BitReader::new(&bytes);
        assert_eq!([0; 5].map(|_| r.ns(5).unwrap()), [0, 1, 2, 3, 4]);
        assert_eq!(BitReader::new(&[]).ns(1), Ok(0));
    }

    #[test]
    fn a_run_of_zeros_ends_in_an_error() {
        assert_eq!(BitReader::new(&[0; 16]).ue(), Err(Malformed::Value));
        assert_eq!(BitReader::new(&[0; 2]).ue(), Err(Malformed::Truncated));
        assert_eq!(BitReader::new(&[0; 16]).uvlc(), Ok(u32::MAX));
    }
}
