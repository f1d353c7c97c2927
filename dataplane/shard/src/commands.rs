//! What control wants: specs are compared with what is there, and the difference is carried out.
//!
//! A spec whose revision is not newer changes nothing, so control may repeat everything after it was away. A refusal changes
//! nothing either, and says why.

use crate::Shard;
use crate::inspect::{Parser, format_of, route_kind};
use crate::world::{Leg, LegIndex, Slot, Source, Wish};
use plenum_contract::{
    Command, ConferenceKey, ConferenceSpec, EventBody, Kind, LegEnd, LegKey, MediaSpec, ParticipantKey,
    ParticipantSpec, SessionSpec, SlotSpec, SubscriptionSpec,
};
use plenum_packet::{Pool, Time};
use plenum_route::subscriber::Seed;
use plenum_route::{Accepted, Subscriber, Track};
use plenum_session::Session;
use plenum_stage::{AudioSeats, VideoSeats};

/// What a slot gets until the client says what it wants: the main tile, and a small one.
const DEFAULT_MAIN: (u16, u16) = (640, 360);
/// See [`DEFAULT_MAIN`].
const DEFAULT_SMALL: (u16, u16) = (320, 180);
/// A presentation is read, not watched: full size until the client says otherwise.
const DEFAULT_PRESENTATION: (u16, u16) = (1920, 1080);

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
            Command::Subscription(spec) => return self.set_subscription(&spec),
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
            subscription: 0,
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

    fn set_subscription(&mut self, spec: &SubscriptionSpec) -> Result<(), String> {
        let index = self.world.leg(spec.leg).ok_or_else(|| format!("leg {} is unknown", spec.leg.0))?;
        let Some(leg) = self.world.legs.get_mut(index) else { return Ok(()) };
        if spec.revision <= leg.subscription {
            return Ok(());
        }
        leg.subscription = spec.revision;
        for wish in &spec.slots {
            if let Some(slot) = leg.slots.iter_mut().find(|s| s.mid == wish.mid) {
                slot.wish = Wish { width: wish.width, height: wish.height, max_fps: wish.max_fps, pinned: wish.pinned };
                slot.subscriber.wish_changed();
            }
        }
        self.next_layers = Time::ZERO;
        self.settle_leg(index);
        Ok(())
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

    /// Takes every track of a leg out, and every slot.
    fn remove_media(&mut self, pool: &mut Pool, index: LegIndex) {
        let Some(leg) = self.world.legs.get(index) else { return };
        let sources: Vec<_> = leg.sources.iter().flatten().copied().collect();
        let slots = leg.slots.len() as u16;
        for slot in 0..slots {
            self.world.assign(index, slot, None);
        }
        for source in sources {
            self.remove_source(pool, source);
        }
    }

    fn remove_source(&mut self, pool: &mut Pool, index: u32) {
        let Some(source) = self.world.sources.get(index) else { return };
        for (leg, slot) in source.subscribers.clone() {
            self.world.assign(leg, slot, None);
        }
        if let Some(mut source) = self.world.sources.remove(index) {
            source.track.clear(pool);
        }
    }

    /// Makes tracks and slots what the m-lines say. m-lines keep their index for the life of a session, so what is there stays.
    fn reconcile_media(&mut self, pool: &mut Pool, index: LegIndex, spec: &SessionSpec) {
        for (at, media) in spec.media.iter().enumerate() {
            self.reconcile_source(pool, index, at as u16, media);
            if let Some(slot) = &media.slot {
                self.reconcile_slot(index, at as u16, media, slot);
            }
        }
        if let Some(leg) = self.world.legs.get_mut(index) {
            let slots = &leg.slots;
            leg.video_order = (0..slots.len() as u16).filter(|&i| slots[usize::from(i)].kind == Kind::Video).collect();
            leg.video_order.sort_by_key(|&i| match (slots[usize::from(i)].presentation, slots[usize::from(i)].index) {
                (false, 0) => 0,
                (true, _) => 1,
                (false, n) => 2 + u32::from(n),
            });
        }
        self.settle_leg(index);
    }

    fn reconcile_source(&mut self, pool: &mut Pool, index: LegIndex, at: u16, media: &MediaSpec) {
        let Some(leg) = self.world.legs.get_mut(index) else { return };
        if leg.sources.len() <= usize::from(at) {
            leg.sources.resize(usize::from(at) + 1, None);
        }
        let existing = leg.sources[usize::from(at)];
        match (&media.source, existing) {
            (None, Some(gone)) => {
                leg.sources[usize::from(at)] = None;
                self.remove_source(pool, gone);
            }
            (Some(_), Some(kept)) => {
                if let Some(source) = self.world.sources.get_mut(kept) {
                    source.formats = media.codecs.iter().map(format_of).collect();
                    source.presentation = media.presentation;
                }
            }
            (Some(spec), None) => {
                let Some(kind) = route_kind(media.kind) else { return };
                let source = self.world.sources.insert(Source {
                    key: spec.track,
                    leg: index,
                    media: at,
                    presentation: media.presentation,
                    formats: media.codecs.iter().map(format_of).collect(),
                    track: Track::new(kind, spec.rids.len().max(1)),
                    parser: Parser::default(),
                    subscribers: Vec::new(),
                    active: false,
                    layers: Vec::new(),
                    told_digit: None,
                });
                if let Some(leg) = self.world.legs.get_mut(index) {
                    leg.sources[usize::from(at)] = Some(source);
                }
            }
            (None, None) => {}
        }
    }

    fn reconcile_slot(&mut self, index: LegIndex, at: u16, media: &MediaSpec, slot: &SlotSpec) {
        let seed = self.random();
        let Some(leg) = self.world.legs.get_mut(index) else { return };
        if let Some(existing) = leg.slots.iter_mut().find(|s| s.media == at) {
            existing.presentation = media.presentation;
            existing.index = slot.index;
            return;
        }
        let Some(kind) = route_kind(media.kind) else { return };
        let accepted = media.codecs.iter().map(|c| Accepted { format: format_of(c), payload_type: c.payload_type });
        let seed = Seed {
            sequence: u16::from_be_bytes([seed[0] & 0x7f, seed[1]]),
            timestamp: u32::from_be_bytes([seed[2], seed[3], seed[4], seed[5]]),
            picture_id: u16::from_be_bytes([seed[6] & 0x7f, seed[7]]),
        };
        let (width, height) = match (media.presentation, slot.index) {
            (true, _) => DEFAULT_PRESENTATION,
            (false, 0) => DEFAULT_MAIN,
            (false, _) => DEFAULT_SMALL,
        };
        leg.slots.push(Slot {
            media: at,
            mid: media.mid.clone(),
            kind: media.kind,
            presentation: media.presentation,
            index: slot.index,
            subscriber: Subscriber::new(at, kind, accepted.collect(), seed),
            wish: Wish { width, height, max_fps: 0, pinned: None },
            told_layer: None,
        });
    }
}
