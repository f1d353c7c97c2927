//! H.265 (RFC 7798) as bytes: payloads of three encodings are read by the data plane's parsers, routed, written as packets, and read
//! again by the guard's own parser. No encoder made them: the NAL units have the headers that routing looks at, and noise.

use plenum_packet::{Pool, Time};
use plenum_route::guard::{Guard, Rules, Seen, Watched};
use plenum_route::{Accepted, Arrival, CacheLimits, Codec, Format, Frame, Kind, Layer, Seed, Subscriber, Track};
use plenum_wire::{PlanExtensions, payload, rtp};
use std::time::Duration;

const H265: Format = Format { codec: Codec::H265, profile: 0, clock: 90_000 };
/// Packet and NAL unit types as the first byte of a payload or unit has them (type << 1).
const AGGREGATION: u8 = 48 << 1;
const FRAGMENT: u8 = 49 << 1;
const VPS: [u8; 3] = [32 << 1, 1, 0x0c];
const PPS: [u8; 4] = [34 << 1, 1, 0xc1, 0x62];
/// A sequence parameter set of 1280×720.
const SPS: [u8; 26] = [
    0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0xb0, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5d, 0xa0,
    0x02, 0x80, 0x80, 0x2d, 0x16, 0x59, 0x59,
];

/// A NAL unit of type `kind` that does not fit a packet, in three fragments; it begins a picture.
fn fragments(kind: u8, temporal: u8, noise: u8) -> [Vec<u8>; 3] {
    [(0x80, 0xaf), (0, 0x2f), (0x40, 0x3f)]
        .map(|(edge, first)| [&[FRAGMENT, temporal + 1, edge | kind, first][..], &[noise; 300]].concat())
}

/// The payloads of a frame: a key frame has its parameter sets in a packet before it; every second other one is of the upper
/// temporal layer.
fn frame(key: bool, number: u64) -> Vec<Vec<u8>> {
    let (idr, trail, tsa) = (19, 1, 2u8);
    let noise = number as u8;
    match (key, number % 2) {
        (true, _) => {
            let unit = |unit: &[u8]| [&(unit.len() as u16).to_be_bytes()[..], unit].concat();
            let sets = [&[AGGREGATION, 1][..], &unit(&VPS), &unit(&SPS), &unit(&PPS)].concat();
            [&[sets][..], &fragments(idr, 0, noise)].concat()
        }
        (false, 0) => fragments(trail, 0, noise).to_vec(),
        _ => vec![[&[tsa << 1, 2, 0xd0][..], &[noise; 200]].concat()],
    }
}

/// One encoder of the sender.
#[derive(Default)]
struct Encoder {
    sequence: u16,
    timestamp: u32,
    frames: u64,
    key_wanted: bool,
    /// Of the packet before: another one tells that a frame begins.
    seen: Option<u32>,
}

struct World {
    pool: Pool,
    now: Time,
    encoders: [Encoder; 3],
    track: Track,
    slot: Subscriber,
    guard: Guard,
    /// What left: encoding, frame, sequence number, payload.
    sent: Vec<(u8, Frame, u16, Vec<u8>)>,
}

impl World {
    fn new() -> World {
        let limits = CacheLimits { packets: 256, age: Duration::from_secs(1) };
        let accepted = vec![Accepted { format: H265, payload_type: 96 }];
        let seed = Seed { sequence: 65_530, timestamp: u32::MAX - 5_000, picture_id: 0 };
        World {
            pool: Pool::new(2048),
            now: Time::from_millis(10_000),
            encoders: [0, 1, 2].map(|n| Encoder {
                sequence: n * 9_000,
                timestamp: u32::from(n) << 30,
                ..Encoder::default()
            }),
            track: Track::with_limits(Kind::Video, 3, limits),
            slot: Subscriber::new(3, Kind::Video, accepted, seed),
            guard: Guard::new(Rules { clock: 90_000, lossy: false, most_skew: Duration::from_millis(80) }),
            sent: Vec::new(),
        }
    }

    /// All encoders send `n` frames, 33⅓ ms apart, and give key frames when they are asked and `answering`.
    fn run(&mut self, n: usize, answering: bool) {
        for _ in 0..n {
            self.now = Time(self.now.0 + 33_333_333);
            if let Some(encoding) = self.slot.wants_key_frame() {
                self.encoders[usize::from(encoding)].key_wanted |= answering;
            }
            for encoding in 0..3 {
                let encoder = &mut self.encoders[usize::from(encoding)];
                encoder.timestamp = encoder.timestamp.wrapping_add(3_000);
                let key = std::mem::take(&mut encoder.key_wanted);
                encoder.frames = if key { 0 } else { encoder.frames + 1 };
                let payloads = frame(key, encoder.frames);
                let last = payloads.len() - 1;
                for (i, payload) in payloads.iter().enumerate() {
                    self.arrive(encoding, payload, i == last);
                }
            }
        }
    }

