//! What all peers of a process share: the clock anchor and two client certificates, so that a thousand peers cost two keys.

use super::dtls::RsaCertificate;
use plenum_contract::spec::Fingerprint;
use plenum_session::{Anchor, Certificates};
use std::sync::Arc;

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
        Arc::new(Shared { anchor, dimpl: Arc::new(dimpl::Config::default()), ecdsa, rsa, fingerprints })
    }

    /// The same certificates, with handshakes whose timers and numbers repeat: for simulations.
    ///
    /// # Panics
    /// Never: the configuration is the default one but for the seed.
    pub fn repeatable(&self, seed: u64) -> Arc<Shared> {
        let config =
            dimpl::Config::builder().dangerously_set_rng_seed(seed).build().expect("the default configuration");
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
