//! Who fills which slot of one viewer.
//!
//! Video: a slot's own wish first, then the pinned in their order, which is also the order of their slots, then the
//! speakers. The first of all takes the main slot; speakers keep the slot they have, and only who is new is put where
//! somebody left. Audio: everybody keeps
//! their slot until somebody who speaks has none. Nobody sits twice, nobody sees or hears themselves.

use crate::lineup::LineUp;
use plenum_contract::ParticipantKey;

/// What a video slot is wanted for, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotWant {
    /// Whether its tile is shown at all; a hidden one stays empty.
    pub shown: bool,
    /// Whose picture it holds whatever the order says. While they have no picture the slot stays empty; when they are
    /// not in the conference the wish is ignored.
    pub pinned: Option<ParticipantKey>,
}

impl Default for SlotWant {
    fn default() -> SlotWant {
        SlotWant { shown: true, pinned: None }
    }
}

/// Most slots of each kind; further ones stay empty.
pub const MAX_SLOTS: usize = 64;
const _: () = assert!(MAX_SLOTS <= plenum_contract::ConferenceSpec::EVERY_SLOT as usize);

/// The video slots of one viewer. Kept by whoever keeps the viewer; changed by [`crate::Stage::seat_video`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VideoSeats {
    slots: Vec<Option<ParticipantKey>>,
    presentation: Option<ParticipantKey>,
}

impl VideoSeats {
    /// Holders by slot index.
    pub fn slots(&self) -> &[Option<ParticipantKey>] {
        &self.slots
    }

    /// Who fills the presentation slot.
    pub fn presentation(&self) -> Option<ParticipantKey> {
        self.presentation
    }

    /// Seats people anew where there is no stage, as in a mixed picture; whether anything changed. `candidates` come in order, are each other's unlike,
    /// and first come those with places by their order, marked with `true`. Every wish of a slot is fulfilled.
    pub fn seat(&mut self, wants: &[SlotWant], candidates: impl Iterator<Item = (ParticipantKey, bool)>) -> bool {
        self.update(wants, candidates, Pin::Seat)
    }

    /// Sets the presentation slot's holder; whether it changed.
    pub(crate) fn present(&mut self, holder: Option<ParticipantKey>) -> bool {
        core::mem::replace(&mut self.presentation, holder) != holder
    }

    /// Seats people anew; whether anything changed. `candidates` come in order, may be seated, and are each other's
    /// unlike; first come those with places by their order, marked with `true`. `pin` says what to do with a slot's own wish.
    pub(crate) fn update(
        &mut self,
        wants: &[SlotWant],
        candidates: impl Iterator<Item = (ParticipantKey, bool)>,
        pin: impl Fn(ParticipantKey) -> Pin,
    ) -> bool {
        let count = wants.len().min(MAX_SLOTS);
        let mut seated = [None; MAX_SLOTS];
        let mut open = [false; MAX_SLOTS];
        for (index, want) in wants[..count].iter().enumerate().filter(|(_, w)| w.shown) {
            match want.pinned.map_or(Pin::Ignore, &pin) {
                Pin::Seat(key) if !seated.contains(&Some(key)) => seated[index] = Some(key),
                Pin::Seat(_) | Pin::Ignore => open[index] = true,
                Pin::KeepEmpty => {}
            }
        }
        // Who is to be on screen: as many as there are open slots, in order.
        let places = open.iter().filter(|&&o| o).count();
        let mut chosen = [ParticipantKey(0); MAX_SLOTS];
        let (mut number, mut placed) = (0, 0);
        for (key, fixed) in candidates {
            if number == places {
                break;
            }
            if !seated.contains(&Some(key)) {
                chosen[number] = key;
                number += 1;
                placed += usize::from(fixed);
            }
        }
        let chosen = &chosen[..number];
        for (index, &key) in (0..count).filter(|&i| open[i]).zip(&chosen[..placed]) {
            seated[index] = Some(key);
        }
        if open[0] {
            seated[0] = chosen.first().copied();
        }
        // Holders stay. One whom the main slot takes leaves a gap, which its former holder fills.
        let before = self.slots.clone();
        for index in 1..count {
            let holder = before.get(index).copied().flatten().filter(|key| chosen.contains(key));
            if open[index] && seated[index].is_none() && holder.is_some() && !seated.contains(&holder) {
                seated[index] = holder;
            }
        }
        let displaced = before.first().copied().flatten();
        let vacated = seated[0].and_then(|main| before.iter().position(|&s| s == Some(main)));
        if let (Some(key), Some(index)) = (displaced, vacated)
            && index < count
            && open[index]
            && seated[index].is_none()
            && chosen.contains(&key)
            && !seated.contains(&Some(key))
        {
            seated[index] = Some(key);
        }
        for &key in chosen {
            if seated.contains(&Some(key)) {
                continue;
            }
            if let Some(index) = (0..count).find(|&i| open[i] && seated[i].is_none()) {
                seated[index] = Some(key);
            }
        }
        let changed = before != seated[..count];
        self.slots.clear();
        self.slots.extend_from_slice(&seated[..count]);
        changed
    }
}

