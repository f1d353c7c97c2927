//! Which engine serves a peer, from its first ClientHello.
//!
//! ```text
//! offers DTLS 1.3, or GREASE (RFC 8701)   -> first   Chromium, Firefox, WebKit
//! no extended_master_secret (RFC 7627)    -> second  the first engine demands it
//! encrypt_then_mac (RFC 7366)             -> second  OpenSSL and GnuTLS: their certificate may be RSA (GStreamer's is)
//! anything else                           -> first
//! ```
//!
//! BoringSSL and NSS never offer `encrypt_then_mac`, because they have no CBC suites that could use it.
//!
//! A hello with a post-quantum key share comes in two datagrams, and browsers shuffle its extensions: [`Waiting`] keeps the parts
//! until the hello is whole, and then gives them all to the engine.
//!
//! The hello also tells how the protection profile that we prefer is reached. The first engine's DTLS 1.3 takes the first one
//! in the client's order, its DTLS 1.2 takes GCM wherever it stands: a client that offers GCM behind something else is
//! served by DTLS 1.2. The second engine takes the client's order too, and gets a configuration with one profile only.

/// Which engine, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `dimpl`, with whatever version the client offers.
    First,
    /// `dimpl`, DTLS 1.2 only.
    First12,
    /// `rtc-dtls`, with the protection profile of this number (RFC 5764 §4.1.2); `None` when it offers none that we have.
    Second(Option<u16>),
}

/// Profiles in our order: AES-128-GCM, AES-256-GCM, AES-CM-128 with HMAC-SHA1-80.
pub const PROFILES: [u16; 3] = [0x0007, 0x0008, 0x0001];
const USE_SRTP: u16 = 14;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const ENCRYPT_THEN_MAC: u16 = 22;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const DTLS13: u16 = 0xfefc;

/// Datagrams kept while a hello is not whole. A hello has two or three parts; with more than this, repetitions included, the
/// first engine gets what there is.
const MAX_PARTS: usize = 8;
/// Longest hello that is put together: post-quantum shares make some 1500 bytes.
const MAX_HELLO: usize = 8192;

/// The parts of a ClientHello that came so far.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The datagrams, as they came.
    pub datagrams: Vec<Vec<u8>>,
    body: Vec<u8>,
    /// Ranges of `body` that are there, in the order of their arrival.
    parts: Vec<(usize, usize)>,
}

impl Waiting {
    /// The choice, once the hello is whole; the datagrams are then in [`Waiting::datagrams`], this one included.
    ///
    /// # Errors
    /// `Err(())` when this datagram is no part of a ClientHello, or makes one whole that is malformed: it was not kept.
    #[allow(clippy::result_unit_err)]
    pub fn push(&mut self, datagram: &[u8]) -> Result<Option<Choice>, ()> {
        let mut records = Reader(datagram);
        let mut taken = false;
        while let Some(message) = hello_record(&mut records) {
            taken |= self.part(message).is_some();
        }
        if !taken {
            return Err(());
        }
        self.datagrams.push(datagram.to_vec());
        if self.is_whole() {
            let choice = from_body(&self.body);
            if choice.is_none() {
                *self = Waiting::default();
            }
            return choice.map(Some).ok_or(());
        }
        Ok((self.datagrams.len() >= MAX_PARTS).then_some(Choice::First))
    }

    fn part(&mut self, mut message: Reader<'_>) -> Option<()> {
        if message.u8()? != CLIENT_HELLO {
            return None;
        }
        let total = message.u24()?;
        message.take(2)?;
        let (offset, length) = (message.u24()?, message.u24()?);
        let bytes = message.take(length)?;
        if total > MAX_HELLO || offset + length > total || self.parts.len() > 2 * MAX_PARTS {
            return None;
        }
        if self.body.len() != total {
            // The first part, or a peer that begins anew.
            *self = Waiting { body: vec![0; total], ..Waiting::default() };
        }
        self.body[offset..offset + length].copy_from_slice(bytes);
        self.parts.push((offset, offset + length));
        Some(())
    }

