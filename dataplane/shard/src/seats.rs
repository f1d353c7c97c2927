//! From the stage to the slots: who may be seen and heard, who fills what, and telling control about it.

use crate::Shard;
use crate::world::{ConferenceIndex, LegIndex, Slot, ToldSeats, World};
use core::time::Duration;
use plenum_contract::{EventBody, Kind, ParticipantKey};
use plenum_packet::Time;
use plenum_stage::{Flags, LineUp, SlotWant};

/// How often speakers are judged. Longer delays who is heard; shorter costs time for each member.
pub(crate) const TICK: Duration = Duration::from_millis(60);

impl Shard {
    /// Marks a conference: its seats are filled again by the next tick.
    pub(crate) fn settle(&mut self, conference: ConferenceIndex) {
        if !self.unsettled.contains(&conference) {
            self.unsettled.push(conference);
        }
    }

    /// Marks the conference of a leg.
    pub(crate) fn settle_leg(&mut self, leg: LegIndex) {
        if let Some(conference) = self.world.conference_of(leg) {
            self.settle(conference);
        }
    }

    /// Judges the speakers of every conference that is due and fills seats where something changed.
    pub(crate) fn tick_stages(&mut self, now: Time) {
        self.tick_mixer(now);
        while let Some(index) = self.unsettled.pop() {
            update_flags(&mut self.world, index);
            self.update_speakers(now, index);
            self.fill_seats(index);
            self.retap(now, index);
        }
        if now < self.next_stage {
            return;
        }
        self.next_stage = now + TICK;
        for index in 0..self.world.conferences.bound() {
            let Some(conference) = self.world.conferences.get_mut(index) else { continue };
            let changes = conference.stage.tick(now.nanos());
            if changes.speakers {
                let order = conference.stage.speakers().collect();
                let conference = conference.spec.key;
                self.tell(false, EventBody::Speakers { conference, order });
            }
            let spoken = (changes.speakers || changes.seats) && self.update_speakers(now, index);
            if self.expire_own(now, index) | spoken | changes.seats {
                self.fill_seats(index);
            }
        }
    }

    fn fill_seats(&mut self, index: ConferenceIndex) {
        let Some(conference) = self.world.conferences.get(index) else { return };
        let lineup = conference.stage.line_up();
        for member in conference.members.clone() {
            let Some(participant) = self.world.participants.get(member) else { continue };
            let viewer = participant.spec.key;
            for leg in participant.legs.clone() {
                self.fill_leg(index, leg, viewer, &lineup);
            }
        }
    }

    /// Fills the slots of one leg.
    fn fill_leg(&mut self, place: ConferenceIndex, index: LegIndex, viewer: ParticipantKey, lineup: &LineUp) {
        if self.world.legs.get(index).is_some_and(|leg| leg.mix.is_some())
            && self.fill_mixed(place, index, viewer, lineup)
        {
            return;
        }
        let World { conferences, legs, .. } = &mut self.world;
        let (Some(conference), Some(leg)) = (conferences.get(place), legs.get_mut(index)) else { return };
        let flows = leg.started && leg.session.is_connected();
        leg.seat_wants.clear();
        for slot in leg.slots.iter().filter(|s| s.kind == Kind::Video && !s.presentation && !s.off) {
            let at = usize::from(slot.index);
            if leg.seat_wants.len() <= at {
                leg.seat_wants.resize(at + 1, SlotWant { shown: false, pinned: None });
            }
            leg.seat_wants[at] = SlotWant { shown: flows && slot.wish.width > 0, pinned: slot.wish.pinned };
        }
        let sounds = leg.slots.iter().filter(|s| s.kind == Kind::Audio && !s.off).count();
        conference.stage.seat_video(lineup, &mut leg.video_seats, viewer, &leg.first, &leg.seat_wants);
        conference.stage.seat_audio(lineup, &mut leg.audio_seats, viewer, if flows { sounds } else { 0 });
        let presenter = leg.video_seats.presentation().filter(|_| flows);
        let mut sounds = leg.audio_seats.slots().iter().copied();
        let mut holder = |slot: &Slot| match (slot.presentation, slot.kind) {
            _ if slot.off || !flows => None,
            (true, _) => presenter,
            (false, Kind::Audio) => sounds.next().flatten(),
            (false, _) => leg.video_seats.slots().get(usize::from(slot.index)).copied().flatten(),
        };
        let wanted: Vec<_> = leg.slots.iter().map(|s| (holder(s), s.kind, s.presentation)).collect();
        let has_presentation = leg.slots.iter().any(|s| s.presentation);
        let told = ToldSeats {
            seats: leg.video_seats.slots().to_vec(),
            presentation: presenter.filter(|_| has_presentation),
            layout: None,
        };
        if leg.told_seats.as_ref() != Some(&told) && !leg.slots.is_empty() && flows {
            leg.told_seats = Some(told.clone());
            let event = told.event(leg.session.key());
            self.tell(false, event);
        }
        let mixed = if flows { self.mixed_sound(place, index, viewer) } else { None };
        let mut changed = false;
        for (slot, (holder, kind, presentation)) in wanted.into_iter().enumerate() {
            let source = match mixed {
                Some((at, sound)) if at == slot => Some(sound),
                _ => holder.and_then(|p| self.source_for(place, index, slot, (p, kind, presentation))),
            };
            changed |= self.world.assign(index, slot as u16, source);
        }
        if changed {
            self.next_layers = Time::ZERO;
        }
    }
}

/// Tells a conference's stage what its members send and may do.
fn update_flags(world: &mut World, index: ConferenceIndex) {
    let Some(members) = world.conferences.get(index).map(|c| c.members.clone()) else { return };
    for member in members {
        let Some(participant) = world.participants.get(member) else { continue };
        let spec = &participant.spec;
        let key = spec.key;
        let mut flags = Flags {
            audio_blocked: spec.audio_blocked,
            video_blocked: spec.video_blocked,
            presentation_denied: spec.presentation_denied,
            waiting: spec.waiting,
            ..Flags::default()
        };
        for leg in participant.legs.iter().filter_map(|l| world.legs.get(*l)).filter(|l| l.started) {
            for source in leg.sources.iter().flatten().filter_map(|s| world.sources.get(*s)) {
                match (source.track.kind(), source.presentation) {
                    (plenum_route::Kind::Audio, _) => flags.audio = true,
                    (plenum_route::Kind::Video, false) => flags.video |= source.active,
                    (plenum_route::Kind::Video, true) => flags.presentation |= source.active,
                }
            }
        }
        if let Some(conference) = world.conferences.get_mut(index) {
            conference.stage.set_member(key, flags);
        }
    }
}
