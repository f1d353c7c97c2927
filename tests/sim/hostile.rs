//! Packets of enemies among good ones, and limits: counted drops, nothing bound, nobody disturbed.

use crate::meeting::{camera, microphone};
use crate::seeds;
use crate::world::{HALL, World, address, path};
use plenum_bench::peer::{PeerConfig, Slots};
use plenum_contract::{Command, Kind};
use plenum_packet::{DropCounts, DropReason};
use plenum_session::SessionLimits;
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

/// An SRTCP packet of the right form that nobody sealed: a receiver report about `ssrc`, index, tag.
fn rtcp(ssrc: u32, tag: u8) -> Vec<u8> {
    let mut packet = vec![0x81, 201, 0, 7];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0xff; 24]);
    packet.extend_from_slice(&[tag; 16]);
    packet.extend_from_slice(&[0x80, 0, 0, 9]);
    packet
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
            ("forged RTCP", good, rtcp(0x1234_5678, 7), DropReason::BadTag),
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
        // A hundred a millisecond for ten seconds: noise from anywhere, the peer's own packets again from anywhere and from its
        // address, forged SSRCs, forged RTCP, large STUN messages that name a leg.
        let ufrag = world.members[0].spec.ice.local_ufrag.clone();
        let mut random = world.random.fork();
        let own = u32::from_be_bytes([taken[8], taken[9], taken[10], taken[11]]);
        let (report, request) = (rtcp(own, 1), stun(1400, &format!("{ufrag}:peer")));
        let mut bytes = Vec::with_capacity(1500);
        for _ in 0..10_000 {
            for _ in 0..100 {
                let kind = random.below(16);
                let from = if (1..5).contains(&kind) { address(0) } else { enemy(random.next()) };
                let draw = random.next();
                bytes.clear();
                match kind {
                    0 | 1 => bytes.extend_from_slice(&taken),
                    2 | 3 => {
                        bytes.extend_from_slice(&taken);
                        bytes[2..4].copy_from_slice(&(draw as u16).to_be_bytes());
                        if kind == 3 {
                            bytes[8..12].copy_from_slice(&((draw >> 16) as u32).to_be_bytes());
                        }
                    }
                    4 => {
                        bytes.extend_from_slice(&report);
                        let at = 8 + (draw % 40) as usize;
                        bytes[at] ^= (draw >> 8) as u8 | 1;
                    }
                    5 => bytes.extend_from_slice(&request),
                    _ => {
                        bytes.resize(1 + random.below(200) as usize, 0);
                        for part in bytes.chunks_mut(8) {
                            part.copy_from_slice(&random.next().to_le_bytes()[..part.len()]);
                        }
                        bytes[0] = [0, 22, 128, 144, 200, 255][random.below(6) as usize];
                    }
                }
                world.give(path(from), &mut bytes);
            }
            world.run(Duration::from_millis(1));
        }
        let dropped: u64 = since(&before, &world).iter().map(|d| d.1).sum();
        assert!(dropped >= 1_000_000, "{dropped} drops counted");
        for reason in [DropReason::UnknownSource, DropReason::Replayed, DropReason::BadTag, DropReason::BadStun] {
            let count = world.shard.drops().get(reason) - before.get(reason);
            assert!(count > 40_000, "{count} drops for {reason:?}");
        }
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

/// Tracks are m-lines: one more than a session may have is refused at the start and later, and nothing of it is carried out.
#[test]
fn at_the_limit_more_tracks_are_refused_with_a_reason_and_all_that_runs_goes_on() {
    seeds::each("at_the_limit_more_tracks", &[1], |seed| {
        let mut world = talk(seed);
        let most = SessionLimits::default().media as u16;
        let too_many =
            |config: &mut PeerConfig| config.slots = Slots { audio: 3, video: most - 2, presentation: false };
        let refused = world.try_join(HALL, too_many);
        assert!(refused.as_ref().is_err_and(|r| r.contains("m-lines")), "{refused:?}");
        let legs = world.shard.snapshot().legs;
        let mut spec = world.members[0].spec.clone();
        spec.revision += 1;
        let line = spec.media[0].clone();
        spec.media.resize(usize::from(most) + 1, line);
        let refused = world.command(Command::Session(spec));
        assert!(refused.as_ref().is_err_and(|r| r.contains("m-lines")), "{refused:?}");
        assert_eq!(world.shard.snapshot().legs, legs, "a refusal changes nothing");
        let before = [0, 1].map(|id| video(&world, id));
        world.run(SECOND * 2);
        for (id, before) in before.into_iter().enumerate() {
            assert!(video(&world, id) > before + 50, "peer {id} goes on");
        }
        // As many as allowed are taken.
        let slots = Slots { audio: 3, video: most - 3, presentation: false };
        world.try_join(HALL, |config| config.slots = slots).expect("the limit itself is allowed");
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
