//! The seeds of the corpus: for each target some valid inputs and some nasty ones, made by code.
//!
//! The files in `fuzz/corpus` hold them, together with what fuzzing found later; `fuzz/replay.rs` compares the two, and
//! writes the files when `PLENUM_WRITE_CORPUS` is set.

#[path = "control_seeds.rs"]
mod control;
#[path = "decoder_seeds.rs"]
mod decoders;

use plenum_contract::{Command, LegKey, Message, frame};
use plenum_packet::{Bitrate, Time};
use plenum_wire::{ext, rtcp, rtp};

/// One input.
pub(crate) struct Seed {
    /// Its target.
    pub(crate) target: &'static str,
    /// File name.
    pub(crate) name: &'static str,
    /// Content.
    pub(crate) bytes: Vec<u8>,
}

/// Every seed.
pub(crate) fn all() -> Vec<Seed> {
    let groups = [
        ("rtp", rtp_seeds()),
        ("ext", ext_seeds()),
        ("rtcp", rtcp_seeds()),
        ("twcc", twcc_seeds()),
        ("stun", stun_seeds()),
        ("vp8", vp8_seeds()),
        ("vp9", vp9_seeds()),
        ("h264", h264_seeds()),
        ("h265", h265_seeds()),
        ("av1", av1_seeds()),
        ("dd", dd_seeds()),
        ("red", red_seeds()),
        ("unpack", unpack_seeds()),
        ("pack", pack_seeds()),
        ("contract_frame", contract_seeds()),
        ("mix_record", mix_seeds()),
        ("io", io_seeds()),
        ("dtls_hello", hello_seeds()),
        ("ice_check", check_seeds()),
        ("dcep_open", open_seeds()),
    ];
    let groups = groups.into_iter().chain(decoders::all()).chain(control::all());
    let seed = |target, (name, bytes)| Seed { target, name, bytes };
    groups.flat_map(|(target, list)| list.into_iter().map(move |s| seed(target, s))).collect()
}

type Named = Vec<(&'static str, Vec<u8>)>;

fn packet(extension: bool, padding: bool) -> Vec<u8> {
    let fields = rtp::Fields { extension, padding, payload_type: 96, sequence: 7, ssrc: 9, ..Default::default() };
    let mut out = vec![0; rtp::FIXED_LEN];
    rtp::write_header(&mut out, &fields).expect("room");
    out
}

fn rtp_seeds() -> Named {
    let plain = [packet(false, false), vec![0xaa; 20]].concat();
    let mut padded = [packet(false, false), vec![0; 20]].concat();
    rtp::write_padding(&mut padded, 24, 8).expect("room");
    let mut sources = [packet(false, false), vec![1; 64]].concat();
    sources[0] = 0x8f;
    let extended = [packet(true, false), vec![0xbe, 0xde, 0, 1, 0x10, 5, 0, 0], vec![3; 9]].concat();
    vec![
        ("plain", plain.clone()),
        ("padded", padded),
        ("fifteen_sources", sources.clone()),
        ("sources_beyond_the_end", sources[..40].to_vec()),
        ("extended", extended),
        ("extension_beyond_the_end", [packet(true, false), vec![0xbe, 0xde, 0xff, 0xff, 1]].concat()),
        ("padding_of_zero", [packet(false, true), vec![0; 4]].concat()),
        ("padding_beyond_the_payload", [packet(false, true), vec![0xff; 4]].concat()),
        ("padding_without_payload", packet(false, true)),
        ("too_short", plain[..11].to_vec()),
        ("version_1", [&[0x40], &plain[1..]].concat()),
        ("empty", vec![]),
    ]
}

fn ext_seeds() -> Named {
    let map = ext::ExtensionMap::new((1..).zip(ext::Kind::ALL));
    let write = |writer: &ext::Writer<'_>| {
        let mut block = vec![0; 600];
        let len = writer.write(&mut block).expect("room").len;
        [packet(true, false), block[..len].to_vec(), vec![1, 2, 3]].concat()
    };
    let mut short = ext::Writer::new(&map);
    short.mid(b"0").rid(b"h").audio_level(0x9e).transport_sequence(7).abs_send_time(77).abs_capture_time(1 << 33);
    short.playout_delay([0, 1, 2]).video_orientation(1).dependency_descriptor(&[0x80, 0, 1]);
    let long = [7; 200];
    let mut two_byte = short;
    two_byte.repaired_rid(b"h").dependency_descriptor(&long);
    let raw = |profile: u16, elements: &[u8]| {
        let words = (elements.len() / 4) as u16;
        [&packet(true, false)[..], &profile.to_be_bytes(), &words.to_be_bytes(), elements].concat()
    };
    vec![
        ("one_byte", write(&short)),
        ("two_byte", write(&two_byte)),
        ("id_15_ends", raw(0xbede, &[0x10, b'0', 0xf0, 0x40, 0x40, 9, 0, 0])),
        ("one_byte_overrun", raw(0xbede, &[0x1f, b'0', 0, 0])),
        ("two_byte_overrun", raw(0x1000, &[1, 255, 0, 0])),
        ("two_byte_cut_after_id", raw(0x1000, &[0, 0, 0, 1])),
        ("empty_values", raw(0x100f, &[1, 0, 2, 0, 10, 0, 5, 0])),
        ("short_values", raw(0x1000, &[5, 1, 9, 6, 2, 9, 9, 7, 1, 9, 8, 2, 9, 9, 0, 0])),
        ("other_profile", raw(0xabac, &[0x10, b'0', 0, 0])),
        ("empty_block", raw(0xbede, &[])),
        ("same_id_twice", raw(0xbede, &[0x10, b'0', 0x10, b'1'])),
    ]
}

