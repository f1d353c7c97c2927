//! What the mixer makes: tracks of no leg, the slots that they fill, and what the mixer is told of who needs them.
//!
//! A scene and codec is one track, its rungs are the track's encodings; each mix of sound is a track. They exist while a slot
//! holds them. A mixed leg's first picture slot gets the scene, its first sound slot the mix without themself; a presentation
//! slot is filled as for everybody. A leg that is forwarded to may get the mixed sound beside what others show.

use super::steps::{Choice, Step, as_whole, rate_of};
use super::{MixTrack, Need, tracks};
use crate::Shard;
use crate::inspect::{Parser, View};
use crate::world::{ConferenceIndex, Leg, LegIndex, NO_LEG, Slot, Source, TrackIndex};
use core::time::Duration;
use plenum_contract::mix::MAX_RUNGS;
use plenum_contract::{Codec, ConferenceKey, Feed, Kind, MixOutput, ParticipantKey, SceneSpec, ToMix, TrackKey};
use plenum_packet::{Bitrate, DropReason, HEADROOM, Pool, Time};
use plenum_route::layers::SMOOTH;
use plenum_route::{Arrival, Codec as Routed, Format, Kind as RouteKind, Track};
use plenum_stage::LineUp;
use plenum_wire::{PlanExtensions, rtp};

/// An output that nobody needs is made for so long, because making it again costs a key frame.
const KEEP: Duration = Duration::from_secs(2);
/// The mixer is told of another rate when it differs by more than this share.
const TELL_CHANGE: f64 = 0.1;
/// Bits a second of a mix of sound.
const SOUND: u32 = 48_000;
/// Loss in per cent that the encoders of sound are told to expect. Less than the least is never told: the first packets that get lost come without a
/// warning. More than the most: what is left for the voice itself sounds worse to everybody than the loss to one.
const LOSS: (u8, u8) = (5, 25);
/// They are told of other loss when it differs by so many per cent: it wavers, and each change is heard a little.
const TELL_LOSS: u8 = 3;
/// Longest payload that the mixer may send.
const MAX_PAYLOAD: usize = 1200;
/// What the mixer says to be captured earlier than this before now is not believed: a room shows nothing that late.
const OLDEST: Duration = Duration::from_secs(2);

/// What a mix track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A scene's picture in one codec.
    Video { scene: u16, codec: Codec },
    /// A mix of sound.
    Audio { codec: Codec, without: Option<ParticipantKey> },
    /// A member's stream in another codec.
    Track { feed: Feed, codec: Codec },
}

impl Made {
    fn output(self, rung: u8) -> MixOutput {
        match self {
            Made::Video { scene, codec } => MixOutput::Video { scene, codec, rung },
            Made::Audio { codec, without } => MixOutput::Audio { codec, without },
            Made::Track { feed, codec } => MixOutput::Track { feed, codec, rung },
        }
    }

    fn is_sound(self) -> bool {
        self.codec().kind() == Kind::Audio
    }

    fn codec(self) -> Codec {
        match self {
            Made::Video { codec, .. } | Made::Audio { codec, .. } | Made::Track { codec, .. } => codec,
        }
    }
}

/// The payload formats that the mixer makes.
pub(super) fn format(codec: Codec) -> Option<Format> {
    let profile = codec.encoded()?;
    let (codec, clock) = match codec {
        Codec::Vp8 => (Routed::Vp8, 90_000),
        Codec::H264 => (Routed::H264, 90_000),
        Codec::Opus => (Routed::Opus, 48_000),
        Codec::G722 => (Routed::G722, 8_000),
        Codec::Pcmu => (Routed::Pcmu, 8_000),
        Codec::Pcma => (Routed::Pcma, 8_000),
        Codec::G726 => (Routed::G726, 8_000),
        Codec::Ilbc => (Routed::Ilbc, 8_000),
        Codec::Ilbc30 => (Routed::Ilbc30, 8_000),
        _ => return None,
    };
    Some(Format { codec, profile, clock })
}

