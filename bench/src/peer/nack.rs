//! Which packets of a stream are missing, and when to ask for them; duplicates, reordering and loss are counted here.

use plenum_packet::Time;
use plenum_wire::seq::Extender;
use std::collections::BTreeMap;
use std::time::Duration;

/// Requests for one packet.
const TRIES: u8 = 10;
/// Missing packets that are remembered; more are given up, and a key frame must help.
const MOST: usize = 1000;
/// Numbers of which it is remembered whether they came.
const WINDOW: u64 = 4096;
/// Longest time that reordering is waited for before a packet is asked for.
const PATIENCE: Duration = Duration::from_millis(120);

#[derive(Debug)]
struct Missing {
    since: Time,
    next: Time,
    tries: u8,
}

/// What a packet's number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    New,
    /// It filled a hole.
    Late,
    Duplicate,
}

/// The numbers of one stream.
#[derive(Default)]
pub(crate) struct Nack {
    numbers: Extender,
    first: Option<u64>,
    received: Vec<u64>,
    missing: BTreeMap<u64, Missing>,
    /// How long packets that nobody asked for came late, lately.
    reordering: Duration,
    unique: u64,
    reordered: u64,
    duplicates: u64,
    asked: u64,
    given_up: u64,
}

impl Nack {
    /// A packet arrived; `repaired` when by RTX. `ask` is whether holes are asked for at all.
    pub(crate) fn arrived(&mut self, now: Time, sequence: u16, repaired: bool, ask: bool) -> Place {
        if self.received.is_empty() {
            self.received = vec![0; WINDOW as usize];
        }
        if repaired && self.numbers.highest().is_none() {
            return Place::Duplicate;
        }
        let highest = self.numbers.highest();
        let number = match repaired {
            false => self.numbers.extend(sequence),
            true => self.numbers.peek(sequence),
        };
        let slot = &mut self.received[(number % WINDOW) as usize];
        if *slot == number || highest.is_some_and(|h| number + WINDOW <= h) {
            self.duplicates += 1;
            return Place::Duplicate;
        }
        *slot = number;
        self.unique += 1;
        self.first = Some(self.first.map_or(number, |f| f.min(number)));
        let Some(highest) = highest else { return Place::New };
        if number < highest {
            self.filled(now, number, repaired);
            return Place::Late;
        }
        if ask {
            let next = now + self.reordering.min(PATIENCE);
            for hole in (highest + 1).max(number.saturating_sub(MOST as u64))..number {
                self.missing.insert(hole, Missing { since: now, next, tries: 0 });
            }
            while self.missing.len() > MOST {
                self.missing.pop_first();
                self.given_up += 1;
            }
        }
        Place::New
    }

    fn filled(&mut self, now: Time, number: u64, repaired: bool) {
        let missing = self.missing.remove(&number);
        if repaired {
            return;
        }
        self.reordered += 1;
        if let Some(missing) = missing {
            let late = now.since(missing.since);
            self.reordering = if late > self.reordering { late } else { self.reordering * 15 / 16 + late / 16 };
        }
    }

    /// When [`Nack::take`] has something.
    pub(crate) fn poll_timeout(&self) -> Time {
        self.missing.values().map(|m| m.next).min().unwrap_or(Time::NEVER)
    }

    /// The numbers to ask for now; asked again after `rtt`.
    pub(crate) fn take(&mut self, now: Time, rtt: Duration, out: &mut Vec<u16>) {
        let given_up = &mut self.given_up;
        self.missing.retain(|number, missing| {
            if missing.next > now {
                return true;
            }
            if missing.tries == TRIES {
                *given_up += 1;
                return false;
            }
            missing.tries += 1;
            missing.next = now + rtt.max(Duration::from_millis(20)) + Duration::from_millis(10);
            out.push(*number as u16);
            true
        });
        self.asked += out.len() as u64;
    }

    /// Somebody else asked for packets of this stream.
    pub(crate) fn note_asked(&mut self, packets: u64) {
        self.asked += packets;
    }

    /// What is missing is of no use any more: a key frame came.
    pub(crate) fn forget_holes(&mut self) {
        self.missing.clear();
    }

    /// Packets that should have come, and those that did.
    pub(crate) fn expected_and_received(&self) -> (u64, u64) {
        match (self.first, self.numbers.highest()) {
            (Some(first), Some(highest)) => (highest - first + 1, self.unique),
            _ => (0, 0),
        }
    }

    pub(crate) fn highest(&self) -> Option<u64> {
        self.numbers.highest()
    }

    /// Reordered, duplicated, asked for.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.reordered, self.duplicates, self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_asked_for_until_it_is_filled() {
        let mut nack = Nack::default();
        let t = Time::from_millis;
        let mut out = vec![];
        assert_eq!(nack.arrived(t(0), 65_534, false, true), Place::New);
        assert_eq!(nack.arrived(t(1), 1, false, true), Place::New);
        nack.take(t(1), Duration::from_millis(50), &mut out);
        assert_eq!(out, [65_535, 0]);
        out.clear();
        assert_eq!(nack.arrived(t(30), 0, true, true), Place::Late);
        assert_eq!(nack.arrived(t(31), 0, false, true), Place::Duplicate);
        nack.take(t(40), Duration::from_millis(50), &mut out);
        assert!(out.is_empty(), "a round trip did not pass");
        nack.take(t(70), Duration::from_millis(50), &mut out);
        assert_eq!(out, [65_535]);
        assert_eq!(nack.expected_and_received(), (4, 3));
        assert_eq!(nack.counts(), (0, 1, 3));
    }

    #[test]
    fn reordering_is_waited_for_once_it_was_seen() {
        let mut nack = Nack::default();
        let t = Time::from_millis;
        for (at, sequence) in [(0, 10), (1, 12), (21, 11)] {
            nack.arrived(t(at), sequence, false, true);
        }
        let mut out = vec![];
        nack.arrived(t(30), 14, false, true);
        nack.take(t(31), Duration::ZERO, &mut out);
        assert!(out.is_empty());
        nack.take(t(50), Duration::ZERO, &mut out);
        assert_eq!(out, [13]);
    }
}
