//! Numbers for `/metrics` and `/health`: written by the driver and by the faces, read without asking the driver.

use crate::hooks::States;
use plenum_contract::event::Metrics;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters and the last values of everything.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Conferences that exist.
    pub conferences: AtomicU64,
    /// Conferences with somebody in them.
    pub active_conferences: AtomicU64,
    /// Participants.
    pub participants: AtomicU64,
    /// Media connections.
    pub calls: AtomicU64,
    /// Event readers.
    pub event_streams: AtomicU64,
    /// Events appended since start.
    pub events: AtomicU64,
    /// Event readers that were too slow, since start.
    pub events_lagged: AtomicU64,
    /// Participants who entered since start.
    pub joins: AtomicU64,
    /// HTTP answers since start, by hundreds: `[0]` = 1xx … `[4]` = 5xx.
    pub answers: [AtomicU64; 5],
    /// Requests refused because an address sent too many.
    pub limited: AtomicU64,
    /// Batches that could not be kept.
    pub store_failures: AtomicU64,
    /// Whether the last write was kept.
    pub store_ok: AtomicBool,
    /// What was not written into the audit log: refused logins that were too many in a second or came while the store failed,
    /// and logins beyond what waits for a store that fails.
    pub audit_dropped: AtomicU64,
    /// Whether a media plane is connected.
    pub media_up: AtomicBool,
    /// Media planes that replaced another since start.
    pub media_restarts: AtomicU64,
    /// How deliveries to webhooks go.
    pub hooks: States,
    media: Mutex<Metrics>,
    /// What the mixer cannot do: by the conference's key its first alias and the reason.
    mix_problems: Mutex<BTreeMap<u64, (String, String)>>,
}

impl Gauges {
    /// What media last counted.
    pub fn media(&self) -> Metrics {
        self.media.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_media(&self, metrics: Metrics) {
        *self.media.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
    }

    /// Looks at what the mixer cannot do, or changes it.
    pub fn mix_problems<T>(&self, look: impl FnOnce(&mut BTreeMap<u64, (String, String)>) -> T) -> T {
        look(&mut self.mix_problems.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds one.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
