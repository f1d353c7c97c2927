//! AES-GCM with a kept key schedule (RFC 7714), in place and with the tag apart.
//!
//! Keys are zeroed when they are dropped; tags are compared in constant time.

use crate::backend::Backend;
#[cfg(target_arch = "x86_64")]
use crate::backend::gcm::GcmKey;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq;

/// Bytes of a tag.
pub(crate) const TAG: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 12;

/// A key of AES-128-GCM or AES-256-GCM.
pub(crate) enum Gcm {
    Portable(LessSafeKey),
    #[cfg(target_arch = "x86_64")]
    Vector(Box<GcmKey>),
}

impl Gcm {
    /// # Panics
    /// If `key` is neither 16 nor 32 bytes long.
    pub(crate) fn new(backend: Backend, key: &[u8]) -> Gcm {
        #[cfg(target_arch = "x86_64")]
        if let Some(proof) = backend.avx512() {
            return Gcm::Vector(Box::new(GcmKey::new(proof, key)));
        }
        let _ = backend;
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        Gcm::Portable(LessSafeKey::new(UnboundKey::new(algorithm, key).expect("AES takes a key of its own length")))
    }

    /// Encrypts `payload` in place; the tag over it and `aad`.
    pub(crate) fn seal(&self, nonce: [u8; NONCE], aad: &[u8], payload: &mut [u8]) -> [u8; TAG] {
        match self {
            Gcm::Portable(key) => {
                let sealed =
                    key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), payload);
                let mut tag = [0; TAG];
                tag.copy_from_slice(sealed.expect("a packet is far shorter than GCM's limit").as_ref());
                tag
            }
            #[cfg(target_arch = "x86_64")]
            Gcm::Vector(key) => key.seal(&nonce, aad, payload),
        }
    }

    /// Decrypts `payload` in place when `tag` is right. When it is wrong, `payload` holds nothing of use.
    pub(crate) fn open(&self, nonce: [u8; NONCE], aad: &[u8], payload: &mut [u8], tag: &[u8]) -> bool {
        match self {
            Gcm::Portable(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place_separate_tag(nonce, Aad::from(aad), tag, payload).is_ok()
            }
            #[cfg(target_arch = "x86_64")]
            Gcm::Vector(key) => {
                let right: bool = key.open(&nonce, aad, payload).ct_eq(tag).into();
                if !right {
                    payload.fill(0);
                }
                right
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_backend_gives_the_same_packets(
            key: [u8; 32], long: bool, nonce: [u8; 12], aad in 0usize..300, len in 0usize..1700,
        ) {
            let key = if long { &key[..] } else { &key[..16] };
            let aad: Vec<u8> = (0..aad).map(|i| (i * 3) as u8).collect();
            let plain: Vec<u8> = (0..len).map(|i| (i * 5) as u8).collect();
            let mut expected = plain.clone();
            let tag = Gcm::new(Backend::PORTABLE, key).seal(nonce, &aad, &mut expected);
            for &backend in Backend::available() {
                let gcm = Gcm::new(backend, key);
                let mut data = plain.clone();
                prop_assert_eq!(gcm.seal(nonce, &aad, &mut data), tag);
                prop_assert_eq!(&data, &expected);
                let mut wrong = tag;
                wrong[len % 16] ^= 1;
                prop_assert!(!gcm.open(nonce, &aad, &mut data.clone(), &wrong));
                prop_assert!(gcm.open(nonce, &aad, &mut data, &tag));
                prop_assert_eq!(&data, &plain);
            }
        }
    }

    #[test]
    fn every_length_up_to_five_vectors_agrees() {
        for len in 0..330 {
            let mut expected = vec![7; len];
            let tag = Gcm::new(Backend::PORTABLE, &[1; 16]).seal([2; 12], &[3; 12], &mut expected);
            for &backend in Backend::available() {
                let mut data = vec![7; len];
                assert_eq!(Gcm::new(backend, &[1; 16]).seal([2; 12], &[3; 12], &mut data), tag, "{len}");
                assert_eq!(data, expected, "{len}");
            }
        }
    }
}
