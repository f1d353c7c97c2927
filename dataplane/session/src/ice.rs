//! ICE lite (RFC 8445 §2.5): answers checks, learns the paths, follows the peer's nomination, watches consent.
//!
//! A responder of our own over the STUN codec of `is`. The agent of that crate is made for the full role: it keeps a candidate
//! for every source address, may change to the controlling role, chooses among nominated pairs by priority instead of following
//! the last nomination, holds one set of credentials, and wakes up for each session many times a second. A lite server needs
//! none of this: it sends no checks, has no timers but consent, and its state is at most [`MAX_PATHS`] paths.
//!
//! Consent is a path's own (RFC 7675 §5.1). Media goes to the path that was nominated last, as long as it is checked; one that was
//! not checked for [`SILENT_AFTER`] loses its nomination, and media moves to a path that is: the one nominated last, else, for a
//! peer whose address changed on the way (a NAT that forgot it), the one checked last. Media and RTCP that were authenticated count as
//! checks of the path that media goes to: there are stacks that keep it open with indications, or over TCP with nothing.
//!
//! An ICE restart adds credentials. The old ones hold until a pair of the new ones is nominated.

use crate::events::Outbox;
use is::stun::StunMessage;
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use plenum_contract::spec::IceSpec;
use plenum_packet::{DropReason, Path, Time};
use std::collections::VecDeque;
use std::time::Duration;

/// Longest STUN message that is looked at (RFC 8489 §6.1: it must fit an MTU).
pub const MAX_STUN: usize = 1500;
/// Paths that one peer may prove. More than its interfaces times ours; at the limit the one checked longest ago goes.
pub const MAX_PATHS: usize = 16;
/// No authenticated packet for this long: sending stops. Peers check every 2.5 s (Chromium) to 5 s (RFC 7675), so this is three
/// lost checks in a row.
pub const SILENT_AFTER: Duration = Duration::from_secs(15);
/// No authenticated packet for this long: the session ends. RFC 7675 §5.1.
pub const CONSENT_LOST_AFTER: Duration = Duration::from_secs(30);
/// A path that was checked in this time is its session's alone. Longer: a peer that comes back from the same address with
/// another session waits longer. Shorter than the time between checks (5 s, RFC 7675 §5.1): a participant who forges source
/// addresses could take the paths of others.
pub(crate) const HELD_FOR: Duration = Duration::from_secs(6);
/// What was authenticated counts again after this long.
const HEARD_AGAIN: Duration = Duration::from_secs(1);
/// Checks of which the transaction is remembered, four bytes each: more than an hour of a peer that checks one path every 2.5 s. A
/// check is valid once: somebody on the way who recorded it must not move media by sending it again, nor keep consent alive.
const REMEMBERED: usize = 2048;
/// Longest answer: header, XOR-MAPPED-ADDRESS of IPv6, integrity, fingerprint, and an error phrase.
const MAX_ANSWER: usize = 128;

/// What a check changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The path is new.
    pub(crate) added: bool,
    /// A path that was forgotten to make room.
    pub(crate) gone: Option<Path>,
    /// The nominated path changed.
    pub(crate) moved: bool,
    /// The check was of the newest credentials, and older ones were given up by it.
    pub(crate) restarted: bool,
}

/// How alive the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// No check yet.
    Unheard,
    /// Checks, or what counts as one, arrive.
    Live,
    /// None for [`SILENT_AFTER`].
    Silent,
    /// None for [`CONSENT_LOST_AFTER`].
    Lost,
}

#[derive(Debug)]
struct Known {
    path: Path,
    last_check: Time,
    /// When the peer nominated it last, if that still holds.
    nominated: Option<Time>,
}

impl Known {
    fn is_checked(&self, now: Time) -> bool {
        now.since(self.last_check) < SILENT_AFTER
    }
}

/// The ICE side of a session.
#[derive(Debug)]
pub(crate) struct IceLite {
    /// Newest last; the one before it is kept until the newest is nominated.
    credentials: Vec<IceSpec>,
    paths: Vec<Known>,
    nominated: Option<Path>,
    last_check: Option<Time>,
    /// Of the latest [`REMEMBERED`] checks, the oldest first.
    transactions: VecDeque<u32>,
}

impl IceLite {
    pub(crate) fn new(credentials: IceSpec) -> IceLite {
        IceLite {
            credentials: vec![credentials],
            paths: Vec::new(),
            nominated: None,
            last_check: None,
            transactions: VecDeque::new(),
        }
    }

