//! Retransmission payloads (RFC 4588 section 4): two bytes of original sequence number, then the original payload.
//!
//! An RTX packet without payload is a probe: it has padding only, and no original sequence number.

use crate::bytes::u16_at;
use crate::{Malformed, NoRoom};

/// Bytes of the original sequence number.
pub const OSN_LEN: usize = 2;

/// The original sequence number. The original payload starts at [`OSN_LEN`].
///
/// # Errors
/// [`Malformed::Truncated`].
pub fn original_sequence(payload: &[u8]) -> Result<u16, Malformed> {
    u16_at(payload, 0)
}

/// The original sequence number and the original payload.
///
/// # Errors
/// [`Malformed::Truncated`].
pub fn unwrap(payload: &[u8]) -> Result<(u16, &[u8]), Malformed> {
    Ok((original_sequence(payload)?, &payload[OSN_LEN..]))
}

/// Writes the original sequence number at the start of `out`; the original payload goes behind it.
///
/// # Errors
/// [`NoRoom`].
pub fn write(out: &mut [u8], original_sequence: u16) -> Result<usize, NoRoom> {
    *out.first_chunk_mut::<OSN_LEN>().ok_or(NoRoom)? = original_sequence.to_be_bytes();
    Ok(OSN_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_original_packet_is_found_again() {
        let mut payload = [0, 0, 7, 8];
        assert_eq!(write(&mut payload, 0xfffe), Ok(2));
        assert_eq!(unwrap(&payload), Ok((0xfffe, &[7, 8][..])));
        assert_eq!(unwrap(&[1, 2]), Ok((0x0102, &[][..])));
        assert_eq!(unwrap(&[1]), Err(Malformed::Truncated));
        assert_eq!(write(&mut [0], 1), Err(NoRoom));
    }
}
