//! Random actions never break an invariant, a refused action changes nothing, and what a stream shows is what is.
#![allow(missing_docs)]

mod world;

use plenum_model::layout::{LayoutAudience, LayoutEntry};
use plenum_model::*;
use proptest::prelude::*;
use world::{GUEST_PIN, HOST_PIN, Person, World};

#[derive(Clone, Debug)]
enum Move {
    Join { pin: u8, hidden: bool },
    Refresh(u8),
    Pass(u8),
    Leave(u8),
    Transfer(u8, u8, u8),
    Dial(u8, u8),
    Answer(u8, bool),
    Steer(u8, u8),
    To(u8, u8, u8),
    Open(u8, u8),
    Start(u8),
    Close(u8),
    Connected(u8),
    Ended(u8),
    Speakers(Vec<u8>),
    Seats(u8, Vec<u8>),
    MediaRestart,
    TakenBack(Box<Move>),
}

fn moves() -> impl Strategy<Value = Move> {
    let n = any::<u8>;
    let simple = prop_oneof![
        4 => (n(), any::<bool>()).prop_map(|(pin, hidden)| Move::Join { pin, hidden }),
        2 => n().prop_map(Move::Refresh),
        2 => n().prop_map(Move::Pass),
        1 => n().prop_map(Move::Leave),
        1 => (n(), n(), n()).prop_map(|(a, b, c)| Move::Transfer(a, b, c)),
        1 => (n(), n()).prop_map(|(a, b)| Move::Dial(a, b)),
        1 => (n(), any::<bool>()).prop_map(|(a, b)| Move::Answer(a, b)),
        3 => (n(), n()).prop_map(|(a, b)| Move::Steer(a, b)),
        6 => (n(), n(), n()).prop_map(|(a, b, c)| Move::To(a, b, c)),
        3 => (n(), n()).prop_map(|(a, b)| Move::Open(a, b)),
        3 => n().prop_map(Move::Start),
        1 => n().prop_map(Move::Close),
        1 => n().prop_map(Move::Connected),
        1 => n().prop_map(Move::Ended),
        2 => prop::collection::vec(n(), 0..6).prop_map(Move::Speakers),
        2 => (n(), prop::collection::vec(n(), 0..6)).prop_map(|(a, b)| Move::Seats(a, b)),
        1 => Just(Move::MediaRestart),
    ];
    simple.prop_recursive(1, 2, 1, |inner| inner.prop_map(|one| Move::TakenBack(Box::new(one))))
}

struct Player {
    w: World,
    people: Vec<Person>,
    calls: Vec<(Person, CallId, LegKey)>,
    dialled: Vec<ParticipantId>,
}

impl Player {
    fn pick<T: Clone>(list: &[T], n: u8) -> Option<T> {
        (!list.is_empty()).then(|| list[n as usize % list.len()].clone())
    }

