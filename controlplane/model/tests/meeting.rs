//! Meetings as stories: PINs, waiting, roles, mute, floor, tokens, media restarts.
#![allow(missing_docs)]

mod world;

use plenum_model::*;
use world::{GUEST_PIN, HOST_PIN, World};

#[test]
fn mgmt_10_a_wrong_or_missing_pin_is_refused_and_says_what_is_needed() {
    let mut w = World::new();
    let need = |wrong| Refusal::Pin(PinNeed { guest_pin: true, wrong });
    assert_eq!(w.try_join("A", None).unwrap_err(), need(false));
    assert_eq!(w.try_join("A", Some("0000")).unwrap_err(), need(true));
    assert_eq!(w.host("H").role, Role::Host);
    assert_eq!(w.guest("G").role, Role::Guest);
}

#[test]
fn mgmt_3_an_alias_is_found_in_any_letter_case_and_no_other() {
    let w = World::new();
    assert!(w.model.resolve("1061@PLENUM.local").is_some());
    assert!(w.model.resolve("10611").is_none());
    assert!(w.model.resolve(&"x".repeat(100_000)).is_none());
}

#[test]
fn mgmt_21_guests_wait_until_a_host_has_media() {
    let mut w = World::new();
    let guest = w.guest("G");
    assert_eq!(guest.state, ServiceState::WaitingRoom);
    let host = w.host("H");
    assert_eq!(w.state(&guest), ServiceState::WaitingRoom, "a host without media does not open the room");
    assert_eq!(w.seen(&guest).roster.len(), 1, "B18: whoever waits sees nobody else");
    assert_eq!(w.seen(&host).roster.len(), 2, "B18: hosts see who waits");
    w.call(&host, Purpose::Main);
    assert_eq!(w.state(&guest), ServiceState::Conference);
    assert_eq!(w.seen(&guest).roster.len(), 2);
    w.mirrors_agree();
}

#[test]
fn mgmt_21_start_service_lets_guests_in_without_media() {
    let mut w = World::new();
    let guest = w.guest("G");
    let host = w.host("H");
    assert_eq!(w.does(&guest, Command::Start), Err(Refusal::HostOnly));
    w.does(&host, Command::Start).unwrap();
    assert_eq!(w.state(&guest), ServiceState::Conference);
    assert_eq!(w.guest("Late").state, ServiceState::Conference);
    w.mirrors_agree();
}

#[test]
fn mgmt_20_a_lock_keeps_new_guests_waiting_and_hosts_enter() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    w.does(&host, Command::Lock(true)).unwrap();
    let guest = w.guest("G");
    assert_eq!(guest.state, ServiceState::WaitingRoom);
    assert_eq!(w.host("H2").state, ServiceState::Conference);
    // MGMT-35: one is let in by hand, the others by the unlock.
    let other = w.guest("G2");
    w.to(&host, &guest, MemberCommand::Admit).unwrap();
    assert_eq!(w.state(&guest), ServiceState::Conference);
    assert_eq!(w.state(&other), ServiceState::WaitingRoom);
    w.does(&host, Command::Lock(false)).unwrap();
    assert_eq!(w.state(&other), ServiceState::Conference);
    w.mirrors_agree();
}

#[test]
fn mgmt_7_guests_may_not_steer_but_may_do_what_is_their_own() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let guest = w.guest("G");
    for command in [
        Command::Lock(true),
        Command::MuteGuests { muted: true, but_presenter: false },
        Command::End,
        Command::OverrideLayout { entries: Vec::new(), whole: false },
    ] {
        assert_eq!(w.does(&guest, command), Err(Refusal::HostOnly));
    }
    assert_eq!(w.to(&guest, &host, MemberCommand::Disconnect), Err(Refusal::HostOnly));
    assert_eq!(w.to(&guest, &guest, MemberCommand::Mute(false)), Err(Refusal::HostOnly));
    w.call(&guest, Purpose::Main);
    w.does(&guest, Command::Message { content_type: "text/plain".into(), payload: "hello".into() }).unwrap();
    assert!(w.seen(&host).log.iter().any(|e| matches!(e, EventBody::Message { payload, .. } if payload == "hello")));
}

