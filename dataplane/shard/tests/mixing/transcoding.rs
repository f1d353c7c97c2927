//! Members in another codec: who gets what the mixer makes of a single track, and who keeps the original.

use super::*;

fn other_profile(hall: &mut Hall, id: Id, profile: u32) {
    hall.respec(id, |spec| spec.media.iter_mut().flat_map(|m| &mut m.codecs).for_each(|c| c.profile = profile));
}

/// Somebody who sends 1280x720 and a voice that one viewer decodes and another does not, and the mix of nothing but what the other lacks.
fn foreign() -> (Hall, Mixer, [Id; 3]) {
    let mut hall = Hall::new();
    let sender = hall.join(true, |config| {
        let picture = VideoConfig::single(TrackKey(11), Encoding::new("", 1280, 720, 900));
        config.publishes = vec![microphone(1), Publish::Video(picture)];
    });
    let knows = hall.join(true, |config| config.slots = ONE);
    let lacks = hall.join(true, |config| config.slots = ONE);
    other_profile(&mut hall, sender, OTHER);
    other_profile(&mut hall, knows, OTHER);
    let mixer = Mixer::start(&mut hall);
    let spec = transcodes(&hall, 1, sender);
    hall.command(Command::Mix(spec));
    hall.connect();
    (hall, mixer, [sender, knows, lacks])
}

fn transcodes(hall: &Hall, revision: u64, of: Id) -> MixSpec {
    let camera = camera_of(hall, of);
    let transcodes = vec![
        TranscodeSpec { source: camera, codec: Codec::H264 },
        TranscodeSpec { source: camera, codec: Codec::Vp8 },
        TranscodeSpec { source: Feed { kind: FeedKind::Audio, ..camera }, codec: Codec::Opus },
    ];
    MixSpec { scenes: vec![], transcodes, ..spec(hall, revision) }
}

#[test]
fn who_cannot_decode_a_member_gets_them_in_another_codec_in_the_same_slot_and_others_keep_the_original() {
    let (mut hall, mut mixer, [sender, knows, lacks]) = foreign();
    let single = SINGLE + hall.participant(sender).0 as u32;
    for kind in [Kind::Video, Kind::Audio] {
        assert_eq!(seen(&mut hall, &mut mixer, lacks, kind), [single], "{kind:?}");
        let original = seen(&mut hall, &mut mixer, knows, kind);
        assert!(original.len() == 1 && original[0] < SCENE, "{kind:?}: {original:?}");
    }
    let camera = camera_of(&hall, sender);
    let made = |output: &MixOutput| matches!(output, MixOutput::Track { codec: Codec::Vp8 | Codec::Opus, .. });
    assert!(mixer.needs.keys().all(made) && mixer.needs.len() == 2, "{:?}", mixer.needs.keys());
    for id in [knows, lacks] {
        let (leg, seats) = (hall.leg(id), vec![Some(camera.participant)]);
        let told = |e: &EventBody| matches!(e, EventBody::Seats { leg: l, seats: s, .. } if (*l, s) == (leg, &seats));
        assert!(hall.events.iter().any(told), "it is the member who is seen");
    }
    // The member begins to send what everybody decodes.
    other_profile(&mut hall, sender, 0);
    let original = seen(&mut hall, &mut mixer, lacks, Kind::Video);
    assert!(original.len() == 1 && original[0] < SCENE, "{original:?}");
    mixer.run(&mut hall, 3 * SECOND);
    assert!(mixer.needs.is_empty(), "{:?}", mixer.needs.keys());
    hall.finish();
}

#[test]
fn what_a_screen_says_is_made_in_another_codec_too_while_it_is_presented() {
    let (mut hall, mut mixer, [sender, _, lacks]) = foreign();
    // All that the sender sends is a presentation's; the viewer takes the sound of one.
    hall.respec(sender, |spec| spec.media.iter_mut().for_each(|m| m.presentation = true));
    hall.respec(lacks, |spec| {
        spec.media.iter_mut().filter(|m| m.kind == Kind::Audio).for_each(|m| m.presentation = true);
    });
    let sound = Feed { kind: FeedKind::PresentationAudio, ..camera_of(&hall, sender) };
    let named = TranscodeSpec { source: sound, codec: Codec::Opus };
    let spec = MixSpec { scenes: vec![], transcodes: vec![named], ..spec(&hall, 2) };
    hall.command(Command::Mix(spec));
    mixer.run(&mut hall, SECOND);
    let made = MixOutput::Track { feed: sound, codec: Codec::Opus, rung: 0 };
    assert!(!mixer.needs.contains_key(&made), "nobody has the floor");
    let presenter = Some(hall.participant(sender));
    hall.conference(ROOM, 2, |spec| spec.presenter = presenter);
    mixer.run(&mut hall, SECOND);
    assert!(mixer.needs.contains_key(&made), "{:?}", mixer.needs.keys());
    mixer.say(&mut hall, &FromMix::Want { conference: ROOM, feed: sound, width: 0, height: 0 });
    mixer.run(&mut hall, SECOND);
    assert!(mixer.tapped.get(&(sound, 0)).is_some_and(|tapped| tapped.0 > 10), "{:?}", mixer.tapped.keys());
    hall.finish();
}