    /// New credentials: an ICE restart. The ones in use stay valid until the peer nominates with the new ones.
    pub(crate) fn restart(&mut self, credentials: IceSpec) {
        if self.credentials.last() == Some(&credentials) {
            return;
        }
        self.credentials.truncate(1);
        if self.nominated.is_none() {
            self.credentials.clear();
        }
        self.credentials.push(credentials);
    }

    /// Where media goes.
    pub(crate) fn nominated(&self) -> Option<Path> {
        self.nominated
    }

    /// Where an answer of DTLS may go before there is a nomination.
    pub(crate) fn any_path(&self) -> Option<Path> {
        self.nominated.or_else(|| self.paths.iter().max_by_key(|k| k.last_check).map(|k| k.path))
    }

    /// Every path that the peer proved.
    pub(crate) fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.paths.iter().map(|k| k.path)
    }

    /// Whether `path` was checked in the last [`HELD_FOR`].
    pub(crate) fn holds(&self, path: &Path, now: Time) -> bool {
        self.paths.iter().any(|k| k.path == *path && now.since(k.last_check) < HELD_FOR)
    }

    /// How alive the peer is at `now`.
    pub(crate) fn liveness(&self, now: Time) -> Liveness {
        match self.last_check {
            None => Liveness::Unheard,
            Some(t) if now.since(t) >= CONSENT_LOST_AFTER => Liveness::Lost,
            Some(t) if now.since(t) >= SILENT_AFTER => Liveness::Silent,
            Some(_) => Liveness::Live,
        }
    }

    /// When [`IceLite::liveness`] may change next.
    pub(crate) fn deadline(&self, silent: bool) -> Time {
        match self.last_check {
            Some(t) if silent => t + CONSENT_LOST_AFTER,
            // The nominated path's own end comes first when others are checked.
            Some(t) => self.current().map_or(t, |known| known.last_check) + SILENT_AFTER,
            None => Time::NEVER,
        }
    }

    /// Moves media away from a path that is no longer checked, if another one is; whether it moved.
    pub(crate) fn leave_unchecked(&mut self, now: Time) -> bool {
        if self.current().is_none_or(|known| known.is_checked(now)) {
            return false;
        }
        for known in self.paths.iter_mut().filter(|k| !k.is_checked(now)) {
            known.nominated = None;
        }
        let checked = self.paths.iter().filter(|k| k.is_checked(now));
        let Some(best) = checked.max_by_key(|k| (k.nominated, k.last_check)) else { return false };
        self.nominated = Some(best.path);
        true
    }

    /// A packet that the peer sealed came on `path`, and never came before. Other paths than the nominated one need checks.
    pub(crate) fn heard(&mut self, now: Time, path: Path) {
        if self.nominated != Some(path) || self.last_check.is_none_or(|t| now.since(t) < HEARD_AGAIN) {
            return;
        }
        if let Some(known) = self.paths.iter_mut().find(|k| k.path == path) {
            known.last_check = now;
            self.last_check = Some(now);
        }
    }

    fn current(&self) -> Option<&Known> {
        self.paths.iter().find(|k| Some(k.path) == self.nominated)
    }

    /// A STUN message that arrived on `path`. Only an authenticated binding request changes anything.
    ///
    /// # Errors
    /// [`DropReason::BadStun`] for everything else, and for a check that came before on another path: nothing is answered.
    pub(crate) fn handle(
        &mut self,
        now: Time,
        path: Path,
        bytes: &[u8],
        out: &mut Outbox<'_>,
    ) -> Result<Checked, DropReason> {
        if bytes.len() > MAX_STUN {
            return Err(DropReason::BadStun);
        }
        let message = StunMessage::parse(bytes).map_err(|_| DropReason::BadStun)?;
        if !message.is_binding_request() {
            return Err(DropReason::BadStun);
        }
        let (local, remote) = message.split_username().ok_or(DropReason::BadStun)?;
        let index = self
            .credentials
            .iter()
            .position(|c| c.local_ufrag == local && c.remote_ufrag == remote)
            .ok_or(DropReason::BadStun)?;
        let password = self.credentials[index].local_pwd.as_bytes();
        if !message.verify(password, hmac) {
            return Err(DropReason::BadStun);
        }
        let id = transaction(bytes);
        let known = self.transactions.contains(&id);
        if known && !self.paths().any(|p| p == path) {
            return Err(DropReason::BadStun);
        }
        // Lite is always controlled (RFC 8445 §6.1.1): a peer that thinks so of itself is told, and changes its role.
        let conflict = message.ice_controlled().is_some();
        let answer = match conflict {
            true => StunMessage::binding_role_conflict_reply(message.trans_id()),
            false => StunMessage::binding_reply(message.trans_id(), path.remote),
        };
        let mut buf = [0; MAX_ANSWER];
        let len = answer.to_bytes(Some(password), &mut buf, hmac).map_err(|_| DropReason::BadStun)?;
        out.push(path, &buf[..len]);
        // A repeated check is answered, because the answer may have been lost, and changes nothing.
        if conflict || known {
            return Ok(Checked::default());
        }
        self.remember(id);
        Ok(self.note_check(now, path, index, message.use_candidate()))
    }

    fn note_check(&mut self, now: Time, path: Path, credentials: usize, use_candidate: bool) -> Checked {
        let mut checked = Checked::default();
        self.last_check = Some(now);
        let at = match self.paths.iter().position(|k| k.path == path) {
            Some(at) => at,
            None => {
                if self.paths.len() >= MAX_PATHS {
                    checked.gone = self.forget_oldest();
                }
                self.paths.push(Known { path, last_check: now, nominated: None });
                checked.added = true;
                self.paths.len() - 1
            }
        };
        self.paths[at].last_check = now;
        if use_candidate {
            let newest = credentials + 1 == self.credentials.len();
            if newest && self.credentials.len() > 1 {
                self.credentials.drain(..credentials);
                checked.restarted = true;
            }
            // A late nomination with old credentials must not undo that of new ones: those are gone by then.
            checked.moved = self.nominated != Some(path);
            self.nominated = Some(path);
            self.paths[at].nominated = Some(now);
        } else {
            checked.moved = self.leave_unchecked(now);
        }
        checked
    }

    fn remember(&mut self, transaction: u32) {
        if self.transactions.len() == REMEMBERED {
            self.transactions.pop_front();
        }
        // All of it at the first check, so that later ones allocate nothing.
        self.transactions.reserve_exact(REMEMBERED - self.transactions.len());
        self.transactions.push_back(transaction);
    }

    fn forget_oldest(&mut self) -> Option<Path> {
        let nominated = self.nominated;
        let oldest = self.paths.iter().enumerate().filter(|(_, k)| Some(k.path) != nominated);
        let index = oldest.min_by_key(|(_, k)| k.last_check).map(|(i, _)| i)?;
        Some(self.paths.swap_remove(index).path)
    }
}