#[test]
fn a_waiting_guest_can_neither_chat_nor_see_others() {
    let mut w = World::new();
    let host = w.host("H");
    let guest = w.guest("G");
    let chat = Command::Message { content_type: "text/plain".into(), payload: "psst".into() };
    assert_eq!(w.does(&guest, chat), Err(Refusal::Waiting));
    let told = MemberCommand::Message { content_type: "text/plain".into(), payload: "psst".into() };
    assert_eq!(w.to(&guest, &host, told), Err(Refusal::NoSuchParticipant));
    let Ok(Outcome::Roster(list)) = w.does(&guest, Command::Roster) else { panic!() };
    assert_eq!(list.len(), 1);
}

#[test]
fn mgmt_5_a_token_dies_after_120_s_and_refreshed_ones_overlap() {
    let mut w = World::new();
    let mut host = w.host("H");
    let old = host.token;
    w.pass(60);
    w.refresh(&mut host).unwrap();
    w.pass(59);
    let with_old = Action::Do { conference: w.room, by: By::Token(old), command: Command::Status };
    assert!(w.act(with_old.clone()).is_ok(), "the old token is valid until its own end");
    w.pass(1);
    assert_eq!(w.act(with_old), Err(Refusal::InvalidToken));
    assert!(w.does(&host, Command::Status).is_ok());
    w.pass(60);
    assert_eq!(w.does(&host, Command::Status), Err(Refusal::InvalidToken));
}

#[test]
fn mgmt_14_a_session_that_is_not_refreshed_ends_with_its_media() {
    let mut w = World::new();
    let mut host = w.host("H");
    let silent = w.host("Silent");
    let (_, leg) = w.call(&silent, Purpose::Main);
    w.pass(100);
    w.refresh(&mut host).unwrap();
    w.media.clear();
    w.pass(20);
    assert!(w.media.contains(&MediaChange::RemoveLeg(leg)));
    assert!(w.media.contains(&MediaChange::RemoveParticipant(silent.key)));
    assert_eq!(w.seen(&silent).out.as_deref(), Some("Session expired"));
    assert!(w.seen(&host).log.contains(&EventBody::Deleted(silent.id)));
}

#[test]
fn mgmt_13_end_session_takes_the_participant_out_at_once() {
    let mut w = World::new();
    let host = w.host("H");
    let other = w.host("O");
    w.does(&other, Command::Leave).unwrap();
    assert_eq!(w.does(&other, Command::Status), Err(Refusal::InvalidToken));
    assert!(w.seen(&host).log.contains(&EventBody::Deleted(other.id)));
}

#[test]
fn mgmt_22_muteguests_mutes_guests_now_and_later_and_no_host() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let early = w.guest("G");
    w.does(&host, Command::MuteGuests { muted: true, but_presenter: false }).unwrap();
    let late = w.guest("L");
    let muted =
        |w: &World, who: &world::Person| w.model.conference(w.room).unwrap().member(who.key).unwrap().audio_muted;
    assert!(muted(&w, &early) && muted(&w, &late) && !muted(&w, &host));
    w.does(&host, Command::MuteGuests { muted: false, but_presenter: false }).unwrap();
    assert!(!muted(&w, &early) && !muted(&w, &late));
    w.mirrors_agree();
}

#[test]
fn muting_oneself_is_kept_apart_from_what_a_host_does() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let guest = w.guest("G");
    w.to(&guest, &guest, MemberCommand::SelfMute(true)).unwrap();
    w.to(&host, &guest, MemberCommand::Mute(false)).unwrap();
    assert!(w.model.conference(w.room).unwrap().member(guest.key).unwrap().self_muted);
    assert!(w.to(&host, &guest, MemberCommand::SelfMute(false)).is_err());
}

#[test]
fn mgmt_34_spotlights_stand_in_the_order_they_were_set() {
    let mut w = World::new();
    let (a, b) = (w.host("A"), w.host("B"));
    w.to(&a, &b, MemberCommand::Spotlight(true)).unwrap();
    w.to(&a, &a, MemberCommand::Spotlight(true)).unwrap();
    assert_eq!(w.model.conference(w.room).unwrap().pinned(), [b.key, a.key]);
    w.to(&a, &b, MemberCommand::Spotlight(false)).unwrap();
    assert_eq!(w.model.conference(w.room).unwrap().pinned(), [a.key]);
}