fn rtcp_seeds() -> Named {
    let written = |f: &dyn Fn(&mut rtcp::Writer<'_>)| {
        let mut out = vec![0; 1500];
        let mut writer = rtcp::Writer::new(&mut out);
        f(&mut writer);
        let len = writer.len();
        out.truncate(len);
        out
    };
    let block = rtcp::ReportBlock { ssrc: 7, fraction_lost: 3, cumulative_lost: -1, ..Default::default() };
    let compound = written(&|w| {
        w.sender_report(1, 1 << 40, 90_000, (10, 1000), &[block]).expect("room");
        w.sdes(&[(1, b"plenum"), (2, b"")]).expect("room");
        w.nack(1, 2, &[65_535, 0, 16, 300]).expect("room");
        w.bye(&[1, 2]).expect("room");
    });
    let feedback = written(&|w| {
        w.pli(1, 2).expect("room");
        w.fir(1, &[(2, 7)]).expect("room");
        w.remb(1, Bitrate::kbps(2500), &[2, 3]).expect("room");
        w.receiver_report(1, &[block; 31]).expect("room");
    });
    let mut endless_sdes = compound.clone();
    let sdes = 4 + 24 + 24;
    endless_sdes[sdes + 9] = 0xff;
    vec![
        ("cut", compound[..compound.len() - 4].to_vec()),
        ("compound", compound),
        ("feedback", feedback),
        ("sdes_item_beyond_the_end", endless_sdes),
        ("more_blocks_than_bytes", vec![0x9f, 201, 0, 1, 0, 0, 0, 1]),
        ("more_sources_than_bytes", vec![0x9f, 203, 0, 1, 0, 0, 0, 1]),
        ("bye_reason_beyond_the_end", vec![0x80, 203, 0, 1, 0xff, b'a', b'b', b'c']),
        (
            "remb_lies_about_its_sources",
            vec![0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 255, 0xff, 0xff, 0xff],
        ),
        ("padding_beyond_the_body", vec![0xa1, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9]),
        ("padding_without_body", vec![0xa0, 203, 0, 0]),
        ("length_beyond_the_end", vec![0x80, 200, 0xff, 0xff]),
        ("unknown_types", vec![0x80, 204, 0, 0, 0x85, 207, 0, 1, 1, 2, 3, 4]),
    ]
}

