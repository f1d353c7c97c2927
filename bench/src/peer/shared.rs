//! What all peers of a process share: the clock anchor and two client certificates, so that a thousand peers cost two keys.

use super::dtls::RsaCertificate;
use plenum_contract::spec::Fingerprint;
use plenum_session::{Anchor, Certificates};
use std::sync::Arc;
use std::time::Duration;

/// Clock and certificates of all peers.
pub struct Shared {
    /// One moment on our clock and on the standard library's.
    pub anchor: Anchor,
    pub(crate) dimpl: Arc<dimpl::Config>,
    pub(crate) ecdsa: dimpl::DtlsCertificate,
    pub(crate) rsa: RsaCertificate,
    fingerprints: Vec<Fingerprint>,
}

impl Shared {
    /// New certificates, from the system's random source. Called once: an RSA key takes a while.
    ///
    /// # Panics
    /// When the system gives no randomness.
    pub fn new(anchor: Anchor) -> Arc<Shared> {
        let ecdsa = dimpl::certificate::generate_self_signed_certificate().expect("a certificate for the peers");
        let rsa = RsaCertificate::generate();
        let fingerprint = |der: &[u8]| Certificates::new(der.to_vec(), vec![]).fingerprint();
        let fingerprints = vec![fingerprint(&ecdsa.certificate), fingerprint(rsa.der())];
        Arc::new(Shared {
            anchor,
            dimpl: Arc::new(config().build().expect("a configuration")),
            ecdsa,
            rsa,
            fingerprints,
        })
    }

    /// The same certificates, with handshakes whose timers and numbers repeat: for simulations.
    ///
    /// # Panics
    /// Never: the configuration is one that the library takes.
    pub fn repeatable(&self, seed: u64) -> Arc<Shared> {
        let config = config().dangerously_set_rng_seed(seed).build().expect("a configuration");
        Arc::new(Shared {
            anchor: self.anchor,
            dimpl: Arc::new(config),
            ecdsa: self.ecdsa.clone(),
            rsa: self.rsa.clone(),
            fingerprints: self.fingerprints.clone(),
        })
    }

    /// The fingerprints of both certificates.
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }
}

/// As impatient and as patient as browsers: libwebrtc repeats a flight after 50 ms first, and as long as a call may be set up.
fn config() -> dimpl::ConfigBuilder {
    dimpl::Config::builder().flight_start_rto(Duration::from_millis(50)).flight_retries(20)
}
