//! From RTP payloads to what a decoder takes: the payloads of one frame, in order, become one access unit.
//!
//! VP8 (RFC 7741) and VP9 (RFC 9628): the coded frame. H.264 (RFC 6184, modes 0 and 1): a byte stream with start codes (Annex B). AV1: a
//! temporal unit in the low-overhead format, every OBU with its size. The caller has put the packets in order and knows which belong
//! together; what does not fit together here is an error, and the frame is to be dropped. A unit never grows beyond [`MAX_UNIT`], and
//! nothing else is allocated: the caller's vector is used again.

use super::{Codec, av1, h264, vp8, vp9};
use crate::Malformed;
use crate::bytes::u8_at;

/// Longest access unit in bytes; a longer one is an error. A key frame of 8K video at a high rate is below it.
pub const MAX_UNIT: usize = 4 << 20;

/// Before every NAL unit of a byte stream (ITU-T H.264 annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// The temporal delimiter OBU, which opens a temporal unit.
const DELIMITER: [u8; 2] = [0x12, 0x00];
/// Bytes kept for the size of an OBU, filled in when it is known: padded LEB128, 28 bits.
const OBU_SIZE: usize = 4;

/// Puts the payloads of frames together, one frame after the other.
#[derive(Clone, Copy, Debug)]
pub struct Unpacker {
    codec: Codec,
    packets: u32,
    open: Open,
}

/// What goes on in the next payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    /// A NAL unit in fragments.
    Nal,
    /// An OBU: where its size is to be written, and the size that its own header gave.
    Obu {
        size_at: usize,
        told: Option<usize>,
    },
    /// An OBU that is left out.
    Skipped,
}

impl Unpacker {
    /// For a video codec; H.265 and sound are refused.
    pub fn new(codec: Codec) -> Option<Unpacker> {
        let known = matches!(codec, Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Av1);
        known.then_some(Unpacker { codec, packets: 0, open: Open::Nothing })
    }

    /// Starts a frame: `unit` is emptied.
    pub fn begin(&mut self, unit: &mut Vec<u8>) {
        unit.clear();
        (self.packets, self.open) = (0, Open::Nothing);
    }

    /// Appends the next payload of the frame to `unit`.
    ///
    /// # Errors
    /// [`Malformed`] when it cannot be read, [`Malformed::MissingState`] when the frame's beginning or a fragment before it is not
    /// there, [`Malformed::TooLarge`] beyond [`MAX_UNIT`]. The frame cannot be used then.
    pub fn push(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), Malformed> {
        let first = self.packets == 0;
        self.packets = self.packets.saturating_add(1);
        match self.codec {
            Codec::Vp8 => {
                let d = vp8::Descriptor::parse(payload)?;
                if first != d.starts_frame() {
                    return Err(Malformed::MissingState);
                }
                append(unit, &payload[usize::from(d.payload_start)..])
            }
            Codec::Vp9 => {
                let d = vp9::Descriptor::parse(payload)?;
                if first && !d.begins {
                    return Err(Malformed::MissingState);
                }
                append(unit, &payload[usize::from(d.payload_start)..])
            }
            Codec::H264 => self.nals(payload, unit),
            Codec::Av1 => self.obus(payload, unit),
            _ => Err(Malformed::Value),
        }
    }

    /// Ends the frame: `unit` is what the decoder takes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when nothing came or a fragmented unit has no end.
    pub fn finish(&mut self, unit: &[u8]) -> Result<(), Malformed> {
        let whole = self.packets > 0 && self.open == Open::Nothing && !unit.is_empty();
        if whole { Ok(()) } else { Err(Malformed::Truncated) }
    }

    fn nals(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), Malformed> {
        for nal in h264::nals(payload)? {
            let nal = nal?;
            match (self.open, nal.first) {
                (Open::Nothing, true) => {
                    append(unit, &START_CODE)?;
                    append(unit, &[nal.reference << 5 | nal.kind])?;
                }
                (Open::Nal, false) => {}
                _ => return Err(Malformed::MissingState),
            }
            append(unit, nal.body)?;
            self.open = if nal.last { Open::Nothing } else { Open::Nal };
        }
        Ok(())
    }

