//! A random walk through what control may want: joining, leaving, speaking, blocking, presenting, moving, wishing. After each
//! step what every viewer is shown must be what the shard said who is seated, and what the model says who may be seen.

use crate::meeting::{camera, microphone};
use crate::random::Random;
use crate::seeds;
use crate::world::{HALL, Id, World};
use plenum_bench::peer::{Encoding, Publish, Slots, VideoConfig};
use plenum_contract::{ConferenceKey, Kind, ParticipantKey, TrackKey};
use plenum_packet::Time;
use std::time::Duration;

/// The other room, for transfers.
const ANNEX: ConferenceKey = ConferenceKey(2);
/// Most people at a time.
const MOST: usize = 12;
/// Rate of every picture, kbit/s: all that one person sees fits the estimate that everybody starts with. Bandwidth is another
/// story's.
const RATE: u64 = 35;
/// Time in which seats, key frames and pictures follow a change: the main tile follows a speaker after two seconds.
const FOLLOW: Duration = Duration::from_millis(3200);
/// A camera that falls silent keeps its seat for three seconds; then somebody takes that seat, and shows.
const FALLS_SILENT: Duration = Duration::from_millis(4500);
/// Time in which the bandwidth of somebody new is found.
const SETTLES: Duration = Duration::from_secs(4);
/// A picture that is younger moves.
const MOVES: Duration = Duration::from_millis(700);

/// What the test knows of a person.
#[derive(Clone, Default)]
struct Person {
    id: Id,
    has_camera: bool,
    camera_on: bool,
    has_screen: bool,
    wanted: [u16; 4],
    /// Who is wanted in slot 0.
    pinned: Option<ParticipantKey>,
    joined: Time,
}

struct Walk {
    world: World,
    random: Random,
    people: Vec<Person>,
    presenter: [Option<ParticipantKey>; 2],
    /// When a camera was switched off last.
    switched_off: Time,
}

impl Walk {
    fn new(seed: u64) -> Walk {
        let mut world = World::new(seed);
        world.conference(ANNEX, |_| {});
        let random = world.random.fork();
        Walk { world, random, people: Vec::new(), presenter: [None; 2], switched_off: Time::ZERO }
    }

    fn room(&self, person: &Person) -> ConferenceKey {
        self.world.members[person.id].participant.conference
    }

    fn join(&mut self) {
        let (has_camera, has_screen) = (self.random.chance(0.7), self.random.chance(0.3));
        let room = if self.random.chance(0.7) { HALL } else { ANNEX };
        let joined = self.world.try_join(room, |config| {
            config.publishes = vec![microphone(config)];
            if has_camera {
                config.publishes.push(camera(config, RATE));
            }
            if has_screen {
                let track = TrackKey(config.leg.0 * 10 + 2);
                let screen = VideoConfig::single(track, Encoding::new("", 1280, 720, RATE));
                config.publishes.push(Publish::Video(VideoConfig { presentation: true, fps: 10, ..screen }));
            }
            config.slots = Slots { audio: 3, video: 4, presentation: true };
        });
        let id = joined.expect("there is room");
        self.people.push(Person {
            id,
            has_camera,
            camera_on: has_camera,
            has_screen,
            wanted: [640, 320, 320, 320],
            pinned: None,
            joined: self.world.now,
        });
    }

    fn step(&mut self) {
        let count = self.people.len();
        if count < 2 || (count < MOST && self.random.chance(0.25)) {
            return self.join();
        }
        let at = self.random.below(count as u64) as usize;
        let id = self.people[at].id;
        match self.random.below(9) {
            0 => {
                let gone = self.people.swap_remove(at);
                let key = self.world.participant(gone.id);
                for presenter in self.presenter.iter_mut().filter(|p| **p == Some(key)) {
                    *presenter = None;
                }
                self.world.leave(gone.id);
            }
            1 | 2 => {
                for person in &self.people {
                    self.world.members[person.id].peer.set_speaking(person.id == id);
                }
            }
            3 => self.world.change(id, |p| p.video_blocked = !p.video_blocked),
            4 => self.world.change(id, |p| p.waiting = !p.waiting),
            5 => self.transfer(at),
            6 => self.present(at),
            7 => self.wish(at),
            _ => {
                let person = &mut self.people[at];
                if person.has_camera {
                    person.camera_on = !person.camera_on;
                    if !person.camera_on {
                        self.switched_off = self.world.now;
                    }
                    self.world.members[id].peer.set_camera(0, person.camera_on);
                }
            }
        }
    }

    fn transfer(&mut self, at: usize) {
        let id = self.people[at].id;
        let to = if self.room(&self.people[at]) == HALL { ANNEX } else { HALL };
        let key = self.world.participant(id);
        for (room, presenter) in [HALL, ANNEX].into_iter().zip(&mut self.presenter) {
            if *presenter == Some(key) {
                *presenter = None;
                self.world.conference(room, |c| c.presenter = None);
            }
        }
        self.world.change(id, |p| p.conference = to);
    }

    fn present(&mut self, at: usize) {
        let room = self.room(&self.people[at]);
        let who =
            (self.people[at].has_screen && self.random.chance(0.8)).then(|| self.world.participant(self.people[at].id));
        self.presenter[usize::from(room == ANNEX)] = who;
        self.world.conference(room, |c| c.presenter = who);
    }

