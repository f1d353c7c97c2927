//! Sound in one slot: holders change between two packets, redundancy of before is cut off, DTX and DTMF pass.

use plenum_packet::{Pool, Time};
use plenum_route::guard::{Guard, Rules, Seen, Watched};
use plenum_route::{Accepted, Arrival, Codec, Format, Frame, Kind, RedBlocks, Seed, Subscriber, Track};
use plenum_wire::{Class, Plan, PlanExtensions};
use std::time::Duration;

const fn format(codec: Codec) -> Format {
    Format { codec, profile: 0, clock: 48_000 }
}
const OPUS: u8 = 111;
const RED: u8 = 63;
const DTMF: u8 = 126;

struct World {
    pool: Pool,
    now: Time,
    tracks: Vec<(Track, u16, u32)>,
    slot: Subscriber,
    guard: Guard,
}

impl World {
    fn new(accepted: &[(Codec, u8)]) -> World {
        let accepted = accepted.iter().map(|&(c, payload_type)| Accepted { format: format(c), payload_type }).collect();
        let mut slot = Subscriber::new(0, Kind::Audio, accepted, Seed { sequence: 9, timestamp: 900, picture_id: 0 });
        slot.assign(Some(0));
        World {
            pool: Pool::new(512),
            now: Time::from_millis(1000),
            tracks: (0..2).map(|n| (Track::new(Kind::Audio, 1), 60_000 * n, 4_000_000_000 * u32::from(n))).collect(),
            slot,
            guard: Guard::new(Rules { clock: 48_000, lossy: false, most_skew: Duration::from_millis(40) }),
        }
    }

    /// Speaker `n` sends 20 ms of `codec` in `len` bytes; what the slot makes of it.
    fn packet(&mut self, n: usize, codec: Codec, len: u16, red: Option<RedBlocks>) -> Option<Plan> {
        let (track, sequence, timestamp) = &mut self.tracks[n];
        *sequence = sequence.wrapping_add(1);
        let buf = self.pool.copy_in(0, &[0; 512]).unwrap();
        let arrival = Arrival {
            encoding: 0,
            ssrc: n as u32,
            format: format(codec),
            sequence: *sequence,
            timestamp: *timestamp,
            marker: false,
            received: self.now,
            payload: (12, len),
            frame: Frame { red, ..Frame::default() },
            extensions: PlanExtensions { audio_level: Some(0x80 | 30), ..PlanExtensions::default() },
            dependency_descriptor: None,
        };
        let info = track.receive(&arrival, buf, &mut self.pool).unwrap();
        if self.slot.source() != Some(n as u32) {
            return None;
        }
        let plan = self.slot.forward(&info).ok()?;
        let seen = Seen {
            at: self.now,
            sequence: plan.sequence,
            timestamp: plan.timestamp,
            marker: plan.marker,
            payload_type: plan.payload_type,
            payload_len: plan.payload.len(),
            watched: Watched::Audio,
            key: true,
            picture_id: None,
            source: Some(n as u64),
        };
        assert_eq!(self.guard.observe(seen), Ok(()));
        Some(plan)
    }

    /// 20 ms pass for everybody.
    fn tick(&mut self) {
        self.now += Duration::from_millis(20);
        for (_, _, timestamp) in &mut self.tracks {
            *timestamp = timestamp.wrapping_add(960);
        }
    }
}

/// One redundant block of the packet before (80 bytes) and a primary of 100 bytes.
fn red() -> Option<RedBlocks> {
    Some(RedBlocks { payload_type: OPUS, primary_start: 85, primary_len: 100, oldest_offset: 960 })
}

#[test]
fn a_change_of_holder_is_heard_at_once_in_one_stream_and_marked() {
    let mut world = World::new(&[(Codec::Opus, OPUS)]);
    let mut last: Option<Plan> = None;
    for round in 0..6u32 {
        world.slot.assign(Some(round % 2));
        for n in 0..10 {
            let plan = world.packet(round as usize % 2, Codec::Opus, 80, None).unwrap();
            world.packet(1 - round as usize % 2, Codec::Opus, 80, None);
            assert_eq!(plan.marker, n == 0);
            assert_eq!((plan.class, plan.extensions.audio_level), (Class::Audio, Some(0x80 | 30)));
            if let Some(last) = last {
                assert_eq!(plan.sequence, last.sequence.wrapping_add(1));
                assert_eq!(plan.timestamp, last.timestamp.wrapping_add(960));
            }
            last = Some(plan);
            world.tick();
        }
    }
    assert_eq!(world.slot.wants_key_frame(), None);
}

#[test]
fn redundancy_from_before_the_change_is_cut_off_and_later_redundancy_passes() {
    let mut world = World::new(&[(Codec::Red, RED), (Codec::Opus, OPUS)]);
    for _ in 0..5 {
        world.packet(0, Codec::Red, 185, red());
        world.tick();
    }
    world.slot.assign(Some(1));
    let first = world.packet(1, Codec::Red, 185, red()).unwrap();
    assert_eq!((first.payload_type, first.payload.len(), first.marker), (OPUS, 100, true));
    world.tick();
    let second = world.packet(1, Codec::Red, 185, red()).unwrap();
    assert_eq!((second.payload_type, second.payload.len(), second.marker), (RED, 185, false));
}

#[test]
fn a_receiver_without_red_or_with_other_numbers_inside_gets_plain_opus() {
    for accepted in [&[(Codec::Opus, OPUS)][..], &[(Codec::Red, RED), (Codec::Opus, 109)][..]] {
        let mut world = World::new(accepted);
        for _ in 0..3 {
            let plan = world.packet(0, Codec::Red, 185, red()).unwrap();
            assert_eq!((plan.payload_type, plan.payload.len()), (accepted[accepted.len() - 1].1, 100));
            world.tick();
        }
    }
}

#[test]
fn dtx_pauses_and_dtmf_pass_and_padding_and_foreign_codecs_leave_no_gap() {
    let mut world = World::new(&[(Codec::Opus, OPUS), (Codec::TelephoneEvent, DTMF)]);
    let first = world.packet(0, Codec::Opus, 80, None).unwrap();
    for _ in 0..20 {
        world.tick();
    }
    let comfort = world.packet(0, Codec::Opus, 1, None).unwrap();
    assert_eq!((comfort.payload.len(), comfort.timestamp.wrapping_sub(first.timestamp)), (1, 20 * 960));
    world.tick();
    assert_eq!(world.packet(0, Codec::TelephoneEvent, 4, None).unwrap().payload_type, DTMF);
    // A further packet of the same event keeps its timestamp.
    world.packet(0, Codec::TelephoneEvent, 4, None).unwrap();
    world.tick();
    assert!(world.packet(0, Codec::Opus, 0, None).is_none(), "padding");
    assert!(world.packet(0, Codec::Pcmu, 160, None).is_none(), "not negotiated");
    let last = world.packet(0, Codec::Opus, 80, None).unwrap();
    assert_eq!(last.sequence, first.sequence.wrapping_add(4));
}

#[test]
fn a_late_packet_of_before_the_change_does_not_follow() {
    let mut world = World::new(&[(Codec::Opus, OPUS)]);
    world.slot.assign(Some(1));
    world.packet(1, Codec::Opus, 80, None).unwrap();
    world.tracks[1].1 -= 2;
    assert!(world.packet(1, Codec::Opus, 80, None).is_none());
}
