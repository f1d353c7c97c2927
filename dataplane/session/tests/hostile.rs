//! Hostile input on the paths of a connected session: counted drops, nothing bound, nothing kept, media goes on.

mod common;

use common::*;
use is::stun::{StunMessage, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use plenum_contract::spec::IceSpec;
use plenum_packet::{DropReason, Path};
use plenum_session::{MAX_PATHS, SessionEvent};
use std::time::Duration;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    DefaultSha1HmacProvider.sha1_hmac(key, parts)
}

fn check(ice: &IceSpec, controlling: bool, nominate: bool) -> Vec<u8> {
    let username = format!("{}:{}", ice.local_ufrag, ice.remote_ufrag);
    let request = StunMessage::binding_request(&username, TransId::new(), controlling, 1, 100, nominate);
    let mut bytes = vec![0; 300];
    let len = request.to_bytes(Some(ice.local_pwd.as_bytes()), &mut bytes, hmac).unwrap();
    bytes.truncate(len);
    bytes
}

fn from(port: u16) -> Path {
    Path { remote: addr(&format!("203.0.113.5:{port}")), ..udp4() }
}

#[test]
fn a_hundred_thousand_bogus_packets_change_nothing() {
    let mut world = World::connected();
    let ice = world.session.spec().ice.clone();
    let mut random = Random(0x5eed);
    let genuine = [
        world.peer.rtp_packet(THEIR_AUDIO, AUDIO_PT, 9, 0, &[(MID_ID, b"0")], b"opus"),
        world.peer.rtcp_packet(|w| w.pli(1, OUR_VIDEO).unwrap()),
        check(&ice, true, true),
        vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 20, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
    ];
    for round in 0..100_000 {
        let mut bytes = match round % 3 {
            0 => {
                let len = (random.next() % 200) as usize;
                random.bytes(len)
            }
            // One bit of a genuine packet is wrong, but not a bit that nothing protects.
            1 => {
                let mut bytes = genuine[(random.next() % 4) as usize].clone();
                let at = random.next() as usize % bytes.len();
                bytes[at] ^= 1 << (random.next() % 8);
                bytes
            }
            _ => {
                let whole = &genuine[(random.next() % 4) as usize];
                whole[..random.next() as usize % whole.len()].to_vec()
            }
        };
        // A check whose fingerprint alone is wrong is still authenticated; everything else must fail.
        let _ = world.deliver(udp4(), &mut bytes);
        assert!(world.incoming.is_empty() && world.feedback.is_empty());
    }
    world.events.extend(world.session.events());
    assert!(!world.events.iter().any(|e| matches!(e, SessionEvent::Bound(_) | SessionEvent::Ended(_))));
    assert_eq!(world.session.path(), Some(udp4()));
    assert_eq!(world.pool.in_use(), 0);
    let mut good = genuine[0].clone();
    world.deliver(udp4(), &mut good).unwrap();
    assert_eq!(world.incoming.len(), 1, "media goes on");
}

#[test]
fn a_peer_that_believes_to_be_controlled_is_told_the_role_conflict() {
    let mut world = World::connected();
    let ice = world.session.spec().ice.clone();
    let mut bytes = check(&ice, false, true);
    let mut answers = Vec::new();
    world.outbox(|session, now, out| {
        session.handle_stun(now, from(1), &bytes, out).unwrap();
        answers.extend(out.packets.iter().map(|(_, buf)| out.pool.bytes(buf).to_vec()));
    });
    let answer = StunMessage::parse(&answers[0]).unwrap();
    assert_eq!(answer.error_code().map(|e| e.0), Some(487));
    assert!(answer.verify(ice.local_pwd.as_bytes(), hmac));
    assert_eq!(world.session.path(), Some(udp4()), "a conflicting check nominates nothing");
    bytes[9] ^= 1;
    assert_eq!(world.deliver(from(1), &mut bytes), Err(DropReason::BadStun));
}

