//! Records: round trips of everything, limits, and hostile bytes.

use super::*;
use crate::mix::{MemberPicture, MixMember, PresentationPlace, SceneSpec, TranscodeSpec, track_rung};
use proptest::prelude::*;

fn scene() -> SceneSpec {
    SceneSpec {
        id: 3,
        layout: "1:7".into(),
        width: 1280,
        height: 720,
        first: vec![ParticipantKey(9)],
        fixed: vec![Some(ParticipantKey(9)), None],
        without: Some(ParticipantKey(4)),
        names: true,
        plus_n: false,
        border: true,
        fill: false,
        banner: Some("Recording".into()),
        presentation: PresentationPlace::Full,
    }
}

fn member(key: u64) -> MixMember {
    MixMember {
        participant: ParticipantKey(key),
        name: "Zoë 小林 مريم 🦊".into(),
        shown: MemberPicture::Camera,
        heard: true,
        volume: 120,
    }
}

fn spec(members: u64) -> MixSpec {
    MixSpec {
        conference: ConferenceKey(1),
        revision: 8,
        scenes: vec![scene()],
        members: (0..members).map(member).collect(),
        presenter: Some(ParticipantKey(2)),
        loudest: 3,
        fps: 30,
        transcodes: vec![transcode(7)],
        stills: vec![720, 1080],
        level: true,
        logo: Some(vec![0xff; MAX_LOGO]),
    }
}

fn transcode(key: u64) -> TranscodeSpec {
    TranscodeSpec { source: Feed { participant: ParticipantKey(key), kind: FeedKind::Camera }, codec: Codec::H264 }
}

fn feed() -> impl Strategy<Value = Feed> {
    let kind = prop_oneof![Just(FeedKind::Audio), Just(FeedKind::Camera), Just(FeedKind::Presentation)];
    (any::<u64>(), kind).prop_map(|(key, kind)| Feed { participant: ParticipantKey(key), kind })
}

fn person() -> impl Strategy<Value = ParticipantKey> {
    (0..u64::MAX).prop_map(ParticipantKey)
}

fn output() -> impl Strategy<Value = MixOutput> {
    let codec = || (0..CODECS.len()).prop_map(|at| CODECS[at]);
    prop_oneof![
        (any::<u16>(), codec(), any::<u8>()).prop_map(|(scene, codec, rung)| MixOutput::Video { scene, codec, rung }),
        (codec(), proptest::option::of(person())).prop_map(|(codec, without)| MixOutput::Audio { codec, without }),
        (feed(), codec(), any::<u8>()).prop_map(|(feed, codec, rung)| MixOutput::Track { feed, codec, rung }),
    ]
}

fn returns(value: &ToMix<'_>) {
    let mut bytes = vec![7];
    value.write(&mut bytes).unwrap();
    assert_eq!(ToMix::read(&bytes[1..]).as_ref(), Ok(value));
    // Nothing may stand behind a value, but behind a packet, which is as long as its record.
    bytes.push(0);
    assert!(matches!(value, ToMix::Packet(_)) || ToMix::read(&bytes[1..]).is_err());
}

fn comes_back(value: &FromMix<'_>) {
    let mut bytes = Vec::new();
    value.write(&mut bytes).unwrap();
    assert_eq!(FromMix::read(&bytes).as_ref(), Ok(value));
    bytes.push(0);
    let to_its_end = matches!(value, FromMix::Packet { .. } | FromMix::Still { .. } | FromMix::Unable { .. });
    assert!(to_its_end || FromMix::read(&bytes).is_err());
}

#[test]
fn a_spec_of_the_largest_conference_has_a_record_and_one_beyond_it_is_refused() {
    returns(&ToMix::Spec(spec(MAX_MEMBERS as u64)));
    let mut bytes = Vec::new();
    ToMix::Spec(spec(MAX_MEMBERS as u64 + 1)).write(&mut bytes).unwrap();
    assert_eq!(ToMix::read(&bytes), Err(Malformed));
    let mut many = spec(1);
    many.transcodes = (0..MAX_TRANSCODES as u64).map(transcode).collect();
    returns(&ToMix::Spec(many.clone()));
    many.transcodes.push(transcode(99));
    bytes.clear();
    ToMix::Spec(many).write(&mut bytes).unwrap();
    assert_eq!(ToMix::read(&bytes), Err(Malformed));
    let mut long = spec(1);
    long.members[0].name = "x".repeat(MAX_RECORD);
    let before = bytes.clone();
    assert_eq!(ToMix::Spec(long).write(&mut bytes), Err(Malformed));
    assert_eq!(bytes, before, "what cannot be written leaves no trace");
}

