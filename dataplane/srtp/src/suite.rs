//! The protection profiles that are offered, and master keys.
//!
//! Profiles are numbered as in DTLS-SRTP (RFC 5764, RFC 7714). A [`MasterKey`] never shows its bytes and is zeroed when it
//! is dropped. Nothing is derived or encrypted here.

use core::fmt;
use zeroize::Zeroize;

/// Longest master key of any suite, in bytes.
pub(crate) const MAX_KEY: usize = 32;
/// Longest master salt of any suite, in bytes.
pub(crate) const MAX_SALT: usize = 14;
/// Longest tag of any suite, in bytes.
pub const MAX_TAG: usize = 16;

/// An SRTP protection profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AEAD_AES_128_GCM (RFC 7714).
    AeadAes128Gcm,
    /// AEAD_AES_256_GCM (RFC 7714).
    AeadAes256Gcm,
    /// AES_CM_128_HMAC_SHA1_80 (RFC 3711).
    AesCm128HmacSha1_80,
}

impl Suite {
    /// Every suite, in the order of preference.
    pub const ALL: [Suite; 3] = [Suite::AeadAes128Gcm, Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80];

    /// The suite of a DTLS-SRTP profile number (RFC 5764 section 4.1.2, RFC 7714 section 14.2); `None` for those we refuse.
    pub const fn from_dtls_profile(profile: u16) -> Option<Suite> {
        match profile {
            0x0007 => Some(Suite::AeadAes128Gcm),
            0x0008 => Some(Suite::AeadAes256Gcm),
            0x0001 => Some(Suite::AesCm128HmacSha1_80),
            _ => None,
        }
    }

    /// The DTLS-SRTP profile number.
    pub const fn dtls_profile(self) -> u16 {
        match self {
            Suite::AeadAes128Gcm => 0x0007,
            Suite::AeadAes256Gcm => 0x0008,
            Suite::AesCm128HmacSha1_80 => 0x0001,
        }
    }

    /// Bytes of the master key, and of the derived encryption key.
    pub const fn key_len(self) -> usize {
        match self {
            Suite::AeadAes128Gcm | Suite::AesCm128HmacSha1_80 => 16,
            Suite::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt, and of the derived salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 12,
            Suite::AesCm128HmacSha1_80 => 14,
        }
    }

    /// Bytes of the authentication tag, in SRTP and in SRTCP.
    pub const fn tag_len(self) -> usize {
        match self {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
            Suite::AesCm128HmacSha1_80 => 10,
        }
    }

    /// Bytes that DTLS must export for both directions (RFC 5764 section 4.2).
    pub const fn dtls_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }
}

/// Master key and master salt of one direction.
#[derive(Clone)]
pub struct MasterKey {
    suite: Suite,
    key: [u8; MAX_KEY],
    salt: [u8; MAX_SALT],
}

impl MasterKey {
    /// A master key; `None` when `key` or `salt` has not the suite's length.
    pub fn new(suite: Suite, key: &[u8], salt: &[u8]) -> Option<MasterKey> {
        if key.len() != suite.key_len() || salt.len() != suite.salt_len() {
            return None;
        }
        let mut master = MasterKey { suite, key: [0; MAX_KEY], salt: [0; MAX_SALT] };
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Some(master)
    }

    /// The suite that this key is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key[..self.suite.key_len()]
    }

    /// The salt, padded with zeros on the right to 112 bits as RFC 7714 section 11 wants it for key derivation.
    pub(crate) fn padded_salt(&self) -> &[u8; MAX_SALT] {
        &self.salt
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.suite.name())
    }
}

/// Cuts the exported keying material of a DTLS handshake into the client's and the server's write keys (RFC 5764 section
/// 4.2: both keys, then both salts); `None` when its length is not [`Suite::dtls_material_len`].
pub fn split_dtls_material(suite: Suite, material: &[u8]) -> Option<(MasterKey, MasterKey)> {
    if material.len() != suite.dtls_material_len() {
        return None;
    }
    let (keys, salts) = material.split_at(2 * suite.key_len());
    let (client_key, server_key) = keys.split_at(suite.key_len());
    let (client_salt, server_salt) = salts.split_at(suite.salt_len());
    Some((MasterKey::new(suite, client_key, client_salt)?, MasterKey::new(suite, server_key, server_salt)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_suite_find_it_again_and_null_ciphers_are_refused() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_dtls_profile(suite.dtls_profile()), Some(suite));
            assert!(suite.tag_len() <= MAX_TAG);
        }
        // SRTP_AES128_CM_HMAC_SHA1_32 and the two null ciphers of RFC 5764.
        for refused in [0x0000, 0x0002, 0x0005, 0x0006, 0xffff] {
            assert_eq!(Suite::from_dtls_profile(refused), None);
        }
    }

    #[test]
    fn dtls_material_is_cut_into_both_keys_and_then_both_salts() {
        for suite in Suite::ALL {
            let material: Vec<u8> = (0..suite.dtls_material_len() as u8).collect();
            let (client, server) = split_dtls_material(suite, &material).unwrap();
            let (k, s) = (suite.key_len(), suite.salt_len());
            assert_eq!(client.key(), &material[..k]);
            assert_eq!(server.key(), &material[k..2 * k]);
            assert_eq!(&client.padded_salt()[..s], &material[2 * k..2 * k + s]);
            assert_eq!(&server.padded_salt()[..s], &material[2 * k + s..]);
            assert!(split_dtls_material(suite, &material[1..]).is_none());
        }
    }

    #[test]
    fn a_master_key_does_not_show_its_bytes() {
        let key = MasterKey::new(Suite::AeadAes128Gcm, &[0xab; 16], &[0xcd; 12]).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(AEAD_AES_128_GCM)");
        assert!(MasterKey::new(Suite::AeadAes128Gcm, &[0; 16], &[0; 14]).is_none());
    }
}
