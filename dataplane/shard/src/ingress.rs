//! A packet's way in: to its session, and from there to every slot that its track fills.
//!
//! Tiers, cheapest first: classify (a byte), find the session (a hash, mostly remembered), authenticate (crypto), parse the
//! payload's descriptor once, decide for each subscriber (a few branches each). Every early return counts its reason.

use crate::Shard;
use crate::inspect;
use crate::steer;
use crate::world::{LegIndex, Source, World};
use plenum_contract::{EventBody, spec};
use plenum_packet::{Datagram, DropReason, Path, Pool, Time};
use plenum_route::keyframe::Cause;
use plenum_route::{Kind, PacketInfo};
use plenum_session::{Feedback, Incoming, Outbox, Session, SessionEvent};
use plenum_stage::AudioLevel;
use plenum_wire::demux::{PacketKind, classify};
use plenum_wire::stun;

/// Of a scarce pool, one leg's caches may hold one part in so many. Fewer: a few legs could fill it. More: a large pool's only
/// sender would lose packets for nothing.
const SHARES: usize = 16;

impl Shard {
    /// Takes one datagram.
    pub fn handle(&mut self, now: Time, pool: &mut Pool, datagram: Datagram<'_>) {
        let result = match classify(datagram.bytes) {
            PacketKind::Rtp => self.handle_rtp(now, pool, datagram),
            PacketKind::Rtcp => self.handle_rtcp(now, pool, &datagram.path, datagram.bytes),
            PacketKind::Stun => self.handle_stun(now, pool, datagram.path, datagram.bytes),
            PacketKind::Dtls => self.handle_dtls(now, pool, datagram.path, datagram.bytes),
            PacketKind::Unknown => Err(DropReason::NotClassified),
        };
        if let Err(reason) = result {
            self.drops.count(reason);
        }
    }

    fn handle_rtp(&mut self, now: Time, pool: &mut Pool, datagram: Datagram<'_>) -> Result<(), DropReason> {
        let index = self.steer.find(&datagram.path).ok_or(DropReason::UnknownSource)?;
        let leg = self.world.legs.get_mut(index).ok_or(DropReason::SessionGone)?;
        let started = leg.started;
        let incoming = leg.session.handle_rtp(now, datagram.received, datagram.path, datagram.bytes, pool);
        self.after_session(now, pool, index);
        let incoming = incoming?;
        if !started {
            pool.free(incoming.buf);
            return Err(DropReason::Blocked);
        }
        self.forward(now, pool, index, incoming)
    }

    /// Hands an authenticated packet to its track, and a plan to each slot that the track fills.
    fn forward(&mut self, now: Time, pool: &mut Pool, leg: LegIndex, incoming: Incoming) -> Result<(), DropReason> {
        let source = self.world.legs.get(leg).and_then(|l| *l.sources.get(usize::from(incoming.media))?);
        let Some(index) = source else {
            pool.free(incoming.buf);
            return Err(DropReason::UnknownSsrc);
        };
        if !self.may_keep(pool, leg) {
            pool.free(incoming.buf);
            return Err(DropReason::IngestLimit);
        }
        let World { sources, participants, conferences, legs, .. } = &mut self.world;
        let (Some(source), participant) = (sources.get_mut(index), legs.get(leg).map(|l| l.participant)) else {
            pool.free(incoming.buf);
            return Err(DropReason::UnknownSsrc);
        };
        let arrival = match inspect::arrival(&incoming, source, pool) {
            Ok(arrival) => arrival,
            Err(reason) => {
                pool.free(incoming.buf);
                return Err(reason);
            }
        };
        let participant = participant.and_then(|p| participants.get(p)).ok_or(DropReason::SessionGone);
        let participant = match participant {
            Ok(participant) => participant,
            Err(reason) => {
                pool.free(incoming.buf);
                return Err(reason);
            }
        };
        if source.track.kind() == Kind::Audio
            && let Some(conference) = conferences.get_mut(participant.conference)
        {
            let key = participant.spec.key;
            match arrival.extensions.audio_level {
                Some(level) => conference.stage.handle_level(key, AudioLevel::from_byte(level), now.nanos()),
                None => conference.stage.handle_packet(key, usize::from(arrival.payload.1), now.nanos()),
            }
        }
        let blocked = blocked(&participant.spec, source);
        if let Some(digit) = inspect::digit(&incoming, source, pool) {
            let leg = legs.get(leg).map(|l| l.session.key());
            if let Some(leg) = leg {
                self.events.push((true, EventBody::Dtmf { leg, digit }));
            }
        }
        let info = source.track.receive(&arrival, incoming.buf, pool)?;
        if blocked {
            return Err(DropReason::Blocked);
        }
        if self.world.sources.get(index).is_some_and(|s| s.tap.is_some()) {
            self.tap(pool, index, &info);
        }
        self.fan_out(now, index, &info);
        Ok(())
    }

