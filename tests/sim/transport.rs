//! What may happen to a connection: a new network, a new media plane, other protections, peers with fewer abilities, data.

use crate::meeting::{camera, microphone, simulcast};
use crate::net::Way;
use crate::seeds;
use crate::world::{Id, World};
use plenum_bench::peer::{Message, Slots};
use plenum_contract::{Kind, LegEnd};
use plenum_packet::{Bitrate, DropReason};
use plenum_srtp::Suite;
use std::net::SocketAddr;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Two people with microphone and camera.
fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..2 {
        world.join(|config| {
            config.publishes = vec![microphone(config), camera(config, 300)];
            config.slots = Slots { audio: 3, video: 1, presentation: false };
        });
    }
    world
}

fn frames(world: &World, viewer: Id) -> u64 {
    world.members[viewer].peer.slot(Kind::Video, false, 0).map_or(0, |s| s.frames)
}

/// Frames that everybody decodes in the next second.
fn moving(world: &mut World) -> Vec<u64> {
    let before: Vec<_> = (0..world.members.len()).map(|id| frames(world, id)).collect();
    world.run(SECOND);
    before.iter().enumerate().map(|(id, b)| frames(world, id) - b).collect()
}

fn assert_moving(world: &mut World) {
    let moving = moving(world);
    assert!(moving.iter().all(|f| *f > 20), "frames in a second: {moving:?}");
}

#[test]
fn an_ice_restart_from_another_network_loses_nothing() {
    seeds::each("an_ice_restart", &[1], |seed| {
        let mut world = pair(seed);
        world.connect(SECOND);
        world.run(SECOND * 3);
        assert_moving(&mut world);
        let elsewhere = SocketAddr::from(([10, 2, 0, 1], 7000));
        world.restart_ice(0, elsewhere);
        world.run(SECOND);
        assert!(world.members[0].peer.is_nominated());
        assert_eq!(world.members[0].peer.path().map(|p| p.remote), Some(elsewhere));
        for id in 0..2 {
            let slot = world.members[id].peer.slot(Kind::Video, false, 0).expect("a slot");
            assert!(slot.longest_gap < SECOND / 4, "peer {id}: {:?}", slot.longest_gap);
        }
        assert_moving(&mut world);
        world.finish();
    });
}

#[test]
fn a_peer_that_falls_silent_is_ended_and_the_other_goes_on() {
    seeds::each("a_peer_that_falls_silent", &[1], |seed| {
        let mut world = pair(seed);
        world.connect(SECOND);
        world.run(SECOND * 2);
        world.members[0].here = false;
        world.run(SECOND * 16);
        assert_eq!(world.told.silent, [world.leg(0)]);
        world.run(SECOND * 16);
        assert_eq!(world.told.ended.get(&world.leg(0)), Some(&LegEnd::ConsentLost));
        assert!(world.members[1].peer.is_up() && !world.told.ended.contains_key(&world.leg(1)));
        world.finish();
    });
}

#[test]
fn after_a_media_restart_reported_bindings_make_everything_go_on() {
    seeds::each("after_a_media_restart", &[1], |seed| {
        let mut world = World::new(seed);
        for _ in 0..3 {
            world.join(|config| {
                config.publishes = vec![microphone(config), simulcast(config)];
                config.slots = Slots { audio: 3, video: 2, presentation: false };
            });
        }
        world.connect(SECOND);
        world.run(SECOND * 4);
        assert_moving(&mut world);
        // The peers do not say again whose their streams are: the server told them that it knows.
        world.restart_media(true);
        world.run(SECOND * 5);
        assert!(world.told.connected.len() == 3, "{:?}", world.told.connected);
        assert_moving(&mut world);
        let unknown = world.shard.drops().get(DropReason::UnknownSsrc);
        assert_eq!(unknown, 0, "streams of nobody");
        // Without what was reported it would not: simulcast tells its encodings apart by RID alone.
        world.restart_media(false);
        world.run(SECOND * 5);
        assert!(world.shard.drops().get(DropReason::UnknownSsrc) > 0);
        assert!(moving(&mut world).iter().all(|f| *f == 0));
        world.finish();
    });
}

#[test]
fn every_protection_profile_carries_media() {
    seeds::each("every_protection_profile", &[1], |seed| {
        for suite in Suite::ALL {
            let mut world = World::new(seed);
            for _ in 0..2 {
                world.join(|config| {
                    config.publishes = vec![microphone(config), camera(config, 300)];
                    config.slots = Slots { audio: 1, video: 1, presentation: false };
                    config.suite = Some(suite);
                });
            }
            world.connect(SECOND * 2);
            world.run(SECOND * 2);
            for id in 0..2 {
                assert_eq!(world.members[id].peer.suite(), Some(suite));
                assert_eq!(world.told.connected[&world.leg(id)].0, suite.name());
            }
            assert_moving(&mut world);
            world.finish();
        }
    });
}

#[test]
fn handshakes_come_through_a_bad_network() {
    // In the last one a peer loses ten of the twelve packets that it sends first.
    seeds::each("handshakes_come_through", &[1, 2, 3, 32], |seed| {
        let mut world = World::new(seed);
        let way = Way { loss: 0.2, ..Way::BAD };
        world.ways = (way, way);
        for at in 0..8usize {
            world.join(|config| {
                config.publishes = vec![microphone(config)];
                config.suite = Suite::ALL.get(at % 4).copied();
            });
        }
        world.connect(SECOND * 30);
        world.finish();
    });
}

