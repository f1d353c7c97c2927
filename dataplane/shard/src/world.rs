//! What a shard holds: conferences, participants, legs, tracks, each in a dense table, and how they point at each other.
//!
//! Indices point down and up; removing something removes what points at it. No decision is made here.

use crate::mix::{Made, Mix, Tap};
use crate::slab::Slab;
use plenum_contract::{
    ConferenceKey, ConferenceSpec, EventBody, Kind, LegKey, ParticipantKey, ParticipantSpec, TrackKey, VideoLayer,
};
use plenum_route::{Format, LayerInfo, Subscriber, Track};
use plenum_session::Session;
use plenum_stage::{AudioSeats, SlotWant, Stage, VideoSeats};
use std::collections::HashMap;

/// Index of a conference.
pub(crate) type ConferenceIndex = u32;
/// Index of a participant.
pub(crate) type ParticipantIndex = u32;
/// Index of a leg; also what [`crate::steer`] and [`crate::timers`] speak of.
pub(crate) type LegIndex = u32;
/// Index of a track; also what subscribers know their source by.
pub(crate) type TrackIndex = u32;

/// One conference.
pub(crate) struct Conference {
    pub(crate) spec: ConferenceSpec,
    pub(crate) stage: Stage,
    pub(crate) members: Vec<ParticipantIndex>,
    pub(crate) mix: Option<Box<Mix>>,
}

/// One member.
pub(crate) struct Participant {
    pub(crate) spec: ParticipantSpec,
    pub(crate) conference: ConferenceIndex,
    pub(crate) legs: Vec<LegIndex>,
}

/// What control was told of a leg's seats.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToldSeats {
    pub(crate) seats: Vec<Option<ParticipantKey>>,
    pub(crate) presentation: Option<ParticipantKey>,
    /// The layout that the mixer draws; `None` for a leg that is forwarded to.
    pub(crate) layout: Option<String>,
}

impl ToldSeats {
    pub(crate) fn event(self, leg: LegKey) -> EventBody {
        EventBody::Seats { leg, seats: self.seats, presentation: self.presentation, layout: self.layout }
    }
}

/// One media connection.
pub(crate) struct Leg {
    pub(crate) session: Session,
    pub(crate) participant: ParticipantIndex,
    /// Whether control let media flow.
    pub(crate) started: bool,
    /// Whether it is in the list of legs that have something to send.
    pub(crate) dirty: bool,
    pub(crate) slots: Vec<Slot>,
    /// Video slots in the order in which a budget serves them: the main tile, then a presentation, then the others.
    pub(crate) video_order: Vec<u16>,
    /// Track of each m-line that the peer sends on.
    pub(crate) sources: Vec<Option<TrackIndex>>,
    pub(crate) video_seats: VideoSeats,
    pub(crate) audio_seats: AudioSeats,
    /// What the video seats are wanted for; kept for its capacity.
    pub(crate) seat_wants: Vec<SlotWant>,
    /// What was told about the seats last.
    pub(crate) told_seats: Option<ToldSeats>,
    /// Estimate that was told last, bits a second.
    pub(crate) told_bitrate: u64,
    /// What its layers leave of its estimate for each picture that is made for it in another codec, bits a second.
    pub(crate) spare: u64,
    /// Revision of the subscription in force.
    pub(crate) subscription: u64,
    /// The scene that it gets instead of what others send.
    pub(crate) mix: Option<u16>,
    /// Whether its first sound slot gets the mixed sound although it is forwarded to.
    pub(crate) mixed_sound: bool,
    /// Whom its viewer sees first.
    pub(crate) first: Vec<ParticipantKey>,
    pub(crate) channels: Vec<Channel>,
}

/// A data channel of a leg.
pub(crate) struct Channel {
    pub(crate) stream: u16,
    pub(crate) label: String,
    pub(crate) protocol: String,
}

