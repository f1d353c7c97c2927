//! Rate control: additive or multiplicative increase, multiplicative decrease (draft-ietf-rmcat-gcc-02, section 5.5).
//!
//! Down to a part of what was delivered when the path is overused; up gently near the rate at which that happened last,
//! and in proportion elsewhere. Never up beyond what the last traffic could have shown.

use super::overuse::Usage;
use core::time::Duration;
use plenum_packet::{Bitrate, Time};

/// Part of the delivered rate that remains after overuse. Larger: the queue hardly drains. Smaller: rate is wasted.
const DECREASE: f64 = 0.85;
/// The same for a queue that just began: a burst, or the capacity reached from below. Larger: the queue grows on. Smaller: the rate
/// stays far below the capacity most of the time.
const GENTLE: f64 = 0.93;
/// The same on a path whose jitter blurs what is measured: decreases are more than there are queues, and the lowest of several looks
/// decides. Larger: the queue grows on. Smaller: the rate is too low by as much on average.
const BLURRED: f64 = 0.94;
/// Least growth per second, as a part of the rate, near the capacity of a path whose jitter blurs what is measured: probes show
/// little there. Larger: overuse is more frequent. Smaller: what one false alarm took is missing for longer.
const REGAIN: f64 = 0.04;
/// There, a decrease shows in what is delivered so much later.
const BLUR: Duration = Duration::from_millis(100);
/// Growth per second away from the known capacity. Larger: overshoots further. Smaller: slow where probes cannot help.
const GROWTH: f64 = 1.08;
/// Growth per second below [`FAR`] of the known capacity: that much passed already. Larger: less time for feedback to say that it
/// does no more. Smaller: what a false alarm or a cautious probe took is missing for longer.
const RETURN: f64 = 1.25;
/// See [`RETURN`]. Larger: a decrease is undone before the queue has drained.
const FAR: f64 = 0.84;
/// Growth per second before the first overuse, when nothing is known of the path and jitter blurs the probes.
const FIRST_GROWTH: f64 = 1.5;
/// The estimate grows at most to this times what was delivered: more was not shown to pass.
const AHEAD: f64 = 1.5;
const AHEAD_MORE: f64 = 10_000.0;
/// Standard deviations around the mean capacity that count as "near".
const NEAR: f64 = 3.0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Hold,
    Increase,
}

/// What is known of the path when its usage is judged.
#[derive(Clone, Copy, Default, Debug)]
pub struct Seen {
    /// The rate that reaches the peer.
    pub delivered: Option<Bitrate>,
    /// The queue just began.
    pub young: bool,
    /// Jitter blurs both what is delivered and what probes show.
    pub blurred: bool,
}

/// The rate control.
#[derive(Debug)]
pub struct Aimd {
    current: f64,
    state: State,
    capacity: Capacity,
    last_update: Option<Time>,
    last_decrease: Option<Time>,
    /// What remained at the last overuse.
    last_part: f64,
    min: f64,
    max: f64,
}

impl Aimd {
    /// A control that begins at `start` and stays within `min` and `max`.
    pub fn new(start: Bitrate, min: Bitrate, max: Bitrate) -> Aimd {
        let mut aimd = Aimd {
            current: 0.0,
            state: State::Increase,
            capacity: Capacity::default(),
            last_update: None,
            last_decrease: None,
            last_part: DECREASE,
            min: 0.0,
            max: 0.0,
        };
        aimd.set_bounds(min, max);
        aimd.set(start);
        aimd
    }

    /// Changes the bounds.
    pub fn set_bounds(&mut self, min: Bitrate, max: Bitrate) {
        self.min = min.bps() as f64;
        self.max = (max.bps() as f64).max(self.min);
        self.current = self.current.clamp(self.min, self.max);
    }

    /// The rate now.
    pub fn rate(&self) -> Bitrate {
        Bitrate(self.current as u64)
    }

    /// Sets the rate: a probe or the loss-based part knows better.
    pub fn set(&mut self, rate: Bitrate) {
        self.current = (rate.bps() as f64).clamp(self.min, self.max);
    }

    /// A probe passed at `rate`: raises the rate to it, and forgets a capacity that was lower.
    pub fn raise(&mut self, rate: Bitrate) {
        if rate.bps() as f64 > self.current {
            if rate.bps() as f64 > self.capacity.upper() {
                self.capacity = Capacity::default();
            }
            self.set(rate);
        }
    }

    /// A probe found that `rate` passes, and filled a queue: as [`Aimd::raise`], and that queue costs nothing more.
    pub fn raise_once(&mut self, now: Time, rate: Bitrate) {
        if rate > self.rate() {
            self.raise(rate);
            self.last_decrease = Some(now);
        }
    }