/// The codec in which a slot gets the mix: the receiver's first that the mixer makes.
fn codec_for(slot: &Slot) -> Option<Codec> {
    let made = match slot.kind {
        Kind::Video => &[Codec::Vp8, Codec::H264][..],
        _ => &[Codec::Opus][..],
    };
    let phones = if slot.kind == Kind::Audio { &Codec::PHONES[..] } else { &[] };
    let accepted = slot.subscriber.accepted().iter();
    accepted.filter_map(|a| made.iter().chain(phones).copied().find(|c| format(*c) == Some(a.format))).next()
}

/// The slot of a kind that gets the mix: the first.
fn mixed_slot(leg: &Leg, kind: Kind) -> Option<usize> {
    let slots = leg.slots.iter().enumerate().filter(|(_, s)| s.kind == kind && !s.presentation && !s.off);
    slots.min_by_key(|(_, s)| s.index).map(|(at, _)| at)
}

impl Shard {
    /// Fills the slots of a leg that gets the mix; false when it cannot, and is to be filled as others are.
    pub(crate) fn fill_mixed(
        &mut self,
        conference: ConferenceIndex,
        index: LegIndex,
        viewer: ParticipantKey,
        lineup: &LineUp,
    ) -> bool {
        let admitted = self.world.participant(viewer).and_then(|p| self.world.participants.get(p));
        let waits = admitted.is_none_or(|p| p.spec.waiting);
        let Some(leg) = self.world.legs.get_mut(index) else { return true };
        let Some(entry) = self.world.conferences.get_mut(conference) else { return true };
        let (Some(wanted), Some(mix)) = (leg.mix, &entry.mix) else { return false };
        let Some(scene) = mix.scene(wanted).map(|s| s.id).filter(|_| self.mixer.flows) else { return false };
        let flows = leg.started && leg.session.is_connected() && !waits;
        let picture = mixed_slot(leg, Kind::Video).map(|at| (at, codec_for(&leg.slots[at])));
        let sound = mixed_slot(leg, Kind::Audio).map(|at| (at, codec_for(&leg.slots[at])));
        if [picture, sound].into_iter().flatten().any(|(_, codec)| codec.is_none()) {
            return false;
        }
        let without = mix.leaves_out(viewer);
        entry.stage.seat_video(lineup, &mut leg.video_seats, viewer, &leg.first, &[]);
        let presenter = leg.video_seats.presentation().filter(|_| flows);
        let shown = presenter.filter(|_| leg.slots.iter().any(|s| s.presentation));
        let slots = leg.slots.len();
        let mut changed = false;
        for at in 0..slots {
            let Some(slot) = self.world.legs.get(index).and_then(|l| l.slots.get(at)) else { break };
            let source = match slot.presentation {
                _ if slot.off || !flows => None,
                true => {
                    let kind = slot.kind;
                    presenter.and_then(|p| self.source_for(conference, index, at, (p, kind, true)))
                }
                false => {
                    let made = match (picture, sound) {
                        (Some((first, Some(codec))), _) if first == at => Some(Made::Video { scene, codec }),
                        (_, Some((first, Some(codec)))) if first == at => Some(Made::Audio { codec, without }),
                        _ => None,
                    };
                    made.and_then(|made| self.track_of(conference, made))
                }
            };
            changed |= self.world.assign(index, at as u16, source);
        }
        if changed {
            self.next_layers = Time::ZERO;
        }
        if flows {
            self.tell_scene(index, scene, conference, shown);
        }
        true
    }

    /// The sound slot of a leg that is forwarded to, and the mixed sound that it gets in it; `None` when it gets a voice. It does not wait for a mixer
    /// that went: a voice begins at once.
    pub(crate) fn mixed_sound(
        &mut self,
        conference: ConferenceIndex,
        index: LegIndex,
        viewer: ParticipantKey,
    ) -> Option<(usize, TrackIndex)> {
        let leg = self.world.legs.get(index).filter(|leg| leg.mixed_sound && self.mixer.up)?;
        let waits = self.world.participants.get(leg.participant).is_none_or(|p| p.spec.waiting);
        let mix = self.world.conferences.get(conference)?.mix.as_ref().filter(|_| !waits)?;
        let at = mixed_slot(leg, Kind::Audio)?;
        let made = Made::Audio { codec: codec_for(&leg.slots[at])?, without: mix.leaves_out(viewer) };
        Some((at, self.track_of(conference, made)?))
    }

