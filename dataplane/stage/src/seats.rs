//! Seats of one viewer: who sits keeps the seat, seat 0 is the main one, nobody sits twice.

use plenum_contract::ParticipantKey;

/// The seats of one kind of one viewer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    holders: Vec<Option<ParticipantKey>>,
}

impl Seats {
    /// `count` empty seats.
    pub fn new(count: usize) -> Seats {
        Seats { holders: vec![None; count] }
    }

    /// Who sits where; seat 0 first.
    pub fn holders(&self) -> &[Option<ParticipantKey>] {
        &self.holders
    }

    /// Changes the number of seats; those who sat in seats that remain keep them.
    pub fn resize(&mut self, count: usize) {
        self.holders.resize(count, None);
    }

    /// Seats those of `wanted` (best first) who fit. `pins` hold their seats against everybody; with `main`, the best one
    /// without a pin gets seat 0 (or the first seat that is not pinned) and changes places with who sat there.
    pub(crate) fn fill(
        &mut self,
        wanted: impl Iterator<Item = ParticipantKey>,
        pins: &[Option<ParticipantKey>],
        main: bool,
    ) {
        let count = self.holders.len();
        let wanted: Vec<_> = wanted.collect();
        let mut pinned = vec![None; count];
        for (seat, pin) in pins.iter().enumerate().take(count) {
            if let Some(key) = pin
                && wanted.contains(key)
                && !pinned.contains(&Some(*key))
            {
                pinned[seat] = Some(*key);
            }
        }
        let free = pinned.iter().filter(|p| p.is_none()).count();
        let chosen: Vec<_> = wanted.iter().copied().filter(|k| !pinned.contains(&Some(*k))).take(free).collect();
        for (holder, pin) in self.holders.iter_mut().zip(&pinned) {
            if pin.is_some() || holder.is_some_and(|key| !chosen.contains(&key)) {
                *holder = *pin;
            }
        }
        for key in &chosen {
            if !self.holders.contains(&Some(*key))
                && let Some(empty) = (0..count).find(|&i| self.holders[i].is_none() && pinned[i].is_none())
            {
                self.holders[empty] = Some(*key);
            }
        }
        if main
            && let Some(best) = chosen.first()
            && let Some(first) = pinned.iter().position(Option::is_none)
            && let Some(at) = self.holders.iter().position(|h| h == &Some(*best))
        {
            self.holders.swap(first, at);
        }
    }
}
