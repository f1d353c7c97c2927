//! What media tells. A fact about something that is gone meanwhile is no error: it changes nothing.

use crate::event::{Audience, EventBody};
use crate::ids::{ConferenceKey, LegKey, ParticipantKey};
use crate::layout::LayoutName;
use crate::limits::{SEATS, STAGE};
use crate::model::{Fx, Model};
use crate::participant::Purpose;

/// One thing that media found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A leg's transport is up.
    LegConnected(LegKey),
    /// A leg is over.
    LegEnded {
        /// Which.
        leg: LegKey,
        /// Why, as clients are told.
        reason: String,
    },
    /// Media restarted: every leg is over. Participants and tokens stay.
    EveryLegEnded {
        /// Why, as clients are told.
        reason: String,
    },
    /// A dialled participant answered (MGMT-16).
    Answered(ParticipantKey),
    /// A dialled participant rejected, could not be reached, or hung up.
    HungUp {
        /// Who.
        participant: ParticipantKey,
        /// Why.
        reason: String,
    },
    /// A recorder runs, or no longer.
    Recording {
        /// Where.
        conference: ConferenceKey,
        /// Whether it runs.
        active: bool,
    },
    /// A participant's terminal records, or no longer.
    EndpointRecording {
        /// Whose.
        participant: ParticipantKey,
        /// Whether it records.
        active: bool,
    },
    /// Speakers, most recent first, with whether they speak now.
    Speakers {
        /// Where.
        conference: ConferenceKey,
        /// Who.
        order: Vec<(ParticipantKey, bool)>,
    },
    /// There is a new picture of this conference's presentation.
    PresentationFrame(ConferenceKey),
    /// Another part of a conference's composed pictures is left out, because the mixer is behind.
    MixShed {
        /// Where.
        conference: ConferenceKey,
        /// 0 = nothing, 1 every second picture, 2 all but the smallest encoding, 3 half the resolution.
        level: u8,
    },
    /// Who fills the slots of a leg.
    Seats {
        /// The leg.
        leg: LegKey,
        /// Holders by slot.
        seats: Vec<Option<ParticipantKey>>,
        /// Who fills the presentation slot.
        presentation: Option<ParticipantKey>,
        /// The layout that is drawn, when the leg gets the mix.
        layout: Option<LayoutName>,
    },
}

impl Model {
    pub(crate) fn fact(&mut self, fx: &mut Fx, fact: Fact) {
        match fact {
            Fact::LegConnected(leg) => self.leg_connected(fx, leg),
            Fact::LegEnded { leg, reason } => self.leg_ended(fx, leg, &reason),
            Fact::EveryLegEnded { reason } => {
                let legs: Vec<LegKey> = self.legs().map(|(leg, _)| leg).collect();
                for leg in legs {
                    self.leg_ended(fx, leg, &reason);
                }
                for place in self.keys() {
                    self.set_mix_shed(fx, place, 0);
                }
            }
            Fact::Answered(participant) => self.answered(fx, participant),
            Fact::HungUp { participant, reason } => self.hung_up(fx, participant, &reason),
            Fact::Recording { conference, active } => {
                if let Some(place) = self.conference_mut(conference)
                    && place.recording != active
                    && !place.members.is_empty()
                {
                    place.recording = active;
                    self.status_changed(fx, conference);
                }
            }
            Fact::EndpointRecording { participant, active } => {
                if let Some(place) = self.conference_of(participant) {
                    self.set(fx, place, participant, false, |member| member.endpoint_recording = active);
                }
            }
            Fact::Speakers { conference, order } => self.speakers(fx, conference, order),
            Fact::PresentationFrame(place) => {
                if self.conference(place).is_some_and(|conference| conference.presentation_event().is_some()) {
                    fx.event(place, Audience::Admitted, EventBody::PresentationFrame);
                }
            }
            Fact::MixShed { conference, level } => self.set_mix_shed(fx, conference, level),
            Fact::Seats { leg, seats, presentation, layout } => self.seats(fx, leg, seats, presentation, layout),
        }
    }

    fn leg_connected(&mut self, fx: &mut Fx, leg: LegKey) {
        let Some((place, key, call)) = self.call_of(leg) else { return };
        if self.change_call(fx, place, key, call, |call| call.connected = true) == Some(Purpose::Main) {
            self.start_if_a_host_has_media(fx, place);
        }
    }

    fn leg_ended(&mut self, fx: &mut Fx, leg: LegKey, reason: &str) {
        let Some((place, key, call)) = self.call_of(leg) else { return };
        self.end_call(fx, place, key, call, Some(reason));
    }

    fn speakers(&mut self, fx: &mut Fx, place: ConferenceKey, mut order: Vec<(ParticipantKey, bool)>) {
        let Some(conference) = self.conference(place) else { return };
        order.truncate(STAGE);
        order.retain(|(key, _)| conference.members.contains_key(key));
        if conference.stage == order {
            return;
        }
        let before = conference.stage_view();
        let Some(conference) = self.conference_mut(place) else { return };
        conference.stage = order;
        let after = conference.stage_view();
        if before != after {
            fx.event(place, Audience::Admitted, EventBody::Stage(after));
        }
    }

    fn seats(
        &mut self,
        fx: &mut Fx,
        leg: LegKey,
        mut seats: Vec<Option<ParticipantKey>>,
        presentation: Option<ParticipantKey>,
        layout: Option<LayoutName>,
    ) {
        let Some((place, key, id)) = self.call_of(leg) else { return };
        seats.truncate(SEATS);
        let Some(conference) = self.conference(place) else { return };
        let before = conference.layout_event(key);
        let Some(member) = self.conference_mut(place).and_then(|conference| conference.member_mut(key)) else { return };
        let Some(call) = member.calls.iter_mut().find(|call| call.id == id) else { return };
        call.seats = seats;
        call.presentation = presentation;
        let changed = call.layout != layout;
        call.layout = layout;
        if changed {
            self.updated(fx, place, key);
        }
        let after = self.conference(place).and_then(|conference| conference.layout_event(key));
        if let Some(layout) = after.filter(|layout| before.as_ref() != Some(layout)) {
            fx.event(place, Audience::One(key), layout);
        }
    }

    fn call_of(&self, leg: LegKey) -> Option<(ConferenceKey, ParticipantKey, crate::ids::CallId)> {
        let (place, key) = self.owner_of(leg)?;
        let call = self.conference(place)?.member(key)?.calls.iter().find(|call| call.leg == leg)?;
        Some((place, key, call.id))
    }
}
