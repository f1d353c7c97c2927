//! The guard of debug builds: panics when a (key, SSRC, index) is sealed twice.
//!
//! One guard belongs to one key. It remembers [`MEMORY`] indices of each of [`SOURCES`] SSRCs; an older index panics too,
//! because it cannot be told from a repeated one. A new SSRC beyond the bound replaces the one that was new longest ago,
//! whose history is lost. In release builds it is empty and does nothing.

/// Indices remembered of a source. Sealing goes upwards within a source; far backwards is a fault in itself.
#[cfg(debug_assertions)]
const MEMORY: u64 = 1024;
/// SSRCs remembered of a key: the slots of a large receiver with their RTX streams.
#[cfg(debug_assertions)]
const SOURCES: usize = 256;
#[cfg(debug_assertions)]
const WORDS: usize = (MEMORY / 64) as usize;

#[cfg(debug_assertions)]
struct Source {
    ssrc: u32,
    highest: u64,
    /// Bit `index % MEMORY`: the index of the last [`MEMORY`] with that remainder was sealed.
    sealed: [u64; WORDS],
}

#[derive(Default)]
pub(crate) struct Guard {
    #[cfg(debug_assertions)]
    sources: Vec<Source>,
    #[cfg(debug_assertions)]
    oldest: usize,
}

impl Guard {
    #[cfg(not(debug_assertions))]
    #[inline]
    pub(crate) fn note(&mut self, _ssrc: u32, _index: u64) {}

    /// # Panics
    /// If `index` of `ssrc` was sealed before, or is too old to tell.
    #[cfg(debug_assertions)]
    pub(crate) fn note(&mut self, ssrc: u32, index: u64) {
        let Some(source) = self.sources.iter_mut().find(|s| s.ssrc == ssrc) else {
            self.remember(ssrc, index);
            return;
        };
        if index > source.highest {
            for between in (source.highest + 1..index).rev().take(MEMORY as usize) {
                source.set(between, false);
            }
            source.highest = index;
        } else {
            let old = source.highest - index >= MEMORY;
            assert!(!old && !source.get(index), "SSRC {ssrc:#010x}: index {index:#x} is sealed twice or far too late");
        }
        source.set(index, true);
    }

    #[cfg(debug_assertions)]
    fn remember(&mut self, ssrc: u32, index: u64) {
        let mut source = Source { ssrc, highest: index, sealed: [0; WORDS] };
        source.set(index, true);
        if self.sources.len() < SOURCES {
            self.sources.push(source);
        } else {
            self.sources[self.oldest] = source;
            self.oldest = (self.oldest + 1) % SOURCES;
        }
    }
}

#[cfg(debug_assertions)]
impl Source {
    fn get(&self, index: u64) -> bool {
        let bit = index % MEMORY;
        self.sealed[(bit / 64) as usize] >> (bit % 64) & 1 == 1
    }

    fn set(&mut self, index: u64, value: bool) {
        let bit = index % MEMORY;
        let word = &mut self.sealed[(bit / 64) as usize];
        *word = *word & !(1 << (bit % 64)) | u64::from(value) << (bit % 64);
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    fn panics(f: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(f).is_err()
    }

    #[test]
    fn a_repeated_index_panics_and_a_late_new_one_does_not() {
        let with = |indices: &'static [u64]| {
            move || {
                let mut guard = Guard::default();
                indices.iter().for_each(|&i| guard.note(1, i));
            }
        };
        assert!(!panics(with(&[5, 6, 8, 7, 9])));
        assert!(panics(with(&[5, 6, 5])));
        assert!(panics(with(&[5, 6, 8, 7, 7])));
        assert!(!panics(with(&[5, 5 + MEMORY - 1, 6])));
        assert!(panics(with(&[5, 5 + MEMORY - 1, 5])));
        assert!(panics(with(&[5, 5 + MEMORY, 6, 5])));
        assert!(!panics(with(&[5, 5 + 10 * MEMORY, 6 + 9 * MEMORY])));
    }

    #[test]
    fn the_same_index_of_another_ssrc_passes_and_memory_is_bounded() {
        let mut guard = Guard::default();
        for ssrc in 0..3 * SOURCES as u32 {
            guard.note(ssrc, 1);
        }
        assert_eq!(guard.sources.len(), SOURCES);
    }
}
