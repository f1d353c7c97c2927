//! The end of a tick: sessions' timers, then everything that may leave is written, sealed in one batch, and put on trains.

use crate::Shard;
use crate::world::LegIndex;
use core::time::Duration;
use plenum_packet::{Pool, Time, TxBatch};
use plenum_session::{Outbox, Session};

/// A session whose deadline does not move on when it is served is served again after this long: a fault in one session must
/// not take the core from the others.
const REST: Duration = Duration::from_millis(1);
/// Packets that one tick releases; whose turn did not come goes first in the next, which follows at once. Larger: packets wait
/// in their slots for the last one to be sealed, and a burst takes all slots of the pool. Smaller: more submits.
const MAX_RELEASED: usize = 4096;

impl Shard {
    /// Lets time pass up to `now` and puts what is to be sent into `tx`.
    pub fn tick(&mut self, now: Time, pool: &mut Pool, tx: &mut TxBatch) {
        self.not_before = now + REST;
        self.run_timers(now, pool);
        self.tick_stages(now);
        self.tick_layers(now, pool);
        self.send_due_key_frame_requests(now);
        self.run_timers(now, pool);
        self.release(now, pool);
        self.send(now, pool, tx);
        self.not_before = Time::ZERO;
    }

    /// What the last tick gave away is submitted at `at`: notes how long each packet was here, its wait in the pacer left out.
    /// Apart from the tick because a tick takes time, and the shard has no clock.
    pub fn submitted(&mut self, at: Time) {
        for &since in &self.left {
            self.residence.record(at.since(since));
        }
        self.left.clear();
    }

    /// Has every session that is due do what is due, each once.
    fn run_timers(&mut self, now: Time, pool: &mut Pool) {
        let mut due = std::mem::take(&mut self.due);
        while let Some(index) = self.timers.pop(now) {
            due.push(index);
        }
        for index in due.drain(..) {
            // A leg that ended meanwhile left its entry behind.
            let _ = self.with_session(now, pool, index, |session, out| {
                session.handle_timeout(now, out);
                Ok(())
            });
            self.mark(index);
        }
        self.due = due;
    }

    /// Says goodbye to every peer and forgets them.
    pub fn close_all(&mut self, now: Time, pool: &mut Pool) {
        let mixed = self.world.conferences.iter().filter(|(_, c)| c.mix.is_some()).map(|(_, c)| c.spec.key);
        for key in mixed.collect::<Vec<_>>() {
            self.remove_mix(pool, key);
        }
        for index in 0..self.world.legs.bound() {
            if self.world.legs.get(index).is_some() {
                self.end_leg(now, pool, index, plenum_contract::LegEnd::Removed);
            }
        }
    }

    pub(crate) fn close_session(&mut self, now: Time, pool: &mut Pool, session: &mut Session) {
        session.close(now, &mut Outbox { pool, sealer: &mut self.sealer, packets: &mut self.control });
    }

    /// Puts a leg on the list of those with something to release.
    pub(crate) fn mark(&mut self, index: LegIndex) {
        if let Some(leg) = self.world.legs.get_mut(index)
            && !leg.dirty
        {
            leg.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Arms a session's next deadline.
    pub(crate) fn rearm(&mut self, index: LegIndex) {
        if let Some(leg) = self.world.legs.get(index) {
            let at = leg.session.poll_timeout().min(if leg.dirty { Time::NEVER } else { leg.session.poll_release() });
            let at = if at == Time::NEVER { at } else { at.max(self.not_before) };
            self.timers.arm(index, at);
        }
    }

    /// Has a session's timers run in this tick.
    pub(crate) fn wake(&mut self, index: LegIndex, now: Time) {
        self.timers.arm(index, now);
    }

    fn release(&mut self, now: Time, pool: &mut Pool) {
        self.runs.clear();
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut served = 0;
        for &index in &dirty {
            if self.released.jobs.len() >= MAX_RELEASED {
                break;
            }
            served += 1;
            let Some(leg) = self.world.legs.get_mut(index) else { continue };
            leg.dirty = false;
            let first = self.released.jobs.len();
            leg.session.release(now, pool, &mut self.released);
            if self.released.jobs.len() > first {
                self.runs.push((index, first));
                crate::trains::equalise(pool, &mut self.released.jobs[first..]);
            }
            self.rearm(index);
        }
        dirty.drain(..served);
        self.dirty = dirty;
        self.sealer.protect(pool, &mut self.released.jobs);
        let end = self.released.jobs.len();
        for (at, (index, first)) in self.runs.iter().enumerate() {
            let next = self.runs.get(at + 1).map_or(end, |(_, next)| *next);
            if let Some(leg) = self.world.legs.get_mut(*index) {
                leg.session.sealed(pool, &self.released.jobs[*first..next]);
            }
        }
        for (reason, count) in self.released.drops.iter() {
            self.drops.add(reason, count);
        }
        self.released.drops = plenum_packet::DropCounts::default();
    }

    /// Control packets first, then the released ones, those of a peer side by side so that they form trains.
    fn send(&mut self, now: Time, pool: &mut Pool, tx: &mut TxBatch) {
        for (path, buf) in self.control.drain(..) {
            tx.push(path, buf);
        }
        let mut runs = self.runs.iter().peekable();
        let mut path = None;
        self.left.clear();
        let timings = self.released.timings.drain(..);
        for (at, (job, timing)) in self.released.jobs.drain(..).zip(timings).enumerate() {
            if let Some((index, _)) = runs.next_if(|(_, first)| *first == at) {
                path = self.world.legs.get(*index).and_then(|l| l.session.path());
            }
            match (job.result, path) {
                (Ok(()), Some(path)) => {
                    let waited = now.since(timing.queued);
                    self.pacer_wait.record(waited);
                    if let Some(received) = timing.received {
                        self.left.push(received + waited);
                    }
                    tx.push(path, job.buf);
                }
                (Err(reason), _) => {
                    self.drops.count(reason);
                    pool.free(job.buf);
                }
                (Ok(()), None) => {
                    self.drops.count(plenum_packet::DropReason::NoPath);
                    pool.free(job.buf);
                }
            }
        }
    }
}