    /// The track of an output, made when it is not there.
    pub(super) fn track_of(&mut self, conference: ConferenceIndex, made: Made) -> Option<TrackIndex> {
        let entry = self.world.conferences.get_mut(conference)?;
        let mix = entry.mix.as_mut()?;
        if let Some(track) = mix.tracks.iter().find(|t| t.made == made) {
            return Some(track.source);
        }
        let format = format(made.codec())?;
        let (kind, encodings) = match made.codec().kind() {
            Kind::Video => (RouteKind::Video, usize::from(MAX_RUNGS)),
            _ => (RouteKind::Audio, 1),
        };
        let source = self.world.sources.insert(Source {
            key: TrackKey(u64::MAX),
            leg: NO_LEG,
            media: 0,
            presentation: false,
            formats: vec![format],
            track: Track::new(kind, encodings),
            parser: Parser::default(),
            told_format: None,
            subscribers: Vec::new(),
            active: false,
            layers: Vec::new(),
            told_digit: None,
            tap: None,
            made: Some((entry.spec.key, made)),
        });
        mix.tracks.push(MixTrack { made, source, used: Time::ZERO });
        Some(source)
    }

    /// Ends the tracks of a mix that are not to stay.
    pub(super) fn retire(&mut self, pool: &mut Pool, index: ConferenceIndex, stays: impl Fn(&MixTrack) -> bool) {
        let Some(mix) = self.world.conferences.get_mut(index).and_then(|c| c.mix.as_mut()) else { return };
        let gone: Vec<_> = mix.tracks.extract_if(.., |track| !stays(track)).collect();
        for track in gone {
            self.remove_source(pool, track.source);
        }
    }

    /// A packet that the mixer made.
    pub(super) fn take_mixed(
        &mut self,
        now: Time,
        pool: &mut Pool,
        conference: ConferenceKey,
        output: MixOutput,
        (captured, bytes): (Time, &[u8]),
    ) -> Result<(), DropReason> {
        let (made, encoding) = match output {
            MixOutput::Video { scene, codec, rung } => (Made::Video { scene, codec }, rung),
            MixOutput::Audio { codec, without } => (Made::Audio { codec, without }, 0),
            MixOutput::Track { feed, codec, rung } => (Made::Track { feed, codec }, rung),
        };
        let conference = self.world.conference(conference).and_then(|c| self.world.conferences.get(c));
        let tracks = conference.and_then(|c| c.mix.as_ref()).map(|mix| &mix.tracks);
        let track = tracks.and_then(|t| t.iter().find(|t| t.made == made)).ok_or(DropReason::NotSelected)?;
        let (index, format) = (track.source, format(made.codec()).ok_or(DropReason::UnsupportedPayload)?);
        let header = rtp::parse(bytes).map_err(|_| DropReason::MalformedRtp)?;
        let (start, len) = rtp::payload_range(&header, bytes).map_err(|_| DropReason::MalformedRtp)?;
        if len > MAX_PAYLOAD {
            return Err(DropReason::MalformedRtp);
        }
        let source = self.world.sources.get_mut(index).ok_or(DropReason::NotSelected)?;
        let payload = &bytes[start..start + len];
        let view = View {
            codec: format.codec,
            encoding: usize::from(encoding),
            timestamp: header.timestamp,
            marker: header.marker,
            payload,
            descriptor: None,
            made: true,
        };
        let frame = source.parser.frame(&view)?;
        let buf = pool.copy_in(HEADROOM, payload).ok_or(DropReason::NoBuffer)?;
        let arrival = Arrival {
            encoding,
            // Another mixer begins afresh, and so does another stream of it: the mixer numbers these from 0, so the two do not meet.
            ssrc: header.ssrc ^ self.mixer.generation.rotate_left(16),
            format,
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            received: now,
            payload: (0, len as u16),
            frame,
            extensions: PlanExtensions::default(),
            dependency_descriptor: None,
        };
        // Nothing that is shown now was captured later, or long ago.
        let captured = if now.since(captured) <= OLDEST { captured.min(now) } else { now };
        let info = source.track.receive_made(&arrival, captured, buf, pool)?;
        self.fan_out(now, index, &info);
        Ok(())
    }

