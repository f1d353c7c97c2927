//! A meeting for tests: virtual time, numbered ids, and viewers that mirror the roster from events alone.
#![allow(dead_code, missing_docs, unreachable_pub)]

mod observer;

use observer::Observer;
use plenum_model::event::Standing;
use plenum_model::*;
use std::collections::BTreeMap;

pub struct World {
    pub model: Model,
    pub now: Now,
    pub room: ConferenceKey,
    next: u8,
    /// What each participant's stream has shown so far.
    pub viewers: BTreeMap<ParticipantKey, Viewer>,
    pub media: Vec<MediaChange>,
    pub signals: Vec<Signal>,
    /// Somebody who watches all rooms.
    pub observer: Observer,
    /// A second room, without PINs.
    pub other: ConferenceKey,
}

#[derive(Clone, Debug)]
pub struct Person {
    pub key: ParticipantKey,
    pub id: ParticipantId,
    pub token: TokenHash,
    pub role: Role,
    pub state: ServiceState,
    /// Where they entered.
    pub place: ConferenceKey,
}

#[derive(Clone, Debug)]
pub struct Viewer {
    pub standing: Standing,
    pub roster: BTreeMap<ParticipantId, ParticipantView>,
    pub log: Vec<EventBody>,
    pub out: Option<String>,
    /// Where they are.
    pub place: ConferenceKey,
    /// They were moved: their stream begins anew when the step is done.
    moved: bool,
}

pub const HOST_PIN: &str = "1234";
pub const GUEST_PIN: &str = "99";

impl World {
    /// A room whose hosts and guests have PINs.
    pub fn new() -> World {
        World::with(Settings {
            host_pin: Some(HOST_PIN.into()),
            guest_pin: Some(GUEST_PIN.into()),
            ..World::settings()
        })
    }

    pub fn settings() -> Settings {
        Settings {
            name: "Room".into(),
            aliases: vec!["1061".into(), "1061@plenum.local".into()],
            ..Settings::default()
        }
    }

    pub fn with(settings: Settings) -> World {
        World::limited(settings, Limits::default())
    }

    pub fn limited(settings: Settings, limits: Limits) -> World {
        let mut world = World {
            model: Model::new(limits, 1),
            now: Now { ms: 1_000, unix: 1_700_000_000 },
            room: ConferenceKey(0),
            next: 0,
            viewers: BTreeMap::new(),
            media: Vec::new(),
            signals: Vec::new(),
            observer: Observer::default(),
            other: ConferenceKey(0),
        };
        let made = world.act(Action::Create(NewConference { id: ConferenceId([9; 16]), settings }));
        let Ok(Outcome::Created(room, _)) = made else { panic!("{made:?}") };
        world.room = room;
        world.other = world.room_named("2000", |settings| settings);
        world
    }

    /// Another room with this number.
    pub fn room_named(&mut self, number: &str, change: impl FnOnce(Settings) -> Settings) -> ConferenceKey {
        let settings = change(Settings { name: number.into(), aliases: vec![number.into()], ..Settings::default() });
        let id = ConferenceId([self.number(); 16]);
        match self.act(Action::Create(NewConference { id, settings })) {
            Ok(Outcome::Created(key, _)) => key,
            other => panic!("{other:?}"),
        }
    }

    fn number(&mut self) -> u8 {
        self.next = self.next.checked_add(1).expect("few ids");
        self.next
    }

    pub fn act(&mut self, action: Action) -> Result<Outcome, Refusal> {
        let before = self.model.clone();
        let effects = self.model.apply(self.now, action.clone());
        if let Err(refusal) = &effects.outcome {
            assert!(self.model.same_state(&before), "{action:?} was refused ({refusal:?}) and changed something");
            assert!(effects.events.is_empty() && effects.media.is_empty() && effects.rows.is_empty());
        }
        self.model.check().unwrap_or_else(|wrong| panic!("{action:?}: {wrong}"));
        for event in effects.events {
            self.observer.take(&event);
            self.deliver(event);
        }
        for (key, viewer) in self.viewers.iter_mut().filter(|(_, viewer)| viewer.moved) {
            viewer.moved = false;
            let conference = self.model.conference(viewer.place).unwrap();
            match conference.standing(*key) {
                Some(standing) => viewer.standing = standing,
                None => viewer.out = Some("gone".into()),
            }
            for body in conference.picture_for(*key) {
                viewer.take(&body);
            }
        }
        self.media.extend(effects.media);
        self.signals.extend(effects.signals);
        effects.outcome
    }

    fn deliver(&mut self, event: Event) {
        for viewer in self.viewers.values_mut().filter(|viewer| viewer.out.is_none()) {
            if viewer.place == event.conference && !viewer.moved && viewer.standing.sees(event.audience) {
                viewer.take(&event.body);
            }
        }
    }

    pub fn try_join(&mut self, name: &str, pin: Option<&str>) -> Result<Person, Refusal> {
        self.enter(name, pin, false)
    }

    pub fn enter_room(&mut self, number: &str, name: &str) -> Result<Person, Refusal> {
        self.enter_by(number, name, None, false)
    }

    pub fn enter(&mut self, name: &str, pin: Option<&str>, hidden: bool) -> Result<Person, Refusal> {
        self.enter_by("1061", name, pin, hidden)
    }

