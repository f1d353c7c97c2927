//! The pacer: what is planned waits here until the path has room for it.
//!
//! Four classes in strict order: audio never waits, then retransmissions, video, probes. Within a class the slots of
//! the session take turns by bytes ([`ring`]). What leaves fills a bucket of at most [`BURST`] of the rate, so that
//! ordinary frames leave whole and key frames are spread. Bounded in items and in waiting time: beyond, the oldest
//! video goes, a whole frame at a time. Nothing is allocated once the queue has reached its usual depth.

mod ring;
#[cfg(test)]
mod tests;

use core::time::Duration;
use plenum_packet::{Bitrate, DropReason, Time};
use plenum_wire::{Class, Plan};
use ring::{Rings, Store};

/// What may leave at once after a pause, in time of the rate. Larger: the queue of the narrow link grows that long with
/// every frame. Smaller: ordinary frames (33 ms at 30 frames a second) are cut.
pub const BURST: Duration = Duration::from_millis(40);
/// A burst is never smaller than two full packets, or nothing could leave whole at low rates.
const LEAST_BURST: i64 = 3000;
/// Most items that wait. Larger: more memory (about 160 bytes each) for a peer that cannot keep up. Smaller: key
/// frames of many slots at once are lost. 1024 packets are one second at 10 Mbit/s.
pub const MAX_QUEUED: usize = 1024;
/// Retransmissions and probes take at most this part of it: who asks for everything again must still hear.
const MAX_REPAIRS: usize = MAX_QUEUED / 2;
/// Longest that video waits. Longer: pictures come too late for a conversation. Shorter: at low rates a key frame never
/// gets through.
pub const MAX_WAIT: Duration = Duration::from_millis(1000);
/// Most slots of a session.
pub const MAX_SLOTS: u16 = 1024;

/// What the pacer must know of an item.
pub trait Paced: Copy {
    /// Its rank.
    fn class(&self) -> Class;
    /// The slot it belongs to: slots take turns.
    fn slot(&self) -> u16;
    /// The frame it belongs to, within the slot: frames are dropped whole.
    fn frame(&self) -> u32;
    /// Its bytes on the wire, as the estimator counts them.
    fn size(&self) -> usize;
}

/// Bytes of header, extensions, tag, UDP and IPv4 around a payload, about.
const OVERHEAD: usize = 72;

impl Paced for Plan {
    fn class(&self) -> Class {
        self.class
    }
    fn slot(&self) -> u16 {
        self.media
    }
    fn frame(&self) -> u32 {
        self.timestamp
    }
    fn size(&self) -> usize {
        self.payload.len() + OVERHEAD
    }
}

/// An item that leaves, and since when it waited.
#[derive(Clone, Copy, Debug)]
pub struct Popped<T> {
    /// The item.
    pub item: T,
    /// When it was pushed.
    pub queued: Time,
}

/// The pacer of one session.
#[derive(Debug)]
pub struct Pacer<T = Plan> {
    store: Store<T>,
    /// By [`Class`], in its order.
    rings: [Rings; 4],
    rate: Bitrate,
    burst: i64,
    /// Bytes that may leave; below zero, a debt.
    budget: i64,
    /// Fractions of a byte that refilling left over, in bit-nanoseconds.
    remainder: u64,
    updated: Time,
    /// No video waits too long before this: spares the search.
    late_at: Time,
    dropped: u64,
}

impl<T: Paced> Pacer<T> {
    /// A pacer of an idle path with this rate.
    pub fn new(target: Bitrate, pacing: Bitrate) -> Pacer<T> {
        let mut pacer = Pacer {
            store: Store::default(),
            rings: Default::default(),
            rate: pacing,
            burst: 0,
            budget: 0,
            remainder: 0,
            updated: Time::ZERO,
            late_at: Time::ZERO,
            dropped: 0,
        };
        pacer.set_rate(Time::ZERO, target, pacing);
        pacer.budget = pacer.burst;
        pacer
    }

    /// Changes the rate: a burst is [`BURST`] of `target`, and `pacing` is the rate that refills it.
    pub fn set_rate(&mut self, now: Time, target: Bitrate, pacing: Bitrate) {
        self.refill(now);
        self.rate = pacing;
        self.burst = i64::try_from(target.bytes_in(BURST)).unwrap_or(i64::MAX).max(LEAST_BURST);
        self.budget = self.budget.min(self.burst);
    }