    /// Chooses what a mixed leg gets of its picture: the rate that it takes, and what it would take if there were no limit.
    pub(crate) fn decide_mixed(&mut self, now: Time, index: LegIndex, budget: Bitrate) -> Option<(Bitrate, Bitrate)> {
        let leg = self.world.legs.get(index)?;
        let at = mixed_slot(leg, Kind::Video)?;
        let slot = &leg.slots[at];
        let (key, Made::Video { scene, .. }) = self.world.sources.get(slot.subscriber.source()?)?.made? else {
            return None;
        };
        let mix = self.world.conferences.get(self.world.conference(key)?)?.mix.as_ref()?;
        let scene = mix.spec.scenes.iter().find(|s| s.id == scene)?;
        let (current, may_rise) = (slot.subscriber.target().map(Step::of), slot.subscriber.may_rise(now));
        let hidden = slot.wish.width == 0 || slot.wish.height == 0;
        let fps = f32::from(mix.spec.fps) / if self.mixer.shed > 0 { 2.0 } else { 1.0 };
        let choice = Choice {
            top: if self.mixer.is_short() { 0 } else { top_rung(scene, slot) },
            slow: slot.wish.max_fps > 0 && fps > f32::from(slot.wish.max_fps) * 1.1,
            jerky: fps / 2.0 < SMOOTH,
        };
        let presented = leg.slots.iter().any(|s| s.presentation && s.subscriber.source().is_some());
        let budget = if presented { Bitrate(budget.bps() / 2) } else { budget };
        let step = (!hidden).then(|| choice.step(scene, budget, current.filter(|_| !may_rise), current));
        let bits = |step: Step| scene.rung(step.rung).map_or(0, |rung| step.share(rung.bitrate));
        let rate = |step: Option<Step>| Bitrate(step.map_or(0, bits));
        let rates = (rate(step), rate(Some(choice.best()).filter(|_| !hidden)));
        let slot = &mut self.world.legs.get_mut(index)?.slots[at];
        slot.subscriber.set_target(step.map(Step::layer), now);
        if let (Some(source), Some(encoding)) = (slot.subscriber.source(), slot.subscriber.wants_key_frame()) {
            self.asks.push((source, encoding));
        }
        Some(rates)
    }

    /// Tells the mixer what is needed now, and lets tracks go that nobody holds.
    pub(crate) fn tick_needs(&mut self, now: Time, pool: &mut Pool) {
        for index in 0..self.world.conferences.bound() {
            self.needs_of(now, index);
            self.retire(pool, index, |track| now.since(track.used) < KEEP);
            self.retap(now, index);
        }
    }

    fn needs_of(&mut self, now: Time, index: ConferenceIndex) {
        let Some(entry) = self.world.conferences.get_mut(index) else { return };
        let key = entry.spec.key;
        let Some(mix) = entry.mix.as_deref_mut() else { return };
        for track in &mut mix.tracks {
            let Some(source) = self.world.sources.get(track.source) else { continue };
            if !source.subscribers.is_empty() {
                track.used = now;
            }
            for rung in 0..MAX_RUNGS {
                let holders = source.subscribers.iter().filter_map(|(leg, slot)| {
                    let leg = self.world.legs.get(*leg)?;
                    let slot = leg.slots.get(usize::from(*slot))?;
                    let target = slot.subscriber.target()?;
                    let estimate = as_whole(leg.session.target_bitrate(), Step::of(target));
                    (target.encoding == rung).then(|| (estimate, leg.spare, leg.session.loss(slot.media)))
                });
                let holders = holders.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1), a.2.max(b.2)));
                let Some((least, spare, lost)) = holders else { continue };
                let output = track.made.output(rung);
                let bitrate = match track.made {
                    Made::Audio { .. } => SOUND,
                    Made::Track { codec, .. } if codec.kind() == Kind::Audio => SOUND,
                    Made::Track { feed, .. } => tracks::rate(feed.kind, &source.layers, rung, spare),
                    Made::Video { scene, .. } => match mix.spec.scenes.iter().find(|s| s.id == scene) {
                        Some(scene) => rate_of(scene, rung, least, SOUND),
                        None => continue,
                    },
                };
                // The worst of those who hear it: copies that the others have no use for cost them little.
                let loss = if track.made.is_sound() { expected(lost) } else { 0 };
                if note(&mut mix.needs, now, output, (bitrate, loss)) {
                    self.mixer.tell(&ToMix::Need { conference: key, output, bitrate, loss });
                }
            }
        }
        let mixer = &mut self.mixer;
        mix.needs.retain(|need| {
            let stays = now.since(need.used) < KEEP;
            if !stays {
                mixer.tell(&ToMix::Unneeded { conference: key, output: need.output });
            }
            stays
        });
        if !mixer.up {
            mix.needs.clear();
        }
    }

    /// A viewer of a mix track needs a key frame of it.
    pub(crate) fn ask_mixer(&mut self, conference: ConferenceKey, made: Made, encoding: u8) {
        self.mixer.tell(&ToMix::KeyFrame { conference, output: made.output(encoding) });
    }
}

