//! One shard's conferences: takes what the shard says, ticks rooms when they are due, writes what they say.
//!
//! Deadline-driven: it sleeps until the earliest room is due, the shard wrote something, or the pool has done something. All that takes long is done
//! by the pool; here packets are taken and sound is mixed, so that neither waits for a picture.

use super::link::Link;
use super::pool::{Hand, Spent};
use core::time::Duration;
use plenum_contract::{ConferenceKey, FromMix, MixerSpent, ToMix};
use plenum_mix::room::jobs::{Done, Job};
use plenum_mix::room::{Room, RoomSettings};
use plenum_packet::Time;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// Records that are taken between two looks at the rooms.
const MAX_RECORDS: usize = 1024;
/// Most conferences of one worker; further ones are not mixed.
const MAX_ROOMS: usize = 4096;
/// Longest sleep.
const LONGEST: Duration = Duration::from_secs(1);
/// How often the load is told.
const MEASURE: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Worker {
    link: Link,
    settings: RoomSettings,
    rooms: BTreeMap<ConferenceKey, Room>,
    record: Vec<u8>,
    pool: Hand<Job>,
    /// What the pool has done; kept for its capacity.
    done: Vec<Done>,
    load: Load,
}

/// How busy the worker is, and what media was told.
struct Load {
    busy: Duration,
    told: (u8, MixerSpent),
    at: Time,
}

impl Worker {
    pub(crate) fn new(link: Link, settings: RoomSettings, pool: Hand<Job>) -> Worker {
        let load = Load { busy: Duration::ZERO, told: Default::default(), at: now() };
        Worker { link, settings, rooms: BTreeMap::new(), record: Vec::new(), pool, done: Vec::new(), load }
    }

    /// Works until media is gone; returns why it ended.
    pub(crate) fn run(mut self) -> String {
        loop {
            let started = now();
            if let Err(reason) = self.turn() {
                return format!("shard {}: {reason}", self.link.shard);
            }
            let next = self.rooms.values().map(Room::deadline).min().unwrap_or(Time::NEVER);
            let ended = now();
            self.load.busy += ended.since(started);
            self.measure(ended);
            self.link.flush();
            let limit = next.since(ended).min(LONGEST);
            if let Err(reason) = self.link.wait(self.pool.descriptor(), limit) {
                return format!("shard {}: {reason}", self.link.shard);
            }
        }
    }

    fn turn(&mut self) -> Result<(), &'static str> {
        self.hear()?;
        self.finish();
        // One room after the other, with a look at what arrived in between.
        let due: Vec<ConferenceKey> =
            self.rooms.iter().filter(|(_, room)| room.deadline() <= now()).map(|(key, _)| *key).collect();
        for key in due {
            let link = &mut self.link;
            if let Some(room) = self.rooms.get_mut(&key) {
                room.tick(now(), &mut self.pool, &mut |message: FromMix<'_>| link.write(&message));
                self.link.flush();
            }
            self.hear()?;
            self.finish();
        }
        Ok(())
    }

    /// Gives rooms back what the pool has done. What a room left that is gone is dropped.
    fn finish(&mut self) {
        let mut done = std::mem::take(&mut self.done);
        self.pool.take(&mut done);
        for done in done.drain(..) {
            let link = &mut self.link;
            if let Some(room) = self.rooms.get_mut(&done.conference()) {
                room.done(now(), done, &mut self.pool, &mut |message: FromMix<'_>| link.write(&message));
                self.link.flush();
            }
        }
        self.done = done;
    }

    /// Takes what the shard wrote.
    fn hear(&mut self) -> Result<(), &'static str> {
        for _ in 0..MAX_RECORDS {
            let mut record = std::mem::take(&mut self.record);
            let there = self.link.read(&mut record)?;
            if there && let Ok(message) = ToMix::read(&record) {
                self.take(message);
            }
            self.record = record;
            if !there {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, message: ToMix<'_>) {
        let now = now();
        match message {
            ToMix::Remove(key) => drop(self.rooms.remove(&key)),
            ToMix::Spec(spec) if !self.rooms.contains_key(&spec.conference) => {
                if self.rooms.len() < MAX_ROOMS {
                    self.rooms.insert(spec.conference, Room::new(spec, self.settings.clone(), now));
                }
            }
            message => {
                if let Some(room) = conference(&message).and_then(|key| self.rooms.get_mut(&key)) {
                    room.handle(now, message);
                }
            }
        }
    }

    /// Tells media what is left out, at once when that changed, and what it all took.
    fn measure(&mut self, now: Time) {
        let shed = self.rooms.values().map(Room::shed).max().unwrap_or(0);
        if shed == self.load.told.0 && now.since(self.load.at) < MEASURE {
            return;
        }
        let Spent { tasks, busy, waited } = self.pool.spent();
        let spent = MixerSpent {
            worker_ns: self.load.busy.as_nanos() as u64,
            jobs: tasks.load(Relaxed),
            job_ns: busy.load(Relaxed),
            wait_ns: waited.load(Relaxed),
        };
        self.load.at = now;
        // A worker that only looks around has nothing to tell.
        if shed != self.load.told.0 || spent.jobs != self.load.told.1.jobs || !self.rooms.is_empty() {
            self.load.told = (shed, spent);
            self.link.write(&FromMix::Load { shed, spent });
        }
    }
}

/// Whose message it is.
fn conference(message: &ToMix<'_>) -> Option<ConferenceKey> {
    Some(match message {
        ToMix::Spec(spec) => spec.conference,
        ToMix::Packet(packet) => packet.conference,
        ToMix::Remove(conference)
        | ToMix::Speakers { conference, .. }
        | ToMix::Report { conference, .. }
        | ToMix::Gone { conference, .. }
        | ToMix::Need { conference, .. }
        | ToMix::Unneeded { conference, .. }
        | ToMix::KeyFrame { conference, .. } => *conference,
    })
}

/// The clock of the data plane.
fn now() -> Time {
    Time(plenum_host::now())
}
