//! What kind of packet a datagram is, by its first bytes (RFC 7983, RFC 5761).
//!
//! Looks at eight bytes at most and promises nothing about the rest: every parser checks its own input again.

/// The protocols that share a media port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketKind {
    /// STUN (RFC 8489): first byte 0 to 3 and the magic cookie.
    Stun,
    /// DTLS: first byte 20 to 63 and room for a record header.
    Dtls,
    /// RTP or SRTP: version 2 and room for the fixed header.
    Rtp,
    /// RTCP or SRTCP: version 2 and a packet type of 192 to 223 (RFC 5761 section 4).
    Rtcp,
    /// Empty, too short, ZRTP, TURN channels, QUIC, or nothing known.
    Unknown,
}

/// The kind of the packet that starts with `bytes`.
pub fn classify(bytes: &[u8]) -> PacketKind {
    let Some(&first) = bytes.first() else {
        return PacketKind::Unknown;
    };
    match first {
        0..=3 if bytes.len() >= 20 && bytes[4..8] == [0x21, 0x12, 0xa4, 0x42] => PacketKind::Stun,
        20..=63 if bytes.len() >= 13 => PacketKind::Dtls,
        128..=191 if bytes.len() >= 8 && matches!(bytes[1], 192..=223) => PacketKind::Rtcp,
        128..=191 if bytes.len() >= 12 && !matches!(bytes[1], 192..=223) => PacketKind::Rtp,
        _ => PacketKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(first: u8, second: u8, len: usize) -> Vec<u8> {
        let mut v = vec![0; len];
        v[0] = first;
        v[1] = second;
        v
    }

    #[test]
    fn each_protocol_is_told_by_its_first_bytes() {
        let mut stun = with(0, 1, 20);
        assert_eq!(classify(&stun), PacketKind::Unknown);
        stun[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        assert_eq!(classify(&stun), PacketKind::Stun);
        assert_eq!(classify(&with(22, 254, 13)), PacketKind::Dtls);
        assert_eq!(classify(&with(0x80, 96, 12)), PacketKind::Rtp);
        assert_eq!(classify(&with(0x80, 0x80 | 96, 12)), PacketKind::Rtp);
        for pt in [192, 200, 205, 206, 207, 223] {
            assert_eq!(classify(&with(0x81, pt, 8)), PacketKind::Rtcp);
        }
        assert_eq!(classify(&with(0x81, 224, 12)), PacketKind::Rtp);
        assert_eq!(classify(&with(0x40, 0, 40)), PacketKind::Unknown);
    }

    #[test]
    fn what_is_too_short_is_unknown() {
        for first in 0..=255 {
            for len in 2..8 {
                assert_eq!(classify(&with(first, 96, len)), PacketKind::Unknown);
            }
        }
        assert_eq!(classify(&[]), PacketKind::Unknown);
        assert_eq!(classify(&[0x80]), PacketKind::Unknown);
    }
}