#[test]
fn a_peer_with_many_addresses_keeps_a_bounded_number_of_paths() {
    let mut world = World::connected();
    let ice = world.session.spec().ice.clone();
    for port in 1..100 {
        world.now += Duration::from_millis(1);
        world.deliver(from(port), &mut check(&ice, true, false)).unwrap();
    }
    assert_eq!(world.session.paths().count(), MAX_PATHS);
    assert!(world.session.paths().any(|p| p == udp4()), "the nominated path stays");
    assert!(world.session.paths().any(|p| p == from(99)), "and so does the newest");
    world.events.extend(world.session.events());
    let gone = world.events.iter().filter(|e| matches!(e, SessionEvent::PathGone(_))).count();
    assert_eq!(gone, 100 - MAX_PATHS);
    let mut known = 0;
    for event in &world.events {
        known += i32::from(matches!(event, SessionEvent::PathAdded(_)));
        known -= i32::from(matches!(event, SessionEvent::PathGone(_)));
        assert!(known as usize <= MAX_PATHS, "a path is given up before another one comes");
    }
    assert!(world.session.holds(&from(99), world.now) && !world.session.holds(&from(1), world.now));
    world.now += Duration::from_secs(6);
    assert!(!world.session.holds(&from(99), world.now));
    world.deliver(from(99), &mut check(&ice, true, true)).unwrap();
    assert_eq!(world.session.path(), Some(from(99)), "the last nomination counts");
}

#[test]
fn more_sources_than_the_limit_are_refused_until_old_ones_are_silent() {
    let mut world = World::connected();
    let mut refused = 0;
    for ssrc in 0..100 {
        let mut packet = world.peer.rtp_packet(5000 + ssrc, AUDIO_PT, 1, 0, &[(MID_ID, b"0")], b"opus");
        refused += usize::from(world.deliver(udp4(), &mut packet) == Err(DropReason::TooManySources));
    }
    // Two of the 64 places belong to the signalled SSRCs of the video, which were never heard.
    assert_eq!((refused, world.incoming.len()), (100 - 62, 62));
    world.run(Duration::from_secs(11));
    let mut packet = world.peer.rtp_packet(9000, AUDIO_PT, 1, 0, &[(MID_ID, b"0")], b"opus");
    world.deliver(udp4(), &mut packet).unwrap();
    world.free_incoming();
}

#[test]
fn sources_that_a_former_media_plane_reported_and_that_never_came_back_make_room() {
    use plenum_contract::spec::Binding;
    let mut world = World::with(udp4(), |spec| {
        spec.bindings = (0..100).map(|n| Binding { ssrc: 70_000 + n, media: 0, encoding: 0, rtx: false }).collect();
    });
    world.connect();
    for ssrc in [9000, 9001] {
        let mut packet = world.peer.rtp_packet(ssrc, AUDIO_PT, 1, 0, &[(MID_ID, b"0")], b"opus");
        world.deliver(udp4(), &mut packet).unwrap();
    }
    // Who came back is known without a word of who they are.
    let mut packet = world.peer.rtp_packet(70_050, AUDIO_PT, 1, 0, &[], b"opus");
    world.deliver(udp4(), &mut packet).unwrap();
    assert_eq!(world.incoming.len(), 3);
    world.free_incoming();
}

#[test]
fn media_follows_a_peer_whose_address_changed_without_a_nomination_and_consent_is_each_paths_own() {
    let mut world = World::connected();
    let ice = world.session.spec().ice.clone();
    world.peer.checks = false;
    let check_from = |world: &mut World, seconds: u64, path: Path| {
        for _ in 0..seconds {
            world.deliver(path, &mut check(&ice, true, false)).unwrap();
            world.run(Duration::from_secs(1));
        }
    };
    check_from(&mut world, 13, from(7));
    assert_eq!(world.session.path(), Some(udp4()), "its last check is not 15 s ago");
    check_from(&mut world, 3, from(7));
    assert_eq!(world.session.path(), Some(from(7)), "the nominated path lost its consent");
    check_from(&mut world, 40, from(7));
    assert!(world.session.is_connected() && !world.events.contains(&SessionEvent::Silent));
    // The new path falls silent as well: sending stops after 15 s, the leg ends after 30.
    world.run(Duration::from_millis(14_500));
    assert_eq!(world.session.path(), None);
    assert!(world.events.contains(&SessionEvent::Silent));
    world.run(Duration::from_secs(15));
    assert!(world.session.is_ended());
}

#[test]
fn a_recorded_check_moves_nothing_from_elsewhere_and_keeps_no_consent_alive() {
    let mut world = World::connected();
    let mut recorded = check(&world.session.spec().ice.clone(), true, true);
    world.deliver(udp4(), &mut recorded).unwrap();
    assert_eq!(world.deliver(from(7), &mut recorded), Err(DropReason::BadStun));
    assert_eq!(world.session.path(), Some(udp4()));
    assert!(!world.session.paths().any(|p| p == from(7)));
    world.peer.checks = false;
    for _ in 0..31 {
        world.run(Duration::from_secs(1));
        // A repeated one is answered while the session lives, as a lost answer must be.
        let answered = world.deliver(udp4(), &mut recorded);
        assert_eq!(answered.is_ok(), !world.session.is_ended());
    }
    assert!(world.events.contains(&SessionEvent::Silent));
    assert!(world.session.is_ended());
}

