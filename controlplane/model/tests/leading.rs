//! Who leads, when a conference is open, who stands first on screen, and cameras, as stories.
#![allow(missing_docs)]

mod world;

use plenum_model::layout::LayoutAudience;
use plenum_model::*;
use world::{GUEST_PIN, HOST_PIN, Person, World};

fn entry(audience: LayoutAudience, layout: &str, actors: &[&Person]) -> LayoutEntry {
    LayoutEntry {
        audience,
        actors: actors.iter().map(|who| who.id).collect(),
        ..LayoutEntry::new(audience, LayoutName::parse(layout).unwrap())
    }
}

fn with_pins(change: impl FnOnce(Settings) -> Settings) -> World {
    let settings = Settings { host_pin: Some(HOST_PIN.into()), guest_pin: Some(GUEST_PIN.into()), ..World::settings() };
    World::with(change(settings))
}

#[test]
fn when_the_last_host_leaves_the_first_guest_leads_where_the_settings_say_so() {
    let mut w = with_pins(|s| Settings { hand_over: true, ..s });
    let (host, second) = (w.host("H"), w.host("H2"));
    w.does(&host, Command::Start).unwrap();
    let (first, with_media) = (w.guest("First"), w.guest("With media"));
    w.call(&with_media, Purpose::Main);
    w.does(&host, Command::Lock(true)).unwrap();
    let waiting = w.guest("Waiting");
    w.does(&second, Command::Leave).unwrap();
    assert_eq!(w.member(&with_media).role, Role::Guest, "a host is left");
    w.does(&host, Command::Leave).unwrap();
    assert_eq!((w.member(&with_media).role, w.member(&first).role), (Role::Host, Role::Guest));
    assert!(w.seen(&with_media).roster.contains_key(&waiting.id), "the new host sees who waits");
    w.does(&with_media, Command::Leave).unwrap();
    assert_eq!(w.member(&first).role, Role::Host);
    assert_eq!(w.member(&waiting).role, Role::Guest, "who waits does not lead");
    w.mirrors_agree();
}

#[test]
fn without_that_setting_the_meeting_goes_on_without_a_host() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let guest = w.guest("G");
    w.does(&host, Command::Leave).unwrap();
    assert_eq!((w.member(&guest).role, w.state(&guest)), (Role::Guest, ServiceState::Conference));
    assert_eq!(w.guest("Later").state, ServiceState::Conference, "it has started");
}

#[test]
fn a_scheduled_conference_is_open_in_its_time_alone() {
    let (begins, ends) = (1_700_000_100, 1_700_000_200);
    let mut w = with_pins(|s| Settings { kind: Kind::Scheduled { begins, ends }, ..s });
    assert!(matches!(w.try_join("Early", Some(HOST_PIN)), Err(Refusal::NotNow(_))));
    w.pass(100);
    let host = w.host("H");
    w.pass(99);
    assert!(w.does(&host, Command::Status).is_ok());
    w.pass(1);
    assert_eq!(w.seen(&host).out.as_deref(), Some("The time of this conference is over"));
    assert!(matches!(w.try_join("Late", Some(HOST_PIN)), Err(Refusal::NotNow(_))));
}

#[test]
fn an_ad_hoc_conference_is_gone_with_its_last_participant() {
    let mut w = with_pins(|s| Settings { kind: Kind::AdHoc, ..s });
    let (a, b) = (w.host("A"), w.host("B"));
    w.does(&a, Command::Leave).unwrap();
    assert!(w.model.resolve("1061").is_some());
    w.does(&b, Command::End).unwrap();
    assert!(w.model.resolve("1061").is_none());
    w.model.check().unwrap();
}

#[test]
fn mgmt_37_a_host_who_becomes_guest_is_muted_where_guests_are() {
    let mut w = World::new();
    let (host, other) = (w.host("H"), w.host("O"));
    w.does(&host, Command::MuteGuests { muted: true, but_presenter: false }).unwrap();
    assert!(!w.member(&other).audio_muted);
    w.to(&host, &other, MemberCommand::Role(Role::Guest)).unwrap();
    assert!(w.member(&other).audio_muted);
    assert_eq!(w.does(&other, Command::Lock(true)), Err(Refusal::HostOnly));
}

#[test]
fn mgmt_22_the_dedicated_variant_spares_who_presents() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let (presenter, guest) = (w.guest("P"), w.guest("G"));
    w.call(&presenter, Purpose::PresentationSend);
    w.does(&host, Command::MuteGuests { muted: true, but_presenter: true }).unwrap();
    assert!(!w.member(&presenter).audio_muted && w.member(&guest).audio_muted);
    let late = w.guest("L");
    assert!(w.member(&late).audio_muted);
}