    fn obus(&mut self, payload: &[u8], unit: &mut Vec<u8>) -> Result<(), Malformed> {
        let head = av1::Aggregation::parse(payload)?;
        if self.packets == 1 {
            append(unit, &DELIMITER)?;
        }
        if head.continues == (self.open == Open::Nothing) {
            return Err(Malformed::MissingState);
        }
        let mut rest = &payload[1..];
        let mut index = 0u8;
        let mut continues = head.continues;
        while !rest.is_empty() {
            index = index.saturating_add(1);
            let element = if index == head.elements {
                core::mem::take(&mut rest)
            } else {
                let (len, behind) = av1::leb128(rest)?;
                let (element, behind) = behind.split_at_checked(len).ok_or(Malformed::Length)?;
                rest = behind;
                element
            };
            if !core::mem::take(&mut continues) {
                if element.is_empty() {
                    continue;
                }
                self.open_obu(element, unit)?;
            } else if self.open != Open::Skipped {
                append(unit, element)?;
            }
            if !(rest.is_empty() && head.continued) {
                self.close_obu(unit)?;
            }
        }
        Ok(())
    }

    /// Writes an OBU's header with room for its size, and what is here of its body.
    fn open_obu(&mut self, element: &[u8], unit: &mut Vec<u8>) -> Result<(), Malformed> {
        let head = u8_at(element, 0)?;
        if head & 0x80 != 0 {
            return Err(Malformed::Value);
        }
        if av1::LEFT_OUT.contains(&(head >> 3 & 15)) {
            self.open = Open::Skipped;
            return Ok(());
        }
        let header = if head & 0x04 != 0 { [head | 0x02, u8_at(element, 1)?] } else { [head | 0x02, 0] };
        let len = if head & 0x04 != 0 { 2 } else { 1 };
        let mut body = &element[len..];
        let mut told = None;
        if head & 0x02 != 0 {
            let (size, behind) = av1::leb128(body)?;
            (told, body) = (Some(size), behind);
        }
        append(unit, &header[..len])?;
        self.open = Open::Obu { size_at: unit.len(), told };
        append(unit, &[0; OBU_SIZE])?;
        append(unit, body)
    }

    fn close_obu(&mut self, unit: &mut [u8]) -> Result<(), Malformed> {
        if let Open::Obu { size_at, told } = self.open {
            let body = unit.len() - size_at - OBU_SIZE;
            if told.is_some_and(|told| told != body) {
                return Err(Malformed::Length);
            }
            for (i, byte) in unit[size_at..size_at + OBU_SIZE].iter_mut().enumerate() {
                *byte = (body >> (7 * i)) as u8 & 0x7f | if i + 1 < OBU_SIZE { 0x80 } else { 0 };
            }
        }
        self.open = Open::Nothing;
        Ok(())
    }
}

