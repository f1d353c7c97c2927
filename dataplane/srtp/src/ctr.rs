//! AES in counter mode with a kept key schedule: the cipher of AES-CM (RFC 3711 section 4.1.1).
//!
//! The counter block is the caller's; encryption and decryption are the same. The schedule is zeroed when it is dropped.

use crate::backend::Backend;
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// A key of AES-128.
pub(crate) struct Ctr(Box<EncryptingKey>);

impl Ctr {
    /// # Panics
    /// If `key` is not 16 bytes long.
    pub(crate) fn new(_backend: Backend, key: &[u8]) -> Ctr {
        let key = UnboundCipherKey::new(&AES_128, key).and_then(EncryptingKey::ctr);
        Ctr(Box::new(key.expect("AES takes a key of its own length")))
    }

    /// XORs `data` with the key stream that begins at the counter block `iv`. The last two bytes of `iv` are the block
    /// counter and start at zero: a packet is far shorter than the 2^16 blocks after which they would wrap.
    pub(crate) fn apply(&self, iv: &[u8; 16], data: &mut [u8]) {
        self.0
            .less_safe_encrypt(data, EncryptionContext::Iv128(FixedLength::from(iv)))
            .expect("counter mode takes any length");
    }
}
