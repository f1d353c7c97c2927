//! One direction of a way between a peer and the server: loss, reordering, duplication, delay with jitter, and a bottleneck.
//!
//! Jitter is drawn for each packet and so reorders; swaying keeps the order, as a queue that others fill does. All of it may
//! change while packets fly. Only sizes and times matter: contents never do, so that random bytes of a handshake do not change a run.

use crate::random::Random;
use plenum_packet::{Bitrate, Time};
use std::time::Duration;

/// How a way treats packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Chance that a packet is lost.
    pub(crate) loss: f64,
    /// Chance that a packet is held back by up to `reorder_by`, so that later ones overtake it.
    pub(crate) reorder: f64,
    pub(crate) reorder_by: Duration,
    /// Chance that a packet comes twice.
    pub(crate) duplicate: f64,
    pub(crate) delay: Duration,
    /// Most that each packet is late, evenly spread: netem's jitter.
    pub(crate) jitter: Duration,
    /// Most that the delay sways, in order, with a new goal every 50 ms.
    pub(crate) sway: Duration,
    /// The bottleneck, and how long a packet may wait in front of it.
    pub(crate) rate: Option<Bitrate>,
    pub(crate) queue: Duration,
}

impl Way {
    /// A good way: 20 ms, nothing else.
    pub(crate) const GOOD: Way = Way {
        loss: 0.0,
        reorder: 0.0,
        reorder_by: Duration::from_millis(30),
        duplicate: 0.0,
        delay: Duration::from_millis(20),
        jitter: Duration::ZERO,
        sway: Duration::ZERO,
        rate: None,
        queue: Duration::from_millis(300),
    };

    /// What the issue calls bad: 10 % loss, reordering, 100 ms jitter; and some packets twice.
    pub(crate) const BAD: Way =
        Way { loss: 0.1, reorder: 0.02, duplicate: 0.005, jitter: Duration::from_millis(100), ..Way::GOOD };
}

/// Goals of the wandering delay last this long.
const WANDER: Duration = Duration::from_millis(50);
/// IP and UDP headers.
const HEADERS: u64 = 28;

/// A direction.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) way: Way,
    random: Random,
    /// When the bottleneck is free again.
    free: Time,
    last: Time,
    /// Where the delay wanders: from, to, since.
    wander: (f64, f64, Time),
    pub(crate) lost: u64,
    pub(crate) overflowed: u64,
    pub(crate) passed: u64,
}

impl Link {
    pub(crate) fn new(way: Way, random: Random) -> Link {
        Link {
            way,
            random,
            free: Time::ZERO,
            last: Time::ZERO,
            wander: (0.0, 0.0, Time::ZERO),
            lost: 0,
            overflowed: 0,
            passed: 0,
        }
    }

    /// When a packet of `size` bytes arrives: not at all, once, or twice.
    pub(crate) fn send(&mut self, now: Time, size: usize) -> impl Iterator<Item = Time> + use<> {
        let arrivals = self.pass(now, size);
        arrivals.into_iter().flatten()
    }

    fn pass(&mut self, now: Time, size: usize) -> [Option<Time>; 2] {
        // Every chance is drawn for every packet, so that one outcome does not shift the others.
        let (lose, hold, twice) = (self.random.unit(), self.random.unit(), self.random.unit());
        let (held, late) = (self.random.unit(), self.random.unit());
        let mut leaves = now;
        if let Some(rate) = self.way.rate {
            if self.free.since(now) > self.way.queue {
                self.overflowed += 1;
                return [None, None];
            }
            // Sizes of handshakes vary by some bytes from run to run.
            let bytes = (size as u64 + HEADERS).next_multiple_of(16);
            self.free = self.free.max(now) + rate.time_for(bytes);
            leaves = self.free;
        }
        if lose < self.way.loss {
            self.lost += 1;
            return [None, None];
        }
        self.passed += 1;
        let in_order = (leaves + self.way.delay + self.sway(leaves)).max(self.last);
        self.last = in_order;
        let mut arrival = in_order + self.way.jitter.mul_f64(late);
        if hold < self.way.reorder {
            arrival += self.way.reorder_by.mul_f64(held);
        }
        let again = (twice < self.way.duplicate).then(|| arrival + Duration::from_millis(3));
        [Some(arrival), again]
    }

    fn sway(&mut self, now: Time) -> Duration {
        if self.way.sway.is_zero() {
            return Duration::ZERO;
        }
        while now.since(self.wander.2) > WANDER {
            let since = if now.since(self.wander.2) > WANDER * 20 { now } else { self.wander.2 + WANDER };
            self.wander = (self.wander.1, self.random.unit(), since);
        }
        let part = now.since(self.wander.2).as_secs_f64() / WANDER.as_secs_f64();
        let (from, to, _) = self.wander;
        self.way.sway.mul_f64((from + (to - from) * part).clamp(0.0, 1.0))
    }
}