fn append(unit: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Malformed> {
    if unit.len() + bytes.len() > MAX_UNIT {
        return Err(Malformed::TooLarge);
    }
    unit.extend_from_slice(bytes);
    Ok(())
}

const _: () = assert!(MAX_UNIT < 1 << (7 * OBU_SIZE), "the size of any OBU of a unit fits where room is kept for it");

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(codec: Codec, payloads: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
        let (mut unpacker, mut unit) = (Unpacker::new(codec).unwrap(), vec![9]);
        unpacker.begin(&mut unit);
        for payload in payloads {
            unpacker.push(payload, &mut unit)?;
        }
        unpacker.finish(&unit)?;
        Ok(unit)
    }

    #[test]
    fn a_vp8_frame_begins_with_its_first_packet_and_has_one_beginning() {
        assert_eq!(unpack(Codec::Vp8, &[&[0x10, 1, 2], &[0x00, 3]]), Ok(vec![1, 2, 3]));
        assert_eq!(unpack(Codec::Vp8, &[&[0x00, 3]]), Err(Malformed::MissingState));
        assert_eq!(unpack(Codec::Vp8, &[&[0x10, 1], &[0x10, 3]]), Err(Malformed::MissingState));
        assert_eq!(unpack(Codec::Vp8, &[]), Err(Malformed::Truncated));
    }

    #[test]
    fn the_layers_of_a_vp9_picture_follow_each_other() {
        assert_eq!(unpack(Codec::Vp9, &[&[0x08, 1], &[0x04, 2], &[0x0c, 3]]), Ok(vec![1, 2, 3]));
        assert_eq!(unpack(Codec::Vp9, &[&[0x04, 2]]), Err(Malformed::MissingState));
    }

    #[test]
    fn h264_single_aggregated_and_fragmented_units_become_a_byte_stream() {
        let stap = [24, 0, 2, 0x67, 1, 0, 2, 0x68, 2];
        let unit = unpack(Codec::H264, &[&stap, &[0x06, 3], &[0x7c, 0x85, 4], &[0x7c, 0x05, 5], &[0x7c, 0x45, 6]]);
        let wanted =
            [&[0, 0, 0, 1, 0x67, 1][..], &[0, 0, 0, 1, 0x68, 2], &[0, 0, 0, 1, 6, 3], &[0, 0, 0, 1, 0x65, 4, 5, 6]];
        assert_eq!(unit, Ok(wanted.concat()));
    }

    #[test]
    fn h264_fragments_out_of_place_are_refused() {
        assert_eq!(unpack(Codec::H264, &[&[0x7c, 0x05, 5]]), Err(Malformed::MissingState));
        assert_eq!(unpack(Codec::H264, &[&[0x7c, 0x85, 4], &[0x65, 5]]), Err(Malformed::MissingState));
        assert_eq!(unpack(Codec::H264, &[&[0x7c, 0x85, 4], &[0x7c, 0x85, 4]]), Err(Malformed::MissingState));
        assert_eq!(unpack(Codec::H264, &[&[0x7c, 0x85, 4]]), Err(Malformed::Truncated));
    }

    #[test]
    fn av1_obus_get_their_sizes_and_fragments_are_joined() {
        // A sequence header with its length, then a frame in two packets; the delimiter in between is left out.
        let unit = unpack(Codec::Av1, &[&[0x08 | 0x40, 3, 0x08, 7, 8, 1, 0x10, 2, 0x30, 1], &[0x80 | 0x10, 2, 3]]);
        let sized = |n: u8| [0x80 | n, 0x80, 0x80, 0];
        let wanted = [&[0x12, 0, 0x0a][..], &sized(2), &[7, 8, 0x32], &sized(3), &[1, 2, 3]];
        assert_eq!(unit, Ok(wanted.concat()));
        // One that has a size already, which must be right.
        assert_eq!(unpack(Codec::Av1, &[&[0x10, 0x32, 2, 5, 6]]).unwrap()[2..], [0x32, 0x82, 0x80, 0x80, 0, 5, 6]);
        assert_eq!(unpack(Codec::Av1, &[&[0x10, 0x32, 3, 5, 6]]), Err(Malformed::Length));
        assert_eq!(unpack(Codec::Av1, &[&[0x90, 2, 3]]), Err(Malformed::MissingState));
        assert_eq!(unpack(Codec::Av1, &[&[0x50, 0x30, 3], &[0x10, 0x30, 3]]), Err(Malformed::MissingState));
    }

    #[test]
    fn a_frame_without_end_stops_at_the_limit() {
        let (mut unpacker, mut unit) = (Unpacker::new(Codec::H264).unwrap(), Vec::new());
        unpacker.begin(&mut unit);
        let mut big = vec![0x7c; 60_000];
        big[1] = 0x85;
        unpacker.push(&big, &mut unit).unwrap();
        big[1] = 0x05;
        let refused = (0..1000).find_map(|_| unpacker.push(&big, &mut unit).err());
        assert_eq!(refused, Some(Malformed::TooLarge));
        assert!(unit.len() <= MAX_UNIT);
        assert!(Unpacker::new(Codec::Opaque).is_none());
    }
}
