//! From packets to pictures: a frame counts as decoded when all its packets are there and what it refers to was decoded.
//!
//! Frames are known by their stamps, so nothing here trusts the numbers that a server rewrites; instead those are checked
//! against the stamps where a decoder relies on them (TL0PICIDX).

use super::stamp::Stamp;
use plenum_packet::Time;
use std::collections::{BTreeMap, VecDeque};

/// Frames under construction; the oldest gives way.
const MOST: usize = 128;
/// Decoded frames that others may refer to.
const REMEMBERED: usize = 64;

/// Track, encoding, frame number.
type FrameKey = (u32, u8, u32);

#[derive(Debug)]
struct Partial {
    stamp: Stamp,
    received: u128,
    count: u16,
    tl0: Option<u8>,
    at: Time,
}

/// A decoded frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoded {
    pub(crate) stamp: Stamp,
    tl0: Option<u8>,
}

/// What is wrong with rewritten numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongTl0 {
    pub(crate) found: u8,
    pub(crate) expected: u8,
    pub(crate) stamp: Stamp,
}

/// One slot's frames.
#[derive(Default)]
pub(crate) struct Frames {
    partial: BTreeMap<FrameKey, Partial>,
    decoded: VecDeque<Decoded>,
    pub(crate) wrong: Vec<WrongTl0>,
}

impl Frames {
    /// A packet arrived. Frames that can be decoded now are appended to `out`, in order.
    pub(crate) fn packet(&mut self, now: Time, stamp: Stamp, tl0: Option<u8>, out: &mut Vec<Stamp>) {
        let key = (stamp.track, stamp.encoding, stamp.frame);
        if self.decoded.iter().any(|d| frame_key(&d.stamp) == key) || stamp.parts == 0 || stamp.part >= 128 {
            return;
        }
        if self.partial.len() == MOST && !self.partial.contains_key(&key) {
            let oldest = self.partial.iter().min_by_key(|(_, p)| p.at).map(|(k, _)| *k);
            oldest.and_then(|k| self.partial.remove(&k));
        }
        let partial = self.partial.entry(key).or_insert(Partial { stamp, received: 0, count: 0, tl0, at: now });
        let bit = 1u128 << stamp.part;
        if partial.received & bit == 0 {
            partial.received |= bit;
            partial.count += 1;
        }
        if partial.count == stamp.parts {
            self.decode(out);
        }
    }

    /// Decodes whatever can be decoded, until nothing can.
    fn decode(&mut self, out: &mut Vec<Stamp>) {
        loop {
            let ready = self.partial.iter().find(|(_, p)| p.count == p.stamp.parts && self.has_reference(&p.stamp));
            let Some(key) = ready.map(|(k, _)| *k) else { return };
            let Some(partial) = self.partial.remove(&key) else { return };
            let stamp = partial.stamp;
            if stamp.is_key() {
                // Nothing before a key frame is of use after it.
                self.partial.retain(|k, _| (k.0, k.1) != (stamp.track, stamp.encoding) || k.2 > stamp.frame);
                self.decoded.clear();
            } else if let (Some(found), Some(expected)) = (partial.tl0, self.expected_tl0(&stamp))
                && found != expected
            {
                self.wrong.push(WrongTl0 { found, expected, stamp });
            }
            if self.decoded.len() == REMEMBERED {
                self.decoded.pop_front();
            }
            self.decoded.push_back(Decoded { stamp, tl0: partial.tl0 });
            out.push(stamp);
        }
    }

    fn has_reference(&self, stamp: &Stamp) -> bool {
        stamp.is_key() || self.find(stamp, stamp.refers).is_some()
    }

    fn find(&self, stamp: &Stamp, frame: u32) -> Option<&Decoded> {
        self.decoded.iter().rev().find(|d| frame_key(&d.stamp) == (stamp.track, stamp.encoding, frame))
    }

    /// The index that the frame must have: one more than the base frame that it refers to, or that of its base frame.
    fn expected_tl0(&self, stamp: &Stamp) -> Option<u8> {
        match stamp.temporal {
            0 => Some(self.find(stamp, stamp.refers)?.tl0?.wrapping_add(1)),
            _ => self.find(stamp, stamp.base)?.tl0,
        }
    }

    /// Frames that wait, for packets or for what they refer to.
    pub(crate) fn waiting(&self) -> usize {
        self.partial.len()
    }
}

fn frame_key(stamp: &Stamp) -> FrameKey {
    (stamp.track, stamp.encoding, stamp.frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(frame: u32, refers: u32, part: u16, parts: u16) -> Stamp {
        Stamp { track: 1, frame, refers, base: frame, part, parts, encoding: 0, temporal: 0, sent: Time::ZERO }
    }

    #[test]
    fn a_frame_waits_for_its_packets_and_for_what_it_refers_to() {
        let mut frames = Frames::default();
        let mut out = vec![];
        frames.packet(Time::ZERO, stamp(2, 1, 0, 1), None, &mut out);
        frames.packet(Time::ZERO, stamp(1, 1, 1, 2), None, &mut out);
        assert!(out.is_empty());
        frames.packet(Time::ZERO, stamp(1, 1, 1, 2), None, &mut out);
        assert!(out.is_empty(), "the same packet again");
        frames.packet(Time::ZERO, stamp(1, 1, 0, 2), None, &mut out);
        assert_eq!(out.iter().map(|s| s.frame).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(frames.waiting(), 0);
    }

    #[test]
    fn a_base_layer_index_that_does_not_go_on_is_noticed() {
        let mut frames = Frames::default();
        let mut out = vec![];
        frames.packet(Time::ZERO, stamp(1, 1, 0, 1), Some(7), &mut out);
        frames.packet(Time::ZERO, stamp(2, 1, 0, 1), Some(8), &mut out);
        assert!(frames.wrong.is_empty());
        frames.packet(Time::ZERO, stamp(3, 2, 0, 1), Some(10), &mut out);
        assert_eq!((frames.wrong.len(), frames.wrong[0].found, frames.wrong[0].expected), (1, 10, 9));
    }
}