    fn play(&mut self, step: Move) {
        match step {
            Move::Join { pin, hidden } if self.people.len() < 60 => {
                let pin = [Some(HOST_PIN), Some(GUEST_PIN), Some(GUEST_PIN), None][pin as usize % 4];
                self.people.extend(self.w.enter("P", pin, hidden && self.people.len() % 4 == 3));
            }
            Move::Join { .. } => {}
            Move::Refresh(n) => {
                if self.people.is_empty() || self.calls.len() + self.people.len() > 150 {
                    return;
                }
                let at = n as usize % self.people.len();
                let mut person = self.people[at].clone();
                let _ = self.w.refresh(&mut person);
                self.people[at] = person;
            }
            Move::Pass(seconds) => self.w.pass(u64::from(seconds) / 4),
            Move::Leave(n) => {
                if let Some(person) = Self::pick(&self.people, n) {
                    let _ = self.w.does(&person, Command::Leave);
                }
            }
            Move::Transfer(n, m, how) => {
                let (Some(person), Some(target)) = (Self::pick(&self.people, n), Self::pick(&self.people, m)) else {
                    return;
                };
                let (pin, role) = [
                    (None, None),
                    (Some(HOST_PIN), None),
                    (Some(HOST_PIN), Some(Role::Guest)),
                    (Some(GUEST_PIN), Some(Role::Guest)),
                    (Some(GUEST_PIN), Some(Role::Host)),
                ][how as usize % 5];
                let alias = ["1061", "2000", "3000"][how as usize / 5 % 3].into();
                let ending = Self::pick(&self.calls, how).map(|(_, _, leg)| leg).into_iter().collect();
                let transfer = Transfer { alias, pin: pin.map(Into::into), role, ending };
                let _ = self.w.to(&person, &target, MemberCommand::Transfer(transfer));
            }
            Move::Dial(n, how) => {
                let Some(person) = Self::pick(&self.people, n) else { return };
                let id = ParticipantId(u128::from(self.w.model.fresh_key()).to_be_bytes());
                let keep_alive = [KeepAlive::Yes, KeepAlive::IfMultiple, KeepAlive::Never][how as usize % 3];
                let role = if how & 8 == 0 { Role::Host } else { Role::Guest };
                if self.w.does(&person, world::dial(id, role, keep_alive, how & 16 == 0)).is_ok() {
                    self.dialled.push(id);
                }
            }
            Move::Answer(n, answered) => {
                let Some(id) = Self::pick(&self.dialled, n) else { return };
                let found = self.w.model.conferences().find_map(|c| c.by_id.get(&id).copied());
                let Some(participant) = found else { return };
                if n % 4 == 0 {
                    let _ = self.w.act(Action::Fact(Fact::EndpointRecording { participant, active: answered }));
                }
                let fact = match answered {
                    true => Fact::Answered(participant),
                    false => Fact::HungUp { participant, reason: "busy".into() },
                };
                let _ = self.w.act(Action::Fact(fact));
            }
            Move::Steer(n, what) => {
                let Some(person) = Self::pick(&self.people, n) else { return };
                let entry = LayoutEntry {
                    actors: Self::pick(&self.people, what).map(|p| p.id).into_iter().collect(),
                    ..LayoutEntry::new(LayoutAudience::Guests, LayoutName::DEFAULT)
                };
                let command = match what % 11 {
                    0 => Command::Lock(true),
                    1 => Command::Lock(false),
                    2 => Command::Start,
                    3 => Command::MuteGuests { muted: true, but_presenter: false },
                    4 => Command::MuteGuests { muted: false, but_presenter: false },
                    5 => Command::OverrideLayout { entries: vec![entry], whole: what > 128 },
                    6 => Command::OverrideLayout { entries: Vec::new(), whole: false },
                    7 if what > 250 => Command::End,
                    7 => Command::ClearHands,
                    8 => Command::MuteOnJoin((what > 80).then_some(what > 160)),
                    9 => Command::MuteAll { audio: Some(what > 128), video: (what > 60).then_some(what > 200) },
                    _ => Command::Message { content_type: "text/plain".into(), payload: "m".into() },
                };
                let _ = self.w.does(&person, command);
            }
            Move::To(n, m, what) => {
                let (Some(person), Some(target)) = (Self::pick(&self.people, n), Self::pick(&self.people, m)) else {
                    return;
                };
                let on = what & 16 != 0;
                let command = match what % 16 {
                    0 if what > 200 => MemberCommand::Disconnect,
                    0 | 1 => MemberCommand::Mute(on),
                    2 => MemberCommand::VideoMute(on),
                    3 => MemberCommand::LowLatency(on),
                    4 => MemberCommand::ReceivePresentation(on),
                    5 => MemberCommand::Spotlight(on),
                    6 => MemberCommand::Admit,
                    7 => MemberCommand::Role(if on { Role::Host } else { Role::Guest }),
                    8 => MemberCommand::OverlayText("T".into()),
                    9 => MemberCommand::Hand(on),
                    10 => MemberCommand::TakeFloor,
                    11 => MemberCommand::ReleaseFloor,
                    12 => MemberCommand::Lobby,
                    13 => MemberCommand::Importance(on.then_some(what)),
                    14 if on => MemberCommand::Volume(u16::from(what) * 2),
                    14 => MemberCommand::Layout(on.then_some(LayoutName::DEFAULT)),
                    _ => MemberCommand::SelfMute(on),
                };
                let _ = self.w.to(&person, &target, command);
            }
            Move::Open(n, purpose) => {
                let Some(person) = Self::pick(&self.people, n) else { return };
                let purpose =
                    [Purpose::Main, Purpose::PresentationSend, Purpose::PresentationReceive][purpose as usize % 3];
                let leg = LegKey(self.w.model.fresh_key());
                let id = CallId(u128::from(leg.0).to_be_bytes());
                let open = MemberCommand::Call(CallCommand::Open { id, leg, purpose, video: true, fecc: true });
                if self.w.to(&person, &person, open).is_ok() {
                    self.calls.push((person, id, leg));
                }
            }
            Move::Start(n) | Move::Close(n) => {
                let Some((person, id, _)) = Self::pick(&self.calls, n) else { return };
                let command =
                    if matches!(step, Move::Start(_)) { CallCommand::Start(id) } else { CallCommand::Close(id) };
                let _ = self.w.to(&person, &person, MemberCommand::Call(command));
            }
            Move::Connected(n) => {
                if let Some((_, _, leg)) = Self::pick(&self.calls, n) {
                    let _ = self.w.act(Action::Fact(Fact::LegConnected(leg)));
                }
            }
            Move::Ended(n) => {
                if let Some((_, _, leg)) = Self::pick(&self.calls, n) {
                    let _ = self.w.act(Action::Fact(Fact::LegEnded { leg, reason: "gone".into() }));
                }
            }
            Move::Speakers(who) => {
                let order = who.iter().filter_map(|n| Some((Self::pick(&self.people, *n)?.key, n % 2 == 0))).collect();
                let _ = self.w.act(Action::Fact(Fact::Speakers { conference: self.w.room, order }));
            }
            Move::Seats(n, who) => {
                let Some((_, _, leg)) = Self::pick(&self.calls, n) else { return };
                let seats = who.iter().map(|n| Self::pick(&self.people, *n).map(|p| p.key)).collect();
                let presentation = Self::pick(&self.people, n).map(|p| p.key);
                let _ = self.w.act(Action::Fact(Fact::Seats { leg, seats, presentation, layout: None }));
            }
            Move::MediaRestart => {
                let _ = self.w.act(Action::Fact(Fact::EveryLegEnded { reason: "media restarted".into() }));
            }
            Move::TakenBack(inner) => {
                let (model, viewers, observer) =
                    (self.w.model.clone(), self.w.viewers.clone(), self.w.observer.clone());
                let (people, calls) = (self.people.clone(), self.calls.clone());
                self.w.model.begin();
                self.play(*inner);
                self.w.model.rollback();
                assert!(self.w.model.same_state(&model), "a rollback left something behind");
                (self.w.viewers, self.w.observer, self.people, self.calls) = (viewers, observer, people, calls);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// MGMT-59: what streams show is what is, and nobody is named before they came.
    #[test]
    fn random_meetings_keep_every_invariant(steps in prop::collection::vec(moves(), 1..120), pins in 0u8..3) {
        let settings = match pins {
            0 => World::settings(),
            1 => Settings { host_pin: Some(HOST_PIN.into()), ..World::settings() },
            _ => Settings { host_pin: Some(HOST_PIN.into()), guest_pin: Some(GUEST_PIN.into()), ..World::settings() },
        };
        let hand_over = steps.len() % 2 == 0;
        let mut w = World::with(Settings { hand_over, ..settings });
        w.model.set_capabilities(Capabilities { sip: true, rtmp: true });
        w.room_named("3000", |s| Settings { host_pin: Some(HOST_PIN.into()), guest_pin: Some(GUEST_PIN.into()), mute_on_join: true, ..s });
        let mut player = Player { w, people: Vec::new(), calls: Vec::new(), dialled: Vec::new() };
        for step in steps {
            player.play(step);
            player.w.mirrors_agree();
        }
    }
}
