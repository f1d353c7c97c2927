//! Taps: decrypted packets of the feeds that the mixer wants, of the one encoding that suits the tile.
//!
//! Another encoding is followed from its key frame on; until then the former one goes on. What control blocks is not tapped, and
//! the mixer is told that it is gone.

use super::{MAX_WANTS, Wanted};
use crate::Shard;
use crate::world::{ConferenceIndex, Source, TrackIndex, World};
use plenum_contract::{Codec, ConferenceKey, Feed, FeedKind, Kind, MixPacket, ParticipantKey, ToMix};
use plenum_packet::{Pool, Time};
use plenum_route::keyframe::Cause;
use plenum_route::layers::FILLS;
use plenum_route::{Codec as Routed, LayerInfo, PacketInfo};
use plenum_wire::rtp;

/// What the mixer gets of a track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    conference: ConferenceKey,
    feed: Feed,
    /// The encoding that is copied; `None` before its first key frame.
    current: Option<u8>,
    /// The encoding that suits the tile.
    pub(crate) target: u8,
}

impl Shard {
    pub(super) fn want(&mut self, now: Time, key: ConferenceKey, feed: Feed, width: u16, height: u16) {
        let Some(index) = self.world.conference(key) else { return };
        let Some(mix) = self.world.conferences.get_mut(index).and_then(|c| c.mix.as_mut()) else { return };
        let full = mix.wants.len() >= MAX_WANTS;
        match mix.wants.iter_mut().find(|w| w.feed == feed) {
            Some(want) => (want.width, want.height) = (width, height),
            None if full => return,
            None => mix.wants.push(Wanted { feed, width, height, source: None }),
        }
        self.retap(now, index);
        self.send_due_key_frame_requests(now);
    }

    pub(super) fn unwant(&mut self, key: ConferenceKey, feed: Feed) {
        let Some(index) = self.world.conference(key) else { return };
        let Some(mix) = self.world.conferences.get_mut(index).and_then(|c| c.mix.as_mut()) else { return };
        if let Some(at) = mix.wants.iter().position(|w| w.feed == feed) {
            let want = mix.wants.swap_remove(at);
            self.untap(want.source);
        }
    }

    pub(super) fn untap(&mut self, source: Option<TrackIndex>) {
        if let Some(source) = source.and_then(|s| self.world.sources.get_mut(s)) {
            source.tap = None;
        }
    }

    /// Finds the tracks and encodings of what is wanted anew.
    pub(crate) fn retap(&mut self, now: Time, index: ConferenceIndex) {
        let Some(conference) = self.world.conferences.get_mut(index) else { return };
        let key = conference.spec.key;
        let Some(mut mix) = conference.mix.take() else { return };
        for want in &mut mix.wants {
            let source = tappable(&self.world, index, want.feed);
            if source != want.source {
                if want.source.is_some() {
                    self.untap(want.source);
                    self.mixer.tell(&ToMix::Gone { conference: key, feed: want.feed });
                }
                want.source = source;
            }
            let Some((at, source)) = source.and_then(|s| Some((s, self.world.sources.get_mut(s)?))) else { continue };
            let target = suits(&source.layers, want.width, want.height);
            let fresh = Tap { conference: key, feed: want.feed, current: None, target };
            let tap = source.tap.get_or_insert(fresh);
            tap.target = target;
            let waits = tap.current != Some(target) && !want.feed.kind.is_sound();
            // An encoding that ended cannot go on until the other one's key frame.
            tap.current = tap.current.filter(|c| source.layers.is_empty() || offers(&source.layers, *c));
            if waits {
                self.ask_key_frame(now, at, target, Cause::Switch);
            }
        }
        if let Some(conference) = self.world.conferences.get_mut(index) {
            conference.mix = Some(mix);
        }
    }

    /// A track goes: what the mixer keeps of it is to be forgotten.
    pub(crate) fn tapped_source_gone(&mut self, index: TrackIndex) {
        let Some(tap) = self.world.sources.get_mut(index).and_then(|s| s.tap.take()) else { return };
        let Some(conference) = self.world.conference(tap.conference) else { return };
        let mix = self.world.conferences.get_mut(conference).and_then(|c| c.mix.as_mut());
        for want in mix.into_iter().flat_map(|mix| &mut mix.wants).filter(|w| w.source == Some(index)) {
            want.source = None;
        }
        self.mixer.tell(&ToMix::Gone { conference: tap.conference, feed: tap.feed });
    }