    /// Whether the pool has room for one more packet of this leg: always while a quarter of it is free, and then only for legs
    /// whose caches hold less than their share. So nobody can take the room of others' packets, however many tracks they have.
    fn may_keep(&self, pool: &Pool, leg: LegIndex) -> bool {
        if pool.in_use() < pool.capacity() / 4 * 3 {
            return true;
        }
        let sources = self.world.legs.get(leg).into_iter().flat_map(|leg| leg.sources.iter().flatten());
        let held: usize = sources.filter_map(|source| self.world.sources.get(*source)).map(|s| s.track.cached()).sum();
        held < pool.capacity() / SHARES
    }

    /// One plan for each slot that this source fills.
    pub(crate) fn fan_out(&mut self, now: Time, index: u32, info: &PacketInfo) {
        let World { sources, legs, .. } = &mut self.world;
        let Some(source) = sources.get(index) else { return };
        for &(leg_index, slot) in &source.subscribers {
            let Some(leg) = legs.get_mut(leg_index) else { continue };
            let Some(subscriber) = leg.slots.get_mut(usize::from(slot)).map(|s| &mut s.subscriber) else { continue };
            let planned = subscriber.forward(info);
            let result = planned.and_then(|plan| leg.session.enqueue(now, plan));
            if let Some(replay) = subscriber.take_replay() {
                for earlier in source.track.replay(replay.encoding, replay.from, replay.to) {
                    let result = subscriber.forward(earlier).and_then(|plan| leg.session.enqueue(now, plan));
                    if let Err(reason) = result {
                        self.drops.count(reason);
                    }
                }
            }
            match result {
                Ok(()) if !leg.dirty => {
                    leg.dirty = true;
                    self.dirty.push(leg_index);
                }
                Ok(()) => {}
                Err(reason) => self.drops.count(reason),
            }
        }
    }

    fn handle_rtcp(&mut self, now: Time, pool: &mut Pool, path: &Path, bytes: &mut [u8]) -> Result<(), DropReason> {
        let index = self.steer.find(path).ok_or(DropReason::UnknownSource)?;
        let leg = self.world.legs.get_mut(index).ok_or(DropReason::SessionGone)?;
        let mut feedback = std::mem::take(&mut self.feedback);
        let mut out = Outbox { pool, sealer: &mut self.sealer, packets: &mut self.control };
        let result = leg.session.handle_rtcp(now, *path, bytes, &mut out, &mut feedback);
        for item in feedback.drain(..) {
            self.take_feedback(now, index, item);
        }
        self.feedback = feedback;
        self.mark(index);
        self.after_session(now, pool, index);
        result
    }

    fn take_feedback(&mut self, now: Time, index: LegIndex, feedback: Feedback) {
        let World { legs, sources, .. } = &mut self.world;
        let Some(leg) = legs.get_mut(index) else { return };
        match feedback {
            Feedback::KeyFrame { media } => {
                let slot = leg.slots.iter().find(|s| s.media == media).map(|s| &s.subscriber);
                if let Some(subscriber) = slot
                    && let (Some(source), Some(encoding)) = (subscriber.source(), subscriber.key_frame_encoding())
                {
                    self.ask_key_frame(now, source, encoding, Cause::Receiver);
                    self.send_due_key_frame_requests(now);
                }
            }
            Feedback::SenderReport { media, encoding, ntp, rtp } => {
                let source = leg.sources.get(usize::from(media)).copied().flatten();
                if let Some((index, source)) = source.and_then(|s| Some((s, sources.get_mut(s)?))) {
                    source.track.sender_report(encoding, ntp, rtp);
                    self.tap_report(index, encoding, ntp, rtp);
                }
            }
            // The track falls silent by itself; a BYE of one encoding must not end the others.
            Feedback::Bye { .. } => {}
        }
    }

