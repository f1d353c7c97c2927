//! Stories of those who watch all conferences: meetings begin, change and end (CMS), and what only operators do.
#![allow(missing_docs)]

mod world;

use plenum_model::*;
use world::World;

fn operator(w: &mut World, command: Command) {
    w.act(Action::Do { conference: w.room, by: By::Operator, command }).unwrap();
}

#[test]
fn cms_20_a_meeting_begins_with_the_first_and_ends_with_the_last_and_the_next_one_has_another_name() {
    let mut w = World::new();
    assert!(w.observer.meetings.is_empty(), "a room without people is no meeting");
    let alice = w.host("Alice");
    let first = w.observer.meetings[&w.room].view.meeting;
    let bob = w.guest("Bob");
    assert_eq!(w.observer.meetings[&w.room].roster.len(), 2);
    w.does(&bob, Command::Leave).unwrap();
    w.does(&alice, Command::Leave).unwrap();
    assert_eq!(w.observer.ended, [first]);
    w.host("Alice");
    let second = &w.observer.meetings[&w.room].view;
    assert_ne!(second.meeting, first);
    assert_eq!(second.id, w.model.conference(w.room).unwrap().id, "the conference itself is the same");
    w.mirrors_agree();
}

#[test]
fn cms_21_join_audio_mute_override_holds_for_everybody_who_comes_later_and_for_this_meeting() {
    let mut w = World::new();
    let alice = w.host("Alice");
    operator(&mut w, Command::MuteOnJoin(Some(true)));
    assert!(w.observer.meetings[&w.room].view.mute_on_join);
    let bob = w.host("Bob");
    assert_eq!((w.member(&alice).audio_muted, w.member(&bob).audio_muted), (false, true));
    operator(&mut w, Command::End);
    let carol = w.host("Carol");
    assert!(!w.member(&carol).audio_muted, "the next meeting is as the settings say");
    w.mirrors_agree();
}

#[test]
fn what_a_mix_leaves_out_is_told_when_it_changes_and_forgotten_with_the_meeting_and_with_media() {
    let mut w = World::new();
    let shed = |w: &mut World, level| {
        let told = w.act(Action::Fact(Fact::MixShed { conference: w.room, level })).unwrap();
        let seen = w.observer.meetings.get(&w.room).map(|meeting| meeting.view.mix_shed);
        (told, seen)
    };
    assert_eq!(shed(&mut w, 1).1, None, "nobody is there");
    let alice = w.host("Alice");
    assert_eq!(w.observer.meetings[&w.room].view.mix_shed, 0);
    assert_eq!(shed(&mut w, 2).1, Some(2));
    w.act(Action::Fact(Fact::EveryLegEnded { reason: "media restarted".into() })).unwrap();
    assert_eq!(w.observer.meetings[&w.room].view.mix_shed, 0);
    assert_eq!(shed(&mut w, 1).1, Some(1));
    w.does(&alice, Command::Leave).unwrap();
    w.host("Alice");
    assert_eq!(w.observer.meetings[&w.room].view.mix_shed, 0);
    w.mirrors_agree();
}

#[test]
fn cms_25_everybody_is_muted_in_one_step_and_only_those_who_may_steer_do_it() {
    let mut w = World::new();
    let (alice, bob) = (w.host("Alice"), w.guest("Bob"));
    let all = Command::MuteAll { audio: Some(true), video: None };
    assert_eq!(w.does(&bob, all.clone()), Err(Refusal::HostOnly));
    operator(&mut w, all);
    assert!(w.member(&alice).audio_muted && w.member(&bob).audio_muted && !w.member(&alice).video_muted);
    operator(&mut w, Command::MuteAll { audio: Some(false), video: Some(true) });
    assert!(!w.member(&bob).audio_muted && w.member(&bob).video_muted);
    w.mirrors_agree();
}

#[test]
fn cms_22_whoever_was_moved_says_so_and_a_recording_terminal_is_told() {
    let mut w = World::new();
    let alice = w.host("Alice");
    let transfer = Transfer { alias: "2000".into(), pin: None, role: None, ending: Vec::new() };
    let command = Command::To { target: alice.id, command: MemberCommand::Transfer(transfer) };
    operator(&mut w, command);
    assert!(!w.observer.meetings.contains_key(&w.room), "the first room is empty");
    assert!(w.observer.meetings[&w.other].roster[&alice.id].moved);
    w.act(Action::Fact(Fact::EndpointRecording { participant: alice.key, active: true })).unwrap();
    assert!(w.observer.meetings[&w.other].roster[&alice.id].endpoint_recording);
    w.mirrors_agree();
}

#[test]
fn cms_20_who_spoke_while_waiting_is_on_the_stage_once_let_in() {
    let mut w = World::new();
    let guest = w.guest("G");
    let order = vec![(guest.key, true)];
    w.act(Action::Fact(Fact::Speakers { conference: w.room, order })).unwrap();
    w.mirrors_agree();
    let host = w.host("H");
    w.to(&host, &guest, MemberCommand::Admit).unwrap();
    w.mirrors_agree();
}
