//! From packets to pictures: a frame counts as decoded when all its packets are there and what it refers to was decoded.
//!
//! Frames are known by their stamps, so nothing here trusts the numbers that a server rewrites; instead those are checked
//! against the stamps where a decoder relies on them (TL0PICIDX). A server may send old frames once more, under new numbers,
//! when it begins a source again: frames belong together when their timestamps are as far apart as their stamps say.

use super::stamp::Stamp;
use plenum_packet::Time;
use std::collections::{BTreeMap, VecDeque};

/// Frames under construction; the oldest gives way.
const MOST: usize = 128;
/// Decoded frames that others may refer to.
const REMEMBERED: usize = 64;

/// How far timestamps of one sending may be off, in ticks of 90 kHz: less than a frame.
const TOLERANCE: i64 = 1200;

/// Track, encoding, frame number, RTP timestamp.
type FrameKey = (u32, u8, u32, u32);

#[derive(Debug)]
struct Partial {
    stamp: Stamp,
    received: u128,
    count: u8,
    tl0: Option<u8>,
    at: Time,
}

/// A decoded frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoded {
    pub(crate) stamp: Stamp,
    timestamp: u32,
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
    pub(crate) fn packet(
        &mut self,
        now: Time,
        (stamp, timestamp): (Stamp, u32),
        tl0: Option<u8>,
        out: &mut Vec<Stamp>,
    ) {
        let key = (stamp.track, stamp.encoding, stamp.frame, timestamp);
        if self.decoded.iter().any(|d| frame_key(&d.stamp, d.timestamp) == key) || stamp.parts == 0 || stamp.part >= 128
        {
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
            let ready =
                self.partial.iter().find(|(k, p)| p.count == p.stamp.parts && self.has_reference(&p.stamp, k.3));
            let Some(key) = ready.map(|(k, _)| *k) else { return };
            let Some(partial) = self.partial.remove(&key) else { return };
            let (stamp, timestamp) = (partial.stamp, key.3);
            if stamp.is_key() {
                // Nothing before a key frame is of use after it.
                self.partial.retain(|k, _| (k.0, k.1) != (stamp.track, stamp.encoding) || k.2 > stamp.frame);
                self.decoded.clear();
            } else if let (Some(found), Some(expected)) = (partial.tl0, self.expected_tl0(&stamp, timestamp))
                && found != expected
            {
                self.wrong.push(WrongTl0 { found, expected, stamp });
            }
            if self.decoded.len() == REMEMBERED {
                self.decoded.pop_front();
            }
            self.decoded.push_back(Decoded { stamp, timestamp, tl0: partial.tl0 });
            out.push(stamp);
        }
    }

    fn has_reference(&self, stamp: &Stamp, timestamp: u32) -> bool {
        stamp.is_key() || self.find(stamp, timestamp, stamp.refers).is_some()
    }

    /// The decoded frame of this number that belongs to the same sending.
    fn find(&self, stamp: &Stamp, timestamp: u32, frame: u32) -> Option<&Decoded> {
        let apart = i64::from(stamp.frame.wrapping_sub(frame)) * 90_000 / i64::from(stamp.fps.max(1));
        self.decoded.iter().rev().find(|d| {
            (d.stamp.track, d.stamp.encoding, d.stamp.frame) == (stamp.track, stamp.encoding, frame)
                && (i64::from(timestamp.wrapping_sub(d.timestamp) as i32) - apart).abs() < TOLERANCE
        })
    }

    /// The index that the frame must have: one more than the base frame that it refers to, or that of its base frame.
    fn expected_tl0(&self, stamp: &Stamp, timestamp: u32) -> Option<u8> {
        match stamp.temporal {
            0 => Some(self.find(stamp, timestamp, stamp.refers)?.tl0?.wrapping_add(1)),
            _ => self.find(stamp, timestamp, stamp.base)?.tl0,
        }
    }

    /// Frames that wait, for packets or for what they refer to.
    pub(crate) fn waiting(&self) -> usize {
        self.partial.len()
    }
}

fn frame_key(stamp: &Stamp, timestamp: u32) -> FrameKey {
    (stamp.track, stamp.encoding, stamp.frame, timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(frame: u32, refers: u32, part: u8, parts: u8) -> (Stamp, u32) {
        let stamp = Stamp {
            track: 1,
            frame,
            refers,
            base: frame,
            part,
            parts,
            fps: 30,
            encoding: 0,
            temporal: 0,
            sent: Time::ZERO,
        };
        (stamp, frame * 3000)
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
        let (again, at) = stamp(3, 2, 0, 1);
        frames.packet(Time::ZERO, (again, at + 90_000), Some(90), &mut out);
        assert!(frames.wrong.is_empty() && out.len() == 2, "of another sending, whose key frame is missing");
        frames.packet(Time::ZERO, stamp(3, 2, 0, 1), Some(10), &mut out);
        assert_eq!((frames.wrong.len(), frames.wrong[0].found, frames.wrong[0].expected), (1, 10, 9));
    }
}
