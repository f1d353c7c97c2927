//! Senders, tracks and slots in virtual time: what a receiver is sent passes the independent guard, whatever is lost,
//! reordered, switched or replaced before.

use plenum_packet::{DropReason, Pool, Time};
use plenum_route::guard::{Guard, Rules, Seen, Violation, Watched};
use plenum_route::{
    Accepted, Arrival, CacheLimits, Codec, Format, Frame, Kind, Layer, PacketInfo, PictureId, Seed, Subscriber, Track,
};
use plenum_wire::{Patch, Plan, PlanExtensions};
use proptest::prelude::*;
use std::time::Duration;

const VP8: Format = Format { codec: Codec::Vp8, profile: 0, clock: 90_000 };
const PAYLOAD_TYPE: u8 = 96;

/// Chromium's three temporal layers: (layer, depends on the base alone).
const PATTERN: [(u8, bool); 4] = [(0, false), (2, true), (1, true), (2, false)];

/// One encoder of a sender.
struct Encoder {
    encoding: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    frames: u64,
    key_wanted: bool,
    packets: u16,
}

impl Encoder {
    fn new(sender: u32, encoding: u8) -> Encoder {
        let mix = (sender * 7919 + u32::from(encoding) * 104_729).wrapping_mul(2_654_435_761);
        Encoder {
            encoding,
            ssrc: mix,
            sequence: 65_500u16.wrapping_add(mix as u16 % 50),
            timestamp: mix,
            picture_id: 0x7ff0 + (mix % 10) as u16,
            tl0: mix as u8,
            frames: 0,
            key_wanted: true,
            packets: 1 + u16::from(encoding) * 2,
        }
    }

    /// The packets of the next frame, captured at `now`.
    fn frame(&mut self, now: Time) -> Vec<Arrival> {
        let key = std::mem::take(&mut self.key_wanted);
        if key {
            self.frames = 0;
        }
        let (temporal, sync) = PATTERN[(self.frames % 4) as usize];
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        self.frames += 1;
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.timestamp = self.timestamp.wrapping_add(3000);
        let packets = self.packets * if key { 3 } else { 1 };
        (0..packets)
            .map(|n| {
                self.sequence = self.sequence.wrapping_add(1);
                Arrival {
                    encoding: self.encoding,
                    ssrc: self.ssrc,
                    format: VP8,
                    sequence: self.sequence,
                    timestamp: self.timestamp,
                    marker: n + 1 == packets,
                    received: now,
                    payload: (12, 400),
                    frame: Frame {
                        key: key && n == 0,
                        begins: n == 0,
                        ends: n + 1 == packets,
                        temporal,
                        temporal_sync: sync,
                        picture_id: Some(PictureId { value: self.picture_id, wide: true }),
                        tl0_pic_idx: Some(self.tl0),
                        dimensions: key.then_some((320 << self.encoding, 180 << self.encoding)),
                        ..Frame::default()
                    },
                    extensions: PlanExtensions::default(),
                    dependency_descriptor: None,
                }
            })
            .collect()
    }
}

/// One person with three encodings and a track.
struct Sender {
    encoders: Vec<Encoder>,
    track: Track,
}

impl Sender {
    fn new(n: u32) -> Sender {
        let limits = CacheLimits { packets: 256, age: Duration::from_secs(1) };
        Sender {
            encoders: (0..3).map(|e| Encoder::new(n, e)).collect(),
            track: Track::with_limits(Kind::Video, 3, limits),
        }
    }
}

fn slot() -> Subscriber {
    let seed = Seed { sequence: 65_530, timestamp: u32::MAX - 5000, picture_id: 32_760 };
    Subscriber::new(3, Kind::Video, vec![Accepted { format: VP8, payload_type: PAYLOAD_TYPE }], seed)
}

fn guard(lossy: bool, most_skew: u64) -> Guard {
    Guard::new(Rules { clock: 90_000, lossy, most_skew: Duration::from_millis(most_skew) })
}

