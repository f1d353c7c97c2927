//! What all sessions of a shard share: the clock anchor, our certificate, the DTLS configurations, the limits.
//!
//! Built once at start by the program; the session libraries read no clock and own no key source of their own.

use crate::dtls;
use aws_lc_rs::digest;
use plenum_contract::spec::Fingerprint;
use plenum_packet::Time;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970).
const NTP_OFFSET: u64 = 2_208_988_800;

/// One instant on three clocks: ours, the standard library's (which ICE, DTLS and SCTP want), and the wall's (for sender
/// reports). Taken once per boot, so a jump of the wall clock never steers media.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    instant: Instant,
    time: Time,
    unix: Duration,
}

impl Anchor {
    /// `instant`, `time` and `unix` (time since 1970-01-01 UTC) name the same moment.
    pub fn new(instant: Instant, time: Time, unix: Duration) -> Anchor {
        Anchor { instant, time, unix }
    }

    /// `t` on the standard library's clock.
    pub fn instant(&self, t: Time) -> Instant {
        match t >= self.time {
            // A century is later than every deadline and can always be added.
            true => self.instant + t.since(self.time).min(Duration::from_secs(3_000_000_000)),
            false => self.instant.checked_sub(self.time.since(t)).unwrap_or(self.instant),
        }
    }

    /// `instant` on our clock.
    pub fn time(&self, instant: Instant) -> Time {
        match instant >= self.instant {
            true => self.time + instant.duration_since(self.instant),
            false => self.time.before(self.instant.duration_since(instant)),
        }
    }

    /// `t` as a 64-bit NTP timestamp (RFC 5905): seconds since 1900 in the upper half.
    pub fn ntp(&self, t: Time) -> u64 {
        let unix = match t >= self.time {
            true => self.unix + t.since(self.time),
            false => self.unix.saturating_sub(self.time.since(t)),
        };
        let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
        ((unix.as_secs() + NTP_OFFSET) << 32) | fraction
    }
}

/// Our certificate and its private key: ECDSA P-256, self-signed, one per boot. Both DTLS engines show the same one.
#[derive(Clone)]
pub struct Certificates {
    der: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    /// A certificate and its PKCS #8 private key, both DER.
    pub fn new(der: Vec<u8>, key: Vec<u8>) -> Certificates {
        Certificates { der, key }
    }

    /// A new self-signed one, from the system's random source. Called once, at start.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Certificates, EnvError> {
        let made = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|e| EnvError(format!("making a certificate: {e}")))?;
        Ok(Certificates { der: made.certificate, key: made.private_key })
    }

    /// Its SHA-256 fingerprint, as SDP tells it (RFC 8122).
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.der)
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({}, key hidden)", self.fingerprint())
    }
}

/// SHA-256 of a DER certificate.
pub(crate) fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    Fingerprint(out)
}

/// Limits of one session.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// m-lines; a spec with more is refused.
    pub media: usize,
    /// Most bits a second that we send to one peer, whatever the estimate says.
    pub max_bitrate: u64,
    /// Most bits a second of media that one peer may send to us; what is above is dropped and not acknowledged, so that a
    /// sender with congestion control slows down.
    pub max_ingest: u64,
}

impl Default for SessionLimits {
    fn default() -> Self {
        SessionLimits { media: 128, max_bitrate: 50_000_000, max_ingest: 50_000_000 }
    }
}

/// What all sessions of a shard share.
pub struct Env {
    /// One moment on all clocks.
    pub anchor: Anchor,
    /// Limits of each session.
    pub limits: SessionLimits,
    pub(crate) dtls: dtls::Configs,
    fingerprint: Fingerprint,
}

impl Env {
    /// Checks the certificate with both DTLS engines.
    ///
    /// # Errors
    /// When an engine does not accept the certificate or its key.
    pub fn new(anchor: Anchor, certificates: &Certificates, limits: SessionLimits) -> Result<Arc<Env>, EnvError> {
        let fingerprint = certificates.fingerprint();
        Ok(Arc::new(Env { anchor, limits, dtls: dtls::Configs::new(certificates, None)?, fingerprint }))
    }

    /// As [`Env::new`], with handshakes whose timers and numbers repeat: a simulation's seed then replays a run. Anybody could
    /// guess the keys of such a session, so it exists with the feature `simulation` alone.
    ///
    /// # Errors
    /// As [`Env::new`].
    #[cfg(feature = "simulation")]
    pub fn repeatable(
        anchor: Anchor,
        certificates: &Certificates,
        limits: SessionLimits,
        seed: u64,
    ) -> Result<Arc<Env>, EnvError> {
        let fingerprint = certificates.fingerprint();
        Ok(Arc::new(Env { anchor, limits, dtls: dtls::Configs::new(certificates, Some(seed))?, fingerprint }))
    }

    /// The fingerprint of our certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("limits", &self.limits).field("fingerprint", &self.fingerprint).finish()
    }
}

/// Why an [`Env`] cannot be made; text for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvError(pub(crate) String);

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EnvError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_agree_and_go_both_ways() {
        let instant = Instant::now();
        let anchor = Anchor::new(instant, Time::from_millis(5000), Duration::from_millis(1_700_000_000_500));
        let later = Time::from_millis(6500);
        assert_eq!(anchor.instant(later) - instant, Duration::from_millis(1500));
        assert_eq!(anchor.time(anchor.instant(later)), later);
        assert_eq!(anchor.ntp(later) >> 32, 1_700_000_002 + NTP_OFFSET);
        assert_eq!(anchor.ntp(Time::from_millis(5000)) as u32, 1 << 31);
    }
}
