//! Big-endian reads that check their bounds and writes into slices of known length.
//!
//! The only place where offsets become integers; none of these can panic on short input.

use crate::Malformed;

pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Result<u8, Malformed> {
    bytes.get(at).copied().ok_or(Malformed::Truncated)
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    bytes.get(at..).and_then(|b| b.first_chunk::<N>()).copied().ok_or(Malformed::Truncated)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    chunk(bytes, at).map(u16::from_be_bytes)
}

pub(crate) fn u24_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    chunk::<3>(bytes, at).map(|b| u32::from_be_bytes([0, b[0], b[1], b[2]]))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    chunk(bytes, at).map(u32::from_be_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Malformed> {
    chunk(bytes, at).map(u64::from_be_bytes)
}

/// Appends to a slice; the caller has checked that the whole structure fits.
pub(crate) struct Put<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Put<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Put<'a> {
        Put { out, at: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        self
    }

    pub(crate) fn u8(&mut self, v: u8) -> &mut Self {
        self.bytes(&[v])
    }

    pub(crate) fn u16(&mut self, v: u16) -> &mut Self {
        self.bytes(&v.to_be_bytes())
    }

    pub(crate) fn u24(&mut self, v: u32) -> &mut Self {
        self.bytes(&v.to_be_bytes()[1..])
    }

    pub(crate) fn u32(&mut self, v: u32) -> &mut Self {
        self.bytes(&v.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, v: u64) -> &mut Self {
        self.bytes(&v.to_be_bytes())
    }
}
