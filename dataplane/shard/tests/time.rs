//! Time: what a tick may take, what a packet's stay is, and how seldom an idle shard wakes up.

mod common;

use common::*;
use plenum_bench::peer::Slots;
use plenum_contract::event::ShardMetrics;
use std::time::Duration;

/// Packets counted in the buckets of a histogram from `bound` nanoseconds on, that bound left out.
fn above(histogram: &[(u64, u64)], bound: u64) -> u64 {
    histogram.iter().filter(|(b, _)| *b > bound).map(|(_, n)| n).sum()
}

fn metrics(hall: &Hall) -> ShardMetrics {
    let mut metrics = ShardMetrics::default();
    hall.shard.add_metrics(&mut metrics);
    metrics
}

#[test]
fn a_packets_stay_ends_when_it_is_submitted_and_its_wait_is_counted_apart() {
    let mut hall = Hall::new();
    hall.talker(Slots { audio: 1, video: 1, presentation: false });
    hall.talker(Slots { audio: 1, video: 1, presentation: false });
    hall.connect();
    // A tick takes no time at first, and 3 ms from then on.
    hall.run(Duration::from_secs(1));
    assert_eq!(above(&metrics(&hall).residence, 1000), 0);
    let before = metrics(&hall);
    assert!(above(&before.residence, 0) > 50 && above(&before.pacer_wait, 0) > 50);
    hall.tick_takes = Duration::from_millis(3);
    hall.run(Duration::from_secs(1));
    let after = metrics(&hall);
    let longer = above(&after.residence, 2_048_000);
    assert!(longer > 50, "{:?}", after.residence);
    assert_eq!(above(&after.residence, 0) - above(&before.residence, 0), longer);
    assert_eq!(above(&after.residence, 4_096_000), 0, "retransmissions and probes do not count");
    hall.finish();
}

#[test]
fn a_burst_is_sent_in_several_ticks_and_all_of_it() {
    let mut hall = Hall::new();
    let slots = Slots { audio: 1, ..Slots::default() };
    let a = hall.join(true, |config| config.publishes = vec![microphone(config.leg.0)]);
    let viewers: Vec<Id> = (0..80).map(|_| hall.join(true, |config| config.slots = slots)).collect();
    hall.connect();
    hall.members[a].peer.set_speaking(true);
    hall.run(Duration::from_millis(200));
    // The way to the shard stands still, and then everything arrives at once.
    let mut held = Vec::new();
    for _ in 0..1400 {
        hall.now += Duration::from_millis(1);
        let now = hall.now;
        hall.members[a].peer.handle_timeout(now, &mut |path, bytes| held.push((path, bytes.to_vec())));
    }
    hall.forget();
    for (path, mut bytes) in held {
        hall.give(path, &mut bytes);
    }
    let mut largest = 0;
    for _ in 0..10 {
        let before: u64 = viewers.iter().map(|v| hall.members[*v].sent.rtp).sum();
        hall.tick();
        let after: u64 = viewers.iter().map(|v| hall.members[*v].sent.rtp).sum();
        largest = largest.max(after - before);
        if after == before {
            break;
        }
    }
    let sent: u64 = viewers.iter().map(|v| hall.members[*v].sent.rtp).sum();
    assert!(sent > 60 * viewers.len() as u64, "{sent} packets were sent");
    assert!(largest < 4400, "{largest} packets in one tick");
    hall.finish();
}

#[test]
fn a_hundred_idle_sessions_let_the_shard_sleep() {
    let mut hall = Hall::new();
    for _ in 0..100 {
        hall.join(true, |config| config.slots = Slots { audio: 1, video: 2, presentation: false });
    }
    hall.connect();
    hall.run(Duration::from_secs(5));
    hall.forget();
    hall.run(Duration::from_secs(10));
    let turns = hall.woken / 10;
    assert!(turns < 150, "{turns} turns a second for nothing that arrived");
    hall.finish();
}
