//! Who stands in which tile of a scene (spec/layouts.md): those who are set first, in their order, then the speakers.
//!
//! Large tiles go to the first in order. The main tile's holder yields after 1.5 s of dominance and keeps it for 2 s at least; who is on screen
//! keeps their place. There are no gaps: when somebody leaves and nobody follows, the last in the row takes the place. Pure.

use plenum_contract::ParticipantKey;
use plenum_stage::speakers::{DOMINANCE, LEAST_HOLD};
use plenum_stage::{SlotWant, VideoSeats};

/// The tiles of one scene and who holds them.
#[derive(Debug, Default)]
pub(super) struct Seating {
    seats: VideoSeats,
    /// When the main tile changed hands.
    changed: Option<u64>,
    /// Who stands first in order without the main tile, and since when.
    challenger: Option<(ParticipantKey, u64)>,
}

/// Who is to be seated.
pub(super) struct Order<'a> {
    /// Those who are set first, in their order.
    pub(super) first: &'a [ParticipantKey],
    /// Everybody else, speakers first. Nobody is in both.
    pub(super) others: &'a [ParticipantKey],
    /// Those who spoke, as the shard says: who stands first among them, before the main tile's holder, has dominated already.
    pub(super) spoke: &'a [ParticipantKey],
}

impl Seating {
    /// Seats people in `places` tiles, the first `large` of which are large. Whether anything changed.
    pub(super) fn seat(&mut self, now: u64, places: usize, large: usize, order: &Order<'_>) -> bool {
        let mut others = order.others.to_vec();
        if order.first.is_empty() {
            self.guard_main(now, &mut others, order.spoke);
        }
        let candidates: Vec<ParticipantKey> = order.first.iter().chain(&others).copied().collect();
        let count = places.min(candidates.len()).min(plenum_stage::MAX_SLOTS);
        let large = if large == 0 { count } else { large.min(count) };
        let mut wants = vec![SlotWant::default(); count];
        for (want, key) in wants.iter_mut().zip(order.first) {
            want.pinned = Some(*key);
        }
        self.pin_large(&mut wants, &candidates[..large], order.first.len());
        let before = self.main();
        let changed = self.seats.seat(&wants, candidates.iter().map(|key| (*key, false)));
        if self.main() != before {
            self.changed = Some(now);
        }
        changed
    }

    /// Who stands where.
    pub(super) fn slots(&self) -> &[Option<ParticipantKey>] {
        self.seats.slots()
    }

    fn main(&self) -> Option<ParticipantKey> {
        self.seats.slots().first().copied().flatten()
    }

    /// Keeps the main tile's holder in front while nobody may take it.
    fn guard_main(&mut self, now: u64, others: &mut [ParticipantKey], spoke: &[ParticipantKey]) {
        let (Some(holder), Some(&wanted)) = (self.main(), others.first()) else { return };
        let Some(at) = others.iter().position(|key| *key == holder) else { return };
        if wanted == holder {
            self.challenger = None;
            return;
        }
        let since = self.challenger.filter(|(key, _)| *key == wanted).map_or(now, |(_, since)| since);
        self.challenger = Some((wanted, since));
        let told = spoke.first() == Some(&wanted) && spoke.contains(&holder);
        let dominates = told || now.saturating_sub(since) >= DOMINANCE;
        let held = self.changed.is_none_or(|at| now.saturating_sub(at) >= LEAST_HOLD);
        if !(dominates && held) {
            others[..=at].rotate_right(1);
        }
    }

