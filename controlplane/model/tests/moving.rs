//! Moving between conferences, and between the room and its lobby, as stories.
#![allow(missing_docs)]

mod world;

use plenum_model::*;
use world::{GUEST_PIN, HOST_PIN, Person, World};

fn transfer(alias: &str, pin: Option<&str>, role: Option<Role>) -> MemberCommand {
    MemberCommand::Transfer(Transfer { alias: alias.into(), pin: pin.map(Into::into), role, ending: Vec::new() })
}

fn moved(w: &World, who: &Person) -> Option<(String, Role)> {
    w.seen(who).log.iter().rev().find_map(|e| match e {
        EventBody::Moved { alias, role, .. } => Some((alias.clone(), *role)),
        _ => None,
    })
}

#[test]
fn mgmt_38_a_transferred_participant_keeps_name_token_and_call_and_sees_the_other_room() {
    let mut w = World::new();
    let host = w.host("H");
    let other = w.enter_room("2000", "Resident").unwrap();
    w.does(&host, Command::Start).unwrap();
    let guest = w.guest("G");
    let (call, leg) = w.call(&guest, Purpose::Main);
    w.media.clear();
    w.to(&host, &guest, transfer("2000", None, None)).unwrap();
    assert_eq!(moved(&w, &guest), Some(("2000".into(), Role::Host)));
    assert_eq!(w.model.conference_of(guest.key), Some(w.other));
    assert_eq!(w.model.owner_of(leg), Some((w.other, guest.key)));
    assert_eq!(w.member(&guest).call(call).map(|call| call.leg), Some(leg), "the call goes on");
    assert!(!w.media.contains(&MediaChange::RemoveLeg(leg)));
    let order = |change| w.media.iter().position(|c| *c == change).unwrap();
    assert!(order(MediaChange::Conference(w.other)) < order(MediaChange::Participant(w.other, guest.key)));
    assert!(w.seen(&host).log.contains(&EventBody::Deleted(guest.id)), "to those who stay they are gone");
    assert!(w.seen(&other).roster.contains_key(&guest.id) && w.seen(&guest).roster.contains_key(&other.id));
    // Their client goes on using the alias that it knows.
    assert_eq!(w.model.place_for("1061", &guest.token), Some(w.other));
    assert_eq!(w.model.place_for("1061@PLENUM.local", &guest.token), Some(w.other));
    assert_eq!(w.model.place_for("2000", &guest.token), Some(w.other));
    assert_eq!(w.model.place_for("1061", &host.token), Some(w.room));
    assert_eq!(w.model.place_for("9999", &guest.token), None);
    w.mirrors_agree();
}

#[test]
fn mgmt_38_the_pin_must_be_that_of_the_role_there() {
    let mut w = World::new();
    let host = w.enter_room("2000", "H").unwrap();
    let one = w.enter_room("2000", "One").unwrap();
    for (pin, role) in [(None, None), (Some("0"), None), (Some(GUEST_PIN), Some(Role::Host)), (Some(""), None)] {
        assert_eq!(w.to(&host, &one, transfer("1061", pin, role)), Err(Refusal::WrongPin), "{pin:?} {role:?}");
    }
    assert_eq!(w.to(&host, &one, transfer("nowhere", None, None)), Err(Refusal::NoSuchConference));
    assert!(matches!(w.to(&host, &one, transfer("2000", None, None)), Err(Refusal::BadValue(_))));
    w.to(&host, &one, transfer("1061", Some(HOST_PIN), Some(Role::Guest))).unwrap();
    assert_eq!((w.member(&one).role, w.state(&one)), (Role::Guest, ServiceState::WaitingRoom), "no host is there");
    w.to(&host, &host, transfer("1061", Some(HOST_PIN), None)).unwrap();
    assert_eq!(w.member(&host).role, Role::Host);
    w.does(&host, Command::Start).unwrap();
    assert_eq!(w.state(&one), ServiceState::Conference);
    w.mirrors_agree();
}

#[test]
fn mgmt_38_what_was_done_to_them_in_the_one_room_does_not_follow_them_and_screens_end() {
    let mut w = World::new();
    let host = w.host("H");
    let one = w.host("One");
    for command in [MemberCommand::Mute(true), MemberCommand::VideoMute(true), MemberCommand::Spotlight(true)] {
        w.to(&host, &one, command).unwrap();
    }
    w.to(&one, &one, MemberCommand::SelfMute(true)).unwrap();
    let (screen, _) = w.call(&one, Purpose::PresentationSend);
    w.to(&host, &one, transfer("2000", None, None)).unwrap();
    let member = w.member(&one);
    assert!(!member.audio_muted && !member.video_muted && member.spotlight == 0);
    assert!(member.self_muted, "one's own wish goes along");
    assert!(w.seen(&one).log.iter().any(|e| matches!(e, EventBody::CallEnded { call, .. } if *call == screen)));
    assert!(w.seen(&host).log.contains(&EventBody::PresentationStopped));
    assert_eq!(w.model.conference(w.room).unwrap().presenter, None);
    w.mirrors_agree();
}

