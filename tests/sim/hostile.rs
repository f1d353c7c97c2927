//! Packets of enemies among good ones, and limits: counted drops, nothing bound, nobody disturbed.

use crate::meeting::{camera, microphone};
use crate::seeds;
use crate::world::{HALL, World, address, path};
use plenum_bench::peer::Slots;
use plenum_contract::Kind;
use plenum_packet::{DropCounts, DropReason};
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Two people who see and hear each other.
fn talk(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..2 {
        world.join(|config| {
            config.publishes = vec![microphone(config), camera(config, 300)];
            config.slots = Slots { audio: 1, video: 1, presentation: false };
        });
    }
    world.connect(SECOND);
    world.run(SECOND * 2);
    world
}

fn enemy(n: u64) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, (n >> 8) as u8], 1024 + (n % 50_000) as u16))
}

fn since(before: &DropCounts, world: &World) -> Vec<(DropReason, u64)> {
    let new = world.shard.drops().iter().map(|(reason, count)| (reason, count - before.get(reason)));
    new.filter(|d| d.1 > 0).collect()
}

/// A well-framed STUN request of `len` bytes that names a leg.
fn stun(len: usize, username: &str) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    message.extend_from_slice(&[9; 12]);
    let mut attribute = |kind: u16, value: &[u8]| {
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&(value.len() as u16).to_be_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
    };
    attribute(6, username.as_bytes());
    attribute(0x25, &[]);
    attribute(8, &[1; 20]);
    if message.len() + 4 < len {
        let rest = len - message.len() - 4;
        message.extend_from_slice(&0x8022u16.to_be_bytes());
        message.extend_from_slice(&(rest as u16).to_be_bytes());
        message.resize(len, 0);
    }
    let body = (message.len() - 20) as u16;
    message[2..4].copy_from_slice(&body.to_be_bytes());
    message
}

#[test]
fn each_bad_packet_is_a_counted_drop_of_its_reason() {
    seeds::each("each_bad_packet", &[1], |seed| {
        let mut world = talk(seed);
        let bindings = world.shard.snapshot().legs;
        let good = address(0);
        let ufrag = world.members[0].spec.ice.local_ufrag.clone();
        // A packet of the peer's, as it stands on the wire.
        let taken = world.overhear(0);
        let mut forged = taken.clone();
        forged[8..12].copy_from_slice(&0xdead_beef_u32.to_be_bytes());
        let mut wrong = taken.clone();
        // A number that was not sent yet, so that the tag is looked at.
        let ahead = u16::from_be_bytes([wrong[2], wrong[3]]).wrapping_add(500);
        wrong[2..4].copy_from_slice(&ahead.to_be_bytes());
        let cases: Vec<(&str, SocketAddr, Vec<u8>, DropReason)> = vec![
            ("an unknown source", enemy(1), taken.clone(), DropReason::UnknownSource),
            ("a replayed packet", good, taken, DropReason::Replayed),
            ("a forged SSRC", good, forged, DropReason::BadTag),
            ("a wrong tag", good, wrong, DropReason::BadTag),
            ("an oversized STUN message", enemy(2), stun(1600, &format!("{ufrag}:peer")), DropReason::BadStun),
            ("STUN without the password", enemy(3), stun(100, &format!("{ufrag}:peer")), DropReason::BadStun),
            ("STUN for nobody", enemy(4), stun(100, "0/ffff/k3Jd82hs:peer"), DropReason::BadStun),
            ("DTLS from nowhere", enemy(5), vec![22; 60], DropReason::UnknownSource),
            ("nothing", good, vec![], DropReason::NotClassified),
            ("noise", good, vec![0x55; 100], DropReason::NotClassified),
            ("half a header", good, vec![0x90; 14], DropReason::MalformedRtp),
            ("RTCP without a tag", good, vec![0x80, 200, 0, 1, 0, 0, 0, 1], DropReason::MalformedRtcp),
        ];
        for (name, from, mut bytes, reason) in cases {
            let before = world.shard.drops().clone();
            world.give(path(from), &mut bytes);
            assert_eq!(since(&before, &world), [(reason, 1)], "{name}");
        }
        let after = world.shard.snapshot().legs;
        assert_eq!(after, bindings, "nothing was bound");
        world.finish();
    });
}

