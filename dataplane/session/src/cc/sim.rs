//! A peer behind a narrow link, in virtual time: what the stories of congestion control play on.
//!
//! The sender is ours (pacer and estimator, driven in ticks of a millisecond as a shard would); the link has a
//! capacity, a queue, delay, jitter and loss that a story changes as it goes; the receiver answers with transport-wide
//! feedback, written and parsed by `wire`. One seed gives one run.

use super::estimator::{BandwidthEstimator, Limits};
use super::pacer::{Paced, Pacer};
use crate::report::ArrivalRecorder;
use core::time::Duration;
use plenum_packet::{Bitrate, Time};
use plenum_wire::Class;
use plenum_wire::rtcp::{self, Packet};

/// A reproducible source of chance (splitmix64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Between 0 and 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The way to the peer.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) capacity: Bitrate,
    /// Longest queue; what comes on top is lost.
    pub(super) queue: Duration,
    pub(super) delay: Duration,
    /// Each packet waits up to this longer, by chance: packets overtake each other.
    pub(super) jitter: Duration,
    pub(super) loss: f64,
    /// Of the feedback.
    pub(super) feedback_loss: f64,
    /// Nothing passes at all.
    pub(super) cut: bool,
}

impl Link {
    pub(super) fn of(kbps: u64) -> Link {
        Link {
            capacity: Bitrate::kbps(kbps),
            queue: Duration::from_millis(300),
            delay: Duration::from_millis(25),
            jitter: Duration::ZERO,
            loss: 0.0,
            feedback_loss: 0.0,
            cut: false,
        }
    }
}

/// The receiver's clock ahead of ours.
pub(super) const CLOCK_OFFSET: Duration = Duration::from_secs(77_777);

/// How video is made.
#[derive(Clone, Copy)]
pub(super) enum Video {
    /// As much as the estimate allows, less the sound.
    Elastic,
    /// The highest of these layers (kbit/s) that the estimate allows, as simulcast gives it.
    Layers(&'static [u64]),
}

#[derive(Clone, Copy)]
struct Item {
    class: Class,
    slot: u16,
    frame: u32,
    size: usize,
}

impl Paced for Item {
    fn class(&self) -> Class {
        self.class
    }
    fn slot(&self) -> u16 {
        self.slot
    }
    fn frame(&self) -> u32 {
        self.frame
    }
    fn size(&self) -> usize {
        self.size
    }
}

#[derive(Clone, Copy)]
struct InFlight {
    arrives: Time,
    number: u16,
    class: Class,
    made: Time,
}

/// What happened to the sound, and what the receiver got, since [`World::mark`].
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Seen {
    pub(super) audio_sent: u32,
    pub(super) audio_lost: u32,
    /// From being made to arriving, the worst, less the bare delay of the link.
    pub(super) audio_worst_ms: u64,
    pub(super) received_bytes: u64,
    pub(super) lowest: u64,
    pub(super) highest: u64,
    /// Sum of the estimate in every millisecond.
    pub(super) sum: u64,
    pub(super) millis: u64,
}

/// Sender, link and receiver.
pub(super) struct World {
    pub(super) now: Time,
    pub(super) link: Link,
    pub(super) video: Video,
    pub(super) estimator: BandwidthEstimator,
    /// Added to the receiver's clock.
    clock_offset: Duration,
    pub(super) seen: Seen,
    pacer: Pacer<Item>,
    chance: Chance,
    free_at: Time,
    in_flight: Vec<InFlight>,
    recorder: ArrivalRecorder,
    returning: Vec<(Time, Vec<u8>)>,
    frame: u32,
    slots: u16,
}

impl World {
    pub(super) fn new(seed: u64, link: Link) -> World {
        let limits = Limits::default();
        World {
            now: Time::from_millis(1_000_000),
            link,
            video: Video::Elastic,
            estimator: BandwidthEstimator::new(limits, seed.wrapping_mul(7919) as u16),
            clock_offset: CLOCK_OFFSET,
            seen: Seen::default(),
            pacer: Pacer::new(limits.start, limits.start),
            chance: Chance(seed),
            free_at: Time::ZERO,
            in_flight: Vec::new(),
            recorder: ArrivalRecorder::default(),
            returning: Vec::new(),
            frame: 0,
            slots: 1,
        }
    }

    /// Forgets what was seen so far.
    pub(super) fn mark(&mut self) {
        self.seen = Seen { lowest: u64::MAX, ..Seen::default() };
    }

