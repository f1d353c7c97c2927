//! The whole state: conferences by key, the indexes over them, and a journal that lets a batch of steps be taken back.
//!
//! Invariant: the indexes say exactly what the conferences say ([`Model::check`] proves it in tests).

use crate::action::Action;
use crate::conference::{Conference, Settings};
use crate::dial::Capabilities;
use crate::effects::{Effects, MediaChange, Outcome, Refusal, Row, Signal};
use crate::event::{Audience, Event, EventBody};
use crate::ids::{ConferenceKey, LegKey, Now, ParticipantKey, TokenHash};
use crate::limits::Limits;
use crate::participant::Participant;
use std::collections::{BTreeMap, BTreeSet};

/// All conferences.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) limits: Limits,
    pub(crate) capabilities: Capabilities,
    next_key: u64,
    conferences: BTreeMap<ConferenceKey, Conference>,
    aliases: BTreeMap<String, ConferenceKey>,
    participants: BTreeMap<ParticipantKey, ConferenceKey>,
    /// Who was transferred away from an alias, which is in lower case.
    came_from: BTreeMap<String, BTreeSet<ParticipantKey>>,
    legs: BTreeMap<LegKey, ParticipantKey>,
    journal: Option<BTreeMap<ConferenceKey, Option<Conference>>>,
}

/// Collects effects while a step runs.
#[derive(Debug, Default)]
pub(crate) struct Fx {
    pub(crate) events: Vec<Event>,
    pub(crate) media: Vec<MediaChange>,
    pub(crate) rows: Vec<Row>,
    pub(crate) signals: Vec<Signal>,
}

impl Fx {
    pub(crate) fn event(&mut self, conference: ConferenceKey, audience: Audience, body: EventBody) {
        self.events.push(Event { conference, audience, body });
    }

    /// The participant's kept form is out of date.
    pub(crate) fn keep(&mut self, conference: ConferenceKey, participant: ParticipantKey) {
        self.rows.push(Row::Participant(conference, participant));
    }
}

pub(crate) type Step = Result<Outcome, Refusal>;

impl Model {
    /// An empty model. Keys count from `first_key`, which must be above every key ever used on the same store.
    pub fn new(limits: Limits, first_key: u64) -> Model {
        Model {
            limits,
            capabilities: Capabilities::default(),
            next_key: first_key,
            conferences: BTreeMap::new(),
            aliases: BTreeMap::new(),
            participants: BTreeMap::new(),
            came_from: BTreeMap::new(),
            legs: BTreeMap::new(),
            journal: None,
        }
    }

