//! The RTP header (RFC 3550 section 5.1): parsed once into a small `Copy` value, written in place.
//!
//! Parsing works on the packet as it came, encrypted or not: only what SRTP leaves in the clear is read. The padding
//! count is inside the encrypted part and is asked for afterwards, with [`padding_len`].

use crate::bytes::{Put, u8_at, u16_at, u32_at};
use crate::{Malformed, NoRoom};

/// Bytes of the fixed header, before contributing sources and extensions.
pub const FIXED_LEN: usize = 12;

/// Longest packet that is parsed: offsets are 16 bits wide, and no datagram is longer.
pub const MAX_LEN: usize = u16::MAX as usize;

/// The header extension block (RFC 3550 section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExtBlock {
    /// "Defined by profile": 0xBEDE or 0x100X for RFC 8285.
    pub profile: u16,
    /// Offset of its first element in the packet.
    pub start: u16,
    /// Bytes of its elements, a multiple of four.
    pub len: u16,
}

/// A parsed RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// The marker bit.
    pub marker: bool,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// The padding bit: the last byte of the plaintext counts the padding.
    pub padding: bool,
    /// Number of contributing sources.
    pub csrc_count: u8,
    /// The extension block, when there is one.
    pub extension: Option<ExtBlock>,
    /// Offset of the payload: the length of the header with sources and extensions.
    pub payload_start: u16,
}

/// Reads the header of `packet`.
///
/// # Errors
/// [`Malformed::Version`] when it is not version 2, [`Malformed::Truncated`] when sources or extensions reach beyond
/// the packet, [`Malformed::TooLarge`] beyond [`MAX_LEN`].
pub fn parse(packet: &[u8]) -> Result<Header, Malformed> {
    if packet.len() > MAX_LEN {
        return Err(Malformed::TooLarge);
    }
    let Some(fixed) = packet.first_chunk::<FIXED_LEN>() else {
        return Err(Malformed::Truncated);
    };
    if fixed[0] >> 6 != 2 {
        return Err(Malformed::Version);
    }
    let csrc_count = fixed[0] & 0x0f;
    let mut at = FIXED_LEN + 4 * usize::from(csrc_count);
    let mut extension = None;
    if fixed[0] & 0x10 != 0 {
        let profile = u16_at(packet, at)?;
        let len = usize::from(u16_at(packet, at + 2)?) * 4;
        let start = at + 4;
        at = start + len;
        if at > packet.len() {
            return Err(Malformed::Truncated);
        }
        extension = Some(ExtBlock { profile, start: start as u16, len: len as u16 });
    }
    if at > packet.len() {
        return Err(Malformed::Truncated);
    }
    Ok(Header {
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7f,
        sequence: u16_at(fixed, 2)?,
        timestamp: u32_at(fixed, 4)?,
        ssrc: u32_at(fixed, 8)?,
        padding: fixed[0] & 0x20 != 0,
        csrc_count,
        extension,
        payload_start: at as u16,
    })
}

/// Bytes of padding at the end of the decrypted packet; 0 without the padding bit.
///
/// # Errors
/// [`Malformed::Padding`] when the count is zero or larger than the payload.
pub fn padding_len(header: &Header, plaintext: &[u8]) -> Result<usize, Malformed> {
    if !header.padding {
        return Ok(0);
    }
    let payload = plaintext.get(usize::from(header.payload_start)..).ok_or(Malformed::Truncated)?;
    match payload.last() {
        Some(&n) if n > 0 && usize::from(n) <= payload.len() => Ok(usize::from(n)),
        _ => Err(Malformed::Padding),
    }
}

/// Offset and length of the payload without padding in the decrypted packet. A length of 0 is a padding-only packet.
///
/// # Errors
/// As [`padding_len`].
pub fn payload_range(header: &Header, plaintext: &[u8]) -> Result<(usize, usize), Malformed> {
    let start = usize::from(header.payload_start);
    let padding = padding_len(header, plaintext)?;
    let len = plaintext.len().checked_sub(start + padding).ok_or(Malformed::Truncated)?;
    Ok((start, len))
}

/// What [`write_header`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Fields {
    /// The marker bit.
    pub marker: bool,
    /// The padding bit: the packet will end in padding and its count.
    pub padding: bool,
    /// The extension bit: an extension block follows the header ([`crate::ext::Writer`]).
    pub extension: bool,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// Writes the fixed header (no contributing sources) and returns its length, [`FIXED_LEN`].