#[test]
fn a_million_bogus_packets_disturb_nobody() {
    seeds::each("a_million_bogus_packets", &[1], |seed| {
        let mut world = talk(seed);
        let bindings = world.shard.snapshot().legs;
        let taken = world.overhear(0);
        let before = world.shard.drops().clone();
        let frames = |world: &World| world.members[1].peer.slot(Kind::Video, false, 0).map_or(0, |s| s.frames);
        let (shown, pool) = (frames(&world), world.pool.in_use());
        // A hundred a millisecond for ten seconds; some look like the peer's own, from the peer's own address.
        let mut random = world.random.fork();
        let mut bytes = vec![0; 1200];
        for _ in 0..10_000 {
            for _ in 0..100 {
                let kind = random.below(8);
                let len = 1 + random.below(200) as usize;
                let mut from = enemy(random.next());
                match kind {
                    0 => bytes[..taken.len()].copy_from_slice(&taken),
                    1 => {
                        from = address(0);
                        bytes[..taken.len()].copy_from_slice(&taken);
                        bytes[2..4].copy_from_slice(&(random.next() as u16).to_be_bytes());
                    }
                    _ => {
                        for part in bytes[..len].chunks_mut(8) {
                            part.copy_from_slice(&random.next().to_le_bytes()[..part.len()]);
                        }
                        bytes[0] = [0, 22, 128, 144, 200, 255][random.below(6) as usize];
                    }
                }
                let len = if kind < 2 { taken.len() } else { len };
                world.give(path(from), &mut bytes[..len].to_vec());
            }
            world.run(Duration::from_millis(1));
        }
        let dropped: u64 = since(&before, &world).iter().map(|d| d.1).sum();
        assert!(dropped >= 1_000_000, "{dropped} drops counted");
        assert_eq!(world.shard.snapshot().legs, bindings, "nothing was bound");
        let shown = frames(&world) - shown;
        assert!(shown > 290, "{shown} frames in ten seconds");
        for id in 0..2 {
            let stats = world.members[id].peer.stats();
            assert!(stats.slots.iter().all(|s| s.lost == 0 && s.gaps == 0), "peer {id}: {:?}", stats.slots);
            assert!(stats.audio_delay.max() < 60_000, "sound came {} µs late", stats.audio_delay.max());
        }
        assert!(world.pool.in_use() < pool + 500, "{} slots are taken, {pool} before", world.pool.in_use());
        world.finish();
    });
}

#[test]
fn at_the_limit_the_next_session_is_refused_with_a_reason_and_all_others_go_on() {
    seeds::each("at_the_limit", &[1], |seed| {
        let mut world = World::with_limit(seed, 3);
        for _ in 0..3 {
            world.join(|config| {
                config.publishes = vec![microphone(config), camera(config, 100)];
                config.slots = Slots { audio: 2, video: 2, presentation: false };
            });
        }
        world.connect(SECOND);
        world.run(SECOND * 2);
        let refused = world.try_join(HALL, |_| {});
        assert!(refused.as_ref().is_err_and(|r| r.contains("limit of 3 sessions")), "{refused:?}");
        let before: Vec<u64> = (0..3).map(|id| video(&world, id)).collect();
        world.run(SECOND * 2);
        for (id, before) in before.into_iter().enumerate() {
            assert!(video(&world, id) > before + 50, "peer {id} goes on");
        }
        // A place that is free again can be taken.
        world.leave(2);
        world.run(SECOND);
        let late = world.try_join(HALL, |config| config.slots = Slots { audio: 2, video: 2, presentation: false });
        let late = late.expect("there is room again");
        world.connect(SECOND);
        world.run(SECOND * 2);
        assert!(video(&world, late) > 20);
        world.finish();
    });
}

fn video(world: &World, id: usize) -> u64 {
    world.members[id].peer.slot(Kind::Video, false, 0).map_or(0, |s| s.frames)
}