#[test]
fn mgmt_55_who_starts_presenting_takes_the_floor_and_the_first_share_ends() {
    let mut w = World::new();
    let (a, b) = (w.host("A"), w.host("B"));
    let (first, _) = w.call(&a, Purpose::PresentationSend);
    assert!(w.seen(&b).log.iter().any(|e| matches!(e, EventBody::PresentationStarted { id, .. } if *id == a.id)));
    w.call(&b, Purpose::PresentationSend);
    let ended = |e: &EventBody| matches!(e, EventBody::CallEnded { call, .. } if *call == first);
    assert!(w.seen(&a).log.iter().any(ended));
    assert!(!w.seen(&b).log.iter().any(ended), "only its owner is told");
    let conference = w.model.conference(w.room).unwrap();
    assert_eq!(conference.presenter, Some(b.key));
    w.does(&b, Command::Leave).unwrap();
    assert!(w.seen(&a).log.contains(&EventBody::PresentationStopped));
    w.mirrors_agree();
}

#[test]
fn a_restarted_media_plane_ends_every_call_and_keeps_everybody() {
    let mut w = World::new();
    let (a, b) = (w.host("A"), w.host("B"));
    let (call, _) = w.call(&a, Purpose::Main);
    w.call(&b, Purpose::Main);
    w.act(Action::Fact(Fact::EveryLegEnded { reason: "media restarted".into() })).unwrap();
    assert!(w.seen(&a).log.contains(&EventBody::CallEnded { call, reason: "media restarted".into() }));
    assert_eq!(w.model.legs().count(), 0);
    assert!(w.does(&a, Command::Status).is_ok(), "the token is still good");
    w.call(&a, Purpose::Main);
    w.mirrors_agree();
}

#[test]
fn a_second_main_call_takes_the_place_of_the_first_without_an_event() {
    let mut w = World::new();
    let a = w.host("A");
    let (first, leg) = w.call(&a, Purpose::Main);
    w.call(&a, Purpose::Main);
    assert!(w.media.contains(&MediaChange::RemoveLeg(leg)));
    assert!(!w.seen(&a).log.iter().any(|e| matches!(e, EventBody::CallEnded { call, .. } if *call == first)));
}

#[test]
fn mgmt_8_whoever_hides_is_never_named() {
    let mut w = World::new();
    let watcher = w.enter("Ghost", Some(HOST_PIN), true).unwrap();
    let host = w.host("H");
    assert_eq!(w.seen(&host).roster.len(), 1);
    let (_, leg) = w.call(&host, Purpose::Main);
    w.act(Action::Fact(Fact::Speakers { conference: w.room, order: vec![(watcher.key, true), (host.key, false)] }))
        .unwrap();
    w.act(Action::Fact(Fact::Seats { leg, seats: vec![Some(watcher.key), None], presentation: None, layout: None }))
        .unwrap();
    w.call(&watcher, Purpose::PresentationSend);
    w.does(&watcher, Command::Leave).unwrap();
    w.mirrors_agree();
}

#[test]
fn mgmt_37_a_guest_who_becomes_host_sees_who_waits() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let mut guest = w.guest("G");
    w.does(&host, Command::Lock(true)).unwrap();
    let waiting = w.guest("W");
    w.to(&host, &guest, MemberCommand::Role(Role::Host)).unwrap();
    assert_eq!(w.refresh(&mut guest), Ok(Outcome::Refreshed(Role::Host)));
    assert!(w.seen(&guest).roster.contains_key(&waiting.id));
    w.to(&host, &guest, MemberCommand::Role(Role::Guest)).unwrap();
    assert!(!w.seen(&guest).roster.contains_key(&waiting.id));
    w.mirrors_agree();
}

#[test]
fn mgmt_23_the_end_tells_everybody_and_the_next_meeting_begins_afresh() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    w.does(&host, Command::Lock(true)).unwrap();
    let guest = w.guest("G");
    w.does(&host, Command::End).unwrap();
    assert!(w.seen(&host).out.is_some() && w.seen(&guest).out.is_some());
    assert!(w.media.contains(&MediaChange::RemoveConference(w.room)));
    assert!(!w.model.conference(w.room).unwrap().locked);
}

