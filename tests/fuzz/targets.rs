//! One plain function for each parser of network input in the data plane: any bytes in, a panic only where an invariant breaks.
//!
//! `fuzz/replay.rs` runs every file of `fuzz/corpus/<target>/` through them in `cargo test`; `fuzz/guided` calls the
//! same functions with what libFuzzer makes up. A crash found there becomes a file of the corpus, named for its cause.

#![allow(dead_code, unreachable_pub)]

use plenum_contract::frame;
use plenum_wire::payload::{self, Codec, FrameInfo, dd, pack as packing, red, unpack as unpacking, vp8, vp9};
use plenum_wire::{Patch, demux, ext, rtcp, rtp, stun};

/// A parser under test.
pub type Target = fn(&[u8]);

/// The data plane's targets with their names, which are those of their corpus folders.
pub const TARGETS: &[(&str, Target)] = &[
    ("rtp", rtp),
    ("ext", ext),
    ("rtcp", rtcp),
    ("twcc", twcc),
    ("stun", stun),
    ("vp8", vp8),
    ("vp9", vp9),
    ("h264", h264),
    ("h265", h265),
    ("av1", av1),
    ("dd", dd),
    ("red", red),
    ("unpack", unpack),
    ("pack", pack),
    ("contract_frame", contract_frame),
    ("mix_record", mix_record),
    ("io", io),
    ("dtls_hello", dtls_hello),
    ("ice_check", ice_check),
    ("dcep_open", dcep_open),
];

/// A datagram: demultiplexing, the RTP header, padding.
pub fn rtp(bytes: &[u8]) {
    demux::classify(bytes);
    let Ok(header) = rtp::parse(bytes) else { return };
    assert!(usize::from(header.payload_start) <= bytes.len());
    if let Some(block) = header.extension {
        assert_eq!(usize::from(block.start) + usize::from(block.len), usize::from(header.payload_start));
    }
    if let Ok((start, len)) = rtp::payload_range(&header, bytes) {
        assert!(start + len <= bytes.len());
    }
}

/// An RTP packet whose extension ids are 1 to 10, in the order of [`ext::Kind::ALL`]. What is read is written again and
/// must be read back the same.
pub fn ext(bytes: &[u8]) {
    let Ok(header) = rtp::parse(bytes) else { return };
    let map = ext::ExtensionMap::new((1..).zip(ext::Kind::ALL));
    let values = ext::read(&map, &header, bytes);
    let mut writer = ext::Writer::new(&map);
    for (kind, span) in [
        (ext::Kind::Mid, values.mid),
        (ext::Kind::Rid, values.rid),
        (ext::Kind::RepairedRid, values.repaired_rid),
        (ext::Kind::DependencyDescriptor, values.dependency_descriptor),
    ] {
        if let Some(span) = span {
            assert!(span.of(bytes).len() == span.len() && !span.is_empty());
            writer.bytes(kind, span.of(bytes));
        }
    }
    values.audio_level.map(|v| writer.audio_level(v));
    values.transport_sequence.map(|v| writer.transport_sequence(v));
    values.abs_send_time.map(|v| writer.abs_send_time(v));
    values.abs_capture_time.map(|v| writer.abs_capture_time(v));
    values.playout_delay.map(|v| writer.playout_delay(v));
    values.video_orientation.map(|v| writer.video_orientation(v));

    let mut out = [0; 2048];
    let fields = rtp::Fields { extension: !writer.is_empty(), ..rtp::Fields::default() };
    let at = rtp::write_header(&mut out, &fields).expect("room for a header");
    let written = writer.write(&mut out[at..]).expect("room for ten extensions");
    let out = &out[..at + written.len];
    let again = ext::read(&map, &rtp::parse(out).expect("our own header"), out);
    assert_eq!(again.mid.map(|s| s.of(out)), values.mid.map(|s| s.of(bytes)));
    assert_eq!(again.rid.map(|s| s.of(out)), values.rid.map(|s| s.of(bytes)));
    assert_eq!(again.dependency_descriptor.map(|s| s.of(out)), values.dependency_descriptor.map(|s| s.of(bytes)));
    assert_eq!((again.audio_level, again.transport_sequence), (values.audio_level, values.transport_sequence));
    assert_eq!((again.abs_send_time, again.abs_capture_time), (values.abs_send_time, values.abs_capture_time));
    assert_eq!((again.playout_delay, again.video_orientation), (values.playout_delay, values.video_orientation));
}