#[test]
fn a_packet_longer_than_any_datagram_of_ours_is_neither_written_nor_read() {
    let rtp = vec![0; MAX_PACKET + 1];
    let mut bytes = Vec::new();
    let output = MixOutput::Audio { codec: Codec::Opus, without: None };
    let packet = |rtp| FromMix::Packet { conference: ConferenceKey(1), output, captured: 5, rtp };
    assert_eq!(packet(&rtp).write(&mut bytes), Err(Malformed));
    packet(&rtp[1..]).write(&mut bytes).unwrap();
    bytes.push(0);
    assert_eq!(FromMix::read(&bytes), Err(Malformed));
}

#[test]
fn a_picture_of_a_presentation_and_a_logo_have_their_limits() {
    let jpeg = vec![7; MAX_STILL + 1];
    let (conference, presenter) = (ConferenceKey(1), ParticipantKey(2));
    let still = |jpeg| FromMix::Still { conference, presenter, height: 720, jpeg };
    comes_back(&still(&jpeg[..MAX_STILL]));
    let mut bytes = Vec::new();
    assert_eq!(still(&jpeg).write(&mut bytes), Err(Malformed));
    let record = [&[STILL][..], &[0; 18], &jpeg].concat();
    assert_eq!(FromMix::read(&record), Err(Malformed));
    for wrong in [
        MixSpec { logo: Some(vec![0; MAX_LOGO + 1]), ..spec(1) },
        MixSpec { stills: vec![720; MAX_STILLS + 1], ..spec(1) },
    ] {
        bytes.clear();
        ToMix::Spec(wrong).write(&mut bytes).unwrap();
        assert_eq!(ToMix::read(&bytes), Err(Malformed));
    }
}

#[test]
fn a_greeting_is_read_back_and_another_versions_is_not() {
    let greeting = Greeting { shard: 3, shards: 300 };
    assert_eq!(Greeting::read(&greeting.bytes()), Ok(greeting));
    for wrong in 0..4 {
        let mut bytes = greeting.bytes();
        bytes[wrong] ^= 2;
        assert_eq!(Greeting::read(&bytes), Err(Malformed));
    }
    assert_eq!(Greeting::read(&Greeting { shard: 2, shards: 2 }.bytes()), Err(Malformed));
    assert_eq!(Greeting::read(&greeting.bytes()[..7]), Err(Malformed));
}

#[test]
fn a_transcoded_picture_keeps_its_shape_is_never_enlarged_and_has_the_rungs_that_are_worth_it() {
    let of = |kind, width, height| -> Vec<_> {
        (0..4).map_while(|rung| track_rung(kind, width, height, rung)).map(|r| (r.width, r.height)).collect()
    };
    let sizes = |width, height| of(FeedKind::Camera, width, height);
    assert_eq!(sizes(1280, 720), [(320, 180), (640, 360), (1280, 720)]);
    assert_eq!(sizes(1920, 1080), [(320, 180), (640, 360), (1280, 720)]);
    assert_eq!(sizes(640, 480), [(240, 180), (480, 360), (640, 480)]);
    assert_eq!(sizes(720, 1280), [(180, 320), (360, 640), (720, 1280)]);
    assert_eq!(sizes(641, 361), [(318, 180), (638, 360)]);
    assert_eq!(sizes(320, 180), [(320, 180)]);
    assert_eq!((sizes(1, 1), sizes(0, 0)), (vec![(16, 16)], vec![(16, 16)]));
    assert_eq!(sizes(8192, 16), [(3840, 16)]);
    assert_eq!(sizes(5120, 1440), [(640, 180), (1280, 360), (2560, 720)]);
    let rung = track_rung(FeedKind::Camera, 1280, 720, 2).unwrap();
    assert_eq!((rung.bitrate, rung.least, rung.most_fps()), (1_800_000, 900_000, 60));
    assert_eq!(track_rung(FeedKind::Camera, 1280, 720, u8::MAX), None);
    let screens = [
        ((640, 360), vec![(640, 360)]),
        ((1280, 720), vec![(640, 360), (1280, 720)]),
        ((1440, 900), vec![(576, 360), (1440, 900)]),
        ((1920, 1080), vec![(640, 360), (1280, 720), (1920, 1080)]),
        ((1170, 2532), vec![(360, 778), (720, 1558), (1170, 2532)]),
        ((3840, 2160), vec![(640, 360), (1280, 720), (3840, 2160)]),
        ((3840, 2400), vec![(576, 360), (1152, 720), (3456, 2160)]),
        ((5120, 1440), vec![(1280, 360), (2560, 720), (3840, 1080)]),
    ];
    for ((width, height), expected) in screens {
        assert_eq!(of(FeedKind::Presentation, width, height), expected, "{width}x{height}");
    }
    let fps = |width, height| track_rung(FeedKind::Presentation, width, height, 2).map(|rung| rung.most_fps());
    assert_eq!((fps(1920, 1080), fps(2560, 1440), fps(3840, 2160)), (Some(15), Some(8), Some(5)));
}

