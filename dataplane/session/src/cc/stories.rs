//! Stories of congestion control: a link, what happens to it, and what a user would notice.

use super::estimator::{BandwidthEstimator, Limits};
use super::sim::{CLOCK_OFFSET, Link, Video, World};
use core::time::Duration;
use plenum_packet::{Bitrate, Time};
use plenum_wire::rtcp::Status;
use proptest::prelude::*;

const SEEDS: [u64; 4] = [1, 2, 3, 77];

/// Asserts that `value` lies within a fifth of `capacity`.
#[track_caller]
fn near(value: u64, capacity: u64, what: &str) {
    assert!(value.abs_diff(capacity) * 5 <= capacity, "{what}: {value} of {capacity} kbit/s");
}

/// Ten seconds for the estimate to settle, then twenty that are looked at.
#[track_caller]
fn settles(seed: u64, link: Link) -> World {
    let kbps = link.capacity.bps() / 1000;
    let mut world = World::new(seed, link);
    world.run(10.0);
    world.mark();
    world.run(20.0);
    near(world.mean(), kbps, "mean");
    world
}

#[test]
fn the_estimate_finds_the_bottleneck_within_ten_seconds() {
    for kbps in [250, 1000, 3000, 10_000] {
        for seed in SEEDS {
            let world = settles(seed, Link::of(kbps));
            assert!(world.seen.lowest * 10 >= kbps * 6, "seed {seed}: never far below, {:?}", world.seen);
            assert!(world.seen.highest * 10 <= kbps * 13, "seed {seed}: never far above, {:?}", world.seen);
            assert_eq!(world.seen.audio_lost, 0);
        }
    }
}

#[test]
fn it_settles_within_two_seconds_where_nothing_blurs_the_probes() {
    for seed in SEEDS {
        let mut world = World::new(seed, Link::of(3000));
        world.run(2.0);
        near(world.target(), 3000, "after two seconds");
    }
}

#[test]
fn jitter_of_a_tenth_of_a_second_that_reorders_everything_does_not_blind_it() {
    for kbps in [1000, 3000] {
        for seed in SEEDS {
            settles(seed, Link { jitter: Duration::from_millis(100), ..Link::of(kbps) });
        }
    }
    for seed in SEEDS {
        let mut world = World::new(seed, Link { jitter: Duration::from_millis(100), ..Link::of(250) });
        world.run(10.0);
        world.mark();
        world.run(20.0);
        assert!(world.mean() > 175, "few packets say little: {}", world.mean());
    }
}

#[test]
fn a_tenth_of_random_loss_does_not_cost_rate() {
    for kbps in [250, 1000, 3000, 10_000] {
        for seed in SEEDS {
            let world = settles(seed, Link { loss: 0.1, ..Link::of(kbps) });
            let inherent = world.estimator.snapshot().inherent_loss;
            assert!((0.03..0.2).contains(&inherent), "the loss is known for the path's own: {inherent}");
        }
    }
    // Nothing narrow anywhere: loss alone must not bring the rate down from the highest allowed.
    let mut world = World::new(5, Link { loss: 0.1, ..Link::of(1_000_000) });
    world.run(20.0);
    world.mark();
    world.run(20.0);
    assert!(world.mean() > 25_000, "{}", world.mean());
}

#[test]
fn loss_that_begins_in_the_middle_costs_a_moment_only() {
    for seed in SEEDS {
        let mut world = World::new(seed, Link::of(3000));
        world.run(10.0);
        world.link.loss = 0.1;
        world.mark();
        world.run(10.0);
        assert!(world.seen.lowest > 1200, "no collapse: {:?}", world.seen);
        world.mark();
        world.run(10.0);
        near(world.mean(), 3000, "mean");
    }
}

#[test]
fn loss_reordering_and_jitter_together_are_survived() {
    for kbps in [1000, 3000] {
        for seed in 1..=10 {
            let link = Link { loss: 0.1, jitter: Duration::from_millis(100), ..Link::of(kbps) };
            let mut world = World::new(seed, link);
            world.run(10.0);
            assert!(world.target() * 2 > kbps, "seed {seed}: {} of {kbps}", world.target());
            world.mark();
            world.run(30.0);
            near(world.mean(), kbps, "mean");
        }
    }
}

