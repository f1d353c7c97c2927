//! The loss-based part: does the rate cause the loss, or is it the path's own?
//!
//! Loss that a path has anyway (radio) must not cost rate; loss of a full short queue must. One look cannot tell them
//! apart, so this part makes an experiment: when loss rises significantly above what is known to be the path's own, it
//! limits the rate to what was delivered and counts again.
//!
//! ```text
//!               loss significantly above `inherent`
//!   Watching ───────────────────────────────────────► Testing (limit = delivered)
//!      ▲  loss vanished: congestion, the limit becomes the estimate     │
//!      ├────────────────────────────────────────────────────────────────┤
//!      │  loss stayed: it is the path's own, the limit is lifted        │
//!      └────────────────────────────────────────────────────────────────┘  in between: a lower limit, again
//! ```
//!
//! libwebrtc's second loss-based estimator fits the same model (own loss plus a bottleneck) by likelihood; the
//! experiment needs no varying traffic and a few counters. Does not look at delay.

use core::time::Duration;
use plenum_packet::{Bitrate, Time};

/// Loss this far above the path's own is suspicious. Larger: a short queue may lose that much for ever. Smaller: more
/// experiments, each of which costs a part of the rate for about a second.
const SUSPICIOUS: f64 = 0.05;
/// The most loss that is believed to be the path's own. Above, the rate stays limited: at such loss nothing is
/// watchable, and a network that throws away half asks for less.
const MOST_INHERENT: f64 = 0.35;
/// Loss in the first observations is believed to be the path's own, up to this, once so many packets were seen.
const MOST_PRESUMED: f64 = 0.2;
const PRESUMING_PACKETS: u32 = 60;
const UNINFORMED_OBSERVATIONS: usize = 12;
/// An observation is at least this long and this many packets.
const OBSERVATION: Duration = Duration::from_millis(250);
const OBSERVATION_PACKETS: u32 = 20;
/// Observations that make the recent loss, and deviations of chance that it must exceed. More: fewer needless
/// experiments, and small excess is noticed later; a large one stands out at once.
const RECENT: usize = 8;
const SIGMAS: f64 = 4.0;
/// While it watches, what is known of the path's own loss follows the recent loss up to this much: an experiment is
/// short and so a little wrong. Larger: congestion creeps in.
const FLOAT: f64 = 0.03;
/// The knowledge of the path's own loss rests on at most so many times what makes the recent loss: what floats forgets.
const MEMORY: f64 = 8.0;
/// Packets that leave within this time after a cut still meet the old queue; they do not count.
const SETTLE: Duration = Duration::from_millis(300);
/// An experiment ends when the loss in question is [`TEST_SIGMAS`] deviations of what chance does, or after
/// [`TEST_TIME`]. More: surer and slower.
const TEST_SIGMAS: f64 = 4.0;
const TEST_PACKETS: core::ops::RangeInclusive<f64> = 100.0..=400.0;
const TEST_TIME: Duration = Duration::from_millis(2500);
/// Deviations by which loss must have fallen for the rate to be the reason. What made it suspicious was the worst of many
/// looks, so that some fall follows by chance alone. Smaller: chance halves the rate. Larger: congestion is called chance.
const FALL_SIGMAS: f64 = 3.0;
/// One cut takes at most this part away; a burst of loss is no reason to stop.
const LOWEST_CUT: f64 = 0.5;
/// A cut goes to this part of what got through, so that bursts pass too.
const BELOW: f64 = 0.95;
/// One cut leaves at most this part, or the difference would drown in chance.
const LEAST_CUT: f64 = 0.85;

#[derive(Clone, Copy, Default, Debug)]
struct Count {
    packets: u32,
    lost: u32,
}

impl Count {
    fn loss(self) -> f64 {
        f64::from(self.lost) / f64::from(self.packets.max(1))
    }

    /// The standard deviation of the loss seen, if `p` were the truth.
    fn deviation(self, p: f64) -> f64 {
        let p = p.clamp(0.01, 0.5);
        (p * (1.0 - p) / f64::from(self.packets.max(1))).sqrt()
    }

    fn and(self, other: Count) -> Count {
        Count { packets: self.packets + other.packets, lost: self.lost + other.lost }
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Watching,
    Testing { limit: Bitrate, passes: Bitrate, before: Count, since: Time, count: Count },
}

/// What an update decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing new.
    Same,
    /// An experiment began or went on lower: see [`LossBased::limit`].
    Limited,
    /// The rate causes the loss: this much passes.
    Congested(Bitrate),
    /// The loss is the path's own; the limit is lifted.
    Inherent,
}

