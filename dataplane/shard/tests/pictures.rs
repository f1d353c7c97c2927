//! Key frames come when they are needed, however requests fare, and never too many; sound goes on when speakers change.

mod common;

use common::*;
use plenum_bench::peer::Slots;
use plenum_contract::{EventBody, Kind};
use plenum_wire::demux::{PacketKind, classify};
use std::time::Duration;

const ONE: Slots = Slots { audio: 1, video: 1, presentation: false };
const SECOND: Duration = Duration::from_secs(1);

fn frames(hall: &Hall, id: Id) -> u64 {
    hall.members[id].peer.slot(Kind::Video, false, 0).map_or(0, |slot| slot.frames)
}

#[test]
fn a_viewer_whose_key_frame_requests_are_lost_sees_the_picture_when_one_gets_through() {
    let mut hall = Hall::new();
    let a = hall.talker(Slots::default());
    hall.connect();
    hall.run(SECOND);
    let publisher = address(a);
    hall.down = Box::new(move |path, bytes| path.remote != publisher || classify(bytes) != PacketKind::Rtcp);
    let v = hall.join(true, |config| config.slots = ONE);
    hall.connect();
    hall.run(3 * SECOND);
    assert_eq!(frames(&hall, v), 0, "the camera sends no key frame unasked");
    hall.down = Box::new(|_, _| true);
    hall.run(Duration::from_millis(800));
    assert!(frames(&hall, v) > 5, "{} frames", frames(&hall, v));
    hall.finish();
}

#[test]
fn a_crowd_that_comes_at_once_costs_the_camera_few_key_frames() {
    let mut hall = Hall::new();
    let a = hall.talker(Slots::default());
    hall.connect();
    hall.run(SECOND);
    let before = hall.members[a].peer.stats().key_requests;
    let viewers: Vec<Id> = (0..40).map(|_| hall.join(true, |config| config.slots = ONE)).collect();
    hall.connect();
    hall.run(2 * SECOND);
    let asked = hall.members[a].peer.stats().key_requests - before;
    assert!((1..=6).contains(&asked), "{asked} requests in some two seconds");
    for v in viewers {
        assert!(frames(&hall, v) > 20, "viewer {v}");
    }
    hall.finish();
}

#[test]
fn sound_has_no_hole_when_speakers_change() {
    let mut hall = Hall::new();
    let talkers: Vec<Id> = (0..3).map(|_| hall.talker(Slots::default())).collect();
    let v = hall.join(true, |config| config.slots = ONE);
    hall.connect();
    for &talker in talkers.iter().cycle().take(7) {
        hall.members[talker].peer.set_speaking(true);
        hall.run(2 * SECOND);
        hall.members[talker].peer.set_speaking(false);
    }
    let sound = hall.members[v].peer.slot(Kind::Audio, false, 0).unwrap();
    assert_eq!((sound.lost, sound.duplicates), (0, 0));
    assert!(sound.by_track.len() == 3 && sound.by_track.values().all(|n| *n > 100), "{:?}", sound.by_track);
    assert!(sound.frames > 14 * 45, "{} sounds in 14 s", sound.frames);
    hall.finish();
}

#[test]
fn a_presentation_begins_ends_and_goes_to_another_without_a_word_to_the_viewer() {
    let mut hall = Hall::new();
    let share = |hall: &mut Hall| hall.join(true, |config| config.publishes = vec![screen(config.leg.0)]);
    let (a, b) = (share(&mut hall), share(&mut hall));
    let v = hall.join(true, |config| config.slots = Slots { presentation: true, ..ONE });
    hall.connect();
    hall.run(SECOND);
    let seen = |hall: &Hall| hall.members[v].peer.slot(Kind::Video, true, 0).map_or(0, |slot| slot.frames);
    assert_eq!(seen(&hall), 0, "nobody has the floor");
    let mut revision = 1;
    for presenter in [Some(a), Some(b), None, Some(a)] {
        let presenter = presenter.map(|id| hall.participant(id));
        revision += 1;
        hall.conference(ROOM, revision, |spec| spec.presenter = presenter);
        hall.events.clear();
        hall.run(SECOND / 2);
        let told = hall.events.iter().rev().find_map(|e| match e {
            EventBody::Seats { presentation, .. } => Some(*presentation),
            _ => None,
        });
        assert_eq!(told, Some(presenter));
        let before = seen(&hall);
        hall.run(SECOND);
        assert_eq!(seen(&hall) > before, presenter.is_some());
    }
    hall.finish();
}
