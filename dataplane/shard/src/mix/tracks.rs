//! Who cannot decode what a member sends gets the member's stream in a codec that they can: in the same slot, as the same member.
//!
//! Control names what may be made ([`MixSpec::transcodes`]); what is made is what slots hold. Everybody else keeps the original. The track's encodings are
//! offered to the layer decision as any sender's are, with the sizes that the original allows. Where nothing can be made (no mixer, nothing named) the
//! slot keeps the original, whose packets are dropped and counted as of an unsupported payload.

use super::outputs::format;
use super::{Made, MixTrack};
use crate::Shard;
use crate::world::{ConferenceIndex, LegIndex, Slot, Source, TrackIndex, World};
use plenum_contract::mix::{BASE_SHARE, MAX_RUNGS, track_rung};
use plenum_contract::{Feed, FeedKind, Kind, ParticipantKey};
use plenum_packet::Bitrate;
use plenum_route::{Codec as Routed, Format, Kind as RouteKind, Layer, LayerInfo};

/// The size that is taken for granted of a picture that was not measured yet.
const USUAL_SIZE: (u16, u16) = (1280, 720);

impl Source {
    /// Whether it is a member's stream in another codec.
    pub(crate) fn is_transcoded(&self) -> bool {
        matches!(self.made, Some((_, Made::Track { .. })))
    }

    /// The format of what it sends: of pictures the last one, before any packet and of sound the first that was agreed on. Redundant sound counts as what it
    /// repeats, since it is cut down to that.
    pub(crate) fn sends(&self) -> Option<Format> {
        let first = self.formats.iter().find(|f| !matches!(f.codec, Routed::Red | Routed::TelephoneEvent)).copied();
        match self.track.kind() {
            RouteKind::Audio => first,
            RouteKind::Video => (0..self.track.encodings()).find_map(|e| self.track.format(e as u8)).or(first),
        }
    }
}

impl World {
    /// Offers the encodings of transcoded pictures, up to `rungs` of each.
    pub(crate) fn offer_transcoded(&mut self, rungs: u8) {
        for conference in 0..self.conferences.bound() {
            for at in 0.. {
                let mix = self.conferences.get(conference).and_then(|c| c.mix.as_ref());
                let Some(&MixTrack { made, source, .. }) = mix.and_then(|mix| mix.tracks.get(at)) else { break };
                if let Made::Track { feed, .. } = made {
                    self.offer(feed, source, rungs);
                }
            }
        }
    }

    fn offer(&mut self, feed: Feed, made: TrackIndex, rungs: u8) {
        let original = original(self, feed).and_then(|s| self.sources.get(s));
        let sizes = original.into_iter().flat_map(|s| &s.layers);
        let largest = sizes.max_by_key(|l| (u32::from(l.width) * u32::from(l.height), l.frame_rate as u32)).copied();
        let Some(source) = self.sources.get_mut(made) else { return };
        source.layers.clear();
        let Some(LayerInfo { width, height, frame_rate, .. }) = largest else { return };
        let offered = (0..rungs).filter_map(|rung| Some((rung, track_rung(feed.kind, width, height, rung)?)));
        for (rung, size) in offered {
            let frame_rate = frame_rate.min(size.most_fps() as f32);
            // The smallest may be made for less than it could use: see `rate`.
            let bits = u64::from(if rung == 0 { size.least } else { size.bitrate });
            let base = bits * u64::from(BASE_SHARE) / 100;
            source.layers.extend([(0, frame_rate / 2.0, base), (1, frame_rate, bits)].map(
                |(temporal, frame_rate, bits)| LayerInfo {
                    layer: Layer { encoding: rung, spatial: 0, temporal },
                    width: size.width,
                    height: size.height,
                    frame_rate,
                    bitrate: Bitrate(bits),
                },
            ));
        }
    }
}

impl Shard {
    /// What a slot gets of a member: the original, or the same in a codec that the slot's receiver decodes.
    pub(crate) fn source_for(
        &mut self,
        conference: ConferenceIndex,
        leg: LegIndex,
        slot: usize,
        (member, kind, presentation): (ParticipantKey, Kind, bool),
    ) -> Option<TrackIndex> {
        let original = self.world.source_of(member, kind, presentation)?;
        let entry = self.world.conferences.get(conference)?;
        let Some(mix) = entry.mix.as_ref().filter(|mix| self.mixer.flows && !mix.spec.transcodes.is_empty()) else {
            return Some(original);
        };
        let slot = self.world.legs.get(leg)?.slots.get(slot)?;
        let sends = self.world.sources.get(original).and_then(Source::sends);
        let feed = Feed {
            participant: member,
            kind: match (kind, presentation) {
                (Kind::Video, false) => FeedKind::Camera,
                (Kind::Video, true) => FeedKind::Presentation,
                (Kind::Audio, false) => FeedKind::Audio,
                (Kind::Audio, true) => FeedKind::PresentationAudio,
                _ => return Some(original),
            },
        };
        if sends.is_none_or(|format| takes(slot, format)) {
            return Some(original);
        }
        let mut named = mix.spec.transcodes.iter().filter(|t| t.source == feed).map(|t| t.codec);
        let codec = named.find(|codec| format(*codec).is_some_and(|format| takes(slot, format)));
        match codec {
            Some(codec) => self.track_of(conference, Made::Track { feed, codec }),
            None => Some(original),
        }
    }

    /// Fills seats again where a member changed to another codec.
    pub(crate) fn settle_other_formats(&mut self) {
        let mut changed = std::mem::take(&mut self.changed);
        for (index, source) in self.world.sources.iter_mut().filter(|(_, s)| s.made.is_none()) {
            let sends = source.sends();
            if source.told_format != sends {
                source.told_format = sends;
                changed.push(index);
            }
        }
        for index in changed.drain(..) {
            if let Some(leg) = self.world.sources.get(index).map(|s| s.leg) {
                self.settle_leg(leg);
            }
        }
        self.changed = changed;
    }
}

/// The rate for an encoding of a transcoded picture. The smallest gets what the layers of the narrowest of its viewers leave; others were chosen because their rate fits.
pub(super) fn rate(kind: FeedKind, layers: &[LayerInfo], rung: u8, spare: u64) -> u32 {
    let offered = layers.iter().find(|l| l.layer.encoding == rung).map(|l| (l.width, l.height));
    let (width, height) = offered.unwrap_or(USUAL_SIZE);
    let whole = |rung| track_rung(kind, width, height, rung);
    let Some(size) = (0..=rung.min(MAX_RUNGS)).rev().find_map(whole) else { return 0 };
    if rung > 0 {
        return size.bitrate;
    }
    u32::try_from(spare).unwrap_or(u32::MAX).saturating_add(size.least).min(size.bitrate)
}

fn takes(slot: &Slot, format: Format) -> bool {
    slot.subscriber.accepted().iter().any(|a| a.format == format)
}

fn original(world: &World, feed: Feed) -> Option<TrackIndex> {
    let (kind, presentation) = match feed.kind {
        FeedKind::Audio => (Kind::Audio, false),
        FeedKind::Camera => (Kind::Video, false),
        FeedKind::Presentation => (Kind::Video, true),
        FeedKind::PresentationAudio => (Kind::Audio, true),
    };
    world.source_of(feed.participant, kind, presentation)
}
