//! Moving somebody to another conference (MGMT-38) without their client's doing: the participant, with name, token and media
//! connections, lives in the other conference from then on; there it is as if they had just joined with the PIN that was given.
//!
//! Their client goes on using the alias that it knows: [`Model::place_for`] finds them by the aliases they came from.

use crate::access::{Role, role_for};
use crate::effects::{MediaChange, Outcome, Refusal, Row};
use crate::event::{Audience, EventBody};
use crate::ids::{ConferenceKey, LegKey, Now, ParticipantKey, TokenHash};
use crate::limits::CAME_FROM;
use crate::model::{Fx, Model, Step};
use crate::participant::{Purpose, ServiceState};
use std::sync::Arc;

/// Where to, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Any alias of the other conference.
    pub alias: String,
    /// As in [`crate::Join`]: `None` = not given.
    pub pin: Option<String>,
    /// The role there; `None` = what the PIN gives.
    pub role: Option<Role>,
    /// Their media connections that cannot go along: they end first, and the client sets them up again.
    pub ending: Vec<LegKey>,
}

impl Model {
    /// The conference that the holder of `token` means by `alias`: the one of this name, or, if they were transferred away
    /// from it, the one they are in now.
    pub fn place_for(&self, alias: &str, token: &TokenHash) -> Option<ConferenceKey> {
        let named = self.resolve(alias).map(|conference| conference.key);
        let here = |key: &ConferenceKey| self.conference(*key).is_some_and(|c| c.tokens.contains_key(token));
        if named.as_ref().is_some_and(here) {
            return named;
        }
        let moved = || {
            let place = |key: &ParticipantKey| {
                let place = self.conference_of(*key)?;
                let holder = self.conference(place)?.tokens.get(token)?.participant;
                (holder == *key).then_some(place)
            };
            self.came_from(alias)?.iter().find_map(place)
        };
        moved().or(named)
    }

    pub(crate) fn transfer(
        &mut self,
        now: Now,
        fx: &mut Fx,
        from: ConferenceKey,
        key: ParticipantKey,
        transfer: Transfer,
    ) -> Step {
        let target = self.resolve(&transfer.alias).ok_or(Refusal::NoSuchConference)?;
        let to = target.key;
        if to == from {
            return Err(Refusal::BadValue("the participant is in this conference already".into()));
        }
        let given = role_for(&target.settings, transfer.pin.as_deref()).map_err(|_| Refusal::WrongPin)?;
        let role = match transfer.role {
            Some(Role::Host) if given == Role::Guest => return Err(Refusal::WrongPin),
            wanted => wanted.unwrap_or(given),
        };
        target.settings.open_at(now.unix)?;
        let member = self.conference(from).and_then(|c| c.member(key)).ok_or(Refusal::NoSuchParticipant)?;
        if member.state == ServiceState::Connecting {
            return Err(Refusal::BadValue("this participant has not answered yet".into()));
        }
        let host = member.role == Role::Host;
        self.room_in(to)?;
        self.end_calls_that_stay(fx, from, key, &transfer.ending);
        self.leave_for(fx, from, to, key, role);
        self.arrive(now, fx, to, key, role);
        self.after_leaving(fx, from, host);
        Ok(Outcome::Done)
    }

    /// Screens that they show, and connections that cannot go along.
    fn end_calls_that_stay(&mut self, fx: &mut Fx, from: ConferenceKey, key: ParticipantKey, ending: &[LegKey]) {
        let Some(member) = self.conference(from).and_then(|c| c.member(key)) else { return };
        let stays = |purpose, leg| purpose == Purpose::PresentationSend || ending.contains(&leg);
        let ending: Vec<_> = member.calls.iter().filter(|c| stays(c.purpose, c.leg)).map(|call| call.id).collect();
        for call in ending {
            self.end_call(fx, from, key, call, Some("Transferred to another conference"));
        }
        self.release_floor(fx, from, key);
    }

    /// Out of the one conference: as if they had left, but for their tokens and calls. Their stream is told last.
    fn leave_for(&mut self, fx: &mut Fx, from: ConferenceKey, to: ConferenceKey, key: ParticipantKey, role: Role) {
        let Some((alias, name)) =
            self.conference(to).map(|c| (c.settings.aliases.first().cloned(), c.settings.name.clone()))
        else {
            return;
        };
        let alias = alias.unwrap_or_default();
        fx.event(from, Audience::One(key), EventBody::Moved { to, alias, name, role });
        let Some(out) = self.take_out(fx, from, key) else { return };
        let (mut member, tokens, left) = (out.member, out.tokens, out.aliases);
        let moved = Arc::make_mut(&mut member);
        for alias in left {
            let alias = alias.to_lowercase();
            if !moved.came_from.contains(&alias) {
                moved.came_from.push(alias);
            }
        }
        let surplus = moved.came_from.len().saturating_sub(CAME_FROM);
        moved.came_from.drain(..surplus);
        let Some(conference) = self.conference_mut(to) else { return };
        conference.by_id.insert(member.id, key);
        conference.members.insert(key, member);
        for (hash, token) in tokens {
            conference.tokens.insert(hash, token);
            fx.rows.push(Row::Token(to, hash));
        }
        self.index_member(to, key);
    }

    fn arrive(&mut self, now: Now, fx: &mut Fx, to: ConferenceKey, key: ParticipantKey, role: Role) {
        let Some(conference) = self.conference_mut(to) else { return };
        let muted = conference.joins_muted(role);
        let waits = role == Role::Guest && !conference.open_to_guests();
        let alias = conference.settings.aliases.first().cloned().unwrap_or_default();
        let Some(member) = conference.member_mut(key) else { return };
        member.role = role;
        member.state = if waits { ServiceState::WaitingRoom } else { ServiceState::Conference };
        member.held = false;
        member.local_alias = alias;
        member.audio_muted = muted;
        member.video_muted = false;
        member.presentation_denied = false;
        member.spotlight = 0;
        member.spotlight_order = 0;
        member.importance = None;
        member.buzz_time = 0;
        member.start_time = now.unix;
        member.revision += 1;
        for call in &mut member.calls {
            call.seats.clear();
            call.presentation = None;
        }
        let has_calls = !member.calls.is_empty();
        fx.keep(to, key);
        if has_calls {
            fx.media.push(MediaChange::Conference(to));
        }
        fx.media.push(MediaChange::Participant(to, key));
        self.meeting_begins(fx, to);
        self.tell_created(fx, to, key);
        self.start_if_a_host_has_media(fx, to);
    }
}