    /// Copies a packet to the mixer, when it is of the encoding that it gets.
    pub(crate) fn tap(&mut self, pool: &Pool, index: TrackIndex, info: &PacketInfo) {
        let Some(source) = self.world.sources.get_mut(index) else { return };
        let Some(mut tap) = source.tap else { return };
        let sound = tap.feed.kind.is_sound();
        let begins = tap.current != Some(tap.target) && info.encoding == tap.target && (sound || info.frame.key);
        if begins {
            tap.current = Some(tap.target);
            source.tap = Some(tap);
        }
        if tap.current != Some(info.encoding) {
            return;
        }
        self.mixer.copy(pool, &tap, info);
        if begins && !sound && info.highest > info.sequence {
            // They overtook the packet that makes them decodable.
            for later in source.track.replay(info.encoding, info.sequence + 1, info.highest) {
                self.mixer.copy(pool, &tap, later);
            }
        }
    }

    /// A sender report of a track.
    pub(crate) fn tap_report(&mut self, index: TrackIndex, encoding: u8, ntp: u64, rtp: u32) {
        let Some(tap) = self.world.sources.get(index).and_then(|s| s.tap) else { return };
        self.mixer.tell(&ToMix::Report { conference: tap.conference, feed: tap.feed, encoding, ntp, rtp });
    }
}

impl super::Mixer {
    /// Writes one packet's record: a plain header without extensions, and the payload, none for probes of a picture. Redundant sound
    /// is cut to its newest block.
    fn copy(&mut self, pool: &Pool, tap: &Tap, info: &PacketInfo) {
        let newest = info.frame.red.map(|red| (usize::from(red.primary_start), usize::from(red.primary_len)));
        let payload = match newest {
            Some((start, len)) => info.payload.slice(start, len),
            None => Some(info.payload),
        };
        let Some(payload) = payload.and_then(|p| pool.get(p)) else { return };
        // A probe of a picture says that no packet of its number is missing.
        if payload.is_empty() && tap.feed.kind.is_sound() {
            return;
        }
        let Some(codec) = codec_of(info.format.codec) else { return };
        let mut packet = [0; plenum_contract::record::MAX_PACKET];
        let fields = rtp::Fields {
            marker: info.marker,
            payload_type: codec_number(codec),
            sequence: info.sequence as u16,
            timestamp: info.timestamp,
            // Another number where the sender began afresh.
            ssrc: info.epoch,
            ..rtp::Fields::default()
        };
        let Ok(head) = rtp::write_header(&mut packet, &fields) else { return };
        let Some(room) = packet.get_mut(head..head + payload.len()) else { return };
        room.copy_from_slice(payload);
        self.tell(&ToMix::Packet(MixPacket {
            conference: tap.conference,
            feed: tap.feed,
            encoding: info.encoding,
            codec,
            clock: info.format.clock,
            arrival: info.received.nanos(),
            level: info.extensions.audio_level.map(|level| level & 0x7f),
            rtp: &packet[..head + payload.len()],
        }));
    }
}

/// The payload type in a tapped packet: it means nothing.
fn codec_number(codec: Codec) -> u8 {
    96 + codec as u8
}

/// The track that a feed is tapped from; `None` when there is none or control blocks it.
fn tappable(world: &World, conference: ConferenceIndex, feed: Feed) -> Option<TrackIndex> {
    let participant = world.participants.get(world.participant(feed.participant)?)?;
    let spec = &participant.spec;
    let (kind, presentation, blocked) = match feed.kind {
        FeedKind::Audio => (Kind::Audio, false, spec.audio_blocked),
        FeedKind::Camera => (Kind::Video, false, spec.video_blocked),
        FeedKind::Presentation => (Kind::Video, true, false),
        FeedKind::PresentationAudio => (Kind::Audio, true, spec.audio_blocked),
    };
    if participant.conference != conference || spec.waiting || blocked {
        return None;
    }
    let source = world.source_of(ParticipantKey(feed.participant.0), kind, presentation)?;
    let started = |s: &Source| world.legs.get(s.leg).is_some_and(|leg| leg.started);
    world.sources.get(source).is_some_and(started).then_some(source)
}

