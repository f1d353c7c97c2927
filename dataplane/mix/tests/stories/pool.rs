//! The room's jobs done elsewhere: by a pool of threads in virtual time, which takes its time and gives jobs back in another order.

use crate::hall::{Hall, feed, hum, scene};
use crate::room::{SMALL, hall, who};
use crate::world::{MS, random};
use plenum_contract::{Codec, FeedKind, MixOutput, ToMix};
use plenum_mix::room::jobs::{Done, Job, Jobs};
use plenum_mix::room::{Room, RoomSettings};
use plenum_mix::text::Fonts;
use plenum_packet::Time;

/// A pool of so many threads: the job that is due first is taken first, and takes between so many nanoseconds.
pub(crate) struct SlowPool {
    threads: usize,
    takes: (u64, u64),
    waiting: Vec<Job>,
    working: Vec<(u64, Done)>,
    dice: u64,
    now: u64,
    /// Most jobs that waited or were worked on at once.
    most: usize,
}

impl SlowPool {
    pub(crate) fn new(threads: usize, takes: (u64, u64)) -> SlowPool {
        SlowPool { threads, takes, waiting: Vec::new(), working: Vec::new(), dice: 1, now: 0, most: 0 }
    }

    /// What is done by now.
    pub(crate) fn run(&mut self, now: u64) -> Vec<Done> {
        let (done, working) = self.working.drain(..).partition(|(end, _)| *end <= now);
        (self.now, self.working) = (now, working);
        self.work();
        done.into_iter().map(|(_, done)| done).collect()
    }

    /// Threads that are free take jobs.
    fn work(&mut self) {
        while self.working.len() < self.threads && !self.waiting.is_empty() {
            let first = (0..self.waiting.len()).min_by_key(|at| self.waiting[*at].due()).expect("one waits");
            let takes = self.takes.0 + random(&mut self.dice) % (self.takes.1 - self.takes.0 + 1);
            self.working.push((self.now + takes, self.waiting.remove(first).run()));
        }
    }
}

impl Jobs for SlowPool {
    fn start(&mut self, job: Job) -> Option<Done> {
        self.waiting.push(job);
        self.most = self.most.max(self.waiting.len() + self.working.len());
        self.work();
        None
    }
}

/// A picture's frames in the last milliseconds.
fn frames(hall: &Hall, codec: Codec, rung: u8, ms: u64) -> usize {
    let from = hall.now / MS - ms;
    hall.watchers[&(0, codec, rung)].frames.iter().filter(|(at, _)| *at >= from).count()
}

/// The middles of the main tile of 1:7 and of its small ones.
fn tiles() -> [(usize, usize); 4] {
    [(512, 430), (90, 950), (236, 950), (382, 950)]
}

#[test]
fn with_a_pool_everybody_is_seen_and_heard_as_without_one() {
    let mut hall = hall("1:7", (640, 360), 4);
    hall.pool = Some(SlowPool::new(3, (MS, 4 * MS)));
    for (codec, rung) in [(Codec::Vp8, 0), (Codec::Vp8, 1), (Codec::H264, 1)] {
        hall.watch(0, codec, rung);
    }
    assert!(hall.transcode(2, FeedKind::Camera, Codec::H264, 0));
    hall.listen(None);
    hall.speak(&[1]);
    hall.run(3000);
    for codec in [Codec::Vp8, Codec::H264] {
        assert_eq!(tiles().map(|at| who(&hall, 0, codec, at)), [Some(1), Some(2), Some(3), Some(4)], "{codec:?}");
    }
    for (codec, rung) in [(Codec::Vp8, 0), (Codec::Vp8, 1), (Codec::H264, 1)] {
        let frames = frames(&hall, codec, rung, 1000);
        assert!((27..=31).contains(&frames), "{codec:?} {rung}: {frames} frames in a second");
    }
    let track = &hall.tracks[&(2, FeedKind::Camera, Codec::H264, 0)];
    let single = track.frames.iter().filter(|(at, _)| *at >= 3000).count();
    assert!((27..=31).contains(&single), "{single} of the single track");
    assert_eq!(hall.room.shed(), 0);
    assert!(hall.ears[&None].amplitude(hum(1), 500) > 3000.0);
    // Each decoder, scene, encoder has one job out at most: four cameras, a scene, four encodings.
    assert!(hall.pool.as_ref().is_some_and(|pool| pool.most <= 9));
}

