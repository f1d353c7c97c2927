//! What media is told: the model's state as wanted state, and everything again when a media plane appears.
//!
//! Media hears of a conference and a participant with their first call, not before: sessions without media cost it nothing.

use crate::driver::legs::Legs;
use crate::driver::mixing::Mixes;
use crate::driver::stills::Stills;
use crate::link::MediaLink;
use plenum_contract as contract;
use plenum_contract::Command;
use plenum_contract::event::Hello;
use plenum_contract::snapshot::Snapshot;
use plenum_model::{Conference, ConferenceKey, LegKey, MediaChange, Model, Participant, ParticipantKey, ServiceState};
use std::collections::{BTreeMap, BTreeSet};

/// The driver's side of the link.
#[derive(Debug)]
pub(super) struct Media {
    link: MediaLink,
    /// Who is connected.
    pub(super) hello: Option<Hello>,
    /// Whether any media plane was connected since start.
    pub(super) seen: bool,
    conferences: BTreeSet<ConferenceKey>,
    participants: BTreeSet<ParticipantKey>,
    homes: BTreeMap<ConferenceKey, u16>,
    /// Whether there is to be a mixer.
    pub(super) mixer: bool,
    pub(super) mixes: Mixes,
    pub(super) stills: Stills,
}

impl Media {
    /// `mixer`: whether media is to be told of `mixes`.
    pub(super) fn new(link: MediaLink, mixer: bool, mixes: Mixes) -> Media {
        Media {
            mixer,
            mixes,
            stills: Stills::default(),
            link,
            hello: None,
            seen: false,
            conferences: BTreeSet::new(),
            participants: BTreeSet::new(),
            homes: BTreeMap::new(),
        }
    }

    pub(super) fn send(&self, command: Command) {
        self.link.send(command);
    }

    /// The shard of a conference: where its legs are, else the one with the fewest sessions. `None` = it is full.
    pub(super) fn shard_for(&mut self, legs: &Legs, conference: &Conference) -> Option<u16> {
        let hello = self.hello.as_ref()?;
        let shards = u16::try_from(hello.shards.len()).unwrap_or(u16::MAX);
        let home = self.home(legs, conference).filter(|home| *home < shards);
        let shard = home.or_else(|| (0..shards).min_by_key(|shard| legs.load(*shard)))?;
        self.homes.insert(conference.key, shard);
        (legs.load(shard) < hello.limits.sessions_per_shard).then_some(shard)
    }

    /// Tells what changed in a batch, in order; a value that changed several times is told once, at its last change.
    pub(super) fn tell(&mut self, model: &Model, legs: &mut Legs, changes: &[MediaChange]) {
        let last: BTreeMap<MediaChange, usize> = changes.iter().enumerate().map(|(i, change)| (*change, i)).collect();
        for (i, change) in changes.iter().enumerate() {
            if last.get(change) != Some(&i) {
                continue;
            }
            match *change {
                MediaChange::Conference(key) => self.conference(model, key),
                MediaChange::Participant(place, key) => self.participant(model, place, key),
                MediaChange::StartLeg(leg) => {
                    if legs.get(leg).is_some() {
                        self.send(Command::Start(contract::LegKey(leg.0)));
                    }
                }
                MediaChange::RemoveLeg(leg) => {
                    legs.remove(leg);
                    self.send(Command::RemoveSession(contract::LegKey(leg.0)));
                }
                MediaChange::RemoveParticipant(key) => {
                    if self.participants.remove(&key) {
                        self.send(Command::RemoveParticipant(contract::ParticipantKey(key.0)));
                    }
                }
                MediaChange::RemoveConference(key) => {
                    self.homes.remove(&key);
                    self.mixes.remove(key);
                    if self.conferences.remove(&key) {
                        self.send(Command::RemoveConference(contract::ConferenceKey(key.0)));
                    }
                }
            }
        }
    }

    fn conference(&mut self, model: &Model, key: ConferenceKey) {
        let Some(conference) = model.conference(key) else { return };
        if self.conferences.contains(&key) || conference.members.values().any(|member| !member.calls.is_empty()) {
            self.conferences.insert(key);
            let home = self.homes.get(&key).copied().unwrap_or(0);
            self.send(Command::Conference(conference_spec(conference, home)));
        }
    }

    fn participant(&mut self, model: &Model, place: ConferenceKey, key: ParticipantKey) {
        let Some(member) = model.conference(place).and_then(|conference| conference.member(key)) else { return };
        if self.participants.contains(&key) || !member.calls.is_empty() {
            self.participants.insert(key);
            self.send(Command::Participant(participant_spec(place, member)));
        }
    }

