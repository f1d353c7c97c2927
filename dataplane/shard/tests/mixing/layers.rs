//! Temporal layers of a mix: who gets half the frames, and when.

use super::*;

/// Frames of a slot in so many seconds, and the encoding and layer of its newest.
fn frames_of(hall: &mut Hall, mixer: &mut Mixer, id: Id, seconds: u32) -> (u64, Option<(u32, u8)>) {
    let slot = |hall: &Hall| {
        let slot = hall.members[id].peer.slot(Kind::Video, false, 0);
        slot.map(|s| (s.frames, s.source.map(|s| (s.0, s.1)))).unwrap_or_default()
    };
    let before = slot(hall).0;
    mixer.run(hall, seconds * SECOND);
    let (frames, source) = slot(hall);
    (frames - before, source)
}

#[test]
fn of_two_viewers_of_a_mix_the_narrow_one_gets_half_the_frames_and_one_encoder_serves_both() {
    let (mut hall, mut mixer, [_, _, talker, viewer]) = room();
    mixer.run(&mut hall, 15 * SECOND);
    assert_eq!(frames_of(&mut hall, &mut mixer, talker, 1).1, Some((SCENE, 2)), "a wide link gets the whole picture");
    // Half of the frames of the whole picture fit, all do not.
    hall.respec(viewer, |spec| spec.max_bitrate = Some(800_000));
    mixer.run(&mut hall, 4 * SECOND);
    let keys = mixer.needs.values().map(|e| e.keys).sum::<u32>();
    let (all, whole) = frames_of(&mut hall, &mut mixer, talker, 4);
    let (some, half) = frames_of(&mut hall, &mut mixer, viewer, 4);
    assert_eq!((whole, half), (Some((SCENE, 2)), Some((SCENE, 2))), "both see the large picture");
    assert!(all.abs_diff(121) <= 2 && some.abs_diff(60) <= 2, "{all} frames and {some}");
    let rungs = mixer.needs.keys().filter(|output| matches!(output, MixOutput::Video { .. })).count();
    assert_eq!(rungs, 1, "one encoder");
    let rate = mixer.needs.iter().find_map(|(o, e)| matches!(o, MixOutput::Video { .. }).then_some(e.bitrate)).unwrap();
    assert!((900_000..=1_250_000).contains(&rate), "whose base the narrow link carries: {rate}");
    // Wide again, it goes up without a key frame, and who asks for few frames gets few on any link.
    hall.respec(viewer, |spec| spec.max_bitrate = None);
    mixer.run(&mut hall, 12 * SECOND);
    let (all, source) = frames_of(&mut hall, &mut mixer, viewer, 4);
    assert!(all.abs_diff(121) <= 2 && source == Some((SCENE, 2)), "{all} {source:?}");
    assert_eq!(mixer.needs.values().map(|e| e.keys).sum::<u32>(), keys, "nobody needed a key frame");
    let (leg, mid) =
        (hall.leg(viewer), hall.members[viewer].spec.media.iter().find(|m| m.kind == Kind::Video).unwrap().mid.clone());
    let slots = vec![SlotWish { mid, width: 1280, height: 720, max_fps: 15, pinned: None }];
    let spec = SubscriptionSpec {
        leg,
        revision: 5,
        slots,
        first: vec![],
        low_latency: false,
        mix: Some(0),
        mixed_sound: false,
    };
    hall.command(Command::Subscription(spec));
    mixer.run(&mut hall, SECOND);
    let (few, source) = frames_of(&mut hall, &mut mixer, viewer, 4);
    assert!(few.abs_diff(60) <= 2 && source == Some((SCENE, 2)), "{few} {source:?}");
    hall.finish();
}
