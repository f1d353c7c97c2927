//! The bandwidth estimate of one peer: everything that is known of the path joins here.
//!
//! Call [`BandwidthEstimator::on_sent`] for every packet that leaves and stamp the number it gives; pass feedback in;
//! read [`BandwidthEstimator::target`]. Fill [`BandwidthEstimator::next_probe`] with retransmissions or padding.
//! Nothing is allocated after [`BandwidthEstimator::new`]. Feedback is authenticated but not trusted: any values are
//! taken, none moves the estimate outside of its [`Limits`].

use super::arrival::ArrivalClock;
use super::gcc::aimd::{Aimd, Seen};
use super::gcc::loss::{LossBased, Verdict};
use super::gcc::throughput::Throughput;
use super::gcc::{DelayBased, LONG_QUEUE_MS, Usage};
use super::probe::Prober;
use super::remb::RembEstimator;
use super::send_history::{Acked, SendHistory};
use core::time::Duration;
use plenum_packet::{Bitrate, Time};
use plenum_wire::rtcp::Status;

/// Round trip that is assumed before one was measured.
const DEFAULT_RTT: Duration = Duration::from_millis(100);
/// Packets are out and no feedback came for this long: the path, or the way back, is gone or full. Longer: a queue of
/// that length builds up at a path that vanished. Shorter: lost feedback looks like it.
const SILENCE: Duration = Duration::from_secs(1);
/// A packet is lost when one that left this much later was received and it still was not. Larger: late to react to
/// loss. Smaller: reordering looks like loss.
const REORDERING: Duration = Duration::from_millis(150);
/// In silence the rate falls to this part in every [`SILENCE_STEP`].
const SILENCE_FACTOR: f64 = 0.8;
/// See [`SILENCE_FACTOR`].
const SILENCE_STEP: Duration = Duration::from_millis(500);
/// A fall below this part of the rate is followed by a probe of where it was, as soon as the path is quiet.
const DEEP_FALL: f64 = 0.66;
/// A fall of the delay-based part below this part of the rate explains the loss so far: a queue overflowed. Larger: loss is examined
/// later where both come together. Smaller: one overflow costs rate twice.
const DEEP_CUT: f64 = 0.85;
/// A probe that shows this much more than the estimate, though not all that it asked, is followed by another one, which asks for
/// [`MORE_ASKED`] of what it showed, after [`AGAIN`], where jitter may have hidden the rest. Smaller: more padding on a path that is full.
const MUCH_MORE: f64 = 1.15;
const MORE_ASKED: f64 = 1.5;
const AGAIN: Duration = Duration::from_millis(500);
/// The rate before a deep fall is worth a probe for this long.
const REMEMBER: Duration = Duration::from_secs(5);
/// How long the path must be quiet before that probe.
const QUIET: Duration = Duration::from_millis(700);
/// Without transport-wide feedback for this long, REMB and loss decide.
const TWCC_GONE: Duration = Duration::from_secs(10);
/// A queue longer than [`LONG_QUEUE_MS`] is drained: the target falls by a thousandth for each further millisecond, faster the
/// longer it is, at most by this.
const MOST_DRAIN: f64 = 0.65;
/// So much more must be wanted for a probe out of turn. Smaller: measured rates that wobble cause probes.
const MORE_WANTED: f64 = 1.2;
/// Such a probe asks for so much more than the estimate; what passes is followed by another one.
const MOST_ASKED: f64 = 2.0;
/// Where the noise of single packets is above this, what a look at the path shows is blurred. Larger: rate is wasted where packets
/// are late at random. Smaller: a path that narrows is followed more gently where nothing calls for it.
const BLURRED_MS: f64 = 8.0;
/// A probe that would disturb (a queue stands, loss is examined, nobody answers) is tried again after this.
const PUT_OFF: Duration = Duration::from_millis(50);
/// Released packets may leave this much faster than the estimate. Larger: key frames fill the queue of a narrow path at
/// once. Smaller: they wait here.
const PACING: f64 = 1.5;
/// The same for a peer without transport-wide feedback, whose queue is not seen: what waits here when a path narrowed must not
/// keep that queue full.
const BLIND_PACING: f64 = 1.1;