/// The transaction of a STUN message, folded: its 96 bits are random (RFC 8489 §5), so that 32 of them tell checks apart.
fn transaction(message: &[u8]) -> u32 {
    let words = message.get(8..20).unwrap_or_default().chunks_exact(4);
    words.fold(0, |id, word| id ^ u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

/// Hands any bytes to the ICE side of a session as a check of `abcd:wxyz`: as they are, and signed as one who knows the password
/// would, twice from one address and once from another; whether the signed ones were taken. What a fuzz target calls.
#[doc(hidden)]
pub fn check_any(bytes: &[u8]) -> bool {
    use plenum_packet::{Pool, Transport};
    let text = str::to_owned;
    let [local_ufrag, local_pwd, remote_ufrag] = ["abcd", "0123456789abcdefghijkl", "wxyz"].map(text);
    let mut ice =
        IceLite::new(IceSpec { local_ufrag, local_pwd: local_pwd.clone(), remote_ufrag, remote_pwd: text("") });
    let (mut pool, mut sealer, mut packets) = (Pool::new(4), plenum_srtp::Sealer::new(), Vec::new());
    let mut handle = |bytes: &[u8], port: u16| {
        let path = Path {
            transport: Transport::Udp,
            local: ([192, 0, 2, 1], 9).into(),
            remote: ([192, 0, 2, 2], port).into(),
        };
        let mut out = Outbox { pool: &mut pool, sealer: &mut sealer, packets: &mut packets };
        let taken = ice.handle(Time::ZERO, path, bytes, &mut out).is_ok();
        assert_eq!(packets.len(), usize::from(taken), "who is not authenticated gets no answer");
        packets.drain(..).for_each(|(_, buf)| pool.free(buf));
        (taken, ice.paths().count())
    };
    assert_eq!(handle(bytes, 1), (false, 0));
    let Some(header) = bytes.get(..20) else { return false };
    let attributes = &bytes[20..20 + (bytes.len() - 20) / 4 * 4];
    let length = (attributes.len() + 24) as u16;
    let mut signed = [&header[..2], &length.to_be_bytes(), &header[4..], attributes].concat();
    let integrity = hmac(local_pwd.as_bytes(), &[&signed]);
    signed.extend([&[0, 8, 0, 20][..], &integrity].concat());
    let (taken, known) = handle(&signed, 1);
    assert_eq!(handle(&signed, 1), (taken, known), "a repeated check changes nothing");
    assert_eq!(handle(&signed, 2), (taken && known == 0, known), "a check is good for one path, a conflict for none");
    taken
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    DefaultSha1HmacProvider.sha1_hmac(key, parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_packet::Transport;

    fn path(port: u16) -> Path {
        let local = "192.0.2.1:40000".parse().unwrap();
        Path { transport: Transport::Udp, local, remote: format!("198.51.100.7:{port}").parse().unwrap() }
    }

    fn agent() -> IceLite {
        let word = |text: &str| text.to_owned();
        IceLite::new(IceSpec {
            local_ufrag: word("a"),
            local_pwd: word("b"),
            remote_ufrag: word("c"),
            remote_pwd: word("d"),
        })
    }

    /// Checks of these paths every 5 s, `nominating` those of one, from `from` until before `to`.
    fn checks(ice: &mut IceLite, seconds: std::ops::Range<u64>, ports: &[u16], nominating: Option<u16>) {
        for second in seconds.step_by(5) {
            for port in ports {
                ice.note_check(Time::from_millis(1000 * second), path(*port), 0, nominating == Some(*port));
            }
        }
    }

    #[test]
    fn a_path_that_is_no_longer_checked_yields_to_one_that_is_and_must_be_nominated_anew() {
        let mut ice = agent();
        checks(&mut ice, 0..20, &[1, 2], Some(1));
        assert_eq!(ice.nominated(), Some(path(1)));
        checks(&mut ice, 20..30, &[2], None);
        assert_eq!(ice.nominated(), Some(path(1)), "for 15 s it may be lost checks");
        assert_eq!(
            ice.deadline(false),
            Time::from_millis(1000 * 15) + SILENT_AFTER,
            "the path's own end, not the peer's"
        );
        assert!(!ice.leave_unchecked(Time::from_millis(29_999)));
        assert!(ice.leave_unchecked(Time::from_millis(1000 * 30)));
        assert_eq!((ice.nominated(), ice.liveness(Time::from_millis(1000 * 30))), (Some(path(2)), Liveness::Live));
        // The former path is checked again: what it was nominated for is over.
        checks(&mut ice, 30..60, &[1, 2], None);
        assert_eq!(ice.nominated(), Some(path(2)));
        checks(&mut ice, 60..65, &[1, 2], Some(1));
        assert_eq!(ice.nominated(), Some(path(1)));
    }

    #[test]
    fn a_nomination_that_holds_counts_more_than_a_later_check() {
        let mut ice = agent();
        checks(&mut ice, 0..5, &[3], Some(3));
        checks(&mut ice, 5..10, &[1], Some(1));
        checks(&mut ice, 10..25, &[3, 2], None);
        assert_eq!(ice.nominated(), Some(path(3)), "path 1 fell silent; path 3 was nominated before it");
    }

    #[test]
    fn a_check_moves_media_without_waiting_for_a_timer() {
        let mut ice = agent();
        checks(&mut ice, 0..5, &[1], Some(1));
        let checked = ice.note_check(Time::from_millis(1000 * 16), path(2), 0, false);
        assert!(checked.moved && checked.added);
        assert_eq!(ice.nominated(), Some(path(2)));
    }

    #[test]
    fn without_any_check_nothing_moves_and_the_peer_is_silent_then_lost() {
        let mut ice = agent();
        checks(&mut ice, 0..1, &[1, 2], Some(1));
        assert!(!ice.leave_unchecked(Time::from_millis(1000 * 20)));
        assert_eq!(ice.liveness(Time::from_millis(14_999)), Liveness::Live);
        assert_eq!(ice.liveness(Time::from_millis(1000 * 15)), Liveness::Silent);
        assert_eq!(ice.deadline(true), Time::from_millis(1000 * 30));
        assert_eq!(ice.liveness(Time::from_millis(1000 * 30)), Liveness::Lost);
    }

    #[test]
    fn before_a_nomination_no_check_moves_anything() {
        let mut ice = agent();
        checks(&mut ice, 0..100, &[1, 2], None);
        assert_eq!(ice.nominated(), None);
    }

    #[test]
    fn checks_are_remembered_in_what_the_first_one_took() {
        let mut ice = agent();
        assert_eq!(ice.transactions.capacity(), 0, "a peer that never comes costs nothing");
        ice.remember(0);
        let capacity = ice.transactions.capacity();
        (1..3 * REMEMBERED as u32).for_each(|id| ice.remember(id));
        assert_eq!((ice.transactions.len(), ice.transactions.capacity()), (REMEMBERED, capacity));
    }
}