    fn enter_by(&mut self, alias: &str, name: &str, pin: Option<&str>, hidden: bool) -> Result<Person, Refusal> {
        let n = self.number();
        let (id, token) = (ParticipantId([n; 16]), TokenHash([n; 32]));
        let outcome = self.act(Action::Join(Join {
            alias: alias.into(),
            pin: pin.map(String::from),
            id,
            token,
            display_name: name.into(),
            hidden,
            vendor: "test".into(),
        }))?;
        let Outcome::Joined { conference: place, key, role, state, .. } = outcome else { panic!("{outcome:?}") };
        let conference = self.model.conference(place).unwrap();
        let standing = conference.standing(key).unwrap();
        let mut viewer = Viewer { standing, roster: BTreeMap::new(), log: Vec::new(), out: None, place, moved: false };
        for body in conference.picture_for(key) {
            viewer.take(&body);
        }
        self.viewers.insert(key, viewer);
        Ok(Person { key, id, token, role, state, place })
    }

    pub fn host(&mut self, name: &str) -> Person {
        self.try_join(name, Some(HOST_PIN)).unwrap()
    }

    pub fn guest(&mut self, name: &str) -> Person {
        self.try_join(name, Some(GUEST_PIN)).unwrap()
    }

    pub fn does(&mut self, who: &Person, command: Command) -> Result<Outcome, Refusal> {
        let conference = self.model.place_for("1061", &who.token).filter(|_| who.place == self.room);
        let conference = conference.or_else(|| self.model.conference_of(who.key)).unwrap_or(who.place);
        self.act(Action::Do { conference, by: By::Token(who.token), command })
    }

    pub fn to(&mut self, who: &Person, whom: &Person, command: MemberCommand) -> Result<Outcome, Refusal> {
        self.does(who, Command::To { target: whom.id, command })
    }

    /// Sets a call up and acknowledges it; its outside and inside names.
    pub fn call(&mut self, who: &Person, purpose: Purpose) -> (CallId, LegKey) {
        let id = CallId([self.number(); 16]);
        let leg = LegKey(self.model.fresh_key());
        self.to(who, who, MemberCommand::Call(CallCommand::Open { id, leg, purpose, video: true, fecc: true }))
            .unwrap();
        self.to(who, who, MemberCommand::Call(CallCommand::Start(id))).unwrap();
        (id, leg)
    }

    pub fn refresh(&mut self, who: &mut Person) -> Result<Outcome, Refusal> {
        let token = TokenHash([self.number(); 32]);
        let outcome = self.does(who, Command::Refresh { token, display_name: None })?;
        who.token = token;
        Ok(outcome)
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now.ms += seconds * 1000;
        self.now.unix += seconds;
        self.act(Action::Tick).unwrap();
    }

    pub fn seen(&self, who: &Person) -> &Viewer {
        &self.viewers[&who.key]
    }

    pub fn state(&self, who: &Person) -> ServiceState {
        self.member(who).state
    }

    pub fn member(&self, who: &Person) -> &Participant {
        self.model.conference(self.model.conference_of(who.key).unwrap()).unwrap().member(who.key).unwrap()
    }

    /// Every stream shows exactly what a fresh request would.
    pub fn mirrors_agree(&self) {
        for (key, viewer) in self.viewers.iter().filter(|(_, viewer)| viewer.out.is_none()) {
            let conference = self.model.conference(viewer.place).unwrap();
            let roster: BTreeMap<_, _> = conference.roster_for(*key).into_iter().map(|view| (view.id, view)).collect();
            assert_eq!(viewer.roster, roster, "the stream of {key:?} disagrees with the roster");
        }
        self.observer.agrees(&self.model);
    }
}

impl Viewer {
    fn take(&mut self, body: &EventBody) {
        match body {
            EventBody::Roster(views) => self.roster = views.iter().map(|view| (view.id, view.clone())).collect(),
            EventBody::Created(view) => {
                self.roster.insert(view.id, (**view).clone());
            }
            EventBody::Updated(view) => {
                assert!(self.roster.insert(view.id, (**view).clone()).is_some(), "an update of somebody never created");
            }
            EventBody::Deleted(id) => {
                assert!(self.roster.remove(id).is_some(), "somebody unknown was deleted");
            }
            EventBody::Standing(standing) => self.standing = *standing,
            EventBody::Stage(stage) => {
                assert!(
                    stage.iter().all(|(id, _)| self.roster.contains_key(id)),
                    "the stage names a stranger (MGMT-59)"
                );
            }
            EventBody::Layout(seats) => {
                let named = seats.slots.iter().flatten().chain(seats.presentation.iter());
                assert!(named.into_iter().all(|id| self.roster.contains_key(id)), "a seat names a stranger (MGMT-59)");
            }
            EventBody::PresentationStarted { id, .. } => assert!(self.roster.contains_key(id), "a stranger presents"),
            EventBody::Moved { to, .. } => (self.place, self.moved) = (*to, true),
            EventBody::Disconnected { reason } => self.out = Some(reason.clone()),
            EventBody::Meeting(_) | EventBody::MeetingEnded => panic!("only observers are told of meetings"),
            EventBody::Status(_)
            | EventBody::Message { .. }
            | EventBody::Camera(_)
            | EventBody::PresentationStopped
            | EventBody::PresentationFrame
            | EventBody::CallEnded { .. } => {}
        }
        self.log.push(body.clone());
    }
}

/// A command that calls somebody by SIP.
pub fn dial(id: ParticipantId, role: Role, keep_alive: KeepAlive, streaming: bool) -> Command {
    let how = Dialled {
        protocol: if streaming { Protocol::Rtmp } else { Protocol::Sip },
        media: DialMedia::Video,
        streaming,
        keep_alive,
        dtmf_sequence: "12#".into(),
        presentation_url: String::new(),
        source: String::new(),
        source_display_name: String::new(),
        answer_by_ms: 0,
    };
    Command::Dial(Box::new(Dial { id, destination: "bob@example.com".into(), role, how, display_name: String::new() }))
}
