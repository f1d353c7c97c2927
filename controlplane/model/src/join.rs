//! Making conferences and entering them.

use crate::access::{Role, role_for};
use crate::action::Join;
use crate::conference::{Conference, Settings, Token};
use crate::effects::{MediaChange, Outcome, Refusal, Row};
use crate::event::Audience;
use crate::ids::{ConferenceId, ConferenceKey, Now, ParticipantKey};
use crate::limits::{NAME_CHARS, TOKEN_LIFE_MS};
use crate::model::{Fx, Model, Step};
use crate::participant::{Participant, ServiceState};
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
        self.set_settings(key, settings);
        fx.rows.push(Row::Conference(key));
        self.status_changed(fx, key);
        self.admit_all_if_open(fx, key);
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
        let limits = &self.limits;
        if conference.members.len() >= limits.participants_per_conference {
            return Err(Refusal::Limit(format!(
                "this conference is full: limit of {} participants",
                limits.participants_per_conference
            )));
        }
        if self.participant_count() >= limits.participants {
            return Err(Refusal::Limit(format!("limit of {} participants reached", limits.participants)));
        }
        if conference.by_id.contains_key(&join.id) || conference.tokens.contains_key(&join.token) {
            return Err(Refusal::BadValue("the random source gave a known value".into()));
        }
        let place = conference.key;
        let waits = role == Role::Guest && !conference.open_to_guests();
        let muted = conference.settings.mute_on_join || (role == Role::Guest && conference.guests_muted);
        let state = if waits { ServiceState::WaitingRoom } else { ServiceState::Conference };
        let key = ParticipantKey(self.fresh_key());
        let participant = Participant {
            key,
            id: join.id,
            revision: 0,
            overlay_text: display_name.clone(),
            display_name,
            role,
            hidden: join.hidden,
            state,
            uri: String::new(),
            local_alias: join.alias.chars().take(crate::limits::ALIAS_CHARS).collect(),
            vendor: join.vendor.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect(),
            start_time: now.unix,
            audio_muted: muted,
            self_muted: false,
            video_muted: false,
            presentation_denied: false,
            spotlight: 0,
            spotlight_order: 0,
            low_latency: false,
            buzz_time: 0,
            calls: Vec::new(),
        };
        let Some(conference) = self.conference_mut(place) else { return Err(Refusal::NoSuchConference) };
        conference.by_id.insert(join.id, key);
        conference.members.insert(key, Arc::new(participant));
        conference.tokens.insert(join.token, Token { participant: key, expires_ms: now.ms + TOKEN_LIFE_MS });
        self.index_participant(key, Some(place));
        fx.keep(place, key);
        fx.rows.push(Row::Token(place, join.token));
        self.tell_created(fx, place, key);
        Ok(Outcome::Joined { conference: place, key, id: join.id, role, state })
    }

    /// Guests who wait are let in when nothing holds them any more.
    pub(crate) fn admit_all_if_open(&mut self, fx: &mut Fx, key: ConferenceKey) {
        let Some(conference) = self.conference(key) else { return };
        if !conference.open_to_guests() {
            return;
        }
        let waiting: Vec<_> =
            conference.members.values().filter(|m| m.state == ServiceState::WaitingRoom).map(|m| m.key).collect();
        for participant in waiting {
            self.admit(fx, key, participant);
        }
    }

    /// Lets one participant in. To guests who are in they are new; to hosts they change; they themselves get the roster.
    pub(crate) fn admit(&mut self, fx: &mut Fx, key: ConferenceKey, participant: ParticipantKey) {
        let Some(conference) = self.conference_mut(key) else { return };
        let Some(member) = conference.member_mut(participant) else { return };
        if member.state != ServiceState::WaitingRoom {
            return;
        }
        member.state = ServiceState::Conference;
        member.revision += 1;
        let hidden = member.hidden;
        fx.keep(key, participant);
        fx.media.push(MediaChange::Participant(key, participant));
        if !hidden && let Some(view) = self.view(key, participant) {
            use crate::event::EventBody::{Created, Updated};
            fx.event(key, Audience::Guests, Created(Box::new(view.clone())));
            fx.event(key, Audience::Hosts, Updated(Box::new(view.clone())));
            fx.event(key, Audience::One(participant), Updated(Box::new(view)));
        }
        self.tell_standing(fx, key, participant);
        if let Some(conference) = self.conference(key) {
            for body in conference.picture_for(participant) {
                fx.event(key, Audience::One(participant), body);
            }
        }
    }
}

/// A name that can be shown: trimmed, without control characters, of bounded length.
pub(crate) fn clean_name(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    if name.chars().count() > NAME_CHARS {
        return Err(Refusal::BadValue(format!("display_name is longer than {NAME_CHARS} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(Refusal::BadValue("display_name has control characters".into()));
    }
    Ok(if name.is_empty() { "Guest".into() } else { name.into() })
}
