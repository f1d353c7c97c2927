//! The clocks: monotonic for everything that steers media, wall time once per boot to name instants to people.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds of CLOCK_MONOTONIC: never goes back, stands still while the machine sleeps.
pub fn now() -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid timespec to write to; CLOCK_MONOTONIC always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

/// One instant on both scales. Taken once per boot, so that a jump of the wall clock moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub monotonic: u64,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix: u64,
}

/// Reads both clocks: of five tries the one with the least time between the two monotonic reads around the wall clock's.
pub fn anchor() -> Anchor {
    let tries = (0..5).map(|_| {
        let before = now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
        let after = now();
        (after - before, Anchor { monotonic: before + (after - before) / 2, unix })
    });
    let best = tries.min_by_key(|(gap, _)| *gap);
    best.map_or(Anchor { monotonic: 0, unix: 0 }, |(_, anchor)| anchor)
}

impl Anchor {
    /// Wall time of a monotonic instant, in nanoseconds since 1970; saturates at both ends.
    pub fn unix_at(&self, monotonic: u64) -> u64 {
        if monotonic >= self.monotonic {
            self.unix.saturating_add(monotonic - self.monotonic)
        } else {
            self.unix.saturating_sub(self.monotonic - monotonic)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on() {
        let a = now();
        assert!(a > 0 && now() >= a);
    }

    #[test]
    fn the_anchor_names_instants_before_and_after_it() {
        let anchor = Anchor { monotonic: 1_000, unix: 50_000 };
        assert_eq!(anchor.unix_at(1_500), 50_500);
        assert_eq!(anchor.unix_at(400), 49_400);
        assert_eq!(anchor.unix_at(u64::MAX), u64::MAX);
        let real = super::anchor();
        assert!(real.unix > 1_600_000_000_000_000_000 && real.monotonic <= now());
    }
}
