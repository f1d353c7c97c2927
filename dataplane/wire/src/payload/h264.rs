//! H.264 payloads (RFC 6184): single NAL units, STAP-A and FU-A, as packetization modes 0 and 1 have them.
//!
//! There is no descriptor: what a packet is shows in the types of its NAL units and the first bit of a slice. Where a
//! frame starts can only be told for slices that start a picture and for what must stand before them, so several packets
//! of one frame may say so; a frame's first packet is the one whose timestamp is new. Mode 2 is not negotiated.

use super::FrameInfo;
use crate::Malformed;
use crate::bits::BitReader;
use crate::bytes::{u8_at, u16_at};

/// NAL unit types (ITU-T H.264 table 7-1).
mod nal {
    pub(super) const SLICE: u8 = 1;
    pub(super) const PARTITION_A: u8 = 2;
    pub(super) const IDR: u8 = 5;
    pub(super) const SEI: u8 = 6;
    pub(super) const SPS: u8 = 7;
    pub(super) const PPS: u8 = 8;
    pub(super) const AUD: u8 = 9;
}

/// Packet types (RFC 6184 table 1).
pub(super) const STAP_A: u8 = 24;
/// See [`STAP_A`].
pub(super) const FU_A: u8 = 28;

/// One NAL unit of a payload, or the fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nal<'a> {
    /// Its type.
    pub kind: u8,
    /// nal_ref_idc: 0 when nothing refers to it.
    pub reference: u8,
    /// Whether its first byte is here.
    pub first: bool,
    /// Whether its last byte is here.
    pub last: bool,
    /// What follows the NAL unit header, as far as it is here.
    pub body: &'a [u8],
}

impl<'a> Nal<'a> {
    fn whole(unit: &'a [u8]) -> Result<Nal<'a>, Malformed> {
        let (&head, body) = unit.split_first().ok_or(Malformed::Truncated)?;
        match head & 0x1f {
            kind @ 1..=23 => Ok(Nal { kind, reference: head >> 5 & 3, first: true, last: true, body }),
            _ => Err(Malformed::Value),
        }
    }

    /// Whether it is the first slice of a picture: first_mb_in_slice is 0, which is a single bit.
    fn starts_picture(&self) -> bool {
        let slice = matches!(self.kind, nal::SLICE | nal::PARTITION_A | nal::IDR);
        slice && self.first && self.body.first().is_some_and(|b| b & 0x80 != 0)
    }
}

/// The NAL units of a payload.
#[derive(Clone, Debug)]
pub struct Nals<'a> {
    rest: &'a [u8],
    aggregated: bool,
}

/// The NAL units of `payload`; an error ends the iteration.
///
/// # Errors
/// [`Malformed::Truncated`] when it is empty.
pub fn nals(payload: &[u8]) -> Result<Nals<'_>, Malformed> {
    match u8_at(payload, 0)? & 0x1f {
        STAP_A => Ok(Nals { rest: &payload[1..], aggregated: true }),
        _ => Ok(Nals { rest: payload, aggregated: false }),
    }
}

impl<'a> Nals<'a> {
    fn step(&mut self) -> Result<Nal<'a>, Malformed> {
        if self.aggregated {
            let len = usize::from(u16_at(self.rest, 0)?);
            let (unit, rest) = self.rest[2..].split_at_checked(len).ok_or(Malformed::Length)?;
            self.rest = rest;
            return Nal::whole(unit);
        }
        let unit = core::mem::take(&mut self.rest);
        if unit[0] & 0x1f != FU_A {
            return Nal::whole(unit);
        }
        let head = u8_at(unit, 1)?;
        let (first, last) = (head & 0x80 != 0, head & 0x40 != 0);
        Ok(Nal { kind: head & 0x1f, reference: unit[0] >> 5 & 3, first, last, body: &unit[2..] })
    }
}

impl<'a> Iterator for Nals<'a> {
    type Item = Result<Nal<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let nal = self.step();
        if nal.is_err() {
            self.rest = &[];
        }
        Some(nal)
    }
}

/// What routing needs to know. A key frame starts with a sequence parameter set or the first slice of an IDR picture.
///
/// # Errors
/// [`Malformed`] for truncated units, lengths beyond the payload, and packet types of packetization mode 2.
pub fn frame_info(payload: &[u8], marker: bool) -> Result<FrameInfo, Malformed> {
    let mut info = FrameInfo { end_of_frame: marker, ..FrameInfo::default() };
    let (mut slices, mut referred) = (false, false);
    for nal in nals(payload)? {
        let nal = nal?;
        let head = nal.first && matches!(nal.kind, nal::SEI | nal::SPS | nal::PPS | nal::AUD);
        info.start_of_frame |= head || nal.starts_picture();
        info.key_frame |= (nal.kind == nal::SPS && nal.first) || (nal.kind == nal::IDR && nal.starts_picture());
        slices |= matches!(nal.kind, nal::SLICE..=nal::IDR);
        referred |= nal.reference != 0;
        if nal.kind == nal::SPS && nal.first && nal.last {
            info.dimensions = info.dimensions.or(sps_dimensions(nal.body).ok());
        }
    }
    info.discardable = slices && !referred;
    info.spatial_sync = info.key_frame;
    Ok(info)
}

