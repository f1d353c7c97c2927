//! Places for TCP connections: so many in all, and so many for one address, so that one sender cannot take them all.
//!
//! Whoever comes when there is none is told so, as long as few others are being told at the moment; everybody else is closed.

use super::limiter::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Connections that are told at once why they are refused. Each costs a TLS handshake.
const REFUSING: usize = 64;

/// The places.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: usize,
    per_address: usize,
    taken: Mutex<Taken>,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    refusing: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    /// `None` = a place for being refused.
    address: Option<IpAddr>,
}

/// What a connection gets.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A place.
    In(Place),
    /// The reason to be told, and a place for telling it.
    Refused(String, Place),
    /// Nothing: too many are being refused.
    Closed,
}

impl Places {
    pub(crate) fn new(all: usize, per_address: usize) -> Places {
        Places(Arc::new(Inner { all, per_address, taken: Mutex::default(), emptied: Notify::new() }))
    }

    /// A place for a connection from `ip`, if there is one.
    pub(crate) fn enter(&self, ip: IpAddr) -> Entry {
        let Inner { all, per_address, .. } = *self.0;
        let address = network(ip);
        let mut taken = self.taken();
        let own = taken.by_address.get(&address).copied().unwrap_or(0);
        let reason = if taken.all >= all {
            format!("Limit of {all} connections reached")
        } else if own >= per_address {
            format!("Limit of {per_address} connections from one address reached")
        } else {
            taken.all += 1;
            taken.by_address.insert(address, own + 1);
            return Entry::In(Place { places: self.clone(), address: Some(address) });
        };
        if taken.refusing >= REFUSING {
            return Entry::Closed;
        }
        taken.refusing += 1;
        Entry::Refused(reason, Place { places: self.clone(), address: None })
    }

    /// Returns once nobody has a place.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.0.emptied.notified();
            if self.taken().all == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let Some(address) = self.address else {
            taken.refusing -= 1;
            return;
        };
        taken.all -= 1;
        if let Some(own) = taken.by_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                taken.by_address.remove(&address);
            }
        }
        if taken.all == 0 {
            self.places.0.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn one_address_does_not_take_all_places_and_a_place_given_back_is_free() {
        let places = Places::new(3, 2);
        let mut held = vec![places.enter(ip(1)), places.enter(ip(1))];
        assert!(matches!(places.enter(ip(1)), Entry::Refused(reason, _) if reason.contains("from one address")));
        held.push(places.enter(ip(2)));
        assert!(held.iter().all(|entry| matches!(entry, Entry::In(_))));
        assert!(matches!(places.enter(ip(3)), Entry::Refused(reason, _) if reason == "Limit of 3 connections reached"));
        held.remove(0);
        assert!(matches!(places.enter(ip(3)), Entry::In(_)));
        drop(held);
        assert!(places.taken().by_address.is_empty());
    }

    #[test]
    fn a_flood_at_the_limit_is_closed_without_words() {
        let places = Places::new(0, 1);
        let told: Vec<Entry> = (0..1_000).map(|_| places.enter(ip(1))).collect();
        assert_eq!(told.iter().filter(|entry| matches!(entry, Entry::Refused(..))).count(), REFUSING);
        drop(told);
        assert!(matches!(places.enter(ip(1)), Entry::Refused(..)));
    }

    #[tokio::test]
    async fn empty_waits_for_the_last_one() {
        let places = Places::new(9, 9);
        let Entry::In(place) = places.enter(ip(1)) else { panic!("a place") };
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.empty().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(place);
        waiting.await.unwrap();
    }
}