/// One slot of a leg.
pub(crate) struct Slot {
    pub(crate) media: u16,
    pub(crate) mid: String,
    pub(crate) kind: Kind,
    pub(crate) presentation: bool,
    pub(crate) index: u16,
    /// Its m-line does not receive at present; its numbers are kept.
    pub(crate) off: bool,
    pub(crate) subscriber: Subscriber,
    /// Where it stands in the list of its source's subscribers; meaningless without a source.
    pub(crate) place: u32,
    pub(crate) wish: Wish,
    pub(crate) told_layer: Option<VideoLayer>,
}

/// What a slot is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) max_fps: u8,
    pub(crate) pinned: Option<ParticipantKey>,
}

/// What stands for the leg of a track that the mixer makes.
pub(crate) const NO_LEG: LegIndex = LegIndex::MAX;

/// What a participant sends on one m-line, or the mixer makes.
pub(crate) struct Source {
    pub(crate) key: TrackKey,
    /// [`NO_LEG`] when the mixer makes it.
    pub(crate) leg: LegIndex,
    pub(crate) media: u16,
    pub(crate) presentation: bool,
    /// Formats by codec index of the m-line.
    pub(crate) formats: Vec<Format>,
    pub(crate) track: Track,
    pub(crate) parser: crate::inspect::Parser,
    /// Format of what it sent when seats were filled last.
    pub(crate) told_format: Option<Format>,
    /// Slots that it fills: leg, and index in [`Leg::slots`].
    pub(crate) subscribers: Vec<(LegIndex, u16)>,
    pub(crate) active: bool,
    /// What arrives now, refreshed with each layer decision.
    pub(crate) layers: Vec<LayerInfo>,
    /// RTP timestamp of the telephone event that was told last.
    pub(crate) told_digit: Option<u32>,
    /// What the mixer gets of it.
    pub(crate) tap: Option<Tap>,
    /// Of which mix it is what, when the mixer makes it.
    pub(crate) made: Option<(ConferenceKey, Made)>,
}

/// The tables.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) conferences: Slab<Conference>,
    pub(crate) participants: Slab<Participant>,
    pub(crate) legs: Slab<Leg>,
    pub(crate) sources: Slab<Source>,
    conference_keys: HashMap<ConferenceKey, ConferenceIndex>,
    participant_keys: HashMap<ParticipantKey, ParticipantIndex>,
    leg_keys: HashMap<LegKey, LegIndex>,
}

impl World {
    pub(crate) fn conference(&self, key: ConferenceKey) -> Option<ConferenceIndex> {
        self.conference_keys.get(&key).copied()
    }

    pub(crate) fn participant(&self, key: ParticipantKey) -> Option<ParticipantIndex> {
        self.participant_keys.get(&key).copied()
    }

    pub(crate) fn leg(&self, key: LegKey) -> Option<LegIndex> {
        self.leg_keys.get(&key).copied()
    }

    pub(crate) fn insert_conference(&mut self, spec: ConferenceSpec) -> ConferenceIndex {
        let key = spec.key;
        let index = self.conferences.insert(Conference { spec, stage: Stage::new(), members: Vec::new(), mix: None });
        self.conference_keys.insert(key, index);
        index
    }

    pub(crate) fn remove_conference(&mut self, index: ConferenceIndex) {
        if let Some(conference) = self.conferences.remove(index) {
            self.conference_keys.remove(&conference.spec.key);
        }
    }

    pub(crate) fn insert_participant(&mut self, spec: ParticipantSpec, conference: ConferenceIndex) {
        let key = spec.key;
        let index = self.participants.insert(Participant { spec, conference, legs: Vec::new() });
        self.participant_keys.insert(key, index);
        if let Some(conference) = self.conferences.get_mut(conference) {
            conference.members.push(index);
        }
    }