/// A decrypted RTCP datagram: every packet and every list of it.
pub fn rtcp(bytes: &[u8]) {
    let Ok(packets) = rtcp::parse(bytes) else { return };
    for packet in packets {
        walk(packet, bytes.len());
    }
}

/// The body of a transport-wide feedback, framed as one.
pub fn twcc(bytes: &[u8]) {
    let body = &bytes[..bytes.len().min(4 * 0xffff) / 4 * 4];
    let mut packet = vec![0x80 | rtcp::format::TRANSPORT, rtcp::packet_type::RTPFB];
    packet.extend(((body.len() / 4) as u16).to_be_bytes());
    packet.extend(body);
    rtcp(&packet);
}

fn walk(packet: rtcp::Packet<'_>, len: usize) {
    match packet {
        rtcp::Packet::SenderReport(p) => assert!(p.reports().count() <= rtcp::MAX_REPORTS),
        rtcp::Packet::ReceiverReport(p) => assert!(p.reports().count() <= rtcp::MAX_REPORTS),
        rtcp::Packet::Sdes(p) => assert!(p.chunks().map(|c| c.items().count() + 1).sum::<usize>() <= len),
        rtcp::Packet::Bye(p) => assert!(p.sources().count() <= rtcp::MAX_REPORTS),
        rtcp::Packet::Nack(p) => assert!(p.sequences().count() <= 17 * len / 4),
        rtcp::Packet::Fir(p) => assert!(p.entries().count() <= len / 8),
        rtcp::Packet::Remb(p) => assert!(p.ssrcs().count() <= 255),
        rtcp::Packet::TransportFeedback(p) => assert_eq!(p.statuses().count(), usize::from(p.status_count)),
        rtcp::Packet::Pli(_) | rtcp::Packet::Unknown { .. } | rtcp::Packet::Broken { .. } => {}
    }
}

/// A datagram from an unknown source: the look into STUN that steers it.
pub fn stun(bytes: &[u8]) {
    demux::classify(bytes);
    let name = stun::username(bytes);
    assert!(name.is_none_or(|n| n.len() <= stun::MAX_USERNAME));
    if let Some(ufrag) = stun::local_ufrag(bytes) {
        assert!(name.is_some_and(|n| n.starts_with(ufrag)));
    }
}

/// A VP8 payload: read, patched, read again.
pub fn vp8(bytes: &[u8]) {
    let _ = vp8::Descriptor::parse(bytes);
    patched(Codec::Vp8, bytes, Patch::Vp8 { picture_id: 77, tl0_pic_idx: 78 });
}

/// A VP9 payload: read, patched, read again.
pub fn vp9(bytes: &[u8]) {
    let _ = vp9::Descriptor::parse(bytes);
    patched(Codec::Vp9, bytes, Patch::Vp9 { picture_id: 77, tl0_pic_idx: 78 });
}

/// A patch changes the ids that are there and nothing else.
fn patched(codec: Codec, bytes: &[u8], patch: Patch) {
    let before = payload::inspect(codec, bytes, true, None);
    let mut copy = bytes.to_vec();
    payload::patch(&mut copy, patch);
    let Ok(before) = before else {
        assert_eq!(copy, bytes);
        return;
    };
    let wanted = FrameInfo {
        picture_id: before.picture_id.map(|id| payload::PictureId { value: 77, ..id }),
        tl0_pic_idx: before.tl0_pic_idx.map(|_| 78),
        ..before
    };
    assert_eq!(payload::inspect(codec, &copy, true, None), Ok(wanted));
}