#[test]
fn a_wider_path_is_used_within_fifteen_seconds() {
    for seed in SEEDS {
        for (from, to) in [(500, 1500), (1000, 3000), (1000, 10_000)] {
            let mut world = World::new(seed, Link::of(from));
            world.run(20.0);
            world.link.capacity = Bitrate::kbps(to);
            world.run(15.0);
            near(world.target(), to, "after it widened");
        }
    }
}

#[test]
fn a_wider_path_is_noticed_even_when_the_layers_do_not_fill_the_estimate() {
    for seed in SEEDS {
        let mut world = World::new(seed, Link::of(1000));
        world.video = Video::Layers(&[150, 500, 1500]);
        world.run(15.0);
        assert!((700..1300).contains(&world.target()), "{}", world.target());
        world.link.capacity = Bitrate::kbps(4000);
        world.run(15.0);
        assert!(world.target() > 1600, "the next layer fits: {}", world.target());
        world.mark();
        world.run(10.0);
        assert!(world.seen.lowest > 1550, "and stays: {:?}", world.seen);
    }
}

#[test]
fn audio_is_unharmed_while_video_yields_to_a_path_that_narrows() {
    for seed in SEEDS {
        let link = Link { queue: Duration::from_millis(4000), ..Link::of(3000) };
        let mut world = World::new(seed, link);
        world.run(15.0);
        world.mark();
        world.link.capacity = Bitrate::kbps(1000);
        world.run(4.0);
        assert_eq!(world.seen.audio_lost, 0);
        // Half a second passes until anyone can know; what was sent meanwhile at three times the capacity has to drain.
        assert!(world.seen.audio_worst_ms < 2200, "{:?}", world.seen);
        world.mark();
        world.run(20.0);
        near(world.mean(), 1000, "mean");
        assert_eq!(world.seen.audio_lost, 0);
        assert!(world.seen.audio_worst_ms < 300, "{:?}", world.seen);
    }
}

#[test]
fn a_short_queue_that_shows_no_delay_is_not_overrun() {
    for kbps in [1000, 3000] {
        for seed in SEEDS {
            let link = Link { queue: Duration::from_millis(60), ..Link::of(kbps) };
            let mut world = World::new(seed, link);
            world.run(10.0);
            world.mark();
            world.run(30.0);
            near(world.mean(), kbps, "mean");
            assert!(world.seen.audio_lost * 20 < world.seen.audio_sent, "{:?}", world.seen);
        }
    }
}

#[test]
fn a_third_of_the_feedback_may_be_lost() {
    for kbps in [250, 1000, 3000] {
        for seed in SEEDS {
            settles(seed, Link { feedback_loss: 0.3, ..Link::of(kbps) });
        }
    }
}

#[test]
fn jumps_of_the_peers_clock_are_no_queues() {
    for jump in [3600.0, 4.0] {
        let mut world = World::new(1, Link::of(3000));
        world.run(10.0);
        world.mark();
        world.jump_clock(CLOCK_OFFSET + Duration::from_secs_f64(jump));
        world.run(5.0);
        assert!(world.seen.lowest > 1800, "forward: {:?}", world.seen);
        world.jump_clock(CLOCK_OFFSET);
        world.run(10.0);
        assert!(world.seen.lowest > 1800, "and back: {:?}", world.seen);
        near(world.target(), 3000, "at the end");
    }
}

#[test]
fn a_pause_of_our_own_time_is_survived() {
    for pause in [3, 3600, 100_000] {
        let mut world = World::new(1, Link::of(3000));
        world.run(10.0);
        world.now += Duration::from_secs(pause);
        world.run(10.0);
        near(world.target(), 3000, "after the pause");
    }
}

#[test]
fn after_an_outage_media_flows_at_once_and_the_rate_returns() {
    for seed in SEEDS {
        for seconds in [0.3, 2.0, 20.0] {
            let mut world = World::new(seed, Link::of(3000));
            world.run(15.0);
            world.link.cut = true;
            world.run(seconds);
            world.link.cut = false;
            world.mark();
            world.run(1.0);
            assert!(world.seen.received_bytes > 5000, "sound within a second: {:?}", world.seen);
            assert_eq!(world.seen.audio_lost, 0);
            world.run(9.0);
            near(world.target(), 3000, "ten seconds after the outage");
        }
    }
}

