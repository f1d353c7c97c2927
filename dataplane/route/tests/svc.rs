//! Spatial layers: VP9 and the dependency descriptor. Markers, ids and switch points when upper layers are left out.

use plenum_packet::{DropReason, Pool, Time};
use plenum_route::guard::{Guard, Rules, Seen, Watched};
use plenum_route::{
    Accepted, Arrival, Codec, Format, Frame, Kind, Layer, LayerInfo, PictureId, Seed, Subscriber, Track,
};
use plenum_wire::{Patch, Plan, PlanExtensions};
use std::time::Duration;

const VP9: Format = Format { codec: Codec::Vp9, profile: 0, clock: 90_000 };
const AV1: Format = Format { codec: Codec::Av1, profile: 0, clock: 90_000 };

struct World {
    pool: Pool,
    now: Time,
    track: Track,
    slot: Subscriber,
    guard: Guard,
    format: Format,
    sequence: u16,
    timestamp: u32,
    pictures: u16,
    frame_number: u16,
    epoch: u32,
}

impl World {
    fn new(format: Format) -> World {
        let mut slot = Subscriber::new(1, Kind::Video, vec![Accepted { format, payload_type: 98 }], Seed::default());
        slot.assign(Some(0));
        World {
            pool: Pool::new(2048),
            now: Time::from_millis(500),
            track: Track::new(Kind::Video, 1),
            slot,
            guard: Guard::new(Rules { clock: 90_000, lossy: false, most_skew: Duration::from_millis(100) }),
            format,
            sequence: 400,
            timestamp: 7,
            pictures: 0x7ff0,
            frame_number: 65_500,
            epoch: 1,
        }
    }

    /// One picture of three spatial layers, two packets each; in key pictures every layer can be begun. Returns what
    /// passed with its spatial layer.
    fn picture(&mut self, key: bool) -> Vec<(u8, Plan)> {
        self.now += Duration::from_nanos(33_333_333);
        self.timestamp = self.timestamp.wrapping_add(3000);
        self.pictures = (self.pictures + 1) & 0x7fff;
        let temporal = (self.pictures % 2) as u8;
        let mut passed = Vec::new();
        for spatial in 0..3u8 {
            self.frame_number = self.frame_number.wrapping_add(1);
            for n in 0..2 {
                self.sequence = self.sequence.wrapping_add(1);
                let vp9 = self.format.codec == Codec::Vp9;
                let buf = self.pool.copy_in(0, &[0; 412]).unwrap();
                let arrival = Arrival {
                    encoding: 0,
                    ssrc: self.epoch,
                    format: self.format,
                    sequence: self.sequence,
                    timestamp: self.timestamp,
                    marker: spatial == 2 && n == 1,
                    received: self.now,
                    payload: (12, 300),
                    frame: Frame {
                        key: key && spatial == 0 && n == 0,
                        begins: n == 0,
                        ends: n == 1,
                        spatial,
                        temporal: if key { 0 } else { temporal },
                        spatial_sync: key,
                        switch_up: vp9 && temporal == 0,
                        temporal_sync: !vp9,
                        picture_id: vp9.then_some(PictureId { value: self.pictures, wide: true }),
                        tl0_pic_idx: vp9.then_some((self.pictures / 2) as u8),
                        frame_number: (!vp9).then_some(self.frame_number),
                        dimensions: (key && vp9).then_some((320 << spatial, 180 << spatial)),
                        red: None,
                    },
                    extensions: PlanExtensions::default(),
                    dependency_descriptor: (!vp9).then_some((2, 5)),
                };
                let info = self.track.receive(&arrival, buf, &mut self.pool).unwrap();
                let Ok(plan) = self.slot.forward(&info) else { continue };
                let picture_id = match plan.patch {
                    Patch::Vp9 { picture_id, .. } => Some((picture_id, true)),
                    _ => None,
                };
                let seen = Seen {
                    at: self.now,
                    sequence: plan.sequence,
                    timestamp: plan.timestamp,
                    marker: plan.marker,
                    payload_type: plan.payload_type,
                    payload_len: plan.payload.len(),
                    watched: if vp9 { Watched::Vp9 } else { Watched::Av1 },
                    key: info.frame.key,
                    picture_id,
                    source: Some(u64::from(self.epoch)),
                };
                assert_eq!(self.guard.observe(seen), Ok(()));
                passed.push((spatial, plan));
            }
        }
        passed
    }

    fn target(&mut self, spatial: u8, temporal: u8) {
        self.slot.set_target(Some(Layer { encoding: 0, spatial, temporal }), self.now);
    }
}

#[test]
fn upper_spatial_layers_are_left_out_and_the_marker_moves_down() {
    let mut world = World::new(VP9);
    world.target(1, 1);
    for n in 0..20 {
        let passed = world.picture(n == 0);
        assert_eq!(passed.iter().map(|(s, _)| *s).collect::<Vec<_>>(), [0, 0, 1, 1]);
        assert_eq!(passed.iter().map(|(_, p)| p.marker).collect::<Vec<_>>(), [false, false, false, true]);
    }
}

