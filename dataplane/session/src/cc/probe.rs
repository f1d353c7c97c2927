//! Probing: is there more than the estimate says? When to ask, what to send, and what the answer means.
//!
//! ```text
//!  start, periodic, after a drop ──► cluster: some ms at a rate above the estimate ──► feedback ──► rate that passed
//!              ▲                                                                                        │
//!              └─────────────── passed nearly whole: ask for twice as much ◄────────────────────────────┘
//! ```
//!
//! One cluster at a time. The sender fills it with whatever waits, with retransmissions and with padding; all that
//! leaves meanwhile belongs to it. The answer is the slope of arrival time over bytes sent, so that lost packets and
//! jitter blur it little. Decides no rate by itself.

use super::send_history::{Acked, Cluster};
use core::time::Duration;
use plenum_packet::{Bitrate, Time};

/// A cluster lasts at least this long and has at least so many packets. Longer: surer, and a larger queue when it
/// fails.
const SHORTEST: Duration = Duration::from_millis(15);
const MIN_PACKETS: u32 = 5;
/// With jitter a cluster lasts so many times the jitter. Longer: a queue of that length at a path that is full. Shorter: jitter
/// blurs what it shows.
const JITTERS: u32 = 9;
/// And up to this long.
const LONGEST: Duration = Duration::from_millis(150);
/// And no longer than makes a queue of this where nothing passes above the estimate.
const MOST_QUEUE: Duration = Duration::from_millis(100);
/// A cluster that could not be sent (nothing to fill it with) ends after this.
const GIVE_UP: Duration = Duration::from_millis(600);
/// Feedback for a cluster is awaited this long after its last packet.
const AWAIT: Duration = Duration::from_secs(1);
/// First rate probed, in starts; each success is followed by a probe of [`NEXT`] times the result.
const FIRST: f64 = 3.0;
const NEXT: f64 = 2.0;
/// What is probed now and then where the path was overused before, in estimates. Larger: each such probe fills its queue.
/// Smaller: nothing new is learned.
const NEAR: f64 = 1.5;
/// A probe has passed whole when its result is at least this part of its rate.
const PASSED: f64 = 0.78;
/// Time between probes while more is wanted than the estimate allows. Longer: slow to see a wider path. Shorter: more
/// padding on a path that is full (15 ms of twice the rate in every 5 s are 0.6 %).
pub const INTERVAL: Duration = Duration::from_secs(5);
/// A probe that nobody needs is thought of again after this.
const NEEDLESS: Duration = Duration::from_millis(200);
/// Most bytes that are asked for at once: a tick's worth of padding.
const MAX_DUE: u64 = 12_000;

/// A cluster being sent.
#[derive(Clone, Copy, Debug)]
struct Sending {
    id: Cluster,
    rate: Bitrate,
    bytes: u64,
    created: Time,
    started: Option<Time>,
    sent: u64,
    packets: u32,
    /// When the sender is to be asked again.
    next: Time,
}

/// A cluster whose feedback comes in: sums for the line of arrival over bytes.
#[derive(Clone, Copy, Debug)]
struct Measuring {
    id: Cluster,
    rate: Bitrate,
    sent_bytes: u64,
    packets: u32,
    last_sent: Time,
    sent_for: Duration,
    deadline: Time,
    closed: bool,
    origin: Option<(u32, i64)>,
    received: u32,
    x: f64,
    y: f64,
    xy: f64,
    xx: f64,
    yy: f64,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The rate that passes, as far as the probe could show.
    pub rate: Bitrate,
    /// Nearly all of what was asked passed; more may.
    pub passed: bool,
}

/// The prober.
#[derive(Debug)]
pub struct Prober {
    sending: Option<Sending>,
    measuring: Option<Measuring>,
    /// A rate to probe at as soon as no cluster is under way.
    wanted: Option<(Bitrate, Time)>,
    last_id: Cluster,
    next_periodic: Time,
    started: bool,
}

impl Default for Prober {
    fn default() -> Self {
        Prober { sending: None, measuring: None, wanted: None, last_id: 0, next_periodic: Time::NEVER, started: false }
    }
}

impl Prober {
    /// The first feedback came: probing begins.
    pub fn start(&mut self, now: Time, start: Bitrate) {
        if !core::mem::replace(&mut self.started, true) {
            self.next_periodic = now + INTERVAL;
            self.request(now, start.scale(FIRST));
        }
    }

