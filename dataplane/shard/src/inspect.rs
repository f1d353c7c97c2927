//! From what a session brings to what routing wants: formats, kinds, and a packet's payload looked at once.
//!
//! A converter only: three crates that may not know each other have a type of their own for the same thing, and meet here.

use crate::world::Source;
use plenum_contract::spec::CodecSpec;
use plenum_packet::{DropReason, Pool};
use plenum_route::info::MAX_ENCODINGS;
use plenum_route::{Arrival, Codec, Format, Frame, Kind, PictureId, RedBlocks};
use plenum_session::Incoming;
use plenum_wire::payload::{self, FrameInfo, LayerSizes, dd};
use plenum_wire::plan::PlanExtensions;

/// Digits of RFC 4733 by event number.
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

/// What a source keeps between packets to read their payloads.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// Timestamp of the newest packet of each encoding.
    timestamps: [Option<u32>; MAX_ENCODINGS],
    /// Made at the first descriptor of an encoding: a parser holds a whole structure, and most sources send none.
    dependency: [Option<Box<dd::Parser>>; MAX_ENCODINGS],
    /// Sizes of the spatial layers of each encoding, which only key frames tell (VP9).
    sizes: [LayerSizes; MAX_ENCODINGS],
}

/// Sound or picture; `None` for data.
pub(crate) fn route_kind(kind: plenum_contract::Kind) -> Option<Kind> {
    match kind {
        plenum_contract::Kind::Audio => Some(Kind::Audio),
        plenum_contract::Kind::Video => Some(Kind::Video),
        plenum_contract::Kind::Data => None,
    }
}

/// The format that a payload type stands for.
pub(crate) fn format_of(spec: &CodecSpec) -> Format {
    use plenum_contract::Codec as C;
    let codec = match spec.codec {
        C::Opus => Codec::Opus,
        C::Red => Codec::Red,
        C::Pcmu => Codec::Pcmu,
        C::Pcma => Codec::Pcma,
        C::G722 => Codec::G722,
        C::TelephoneEvent => Codec::TelephoneEvent,
        C::Vp8 => Codec::Vp8,
        C::Vp9 => Codec::Vp9,
        C::H264 => Codec::H264,
        C::H265 => Codec::H265,
        C::Av1 => Codec::Av1,
        C::G726 => Codec::G726,
        C::Ilbc => Codec::Ilbc,
        C::Ilbc30 => Codec::Ilbc30,
    };
    Format { codec, profile: spec.profile, clock: spec.clock }
}

/// Describes a packet for its track.
///
/// # Errors
/// [`DropReason::UnknownPayloadType`], [`DropReason::MalformedPayload`].
pub(crate) fn arrival(incoming: &Incoming, source: &mut Source, pool: &Pool) -> Result<Arrival, DropReason> {
    let format = *source.formats.get(usize::from(incoming.codec_index)).ok_or(DropReason::UnknownPayloadType)?;
    let packet = pool.bytes(&incoming.buf);
    let (start, len) = (usize::from(incoming.payload.0), usize::from(incoming.payload.1));
    let payload = packet.get(start..start + len).ok_or(DropReason::MalformedPayload)?;
    let header = &incoming.header;
    let values = &incoming.values;
    let descriptor = values.dependency_descriptor;
    let view = View {
        codec: format.codec,
        encoding: usize::from(incoming.encoding),
        timestamp: header.timestamp,
        marker: header.marker,
        payload,
        descriptor: descriptor.map(|s| s.of(packet)),
        made: false,
    };
    let frame = source.parser.frame(&view)?;
    Ok(Arrival {
        encoding: incoming.encoding,
        ssrc: header.ssrc,
        format,
        sequence: header.sequence,
        timestamp: header.timestamp,
        marker: header.marker,
        received: incoming.received,
        payload: incoming.payload,
        frame,
        extensions: PlanExtensions {
            audio_level: values.audio_level,
            video_orientation: values.video_orientation,
            playout_delay: values.playout_delay,
            abs_capture_time: values.abs_capture_time,
            ..PlanExtensions::default()
        },
        dependency_descriptor: descriptor.map(|s| (s.start, s.len)),
    })
}

