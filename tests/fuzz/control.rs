//! As `targets.rs`, for the parsers of the control plane. They stand apart because what they need takes minutes to compile with
//! coverage counters.

#![allow(dead_code, unreachable_pub)]

use super::targets::Target;
use plenum::calls::{self, AnswerContext};
use plenum_contract::event::ShardInfo;
use plenum_contract::spec::Fingerprint;
use plenum_contract::{Codec as Named, LegKey, ParticipantKey, TrackKey};

/// The control plane's targets.
pub const TARGETS: &[(&str, Target)] = &[
    ("sdp", sdp),
    ("settings", settings),
    ("request_json", request_json),
    ("request_form", request_form),
    ("cms_message", cms_message),
    ("cms_frames", cms_frames),
    ("cms_form", cms_form),
    ("cms_xml", cms_xml),
];

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
        in_step: false,
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

/// What a client of the Cisco-style events says, a message a line (CMS-8).
pub fn cms_message(bytes: &[u8]) {
    plenum::faces::cms::parse_any_message(bytes);
}

/// The bytes of its WebSocket, which must not be fragmented (CMS-6).
pub fn cms_frames(bytes: &[u8]) {
    plenum::faces::cms::parse_any_frames(bytes);
}

/// A form of the Cisco-style REST API (CMS-25).
pub fn cms_form(bytes: &[u8]) {
    plenum::faces::cms::parse_any_form(bytes);
}

/// A name in its XML: whatever it is, the document has no other elements than it would have with another name.
pub fn cms_xml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let document = plenum::faces::cms::write_any_text(text);
    assert_eq!(document.matches('<').count(), 7, "{document}");
    assert_eq!(document.matches('>').count(), 7, "{document}");
    assert_eq!(document.matches('"').count(), 4, "{document}");
    assert!(!document.chars().any(|c| c < ' ' && !"\t\r\n".contains(c)), "{document:?}");
}