#[test]
fn mgmt_38_connections_that_cannot_go_along_end_before_the_move() {
    let mut w = World::new();
    let host = w.host("H");
    let (call, leg) = w.call(&host, Purpose::Main);
    let transfer = Transfer { alias: "2000".into(), pin: None, role: None, ending: vec![leg] };
    w.to(&host, &host, MemberCommand::Transfer(transfer)).unwrap();
    let log = &w.seen(&host).log;
    let at = |found: &dyn Fn(&EventBody) -> bool| log.iter().position(found).unwrap();
    let ended = at(&|e| matches!(e, EventBody::CallEnded { call: ended, .. } if *ended == call));
    assert!(ended < at(&|e| matches!(e, EventBody::Moved { .. })), "a stream that moves on must have been told");
    w.call(&host, Purpose::Main);
    w.mirrors_agree();
}

#[test]
fn mgmt_38_a_full_or_closed_conference_takes_nobody() {
    let mut w = World::new();
    let later = w.now.unix + 100;
    w.room_named("3000", |s| Settings { kind: Kind::Scheduled { begins: later, ends: later + 10 }, ..s });
    let host = w.host("H");
    assert!(matches!(w.to(&host, &host, transfer("3000", None, None)), Err(Refusal::NotNow(_))));
}

#[test]
fn whoever_left_an_ad_hoc_conference_for_another_is_still_found_by_its_alias() {
    let mut w = World::new();
    let ad_hoc = w.room_named("77", |s| Settings { kind: Kind::AdHoc, ..s });
    let one = w.enter_room("77", "One").unwrap();
    w.to(&one, &one, transfer("2000", None, None)).unwrap();
    assert!(w.model.conference(ad_hoc).is_none(), "it is gone with its last participant");
    assert_eq!(w.model.place_for("77", &one.token), Some(w.other));
    // And there and back again.
    w.to(&one, &one, transfer("1061", Some(HOST_PIN), None)).unwrap();
    w.to(&one, &one, transfer("2000", None, None)).unwrap();
    assert_eq!(w.model.place_for("77", &one.token), Some(w.other));
    w.does(&one, Command::Leave).unwrap();
    assert_eq!(w.model.place_for("77", &one.token), None);
}

#[test]
fn a_transfer_that_could_not_be_kept_is_taken_back() {
    let mut w = World::new();
    let host = w.host("H");
    w.call(&host, Purpose::Main);
    let before = w.model.clone();
    for alias in ["2000", "1061"] {
        w.model.begin();
        let _ = w.to(&host, &host, transfer(alias, Some(HOST_PIN), None));
        w.model.rollback();
        assert!(w.model.same_state(&before));
        w.model.check().unwrap();
    }
}

#[test]
fn a_restart_keeps_whoever_was_transferred_where_they_are() {
    let mut w = World::new();
    let host = w.host("H");
    w.to(&host, &host, transfer("2000", None, None)).unwrap();
    let conferences: Vec<Conference> = w.model.conferences().cloned().collect();
    let participants = conferences.iter().flat_map(|c| c.members.values().map(|m| (c.key, (**m).clone()))).collect();
    let tokens = conferences.iter().flat_map(|c| c.tokens.iter().map(|(h, t)| (c.key, *h, t.participant))).collect();
    let saved = Saved { conferences, participants, tokens };
    let (model, left_out) = Model::restore(Limits::default(), 10_000, w.now, saved);
    assert_eq!(left_out, 0);
    assert_eq!(model.place_for("1061", &host.token), Some(w.other));
}

#[test]
fn a_guest_in_the_lobby_sees_nobody_and_only_a_hand_lets_them_out() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let (guest, witness) = (w.guest("G"), w.guest("Witness"));
    w.call(&guest, Purpose::PresentationSend);
    assert!(matches!(w.to(&host, &host, MemberCommand::Lobby), Err(Refusal::BadValue(_))));
    assert_eq!(w.to(&witness, &guest, MemberCommand::Lobby), Err(Refusal::HostOnly));
    w.to(&host, &guest, MemberCommand::Lobby).unwrap();
    assert_eq!(w.state(&guest), ServiceState::WaitingRoom);
    assert_eq!(w.seen(&guest).roster.len(), 1);
    assert!(!w.seen(&witness).roster.contains_key(&guest.id), "to other guests they are gone");
    assert!(w.seen(&host).roster.contains_key(&guest.id), "hosts see who waits");
    assert!(w.seen(&host).log.contains(&EventBody::PresentationStopped));
    assert!(w.media.contains(&MediaChange::Participant(w.room, guest.key)));
    w.does(&host, Command::Lock(true)).unwrap();
    w.does(&host, Command::Lock(false)).unwrap();
    assert_eq!(w.state(&guest), ServiceState::WaitingRoom, "an unlocked room lets in who came, not who was sent out");
    w.to(&host, &guest, MemberCommand::Admit).unwrap();
    assert_eq!(w.seen(&guest).roster.len(), 3);
    w.mirrors_agree();
}