#[test]
fn a_full_conference_refuses_the_next_and_goes_on() {
    let mut w = World::new();
    w.model = Model::new(Limits { participants_per_conference: 2, ..Limits::default() }, 1);
    let settings = World::settings();
    w.act(Action::Create(NewConference { id: ConferenceId([9; 16]), settings })).unwrap();
    let a = w.try_join("A", None).unwrap();
    w.try_join("B", None).unwrap();
    assert!(matches!(w.try_join("C", None), Err(Refusal::Limit(_))));
    w.room = w.model.resolve("1061").unwrap().key;
    assert!(w.does(&a, Command::Status).is_ok());
}

#[test]
fn names_are_any_unicode_but_no_control_characters() {
    let mut w = World::new();
    assert!(w.try_join("会議 参加者 שלום", Some(HOST_PIN)).is_ok());
    assert!(matches!(w.try_join("a\u{0}b", Some(HOST_PIN)), Err(Refusal::BadValue(_))));
    assert!(matches!(w.try_join(&"x".repeat(129), Some(GUEST_PIN)), Err(Refusal::BadValue(_))));
}

#[test]
fn a_batch_that_could_not_be_kept_is_taken_back() {
    let mut w = World::new();
    let host = w.host("H");
    let before = w.model.clone();
    w.model.begin();
    w.host("Lost");
    w.does(&host, Command::Lock(true)).unwrap();
    let other = Settings { aliases: vec!["77".into()], ..World::settings() };
    w.act(Action::Create(NewConference { id: ConferenceId([8; 16]), settings: other })).unwrap();
    w.act(Action::Delete(w.room)).unwrap();
    w.model.rollback();
    assert!(w.model.same_state(&before));
    w.model.check().unwrap();
    assert!(w.model.resolve("77").is_none() && w.model.resolve("1061").is_some());
}

#[test]
fn a_restart_brings_everybody_back_with_120_fresh_seconds() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let guest = w.guest("G");
    w.call(&host, Purpose::Main);
    w.pass(100);
    let old = w.model.conference(w.room).unwrap();
    let saved = Saved {
        conferences: vec![old.clone()],
        participants: old.members.values().map(|m| (w.room, (**m).clone())).collect(),
        tokens: old.tokens.iter().map(|(hash, token)| (w.room, *hash, token.participant)).collect(),
    };
    let (model, left_out) = Model::restore(Limits::default(), 10_000, Now { ms: 5, unix: w.now.unix }, saved);
    assert_eq!(left_out, 0);
    model.check().unwrap();
    w.model = model;
    w.now.ms = 5 + 119_000;
    assert!(w.does(&guest, Command::Status).is_ok());
    assert!(w.model.conference(w.room).unwrap().started);
}

#[test]
fn at_the_limits_of_conferences_and_participants_the_next_is_refused_with_the_limit_and_a_freed_place_is_taken() {
    let limits = Limits { conferences: 3, participants: 3, ..Limits::default() };
    let mut w = World::limited(World::settings(), limits);
    let create = |w: &mut World, n: u8| {
        let settings = Settings { name: "R".into(), aliases: vec![format!("300{n}")], ..Settings::default() };
        w.act(Action::Create(NewConference { id: ConferenceId([200 + n; 16]), settings }))
    };
    let Ok(Outcome::Created(third, _)) = create(&mut w, 0) else { panic!("two are there") };
    assert_eq!(create(&mut w, 1), Err(Refusal::Limit("limit of 3 conferences reached".into())));

    // Participants are counted in all conferences.
    let a = w.enter_room("1061", "A").unwrap();
    w.enter_room("2000", "B").unwrap();
    w.enter_room("3000", "C").unwrap();
    for number in ["1061", "2000"] {
        let full = Refusal::Limit("limit of 3 participants reached".into());
        assert_eq!(w.enter_room(number, "D").unwrap_err(), full);
    }
    w.call(&a, Purpose::Main);
    w.does(&a, Command::Leave).unwrap();
    w.enter_room("2000", "D").unwrap();
    w.act(Action::Delete(third)).unwrap();
    create(&mut w, 1).unwrap();
    w.mirrors_agree();
}
