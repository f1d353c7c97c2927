//! How people leave, and what that means for those who stay: the meeting may be over (MGMT-17), or somebody else leads it.

use crate::access::Role;
use crate::conference::{Kind, Token};
use crate::effects::{MediaChange, Row};
use crate::event::{Audience, EventBody};
use crate::ids::{ConferenceKey, Now, ParticipantKey, TokenHash};
use crate::model::{Fx, Model};
use crate::participant::{Participant, ServiceState};
use std::sync::Arc;

/// Somebody who was taken out of a conference, with what goes along when they are moved.
pub(crate) struct Out {
    pub(crate) member: Arc<Participant>,
    pub(crate) tokens: Vec<(TokenHash, Token)>,
    /// Aliases of the conference they left.
    pub(crate) aliases: Vec<String>,
}

impl Model {
    /// Takes a member out: their calls end, their streams are told `reason`, everybody else sees them go.
    pub(crate) fn remove(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey, reason: &str) {
        let host = self.conference(place).and_then(|c| c.member(key)).map(|member| member.role == Role::Host);
        self.expel(fx, place, key, reason);
        if let Some(host) = host {
            self.after_leaving(fx, place, host);
        }
    }

    /// The same without asking what it means for the others.
    fn expel(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey, reason: &str) {
        let Some(member) = self.conference(place).and_then(|c| c.member(key)) else { return };
        let calls: Vec<_> = member.calls.iter().map(|call| (call.id, call.leg)).collect();
        let dialled = member.dialled.is_some();
        fx.event(place, Audience::One(key), EventBody::Disconnected { reason: reason.into() });
        self.release_floor(fx, place, key);
        for (call, leg) in calls {
            fx.media.push(MediaChange::RemoveLeg(leg));
            fx.rows.push(Row::Leg(leg, call));
            self.index_leg(leg, None);
        }
        if dialled {
            fx.signals.push(crate::effects::Signal::HangUp(key));
        }
        self.take_out(fx, place, key);
        fx.media.push(MediaChange::RemoveParticipant(key));
    }

    /// Takes a member off the lists and tells the others. Who holds the floor has given it back before.
    pub(crate) fn take_out(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey) -> Option<Out> {
        let streamed = self.conference(place)?.streaming();
        self.unindex_member(place, key);
        let conference = self.conference_mut(place)?;
        let member = conference.members.remove(&key)?;
        let id = member.id;
        conference.by_id.remove(&id);
        let mine: Vec<_> = conference
            .tokens
            .iter()
            .filter(|(_, t)| t.participant == key)
            .map(|(hash, token)| (*hash, *token))
            .collect();
        for (hash, _) in &mine {
            conference.tokens.remove(hash);
        }
        let on_stage = conference.stage.iter().any(|(other, _)| *other == key);
        conference.stage.retain(|(other, _)| *other != key);
        let stage = conference.stage_view();
        let stood_first = member.spotlight != 0 || member.importance.is_some();
        let actor = conference.layouts.iter().any(|entry| entry.actors.contains(&id));
        let aliases = conference.settings.aliases.clone();
        fx.keep(place, key);
        if !member.hidden {
            let waited = member.state == ServiceState::WaitingRoom;
            fx.event(place, if waited { Audience::Hosts } else { Audience::Admitted }, EventBody::Deleted(id));
            if on_stage {
                fx.event(place, Audience::Admitted, EventBody::Stage(stage));
            }
        }
        if actor {
            self.order_changed_for_all(fx, place);
        }
        if stood_first {
            self.conference_media_changed(fx, place);
        }
        self.streams_changed(fx, place, streamed);
        Some(Out { member, tokens: mine, aliases })
    }

    /// Somebody left; `host` says whether they were one.
    pub(crate) fn after_leaving(&mut self, fx: &mut Fx, place: ConferenceKey, host: bool) {
        self.reset_if_empty(fx, place);
        self.end_if_nobody_keeps_it(fx, place);
        if host {
            self.hand_over(fx, place);
        }
    }

    /// MGMT-17.
    pub(crate) fn end_if_nobody_keeps_it(&mut self, fx: &mut Fx, place: ConferenceKey) {
        if self.conference(place).is_some_and(|conference| !conference.lives()) {
            self.remove_everybody(fx, place, "No participants can keep conference alive");
        }
    }