#[test]
fn spatial_layers_go_down_with_any_picture_and_up_with_a_key_picture() {
    let mut world = World::new(VP9);
    world.target(2, 1);
    assert_eq!(world.picture(true).len(), 6);
    world.target(0, 1);
    assert_eq!(world.picture(false).len(), 2);
    world.target(2, 1);
    assert_eq!(world.picture(false).len(), 2);
    assert_eq!(world.slot.wants_key_frame(), Some(0), "to go up in space");
    assert_eq!(world.picture(true).len(), 6);
    assert_eq!(world.slot.wants_key_frame(), None);
}

#[test]
fn temporal_layers_go_up_behind_a_switching_up_point() {
    let mut world = World::new(VP9);
    world.target(0, 0);
    let passed: usize = (0..10).map(|n| world.picture(n == 0).len()).sum();
    assert!((10..=12).contains(&passed), "{passed}: every other picture");
    world.target(0, 1);
    let passed: usize = (0..10).map(|_| world.picture(false).len()).sum();
    assert!((18..=20).contains(&passed), "{passed}: every picture");
}

#[test]
fn frame_numbers_of_the_dependency_descriptor_keep_their_distance_and_go_on_at_a_change() {
    let mut world = World::new(AV1);
    world.target(2, 1);
    let first = world.picture(true);
    let numbers: Vec<_> = first.iter().map(|(_, p)| p.extensions.dependency_frame_number.unwrap()).collect();
    assert_eq!(numbers, [1, 1, 2, 2, 3, 3]);
    assert_eq!(first[0].1.extensions.dependency_descriptor.unwrap().len(), 5);
    world.target(0, 1);
    let next = world.picture(false);
    assert_eq!(next[0].1.extensions.dependency_frame_number, Some(4));
    assert_eq!(world.picture(false)[0].1.extensions.dependency_frame_number, Some(7));
    // Another sender takes the slot.
    (world.epoch, world.sequence, world.frame_number) = (2, 50_000, 9);
    assert!(world.picture(false).is_empty());
    assert_eq!(world.picture(true)[0].1.extensions.dependency_frame_number, Some(8));
}

#[test]
fn a_track_lists_what_arrives_with_sizes_and_rates() {
    let mut world = World::new(VP9);
    world.target(2, 1);
    for n in 0..90 {
        world.picture(n % 30 == 0);
    }
    let mut layers: Vec<LayerInfo> = Vec::new();
    world.track.layers(world.now, &mut layers);
    let found: Vec<_> = layers.iter().map(|l| (l.layer.spatial, l.layer.temporal, l.width)).collect();
    assert_eq!(found, [(0, 0, 320), (0, 1, 320), (1, 0, 640), (1, 1, 640), (2, 0, 1280), (2, 1, 1280)]);
    let top = layers.last().unwrap();
    assert!((26.0..34.0).contains(&top.frame_rate), "{}", top.frame_rate);
    assert!((480_000..570_000).contains(&top.bitrate.bps()), "{:?}", top.bitrate);
    assert!(layers[0].bitrate.bps() * 5 < top.bitrate.bps());
    world.track.layers(world.now + Duration::from_secs(4), &mut layers);
    assert!(layers.is_empty() && !world.track.is_active(world.now + Duration::from_secs(4)));
}

#[test]
fn a_packet_that_does_not_fit_its_track_is_refused_and_its_slot_given_back() {
    let mut world = World::new(VP9);
    world.picture(true);
    let held = world.pool.in_use();
    let good = Arrival {
        encoding: 0,
        ssrc: 1,
        format: VP9,
        sequence: world.sequence,
        timestamp: 0,
        marker: false,
        received: world.now,
        payload: (12, 300),
        frame: Frame::default(),
        extensions: PlanExtensions::default(),
        dependency_descriptor: None,
    };
    let cases = [
        (good, DropReason::Duplicate),
        (Arrival { encoding: 1, ..good }, DropReason::UnknownSsrc),
        (Arrival { payload: (400, 300), sequence: world.sequence + 1, ..good }, DropReason::MalformedPayload),
        (Arrival { sequence: world.sequence.wrapping_add(20_000), ..good }, DropReason::Evicted),
        (Arrival { sequence: world.sequence.wrapping_sub(20_000), ..good }, DropReason::Evicted),
        (Arrival { sequence: world.sequence.wrapping_sub(600), ..good }, DropReason::Evicted),
    ];
    for (arrival, reason) in cases {
        let buf = world.pool.copy_in(0, &[0; 412]).unwrap();
        assert_eq!(world.track.receive(&arrival, buf, &mut world.pool).map(|i| i.sequence), Err(reason));
        assert_eq!(world.pool.in_use(), held);
    }
    world.track.clear(&mut world.pool);
    assert_eq!(world.pool.in_use(), 0);
}