/// Consent lasts for 15 s, and so must a handshake: with either engine, whoever of both is not heard.
#[test]
fn a_handshake_goes_on_after_ten_seconds_without_a_packet() {
    const DEAF: Way = Way { loss: 1.0, ..Way::GOOD };
    seeds::each("a_handshake_goes_on", &[1], |seed| {
        // The pair is found after 40 ms; ClientHello, answer and the client's second flight leave 40 ms apart.
        for (after, up, down) in
            [(45, DEAF, Way::GOOD), (45, Way::GOOD, DEAF), (90, DEAF, DEAF), (130, DEAF, Way::GOOD)]
        {
            let mut world = World::new(seed);
            for suite in [None, Some(Suite::AeadAes128Gcm), Some(Suite::AesCm128HmacSha1_80)] {
                world.join(|config| {
                    config.publishes = vec![microphone(config)];
                    config.suite = suite;
                });
            }
            world.run(Duration::from_millis(after));
            world.all_ways(up, down);
            world.run(SECOND * 10);
            assert!(world.told.ended.is_empty(), "{:?}", world.told.ended);
            world.all_ways(Way::GOOD, Way::GOOD);
            world.connect(SECOND * 10);
            world.finish();
        }
    });
}

/// A peer without RTX on a way that loses: the same sealed packets come again, and no index is sealed twice (the sealing guard
/// of debug builds panics else).
#[test]
fn peers_without_rtx_get_lost_packets_again_and_those_without_feedback_are_limited_by_what_they_say() {
    seeds::each("peers_without_rtx", &[1, 2], |seed| {
        let mut world = World::new(seed);
        world.join(|config| config.publishes = vec![microphone(config), simulcast(config)]);
        let without_rtx = world.join(|config| {
            config.slots = Slots { audio: 3, video: 1, presentation: false };
            config.rtx = false;
        });
        let without_feedback = world.join(|config| {
            config.slots = Slots { audio: 3, video: 1, presentation: false };
            config.twcc = false;
        });
        world.connect(SECOND);
        world.members[without_rtx].down.way = Way { loss: 0.05, ..Way::GOOD };
        world.members[without_feedback].down.way = Way { rate: Some(Bitrate::kbps(700)), ..Way::GOOD };
        for viewer in [without_rtx, without_feedback] {
            world.wish(viewer, &[(0, 1280, 720, None)]);
        }
        world.run(SECOND * 12);
        let slot =
            world.members[without_rtx].peer.stats().slots.into_iter().find(|s| s.kind == Kind::Video).expect("video");
        assert!(slot.asked > 10 && slot.lost * 3 < slot.asked, "{} lost of {} asked for", slot.lost, slot.asked);
        assert_eq!(slot.recovered, 0, "there is no RTX");
        let before = world.members[without_feedback].down.overflowed;
        let mut estimates = (0..80)
            .map(|_| {
                world.run(SECOND / 10);
                world.estimate(without_feedback) / 1000
            })
            .collect::<Vec<_>>();
        estimates.sort_unstable();
        assert!((200..1000).contains(&estimates[40]), "{estimates:?} kbit/s on a way of 700");
        let overflowed = world.members[without_feedback].down.overflowed - before;
        assert!(overflowed < 60, "{overflowed} packets did not fit");
        assert_moving_at(&mut world, &[without_rtx, without_feedback]);
        world.finish();
    });
}

fn assert_moving_at(world: &mut World, viewers: &[Id]) {
    let moving = moving(world);
    assert!(viewers.iter().all(|v| moving[*v] > 10), "frames in a second: {moving:?}");
}

#[test]
fn a_message_reaches_everybody_else_who_takes_data() {
    // Three losses of one packet in a row cost SCTP 3, 6 and 12 s.
    const PATIENT: Duration = Duration::from_secs(100);
    seeds::each("a_message_reaches", &[1], |seed| {
        let mut world = World::new(seed);
        let way = Way { loss: 0.05, jitter: Duration::from_millis(20), ..Way::GOOD };
        for at in 0..4 {
            world.join(|config| {
                config.publishes = vec![microphone(config)];
                config.data = at != 3;
            });
        }
        world.connect(SECOND);
        world.all_ways(way, way);
        // Whoever is not there yet is told nothing, and a lost packet of the association's handshake costs seconds.
        for _ in 0..60 {
            world.run(SECOND);
            if (0..3).all(|id| world.members[id].peer.takes_messages()) {
                break;
            }
        }
        world.members[0].peer.send_message("chat", false, b"hello");
        world.members[0].peer.send_message("chat", false, b"everybody");
        world.run(PATIENT);
        let text = |payload: &[u8]| Message { label: "chat".into(), binary: false, payload: payload.to_vec() };
        for id in [1, 2] {
            assert_eq!(world.members[id].peer.take_messages(), [text(b"hello"), text(b"everybody")], "peer {id}");
        }
        let large = vec![7; 20_000];
        world.members[2].peer.send_message("chat", true, &large);
        world.run(PATIENT);
        let got = world.members[0].peer.take_messages();
        assert_eq!(got, [Message { label: "chat".into(), binary: true, payload: large }]);
        assert!(world.members[2].peer.take_messages().is_empty() && world.members[3].peer.take_messages().is_empty());
        world.finish();
    });
}
