//! Time for the driver: monotonic for what runs out, wall clock for what is shown. Tests turn it by hand.

use plenum_model::Now;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the driver gets the time from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's.
    System(Instant),
    /// Milliseconds that a test sets.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock; monotonic time counts from now.
    pub fn system() -> Clock {
        Clock::System(Instant::now())
    }

    /// A clock that stands until it is turned.
    pub fn manual() -> (Clock, Arc<AtomicU64>) {
        let hand = Arc::new(AtomicU64::new(1_000));
        (Clock::Manual(hand.clone()), hand)
    }

    /// Monotonic time alone, for what runs out beside the driver.
    pub fn elapsed(&self) -> Duration {
        match self {
            Clock::System(origin) => origin.elapsed(),
            Clock::Manual(hand) => Duration::from_millis(hand.load(Ordering::Relaxed)),
        }
    }

    /// The time.
    pub fn now(&self) -> Now {
        match self {
            Clock::System(origin) => {
                let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                let ms = u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX);
                Now { ms, unix }
            }
            Clock::Manual(hand) => {
                let ms = hand.load(Ordering::Relaxed);
                Now { ms, unix: 1_800_000_000 + ms / 1000 }
            }
        }
    }
}
