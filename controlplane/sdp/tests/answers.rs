//! Answers to offers shaped like those of Chromium, Firefox, GStreamer's webrtcbin and aiortc.

use plenum_contract::spec::Fingerprint;
use plenum_contract::{Codec, Extension, Kind, MediaSpec, TrackKey};
use plenum_sdp::{AnswerError, Answered, Attribute, Candidate, Direction, Session, Setup, Terms};

const DEFAULT: &[Codec] = &[Codec::Opus, Codec::Red, Codec::TelephoneEvent, Codec::Vp8, Codec::H264];
const ROOM: &str = include_str!("fixtures/chromium_room.sdp");
const SIMPLE: &str = include_str!("fixtures/chromium_simple.sdp");
const FIREFOX: &str = include_str!("fixtures/firefox.sdp");
const GSTREAMER: &str = include_str!("fixtures/gstreamer.sdp");
const AIORTC: &str = include_str!("fixtures/aiortc.sdp");

struct Asked<'a> {
    codecs: &'a [Codec],
    previous: &'a [MediaSpec],
    presentation: bool,
    max_media: usize,
    in_step: bool,
}

const PLAIN: Asked<'static> =
    Asked { codecs: DEFAULT, previous: &[], presentation: false, max_media: 64, in_step: false };

fn answer_with(offer: &str, asked: &Asked<'_>) -> Result<Answered, AnswerError> {
    let offer = Session::parse(offer).unwrap();
    let mut next = 1000;
    let candidates = [
        Candidate::host("192.0.2.1:40000".parse().unwrap(), false, 2),
        Candidate::host("[2001:db8::1]:40000".parse().unwrap(), false, 1),
        Candidate::host("192.0.2.1:40000".parse().unwrap(), true, 2),
    ];
    let mut terms = Terms {
        session_id: 7,
        session_version: 1,
        ice_ufrag: "0/7/k3Jd82hs",
        ice_pwd: "0123456789012345678901",
        fingerprints: &[Fingerprint([0xaa; 32]), Fingerprint([0xbb; 32])],
        candidates: &candidates,
        cname: "plenum-cname",
        in_step: asked.in_step,
        codecs: asked.codecs,
        presentation: asked.presentation,
        max_media: asked.max_media,
        max_bitrate: None,
        track_key: &|i| TrackKey(700 + i as u64),
        new_ssrc: &mut || {
            next += 1;
            next
        },
        previous: asked.previous,
    };
    let answered = plenum_sdp::answer(&offer, &mut terms)?;
    assert_eq!(Session::parse(&answered.sdp.to_string()).as_ref(), Ok(&answered.sdp), "an answer reads as it was made");
    assert_eq!(answered.media.len(), offer.media.len());
    Ok(answered)
}

fn answered(offer: &str) -> Answered {
    answer_with(offer, &PLAIN).unwrap()
}

fn has(answered: &Answered, line: usize, text: &str) -> bool {
    answered.sdp.media[line].attributes.iter().any(|a| a.to_string() == text)
}

fn codecs(spec: &MediaSpec) -> Vec<(u8, Codec, Option<u8>)> {
    spec.codecs.iter().map(|c| (c.payload_type, c.codec, c.rtx)).collect()
}

#[test]
fn chromium_gets_opus_vp8_and_constrained_baseline_and_nothing_else() {
    let a = answered(SIMPLE);
    let audio = [
        (111, Codec::Opus, None),
        (63, Codec::Red, None),
        (110, Codec::TelephoneEvent, None),
        (126, Codec::TelephoneEvent, None),
    ];
    assert_eq!(codecs(&a.media[0]), audio);
    let video = [(96, Codec::Vp8, Some(97)), (106, Codec::H264, Some(107)), (108, Codec::H264, Some(109))];
    assert_eq!(codecs(&a.media[1]), video);
    assert_eq!(a.media[1].codecs.iter().map(|c| c.profile).collect::<Vec<_>>(), [0, 0x42_e001, 0x42_e000]);
    let vp8 = &a.media[1].codecs[0];
    assert!(vp8.nack && vp8.pli && vp8.fir && vp8.twcc && !vp8.remb);
    assert_eq!(a.sdp.media[1].formats, ["96", "106", "108", "97", "107", "109"]);
}

