//! The roster: who is told of whom, how people leave, and how tokens run out.
//!
//! Order of events (MGMT-59): `Created` precedes every event that names a participant to that audience.

use crate::access::Role;
use crate::conference::Conference;
use crate::effects::{MediaChange, Row};
use crate::event::{Audience, EventBody, SeatView, Standing, Status};
use crate::ids::{ConferenceKey, Now, ParticipantId, ParticipantKey};
use crate::model::{Fx, Model};
use crate::participant::{ParticipantView, Purpose, ServiceState};

impl Conference {
    /// State that everybody may see.
    pub fn status(&self) -> Status {
        Status { locked: self.locked, guests_muted: self.guests_muted, started: self.started, chat: self.settings.chat }
    }

    /// The rights of a member.
    pub fn standing(&self, key: ParticipantKey) -> Option<Standing> {
        let member = self.member(key)?;
        Some(Standing {
            viewer: key,
            host: member.role == Role::Host,
            admitted: member.state != ServiceState::WaitingRoom,
        })
    }

    /// What others are shown of a member, also of a hidden one.
    pub fn view(&self, key: ParticipantKey) -> Option<ParticipantView> {
        self.member(key).map(|member| member.view(self.presenter == Some(key)))
    }

    /// The list as `viewer` may see it.
    pub fn roster_for(&self, viewer: ParticipantKey) -> Vec<ParticipantView> {
        self.visible_to(viewer).into_iter().map(|m| m.view(self.presenter == Some(m.key))).collect()
    }

    /// Everything that a new stream of `viewer` must know: the roster, the state, and what is on screen.
    pub fn picture_for(&self, viewer: ParticipantKey) -> Vec<EventBody> {
        let Some(standing) = self.standing(viewer) else { return Vec::new() };
        let mut picture = vec![EventBody::Roster(self.roster_for(viewer)), EventBody::Status(self.status())];
        if !standing.admitted {
            return picture;
        }
        picture.extend(self.presentation_event());
        picture.push(EventBody::Stage(self.stage_view()));
        picture.extend(self.layout_event(viewer));
        picture
    }

    /// `PresentationStarted`, while somebody who may be seen presents.
    pub(crate) fn presentation_event(&self) -> Option<EventBody> {
        let presenter = self.presenter.and_then(|key| self.member(key)).filter(|member| !member.hidden)?;
        Some(EventBody::PresentationStarted {
            name: presenter.display_name.clone(),
            uri: presenter.uri.clone(),
            id: presenter.id,
        })
    }

    /// Speakers who may be seen.
    pub(crate) fn stage_view(&self) -> Vec<(ParticipantId, bool)> {
        self.stage.iter().filter_map(|(key, speaks)| Some((self.shown(*key)?, *speaks))).collect()
    }

    /// Who is on the screen of `viewer`.
    pub(crate) fn layout_event(&self, viewer: ParticipantKey) -> Option<EventBody> {
        let member = self.member(viewer).filter(|member| member.state != ServiceState::WaitingRoom)?;
        let call = member.calls.iter().find(|call| call.purpose == Purpose::Main && !call.seats.is_empty())?;
        Some(EventBody::Layout(SeatView {
            call: call.id,
            layout: self.layout_for(member.role),
            slots: call.seats.iter().map(|seat| seat.and_then(|key| self.shown(key))).collect(),
            presentation: call.presentation.and_then(|key| self.shown(key)),
        }))
    }

    fn shown(&self, key: ParticipantKey) -> Option<ParticipantId> {
        self.member(key).filter(|m| !m.hidden && m.state != ServiceState::WaitingRoom).map(|m| m.id)
    }
}

impl Model {
    pub(crate) fn view(&self, conference: ConferenceKey, key: ParticipantKey) -> Option<ParticipantView> {
        self.conference(conference)?.view(key)
    }

    /// Tells those who may see a member: `make` turns the view into the event.
    fn tell(
        &self,
        fx: &mut Fx,
        conference: ConferenceKey,
        key: ParticipantKey,
        make: impl Fn(Box<ParticipantView>) -> EventBody,
    ) {
        let Some(place) = self.conference(conference) else { return };
        let Some(member) = place.member(key).filter(|member| !member.hidden) else { return };
        let view = Box::new(member.view(place.presenter == Some(key)));
        if member.state == ServiceState::WaitingRoom {
            fx.event(conference, Audience::Hosts, make(view.clone()));
            fx.event(conference, Audience::One(key), make(view));
        } else {
            fx.event(conference, Audience::Admitted, make(view));
        }
    }

    pub(crate) fn tell_created(&self, fx: &mut Fx, conference: ConferenceKey, key: ParticipantKey) {
        self.tell(fx, conference, key, EventBody::Created);
    }