fn layer(encoding: u8, temporal: u8) -> Option<Layer> {
    Some(Layer { encoding, spatial: 0, temporal })
}

struct World {
    pool: Pool,
    now: Time,
    senders: Vec<Sender>,
    slot: Subscriber,
    guard: Guard,
    sent: Vec<(Plan, PacketInfo)>,
    dropped: Vec<DropReason>,
    violations: Vec<Violation>,
}

impl World {
    fn new(senders: u32, guard: Guard) -> World {
        World {
            pool: Pool::new(4096),
            now: Time::from_millis(10_000),
            senders: (0..senders).map(Sender::new).collect(),
            slot: slot(),
            guard,
            sent: Vec::new(),
            dropped: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// One packet arrives at a track, and the slot gets it if that track fills it.
    fn arrive(&mut self, sender: usize, arrival: &Arrival) {
        let buf = self.pool.copy_in(0, &[0; 412]).expect("a free slot");
        let arrival = Arrival { received: self.now, ..*arrival };
        let Ok(info) = self.senders[sender].track.receive(&arrival, buf, &mut self.pool) else { return };
        if self.slot.source() != Some(sender as u32) {
            return;
        }
        self.forward(sender, info);
        if let Some(replay) = self.slot.take_replay() {
            let cached: Vec<_> =
                self.senders[sender].track.replay(replay.encoding, replay.from, replay.to).copied().collect();
            for info in cached {
                self.forward(sender, info);
            }
        }
    }

    fn forward(&mut self, sender: usize, info: PacketInfo) {
        match self.slot.forward(&info) {
            Err(reason) => self.dropped.push(reason),
            Ok(plan) => {
                let picture_id = match plan.patch {
                    Patch::Vp8 { picture_id, .. } => Some((picture_id, true)),
                    _ => None,
                };
                let seen = Seen {
                    at: self.now,
                    sequence: plan.sequence,
                    timestamp: plan.timestamp,
                    marker: plan.marker,
                    payload_type: plan.payload_type,
                    payload_len: plan.payload.len(),
                    watched: Watched::Vp8,
                    key: info.frame.key,
                    picture_id,
                    source: Some(sender as u64 * 16 + u64::from(info.encoding)),
                };
                if let Err(violation) = self.guard.observe(seen) {
                    self.violations.push(violation);
                }
                self.sent.push((plan, info));
            }
        }
    }

    /// All senders send `n` frames, 33⅓ ms apart; `fate` decides what becomes of each packet.
    fn run(&mut self, n: usize, mut fate: impl FnMut(&mut World, usize, Arrival)) {
        for _ in 0..n {
            self.now = Time(self.now.0 + 33_333_333);
            for sender in 0..self.senders.len() {
                if self.slot.source() == Some(sender as u32)
                    && let Some(encoding) = self.slot.wants_key_frame()
                {
                    self.senders[sender].encoders[usize::from(encoding)].key_wanted = true;
                }
                for encoding in 0..3 {
                    let now = self.now;
                    for arrival in self.senders[sender].encoders[encoding].frame(now) {
                        fate(self, sender, arrival);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, n: usize) {
        self.run(n, |world, sender, arrival| world.arrive(sender, &arrival));
    }

    fn finish(mut self) {
        assert_eq!(self.violations, []);
        for sender in &mut self.senders {
            sender.track.clear(&mut self.pool);
        }
        assert_eq!(self.pool.in_use(), 0, "no slot leaks");
    }
}

#[test]
fn the_first_packet_is_the_first_of_a_key_frame() {
    let mut world = World::new(1, guard(false, 50));
    world.deliver(5);
    assert!(world.sent.is_empty());
    world.slot.assign(Some(0));
    assert_eq!(world.slot.wants_key_frame(), Some(0));
    world.deliver(5);
    assert!(world.sent[0].1.frame.key);
    assert_eq!((world.sent[0].0.sequence, world.sent[0].0.timestamp), (65_530, u32::MAX - 5000));
    assert_eq!((world.sent[0].0.payload_type, world.sent[0].0.media), (PAYLOAD_TYPE, 3));
    assert_eq!(world.slot.wants_key_frame(), None);
    world.finish();
}

#[test]
fn layers_and_holders_change_in_one_continuous_stream() {
    let mut world = World::new(3, guard(false, 80));
    let plan =
        [(0, layer(0, 2)), (0, layer(2, 2)), (1, layer(2, 0)), (2, layer(1, 1)), (0, layer(0, 0)), (1, layer(1, 2))];
    for round in 0..6 {
        for (source, target) in plan {
            world.slot.assign(Some(source));
            let now = world.now;
            world.slot.set_target(target, now);
            world.deliver(20 + round * 3);
            assert_eq!(world.slot.current(), target, "reached in the time of 20 frames");
        }
    }
    world.finish();
}

#[test]
fn a_switch_of_encodings_keeps_the_old_one_until_the_key_frame() {
    let mut world = World::new(1, guard(false, 80));
    world.slot.assign(Some(0));
    world.slot.set_target(layer(0, 2), Time::ZERO);
    world.deliver(10);
    let now = world.now;
    world.slot.set_target(layer(2, 2), now);
    // The sender does not answer for a while.
    for _ in 0..5 {
        let before = world.sent.len();
        world.senders[0].encoders[2].key_wanted = false;
        world.now = Time(world.now.0 + 33_333_333);
        let now = world.now;
        for arrival in world.senders[0].encoders[0].frame(now) {
            world.arrive(0, &arrival);
        }
        for arrival in world.senders[0].encoders[2].frame(now) {
            world.arrive(0, &arrival);
        }
        assert!(world.sent.len() > before);
        assert_eq!(world.slot.current(), layer(0, 2));
        assert_eq!(world.slot.wants_key_frame(), Some(2));
    }
    world.deliver(1);
    assert_eq!(world.slot.current(), layer(2, 2));
    world.finish();
}

#[test]
fn a_pause_stops_at_once_and_ends_with_a_key_frame() {
    let mut world = World::new(1, guard(false, 80));
    world.slot.assign(Some(0));
    world.deliver(10);
    let now = world.now;
    world.slot.set_target(None, now);
    let before = world.sent.len();
    world.deliver(91);
    assert_eq!(world.sent.len(), before);
    assert!(world.slot.may_rise(world.now) && !world.slot.may_rise(now));
    world.slot.set_target(layer(0, 2), world.now);
    world.deliver(10);
    let (last, first) = (world.sent[before - 1].0, world.sent[before].0);
    let step = f64::from(first.timestamp.wrapping_sub(last.timestamp)) / 90_000.0;
    let passed = first.received.since(last.received).as_secs_f64();
    assert!(passed > 3.0 && (step - passed).abs() < 0.001, "{step} s for {passed} s");
    assert_eq!(first.sequence, last.sequence.wrapping_add(1));
    world.finish();
}

#[test]
fn temporal_layers_go_up_only_where_the_stream_allows_it() {
    let mut world = World::new(1, guard(false, 80));
    world.slot.assign(Some(0));
    world.slot.set_target(layer(0, 0), Time::ZERO);
    world.deliver(9);
    let now = world.now;
    world.slot.set_target(layer(0, 2), now);
    let before = world.sent.len();
    world.deliver(12);
    let temporals: Vec<_> = world.sent[before..].iter().map(|(_, i)| i.frame.temporal).collect();
    // After the base: a synchronised 1 first, then the next synchronised 2, then everything.
    let first_two = temporals.iter().position(|&t| t == 2).unwrap();
    let first_one = temporals.iter().position(|&t| t == 1).unwrap();
    assert!(first_one < first_two, "{temporals:?}");
    assert_eq!(world.slot.current(), layer(0, 2));
    world.slot.set_target(layer(0, 1), world.now);
    let before = world.sent.len();
    world.deliver(8);
    assert!(world.sent[before..].iter().all(|(_, i)| i.frame.temporal <= 1));
    world.finish();
}

#[test]
fn a_lost_packet_leaves_a_hole_that_its_retransmission_fills() {
    let mut world = World::new(1, guard(true, 80));
    world.slot.assign(Some(0));
    world.slot.set_target(layer(2, 0), Time::ZERO);
    world.deliver(4);
    let mut kept = None;
    let mut count = 0;
    world.run(2, |world, sender, arrival| {
        count += usize::from(arrival.encoding == 2 && arrival.frame.temporal == 0);
        if count == 2 && kept.is_none() && arrival.encoding == 2 {
            kept = Some(arrival);
        } else {
            world.arrive(sender, &arrival);
        }
    });
    let before: Vec<_> = world.sent.iter().map(|(p, _)| p.sequence).collect();
    let (first, last) = (before[0], *before.last().unwrap());
    let hole: Vec<_> =
        (0..=last.wrapping_sub(first)).map(|n| first.wrapping_add(n)).filter(|n| !before.contains(n)).collect();
    assert_eq!(hole.len(), 1, "one hole for one lost packet");
    world.arrive(0, &kept.unwrap());
    let (plan, _) = world.sent.last().unwrap();
    assert_eq!((plan.sequence, plan.payload.len()), (hole[0], 400));
    world.finish();
}

#[test]
fn the_place_of_a_late_packet_that_is_not_wanted_is_filled_with_an_empty_one() {
    let mut world = World::new(1, guard(true, 80));
    world.slot.assign(Some(0));
    world.slot.set_target(layer(0, 0), Time::ZERO);
    world.deliver(8);
    let mut kept = Vec::new();
    world.run(8, |world, sender, arrival| {
        if arrival.encoding == 0 && arrival.frame.temporal == 2 && kept.is_empty() {
            kept.push(arrival);
        } else {
            world.arrive(sender, &arrival);
        }
    });
    let before = world.sent.len();
    world.arrive(0, &kept[0]);
    assert_eq!(world.sent.len(), before + 1);
    assert_eq!((world.sent[before].0.payload.len(), world.sent[before].0.marker), (0, false));
    world.finish();
}

#[test]
fn a_key_frame_whose_first_packet_comes_late_is_replayed_from_the_cache() {
    let mut world = World::new(1, guard(true, 80));
    world.slot.assign(Some(0));
    world.slot.set_target(layer(1, 2), Time::ZERO);
    let mut first = None;
    world.run(3, |world, sender, arrival| {
        if arrival.encoding == 1 && arrival.frame.key && first.is_none() {
            first = Some(arrival);
            world.senders[0].encoders[1].key_wanted = false;
        } else if !arrival.frame.key {
            world.arrive(sender, &arrival);
        }
    });
    assert!(world.sent.is_empty());
    world.arrive(0, &first.unwrap());
    let numbers: Vec<_> = world.sent.iter().map(|(p, _)| p.sequence.wrapping_sub(65_530)).collect();
    assert!(world.sent[0].1.frame.key);
    assert!(numbers.len() > 9 && numbers[..9] == [0, 1, 2, 3, 4, 5, 6, 7, 8], "{numbers:?}");
    world.finish();
}

#[test]
fn a_sender_that_begins_afresh_is_followed_at_its_next_key_frame() {
    let mut world = World::new(1, guard(false, 80));
    world.slot.assign(Some(0));
    world.deliver(10);
    let encoder = &mut world.senders[0].encoders[0];
    (encoder.ssrc, encoder.sequence, encoder.timestamp, encoder.picture_id) = (77, 5, 5, 5);
    // The guard knows no SSRC of the sender: what it sees is one stream.
    world.deliver(10);
    assert_eq!(world.slot.current(), layer(0, 0));
    world.finish();
}

#[test]
fn a_single_stray_number_disturbs_nobody_and_two_in_a_row_are_a_new_beginning() {
    let mut world = World::new(1, guard(true, 80));
    world.slot.assign(Some(0));
    world.deliver(10);
    let mut stray = world.senders[0].encoders[0].frame(Time::ZERO)[0];
    stray.sequence = stray.sequence.wrapping_add(30_000);
    world.arrive(0, &stray);
    let before = world.sent.len();
    world.deliver(5);
    assert!(world.sent.len() > before && world.slot.wants_key_frame().is_none());
    world.senders[0].encoders[0].sequence = stray.sequence.wrapping_add(5000);
    world.deliver(2);
    assert_eq!(world.slot.wants_key_frame(), Some(0));
    world.deliver(10);
    assert_eq!(world.slot.wants_key_frame(), None);
    world.finish();
}

#[test]
fn another_codec_than_the_receiver_takes_is_counted_and_does_not_flow() {
    let mut world = World::new(1, guard(false, 80));
    world.slot = Subscriber::new(3, Kind::Video, vec![], Seed::default());
    world.slot.assign(Some(0));
    world.deliver(3);
    assert!(world.sent.is_empty() && world.dropped.contains(&DropReason::UnsupportedPayload));
    world.finish();
}

/// What a random story does before some frames.
#[derive(Clone, Debug)]
enum Step {
    Assign(u32),
    Target(Option<(u8, u8)>),
    Frames(usize),
    Restart(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u32..3).prop_map(Step::Assign),
        prop::option::weighted(0.9, (0u8..3, 0u8..3)).prop_map(Step::Target),
        (1usize..25).prop_map(Step::Frames),
        (0u32..3).prop_map(Step::Restart),
    ]
}

/// A small generator, so that one seed replays one run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn story(steps: &[Step], seed: u64, loss: u64, delay: u64) -> World {
    let lossy = loss > 0 || delay > 0;
    let mut world = World::new(3, guard(lossy, if lossy { 1500 } else { 120 }));
    let mut random = Random(seed | 1);
    let mut late: Vec<(u64, usize, Arrival)> = Vec::new();
    let mut count = 0;
    world.slot.assign(Some(0));
    for step in steps {
        let now = world.now;
        match *step {
            Step::Assign(source) => {
                world.slot.assign(Some(source));
            }
            Step::Target(target) => world.slot.set_target(target.and_then(|(e, t)| layer(e, t)), now),
            Step::Restart(sender) => {
                for encoder in &mut world.senders[sender as usize].encoders {
                    encoder.ssrc = encoder.ssrc.wrapping_add(1);
                    encoder.sequence = encoder.sequence.wrapping_add(20_000);
                    encoder.timestamp = encoder.timestamp.wrapping_sub(1_000_000);
                    encoder.key_wanted = true;
                }
                late.clear();
            }
            Step::Frames(n) => world.run(n, |world, sender, arrival| {
                count += 1;
                let fate = random.below(100);
                if fate < loss / 2 {
                    // Lost for good.
                } else if fate < loss + delay {
                    late.push((count + 1 + random.below(60), sender, arrival));
                } else {
                    world.arrive(sender, &arrival);
                }
                if fate == 99 {
                    world.arrive(sender, &arrival);
                }
                while let Some(at) = late.iter().position(|&(due, ..)| due <= count) {
                    let (_, sender, arrival) = late.swap_remove(at);
                    world.arrive(sender, &arrival);
                }
            }),
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn no_story_without_loss_shows_a_gap_or_a_jump(steps in prop::collection::vec(step(), 1..60), seed: u64) {
        let world = story(&steps, seed, 0, 0);
        prop_assert_eq!(&world.violations, &[]);
        world.finish();
    }

    #[test]
    fn no_story_with_loss_and_reordering_breaks_a_rule(steps in prop::collection::vec(step(), 1..60), seed: u64) {
        let world = story(&steps, seed, 10, 10);
        prop_assert_eq!(&world.violations, &[]);
        world.finish();
    }
}
