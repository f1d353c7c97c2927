//! What control forbids does not flow, from the moment on, and comes back when it is allowed again.

mod common;

use common::*;
use plenum_bench::peer::Slots;
use plenum_contract::{Command, Kind};
use std::time::Duration;

const ALL: Slots = Slots { audio: 1, video: 1, presentation: true };
const SECOND: Duration = Duration::from_secs(1);

/// Two people with sound, picture, screen and data.
fn pair() -> (Hall, Id, Id) {
    let mut hall = Hall::new();
    let join = |hall: &mut Hall| {
        hall.join(true, |config| {
            let leg = config.leg.0;
            config.publishes = vec![microphone(leg), camera(leg), screen(leg)];
            config.slots = ALL;
            config.data = true;
        })
    };
    let (a, b) = (join(&mut hall), join(&mut hall));
    hall.connect();
    hall.run(2 * SECOND);
    (hall, a, b)
}

/// Frames and sounds that `viewer` decoded in a second: sound, picture, screen.
fn decoded(hall: &mut Hall, viewer: Id) -> [u64; 3] {
    let count = |hall: &Hall, kind, presentation| {
        hall.members[viewer].peer.slot(kind, presentation, 0).map_or(0, |slot| slot.frames)
    };
    let all =
        |hall: &Hall| [(Kind::Audio, false), (Kind::Video, false), (Kind::Video, true)].map(|(k, p)| count(hall, k, p));
    let before = all(hall);
    hall.run(SECOND);
    let after = all(hall);
    [after[0] - before[0], after[1] - before[1], after[2] - before[2]]
}

fn messages(hall: &mut Hall, to: Id) -> Vec<String> {
    let taken = hall.members[to].peer.take_messages();
    taken.iter().map(|m| String::from_utf8_lossy(&m.payload).into_owned()).collect()
}

#[test]
fn who_is_muted_is_silent_at_once_and_heard_again_when_they_are_not() {
    let (mut hall, a, b) = pair();
    hall.change(a, |spec| spec.audio_blocked = true);
    hall.step(Duration::from_millis(1));
    let [sound, picture, _] = decoded(&mut hall, b);
    assert_eq!(sound, 0);
    assert!(picture > 20);
    hall.change(a, |spec| (spec.audio_blocked, spec.video_blocked) = (false, true));
    hall.run(SECOND);
    let [sound, picture, _] = decoded(&mut hall, b);
    assert!(sound > 40, "{sound}");
    assert_eq!(picture, 0);
    hall.change(a, |spec| spec.video_blocked = false);
    hall.run(SECOND);
    assert!(decoded(&mut hall, b)[1] > 20);
    hall.finish();
}

#[test]
fn a_presentation_is_seen_although_the_camera_of_who_shows_it_is_blocked() {
    let (mut hall, a, b) = pair();
    let presenter = hall.participant(a);
    hall.conference(ROOM, 2, |spec| spec.presenter = Some(presenter));
    hall.change(a, |spec| spec.video_blocked = true);
    hall.run(SECOND);
    let [_, picture, screen] = decoded(&mut hall, b);
    assert_eq!(picture, 0);
    assert!(screen > 2, "{screen}");
    hall.change(b, |spec| spec.presentation_denied = true);
    hall.step(Duration::from_millis(1));
    assert_eq!(decoded(&mut hall, b)[2], 0, "who may not see presentations");
    hall.finish();
}

#[test]
fn who_waits_neither_sends_nor_receives_anything() {
    let (mut hall, a, b) = pair();
    for id in [a, b] {
        hall.members[id].peer.send_message("chat", false, b"hello");
    }
    hall.run(SECOND);
    assert_eq!((messages(&mut hall, a), messages(&mut hall, b)), (vec!["hello".into()], vec!["hello".into()]));
    hall.change(a, |spec| spec.waiting = true);
    hall.step(Duration::from_millis(1));
    hall.forget();
    for id in [a, b] {
        hall.members[id].peer.send_message("chat", false, b"psst");
    }
    assert_eq!(decoded(&mut hall, b), [0; 3]);
    assert_eq!(decoded(&mut hall, a), [0; 3]);
    assert_eq!(hall.members[a].sent.rtp, 0, "nothing at all, not even what was queued");
    assert!(messages(&mut hall, a).is_empty() && messages(&mut hall, b).is_empty());
    hall.change(a, |spec| spec.waiting = false);
    hall.run(SECOND);
    let [sound, picture, _] = decoded(&mut hall, b);
    assert!(sound > 40 && picture > 20, "{sound} {picture}");
    hall.finish();
}

