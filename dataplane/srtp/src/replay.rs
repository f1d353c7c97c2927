//! Packet indices and replay windows (RFC 3711 sections 3.3.1 and 3.3.2).
//!
//! A window is asked before any cryptography and moves only when the packet was authenticated: [`Window::admits`] takes
//! `&self`, [`Window::note`] is for the caller to call after that. Sources are looked up by SSRC in a short dense list; an
//! unknown one costs nothing until it was authenticated, and one that is put aside leaves its highest index behind.

use plenum_packet::DropReason;
use std::collections::BTreeMap;

/// Packets behind the highest index that may still arrive. RFC 3711 asks for at least 64; retransmissions on the original
/// SSRC and reordering of a video burst want more. Larger costs 8 bytes a source for every 64.
pub(crate) const WINDOW: u64 = 128;

/// The first index that is too large: 32 bits of ROC and 16 of sequence number (RFC 3711 section 9.2).
pub(crate) const INDEX_END: u64 = 1 << 48;

/// The indices seen of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    highest: u64,
    /// Bit n: index `highest - n` was seen.
    seen: u128,
}

impl Window {
    /// The window of a source whose first authenticated index is `index`.
    pub(crate) fn starting_with(index: u64) -> Window {
        Window { highest: index, seen: 1 }
    }

    /// The window of a source that was put aside with this highest index: nothing at or below it passes any more.
    fn put_aside(highest: u64) -> Window {
        Window { highest, seen: u128::MAX }
    }

    /// Whether `index` is neither seen nor older than the window.
    pub(crate) fn admits(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(behind) => behind < WINDOW && self.seen >> behind & 1 == 0,
        }
    }

    /// Notes an authenticated index.
    pub(crate) fn note(&mut self, index: u64) {
        if index > self.highest {
            let ahead = index - self.highest;
            self.seen = if ahead < WINDOW { self.seen << ahead } else { 0 } | 1;
            self.highest = index;
        } else if self.highest - index < WINDOW {
            self.seen |= 1 << (self.highest - index);
        }
    }

    /// The index that `sequence` most likely has (RFC 3711 section 3.3.1): the nearest to the highest one seen. Where that
    /// would lie below zero it is the one with ROC zero; `None` when it would need a ROC above 32 bits.
    pub(crate) fn estimate(&self, sequence: u16) -> Option<u64> {
        let roc = self.highest >> 16;
        let last = self.highest as u16;
        let roc = if last < 0x8000 {
            if sequence.saturating_sub(last) > 0x8000 { roc.saturating_sub(1) } else { roc }
        } else if last - 0x8000 > sequence {
            roc + 1
        } else {
            roc
        };
        let index = roc << 16 | u64::from(sequence);
        (index < INDEX_END).then_some(index)
    }
}

/// Where an SSRC stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the list.
    Known(usize),
    /// Put aside, with what it may go on with.
    Aside(Window),
    /// Never authenticated.
    New,
}

/// The sources of one direction: at most `limit` in the list, the latest heard. At the limit the one that was silent for
/// longest is put aside: only its highest index is kept, so that it can go on, as its peer must under one key, but
/// nothing that was heard before passes again. At most `aside` are; beyond them new ones are refused.
pub(crate) struct Sources {
    limit: usize,
    most_aside: usize,
    /// Where the last look-up ended: packets of a frame come in a row.
    last: usize,
    ssrcs: Vec<u32>,
    windows: Vec<Window>,
    /// The turn in which each was heard last.
    heard: Vec<u64>,
    turn: u64,
    aside: BTreeMap<u32, u64>,
}

impl Sources {
    pub(crate) fn new(limit: usize, most_aside: usize) -> Sources {
        Sources {
            limit,
            most_aside,
            last: 0,
            ssrcs: Vec::new(),
            windows: Vec::new(),
            heard: Vec::new(),
            turn: 0,
            aside: BTreeMap::new(),
        }
    }