#[test]
fn what_takes_longer_than_a_frame_is_left_out_and_load_is_shed_and_sound_goes_on() {
    let mut hall = hall("1:0", (640, 360), 1);
    hall.watch(0, Codec::Vp8, 0);
    hall.watch(0, Codec::Vp8, 1);
    hall.listen(None);
    hall.run(1000);
    // Composing and encoding take 60 ms together, on one thread 90.
    hall.pool = Some(SlowPool::new(1, (30 * MS, 30 * MS)));
    hall.run(4000);
    assert!(hall.room.shed() >= 1);
    assert!(frames(&hall, Codec::Vp8, 0, 1000) >= 5, "something is seen all the time");
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), Some(1));
    let steps: Vec<u64> = hall.heard.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(steps.len() > 240 && steps.iter().all(|step| *step == 20), "{steps:?}");
}

#[test]
fn who_leaves_a_tile_while_its_picture_is_waited_for_goes_on_as_a_single_track() {
    // At whatever moment of decoding and composing it is.
    for at in 0..12 {
        let mut hall = hall("1:0", SMALL, 1);
        hall.pool = Some(SlowPool::new(2, (25 * MS, 25 * MS)));
        hall.watch(0, Codec::Vp8, 0);
        assert!(hall.transcode(1, FeedKind::Camera, Codec::H264, 0));
        hall.run(1000 + 5 * at);
        let output = MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 0 };
        hall.room.handle(Time(hall.now), ToMix::Unneeded { conference: hall.spec.conference, output });
        let before = hall.tracks[&(1, FeedKind::Camera, Codec::H264, 0)].frames.len();
        hall.run(1000);
        let more = hall.tracks[&(1, FeedKind::Camera, Codec::H264, 0)].frames.len() - before;
        assert!(more >= 5, "{more} pictures in a second, {} ms after", 5 * at);
    }
}

#[test]
fn in_whatever_order_jobs_come_back_pictures_stay_whole_and_in_order() {
    for seed in 1..=3 {
        let mut hall = hall("4:0", SMALL, 4);
        let mut pool = SlowPool::new(6, (0, 60 * MS));
        pool.dice = seed;
        hall.pool = Some(pool);
        hall.watch(0, Codec::Vp8, 0);
        hall.watch(0, Codec::H264, 0);
        hall.run(3000);
        for codec in [Codec::Vp8, Codec::H264] {
            let watcher = hall.watcher(0, codec);
            let times: Vec<u64> = watcher.frames.iter().map(|(at, _)| *at).collect();
            assert!(times.len() > 30 && times.is_sorted(), "{codec:?}: {times:?}");
            let quarters = [(256, 256), (768, 256), (256, 768), (768, 768)].map(|at| who(&hall, 0, codec, at));
            assert_eq!(quarters, [Some(1), Some(2), Some(3), Some(4)], "{codec:?}, seed {seed}");
        }
    }
}

#[test]
fn what_comes_back_after_it_is_gone_is_dropped_and_its_place_works_anew() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.watch(0, Codec::Vp8, 0);
    assert!(hall.transcode(1, FeedKind::Camera, Codec::H264, 0));
    hall.pool = Some(SlowPool::new(8, (20 * MS, 20 * MS)));
    hall.run(1015);
    let out = |hall: &Hall| hall.pool.as_ref().map_or(0, |pool| pool.waiting.len() + pool.working.len());
    assert!(out(&hall) > 0, "something is at work");
    // The scene goes, the track with it, the source's stream ends: nothing of them is said any more, or the hall would not know whom it is for.
    hall.spec.scenes.clear();
    hall.spec.transcodes.clear();
    hall.watchers.clear();
    hall.tracks.clear();
    hall.apply();
    hall.room.handle(Time(hall.now), ToMix::Gone { conference: hall.spec.conference, feed: feed(1, FeedKind::Camera) });
    hall.run(100);
    assert_eq!(out(&hall), 0);
    // Scenes of the same number, and a stream in another codec.
    hall.spec.scenes.push(scene(0, "1:0", SMALL.0, SMALL.1));
    hall.apply();
    hall.watch(0, Codec::Vp8, 0);
    hall.run(1000);
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), Some(1));
    // Another room of the same conference: what the former one had out is not its own.
    assert!(out(&hall) > 0 || hall.room.deadline() > Time(hall.now));
    hall.room = Room::new(hall.spec.clone(), RoomSettings::new(Fonts::none()), Time(hall.now));
    hall.wanted.clear();
    hall.watch(0, Codec::Vp8, 0);
    hall.run(1000);
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), Some(1));
    let output = MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 0 };
    hall.room.handle(Time(hall.now), ToMix::Unneeded { conference: hall.spec.conference, output });
    hall.run(100);
    assert_eq!((out(&hall), hall.room.deadline()), (0, Time::NEVER), "nobody watches: nothing is made");
}