/// Where the estimate may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Before anything is known.
    pub start: Bitrate,
    /// Never below: audio must pass.
    pub min: Bitrate,
    /// Never above.
    pub max: Bitrate,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { start: Bitrate::kbps(500), min: Bitrate::kbps(50), max: Bitrate::kbps(30_000) }
    }
}

/// What metrics and the quality event show.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot {
    /// The estimate.
    pub target: Bitrate,
    /// What reached the peer in the last half second.
    pub delivered: Bitrate,
    /// Round trip, smallest recent.
    pub rtt: Duration,
    /// The loss that the path has anyway, 0 to 1.
    pub inherent_loss: f64,
    /// Delay above its recent floor, milliseconds.
    pub queue_ms: f64,
    /// The peer sends transport-wide feedback.
    pub transport_wide: bool,
}

/// The estimator.
#[derive(Debug)]
pub struct BandwidthEstimator {
    limits: Limits,
    wanted: Bitrate,
    /// What was wanted when a probe was asked for because of that, or less since.
    considered: Bitrate,
    history: SendHistory,
    clock: ArrivalClock,
    delay: DelayBased,
    loss: LossBased,
    throughput: Throughput,
    aimd: Aimd,
    prober: Prober,
    remb: RembEstimator,
    rtt: Option<Duration>,
    rtt_given: bool,
    last_feedback: Option<Time>,
    /// When the oldest packet left that no feedback came after.
    unanswered: Option<Time>,
    /// When the newest packet left that the peer received.
    newest_acked: Time,
    /// Highest number that feedback spoke of, and about when that packet arrived.
    spoken: Option<(u64, i64)>,
    silence: Option<Silence>,
    fall: Option<Fall>,
    quiet_since: Option<Time>,
    now: Time,
}

#[derive(Debug, Clone, Copy)]
struct Silence {
    before: Bitrate,
    next_step: Time,
}

#[derive(Debug, Clone, Copy)]
struct Fall {
    from: Bitrate,
    at: Time,
}

impl BandwidthEstimator {
    /// An estimator whose first packet gets transport-wide number `first_sequence` (random by RFC 3550's advice).
    pub fn new(limits: Limits, first_sequence: u16) -> BandwidthEstimator {
        let Limits { start, min, max } = limits;
        BandwidthEstimator {
            limits,
            wanted: Bitrate::MAX,
            considered: Bitrate::MAX,
            history: SendHistory::starting_at(first_sequence),
            clock: ArrivalClock::default(),
            delay: DelayBased::default(),
            loss: LossBased::default(),
            throughput: Throughput::default(),
            aimd: Aimd::new(start, min, max),
            prober: Prober::default(),
            remb: RembEstimator::new(start, min, max),
            rtt: None,
            rtt_given: false,
            last_feedback: None,
            unanswered: None,
            newest_acked: Time::ZERO,
            spoken: None,
            silence: None,
            fall: None,
            quiet_since: None,
            now: Time::ZERO,
        }
    }

