//! AV1 temporal units to payloads (AOMedia's RTP payload format for AV1, section 4).
//!
//! A packet holds whole small OBUs, each but the last behind its length, and at its end a whole OBU or the first part of a large one, whose other
//! parts have packets of their own. Temporal delimiters and tile lists are left out, sizes in OBU headers are taken away, and OBUs of two layers
//! never share a packet. Where the last element stands alone or with up to two others (W), it has no length.

use super::{Even, Packer, Piece};
use crate::Malformed;
use crate::bytes::u8_at;
use crate::payload::av1::{LEFT_OUT, leb128};

/// Most elements whose number the aggregation header tells, so that the last needs no length.
const MOST_TOLD: u8 = 3;
/// Bytes of the length of what fits in a payload, at most.
const LENGTH: usize = 2;

/// An OBU as a packet carries it: its header without a size, and what follows.
#[derive(Clone, Copy)]
struct Obu<'a> {
    header: [u8; 2],
    header_len: usize,
    body: &'a [u8],
}

impl Obu<'_> {
    fn header(&self) -> &[u8] {
        &self.header[..self.header_len]
    }

    fn len(&self) -> usize {
        self.header_len + self.body.len()
    }

    /// Temporal and spatial layer, where the extension header tells them.
    fn layer(&self) -> Option<u8> {
        (self.header_len == 2).then_some(self.header[1] >> 3)
    }
}

/// The OBUs of a temporal unit that are sent; an error ends the iteration.
struct Obus<'a>(&'a [u8]);

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let obu = self.take();
            match obu {
                Ok(obu) if LEFT_OUT.contains(&(obu.header[0] >> 3 & 15)) => {}
                Ok(_) => return Some(obu),
                Err(_) => {
                    self.0 = &[];
                    return Some(obu);
                }
            }
        }
        None
    }
}

impl<'a> Obus<'a> {
    fn take(&mut self) -> Result<Obu<'a>, Malformed> {
        let head = u8_at(self.0, 0)?;
        if head & 0x80 != 0 {
            return Err(Malformed::Value);
        }
        let header_len = if head & 0x04 != 0 { 2 } else { 1 };
        let mut header = [head & !0x02, 0];
        if header_len == 2 {
            header[1] = u8_at(self.0, 1)?;
        }
        let mut body = &self.0[header_len..];
        let mut rest = &body[body.len()..];
        if head & 0x02 != 0 {
            let (len, behind) = leb128(body)?;
            (body, rest) = behind.split_at_checked(len).ok_or(Malformed::Length)?;
        }
        self.0 = rest;
        Ok(Obu { header, header_len, body })
    }
}

/// What the packet that is being filled holds beside its bytes.
#[derive(Clone, Copy, Default)]
struct Filled {
    /// Whole OBUs.
    count: u8,
    layer: Option<u8>,
}

