//! A look into STUN messages (RFC 8489), enough to steer a packet from an unknown source to a session.
//!
//! Reads the type and the user name, checks nothing that needs a key: the session's ICE agent does that. Every walk is
//! bounded by the length of the message.

use crate::Malformed;
use crate::bytes::{u16_at, u32_at};

/// Longest message that is looked at: an Ethernet MTU. Longer ones are refused.
pub const MAX_LEN: usize = 1500;

/// Longest user name (RFC 8489 section 14.3). Longer ones are refused.
pub const MAX_USERNAME: usize = 513;

const HEADER: usize = 20;
const COOKIE: u32 = 0x2112_a442;
const BINDING_REQUEST: u16 = 0x0001;
const USERNAME: u16 = 0x0006;

/// The type of a well-framed STUN message.
///
/// # Errors
/// [`Malformed::TooLarge`] beyond [`MAX_LEN`], [`Malformed::Value`] without the magic cookie, [`Malformed::Length`] when
/// the length field is not that of the datagram.
pub fn message_type(message: &[u8]) -> Result<u16, Malformed> {
    if message.len() > MAX_LEN {
        return Err(Malformed::TooLarge);
    }
    if message.len() < HEADER {
        return Err(Malformed::Truncated);
    }
    let (kind, len) = (u16_at(message, 0)?, usize::from(u16_at(message, 2)?));
    if kind & 0xc000 != 0 || u32_at(message, 4)? != COOKIE {
        return Err(Malformed::Value);
    }
    if !len.is_multiple_of(4) || HEADER + len != message.len() {
        return Err(Malformed::Length);
    }
    Ok(kind)
}

/// Whether it is a well-framed binding request.
pub fn is_request(message: &[u8]) -> bool {
    message_type(message) == Ok(BINDING_REQUEST)
}

/// The first USERNAME attribute of a well-framed message, when it is UTF-8 and not too long.
pub fn username(message: &[u8]) -> Option<&str> {
    message_type(message).ok()?;
    let mut at = HEADER;
    loop {
        let (kind, len) = (u16_at(message, at).ok()?, usize::from(u16_at(message, at + 2).ok()?));
        let value = message.get(at + 4..at + 4 + len)?;
        if kind == USERNAME {
            return core::str::from_utf8(value).ok().filter(|_| len <= MAX_USERNAME);
        }
        at += 4 + len.next_multiple_of(4);
    }
}

/// Our ufrag in the user name of a binding request: what stands before the colon (RFC 8445 section 7.2.2).
pub fn local_ufrag(message: &[u8]) -> Option<&str> {
    let (local, _) = username(message)?.split_once(':')?;
    (!local.is_empty()).then_some(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![];
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut out = kind.to_be_bytes().to_vec();
        out.extend((body.len() as u16).to_be_bytes());
        out.extend(COOKIE.to_be_bytes());
        out.extend([7; 12]);
        out.extend(body);
        out
    }

    #[test]
    fn a_request_names_our_ufrag_before_the_colon() {
        let request = message(1, &[(0x8022, b"agent"), (USERNAME, b"ours:theirs"), (0x24, &[0; 4])]);
        assert!(is_request(&request));
        assert_eq!((username(&request), local_ufrag(&request)), (Some("ours:theirs"), Some("ours")));
        assert!(!is_request(&message(0x0101, &[])));
        assert_eq!(username(&message(1, &[(0x24, &[0; 4])])), None);
        assert_eq!(local_ufrag(&message(1, &[(USERNAME, b":theirs")])), None);
        assert_eq!(local_ufrag(&message(1, &[(USERNAME, b"ours")])), None);
        assert_eq!(username(&message(1, &[(USERNAME, &[0xff, b':'])])), None);
    }

    #[test]
    fn oversized_and_contradictory_messages_are_refused() {
        let mut request = message(1, &[(USERNAME, b"ours:theirs")]);
        request[4] = 0;
        assert_eq!(message_type(&request), Err(Malformed::Value));
        let request = message(1, &[(USERNAME, b"ours:theirs")]);
        for cut in 0..request.len() {
            assert!(!is_request(&request[..cut]) && username(&request[..cut]).is_none());
        }
        let large = message(1, &[(0x8022, &[0; 1476])]);
        assert_eq!(message_type(&large), Ok(1));
        assert_eq!(message_type(&message(1, &[(0x8022, &[0; 1480])])), Err(Malformed::TooLarge));
        let name = [b'a'; MAX_USERNAME + 1];
        assert_eq!(username(&message(1, &[(USERNAME, &name)])), None);
        assert!(username(&message(1, &[(USERNAME, &name[1..])])).is_some());
    }

    #[test]
    fn an_attribute_beyond_the_message_ends_the_walk() {
        let mut request = message(1, &[(0x8022, b"abcd"), (USERNAME, b"a:b")]);
        request[22..24].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(username(&request), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_a_name_or_nothing(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
            let _ = local_ufrag(&bytes);
            let mut framed = message(1, &[]);
            framed.extend(&bytes[..bytes.len() / 4 * 4]);
            let len = (framed.len() - HEADER) as u16;
            framed[2..4].copy_from_slice(&len.to_be_bytes());
            let _ = local_ufrag(&framed);
        }
    }
}