fn twcc_seeds() -> Named {
    let body = |base: u64, arrivals: &[rtcp::Arrival]| {
        let mut out = vec![0; 1200];
        let mut writer = rtcp::Writer::new(&mut out);
        writer.transport_feedback(1, 2, 3, base, arrivals).expect("room");
        let len = writer.len();
        out[4..len].to_vec()
    };
    let steady: Vec<_> = (0..100).map(|i| (65_500 + i, Time::from_millis(1000 + i))).collect();
    let lossy: Vec<_> = (0..60).map(|i| (65_500 + 3 * i * i, Time::from_millis(1000 + 70 * (i ^ 1)))).collect();
    let head = |count: u16, rest: &[u8]| {
        [&[0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff][..], &count.to_be_bytes(), &[0xff, 0xff, 0xff, 1], rest].concat()
    };
    vec![
        ("steady", body(65_498, &steady)),
        ("lossy_and_reordered", body(65_400, &lossy)),
        ("no_chunks", head(1, &[])),
        ("most_statuses", head(rtcp::MAX_STATUSES, &[0x1f, 0xff, 0x00, 0x01])),
        ("too_many_statuses", head(0xffff, &[0x1f, 0xff].repeat(10))),
        ("run_without_deltas", head(8, &[0x20, 8, 1, 1])),
        ("run_of_nothing", head(3, &[0, 0, 0, 0, 0, 3, 0, 0])),
        ("reserved_symbol", head(1, &[0xf0, 0, 0, 0])),
        ("large_negative_deltas", head(2, &[0x40, 2, 0x80, 0, 0x80, 0, 0, 0])),
    ]
}

/// A STUN message (RFC 8489 section 5).
fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16).to_be_bytes();
    [&kind.to_be_bytes()[..], &len, &[0x21, 0x12, 0xa4, 0x42], &[5; 12], body].concat()
}

/// The USERNAME of `abcd:wxyz`.
const NAME: [u8; 16] = [0, 6, 0, 9, b'a', b'b', b'c', b'd', b':', b'w', b'x', b'y', b'z', 0, 0, 0];

/// Checks without the integrity, which their target adds.
fn check_seeds() -> Named {
    let priority = [0, 0x24, 0, 4, 0x6e, 0, 0, 0xff];
    let check = |more: &[u8]| message(1, &[&NAME[..], &priority, more].concat());
    let conflict = [&[0x80, 0x29, 0, 8][..], &[9; 8]].concat();
    vec![
        ("plain", check(&[])),
        ("nominating", check(&[&[0x80, 0x2a, 0, 8][..], &[9; 8], &[0, 0x25, 0, 0]].concat())),
        ("conflict", check(&conflict)),
        ("no_priority", message(1, &NAME)),
        ("somebody_else", message(1, &[&NAME[..11], b"yxz\0\0", &priority].concat())),
        ("unknown_attributes", check(&[0xc0, 0x57, 0, 3, 1, 2, 3, 0, 0x7f, 0xff, 0, 0])),
        ("attribute_beyond_the_end", check(&[0x80, 0x22, 0xff, 0xff])),
        ("bad_fingerprint", check(&[0x80, 0x28, 0, 4, 1, 2, 3, 4])),
        ("integrity_of_one_byte", check(&[0, 8, 0, 1, 7, 0, 0, 0])),
        ("response", message(0x0101, &[&[0, 0x20, 0, 8, 0, 1][..], &[7; 6]].concat())),
        ("indication", message(0x0011, &[])),
    ]
}

fn open_seeds() -> Named {
    let open = |kind: u8, label: u16, protocol: u16, text: &[u8]| {
        [&[3, kind, 1, 0, 0, 0, 0, 5][..], &label.to_be_bytes(), &protocol.to_be_bytes(), text].concat()
    };
    vec![
        ("chat", open(0, 4, 2, b"chatv1")),
        ("unordered_for_a_time", open(0x82, 3, 0, b"log")),
        ("nameless", open(1, 0, 0, b"")),
        ("unknown_kind", open(3, 0, 0, b"")),
        ("label_beyond_the_end", open(0, 0xffff, 0xffff, b"chat")),
        ("protocol_beyond_the_end", open(0, 4, 3, b"chatv1")),
        ("label_is_not_text", open(0, 2, 0, &[0xff, 0xfe])),
        ("acknowledgement", vec![2]),
    ]
}