    /// Queues an item. Older video may be dropped to make room: [`Pacer::take_dropped`] counts it, and `on_drop` sees
    /// it.
    ///
    /// # Errors
    /// [`DropReason::PacerFull`] when there is no room, or when the item belongs to a frame that was dropped.
    pub fn push(&mut self, now: Time, item: T, mut on_drop: impl FnMut(&T)) -> Result<(), DropReason> {
        if item.slot() >= MAX_SLOTS {
            return Err(DropReason::PacerFull);
        }
        self.drop_late(now, &mut on_drop);
        if matches!(item.class(), Class::Retransmission | Class::Probe) && self.store.len() >= MAX_REPAIRS {
            return Err(DropReason::PacerFull);
        }
        while self.store.len() >= MAX_QUEUED {
            if !self.drop_frame(&mut on_drop) {
                return Err(DropReason::PacerFull);
            }
        }
        let ring = &mut self.rings[item.class() as usize];
        if item.class() == Class::Video && ring.refuses(item.slot(), item.frame()) {
            return Err(DropReason::PacerFull);
        }
        ring.push(&mut self.store, now, item);
        Ok(())
    }

    /// The next item that may leave now; `None` when nothing waits or the path has no room yet. Items dropped because
    /// they waited too long are counted, and `on_drop` sees them.
    pub fn pop(&mut self, now: Time, mut on_drop: impl FnMut(&T)) -> Option<Popped<T>> {
        self.refill(now);
        let [audio, others @ ..] = &mut self.rings;
        if let Some(popped) = audio.pop(&mut self.store) {
            // Audio goes out in any case; what it took is missing to the others, but never more than a burst.
            self.budget = (self.budget - popped.item.size() as i64).max(-self.burst);
            return Some(popped);
        }
        if self.budget <= 0 {
            return None;
        }
        if others.iter().all(Rings::is_empty) {
            return None;
        }
        self.drop_late(now, &mut on_drop);
        let [_, others @ ..] = &mut self.rings;
        let popped = others.iter_mut().find_map(|ring| ring.pop(&mut self.store))?;
        self.budget -= popped.item.size() as i64;
        Some(popped)
    }

    /// When [`Pacer::pop`] gives something; [`Time::NEVER`] when nothing waits.
    pub fn poll_timeout(&self) -> Time {
        if !self.rings[Class::Audio as usize].is_empty() {
            return Time::ZERO;
        }
        if self.store.is_empty() {
            return Time::NEVER;
        }
        if self.budget > 0 {
            return self.updated;
        }
        // One nanosecond more, so that rounding never wakes too early.
        self.updated + self.rate.time_for((1 - self.budget) as u64).saturating_add(Duration::from_nanos(1))
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.rings.iter().map(Rings::bytes).sum()
    }

    /// How many items were dropped since the last call, each with [`DropReason::PacerFull`].
    pub fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.dropped)
    }

    /// Drops all that waits of `slot`: it is switched off or was given to someone else.
    pub fn clear_slot(&mut self, slot: u16, mut on_drop: impl FnMut(&T)) {
        for ring in &mut self.rings {
            while let Some(item) = ring.drop_head(&mut self.store, slot) {
                on_drop(&item);
            }
        }
    }

    fn refill(&mut self, now: Time) {
        let passed = now.since(self.updated).min(Duration::from_secs(1)).as_nanos();
        self.updated = self.updated.max(now);
        let gained = u128::from(self.rate.bps()) * passed + u128::from(self.remainder);
        self.remainder = (gained % 8_000_000_000) as u64;
        let bytes = i64::try_from(gained / 8_000_000_000).unwrap_or(i64::MAX);
        self.budget = self.budget.saturating_add(bytes).min(self.burst);
    }

    fn drop_late(&mut self, now: Time, on_drop: &mut impl FnMut(&T)) {
        while now >= self.late_at {
            let oldest = self.rings[Class::Video as usize].oldest(&self.store).map_or(now, |(_, queued)| queued);
            if now.since(oldest) > MAX_WAIT {
                self.drop_frame(on_drop);
            } else {
                self.late_at = oldest + MAX_WAIT + Duration::from_nanos(1);
            }
        }
    }

    /// Drops the frame that waits longest; whether there was one.
    fn drop_frame(&mut self, on_drop: &mut impl FnMut(&T)) -> bool {
        let ring = &mut self.rings[Class::Video as usize];
        let Some((slot, _)) = ring.oldest(&self.store) else { return false };
        let mut frame = None;
        while let Some(head) = ring.head(&self.store, slot).filter(|head| frame.is_none_or(|f| f == head.frame())) {
            frame = Some(head.frame());
            if let Some(item) = ring.drop_head(&mut self.store, slot) {
                self.dropped += 1;
                on_drop(&item);
            }
        }
        ring.refuse(slot, frame);
        true
    }
}