#[test]
fn nothing_flows_before_control_starts_it_whether_the_peer_is_connected_or_not() {
    let mut hall = Hall::new();
    let a = hall.talker(ALL);
    let late = |hall: &mut Hall| {
        hall.join(false, |config| {
            let leg = config.leg.0;
            config.publishes = vec![microphone(leg), camera(leg)];
            config.slots = ALL;
        })
    };
    let (before, after) = (late(&mut hall), late(&mut hall));
    let leg = hall.leg(before);
    hall.command(Command::Start(leg));
    hall.connect();
    hall.run(2 * SECOND);
    assert!(decoded(&mut hall, before)[1] > 20, "started before it was connected");
    assert_eq!(hall.members[after].sent.rtp, 0);
    let leg = hall.leg(after);
    hall.command(Command::Start(leg));
    hall.run(SECOND);
    assert!(decoded(&mut hall, after)[1] > 20, "started after it was connected");
    assert!(decoded(&mut hall, a)[1] > 20);
    hall.finish();
}

#[test]
fn a_session_may_be_removed_at_any_point_of_its_setup() {
    for steps in 0..60 {
        let mut hall = Hall::new();
        let a = hall.talker(ALL);
        let b = hall.talker(ALL);
        for _ in 0..steps {
            hall.step(Duration::from_millis(1));
        }
        let leg = hall.leg(b);
        hall.command(Command::RemoveSession(leg));
        hall.members[b].here = false;
        hall.run(Duration::from_millis(100));
        assert!(hall.try_command(Command::Start(leg)).is_err());
        hall.connect();
        assert!(hall.members[a].peer.is_up());
        hall.finish();
    }
}

#[test]
fn who_is_transferred_leaves_one_room_and_is_in_the_other() {
    let (mut hall, a, b) = pair();
    let c = hall.talker(ALL);
    hall.change(c, |spec| spec.conference = OTHER_ROOM);
    hall.connect();
    hall.run(SECOND);
    assert_eq!(decoded(&mut hall, c), [0; 3], "alone");
    hall.members[b].peer.send_message("chat", false, b"before");
    hall.run(SECOND);
    hall.change(b, |spec| spec.conference = OTHER_ROOM);
    hall.step(Duration::from_millis(1));
    hall.forget();
    hall.members[b].peer.send_message("chat", false, b"after");
    assert_eq!(decoded(&mut hall, a), [0; 3], "B is gone");
    let [sound, picture, _] = decoded(&mut hall, c);
    assert!(sound > 40 && picture > 20, "C has B: {sound} {picture}");
    let [sound, picture, _] = decoded(&mut hall, b);
    assert!(sound > 40 && picture > 20, "B has C: {sound} {picture}");
    assert_eq!(messages(&mut hall, a), ["before"]);
    hall.finish();
}

#[test]
fn an_m_line_that_is_switched_off_and_on_goes_on_where_it_was() {
    let (mut hall, _, b) = pair();
    let lines: Vec<_> = hall.members[b].spec.media.iter().map(|m| m.slot.clone()).collect();
    hall.respec(b, |spec| spec.media.iter_mut().filter(|m| m.kind == Kind::Video).for_each(|m| m.slot = None));
    hall.step(Duration::from_millis(1));
    let [sound, picture, screen] = decoded(&mut hall, b);
    assert!(sound > 40 && picture == 0 && screen == 0, "{sound} {picture} {screen}");
    let unknown = hall.shard.drops().get(plenum_packet::DropReason::UnknownSsrc);
    hall.respec(b, |spec| spec.media.iter_mut().zip(lines).for_each(|(m, slot)| m.slot = slot));
    hall.run(SECOND);
    assert!(decoded(&mut hall, b)[1] > 20);
    assert_eq!(
        hall.shard.drops().get(plenum_packet::DropReason::UnknownSsrc),
        unknown,
        "nothing was planned meanwhile"
    );
    hall.finish();
}

#[test]
fn codecs_that_change_are_followed_at_a_key_frame() {
    let (mut hall, a, b) = pair();
    hall.respec(b, |spec| spec.media.iter_mut().for_each(|m| m.codecs.iter_mut().for_each(|c| c.profile = 7)));
    hall.step(Duration::from_millis(1));
    assert_eq!(decoded(&mut hall, b)[..2], [0, 0], "B takes nothing that A sends");
    hall.respec(b, |spec| spec.media.iter_mut().for_each(|m| m.codecs.iter_mut().for_each(|c| c.profile = 0)));
    hall.run(SECOND);
    let [sound, picture, _] = decoded(&mut hall, b);
    assert!(sound > 40 && picture > 20, "{sound} {picture}");
    assert!(decoded(&mut hall, a)[1] > 20);
    hall.finish();
}

#[test]
fn an_m_line_that_sends_something_else_begins_anew() {
    let (mut hall, a, b) = pair();
    hall.respec(a, |spec| {
        for media in spec.media.iter_mut().filter(|m| m.kind == Kind::Video && !m.presentation) {
            media.source.as_mut().unwrap().track = plenum_contract::TrackKey(999);
        }
    });
    hall.run(SECOND);
    assert!(decoded(&mut hall, b)[1] > 20);
    let told = |e: &plenum_contract::EventBody| {
        matches!(e, plenum_contract::EventBody::TrackActive { track: plenum_contract::TrackKey(999), active: true, .. })
    };
    assert!(hall.events.iter().any(told));
    hall.finish();
}