/// An H.264 payload, and the same bytes as a sequence parameter set.
pub fn h264(bytes: &[u8]) {
    let _ = payload::inspect(Codec::H264, bytes, false, None);
    let _ = payload::h264::sps_dimensions(bytes);
}

/// An H.265 payload, and the same bytes as a sequence parameter set.
pub fn h265(bytes: &[u8]) {
    let _ = payload::inspect(Codec::H265, bytes, false, None);
    let _ = payload::h265::sps_dimensions(bytes);
}

/// An AV1 payload, and the same bytes as a sequence header.
pub fn av1(bytes: &[u8]) {
    let _ = payload::inspect(Codec::Av1, bytes, false, None);
    let _ = payload::av1::sequence_dimensions(bytes);
}

/// Dependency descriptors of one stream, each behind a byte with its length. What is read can be written, and is read the same.
pub fn dd(mut bytes: &[u8]) {
    let mut parser = dd::Parser::new();
    while let Some((&len, rest)) = bytes.split_first() {
        let (descriptor, rest) = rest.split_at(usize::from(len).min(rest.len()));
        bytes = rest;
        let mut other = parser.clone();
        let Ok(frame) = parser.parse(descriptor) else { continue };
        if frame.has_structure {
            // One that is late is read and not kept.
            other = dd::Parser::new();
            other.parse(descriptor).expect("it needs no other");
        }
        let mut out = [0; 4096];
        let structure = other.structure().expect("it was read with one").clone();
        let len = frame.write(&structure, &mut out).expect("what was read fits");
        let mut again = other.parse(&out[..len]).expect("our own descriptor");
        again.mandatory.template_id = frame.mandatory.template_id;
        assert_eq!(again, frame);
        assert!(frame.spatial < dd::MAX_SPATIAL && frame.temporal < dd::MAX_TEMPORAL);
        assert!(frame.fdiffs().iter().all(|&fdiff| fdiff > 0));
        assert!(usize::from(frame.decode_targets) <= dd::MAX_DECODE_TARGETS);
        frame.amend(&mut FrameInfo::default());
    }
}

/// A RED payload: its blocks fill it, and a cut one has a single block.
pub fn red(bytes: &[u8]) {
    if let Ok(blocks) = red::blocks(bytes) {
        let sizes: usize = blocks.map(|b| b.data.len() + if b.primary { 1 } else { 4 }).sum();
        assert_eq!(sizes, bytes.len());
    }
    let mut copy = bytes.to_vec();
    if let Ok(start) = red::cut(&mut copy) {
        assert_eq!(red::blocks(&copy[start..]).map(Iterator::count), Ok(1));
    }
}

/// Payloads of frames: a byte that names the codec, then payloads, each behind two bytes with its length. An empty one ends the frame.
pub fn unpack(bytes: &[u8]) {
    let Some((&codec, mut bytes)) = bytes.split_first() else { return };
    let codec = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1][usize::from(codec % 4)];
    let mut unpacker = unpacking::Unpacker::new(codec).expect("a video codec");
    let mut unit = Vec::new();
    unpacker.begin(&mut unit);
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (payload, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        bytes = rest;
        if payload.is_empty() || unpacker.push(payload, &mut unit).is_err() {
            let _ = unpacker.finish(&unit);
            unpacker.begin(&mut unit);
        }
        assert!(unit.len() <= unpacking::MAX_UNIT);
    }
    if unpacker.finish(&unit).is_ok() {
        let again = packed(codec, 1160, false, &unit);
        assert!(codec == Codec::H264 || again.is_none_or(|again| again == unit));
    }
}