/// Width and height of the cropped picture, from a sequence parameter set without its NAL unit header (ITU-T H.264
/// 7.3.2.1.1).
///
/// # Errors
/// [`Malformed`] when it is truncated or says nothing sensible.
pub fn sps_dimensions(sps: &[u8]) -> Result<(u16, u16), Malformed> {
    let mut r = BitReader::escaped(sps);
    let profile = r.bits(8)?;
    r.skip(16)?;
    r.ue()?;
    let chroma = if has_chroma_format(profile) { chroma_format(&mut r)? } else { 1 };
    r.ue()?;
    match r.ue()? {
        0 => {
            r.ue()?;
        }
        1 => {
            r.skip(1)?;
            r.se()?;
            r.se()?;
            let cycle = r.ue()?;
            if cycle > 255 {
                return Err(Malformed::Value);
            }
            for _ in 0..cycle {
                r.se()?;
            }
        }
        2 => {}
        _ => return Err(Malformed::Value),
    }
    r.ue()?;
    r.skip(1)?;
    let (width_mbs, height_units) = (u64::from(r.ue()?) + 1, u64::from(r.ue()?) + 1);
    let fields = if r.bit()? { 1 } else { 2 };
    if fields == 2 {
        r.skip(1)?;
    }
    r.skip(1)?;
    let (mut crop_x, mut crop_y) = (0, 0);
    if r.bit()? {
        let mut pair = || Ok::<_, Malformed>(u64::from(r.ue()?) + u64::from(r.ue()?));
        crop_x = pair()? * if matches!(chroma, 1 | 2) { 2 } else { 1 };
        crop_y = pair()? * fields * if chroma == 1 { 2 } else { 1 };
    }
    super::size(width_mbs * 16, height_units * 16 * fields, crop_x, crop_y)
}

fn has_chroma_format(profile: u32) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

/// Reads chroma_format_idc and what stands behind it up to the scaling lists. Separate colour planes crop like
/// monochrome.
fn chroma_format(r: &mut BitReader<'_>) -> Result<u32, Malformed> {
    let chroma = r.ue()?;
    let separate = chroma == 3 && r.bit()?;
    r.ue()?;
    r.ue()?;
    r.skip(1)?;
    if r.bit()? {
        for i in 0..if chroma == 3 { 12 } else { 8 } {
            if r.bit()? {
                skip_scaling_list(r, if i < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(if separate { 0 } else { chroma })
}

fn skip_scaling_list(r: &mut BitReader<'_>, size: u32) -> Result<(), Malformed> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + i64::from(r.se()?)).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Constrained baseline, level 3.1, 1280×720, as libwebrtc's OpenH264 writes it.
    const SPS: [u8; 11] = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdc, 0x80];

    #[test]
    fn a_parameter_set_tells_the_size() {
        assert_eq!(sps_dimensions(&SPS[1..]), Ok((1280, 720)));
        // High profile, 1920×1080 with cropping, emulation prevention in the VUI part.
        let high = [
            0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04,
            0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
        ];
        assert_eq!(sps_dimensions(&high[1..]), Ok((1920, 1080)));
        for cut in 0..8 {
            assert!(sps_dimensions(&SPS[1..1 + cut]).is_err());
        }
    }

    #[test]
    fn an_aggregate_of_parameter_sets_starts_a_key_frame() {
        let mut payload = vec![0x78];
        for unit in [&SPS[..], &[0x68, 0xce, 0x3c, 0x80]] {
            payload.extend((unit.len() as u16).to_be_bytes());
            payload.extend(unit);
        }
        let info = frame_info(&payload, false).unwrap();
        assert!(info.start_of_frame && info.key_frame && !info.discardable && !info.end_of_frame);
        assert_eq!(info.dimensions, Some((1280, 720)));
        payload.pop();
        assert_eq!(frame_info(&payload, false), Err(Malformed::Length));
    }

    #[test]
    fn a_fragmented_idr_picture_starts_with_its_first_fragment() {
        let start = frame_info(&[0x7c, 0x85, 0x88, 0x84], false).unwrap();
        assert!(start.start_of_frame && start.key_frame);
        let middle = frame_info(&[0x7c, 0x05, 0x88, 0x84], false).unwrap();
        assert!(!middle.start_of_frame && !middle.key_frame);
        let end = frame_info(&[0x7c, 0x45, 0x88, 0x84], true).unwrap();
        assert!(!end.key_frame && end.end_of_frame);
        // A second slice: first_mb_in_slice is not 0.
        assert!(!frame_info(&[0x65, 0x48], false).unwrap().key_frame);
    }

    #[test]
    fn a_slice_that_nothing_refers_to_may_be_left_out() {
        let info = frame_info(&[0x01, 0x9a], true).unwrap();
        assert!(info.discardable && info.start_of_frame && info.end_of_frame && !info.key_frame);
        assert!(!frame_info(&[0x41, 0x9a], true).unwrap().discardable);
        // A delimiter alone says nothing of the slices that follow it.
        assert!(!frame_info(&[0x09, 0xf0], false).unwrap().discardable);
    }

    #[test]
    fn other_packet_types_are_refused() {
        for kind in [0, 25, 26, 27, 29, 30, 31] {
            assert_eq!(frame_info(&[kind, 0x80, 0, 0], true), Err(Malformed::Value), "{kind}");
        }
        assert_eq!(frame_info(&[], true), Err(Malformed::Truncated));
        assert_eq!(frame_info(&[0x7c], true), Err(Malformed::Truncated));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(
            first in proptest::prelude::prop_oneof![0u8..=255, proptest::prelude::Just(0x78), proptest::prelude::Just(0x67)],
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        ) {
            let _ = frame_info(&[&[first][..], &bytes].concat(), true);
            let _ = sps_dimensions(&[&[100][..], &bytes].concat());
        }
    }
}
