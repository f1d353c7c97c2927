//! Monotonic time as unsigned nanoseconds.
//!
//! The data plane never asks for the time; whoever has the clock passes a [`Time`]. Differences saturate at zero, so
//! reordered timestamps cannot panic or wrap.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// An instant: nanoseconds of `CLOCK_MONOTONIC` (or of a simulation's own clock).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

impl Time {
    /// The beginning of time: earlier than every packet.
    pub const ZERO: Time = Time(0);
    /// Later than everything: "no deadline".
    pub const NEVER: Time = Time(u64::MAX);

    /// An instant `ms` milliseconds after [`Time::ZERO`].
    pub const fn from_millis(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    /// Nanoseconds since [`Time::ZERO`].
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since [`Time::ZERO`].
    pub const fn millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant less `d`, not before [`Time::ZERO`].
    pub const fn before(self, d: Duration) -> Time {
        Time(self.0.saturating_sub(d.as_nanos() as u64))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time(self.0.saturating_add(d.as_nanos() as u64))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub for Time {
    type Output = Duration;
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Time::NEVER {
            return f.write_str("never");
        }
        write!(f, "{}.{:06}ms", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