/// RFC 3551 section 4.5.4, RFC 3952 sections 4 and 5.
#[test]
fn phones_get_g726_as_rtp_packs_it_and_ilbc_in_the_mode_of_their_offer_after_what_sounds_better() {
    let phone = |maps: &str| SIMPLE.replacen("a=rtpmap:0 PCMU/8000\r\n", maps, 1);
    let allowed: Vec<Codec> = [Codec::Opus, Codec::Vp8].into_iter().chain(Codec::PHONES).collect();
    let taken = |offer: &str| {
        let answered = answer_with(offer, &Asked { codecs: &allowed, ..PLAIN }).unwrap();
        let sound = codecs(&answered.media[0]);
        (sound.into_iter().map(|(pt, codec, _)| (pt, codec)).collect::<Vec<_>>(), answered)
    };
    let others = [(111, Codec::Opus), (9, Codec::G722), (8, Codec::Pcma)];
    let with = |last: Codec| [&others[..], &[(0, last)]].concat();
    let (g726, _) = taken(&phone("a=rtpmap:0 G726-32/8000\r\n"));
    assert_eq!(g726, with(Codec::G726));
    let (short, answer) = taken(&phone("a=rtpmap:0 iLBC/8000\r\na=fmtp:0 mode=20\r\n"));
    assert!(short == with(Codec::Ilbc) && has(&answer, 0, "fmtp:0 mode=20"));
    let (long, answer) = taken(&phone("a=rtpmap:0 ilbc/8000\r\na=fmtp:0 mode=30\r\n"));
    assert!(long == with(Codec::Ilbc30) && has(&answer, 0, "fmtp:0 mode=30"));
    assert_eq!(taken(&phone("a=rtpmap:0 iLBC/8000\r\n")).0, with(Codec::Ilbc30), "where nothing is said");
    // Another packing, another clock, no mode of iLBC's.
    for strange in ["AAL2-G726-32/8000", "G726-32/16000", "iLBC/8000\r\na=fmtp:0 mode=25"] {
        assert_eq!(taken(&phone(&format!("a=rtpmap:0 {strange}\r\n"))).0, others, "{strange}");
    }
}

#[test]
fn an_answer_is_ice_lite_passive_bundled_and_complete_with_its_candidates() {
    let a = answered(SIMPLE);
    let text = a.sdp.to_string();
    for line in ["a=ice-lite\r\n", "a=group:BUNDLE 0 1\r\n", "a=extmap-allow-mixed\r\n"] {
        assert!(text.contains(line), "{line}");
    }
    for line in 0..2 {
        assert!(a.sdp.media[line].attributes.contains(&Attribute::Setup(Setup::Passive)));
        assert!(has(&a, line, "rtcp-mux") && has(&a, line, "rtcp-rsize") && has(&a, line, "sendrecv"));
        assert_eq!(a.sdp.media[line].port, 40_000);
    }
    assert!(has(&a, 0, "end-of-candidates") && !has(&a, 1, "end-of-candidates"));
    assert!(text.contains("typ host tcptype passive") && text.contains("2001:db8::1 40000 typ host"));
    let first = text.find("BB:BB").unwrap();
    assert!(first < text.find("AA:AA").unwrap(), "the preferred fingerprint is the last one of a section");
    assert_eq!((a.ice_ufrag.as_str(), a.fingerprints.len()), ("Yk2b", 1));
}

