//! Picture ids, TL0PICIDX and frame numbers of one continuous egress stream.
//!
//! VP8 (RFC 7741): ids count frames; a frame left out leaves no gap, because a receiver waits for the missing frame
//! before it shows higher temporal layers. VP9 (RFC 9628) and the dependency descriptor: references are differences of
//! ids, so within a stream their distance is kept, gaps included. Where another stream begins, ids go on by one.
//! Ids are written in the width that the sender chose; this never changes a length.

use super::splice::{LeftOut, Splice};
use crate::info::{Codec, Frame, PictureId};
use plenum_wire::Patch;

/// The map of ids.
#[derive(Clone, Debug)]
pub struct Pictures {
    vp8: Splice,
    /// The newest VP8 id of the running stream, without wrapping.
    newest_vp8: Option<u64>,
    vp9: Offset,
    tl0: Offset,
    frame_number: Offset,
}

/// A number whose distances are kept within a stream, and which goes on by one where another stream begins.
#[derive(Clone, Copy, Debug, Default)]
struct Offset {
    add: u16,
    last: u16,
    running: bool,
}

impl Offset {
    fn pass(&mut self, value: u16) -> u16 {
        if !self.running {
            self.add = self.last.wrapping_add(1).wrapping_sub(value);
            self.running = true;
            self.last = value.wrapping_add(self.add);
        }
        let out = value.wrapping_add(self.add);
        if (out.wrapping_sub(self.last) as i16) > 0 {
            self.last = out;
        }
        out
    }
}

impl Pictures {
    /// A stream whose first ids are derived from `first`. `layered` as for [`Splice::new`].
    pub fn new(first: u16, layered: bool) -> Pictures {
        let offset = Offset { last: first, ..Offset::default() };
        Pictures { vp8: Splice::new(first, layered), newest_vp8: None, vp9: offset, tl0: offset, frame_number: offset }
    }

    /// Another ingress stream begins with the next packet that passes.
    pub fn begin(&mut self) {
        self.newest_vp8 = None;
        self.vp9.running = false;
        self.tl0.running = false;
        self.frame_number.running = false;
    }

    /// Whether the frame of this id was left out.
    pub fn was_left_out(&self, codec: Codec, frame: &Frame) -> bool {
        match (codec, frame.picture_id, self.newest_vp8) {
            (Codec::Vp8, Some(id), Some(newest)) => self.vp8.was_left_out(unwrapped(id, newest)),
            _ => false,
        }
    }

    /// Leaves the frame out: its id leaves no gap, unless frames behind it passed already.
    pub fn leave_out(&mut self, codec: Codec, frame: &Frame) {
        if let (Codec::Vp8, Some(id), Some(newest)) = (codec, frame.picture_id, self.newest_vp8) {
            let id = unwrapped(id, newest);
            if self.vp8.leave_out(id, false) == LeftOut::Closed {
                self.newest_vp8 = Some(id);
            }
        }
    }

    /// The patch of a packet that passes; `None` when its frame was left out or is too old to be mapped.
    pub fn pass(&mut self, codec: Codec, frame: &Frame) -> Option<Patch> {
        match codec {
            Codec::Vp8 => self.pass_vp8(frame),
            Codec::Vp9 => Some(self.pass_vp9(frame)),
            _ => Some(Patch::None),
        }
    }

    /// The dependency descriptor's frame number in the egress stream.
    pub fn frame_number(&mut self, number: u16) -> u16 {
        self.frame_number.pass(number)
    }

    fn pass_vp8(&mut self, frame: &Frame) -> Option<Patch> {
        if frame.picture_id.is_none() && frame.tl0_pic_idx.is_none() {
            return Some(Patch::None);
        }
        let picture_id = match (frame.picture_id, self.newest_vp8) {
            (None, _) => 0,
            (Some(id), None) => {
                let start = (1 << 16) + u64::from(id.value & id.mask());
                self.vp8.begin(start);
                self.newest_vp8 = Some(start);
                self.vp8.pass(start)?
            }
            (Some(id), Some(newest)) => {
                let id = unwrapped(id, newest);
                self.newest_vp8 = Some(newest.max(id));
                self.vp8.pass(id)?
            }
        };
        let tl0_pic_idx = self.pass_tl0(frame);
        Some(Patch::Vp8 { picture_id: (picture_id & 0x7fff) as u16, tl0_pic_idx })
    }

    fn pass_vp9(&mut self, frame: &Frame) -> Patch {
        if frame.picture_id.is_none() && frame.tl0_pic_idx.is_none() {
            return Patch::None;
        }
        let picture_id = frame.picture_id.map_or(0, |id| self.vp9_id(id));
        Patch::Vp9 { picture_id, tl0_pic_idx: self.pass_tl0(frame) }
    }