fn stun_seeds() -> Named {
    let name = NAME;
    vec![
        ("request", message(1, &name)),
        ("name_behind_others", message(1, &[&[0x80, 0x22, 0, 1, 7, 0, 0, 0][..], &name].concat())),
        ("response", message(0x0101, &[])),
        ("length_beyond_the_end", [&message(1, &name)[..2], &[0xff, 0xfc], &message(1, &name)[4..]].concat()),
        ("attribute_beyond_the_end", message(1, &[0, 6, 0xff, 0xff, 1, 2, 3, 4])),
        ("name_is_not_text", message(1, &[0, 6, 0, 4, 0xff, 0xfe, b':', 0xfd])),
        ("no_colon", message(1, &[0, 6, 0, 4, b'a', b'b', b'c', b'd'])),
        ("too_long", message(1, &[0x80, 0x22, 0, 0].repeat(371))),
        ("no_cookie", [&[0, 1, 0, 0], &[0; 16][..]].concat()),
    ]
}

fn vp8_seeds() -> Named {
    let key = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, 7];
    vec![
        ("key_frame", [&[0x90, 0xe0, 0x80, 0x01, 0x05, 0x00][..], &key].concat()),
        ("key_frame_without_start_code", [&[0x10][..], &key[..5]].concat()),
        ("delta", vec![0x90, 0xf0, 0x11, 0x05, 0xa1, 0x31, 7]),
        ("narrow_id", vec![0x80, 0x80, 0x7f, 7]),
        ("no_fields", vec![0x80, 0x00, 7]),
        ("cut_in_the_id", vec![0x90, 0x80, 0x80]),
        ("no_picture", vec![0x90, 0xe0, 0x80, 0x01, 0x05, 0x00]),
        ("empty", vec![]),
    ]
}

fn vp9_seeds() -> Named {
    let sizes = [1, 64, 0, 180, 2, 128, 1, 104, 5, 0, 2, 208];
    vec![
        ("key_frame", [&[0xaa, 0x80, 0x05, 0x00, 42, 0x50][..], &sizes, &[7]].concat()),
        ("picture_group", vec![0x8a, 0x05, 0x08, 2, 0x04, 1, 0x38, 1, 2, 7]),
        ("group_beyond_the_end", vec![0x8a, 0x05, 0x08, 255, 0x0c, 1]),
        ("sizes_beyond_the_end", vec![0x8a, 0x05, 0xf0, 1, 64]),
        ("delta", vec![0xec, 0x11, 0x53, 9, 7]),
        ("flexible", vec![0xfc, 0x11, 0x00, 0x03, 0x05, 0x06, 7]),
        ("endless_references", vec![0xfc, 0x11, 0x00, 0x03, 0x05, 0x07, 0x09, 7]),
        ("flexible_without_id", vec![0x58, 0x02, 7]),
        ("empty", vec![]),
    ]
}

fn h264_seeds() -> Named {
    let sps = [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x28, 0x02, 0xdc, 0x80];
    let aggregate = [&[0x78, 0, 11][..], &sps, &[0, 4, 0x68, 0xce, 0x3c, 0x80]].concat();
    vec![
        ("cut_aggregate", aggregate[..16].to_vec()),
        ("aggregate", aggregate),
        ("sps", sps.to_vec()),
        ("sps_body", sps[1..].to_vec()),
        ("high_profile_body_with_scaling", [&[0x64, 0, 0x28, 0xad][..], &[0xb5; 60]].concat()),
        ("endless_golomb", [&[0x42, 0, 0][..], &[0; 12]].concat()),
        ("long_cycle", [&[0x42, 0, 0, 0xd2][..], &[0; 3], &[0xff; 40]].concat()),
        ("fragment_start", vec![0x7c, 0x85, 0x88, 0x84]),
        ("fragment_end", vec![0x5c, 0x41, 0x88]),
        ("fragment_without_header", vec![0x7c]),
        ("delta", vec![0x41, 0x9a, 1, 2]),
        ("mode_2", vec![0x79, 0, 0, 0, 1, 0x41]),
        ("empty_unit_in_aggregate", vec![0x78, 0, 0]),
    ]
}