    /// Where `ssrc` stands.
    ///
    /// # Errors
    /// [`DropReason::TooManySources`] when it is unknown and nobody more can be put aside for it.
    pub(crate) fn find(&mut self, ssrc: u32) -> Result<Place, DropReason> {
        if self.ssrcs.get(self.last) == Some(&ssrc) {
            return Ok(Place::Known(self.last));
        }
        if let Some(at) = self.ssrcs.iter().position(|&s| s == ssrc) {
            self.last = at;
            return Ok(Place::Known(at));
        }
        if let Some(highest) = self.aside.get(&ssrc) {
            return Ok(Place::Aside(Window::put_aside(*highest)));
        }
        let full = self.ssrcs.len() >= self.limit && self.aside.len() >= self.most_aside;
        if full { Err(DropReason::TooManySources) } else { Ok(Place::New) }
    }

    /// The window that a packet must pass; `None` for a new source.
    pub(crate) fn window<'a>(&'a self, place: &'a Place) -> Option<&'a Window> {
        match place {
            Place::Known(at) => Some(&self.windows[*at]),
            Place::Aside(window) => Some(window),
            Place::New => None,
        }
    }

    /// Notes an authenticated index of the source `ssrc`, which stood at `place`.
    pub(crate) fn note(&mut self, place: Place, ssrc: u32, index: u64) {
        self.turn += 1;
        let at = match place {
            Place::Known(at) => {
                self.windows[at].note(index);
                at
            }
            Place::Aside(mut window) => {
                window.note(index);
                self.aside.remove(&ssrc);
                self.admit(ssrc, window)
            }
            Place::New => self.admit(ssrc, Window::starting_with(index)),
        };
        self.heard[at] = self.turn;
    }

    /// Takes a source into the list, at the limit in the place of the one that was silent for longest.
    fn admit(&mut self, ssrc: u32, window: Window) -> usize {
        let oldest = (0..self.ssrcs.len()).min_by_key(|&at| self.heard[at]);
        let at = match oldest.filter(|_| self.ssrcs.len() >= self.limit) {
            Some(at) => {
                self.aside.insert(self.ssrcs[at], self.windows[at].highest);
                (self.ssrcs[at], self.windows[at]) = (ssrc, window);
                at
            }
            None => {
                self.ssrcs.push(ssrc);
                self.windows.push(window);
                self.heard.push(self.turn);
                self.ssrcs.len() - 1
            }
        };
        debug_assert!(self.aside.len() <= self.most_aside);
        self.last = at;
        at
    }

