//! Redundant audio data (RFC 2198): the blocks of a payload, and cutting the redundant ones off.
//!
//! Every block but the last has a four-byte header with payload type, timestamp offset and length; the last one, the
//! primary, has one byte and takes what is left.

use crate::Malformed;
use crate::bytes::{u8_at, u32_at};
use crate::ext::Span;

/// Most blocks of one payload. Encoders send two or three; more are refused.
pub const MAX_BLOCKS: usize = 32;

/// One block. Its range counts from the start of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Payload type.
    pub payload_type: u8,
    /// How much older than the packet's timestamp, in timestamp units; 0 for the primary.
    pub timestamp_offset: u16,
    /// Its data.
    pub data: Span,
    /// Whether it is the primary block, the last one.
    pub primary: bool,
}

/// The primary block and how far the others reach back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Payload type of the primary block.
    pub payload_type: u8,
    /// Its data; counts from the start of the payload.
    pub data: Span,
    /// Timestamp offset of the oldest redundant block; 0 when there is none.
    pub oldest_offset: u16,
}

/// The blocks of `payload`, oldest first as they stand, the primary last.
///
/// # Errors
/// [`Malformed::Truncated`] when headers or blocks reach beyond the payload, [`Malformed::TooLarge`] beyond
/// [`MAX_BLOCKS`].
pub fn blocks(payload: &[u8]) -> Result<impl Iterator<Item = Block> + '_, Malformed> {
    let (mut head, mut data, mut redundant) = (0, 0, 0);
    while u8_at(payload, head)? & 0x80 != 0 {
        data += (u32_at(payload, head)? & 0x3ff) as usize;
        head += 4;
        redundant += 1;
        if redundant == MAX_BLOCKS {
            return Err(Malformed::TooLarge);
        }
    }
    let mut start = head + 1;
    if start + data > payload.len() || payload.len() > usize::from(u16::MAX) {
        return Err(Malformed::Truncated);
    }
    let mut at = 0;
    Ok((0..=redundant).map_while(move |i| {
        let primary = i == redundant;
        let (word, len) = if primary {
            (0, payload.len() - start)
        } else {
            let word = u32_at(payload, at).ok()?;
            (word, (word & 0x3ff) as usize)
        };
        let block = Block {
            payload_type: payload[at] & 0x7f,
            timestamp_offset: (word >> 10 & 0x3fff) as u16,
            data: Span { start: start as u16, len: len as u16 },
            primary,
        };
        at += 4;
        start += len;
        Some(block)
    }))
}

/// The primary block of `payload`: what is left when the redundancy is cut. Sent with the block's own payload type, its
/// data is a payload by itself.
///
/// # Errors
/// As [`blocks`].
pub fn primary(payload: &[u8]) -> Result<Primary, Malformed> {
    let mut primary = Primary { payload_type: 0, data: Span::default(), oldest_offset: 0 };
    for block in blocks(payload)? {
        primary.oldest_offset = primary.oldest_offset.max(block.timestamp_offset);
        (primary.payload_type, primary.data) = (block.payload_type, block.data);
    }
    Ok(primary)
}

/// Cuts the redundant blocks off in place, for a receiver that must get RED: the payload from the returned offset on is
/// RED with the primary block alone. The bytes before it are garbage afterwards.
///
/// # Errors
/// As [`blocks`]; nothing is changed.
pub fn cut(payload: &mut [u8]) -> Result<usize, Malformed> {
    let primary = primary(payload)?;
    let header = usize::from(primary.data.start) - 1;
    payload[header] = primary.payload_type;
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two redundant blocks (960 and 480 ago) and a primary of two bytes.
    const PAYLOAD: [u8; 14] = [0x80 | 111, 0x0f, 0x00, 2, 0x80 | 111, 0x07, 0x80, 1, 111, b'a', b'b', b'c', b'd', b'e'];

    #[test]
    fn blocks_come_with_their_age_and_data() {
        let blocks: Vec<_> = blocks(&PAYLOAD).unwrap().map(|b| (b.timestamp_offset, b.data.of(&PAYLOAD))).collect();
        assert_eq!(blocks, [(960, &b"ab"[..]), (480, b"c"), (0, b"de")]);
        let p = primary(&PAYLOAD).unwrap();
        assert_eq!((p.payload_type, p.oldest_offset, p.data.of(&PAYLOAD)), (111, 960, &b"de"[..]));
    }

    #[test]
    fn a_primary_block_may_stand_alone_or_be_empty() {
        assert_eq!(primary(&[111]).unwrap().data.len(), 0);
        assert_eq!(primary(&[111, 1, 2]).unwrap().data, Span { start: 1, len: 2 });
    }

    #[test]
    fn cutting_leaves_a_payload_of_one_block() {
        let mut payload = PAYLOAD;
        let start = cut(&mut payload).unwrap();
        assert_eq!(&payload[start..], [111, b'd', b'e']);
        assert_eq!(cut(&mut [111, 7]), Ok(0));
    }

    #[test]
    fn lengths_beyond_the_payload_are_refused() {
        for cut in 0..12 {
            assert_eq!(primary(&PAYLOAD[..cut]), Err(Malformed::Truncated));
        }
        assert!(primary(&PAYLOAD[..12]).is_ok());
        let endless = [0x80; 4 * MAX_BLOCKS + 1];
        assert_eq!(primary(&endless), Err(Malformed::TooLarge));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            if let Ok(blocks) = blocks(&bytes) {
                let sizes: usize = blocks.map(|b| b.data.len() + if b.primary { 1 } else { 4 }).sum();
                proptest::prop_assert_eq!(sizes, bytes.len());
            }
            if let Ok(start) = cut(&mut bytes) {
                proptest::prop_assert_eq!(blocks(&bytes[start..]).unwrap().count(), 1);
            }
        }
    }
}