    /// Follows the verdict of `usage`. Says whether it decreased.
    pub fn update(&mut self, now: Time, usage: Usage, seen: Seen, rtt: Duration) -> bool {
        let passed = now.since(self.last_update.unwrap_or(now)).min(Duration::from_secs(1)).as_secs_f64();
        self.last_update = Some(now);
        match usage {
            Usage::Under => self.state = State::Hold,
            Usage::Over => return self.decrease(now, seen, rtt),
            Usage::Normal if self.state == State::Hold => self.state = State::Increase,
            Usage::Normal => self.increase(passed, seen, rtt),
        }
        false
    }

    /// Loss says that no more than `rate` passes: down to it, and gently up from there.
    pub fn overused(&mut self, now: Time, rate: Bitrate) {
        self.last_decrease = Some(now);
        self.capacity = Capacity::default();
        self.capacity.overused_at(rate.bps() as f64);
        self.set(rate.min(self.rate()));
    }

    /// Whether the path was overused at about this rate.
    pub fn knows_capacity(&self) -> bool {
        self.capacity.mean.is_some()
    }

    /// What was taken for the capacity is not: the rate may grow as in the beginning.
    pub fn forget_capacity(&mut self) {
        self.capacity = Capacity::default();
        self.last_decrease = None;
    }

    /// Keeps the rate as it is for now: time passes, nothing grows.
    pub fn hold(&mut self, now: Time) {
        self.last_update = Some(now);
    }

    fn increase(&mut self, passed: f64, seen: Seen, rtt: Duration) {
        let Some(delivered) = seen.delivered.map(|rate| rate.bps() as f64) else { return };
        if delivered > self.capacity.upper() {
            self.capacity = Capacity::default();
        }
        let grown = if self.current < self.capacity.mean.unwrap_or(0.0) * 1e3 * FAR {
            self.current * RETURN.powf(passed)
        } else if self.capacity.mean.is_some() {
            let least = if seen.blurred { self.current * REGAIN } else { 0.0 };
            self.current + passed * self.additive(rtt).max(least)
        } else {
            let growth = if self.last_decrease.is_none() { FIRST_GROWTH } else { GROWTH };
            self.current * growth.powf(passed) + passed * 1000.0
        };
        let bound = (delivered * AHEAD + AHEAD_MORE).max(self.current);
        self.current = grown.min(bound).clamp(self.min, self.max);
    }

    /// Bits per second per second near the capacity: about a packet per response time.
    fn additive(&self, rtt: Duration) -> f64 {
        let frame_bits = self.current / 30.0;
        let packet_bits = frame_bits / (frame_bits / (8.0 * 1200.0)).ceil().max(1.0);
        (packet_bits / (rtt.as_secs_f64() + 0.1)).max(4000.0)
    }

    fn decrease(&mut self, now: Time, seen: Seen, rtt: Duration) -> bool {
        let part = match (seen.blurred, seen.young) {
            (true, _) => BLURRED,
            (false, true) => GENTLE,
            (false, false) => DECREASE,
        };
        let known = seen.delivered.map(|rate| rate.bps() as f64);
        let pause = rtt.clamp(Duration::from_millis(10), Duration::from_millis(200));
        let pause = if seen.blurred { pause + BLUR } else { pause };
        let collapsed = known.is_some_and(|rate| rate < self.current / 2.0);
        // A queue that turns out to be no burst is met at once.
        let grown = part < core::mem::replace(&mut self.last_part, part);
        if self.last_decrease.is_some_and(|last| now.since(last) < pause) && !collapsed && !grown {
            return false;
        }
        // Before anything was measured, halve: too much was sent from the start.
        let rate = known.map_or(self.current * 0.5, |rate| rate * part);
        self.state = State::Hold;
        self.last_decrease = Some(now);
        if let Some(known) = known {
            if known < self.capacity.lower() {
                self.capacity = Capacity::default();
            }
            self.capacity.overused_at(known);
        }
        let decreased = rate < self.current;
        self.current = rate.min(self.current).clamp(self.min, self.max);
        decreased
    }
}

/// Mean and deviation of what was delivered at overuse.
#[derive(Debug, Default)]
struct Capacity {
    mean: Option<f64>,
    /// Variance relative to the mean, kbit/s.
    deviation: f64,
}

impl Capacity {
    fn overused_at(&mut self, rate: f64) {
        let kbps = rate / 1e3;
        let mean = self.mean.map_or(kbps, |mean| 0.95 * mean + 0.05 * kbps);
        let norm = mean.max(1.0);
        let error = mean - kbps;
        self.deviation = (0.95 * self.deviation.max(0.4) + 0.05 * error * error / norm).clamp(0.4, 2.5);
        self.mean = Some(mean);
    }

    fn spread(&self) -> f64 {
        NEAR * (self.deviation * self.mean.unwrap_or(0.0)).sqrt()
    }

    fn upper(&self) -> f64 {
        self.mean.map_or(f64::INFINITY, |mean| (mean + self.spread()) * 1e3)
    }