    /// A member changed: kept, and told to those who may see them.
    pub(crate) fn updated(&self, fx: &mut Fx, conference: ConferenceKey, key: ParticipantKey) {
        fx.keep(conference, key);
        self.tell(fx, conference, key, EventBody::Updated);
    }

    pub(crate) fn tell_standing(&self, fx: &mut Fx, conference: ConferenceKey, key: ParticipantKey) {
        if let Some(standing) = self.conference(conference).and_then(|c| c.standing(key)) {
            fx.event(conference, Audience::One(key), EventBody::Standing(standing));
        }
    }

    /// The conference's state changed: kept, and told.
    pub(crate) fn status_changed(&self, fx: &mut Fx, key: ConferenceKey) {
        let Some(conference) = self.conference(key) else { return };
        fx.rows.push(Row::Conference(key));
        fx.event(key, Audience::Admitted, EventBody::Status(conference.status()));
    }

    /// Something changed that media must know of the conference.
    pub(crate) fn conference_media_changed(&mut self, fx: &mut Fx, key: ConferenceKey) {
        let Some(conference) = self.conference_mut(key) else { return };
        conference.revision += 1;
        fx.rows.push(Row::Conference(key));
        fx.media.push(MediaChange::Conference(key));
    }

    /// Takes a member out: their calls end, their streams are told `reason`, everybody else sees them go.
    pub(crate) fn remove(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey, reason: &str) {
        let Some(member) = self.conference(place).and_then(|c| c.member(key)) else { return };
        let (id, hidden, state) = (member.id, member.hidden, member.state);
        let calls: Vec<_> = member.calls.iter().map(|call| (call.id, call.leg)).collect();
        let spotlit = member.spotlight != 0;
        fx.event(place, Audience::One(key), EventBody::Disconnected { reason: reason.into() });
        self.release_floor(fx, place, key);
        for (call, leg) in calls {
            fx.media.push(MediaChange::RemoveLeg(leg));
            fx.rows.push(Row::Leg(leg, call));
            self.index_leg(leg, None);
        }
        let Some(conference) = self.conference_mut(place) else { return };
        conference.members.remove(&key);
        conference.by_id.remove(&id);
        conference.tokens.retain(|_, token| token.participant != key);
        let on_stage = conference.stage.iter().any(|(other, _)| *other == key);
        conference.stage.retain(|(other, _)| *other != key);
        let stage = conference.stage_view();
        let pinned = spotlit || conference.layouts.iter().any(|entry| entry.actors.contains(&id));
        self.index_participant(key, None);
        fx.keep(place, key);
        fx.media.push(MediaChange::RemoveParticipant(key));
        if !hidden {
            let audience = if state == ServiceState::WaitingRoom { Audience::Hosts } else { Audience::Admitted };
            fx.event(place, audience, EventBody::Deleted(id));
            if on_stage {
                fx.event(place, Audience::Admitted, EventBody::Stage(stage));
            }
        }
        if pinned {
            self.conference_media_changed(fx, place);
        }
        self.reset_if_empty(fx, place);
    }

    /// The meeting is over: one event tells everybody, and nobody is left who could be told of the others' leaving.
    pub(crate) fn remove_everybody(&mut self, fx: &mut Fx, place: ConferenceKey, reason: &str) {
        let Some(conference) = self.conference_mut(place) else { return };
        let everybody: Vec<_> = conference.members.keys().copied().collect();
        if everybody.is_empty() {
            return;
        }
        conference.tokens.clear();
        fx.event(place, Audience::Everybody, EventBody::Disconnected { reason: reason.into() });
        let told = fx.events.len();
        for key in everybody {
            self.remove(fx, place, key, reason);
            fx.events.truncate(told);
        }
    }

    /// With the last participant the meeting is over: the next one begins afresh.
    fn reset_if_empty(&mut self, fx: &mut Fx, key: ConferenceKey) {
        let Some(conference) = self.conference_mut(key) else { return };
        if !conference.members.is_empty() {
            return;
        }
        conference.locked = false;
        conference.guests_muted = false;
        conference.started = false;
        conference.layouts.clear();
        conference.stage.clear();
        fx.rows.push(Row::Conference(key));
        fx.media.push(MediaChange::RemoveConference(key));
    }

    /// Tokens run out; whoever has none left is out (MGMT-14).
    pub(crate) fn expire(&mut self, now: Now, fx: &mut Fx) {
        for place in self.keys() {
            let Some(conference) = self.conference(place) else { continue };
            if conference.tokens.values().all(|token| token.expires_ms > now.ms) {
                continue;
            }
            let Some(conference) = self.conference_mut(place) else { continue };
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
}
