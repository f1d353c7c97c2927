//! Whatever a peer's authenticated packets say, tracks and slots give plans or reasons, never a panic, and leak nothing.

use plenum_packet::{Pool, Time};
use plenum_route::cache::CacheLimits;
use plenum_route::{
    Accepted, Arrival, Codec, Format, Frame, Kind, Layer, PictureId, RedBlocks, Seed, Subscriber, Track,
};
use plenum_wire::PlanExtensions;
use proptest::prelude::*;
use std::time::Duration;

const CODECS: [Codec; 8] =
    [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::Opus, Codec::Red, Codec::Pcmu, Codec::TelephoneEvent];

fn format(n: u8) -> Format {
    let codec = CODECS[usize::from(n) % CODECS.len()];
    let clock = [90_000, 48_000, 8_000, 0][usize::from(n / 8) % 4];
    Format { codec, profile: 0, clock }
}

fn frame() -> impl Strategy<Value = Frame> {
    let flags = prop::array::uniform6(any::<bool>());
    let layers = (prop_oneof![0u8..4, any::<u8>()], prop_oneof![0u8..4, any::<u8>()]);
    let id = prop::option::of((any::<u16>(), any::<bool>()));
    let red = prop::option::of((any::<u8>(), any::<u16>(), any::<u16>(), any::<u16>()));
    let numbers =
        (prop::option::of(any::<u8>()), prop::option::of(any::<u16>()), prop::option::of(any::<(u16, u16)>()));
    (flags, layers, id, red, numbers).prop_map(|(f, (spatial, temporal), id, red, (tl0, frame_number, dimensions))| {
        Frame {
            key: f[0],
            begins: f[1],
            ends: f[2],
            spatial,
            temporal,
            spatial_sync: f[3],
            temporal_sync: f[4],
            switch_up: f[5],
            picture_id: id.map(|(value, wide)| PictureId { value, wide }),
            tl0_pic_idx: tl0,
            frame_number,
            dimensions,
            red: red.map(|(payload_type, primary_start, primary_len, oldest_offset)| RedBlocks {
                payload_type,
                primary_start,
                primary_len,
                oldest_offset,
            }),
        }
    })
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let header = (any::<u16>(), any::<u32>(), any::<bool>(), 0u32..3, 0u8..6, any::<u8>());
    let parts = ((0u16..200, prop_oneof![Just(0u16), 0u16..200]), prop::option::of((0u16..200, 0u16..200)));
    (header, parts, frame()).prop_map(|((sequence, timestamp, marker, ssrc, encoding, f), (payload, dd), frame)| {
        Arrival {
            encoding,
            ssrc: ssrc / 2,
            format: format(f),
            // Mostly close together, so that streams go on.
            sequence: if sequence < 60_000 { sequence % 64 } else { sequence },
            timestamp,
            marker,
            received: Time::ZERO,
            payload,
            frame,
            extensions: PlanExtensions::default(),
            dependency_descriptor: dd,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_packets_give_plans_or_reasons_and_every_slot_comes_back(
        arrivals in prop::collection::vec((arrival(), 0u64..200, any::<u8>(), any::<u64>()), 1..200),
        audio: bool,
    ) {
        let kind = if audio { Kind::Audio } else { Kind::Video };
        let mut pool = Pool::new(512);
        let mut track = Track::with_limits(kind, 4, CacheLimits { packets: 64, age: Duration::from_secs(1) });
        let accepted = (0..32).map(|n| Accepted { format: format(n), payload_type: 96 + n % 32 }).collect();
        let mut slot = Subscriber::new(0, kind, accepted, Seed::default());
        slot.assign(Some(1));
        let mut now = Time::ZERO;
        let mut layers = Vec::new();
        for (arrival, ms, act, random) in arrivals {
            now += Duration::from_millis(ms);
            match act {
                0..40 => {
                    let layer = Layer { encoding: act % 4, spatial: random as u8, temporal: (random >> 8) as u8 };
                    slot.set_target(Some(layer), now);
                }
                40..44 => slot.set_target(None, now),
                44..48 => { slot.assign((act > 44).then_some(u32::from(act))); }
                48..60 => track.sender_report(act % 5, random, random as u32),
                60..64 => track.expire(now, &mut pool),
                _ => {}
            }
            let buf = pool.copy_in(100, &[0; 256]).unwrap();
            let arrival = Arrival { received: now, ..arrival };
            if let Ok(info) = track.receive(&arrival, buf, &mut pool) {
                let plan = slot.forward(&info);
                if let Ok(plan) = plan {
                    prop_assert!(pool.get(plan.payload).is_some());
                }
                if let Some(replay) = slot.take_replay() {
                    for info in track.replay(replay.encoding, replay.from, replay.to) {
                        let _ = slot.forward(info);
                    }
                }
            }
            track.layers(now, &mut layers);
            let _ = (slot.wants_key_frame(), slot.key_frame_encoding(), slot.current(), slot.newest());
            prop_assert_eq!(track.cached(), pool.in_use());
        }
        track.clear(&mut pool);
        prop_assert_eq!(pool.in_use(), 0);
    }
}