    /// Lets time run.
    pub(super) fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * 1000.0) as u64 {
            self.now += Duration::from_millis(1);
            self.receive();
            self.answer();
            self.make();
            self.send();
            let target = self.estimator.target().bps() / 1000;
            self.seen.lowest = self.seen.lowest.min(target);
            self.seen.highest = self.seen.highest.max(target);
            self.seen.sum += target;
            self.seen.millis += 1;
        }
    }

    /// The receiver's clock jumps. What it noted before is reported before: its own timers are not fooled.
    pub(super) fn jump_clock(&mut self, offset: Duration) {
        while self.recorder.poll_timeout() != Time::NEVER {
            self.run(0.001);
        }
        self.clock_offset = offset;
    }

    /// The estimate, in kbit/s.
    pub(super) fn target(&self) -> u64 {
        self.estimator.target().bps() / 1000
    }

    /// The mean estimate since [`World::mark`], in kbit/s.
    pub(super) fn mean(&self) -> u64 {
        self.seen.sum / self.seen.millis.max(1)
    }

    /// Sound in every 20 ms, a frame in every 33 ms, a key frame in every 10 s.
    fn make(&mut self) {
        let millis = self.now.millis();
        if millis.is_multiple_of(20) {
            self.seen.audio_sent += 1;
            let item = Item { class: Class::Audio, slot: self.slots, frame: millis as u32, size: 120 };
            let _ = self.pacer.push(self.now, item, |_| {});
        }
        if !millis.is_multiple_of(33) {
            return;
        }
        self.frame += 1;
        let room = self.target().saturating_sub(50);
        let rate = match self.video {
            Video::Elastic => room,
            Video::Layers(layers) => layers.iter().copied().filter(|&l| l <= room).max().unwrap_or(0),
        };
        let mean = (rate * 33 / 8) as f64;
        let size = if self.frame.is_multiple_of(300) { mean * 5.0 } else { mean * (0.7 + 0.6 * self.chance.unit()) };
        for slot in 0..self.slots {
            let mut left = size as usize / usize::from(self.slots);
            while left > 0 {
                let size = left.min(1200);
                let item = Item { class: Class::Video, slot, frame: self.frame, size };
                let _ = self.pacer.push(self.now, item, |_| {});
                left -= size;
            }
        }
    }

    fn send(&mut self) {
        if self.now >= self.estimator.poll_timeout() {
            self.estimator.handle_timeout(self.now);
        }
        self.pacer.set_rate(self.now, self.estimator.target(), self.estimator.pacing_rate());
        while let Some(popped) = self.pacer.pop(self.now, |_| {}) {
            self.transmit(popped.item.class, popped.item.size, popped.queued);
        }
        while let Some(due) = self.estimator.next_probe(self.now) {
            let mut due = due as usize;
            while due > 0 {
                self.transmit(Class::Probe, due.clamp(200, 1000), self.now);
                due = due.saturating_sub(1000);
            }
        }
    }

    fn transmit(&mut self, class: Class, size: usize, made: Time) {
        let number = self.estimator.on_sent(self.now, size);
        let waits = self.free_at.since(self.now);
        let unlucky = self.chance.unit() < self.link.loss;
        if self.link.cut || unlucky || waits > self.link.queue {
            self.seen.audio_lost += u32::from(class == Class::Audio);
            return;
        }
        self.free_at = self.free_at.max(self.now) + self.link.capacity.time_for(size as u64);
        let jitter = Duration::from_nanos((self.link.jitter.as_nanos() as f64 * self.chance.unit()) as u64);
        let arrives = self.free_at + self.link.delay + jitter;
        self.seen.received_bytes += size as u64;
        self.in_flight.push(InFlight { arrives, number, class, made });
    }

    fn receive(&mut self) {
        let now = self.now;
        let mut i = 0;
        while i < self.in_flight.len() {
            let packet = self.in_flight[i];
            if packet.arrives > now {
                i += 1;
                continue;
            }
            self.in_flight.swap_remove(i);
            if packet.class == Class::Audio {
                let took = packet.arrives.since(packet.made).saturating_sub(self.link.delay);
                self.seen.audio_worst_ms = self.seen.audio_worst_ms.max(took.as_millis() as u64);
            }
            self.recorder.record(packet.number, packet.arrives + self.clock_offset);
        }
    }

    fn answer(&mut self) {
        let now = self.now;
        while let Some(at) = self.returning.iter().position(|(at, _)| *at <= now) {
            let (_, bytes) = self.returning.remove(at);
            for packet in rtcp::parse(&bytes).unwrap() {
                let Packet::TransportFeedback(feedback) = packet else { panic!("{packet:?}") };
                self.estimator.on_feedback(now, feedback.statuses());
            }
        }
        while now + self.clock_offset >= self.recorder.poll_timeout() {
            let mut bytes = vec![0; 1200];
            let mut writer = rtcp::Writer::new(&mut bytes);
            self.recorder.write(&mut writer, 1, 2).unwrap();
            let len = writer.len();
            bytes.truncate(len);
            if !self.link.cut && self.chance.unit() >= self.link.feedback_loss {
                self.returning.push((now + self.link.delay, bytes));
            }
        }
    }
}
