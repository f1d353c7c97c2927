//! As `targets.rs`, for the parsers of the control plane. They stand apart because what they need takes minutes to compile with
//! coverage counters.

#![allow(dead_code, unreachable_pub)]

use super::targets::Target;
use plenum::calls::{self, AnswerContext};
use plenum_contract::event::ShardInfo;
use plenum_contract::spec::Fingerprint;
use plenum_contract::{Codec as Named, LegKey, ParticipantKey, TrackKey};

/// The control plane's targets.
pub const TARGETS: &[(&str, Target)] =
    &[("sdp", sdp), ("settings", settings), ("request_json", request_json), ("request_form", request_form)];

/// A description, read, written and read again; and as the offer of a call and of its update.
pub fn sdp(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(session) = plenum_sdp::Session::parse(text) {
        let written = session.to_string();
        assert_eq!(plenum_sdp::Session::parse(&written).as_ref(), Ok(&session), "{written}");
    }
    let address = "192.0.2.1:40000".parse().expect("an address");
    let context = AnswerContext {
        leg: LegKey(1),
        participant: ParticipantKey(2),
        revision: 1,
        first_track: TrackKey(3),
        shard: 0,
        shard_info: &ShardInfo { udp: vec![address], tcp: vec![address], back_end: String::new() },
        fingerprints: &[Fingerprint([7; 32])],
        seed: [9; 32],
        cname: "plenum",
        codecs: &[Named::Opus, Named::Red, Named::Vp8, Named::H264, Named::Vp9, Named::Av1],
        present: None,
        max_bitrate: None,
        max_media: 128,
    };
    if let Ok(answer) = calls::answer(text, &context) {
        assert!(plenum_sdp::Session::parse(&answer.sdp).is_ok(), "{}", answer.sdp);
        assert!(answer.spec.media.len() <= 128);
        let _ = calls::update(text, &answer.spec, &AnswerContext { revision: 2, ..context });
    }
}

/// `plenum.toml`.
pub fn settings(bytes: &[u8]) {
    plenum::config::parse_any(bytes);
}

/// The JSON body of a request.
pub fn request_json(bytes: &[u8]) {
    plenum::faces::mgmt::parse_any_json(bytes);
}

/// The form body of a request, or its query.
pub fn request_form(bytes: &[u8]) {
    plenum::faces::mgmt::parse_any_form(bytes);
}