fn h265_seeds() -> Named {
    let sps = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5d,
        0xa0, 0x02, 0x80, 0x80, 0x2d, 0x16, 0x59, 0x59,
    ];
    let aggregate = [&[0x60, 1, 0, 3, 0x40, 1, 0x0c, 0, 26][..], &sps].concat();
    vec![
        ("cut_aggregate", aggregate[..20].to_vec()),
        ("aggregate", aggregate),
        ("sps", sps.to_vec()),
        ("sps_body", sps[2..].to_vec()),
        ("sub_layers", [&[0x0f][..], &[0xff; 120]].concat()),
        ("fragment_start", vec![0x62, 0x01, 0x93, 0xaf]),
        ("fragment_without_header", vec![0x62, 0x01]),
        ("temporal", vec![0x02, 0x03, 0xd0]),
        ("temporal_id_zero", vec![0x02, 0x00, 0xd0]),
        ("paci", vec![0x64, 0x01, 0, 0]),
    ]
}

fn av1_seeds() -> Named {
    let sequence = [0x08, 0x00, 0x00, 0x00, 0x2d, 0x4c, 0xff, 0xb3, 0xc0, 0x21, 0x98];
    vec![
        ("key_frame", [&[0x28, 11][..], &sequence, &[0x34, 0x48, 0x10, 0x00]].concat()),
        ("sequence_body", sequence[1..].to_vec()),
        ("timing_and_operating_points", [&[0x04][..], &[0xff; 90]].concat()),
        ("fragment", vec![0x90, 0x0a, 0xff]),
        ("lengths", vec![0x00, 0, 2, 0x12, 0, 2, 0x30, 7]),
        ("element_beyond_the_end", vec![0x00, 0x7f, 0x30]),
        ("endless_leb128", [&[0x00][..], &[0xff; 9]].concat()),
        ("obu_size_beyond_the_end", vec![0x10, 0x32, 0x7f, 1]),
        ("new_sequence_in_a_fragment", vec![0x88, 0x30]),
        ("forbidden_bit", vec![0x10, 0xb0]),
        ("only_a_header", vec![0x10]),
    ]
}

fn dd_seeds() -> Named {
    // One spatial and three temporal layers with one chain, as libwebrtc's L1T3 has them, without sizes.
    let mut bits = Bits::default();
    bits.put(0b11, 2).put(0, 6).put(100, 16).put(0b10000, 5).put(0, 6).put(2, 5);
    for idc in [0, 1, 1, 0, 3] {
        bits.put(idc, 2);
    }
    for dti in [2, 2, 2, 3, 3, 3, 0, 2, 3, 0, 0, 1, 0, 0, 1] {
        bits.put(dti, 2);
    }
    for fdiff in [None, Some(4), Some(2), Some(1), Some(1)] {
        fdiff.map(|f: u32| bits.put(1, 1).put(f - 1, 4));
        bits.put(0, 1);
    }
    bits.put(1, 2);
    for fdiff in [0, 4, 2, 1, 3] {
        bits.put(fdiff, 4);
    }
    bits.put(0, 1);
    let key = bits.bytes();
    let stream = |frames: &[&[u8]]| {
        frames.iter().flat_map(|f| core::iter::once(f.len() as u8).chain(f.iter().copied())).collect::<Vec<_>>()
    };
    let custom = [0xc1, 0, 102, 0b0111_1101, 0b0101_0010, 0b0001_1100, 0, 0, 9];
    vec![
        ("key_and_deltas", stream(&[&key, &[0xc3, 0, 101], &[0xc2, 0, 102], &[0xc1, 0, 104]])),
        ("custom_fields", stream(&[&key, &custom])),
        ("structure_cut", stream(&[&key[..9], &[0xc1, 0, 1]])),
        ("no_structure", stream(&[&[0xc1, 0, 1]])),
        ("template_unknown", stream(&[&key, &[0xff, 0, 101]])),
        ("endless_layers", stream(&[&[[0xc0, 0, 1, 0x80].as_slice(), &[0; 40]].concat()])),
        ("endless_references", stream(&[&key, &[[0xc0, 0, 1, 0x12].as_slice(), &[0x55; 40]].concat()])),
        ("all_ones", stream(&[&[0xff; 200]])),
        ("too_short", stream(&[&[0xc0, 0], &[], &[1]])),
    ]
}