/// The encoding nearest to a tile: the smallest that fills it, else the largest. Sizes are those of a picture that is fitted.
fn suits(layers: &[LayerInfo], width: u16, height: u16) -> u8 {
    let fills = |l: &&LayerInfo| {
        f32::from(l.width) >= f32::from(width) * FILLS || f32::from(l.height) >= f32::from(height) * FILLS
    };
    let largest = layers.iter().max_by_key(|l| u32::from(l.width) * u32::from(l.height));
    layers.iter().find(fills).or(largest).map_or(0, |l| l.layer.encoding)
}

fn offers(layers: &[LayerInfo], encoding: u8) -> bool {
    layers.iter().any(|l| l.layer.encoding == encoding)
}

/// The codec as the mixer is told it; `None` for what is no picture or sound.
fn codec_of(codec: Routed) -> Option<Codec> {
    Some(match codec {
        Routed::Opus | Routed::Red => Codec::Opus,
        Routed::Pcmu => Codec::Pcmu,
        Routed::Pcma => Codec::Pcma,
        Routed::G722 => Codec::G722,
        Routed::TelephoneEvent => return None,
        Routed::Vp8 => Codec::Vp8,
        Routed::Vp9 => Codec::Vp9,
        Routed::H264 => Codec::H264,
        Routed::H265 => Codec::H265,
        Routed::Av1 => Codec::Av1,
        Routed::G726 => Codec::G726,
        Routed::Ilbc => Codec::Ilbc,
        Routed::Ilbc30 => Codec::Ilbc30,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Mixer;
    use plenum_packet::Bitrate;
    use plenum_route::{Format, Frame, Layer};
    use plenum_wire::PlanExtensions;

    #[test]
    fn the_smallest_encoding_that_fills_the_tile_is_taken() {
        let layer = |encoding, width, height| LayerInfo {
            layer: Layer { encoding, ..Layer::default() },
            width,
            height,
            frame_rate: 30.0,
            bitrate: Bitrate(100_000),
        };
        let layers = [layer(0, 320, 180), layer(1, 640, 360), layer(2, 1280, 720)];
        for (tile, encoding) in [((160, 90), 0), ((330, 190), 0), ((426, 240), 1), ((1280, 720), 2), ((1920, 1080), 2)]
        {
            assert_eq!(suits(&layers, tile.0, tile.1), encoding, "{tile:?}");
        }
        assert_eq!(suits(&[], 640, 360), 0);
        assert!(offers(&layers, 2) && !offers(&layers, 3));
    }

    #[test]
    fn a_probe_of_a_picture_reaches_the_mixer_and_one_of_sound_does_not() {
        let mut pool = Pool::new(1);
        let buf = pool.copy_in(0, &[]).unwrap();
        let mut probe = PacketInfo {
            encoding: 0,
            epoch: 3,
            format: Format { codec: Routed::H264, profile: 0, clock: 90_000 },
            sequence: 0x1_0007,
            highest: 0x1_0007,
            timestamp: 9,
            captured: None,
            marker: false,
            received: Time::ZERO,
            taken: Time::ZERO,
            payload: pool.reference(&buf),
            frame: Frame::default(),
            extensions: PlanExtensions::default(),
        };
        let tap = |kind| Tap {
            conference: ConferenceKey(1),
            feed: Feed { participant: ParticipantKey(2), kind },
            current: Some(0),
            target: 0,
        };
        let mut mixer = Mixer { up: true, ..Mixer::default() };
        mixer.copy(&pool, &tap(FeedKind::Camera), &probe);
        let ToMix::Packet(told) = ToMix::read(&mixer.records).unwrap() else { panic!("not a packet") };
        let header = rtp::parse(told.rtp).unwrap();
        assert_eq!((header.sequence, header.timestamp, usize::from(header.payload_start)), (7, 9, told.rtp.len()));
        let before = mixer.records.len();
        probe.format.codec = Routed::Opus;
        mixer.copy(&pool, &tap(FeedKind::Audio), &probe);
        assert_eq!(mixer.records.len(), before);
        pool.free(buf);
    }
}