    /// Asks for a probe at `rate`, from `at` on; replaces one that was asked for and not begun.
    pub fn request(&mut self, at: Time, rate: Bitrate) {
        self.wanted = Some((rate, at));
    }

    /// No probe begins before `until`.
    pub fn put_off(&mut self, until: Time) {
        if self.started {
            self.next_periodic = self.next_periodic.max(until);
        }
        self.wanted = self.wanted.map(|(rate, at)| (rate, at.max(until)));
    }

    /// Whether a cluster is being sent or its feedback awaited.
    pub fn is_busy(&self) -> bool {
        self.sending.is_some() || self.measuring.is_some()
    }

    /// The rate at which the pacer has to let packets go for a cluster that is being sent.
    pub fn rate(&self) -> Option<Bitrate> {
        self.sending.map(|s| s.rate)
    }

    /// Begins a probe that is due. `ceiling` bounds its rate; a probe that could not exceed `estimate` is not made.
    /// `near` says that the estimate is near what overused the path; `jitter` is the path's noise.
    pub fn begin(&mut self, now: Time, (estimate, near): (Bitrate, bool), ceiling: Bitrate, jitter: Duration) {
        if self.is_busy() {
            return;
        }
        let rate = match self.wanted {
            Some((rate, at)) if now >= at => rate,
            None if now >= self.next_periodic => estimate.scale(if near { NEAR } else { NEXT }),
            _ => return,
        };
        if ceiling < estimate.scale(1.05) {
            // Nobody needs more: asked again when somebody may, so that a picture that begins later finds its rate at once.
            return self.put_off(now + NEEDLESS);
        }
        self.wanted = None;
        self.next_periodic = now + INTERVAL;
        let rate = rate.min(ceiling);
        if rate < estimate.scale(1.05) {
            return;
        }
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let over = rate.bps().saturating_sub(estimate.bps()) as f64 / estimate.bps().max(1) as f64;
        let harmless = MOST_QUEUE.div_f64(over.max(0.1));
        let bytes = rate.bytes_in((jitter * JITTERS).min(harmless).clamp(SHORTEST, LONGEST));
        self.sending = Some(Sending {
            id: self.last_id,
            rate,
            bytes,
            created: now,
            started: None,
            sent: 0,
            packets: 0,
            next: now,
        });
    }

    /// Bytes that should leave now for the cluster. `None` when none are due. Ask again at [`Prober::poll_timeout`].
    pub fn due(&mut self, now: Time) -> Option<u32> {
        let sending = self.sending.as_mut().filter(|s| now >= s.next)?;
        let elapsed = sending.started.map_or(Duration::ZERO, |at| now.since(at));
        let target = sending.rate.bytes_in(elapsed) + 1;
        // Whatever the sender does with the answer, it is asked again only a little later.
        sending.next = now + Duration::from_millis(1);
        (target > sending.sent).then(|| (target - sending.sent).clamp(200, MAX_DUE) as u32)
    }

    /// A packet leaves; the cluster that it belongs to (0: none).
    pub fn on_sent(&mut self, now: Time, size: u16) -> Cluster {
        let Some(sending) = &mut self.sending else { return 0 };
        let started = *sending.started.get_or_insert(now);
        sending.sent += u64::from(size);
        sending.packets += 1;
        sending.next = (started + sending.rate.time_for(sending.sent)).max(now);
        let done = *sending;
        if done.packets == 1 {
            self.measuring = Some(Measuring::of(&done, now));
        }
        if let Some(measuring) = &mut self.measuring {
            measuring.last_sent = now;
            measuring.sent_bytes = done.sent;
            measuring.packets = done.packets;
            measuring.sent_for = now.since(started);
            measuring.deadline = now + AWAIT;
            measuring.closed = done.sent >= done.bytes && done.packets >= MIN_PACKETS;
            if measuring.closed {
                self.sending = None;
            }
        }
        done.id
    }

    /// A packet of a cluster was received.
    pub fn on_acked(&mut self, acked: &Acked) {
        if let Some(measuring) = self.measuring.as_mut().filter(|m| m.id == acked.cluster) {
            measuring.add(acked);
        }
    }

