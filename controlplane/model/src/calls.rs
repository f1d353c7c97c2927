//! Media connections of a participant: set up, started by the client's `ack` (MGMT-40), ended by either side.

use crate::action::CallCommand;
use crate::effects::{MediaChange, Outcome, Refusal, Row};
use crate::event::{Audience, EventBody};
use crate::ids::{CallId, ConferenceKey, LegKey, ParticipantKey};
use crate::model::{Fx, Model, Step};
use crate::participant::{Call, Purpose};

impl Model {
    pub(crate) fn call(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
        own: bool,
        command: CallCommand,
    ) -> Step {
        match command {
            CallCommand::CheckOpen(purpose) => {
                self.may_open(place, key, purpose)?;
                Ok(Outcome::Call { participant: key, leg: None })
            }
            CallCommand::Open { id, leg, purpose, video, fecc } => {
                let call = Call {
                    id,
                    leg,
                    purpose,
                    video,
                    fecc,
                    started: false,
                    connected: false,
                    on_hold: false,
                    seats: Vec::new(),
                    presentation: None,
                    layout: None,
                };
                self.open_call(fx, place, key, call)
            }
            CallCommand::Digits(id, digits) => {
                self.find_call(place, key, id)?;
                self.send_digits(fx, place, key, digits)?;
                Ok(Outcome::Done)
            }
            CallCommand::Camera(id, movement) => {
                self.find_call(place, key, id)?;
                self.steer_camera(fx, place, key, EventBody::Camera(movement))?;
                Ok(Outcome::Done)
            }
            CallCommand::Check(id) => {
                let leg = self.find_call(place, key, id)?;
                Ok(Outcome::Call { participant: key, leg: Some(leg) })
            }
            CallCommand::Hold(id, held) => {
                let leg = self.find_call(place, key, id)?;
                self.change_call(fx, place, key, id, |call| call.on_hold = held);
                Ok(Outcome::Call { participant: key, leg: Some(leg) })
            }
            CallCommand::Start(id) => {
                let leg = self.find_call(place, key, id)?;
                self.start_call(fx, place, key, id);
                Ok(Outcome::Call { participant: key, leg: Some(leg) })
            }
            CallCommand::Close(id) => {
                self.find_call(place, key, id)?;
                let told = (!own).then_some("API initiated participant disconnect");
                self.end_call(fx, place, key, id, told);
                Ok(Outcome::Done)
            }
        }
    }

    fn find_call(&self, place: ConferenceKey, key: ParticipantKey, id: CallId) -> Result<LegKey, Refusal> {
        let member =
            self.conference(place).and_then(|conference| conference.member(key)).ok_or(Refusal::NoSuchParticipant)?;
        member.call(id).map(|call| call.leg).ok_or(Refusal::NoSuchCall)
    }

    fn may_open(&self, place: ConferenceKey, key: ParticipantKey, purpose: Purpose) -> Result<(), Refusal> {
        let member =
            self.conference(place).and_then(|conference| conference.member(key)).ok_or(Refusal::NoSuchParticipant)?;
        if purpose == Purpose::PresentationSend {
            self.may_present(place, key)?;
        }
        // A second call of the same purpose takes the place of the first, so it does not count twice.
        let others = member.calls.iter().filter(|call| call.purpose != purpose).count();
        if others >= self.limits.calls_per_participant {
            return Err(Refusal::Limit(format!(
                "limit of {} calls for one participant reached",
                self.limits.calls_per_participant
            )));
        }
        Ok(())
    }

    fn open_call(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey, call: Call) -> Step {
        let (id, leg, purpose) = (call.id, call.leg, call.purpose);
        self.may_open(place, key, purpose)?;
        if self.owner_of(leg).is_some() {
            return Err(Refusal::BadValue("the leg is in use".into()));
        }
        let Some(member) = self.conference(place).and_then(|conference| conference.member(key)) else {
            return Err(Refusal::NoSuchParticipant);
        };
        if member.call(id).is_some() {
            return Err(Refusal::BadValue("the random source gave a known value".into()));
        }
        let replaced: Vec<CallId> =
            member.calls.iter().filter(|call| call.purpose == purpose).map(|call| call.id).collect();
        for old in replaced {
            self.end_call(fx, place, key, old, None);
        }
        let Some(member) = self.conference_mut(place).and_then(|conference| conference.member_mut(key)) else {
            return Err(Refusal::NoSuchParticipant);
        };
        member.calls.push(call);
        self.index_leg(leg, Some(key));
        fx.keep(place, key);
        fx.rows.push(Row::Leg(leg, id));
        fx.media.push(MediaChange::Conference(place));
        fx.media.push(MediaChange::Participant(place, key));
        Ok(Outcome::Call { participant: key, leg: Some(leg) })
    }

    fn start_call(&mut self, fx: &mut Fx, place: ConferenceKey, key: ParticipantKey, id: CallId) {
        let Some(purpose) = self.change_call(fx, place, key, id, |call| call.started = true) else { return };
        let leg = self.find_call(place, key, id);
        if let Ok(leg) = leg {
            fx.media.push(MediaChange::StartLeg(leg));
        }
        match purpose {
            Purpose::PresentationSend => self.take_floor(fx, place, key),
            Purpose::Main => self.start_if_a_host_has_media(fx, place),
            Purpose::PresentationReceive => {}
        }
    }

    /// Changes a call; when that makes the participant look different, it is told. The call's purpose, if it changed.
    pub(crate) fn change_call(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
        id: CallId,
        change: impl FnOnce(&mut Call),
    ) -> Option<Purpose> {
        let member = self.conference(place)?.member(key)?;
        let (before, looked) = (member.call(id)?.clone(), member.view(false));
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return None;
        }
        let member = self.conference_mut(place)?.member_mut(key)?;
        let purpose = after.purpose;
        *member.calls.iter_mut().find(|call| call.id == id)? = after;
        if member.view(false) == looked {
            fx.keep(place, key);
        } else {
            self.updated(fx, place, key);
        }
        Some(purpose)
    }

    /// Ends a call; its owner is told when there is a reason.
    pub(crate) fn end_call(
        &mut self,
        fx: &mut Fx,
        place: ConferenceKey,
        key: ParticipantKey,
        id: CallId,
        reason: Option<&str>,
    ) {
        let Some(member) = self.conference_mut(place).and_then(|conference| conference.member_mut(key)) else { return };
        let looked = member.view(false);
        let Some(at) = member.calls.iter().position(|call| call.id == id) else { return };
        let call = member.calls.remove(at);
        let looks = member.view(false);
        self.index_leg(call.leg, None);
        fx.rows.push(Row::Leg(call.leg, id));
        fx.media.push(MediaChange::RemoveLeg(call.leg));
        if let Some(reason) = reason {
            fx.event(place, Audience::One(key), EventBody::CallEnded { call: id, reason: reason.into() });
        }
        if call.purpose == Purpose::PresentationSend {
            self.release_floor(fx, place, key);
        }
        if looks == looked {
            fx.keep(place, key);
        } else {
            self.updated(fx, place, key);
        }
    }
}
