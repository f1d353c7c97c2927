//! What control wants: specs are compared with what is there, and the difference is carried out.
//!
//! A spec whose revision is not newer changes nothing, so control may repeat everything after it was away. A refusal changes
//! nothing either, and says why.

use crate::Shard;
use crate::world::{Leg, LegIndex, Wish};
use plenum_contract::{
    Command, ConferenceKey, ConferenceSpec, EventBody, LegEnd, LegKey, ParticipantKey, ParticipantSpec, SessionSpec,
    SubscriptionSpec,
};
use plenum_packet::{Pool, Time};
use plenum_session::Session;
use plenum_stage::{AudioSeats, VideoSeats};

impl Shard {
    /// Carries out one command.
    ///
    /// # Errors
    /// Why it was refused, in words for the log.
    pub fn command(&mut self, now: Time, pool: &mut Pool, command: Command) -> Result<(), String> {
        match command {
            Command::Conference(spec) => self.set_conference(spec),
            Command::RemoveConference(key) => self.remove_conference(now, pool, key),
            Command::Participant(spec) => return self.set_participant(spec),
            Command::RemoveParticipant(key) => self.remove_participant(now, pool, key),
            Command::Session(spec) => return self.set_session(now, pool, &spec),
            Command::RemoveSession(key) => self.remove_session(now, pool, key),
            Command::Mix(spec) => return self.set_mix(pool, spec),
            Command::RemoveMix(key) => self.remove_mix(pool, key),
            Command::Subscription(spec) => self.set_subscription(&spec),
            Command::Start(key) => return self.start(key),
            Command::Hello { .. }
            | Command::Snapshot
            | Command::Acknowledge { .. }
            | Command::Log { .. }
            | Command::Shutdown => {}
        }
        Ok(())
    }

    fn set_conference(&mut self, spec: ConferenceSpec) {
        let index = match self.world.conference(spec.key) {
            Some(index) => index,
            None => self.world.insert_conference(spec.clone()),
        };
        let Some(conference) = self.world.conferences.get_mut(index) else { return };
        if spec.revision >= conference.spec.revision {
            conference.stage.set_pinned(&spec.pinned);
            conference.stage.set_presenter(spec.presenter);
            conference.stage.set_last_n(usize::from(spec.last_n));
            conference.spec = spec;
            self.settle(index);
        }
    }

    fn remove_conference(&mut self, now: Time, pool: &mut Pool, key: ConferenceKey) {
        let Some(index) = self.world.conference(key) else { return };
        self.remove_mix(pool, key);
        let members = self.world.conferences.get(index).map(|c| c.members.clone()).unwrap_or_default();
        let keys = members.iter().filter_map(|m| Some(self.world.participants.get(*m)?.spec.key));
        for key in keys.collect::<Vec<_>>() {
            self.remove_participant(now, pool, key);
        }
        self.world.remove_conference(index);
    }

    fn set_participant(&mut self, spec: ParticipantSpec) -> Result<(), String> {
        let conference = self
            .world
            .conference(spec.conference)
            .ok_or_else(|| format!("participant {}: conference {} is unknown", spec.key.0, spec.conference.0))?;
        let Some(index) = self.world.participant(spec.key) else {
            self.world.insert_participant(spec, conference);
            self.settle(conference);
            return Ok(());
        };
        let Some(participant) = self.world.participants.get_mut(index) else { return Ok(()) };
        if spec.revision <= participant.spec.revision {
            return Ok(());
        }
        let former = participant.conference;
        participant.spec = spec;
        if former != conference {
            self.world.move_participant(index, conference);
            self.settle(former);
        }
        self.settle(conference);
        Ok(())
    }

    fn remove_participant(&mut self, now: Time, pool: &mut Pool, key: ParticipantKey) {
        let Some(index) = self.world.participant(key) else { return };
        let (legs, conference) = match self.world.participants.get(index) {
            Some(participant) => (participant.legs.clone(), participant.conference),
            None => return,
        };
        for leg in legs {
            self.end_leg(now, pool, leg, LegEnd::Removed);
        }
        self.world.remove_participant(index);
        self.settle(conference);
    }

