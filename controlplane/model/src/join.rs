//! Making conferences and entering them.

use crate::access::{Role, role_for};
use crate::action::Join;
use crate::conference::{Conference, Settings, Token};
use crate::effects::{MediaChange, Outcome, Refusal, Row};
use crate::event::{Audience, EventBody};
use crate::ids::{ConferenceId, ConferenceKey, Now, ParticipantKey};
use crate::limits::{NAME_CHARS, TOKEN_LIFE_MS};
use crate::model::{Fx, Model, Step};
use crate::participant::{Participant, Purpose, ServiceState};
use std::sync::Arc;

impl Model {
    pub(crate) fn create(&mut self, fx: &mut Fx, id: ConferenceId, settings: Settings) -> Step {
        if let Some(problem) = settings.problem() {
            return Err(Refusal::BadValue(problem));
        }
        if self.conference_count() >= self.limits.conferences {
            return Err(Refusal::Limit(format!("limit of {} conferences reached", self.limits.conferences)));
        }
        self.aliases_free(None, &settings)?;
        let key = ConferenceKey(self.fresh_key());
        self.insert_conference(Conference::new(key, id, settings));
        fx.rows.push(Row::Conference(key));
        Ok(Outcome::Created(key, id))
    }

    pub(crate) fn change(&mut self, fx: &mut Fx, key: ConferenceKey, settings: Settings) -> Step {
        if self.conference(key).is_none() {
            return Err(Refusal::NoSuchConference);
        }
        if let Some(problem) = settings.problem() {
            return Err(Refusal::BadValue(problem));
        }
        self.aliases_free(Some(key), &settings)?;
        let relaid = self.conference(key).is_some_and(|before| before.settings.layout != settings.layout);
        self.set_settings(key, settings);
        fx.rows.push(Row::Conference(key));
        self.status_changed(fx, key);
        self.admit_all_if_open(fx, key);
        self.meeting_changed(fx, key);
        if relaid {
            self.order_changed_for_all(fx, key);
            self.tell_layouts(fx, key);
        }
        Ok(Outcome::Done)
    }

    pub(crate) fn delete(&mut self, fx: &mut Fx, key: ConferenceKey) -> Step {
        if self.conference(key).is_none() {
            return Err(Refusal::NoSuchConference);
        }
        self.remove_everybody(fx, key, "Conference deleted");
        self.remove_conference(key);
        fx.rows.push(Row::Conference(key));
        Ok(Outcome::Done)
    }

    fn aliases_free(&self, own: Option<ConferenceKey>, settings: &Settings) -> Result<(), Refusal> {
        for (i, alias) in settings.aliases.iter().enumerate() {
            let twice = settings.aliases[..i].iter().any(|other| other.to_lowercase() == alias.to_lowercase());
            if twice || self.alias_owner(alias).is_some_and(|owner| Some(owner) != own) {
                return Err(Refusal::AliasTaken(alias.clone()));
            }
        }
        Ok(())
    }

    /// What role an account and password give, without entering (MGMT-1).
    ///
    /// # Errors
    /// No such conference, or the PIN is missing or wrong.
    pub fn check_access(&self, alias: &str, pin: Option<&str>) -> Result<(&Conference, Role), Refusal> {
        let conference = self.resolve(alias).ok_or(Refusal::NoSuchConference)?;
        let role = role_for(&conference.settings, pin).map_err(Refusal::Pin)?;
        Ok((conference, role))
    }

    pub(crate) fn join(&mut self, now: Now, fx: &mut Fx, join: Join) -> Step {
        let display_name = clean_name(&join.display_name)?;
        let (conference, role) = self.check_access(&join.alias, join.pin.as_deref())?;
        conference.settings.open_at(now.unix)?;
        self.room_for_one_more(conference.key)?;
        if conference.by_id.contains_key(&join.id) || conference.tokens.contains_key(&join.token) {
            return Err(Refusal::BadValue("the random source gave a known value".into()));
        }
        let place = conference.key;
        let waits = role == Role::Guest && !conference.open_to_guests();
        let muted = conference.joins_muted(role);
        let state = if waits { ServiceState::WaitingRoom } else { ServiceState::Conference };
        let key = ParticipantKey(self.fresh_key());
        let participant = Participant {
            hidden: join.hidden,
            state,
            local_alias: join.alias.chars().take(crate::limits::ALIAS_CHARS).collect(),
            vendor: join.vendor.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect(),
            audio_muted: muted,
            ..Participant::new(key, join.id, display_name, role, now.unix)
        };
        let Some(conference) = self.conference_mut(place) else { return Err(Refusal::NoSuchConference) };
        conference.by_id.insert(join.id, key);
        conference.members.insert(key, Arc::new(participant));
        conference.tokens.insert(join.token, Token { participant: key, expires_ms: now.ms + TOKEN_LIFE_MS });
        self.index_participant(key, Some(place));
        fx.keep(place, key);
        fx.rows.push(Row::Token(place, join.token));
        self.meeting_begins(fx, place);
        self.tell_created(fx, place, key);
        Ok(Outcome::Joined { conference: place, key, id: join.id, role, state })
    }

