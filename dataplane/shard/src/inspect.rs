//! From what a session brings to what routing wants: formats, kinds, and a packet's payload looked at once.
//!
//! A converter only: three crates that may not know each other have a type of their own for the same thing, and meet here.

use crate::world::Source;
use plenum_contract::spec::CodecSpec;
use plenum_packet::{DropReason, Pool};
use plenum_route::info::MAX_ENCODINGS;
use plenum_route::{Arrival, Codec, Format, Frame, Kind, PictureId, RedBlocks};
use plenum_session::Incoming;
use plenum_wire::payload::{self, FrameInfo, dd};
use plenum_wire::plan::PlanExtensions;

/// Digits of RFC 4733 by event number.
const DIGITS: &[u8; 16] = b"0123456789*#ABCD";

/// What a source keeps between packets to read their payloads.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// Timestamp of the newest packet of each encoding.
    timestamps: [Option<u32>; MAX_ENCODINGS],
    dependency: [dd::Parser; MAX_ENCODINGS],
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
    // A descriptor that cannot be read yet (its structure was lost) leaves the packet to what its payload says.
    let dependency = descriptor
        .and_then(|s| packet.get(usize::from(s.start)..usize::from(s.start) + usize::from(s.len)))
        .zip(source.parser.dependency.get_mut(usize::from(incoming.encoding)))
        .and_then(|(bytes, parser)| parser.parse(bytes).ok());
    let info = match len {
        // Padding only: counts for feedback and numbering, holds no frame.
        0 => FrameInfo::default(),
        _ => payload::inspect(wire_codec(format.codec), payload, header.marker, dependency.as_ref())
            .map_err(|_| DropReason::MalformedPayload)?,
    };
    let slot = source.parser.timestamps.get_mut(usize::from(incoming.encoding)).ok_or(DropReason::UnknownSsrc)?;
    // Some formats only tell where a frame could begin: it does when the timestamp is new as well.
    let fresh = slot.replace(header.timestamp) != Some(header.timestamp);
    let frame = frame(info, format.codec, fresh);
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

fn frame(info: FrameInfo, codec: Codec, fresh: bool) -> Frame {
    let told = matches!(codec, Codec::Vp8 | Codec::Vp9) || codec.kind() == Kind::Audio;
    Frame {
        key: info.key_frame && (told || fresh),
        begins: info.start_of_frame && (told || fresh),
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
