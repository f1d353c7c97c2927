//! AV1 payloads (AOMedia's RTP payload format for AV1, section 4): aggregation header, OBU elements, sequence header.
//!
//! Frame boundaries and layers are best told by the dependency descriptor; without one, the aggregation header and the
//! OBU headers say the little that routing needs. Tile data is not looked at.

use super::FrameInfo;
use crate::Malformed;
use crate::bits::BitReader;
use crate::bytes::u8_at;

/// OBU types (AV1 specification 6.2.2).
mod obu {
    pub(super) const SEQUENCE_HEADER: u8 = 1;
    pub(super) const FRAME_HEADER: u8 = 3;
    pub(super) const FRAME: u8 = 6;
}

/// OBU types that RTP does not carry: temporal delimiter and tile list; they are left out.
pub(super) const LEFT_OUT: [u8; 2] = [2, 8];

/// The aggregation header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Z: the first element continues an OBU of the packet before.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub continued: bool,
    /// W: number of elements, of which the last has no length; 0 when every element has one.
    pub elements: u8,
    /// N: first packet of a coded video sequence.
    pub new_sequence: bool,
}

impl Aggregation {
    /// Reads the aggregation header.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when nothing follows it, [`Malformed::Value`] for a sequence that starts with a fragment.
    pub fn parse(payload: &[u8]) -> Result<Aggregation, Malformed> {
        let head = u8_at(payload, 0)?;
        u8_at(payload, 1)?;
        let has = |bit: u8| head & bit != 0;
        if has(0x80) && has(0x08) {
            return Err(Malformed::Value);
        }
        Ok(Aggregation { continues: has(0x80), continued: has(0x40), elements: head >> 4 & 3, new_sequence: has(0x08) })
    }
}

/// An OBU, or its first part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    /// Its type.
    pub kind: u8,
    /// Temporal and spatial layer, where the extension header is there.
    pub layer: Option<(u8, u8)>,
    /// What follows the OBU header, as far as it is here.
    pub body: &'a [u8],
}

impl<'a> Obu<'a> {
    fn parse(element: &'a [u8]) -> Result<Obu<'a>, Malformed> {
        let head = u8_at(element, 0)?;
        if head & 0x80 != 0 {
            return Err(Malformed::Value);
        }
        let (mut at, mut layer) = (1, None);
        if head & 0x04 != 0 {
            let byte = u8_at(element, at)?;
            layer = Some((byte >> 5, byte >> 3 & 3));
            at += 1;
        }
        let mut body = &element[at..];
        if head & 0x02 != 0 {
            let (len, rest) = leb128(body)?;
            body = rest.get(..len).unwrap_or(rest);
        }
        Ok(Obu { kind: head >> 3 & 15, layer, body })
    }
}

/// The elements of a payload that start an OBU.
#[derive(Clone, Debug)]
pub struct Obus<'a> {
    rest: &'a [u8],
    elements: u8,
    index: u8,
    skip_first: bool,
}

/// The OBUs that start in `payload`; an error ends the iteration.
///
/// # Errors
/// As [`Aggregation::parse`].
pub fn obus(payload: &[u8]) -> Result<Obus<'_>, Malformed> {
    let head = Aggregation::parse(payload)?;
    Ok(Obus { rest: &payload[1..], elements: head.elements, index: 0, skip_first: head.continues })
}

impl<'a> Obus<'a> {
    /// The next element, whether or not an OBU starts in it.
    fn element(&mut self) -> Result<&'a [u8], Malformed> {
        self.index = self.index.saturating_add(1);
        if self.index == self.elements {
            return Ok(core::mem::take(&mut self.rest));
        }
        let (len, rest) = leb128(self.rest)?;
        let (element, rest) = rest.split_at_checked(len).ok_or(Malformed::Length)?;
        self.rest = rest;
        Ok(element)
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let element = self.element();
            let skip = core::mem::take(&mut self.skip_first);
            match element {
                // Elements without bytes may stand anywhere.
                Ok(element) if skip || element.is_empty() => continue,
                Ok(element) => return Some(Obu::parse(element)),
                Err(e) => {
                    self.rest = &[];
                    return Some(Err(e));
                }
            }
        }
        None
    }
}

/// `leb128()` (AV1 specification 4.10.5), at most 32 bits; also what follows it.
pub(super) fn leb128(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let mut value = 0u64;
    for i in 0..8 {
        let byte = u8_at(bytes, i)?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| Malformed::Value)?;
            return Ok((value as usize, &bytes[i + 1..]));
        }
    }
    Err(Malformed::Value)
}

