//! Clock reads, and the kernel's real-time stamps brought to the monotonic scale.
//!
//! The kernel stamps packets with CLOCK_REALTIME. A stamp is used only as an age: how long before now. An age that is
//! negative or above a second means that the wall clock jumped, and then the packet counts as received now.

use core::time::Duration;
use plenum_packet::Time;

/// Older stamps are not believed. Larger: a jump of the wall clock shows up as delay. Smaller: a shard that was stopped
/// for long would hide how long its packets waited.
const MAX_AGE: Duration = Duration::from_secs(1);

fn read(clock: libc::clockid_t) -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a valid timespec to write to; the clocks used here always exist on Linux.
    unsafe { libc::clock_gettime(clock, &raw mut ts) };
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

/// CLOCK_MONOTONIC.
pub(crate) fn now() -> Time {
    Time(read(libc::CLOCK_MONOTONIC))
}

/// One reading of both clocks, for a whole batch.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    /// Monotonic.
    pub(crate) now: Time,
    realtime: u64,
}

impl Reading {
    pub(crate) fn take() -> Reading {
        Reading { now: now(), realtime: read(libc::CLOCK_REALTIME) }
    }

    /// When a packet with the kernel's stamp (nanoseconds of CLOCK_REALTIME) was received.
    pub(crate) fn received(&self, stamp: Option<u64>) -> Time {
        match stamp.and_then(|s| self.realtime.checked_sub(s)).map(Duration::from_nanos) {
            Some(age) if age <= MAX_AGE => self.now.before(age),
            _ => self.now,
        }
    }
}

/// How long until `deadline`, `None` for [`Time::NEVER`].
pub(crate) fn until(deadline: Time) -> Option<Duration> {
    match deadline {
        Time::NEVER => None,
        Time::ZERO => Some(Duration::ZERO),
        _ => Some(deadline.since(now())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_an_age_unless_the_wall_clock_jumped() {
        let reading = Reading { now: Time(5_000_000_000), realtime: 1_000_000_000_000 };
        assert_eq!(reading.received(Some(1_000_000_000_000 - 300)), Time(5_000_000_000 - 300));
        assert_eq!(reading.received(Some(1_000_000_000_001)), reading.now);
        assert_eq!(reading.received(Some(1_000_000_000_000 - 1_000_000_001)), reading.now);
        assert_eq!(reading.received(None), reading.now);
    }
}
