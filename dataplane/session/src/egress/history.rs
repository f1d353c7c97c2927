//! What a slot sent, for retransmission: plans, not packets. The payload stays in the cache and may be gone when it is asked for.
//!
//! A ring indexed by the SRTP index, so that nothing is searched. Allocated at a slot's first packet, never again.

use plenum_packet::Time;
use plenum_wire::Plan;

/// Plans remembered for video: 512 are 1.5 s at 4 Mbit/s. Larger: memory (some 70 KiB for each active slot). Smaller: long
/// round trips find nothing.
const VIDEO: usize = 512;
/// Plans remembered for audio: 1.2 s of packets of 20 ms.
const AUDIO: usize = 64;
const _: () = assert!(VIDEO.is_power_of_two() && AUDIO.is_power_of_two());

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
    capacity: usize,
    entries: Box<[Option<Sent>]>,
}

impl History {
    pub(crate) fn new(video: bool) -> History {
        History { capacity: if video { VIDEO } else { AUDIO }, entries: Box::default() }
    }

    pub(crate) fn push(&mut self, index: u64, plan: Plan) {
        if self.entries.is_empty() {
            self.entries = vec![None; self.capacity].into_boxed_slice();
        }
        let place = index as usize & (self.capacity - 1);
        // A packet that leaves late must not push out a newer one.
        if self.entries[place].is_none_or(|e| e.index <= index) {
            self.entries[place] = Some(Sent { index, plan, resent: Time::ZERO });
        }
    }

    /// The packet of this index, if it is still remembered.
    pub(crate) fn get(&mut self, index: u64) -> Option<&mut Sent> {
        let place = index as usize & (self.capacity - 1);
        self.entries.get_mut(place)?.as_mut().filter(|e| e.index == index)
    }

    /// As [`History::get`], to read.
    pub(crate) fn get_ref(&self, index: u64) -> Option<&Sent> {
        let place = index as usize & (self.capacity - 1);
        self.entries.get(place)?.as_ref().filter(|e| e.index == index)
    }
}
