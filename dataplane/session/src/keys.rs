//! SRTP keys from a DTLS handshake (RFC 5764 §4.2): the peer's half opens, ours seals.
//!
//! We are always the DTLS server, so the client's keys are the peer's. The sealing half goes to the shard's sealer and is
//! known here by its [`KeyId`] alone.

use plenum_srtp::{KeyId, Opener, Sealer, Suite, split_dtls_material};

/// A session's keys.
pub(crate) struct Keys {
    pub(crate) opener: Opener,
    pub(crate) sealing: KeyId,
    pub(crate) suite: Suite,
}

impl Keys {
    /// Keys of `material`, which is wiped. `None` for a profile that we never offered, or material of a wrong length.
    pub(crate) fn new(profile: u16, mut material: Vec<u8>, sealer: &mut Sealer) -> Option<Keys> {
        let suite = Suite::from_dtls_profile(profile)?;
        let halves = split_dtls_material(suite, &material);
        material.fill(0);
        let (client, server) = halves?;
        Some(Keys { opener: Opener::new(&client), sealing: sealer.insert(&server), suite })
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.suite.name())
    }
}
