//! A session and a peer reach each other, lose each other, and find each other again.

mod common;

use common::*;
use plenum_contract::LegEnd;
use plenum_contract::spec::Fingerprint;
use plenum_packet::{DropReason, Path, Time, Transport};
use plenum_session::{CONSENT_LOST_AFTER, SILENT_AFTER, SessionEvent};
use plenum_wire::rtcp;
use std::time::Duration;

fn ended(world: &World) -> Option<LegEnd> {
    world.events.iter().find_map(|e| match e {
        SessionEvent::Ended(reason) => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_peer_connects_and_gets_reports() {
    let mut world = World::connected();
    let up = |e: &SessionEvent| matches!(e, SessionEvent::Connected { dtls: "DTLS1.3", tcp: false, .. });
    assert!(world.events.iter().any(up), "{:?}", world.events);
    assert!(world.events.contains(&SessionEvent::PathAdded(udp4())));
    assert_eq!(world.peer.seen_fingerprint, Some(world.env.fingerprint()));
    assert_eq!(world.session.path(), Some(udp4()));
    world.run(Duration::from_secs(3));
    assert!(world.peer.rtcp.len() >= 2, "reports arrive");
    assert!(world.peer.opened_errors.is_empty());
}

#[test]
fn a_peer_connects_over_ipv6_and_over_tcp() {
    let v6 = Path { transport: Transport::Udp, local: addr("[2001:db8::1]:40000"), remote: addr("[2001:db8::7]:5000") };
    let tcp = Path { transport: Transport::Tcp, ..udp4() };
    for path in [v6, tcp] {
        let mut world = World::with(path, |_| {});
        world.connect();
        assert_eq!(world.session.path(), Some(path));
        let tcp = path.transport == Transport::Tcp;
        assert!(world.events.iter().any(|e| matches!(e, SessionEvent::Connected { tcp: t, .. } if *t == tcp)));
    }
}

#[test]
fn the_handshake_survives_a_lossy_network() {
    let mut world = World::new();
    world.lose = loses_dtls(3);
    for _ in 0..4000 {
        world.step(Duration::from_millis(5));
        if world.session.is_connected() && world.peer.key.is_some() {
            return;
        }
    }
    panic!("not connected: {:?}", world.events);
}

#[test]
fn a_certificate_that_was_not_signalled_ends_the_session() {
    let mut world = World::with(udp4(), |spec| spec.fingerprints = vec![Fingerprint([9; 32])]);
    world.run(Duration::from_secs(2));
    assert_eq!(ended(&world), Some(LegEnd::FingerprintMismatch));
    assert!(world.session.is_ended() && !world.session.is_connected());
    assert_eq!(world.session.path(), None);
    assert_eq!(world.session.poll_timeout(), Time::NEVER);
    assert!(!world.events.iter().any(|e| matches!(e, SessionEvent::Connected { .. })));
}

#[test]
fn a_peer_that_never_comes_times_out() {
    let mut world = World::new();
    world.lose = Box::new(|to_session, _, _| to_session);
    world.run(Duration::from_millis(29_900));
    assert_eq!(ended(&world), None);
    world.run(Duration::from_millis(200));
    assert_eq!(ended(&world), Some(LegEnd::SetupTimeout));
}

#[test]
fn silence_stops_sending_a_check_resumes_it_and_long_silence_ends_the_session() {
    let mut world = World::connected();
    world.peer.checks = false;
    world.run(SILENT_AFTER - Duration::from_secs(4));
    assert!(world.session.is_connected());
    world.run(Duration::from_secs(4));
    assert!(world.events.contains(&SessionEvent::Silent));
    assert_eq!(world.session.path(), None);
    let sent = world.peer.rtcp.len();
    world.run(Duration::from_secs(2));
    assert_eq!(world.peer.rtcp.len(), sent, "nothing is sent into silence");

    world.peer.checks = true;
    world.run(Duration::from_secs(3));
    assert!(world.events.contains(&SessionEvent::Resumed));
    assert_eq!(world.session.path(), Some(udp4()));

    world.peer.checks = false;
    world.run(CONSENT_LOST_AFTER - Duration::from_secs(3));
    assert_eq!(ended(&world), None);
    world.run(Duration::from_secs(3));
    assert_eq!(ended(&world), Some(LegEnd::ConsentLost));
}

/// libnice, on which GStreamer stands, keeps paths open with STUN indications, and over TCP with nothing.
#[test]
fn media_and_rtcp_keep_the_path_of_a_peer_that_does_not_check_and_count_once_and_nowhere_else() {
    let mut world = World::connected();
    world.peer.checks = false;
    let sound = |world: &mut World, number: u64| {
        world.peer.rtp_packet(THEIR_AUDIO, AUDIO_PT, number, 0, &[(MID_ID, b"0")], b"opus")
    };
    let mut last = Vec::new();
    for number in 0..40 {
        last = sound(&mut world, number);
        world.deliver(udp4(), &mut last.clone()).unwrap();
        world.free_incoming();
        world.run(Duration::from_secs(1));
    }
    for _ in 0..4 {
        let mut report = world.peer.rtcp_packet(|w| w.pli(1, OUR_VIDEO).unwrap());
        world.deliver(udp4(), &mut report).unwrap();
        world.run(Duration::from_secs(10));
    }
    assert!(world.session.is_connected() && !world.events.contains(&SessionEvent::Silent));

    let elsewhere = Path { remote: addr("198.51.100.7:7"), ..udp4() };
    for number in 40..50 {
        world.deliver(udp4(), &mut last.clone()).unwrap_err();
        let mut packet = sound(&mut world, number);
        world.deliver(elsewhere, &mut packet).unwrap();
        world.free_incoming();
        world.run(Duration::from_secs(1));
    }
    assert!(world.events.contains(&SessionEvent::Silent));
    let mut packet = sound(&mut world, 50);
    world.deliver(udp4(), &mut packet).unwrap();
    world.free_incoming();
    world.run(Duration::from_millis(100));
    assert!(world.events.contains(&SessionEvent::Resumed));
    assert_eq!(world.session.path(), Some(udp4()));
}

#[test]
fn an_ice_restart_moves_media_to_the_new_path_and_keeps_the_keys() {
    let mut world = World::connected();
    let mut spec = world.session.spec().clone();
    spec.revision += 1;
    spec.ice = ice_spec(2);
    world.session.apply(&spec).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(world.session.path(), Some(udp4()), "the old pair serves until there is a new one");

    let moved = Path { remote: addr("203.0.113.9:6000"), ..udp4() };
    world.peer.restart(&spec.ice, moved);
    world.run(Duration::from_secs(2));
    assert_eq!(world.session.path(), Some(moved));
    assert!(world.events.contains(&SessionEvent::PathAdded(moved)));
    let reports = world.peer.rtcp.len();
    world.run(Duration::from_secs(3));
    assert!(world.peer.rtcp.len() > reports, "the keys are the same");
    let connected = world.events.iter().filter(|e| matches!(e, SessionEvent::Connected { .. }));
    assert_eq!(connected.count(), 1);

    let older = plenum_contract::SessionSpec { revision: 1, ice: ice_spec(1), ..spec.clone() };
    world.session.apply(&older).unwrap();
    assert_eq!(world.session.spec(), &spec, "an older revision changes nothing");
}

#[test]
fn checks_with_a_wrong_password_or_ufrag_are_not_answered() {
    let mut world = World::with(udp4(), |_| {});
    let mut wrong = ice_spec(1);
    wrong.local_pwd = "x".repeat(24);
    world.peer.restart(&wrong, udp4());
    world.run(Duration::from_secs(2));
    assert!(world.events.is_empty());
    assert!(!world.drops.is_empty() && world.drops.iter().all(|d| *d == DropReason::BadStun));
    assert_eq!(world.pool.in_use(), 0);

    world.peer.restart(&ice_spec(5), udp4());
    world.run(Duration::from_secs(2));
    assert!(world.events.is_empty());
}

#[test]
fn malformed_and_oversized_stun_is_dropped() {
    let mut world = World::new();
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.resize(20, 0);
    assert_eq!(world.deliver(udp4(), &mut request), Err(DropReason::BadStun));
    let mut huge = request.clone();
    huge.resize(1504, 0);
    huge[2..4].copy_from_slice(&1484u16.to_be_bytes());
    assert_eq!(world.deliver(udp4(), &mut huge), Err(DropReason::BadStun));
    assert_eq!(world.pool.in_use(), 0);
}

#[test]
fn closing_says_goodbye_and_gives_the_key_back() {
    let mut world = World::connected();
    world.peer.rtcp.clear();
    assert_eq!(world.sealer.len(), 1);
    world.outbox(|session, now, out| session.close(now, out));
    world.run(Duration::from_millis(50));
    let said_bye = |bytes: &Vec<u8>| {
        rtcp::parse(bytes).unwrap().any(|p| match p {
            rtcp::Packet::Bye(bye) => bye.sources().eq([OUR_AUDIO, OUR_VIDEO]),
            _ => false,
        })
    };
    assert!(world.peer.rtcp.iter().any(said_bye));
    assert!(world.sealer.is_empty());
    let mut bytes = [0x80; 40];
    assert_eq!(world.deliver(udp4(), &mut bytes), Err(DropReason::SessionGone));
}

#[test]
fn a_peer_that_closes_ends_the_session() {
    let mut world = World::connected();
    world.peer.dtls.close();
    world.run(Duration::from_millis(100));
    assert_eq!(ended(&world), Some(LegEnd::PeerClosed));
}