    /// A media plane of the same boot is connected: everything is told again with newer revisions, what it has and the
    /// model has not is removed. A leg that the snapshot lacks is opened again: had media ended it, it would have said so.
    pub(super) fn reconcile(&mut self, model: &mut Model, legs: &mut Legs, snapshot: &Snapshot) {
        self.mixes.forget();
        self.conferences.clear();
        self.participants.clear();
        for (key, revision) in &snapshot.conferences {
            let key = ConferenceKey(key.0);
            if model.conference(key).is_some_and(|conference| !conference.members.is_empty()) {
                model.raise_conference_revision(key, *revision);
                self.conferences.insert(key);
            } else {
                self.send(Command::RemoveConference(contract::ConferenceKey(key.0)));
            }
        }
        for (key, _, revision) in &snapshot.participants {
            let key = ParticipantKey(key.0);
            if model.conference_of(key).is_some() {
                model.raise_participant_revision(key, *revision);
                self.participants.insert(key);
            } else {
                self.send(Command::RemoveParticipant(contract::ParticipantKey(key.0)));
            }
        }
        for state in &snapshot.legs {
            let leg = LegKey(state.key.0);
            if model.owner_of(leg).is_none() || legs.get(leg).is_none() {
                self.send(Command::RemoveSession(state.key));
                continue;
            }
            legs.raise_revision(leg, state.revision);
            for binding in &state.bindings {
                legs.bind(leg, binding.clone());
            }
        }
        self.tell_everything(model, legs);
    }

    /// Another media plane: it knows nothing, and the model has no call any more.
    pub(super) fn forget(&mut self) {
        self.conferences.clear();
        self.participants.clear();
        self.homes.clear();
        self.mixes.forget();
    }

    /// Tells what legs are to see, where that is news: after their sessions, which must be there first.
    pub(super) fn tell_sight(&self, model: &Model, legs: &mut Legs, unix_ms: u64, of: &BTreeSet<LegKey>) {
        for leg in of {
            if let Some(news) =
                super::sight::wanted(model, legs, &self.mixes, *leg).and_then(|spec| legs.news(unix_ms, spec))
            {
                self.send(Command::Subscription(news));
            }
        }
    }

    /// Whether media was told of a conference.
    pub(super) fn knows(&self, key: ConferenceKey) -> bool {
        self.conferences.contains(&key)
    }

    /// The shard where a conference's legs are, if there is one.
    pub(super) fn home(&self, legs: &Legs, conference: &Conference) -> Option<u16> {
        let of_leg = || conference.legs().find_map(|leg| legs.get(leg)).map(|record| record.spec.shard);
        self.homes.get(&conference.key).copied().or_else(of_leg)
    }

    /// A conference without legs gets its first from another one: it is at home where that is.
    pub(super) fn settle(&mut self, conference: ConferenceKey, shard: u16) {
        self.homes.entry(conference).or_insert(shard);
    }

    fn tell_everything(&mut self, model: &Model, legs: &Legs) {
        for (leg, record) in legs.iter() {
            if let Some((place, _)) = model.owner_of(leg) {
                self.homes.entry(place).or_insert(record.spec.shard);
            }
        }
        for conference in model.conferences() {
            self.conference(model, conference.key);
            for member in conference.members.values() {
                self.participant(model, conference.key, member.key);
                for call in &member.calls {
                    let Some(record) = legs.get(call.leg) else { continue };
                    self.send(Command::Session(record.spec.clone()));
                    if call.started {
                        self.send(Command::Start(contract::LegKey(call.leg.0)));
                    }
                }
            }
        }
    }
}

fn conference_spec(conference: &Conference, home_shard: u16) -> contract::ConferenceSpec {
    contract::ConferenceSpec {
        key: contract::ConferenceKey(conference.key.0),
        revision: conference.revision,
        presenter: conference.presenter.map(|key| contract::ParticipantKey(key.0)),
        pinned: conference.pinned().into_iter().map(|key| contract::ParticipantKey(key.0)).collect(),
        last_n: contract::ConferenceSpec::EVERY_SLOT,
        home_shard,
    }
}

fn participant_spec(place: ConferenceKey, member: &Participant) -> contract::ParticipantSpec {
    contract::ParticipantSpec {
        key: contract::ParticipantKey(member.key.0),
        conference: contract::ConferenceKey(place.0),
        revision: member.revision,
        audio_blocked: member.audio_muted || member.self_muted,
        video_blocked: member.video_muted,
        presentation_denied: member.presentation_denied,
        waiting: member.state == ServiceState::WaitingRoom,
    }
}