    /// Pins the large tiles: who stands in one and is to stay does, the others of `chosen` take what is free, in order.
    fn pin_large(&self, wants: &mut [SlotWant], chosen: &[ParticipantKey], fixed: usize) {
        let slots = self.seats.slots();
        for index in fixed..chosen.len() {
            let holder = slots.get(index).copied().flatten().filter(|key| chosen.contains(key));
            if holder.is_some() && !wants.iter().any(|want| want.pinned == holder) {
                wants[index].pinned = holder;
            }
        }
        for key in chosen {
            if wants.iter().any(|want| want.pinned == Some(*key)) {
                continue;
            }
            if let Some(want) = wants[..chosen.len()].iter_mut().find(|want| want.pinned.is_none()) {
                want.pinned = Some(*key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn keys(list: &[u64]) -> Vec<ParticipantKey> {
        list.iter().map(|n| ParticipantKey(*n)).collect()
    }

    fn seat(
        seating: &mut Seating,
        now: u64,
        tiles: (usize, usize),
        first: &[u64],
        others: &[u64],
        dominant: u64,
    ) -> Vec<u64> {
        let (first, others) = (keys(first), keys(others));
        let spoke: Vec<_> = std::iter::once(ParticipantKey(dominant)).chain(others.iter().copied()).collect();
        let order = Order { first: &first, others: &others, spoke: &spoke };
        seating.seat(now, tiles.0, tiles.1, &order);
        seating.slots().iter().map(|slot| slot.map_or(0, |key| key.0)).collect()
    }

    #[test]
    fn the_dominant_speaker_changes_places_with_the_main_holder_and_nobody_else_moves() {
        let mut s = Seating::default();
        assert_eq!(seat(&mut s, 0, (8, 1), &[], &[1, 2, 3, 4], 1), [1, 2, 3, 4]);
        assert_eq!(seat(&mut s, 5 * S, (8, 1), &[], &[3, 1, 2, 4], 3), [3, 2, 1, 4]);
        // Somebody new takes the next place, or that of the last in order.
        assert_eq!(seat(&mut s, 6 * S, (8, 1), &[], &[3, 5, 1, 2, 4], 3), [3, 2, 1, 4, 5]);
        assert_eq!(seat(&mut s, 7 * S, (5, 1), &[], &[3, 6, 5, 1, 2, 4], 3), [3, 2, 1, 6, 5]);
    }

    #[test]
    fn the_main_tile_is_held_for_two_seconds() {
        let mut s = Seating::default();
        seat(&mut s, 10 * S, (8, 1), &[], &[1, 2], 1);
        assert_eq!(seat(&mut s, 11 * S, (8, 1), &[], &[2, 1], 2), [1, 2]);
        assert_eq!(seat(&mut s, 12 * S - 1, (8, 1), &[], &[2, 1], 2), [1, 2]);
        assert_eq!(seat(&mut s, 12 * S, (8, 1), &[], &[2, 1], 2), [2, 1]);
        // The holder leaves: the next follows at once.
        assert_eq!(seat(&mut s, 12 * S + 1, (8, 1), &[], &[1], 1), [1]);
    }

    #[test]
    fn who_is_first_only_because_the_viewer_is_left_out_must_dominate_too() {
        let mut s = Seating::default();
        seat(&mut s, 0, (8, 1), &[], &[1, 2], 9);
        assert_eq!(seat(&mut s, 10 * S, (8, 1), &[], &[2, 1], 9), [1, 2]);
        assert_eq!(seat(&mut s, 11 * S, (8, 1), &[], &[2, 1], 9), [1, 2]);
        assert_eq!(seat(&mut s, 11 * S + S / 2, (8, 1), &[], &[2, 1], 9), [2, 1]);
    }

    #[test]
    fn the_first_who_ever_speaks_must_dominate_before_a_silent_holder_yields() {
        let (mut s, others) = (Seating::default(), keys(&[2, 1]));
        seat(&mut s, 0, (8, 1), &[], &[1, 2], 1);
        for (at, main) in [(10 * S, 1), (11 * S, 1), (11 * S + S / 2, 2)] {
            s.seat(at, 8, 1, &Order { first: &[], others: &others, spoke: &others[..1] });
            assert_eq!(s.main(), Some(ParticipantKey(main)));
        }
    }

    #[test]
    fn equal_tiles_are_not_shuffled_and_a_gap_is_filled_by_the_last() {
        let mut s = Seating::default();
        assert_eq!(seat(&mut s, 0, (4, 4), &[], &[1, 2, 3, 4, 5], 1), [1, 2, 3, 4]);
        assert_eq!(seat(&mut s, 10 * S, (4, 4), &[], &[4, 3, 2, 1, 5], 4), [1, 2, 3, 4]);
        assert_eq!(seat(&mut s, 20 * S, (4, 4), &[], &[5, 4, 3, 2, 1], 5), [5, 2, 3, 4]);
        assert_eq!(seat(&mut s, 30 * S, (4, 4), &[], &[4, 3, 2], 5), [4, 2, 3]);
    }

    #[test]
    fn those_who_are_set_first_stand_in_their_order() {
        let mut s = Seating::default();
        assert_eq!(seat(&mut s, 0, (8, 1), &[7, 8], &[1, 2], 1), [7, 8, 1, 2]);
        assert_eq!(seat(&mut s, S, (8, 1), &[8, 7], &[2, 1], 2), [8, 7, 1, 2]);
        assert_eq!(seat(&mut s, 4 * S, (8, 2), &[], &[2, 1, 8, 7], 2)[..2], [2, 1]);
        assert_eq!(seat(&mut s, 5 * S, (1, 1), &[], &[2, 1, 8, 7], 2), [2]);
        assert!(seat(&mut s, 5 * S, (0, 0), &[], &[2, 1], 2).is_empty());
    }
}
