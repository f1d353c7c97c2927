//! One camera in several encodings: viewers get the one that their tile is worth, and change at key frames without a seam.

use crate::meeting::{microphone, simulcast};
use crate::seeds;
use crate::world::{Id, World};
use plenum_bench::peer::Slots;
use plenum_contract::Kind;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn encoding(world: &World, viewer: Id) -> Option<u8> {
    world.members[viewer].peer.slot(Kind::Video, false, 0).and_then(|s| s.source).map(|s| s.1)
}

#[test]
fn a_tile_that_changes_its_size_changes_the_encoding() {
    seeds::each("a_tile_that_changes", &[1, 2], |seed| {
        let mut world = World::new(seed);
        let camera = world.join(|config| config.publishes = vec![microphone(config), simulcast(config)]);
        let viewers = [(1280, 720), (160, 90)].map(|(width, height)| {
            let viewer = world.join(|config| config.slots = Slots { audio: 3, video: 1, presentation: false });
            world.wish(viewer, &[(0, width, height, None)]);
            viewer
        });
        world.connect(SECOND);
        world.run(SECOND * 6);
        assert_eq!(viewers.map(|v| encoding(&world, v)), [Some(2), Some(0)]);
        // The tiles change places.
        let keys = world.members[camera].peer.stats().key_requests;
        world.wish(viewers[0], &[(0, 160, 90, None)]);
        world.wish(viewers[1], &[(0, 1280, 720, None)]);
        world.run(SECOND * 6);
        assert_eq!(viewers.map(|v| encoding(&world, v)), [Some(0), Some(2)]);
        for viewer in viewers {
            let slot = world.members[viewer].peer.slot(Kind::Video, false, 0).expect("a slot");
            assert!(slot.longest_gap < SECOND, "a change of encoding froze the picture for {:?}", slot.longest_gap);
        }
        let asked = world.members[camera].peer.stats().key_requests - keys;
        assert!(asked <= 12, "{asked} key frames for two changes");
        // The largest encoding ends: what is left is shown.
        world.members[camera].peer.set_encoding(0, 2, false);
        world.run(SECOND * 6);
        assert_eq!(encoding(&world, viewers[1]), Some(1));
        let slot = world.members[viewers[1]].peer.slot(Kind::Video, false, 0).expect("a slot");
        assert!(slot.last_frame.is_some_and(|at| world.now.since(at) < SECOND / 5), "the picture moves");
        // A tile that is hidden takes nothing.
        world.wish(viewers[1], &[(0, 0, 0, None)]);
        world.run(SECOND);
        let before = world.members[viewers[1]].peer.slot(Kind::Video, false, 0).expect("a slot").packets;
        world.run(SECOND * 2);
        assert_eq!(world.members[viewers[1]].peer.slot(Kind::Video, false, 0).expect("a slot").packets, before);
        world.finish();
    });
}