#[test]
fn rungs_are_halves_of_the_scene_and_the_smallest_is_0() {
    let sizes = |width, height| {
        let scene = SceneSpec { width, height, ..scene() };
        (0..scene.rungs()).map(|r| scene.rung(r).map(|r| (r.width, r.height)).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(1280, 720), [(320, 180), (640, 360), (1280, 720)]);
    assert_eq!(sizes(640, 360), [(320, 180), (640, 360)]);
    assert_eq!(sizes(320, 180), [(320, 180)]);
    assert_eq!(sizes(1, 1), [(2, 2)]);
    assert_eq!(scene().rung(3), None);
}

proptest! {
    #[test]
    fn what_is_written_to_the_mixer_is_read_the_same(
        conference in any::<u64>().prop_map(ConferenceKey), feed in feed(), output in output(), encoding in any::<u8>(),
        codec in 0..CODECS.len(), clock in any::<u32>(), arrival in any::<u64>(), level in proptest::option::of(0u8..128),
        rtp in proptest::collection::vec(any::<u8>(), 0..1500), order in proptest::collection::vec(person(), 0..MAX_SPEAKERS),
    ) {
        let packet = MixPacket { conference, feed, encoding, codec: CODECS[codec], clock, arrival, level, rtp: &rtp };
        returns(&ToMix::Packet(packet));
        returns(&ToMix::Remove(conference));
        returns(&ToMix::Speakers { conference, loudest: order.iter().rev().copied().take(3).collect(), order });
        returns(&ToMix::Report { conference, feed, encoding, ntp: arrival, rtp: clock });
        returns(&ToMix::Gone { conference, feed });
        returns(&ToMix::Need { conference, output, bitrate: clock, loss: encoding % 101 });
        returns(&ToMix::Unneeded { conference, output });
        returns(&ToMix::KeyFrame { conference, output });
    }

    #[test]
    fn what_the_mixer_writes_is_read_the_same(
        conference in any::<u64>().prop_map(ConferenceKey), feed in feed(), output in output(), captured in any::<u64>(),
        rtp in proptest::collection::vec(any::<u8>(), 0..1500), width in any::<u16>(), height in any::<u16>(), shed in any::<u8>(),
        seats in proptest::collection::vec(proptest::option::of(person()), 0..MAX_SEATS),
    ) {
        comes_back(&FromMix::Packet { conference, output, captured, rtp: &rtp });
        comes_back(&FromMix::Want { conference, feed, width, height });
        comes_back(&FromMix::Unwant { conference, feed });
        comes_back(&FromMix::KeyFrame { conference, feed });
        comes_back(&FromMix::Seats { conference, scene: width, layout: "2:21".into(), seats });
        comes_back(&FromMix::Unable { conference, reason: "logo: 徽标".repeat(usize::from(shed) % 9) });
        let spent = MixerSpent { worker_ns: captured, jobs: 1, job_ns: u64::MAX, wait_ns: u64::from(height) };
        comes_back(&FromMix::Load { shed, spent });
        comes_back(&FromMix::Shed { conference, level: shed });
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..17) {
        let _ = (ToMix::read(&bytes), FromMix::read(&bytes));
        let mut record = vec![kind];
        record.extend(bytes);
        if let Ok(value) = ToMix::read(&record) {
            let mut again = Vec::new();
            prop_assert!(value.write(&mut again).is_ok());
            prop_assert_eq!(ToMix::read(&again), Ok(value));
        }
        if let Ok(value) = FromMix::read(&record) {
            let mut again = Vec::new();
            prop_assert!(value.write(&mut again).is_ok());
            prop_assert_eq!(FromMix::read(&again), Ok(value));
        }
    }
}
