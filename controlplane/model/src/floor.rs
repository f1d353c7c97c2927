//! The presentation floor: one presenter at a time, the last to ask has it.

use crate::access::Role;
use crate::effects::Refusal;
use crate::event::{Audience, EventBody};
use crate::ids::{ConferenceKey, ParticipantKey};
use crate::model::{Fx, Model};
use crate::participant::Purpose;

impl Model {
    /// Whether this participant may present now.
    pub(crate) fn may_present(&self, place: ConferenceKey, key: ParticipantKey) -> Result<(), Refusal> {
        let conference = self.conference(place).ok_or(Refusal::NoSuchConference)?;
        let member = conference.member(key).ok_or(Refusal::NoSuchParticipant)?;
        if !member.admitted() {
            return Err(Refusal::Waiting);
        }
        if member.role == Role::Guest && !conference.settings.guests_can_present {
            return Err(Refusal::NoPresenting);
        }
        Ok(())
    }

    pub(crate) fn take_floor_checked(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
    ) -> Result<(), Refusal> {
        self.may_present(place, key)?;
        self.take_floor(fx, place, key);
        Ok(())
    }

    /// Gives the floor to `key`. Who had it loses it, and with it the call that carried the screen (MGMT-55).
    pub(crate) fn take_floor(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey) {
        let Some(conference) = self.conference_mut(place) else { return };
        let before = conference.presenter.replace(key);
        if before == Some(key) {
            return;
        }
        if let Some(before) = before {
            let member = conference.member(before);
            let calls = member.map(|m| m.calls.iter().filter(|c| c.purpose == Purpose::PresentationSend).map(|c| c.id));
            for call in calls.map(Vec::from_iter).unwrap_or_default() {
                self.end_call(fx, place, before, call, Some("Another participant started presenting"));
            }
            self.updated(fx, place, before);
        }
        self.updated(fx, place, key);
        self.conference_media_changed(fx, place);
        if let Some(event) = self.conference(place).and_then(|conference| conference.presentation_event()) {
            fx.event(place, Audience::Admitted, event);
        }
    }

    /// Nothing happens when `key` does not have the floor.
    pub(crate) fn release_floor(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey) {
        let Some(conference) = self.conference(place) else { return };
        if conference.presenter != Some(key) {
            return;
        }
        let shown = conference.presentation_event().is_some();
        if let Some(conference) = self.conference_mut(place) {
            conference.presenter = None;
        }
        self.updated(fx, place, key);
        self.conference_media_changed(fx, place);
        if shown {
            fx.event(place, Audience::Admitted, EventBody::PresentationStopped);
        }
    }
}
