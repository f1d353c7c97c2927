//! The peer's ICE: one candidate pair, controlling, aggressive nomination, consent checks, restart with or without a new address.
//!
//! As much of RFC 8445 as a client of an ICE-lite server shows: every check carries USE-CANDIDATE; an answer must have the right
//! integrity. No gathering, no priorities.

use is::stun::{StunMessage, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use plenum_contract::spec::IceSpec;
use plenum_packet::{Path, Time};
use std::time::Duration;

/// First interval of checks that were not answered; doubles up to [`SLOWEST`].
const FIRST: Duration = Duration::from_millis(50);
/// See [`FIRST`].
const SLOWEST: Duration = Duration::from_millis(800);
/// Consent checks of a nominated pair: what Chromium does.
const CONSENT: Duration = Duration::from_millis(2500);
/// Checks of which an answer is still taken.
const REMEMBERED: usize = 16;
/// Priority of a host candidate.
const PRIORITY: u32 = 2_130_706_431;

/// The agent.
pub(crate) struct Ice {
    credentials: IceSpec,
    path: Path,
    tie_breaker: u64,
    pending: Vec<TransId>,
    next: Time,
    interval: Duration,
    nominated: bool,
    /// Where media goes.
    active: Option<Path>,
    /// Whether checks are sent: a test may take the peer's consent away.
    pub(crate) checks: bool,
}

impl Ice {
    pub(crate) fn new(credentials: IceSpec, path: Path, tie_breaker: u64, now: Time) -> Ice {
        Ice {
            credentials,
            path,
            tie_breaker,
            pending: Vec::new(),
            next: now,
            interval: FIRST,
            nominated: false,
            active: None,
            checks: true,
        }
    }

    /// New credentials, perhaps from a new address. Media goes on over the old pair until the new one is answered.
    pub(crate) fn restart(&mut self, credentials: IceSpec, path: Path, now: Time) {
        self.credentials = credentials;
        self.path = path;
        self.pending.clear();
        self.nominated = false;
        self.interval = FIRST;
        self.next = now;
    }

    /// Where media goes; `None` before the first answer.
    pub(crate) fn active(&self) -> Option<Path> {
        self.active
    }

    /// Whether the present credentials have an answered pair.
    pub(crate) fn is_nominated(&self) -> bool {
        self.nominated
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        if self.checks { self.next } else { Time::NEVER }
    }

    /// Sends the check that is due.
    pub(crate) fn handle_timeout(&mut self, now: Time, send: &mut super::Sink<'_>) {
        if now < self.poll_timeout() {
            return;
        }
        let id = TransId::new();
        let username = format!("{}:{}", self.credentials.local_ufrag, self.credentials.remote_ufrag);
        let request = StunMessage::binding_request(&username, id, true, self.tie_breaker, PRIORITY, true);
        let mut bytes = [0; 512];
        if let Ok(len) = request.to_bytes(Some(self.credentials.local_pwd.as_bytes()), &mut bytes, hmac) {
            if self.pending.len() == REMEMBERED {
                self.pending.remove(0);
            }
            self.pending.push(id);
            send(self.path, &bytes[..len]);
        }
        self.interval = if self.nominated { CONSENT } else { (self.interval * 2).min(SLOWEST) };
        self.next = now + self.interval;
    }

    /// A STUN message; true when it answered a check of ours. A check of the server's (one that is not ICE-lite makes them) is
    /// answered.
    pub(crate) fn handle(&mut self, now: Time, bytes: &[u8], send: &mut super::Sink<'_>) -> bool {
        let Ok(message) = StunMessage::parse(bytes) else { return false };
        let id = message.trans_id();
        let own_pwd = self.credentials.remote_pwd.as_bytes();
        if message.is_binding_request() {
            let mut bytes = [0; 512];
            let reply = StunMessage::binding_reply(id, self.path.local);
            if message.verify(own_pwd, hmac)
                && let Ok(len) = reply.to_bytes(Some(own_pwd), &mut bytes, hmac)
            {
                send(self.path, &bytes[..len]);
            }
            return false;
        }
        let Some(at) = self.pending.iter().position(|p| *p == id) else { return false };
        if !message.is_successful_binding_response()
            || !message.verify(self.credentials.local_pwd.as_bytes(), hmac)
            || message.mapped_address() != Some(self.path.remote)
        {
            return false;
        }
        self.pending.remove(at);
        if !self.nominated {
            self.nominated = true;
            self.next = now + CONSENT;
        }
        self.active = Some(self.path);
        true
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    DefaultSha1HmacProvider.sha1_hmac(key, parts)
}