#[test]
fn signalled_ssrcs_come_with_their_rtx() {
    let a = answered(SIMPLE);
    assert_eq!(a.media[0].source.as_ref().unwrap().ssrcs, [(2_231_627_014, None)]);
    assert_eq!(a.media[1].source.as_ref().unwrap().ssrcs, [(1001, Some(1002))]);
    assert_eq!(a.media[1].source.as_ref().unwrap().track, TrackKey(701));
}

#[test]
fn every_receiving_section_of_the_room_page_is_a_slot_and_slides_count_apart() {
    let a = answered(ROOM);
    let slots: Vec<_> = a.media.iter().map(|m| m.slot.as_ref().map(|s| (m.kind, m.presentation, s.index))).collect();
    let video = |index| Some((Kind::Video, false, index));
    let expected =
        [Some((Kind::Audio, false, 0)), video(0), video(1), video(2), video(3), Some((Kind::Video, true, 0)), None];
    assert_eq!(slots, expected);
    let mut ssrcs: Vec<u32> =
        a.media.iter().flat_map(|m| &m.slot).flat_map(|s| [Some(s.ssrc), s.rtx_ssrc]).flatten().collect();
    assert_eq!(ssrcs.len(), 6 + 5);
    ssrcs.sort_unstable();
    ssrcs.dedup();
    assert_eq!(ssrcs.len(), 11, "no SSRC twice");
    let slot = a.media[2].slot.as_ref().unwrap();
    assert!(has(&a, 2, "sendonly"));
    assert!(has(&a, 2, &format!("ssrc-group:FID {} {}", slot.ssrc, slot.rtx_ssrc.unwrap())));
    assert!(has(&a, 2, &format!("ssrc:{} cname:plenum-cname", slot.ssrc)));
    assert!(has(&a, 5, "content:slides"));
    assert_eq!(a.media[6].sctp_port, Some(5000));
    assert!(has(&a, 6, "sctp-port:5000") && has(&a, 6, "max-message-size:65536"));
    assert!(a.media[2].source.is_none());
}

#[test]
fn simulcast_is_received_by_rid_and_ordered_smallest_first() {
    let a = answered(ROOM);
    assert!(has(&a, 1, "simulcast:recv h;m;l") && has(&a, 1, "rid:h recv") && has(&a, 1, "rid:l recv"));
    let source = a.media[1].source.as_ref().unwrap();
    assert_eq!(source.rids, ["l", "m", "h"]);
    assert!(source.ssrcs.is_empty());
    let extensions: Vec<_> = a.media[1].extensions.iter().map(|(_, e)| *e).collect();
    for needed in [Extension::Mid, Extension::Rid, Extension::RepairedRid, Extension::TransportSequence] {
        assert!(extensions.contains(&needed), "{needed:?}");
    }
    assert!(!extensions.contains(&Extension::AbsSendTime) && !extensions.contains(&Extension::DependencyDescriptor));
}

#[test]
fn av1_and_vp9_come_when_the_conference_allows_them_and_bring_the_dependency_descriptor() {
    let allowed = [Codec::Opus, Codec::Av1, Codec::Vp9, Codec::Vp8];
    let a = answer_with(SIMPLE, &Asked { codecs: &allowed, ..PLAIN }).unwrap();
    let video = [
        (45, Codec::Av1, Some(46)),
        (98, Codec::Vp9, Some(99)),
        (100, Codec::Vp9, Some(101)),
        (96, Codec::Vp8, Some(97)),
    ];
    assert_eq!(codecs(&a.media[1]), video);
    assert_eq!(a.media[1].codecs[2].profile, 2);
    assert!(a.media[1].extensions.contains(&(12, Extension::DependencyDescriptor)));
}

