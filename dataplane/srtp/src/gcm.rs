//! AES-GCM with a kept key schedule (RFC 7714), in place and with the tag apart.
//!
//! Keys are zeroed by aws-lc when they are dropped; tags are compared in constant time there.

use crate::backend::Backend;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of a tag.
pub(crate) const TAG: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 12;

/// A key of AES-128-GCM or AES-256-GCM.
pub(crate) struct Gcm(LessSafeKey);

impl Gcm {
    /// # Panics
    /// If `key` is neither 16 nor 32 bytes long.
    pub(crate) fn new(_backend: Backend, key: &[u8]) -> Gcm {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        Gcm(LessSafeKey::new(UnboundKey::new(algorithm, key).expect("AES takes a key of its own length")))
    }

    /// Encrypts `payload` in place; the tag over it and `aad`.
    pub(crate) fn seal(&self, nonce: [u8; NONCE], aad: &[u8], payload: &mut [u8]) -> [u8; TAG] {
        let sealed = self.0.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), payload);
        let mut tag = [0; TAG];
        tag.copy_from_slice(sealed.expect("a packet is far shorter than GCM's limit").as_ref());
        tag
    }

    /// Decrypts `payload` in place when `tag` is right. When it is wrong, `payload` holds nothing of use.
    pub(crate) fn open(&self, nonce: [u8; NONCE], aad: &[u8], payload: &mut [u8], tag: &[u8]) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_in_place_separate_tag(nonce, Aad::from(aad), tag, payload).is_ok()
    }
}
