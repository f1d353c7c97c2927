//! The mixed sound: beside forwarded pictures, on paths that lose it, and in step with the mixed picture.

use super::*;

#[test]
fn who_is_forwarded_to_with_one_sound_hears_the_mix_without_themself_and_a_voice_while_there_is_no_mixer() {
    const SLOTS: Slots = Slots { audio: 1, video: 2, presentation: false };
    let mut hall = Hall::new();
    let [a, b] = [hall.talker(SLOTS), hall.talker(ONE)];
    let listener = hall.join(true, |config| config.slots = SLOTS);
    let mut mixer = Mixer::start(&mut hall);
    hall.command(Command::Mix(MixSpec { scenes: vec![], ..spec(&hall, 1) }));
    hear(&mut hall, a, 1, true);
    hear(&mut hall, listener, 1, true);
    hall.connect();
    let own = EVERYBODY + hall.participant(a).0 as u32;
    assert_eq!(seen(&mut hall, &mut mixer, a, Kind::Audio), [own], "nobody hears themself");
    assert_eq!(seen(&mut hall, &mut mixer, listener, Kind::Audio), [EVERYBODY]);
    let voice = |heard: &[u32]| matches!(heard, [track] if *track < SCENE);
    let (heard, looked) = (seen(&mut hall, &mut mixer, b, Kind::Audio), seen(&mut hall, &mut mixer, a, Kind::Video));
    assert!(voice(&heard) && voice(&looked), "others, and all pictures, are forwarded: {heard:?} {looked:?}");
    let count = |mixer: &Mixer| mixer.needs.keys().filter(|o| matches!(o, MixOutput::Audio { .. })).count();
    assert_eq!((mixer.needs.len(), count(&mixer)), (2, 2), "sound, and no picture");
    // It does not wait for a mixer that went.
    hall.shard.mixer_gone(hall.now);
    let before = by_track(&hall, listener, Kind::Audio).get(&EVERYBODY).copied();
    hall.run(SECOND);
    let voices: u64 = by_track(&hall, listener, Kind::Audio).iter().filter(|(t, _)| **t < SCENE).map(|(_, n)| n).sum();
    assert!(voices > 40, "{voices} packets of voices in the second after it");
    let mut second = Mixer::start(&mut hall);
    assert_eq!(seen(&mut hall, &mut second, listener, Kind::Audio), [EVERYBODY]);
    assert!(by_track(&hall, listener, Kind::Audio).get(&EVERYBODY).copied() > before);
    // Who waits hears nothing.
    hall.change(listener, |spec| spec.waiting = true);
    assert_eq!(seen(&mut hall, &mut second, listener, Kind::Audio), [0; 0]);
    hall.change(listener, |spec| spec.waiting = false);
    assert_eq!(seen(&mut hall, &mut second, listener, Kind::Audio), [EVERYBODY]);
    hear(&mut hall, listener, 2, false);
    assert!(voice(&seen(&mut hall, &mut second, listener, Kind::Audio)));
    hall.finish();
}

#[test]
fn the_encoder_of_sound_is_told_what_the_worst_of_its_listeners_loses_within_bounds() {
    let mut hall = Hall::new();
    let [_, other] = [hall.talker(ONE), hall.join(true, |config| config.slots = ONE)];
    let listener = hall.join(true, |config| config.slots = Slots { audio: 1, ..Slots::default() });
    let mut mixer = Mixer::start(&mut hall);
    hall.command(Command::Mix(spec(&hall, 1)));
    [other, listener].into_iter().for_each(|id| mix(&mut hall, id, 1, Some(0)));
    hall.connect();
    let told = |mixer: &Mixer| {
        let sound = |output: &&MixOutput| matches!(output, MixOutput::Audio { without: None, .. });
        let pictures = mixer.needs.iter().filter(|(output, _)| !sound(output)).all(|(_, made)| made.loss == 0);
        assert!(pictures, "pictures are repaired otherwise");
        mixer.needs.iter().find(|(output, _)| sound(output)).map(|(_, made)| made.loss)
    };
    mixer.run(&mut hall, 10 * SECOND);
    assert_eq!(told(&mixer), Some(5), "what is expected where nothing is known");
    // Every nth packet does not reach the listener.
    let lose = |hall: &mut Hall, every: u32| {
        let (to, mut count) = (address(listener), 0);
        hall.down = Box::new(move |path, bytes| {
            let media = (128..192).contains(&bytes[0]) && !(192..224).contains(&bytes[1]);
            count += u32::from(media && path.remote == to);
            !(media && path.remote == to && count.is_multiple_of(every))
        });
    };
    lose(&mut hall, 7);
    mixer.run(&mut hall, 30 * SECOND);
    let loss = told(&mixer).unwrap_or_default();
    assert!((9..=20).contains(&loss), "{loss} % told of 14 %");
    lose(&mut hall, 2);
    mixer.run(&mut hall, 30 * SECOND);
    assert!(told(&mixer) >= Some(23), "{:?}: no more than is of use", told(&mixer));
    hall.down = Box::new(|_, _| true);
    mixer.run(&mut hall, 5 * SECOND);
    assert!(told(&mixer) > Some(8), "{:?}: not forgotten at once", told(&mixer));
    mixer.run(&mut hall, 200 * SECOND);
    assert!(told(&mixer) < Some(8), "{:?}", told(&mixer));
    hall.finish();
}

#[test]
fn sender_reports_bring_sound_and_picture_of_the_mix_in_step_however_long_each_took_to_make() {
    let (mut hall, mut mixer, [_, _, talker, viewer]) = room();
    // Composing and encoding take longer than mixing: by arrival the lips would be 170 ms late.
    mixer.lag = (Duration::from_millis(180), Duration::from_millis(10));
    mixer.run(&mut hall, 5 * SECOND);
    for id in [talker, viewer] {
        let [picture, sound] = walls(&hall, id);
        let apart = (picture - sound).abs();
        assert!(apart <= 5, "{apart} ms apart, 40 ms may be (RFC 3550 6.4.1)");
        let name = |kind| hall.members[id].peer.slot(kind, false, 0).and_then(|slot| slot.cname.clone());
        assert!(name(Kind::Video).is_some_and(|name| !name.is_empty() && Some(name) == self::name(&hall, id)));
    }
    let before = walls(&hall, viewer);
    // A mixer that tells nonsense is not believed: reports count on from when its packets came.
    (mixer.lag, mixer.lies) = ((Duration::ZERO, Duration::ZERO), true);
    mixer.run(&mut hall, 4 * SECOND);
    for (before, after) in before.iter().zip(walls(&hall, viewer)) {
        assert!((after - before).abs() <= 15, "{before} and {after} ms");
    }
    hall.finish();
}

/// Wall time by the sender reports less time of capture by the stamps, of the newest picture and of the newest sound, in milliseconds.
fn walls(hall: &Hall, id: Id) -> [i64; 2] {
    [(Kind::Video, 90_000), (Kind::Audio, 48_000)].map(|(kind, clock)| {
        let slot = hall.members[id].peer.slot(kind, false, 0).expect("a slot");
        let (wall, captured) = slot.wall(clock).expect("a sender report");
        (wall as i64 - captured.nanos() as i64) / 1_000_000
    })
}

/// The CNAME of the sound.
fn name(hall: &Hall, id: Id) -> Option<Vec<u8>> {
    hall.members[id].peer.slot(Kind::Audio, false, 0)?.cname.clone()
}