fn red_seeds() -> Named {
    vec![
        ("two_redundant", vec![0xef, 0x0f, 0x00, 2, 0xef, 0x07, 0x80, 1, 111, 1, 2, 3, 4, 5]),
        ("primary_alone", vec![111, 1, 2, 3]),
        ("empty_primary", vec![111]),
        ("block_beyond_the_end", vec![0xef, 0x0f, 0x03, 0xff, 111, 1]),
        ("headers_without_end", vec![0xef; 200]),
        ("empty", vec![]),
    ]
}

/// Payloads as the target `unpack` takes them.
fn payloads(codec: u8, list: &[&[u8]]) -> Vec<u8> {
    let framed = list.iter().flat_map(|p| [&(p.len() as u16).to_be_bytes()[..], p].concat());
    std::iter::once(codec).chain(framed).collect()
}

fn unpack_seeds() -> Named {
    vec![
        ("vp8_frame", payloads(0, &[&[0x90, 0x80, 0x81, 2, 0, 1, 2], &[0x80, 0x80, 0x81, 2, 3], &[], &[0x10, 1]])),
        ("vp9_picture", payloads(1, &[&[0x88, 1, 1, 2], &[0x84, 1, 3], &[], &[0x8c, 2, 1]])),
        (
            "h264_stap_and_fragments",
            payloads(2, &[&[24, 0, 2, 0x67, 1, 0, 2, 0x68, 2], &[0x7c, 0x85, 4], &[0x7c, 0x45, 6]]),
        ),
        ("h264_fragment_without_start", payloads(2, &[&[0x7c, 0x05, 4], &[0x7c, 0x45, 6]])),
        ("h264_fragment_without_end", payloads(2, &[&[0x7c, 0x85, 4], &[0x7c, 0x85, 6], &[0x65, 1]])),
        ("av1_fragmented", payloads(3, &[&[0x48, 3, 0x08, 7, 8, 1, 0x10, 2, 0x30, 1], &[0x90, 2, 3]])),
        ("av1_wrong_size", payloads(3, &[&[0x10, 0x32, 9, 5, 6]])),
        ("av1_dangling", payloads(3, &[&[0x50, 0x30, 3], &[0x10, 0x30, 3], &[0x90, 3]])),
    ]
}

fn pack_seeds() -> Named {
    let slice = |n: usize| [&[0, 0, 0, 1, 0x65][..], &vec![0x88; n]].concat();
    vec![
        ("vp8_two_packets", [&[0, 0][..], &[5; 100]].concat()),
        ("vp9_key", [&[1, 2][..], &[5; 300]].concat()),
        ("av1_key", [&[3, 2, 0x12, 0, 0x0a, 1, 7, 0x36, 0x08, 0xac, 2][..], &[5; 300]].concat()),
        (
            "av1_many_and_a_tile_list",
            [3, 2, 0x2a, 1, 1, 0x42, 1, 9, 0x1a, 1, 2, 0x22, 1, 3, 0x22, 1, 4, 0x30, 5].to_vec(),
        ),
        ("av1_layers", vec![3, 2, 0x36, 0, 2, 1, 2, 0x36, 8, 2, 3, 4]),
        ("av1_size_beyond_the_end", vec![3, 2, 0x0a, 9, 1]),
        ("h264_frame", [&[2, 0, 0, 0, 0, 1, 9, 16, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2][..], &slice(200)].concat()),
        ("h264_mode_0", [&[0x82, 0][..], &slice(20), &slice(30)].concat()),
        ("h264_just_fits", [&[2, 0][..], &slice(63), &slice(64), &slice(60), &slice(1)].concat()),
        ("h264_zeros", vec![2, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0x65, 0, 0, 0, 0, 0, 1]),
    ]
}