    /// What the cluster showed, once all of it was received or the rest of it will not be: the fate of all that left before
    /// `settled` is known. `loss` is the part of packets that the path loses anyway.
    pub fn outcome(&mut self, now: Time, settled: Time, loss: f64) -> Option<Outcome> {
        let told = |m: &Measuring| m.received >= m.packets || settled >= m.last_sent || now >= m.deadline;
        let measuring = self.measuring.filter(|m| m.closed && told(m))?;
        self.measuring = None;
        let rate = measuring.rate(loss)?.min(measuring.rate);
        let passed = rate >= measuring.rate.scale(PASSED);
        if passed {
            self.request(now, rate.scale(NEXT));
        }
        Some(Outcome { rate, passed })
    }

    /// The peer's clock jumped: what was measured so far means nothing.
    pub fn reset(&mut self) {
        self.sending = None;
        self.measuring = None;
    }

    /// Gives up clusters that cannot be filled or are not answered.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.sending.is_some_and(|s| now >= s.created + GIVE_UP) {
            self.sending = None;
            match &mut self.measuring {
                Some(measuring) if measuring.packets >= MIN_PACKETS => measuring.closed = true,
                _ => self.measuring = None,
            }
        }
        if self.measuring.is_some_and(|m| m.closed && now >= m.deadline + AWAIT) {
            self.measuring = None;
        }
    }

    /// When there is something to do or to send. Before the first packet never.
    pub fn poll_timeout(&self) -> Time {
        match (&self.sending, &self.measuring) {
            (Some(sending), _) => sending.next.min(sending.created + GIVE_UP),
            (None, Some(measuring)) => measuring.deadline + AWAIT,
            (None, None) => self.next_periodic.min(self.wanted.map_or(Time::NEVER, |(_, at)| at)),
        }
    }
}

impl Measuring {
    fn of(sending: &Sending, now: Time) -> Measuring {
        Measuring {
            id: sending.id,
            rate: sending.rate,
            sent_bytes: 0,
            packets: 0,
            last_sent: now,
            sent_for: Duration::ZERO,
            deadline: now + AWAIT,
            closed: false,
            origin: None,
            received: 0,
            x: 0.0,
            y: 0.0,
            xy: 0.0,
            xx: 0.0,
            yy: 0.0,
        }
    }

    fn add(&mut self, acked: &Acked) {
        let (bytes, arrival) = *self.origin.get_or_insert((acked.cumulative, acked.arrival_us));
        let x = f64::from(acked.cumulative.wrapping_sub(bytes) as i32);
        let y = acked.arrival_us.saturating_sub(arrival) as f64;
        self.received += 1;
        self.x += x;
        self.y += y;
        self.xy += x * y;
        self.xx += x * x;
        self.yy += y * y;
    }