/// An access unit behind a byte for codec and mode and one for the payload limit.
pub fn pack(bytes: &[u8]) {
    let [mode, max, unit @ ..] = bytes else { return };
    let codec = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1][usize::from(mode % 4)];
    let max = 64 + 5 * usize::from(*max);
    if let Some(again) = packed(codec, max, mode & 0x80 != 0, unit) {
        // Byte for byte the same, or the same in the form that the unpacker gives it.
        assert!(again == unit || codec == Codec::H264 || packed(codec, max, false, &again) == Some(again));
    }
}

/// Payloads are within the limit, the last one has the marker, and together they are a frame again: that frame; `None` for what is not packed.
fn packed(codec: Codec, max: usize, single: bool, unit: &[u8]) -> Option<Vec<u8>> {
    let mut packer = packing::Packer::new(codec, max, 7).expect("a codec that is packed");
    if single {
        packer = packer.single_nal();
    }
    let (mut payloads, mut markers) = (Vec::new(), 0);
    let tags = packing::FrameTags { key: max.is_multiple_of(2), ..Default::default() };
    let packed = packer.pack(unit, tags, &mut |piece| {
        payloads.push([piece.head, piece.body].concat());
        markers += usize::from(piece.last);
    });
    if packed.is_err() {
        assert!(payloads.is_empty());
        return None;
    }
    assert!(markers == 1 && payloads.iter().all(|p| p.len() <= max && !p.is_empty()));
    let (mut unpacker, mut again) = (unpacking::Unpacker::new(codec).expect("a video codec"), Vec::new());
    unpacker.begin(&mut again);
    for payload in &payloads {
        unpacker.push(payload, &mut again).expect("our own payload");
    }
    unpacker.finish(&again).expect("our own frame");
    Some(again)
}

/// A stream of contract frames, read in both directions.
pub fn contract_frame(bytes: &[u8]) {
    // What was read can be written, unless defaults made it longer than a frame may be.
    let mut reader = frame::Reader::default();
    reader.push(bytes);
    while let Ok(Some(command)) = reader.next::<plenum_contract::Command>() {
        let _ = frame::write(&command, &mut Vec::new());
    }
    let mut reader = frame::Reader::default();
    reader.push(bytes);
    while let Ok(Some(message)) = reader.next::<plenum_contract::Message>() {
        let _ = frame::write(&message, &mut Vec::new());
    }
}

/// A record of the rings between media and the mixer, read by both sides. What was read is written the same.
pub fn mix_record(bytes: &[u8]) {
    let mut again = Vec::new();
    if let Ok(value) = plenum_contract::ToMix::read(bytes)
        && value.write(&mut again).is_ok()
    {
        assert_eq!(plenum_contract::ToMix::read(&again), Ok(value));
    }
    let mut again = Vec::new();
    if let Ok(value) = plenum_contract::FromMix::read(bytes) {
        value.write(&mut again).expect("what was read fits");
        assert_eq!(plenum_contract::FromMix::read(&again), Ok(value));
    }
}

/// What sockets give beside payload: control messages, names, the framing of TCP streams (RFC 4571).
pub fn io(bytes: &[u8]) {
    plenum_io::parse_any(bytes);
}

/// Datagrams from a peer before its DTLS engine is chosen, each behind two bytes with its length.
pub fn dtls_hello(mut bytes: &[u8]) {
    let mut waiting = plenum_session::dtls::hello::Waiting::default();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (datagram, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        bytes = rest;
        if let Ok(Some(_)) = waiting.push(datagram) {
            assert!(waiting.datagrams.last().is_some_and(|last| last == datagram));
            waiting = plenum_session::dtls::hello::Waiting::default();
        }
        assert!(waiting.datagrams.len() < 8, "what waits is bounded");
    }
}

/// A STUN message to a session, as it is and with the integrity that it would need.
pub fn ice_check(bytes: &[u8]) {
    plenum_session::check_any(bytes);
}

/// The message that opens a data channel.
pub fn dcep_open(bytes: &[u8]) {
    plenum_session::open_any(bytes);
}
