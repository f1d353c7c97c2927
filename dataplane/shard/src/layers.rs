//! Layer decisions: five times a second, and at once when seats or wishes changed, every leg's budget is shared out over its
//! slots, and key frames are asked for where a slot waits for one.

use crate::Shard;
use crate::slab::Slab;
use crate::world::{LegIndex, Slot, Source, World};
use core::time::Duration;
use plenum_contract::mix::MAX_RUNGS;
use plenum_contract::{EventBody, Kind, VideoLayer};
use plenum_packet::{Bitrate, Pool, Time};
use plenum_route::keyframe::{Ask, Cause};
use plenum_route::layers::{MAX_SLOTS, allocate, needed_estimate, video_budget};
use plenum_route::{Layer, Want};

/// How often layers are decided. More often: estimates that wobble make pictures change; less often: queues build up.
const EVERY: Duration = Duration::from_millis(200);
/// The bandwidth event is sent when the estimate changed by more than this share.
const TELL_CHANGE: f64 = 0.1;

impl Shard {
    pub(crate) fn tick_layers(&mut self, now: Time, pool: &mut Pool) {
        if now < self.next_layers {
            return;
        }
        self.next_layers = now + EVERY;
        self.refresh_sources(now, pool);
        for index in 0..self.world.legs.bound() {
            self.decide_leg(now, index);
        }
        self.tick_needs(now, pool);
        self.send_due_key_frame_requests(now);
    }

    /// Looks at what every source sends now, and lets old packets go.
    fn refresh_sources(&mut self, now: Time, pool: &mut Pool) {
        let mut changed = std::mem::take(&mut self.changed);
        for (index, source) in self.world.sources.iter_mut() {
            source.track.expire(now, pool);
            if source.track.kind() == plenum_route::Kind::Video && !source.is_transcoded() {
                source.track.layers(now, &mut source.layers);
            }
            let active = source.track.is_active(now);
            if active != source.active {
                source.active = active;
                changed.push(index);
            }
        }
        self.world.offer_transcoded(if self.mixer.is_short() { 1 } else { MAX_RUNGS });
        self.settle_other_formats();
        for index in changed.drain(..) {
            let Some(source) = self.world.sources.get(index) else { continue };
            let (leg, track, active) = (source.leg, source.key, source.active);
            self.settle_leg(leg);
            if let Some(leg) = self.world.legs.get(leg).map(|l| l.session.key()) {
                self.tell(false, EventBody::TrackActive { leg, track, active });
            }
        }
        self.changed = changed;
    }

    /// Shares one leg's budget out.
    fn decide_leg(&mut self, now: Time, index: LegIndex) {
        let Some(leg) = self.world.legs.get(index) else { return };
        if !leg.started || !leg.session.is_connected() {
            return;
        }
        let (estimate, media) = (leg.session.target_bitrate(), leg.session.media_bitrate());
        let sounds = leg.slots.iter().filter(|s| s.kind == Kind::Audio).filter_map(|s| s.subscriber.source());
        let (heard, audio) = sounds
            .filter_map(|s| self.world.sources.get(s))
            .fold((0, 0), |(rate, count), source| (rate + source.track.bitrate(now).bps(), count + 1));
        let heard = Bitrate(heard);
        let budget = video_budget(media, heard, audio);
        let mixed = if leg.mix.is_some() { self.decide_mixed(now, index, budget) } else { None };
        let (taken, mix_wants) = mixed.unwrap_or_default();
        let World { legs, sources, .. } = &mut self.world;
        let Some(leg) = legs.get_mut(index) else { return };
        // On the stack: this runs five times a second for every leg, and must not allocate.
        let mut wants = [NOTHING; MAX_SLOTS];
        let count = leg.video_order.len().min(MAX_SLOTS);
        for (want, &slot) in wants.iter_mut().zip(&leg.video_order) {
            *want = want_of(&leg.slots[usize::from(slot)], sources, now);
        }
        let wants = &mut wants[..count];
        let targets = &mut self.targets;
        let budget = Bitrate(budget.bps().saturating_sub(taken.bps()));
        let used = allocate(budget, wants, targets);
        let made = |slot: &u16| leg.slots[usize::from(*slot)].subscriber.source().and_then(|s| sources.get(s));
        let small = |(slot, target): &(&u16, &Option<Layer>)| {
            target.is_some_and(|t| t.encoding == 0) && made(slot).is_some_and(Source::is_transcoded)
        };
        let count = leg.video_order.iter().zip(&*targets).filter(small).count() as u64;
        leg.spare = budget.bps().saturating_sub(used.bps()) / count.max(1);
        for (&slot, (target, want)) in leg.video_order.iter().zip(targets.iter().zip(&*wants)) {
            let slot = &mut leg.slots[usize::from(slot)];
            // A source whose layers are not measured yet keeps its first target: its smallest encoding.
            if !want.layers.is_empty() || want.width == 0 || want.height == 0 {
                slot.subscriber.set_target(*target, now);
            }
            if let (Some(source), Some(encoding)) = (slot.subscriber.source(), slot.subscriber.wants_key_frame()) {
                self.asks.push((source, encoding));
            }
            let layer = slot.subscriber.current().map(told);
            if layer != slot.told_layer {
                slot.told_layer = layer;
                self.events.push((false, EventBody::Layer { leg: leg.session.key(), mid: slot.mid.clone(), layer }));
            }
        }
        // What the slots would take if there were no limit: what the estimator probes for.
        for want in &mut *wants {
            want.may_rise = true;
        }
        let wanted = allocate(Bitrate(u64::MAX / 4), wants, targets);
        leg.session.set_wanted_bitrate(needed_estimate(Bitrate(wanted.bps() + mix_wants.bps()), heard, audio));
        let (before, bitrate) = (leg.told_bitrate as f64, estimate.bps());
        if (bitrate as f64 - before).abs() > before * TELL_CHANGE {
            leg.told_bitrate = bitrate;
            self.events.push((false, EventBody::Bandwidth { leg: leg.session.key(), bitrate }));
        }
        while let Some((source, encoding)) = self.asks.pop() {
            self.ask_key_frame(now, source, encoding, Cause::Switch);
        }
    }

