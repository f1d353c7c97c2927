//! The guard's own reading of a plaintext RTP packet: just what its rules need, written apart from `plenum-wire`.

use super::{Seen, Violation, Watched};
use plenum_packet::Time;

impl Seen {
    /// Reads an RTP packet (RFC 3550, section 5.1) before it is sealed.
    ///
    /// # Errors
    /// [`Violation::Unreadable`].
    pub fn parse(at: Time, packet: &[u8], watched: Watched) -> Result<Seen, Violation> {
        read(at, packet, watched).ok_or(Violation::Unreadable)
    }
}

fn read(at: Time, packet: &[u8], watched: Watched) -> Option<Seen> {
    let fixed = packet.get(..12)?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut start = 12 + 4 * usize::from(fixed[0] & 0x0f);
    if fixed[0] & 0x10 != 0 {
        let words = packet.get(start + 2..start + 4)?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    let padding = if fixed[0] & 0x20 != 0 { usize::from(*packet.last()?) } else { 0 };
    let payload = packet.get(start..packet.len().checked_sub(padding)?)?;
    let mut seen = Seen {
        at,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7f,
        payload_len: payload.len(),
        watched,
        key: false,
        picture_id: None,
        source: None,
    };
    if !payload.is_empty() {
        match watched {
            Watched::Audio => {}
            Watched::Vp8 => vp8(payload, &mut seen)?,
            Watched::Vp9 => vp9(payload, &mut seen)?,
            Watched::H264 => seen.key = h264_key(payload)?,
            Watched::H265 => seen.key = h265_key(payload)?,
            // N: first packet of a coded video sequence.
            Watched::Av1 => seen.key = payload[0] & 0x08 != 0,
        }
    }
    Some(seen)
}

/// RFC 7741, section 4.2 and 4.3.
fn vp8(payload: &[u8], seen: &mut Seen) -> Option<()> {
    let first = payload[0];
    let mut at = 1;
    if first & 0x80 != 0 {
        let extended = *payload.get(at)?;
        at += 1;
        if extended & 0x80 != 0 {
            let id = *payload.get(at)?;
            seen.picture_id = if id & 0x80 != 0 {
                at += 1;
                Some((u16::from_be_bytes([id & 0x7f, *payload.get(at)?]), true))
            } else {
                Some((u16::from(id), false))
            };
            at += 1;
        }
        at += usize::from(extended & 0x40 != 0) + usize::from(extended & 0x30 != 0);
    }
    let begins = first & 0x10 != 0 && first & 0x07 == 0;
    seen.key = begins && *payload.get(at)? & 1 == 0;
    Some(())
}

/// RFC 9628, section 4.2: I P L F B E V.
fn vp9(payload: &[u8], seen: &mut Seen) -> Option<()> {
    let first = payload[0];
    let mut at = 1;
    if first & 0x80 != 0 {
        let id = *payload.get(at)?;
        seen.picture_id = if id & 0x80 != 0 {
            at += 1;
            Some((u16::from_be_bytes([id & 0x7f, *payload.get(at)?]), true))
        } else {
            Some((u16::from(id), false))
        };
        at += 1;
    }
    let spatial = if first & 0x20 != 0 { (*payload.get(at)? >> 1) & 7 } else { 0 };
    seen.key = first & 0x40 == 0 && first & 0x08 != 0 && spatial == 0;
    Some(())
}

/// RFC 6184: SPS or IDR alone, first in a STAP-A, or begun by an FU-A.
fn h264_key(payload: &[u8]) -> Option<bool> {
    let starts = |kind: u8| matches!(kind & 0x1f, 5 | 7);
    match payload[0] & 0x1f {
        24 => {
            let mut rest = &payload[1..];
            while let [a, b, tail @ ..] = rest {
                let len = usize::from(u16::from_be_bytes([*a, *b]));
                if starts(*tail.first()?) {
                    return Some(true);
                }
                rest = tail.get(len..)?;
            }
            Some(false)
        }
        28 => {
            let header = *payload.get(1)?;
            Some(header & 0x80 != 0 && starts(header))
        }
        kind => Some(starts(kind)),
    }
}

/// RFC 7798: IRAP pictures and parameter sets, alone, first in an aggregation, or begun by a fragment.
fn h265_key(payload: &[u8]) -> Option<bool> {
    let starts = |kind: u8| matches!(kind, 16..=21 | 32..=34);
    match (payload[0] >> 1) & 0x3f {
        48 => Some(starts((*payload.get(4)? >> 1) & 0x3f)),
        49 => {
            let header = *payload.get(2)?;
            Some(header & 0x80 != 0 && starts(header & 0x3f))
        }
        kind => Some(starts(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(payload: &[u8]) -> Vec<u8> {
        // Marker, PT 96, sequence 5, timestamp 7, one extension word.
        let mut bytes = vec![0x90, 0xe0, 0, 5, 0, 0, 0, 7, 1, 2, 3, 4, 0xbe, 0xde, 0, 1, 0x10, 9, 0, 0];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn parse(payload: &[u8], watched: Watched) -> Seen {
        Seen::parse(Time::ZERO, &packet(payload), watched).unwrap()
    }

    #[test]
    fn headers_and_descriptors_are_read() {
        let key = parse(&[0x90, 0xe0, 0x81, 0x23, 9, 0x20, 0x10], Watched::Vp8);
        assert!(key.key && key.marker && key.sequence == 5 && key.timestamp == 7 && key.payload_type == 96);
        assert_eq!((key.picture_id, key.payload_len), (Some((0x123, true)), 7));
        assert!(!parse(&[0x90, 0x80, 0x11, 0x11], Watched::Vp8).key);
        let vp9 = parse(&[0x88, 0x05, 0], Watched::Vp9);
        assert!(vp9.key && vp9.picture_id == Some((5, false)));
        assert!(!parse(&[0xa8, 0x05, 0x02, 0], Watched::Vp9).key, "spatial layer 1");
        assert!(parse(&[24, 0, 1, 0x67, 0, 1, 0x65], Watched::H264).key);
        assert!(parse(&[28, 0x85], Watched::H264).key && !parse(&[28, 0x05], Watched::H264).key);
        assert!(parse(&[40 << 1, 1], Watched::H265).payload_len == 2);
        assert!(parse(&[32 << 1, 1], Watched::H265).key && parse(&[49 << 1, 1, 0x93], Watched::H265).key);
        assert!(parse(&[0x08, 1], Watched::Av1).key);
        assert!(Seen::parse(Time::ZERO, &[0x80; 11], Watched::Audio).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80), which in 0usize..6) {
            let all = [Watched::Audio, Watched::Vp8, Watched::Vp9, Watched::H264, Watched::H265, Watched::Av1];
            let _ = Seen::parse(Time::ZERO, &bytes, all[which]);
            let _ = Seen::parse(Time::ZERO, &packet(&bytes), all[which]);
        }
    }
}