    fn wish(&mut self, at: usize) {
        let id = self.people[at].id;
        let other = self.random.pick(&self.people).map(|p| p.id);
        let pinned = other.filter(|_| self.random.chance(0.4)).map(|id| self.world.participant(id));
        let hidden = self.random.below(6);
        let person = &mut self.people[at];
        person.pinned = pinned;
        let wishes = [0u16, 1, 2, 3].map(|index| {
            let width = if u64::from(index) == hidden { 0 } else { 320 };
            person.wanted[usize::from(index)] = width;
            (index, width, width * 9 / 16, if index == 0 { pinned } else { None })
        });
        self.world.wish(id, &wishes);
    }

    /// Whether `viewer` may see `other`'s camera now.
    fn visible(&self, viewer: &Person, other: &Person) -> bool {
        let (a, b) = (&self.world.members[viewer.id].participant, &self.world.members[other.id].participant);
        viewer.id != other.id
            && a.conference == b.conference
            && !a.waiting
            && !b.waiting
            && !b.video_blocked
            && other.has_camera
            && other.camera_on
    }

    /// Everybody is shown who is seated, nobody who may not be seen, and no seat is empty while somebody could fill it.
    fn check(&self, step: usize) {
        for viewer in &self.people {
            let world = &self.world;
            let leg = world.leg(viewer.id);
            let empty = (vec![], None);
            let (seats, presentation) = world.told.seats.get(&leg).unwrap_or(&empty);
            let may: Vec<ParticipantKey> =
                self.people.iter().filter(|p| self.visible(viewer, p)).map(|p| world.participant(p.id)).collect();
            let waiting = world.members[viewer.id].participant.waiting;
            // A slot that is wanted for somebody who is here and cannot be seen stays empty.
            let here = |p: &ParticipantKey| {
                let room = self.room(viewer);
                self.people.iter().any(|o| world.participant(o.id) == *p && self.room(o) == room)
            };
            let kept_empty = viewer.pinned.filter(|p| here(p) && !may.contains(p)).is_some();
            let places = (0..4).filter(|i| viewer.wanted[*i] > 0 && (*i > 0 || !kept_empty)).count();
            let context = format!(
                "step {step}, viewer {} of {:?}: seats {seats:?}, may see {may:?}",
                viewer.id,
                self.room(viewer)
            );
            for (index, holder) in seats.iter().enumerate() {
                let slot = world.members[viewer.id].peer.slot(Kind::Video, false, index as u16).expect("a slot");
                let moves = slot.last_frame.is_some_and(|at| world.now.since(at) < MOVES);
                match holder.filter(|h| may.contains(h) && !waiting) {
                    Some(holder) => {
                        let from = slot.source.and_then(|s| world.owner(s.0)).map(|id| world.participant(id));
                        let new = world.now.since(viewer.joined) < SETTLES;
                        assert!(moves || new, "{context}: slot {index} stands still: {slot:?}");
                        assert!(!moves || from.is_some(), "{context}: slot {index}");
                        let from = from.filter(|_| moves).or(Some(holder));
                        assert_eq!(from, Some(holder), "{context}: slot {index}");
                    }
                    None => assert!(!moves, "{context}: slot {index} shows {:?}", slot.source),
                }
            }
            if !waiting {
                let seated = seats.iter().flatten().filter(|h| may.contains(h)).count();
                assert_eq!(seated, may.len().min(places), "{context}: as many as there are places");
                let twice = seats.iter().flatten().any(|h| seats.iter().flatten().filter(|o| *o == h).count() > 1);
                assert!(!twice, "{context}: somebody twice");
            }
            self.check_presentation(viewer, *presentation, &context);
        }
    }

    fn check_presentation(&self, viewer: &Person, told: Option<ParticipantKey>, context: &str) {
        let world = &self.world;
        let presenter = self.presenter[usize::from(self.room(viewer) == ANNEX)];
        let here = &world.members[viewer.id].participant;
        let presenter = presenter.filter(|p| {
            let who = world.members.iter().find(|m| m.participant.key == *p).map(|m| &m.participant);
            who.is_some_and(|w| !w.waiting && w.conference == here.conference) && *p != here.key && !here.waiting
        });
        let slot = world.members[viewer.id].peer.slot(Kind::Video, true, 0).expect("a presentation slot");
        let moves = slot.last_frame.is_some_and(|at| world.now.since(at) < MOVES);
        match presenter {
            Some(presenter) => {
                assert_eq!(told, Some(presenter), "{context}: presentation");
                if !moves && world.now.since(viewer.joined) < SETTLES {
                    return;
                }
                assert!(moves, "{context}: the presentation stands still: {slot:?}");
                let from = slot.source.and_then(|s| world.owner(s.0)).map(|id| world.participant(id));
                assert_eq!(from, Some(presenter), "{context}");
            }
            None => assert!(!moves, "{context}: a presentation of nobody"),
        }
    }
}

#[test]
fn whatever_control_wants_viewers_are_shown_who_is_seated() {
    seeds::each("whatever_control_wants", &[1, 2], |seed| {
        let mut walk = Walk::new(seed);
        for _ in 0..4 {
            walk.join();
        }
        walk.world.run(Duration::from_secs(2));
        for step in 0..40 {
            for _ in 0..=walk.random.below(2) {
                walk.step();
            }
            let until = (walk.world.now + FOLLOW).max(walk.switched_off + FALLS_SILENT);
            walk.world.run_until(until);
            walk.check(step);
        }
        walk.world.finish();
    });
}
