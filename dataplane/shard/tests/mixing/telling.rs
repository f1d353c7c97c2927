//! What control is told of a mix: who stands in its tiles, and what of it cannot be done.

use super::*;

#[test]
fn control_is_told_who_stands_in_the_tiles_of_a_mixed_leg() {
    let (mut hall, mut mixer, [a, b, talker, _]) = room();
    mixer.run(&mut hall, SECOND);
    let seats = vec![Some(hall.participant(b)), Some(hall.participant(a)), None];
    mixer.say(&mut hall, &FromMix::Seats { conference: ROOM, scene: 0, layout: "1:7".into(), seats: seats.clone() });
    mixer.run(&mut hall, SECOND);
    let leg = hall.leg(talker);
    let expected = EventBody::Seats { leg, seats, presentation: None, layout: Some("1:7".into()) };
    assert!(hall.events.contains(&expected));
    // Who presents is in the picture, which has no place of its own for it.
    let presenter = Some(hall.participant(a));
    hall.command(Command::Mix(MixSpec { presenter, ..spec(&hall, 9) }));
    mixer.run(&mut hall, SECOND);
    let told = |e: &EventBody| matches!(e, EventBody::Seats { leg: l, presentation, .. } if (*l, *presentation) == (leg, presenter));
    assert!(hall.events.iter().any(told));
    // Another scene of the same number: what stood in the former one is not told of it.
    hall.command(Command::Mix(MixSpec { scenes: vec![SceneSpec::new(1, "4:0", 1280, 720)], ..spec(&hall, 10) }));
    mixer.say(&mut hall, &FromMix::Seats { conference: ROOM, scene: 1, layout: "4:0".into(), seats: vec![None; 4] });
    mixer.run(&mut hall, SECOND);
    hall.events.clear();
    hall.command(Command::Mix(spec(&hall, 11)));
    mixer.run(&mut hall, SECOND);
    let told = |e: &EventBody| matches!(e, EventBody::Seats { leg: l, .. } if *l == leg);
    assert!(!hall.events.iter().any(told), "nobody has said yet who stands in it");
    hall.finish();
}

#[test]
fn control_is_told_once_of_what_the_mixer_cannot_do_and_again_of_another_logo() {
    let (mut hall, mut mixer, _) = room();
    mixer.run(&mut hall, SECOND);
    let said = |hall: &Hall| hall.events.iter().filter(|e| matches!(e, EventBody::MixUnable { .. })).count();
    for (revision, logo, times) in [(9, b"a", 1), (10, b"a", 1), (11, b"b", 2)] {
        hall.command(Command::Mix(MixSpec { logo: Some(logo.to_vec()), ..spec(&hall, revision) }));
        for _ in 0..3 {
            let reason = String::from("the logo cannot be drawn");
            mixer.say(&mut hall, &FromMix::Unable { conference: ROOM, reason });
        }
        mixer.run(&mut hall, SECOND);
        assert_eq!(said(&hall), times, "{revision}");
    }
    hall.finish();
}