/// The loss-based part.
#[derive(Debug)]
pub struct LossBased {
    inherent: f64,
    /// What the last experiment said.
    proven: f64,
    /// Packets that this knowledge rests on.
    seen: f64,
    /// Enough was seen of the path to question new loss.
    informed: bool,
    open: Count,
    opened: Option<Time>,
    recent: [Count; RECENT],
    next: usize,
    phase: Phase,
    ignore_until: Time,
}

impl Default for LossBased {
    fn default() -> Self {
        LossBased {
            inherent: 0.0,
            proven: 0.0,
            seen: 0.0,
            informed: false,
            open: Count::default(),
            opened: None,
            recent: [Count::default(); RECENT],
            next: 0,
            phase: Phase::Watching,
            ignore_until: Time::ZERO,
        }
    }
}

impl LossBased {
    /// The part of the packets that the path loses at any rate, 0 to 0.35.
    pub fn inherent(&self) -> f64 {
        self.inherent
    }

    /// The most to send while an experiment runs.
    pub fn limit(&self) -> Option<Bitrate> {
        match self.phase {
            Phase::Watching => None,
            Phase::Testing { limit, .. } => Some(limit),
        }
    }

    /// The fate of a packet that left at `sent`; each packet once.
    pub fn packet(&mut self, sent: Time, lost: bool) {
        if sent < self.ignore_until {
            return;
        }
        let one = |count: &mut Count| {
            count.packets = count.packets.saturating_add(1);
            count.lost = count.lost.saturating_add(u32::from(lost));
        };
        one(&mut self.open);
        if let Phase::Testing { since, count, .. } = &mut self.phase
            && sent >= *since + SETTLE
        {
            one(count);
        }
    }

    /// A long queue stands: what is lost is likely to have overflowed, and is not presumed to be the path's own.
    pub fn crowded(&mut self) {
        self.informed = true;
    }

    /// Begins again at `now`, but for what it knows of the path: what left before was lost for another reason.
    pub fn forget(&mut self, now: Time) {
        *self = LossBased {
            inherent: self.inherent,
            proven: self.proven,
            seen: self.seen,
            informed: true,
            ignore_until: now,
            ..LossBased::default()
        };
    }

    /// The rate was cut because a queue grew: what was lost until that shows says nothing of the new rate. An experiment goes on,
    /// and so do the first observations: without what overflowed at the start, the rest would look like the path's own.
    pub fn settle(&mut self, now: Time) {
        if self.informed && matches!(self.phase, Phase::Watching) {
            self.end_test();
            self.ignore_until = now + SETTLE;
        }
    }

    /// Closes observations and decides. `estimate` is the rate in force, `delivered` what reaches the peer.
    pub fn update(&mut self, now: Time, estimate: Bitrate, delivered: Option<Bitrate>) -> Verdict {
        let opened = *self.opened.get_or_insert(now);
        if now.since(opened) >= OBSERVATION && self.open.packets >= OBSERVATION_PACKETS {
            self.recent[self.next % RECENT] = core::mem::take(&mut self.open);
            self.next += 1;
            self.opened = Some(now);
            if matches!(self.phase, Phase::Watching) {
                return self.watch(now, estimate, delivered);
            }
        }
        self.test(now, estimate, delivered)
    }

    fn recent(&self) -> Count {
        self.recent.iter().fold(Count::default(), |sum, c| Count {
            packets: sum.packets + c.packets,
            lost: sum.lost + c.lost.min(c.packets),
        })
    }

    fn watch(&mut self, now: Time, estimate: Bitrate, delivered: Option<Bitrate>) -> Verdict {
        let recent = self.recent();
        self.informed |= self.next >= UNINFORMED_OBSERVATIONS;
        let noise = SIGMAS * (recent.deviation(self.inherent).powi(2) + self.doubt().powi(2)).sqrt();
        let excess = recent.loss() - self.inherent;
        if excess < -noise {
            // The luckiest of many looks: the truth lies above.
            let loss = recent.loss();
            self.learn((loss + 2.0 * recent.deviation(loss)).min(self.inherent), recent);
        } else if excess <= noise {
            self.inherent = (self.inherent + excess / 32.0).clamp(self.proven - FLOAT, self.proven + FLOAT).max(0.0);
            let packets = f64::from(recent.packets);
            self.seen = (self.seen + packets / RECENT as f64).min(packets * MEMORY);
        }
        if excess > SUSPICIOUS.max(noise) {
            if !self.informed {
                return self.presume(recent);
            }
            // What began a moment ago is larger than the mean of the last seconds says.
            let newest = self.recent[(self.next + RECENT - 1) % RECENT];
            let before = if newest.loss() > recent.loss() { newest } else { recent };
            return self.cut(now, before, recent.loss(), estimate, delivered);
        }
        Verdict::Same
    }