    fn handle_stun(&mut self, now: Time, pool: &mut Pool, path: Path, bytes: &mut [u8]) -> Result<(), DropReason> {
        if !steer::plausible(&path) {
            return Err(DropReason::BadStun);
        }
        // A request names its session; a path may belong to another one by now (ICE restart from the same address).
        let named = stun::local_ufrag(bytes).and_then(spec::parse_local_ufrag).and_then(|(_, leg)| self.world.leg(leg));
        let owner = self.steer.find(&path);
        let index = named.or(owner).ok_or(DropReason::BadStun)?;
        // Source addresses can be forged, checks cannot: a path that its owner proves now and then is nobody else's.
        let rival = owner.filter(|o| *o != index).and_then(|o| self.world.legs.get(o));
        if rival.is_some_and(|owner| owner.session.holds(&path, now)) {
            return Err(DropReason::BadStun);
        }
        self.with_session(now, pool, index, |session, out| session.handle_stun(now, path, bytes, out))?;
        if self.world.legs.get(index).is_some_and(|leg| leg.session.paths().any(|p| p == path)) {
            self.steer.bind(path, index);
        }
        Ok(())
    }

    fn handle_dtls(&mut self, now: Time, pool: &mut Pool, path: Path, bytes: &mut [u8]) -> Result<(), DropReason> {
        let index = self.steer.find(&path).ok_or(DropReason::UnknownSource)?;
        self.with_session(now, pool, index, |session, out| session.handle_dtls(now, path, bytes, out))
    }

    /// Lets `act` work on a session that may answer at once, then looks at what came of it.
    pub(crate) fn with_session<T>(
        &mut self,
        now: Time,
        pool: &mut Pool,
        index: LegIndex,
        act: impl FnOnce(&mut Session, &mut Outbox<'_>) -> Result<T, DropReason>,
    ) -> Result<T, DropReason> {
        let leg = self.world.legs.get_mut(index).ok_or(DropReason::SessionGone)?;
        let mut out = Outbox { pool, sealer: &mut self.sealer, packets: &mut self.control };
        let result = act(&mut leg.session, &mut out);
        self.after_session(now, pool, index);
        result
    }

    /// Carries out what a session said, and arms its next deadline.
    pub(crate) fn after_session(&mut self, now: Time, pool: &mut Pool, index: LegIndex) {
        self.rearm(index);
        let Some(leg) = self.world.legs.get_mut(index) else { return };
        let key = leg.session.key();
        let events: Vec<_> = leg.session.events().collect();
        for event in events {
            match event {
                SessionEvent::PathAdded(path) => self.steer.bind(path, index),
                SessionEvent::PathGone(path) => self.steer.unbind(&path, index),
                SessionEvent::Connected { suite, remote, tcp, dtls } => {
                    let (suite, dtls) = (suite.to_owned(), dtls.to_owned());
                    self.tell(false, EventBody::LegConnected { leg: key, suite, remote, tcp, dtls });
                    self.settle_leg(index);
                }
                SessionEvent::Silent => {
                    self.tell(false, EventBody::LegSilent { leg: key });
                    self.settle_leg(index);
                }
                SessionEvent::Resumed => self.settle_leg(index),
                SessionEvent::Ended(reason) => return self.end_leg(now, pool, index, reason),
                SessionEvent::Bound(binding) => self.tell(false, EventBody::Bound { leg: key, binding }),
                SessionEvent::ChannelOpened { stream, label, protocol } => {
                    self.channel_opened(index, stream, label, protocol);
                }
                SessionEvent::ChannelClosed { stream } => self.channel_closed(index, stream),
                SessionEvent::Message { stream, binary, payload } => {
                    self.relay(now, pool, index, stream, binary, &payload);
                }
            }
        }
    }
}

/// Whether control stops what a participant sends here. A presentation is given and taken with the floor, not blocked.
fn blocked(spec: &plenum_contract::ParticipantSpec, source: &Source) -> bool {
    spec.waiting
        || match (source.track.kind(), source.presentation) {
            (Kind::Audio, _) => spec.audio_blocked,
            (Kind::Video, false) => spec.video_blocked,
            (Kind::Video, true) => false,
        }
}
