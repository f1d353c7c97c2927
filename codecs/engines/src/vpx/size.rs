//! The sizes that the headers of VP8 and VP9 frames name, read before anything is allocated for them.
//!
//! Only as much is parsed as the size needs (RFC 6386 9.1; VP9 bitstream specification 6.2 and annex B). What is cut short is left to
//! libvpx, which refuses it.

use crate::video::{DecodeError, Limits};

/// Checks a VP8 frame: a key frame's size against the limits.
pub(super) fn vp8(frame: &[u8], limits: &Limits) -> Result<(), DecodeError> {
    let key = frame[0] & 1 == 0;
    if !key {
        return Ok(());
    }
    let Some(&[_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1]) = frame.first_chunk::<10>() else {
        return Err(DecodeError::Corrupt(0));
    };
    let side = |low, high| usize::from(u16::from_le_bytes([low, high]) & 0x3fff);
    limits.check(side(w0, w1), side(h0, h1))
}

/// Checks a VP9 frame or superframe: each size that a header names against the limits.
pub(super) fn vp9(data: &[u8], limits: &Limits) -> Result<(), DecodeError> {
    let mut rest = data;
    for size in superframe(data) {
        let frame = rest.get(..size).unwrap_or(rest);
        rest = rest.get(size..).unwrap_or_default();
        if !frame.is_empty() {
            vp9_frame(frame, limits)?;
        }
    }
    // Without an index, or behind what it names, libvpx looks for frames one after the other; the first is at the start.
    if !rest.is_empty() { vp9_frame(rest, limits) } else { Ok(()) }
}

/// The sizes of an index at the end (annex B), none when there is no index.
fn superframe(data: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let marker = data.last().copied().unwrap_or_default();
    let (frames, bytes) = (usize::from(marker & 7) + 1, usize::from(marker >> 3 & 3) + 1);
    let length = 2 + frames * bytes;
    let start = data.len().checked_sub(length).filter(|start| marker & 0xe0 == 0xc0 && data[*start] == marker);
    let index = start.map_or(&[][..], |start| &data[start + 1..data.len() - 1]);
    index.chunks(bytes).map(|size| size.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

fn vp9_frame(frame: &[u8], limits: &Limits) -> Result<(), DecodeError> {
    match vp9_size(&mut Bits { data: frame, at: 0 }) {
        Some((width, height)) => limits.check(width, height),
        None => Ok(()),
    }
}

/// The size that the uncompressed header names; `None` when it names none or is cut short.
fn vp9_size(bits: &mut Bits<'_>) -> Option<(usize, usize)> {
    bits.take(2)?;
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 {
        bits.take(1)?;
    }
    let show_existing = bits.take(1)? == 1;
    if show_existing {
        return None;
    }
    let key = bits.take(1)? == 0;
    let shown = bits.take(1)? == 1;
    let resilient = bits.take(1)? == 1;
    if key {
        bits.take(24)?;
        colours(bits, profile)?;
        return sides(bits);
    }
    let intra = if shown { 0 } else { bits.take(1)? };
    if !resilient {
        bits.take(2)?;
    }
    if intra == 1 {
        bits.take(24)?;
        if profile > 0 {
            colours(bits, profile)?;
        }
        bits.take(8)?;
        return sides(bits);
    }
    bits.take(8 + 3 * 4)?;
    for _ in 0..3 {
        let as_the_reference = bits.take(1)? == 1;
        if as_the_reference {
            return None;
        }
    }
    sides(bits)
}

fn colours(bits: &mut Bits<'_>, profile: usize) -> Option<()> {
    if profile >= 2 {
        bits.take(1)?;
    }
    let rgb = bits.take(3)? == 7;
    if !rgb {
        bits.take(1)?;
    }
    if profile & 1 == 1 {
        bits.take(if rgb { 1 } else { 3 })?;
    }
    Some(())
}

fn sides(bits: &mut Bits<'_>) -> Option<(usize, usize)> {
    Some((bits.take(16)? + 1, bits.take(16)? + 1))
}

/// Bits, the highest of each byte first.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for at in self.at..self.at + count {
            value = value << 1 | usize::from(self.data.get(at / 8)? >> (7 - at % 8) & 1);
        }
        self.at += count;
        Some(value)
    }
}
