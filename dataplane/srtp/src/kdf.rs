//! Key derivation (RFC 3711 section 4.3, RFC 7714 section 11): session keys from a master key.
//!
//! The key derivation rate is zero, as WebRTC and every DTLS-SRTP peer have it: keys are derived once. The results are
//! zeroed when they are dropped; contexts copy what they need of them.

use crate::suite::{MAX_KEY, MAX_SALT, MasterKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroize;

/// Bytes of the HMAC-SHA1 session key.
pub(crate) const AUTH_KEY: usize = 20;

/// What the keys are for; the value is the label of the encryption key (RFC 3711 section 4.3.2). The authentication key's
/// label is one higher, the salt's two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Srtp = 0,
    Srtcp = 3,
}

/// Session keys of one purpose.
pub(crate) struct SessionKeys {
    pub(crate) key: [u8; MAX_KEY],
    pub(crate) salt: [u8; MAX_SALT],
    pub(crate) auth: [u8; AUTH_KEY],
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
        self.auth.zeroize();
    }
}

/// Derives the session keys for `purpose`. What the suite does not need stays zero.
pub(crate) fn derive(master: &MasterKey, purpose: Purpose) -> SessionKeys {
    let suite = master.suite();
    let label = purpose as u8;
    let mut keys = SessionKeys { key: [0; MAX_KEY], salt: [0; MAX_SALT], auth: [0; AUTH_KEY] };
    prf(master, label, &mut keys.key[..suite.key_len()]);
    if suite.tag_len() < 16 {
        prf(master, label + 1, &mut keys.auth);
    }
    prf(master, label + 2, &mut keys.salt[..suite.salt_len()]);
    keys
}

/// Fills `out` (zeros) with the key stream of AES-CM for `label`: AES_CM_PRF, index 0.
fn prf(master: &MasterKey, label: u8, out: &mut [u8]) {
    let algorithm = if master.key().len() == 32 { &AES_256 } else { &AES_128 };
    let mut iv = [0; 16];
    iv[..MAX_SALT].copy_from_slice(master.padded_salt());
    iv[7] ^= label;
    UnboundCipherKey::new(algorithm, master.key())
        .and_then(EncryptingKey::ctr)
        .and_then(|key| key.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(&iv))))
        .expect("AES takes a key of its own length");
    iv.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Suite;
    use crate::vectors::hex;

    /// RFC 3711 appendix B.3.
    #[test]
    fn the_session_keys_of_rfc_3711_come_out() {
        let master = MasterKey::new(
            Suite::AesCm128HmacSha1_80,
            &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            &hex("0EC675AD498AFEEBB6960B3AABE6"),
        )
        .unwrap();
        let keys = derive(&master, Purpose::Srtp);
        assert_eq!(keys.key[..16], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(keys.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        // The RFC prints 94 bytes of this key stream; HMAC-SHA1 takes the first 20.
        assert_eq!(keys.auth[..], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
        let mut long = [0; 94];
        prf(&master, 1, &mut long);
        let expected = hex(concat!(
            "CEBE321F6FF7716B6FD4AB49AF256A15",
            "6D38BAA48F0A0ACF3C34E2359E6CDBCE",
            "E049646C43D9327AD175578EF7227098",
            "6371C10C9A369AC2F94A8C5FBCDDDC25",
            "6D6E919A48B610EF17C2041E47403576",
            "6B68642C59BBFC2F34DB60DBDFB2",
        ));
        assert_eq!(long[..], expected);
    }

    /// A label at the wrong end of the shorter salt would give another salt: this value was checked against libsrtp's.
    #[test]
    fn the_shorter_salt_of_gcm_is_padded_on_the_right() {
        let key: Vec<u8> = (0..16).collect();
        let salt: Vec<u8> = (0x40..0x4c).collect();
        let master = MasterKey::new(Suite::AeadAes128Gcm, &key, &salt).unwrap();
        let keys = derive(&master, Purpose::Srtp);
        assert_eq!(keys.salt[..12], hex("1fcd5d561e66dc49ec1c3ccb"));
        assert_eq!(keys.auth, [0; AUTH_KEY]);
        assert_ne!(derive(&master, Purpose::Srtcp).key, keys.key);
    }
}
