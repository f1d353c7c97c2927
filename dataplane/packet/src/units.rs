//! Units that must not be mixed up.

use core::time::Duration;

/// A rate in bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Bitrate(pub u64);

impl Bitrate {
    /// No bits at all.
    pub const ZERO: Bitrate = Bitrate(0);
    /// No limit.
    pub const MAX: Bitrate = Bitrate(u64::MAX);

    /// A rate from kilobits (1000 bits) per second.
    pub const fn kbps(k: u64) -> Bitrate {
        Bitrate(k * 1000)
    }

    /// Bits per second.
    pub const fn bps(self) -> u64 {
        self.0
    }

    /// Bytes that pass in `d` at this rate, saturating.
    pub fn bytes_in(self, d: Duration) -> u64 {
        (u128::from(self.0) * d.as_nanos() / 8_000_000_000).min(u128::from(u64::MAX)) as u64
    }

    /// How long `bytes` take at this rate; [`Duration::MAX`] at rate zero.
    pub fn time_for(self, bytes: u64) -> Duration {
        if self.0 == 0 {
            return Duration::MAX;
        }
        let nanos = u128::from(bytes) * 8_000_000_000 / u128::from(self.0);
        Duration::from_nanos(nanos.min(u128::from(u64::MAX)) as u64)
    }

    /// This rate times `factor` (not negative), saturating.
    pub fn scale(self, factor: f64) -> Bitrate {
        Bitrate((self.0 as f64 * factor) as u64)
    }
}