#[test]
fn mgmt_26_an_audience_without_an_entry_keeps_its_layout_and_mgmt_27_none_is_the_default() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let guest = w.guest("G");
    let choose = |w: &mut World, entries: Vec<LayoutEntry>, whole| {
        w.does(&host, Command::OverrideLayout { entries, whole }).unwrap();
        let conference = w.model.conference(w.room).unwrap();
        let seen = |who: &Person| conference.layout_for(conference.member(who.key).unwrap()).as_str();
        (seen(&host), seen(&guest))
    };
    use LayoutAudience::{Guests, Hosts};
    assert_eq!(choose(&mut w, vec![entry(Hosts, "2:21", &[]), entry(Guests, "1:0", &[])], false), ("2:21", "1:0"));
    assert_eq!(choose(&mut w, vec![entry(Guests, "4:0", &[])], false), ("2:21", "4:0"), "B7");
    assert_eq!(choose(&mut w, vec![entry(Guests, "1:21", &[])], true), ("1:7", "1:21"));
    assert_eq!(choose(&mut w, Vec::new(), false), ("1:7", "1:7"));
    let twice = vec![entry(Guests, "1:0", &[]), entry(Guests, "4:0", &[])];
    let refused = w.does(&host, Command::OverrideLayout { entries: twice, whole: false });
    assert!(matches!(refused, Err(Refusal::BadValue(_))));
}

#[test]
fn mgmt_28_actors_are_an_order_of_their_audience_and_one_who_left_leaves_a_gap() {
    let mut w = World::new();
    let host = w.host("H");
    w.does(&host, Command::Start).unwrap();
    let (a, b, guest) = (w.host("A"), w.host("B"), w.guest("G"));
    w.call(&guest, Purpose::Main);
    w.media.clear();
    let entries = vec![entry(LayoutAudience::Guests, "1:7", &[&a, &b])];
    w.does(&host, Command::OverrideLayout { entries, whole: false }).unwrap();
    assert!(w.media.contains(&MediaChange::Participant(w.room, guest.key)), "media must hear of the new order");
    let actors = |w: &World, who: &Person| w.model.conference(w.room).unwrap().actors_for(w.member(who));
    assert_eq!(actors(&w, &guest), [Some(a.key), Some(b.key)]);
    assert_eq!(actors(&w, &host), [], "another audience");
    w.media.clear();
    w.does(&a, Command::Leave).unwrap();
    assert_eq!(actors(&w, &guest), [None, Some(b.key)]);
    assert!(w.media.contains(&MediaChange::Participant(w.room, guest.key)));
    w.to(&host, &guest, MemberCommand::Role(Role::Host)).unwrap();
    assert_eq!(actors(&w, &guest), []);
}

#[test]
fn importance_stands_behind_spotlights_and_an_own_layout_before_the_audiences() {
    let mut w = World::new();
    let (a, b, c) = (w.host("A"), w.host("B"), w.host("C"));
    w.to(&a, &a, MemberCommand::Importance(Some(1))).unwrap();
    w.to(&a, &b, MemberCommand::Importance(Some(9))).unwrap();
    w.to(&a, &c, MemberCommand::Spotlight(true)).unwrap();
    assert_eq!(w.model.conference(w.room).unwrap().pinned(), [c.key, b.key, a.key]);
    w.to(&a, &b, MemberCommand::Importance(None)).unwrap();
    assert_eq!(w.model.conference(w.room).unwrap().pinned(), [c.key, a.key]);
    w.does(&a, Command::OverrideLayout { entries: vec![entry(LayoutAudience::Hosts, "4:0", &[])], whole: false })
        .unwrap();
    w.to(&a, &b, MemberCommand::Layout(LayoutName::parse("1:0"))).unwrap();
    let conference = w.model.conference(w.room).unwrap();
    assert_eq!(conference.layout_for(w.member(&b)).as_str(), "1:0");
    assert_eq!(conference.layout_for(w.member(&a)).as_str(), "4:0");
}

#[test]
fn mgmt_58_a_camera_hears_how_it_is_moved_and_one_that_cannot_is_refused() {
    let mut w = World::new();
    let (host, owner) = (w.host("H"), w.host("O"));
    let movement = CameraMove {
        action: CameraAction::Start,
        movements: vec![CameraMovement::PanLeft, CameraMovement::ZoomIn],
        timeout_ms: 1000,
    };
    let refused = w.to(&host, &owner, MemberCommand::Camera(movement.clone()));
    assert!(matches!(refused, Err(Refusal::NotAvailable(_))));
    w.call(&owner, Purpose::Main);
    assert!(w.model.conference(w.room).unwrap().view(owner.key).unwrap().fecc);
    w.to(&host, &owner, MemberCommand::Camera(movement.clone())).unwrap();
    assert!(w.seen(&owner).log.contains(&EventBody::Camera(movement.clone())));
    assert!(!w.seen(&host).log.contains(&EventBody::Camera(movement)), "only its owner is told");
}