    /// A key that was never used.
    pub fn fresh_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key - 1
    }

    /// Takes `count` keys in a row; the first is returned.
    pub fn fresh_keys(&mut self, count: u64) -> u64 {
        self.next_key += count;
        self.next_key - count
    }

    /// Does one step. A refused action changes nothing.
    pub fn apply(&mut self, now: Now, action: Action) -> Effects {
        let mut fx = Fx::default();
        let outcome = match action {
            Action::Create(new) => self.create(&mut fx, new.id, new.settings),
            Action::Change { key, settings } => self.change(&mut fx, key, settings),
            Action::Delete(key) => self.delete(&mut fx, key),
            Action::Join(join) => self.join(now, &mut fx, join),
            Action::Do { conference, by, command } => self.command(now, &mut fx, conference, by, command),
            Action::Fact(fact) => {
                self.fact(&mut fx, fact);
                Ok(Outcome::Done)
            }
            Action::Tick => {
                self.expire(now, &mut fx);
                Ok(Outcome::Done)
            }
            Action::EndAll { reason } => {
                for key in self.keys() {
                    self.remove_everybody(&mut fx, key, &reason);
                }
                Ok(Outcome::Done)
            }
        };
        debug_assert!(outcome.is_ok() || (fx.events.is_empty() && fx.media.is_empty() && fx.rows.is_empty()));
        Effects { outcome, events: fx.events, media: fx.media, rows: fx.rows, signals: fx.signals }
    }

    /// Begins a batch that [`Model::rollback`] can take back.
    pub fn begin(&mut self) {
        self.journal = Some(BTreeMap::new());
    }

    /// The batch is kept.
    pub fn commit(&mut self) {
        self.journal = None;
    }

    /// Takes back everything since [`Model::begin`]. Keys that were handed out stay used.
    pub fn rollback(&mut self) {
        let journal = self.journal.take().unwrap_or_default();
        // All of what is goes before anything of what was comes back: a participant may have moved from one to another.
        for key in journal.keys() {
            if let Some(conference) = self.conferences.remove(key) {
                self.unindex(&conference);
            }
        }
        for conference in journal.into_values().flatten() {
            self.index(&conference);
            self.conferences.insert(conference.key, conference);
        }
    }

    /// All conferences, by key.
    pub fn conferences(&self) -> impl Iterator<Item = &Conference> {
        self.conferences.values()
    }

    /// The conference with this key.
    pub fn conference(&self, key: ConferenceKey) -> Option<&Conference> {
        self.conferences.get(&key)
    }

    /// The conference that an alias names, in any letter case.
    pub fn resolve(&self, alias: &str) -> Option<&Conference> {
        // An alias that cannot be one is not worth a lower-case copy.
        if alias.len() > 4 * crate::limits::ALIAS_CHARS {
            return None;
        }
        self.aliases.get(&alias.to_lowercase()).and_then(|key| self.conferences.get(key))
    }

    /// Where a participant is.
    pub fn conference_of(&self, participant: ParticipantKey) -> Option<ConferenceKey> {
        self.participants.get(&participant).copied()
    }

    /// Whose a leg is.
    pub fn owner_of(&self, leg: LegKey) -> Option<(ConferenceKey, ParticipantKey)> {
        let participant = *self.legs.get(&leg)?;
        Some((self.conference_of(participant)?, participant))
    }

    /// Every leg with its owner.
    pub fn legs(&self) -> impl Iterator<Item = (LegKey, ParticipantKey)> {
        self.legs.iter().map(|(leg, owner)| (*leg, *owner))
    }

    /// Participants in all conferences.
    pub fn participant_count(&self) -> usize {
        self.participants.len()
    }

    /// Whose token this is, if it is valid now.
    pub fn authenticate(&self, now: Now, conference: ConferenceKey, token: &TokenHash) -> Option<ParticipantKey> {
        let token = self.conferences.get(&conference)?.tokens.get(token)?;
        (token.expires_ms > now.ms).then_some(token.participant)
    }

    /// Media knows the conference with this revision: the next one must be newer.
    pub fn raise_conference_revision(&mut self, key: ConferenceKey, known: u64) {
        if let Some(conference) = self.conferences.get_mut(&key) {
            conference.revision = conference.revision.max(known + 1);
        }
    }

    /// Media knows the participant with this revision: the next one must be newer.
    pub fn raise_participant_revision(&mut self, key: ParticipantKey, known: u64) {
        if let Some(conference) = self.participants.get(&key).and_then(|c| self.conferences.get_mut(c))
            && let Some(member) = conference.member_mut(key)
        {
            member.revision = member.revision.max(known + 1);
        }
    }

    /// For changing a conference: what it was before is journalled once in a batch.
    pub(crate) fn conference_mut(&mut self, key: ConferenceKey) -> Option<&mut Conference> {
        let conference = self.conferences.get_mut(&key)?;
        if let Some(journal) = &mut self.journal {
            journal.entry(key).or_insert_with(|| Some(conference.clone()));
        }
        Some(conference)
    }

    pub(crate) fn insert_conference(&mut self, conference: Conference) {
        if let Some(journal) = &mut self.journal {
            journal.entry(conference.key).or_insert(None);
        }
        self.index(&conference);
        self.conferences.insert(conference.key, conference);
    }

    pub(crate) fn remove_conference(&mut self, key: ConferenceKey) -> Option<Conference> {
        self.conference_mut(key)?;
        let conference = self.conferences.remove(&key)?;
        self.unindex(&conference);
        Some(conference)
    }

    pub(crate) fn keys(&self) -> Vec<ConferenceKey> {
        self.conferences.keys().copied().collect()
    }

    /// Conferences that exist.
    pub fn conference_count(&self) -> usize {
        self.conferences.len()
    }

    pub(crate) fn alias_owner(&self, alias: &str) -> Option<ConferenceKey> {
        self.aliases.get(&alias.to_lowercase()).copied()
    }

    pub(crate) fn set_settings(&mut self, key: ConferenceKey, settings: Settings) {
        let Some(conference) = self.conference_mut(key) else { return };
        let old = std::mem::replace(&mut conference.settings, settings);
        let new = conference.settings.aliases.clone();
        for alias in old.aliases {
            self.aliases.remove(&alias.to_lowercase());
        }
        for alias in new {
            self.aliases.insert(alias.to_lowercase(), key);
        }
    }

    pub(crate) fn index_participant(&mut self, participant: ParticipantKey, conference: Option<ConferenceKey>) {
        match conference {
            Some(conference) => self.participants.insert(participant, conference),
            None => self.participants.remove(&participant),
        };
    }

    pub(crate) fn index_leg(&mut self, leg: LegKey, participant: Option<ParticipantKey>) {
        match participant {
            Some(participant) => self.legs.insert(leg, participant),
            None => self.legs.remove(&leg),
        };
    }

    fn index(&mut self, conference: &Conference) {
        for alias in &conference.settings.aliases {
            self.aliases.insert(alias.to_lowercase(), conference.key);
        }
        for member in conference.members.values() {
            self.index_whole(conference.key, member);
        }
    }

    fn index_whole(&mut self, place: ConferenceKey, member: &Participant) {
        self.participants.insert(member.key, place);
        for alias in &member.came_from {
            self.came_from.entry(alias.clone()).or_default().insert(member.key);
        }
        for call in &member.calls {
            self.legs.insert(call.leg, member.key);
        }
    }

    fn unindex_whole(&mut self, member: &Participant) {
        self.participants.remove(&member.key);
        for alias in &member.came_from {
            if let Some(moved) = self.came_from.get_mut(alias) {
                moved.remove(&member.key);
                if moved.is_empty() {
                    self.came_from.remove(alias);
                }
            }
        }
        for call in &member.calls {
            self.legs.remove(&call.leg);
        }
    }

    /// Puts a member with everything they have into the indexes.
    pub(crate) fn index_member(&mut self, place: ConferenceKey, key: ParticipantKey) {
        if let Some(member) = self.conference(place).and_then(|c| c.members.get(&key)).cloned() {
            self.index_whole(place, &member);
        }
    }

    /// Takes a member with everything they have out of the indexes.
    pub(crate) fn unindex_member(&mut self, place: ConferenceKey, key: ParticipantKey) {
        if let Some(member) = self.conference(place).and_then(|c| c.members.get(&key)).cloned() {
            self.unindex_whole(&member);
        }
    }

    /// Who was transferred away from an alias.
    pub(crate) fn came_from(&self, alias: &str) -> Option<&BTreeSet<ParticipantKey>> {
        if self.came_from.is_empty() || alias.len() > 4 * crate::limits::ALIAS_CHARS {
            return None;
        }
        self.came_from.get(&alias.to_lowercase())
    }

    fn unindex(&mut self, conference: &Conference) {
        for alias in &conference.settings.aliases {
            self.aliases.remove(&alias.to_lowercase());
        }
        for member in conference.members.values() {
            self.unindex_whole(member);
        }
    }

    /// Says what is inconsistent. For tests; costs a walk over everything.
    pub fn check(&self) -> Result<(), String> {
        let mut again = Model::new(self.limits, 0);
        for conference in self.conferences.values() {
            again.index(conference);
            conference.check()?;
        }
        let indexes = |model: &Model| {
            (model.aliases.clone(), model.participants.clone(), model.legs.clone(), model.came_from.clone())
        };
        if indexes(self) != indexes(&again) {
            return Err("an index disagrees with the conferences".into());
        }
        let aliases: usize = self.conferences.values().map(|c| c.settings.aliases.len()).sum();
        (aliases == self.aliases.len()).then_some(()).ok_or_else(|| "an alias names two conferences".into())
    }

    /// Whether both hold the same conferences, whatever keys come next.
    pub fn same_state(&self, other: &Model) -> bool {
        self.conferences == other.conferences
    }
}