    pub(crate) fn remove_participant(&mut self, index: ParticipantIndex) {
        let Some(participant) = self.participants.remove(index) else { return };
        self.participant_keys.remove(&participant.spec.key);
        if let Some(conference) = self.conferences.get_mut(participant.conference) {
            conference.members.retain(|m| *m != index);
            conference.stage.remove_member(participant.spec.key);
        }
    }

    /// Moves a participant to another conference; slots and seats are settled by the next tick.
    pub(crate) fn move_participant(&mut self, index: ParticipantIndex, to: ConferenceIndex) {
        let Some(participant) = self.participants.get_mut(index) else { return };
        let from = std::mem::replace(&mut participant.conference, to);
        let key = participant.spec.key;
        if let Some(conference) = self.conferences.get_mut(from) {
            conference.members.retain(|m| *m != index);
            conference.stage.remove_member(key);
        }
        if let Some(conference) = self.conferences.get_mut(to) {
            conference.members.push(index);
        }
    }

    pub(crate) fn insert_leg(&mut self, key: LegKey, leg: Leg) -> LegIndex {
        let participant = leg.participant;
        let index = self.legs.insert(leg);
        self.leg_keys.insert(key, index);
        if let Some(participant) = self.participants.get_mut(participant) {
            participant.legs.push(index);
        }
        index
    }

    /// Takes a leg out; its tracks must be gone already.
    pub(crate) fn remove_leg(&mut self, index: LegIndex) -> Option<Leg> {
        let leg = self.legs.remove(index)?;
        self.leg_keys.remove(&leg.session.key());
        if let Some(participant) = self.participants.get_mut(leg.participant) {
            participant.legs.retain(|l| *l != index);
        }
        Some(leg)
    }

    /// The conference of a leg.
    pub(crate) fn conference_of(&self, leg: LegIndex) -> Option<ConferenceIndex> {
        let participant = self.legs.get(leg)?.participant;
        Some(self.participants.get(participant)?.conference)
    }

    /// Fills a slot with a source, or empties it; both ends are kept in step. True when it changed.
    pub(crate) fn assign(&mut self, index: LegIndex, slot: u16, source: Option<TrackIndex>) -> bool {
        let World { legs, sources, .. } = self;
        let Some(leg) = legs.get_mut(index) else { return false };
        let Some(entry) = leg.slots.get_mut(usize::from(slot)) else { return false };
        let former = entry.subscriber.source();
        if !entry.subscriber.assign(source) {
            return false;
        }
        if source.is_none() {
            // What still waits to leave must not be seen any more. Where another source follows it leaves, and no gap shows.
            leg.session.clear_slot(entry.media);
        }
        let place = entry.place as usize;
        if let Some(source) = source.and_then(|t| sources.get_mut(t)) {
            entry.place = source.subscribers.len() as u32;
            source.subscribers.push((index, slot));
        }
        if let Some(former) = former.and_then(|t| sources.get_mut(t)) {
            debug_assert_eq!(former.subscribers.get(place), Some(&(index, slot)));
            former.subscribers.swap_remove(place);
            // The last one stands where this one stood.
            if let Some(&(leg, slot)) = former.subscribers.get(place)
                && let Some(moved) = legs.get_mut(leg).and_then(|l| l.slots.get_mut(usize::from(slot)))
            {
                moved.place = place as u32;
            }
        }
        true
    }

    /// The source of `kind` that a participant shows: the camera or the screen. The newest one wins.
    pub(crate) fn source_of(&self, participant: ParticipantKey, kind: Kind, presentation: bool) -> Option<TrackIndex> {
        let participant = self.participants.get(self.participant(participant)?)?;
        let kind = crate::inspect::route_kind(kind)?;
        let fits = |index: &TrackIndex| {
            self.sources.get(*index).is_some_and(|s| s.presentation == presentation && s.track.kind() == kind)
        };
        let legs = participant.legs.iter().rev().filter_map(|l| self.legs.get(*l));
        legs.flat_map(|l| l.sources.iter().flatten().copied()).find(fits)
    }
}