    fn rate(&self, loss: f64) -> Option<Bitrate> {
        // Fewer than two thirds of what usually arrives: the answer is too thin. Fewer at all: a queue overflowed.
        let whole = f64::from(self.received) / (f64::from(self.packets) * (1.0 - loss));
        if whole < 0.66 || self.received < 3 {
            return None;
        }
        let n = f64::from(self.received);
        let covariance = self.xy - self.x * self.y / n;
        let variance = self.xx - self.x * self.x / n;
        // Microseconds per byte. Not growing at all means faster than the clock can tell.
        let slope = covariance / variance;
        // Jitter makes the line uncertain; the careful end of it counts.
        let residual = (self.yy - self.y * self.y / n - slope * covariance).max(0.0);
        let slope = slope + (residual / (n - 2.0) / variance).sqrt();
        let arrived = if slope > 1e-6 { 8e6 / slope } else { f64::INFINITY };
        let first = self.sent_bytes as f64 / f64::from(self.packets.max(1));
        let sent_for = self.sent_for.as_secs_f64();
        let left = if sent_for > 1e-6 { (self.sent_bytes as f64 - first) * 8.0 / sent_for } else { f64::INFINITY };
        let rate = left.min(arrived);
        if !rate.is_finite() {
            return None;
        }
        // What came out slower than it went in shows the path's capacity, which should not be filled to the brim.
        let rate = if arrived < 0.9 * left { arrived * 0.95 } else { rate };
        Some(Bitrate((rate * whole.min(1.0)) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a cluster over a path of `capacity` and gives the result.
    fn probe(prober: &mut Prober, from: u64, capacity: Bitrate, lose: u64) -> (Option<Outcome>, u64) {
        let (mut cumulative, mut free_us, mut sequence) = (0u32, 0u64, from * 100);
        let mut acked = Vec::new();
        let mut ms = from;
        prober.begin(Time::from_millis(ms), (Bitrate::kbps(300), false), Bitrate::kbps(20_000), Duration::ZERO);
        while prober.rate().is_some() {
            let now = Time::from_millis(ms);
            let mut due = prober.due(now).unwrap_or(0);
            while due > 0 && prober.rate().is_some() {
                cumulative += 1000;
                sequence += 1;
                let cluster = prober.on_sent(now, 1000);
                free_us = free_us.max(ms * 1000) + capacity.time_for(1000).as_micros() as u64;
                let arrival_us = free_us as i64 + 20_000;
                if lose == 0 || !sequence.is_multiple_of(lose) {
                    let size = 1000;
                    let sent = now;
                    acked.push(Acked { sequence, sent, arrival_us, size, cumulative, cluster, recovered: false });
                }
                due = due.saturating_sub(1000);
            }
            ms += 1;
            assert!(ms < from + 1000, "a cluster ends");
        }
        acked.iter().for_each(|a| prober.on_acked(a));
        (prober.outcome(Time::from_millis(ms), Time::from_millis(ms), 0.0), ms)
    }

    #[test]
    fn probes_double_until_the_path_is_full_and_find_its_rate() {
        let mut prober = Prober::default();
        prober.start(Time::ZERO, Bitrate::kbps(300));
        let (first, ms) = probe(&mut prober, 0, Bitrate::kbps(3000), 0);
        assert!(first.unwrap().passed);
        let (second, ms) = probe(&mut prober, ms, Bitrate::kbps(3000), 0);
        assert!(second.unwrap().passed);
        let (third, _) = probe(&mut prober, ms, Bitrate::kbps(3000), 0);
        let rate = third.unwrap().rate;
        assert!((Bitrate::kbps(2500)..Bitrate::kbps(3100)).contains(&rate), "{rate:?}");
    }

    #[test]
    fn a_probe_that_nobody_needs_yet_waits_until_somebody_does() {
        let mut prober = Prober::default();
        let t = Time::from_millis;
        let (start, none) = (Bitrate::kbps(500), Duration::ZERO);
        prober.start(t(0), start);
        prober.begin(t(0), (start, false), Bitrate::ZERO, none);
        assert!(!prober.is_busy() && prober.poll_timeout() == t(0) + NEEDLESS);
        prober.begin(t(300), (start, false), Bitrate::kbps(1200), none);
        assert_eq!(prober.rate(), Some(Bitrate::kbps(1200)));
    }

    #[test]
    fn a_probe_at_a_path_that_is_full_fills_no_long_queue() {
        let jitter = Duration::from_millis(30);
        for times in [1.5, 2.0, 3.0, 6.0] {
            let estimate = Bitrate::kbps(1000);
            let mut prober = Prober::default();
            prober.request(Time::ZERO, estimate.scale(times));
            prober.begin(Time::ZERO, (estimate, false), Bitrate::MAX, jitter);
            let sending = prober.sending.unwrap();
            let lasts = sending.rate.time_for(sending.bytes);
            let queue = lasts.mul_f64(times - 1.0);
            assert!(lasts >= SHORTEST && queue <= MOST_QUEUE * 101 / 100, "{times}: {lasts:?}, a queue of {queue:?}");
        }
    }

    #[test]
    fn lost_packets_do_not_blur_the_answer() {
        let mut prober = Prober::default();
        prober.request(Time::ZERO, Bitrate::kbps(10_000));
        let (outcome, _) = probe(&mut prober, 0, Bitrate::kbps(4000), 9);
        let rate = outcome.unwrap().rate;
        assert!((Bitrate::kbps(3200)..Bitrate::kbps(4100)).contains(&rate), "{rate:?}");
    }

    #[test]
    fn a_probe_that_cannot_be_filled_ends_and_asks_for_no_busy_loop() {
        let mut prober = Prober::default();
        prober.start(Time::ZERO, Bitrate::kbps(300));
        prober.begin(Time::ZERO, (Bitrate::kbps(300), false), Bitrate::MAX, Duration::ZERO);
        let mut asked = 0;
        let mut now = prober.poll_timeout();
        while prober.rate().is_some() {
            assert!(prober.due(now).is_some());
            asked += 1;
            assert!(prober.poll_timeout() > now, "time moves on");
            now = prober.poll_timeout();
            prober.handle_timeout(now);
        }
        assert!(asked <= 601 && !prober.is_busy());
    }
}