fn contract_seeds() -> Named {
    let framed = |commands: &[Command]| {
        let mut out = Vec::new();
        commands.iter().for_each(|c| frame::write(c, &mut out).expect("small"));
        out
    };
    let commands = framed(&[Command::Hello { version: 1 }, Command::Start(LegKey(7)), Command::Snapshot]);
    let mut message = Vec::new();
    frame::write(&Message::Resync { dropped: 9 }, &mut message).expect("small");
    vec![
        ("half_a_frame", commands[..commands.len() - 3].to_vec()),
        ("commands", commands),
        ("message", message),
        ("length_beyond_the_limit", vec![0xff; 8]),
        ("empty_frames", vec![0; 12]),
        ("not_cbor", vec![0, 0, 0, 3, 0xff, 0xff, 0xff]),
        ("deep", [&[0, 0, 0x04, 0][..], &[0x81; 1024]].concat()),
        ("huge_array", vec![0, 0, 0, 9, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ]
}

fn mix_seeds() -> Named {
    use plenum_contract::{
        Codec, ConferenceKey, Feed, FeedKind, FromMix, MixOutput, MixPacket, MixerSpent, ParticipantKey, ToMix,
    };
    let conference = ConferenceKey(1);
    let feed = Feed { participant: ParticipantKey(2), kind: FeedKind::Camera };
    let output = MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 1 };
    let rtp = packet(false, false);
    let to = |value: ToMix<'_>| {
        let mut out = Vec::new();
        value.write(&mut out).expect("small");
        out
    };
    let from = |value: FromMix<'_>| {
        let mut out = Vec::new();
        value.write(&mut out).expect("small");
        out
    };
    let spec = plenum_contract::MixSpec {
        conference,
        revision: 1,
        scenes: vec![],
        members: vec![],
        presenter: None,
        loudest: 3,
        fps: 30,
        transcodes: vec![plenum_contract::TranscodeSpec { source: feed, codec: Codec::H264 }],
        stills: vec![],
        level: false,
        logo: None,
    };
    let order = vec![ParticipantKey(2), ParticipantKey(3)];
    let tapped = MixPacket {
        conference,
        feed,
        encoding: 1,
        codec: Codec::Vp8,
        clock: 90_000,
        arrival: 5,
        level: None,
        rtp: &rtp,
    };
    vec![
        ("spec", to(ToMix::Spec(spec))),
        ("speakers", to(ToMix::Speakers { conference, loudest: order.clone(), order })),
        ("packet_in", to(ToMix::Packet(tapped))),
        ("need", to(ToMix::Need { conference, output, bitrate: 600_000, loss: 5 })),
        (
            "need_track",
            to(ToMix::Need {
                conference,
                output: MixOutput::Track { feed, codec: Codec::H264, rung: 2 },
                bitrate: 0,
                loss: 0,
            }),
        ),
        ("packet_out", from(FromMix::Packet { conference, output, captured: 5, rtp: &rtp })),
        ("want", from(FromMix::Want { conference, feed, width: 320, height: 180 })),
        (
            "still",
            from(FromMix::Still { conference, presenter: ParticipantKey(2), height: 720, jpeg: &[0xff, 0xd8, 0xff] }),
        ),
        (
            "seats",
            from(FromMix::Seats {
                conference,
                scene: 0,
                layout: "1:7".into(),
                seats: vec![Some(ParticipantKey(2)), None],
            }),
        ),
        ("shed", from(FromMix::Shed { conference, level: 2 })),
        ("unable", from(FromMix::Unable { conference, reason: "the logo cannot be drawn".into() })),
        (
            "load",
            from(FromMix::Load { shed: 2, spent: MixerSpent { worker_ns: 90, jobs: 7, job_ns: 1 << 40, wait_ns: 0 } }),
        ),
        ("deep_spec", [&[1u8][..], &[0x81; 1024]].concat()),
        ("more_people_than_bytes", [&[3u8][..], &[0; 8], &[64, 1]].concat()),
    ]
}

