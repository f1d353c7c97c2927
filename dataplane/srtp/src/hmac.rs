//! HMAC-SHA1 (RFC 2104) with kept key states: a key is two SHA-1 states, and a tag costs no hashing of the key.
//!
//! A message here is always a packet and a few bytes that are not on the wire (the ROC). [`tail`] lays out its last blocks,
//! and is shared with the multi-buffer back-end so that both pad alike. SHA-1's block function is the `sha1` crate's, which
//! uses the processor's SHA instructions where there are any.

use crate::backend::Backend;
#[cfg(target_arch = "x86_64")]
use crate::backend::sha1_x16;
use sha1::block_api::compress;
use zeroize::Zeroize;

/// Bytes of an untruncated tag.
pub(crate) const TAG: usize = 20;
/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;
/// Bytes that may follow the packet: the ROC, or nothing.
pub(crate) const SUFFIX: usize = 4;
/// SHA-1's initial state.
const H0: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The states after the inner and the outer padded key.
pub(crate) struct HmacKey {
    pub(crate) inner: [u32; 5],
    pub(crate) outer: [u32; 5],
}

impl Drop for HmacKey {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// One message of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) key: &'a HmacKey,
    pub(crate) data: &'a [u8],
    pub(crate) suffix: [u8; SUFFIX],
}

impl HmacKey {
    /// A key of at most a block.
    pub(crate) fn new(key: &[u8]) -> HmacKey {
        let mut block = [0; BLOCK];
        block[..key.len()].copy_from_slice(key);
        let state = |pad: u8| {
            let mut padded = block.map(|b| b ^ pad);
            let mut state = H0;
            compress(&mut state, &[padded]);
            padded.zeroize();
            state
        };
        let made = HmacKey { inner: state(0x36), outer: state(0x5c) };
        block.zeroize();
        made
    }

    /// The tag of `data` followed by `suffix` (at most [`SUFFIX`] bytes).
    pub(crate) fn tag(&self, data: &[u8], suffix: &[u8]) -> [u8; TAG] {
        let (blocks, rest) = data.as_chunks::<BLOCK>();
        let mut state = self.inner;
        compress(&mut state, blocks);
        let (last, count) = tail(rest, suffix, data.len());
        compress(&mut state, &last[..count]);
        let mut outer = self.outer;
        compress(&mut outer, &[outer_block(&state)]);
        to_bytes(&outer)
    }
}

/// The tags of `messages`, in the widest way that `backend` has and that pays for so many.
pub(crate) fn tags(backend: Backend, messages: &[Message<'_>], out: &mut [[u8; TAG]]) {
    assert_eq!(messages.len(), out.len());
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = backend.avx512() {
        for (messages, out) in messages.chunks(sha1_x16::LANES).zip(out.chunks_mut(sha1_x16::LANES)) {
            if messages.len() >= sha1_x16::WORTHWHILE {
                sha1_x16::tags(token, messages, out);
            } else {
                one_by_one(messages, out);
            }
        }
        return;
    }
    let _ = backend;
    one_by_one(messages, out);
}

fn one_by_one(messages: &[Message<'_>], out: &mut [[u8; TAG]]) {
    for (message, tag) in messages.iter().zip(out) {
        *tag = message.key.tag(message.data, &message.suffix);
    }
}

/// How many blocks the inner hash of a packet of `len` bytes with a full suffix takes behind the key's.
pub(crate) const fn blocks_of(len: usize) -> usize {
    (len + SUFFIX + 9).div_ceil(BLOCK)
}

/// The last one or two blocks of the inner hash: what is left of the data, the suffix, and SHA-1's padding.
pub(crate) fn tail(rest: &[u8], suffix: &[u8], data_len: usize) -> ([[u8; BLOCK]; 2], usize) {
    debug_assert!(rest.len() < BLOCK && suffix.len() <= SUFFIX);
    let mut last = [[0; BLOCK]; 2];
    let bytes = last.as_flattened_mut();
    bytes[..rest.len()].copy_from_slice(rest);
    let end = rest.len() + suffix.len();
    bytes[rest.len()..end].copy_from_slice(suffix);
    bytes[end] = 0x80;
    let count = if end + 9 <= BLOCK { 1 } else { 2 };
    let bits = 8 * (BLOCK + data_len + suffix.len()) as u64;
    bytes[count * BLOCK - 8..count * BLOCK].copy_from_slice(&bits.to_be_bytes());
    (last, count)
}

/// The one block of the outer hash behind the key's.
fn outer_block(inner: &[u32; 5]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..TAG].copy_from_slice(&to_bytes(inner));
    block[TAG] = 0x80;
    block[BLOCK - 8..].copy_from_slice(&(8 * (BLOCK + TAG) as u64).to_be_bytes());
    block
}

fn to_bytes(state: &[u32; 5]) -> [u8; TAG] {
    let mut bytes = [0; TAG];
    for (out, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *out = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::hex;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    /// RFC 2202, test cases 1 to 3.
    #[test]
    fn the_tags_of_rfc_2202_come_out() {
        let case = |key: &[u8], data: &[u8], tag: &str| assert_eq!(HmacKey::new(key).tag(data, &[])[..], hex(tag));
        case(&[0x0b; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00");
        case(b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        case(&[0xaa; 20], &[0xdd; 50], "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
    }

    fn reference(key: &[u8], data: &[u8], suffix: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key).unwrap();
        mac.update(data);
        mac.update(suffix);
        mac.finalize().into_bytes().to_vec()
    }

    #[test]
    fn every_length_around_the_block_edges_agrees_with_the_hmac_crate() {
        let data: Vec<u8> = (0..300u32).map(|i| (i * 7) as u8).collect();
        for len in 0..data.len() {
            for suffix in [&[][..], &[1, 2, 3, 4][..]] {
                let tag = HmacKey::new(&data[..20]).tag(&data[..len], suffix);
                assert_eq!(tag[..], reference(&data[..20], &data[..len], suffix));
            }
        }
    }

    proptest! {
        #[test]
        fn a_batch_gives_the_tags_of_its_messages_whatever_their_lengths(
            lengths in prop::collection::vec(0usize..1500, 1..40), seed: u8,
        ) {
            let keys: Vec<_> = (0..lengths.len()).map(|i| HmacKey::new(&[i as u8 ^ seed; 20])).collect();
            let data: Vec<u8> = (0..1500u32).map(|i| (i * 31) as u8 ^ seed).collect();
            let messages: Vec<_> = keys
                .iter()
                .zip(&lengths)
                .enumerate()
                .map(|(i, (key, &len))| Message { key, data: &data[data.len() - len..], suffix: (i as u32).to_be_bytes() })
                .collect();
            for &backend in Backend::available() {
                let mut out = vec![[0; TAG]; messages.len()];
                tags(backend, &messages, &mut out);
                for (message, tag) in messages.iter().zip(&out) {
                    prop_assert_eq!(tag, &message.key.tag(message.data, &message.suffix));
                }
            }
        }
    }
}
