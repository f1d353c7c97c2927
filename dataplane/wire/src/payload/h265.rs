//! H.265 payloads (RFC 7798): single NAL units, aggregation packets and fragmentation units, without DONL fields.
//!
//! As with H.264 there is no descriptor; unlike there, every NAL unit header names its temporal layer. Where a frame
//! starts is told by the first slice segment and by what must stand before it, so several packets of a frame may say so.

use super::FrameInfo;
use crate::Malformed;
use crate::bits::BitReader;
use crate::bytes::{u8_at, u16_at};

/// NAL unit types (ITU-T H.265 table 7-1) and packet types (RFC 7798 section 4.4).
mod nal {
    pub(super) const TSA: core::ops::RangeInclusive<u8> = 2..=3;
    pub(super) const STSA: core::ops::RangeInclusive<u8> = 4..=5;
    pub(super) const IRAP: core::ops::RangeInclusive<u8> = 16..=23;
    pub(super) const LAST_SLICE: u8 = 31;
    pub(super) const VPS: u8 = 32;
    pub(super) const SPS: u8 = 33;
    pub(super) const AUD: u8 = 35;
    pub(super) const PREFIX_SEI: u8 = 39;
    pub(super) const AGGREGATION: u8 = 48;
    pub(super) const FRAGMENT: u8 = 49;
}

/// One NAL unit of a payload, or the fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nal<'a> {
    /// Its type.
    pub kind: u8,
    /// nuh_layer_id.
    pub layer: u8,
    /// Temporal layer, 0 = base.
    pub temporal: u8,
    /// Whether its first byte is here.
    pub first: bool,
    /// Whether its last byte is here.
    pub last: bool,
    /// What follows the two-byte NAL unit header, as far as it is here.
    pub body: &'a [u8],
}