/// Notes that an output is needed at this rate and for this loss; whether the mixer is to be told.
fn note(needs: &mut Vec<Need>, now: Time, output: MixOutput, (bitrate, loss): (u32, u8)) -> bool {
    let Some(need) = needs.iter_mut().find(|need| need.output == output) else {
        needs.push(Need { output, bitrate, loss, used: now });
        return true;
    };
    need.used = now;
    let news = f64::from(need.bitrate.abs_diff(bitrate)) > f64::from(need.bitrate) * TELL_CHANGE
        || need.loss.abs_diff(loss) >= TELL_LOSS;
    if news {
        (need.bitrate, need.loss) = (bitrate, loss);
    }
    news
}

/// What an encoder is told to expect where the worst receiver lost this share.
fn expected(lost: f32) -> u8 {
    (lost * 100.0).round().clamp(f32::from(LOSS.0), f32::from(LOSS.1)) as u8
}

/// The highest rung that a slot's tile has use for. A wish that was never uttered is for the whole scene.
fn top_rung(scene: &SceneSpec, slot: &Slot) -> u8 {
    let top = scene.rungs() - 1;
    if (slot.wish.width, slot.wish.height) == crate::reconcile::DEFAULT_MAIN {
        return top;
    }
    let fills = |rung: &u8| scene.rung(*rung).is_some_and(|r| f32::from(r.height) >= f32::from(slot.wish.height) * 0.9);
    (0..top).find(fills).unwrap_or(top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_that_the_mixer_makes_has_a_format_and_others_have_none() {
        for codec in [Codec::Vp8, Codec::H264, Codec::Opus].into_iter().chain(Codec::PHONES) {
            let accepted = crate::inspect::format_of(&plenum_contract::spec::CodecSpec {
                payload_type: 96,
                codec,
                clock: format(codec).unwrap().clock,
                rtx: None,
                profile: codec.encoded().unwrap(),
                nack: true,
                pli: true,
                fir: false,
                twcc: true,
                remb: false,
            });
            assert_eq!(format(codec), Some(accepted));
        }
        assert_eq!(format(Codec::TelephoneEvent), None);
    }

    #[test]
    fn the_mixer_is_told_of_every_rate_that_is_kept_as_told() {
        let output = MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 0 };
        let (mut needs, mut told) = (Vec::new(), 0);
        // Small steps count from what was told last; one of a tenth and a little more is told, up or down.
        for (bitrate, ms) in [1_000_000, 1_090_000, 1_105_000, 1_100_000, 990_000, 1_220_000].into_iter().zip(1..) {
            if note(&mut needs, Time::from_millis(ms), output, (bitrate, 5)) {
                told = bitrate;
            }
            assert_eq!((needs.len(), needs[0].bitrate, needs[0].used), (1, told, Time::from_millis(ms)));
            assert!(f64::from(told.abs_diff(bitrate)) <= f64::from(told) * TELL_CHANGE, "{bitrate}, told {told}");
        }
        let mut tell = |loss| note(&mut needs, Time::ZERO, output, (1_220_000, loss));
        assert_eq!([7, 8, 6, 5, 25].map(&mut tell), [false, true, false, true, true]);
        assert_eq!([0.0, 0.049, 0.134, 0.9].map(expected), [5, 5, 13, 25]);
    }
}
