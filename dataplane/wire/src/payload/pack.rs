//! From an encoder's access unit to RTP payloads: VP8 (RFC 7741), VP9 (RFC 9628, non-flexible mode), H.264 (RFC 6184, modes 0 and 1), AV1
//! (AOMedia's format; the dependency descriptor that belongs to it is written by [`super::dd`]).
//!
//! A frame that does not fit one payload is split evenly, so that its packets are of about the same length. The packer keeps what runs
//! from frame to frame (picture id, TL0PICIDX) and one payload of scratch; it copies nothing else and allocates nothing after it is made.

mod obus;

use super::{Codec, h264};
use crate::Malformed;

/// Largest payload limit: larger ones could not be sent in a datagram.
pub const MAX_PAYLOAD: usize = 1400;
/// Smallest payload limit: below it descriptors would be most of what is sent.
pub const MIN_PAYLOAD: usize = 64;

/// What the encoder says of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameTags {
    /// It depends on nothing. With AV1: a coded video sequence begins, sequence header included.
    pub key: bool,
    /// Temporal layer; `None` when the stream has none.
    pub temporal: Option<u8>,
    /// VP8's Y bit, VP9's U bit: a receiver may go up to this layer here.
    pub sync: bool,
    /// Nothing depends on it.
    pub discardable: bool,
    /// Width and height in pixels; VP9 tells them with key frames.
    pub size: (u16, u16),
}

/// A payload in two pieces, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Descriptor, or the whole payload.
    pub head: &'a [u8],
    /// Coded bytes.
    pub body: &'a [u8],
    /// The last of its frame: it gets the marker bit.
    pub last: bool,
}

/// Splits the frames of one stream.
#[derive(Clone, Debug)]
pub struct Packer {
    codec: Codec,
    max: usize,
    /// H.264 packetization mode 0: no fragments, no aggregates.
    single: bool,
    picture_id: u16,
    tl0_pic_idx: u8,
    scratch: Vec<u8>,
}

impl Packer {
    /// A packer for payloads of at most `max` bytes (held to [`MIN_PAYLOAD`] to [`MAX_PAYLOAD`]), whose first picture has the id `picture_id`.
    /// `None` for a codec that it does not pack.
    pub fn new(codec: Codec, max: usize, picture_id: u16) -> Option<Packer> {
        let known = matches!(codec, Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Av1);
        let max = max.clamp(MIN_PAYLOAD, MAX_PAYLOAD);
        known.then(|| Packer {
            codec,
            max,
            single: false,
            picture_id: picture_id & 0x7fff,
            tl0_pic_idx: 0,
            scratch: Vec::with_capacity(max),
        })
    }

    /// H.264 in packetization mode 0: every NAL unit has a packet of its own, and must fit in it.
    #[must_use]
    pub fn single_nal(mut self) -> Packer {
        self.single = true;
        self
    }