#[test]
fn the_encoding_of_a_transcoded_picture_follows_the_tile_the_link_and_the_mixers_load() {
    let (mut hall, mut mixer, [sender, _, lacks]) = foreign();
    let (leg, single) = (hall.leg(lacks), SINGLE + hall.participant(sender).0 as u32);
    let mid = hall.members[lacks].spec.media.iter().find(|m| m.kind == Kind::Video).unwrap().mid.clone();
    let wish = |hall: &mut Hall, revision, (width, height)| {
        let slots = vec![SlotWish { mid: mid.clone(), width, height, max_fps: 0, pinned: None }];
        let spec =
            SubscriptionSpec { leg, revision, slots, first: vec![], low_latency: false, mix: None, mixed_sound: false };
        hall.command(Command::Subscription(spec));
    };
    let rung =
        |hall: &Hall| hall.members[lacks].peer.slot(Kind::Video, false, 0).and_then(|s| s.source).map(|s| (s.0, s.1));
    for (revision, tile, encoding) in [(1, (320, 180), 0), (2, (1280, 720), 2), (3, (640, 360), 1)] {
        wish(&mut hall, revision, tile);
        mixer.run(&mut hall, 12 * SECOND);
        assert_eq!(rung(&hall), Some((single, encoding)), "{tile:?}");
    }
    let output = |rung| MixOutput::Track { feed: camera_of(&hall, sender), codec: Codec::Vp8, rung };
    let (first, second) = (output(0), output(1));
    assert_eq!(mixer.needs.get(&second).map(|n| n.bitrate), Some(600_000));
    mixer.say(&mut hall, &FromMix::Load { shed: 2, spent: MixerSpent::default() });
    mixer.run(&mut hall, 3 * SECOND);
    assert_eq!(rung(&hall), Some((single, 0)));
    let needed = &mixer.needs[&first];
    assert!((60_000..=200_000).contains(&needed.bitrate) && mixer.needs.len() == 2, "{}", needed.bitrate);
    hall.finish();
}

#[test]
fn without_a_mixer_a_slot_gets_nothing_that_its_receiver_cannot_decode_and_the_loss_is_counted() {
    let (mut hall, mut mixer, [sender, knows, lacks]) = foreign();
    let single = SINGLE + hall.participant(sender).0 as u32;
    assert_eq!(seen(&mut hall, &mut mixer, lacks, Kind::Video), [single]);
    assert_eq!(hall.shard.drops().get(DropReason::UnsupportedPayload), 0);
    hall.shard.mixer_gone(hall.now);
    hall.run(6 * SECOND);
    let mut nobody = Mixer::default();
    assert!(seen(&mut hall, &mut nobody, lacks, Kind::Video).is_empty());
    assert!(seen(&mut hall, &mut nobody, lacks, Kind::Audio).is_empty());
    assert!(hall.shard.drops().get(DropReason::UnsupportedPayload) > 50);
    assert_eq!(seen(&mut hall, &mut nobody, knows, Kind::Video).len(), 1, "others do not notice");
    let mut second = Mixer::start(&mut hall);
    assert_eq!(seen(&mut hall, &mut second, lacks, Kind::Video), [single]);
    assert!(second.needs.values().all(|e| e.keys >= 1));
    // Control takes it back.
    let spec = MixSpec { transcodes: vec![], ..transcodes(&hall, 2, sender) };
    hall.command(Command::Mix(spec));
    assert!(seen(&mut hall, &mut second, lacks, Kind::Video).is_empty());
    second.run(&mut hall, 2 * SECOND);
    assert!(second.needs.is_empty());
    let track = MixOutput::Track { feed: camera_of(&hall, sender), codec: Codec::Vp8, rung: 0 };
    let before = hall.shard.drops().get(DropReason::NotSelected);
    let rtp = [&[0x80, 96][..], &[0; 10], &[0x90, 0x80, 0x80, 1, 0x10]].concat();
    second.say(&mut hall, &FromMix::Packet { conference: ROOM, output: track, captured: 0, rtp: &rtp });
    assert_eq!(hall.shard.drops().get(DropReason::NotSelected), before + 1, "nobody asked for it");
    hall.finish();
}

#[test]
fn what_another_mixer_makes_is_another_stream_whatever_number_the_former_gave_its_own() {
    let (mut hall, mut mixer, [sender, _, lacks]) = foreign();
    let single = SINGLE + hall.participant(sender).0 as u32;
    // A mixer counts the streams of a source: this one began afresh twice, the next one has just begun.
    mixer.stream = 2;
    assert_eq!(seen(&mut hall, &mut mixer, lacks, Kind::Video), [single]);
    hall.shard.mixer_gone(hall.now);
    hall.run(SECOND / 2);
    let evicted = hall.shard.drops().get(DropReason::Evicted);
    let mut second = Mixer { stream: 1, ..Mixer::start(&mut hall) };
    assert_eq!(seen(&mut hall, &mut second, lacks, Kind::Video), [single]);
    assert_eq!(hall.shard.drops().get(DropReason::Evicted), evicted, "nothing is taken for old");
    hall.finish();
}
