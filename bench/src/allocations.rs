//! Allocations of this process, counted by the allocator that `plenum-bench` runs on.
//!
//! Only the program installs the counting allocator; elsewhere every difference is zero, and [`counts`] says so.

use stats_alloc::{INSTRUMENTED_SYSTEM, Stats};

/// A moment to count from.
#[derive(Clone, Copy, Debug)]
pub struct Since(Stats);

/// What happened since a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Calls that gave or moved memory.
    pub calls: usize,
    /// Bytes that are held now and were not then; negative when memory was given back.
    pub bytes: i64,
}

impl Since {
    /// Now.
    pub fn now() -> Since {
        Since(INSTRUMENTED_SYSTEM.stats())
    }

    /// What happened since.
    pub fn change(&self) -> Change {
        let change = INSTRUMENTED_SYSTEM.stats() - self.0;
        Change {
            calls: change.allocations + change.reallocations,
            bytes: change.bytes_allocated as i64 - change.bytes_deallocated as i64,
        }
    }
}

/// Whether allocations are counted in this program.
pub fn counts() -> bool {
    let since = Since::now();
    drop(std::hint::black_box(Box::new(0u64)));
    since.change().calls > 0
}