    /// Asks a source for a key frame of one encoding, not more often than its throttle allows.
    pub(crate) fn ask_key_frame(&mut self, now: Time, source: u32, encoding: u8, cause: Cause) {
        let Some(entry) = self.world.sources.get_mut(source) else { return };
        match entry.track.key_frames.request(encoding, cause, now) {
            Ask::Now => self.due_key_frames.push((source, encoding)),
            Ask::At(at) => self.next_key_frames = self.next_key_frames.min(at),
        }
    }

    /// Sends the requests that are due, those that a throttle held back included.
    pub(crate) fn send_due_key_frame_requests(&mut self, now: Time) {
        if now >= self.next_key_frames {
            self.next_key_frames = Time::NEVER;
            for (index, source) in self.world.sources.iter_mut() {
                while let Some(encoding) = source.track.key_frames.due(now) {
                    self.due_key_frames.push((index, encoding));
                }
                self.next_key_frames = self.next_key_frames.min(source.track.key_frames.deadline());
            }
        }
        while let Some((source, encoding)) = self.due_key_frames.pop() {
            let Some(entry) = self.world.sources.get(source) else { continue };
            let (leg, media) = (entry.leg, entry.media);
            if let Some((conference, made)) = entry.made {
                self.ask_mixer(conference, made, encoding);
                continue;
            }
            if let Some(leg) = self.world.legs.get_mut(leg) {
                leg.session.request_key_frame(media, encoding);
            }
            self.wake(leg, now);
        }
    }
}

const NOTHING: Want<'static> =
    Want { width: 0, height: 0, max_fps: 0, presentation: false, layers: &[], current: None, may_rise: false };

fn want_of<'a>(slot: &Slot, sources: &'a Slab<Source>, now: Time) -> Want<'a> {
    let source = slot.subscriber.source().and_then(|s| sources.get(s));
    if source.is_some_and(|s| s.made.is_some() && !s.is_transcoded()) {
        // Its rung is chosen already.
        return Want { width: 1, height: 1, ..NOTHING };
    }
    Want {
        width: slot.wish.width,
        height: slot.wish.height,
        max_fps: slot.wish.max_fps,
        presentation: slot.presentation,
        layers: source.map_or(&[], |s| s.layers.as_slice()),
        current: slot.subscriber.target(),
        may_rise: slot.subscriber.may_rise(now),
    }
}

fn told(layer: Layer) -> VideoLayer {
    VideoLayer { encoding: layer.encoding, spatial: layer.spatial, temporal: layer.temporal }
}
