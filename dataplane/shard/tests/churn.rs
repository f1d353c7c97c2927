//! People come and go: what they held is given back, to the byte.

#![allow(unsafe_code)]

mod common;

use common::*;
use plenum_bench::peer::{PeerConfig, Slots, credentials};
use plenum_contract::{Command, ConferenceKey, ConferenceSpec, EventBody, ParticipantSpec, SubscriptionSpec};
use plenum_packet::{Pool, Time, TxBatch};
use plenum_shard::{Shard, ShardConfig};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::sync::Mutex;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes are counted for the whole process: one test at a time.
static ONE: Mutex<()> = Mutex::new(());

fn held() -> i64 {
    let stats = INSTRUMENTED_SYSTEM.stats();
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

#[test]
fn a_thousand_conferences_that_came_and_went_leave_no_memory_behind() {
    let _one = ONE.lock();
    let hall = Hall::new();
    let env = hall.env().clone();
    let mut shard = Shard::new(ShardConfig { env, max_sessions: 50, random: Box::new(|seed| seed.fill(7)) });
    let (mut pool, mut tx) = (Pool::new(64), TxBatch::default());
    let mut warm = 0;
    for round in 0..1000u64 {
        let now = Time::from_millis(1_000_000 + round * 10);
        let conference = ConferenceKey(round);
        let spec =
            ConferenceSpec { key: conference, revision: 1, presenter: None, pinned: vec![], last_n: 9, home_shard: 0 };
        let mut send = |shard: &mut Shard, command| shard.command(now, &mut pool, command).unwrap();
        send(&mut shard, Command::Conference(spec));
        for n in 0..5 {
            let mut config = PeerConfig::new(round * 5 + n + 1, path(address(n as usize)));
            config.publishes = vec![microphone(config.leg.0), camera(config.leg.0)];
            config.slots = Slots { audio: 2, video: 3, presentation: true };
            config.data = true;
            send(
                &mut shard,
                Command::Participant(ParticipantSpec {
                    key: config.participant,
                    conference,
                    revision: 1,
                    audio_blocked: false,
                    video_blocked: false,
                    presentation_denied: false,
                    waiting: false,
                }),
            );
            let ice = credentials(0, config.leg, 0);
            send(&mut shard, Command::Session(config.session_spec(1, &ice, &[])));
            send(&mut shard, Command::Start(config.leg));
            let wish = SubscriptionSpec {
                leg: config.leg,
                revision: 1,
                slots: vec![],
                first: vec![],
                low_latency: false,
                mix: None,
                mixed_sound: false,
            };
            send(&mut shard, Command::Subscription(wish));
        }
        shard.tick(now, &mut pool, &mut tx);
        shard.command(now, &mut pool, Command::RemoveConference(conference)).unwrap();
        let mut ended = 0;
        shard.tick(now, &mut pool, &mut tx);
        shard.drain_events(|durable, body| ended += usize::from(durable && matches!(body, EventBody::LegEnded { .. })));
        assert_eq!(ended, 5);
        tx.clear(&mut pool);
        match round {
            0..100 => {}
            100 => warm = held(),
            _ => assert!(held() - warm < 4096, "round {round}: {} bytes more", held() - warm),
        }
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn who_talked_and_left_leaves_no_slot_no_key_and_no_deadline_behind() {
    let _one = ONE.lock();
    let mut hall = Hall::new();
    let slots = Slots { audio: 2, video: 2, presentation: false };
    let stays = hall.talker(slots);
    hall.connect();
    hall.run(Duration::from_secs(2));
    let alone = hall.pool.in_use();
    for _ in 0..5 {
        let guests: Vec<Id> = (0..4).map(|_| hall.talker(slots)).collect();
        hall.connect();
        hall.run(Duration::from_millis(500));
        for &guest in &guests {
            let participant = hall.participant(guest);
            hall.command(Command::RemoveParticipant(participant));
            hall.members[guest].here = false;
        }
        hall.run(Duration::from_millis(1500));
        assert!(hall.pool.in_use() <= alone + 8, "{} slots, {alone} before", hall.pool.in_use());
        let snapshot = hall.shard.snapshot();
        assert_eq!((snapshot.legs.len(), snapshot.participants.len()), (1, 1));
        assert!(snapshot.legs[0].connected && snapshot.legs[0].started && !snapshot.legs[0].bindings.is_empty());
    }
    assert!(hall.members[stays].peer.is_up());
    hall.finish();
}
