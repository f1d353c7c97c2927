//! Packet indices and replay windows (RFC 3711 sections 3.3.1 and 3.3.2).
//!
//! A window is asked before any cryptography and moves only when the packet was authenticated: [`Window::admits`] takes
//! `&self`, [`Window::note`] is for the caller to call after that. Sources are looked up by SSRC in a short dense list; an
//! unknown one costs nothing until it was authenticated.

use plenum_packet::DropReason;

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

/// The sources of one direction, at most `limit`.
pub(crate) struct Sources {
    limit: usize,
    /// Where the last look-up ended: packets of a frame come in a row.
    last: usize,
    ssrcs: Vec<u32>,
    windows: Vec<Window>,
}

impl Sources {
    pub(crate) fn new(limit: usize) -> Sources {
        Sources { limit, last: 0, ssrcs: Vec::new(), windows: Vec::new() }
    }

    /// Where `ssrc` stands, `None` when it is unknown and there is room for it.
    ///
    /// # Errors
    /// [`DropReason::TooManySources`] when it is unknown and the list is full.
    pub(crate) fn find(&mut self, ssrc: u32) -> Result<Option<usize>, DropReason> {
        if self.ssrcs.get(self.last) == Some(&ssrc) {
            return Ok(Some(self.last));
        }
        match self.ssrcs.iter().position(|&s| s == ssrc) {
            Some(at) => {
                self.last = at;
                Ok(Some(at))
            }
            None if self.ssrcs.len() >= self.limit => Err(DropReason::TooManySources),
            None => Ok(None),
        }
    }

    pub(crate) fn window(&self, at: usize) -> &Window {
        &self.windows[at]
    }

    /// Notes an authenticated index of the source at `at`, or of the new source `ssrc`.
    pub(crate) fn note(&mut self, at: Option<usize>, ssrc: u32, index: u64) {
        match at {
            Some(at) => self.windows[at].note(index),
            None => {
                debug_assert!(self.ssrcs.len() < self.limit);
                self.last = self.ssrcs.len();
                self.ssrcs.push(ssrc);
                self.windows.push(Window::starting_with(index));
            }
        }
    }

    pub(crate) fn forget(&mut self, ssrc: u32) {
        if let Some(at) = self.ssrcs.iter().position(|&s| s == ssrc) {
            self.ssrcs.swap_remove(at);
            self.windows.swap_remove(at);
        }
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

    #[test]
    fn a_full_list_refuses_new_sources_and_serves_the_known() {
        let mut sources = Sources::new(2);
        for ssrc in [7, 8] {
            assert_eq!(sources.find(ssrc), Ok(None));
            sources.note(None, ssrc, 0);
        }
        assert_eq!(sources.find(9), Err(DropReason::TooManySources));
        assert_eq!(sources.find(7), Ok(Some(0)));
        sources.forget(7);
        assert_eq!(sources.find(8), Ok(Some(0)));
        assert_eq!(sources.find(9), Ok(None));
    }

    proptest! {
        /// The estimate is right for whatever lies within 2^15 of the highest index.
        #[test]
        fn the_estimate_is_the_nearest_index(highest in 0x8000u64..INDEX_END - 0x8000, off in -0x7fffi64..0x7fff) {
            let index = highest.checked_add_signed(off).unwrap();
            prop_assert_eq!(Window::starting_with(highest).estimate(index as u16), Some(index));
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
