//! A bottleneck on the way to one viewer: the estimate finds it, follows it down and up, and sound never suffers.

use crate::meeting::{microphone, simulcast};
use crate::net::Way;
use crate::seeds;
use crate::world::{Id, World};
use hdrhistogram::Histogram;
use plenum_bench::peer::Slots;
use plenum_contract::Kind;
use plenum_packet::Bitrate;
use std::time::Duration;

/// What the issue says of a bottleneck: within a fifth.
pub(crate) const WITHIN: u64 = 20;
const SECOND: Duration = Duration::from_secs(1);

/// Four people with cameras, and a viewer who wants all of them large and has `kbps`.
fn theatre(seed: u64, way: Way) -> (World, Id) {
    let mut world = World::new(seed);
    for _ in 0..4 {
        let id = world.join(|config| config.publishes = vec![microphone(config), simulcast(config)]);
        world.members[id].peer.set_speaking(true);
    }
    let viewer = world.join(|config| {
        config.publishes = vec![microphone(config)];
        config.slots = Slots { audio: 3, video: 4, presentation: false };
    });
    world.members[viewer].down.way = way;
    world.wish(viewer, &[0, 1, 2, 3].map(|index| (index, 1280, 720, None)));
    world.connect(SECOND);
    (world, viewer)
}

/// A way of so many kbit/s.
pub(crate) fn bottleneck(kbps: u64, way: Way) -> Way {
    Way { rate: Some(Bitrate::kbps(kbps)), ..way }
}

/// Runs for two seconds, in which the median of the estimate, looked at each 50 ms, lies within `percent` of the bottleneck.
pub(crate) fn assert_found(world: &mut World, viewers: &[Id], kbps: u64, percent: u64) {
    assert_held(world, viewers, kbps, percent, SECOND * 2);
}

/// As [`assert_found`], for `d`.
pub(crate) fn assert_held(world: &mut World, viewers: &[Id], kbps: u64, percent: u64, d: Duration) {
    let mut seen = vec![Vec::new(); viewers.len()];
    let end = world.now + d;
    while world.now < end {
        world.run(SECOND / 20);
        for (seen, viewer) in seen.iter_mut().zip(viewers) {
            seen.push(world.estimate(*viewer) / 1000);
        }
    }
    for (seen, viewer) in seen.iter_mut().zip(viewers) {
        seen.sort_unstable();
        let median = seen[seen.len() / 2];
        assert!(
            median.abs_diff(kbps) * 100 <= kbps * percent,
            "viewer {viewer}: {kbps} kbit/s, and estimates {seen:?}"
        );
    }
}

/// What the viewer has heard so far.
struct Heard {
    packets: u64,
    gaps: u64,
    delays: Histogram<u32>,
}

fn heard(world: &World, viewer: Id) -> Heard {
    let stats = world.members[viewer].peer.stats();
    let sound = stats.slots.iter().filter(|s| s.kind == Kind::Audio);
    let (packets, gaps) = sound.fold((0, 0), |sum, s| (sum.0 + s.packets, sum.1 + s.gaps));
    Heard { packets, gaps, delays: stats.audio_delay }
}

/// Runs for `d`; nothing of what was said meanwhile is missing, and none of it came later than `longest`.
fn run_unharmed(world: &mut World, viewer: Id, d: Duration, longest: Duration) {
    let before = heard(world, viewer);
    world.run(d);
    let mut after = heard(world, viewer);
    let (packets, gaps) = (after.packets - before.packets, after.gaps - before.gaps);
    assert!(gaps * 500 <= packets && packets > 0, "{gaps} of {packets} packets of sound are missing");
    after.delays.subtract(&before.delays).expect("the same bounds");
    let late = Duration::from_micros(after.delays.value_at_quantile(0.95));
    assert!(late < longest, "sound came {late:?} after it was sent");
}

/// The way narrows. What is on the way and what is sent before anybody can know fills the queue and overflows: less than
/// `harm` of sound is missing, and after that it is whole again.
fn narrow(world: &mut World, viewer: Id, kbps: u64, harm: Duration) {
    let before = heard(world, viewer).gaps;
    world.members[viewer].down.way = bottleneck(kbps, Way::GOOD);
    world.run(SECOND * 2);
    let missing = (heard(world, viewer).gaps - before) * 20 / 3;
    assert!(missing < harm.as_millis() as u64, "{missing} ms of sound are missing");
}

/// The queue of the network and the way: no more than one in twenty packets of sound is later, as long as nothing changes.
const LONGEST: Duration = Duration::from_millis(330);

#[test]
fn the_estimate_finds_a_bottleneck_follows_it_and_sound_is_unharmed() {
    seeds::each("the_estimate_finds", &[1], |seed| {
        for (first, second) in [(1500, 600), (3000, 1000)] {
            let (mut world, viewer) = theatre(seed, bottleneck(first, Way::GOOD));
            world.run(SECOND);
            run_unharmed(&mut world, viewer, SECOND * 7, LONGEST);
            assert_found(&mut world, &[viewer], first, WITHIN);
            narrow(&mut world, viewer, second, SECOND / 2);
            run_unharmed(&mut world, viewer, SECOND * 6, LONGEST);
            assert_found(&mut world, &[viewer], second, WITHIN);
            world.members[viewer].down.way = bottleneck(first, Way::GOOD);
            run_unharmed(&mut world, viewer, SECOND * 13, LONGEST);
            assert_found(&mut world, &[viewer], first, WITHIN);
            world.finish();
        }
    });
}

/// The same where a tenth is lost and each packet is up to 100 ms late.
#[test]
fn the_estimate_finds_a_bottleneck_on_a_bad_network_too() {
    seeds::each("the_estimate_finds_a_bottleneck_on_a_bad_network", &[1, 2], |seed| {
        for (first, second) in [(1500, 700), (3000, 1000)] {
            let (mut world, viewer) = theatre(seed, bottleneck(first, Way::GOOD));
            for (kbps, after) in [(first, 8), (second, 8), (first, 13)] {
                world.members[viewer].down.way = bottleneck(kbps, Way::BAD);
                world.run(SECOND * after);
                assert_found(&mut world, &[viewer], kbps, WITHIN);
            }
            world.finish();
        }
    });
}

#[test]
fn where_only_sound_fits_pictures_yield_and_come_back() {
    seeds::each("where_only_sound_fits", &[1, 22, 27], |seed| {
        let (mut world, viewer) = theatre(seed, bottleneck(2000, Way::GOOD));
        world.run(SECOND * 8);
        narrow(&mut world, viewer, 220, SECOND * 6 / 10);
        run_unharmed(&mut world, viewer, SECOND * 10, LONGEST);
        world.members[viewer].down.way = bottleneck(2000, Way::GOOD);
        run_unharmed(&mut world, viewer, SECOND * 13, LONGEST);
        let video = world.members[viewer].peer.slot(Kind::Video, false, 0).expect("a slot");
        assert!(video.last_frame.is_some_and(|at| world.now.since(at) < SECOND), "pictures come back");
        assert_found(&mut world, &[viewer], 2000, WITHIN);
        world.finish();
    });
}
