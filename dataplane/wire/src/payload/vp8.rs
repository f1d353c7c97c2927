//! VP8 payload descriptor (RFC 7741 section 4.2) and the start of a key frame (RFC 6386 section 9.1).
//!
//! Parsed on ingress for routing, patched on egress in the width that the sender chose. The coded picture itself is not
//! looked at beyond its ten bytes of frame header.

use super::{FrameInfo, PictureId};
use crate::Malformed;
use crate::bytes::{u8_at, u16_at};

/// A payload descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S: start of a partition.
    pub start_of_partition: bool,
    /// PID: index of the partition.
    pub partition: u8,
    /// Picture id.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: running index of temporal base layer frames.
    pub tl0_pic_idx: Option<u8>,
    /// TID: temporal layer.
    pub temporal: Option<u8>,
    /// Y: depends on the base layer alone; only with a temporal layer.
    pub layer_sync: bool,
    /// KEYIDX.
    pub key_index: Option<u8>,
    /// Offset of the coded bytes in the payload.
    pub payload_start: u8,
    picture_id_at: u8,
    tl0_at: u8,
}

impl Descriptor {
    /// Reads the descriptor at the start of `payload`.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when no coded byte follows it.
    pub fn parse(payload: &[u8]) -> Result<Descriptor, Malformed> {
        let first = u8_at(payload, 0)?;
        let mut d = Descriptor {
            non_reference: first & 0x20 != 0,
            start_of_partition: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id: None,
            tl0_pic_idx: None,
            temporal: None,
            layer_sync: false,
            key_index: None,
            payload_start: 0,
            picture_id_at: 0,
            tl0_at: 0,
        };
        let mut at = 1;
        if first & 0x80 != 0 {
            let present = u8_at(payload, at)?;
            at += 1;
            if present & 0x80 != 0 {
                let id = PictureId::read(payload, at)?;
                (d.picture_id, d.picture_id_at) = (Some(id), at as u8);
                at += id.size();
            }
            if present & 0x40 != 0 {
                (d.tl0_pic_idx, d.tl0_at) = (Some(u8_at(payload, at)?), at as u8);
                at += 1;
            }
            if present & 0x30 != 0 {
                let byte = u8_at(payload, at)?;
                at += 1;
                if present & 0x20 != 0 {
                    (d.temporal, d.layer_sync) = (Some(byte >> 6), byte & 0x20 != 0);
                }
                d.key_index = (present & 0x10 != 0).then_some(byte & 0x1f);
            }
        }
        if at >= payload.len() {
            return Err(Malformed::Truncated);
        }
        d.payload_start = at as u8;
        Ok(d)
    }

    /// Whether this packet is the first of its frame.
    pub fn starts_frame(&self) -> bool {
        self.start_of_partition && self.partition == 0
    }

    /// Whether this packet starts a key frame: the inverse key frame bit of the frame header.
    pub fn is_key_frame(&self, payload: &[u8]) -> bool {
        self.starts_frame() && payload.get(usize::from(self.payload_start)).is_some_and(|b| b & 1 == 0)
    }

    /// Width and height, where this packet starts a key frame and has its start code.
    pub fn dimensions(&self, payload: &[u8]) -> Option<(u16, u16)> {
        let frame = payload.get(usize::from(self.payload_start)..)?;
        if !self.is_key_frame(payload) || frame.get(3..6)? != [0x9d, 0x01, 0x2a] {
            return None;
        }
        let size = |at| u16_at(frame, at).ok().map(|v| v.swap_bytes() & 0x3fff);
        Some((size(6)?, size(8)?))
    }

    /// What routing needs to know.
    pub fn frame_info(&self, payload: &[u8], marker: bool) -> FrameInfo {
        FrameInfo {
            start_of_frame: self.starts_frame(),
            end_of_frame: marker,
            key_frame: self.is_key_frame(payload),
            dimensions: self.dimensions(payload),
            temporal: self.temporal.unwrap_or(0),
            temporal_sync: self.layer_sync,
            discardable: self.non_reference,
            picture_id: self.picture_id,
            tl0_pic_idx: self.tl0_pic_idx,
            ..FrameInfo::default()
        }
    }
}

