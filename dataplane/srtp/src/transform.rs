//! The transform of one direction and purpose: session keys bound to their cipher.
//!
//! Both suites form the initialisation vector alike: the SSRC and a 48-bit index, XORed with the salt (RFC 3711 section
//! 4.1.1, RFC 7714 sections 8.1 and 9.1; for SRTCP the index has 31 bits). Only the place in the vector differs.

use crate::backend::Backend;
use crate::ctr::Ctr;
use crate::gcm::{Gcm, NONCE};
use crate::hmac::HmacKey;
use crate::kdf::{Purpose, SessionKeys, derive};
use crate::suite::{MAX_SALT, MasterKey, Suite};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Bytes of the truncated HMAC-SHA1 tag.
pub(crate) const CM_TAG: usize = 10;

pub(crate) enum Transform {
    Gcm(GcmTransform),
    Cm(CmTransform),
}

pub(crate) struct GcmTransform {
    key: Gcm,
    salt: [u8; NONCE],
}

pub(crate) struct CmTransform {
    ctr: Ctr,
    pub(crate) mac: HmacKey,
    salt: [u8; MAX_SALT],
}

impl Transform {
    pub(crate) fn new(backend: Backend, master: &MasterKey, purpose: Purpose) -> Transform {
        Transform::from_session_keys(backend, master.suite(), &derive(master, purpose))
    }

    pub(crate) fn from_session_keys(backend: Backend, suite: Suite, keys: &SessionKeys) -> Transform {
        let key = &keys.key[..suite.key_len()];
        match suite {
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => {
                let mut salt = [0; NONCE];
                salt.copy_from_slice(&keys.salt[..NONCE]);
                Transform::Gcm(GcmTransform { key: Gcm::new(backend, key), salt })
            }
            Suite::AesCm128HmacSha1_80 => Transform::Cm(CmTransform {
                ctr: Ctr::new(backend, key),
                mac: HmacKey::new(&keys.auth),
                salt: keys.salt,
            }),
        }
    }

    pub(crate) fn tag_len(&self) -> usize {
        match self {
            Transform::Gcm(_) => crate::gcm::TAG,
            Transform::Cm(_) => CM_TAG,
        }
    }

    /// Authenticates and decrypts an SRTP packet in place (its tag at its end). The caller has checked that header and tag
    /// fit. `false` when the tag is wrong; `packet` then holds nothing of use.
    pub(crate) fn open_rtp(&self, ssrc: u32, index: u64, header_len: usize, packet: &mut [u8]) -> bool {
        let (packet, tag) = packet.split_at_mut(packet.len() - self.tag_len());
        match self {
            Transform::Gcm(gcm) => {
                let (header, payload) = packet.split_at_mut(header_len);
                gcm.open(ssrc, index, header, payload, tag)
            }
            Transform::Cm(cm) => {
                if !cm.verify(packet, &roc(index), tag) {
                    return false;
                }
                cm.crypt(ssrc, index, &mut packet[header_len..]);
                true
            }
        }
    }
}

/// The ROC of `index`, as it is appended to what is authenticated (RFC 3711 section 4.2).
pub(crate) fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

impl GcmTransform {
    pub(crate) fn seal(&self, ssrc: u32, index: u64, aad: &[u8], payload: &mut [u8]) -> [u8; crate::gcm::TAG] {
        self.key.seal(self.nonce(ssrc, index), aad, payload)
    }

    pub(crate) fn open(&self, ssrc: u32, index: u64, aad: &[u8], payload: &mut [u8], tag: &[u8]) -> bool {
        self.key.open(self.nonce(ssrc, index), aad, payload, tag)
    }

    fn nonce(&self, ssrc: u32, index: u64) -> [u8; NONCE] {
        let mut nonce = self.salt;
        mix::<2>(&mut nonce, ssrc, index);
        nonce
    }
}

impl CmTransform {
    /// Encrypts or decrypts `payload` in place.
    pub(crate) fn crypt(&self, ssrc: u32, index: u64, payload: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..MAX_SALT].copy_from_slice(&self.salt);
        mix::<4>(&mut iv, ssrc, index);
        self.ctr.apply(&iv, payload);
    }

    /// Compares in constant time.
    pub(crate) fn verify(&self, data: &[u8], suffix: &[u8], tag: &[u8]) -> bool {
        self.mac.tag(data, suffix)[..CM_TAG].ct_eq(tag).into()
    }
}

/// XORs the SSRC and the 48-bit index into an initialisation vector from byte `AT` on.
fn mix<const AT: usize>(iv: &mut [u8], ssrc: u32, index: u64) {
    let value = (u128::from(ssrc) << 48 | u128::from(index)).to_be_bytes();
    for (byte, v) in iv[AT..AT + 10].iter_mut().zip(&value[6..]) {
        *byte ^= v;
    }
}

impl Drop for GcmTransform {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

impl Drop for CmTransform {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}
