//! The sizes that an access unit's sequence parameter sets name (H.264 7.3.2.1.1), against the limits.
//!
//! A set that is cut short or senseless is left to the decoder, which refuses it.

use crate::video::{DecodeError, Limits};

/// Checks each sequence parameter set, the scalable ones too.
pub(super) fn check(unit: &[u8], limits: &Limits) -> Result<(), DecodeError> {
    for nal in nal_units(unit) {
        let kind = nal.first().map_or(0, |byte| byte & 0x1f);
        if (kind == 7 || kind == 15)
            && let Some(size) = size(&mut Bits::new(&nal[1..]))
        {
            limits.check(size.0, size.1)?;
        }
    }
    Ok(())
}

/// The NAL units of an Annex B access unit, without start codes.
fn nal_units(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        let start = rest.windows(3).position(|w| w == [0, 0, 1])?;
        let nal = &rest[start + 3..];
        let end = nal.windows(3).position(|w| w == [0, 0, 1]).unwrap_or(nal.len());
        rest = &nal[end..];
        Some(&nal[..end])
    })
}

/// Profiles whose parameter sets name the chroma format.
const WITH_CHROMA: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Width and height in pixels: what is shown, or up to 15 less than what is coded when less is shown.
fn size(bits: &mut Bits<'_>) -> Option<(usize, usize)> {
    let profile = bits.take(8)?;
    bits.take(16)?;
    bits.ue()?;
    let mut chroma = 1;
    if WITH_CHROMA.contains(&profile) {
        chroma = bits.ue()?;
        if chroma == 3 {
            bits.take(1)?;
        }
        bits.ue()?;
        bits.ue()?;
        bits.take(1)?;
        if bits.take(1)? == 1 {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.take(1)? == 1 {
                    scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.ue()?;
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.take(1)?;
            bits.ue()?;
            bits.ue()?;
            for _ in 0..bits.ue()?.min(255) {
                bits.ue()?;
            }
        }
        _ => {}
    }
    bits.ue()?;
    bits.take(1)?;
    let width = (u64::from(bits.ue()?) + 1) * 16;
    let map_units = u64::from(bits.ue()?) + 1;
    let frames = bits.take(1)?;
    let height = map_units * 16 * u64::from(2 - frames);
    if frames == 0 {
        bits.take(1)?;
    }
    bits.take(1)?;
    let (mut across, mut down) = (0, 0);
    if bits.take(1)? == 1 {
        let units =
            (if chroma == 1 || chroma == 2 { 2 } else { 1 }, if chroma == 1 { 2 } else { 1 } * u64::from(2 - frames));
        across = (u64::from(bits.ue()?) + u64::from(bits.ue()?)) * units.0;
        down = (u64::from(bits.ue()?) + u64::from(bits.ue()?)) * units.1;
    }
    let side = |coded: u64, cropped: u64| usize::try_from(coded - cropped.min(15)).unwrap_or(usize::MAX);
    Some((side(width, across), side(height, down)))
}

fn scaling_list(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.se()? + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// Bits of a NAL unit, without its emulation prevention bytes.
struct Bits<'a> {
    data: &'a [u8],
    byte: u8,
    left: u32,
    zeros: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Bits { data, byte: 0, left: 0, zeros: 0 }
    }

    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            let (mut byte, mut rest) = self.data.split_first()?;
            if self.zeros >= 2 && *byte == 3 {
                (byte, rest) = rest.split_first()?;
                self.zeros = 0;
            }
            self.zeros = if *byte == 0 { self.zeros + 1 } else { 0 };
            (self.byte, self.data, self.left) = (*byte, rest, 8);
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    /// An unsigned Exp-Golomb number (9.1).
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.take(zeros)?)
    }

    /// A signed one.
    fn se(&mut self) -> Option<i32> {
        let value = i64::from(self.ue()?);
        let signed = if value % 2 == 1 { value / 2 + 1 } else { -(value / 2) };
        i32::try_from(signed % 256).ok()
    }
}