/// The digit that a telephone event begins to tell; `None` for other packets and for repetitions.
pub(crate) fn digit(incoming: &Incoming, source: &mut Source, pool: &Pool) -> Option<char> {
    let format = source.formats.get(usize::from(incoming.codec_index))?;
    if format.codec != Codec::TelephoneEvent || source.told_digit == Some(incoming.header.timestamp) {
        return None;
    }
    let event = *pool.bytes(&incoming.buf).get(usize::from(incoming.payload.0))?;
    let digit = *DIGITS.get(usize::from(event))?;
    source.told_digit = Some(incoming.header.timestamp);
    Some(char::from(digit))
}

fn wire_codec(codec: Codec) -> payload::Codec {
    match codec {
        Codec::Vp8 => payload::Codec::Vp8,
        Codec::Vp9 => payload::Codec::Vp9,
        Codec::H264 => payload::Codec::H264,
        Codec::H265 => payload::Codec::H265,
        Codec::Av1 => payload::Codec::Av1,
        Codec::Red => payload::Codec::Red,
        _ => payload::Codec::Opaque,
    }
}

/// What a packet's frame is told from.
pub(crate) struct View<'a> {
    pub(crate) codec: Codec,
    pub(crate) encoding: usize,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: &'a [u8],
    pub(crate) descriptor: Option<&'a [u8]>,
    /// Our own mixer made it: what nothing refers to is then the upper of two temporal layers, where the codec has no word for layers.
    pub(crate) made: bool,
}

impl Parser {
    pub(crate) fn frame(&mut self, view: &View<'_>) -> Result<Frame, DropReason> {
        let dependency = self.dependency.get_mut(view.encoding).ok_or(DropReason::UnknownSsrc)?;
        // A descriptor that cannot be read yet (its structure was lost) leaves the packet to what its payload says.
        let dependency = view.descriptor.and_then(|bytes| dependency.get_or_insert_default().parse(bytes).ok());
        let mut info = match view.payload {
            // Padding only: counts for feedback and numbering, holds no frame.
            [] => FrameInfo::default(),
            payload => payload::inspect(wire_codec(view.codec), payload, view.marker, dependency.as_ref())
                .map_err(|_| DropReason::MalformedPayload)?,
        };
        // Its number is readable all the same, and is rewritten like all others: a receiver would take it for a jump.
        let number = || Some(dd::Mandatory::parse(view.descriptor?).ok()?.frame_number);
        info.frame_number = info.frame_number.or_else(number);
        if view.made && view.codec == Codec::H264 && info.discardable {
            (info.temporal, info.temporal_sync) = (1, true);
        }
        if view.codec == Codec::Vp9 {
            let sizes = &mut self.sizes[view.encoding];
            *sizes = info.layer_sizes.unwrap_or(*sizes);
            info.dimensions = sizes.get(usize::from(info.spatial)).copied().filter(|size| size.0 > 0);
        }
        // Some formats only tell where a frame could begin: it does when the timestamp is new as well.
        let fresh = self.timestamps[view.encoding].replace(view.timestamp) != Some(view.timestamp);
        let told = dependency.is_some() || matches!(view.codec, Codec::Vp8 | Codec::Vp9);
        Ok(frame(info, fresh || told || view.codec.kind() == Kind::Audio))
    }
}

