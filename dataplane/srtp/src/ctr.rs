//! AES-128 in counter mode with a kept key schedule: the cipher of AES-CM (RFC 3711 section 4.1.1).
//!
//! The counter block is the caller's; encryption and decryption are the same. The schedule is zeroed when it is dropped.

use crate::backend::Backend;
#[cfg(target_arch = "x86_64")]
use crate::backend::aes::Schedule;
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// A key of AES-128.
pub(crate) enum Ctr {
    Portable(Box<EncryptingKey>),
    #[cfg(target_arch = "x86_64")]
    Vector(Box<Schedule>),
}

impl Ctr {
    /// # Panics
    /// If `key` is not 16 bytes long.
    pub(crate) fn new(backend: Backend, key: &[u8]) -> Ctr {
        #[cfg(target_arch = "x86_64")]
        if let Some(proof) = backend.avx512() {
            assert_eq!(key.len(), 16);
            return Ctr::Vector(Box::new(Schedule::new(proof, key)));
        }
        let _ = backend;
        let key = UnboundCipherKey::new(&AES_128, key).and_then(EncryptingKey::ctr);
        Ctr::Portable(Box::new(key.expect("AES takes a key of its own length")))
    }

    /// XORs `data` with the key stream that begins at the counter block `iv`. The last two bytes of `iv` are the block
    /// counter and start at zero: a packet is far shorter than the 2^16 blocks after which they would wrap.
    pub(crate) fn apply(&self, iv: &[u8; 16], data: &mut [u8]) {
        match self {
            Ctr::Portable(key) => {
                key.less_safe_encrypt(data, EncryptionContext::Iv128(FixedLength::from(iv)))
                    .expect("counter mode takes any length");
            }
            #[cfg(target_arch = "x86_64")]
            Ctr::Vector(schedule) => schedule.ctr(iv, data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_backend_gives_the_same_key_stream(key: [u8; 16], iv: [u8; 14], len in 0usize..1700) {
            let mut block = [0; 16];
            block[..14].copy_from_slice(&iv);
            let mut expected = vec![0x55; len];
            Ctr::new(Backend::PORTABLE, &key).apply(&block, &mut expected);
            for &backend in Backend::available() {
                let mut data = vec![0x55; len];
                Ctr::new(backend, &key).apply(&block, &mut data);
                prop_assert_eq!(&data, &expected);
            }
        }
    }
}