    fn set_session(&mut self, now: Time, pool: &mut Pool, spec: &SessionSpec) -> Result<(), String> {
        if let Some(index) = self.world.leg(spec.key) {
            let leg = self.world.legs.get_mut(index).ok_or("leg is gone")?;
            if spec.revision > leg.session.spec().revision {
                leg.session.apply(spec).map_err(|e| format!("leg {}: {e}", spec.key.0))?;
                self.reconcile_media(pool, index, spec);
            }
            return Ok(());
        }
        if self.world.legs.len() >= self.config.max_sessions {
            return Err(format!(
                "leg {}: this shard's limit of {} sessions is reached",
                spec.key.0, self.config.max_sessions
            ));
        }
        let participant = self
            .world
            .participant(spec.participant)
            .ok_or_else(|| format!("leg {}: participant {} is unknown", spec.key.0, spec.participant.0))?;
        let seed = self.random();
        let session =
            Session::new(spec, &self.config.env, seed, now).map_err(|e| format!("leg {}: {e}", spec.key.0))?;
        let leg = Leg {
            session,
            participant,
            started: false,
            dirty: false,
            slots: Vec::new(),
            video_order: Vec::new(),
            sources: Vec::new(),
            video_seats: VideoSeats::default(),
            audio_seats: AudioSeats::default(),
            seat_wants: Vec::new(),
            told_seats: None,
            told_bitrate: 0,
            spare: 0,
            subscription: 0,
            mix: None,
            mixed_sound: false,
            first: Vec::new(),
            channels: Vec::new(),
        };
        let index = self.world.insert_leg(spec.key, leg);
        self.reconcile_media(pool, index, spec);
        self.rearm(index);
        Ok(())
    }

    fn remove_session(&mut self, now: Time, pool: &mut Pool, key: LegKey) {
        if let Some(index) = self.world.leg(key) {
            self.end_leg(now, pool, index, LegEnd::Removed);
        }
    }

    fn start(&mut self, key: LegKey) -> Result<(), String> {
        let index = self.world.leg(key).ok_or_else(|| format!("leg {} is unknown", key.0))?;
        if let Some(leg) = self.world.legs.get_mut(index) {
            leg.started = true;
        }
        self.settle_leg(index);
        Ok(())
    }

    fn set_subscription(&mut self, spec: &SubscriptionSpec) {
        // The leg may have ended while the wish was on its way: control is told of that.
        let Some(index) = self.world.leg(spec.leg) else { return };
        let Some(leg) = self.world.legs.get_mut(index) else { return };
        if spec.revision <= leg.subscription {
            return;
        }
        leg.subscription = spec.revision;
        (leg.mix, leg.mixed_sound) = (spec.mix, spec.mixed_sound);
        leg.session.set_smoothing(!spec.low_latency);
        leg.first.clear();
        leg.first.extend(spec.first.iter().take(plenum_stage::MAX_SLOTS));
        for wish in &spec.slots {
            if let Some(slot) = leg.slots.iter_mut().find(|s| s.mid == wish.mid) {
                slot.wish = Wish { width: wish.width, height: wish.height, max_fps: wish.max_fps, pinned: wish.pinned };
                slot.subscriber.wish_changed();
            }
        }
        self.next_layers = Time::ZERO;
        self.settle_leg(index);
    }

    /// Ends a leg: goodbye to the peer, its tracks leave every slot, control is told.
    pub(crate) fn end_leg(&mut self, now: Time, pool: &mut Pool, index: LegIndex, reason: LegEnd) {
        self.settle_leg(index);
        self.remove_media(pool, index);
        let Some(mut leg) = self.world.remove_leg(index) else { return };
        self.close_session(now, pool, &mut leg.session);
        self.steer.remove(index);
        self.timers.disarm(index);
        self.tell(true, EventBody::LegEnded { leg: leg.session.key(), reason });
    }
}