#[test]
fn a_peer_that_sends_more_than_it_may_is_cut_to_it_and_forged_packets_cost_it_nothing() {
    let mut world = World::connected();
    let limit = world.env.limits.max_ingest as usize;
    let mut counts = [0usize; 3];
    // A second of twice the limit, with as much that is forged.
    let packets = 2 * limit / 8 / 1_250;
    for n in 0..packets {
        world.now += Duration::from_micros(1_000_000 / packets as u64);
        let mut packet = world.peer.rtp_packet(THEIR_AUDIO, AUDIO_PT, n as u64, 0, &[(MID_ID, b"0")], &[7; 1_200]);
        let mut forged = packet.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(world.deliver(udp4(), &mut forged), Err(DropReason::BadTag));
        match world.deliver(udp4(), &mut packet) {
            Ok(()) => counts[0] += 1,
            Err(DropReason::IngestLimit) => counts[1] += 1,
            Err(_) => counts[2] += 1,
        }
        world.free_incoming();
    }
    // Half of a second of what had been saved up, and a second's worth.
    assert!((packets * 70 / 100..=packets * 80 / 100).contains(&counts[0]), "{counts:?} of {packets}");
    assert_eq!(counts[0] + counts[1], packets, "{counts:?}");
}

#[test]
fn a_receiver_that_asks_for_everything_again_and_again_at_most_doubles_its_traffic() {
    use plenum_packet::{Bitrate, HEADROOM};
    use plenum_wire::plan::{Class, Patch, Plan, PlanExtensions};
    for rtx in [true, false] {
        let mut world = World::with(udp4(), |spec| {
            if !rtx {
                spec.media[1].codecs[0].rtx = None;
                spec.media[1].slot.as_mut().unwrap().rtx_ssrc = None;
            }
        });
        world.connect();
        world.run(Duration::from_millis(100));
        world.session.set_wanted_bitrate(Bitrate::ZERO);
        world.peer.rtp.clear();
        let payload = world.pool.copy_in(HEADROOM, &[5; 1000]).unwrap();
        let payload = world.pool.reference(&payload);
        let sent = 300u16;
        for sequence in 1..=sent {
            let plan = Plan {
                payload,
                media: 1,
                payload_type: VIDEO_PT,
                marker: true,
                sequence,
                timestamp: 3000 * u32::from(sequence),
                patch: Patch::None,
                extensions: PlanExtensions::default(),
                received: world.now,
                captured: world.now,
                class: Class::Video,
            };
            world.session.enqueue(world.now, plan).unwrap();
            // The peer claims a round trip of nothing, and never has enough.
            for _ in 0..3 {
                let wanted: Vec<u16> = (1..=sequence).collect();
                let storm = world.peer.rtcp_packet(|w| {
                    let _ = w.nack(1, OUR_VIDEO, &wanted);
                });
                world.send(storm);
            }
            world.run(Duration::from_millis(40));
        }
        world.run(Duration::from_secs(3));
        let got = world.peer.rtp.iter().filter(|p| p.len() > 1000).count() + world.peer.opened_errors.len();
        assert!((usize::from(sent)..=2 * usize::from(sent) + 1).contains(&got), "rtx {rtx}: {got} packets for {sent}");
        assert!(got > 3 * usize::from(sent) / 2, "rtx {rtx}: what can be repaired is: {got}");
    }
}

#[test]
fn forged_records_do_not_end_a_handshake() {
    for seed in 1..30u64 {
        let mut world = World::new();
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for _ in 0..4000 {
            world.step(Duration::from_millis(5));
            if world.session.is_connected() && world.peer.key.is_some() {
                break;
            }
            // Somebody who can forge the peer's address throws in records of every kind.
            if world.session.paths().next().is_some() {
                let len = (random.next() % 120) as usize;
                let body = random.bytes(len);
                let kind = [20, 21, 22, 23, 25, 26, 0x2f][(random.next() % 7) as usize];
                let epoch = [0u8, 0, 0, 1, 2, 3][(random.next() % 6) as usize];
                let mut record = vec![kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, (random.next() % 20) as u8];
                record.extend((body.len() as u16).to_be_bytes());
                record.extend(body);
                let _ = world.deliver(udp4(), &mut record);
            }
        }
        assert!(world.session.is_connected(), "seed {seed}: {:?} {:?}", world.events, world.session);
    }
}