/// What routing needs to know, without a dependency descriptor.
///
/// # Errors
/// [`Malformed`] for truncated elements and forbidden header bits.
pub fn frame_info(payload: &[u8], marker: bool) -> Result<FrameInfo, Malformed> {
    let head = Aggregation::parse(payload)?;
    let mut info = FrameInfo {
        start_of_frame: !head.continues,
        end_of_frame: marker,
        key_frame: head.new_sequence,
        spatial_sync: head.new_sequence,
        ..FrameInfo::default()
    };
    let mut layer = None;
    for obu in obus(payload)? {
        let obu = obu?;
        match obu.kind {
            obu::SEQUENCE_HEADER => info.dimensions = info.dimensions.or(sequence_dimensions(obu.body).ok()),
            obu::FRAME | obu::FRAME_HEADER => layer = layer.or(obu.layer),
            _ => {}
        }
    }
    (info.temporal, info.spatial) = layer.unwrap_or((0, 0));
    Ok(info)
}

/// Maximum width and height from a sequence header OBU without its OBU header (AV1 specification 5.5.1).
///
/// # Errors
/// [`Malformed`] when it is truncated.
pub fn sequence_dimensions(body: &[u8]) -> Result<(u16, u16), Malformed> {
    let mut r = BitReader::new(body);
    r.skip(4)?;
    if r.bit()? {
        r.skip(5)?;
    } else {
        skip_operating_points(&mut r)?;
    }
    let (width_bits, height_bits) = (r.bits(4)? + 1, r.bits(4)? + 1);
    let (width, height) = (u64::from(r.bits(width_bits)?) + 1, u64::from(r.bits(height_bits)?) + 1);
    super::size(width, height, 0, 0)
}

fn skip_operating_points(r: &mut BitReader<'_>) -> Result<(), Malformed> {
    let mut delay_bits = None;
    if r.bit()? {
        r.skip(64)?;
        if r.bit()? {
            r.uvlc()?;
        }
        if r.bit()? {
            delay_bits = Some(r.bits(5)? + 1);
            r.skip(42)?;
        }
    }
    let display_delay = r.bit()?;
    for _ in 0..=r.bits(5)? {
        r.skip(12)?;
        if r.bits(5)? > 7 {
            r.skip(1)?;
        }
        if let Some(bits) = delay_bits
            && r.bit()?
        {
            r.skip(2 * bits + 1)?;
        }
        if display_delay && r.bit()? {
            r.skip(4)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence header of 1280×720, one operating point, as libaom writes it.
    const SEQUENCE: [u8; 11] = [0x08, 0x00, 0x00, 0x00, 0x2d, 0x4c, 0xff, 0xb3, 0xc0, 0x21, 0x98];

    #[test]
    fn a_new_sequence_is_a_key_frame_with_a_size() {
        assert_eq!(sequence_dimensions(&SEQUENCE[1..]), Ok((1280, 720)));
        // W = 2: the sequence header with a length, then a frame with the layer extension.
        let mut payload = vec![0x28, SEQUENCE.len() as u8];
        payload.extend(SEQUENCE);
        payload.extend([0x34, 0x48, 0x10, 0x00]);
        let info = frame_info(&payload, false).unwrap();
        assert!(info.key_frame && info.start_of_frame && !info.end_of_frame);
        assert_eq!((info.dimensions, info.temporal, info.spatial), (Some((1280, 720)), 2, 1));
    }

    #[test]
    fn a_fragment_is_not_taken_for_an_obu() {
        let info = frame_info(&[0x90, 0x0a, 0xff, 0xff], true).unwrap();
        assert!(!info.start_of_frame && info.end_of_frame && !info.key_frame && info.dimensions.is_none());
        assert_eq!(obus(&[0x80, 1, 0xff, 2, 0x30, 0xaa]).unwrap().count(), 1);
    }

    #[test]
    fn elements_may_have_lengths_and_be_empty() {
        let kinds: Vec<_> = obus(&[0x00, 0, 2, 0x12, 0x00, 2, 0x30, 7]).unwrap().map(|o| o.unwrap().kind).collect();
        assert_eq!(kinds, [2, 6]);
        assert_eq!(frame_info(&[0x00, 0x05, 0x30], true), Err(Malformed::Length));
        assert_eq!(frame_info(&[0x10, 0xb0], true), Err(Malformed::Value));
        assert_eq!(frame_info(&[0x00, 0xff, 0xff, 0xff, 0xff, 0x7f, 0], true), Err(Malformed::Value));
    }

    #[test]
    fn a_sequence_cannot_start_with_a_fragment() {
        assert_eq!(Aggregation::parse(&[0x88, 0]), Err(Malformed::Value));
        assert_eq!(Aggregation::parse(&[0x08]), Err(Malformed::Truncated));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let _ = frame_info(&bytes, true);
            let _ = sequence_dimensions(&bytes);
        }
    }
}