impl Conference {
    fn check(&self) -> Result<(), String> {
        use crate::access::Role;
        use crate::participant::ServiceState::{Connecting, WaitingRoom};
        let require =
            |holds: bool, what: &str| holds.then_some(()).ok_or_else(|| format!("conference {}: {what}", self.key.0));
        let by_id: BTreeMap<_, _> = self.members.values().map(|m| (m.id, m.key)).collect();
        require(by_id == self.by_id, "names of members")?;
        require(self.tokens.values().all(|t| self.members.contains_key(&t.participant)), "a token of nobody")?;
        require(
            self.members
                .values()
                .all(|m| m.dialled.is_some() != self.tokens.values().any(|token| token.participant == m.key)),
            "a member must have a token, or have been dialled",
        )?;
        require(self.stage.iter().all(|(key, _)| self.members.contains_key(key)), "a stranger on stage")?;
        if let Some(presenter) = self.presenter {
            let admitted = self.member(presenter).is_some_and(|m| m.admitted());
            require(admitted, "the presenter is not in")?;
        }
        for member in self.members.values() {
            require(member.state != WaitingRoom || member.role == Role::Guest, "a host waits")?;
            require(!member.held || member.state == WaitingRoom, "held outside of the waiting room")?;
            require(member.state != Connecting || member.dialled.is_some(), "connecting without having been dialled")?;
        }
        require(self.members.is_empty() || self.lives(), "nobody keeps it alive")?;
        require(self.members.is_empty() == (self.meeting == 0), "a meeting without people, or people without")?;
        if self.members.is_empty() {
            require(
                !self.locked && !self.started && !self.guests_muted && !self.recording && self.layouts.is_empty(),
                "state outlived the meeting",
            )?;
            require(self.mute_on_join.is_none(), "muting outlived the meeting")?;
        }
        Ok(())
    }
}