/// What a slot's own wish comes to.
pub(crate) enum Pin {
    /// They fill it.
    Seat(ParticipantKey),
    /// They are here without a picture: it waits for them.
    KeepEmpty,
    /// They are not here.
    Ignore,
}

/// How much louder somebody without an audio slot must be than a speaking holder to take theirs, in dB.
pub const TAKES_OVER: f32 = 10.0;

/// The audio slots of one viewer. Kept by whoever keeps the viewer; changed by [`crate::Stage::seat_audio`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AudioSeats {
    slots: Vec<Option<ParticipantKey>>,
}

/// What audio seating needs to know of somebody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) key: ParticipantKey,
    pub(crate) speaking: bool,
    pub(crate) loudness: f32,
}

impl AudioSeats {
    /// Holders by slot index.
    pub fn slots(&self) -> &[Option<ParticipantKey>] {
        &self.slots
    }

    /// Seats people anew in `count` slots; whether anything changed. `look` says what is known of who may be heard.
    pub(crate) fn update(
        &mut self,
        count: usize,
        viewer: ParticipantKey,
        lineup: &LineUp,
        look: impl Fn(ParticipantKey) -> Option<Heard>,
    ) -> bool {
        let count = count.min(MAX_SLOTS);
        let mut changed = self.slots.len() != count;
        self.slots.resize(count, None);
        let mut ranks = [VACANT; MAX_SLOTS];
        for (slot, rank) in self.slots.iter_mut().zip(&mut ranks) {
            let held = slot.and_then(&look);
            changed |= slot.is_some() && held.is_none();
            *slot = held.map(|heard| heard.key);
            *rank = held.map_or(VACANT, rank_of);
        }
        changed |= self.admit(viewer, lineup, &mut ranks[..count]);
        // Free slots take anybody: their first word is not lost then.
        let mut free = self.slots.iter().filter(|slot| slot.is_none()).count();
        let mut heard = lineup.heard();
        while free > 0 {
            let Some(key) = heard.next() else { break };
            if key == viewer || self.slots.contains(&Some(key)) {
                continue;
            }
            let Some(place) = self.slots.iter().position(Option::is_none) else { break };
            self.slots[place] = Some(key);
            free -= 1;
            changed = true;
        }
        changed
    }

    /// Seats those who speak, in order: in a free slot, else in that of a silent holder, else in that of a far quieter one.
    fn admit(&mut self, viewer: ParticipantKey, lineup: &LineUp, ranks: &mut [Rank]) -> bool {
        let (mut from, mut changed) = (0, false);
        let weaker = |a: &Rank, b: &Rank| a.partial_cmp(b).unwrap_or(core::cmp::Ordering::Equal);
        while let Some(index) = (0..ranks.len()).min_by(|&a, &b| weaker(&ranks[a], &ranks[b])) {
            let (state, loudness) = ranks[index];
            let least = if state == SPEAKING { loudness + TAKES_OVER } else { f32::NEG_INFINITY };
            let Some((at, heard)) = lineup.speaker(from, least) else { break };
            from = at + 1;
            if heard.key != viewer && !self.slots.contains(&Some(heard.key)) {
                self.slots[index] = Some(heard.key);
                ranks[index] = rank_of(heard);
                changed = true;
            }
        }
        changed
    }
}

/// How firmly a slot is held: by nobody, by who is silent, by who speaks; then how loud.
type Rank = (u8, f32);
const VACANT: Rank = (0, 0.0);
const SPEAKING: u8 = 2;

fn rank_of(heard: Heard) -> Rank {
    (1 + u8::from(heard.speaking), heard.loudness)
}