impl<'a> Nal<'a> {
    /// Reads the two-byte header; the type may be that of a packet.
    fn header(unit: &'a [u8]) -> Result<Nal<'a>, Malformed> {
        let head = u16_at(unit, 0)?;
        let (forbidden, temporal_plus_1) = (head & 0x8000 != 0, head as u8 & 7);
        if forbidden || temporal_plus_1 == 0 {
            return Err(Malformed::Value);
        }
        let (kind, layer) = ((head >> 9 & 63) as u8, (head >> 3 & 63) as u8);
        Ok(Nal { kind, layer, temporal: temporal_plus_1 - 1, first: true, last: true, body: &unit[2..] })
    }

    fn whole(unit: &'a [u8]) -> Result<Nal<'a>, Malformed> {
        Nal::header(unit).and_then(|nal| if nal.kind < nal::AGGREGATION { Ok(nal) } else { Err(Malformed::Value) })
    }

    /// Whether it is the first slice segment of a picture.
    fn starts_picture(&self) -> bool {
        self.kind <= nal::LAST_SLICE && self.first && self.body.first().is_some_and(|b| b & 0x80 != 0)
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
/// [`Malformed`] when its header cannot be read or is that of a PACI packet.
pub fn nals(payload: &[u8]) -> Result<Nals<'_>, Malformed> {
    match Nal::header(payload)?.kind {
        nal::AGGREGATION => Ok(Nals { rest: &payload[2..], aggregated: true }),
        kind if kind <= nal::FRAGMENT => Ok(Nals { rest: payload, aggregated: false }),
        _ => Err(Malformed::Value),
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
        let packet = Nal::header(unit)?;
        if packet.kind != nal::FRAGMENT {
            return Nal::whole(unit);
        }
        let head = u8_at(packet.body, 0)?;
        let (first, last) = (head & 0x80 != 0, head & 0x40 != 0);
        Ok(Nal { kind: head & 63, first, last, body: &packet.body[1..], ..packet })
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

/// What routing needs to know. A key frame starts with a video or sequence parameter set, or with the first slice
/// segment of a picture that is a random access point.
///
/// # Errors
/// [`Malformed`] for truncated units, lengths beyond the payload, and PACI packets.
pub fn frame_info(payload: &[u8], marker: bool) -> Result<FrameInfo, Malformed> {
    let mut info = FrameInfo { end_of_frame: marker, ..FrameInfo::default() };
    for nal in nals(payload)? {
        let nal = nal?;
        let sets = nal.first && matches!(nal.kind, nal::VPS | nal::SPS);
        let head = nal.first && matches!(nal.kind, nal::VPS..=nal::AUD | nal::PREFIX_SEI);
        info.start_of_frame |= head || nal.starts_picture();
        info.key_frame |= sets || (nal::IRAP.contains(&nal.kind) && nal.starts_picture());
        info.temporal = info.temporal.max(nal.temporal);
        info.temporal_sync |= nal::TSA.contains(&nal.kind) || nal::STSA.contains(&nal.kind);
        if nal.kind == nal::SPS && nal.first && nal.last && nal.layer == 0 {
            info.dimensions = info.dimensions.or(sps_dimensions(nal.body).ok());
        }
    }
    info.spatial_sync = info.key_frame;
    Ok(info)
}

/// Width and height of the cropped picture, from a sequence parameter set without its NAL unit header (ITU-T H.265
/// 7.3.2.2.1).
///
/// # Errors
/// [`Malformed`] when it is truncated or says nothing sensible.
pub fn sps_dimensions(sps: &[u8]) -> Result<(u16, u16), Malformed> {
    let mut r = BitReader::escaped(sps);
    r.skip(4)?;
    let sub_layers = r.bits(3)?;
    r.skip(1)?;
    skip_profile_tier_level(&mut r, sub_layers)?;
    r.ue()?;
    let chroma = r.ue()?;
    let separate = chroma == 3 && r.bit()?;
    let (width, height) = (u64::from(r.ue()?), u64::from(r.ue()?));
    let (mut crop_x, mut crop_y) = (0, 0);
    if r.bit()? {
        let mut pair = || Ok::<_, Malformed>(u64::from(r.ue()?) + u64::from(r.ue()?));
        crop_x = pair()? * if matches!(chroma, 1 | 2) && !separate { 2 } else { 1 };
        crop_y = pair()? * if chroma == 1 { 2 } else { 1 };
    }
    super::size(width, height, crop_x, crop_y)
}

/// `profile_tier_level(1, sub_layers)` (7.3.3): 88 bits of profile and 8 of level, the same for each sub-layer that says so.
fn skip_profile_tier_level(r: &mut BitReader<'_>, sub_layers: u32) -> Result<(), Malformed> {
    r.skip(96)?;
    if sub_layers == 0 {
        return Ok(());
    }
    let mut present = [(false, false); 8];
    for flags in &mut present {
        *flags = (r.bit()?, r.bit()?);
    }
    for (profile, level) in &present[..sub_layers as usize] {
        r.skip(88 * u32::from(*profile) + 8 * u32::from(*level))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Main profile, level 3.1, 1280×720, one sub-layer.
    const SPS: [u8; 23] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5d,
        0xa0, 0x02, 0x80, 0x80, 0x2d,
    ];

    #[test]
    fn a_parameter_set_tells_the_size() {
        let sps = [&SPS[..], &[0x16, 0x59, 0x59]].concat();
        assert_eq!(sps_dimensions(&sps[2..]), Ok((1280, 720)));
        assert!(sps_dimensions(&sps[2..20]).is_err());
    }

    #[test]
    fn cropping_counts_in_chroma_units() {
        // 1920×1088 cut by four rows of 4:2:0 chroma at the bottom.
        let mut bits = vec![false; 8 + 96];
        let ue = |bits: &mut Vec<bool>, v: u32| {
            let width = 32 - (v + 1).leading_zeros();
            bits.extend((0..2 * width - 1).rev().map(|i| i < width && (v + 1) >> i & 1 == 1));
        };
        for v in [0, 1, 1920, 1088] {
            ue(&mut bits, v);
        }
        bits.push(true);
        for v in [0, 0, 0, 4] {
            ue(&mut bits, v);
        }
        bits.push(true);
        let bytes: Vec<u8> =
            bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |b, (i, &x)| b | u8::from(x) << (7 - i))).collect();
        // The zeros of the profile need emulation prevention.
        let mut escaped = vec![];
        for b in bytes {
            if escaped.ends_with(&[0, 0]) && b <= 3 {
                escaped.push(3);
            }
            escaped.push(b);
        }
        assert_eq!(sps_dimensions(&escaped), Ok((1920, 1080)));
    }

    #[test]
    fn parameter_sets_and_access_points_start_key_frames() {
        let sps = [&SPS[..], &[0x16, 0x59, 0x59]].concat();
        let mut payload = vec![0x60, 0x01];
        for unit in [&[0x40, 0x01, 0x0c][..], &sps] {
            payload.extend((unit.len() as u16).to_be_bytes());
            payload.extend(unit);
        }
        let info = frame_info(&payload, false).unwrap();
        assert!(info.key_frame && info.start_of_frame && info.dimensions == Some((1280, 720)));
        payload.pop();
        assert_eq!(frame_info(&payload, false), Err(Malformed::Length));
        // A fragmented IDR_W_RADL: first, middle and last fragment.
        assert!(frame_info(&[0x62, 0x01, 0x93, 0xaf], false).unwrap().key_frame);
        assert!(!frame_info(&[0x62, 0x01, 0x13, 0xaf], false).unwrap().key_frame);
        let last = frame_info(&[0x62, 0x01, 0x53, 0xaf], true).unwrap();
        assert!(!last.key_frame && !last.start_of_frame && last.end_of_frame);
    }

    #[test]
    fn temporal_layers_and_their_switch_points_are_told() {
        let trail = frame_info(&[0x02, 0x03, 0xd0], true).unwrap();
        assert_eq!((trail.temporal, trail.temporal_sync, trail.start_of_frame), (2, false, true));
        let tsa = frame_info(&[0x04, 0x02, 0xd0], true).unwrap();
        assert_eq!((tsa.temporal, tsa.temporal_sync), (1, true));
    }

    #[test]
    fn forbidden_headers_are_refused() {
        for head in [[0x82, 0x01], [0x02, 0x00], [0x64, 0x01], [0x7e, 0x01]] {
            assert_eq!(frame_info(&[head[0], head[1], 0x80], true), Err(Malformed::Value));
        }
        assert_eq!(frame_info(&[0x62, 0x01], true), Err(Malformed::Truncated));
        assert_eq!(frame_info(&[0x62], true), Err(Malformed::Truncated));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(
            first in proptest::prelude::prop_oneof![0u8..=255, proptest::prelude::Just(0x60), proptest::prelude::Just(0x42)],
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        ) {
            let _ = frame_info(&[&[first, 1][..], &bytes].concat(), true);
            let _ = sps_dimensions(&bytes);
        }
    }
}