    /// The last host left: where the settings say so, whoever came first of the guests who are in leads from now on. People
    /// with media go before those without.
    fn hand_over(&mut self, fx: &mut Fx, place: ConferenceKey) {
        let Some(conference) = self.conference(place).filter(|conference| conference.settings.hand_over) else {
            return;
        };
        let person = |member: &&Arc<Participant>| member.admitted() && !member.hidden && member.dialled.is_none();
        if conference.members.values().any(|member| member.role == Role::Host && member.admitted()) {
            return;
        }
        let next = conference
            .members
            .values()
            .filter(person)
            .min_by_key(|member| (!member.has_media(), member.start_time, member.key))
            .map(|member| member.key);
        if let Some(next) = next {
            self.set_role(fx, place, next, Role::Host);
        }
    }

    /// The meeting is over: one event tells everybody, and nobody is left who could be told of the others' leaving.
    pub(crate) fn remove_everybody(&mut self, fx: &mut Fx, place: ConferenceKey, reason: &str) {
        let Some(conference) = self.conference_mut(place) else { return };
        let everybody: Vec<_> = conference.members.keys().copied().collect();
        if everybody.is_empty() {
            return;
        }
        conference.tokens.clear();
        conference.layouts.clear();
        fx.event(place, Audience::Everybody, EventBody::Disconnected { reason: reason.into() });
        let told = fx.events.len();
        for key in everybody {
            self.expel(fx, place, key, reason);
            fx.events.truncate(told);
        }
        self.reset_if_empty(fx, place);
    }

    /// With the last participant the meeting is over: the next one begins afresh, unless the conference was made for this one.
    pub(crate) fn reset_if_empty(&mut self, fx: &mut Fx, key: ConferenceKey) {
        let Some(conference) = self.conference_mut(key) else { return };
        if !conference.members.is_empty() {
            return;
        }
        conference.locked = false;
        conference.guests_muted = false;
        conference.started = false;
        conference.recording = false;
        conference.layouts.clear();
        conference.mix_shed = 0;
        conference.stage.clear();
        conference.mute_on_join = None;
        if std::mem::take(&mut conference.meeting) != 0 {
            fx.event(key, Audience::Observers, EventBody::MeetingEnded);
        }
        let ad_hoc = conference.settings.kind == Kind::AdHoc;
        fx.rows.push(Row::Conference(key));
        fx.media.push(MediaChange::RemoveConference(key));
        if ad_hoc {
            self.remove_conference(key);
        }
    }

    /// Time passed: tokens run out, and whoever has none left is out (MGMT-14); calls that nobody answered end; scheduled
    /// conferences come to their end.
    pub(crate) fn expire(&mut self, now: Now, fx: &mut Fx) {
        for place in self.keys() {
            let Some(conference) = self.conference(place).filter(|conference| !conference.members.is_empty()) else {
                continue;
            };
            if matches!(conference.settings.kind, Kind::Scheduled { ends, .. } if ends <= now.unix) {
                self.remove_everybody(fx, place, "The time of this conference is over");
                continue;
            }
            self.unanswered(now, fx, place);
            self.expire_tokens(now, fx, place);
        }
    }

    fn expire_tokens(&mut self, now: Now, fx: &mut Fx, place: ConferenceKey) {
        let Some(conference) = self.conference(place) else { return };
        if conference.tokens.values().all(|token| token.expires_ms > now.ms) {
            return;
        }
        let Some(conference) = self.conference_mut(place) else { return };
        let mut ended = Vec::new();
        conference.tokens.retain(|hash, token| {
            let valid = token.expires_ms > now.ms;
            if !valid {
                ended.push((*hash, token.participant));
            }
            valid
        });
        let mut gone: Vec<ParticipantKey> = ended.iter().map(|(_, participant)| *participant).collect();
        gone.retain(|key| conference.tokens.values().all(|token| token.participant != *key));
        for (hash, participant) in ended {
            if !gone.contains(&participant) {
                fx.rows.push(Row::Token(place, hash));
            }
        }
        for participant in gone {
            self.remove(fx, place, participant, "Session expired");
        }
    }
}