///
/// # Errors
/// [`NoRoom`] when `out` is shorter than that.
pub fn write_header(out: &mut [u8], fields: &Fields) -> Result<usize, NoRoom> {
    let out = out.get_mut(..FIXED_LEN).ok_or(NoRoom)?;
    let mut put = Put::new(out);
    put.u8(0x80 | u8::from(fields.padding) << 5 | u8::from(fields.extension) << 4)
        .u8(u8::from(fields.marker) << 7 | fields.payload_type & 0x7f)
        .u16(fields.sequence)
        .u32(fields.timestamp)
        .u32(fields.ssrc);
    Ok(FIXED_LEN)
}

/// Appends `n` bytes of padding at `out[at..]` and sets the padding bit of the packet that starts at `out[0]`. Returns
/// the new length.
///
/// # Errors
/// [`NoRoom`] when it does not fit, or no packet is there, or `n` is 0.
pub fn write_padding(out: &mut [u8], at: usize, n: u8) -> Result<usize, NoRoom> {
    let end = at + usize::from(n);
    if n == 0 || at < FIXED_LEN || end > out.len() {
        return Err(NoRoom);
    }
    out[at..end - 1].fill(0);
    out[end - 1] = n;
    out[0] |= 0x20;
    Ok(end)
}

/// The SSRC of an RTP packet, before anything else of it is looked at.
///
/// # Errors
/// [`Malformed::Truncated`].
pub fn ssrc(packet: &[u8]) -> Result<u32, Malformed> {
    u32_at(packet, 8)
}

/// The payload type of an RTP packet.
///
/// # Errors
/// [`Malformed::Truncated`].
pub fn payload_type(packet: &[u8]) -> Result<u8, Malformed> {
    Ok(u8_at(packet, 1)? & 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = Fields {
        marker: true,
        padding: false,
        extension: false,
        payload_type: 111,
        sequence: 0xfffe,
        timestamp: 0xdead_beef,
        ssrc: 0x1234_5678,
    };

    #[test]
    fn what_is_written_is_read_back() {
        let mut packet = [0; 20];
        assert_eq!(write_header(&mut packet, &FIELDS), Ok(12));
        let h = parse(&packet).unwrap();
        assert_eq!((h.marker, h.payload_type, h.sequence), (true, 111, 0xfffe));
        assert_eq!((h.timestamp, h.ssrc, h.payload_start, h.extension), (0xdead_beef, 0x1234_5678, 12, None));
        assert_eq!(payload_range(&h, &packet), Ok((12, 8)));
        assert_eq!(write_header(&mut packet[..11], &FIELDS), Err(NoRoom));
    }

    #[test]
    fn sources_and_extensions_push_the_payload_back() {
        let mut packet = vec![0; 12 + 8 + 4 + 8 + 3];
        write_header(&mut packet, &FIELDS).unwrap();
        packet[0] = 0x92;
        packet[20..24].copy_from_slice(&[0xbe, 0xde, 0, 2]);
        let h = parse(&packet).unwrap();
        assert_eq!(h.extension, Some(ExtBlock { profile: 0xbede, start: 24, len: 8 }));
        assert_eq!((h.csrc_count, h.payload_start), (2, 32));
        for cut in 0..32 {
            assert_eq!(parse(&packet[..cut]), Err(Malformed::Truncated));
        }
        assert_eq!(parse(&packet[..32]).unwrap().payload_start, 32);
    }

    #[test]
    fn padding_is_counted_by_its_last_byte() {
        let mut packet = [0; 24];
        write_header(&mut packet, &FIELDS).unwrap();
        assert_eq!(write_padding(&mut packet, 16, 8), Ok(24));
        let h = parse(&packet).unwrap();
        assert_eq!(payload_range(&h, &packet), Ok((12, 4)));
        packet[23] = 12;
        assert_eq!(payload_range(&h, &packet), Ok((12, 0)));
        for wrong in [0, 13, 255] {
            packet[23] = wrong;
            assert_eq!(padding_len(&h, &packet), Err(Malformed::Padding));
        }
        assert_eq!(padding_len(&h, &packet[..12]), Err(Malformed::Padding));
        assert_eq!(write_padding(&mut packet, 20, 5), Err(NoRoom));
    }

    #[test]
    fn other_versions_are_refused() {
        let mut packet = [0; 12];
        write_header(&mut packet, &FIELDS).unwrap();
        for version in [0, 1, 3] {
            packet[0] = version << 6;
            assert_eq!(parse(&packet), Err(Malformed::Version));
        }
        assert_eq!(parse(&vec![0x80; MAX_LEN + 1]), Err(Malformed::TooLarge));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
            if let Ok(h) = parse(&bytes) {
                proptest::prop_assert!(usize::from(h.payload_start) <= bytes.len());
                if let Ok((start, len)) = payload_range(&h, &bytes) {
                    proptest::prop_assert!(start + len <= bytes.len());
                }
            }
        }
    }
}