    /// Whether the limits let one more participant be.
    pub(crate) fn room_for_one_more(&self, place: ConferenceKey) -> Result<(), Refusal> {
        let most = self.limits.participants;
        if self.participant_count() >= most {
            return Err(Refusal::Limit(format!("limit of {most} participants reached")));
        }
        self.room_in(place)
    }

    /// Whether the limits let one more participant into this conference.
    pub(crate) fn room_in(&self, place: ConferenceKey) -> Result<(), Refusal> {
        let most = self.limits.participants_per_conference;
        if self.conference(place).is_some_and(|conference| conference.members.len() >= most) {
            return Err(Refusal::Limit(format!("this conference is full: limit of {most} participants")));
        }
        Ok(())
    }

    /// Guests who wait are let in when nothing holds them any more.
    pub(crate) fn admit_all_if_open(&mut self, fx: &mut Fx, key: ConferenceKey) {
        let Some(conference) = self.conference(key) else { return };
        if !conference.open_to_guests() {
            return;
        }
        let waiting =
            conference.members.values().filter(|m| m.state == ServiceState::WaitingRoom && !m.held).map(|m| m.key);
        for participant in waiting.collect::<Vec<_>>() {
            self.admit(fx, key, participant);
        }
    }

    /// Lets one participant in. To guests who are in they are new; to hosts they change; they themselves get the roster.
    pub(crate) fn admit(&mut self, fx: &mut Fx, key: ConferenceKey, participant: ParticipantKey) {
        let Some(conference) = self.conference_mut(key) else { return };
        let before = conference.stage_view();
        let Some(member) = conference.member_mut(participant) else { return };
        if member.state != ServiceState::WaitingRoom {
            return;
        }
        member.state = ServiceState::Conference;
        member.held = false;
        member.revision += 1;
        let hidden = member.hidden;
        let after = conference.stage_view();
        fx.keep(key, participant);
        fx.media.push(MediaChange::Participant(key, participant));
        if !hidden && let Some(view) = self.view(key, participant) {
            use EventBody::{Created, Updated};
            fx.event(key, Audience::Guests, Created(Box::new(view.clone())));
            fx.event(key, Audience::Hosts, Updated(Box::new(view.clone())));
            fx.event(key, Audience::One(participant), Updated(Box::new(view)));
        }
        if before != after {
            fx.event(key, Audience::Admitted, EventBody::Stage(after));
        }
        self.tell_standing(fx, key, participant);
        if let Some(conference) = self.conference(key) {
            for body in conference.picture_for(participant) {
                fx.event(key, Audience::One(participant), body);
            }
        }
    }
}

impl Model {
    /// Puts a guest who is in into the waiting room, until a host lets them in by hand. To the other guests they are gone.
    pub(crate) fn send_to_lobby(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
    ) -> Result<(), Refusal> {
        let member = self.conference(place).and_then(|c| c.member(key)).ok_or(Refusal::NoSuchParticipant)?;
        if member.role == Role::Host {
            return Err(Refusal::BadValue("a host does not wait".into()));
        }
        if !member.admitted() {
            return Ok(());
        }
        let screens: Vec<_> =
            member.calls.iter().filter(|c| c.purpose == Purpose::PresentationSend).map(|call| call.id).collect();
        for call in screens {
            self.end_call(fx, place, key, call, Some("Moved to the waiting room"));
        }
        self.release_floor(fx, place, key);
        let Some(conference) = self.conference_mut(place) else { return Ok(()) };
        let before = conference.stage_view();
        let Some(member) = conference.member_mut(key) else { return Ok(()) };
        (member.state, member.held) = (ServiceState::WaitingRoom, true);
        member.revision += 1;
        let (id, hidden) = (member.id, member.hidden);
        let after = conference.stage_view();
        fx.keep(place, key);
        fx.media.push(MediaChange::Participant(place, key));
        self.tell_standing(fx, place, key);
        if !hidden && let Some(view) = self.view(place, key) {
            fx.event(place, Audience::One(key), EventBody::Updated(Box::new(view.clone())));
            fx.event(place, Audience::Guests, EventBody::Deleted(id));
            fx.event(place, Audience::Hosts, EventBody::Updated(Box::new(view)));
        }
        if before != after {
            fx.event(place, Audience::Admitted, EventBody::Stage(after));
        }
        if let Some(conference) = self.conference(place) {
            for body in conference.picture_for(key) {
                fx.event(place, Audience::One(key), body);
            }
        }
        Ok(())
    }
}

/// A name that can be shown; nobody is nameless.
pub(crate) fn clean_name(name: &str) -> Result<String, Refusal> {
    let name = clean_text(name)?;
    Ok(if name.is_empty() { "Guest".into() } else { name })
}

/// A line that can be shown: trimmed, of bounded length, without what breaks lines or turns the text after it around. Names
/// of right-to-left scripts need none of that: their letters carry their direction.
pub(crate) fn clean_text(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.chars().count() > NAME_CHARS {
        return Err(Refusal::BadValue(format!("a name is longer than {NAME_CHARS} characters")));
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        return Err(Refusal::BadValue("a name has control characters".into()));
    }
    Ok(text.into())
}