/// `begins`: whether a frame begins where the format says that one could.
fn frame(info: FrameInfo, begins: bool) -> Frame {
    Frame {
        key: info.key_frame && begins,
        begins: info.start_of_frame && begins,
        ends: info.end_of_frame,
        spatial: info.spatial,
        temporal: info.temporal,
        spatial_sync: info.spatial_sync,
        temporal_sync: info.temporal_sync,
        switch_up: info.switch_up,
        picture_id: info.picture_id.map(|p| PictureId { value: p.value, wide: p.wide }),
        tl0_pic_idx: info.tl0_pic_idx,
        frame_number: info.frame_number,
        dimensions: info.dimensions,
        red: info.red.map(|red| RedBlocks {
            payload_type: red.payload_type,
            primary_start: red.data.start,
            primary_len: red.data.len,
            oldest_offset: red.oldest_offset,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First bytes of a dependency descriptor that needs a structure: first packet of frame 0x0203, template 5.
    const WITHOUT_STRUCTURE: [u8; 3] = [0x85, 2, 3];

    fn view<'a>(codec: Codec, timestamp: u32, payload: &'a [u8]) -> View<'a> {
        View { codec, encoding: 0, timestamp, marker: false, payload, descriptor: None, made: false }
    }

    /// A VP9 payload: first packet of a layer frame, with picture id and layer indices; the base of a key frame brings the sizes.
    fn vp9(spatial: u8, key: bool) -> Vec<u8> {
        let structure = key && spatial == 0;
        let mut payload = vec![0xa8 | if key { 0 } else { 0x40 } | if structure { 2 } else { 0 }, 5, spatial << 1, 0];
        if structure {
            payload.push(2 << 5 | 0x10);
            for (width, height) in [(240u16, 136u16), (480, 270), (960, 540)] {
                payload.extend(width.to_be_bytes());
                payload.extend(height.to_be_bytes());
            }
        }
        payload.push(0xff);
        payload
    }

    #[test]
    fn each_layer_of_a_vp9_picture_has_the_size_that_the_key_frame_told() {
        let mut parser = Parser::default();
        let size = |parser: &mut Parser, spatial, key| {
            parser.frame(&view(Codec::Vp9, 1, &vp9(spatial, key))).unwrap().dimensions
        };
        assert_eq!(size(&mut parser, 1, false), None);
        assert_eq!(size(&mut parser, 0, true), Some((240, 136)));
        assert_eq!(size(&mut parser, 1, true), Some((480, 270)));
        assert_eq!(size(&mut parser, 2, false), Some((960, 540)));
        assert_eq!(size(&mut parser, 3, false), None);
    }

    #[test]
    fn a_descriptor_without_its_structure_still_numbers_its_frame() {
        let mut parser = Parser::default();
        let packet = View { descriptor: Some(&WITHOUT_STRUCTURE), ..view(Codec::Av1, 1, &[0x18, 0x0a, 1, 2]) };
        let frame = parser.frame(&packet).unwrap();
        assert!(frame.key && frame.begins);
        assert_eq!(frame.frame_number, Some(0x0203));
        let vp8 = View { codec: Codec::Vp8, payload: &[0x10, 0x9d, 0x01, 0x2a], ..packet };
        assert_eq!(parser.frame(&vp8).unwrap().frame_number, Some(0x0203));
    }

    #[test]
    fn a_descriptor_tells_where_the_upper_layer_of_a_picture_begins() {
        let mut parser = Parser::default();
        // Two spatial layers: a key picture's base with the structure, and the layer above it.
        let base = [0xc0, 0x00, 0x01, 0x80, 0x01, 0xba, 0x24, 0x00];
        for (descriptor, spatial) in [(&base[..], 0), (&[0xc1, 0, 2], 1)] {
            let packet = View { descriptor: Some(descriptor), ..view(Codec::Av1, 1, &[0x18, 0x0a, 1, 2]) };
            let frame = parser.frame(&packet).unwrap();
            assert_eq!(
                (frame.begins, frame.key, frame.spatial, frame.spatial_sync),
                (true, spatial == 0, spatial, true)
            );
        }
    }

    #[test]
    fn h264_that_was_made_here_has_the_layers_that_its_references_tell_and_that_of_others_has_one() {
        let mut parser = Parser::default();
        // A reference picture, and one that nothing refers to, whole and in fragments.
        let payloads: [(&[u8], u8); 4] =
            [(&[0x61, 0x9a], 0), (&[0x01, 0x9a], 1), (&[0x1c, 0x81, 0x9a], 1), (&[0x1c, 0x41, 7], 1)];
        for (at, (payload, temporal)) in payloads.into_iter().enumerate() {
            for (made, temporal) in [(true, temporal), (false, 0)] {
                let timestamp = 10 * at as u32 + u32::from(made);
                let packet = View { made, ..view(Codec::H264, timestamp, payload) };
                let frame = parser.frame(&packet).unwrap();
                assert_eq!((frame.temporal, frame.temporal_sync), (temporal, temporal > 0), "{payload:?}");
            }
        }
    }

    #[test]
    fn without_a_descriptor_a_frame_begins_with_its_timestamp() {
        let mut parser = Parser::default();
        let begins = |parser: &mut Parser, timestamp| {
            parser.frame(&view(Codec::Av1, timestamp, &[0x10, 0x30, 1])).unwrap().begins
        };
        assert!(begins(&mut parser, 1) && !begins(&mut parser, 1) && begins(&mut parser, 2));
    }
}
