//! The roster: who is told of whom.
//!
//! Order of events (MGMT-59): `Created` precedes every event that names a participant to that audience.

use crate::access::Role;
use crate::conference::Conference;
use crate::effects::{MediaChange, Row};
use crate::event::{Audience, EventBody, SeatView, Standing, Status};
use crate::ids::{ConferenceKey, ParticipantId, ParticipantKey};
use crate::model::{Fx, Model};
use crate::participant::{ParticipantView, Purpose, ServiceState};

impl Conference {
    /// State that everybody may see.
    pub fn status(&self) -> Status {
        Status {
            locked: self.locked,
            guests_muted: self.guests_muted,
            started: self.started,
            chat: self.settings.chat,
            recording: self.recording,
            streaming: self.streaming(),
        }
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
        picture.extend(self.passing_for(viewer));
        picture
    }

    /// What is as it is only at the moment ([`EventBody::is_passing`]), as `viewer` may see it.
    pub fn passing_for(&self, viewer: ParticipantKey) -> Vec<EventBody> {
        if self.standing(viewer).is_none_or(|standing| !standing.admitted) {
            return Vec::new();
        }
        std::iter::once(EventBody::Stage(self.stage_view())).chain(self.layout_event(viewer)).collect()
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
            layout: call.layout.unwrap_or(self.layout_for(member).drawn(self.members.len())),
            mixed: call.layout.is_some(),
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
}