    pub(crate) fn len(&self) -> usize {
        self.ssrcs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_index_passes_once_and_not_when_it_is_older_than_the_window() {
        let mut window = Window::starting_with(1000);
        assert!(!window.admits(1000));
        assert!(window.admits(1000 - WINDOW + 1));
        assert!(!window.admits(1000 - WINDOW));
        window.note(1000 - WINDOW + 1);
        assert!(!window.admits(1000 - WINDOW + 1));
        window.note(1005);
        assert!(!window.admits(1000) && !window.admits(1005) && window.admits(1003) && window.admits(1006));
        window.note(1005 + WINDOW);
        assert!(!window.admits(1005) && window.admits(1006));
        window.note(u64::MAX);
        assert!(!window.admits(1005 + WINDOW));
    }

    #[test]
    fn the_rollover_counter_goes_up_at_the_wrap_and_back_for_a_late_packet() {
        let mut window = Window::starting_with(65_534);
        assert_eq!(window.estimate(65_533), Some(65_533));
        assert_eq!(window.estimate(1), Some(0x1_0001));
        window.note(0x1_0001);
        assert_eq!(window.estimate(65_535), Some(0xffff));
        assert_eq!(window.estimate(2), Some(0x1_0002));
        assert_eq!(window.estimate(0x8001), Some(0x1_8001));
        assert_eq!(window.estimate(0x8002), Some(0x8002));
    }

    #[test]
    fn before_the_first_wrap_a_far_packet_is_ahead_and_never_below_zero() {
        let window = Window::starting_with(1);
        assert_eq!(window.estimate(0xfff0), Some(0xfff0));
    }

    #[test]
    fn the_last_rollover_does_not_wrap_to_zero() {
        let window = Window::starting_with(INDEX_END - 1);
        assert_eq!(window.estimate(0), None);
        assert_eq!(window.estimate(0xfffe), Some(INDEX_END - 2));
    }

    fn hear(sources: &mut Sources, ssrc: u32, index: u64) -> Result<bool, DropReason> {
        let place = sources.find(ssrc)?;
        let admitted = sources.window(&place).is_none_or(|window| window.admits(index));
        if admitted {
            sources.note(place, ssrc, index);
        }
        Ok(admitted)
    }

    #[test]
    fn a_full_list_puts_who_was_silent_for_longest_aside_and_they_go_on_only_above_what_they_sent() {
        let mut sources = Sources::new(2, 2);
        assert_eq!(hear(&mut sources, 7, 500), Ok(true));
        assert_eq!(hear(&mut sources, 8, 0), Ok(true));
        assert_eq!(hear(&mut sources, 7, 498), Ok(true));
        // 8 makes room for 9, then 7 for 8, which comes back.
        assert_eq!(hear(&mut sources, 9, 1), Ok(true));
        assert_eq!(sources.find(7), Ok(Place::Known(0)));
        assert_eq!(hear(&mut sources, 8, 0), Ok(false), "heard before");
        assert_eq!(hear(&mut sources, 8, 1), Ok(true));
        for old in [500, 499, 498, 0] {
            assert_eq!(hear(&mut sources, 7, old), Ok(false), "{old}: nothing from before passes, seen or not");
        }
        assert_eq!(hear(&mut sources, 10, 0), Ok(true));
        assert_eq!(sources.find(11), Err(DropReason::TooManySources), "two are aside already");
        assert_eq!(hear(&mut sources, 7, 501), Ok(true), "who was known may always come back");
        assert_eq!((sources.len(), sources.aside.len()), (2, 2));
    }

    #[test]
    fn who_comes_back_is_still_in_the_same_rollover() {
        let mut sources = Sources::new(1, 1);
        assert_eq!(hear(&mut sources, 7, 0x3_fff0), Ok(true));
        assert_eq!(hear(&mut sources, 8, 0), Ok(true));
        let place = sources.find(7).unwrap();
        assert_eq!(sources.window(&place).and_then(|w| w.estimate(5)), Some(0x4_0005));
    }

    proptest! {
        /// The estimate is right for whatever lies within 2^15 of the highest index.
        #[test]
        fn the_estimate_is_the_nearest_index(highest in 0x8000u64..INDEX_END - 0x8000, off in -0x7fffi64..0x7fff) {
            let index = highest.checked_add_signed(off).unwrap();
            prop_assert_eq!(Window::starting_with(highest).estimate(index as u16), Some(index));
        }

        /// Whoever is put aside and comes back: no index of a source passes twice.
        #[test]
        fn no_index_passes_twice_however_sources_come_and_go(packets in prop::collection::vec((0u32..6, 0u64..40), 1..300)) {
            let mut sources = Sources::new(2, 10);
            let mut passed = std::collections::BTreeSet::new();
            for (ssrc, index) in packets {
                if hear(&mut sources, ssrc, index).unwrap() {
                    prop_assert!(passed.insert((ssrc, index)), "{} of {} passed twice", index, ssrc);
                }
                prop_assert!(sources.len() <= 2);
            }
        }

        /// A window agrees with a list of all that was noted.
        #[test]
        fn the_window_agrees_with_a_full_history(steps in prop::collection::vec(0u64..400, 1..200)) {
            let mut seen = vec![steps[0]];
            let mut window = Window::starting_with(steps[0]);
            for &index in &steps[1..] {
                let highest = *seen.iter().max().unwrap();
                let fresh = !seen.contains(&index) && index + WINDOW > highest;
                prop_assert_eq!(window.admits(index), fresh);
                if fresh {
                    window.note(index);
                    seen.push(index);
                }
            }
        }
    }
}