    /// `from`: what says so.
    fn learn(&mut self, loss: f64, from: Count) {
        (self.inherent, self.proven, self.seen) = (loss, loss, f64::from(from.packets));
    }

    /// How far what is known of the path's own loss may be wrong: its standard deviation.
    fn doubt(&self) -> f64 {
        (self.inherent * (1.0 - self.inherent) / self.seen.max(1.0)).sqrt()
    }

    /// Loss from the very beginning, at a low rate, is presumed to be the path's own. Were it congestion, it would
    /// grow with the rate, and an experiment would tell.
    fn presume(&mut self, recent: Count) -> Verdict {
        if recent.packets >= PRESUMING_PACKETS {
            self.informed = true;
            self.learn(recent.loss().min(MOST_PRESUMED), recent);
        }
        Verdict::Same
    }

    fn cut(&mut self, now: Time, before: Count, loss: f64, estimate: Bitrate, delivered: Option<Bitrate>) -> Verdict {
        let passes = estimate.scale((1.0 - loss) / (1.0 - self.inherent) * BELOW);
        let passing = delivered.unwrap_or(estimate.scale(1.0 - before.loss())).scale(BELOW);
        let limit = passing.max(estimate.scale(LOWEST_CUT)).min(estimate.scale(LEAST_CUT));
        self.phase = Phase::Testing { limit, passes, before, since: now, count: Count::default() };
        Verdict::Limited
    }

    fn test(&mut self, now: Time, estimate: Bitrate, delivered: Option<Bitrate>) -> Verdict {
        let Phase::Testing { limit, passes, before: suspicious, since, count } = self.phase else {
            return Verdict::Same;
        };
        let (own, before) = (self.inherent, suspicious.loss());
        let spread = TEST_SIGMAS * TEST_SIGMAS * before * (1.0 - before);
        let enough = (spread / (before - own).powi(2)).clamp(*TEST_PACKETS.start(), *TEST_PACKETS.end());
        let over = f64::from(count.packets) >= enough || now.since(since) >= SETTLE + TEST_TIME;
        if !over || count.packets == 0 {
            return Verdict::Same;
        }
        let loss = count.loss();
        let stayed = (loss - own) / (before - own).max(0.01);
        let all = suspicious.and(count).loss();
        let chance = FALL_SIGMAS * (suspicious.deviation(all).powi(2) + count.deviation(all).powi(2)).sqrt();
        if before - loss >= chance {
            if stayed < 0.5 {
                self.end_test();
                // The limit was low for the difference to show. What passes is what was left of the rate that was too high.
                return Verdict::Congested(passes.max(limit));
            }
        } else if loss - before < chance && loss <= MOST_INHERENT {
            // The rate made no difference. Loss that grew says that the path changed meanwhile, which proves nothing.
            let verdict = if stayed >= 0.65 { Verdict::Inherent } else { Verdict::Same };
            let all = self.recent().and(count);
            self.learn(all.loss().min(MOST_INHERENT), all);
            self.end_test();
            return verdict;
        }
        self.cut(now, count, loss, estimate.min(limit), delivered)
    }

