//! VP9 payload descriptor (RFC 9628 section 4.2): layers, picture ids, scalability structure.
//!
//! The coded picture is not looked at: everything that routing needs stands in the descriptor, the size of the layers in
//! the scalability structure that comes with a key frame.

use super::{FrameInfo, LayerSizes, PictureId};
use crate::Malformed;
use crate::bytes::{u8_at, u16_at};

/// Most reference indices of a frame in flexible mode (RFC 9628 section 4.2).
const MAX_REFERENCES: usize = 3;

/// Most spatial layers: N_S has three bits.
pub const MAX_SPATIAL: usize = 8;

/// A payload descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// P: this layer frame refers to earlier pictures.
    pub inter_picture: bool,
    /// F: flexible mode.
    pub flexible: bool,
    /// B: start of a layer frame.
    pub begins: bool,
    /// E: end of a layer frame.
    pub ends: bool,
    /// Z: no higher spatial layer refers to this one.
    pub not_reference_above: bool,
    /// Picture id.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX, only in non-flexible mode.
    pub tl0_pic_idx: Option<u8>,
    /// Layer indices.
    pub layer: Option<LayerIndices>,
    /// The scalability structure.
    pub structure: Option<Structure>,
    /// Offset of the coded bytes in the payload.
    pub payload_start: u16,
    picture_id_at: u8,
    tl0_at: u8,
}

/// Layer indices of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerIndices {
    /// TID: temporal layer.
    pub temporal: u8,
    /// U: later frames of higher temporal layers do not refer to frames of these layers before this one.
    pub switch_up: bool,
    /// SID: spatial layer.
    pub spatial: u8,
    /// D: refers to the spatial layer below in the same picture.
    pub inter_layer: bool,
}

/// The part of the scalability structure that routing reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Number of spatial layers, 1 to 8.
    pub spatial_layers: u8,
    /// Width and height of each layer; `None` when the sender does not say.
    pub sizes: Option<[(u16, u16); MAX_SPATIAL]>,
}

impl Descriptor {
    /// Reads the descriptor at the start of `payload`.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when no coded byte follows it, [`Malformed::Value`] for flexible mode without a picture
    /// id or with more than three references.
    pub fn parse(payload: &[u8]) -> Result<Descriptor, Malformed> {
        let first = u8_at(payload, 0)?;
        let has = |bit: u8| first & bit != 0;
        let mut d = Descriptor {
            inter_picture: has(0x40),
            flexible: has(0x10),
            begins: has(0x08),
            ends: has(0x04),
            not_reference_above: has(0x01),
            picture_id: None,
            tl0_pic_idx: None,
            layer: None,
            structure: None,
            payload_start: 0,
            picture_id_at: 0,
            tl0_at: 0,
        };
        let mut at = 1;
        if has(0x80) {
            let id = PictureId::read(payload, at)?;
            (d.picture_id, d.picture_id_at) = (Some(id), at as u8);
            at += id.size();
        } else if d.flexible {
            return Err(Malformed::Value);
        }
        if has(0x20) {
            let byte = u8_at(payload, at)?;
            at += 1;
            d.layer = Some(LayerIndices {
                temporal: byte >> 5,
                switch_up: byte & 0x10 != 0,
                spatial: byte >> 1 & 7,
                inter_layer: byte & 1 != 0,
            });
            if !d.flexible {
                (d.tl0_pic_idx, d.tl0_at) = (Some(u8_at(payload, at)?), at as u8);
                at += 1;
            }
        }
        if d.flexible && d.inter_picture {
            at = skip_references(payload, at)?;
        }
        if has(0x02) {
            let (structure, end) = Structure::parse(payload, at)?;
            d.structure = Some(structure);
            at = end;
        }
        if at >= payload.len() {
            return Err(Malformed::Truncated);
        }
        d.payload_start = at as u16;
        Ok(d)
    }

    /// What routing needs to know.
    pub fn frame_info(&self) -> FrameInfo {
        let layer =
            self.layer.unwrap_or(LayerIndices { temporal: 0, switch_up: false, spatial: 0, inter_layer: false });
        FrameInfo {
            start_of_frame: self.begins,
            end_of_frame: self.ends,
            key_frame: self.begins && !self.inter_picture && layer.spatial == 0,
            dimensions: self.structure.and_then(|s| s.size(layer.spatial)),
            layer_sizes: self.structure.and_then(|s| s.layer_sizes()),
            spatial: layer.spatial,
            temporal: layer.temporal,
            spatial_sync: !self.inter_picture,
            switch_up: layer.switch_up,
            picture_id: self.picture_id,
            tl0_pic_idx: self.tl0_pic_idx,
            ..FrameInfo::default()
        }
    }
}

fn skip_references(payload: &[u8], mut at: usize) -> Result<usize, Malformed> {
    for _ in 0..MAX_REFERENCES {
        let byte = u8_at(payload, at)?;
        at += 1;
        if byte & 1 == 0 {
            return Ok(at);
        }
    }
    Err(Malformed::Value)
}