#[test]
fn firefox_inherits_its_fingerprint_and_offers_both_packetization_modes() {
    let a = answered(FIREFOX);
    assert_eq!(a.fingerprints.len(), 1);
    let video = [(120, Codec::Vp8, Some(124)), (126, Codec::H264, Some(127)), (97, Codec::H264, Some(98))];
    assert_eq!(codecs(&a.media[1]), video);
    assert_eq!(codecs(&a.media[0]), [(109, Codec::Opus, None), (101, Codec::TelephoneEvent, None)]);
    assert!(has(&a, 0, "fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1"));
    let playout = a.sdp.media[1].attributes.iter().find_map(|x| match x {
        Attribute::ExtMap(m) if m.id == 6 => m.direction,
        _ => None,
    });
    assert_eq!(playout, Some(Direction::SendOnly), "what they only receive we only send");
    assert!(!a.sdp.to_string().contains("extmap-allow-mixed"));
}

#[test]
fn webrtcbin_is_served_without_mid_extension_and_with_a_bundle_only_section() {
    let a = answered(GSTREAMER);
    assert_eq!(codecs(&a.media[0]), [(96, Codec::Vp8, None)]);
    assert_eq!(codecs(&a.media[1]), [(97, Codec::Opus, None)]);
    assert_eq!(a.sdp.media[1].port, 40_000);
    assert!(a.media[0].slot.as_ref().unwrap().rtx_ssrc.is_none());
    assert_eq!(a.media[0].extensions, [(1, Extension::TransportSequence)]);
}

#[test]
fn aiortc_is_served_with_remb_and_all_its_digests_but_sha_256_are_left_aside() {
    let a = answered(AIORTC);
    assert_eq!(a.fingerprints.len(), 1);
    let vp8 = &a.media[1].codecs[0];
    assert!(vp8.remb && !vp8.twcc);
    assert_eq!(codecs(&a.media[1]), [(97, Codec::Vp8, Some(98)), (101, Codec::H264, Some(102))]);
    assert!(a.media[1].extensions.contains(&(3, Extension::AbsSendTime)));
    assert_eq!(a.media[1].source.as_ref().unwrap().ssrcs, [(555, Some(556))]);
}

#[test]
fn plain_baseline_is_served_where_nothing_else_is_offered() {
    let only_plain = AIORTC.replace("profile-level-id=42e01f", "profile-level-id=64001f");
    let a = answered(&only_plain);
    assert_eq!(codecs(&a.media[1])[1], (99, Codec::H264, Some(100)));
    assert_eq!(a.media[1].codecs[1].profile, 0x42_e001);
}

#[test]
fn an_unusable_section_is_rejected_and_an_unusable_kind_refuses_the_offer() {
    let g722 = SIMPLE.replace("opus/48000/2", "opus/44100/2");
    assert_eq!(answer_with(&g722, &PLAIN).unwrap_err(), AnswerError::NoCodec("audio"));
    let second_unusable = {
        let at = ROOM.rfind("m=video").unwrap();
        let end = ROOM.rfind("m=application").unwrap();
        format!("{}{}{}", &ROOM[..at], ROOM[at..end].replace("VP8", "VP7").replace("H264", "H262"), &ROOM[end..])
    };
    let a = answered(&second_unusable);
    assert_eq!(a.sdp.media[5].port, 0);
    assert!(has(&a, 5, "inactive") && has(&a, 5, "mid:5"));
    assert!(a.media[5].codecs.is_empty() && a.media[5].slot.is_none());
    assert!(a.sdp.to_string().contains("a=group:BUNDLE 0 1 2 3 4 6\r\n"));
    assert!(a.media[6].sctp_port.is_some(), "later sections keep their index");
}

