//! Calling people, and when a conference goes on for their sake, as stories.
#![allow(missing_docs)]

mod world;

use plenum_model::*;
use world::{GUEST_PIN, HOST_PIN, Person, World, dial};

fn ready() -> (World, Person) {
    let mut w = World::new();
    w.model.set_capabilities(Capabilities { sip: true, rtmp: true });
    let host = w.host("H");
    (w, host)
}

fn call(w: &mut World, host: &Person, role: Role, keep: KeepAlive) -> ParticipantKey {
    let id = ParticipantId(u128::from(w.model.fresh_key()).to_be_bytes());
    w.does(host, dial(id, role, keep, false)).unwrap();
    w.model.conference(w.room).unwrap().by_id[&id]
}

fn answered(w: &mut World, host: &Person, role: Role, keep: KeepAlive) -> ParticipantKey {
    let key = call(w, host, role, keep);
    w.act(Action::Fact(Fact::Answered(key))).unwrap();
    key
}

fn alive(w: &World) -> bool {
    !w.model.conference(w.room).unwrap().members.is_empty()
}

#[test]
fn mgmt_15_without_a_part_that_can_call_dialling_is_refused_and_says_why() {
    let mut w = World::new();
    let host = w.host("H");
    let id = ParticipantId([1; 16]);
    let why = |w: &mut World, streaming| match w.does(&host, dial(id, Role::Guest, KeepAlive::Yes, streaming)) {
        Err(Refusal::NotAvailable(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&mut w, false).contains("SIP"));
    assert!(why(&mut w, true).contains("RTMP"));
    w.does(&host, Command::Start).unwrap();
    let guest = w.try_join("G", Some(GUEST_PIN)).unwrap();
    assert_eq!(w.does(&guest, dial(id, Role::Guest, KeepAlive::Yes, false)), Err(Refusal::HostOnly));
}

#[test]
fn mgmt_16_whoever_is_called_appears_as_connecting_and_joins_when_they_answer() {
    let (mut w, host) = ready();
    let key = call(&mut w, &host, Role::Guest, KeepAlive::Yes);
    assert_eq!(w.signals, [Signal::Dial(w.room, key)]);
    let view = w.model.conference(w.room).unwrap().view(key).unwrap();
    assert_eq!((view.state, view.protocol, view.outgoing), (ServiceState::Connecting, Protocol::Sip, true));
    assert_eq!((view.display_name.as_str(), view.uri.as_str()), ("bob@example.com", "bob@example.com"));
    assert!(w.seen(&host).roster.contains_key(&view.id));
    w.pass(29);
    w.act(Action::Fact(Fact::Answered(key))).unwrap();
    w.pass(60);
    assert_eq!(w.model.conference(w.room).unwrap().member(key).unwrap().state, ServiceState::Conference);
    w.mirrors_agree();
}

#[test]
fn mgmt_16_whoever_does_not_answer_in_30_s_or_rejects_is_removed() {
    let (mut w, host) = ready();
    let silent = call(&mut w, &host, Role::Guest, KeepAlive::Yes);
    let busy = call(&mut w, &host, Role::Guest, KeepAlive::Yes);
    w.act(Action::Fact(Fact::HungUp { participant: busy, reason: "Call rejected".into() })).unwrap();
    assert_eq!(w.model.conference_of(busy), None);
    w.pass(29);
    assert!(w.model.conference_of(silent).is_some());
    w.pass(1);
    assert_eq!(w.model.conference_of(silent), None);
    assert!(w.signals.contains(&Signal::HangUp(silent)));
    assert_eq!(w.seen(&host).log.iter().filter(|e| matches!(e, EventBody::Deleted(_))).count(), 2);
    w.mirrors_agree();
}

#[test]
fn mgmt_18_the_sequence_is_sent_right_after_the_answer_and_mgmt_36_digits_later() {
    let (mut w, host) = ready();
    let key = answered(&mut w, &host, Role::Guest, KeepAlive::Yes);
    assert_eq!(w.signals[1..], [Signal::Digits(key, "12#".into())]);
    let target = w.model.conference(w.room).unwrap().member(key).unwrap().id;
    let digits = |text: &str| Command::To { target, command: MemberCommand::Digits(text.into()) };
    w.does(&host, digits("99")).unwrap();
    assert_eq!(w.signals.last(), Some(&Signal::Digits(key, "99".into())));
    for bad in ["", "hello", &"1".repeat(65)] {
        assert!(matches!(w.does(&host, digits(bad)), Err(Refusal::BadValue(_))), "{bad}");
    }
    assert!(matches!(w.to(&host, &host, MemberCommand::Digits("1".into())), Err(Refusal::NotAvailable(_))));
}

#[test]
fn mgmt_17_the_first_value_keeps_the_conference_for_a_host_and_ends_it_with_them() {
    let (mut w, host) = ready();
    let kept = answered(&mut w, &host, Role::Host, KeepAlive::Yes);
    let other = answered(&mut w, &host, Role::Guest, KeepAlive::Yes);
    w.does(&host, Command::Leave).unwrap();
    assert!(alive(&w));
    w.act(Action::Fact(Fact::HungUp { participant: kept, reason: "bye".into() })).unwrap();
    assert!(!alive(&w), "a guest does not keep it");
    assert!(w.signals.contains(&Signal::HangUp(other)));
}

#[test]
fn mgmt_17_the_second_value_needs_two_of_its_kind_and_one_of_them_a_host() {
    for (roles, lives) in [([Role::Host, Role::Guest], true), ([Role::Guest, Role::Guest], false)] {
        let (mut w, host) = ready();
        let people = roles.map(|role| answered(&mut w, &host, role, KeepAlive::IfMultiple));
        w.does(&host, Command::Leave).unwrap();
        assert_eq!(alive(&w), lives, "{roles:?}");
        if lives {
            w.act(Action::Fact(Fact::HungUp { participant: people[1], reason: "bye".into() })).unwrap();
            assert!(!alive(&w), "one alone is not multiple");
        }
    }
}

#[test]
fn mgmt_17_the_third_value_ends_at_once_when_nobody_else_is_left() {
    let (mut w, host) = ready();
    answered(&mut w, &host, Role::Host, KeepAlive::Never);
    let second = w.try_join("Second", Some(HOST_PIN)).unwrap();
    w.does(&host, Command::Leave).unwrap();
    assert!(alive(&w), "somebody came by themselves");
    w.does(&second, Command::Leave).unwrap();
    assert!(!alive(&w));
    assert!(w.media.contains(&MediaChange::RemoveConference(w.room)));
}

#[test]
fn a_stream_is_told_in_the_conferences_state() {
    let (mut w, host) = ready();
    let id = ParticipantId([200; 16]);
    w.does(&host, dial(id, Role::Guest, KeepAlive::Never, true)).unwrap();
    let key = w.model.conference(w.room).unwrap().by_id[&id];
    let streaming = |w: &World| w.model.conference(w.room).unwrap().status().streaming;
    assert!(!streaming(&w), "not before it runs");
    w.act(Action::Fact(Fact::Answered(key))).unwrap();
    assert!(streaming(&w));
    w.does(&host, Command::To { target: id, command: MemberCommand::Disconnect }).unwrap();
    assert!(!streaming(&w));
    let told = w.seen(&host).log.iter().filter_map(|e| match e {
        EventBody::Status(status) => Some(status.streaming),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [false, true, false]);
    w.act(Action::Fact(Fact::Recording { conference: w.room, active: true })).unwrap();
    assert!(w.model.conference(w.room).unwrap().status().recording);
}

#[test]
fn a_restart_gives_those_who_are_called_a_fresh_time_to_answer() {
    let (mut w, host) = ready();
    let key = call(&mut w, &host, Role::Guest, KeepAlive::Yes);
    let old = w.model.conference(w.room).unwrap();
    let saved = Saved {
        conferences: vec![old.clone()],
        participants: old.members.values().map(|m| (w.room, (**m).clone())).collect(),
        tokens: old.tokens.iter().map(|(hash, token)| (w.room, *hash, token.participant)).collect(),
    };
    let (model, left_out) = Model::restore(Limits::default(), 10_000, Now { ms: 5, unix: w.now.unix }, saved);
    assert_eq!(left_out, 0);
    let how = model.conference(w.room).unwrap().member(key).unwrap().dialled.clone().unwrap();
    assert_eq!(how.answer_by_ms, 30_005);
}