    /// Splits `unit` and hands the payloads out in order.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when there is nothing to send, [`Malformed::TooLarge`] for a NAL unit that does not fit in mode 0, any for a
    /// temporal unit that is not in the low-overhead format.
    /// Nothing was handed out then.
    pub fn pack(&mut self, unit: &[u8], tags: FrameTags, emit: &mut dyn FnMut(Piece<'_>)) -> Result<(), Malformed> {
        if unit.is_empty() {
            return Err(Malformed::Truncated);
        }
        match self.codec {
            Codec::H264 => return self.nals(unit, emit),
            Codec::Av1 => return self.obus(unit, tags.key, emit),
            _ => {}
        }
        if tags.temporal.unwrap_or(0) == 0 {
            self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(1);
        }
        let (mut head, mut len) = ([0; 20], 0);
        let (structure, room) = if self.codec == Codec::Vp8 {
            len = self.vp8_descriptor(&mut head, tags);
            (0, self.max - len)
        } else {
            let (whole, structure) = self.vp9_descriptor(&mut head, tags);
            len += whole;
            // The scalability structure stands in the first packet alone; that all have room for it costs little.
            (structure, self.max - whole)
        };
        let mut parts = Even::new(unit, room);
        let mut first = true;
        while let Some((body, last)) = parts.next() {
            let used = if first { len } else { len - structure };
            if self.codec == Codec::Vp8 {
                head[0] = head[0] & !0x10 | if first { 0x10 } else { 0 };
            } else {
                let (begins, ends) = (if first { 0x08 } else { 0 }, if last { 0x04 } else { 0 });
                let told = if first && structure > 0 { 0x02 } else { 0 };
                head[0] = head[0] & !0x0e | begins | ends | told;
            }
            emit(Piece { head: &head[..used], body, last });
            first = false;
        }
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        Ok(())
    }

    /// X and N; I, L, T; 15-bit picture id, TL0PICIDX, TID and Y. Returns the length.
    fn vp8_descriptor(&self, head: &mut [u8; 20], tags: FrameTags) -> usize {
        let id = 0x8000 | self.picture_id;
        head[0] = 0x80 | if tags.discardable { 0x20 } else { 0 };
        head[1] = 0x80;
        head[2..4].copy_from_slice(&id.to_be_bytes());
        let Some(temporal) = tags.temporal else { return 4 };
        head[1] |= 0x60;
        head[4] = self.tl0_pic_idx;
        head[5] = (temporal & 3) << 6 | if tags.sync { 0x20 } else { 0 };
        6
    }

    /// I, P, L; 15-bit picture id, layer indices, TL0PICIDX; with a key frame the structure: one spatial layer with its size, and a group
    /// of one picture. Returns the length and how much of it is the structure.
    fn vp9_descriptor(&self, head: &mut [u8; 20], tags: FrameTags) -> (usize, usize) {
        head[0] = 0x80 | 0x20 | if tags.key { 0 } else { 0x40 };
        head[1..3].copy_from_slice(&(0x8000 | self.picture_id).to_be_bytes());
        head[3] = (tags.temporal.unwrap_or(0) & 7) << 5 | if tags.sync { 0x10 } else { 0 };
        head[4] = self.tl0_pic_idx;
        if !tags.key {
            return (5, 0);
        }
        head[5] = 0x10 | 0x08;
        head[6..8].copy_from_slice(&tags.size.0.to_be_bytes());
        head[8..10].copy_from_slice(&tags.size.1.to_be_bytes());
        head[10..13].copy_from_slice(&[1, 0x04, 1]);
        (13, 8)
    }

    fn nals(&mut self, unit: &[u8], emit: &mut dyn FnMut(Piece<'_>)) -> Result<(), Malformed> {
        let mut longest = 0;
        for nal in Nals(unit) {
            longest = longest.max(nal.len());
        }
        if longest == 0 {
            return Err(Malformed::Truncated);
        }
        if self.single && longest > self.max {
            return Err(Malformed::TooLarge);
        }
        let mut list = Nals(unit).peekable();
        while let Some(nal) = list.next() {
            if nal.len() > self.max {
                self.fragments(nal, list.peek().is_none(), emit);
                continue;
            }
            // What follows and fits goes into the same packet: parameter sets, the slices of a small frame.
            let fits = |scratch: &Vec<u8>, next: &[u8], max: usize| scratch.len() + 2 + next.len() <= max;
            self.scratch.clear();
            self.scratch.push(h264::STAP_A);
            let alone = self.single || 3 + nal.len() > self.max;
            if alone || list.peek().is_none_or(|next| 5 + nal.len() + next.len() > self.max) {
                emit(Piece { head: &[], body: nal, last: list.peek().is_none() });
                continue;
            }
            aggregate(&mut self.scratch, nal);
            while let Some(next) = list.next_if(|next| fits(&self.scratch, next, self.max)) {
                aggregate(&mut self.scratch, next);
            }
            emit(Piece { head: &self.scratch, body: &[], last: list.peek().is_none() });
        }
        Ok(())
    }

    /// FU-A (RFC 6184 section 5.8).
    fn fragments(&self, nal: &[u8], last_nal: bool, emit: &mut dyn FnMut(Piece<'_>)) {
        let indicator = nal[0] & 0xe0 | h264::FU_A;
        let mut parts = Even::new(&nal[1..], self.max - 2);
        let mut start = 0x80;
        while let Some((body, last)) = parts.next() {
            let header = nal[0] & 0x1f | start | if last { 0x40 } else { 0 };
            emit(Piece { head: &[indicator, header], body, last: last && last_nal });
            start = 0;
        }
    }
}

/// Appends a NAL unit to a STAP-A; its header takes the highest nal_ref_idc and every forbidden bit of what it holds.
fn aggregate(packet: &mut Vec<u8>, nal: &[u8]) {
    packet[0] = packet[0] & 0x1f | (packet[0] & 0x60).max(nal[0] & 0x60) | (packet[0] | nal[0]) & 0x80;
    packet.extend((nal.len() as u16).to_be_bytes());
    packet.extend_from_slice(nal);
}

/// Splits bytes into as few parts as fit, of about the same length: the longer ones come last.
struct Even<'a> {
    rest: &'a [u8],
    parts: usize,
}

impl<'a> Even<'a> {
    fn new(bytes: &'a [u8], max: usize) -> Even<'a> {
        Even { rest: bytes, parts: bytes.len().div_ceil(max) }
    }

    /// The next part, and whether it is the last.
    fn next(&mut self) -> Option<(&'a [u8], bool)> {
        let size = self.rest.len().checked_div(self.parts)?;
        let (part, rest) = self.rest.split_at(size);
        self.rest = rest;
        self.parts -= 1;
        Some((part, self.parts == 0))
    }
}

/// The NAL units of a byte stream (Annex B) that are sent: empty ones, access unit delimiters and filler are left out.
struct Nals<'a>(&'a [u8]);

impl<'a> Iterator for Nals<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some(at) = start_code(self.0) {
            let body = &self.0[at + 3..];
            let end = start_code(body).unwrap_or(body.len());
            self.0 = &body[end..];
            // Zeros before the next start code belong to it, or trail.
            let zeros = body[..end].iter().rev().take_while(|&&b| b == 0).count();
            let nal = &body[..end - zeros];
            if nal.first().is_some_and(|head| matches!(head & 0x1f, 1..=8 | 10 | 11 | 13..=23)) {
                return Some(nal);
            }
        }
        None
    }
}

