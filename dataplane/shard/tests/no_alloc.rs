//! After warm-up a whole shard allocates nothing for media: packets in, fan-out, protection, trains, reports, feedback, layers.

#![allow(unsafe_code)]

use plenum_bench::lab::Lab;
use plenum_bench::load::{self, Media};
use plenum_bench::peer::{AudioConfig, Encoding, PeerConfig, Publish, Slots, VideoConfig};
use plenum_contract::TrackKey;
use plenum_srtp::Suite;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::sync::Mutex;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations are counted for the whole process: one test at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Allocations of the shard in `measured` after `warm_up`: while it takes packets, and in its ticks; and packets sent.
fn allocations(mut lab: Lab, warm_up: u64, measured: u64) -> (usize, usize, u64) {
    lab.connect();
    lab.run(Duration::from_secs(warm_up));
    lab.reset();
    lab.run(Duration::from_secs(measured));
    (lab.spent.taking, lab.spent.ticking, lab.spent.sent)
}

#[test]
fn a_picture_and_a_sound_to_many_cost_no_allocation() {
    let _one = ONE.lock();
    assert!(plenum_bench::allocations::counts());
    for media in [Media::Video, Media::Audio] {
        for suite in [Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80] {
            let mut lab = Lab::new(8192);
            lab.add(load::publisher(1, Lab::path(1), media, suite));
            (2..12).for_each(|n| lab.add(load::viewer(n, Lab::path(n), media, suite)));
            lab.peers[0].set_speaking(true);
            // Long enough for many consent checks.
            let (taking, ticking, sent) = allocations(lab, 12, 9);
            assert!(sent > 1000, "{sent} packets were sent");
            assert_eq!((taking, ticking), (0, 0), "{} with {}", media.name(), load::suite_name(suite));
        }
    }
}

#[test]
fn a_meeting_of_senders_costs_no_allocation() {
    let _one = ONE.lock();
    assert!(plenum_bench::allocations::counts());
    let mut lab = Lab::new(16_384);
    for n in 1..=6 {
        let mut config = PeerConfig::new(n, Lab::path(n));
        config.publishes = vec![
            Publish::Audio(AudioConfig { track: TrackKey(2 * n), dtx: false, levels: true }),
            Publish::Video(VideoConfig::single(TrackKey(2 * n + 1), Encoding::new("", 640, 360, 300))),
        ];
        config.slots = Slots { audio: 3, video: 5, presentation: false };
        lab.add(config);
    }
    lab.peers[2].set_speaking(true);
    let (taking, ticking, sent) = allocations(lab, 20, 3);
    assert!(sent > 5000, "{sent} packets were sent");
    assert_eq!((taking, ticking), (0, 0));
}

#[test]
fn copies_for_the_mixer_cost_no_allocation() {
    use plenum_contract::{Command, ConferenceKey, Feed, FeedKind, FromMix, MixSpec, ParticipantKey};
    let _one = ONE.lock();
    assert!(plenum_bench::allocations::counts());
    let mut lab = Lab::new(8192);
    let conference = ConferenceKey(1);
    lab.shard.mixer_up(plenum_packet::Time::from_millis(1_000_000));
    let (scenes, members) = (vec![], vec![]);
    let spec = MixSpec {
        conference,
        revision: 1,
        scenes,
        members,
        presenter: None,
        loudest: 3,
        fps: 30,
        transcodes: vec![],
        stills: vec![],
        level: false,
        logo: None,
    };
    lab.command(Command::Mix(spec));
    for n in 1..=4 {
        let mut config = PeerConfig::new(n, Lab::path(n));
        config.publishes = vec![
            Publish::Audio(AudioConfig { track: TrackKey(2 * n), dtx: false, levels: true }),
            Publish::Video(VideoConfig::single(TrackKey(2 * n + 1), Encoding::new("", 640, 360, 300))),
        ];
        lab.add(config);
    }
    lab.connect();
    for n in 1..=4 {
        for kind in [FeedKind::Audio, FeedKind::Camera] {
            let feed = Feed { participant: ParticipantKey(n), kind };
            let mut record = Vec::new();
            FromMix::Want { conference, feed, width: 320, height: 180 }.write(&mut record).unwrap();
            lab.shard.handle_mixer(plenum_packet::Time::from_millis(1_020_000), &mut lab.pool, &record);
        }
    }
    let mut copied = 0;
    let mut run = |lab: &mut Lab, ms: u64| {
        for _ in 0..ms {
            lab.step(Duration::from_millis(1));
            lab.shard.drain_mixer(|_, packet| copied += u64::from(packet));
        }
    };
    lab.peers[2].set_speaking(true);
    run(&mut lab, 20_000);
    lab.reset();
    run(&mut lab, 3_000);
    assert!(copied > 3_000, "{copied} packets were copied");
    assert_eq!((lab.spent.taking, lab.spent.ticking), (0, 0));
}

/// What a participant holds beside the retransmission cache (P9), which is bounded here too.
#[test]
fn a_connected_participant_takes_at_most_64_kib_beside_what_may_be_sent_again() {
    const CROWD: u64 = 40;
    let _one = ONE.lock();
    assert!(plenum_bench::allocations::counts());
    let mut lab = Lab::new(32_768);
    lab.run(Duration::from_millis(10));
    let empty = lab.spent.held;
    for n in 1..=CROWD {
        let mut config = PeerConfig::new(n, Lab::path(n));
        config.publishes = vec![
            Publish::Audio(AudioConfig { track: TrackKey(2 * n), dtx: true, levels: true }),
            Publish::Video(VideoConfig::single(TrackKey(2 * n + 1), Encoding::new("", 640, 360, 300))),
        ];
        config.slots = Slots { audio: 1, video: 1, presentation: false };
        lab.add(config);
    }
    lab.connect();
    lab.run(Duration::from_secs(5));
    let resend = lab.shard.resend_footprint() as i64;
    assert!(resend > 0, "pictures flow");
    let (each, resend) = ((lab.spent.held - empty - resend) / CROWD as i64, resend / CROWD as i64);
    assert!(each <= 64 * 1024, "{each} bytes, and {resend} of what may be sent again");
    assert!(resend <= 40 * 1024, "{resend} bytes of what may be sent again");
}