    fn end_test(&mut self) {
        self.phase = Phase::Watching;
        self.recent = [Count::default(); RECENT];
        self.open = Count::default();
        self.opened = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that loses `own` of everything and all above `capacity`, sent at `estimate`; seconds in steps of 50 ms.
    fn run(part: &mut LossBased, from_ms: u64, seconds: u64, own: f64, capacity: f64, mut estimate: f64) -> f64 {
        let (mut sent, mut lost) = (0.0, 0.0);
        for step in 0..seconds * 20 {
            let now = Time::from_millis(from_ms + step * 50);
            let rate = part.limit().map_or(estimate, |limit| estimate.min(limit.bps() as f64));
            let loss = own + (1.0 - own) * (1.0 - capacity / rate).max(0.0);
            sent += rate * 0.05 / 9600.0;
            while sent >= 1.0 {
                sent -= 1.0;
                lost += loss;
                let gone = lost >= 1.0;
                lost -= f64::from(u8::from(gone));
                part.packet(now, gone);
            }
            let delivered = Bitrate((rate * (1.0 - loss)) as u64);
            match part.update(now, Bitrate(rate as u64), Some(delivered)) {
                Verdict::Congested(rate) => estimate = rate.bps() as f64,
                Verdict::Same | Verdict::Limited | Verdict::Inherent => {}
            }
        }
        part.limit().map_or(estimate, |limit| estimate.min(limit.bps() as f64))
    }

    #[test]
    fn a_path_that_loses_a_tenth_keeps_its_rate() {
        let mut part = LossBased::default();
        assert_eq!(run(&mut part, 0, 5, 0.0, 1e9, 2e6), 2e6);
        assert_eq!(run(&mut part, 5000, 10, 0.1, 1e9, 2e6), 2e6);
        assert!((0.08..0.12).contains(&part.inherent()));
        run(&mut part, 15_000, 10, 0.0, 1e9, 2e6);
        assert!(part.inherent() < 0.03, "the path got better, and that is noticed");
    }

    #[test]
    fn what_few_packets_said_of_the_path_is_doubted() {
        for (packets, questioned) in [(100, false), (2000, true)] {
            let mut part = LossBased { informed: true, ..LossBased::default() };
            part.learn(0.05, Count { packets, lost: packets / 20 });
            part.recent = [Count { packets: 40, lost: 5 }; RECENT];
            let limited = part.watch(Time::from_millis(5000), Bitrate::kbps(1200), None) == Verdict::Limited;
            assert_eq!(limited, questioned, "an eighth was lost, and {packets} packets had said a twentieth");
        }
    }

    #[test]
    fn what_a_full_queue_loses_at_the_start_is_not_presumed_to_be_the_paths_own() {
        for crowded in [false, true] {
            let mut part = LossBased::default();
            if crowded {
                part.crowded();
            }
            let rate = run(&mut part, 0, 4, 0.0, 1.6e6, 2e6);
            assert_eq!(part.inherent() < 0.05, crowded, "{}", part.inherent());
            assert_eq!(rate < 1.75e6, crowded, "{rate}");
        }
    }

    #[test]
    fn a_short_queue_that_loses_a_third_brings_the_rate_down_to_what_passes() {
        let mut part = LossBased::default();
        run(&mut part, 0, 5, 0.0, 3e6, 3e6);
        let rate = run(&mut part, 5000, 8, 0.0, 2e6, 3e6);
        assert!((1.7e6..2.11e6).contains(&rate), "{rate}");
        assert!(part.inherent() < 0.05);
    }

    #[test]
    fn a_capacity_of_a_third_is_found_in_steps() {
        let mut part = LossBased::default();
        run(&mut part, 0, 5, 0.02, 3e6, 3e6);
        let rate = run(&mut part, 5000, 12, 0.02, 1e6, 3e6);
        assert!((0.8e6..1.1e6).contains(&rate), "{rate}");
    }

    #[test]
    fn after_an_experiment_the_rate_is_what_passed_though_less_was_sent_than_allowed() {
        let mut part = LossBased::default();
        run(&mut part, 0, 5, 0.0, 1e9, 2e6);
        let (estimate, delivered) = (Bitrate::kbps(2000), Some(Bitrate::kbps(1200)));
        let verdict = (5000..9000).find_map(|ms| {
            let now = Time::from_millis(ms);
            if ms % 5 == 0 {
                part.packet(now, part.limit().is_none() && ms % 35 == 0);
            }
            match part.update(now, estimate, delivered) {
                Verdict::Congested(rate) => Some(rate),
                Verdict::Same | Verdict::Limited => None,
                Verdict::Inherent => panic!("the loss went away"),
            }
        });
        let rate = verdict.expect("a verdict").bps() / 1000;
        assert!((1600..1800).contains(&rate), "a seventh was lost: {rate}");
    }

    #[test]
    fn what_a_queue_lost_before_the_rate_was_cut_costs_no_more_rate() {
        for settled in [false, true] {
            let mut part = LossBased::default();
            run(&mut part, 0, 5, 0.0, 3e6, 3e6);
            // The delay-based part sees the queue and cuts; meanwhile two thirds were lost, and this shows now.
            (0..60).for_each(|i| part.packet(Time::from_millis(5000 + i * 5), i % 3 != 0));
            if settled {
                part.settle(Time::from_millis(5300));
            }
            (0..60).for_each(|i| part.packet(Time::from_millis(5300 + i * 5), i % 3 != 0));
            let rate = run(&mut part, 5600, 5, 0.0, 1e6, 1e6);
            assert_eq!(rate == 1e6, settled, "{rate}");
        }
    }

    #[test]
    fn what_was_lost_while_the_path_was_gone_is_forgotten() {
        let mut part = LossBased::default();
        run(&mut part, 0, 5, 0.0, 1e9, 2e6);
        part.forget(Time::from_millis(9000));
        for i in 0..500 {
            part.packet(Time::from_millis(6000 + i), true);
        }
        assert_eq!(run(&mut part, 9000, 5, 0.0, 1e9, 2e6), 2e6);
    }
}