    fn arrive(&mut self, encoding: u8, bytes: &[u8], marker: bool) {
        let encoder = &mut self.encoders[usize::from(encoding)];
        encoder.sequence = encoder.sequence.wrapping_add(1);
        let info = payload::inspect(payload::Codec::H265, bytes, marker, None).expect("a payload that can be read");
        let fresh = encoder.seen.replace(encoder.timestamp) != Some(encoder.timestamp);
        let frame = Frame {
            key: info.key_frame && fresh,
            begins: info.start_of_frame && fresh,
            ends: info.end_of_frame,
            temporal: info.temporal,
            temporal_sync: info.temporal_sync,
            spatial_sync: info.spatial_sync,
            dimensions: info.dimensions,
            ..Frame::default()
        };
        let arrival = Arrival {
            encoding,
            ssrc: 100 + u32::from(encoding),
            format: H265,
            sequence: encoder.sequence,
            timestamp: encoder.timestamp,
            marker,
            received: self.now,
            payload: (0, bytes.len() as u16),
            frame,
            extensions: PlanExtensions::default(),
            dependency_descriptor: None,
        };
        let buf = self.pool.copy_in(0, bytes).expect("a free slot");
        let info = self.track.receive(&arrival, buf, &mut self.pool).expect("nothing is wrong with it");
        let Ok(plan) = self.slot.forward(&info) else { return };
        let fields = rtp::Fields {
            marker: plan.marker,
            payload_type: plan.payload_type,
            sequence: plan.sequence,
            timestamp: plan.timestamp,
            ssrc: 7,
            ..rtp::Fields::default()
        };
        let mut packet = vec![0; rtp::FIXED_LEN];
        rtp::write_header(&mut packet, &fields).expect("room for a header");
        packet.extend_from_slice(self.pool.get(plan.payload).expect("it is in the cache"));
        payload::patch(&mut packet[rtp::FIXED_LEN..], plan.patch);
        assert_eq!(&packet[rtp::FIXED_LEN..], bytes, "there is nothing to patch");
        let seen = Seen::parse(self.now, &packet, Watched::H265).expect("the guard reads it");
        let seen = Seen { source: Some(u64::from(encoding)), ..seen };
        self.guard.observe(seen).expect("no rule is broken");
        self.sent.push((encoding, frame, plan.sequence, bytes.to_vec()));
    }
}

#[test]
fn h265_switches_simulcast_encodings_at_key_frames_and_leaves_its_upper_temporal_layer_out() {
    let layer = |encoding, temporal| Some(Layer { encoding, spatial: 0, temporal });
    let mut world = World::new();
    world.run(4, false);
    world.slot.assign(Some(0));
    world.slot.set_target(layer(0, 1), world.now);
    world.run(3, false);
    assert!(world.sent.is_empty() && world.slot.wants_key_frame() == Some(0), "nobody can begin in the middle");
    world.run(10, true);
    let (_, first, sequence, bytes) = &world.sent[0];
    assert!(first.key && first.dimensions == Some((1280, 720)) && bytes[0] == AGGREGATION, "parameter sets come first");
    assert_eq!(*sequence, 65_530);
    assert!(world.sent.iter().any(|(_, frame, ..)| frame.temporal == 1));

    // The larger one is wanted: until its key frame the smaller one goes on.
    world.slot.set_target(layer(2, 1), world.now);
    let before = world.sent.len();
    world.run(5, false);
    assert!(world.sent.len() > before && world.sent[before..].iter().all(|(encoding, ..)| *encoding == 0));
    assert_eq!((world.slot.current(), world.slot.wants_key_frame()), (layer(0, 1), Some(2)));
    let before = world.sent.len();
    world.run(3, true);
    assert_eq!(world.slot.current(), layer(2, 1));
    let at = before + world.sent[before..].iter().position(|(encoding, ..)| *encoding == 2).expect("it was switched");
    assert!(world.sent[at].1.key && world.sent[at].3[0] == AGGREGATION, "the switch is at the parameter sets");
    assert!(world.sent[at..].iter().all(|(encoding, ..)| *encoding == 2));

    world.slot.set_target(layer(2, 0), world.now);
    let before = world.sent.len();
    world.run(8, true);
    assert!(world.sent.len() > before && world.sent[before..].iter().all(|(_, frame, ..)| frame.temporal == 0));
    world.slot.set_target(layer(1, 1), world.now);
    world.run(8, true);
    assert_eq!(world.slot.current(), layer(1, 1));

    // One stream for the receiver, whatever was chosen and left out.
    let numbers: Vec<u16> = world.sent.iter().map(|(_, _, sequence, _)| sequence.wrapping_sub(65_530)).collect();
    assert!(numbers.iter().copied().eq(0..numbers.len() as u16), "{numbers:?}");
    assert_eq!(world.guard.counts(), (numbers.len() as u64, 0));
    world.track.clear(&mut world.pool);
    assert_eq!(world.pool.in_use(), 0, "no slot leaks");
}