    fn is_whole(&mut self) -> bool {
        self.parts.sort_unstable();
        let reached = self.parts.iter().fold(0, |at, &(from, to)| if from <= at { at.max(to) } else { at });
        reached == self.body.len()
    }
}

/// The handshake message of the next record; `None` at the end or at a record of another kind.
fn hello_record<'a>(records: &mut Reader<'a>) -> Option<Reader<'a>> {
    if records.u8()? != HANDSHAKE || records.u8()? != 0xfe {
        return None;
    }
    records.take(1 + 8)?;
    let length = usize::from(records.u16()?);
    Some(Reader(records.take(length)?))
}

/// The choice for the body of a whole ClientHello; `None` when it is malformed.
fn from_body(body: &[u8]) -> Option<Choice> {
    let mut body = Reader(body);
    body.take(2 + 32)?;
    let session = body.u8()?;
    body.take(usize::from(session))?;
    let cookie = body.u8()?;
    body.take(usize::from(cookie))?;
    let suites = body.u16()?;
    let mut suites = Reader(body.take(usize::from(suites))?);
    let mut modern = false;
    while let Some(suite) = suites.u16() {
        modern |= is_grease(suite);
    }
    let compression = body.u8()?;
    body.take(usize::from(compression))?;
    let length = body.u16().unwrap_or(0);
    let mut extensions = Reader(body.take(usize::from(length))?);
    let (mut ems, mut etm, mut dtls13) = (false, false, false);
    let mut offered: &[u8] = &[];
    while let Some(kind) = extensions.u16() {
        let length = extensions.u16()?;
        let mut value = Reader(extensions.take(usize::from(length))?);
        match kind {
            EXTENDED_MASTER_SECRET => ems = true,
            ENCRYPT_THEN_MAC => etm = true,
            USE_SRTP => {
                let length = value.u16()?;
                offered = value.take(usize::from(length))?;
            }
            SUPPORTED_VERSIONS => {
                value.u8()?;
                while let Some(version) = value.u16() {
                    dtls13 |= version == DTLS13;
                    modern |= is_grease(version);
                }
            }
            kind => modern |= is_grease(kind),
        }
    }
    let offered = offered.as_chunks::<2>().0.iter().map(|p| u16::from_be_bytes(*p));
    let has = |profile| offered.clone().any(|p| p == profile);
    if !modern && !dtls13 && (!ems || etm) {
        return Some(Choice::Second(PROFILES.into_iter().find(|&p| has(p))));
    }
    let first = offered.clone().find(|p| PROFILES.contains(p));
    let gcm_is_behind = first == Some(PROFILES[2]) && (has(PROFILES[0]) || has(PROFILES[1]));
    Some(if dtls13 && gcm_is_behind && ems { Choice::First12 } else { Choice::First })
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

    fn choose(datagram: &[u8]) -> Option<Choice> {
        Waiting::default().push(datagram).ok().flatten()
    }

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
        let srtp: (u16, &[u8]) = (USE_SRTP, &[0, 6, 0, 1, 0, 8, 0, 7, 0]);
        let openssl = hello(&[0xc02c, 0xc030], &[(ENCRYPT_THEN_MAC, &[]), srtp, (EXTENDED_MASTER_SECRET, &[])]);
        assert_eq!(choose(&openssl), Some(Choice::Second(Some(7))), "our order of profiles, not the client's");
        assert_eq!(choose(&hello(&[0xc02b], &[])), Some(Choice::Second(None)));
    }

    #[test]
    fn a_client_that_puts_gcm_last_is_served_by_the_version_in_which_we_choose() {
        let versions: (u16, &[u8]) = (SUPPORTED_VERSIONS, &[4, 0xfe, 0xfc, 0xfe, 0xfd]);
        let ems: (u16, &[u8]) = (EXTENDED_MASTER_SECRET, &[]);
        let last: (u16, &[u8]) = (USE_SRTP, &[0, 6, 0, 1, 0, 8, 0, 7, 0]);
        assert_eq!(choose(&hello(&[0xc02b], &[versions, ems, last])), Some(Choice::First12));
        let first: (u16, &[u8]) = (USE_SRTP, &[0, 6, 0, 7, 0, 8, 0, 1, 0]);
        assert_eq!(choose(&hello(&[0xc02b], &[versions, ems, first])), Some(Choice::First));
        let none: (u16, &[u8]) = (USE_SRTP, &[0, 2, 0, 1, 0]);
        assert_eq!(choose(&hello(&[0xc02b], &[versions, ems, none])), Some(Choice::First));
        assert_eq!(choose(&hello(&[0xc02b], &[ems, last])), Some(Choice::First), "DTLS 1.2 chooses by itself");
    }

    /// A hello in two datagrams, cut at `at` of its body.
    fn in_two(whole: &[u8], at: usize) -> [Vec<u8>; 2] {
        let (record, message) = whole.split_at(13);
        let (header, body) = message.split_at(12);
        let part = |from: usize, to: usize| {
            let mut bytes = record[..11].to_vec();
            bytes.extend((12 + to as u16 - from as u16).to_be_bytes());
            bytes.extend(&header[..6]);
            bytes.extend(&(from as u32).to_be_bytes()[1..]);
            bytes.extend(&(to as u32 - from as u32).to_be_bytes()[1..]);
            bytes.extend(&body[from..to]);
            bytes
        };
        [part(0, at), part(at, body.len())]
    }

    #[test]
    fn a_hello_in_two_datagrams_waits_until_it_is_whole_in_whatever_order_they_come() {
        // As Chromium 156 sends it: AES-CM first, and a post-quantum key share in front of everything else.
        let srtp: (u16, &[u8]) = (USE_SRTP, &[0, 6, 0, 1, 0, 8, 0, 7, 0]);
        let versions: (u16, &[u8]) = (SUPPORTED_VERSIONS, &[4, 0xfe, 0xfc, 0xfe, 0xfd]);
        let long = hello(&[0x1301], &[(51, &[7; 1250]), (EXTENDED_MASTER_SECRET, &[]), versions, srtp]);
        let [first, second] = in_two(&long, 1175);
        for order in [[&first, &second], [&second, &first]] {
            let mut waiting = Waiting::default();
            assert_eq!(waiting.push(order[0]), Ok(None));
            assert_eq!(waiting.push(order[0]), Ok(None), "repeated");
            assert_eq!(waiting.push(&[20, 0xfe, 0xfd]), Err(()));
            assert_eq!(waiting.push(order[1]), Ok(Some(Choice::First12)));
            assert_eq!(waiting.datagrams.len(), 3);
        }
        let mut waiting = Waiting::default();
        let choices = (0..MAX_PARTS).map(|_| waiting.push(&first).unwrap());
        assert_eq!(choices.last().unwrap(), Some(Choice::First), "not without end");
    }

    #[test]
    fn what_is_no_hello_is_refused() {
        let mut server_hello = hello(&[0xc02b], &[]);
        server_hello[13] = 2;
        let mut huge = hello(&[0xc02b], &[]);
        huge[14] = 1;
        for wrong in [server_hello, huge, vec![20, 0xfe, 0xfd], vec![]] {
            assert_eq!(Waiting::default().push(&wrong), Err(()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_choice_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..120) {
            let _ = Waiting::default().push(&bytes);
            let hello = hello(&[0xc02b], &[(EXTENDED_MASTER_SECRET, &[]), (SUPPORTED_VERSIONS, &[2, 0xfe, 0xfd])]);
            let _ = Waiting::default().push(&hello[..cut.min(hello.len())]);
            let [first, second] = in_two(&hello, cut.min(40));
            let mut waiting = Waiting::default();
            let _ = waiting.push(&first);
            let _ = waiting.push(&bytes);
            prop_assert_eq!(waiting.push(&second), Ok(Some(Choice::First)));
        }
    }
}
