//! What a slot sent, for retransmission: plans, not packets. The payload stays in the cache and may be gone when it is asked for.
//!
//! A ring indexed by the SRTP index, so that nothing is searched. It begins with a slot's first packet, grows with the rate of
//! packets while what it would forget is young, and never shrinks.

use plenum_packet::Time;
use plenum_wire::Plan;
use std::time::Duration;

/// Plans remembered for video at the most: 512 are 1.5 s at 4 Mbit/s. Larger: memory (64 KiB for each slot of that rate).
/// Smaller: long round trips find nothing.
const VIDEO: usize = 512;
/// And for audio: 1.2 s of packets of 20 ms.
const AUDIO: usize = 64;
/// Places at first.
const FIRST: usize = 16;
const _: () = assert!(VIDEO.is_power_of_two() && AUDIO.is_power_of_two() && FIRST.is_power_of_two() && FIRST <= AUDIO);
/// A plan younger than this is not forgotten while the ring may grow: twice as long as receivers ask for a packet.
const REMEMBERED: Duration = Duration::from_secs(2);

/// One packet that left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) index: u64,
    pub(crate) plan: Plan,
    /// When it was last sent again; [`Time::ZERO`] if never.
    pub(crate) resent: Time,
}

/// The ring of one slot.
#[derive(Debug)]
pub(crate) struct History {
    most: usize,
    /// A power of two of places, or none before the first packet.
    entries: Box<[Option<Sent>]>,
}

impl History {
    pub(crate) fn new(video: bool) -> History {
        History { most: if video { VIDEO } else { AUDIO }, entries: Box::default() }
    }

    /// Notes a packet that leaves.
    pub(crate) fn push(&mut self, index: u64, plan: Plan) {
        let young = |e: &Sent| plan.received.since(e.plan.received) < REMEMBERED;
        match self.place(index) {
            None => self.resize(FIRST),
            Some(place) if self.entries.len() < self.most => {
                if self.entries[place].as_ref().is_some_and(|e| e.index < index && young(e)) {
                    self.resize(2 * self.entries.len());
                }
            }
            Some(_) => {}
        }
        let Some(place) = self.place(index) else { return };
        // A packet that leaves late must not push out a newer one.
        if self.entries[place].is_none_or(|e| e.index <= index) {
            self.entries[place] = Some(Sent { index, plan, resent: Time::ZERO });
        }
    }

    /// The packet of this index, if it is still remembered.
    pub(crate) fn get(&mut self, index: u64) -> Option<&mut Sent> {
        let place = self.place(index)?;
        self.entries[place].as_mut().filter(|e| e.index == index)
    }

    /// As [`History::get`], to read.
    pub(crate) fn get_ref(&self, index: u64) -> Option<&Sent> {
        self.entries[self.place(index)?].as_ref().filter(|e| e.index == index)
    }

    /// Bytes that the ring takes.
    pub(crate) fn footprint(&self) -> usize {
        size_of_val(&*self.entries)
    }

    fn place(&self, index: u64) -> Option<usize> {
        let mask = self.entries.len().checked_sub(1)?;
        Some(index as usize & mask)
    }

    /// To `places`, more than before: two packets that had places of their own have them still.
    fn resize(&mut self, places: usize) {
        let former = std::mem::replace(&mut self.entries, vec![None; places].into_boxed_slice());
        for sent in former.into_iter().flatten() {
            self.entries[sent.index as usize & (places - 1)] = Some(sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_packet::Pool;
    use plenum_wire::{Class, Patch, PlanExtensions};

    /// A ring after `count` packets, one each `ms`.
    fn after(video: bool, count: u64, ms: u64) -> History {
        let mut pool = Pool::new(1);
        let buf = pool.copy_in(0, b"x").expect("a slot");
        let first = Plan {
            payload: pool.reference(&buf),
            media: 0,
            payload_type: 96,
            marker: false,
            sequence: 0,
            timestamp: 0,
            patch: Patch::None,
            extensions: PlanExtensions::default(),
            received: Time::ZERO,
            captured: Time::ZERO,
            class: Class::Video,
        };
        pool.free(buf);
        let mut history = History::new(video);
        for n in 0..count {
            history.push(70_000 + n, Plan { sequence: n as u16, received: Time::from_millis(n * ms), ..first });
        }
        history
    }

    #[test]
    fn the_ring_grows_with_the_rate_and_two_seconds_are_remembered() {
        assert_eq!(History::new(true).footprint(), 0, "a slot that sends nothing has none");
        for (ms, places) in [(200, 16), (33, 64), (10, 256), (2, 512)] {
            let mut history = after(true, 2_000, ms);
            assert_eq!(history.entries.len(), places, "a packet each {ms} ms");
            let kept = (2_000 / ms).min(places as u64);
            for n in 2_000 - kept..2_000 {
                assert_eq!(history.get(70_000 + n).map(|sent| sent.plan.sequence), Some(n as u16));
            }
            assert!(history.get(70_000 + 1_999 - places as u64).is_none() && history.get(72_000).is_none());
        }
        assert_eq!(after(false, 2_000, 2).entries.len(), AUDIO);
    }

    #[test]
    fn a_packet_that_leaves_late_pushes_out_no_newer_one() {
        let mut history = after(true, 17, 1_000);
        let late = *history.get(70_001).expect("remembered");
        history.push(70_000, Plan { sequence: 0, ..late.plan });
        assert!(history.get(70_000).is_none() && history.get_ref(70_016).is_some());
    }
}