fn io_seeds() -> Named {
    let frame = |payload: &[u8]| [&(payload.len() as u16).to_be_bytes()[..], payload].concat();
    let control = |length: u64, level: i32, kind: i32, data: &[u8]| {
        [&length.to_ne_bytes()[..], &level.to_ne_bytes(), &kind.to_ne_bytes(), data].concat()
    };
    let gro = control(20, libc::SOL_UDP, libc::UDP_GRO, &[0xb0, 4, 0, 0, 0, 0, 0, 0]);
    vec![
        ("two_frames", [frame(b"one"), frame(&[0x80; 200])].concat()),
        ("empty_frames", vec![0; 40]),
        ("frame_without_end", frame(&[1; 30])[..20].to_vec()),
        ("longest_frame", [&[0xff, 0xff][..], &[7; 3_000]].concat()),
        ("segment_size", [gro.clone(), control(32, 1, 35, &[9; 16])].concat()),
        ("message_of_no_length", control(0, libc::SOL_UDP, libc::UDP_GRO, &[0; 8])),
        ("message_beyond_the_end", control(u64::MAX, libc::SOL_UDP, libc::UDP_GRO, &[0; 8])),
        ("message_cut", gro[..18].to_vec()),
        ("segment_size_of_zero", control(20, libc::SOL_UDP, libc::UDP_GRO, &[0; 8])),
    ]
}

/// A datagram behind its length, with a ClientHello's part of `body` from `offset` on.
fn hello_part(body: &[u8], total: usize, offset: usize) -> Vec<u8> {
    let u24 = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
    let message = [&[1][..], &u24(total), &[0, 0], &u24(offset), &u24(body.len()), body].concat();
    let record = [&[22, 0xfe, 0xfd][..], &[0; 8], &(message.len() as u16).to_be_bytes(), &message].concat();
    [&(record.len() as u16).to_be_bytes()[..], &record].concat()
}

fn hello_seeds() -> Named {
    let extension = |id: u16, data: &[u8]| [&id.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat();
    let body = |suite: [u8; 2], extensions: &[Vec<u8>]| {
        let all = extensions.concat();
        let head = [&[0xfe, 0xfd][..], &[5; 32], &[0, 0, 0, 4, 0xc0, 0x2b], &suite, &[1, 0]].concat();
        [&head[..], &(all.len() as u16).to_be_bytes(), &all].concat()
    };
    let srtp = extension(14, &[0, 4, 0, 7, 0, 1, 0]);
    let browser = body([0x0a, 0x0a], &[srtp.clone(), extension(23, &[]), extension(43, &[2, 0xfe, 0xfc])]);
    let openssl = body([0xc0, 0x2f], &[extension(22, &[]), extension(23, &[]), srtp]);
    let (first, second) = browser.split_at(50);
    let parts = [hello_part(first, browser.len(), 0), hello_part(second, browser.len(), 50)];
    vec![
        ("browser", hello_part(&browser, browser.len(), 0)),
        ("openssl", hello_part(&openssl, openssl.len(), 0)),
        ("two_parts", parts.concat()),
        ("parts_in_disorder", [parts[1].clone(), parts[0].clone()].concat()),
        ("same_part_for_ever", parts[0].repeat(20)),
        ("parts_of_many_hellos", (60..80).flat_map(|total| hello_part(first, total, 0)).collect()),
        ("part_beyond_the_whole", hello_part(&browser, 10, 0)),
        ("hello_of_16_megabytes", hello_part(first, 0xff_ffff, 0xff_0000)),
        ("empty_hello", hello_part(&[], 0, 0)),
        ("extension_beyond_the_end", hello_part(&browser[..browser.len() - 3], browser.len() - 3, 0)),
        ("no_hello", vec![0, 14, 23, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7]),
        ("record_beyond_the_end", vec![0, 13, 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
    ]
}

/// Writes bits, most significant first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, width: u32) -> &mut Self {
        self.0.extend((0..width).rev().map(|i| value >> i & 1 == 1));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.chunks(8).map(|c| c.iter().enumerate().fold(0, |b, (i, &bit)| b | u8::from(bit) << (7 - i))).collect()
    }
}