    /// Changes the limits; the estimate moves inside.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.aimd.set_bounds(limits.min, limits.max);
        self.remb.set_bounds(limits.min, limits.max);
    }

    /// What would be sent if bandwidth were no matter: nothing is probed for beyond it. [`Bitrate::MAX`] at first.
    /// Asks for a probe at once when clearly more is wanted than before and than the estimate allows: somebody joined, a tile
    /// grew.
    pub fn set_wanted(&mut self, wanted: Bitrate) {
        self.wanted = wanted;
        self.considered = self.considered.min(wanted);
        if wanted > self.considered.scale(MORE_WANTED) && wanted > self.target() && self.last_feedback.is_some() {
            self.considered = wanted;
            self.prober.request(self.now, self.target().scale(MOST_ASKED));
        }
    }

    /// A packet of `size` bytes leaves, headers of UDP and IP included: the rates here are those of the path. The
    /// transport-wide number to stamp.
    pub fn on_sent(&mut self, now: Time, size: usize) -> u16 {
        self.now = now;
        self.unanswered.get_or_insert(now);
        let size = size.min(usize::from(u16::MAX)) as u16;
        let cluster = self.prober.on_sent(now, size);
        self.history.sent(now, size, cluster) as u16
    }

    /// A transport-wide feedback message: its statuses, in order.
    pub fn on_feedback(&mut self, now: Time, statuses: impl IntoIterator<Item = Status>) {
        self.now = now;
        let mut news = None;
        // Numbers that no feedback speaks of: their feedback was lost. They are credited when an arrival follows.
        let mut unspoken = 0;
        for status in statuses {
            let Some(sequence) = self.history.unwrap(status.sequence) else { continue };
            let last = self.spoken.map(|(last, _)| last);
            let ahead = last.is_some_and(|last| sequence > last);
            if let Some(last) = last.filter(|last| sequence > last + 1) {
                unspoken += self.history.bytes_between(last, sequence);
            }
            let Some(ticks) = status.arrival else {
                self.history.lost(sequence);
                self.spoken = self.spoken.map(|(last, at)| (last.max(sequence), at));
                continue;
            };
            let arrival_us = self.clock.unwrap(ticks);
            let Some(acked) = self.history.received(now, sequence, arrival_us) else { continue };
            news = news.max(Some(acked.sent));
            self.acked(&acked, ahead || last.is_none() || acked.recovered);
            if let Some((_, at)) = self.spoken.filter(|_| unspoken > 0) {
                let passed = f64::from(unspoken) * (1.0 - self.loss.inherent());
                self.throughput.span(at, arrival_us, passed as u32);
            }
            unspoken = 0;
            if ahead || last.is_none() {
                self.spoken = Some((sequence, arrival_us));
            }
        }
        let Some(newest_sent) = news else { return };
        let loss = &mut self.loss;
        self.history.settle(now, newest_sent.before(REORDERING), |sent, lost| loss.packet(sent, lost));
        self.answered(now, newest_sent);
        self.update(now);
    }

    /// Packets take another path from now on (ICE): what was measured says nothing of it. The rate begins again, at no
    /// more than the start, and is asked for at once.
    pub fn on_path_change(&mut self, now: Time) {
        self.delay.reset();
        self.throughput.reset();
        self.prober.reset();
        self.loss.forget(now);
        (self.rtt, self.rtt_given, self.silence, self.fall, self.spoken) = (None, false, None, None, None);
        let before = self.aimd.rate();
        self.aimd.forget_capacity();
        self.aimd.set(before.min(self.limits.start));
        if self.last_feedback.is_some() {
            self.prober.request(now, before);
        }
    }

    /// A measured round trip (RFC 3550 section 6.4.1).
    pub fn on_rtt(&mut self, rtt: Duration) {
        self.rtt = Some(rtt);
        self.rtt_given = true;
    }

    /// A report block about one of our streams: fraction lost in 1/256. Counts only without transport-wide feedback.
    pub fn on_rtcp_loss(&mut self, now: Time, fraction_lost: u8) {
        self.now = now;
        self.remb.on_loss(now, fraction_lost);
    }

    /// The peer's own estimate. Counts only without transport-wide feedback.
    pub fn on_remb(&mut self, now: Time, rate: Bitrate) {
        self.now = now;
        self.remb.on_remb(now, rate);
    }

    /// What may be sent on average.
    pub fn target(&self) -> Bitrate {
        if !self.is_transport_wide() {
            // Who gave transport-wide feedback and stopped is not believed to have become a REMB peer.
            return if self.last_feedback.is_none() { self.remb.target(self.now) } else { self.aimd.rate() };
        }
        let limit = self.loss.limit().unwrap_or(Bitrate::MAX);
        let long = (self.delay.queue_ms() - LONG_QUEUE_MS).max(0.0) / 1000.0;
        let drain = (long * (1.0 + long)).min(MOST_DRAIN);
        self.aimd.rate().min(limit).scale(1.0 - drain).clamp(self.limits.min, self.limits.max.max(self.limits.min))
    }

    /// How fast the pacer lets packets go: above the target, and at a probe's rate while one is sent.
    pub fn pacing_rate(&self) -> Bitrate {
        let paced = match self.is_transport_wide() {
            false => self.target().scale(BLIND_PACING),
            // What waits here must not keep the queue there.
            true if self.delay.queue_ms() > LONG_QUEUE_MS => self.target(),
            true => self.target().scale(PACING),
        };
        self.prober.rate().map_or(paced, |rate| rate.max(paced))
    }

    /// Bytes that should leave now, beside what the pacer releases anyway, as retransmissions or padding. Pass what
    /// leaves to [`BandwidthEstimator::on_sent`] as ever.
    pub fn next_probe(&mut self, now: Time) -> Option<u32> {
        self.prober.due(now)
    }

    /// When to call [`BandwidthEstimator::handle_timeout`] and then [`BandwidthEstimator::next_probe`]; later than now
    /// when both were called.
    pub fn poll_timeout(&self) -> Time {
        let silence = match (self.silence, self.unanswered) {
            (Some(silence), Some(_)) => silence.next_step,
            (None, Some(since)) if self.last_feedback.is_some() => since + self.patience(),
            _ => Time::NEVER,
        };
        self.prober.poll_timeout().min(silence)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.prober.handle_timeout(now);
        self.fall_silent(now);
        if self.silence.is_some() || self.loss.limit().is_some() || self.delay.queue_ms() > LONG_QUEUE_MS {
            return self.prober.put_off(now + PUT_OFF);
        }
        let ceiling = self.limits.max.min(self.wanted.scale(1.2));
        let jitter = Duration::from_micros((self.delay.packet_jitter_ms().clamp(0.0, 1000.0) * 1e3) as u64);
        self.prober.begin(now, (self.target(), self.aimd.knows_capacity()), ceiling, jitter);
    }

    /// Values for metrics.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            target: self.target(),
            delivered: self.throughput.long().unwrap_or_default(),
            rtt: self.rtt.unwrap_or(DEFAULT_RTT),
            inherent_loss: self.loss.inherent(),
            queue_ms: self.delay.queue_ms(),
            transport_wide: self.is_transport_wide(),
        }
    }

    fn is_transport_wide(&self) -> bool {
        self.last_feedback.is_some_and(|last| self.now.since(last) < TWCC_GONE)
    }

    fn acked(&mut self, acked: &Acked, uncredited: bool) {
        if self.clock.jumped(acked.sent, acked.arrival_us) {
            self.delay.reset();
            self.throughput.reset();
            self.prober.reset();
            self.spoken = None;
        }
        self.newest_acked = self.newest_acked.max(acked.sent);
        if uncredited {
            self.throughput.packet(acked.arrival_us, acked.size);
        }
        self.delay.packet(acked);
        self.prober.on_acked(acked);
    }

    fn answered(&mut self, now: Time, newest_sent: Time) {
        let sample = now.since(newest_sent);
        if !self.rtt_given {
            // The smallest, forgotten slowly: feedback waits at the peer, more or less.
            let known = self.rtt.unwrap_or(sample);
            self.rtt = Some(if sample < known { sample } else { known + (sample - known) / 64 });
        }
        self.last_feedback = Some(now);
        self.prober.start(now, self.limits.start);
        self.unanswered = (self.history.last_sent() > newest_sent).then_some(now);
        if let Some(silence) = self.silence.take() {
            // What was lost meanwhile says nothing about rates; where we were is worth a question.
            self.loss.forget(now);
            self.fall = None;
            self.prober.request(now, silence.before);
        }
    }

    fn update(&mut self, now: Time) {
        let before = self.target();
        let usage = self.delay.usage();
        let inherent = self.loss.inherent();
        let passing = |rate: Option<Bitrate>| rate.map(|rate| rate.scale(1.0 / (1.0 - inherent)));
        let rtt = self.rtt.unwrap_or(DEFAULT_RTT);
        let outcome = self.prober.outcome(now, self.newest_acked.before(REORDERING), inherent);
        if let Some(outcome) = outcome {
            if !outcome.passed && self.is_blurred() && outcome.rate > before.scale(MUCH_MORE) {
                self.prober.request(now + AGAIN, outcome.rate.scale(MORE_ASKED));
            }
            if usage != Usage::Over {
                self.aimd.raise(outcome.rate);
            } else if self.delay.queue_ms() < LONG_QUEUE_MS {
                // The probe's own queue, and what it found is what passes.
                self.aimd.raise_once(now, outcome.rate);
            }
        }
        let delivered = if usage == Usage::Over { self.overused_at(before) } else { self.throughput.long() };
        if usage == Usage::Normal && self.loss.limit().is_some() {
            self.aimd.hold(now);
        } else {
            let (young, blurred) = (self.queue_is_young(), self.is_blurred());
            self.aimd.update(now, usage, Seen { delivered: passing(delivered), young, blurred }, rtt);
        }
        if self.target() < before.scale(DEEP_CUT) {
            self.loss.settle(now);
        }
        if self.delay.queue_ms() > LONG_QUEUE_MS {
            self.loss.crowded();
        }
        let undrained = self.aimd.rate().min(self.loss.limit().unwrap_or(Bitrate::MAX));
        match self.loss.update(now, undrained, passing(self.throughput.long())) {
            Verdict::Congested(rate) => self.aimd.overused(now, rate),
            Verdict::Inherent => {
                // What earlier experiments took for the capacity may have been this loss.
                self.aimd.forget_capacity();
                self.prober.request(now, self.aimd.rate().scale(2.0));
            }
            Verdict::Same | Verdict::Limited => {}
        }
        self.recover(now, usage, before);
    }

    /// The rate at which the path is overused: what it delivers. A queue that just began says that a burst was too fast, and
    /// little of the path: what was delivered is then what was sent, and that may be far less than passes.
    fn overused_at(&self, target: Bitrate) -> Option<Bitrate> {
        let throughput = &self.throughput;
        let delivered = match self.is_blurred() {
            // It stands for long: so does what passes, and a longer look evens out what jitter moved.
            true if !self.queue_is_young() => throughput.steady().max(throughput.long()),
            true => throughput.steady(),
            false => throughput.busy(self.delay.queue_ms()).or(throughput.short()),
        }?;
        Some(if self.queue_is_young() { delivered.max(target) } else { delivered })
    }

    /// Whether jitter blurs what is measured of the path.
    fn is_blurred(&self) -> bool {
        self.delay.packet_jitter_ms() > BLURRED_MS
    }

    /// Whether the queue just began: a burst makes one that is not long. A path that narrowed makes it long soon.
    fn queue_is_young(&self) -> bool {
        self.delay.queue_ms() < LONG_QUEUE_MS
    }

    /// After a deep fall and some quiet, asks whether the path is as wide as before.
    fn recover(&mut self, now: Time, usage: Usage, before: Bitrate) {
        if self.target() < before {
            let from = self.fall.filter(|fall| now.since(fall.at) < REMEMBER).map_or(before, |fall| fall.from);
            self.fall = Some(Fall { from, at: now });
        }
        if usage != Usage::Normal {
            self.quiet_since = None;
            return;
        }
        let quiet = now.since(*self.quiet_since.get_or_insert(now));
        if let Some(fall) = self.fall
            && quiet >= QUIET
        {
            self.fall = None;
            if now.since(fall.at) < REMEMBER && self.target() < fall.from.scale(DEEP_FALL) {
                self.prober.request(now, fall.from.scale(0.85));
            }
        }
    }

    fn patience(&self) -> Duration {
        SILENCE + self.rtt.unwrap_or(DEFAULT_RTT)
    }

    fn fall_silent(&mut self, now: Time) {
        let Some(since) = self.unanswered.filter(|_| self.last_feedback.is_some()) else { return };
        let patience = self.patience();
        if self.silence.is_none() && now.since(since) >= patience {
            self.silence = Some(Silence { before: self.target(), next_step: now });
        }
        if let Some(silence) = &mut self.silence
            && now >= silence.next_step
        {
            silence.next_step = now + SILENCE_STEP;
            self.aimd.set(self.aimd.rate().scale(SILENCE_FACTOR));
        }
    }
}
