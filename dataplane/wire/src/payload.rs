//! Payload formats: what routing must know of a packet, as one [`FrameInfo`], and the patches made for a receiver.
//!
//! Descriptors are parsed once, on ingress; the coded pictures themselves are not looked at beyond the first bytes of
//! their headers. For the mixer, payloads become access units ([`unpack`]) and access units payloads ([`pack`]). State is
//! kept by [`dd::Parser`] (a descriptor refers to a structure that came earlier), by unpackers and by packers.

pub mod av1;
pub mod dd;
pub mod h264;
pub mod h265;
pub mod pack;
pub mod red;
pub mod rtx;
pub mod unpack;
pub mod vp8;
pub mod vp9;

use crate::bytes::{u8_at, u16_at};
use crate::{Malformed, Patch};

/// A payload format, as far as inspection tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Sound, or anything without frames that span packets: every packet stands for itself.
    Opaque,
    /// RFC 2198.
    Red,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// AOMedia's RTP payload format.
    Av1,
}

/// A picture id with its width on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureId {
    /// The value, 7 or 15 bits.
    pub value: u16,
    /// Whether it has 15 bits.
    pub wide: bool,
}

impl PictureId {
    fn read(payload: &[u8], at: usize) -> Result<PictureId, Malformed> {
        let first = u8_at(payload, at)?;
        if first & 0x80 == 0 {
            return Ok(PictureId { value: u16::from(first), wide: false });
        }
        Ok(PictureId { value: u16_at(payload, at)? & 0x7fff, wide: true })
    }

    fn size(self) -> usize {
        if self.wide { 2 } else { 1 }
    }

    /// Writes it where one of the same width stands.
    fn write(self, payload: &mut [u8], at: usize) {
        if self.wide {
            payload[at..at + 2].copy_from_slice(&(0x8000 | self.value).to_be_bytes());
        } else {
            payload[at] = self.value as u8 & 0x7f;
        }
    }
}

/// Width and height by spatial layer; 0 × 0 = not told.
pub type LayerSizes = [(u16, u16); 4];

/// What a packet's descriptor says of the frame it belongs to. `Copy`; the default is a packet in the middle of a frame
/// of a codec without layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameInfo {
    /// First packet of a (layer) frame. For H.264, H.265, and AV1 without dependency descriptor: could be the first, and
    /// is when the timestamp is new as well.
    pub start_of_frame: bool,
    /// Last packet of a (layer) frame.
    pub end_of_frame: bool,
    /// A decoder can start with this packet: it is the first of a key frame, parameter sets included.
    pub key_frame: bool,
    /// Width and height of this spatial layer, where the packet tells them.
    pub dimensions: Option<(u16, u16)>,
    /// The sizes of all spatial layers, where the packet tells them (VP9: with the first packet of a key frame).
    pub layer_sizes: Option<LayerSizes>,
    /// Spatial layer, 0 = base.
    pub spatial: u8,
    /// Temporal layer, 0 = base.
    pub temporal: u8,
    /// The frame depends on no earlier picture: a receiver of the spatial layer below may go up with it (VP9: P bit
    /// clear; dependency descriptor: "switch" and references inside its picture only).
    pub spatial_sync: bool,
    /// A receiver of the temporal layer below may go up with this frame (VP8: Y bit; H.265: TSA and STSA pictures;
    /// dependency descriptor: "switch").
    pub temporal_sync: bool,
    /// After this frame a receiver may go up to any temporal layer (VP9: U bit).
    pub switch_up: bool,
    /// No other frame refers to this one (VP8: N bit; H.264: nal_ref_idc 0; dependency descriptor: "discardable").
    pub discardable: bool,
    /// Picture id (VP8, VP9).
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX (VP8, VP9).
    pub tl0_pic_idx: Option<u8>,
    /// Frame number of the dependency descriptor.
    pub frame_number: Option<u16>,
    /// The primary block of a RED payload.
    pub red: Option<red::Primary>,
}

