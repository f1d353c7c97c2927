//! Which engine serves a peer, from its first ClientHello.
//!
//! ```text
//! offers DTLS 1.3, or GREASE (RFC 8701)   -> first   Chromium, Firefox, WebKit
//! fragmented                              -> first   post-quantum key shares: always a recent stack
//! no extended_master_secret (RFC 7627)    -> second  the first engine demands it
//! encrypt_then_mac (RFC 7366)             -> second  OpenSSL and GnuTLS: their certificate may be RSA (GStreamer's is)
//! anything else                           -> first
//! ```
//!
//! BoringSSL and NSS never offer `encrypt_then_mac`, because they have no CBC suites that could use it.

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `dimpl`.
    First,
    /// `rtc-dtls`.
    Second,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const ENCRYPT_THEN_MAC: u16 = 22;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const DTLS13: u16 = 0xfefc;

/// The choice for the peer that sent `datagram`; `None` when it does not begin with a ClientHello.
pub fn choose(datagram: &[u8]) -> Option<Choice> {
    let mut record = Reader(datagram);
    if record.u8()? != HANDSHAKE || record.u8()? != 0xfe {
        return None;
    }
    record.take(1 + 8)?;
    let length = usize::from(record.u16()?);
    let mut message = Reader(record.take(length)?);
    if message.u8()? != CLIENT_HELLO {
        return None;
    }
    let total = message.u24()?;
    message.take(2)?;
    let (offset, fragment) = (message.u24()?, message.u24()?);
    if offset != 0 || fragment < total {
        return Some(Choice::First);
    }
    from_body(message.take(fragment)?)
}

fn from_body(body: &[u8]) -> Option<Choice> {
    let mut body = Reader(body);
    body.take(2 + 32)?;
    let session = body.u8()?;
    body.take(usize::from(session))?;
    let cookie = body.u8()?;
    body.take(usize::from(cookie))?;
    let suites = body.u16()?;
    let mut suites = Reader(body.take(usize::from(suites))?);
    while let Some(suite) = suites.u16() {
        if is_grease(suite) {
            return Some(Choice::First);
        }
    }
    let compression = body.u8()?;
    body.take(usize::from(compression))?;
    let length = body.u16().unwrap_or(0);
    let mut extensions = Reader(body.take(usize::from(length))?);
    let (mut ems, mut etm) = (false, false);
    while let Some(kind) = extensions.u16() {
        let length = extensions.u16()?;
        let mut value = Reader(extensions.take(usize::from(length))?);
        match kind {
            EXTENDED_MASTER_SECRET => ems = true,
            ENCRYPT_THEN_MAC => etm = true,
            SUPPORTED_VERSIONS => {
                value.u8()?;
                while let Some(version) = value.u16() {
                    if version == DTLS13 || is_grease(version) {
                        return Some(Choice::First);
                    }
                }
            }
            kind if is_grease(kind) => return Some(Choice::First),
            _ => {}
        }
    }
    Some(if ems && !etm { Choice::First } else { Choice::Second })
}

/// RFC 8701: 0x0A0A, 0x1A1A … 0xFAFA.
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }
    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }
    fn u24(&mut self) -> Option<usize> {
        self.take(3).map(|b| usize::from(b[0]) << 16 | usize::from(b[1]) << 8 | usize::from(b[2]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello(suites: &[u16], extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.extend([0, 0]);
        body.extend((2 * suites.len() as u16).to_be_bytes());
        body.extend(suites.iter().flat_map(|s| s.to_be_bytes()));
        body.extend([1, 0]);
        let mut ext = Vec::new();
        for (kind, value) in extensions {
            ext.extend(kind.to_be_bytes());
            ext.extend((value.len() as u16).to_be_bytes());
            ext.extend(*value);
        }
        body.extend((ext.len() as u16).to_be_bytes());
        body.extend(ext);
        let len = (body.len() as u32).to_be_bytes();
        let mut message = vec![CLIENT_HELLO, len[1], len[2], len[3], 0, 0, 0, 0, 0, len[1], len[2], len[3]];
        message.extend(body);
        let mut record = vec![HANDSHAKE, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        record.extend((message.len() as u16).to_be_bytes());
        record.extend(message);
        record
    }

    #[test]
    fn browsers_go_to_the_first_engine_and_openssl_to_the_second() {
        let chromium = hello(&[0xc02b], &[(0x3a3a, &[]), (EXTENDED_MASTER_SECRET, &[])]);
        assert_eq!(choose(&chromium), Some(Choice::First));
        let firefox =
            hello(&[0xc02b], &[(EXTENDED_MASTER_SECRET, &[]), (SUPPORTED_VERSIONS, &[4, 0xfe, 0xfc, 0xfe, 0xfd])]);
        assert_eq!(choose(&firefox), Some(Choice::First));
        let pion = hello(&[0xc02b], &[(EXTENDED_MASTER_SECRET, &[])]);
        assert_eq!(choose(&pion), Some(Choice::First));
        let openssl = hello(&[0xc02c, 0xc030], &[(ENCRYPT_THEN_MAC, &[]), (EXTENDED_MASTER_SECRET, &[])]);
        assert_eq!(choose(&openssl), Some(Choice::Second));
        assert_eq!(choose(&hello(&[0xc02b], &[])), Some(Choice::Second));
    }

    #[test]
    fn a_fragment_of_a_hello_goes_to_the_first_engine_and_other_records_to_none() {
        let mut fragmented = hello(&[0xc02b], &[]);
        fragmented[15] += 1;
        assert_eq!(choose(&fragmented), Some(Choice::First));
        let mut server_hello = hello(&[0xc02b], &[]);
        server_hello[13] = 2;
        assert_eq!(choose(&server_hello), None);
        assert_eq!(choose(&[20, 0xfe, 0xfd]), None);
        assert_eq!(choose(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_choice_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..120) {
            let _ = choose(&bytes);
            let hello = hello(&[0xc02b], &[(EXTENDED_MASTER_SECRET, &[]), (SUPPORTED_VERSIONS, &[2, 0xfe, 0xfd])]);
            let _ = choose(&hello[..cut.min(hello.len())]);
        }
    }
}
