//! The two clocks: one that steers media, one for the wall.

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn monotonic_nanos() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since 1970-01-01 UTC of `CLOCK_REALTIME`. For labels and NTP timestamps, never for deadlines.
pub fn unix_nanos() -> u64 {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid timespec that the call fills; both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back_and_the_wall_clock_is_after_2024() {
        let a = monotonic_nanos();
        let b = monotonic_nanos();
        assert!(b >= a && a > 0);
        assert!(unix_nanos() > 1_700_000_000_000_000_000);
    }
}