    /// Distances are kept modulo the sender's width: its ids wrap at 2^7 or 2^15, ours at 2^15.
    fn vp9_id(&mut self, id: PictureId) -> u16 {
        let mask = id.mask();
        let o = &mut self.vp9;
        if !o.running {
            *o = Offset {
                add: o.last.wrapping_add(1).wrapping_sub(id.value),
                last: o.last.wrapping_add(1),
                running: true,
            };
        }
        let step = distance(id.value, o.last.wrapping_sub(o.add), mask);
        let out = o.last.wrapping_add_signed(step);
        if step > 0 {
            o.last = out;
        }
        out & 0x7fff
    }

    fn pass_tl0(&mut self, frame: &Frame) -> u8 {
        let Some(value) = frame.tl0_pic_idx else { return 0 };
        let o = &mut self.tl0;
        if !o.running {
            *o = Offset {
                add: o.last.wrapping_add(1).wrapping_sub(u16::from(value)),
                last: o.last.wrapping_add(1),
                running: true,
            };
        }
        let out = value.wrapping_add(o.add as u8);
        if (out.wrapping_sub(o.last as u8) as i8) > 0 {
            o.last = u16::from(out);
        }
        out
    }
}

/// The signed way from `b` to `a` where numbers have the bits of `mask`.
fn distance(a: u16, b: u16, mask: u16) -> i16 {
    let ahead = a.wrapping_sub(b) & mask;
    if ahead > mask / 2 { (ahead as i32 - (i32::from(mask) + 1)) as i16 } else { ahead as i16 }
}

/// The number nearest to `newest` whose low bits are the id's.
fn unwrapped(id: PictureId, newest: u64) -> u64 {
    let step = distance(id.value, newest as u16, id.mask());
    newest.saturating_add_signed(i64::from(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vp8(id: u16, wide: bool, tl0: u8) -> Frame {
        Frame { picture_id: Some(PictureId { value: id, wide }), tl0_pic_idx: Some(tl0), ..Frame::default() }
    }

    fn ids(patch: Option<Patch>) -> (u16, u8) {
        match patch.unwrap() {
            Patch::Vp8 { picture_id, tl0_pic_idx } | Patch::Vp9 { picture_id, tl0_pic_idx } => {
                (picture_id, tl0_pic_idx)
            }
            Patch::None => panic!("no patch"),
        }
    }

    #[test]
    fn vp8_frames_left_out_leave_no_gap_across_the_wrap_of_both_widths() {
        for (wide, start) in [(true, 0x7ffdu16), (false, 0x7d)] {
            let mask = PictureId { value: 0, wide }.mask();
            let mut p = Pictures::new(40, true);
            let mut expected = None;
            for n in 0..400u16 {
                let frame = vp8((start.wrapping_add(n)) & mask, wide, (n / 2) as u8);
                if n % 2 == 1 {
                    p.leave_out(Codec::Vp8, &frame);
                    assert!(p.was_left_out(Codec::Vp8, &frame));
                    continue;
                }
                let (id, tl0) = ids(p.pass(Codec::Vp8, &frame));
                assert_eq!(ids(p.pass(Codec::Vp8, &frame)), (id, tl0), "second packet of the frame");
                if let Some((next, next_tl0)) = expected {
                    assert_eq!((id & mask, tl0), (next & mask, next_tl0));
                }
                expected = Some(((id + 1) & 0x7fff, tl0.wrapping_add(1)));
            }
        }
    }

    #[test]
    fn a_lost_vp8_frame_keeps_its_gap_and_can_come_late() {
        let mut p = Pictures::new(0, true);
        let first = ids(p.pass(Codec::Vp8, &vp8(10, true, 0))).0;
        assert_eq!(ids(p.pass(Codec::Vp8, &vp8(12, true, 1))).0, first + 2);
        assert_eq!(ids(p.pass(Codec::Vp8, &vp8(11, true, 0))).0, first + 1);
    }

    #[test]
    fn another_stream_goes_on_by_one() {
        for codec in [Codec::Vp8, Codec::Vp9] {
            let mut p = Pictures::new(7, true);
            let (id, tl0) = ids(p.pass(codec, &vp8(500, true, 200)));
            assert_eq!(ids(p.pass(codec, &vp8(501, true, 201))), (id + 1, tl0.wrapping_add(1)));
            p.begin();
            assert_eq!(ids(p.pass(codec, &vp8(9, true, 9))), (id + 2, tl0.wrapping_add(2)));
            assert_eq!(ids(p.pass(codec, &vp8(10, true, 10))), (id + 3, tl0.wrapping_add(3)));
        }
    }

    #[test]
    fn vp9_distances_stay_when_pictures_are_left_out() {
        let mut p = Pictures::new(7, true);
        let id = ids(p.pass(Codec::Vp9, &vp8(0x7e, false, 0))).0;
        p.leave_out(Codec::Vp9, &vp8(0x7f, false, 0));
        assert_eq!(ids(p.pass(Codec::Vp9, &vp8(0, false, 1))).0, id + 2);
        assert_eq!(ids(p.pass(Codec::Vp9, &vp8(0x7f, false, 0))).0, id + 1);
        assert_eq!((p.frame_number(9), p.frame_number(11)), (8, 10));
        p.begin();
        assert_eq!(p.frame_number(65_535), 11);
        assert_eq!(p.frame_number(0), 12);
    }
}