/// Writes picture id and TL0PICIDX over those that are there. The picture id keeps its width; what is not there, or a
/// descriptor that cannot be read, stays as it is.
pub fn patch(payload: &mut [u8], picture_id: u16, tl0_pic_idx: u8) {
    let Ok(d) = Descriptor::parse(payload) else { return };
    if let Some(id) = d.picture_id {
        PictureId { value: picture_id, ..id }.write(payload, usize::from(d.picture_id_at));
    }
    if d.tl0_pic_idx.is_some() {
        payload[usize::from(d.tl0_at)] = tl0_pic_idx;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0x68, 0x81];

    #[test]
    fn a_key_frame_tells_its_size() {
        let payload = [&[0x90, 0xe0, 0x92, 0x34, 7, 0x20][..], &KEY].concat();
        let d = Descriptor::parse(&payload).unwrap();
        assert_eq!(d.picture_id, Some(PictureId { value: 0x1234, wide: true }));
        assert_eq!((d.tl0_pic_idx, d.temporal, d.layer_sync, d.payload_start), (Some(7), Some(0), true, 6));
        let info = d.frame_info(&payload, false);
        assert!(info.start_of_frame && info.key_frame && !info.end_of_frame);
        // The upper two bits of each are the scale.
        assert_eq!(info.dimensions, Some((0x0280, 0x0168)));
        assert_eq!(d.dimensions(&payload[..10]), None);
    }

    #[test]
    fn later_packets_and_delta_frames_are_no_key_frames() {
        for (first, byte) in [(0x00, 0x00), (0x11, 0x00), (0x10, 0x01)] {
            let payload = [first, byte];
            let d = Descriptor::parse(&payload).unwrap();
            assert!(!d.is_key_frame(&payload));
            assert_eq!(d.dimensions(&payload), None);
        }
    }

    #[test]
    fn each_optional_field_may_stand_alone() {
        let d = Descriptor::parse(&[0xb0, 0x80, 0x7f, 1]).unwrap();
        assert_eq!((d.picture_id, d.non_reference), (Some(PictureId { value: 0x7f, wide: false }), true));
        let d = Descriptor::parse(&[0x90, 0x40, 9, 1]).unwrap();
        assert_eq!((d.tl0_pic_idx, d.temporal, d.key_index), (Some(9), None, None));
        let d = Descriptor::parse(&[0x90, 0x20, 0xa5, 1]).unwrap();
        assert_eq!((d.temporal, d.layer_sync, d.key_index), (Some(2), true, None));
        let d = Descriptor::parse(&[0x90, 0x10, 0xa5, 1]).unwrap();
        assert_eq!((d.temporal, d.layer_sync, d.key_index), (None, false, Some(5)));
    }

    #[test]
    fn a_descriptor_without_picture_is_refused() {
        let payload = [0x90, 0xf0, 0x92, 0x34, 7, 0x20, 1];
        for cut in 0..payload.len() {
            assert_eq!(Descriptor::parse(&payload[..cut]), Err(Malformed::Truncated));
        }
        assert!(Descriptor::parse(&payload).is_ok());
    }

    #[test]
    fn a_patch_keeps_the_width_and_everything_else() {
        let mut wide = [0x90, 0xe0, 0x92, 0x34, 7, 0x20, 1, 2];
        patch(&mut wide, 0x7ffe, 8);
        assert_eq!(wide, [0x90, 0xe0, 0xff, 0xfe, 8, 0x20, 1, 2]);
        let mut narrow = [0x90, 0x80, 0x12, 1, 2];
        patch(&mut narrow, 0x7ffe, 8);
        assert_eq!(narrow, [0x90, 0x80, 0x7e, 1, 2]);
        let mut none = [0x10, 1, 2];
        patch(&mut none, 1, 8);
        assert_eq!(none, [0x10, 1, 2]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            let parsed = Descriptor::parse(&bytes).map(|d| d.frame_info(&bytes, true));
            patch(&mut bytes, 77, 78);
            if let (Ok(before), Ok(after)) = (parsed, Descriptor::parse(&bytes)) {
                proptest::prop_assert_eq!(after.picture_id.map(|id| id.value), before.picture_id.map(|_| 77));
                proptest::prop_assert_eq!(after.tl0_pic_idx, before.tl0_pic_idx.map(|_| 78));
            }
        }
    }
}
