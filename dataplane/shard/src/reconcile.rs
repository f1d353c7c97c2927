//! From m-lines to tracks and slots: what a newer spec says is compared with what is there.
//!
//! A slot outlives the time in which its m-line does not receive, because its numbers must go on. An m-line that stands for
//! something else than before (another MID, kind or number of encodings) begins anew.

use crate::Shard;
use crate::inspect::{Parser, format_of, route_kind};
use crate::world::{LegIndex, Slot, Source, Wish};
use plenum_contract::{Kind, MediaSpec, SessionSpec, SlotSpec};
use plenum_packet::Pool;
use plenum_route::info::MAX_ENCODINGS;
use plenum_route::subscriber::Seed;
use plenum_route::{Accepted, Subscriber, Track};

/// What a slot gets until the client says what it wants: the main tile, and a small one.
pub(crate) const DEFAULT_MAIN: (u16, u16) = (640, 360);
/// See [`DEFAULT_MAIN`].
const DEFAULT_SMALL: (u16, u16) = (320, 180);
/// A presentation is read, not watched: full size until the client says otherwise.
const DEFAULT_PRESENTATION: (u16, u16) = (1920, 1080);

impl Shard {
    /// Takes every track of a leg out, and every slot.
    pub(crate) fn remove_media(&mut self, pool: &mut Pool, index: LegIndex) {
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

    pub(crate) fn remove_source(&mut self, pool: &mut Pool, index: u32) {
        self.tapped_source_gone(index);
        while let Some(&(leg, slot)) = self.world.sources.get(index).and_then(|s| s.subscribers.last()) {
            self.world.assign(leg, slot, None);
        }
        if let Some(mut source) = self.world.sources.remove(index) {
            source.track.clear(pool);
        }
    }

    /// Makes tracks and slots what the m-lines say. m-lines keep their index for the life of a session.
    pub(crate) fn reconcile_media(&mut self, pool: &mut Pool, index: LegIndex, spec: &SessionSpec) {
        for (at, media) in spec.media.iter().enumerate() {
            self.reconcile_source(pool, index, at as u16, media);
            match &media.slot {
                Some(slot) => self.reconcile_slot(index, at as u16, media, slot),
                None => self.switch_off(index, at as u16),
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
        let wanted = media.source.as_ref().zip(route_kind(media.kind));
        let Some(leg) = self.world.legs.get_mut(index) else { return };
        if leg.sources.len() <= usize::from(at) {
            leg.sources.resize(usize::from(at) + 1, None);
        }
        let existing = leg.sources[usize::from(at)].take();
        let formats = || media.codecs.iter().map(format_of).collect();
        if let Some(kept) = existing
            && let Some((spec, kind)) = wanted
            && let Some(source) = self.world.sources.get_mut(kept)
            && (source.key, source.track.kind()) == (spec.track, kind)
            && source.track.encodings() == encodings(spec.rids.len())
        {
            source.formats = formats();
            source.presentation = media.presentation;
            leg.sources[usize::from(at)] = existing;
            return;
        }
        if let Some(gone) = existing {
            self.remove_source(pool, gone);
        }
        let Some((spec, kind)) = wanted else { return };
        let source = self.world.sources.insert(Source {
            key: spec.track,
            leg: index,
            media: at,
            presentation: media.presentation,
            formats: formats(),
            track: Track::new(kind, encodings(spec.rids.len())),
            parser: Parser::default(),
            told_format: None,
            subscribers: Vec::new(),
            active: false,
            layers: Vec::new(),
            told_digit: None,
            tap: None,
            made: None,
        });
        if let Some(leg) = self.world.legs.get_mut(index) {
            leg.sources[usize::from(at)] = Some(source);
        }
    }

    fn reconcile_slot(&mut self, index: LegIndex, at: u16, media: &MediaSpec, slot: &SlotSpec) {
        let Some(kind) = route_kind(media.kind) else { return };
        let seed = self.random();
        let Some(leg) = self.world.legs.get_mut(index) else { return };
        let accepted = media.codecs.iter().map(|c| Accepted { format: format_of(c), payload_type: c.payload_type });
        let place = leg.slots.iter().position(|s| s.media == at);
        if let Some(existing) = place.map(|place| &mut leg.slots[place])
            && (existing.kind, &existing.mid) == (media.kind, &media.mid)
        {
            existing.off = false;
            existing.presentation = media.presentation;
            existing.index = slot.index;
            existing.subscriber.set_accepted(accepted.collect());
            return;
        }
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
        let new = Slot {
            media: at,
            mid: media.mid.clone(),
            kind: media.kind,
            presentation: media.presentation,
            index: slot.index,
            off: false,
            subscriber: Subscriber::new(at, kind, accepted.collect(), seed),
            place: 0,
            wish: Wish { width, height, max_fps: 0, pinned: None },
            told_layer: None,
        };
        match place {
            None => leg.slots.push(new),
            Some(place) => {
                self.world.assign(index, place as u16, None);
                if let Some(leg) = self.world.legs.get_mut(index) {
                    leg.slots[place] = new;
                }
            }
        }
    }

    /// The m-line does not receive, for now.
    fn switch_off(&mut self, index: LegIndex, at: u16) {
        let Some(leg) = self.world.legs.get_mut(index) else { return };
        if let Some(place) = leg.slots.iter().position(|s| s.media == at && !s.off) {
            leg.slots[place].off = true;
            self.world.assign(index, place as u16, None);
        }
    }
}

/// Encodings of a track with so many RIDs.
fn encodings(rids: usize) -> usize {
    rids.clamp(1, MAX_ENCODINGS)
}