impl FrameInfo {
    /// A packet that stands for itself: sound.
    pub const WHOLE: FrameInfo = FrameInfo {
        start_of_frame: true,
        end_of_frame: true,
        key_frame: true,
        dimensions: None,
        layer_sizes: None,
        spatial: 0,
        temporal: 0,
        spatial_sync: false,
        temporal_sync: false,
        switch_up: false,
        discardable: false,
        picture_id: None,
        tl0_pic_idx: None,
        frame_number: None,
        red: None,
    };
}

/// What routing must know of a packet, from its `payload` (no RTP header, no padding), marker bit, and dependency
/// descriptor where one came with it. VP8 and VP9 say everything themselves and take only the frame number from it.
///
/// # Errors
/// [`Malformed`] when the payload's descriptor cannot be read.
pub fn inspect(
    codec: Codec,
    payload: &[u8],
    marker: bool,
    dependency: Option<&dd::Frame>,
) -> Result<FrameInfo, Malformed> {
    let mut info = match codec {
        Codec::Opaque => return Ok(FrameInfo::WHOLE),
        Codec::Red => return Ok(FrameInfo { red: Some(red::primary(payload)?), ..FrameInfo::WHOLE }),
        Codec::Vp8 => vp8::Descriptor::parse(payload)?.frame_info(payload, marker),
        Codec::Vp9 => vp9::Descriptor::parse(payload)?.frame_info(),
        Codec::H264 => h264::frame_info(payload, marker)?,
        Codec::H265 => h265::frame_info(payload, marker)?,
        Codec::Av1 => av1::frame_info(payload, marker)?,
    };
    match (codec, dependency) {
        (Codec::Vp8 | Codec::Vp9, Some(frame)) => info.frame_number = Some(frame.mandatory.frame_number),
        (_, Some(frame)) => {
            info.key_frame |= codec == Codec::Av1 && frame.is_key_frame() && frame.mandatory.start_of_frame;
            info.key_frame &= frame.spatial == 0;
            frame.amend(&mut info);
        }
        (_, None) => {}
    }
    Ok(info)
}

/// Applies `patch` to a payload in the send slot. Its length stays; fields that are not there are left alone.
pub fn patch(payload: &mut [u8], patch: Patch) {
    match patch {
        Patch::None => {}
        Patch::Vp8 { picture_id, tl0_pic_idx } => vp8::patch(payload, picture_id, tl0_pic_idx),
        Patch::Vp9 { picture_id, tl0_pic_idx } => vp9::patch(payload, picture_id, tl0_pic_idx),
    }
}

/// The size of a cropped picture; an error when nothing is left or it does not fit in 16 bits.
fn size(width: u64, height: u64, crop_x: u64, crop_y: u64) -> Result<(u16, u16), Malformed> {
    let cut = |whole: u64, crop| whole.checked_sub(crop).filter(|&v| v > 0).and_then(|v| u16::try_from(v).ok());
    cut(width, crop_x).zip(cut(height, crop_y)).ok_or(Malformed::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_stands_for_itself() {
        assert_eq!(inspect(Codec::Opaque, &[], false, None), Ok(FrameInfo::WHOLE));
        let red = inspect(Codec::Red, &[111, 1, 2], false, None).unwrap().red.unwrap();
        assert_eq!((red.payload_type, red.data.start, red.data.len), (111, 1, 2));
        assert_eq!(inspect(Codec::Red, &[], false, None), Err(Malformed::Truncated));
    }

    #[test]
    fn a_patch_for_another_codec_or_for_garbage_does_no_harm() {
        let mut payload = [0x10, 7, 7];
        patch(&mut payload, Patch::None);
        patch(&mut payload, Patch::Vp8 { picture_id: 1, tl0_pic_idx: 2 });
        patch(&mut [], Patch::Vp9 { picture_id: 1, tl0_pic_idx: 2 });
        assert_eq!(payload, [0x10, 7, 7]);
    }

    #[test]
    fn sizes_that_crop_to_nothing_or_do_not_fit_are_refused() {
        assert_eq!(size(1920, 1088, 0, 8), Ok((1920, 1080)));
        for (w, h, x, y) in [(16, 16, 16, 0), (16, 16, 0, 17), (65536, 16, 0, 0)] {
            assert_eq!(size(w, h, x, y), Err(Malformed::Value));
        }
    }
}