    fn lower(&self) -> f64 {
        self.mean.map_or(0.0, |mean| (mean - self.spread()).max(0.0) * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn delivered(kbps: u64) -> Seen {
        Seen { delivered: Some(Bitrate::kbps(kbps)), ..Seen::default() }
    }

    fn control() -> Aimd {
        Aimd::new(Bitrate::kbps(1000), Bitrate::kbps(50), Bitrate::kbps(10_000))
    }

    #[test]
    fn overuse_brings_the_rate_below_what_was_delivered_once_per_round_trip() {
        let mut aimd = control();
        assert!(aimd.update(Time::from_millis(0), Usage::Over, delivered(800), RTT));
        assert_eq!(aimd.rate(), Bitrate::kbps(680));
        assert!(!aimd.update(Time::from_millis(20), Usage::Over, delivered(700), RTT));
        assert_eq!(aimd.rate(), Bitrate::kbps(680));
        assert!(aimd.update(Time::from_millis(80), Usage::Over, delivered(700), RTT));
        assert_eq!(aimd.rate(), Bitrate::kbps(595));
        assert!(aimd.update(Time::from_millis(200), Usage::Over, Seen { young: true, ..delivered(600) }, RTT));
        assert_eq!(aimd.rate(), Bitrate::kbps(558), "a queue that just began costs less");
    }

    #[test]
    fn the_rate_grows_only_as_far_as_traffic_showed() {
        let mut aimd = control();
        for i in 0..1000 {
            aimd.update(Time::from_millis(i * 50), Usage::Normal, delivered(1000), RTT);
        }
        assert_eq!(aimd.rate(), Bitrate::kbps(1510));
        for i in 1000..1100 {
            aimd.update(Time::from_millis(i * 50), Usage::Normal, delivered(10), RTT);
        }
        assert_eq!(aimd.rate(), Bitrate::kbps(1510), "little traffic is no reason to go down");
    }

    #[test]
    fn where_jitter_blurs_what_is_measured_a_decrease_is_gentle_and_soon_regained() {
        let mut aimd = Aimd::new(Bitrate::kbps(5000), Bitrate::kbps(50), Bitrate::kbps(10_000));
        let seen = |kbps| Seen { blurred: true, ..delivered(kbps) };
        assert!(aimd.update(Time::from_millis(0), Usage::Over, seen(5000), RTT));
        assert_eq!(aimd.rate(), Bitrate::kbps(4700));
        assert!(!aimd.update(Time::from_millis(100), Usage::Over, seen(4500), RTT), "too early to see the first one");
        for i in 0..=42 {
            aimd.update(Time::from_millis(100 + i * 50), Usage::Normal, seen(4600), RTT);
        }
        assert!(aimd.rate() > Bitrate::kbps(5000), "two seconds later: {:?}", aimd.rate());
    }

    #[test]
    fn far_below_the_known_capacity_it_returns_soon() {
        let mut aimd = control();
        aimd.set(Bitrate::kbps(2000));
        aimd.update(Time::from_millis(0), Usage::Over, Seen { young: true, ..delivered(2000) }, RTT);
        aimd.set(Bitrate::kbps(1000));
        let seconds = |aimd: &mut Aimd, from: u64, count: u64| {
            for i in 0..count * 20 {
                aimd.update(Time::from_millis(from * 1000 + i * 50), Usage::Normal, delivered(1900), RTT);
            }
        };
        seconds(&mut aimd, 1, 3);
        assert!((Bitrate::kbps(1600)..Bitrate::kbps(1760)).contains(&aimd.rate()), "{:?}", aimd.rate());
        seconds(&mut aimd, 4, 1);
        assert!(aimd.rate() < Bitrate::kbps(1800), "gently from there: {:?}", aimd.rate());
    }

    #[test]
    fn what_a_probe_found_is_not_taken_back_because_the_probe_filled_a_queue() {
        let mut aimd = control();
        aimd.raise_once(Time::from_millis(0), Bitrate::kbps(1500));
        assert!(!aimd.update(Time::from_millis(20), Usage::Over, Seen { young: true, ..delivered(1000) }, RTT));
        assert_eq!(aimd.rate(), Bitrate::kbps(1500));
        aimd.raise_once(Time::from_millis(100), Bitrate::kbps(700));
        assert!(aimd.update(Time::from_millis(120), Usage::Over, Seen { young: true, ..delivered(1000) }, RTT));
        assert_eq!(aimd.rate(), Bitrate::kbps(930), "one that found less changes nothing");
    }

    #[test]
    fn near_the_capacity_the_rate_grows_slowly() {
        let mut aimd = control();
        aimd.update(Time::from_millis(0), Usage::Over, delivered(1000), RTT);
        for i in 1..=20 {
            aimd.update(Time::from_millis(i * 50), Usage::Normal, delivered(850), RTT);
        }
        assert!((Bitrate::kbps(880)..Bitrate::kbps(930)).contains(&aimd.rate()), "{:?}", aimd.rate());
    }
}
