//! How much one address may ask: token buckets, two for each address, in a bounded table.
//!
//! A burst of ten seconds' worth may come at once: a meeting room behind one NAT joins together. When the table is full of
//! addresses that are using their share, strangers share one bucket: memory stays bounded and nobody known is disturbed.
//! Work stays bounded too: a full table is swept once a second at most, whatever comes.

use crate::driver::Clock;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Addresses that are remembered. Each costs some 60 bytes.
const ADDRESSES: usize = 65_536;
/// Seconds between two sweeps of a full table: each looks at every address.
const SWEEP: f64 = 1.0;
/// Seconds of rate that may come at once.
const BURST: f64 = 10.0;
/// What a wrong PIN or password costs: with the default rate two guesses a second, so that four digits take an hour and six
/// take days, from one address.
pub(crate) const WRONG_GUESS: f64 = 10.0;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any request.
    Request,
    /// A join or a login.
    Join,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: f64,
}

#[derive(Debug, Default)]
struct Table {
    known: HashMap<(IpAddr, bool), Bucket>,
    strangers: [Option<Bucket>; 2],
    /// When the table was swept last; `None` = never.
    swept: Option<f64>,
    #[cfg(test)]
    sweeps: u32,
}

/// The table.
#[derive(Debug)]
pub struct Limiter {
    clock: Clock,
    rates: [f64; 2],
    table: Mutex<Table>,
}

impl Limiter {
    /// Rates a second for [`Kind::Request`] and [`Kind::Join`].
    pub fn new(clock: Clock, requests: u32, joins: u32) -> Limiter {
        Limiter { clock, rates: [f64::from(requests), f64::from(joins)], table: Mutex::new(Table::default()) }
    }

    /// Whether `address` may ask now; if so it has paid.
    pub fn allow(&self, address: IpAddr, kind: Kind) -> bool {
        self.pay_at(self.clock.elapsed().as_secs_f64(), address, kind, 1.0)
    }

    /// Takes more for what turned out to be a wrong guess, as far as there is any left.
    pub(crate) fn charge(&self, address: IpAddr, cost: f64) {
        let now = self.clock.elapsed().as_secs_f64();
        let rate = self.rates[Kind::Join as usize];
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = table.known.get_mut(&(network(address), true)) {
            bucket.left = (bucket.filled(now, rate) - cost).max(0.0);
            bucket.at = now;
        }
    }

    fn pay_at(&self, now: f64, address: IpAddr, kind: Kind, cost: f64) -> bool {
        let rate = self.rates[kind as usize];
        let key = (network(address), kind == Kind::Join);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.known.len() >= ADDRESSES && !table.known.contains_key(&key) {
            table.sweep(now, self.rates);
        }
        let full = table.known.len() >= ADDRESSES && !table.known.contains_key(&key);
        let fresh = Bucket { left: rate * BURST, at: now };
        let bucket = if full {
            table.strangers[kind as usize].get_or_insert(fresh)
        } else {
            table.known.entry(key).or_insert(fresh)
        };
        bucket.left = bucket.filled(now, rate);
        bucket.at = now;
        let enough = bucket.left >= cost;
        if enough {
            bucket.left -= cost;
        }
        enough
    }
}

impl Table {
    /// Forgets who has used nothing lately: a full bucket and none are the same.
    fn sweep(&mut self, now: f64, rates: [f64; 2]) {
        if self.swept.is_some_and(|at| now < at + SWEEP) {
            return;
        }
        self.swept = Some(now);
        #[cfg(test)]
        {
            self.sweeps += 1;
        }
        self.known.retain(|(_, join), bucket| {
            let rate = rates[usize::from(*join)];
            bucket.filled(now, rate) < rate * BURST
        });
    }
}

impl Bucket {
    fn filled(&self, now: f64, rate: f64) -> f64 {
        (self.left + (now - self.at).max(0.0) * rate).min(rate * BURST)
    }
}

/// An IPv6 customer has a /64 and can use any address of it.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn an_address_may_burst_then_gets_its_rate_and_others_are_not_disturbed() {
        let limiter = Limiter::new(Clock::manual().0, 100, 2);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let joins = |now: f64| (0..100).filter(|_| limiter.pay_at(now, one, Kind::Join, 1.0)).count();
        assert_eq!(joins(0.0), 20);
        assert_eq!(joins(0.4), 0);
        assert_eq!(joins(1.0), 2);
        assert!(limiter.pay_at(1.0, "192.0.2.2".parse().unwrap(), Kind::Join, 1.0));
        assert!(limiter.pay_at(1.0, one, Kind::Request, 1.0), "requests have their own bucket");
    }

    #[test]
    fn an_ipv6_network_is_one_customer() {
        let limiter = Limiter::new(Clock::manual().0, 1, 1);
        let at = |n: u16| format!("2001:db8::{n:x}").parse::<IpAddr>().unwrap();
        let allowed = (0..100).filter(|n| limiter.pay_at(0.0, at(*n), Kind::Request, 1.0)).count();
        assert_eq!(allowed, 10);
    }

    #[test]
    fn a_flood_of_addresses_costs_bounded_memory_and_work_and_no_known_address() {
        let limiter = Limiter::new(Clock::manual().0, 1, 1);
        let known: IpAddr = "192.0.2.1".parse().unwrap();
        limiter.pay_at(0.0, known, Kind::Request, 1.0);
        for n in 0..100_000u32 {
            limiter.pay_at(0.001, IpAddr::V4(Ipv4Addr::from(n)), Kind::Request, 1.0);
        }
        {
            let table = limiter.table.lock().unwrap();
            assert!(table.known.len() <= ADDRESSES);
            assert_eq!(table.sweeps, 1, "34,000 strangers came within a second");
        }
        assert!(limiter.pay_at(0.002, known, Kind::Request, 1.0));
        // Later the table is swept.
        assert!(limiter.pay_at(60.0, "198.51.100.7".parse().unwrap(), Kind::Request, 1.0));
        assert_eq!(limiter.table.lock().unwrap().known.len(), 1);
    }
}
