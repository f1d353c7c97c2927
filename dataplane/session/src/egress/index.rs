//! The SRTP index of what we send: 48 bits, never the same twice.
//!
//! Packets of a stream are planned in the order in which they came in, so they may leave out of order; each number still leaves
//! once. A second packet with the same number is refused here, before it can reach the sealer.

use std::fmt;

/// Numbers behind the newest one that may still leave. Larger than any reordering on the way in: one that is older is refused.
const WINDOW: u64 = 1024;

/// Hands out the indices of one SSRC.
pub(crate) struct Indexer {
    highest: Option<u64>,
    used: [u64; WINDOW as usize / 64],
}

impl Default for Indexer {
    fn default() -> Self {
        Indexer { highest: None, used: [0; WINDOW as usize / 64] }
    }
}

impl Indexer {
    /// The index (rollover counter and sequence number, RFC 3711 §3.3.1) of the packet numbered `sequence`; `None` when that
    /// number was used, or is too old to know.
    pub(crate) fn assign(&mut self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else {
            let index = u64::from(sequence);
            self.highest = Some(index);
            self.mark(index);
            return Some(index);
        };
        let index = estimate(highest, sequence)?;
        if index > highest {
            for i in 0..(index - highest).min(WINDOW) {
                let (word, bit) = place(index - i);
                self.used[word] &= !bit;
            }
            self.highest = Some(index);
        } else {
            let (word, bit) = place(index);
            if highest - index >= WINDOW || self.used[word] & bit != 0 {
                return None;
            }
        }
        self.mark(index);
        Some(index)
    }

    /// The highest index given.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// The index that a number in a NACK means, if it was used.
    pub(crate) fn find(&self, sequence: u16) -> Option<u64> {
        let highest = self.highest?;
        let index = estimate(highest, sequence)?;
        (index <= highest).then_some(index)
    }

    fn mark(&mut self, index: u64) {
        let (word, bit) = place(index);
        self.used[word] |= bit;
    }
}

/// The index nearest to `highest` that has the low bits of `sequence`.
fn estimate(highest: u64, sequence: u16) -> Option<u64> {
    let delta = sequence.wrapping_sub(highest as u16) as i16;
    highest.checked_add_signed(i64::from(delta))
}

fn place(index: u64) -> (usize, u64) {
    ((index % WINDOW / 64) as usize, 1 << (index % 64))
}

impl fmt::Debug for Indexer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Indexer({:?})", self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_wrap_into_the_rollover_counter() {
        let mut indexer = Indexer::default();
        assert_eq!(indexer.assign(65_534), Some(65_534));
        assert_eq!(indexer.assign(0), Some(65_536));
        assert_eq!(indexer.assign(65_535), Some(65_535), "late, once");
        assert_eq!(indexer.assign(65_535), None);
        assert_eq!(indexer.assign(0), None);
        assert_eq!((indexer.find(65_535), indexer.find(1)), (Some(65_535), None));
        assert_eq!(indexer.highest(), Some(65_536));
    }

    #[test]
    fn what_is_older_than_the_window_or_before_the_beginning_is_refused() {
        let mut indexer = Indexer::default();
        assert_eq!(indexer.assign(10), Some(10));
        assert_eq!(indexer.assign(65_530), None, "there is no index below zero");
        assert_eq!(indexer.assign(10 + WINDOW as u16), Some(10 + WINDOW));
        assert_eq!(indexer.assign(10), None);
        assert_eq!(indexer.assign(11), Some(11));
    }

    proptest::proptest! {
        #[test]
        fn no_index_is_given_twice(steps in proptest::collection::vec(proptest::num::u16::ANY, 1..400), near in proptest::bool::ANY) {
            let mut indexer = Indexer::default();
            let mut given = HashSet::new();
            for step in steps {
                let sequence = if near { step % 64 } else { step };
                if let Some(index) = indexer.assign(sequence) {
                    proptest::prop_assert_eq!(index as u16, sequence);
                    proptest::prop_assert!(given.insert(index));
                }
            }
        }
    }
}