/// Where the next 00 00 01 stands.
fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + 2 < bytes.len() {
        match bytes[at + 2] {
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => return Some(at),
            0 => at += 1,
            _ => at += 3,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::unpack::Unpacker;
    use crate::payload::{PictureId, inspect};
    use proptest::prelude::*;

    /// The payloads of a frame with their markers.
    fn pack(packer: &mut Packer, unit: &[u8], tags: FrameTags) -> Vec<(Vec<u8>, bool)> {
        let mut out = Vec::new();
        packer.pack(unit, tags, &mut |p| out.push(([p.head, p.body].concat(), p.last))).unwrap();
        out
    }

    fn unpack(codec: Codec, payloads: &[(Vec<u8>, bool)]) -> Vec<u8> {
        let (mut unpacker, mut unit) = (Unpacker::new(codec).unwrap(), Vec::new());
        unpacker.begin(&mut unit);
        for (payload, _) in payloads {
            unpacker.push(payload, &mut unit).unwrap();
        }
        unpacker.finish(&unit).unwrap();
        unit
    }

    fn markers_are_right(payloads: &[(Vec<u8>, bool)]) -> bool {
        payloads.iter().enumerate().all(|(i, (_, last))| *last == (i + 1 == payloads.len()))
    }

    #[test]
    fn vp8_frames_have_running_ids_and_base_layer_indices() {
        let mut packer = Packer::new(Codec::Vp8, 1160, 0x7fff).unwrap();
        let tags =
            |temporal, key| FrameTags { key, temporal: Some(temporal), sync: temporal == 1, ..Default::default() };
        let frames = [(0, true), (1, false), (0, false)]
            .map(|(t, key)| pack(&mut packer, &[u8::from(!key); 2000], tags(t, key)));
        let info = |frame: &Vec<(Vec<u8>, bool)>, i: usize| inspect(Codec::Vp8, &frame[i].0, frame[i].1, None).unwrap();
        assert_eq!(frames[0].len(), 2);
        assert_eq!(info(&frames[0], 0).picture_id, Some(PictureId { value: 0x7fff, wide: true }));
        assert_eq!(info(&frames[1], 1).picture_id, Some(PictureId { value: 0, wide: true }));
        let base: Vec<_> = frames.iter().map(|f| info(f, 0).tl0_pic_idx.unwrap()).collect();
        assert_eq!(base, [1, 1, 2]);
        assert!(
            info(&frames[0], 0).key_frame && !info(&frames[0], 1).start_of_frame && info(&frames[0], 1).end_of_frame
        );
        assert_eq!((info(&frames[1], 0).temporal, info(&frames[1], 0).temporal_sync), (1, true));
        // Without layers the descriptor is shorter.
        assert_eq!(pack(&mut packer, &[1; 10], FrameTags::default())[0].0.len(), 14);
    }

    #[test]
    fn a_vp9_key_frame_tells_its_size_once() {
        let mut packer = Packer::new(Codec::Vp9, 1160, 5).unwrap();
        let tags = FrameTags { key: true, size: (640, 360), ..Default::default() };
        let frame = pack(&mut packer, &[3; 3000], tags);
        let info: Vec<_> = frame.iter().map(|(p, m)| inspect(Codec::Vp9, p, *m, None).unwrap()).collect();
        assert_eq!((info[0].dimensions, info[1].dimensions), (Some((640, 360)), None));
        assert!(info[0].key_frame && info[0].start_of_frame && info[2].end_of_frame && !info[1].end_of_frame);
        let next = pack(&mut packer, &[3; 10], FrameTags::default());
        let info = inspect(Codec::Vp9, &next[0].0, true, None).unwrap();
        assert!(!info.key_frame && info.start_of_frame && info.end_of_frame);
        assert_eq!((info.picture_id.unwrap().value, info.tl0_pic_idx), (6, Some(2)));
    }

    #[test]
    fn h264_parameter_sets_share_a_packet_and_a_large_slice_is_fragmented() {
        let unit =
            [&[0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 0x88][..], &[7; 2500]]
                .concat();
        let mut packer = Packer::new(Codec::H264, 1100, 0).unwrap();
        let frame = pack(&mut packer, &unit, FrameTags::default());
        assert_eq!(frame[0].0, [0x60 | 24, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3]);
        let lengths: Vec<_> = frame.iter().map(|(p, _)| p.len()).collect();
        assert_eq!(lengths, [10, 835, 836, 836]);
        assert_eq!((frame[1].0[..2].to_vec(), frame[3].0[..2].to_vec()), (vec![0x7c, 0x85], vec![0x7c, 0x45]));
        assert!(markers_are_right(&frame));
        assert!(inspect(Codec::H264, &frame[0].0, false, None).unwrap().key_frame);
    }

    #[test]
    fn h264_mode_0_sends_whole_units_alone_or_nothing() {
        let mut packer = Packer::new(Codec::H264, 1100, 0).unwrap().single_nal();
        let unit = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 3];
        assert_eq!(pack(&mut packer, &unit, FrameTags::default()), [(vec![0x67, 1], false), (vec![0x68, 3], true)]);
        let unit = [&[0, 0, 1, 0x65][..], &[7; 1100]].concat();
        let refused = packer.pack(&unit, FrameTags::default(), &mut |_| panic!("nothing is handed out"));
        assert_eq!(refused, Err(Malformed::TooLarge));
        for nothing in [&[][..], &[0, 0, 1], &[1, 2, 3], &[0, 0, 0, 1, 9, 16]] {
            assert_eq!(packer.pack(nothing, FrameTags::default(), &mut |_| {}), Err(Malformed::Truncated));
        }
        assert!(Packer::new(Codec::Opaque, 1100, 0).is_none());
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            len in 1usize..6000, max in 64usize..1400, key: bool, temporal in proptest::option::of(0u8..3), vp9: bool,
        ) {
            let codec = if vp9 { Codec::Vp9 } else { Codec::Vp8 };
            let unit: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let mut packer = Packer::new(codec, max, 9).unwrap();
            let frame = pack(&mut packer, &unit, FrameTags { key, temporal, ..Default::default() });
            prop_assert!(frame.iter().all(|(p, _)| p.len() <= max) && markers_are_right(&frame));
            prop_assert_eq!(unpack(codec, &frame), unit);
        }

        #[test]
        fn nal_units_survive(sizes in proptest::collection::vec((1usize..3000, 1u8..9), 1..6), max in 64usize..1400) {
            let (mut unit, mut wanted) = (Vec::new(), Vec::new());
            for (i, (len, kind)) in sizes.iter().enumerate() {
                unit.extend_from_slice(&[0, 0, 0, 1][i % 2..]);
                let nal: Vec<u8> = std::iter::once(0x60 | kind).chain((0..*len).map(|i| 1 + (i % 200) as u8)).collect();
                unit.extend(&nal);
                wanted.extend([0, 0, 0, 1]);
                wanted.extend(nal);
            }
            let frame = pack(&mut Packer::new(Codec::H264, max, 0).unwrap(), &unit, FrameTags::default());
            prop_assert!(frame.iter().all(|(p, _)| p.len() <= max) && markers_are_right(&frame));
            prop_assert_eq!(unpack(Codec::H264, &frame), wanted);
        }
    }
}
