//! One sender who takes all they can gets their share, and nobody else notices.

mod common;

use common::*;
use plenum_bench::peer::{Encoding, Publish, Slots, VideoConfig};
use plenum_contract::{Kind, TrackKey};
use plenum_packet::{DropReason, HEADROOM};
use std::time::Duration;

const SLOTS: Slots = Slots { audio: 1, video: 1, presentation: false };

fn dropped(hall: &Hall) -> u64 {
    let mut metrics = plenum_contract::event::ShardMetrics::default();
    hall.shard.add_metrics(&mut metrics);
    metrics.drops.get(DropReason::IngestLimit.label()).copied().unwrap_or(0)
}

fn frames(hall: &Hall, id: Id) -> u64 {
    hall.members[id].peer.slot(Kind::Video, false, 0).map_or(0, |slot| slot.frames)
}

#[test]
fn while_packet_slots_are_scarce_a_leg_keeps_its_share_and_the_others_lose_nothing() {
    let mut hall = Hall::new();
    let (small, other) = (hall.talker(SLOTS), hall.talker(SLOTS));
    // Eight good cameras: a second of them is more than a sixteenth of this hall's slots.
    let greedy = hall.join(true, |config| {
        let leg = config.leg.0;
        let camera = |n| VideoConfig::single(TrackKey(1000 * leg + n), Encoding::new("", 1280, 720, 2_500));
        config.publishes = (0..8).map(|n| Publish::Video(camera(n))).collect();
    });
    hall.connect();
    hall.run(Duration::from_secs(5));
    assert_eq!(dropped(&hall), 0, "there is room for everybody");
    let share = hall.pool.capacity() / 16;
    assert!(hall.pool.in_use() > share * 3 / 2, "{} slots", hall.pool.in_use());
    // Somebody holds most of the pool.
    let scarce = hall.pool.capacity() * 4 / 5;
    let taken: Vec<_> = (0..scarce).filter_map(|_| hall.pool.copy_in(HEADROOM, &[0; 100])).collect();
    let before = (frames(&hall, small), frames(&hall, other));
    hall.run(Duration::from_secs(2));
    let after = (frames(&hall, small), frames(&hall, other));
    assert!(after.0 - before.0 >= 55 && after.1 - before.1 >= 55, "{before:?} {after:?}");
    assert!(dropped(&hall) > 500, "{}", dropped(&hall));
    let held = hall.pool.in_use() - taken.len();
    assert!(held < share + share / 4, "{held} slots held by three");
    assert!(hall.members[greedy].peer.is_up());
    for buf in taken {
        hall.pool.free(buf);
    }
    // There is room again.
    hall.run(Duration::from_secs(1));
    let then = dropped(&hall);
    hall.run(Duration::from_secs(1));
    assert_eq!(dropped(&hall), then);
    hall.finish();
}