#[test]
fn what_webrtc_demands_is_demanded() {
    let cases: [(&str, String, AnswerError); 8] = [
        ("mux", SIMPLE.replace("a=rtcp-mux\r\n", ""), AnswerError::NoRtcpMux(0)),
        ("mid", SIMPLE.replace("a=mid:1", "a=mid:0"), AnswerError::BadMid(1)),
        ("long mid", SIMPLE.replace("a=mid:1", "a=mid:12345678901234567"), AnswerError::BadMid(1)),
        ("bundle", SIMPLE.replace("a=group:BUNDLE 0 1\r\n", ""), AnswerError::NotBundled),
        ("ice", SIMPLE.replace("a=ice-pwd:0Rk3qVb2n8pQxw7LmT5sAzUe", "a=ice-pwd:short"), AnswerError::NoIce),
        ("fingerprint", SIMPLE.replace("fingerprint:sha-256", "fingerprint:sha-1"), AnswerError::NoFingerprint),
        ("setup", SIMPLE.replace("setup:actpass", "setup:passive"), AnswerError::NotActive),
        ("media", SIMPLE.split("m=audio").next().unwrap().to_owned(), AnswerError::NoMedia),
    ];
    for (name, offer, expected) in cases {
        assert_eq!(answer_with(&offer, &PLAIN).unwrap_err(), expected, "{name}");
    }
    let few = Asked { max_media: 6, ..PLAIN };
    assert_eq!(answer_with(ROOM, &few).unwrap_err(), AnswerError::TooManyMedia { offered: 7, max: 6 });
}

#[test]
fn a_later_offer_keeps_ssrcs_and_tracks_and_adds_what_is_new() {
    let first = answered(SIMPLE);
    let again = answer_with(SIMPLE, &Asked { previous: &first.media, ..PLAIN }).unwrap();
    assert_eq!(again.media, first.media);
    let head = ROOM.split("m=application").next().unwrap().replace(" 6\r\n", "\r\n");
    let more = answer_with(&head, &Asked { previous: &first.media, ..PLAIN }).unwrap();
    assert_eq!(more.media[1].slot, first.media[1].slot);
    assert_eq!(more.media.len(), 6);
    assert_eq!(answer_with(SIMPLE, &Asked { previous: &more.media, ..PLAIN }).unwrap_err(), AnswerError::LostMedia);
}

#[test]
fn a_section_reused_under_another_mid_starts_anew() {
    let first = answered(SIMPLE);
    let reused = SIMPLE.replace("a=mid:1", "a=mid:9").replace("BUNDLE 0 1", "BUNDLE 0 9");
    let mut previous = first.media.clone();
    previous[1].slot.as_mut().unwrap().ssrc = 5;
    let a = answer_with(&reused, &Asked { previous: &previous, ..PLAIN }).unwrap();
    assert_ne!(a.media[1].slot.as_ref().unwrap().ssrc, 5);
}

#[test]
fn sound_and_picture_of_a_mix_are_one_stream_and_others_are_not() {
    let streams = |in_step| -> Vec<String> {
        let answer = answer_with(ROOM, &Asked { in_step, ..PLAIN }).unwrap().sdp.to_string();
        answer.lines().filter_map(|line| line.strip_prefix("a=msid:")?.split(' ').next().map(str::to_owned)).collect()
    };
    let apart = streams(false);
    assert!(apart.iter().all(|one| apart.iter().filter(|other| *other == one).count() == 1), "{apart:?}");
    let mixed = streams(true);
    assert_eq!(mixed.iter().filter(|name| *name == "mix").count(), 2, "{mixed:?}");
    let others: Vec<_> = mixed.iter().filter(|name| *name != "mix").collect();
    assert!(others.len() + 2 == apart.len() && others.iter().all(|name| apart.contains(name)), "{mixed:?}");
    // Each m-line's track has a name of its own, and its `a=ssrc` lines name the same stream.
    let sdp = answer_with(SIMPLE, &Asked { in_step: true, ..PLAIN }).unwrap().sdp.to_string();
    assert!(
        sdp.contains("a=msid:mix slot-audio-0-track\r\n") && sdp.contains(" msid:mix slot-video-1-track\r\n"),
        "{sdp}"
    );
}

#[test]
fn a_presentation_call_marks_all_its_sections() {
    let a = answer_with(SIMPLE, &Asked { presentation: true, ..PLAIN }).unwrap();
    assert!(a.media.iter().all(|m| m.presentation));
}