impl Packer {
    /// As [`Packer::pack`], for AV1. `key`: a coded video sequence begins.
    pub(super) fn obus(&mut self, unit: &[u8], key: bool, emit: &mut dyn FnMut(Piece<'_>)) -> Result<(), Malformed> {
        let mut any = false;
        for obu in Obus(unit) {
            obu?;
            any = true;
        }
        if !any {
            return Err(Malformed::Truncated);
        }
        let mut list = Obus(unit).map_while(Result::ok).peekable();
        let mut filled = Filled::default();
        self.scratch.clear();
        self.scratch.push(if key { 0x08 } else { 0 });
        while let Some(obu) = list.next() {
            filled.layer = filled.layer.or(obu.layer());
            if list.peek().is_some_and(|next| self.holds(filled, &obu, next)) {
                self.whole(&obu);
                filled.count += 1;
                continue;
            }
            self.end_packet(filled.count, &obu, list.peek().is_none(), emit);
            filled = Filled::default();
            self.scratch.clear();
            self.scratch.push(0);
        }
        Ok(())
    }

    /// Whether the packet has room for the whole of `obu` and, behind it, for the next one or a fair part of it.
    fn holds(&self, filled: Filled, obu: &Obu<'_>, next: &Obu<'_>) -> bool {
        let same = next.layer().is_none() || filled.layer.is_none() || next.layer() == filled.layer;
        let used = self.scratch.len() + LENGTH + obu.len() + LENGTH;
        let room = self.max.saturating_sub(used);
        let fair = next.len() >= self.max && room >= self.max / 2;
        same && filled.count < u8::MAX && (next.len() <= room || fair)
    }

    fn whole(&mut self, obu: &Obu<'_>) {
        self.length(obu.len());
        self.scratch.extend_from_slice(obu.header());
        self.scratch.extend_from_slice(obu.body);
    }

    /// A length in LEB128; it is below the longest payload.
    fn length(&mut self, len: usize) {
        if len >= 0x80 {
            self.scratch.push(0x80 | len as u8 & 0x7f);
            self.scratch.push((len >> 7) as u8);
        } else {
            self.scratch.push(len as u8);
        }
    }

    /// Ends a packet of `count` whole OBUs with this one, and hands it out with the packets of the OBU's other parts. All are of about the same
    /// length.
    fn end_packet(&mut self, count: u8, obu: &Obu<'_>, last: bool, emit: &mut dyn FnMut(Piece<'_>)) {
        let told = count < MOST_TOLD;
        let lead = self.scratch.len() - 1 + if told { 0 } else { LENGTH };
        let room = self.max - 1;
        let packets = (lead + obu.len()).div_ceil(room);
        let share = (lead + obu.len()).div_ceil(packets).saturating_sub(lead);
        let first = share.clamp(obu.header_len, room - lead);
        if !told {
            self.length(first);
        }
        self.scratch.extend_from_slice(obu.header());
        let (body, rest) = obu.body.split_at(first - obu.header_len);
        let goes_on = if rest.is_empty() { 0 } else { 0x40 };
        self.scratch[0] |= goes_on | if told { (count + 1) << 4 } else { 0 };
        emit(Piece { head: &self.scratch, body, last: last && rest.is_empty() });
        let mut parts = Even::new(rest, room);
        while let Some((body, end)) = parts.next() {
            let head = 0x80 | 0x10 | if end { 0 } else { 0x40 };
            emit(Piece { head: &[head], body, last: last && end });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FrameTags, MIN_PAYLOAD};
    use super::*;
    use crate::payload::av1::{Aggregation, obus};
    use crate::payload::unpack::Unpacker;
    use crate::payload::{Codec, inspect};
    use proptest::prelude::*;

    /// An OBU with its size, whose body counts up.
    fn obu(kind: u8, layer: Option<u8>, len: usize) -> Vec<u8> {
        let mut out = vec![kind << 3 | 0x02 | if layer.is_some() { 0x04 } else { 0 }];
        out.extend(layer.map(|layer| layer << 3));
        let mut size = len;
        while size >= 0x80 {
            out.push(0x80 | size as u8 & 0x7f);
            size >>= 7;
        }
        out.push(size as u8);
        out.extend((0..len).map(|i| i as u8));
        out
    }

    const DELIMITER: [u8; 2] = [0x12, 0];

    fn pack(max: usize, key: bool, unit: &[u8]) -> Vec<Vec<u8>> {
        let mut packer = Packer::new(Codec::Av1, max, 0).unwrap();
        let capacity = packer.scratch.capacity();
        let (mut out, mut markers) = (Vec::new(), Vec::new());
        let tags = FrameTags { key, ..FrameTags::default() };
        packer
            .pack(unit, tags, &mut |piece| {
                out.push([piece.head, piece.body].concat());
                markers.push(piece.last);
            })
            .unwrap();
        assert!(markers.iter().enumerate().all(|(i, last)| *last == (i + 1 == markers.len())));
        assert!(out.iter().all(|payload| payload.len() <= max));
        assert_eq!(packer.scratch.capacity(), capacity, "nothing is allocated");
        out
    }

    fn unpack(payloads: &[Vec<u8>]) -> Vec<u8> {
        let (mut unpacker, mut unit) = (Unpacker::new(Codec::Av1).unwrap(), Vec::new());
        unpacker.begin(&mut unit);
        payloads.iter().for_each(|payload| unpacker.push(payload, &mut unit).unwrap());
        unpacker.finish(&unit).unwrap();
        unit
    }

    /// The OBUs of a unit without their sizes, as they are sent.
    fn sent(unit: &[u8]) -> Vec<Vec<u8>> {
        Obus(unit).map(|obu| obu.map(|obu| [obu.header(), obu.body].concat()).unwrap()).collect()
    }

    #[test]
    fn small_obus_share_a_packet_and_the_last_has_no_length() {
        let unit = [&DELIMITER[..], &obu(1, None, 3), &obu(6, None, 4)].concat();
        assert_eq!(pack(1160, true, &unit), [[0x28, 4, 0x08, 0, 1, 2, 0x30, 0, 1, 2, 3]]);
        assert_eq!(pack(1160, false, &obu(6, None, 2)), [[0x10, 0x30, 0, 1]]);
        // Four of them cannot be counted: each has its length. A tile list is left out.
        let unit = [obu(1, None, 1), obu(5, None, 1), obu(8, None, 9), obu(3, None, 1), obu(4, None, 1)].concat();
        assert_eq!(pack(1160, false, &unit), [[0x00, 2, 0x08, 0, 2, 0x28, 0, 2, 0x18, 0, 2, 0x20, 0]]);
    }

    #[test]
    fn a_large_obu_goes_on_in_packets_of_about_the_same_length() {
        let unit = [&DELIMITER[..], &obu(1, None, 10), &obu(6, Some(0), 2500)].concat();
        let payloads = pack(1100, true, &unit);
        let heads: Vec<_> = payloads.iter().map(|p| Aggregation::parse(p).unwrap()).collect();
        assert_eq!(
            heads.iter().map(|h| (h.continues, h.continued)).collect::<Vec<_>>(),
            [(false, true), (true, true), (true, false)]
        );
        assert_eq!(
            heads.iter().map(|h| (h.elements, h.new_sequence)).collect::<Vec<_>>(),
            [(2, true), (1, false), (1, false)]
        );
        let lengths: Vec<_> = payloads.iter().map(Vec::len).collect();
        assert!(lengths.iter().all(|len| len.abs_diff(lengths[0]) <= 2), "{lengths:?}");
        assert!(inspect(Codec::Av1, &payloads[0], false, None).unwrap().key_frame);
        assert_eq!(sent(&unpack(&payloads)), sent(&unit));
    }

    #[test]
    fn obus_of_two_layers_do_not_share_a_packet() {
        let unit = [obu(6, Some(0), 5), obu(5, None, 2), obu(6, Some(1), 5), obu(6, Some(1), 5)].concat();
        let layers = |payload: &Vec<u8>| obus(payload).unwrap().map(|o| o.unwrap().layer).collect::<Vec<_>>();
        let payloads = pack(1160, false, &unit);
        assert_eq!(payloads.iter().map(layers).collect::<Vec<_>>(), [vec![Some((0, 0)), None], vec![Some((0, 1)); 2]]);
    }

    #[test]
    fn what_is_no_temporal_unit_is_refused_as_a_whole() {
        let mut packer = Packer::new(Codec::Av1, 1160, 0).unwrap();
        let mut refuses = |unit: &[u8]| {
            packer.pack(unit, FrameTags::default(), &mut |_| panic!("nothing is handed out")).unwrap_err()
        };
        assert_eq!(refuses(&[]), Malformed::Truncated);
        assert_eq!(refuses(&DELIMITER), Malformed::Truncated);
        assert_eq!(refuses(&[0x0a, 1, 7, 0x32, 9, 1]), Malformed::Length);
        assert_eq!(refuses(&[0x0a, 1, 7, 0xb2, 0]), Malformed::Value);
        assert_eq!(refuses(&[0x0a, 1, 7, 0x36]), Malformed::Truncated);
    }

    proptest! {
        #[test]
        fn a_temporal_unit_comes_back_whatever_it_holds(
            parts in proptest::collection::vec((1u8..16, proptest::option::of(0u8..3), prop_oneof![0usize..20, 0usize..4000]), 1..12),
            max in MIN_PAYLOAD..1400,
            key: bool,
        ) {
            let mut unit = DELIMITER.to_vec();
            parts.iter().for_each(|(kind, layer, len)| unit.extend(obu(*kind, *layer, *len)));
            prop_assume!(!sent(&unit).is_empty());
            let payloads = pack(max, key, &unit);
            let again = unpack(&payloads);
            prop_assert_eq!(sent(&again), sent(&unit));
            // What the unpacker makes is a unit too, and packs the same.
            prop_assert_eq!(pack(max, key, &again), payloads);
        }
    }
}
