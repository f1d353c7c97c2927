//! Paths: who may say where they are, and what becomes of it.

mod common;

use common::*;
use plenum_bench::peer::Slots;
use plenum_packet::DropReason;
use std::net::SocketAddr;
use std::time::Duration;

const ONE: Slots = Slots { audio: 1, video: 1, presentation: false };

fn elsewhere(port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 5], port))
}

#[test]
fn a_peer_that_was_seen_at_many_addresses_keeps_the_one_it_uses() {
    let mut hall = Hall::new();
    let (a, b) = (hall.talker(ONE), hall.talker(ONE));
    hall.connect();
    let ice = hall.members[a].ice.clone();
    for port in 1..100 {
        hall.give(path(elsewhere(port)), &mut check(&ice, false));
        hall.step(Duration::from_millis(1));
    }
    let unknown = hall.shard.drops().get(DropReason::UnknownSource);
    hall.forget();
    hall.run(Duration::from_secs(2));
    assert_eq!(hall.shard.drops().get(DropReason::UnknownSource), unknown, "its packets find their session");
    assert!(hall.members[b].sent.rtp > 100, "{:?}", hall.members[b].sent);
    hall.finish();
}

#[test]
fn nobody_takes_the_path_of_somebody_who_is_there() {
    let mut hall = Hall::new();
    let (a, b) = (hall.talker(ONE), hall.talker(ONE));
    hall.connect();
    hall.run(Duration::from_secs(1));
    hall.forget();
    // B forges checks of its own that seem to come from A's address.
    let ice = hall.members[b].ice.clone();
    let refused = hall.shard.drops().get(DropReason::BadStun);
    for _ in 0..20 {
        hall.give(path(address(a)), &mut check(&ice, true));
        hall.run(Duration::from_millis(100));
    }
    assert_eq!(hall.shard.drops().get(DropReason::BadStun), refused + 20);
    assert_eq!(hall.shard.drops().get(DropReason::BadTag), 0, "A's packets are still A's");
    for id in [a, b] {
        assert!(hall.members[id].sent.rtp > 100, "{id}: {:?}", hall.members[id].sent);
    }
    hall.finish();
}

#[test]
fn an_address_that_was_left_may_be_somebody_elses() {
    let mut hall = Hall::new();
    let (a, b) = (hall.talker(ONE), hall.talker(ONE));
    hall.connect();
    hall.members[a].here = false;
    hall.run(Duration::from_secs(7));
    let ice = hall.members[b].ice.clone();
    let refused = hall.shard.drops().get(DropReason::BadStun);
    hall.give(path(address(a)), &mut check(&ice, false));
    assert_eq!(hall.shard.drops().get(DropReason::BadStun), refused);
    hall.finish();
}