impl Structure {
    /// Reads the structure at `at`; also returns the offset behind it.
    fn parse(payload: &[u8], mut at: usize) -> Result<(Structure, usize), Malformed> {
        let head = u8_at(payload, at)?;
        at += 1;
        let spatial_layers = (head >> 5) + 1;
        let mut sizes = None;
        if head & 0x10 != 0 {
            let mut list = [(0, 0); MAX_SPATIAL];
            for size in &mut list[..usize::from(spatial_layers)] {
                *size = (u16_at(payload, at)?, u16_at(payload, at + 2)?);
                at += 4;
            }
            sizes = Some(list);
        }
        if head & 0x08 != 0 {
            let pictures = u8_at(payload, at)?;
            at += 1;
            for _ in 0..pictures {
                at += 1 + usize::from(u8_at(payload, at)? >> 2 & 3);
            }
        }
        Ok((Structure { spatial_layers, sizes }, at))
    }

    /// Width and height of the layers up to the highest that routing tells apart, 0 × 0 for those that do not exist.
    fn layer_sizes(&self) -> Option<LayerSizes> {
        self.sizes.map(|sizes| core::array::from_fn(|layer| sizes[layer]))
    }

    /// Width and height of a spatial layer, when it exists and the sender says.
    pub fn size(&self, spatial: u8) -> Option<(u16, u16)> {
        if spatial >= self.spatial_layers {
            return None;
        }
        self.sizes.map(|sizes| sizes[usize::from(spatial)])
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

    #[test]
    fn a_key_frame_of_three_spatial_layers_tells_their_sizes() {
        let mut payload = vec![0x80 | 0x20 | 0x08 | 0x02, 0x80, 0x05, 0x00, 42];
        payload.push(2 << 5 | 0x10 | 0x08);
        for (w, h) in [(320u16, 180u16), (640, 360), (1280, 720)] {
            payload.extend(w.to_be_bytes());
            payload.extend(h.to_be_bytes());
        }
        payload.extend([2, 0x04, 1, 0x38, 1, 2, 0xaa]);
        let d = Descriptor::parse(&payload).unwrap();
        let s = d.structure.unwrap();
        assert_eq!((s.spatial_layers, s.size(2), s.size(3)), (3, Some((1280, 720)), None));
        assert_eq!(usize::from(d.payload_start), payload.len() - 1);
        let info = d.frame_info();
        assert!(info.key_frame && info.start_of_frame && !info.end_of_frame && info.spatial_sync);
        assert_eq!((info.dimensions, info.tl0_pic_idx), (Some((320, 180)), Some(42)));
        assert_eq!(info.layer_sizes, Some([(320, 180), (640, 360), (1280, 720), (0, 0)]));
        for cut in 0..payload.len() {
            assert_eq!(Descriptor::parse(&payload[..cut]), Err(Malformed::Truncated));
        }
    }

    #[test]
    fn layer_indices_say_where_a_receiver_may_go_up() {
        // Inter-picture, spatial 1, temporal 2, switch up, inter-layer.
        let d = Descriptor::parse(&[0xec, 0x11, 2 << 5 | 0x10 | 1 << 1 | 1, 9, 0xff]).unwrap();
        let info = d.frame_info();
        assert_eq!((info.spatial, info.temporal, info.switch_up, info.spatial_sync), (1, 2, true, false));
        assert!(d.layer.unwrap().inter_layer && !info.key_frame);
        // The same layer without inter-picture prediction: a receiver of the spatial layer below may go up.
        let info = Descriptor::parse(&[0xac, 0x11, 1 << 1 | 1, 9, 0xff]).unwrap().frame_info();
        assert!(info.spatial_sync && !info.key_frame);
    }

    #[test]
    fn flexible_mode_has_references_and_no_tl0() {
        let d = Descriptor::parse(&[0xfc, 0x11, 0, 3, 5, 6, 0xff]);
        assert_eq!(d.map(|d| (d.payload_start, d.tl0_pic_idx)), Ok((6, None)));
        assert_eq!(Descriptor::parse(&[0xfc, 0x11, 0, 3, 5, 7, 0xff]), Err(Malformed::Value));
        assert_eq!(Descriptor::parse(&[0x7c, 0, 2, 0xff]), Err(Malformed::Value));
    }

    #[test]
    fn a_patch_keeps_the_width_and_everything_else() {
        let mut payload = [0xa8, 0x80, 0x05, 0x00, 42, 0xff];
        patch(&mut payload, 0x1234, 43);
        assert_eq!(payload, [0xa8, 0x92, 0x34, 0x00, 43, 0xff]);
        let mut payload = [0x88, 0x05, 0xff];
        patch(&mut payload, 0x1234, 43);
        assert_eq!(payload, [0x88, 0x34, 0xff]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let parsed = Descriptor::parse(&bytes).map(|d| d.frame_info());
            patch(&mut bytes, 77, 78);
            if let Ok(before) = parsed {
                let after = Descriptor::parse(&bytes).unwrap().frame_info();
                proptest::prop_assert_eq!(after.picture_id.map(|id| id.value), before.picture_id.map(|_| 77));
                proptest::prop_assert_eq!(after.tl0_pic_idx, before.tl0_pic_idx.map(|_| 78));
                proptest::prop_assert_eq!(after.dimensions, before.dimensions);
            }
        }
    }
}
