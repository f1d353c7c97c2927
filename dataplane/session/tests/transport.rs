//! A session and a peer reach each other: ICE, DTLS, keys, media both ways.

mod common;

use common::*;
use plenum_session::SessionEvent;

#[test]
fn a_peer_connects_and_both_sides_have_the_same_keys() {
    let mut world = World::connected();
    let connected = world.events.iter().any(|e| matches!(e, SessionEvent::Connected { dtls: "DTLS1.3", tcp: false, .. }));
    assert!(connected, "{:?}", world.events);
    assert_eq!(world.peer.seen_fingerprint, Some(world.env.fingerprint()));
    world.run(std::time::Duration::from_secs(3));
    assert!(!world.peer.rtcp.is_empty(), "reports arrive");
}