#[test]
fn another_path_is_measured_anew() {
    for (from, to) in [(3000, 600), (600, 3000)] {
        let mut world = World::new(1, Link::of(from));
        world.run(15.0);
        world.link = Link { delay: Duration::from_millis(80), ..Link::of(to) };
        world.estimator.on_path_change(world.now);
        assert!(world.target() <= 500);
        world.run(10.0);
        near(world.target(), to, "on the other path");
    }
}

#[test]
fn numbers_wrap_again_and_again() {
    let mut world = World::new(1, Link::of(20_000));
    world.run(10.0);
    for _ in 0..10 {
        world.mark();
        world.run(10.0);
        near(world.mean(), 20_000, "mean");
    }
    assert!(world.seen.received_bytes * 10 / 1200 > 2 * 65_536, "{:?}", world.seen);
}

#[test]
fn a_peer_without_feedback_is_sent_the_start_rate_and_no_more_than_it_says() {
    let limits = Limits::default();
    let mut estimator = BandwidthEstimator::new(limits, 1);
    for ms in 0..5000u64 {
        let now = Time::from_millis(ms);
        estimator.on_sent(now, 60);
        if now >= estimator.poll_timeout() {
            estimator.handle_timeout(now);
        }
    }
    assert_eq!(estimator.target(), limits.start);
    estimator.on_remb(Time::from_millis(5000), Bitrate::kbps(900));
    assert_eq!(estimator.target(), Bitrate::kbps(900));
    for second in 5..20 {
        estimator.on_rtcp_loss(Time::from_millis(second * 1000), 64);
    }
    assert!(estimator.target() < Bitrate::kbps(400), "{:?}", estimator.target());
}

#[test]
fn nothing_is_probed_for_beyond_what_is_wanted() {
    let mut world = World::new(1, Link::of(10_000));
    world.video = Video::Layers(&[150]);
    world.estimator.set_wanted(Bitrate::kbps(600));
    world.run(20.0);
    assert!((500..=720).contains(&world.target()), "{}", world.target());
}

#[test]
fn more_is_found_within_a_second_when_more_is_wanted() {
    let mut world = World::new(1, Link::of(10_000));
    world.video = Video::Layers(&[150]);
    world.estimator.set_wanted(Bitrate::kbps(600));
    world.run(8.0);
    world.estimator.set_wanted(Bitrate::kbps(2000));
    world.run(1.0);
    assert!(world.target() > 1800, "{}", world.target());
}

proptest! {
    #[test]
    fn any_feedback_keeps_the_estimate_within_its_limits(
        steps in proptest::collection::vec(
            (any::<u16>(), any::<Option<i64>>(), 0u64..10_000, 0usize..3000, 0u8..6), 1..400,
        ),
        first in any::<u16>(),
    ) {
        let limits = Limits { start: Bitrate::kbps(300), min: Bitrate::kbps(50), max: Bitrate::kbps(5000) };
        let mut estimator = BandwidthEstimator::new(limits, first);
        let mut now = Time::from_millis(1);
        for (sequence, arrival, wait, size, what) in steps {
            now += Duration::from_micros(wait * wait);
            let sequence = if what % 2 == 0 { first.wrapping_add(sequence % 512) } else { sequence };
            match what {
                0..=2 => drop(estimator.on_sent(now, size)),
                3 => estimator.on_feedback(now, (0..40).map(|i| Status {
                    sequence: sequence.wrapping_add(i),
                    arrival: arrival.map(|at| at.wrapping_add(i64::from(i) * 7)),
                })),
                4 => estimator.on_feedback(now, [Status { sequence, arrival }]),
                _ => {
                    estimator.on_remb(now, Bitrate(arrival.unwrap_or(0) as u64));
                    estimator.on_rtcp_loss(now, size as u8);
                    estimator.on_rtt(Duration::from_millis(wait));
                }
            }
            if now >= estimator.poll_timeout() {
                estimator.handle_timeout(now);
            }
            estimator.next_probe(now);
            prop_assert!(estimator.target() >= limits.min && estimator.target() <= limits.max);
            prop_assert!(estimator.poll_timeout() > now, "no busy loop");
        }
    }
}
