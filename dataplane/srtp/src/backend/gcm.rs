//! AES-GCM with VAES and VPCLMULQDQ: sixteen blocks are encrypted and hashed at a time.
//!
//! GHASH works on blocks whose bytes are turned around, with powers of the hash key that were multiplied by x in advance;
//! then a product needs no shift, and is reduced by folding its low half up twice with the constant 0xc2 << 56. Sixteen
//! blocks are multiplied with H^16 to H^1 and reduced together. The portable twin is aws-lc.

use super::Avx512;
use super::aes::{
    STEP, Schedule, VECTOR, broadcast, counters, key_stream, load, load_part, mask_of, reversal, store, store_part,
};
use core::arch::x86_64::*;
use zeroize::Zeroize;

/// Blocks that are reduced together.
const POWERS: usize = 16;
/// Bytes of a block.
const BLOCK: usize = 16;

/// A key of AES-128-GCM or AES-256-GCM.
pub(crate) struct GcmKey {
    schedule: Schedule,
    /// H^16 down to H^1, so that n blocks find theirs at the end.
    powers: [[u8; BLOCK]; POWERS],
}

impl Drop for GcmKey {
    fn drop(&mut self) {
        self.powers.zeroize();
    }
}

impl GcmKey {
    /// # Panics
    /// If `key` is neither 16 nor 32 bytes long.
    pub(crate) fn new(proof: Avx512, key: &[u8]) -> GcmKey {
        let mut made = GcmKey { schedule: Schedule::new(proof, key), powers: [[0; BLOCK]; POWERS] };
        let mut h = [0; BLOCK];
        // The key stream at counter block zero is the encryption of a block of zeros.
        made.schedule.ctr(&[0; 16], &mut h);
        // SAFETY: `Avx512` is only made after the features were detected.
        unsafe { fill_powers(&h, &mut made.powers) };
        h.zeroize();
        made
    }

    /// Encrypts `payload` in place; the tag over it and `aad`.
    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8]) -> [u8; BLOCK] {
        // SAFETY: the schedule holds an `Avx512`, which is only made after the features were detected.
        unsafe {
            match self.schedule.rounds {
                10 => run::<10, true>(self, nonce, aad, payload),
                _ => run::<14, true>(self, nonce, aad, payload),
            }
        }
    }

    /// Decrypts `payload` in place, unverified; the tag that it should have. The caller compares.
    pub(crate) fn open(&self, nonce: &[u8; 12], aad: &[u8], payload: &mut [u8]) -> [u8; BLOCK] {
        // SAFETY: as in `seal`.
        unsafe {
            match self.schedule.rounds {
                10 => run::<10, false>(self, nonce, aad, payload),
                _ => run::<14, false>(self, nonce, aad, payload),
            }
        }
    }

    /// The powers for `n` blocks, H^n first.
    fn powers(&self, n: usize) -> &[u8] {
        self.powers[POWERS - n..].as_flattened()
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,aes,vaes,pclmulqdq,vpclmulqdq")]
fn run<const ROUNDS: usize, const SEAL: bool>(
    key: &GcmKey,
    nonce: &[u8; 12],
    aad: &[u8],
    payload: &mut [u8],
) -> [u8; BLOCK] {
    let keys = broadcast::<ROUNDS>(&key.schedule);
    let mut iv = [0; 16];
    iv[..12].copy_from_slice(nonce);
    iv[15] = 1;

    let mut hash = _mm_setzero_si128();
    for part in aad.chunks(VECTOR) {
        let blocks = [_mm512_shuffle_epi8(load_part(part), reversal())];
        hash = fold(&blocks, hash, key.powers(part.len().div_ceil(BLOCK)));
    }

    // The first block of key stream masks the tag; the payload's begins behind it.
    let mask = encrypt_one::<ROUNDS>(&keys, &iv);
    iv[15] = 2;
    let mut counter = counters(&iv);
    let lengths = _mm_set_epi64x(8 * aad.len() as i64, 8 * payload.len() as i64);
    let (steps, rest) = payload.as_chunks_mut::<STEP>();
    for step in steps {
        let stream = key_stream::<ROUNDS>(&keys, &mut counter);
        let mut blocks = [_mm512_setzero_si512(); 4];
        for (i, part) in step.as_chunks_mut::<VECTOR>().0.iter_mut().enumerate() {
            let input = load(part);
            let output = _mm512_xor_si512(input, stream[i]);
            store(part, output);
            blocks[i] = _mm512_shuffle_epi8(if SEAL { output } else { input }, reversal());
        }
        hash = fold(&blocks, hash, key.powers(POWERS));
    }

    let mut blocks = [_mm512_setzero_si512(); 4];
    let mut n = rest.len().div_ceil(BLOCK);
    if n > 0 {
        let stream = key_stream::<ROUNDS>(&keys, &mut counter);
        for (i, part) in rest.chunks_mut(VECTOR).enumerate() {
            let input = load_part(part);
            let output = _mm512_maskz_mov_epi8(mask_of(part), _mm512_xor_si512(input, stream[i]));
            store_part(part, output);
            blocks[i] = _mm512_shuffle_epi8(if SEAL { output } else { input }, reversal());
        }
        if n == POWERS {
            hash = fold(&blocks, hash, key.powers(POWERS));
            blocks = [_mm512_setzero_si512(); 4];
            n = 0;
        }
    }
    // The block of lengths takes the next free place.
    let place: __mmask16 = 0xf << (4 * (n % 4));
    blocks[n / 4] = _mm512_mask_broadcast_i32x4(blocks[n / 4], place, lengths);
    hash = fold(&blocks[..n / 4 + 1], hash, key.powers(n + 1));

    let tag = _mm_xor_si128(_mm_shuffle_epi8(hash, _mm512_castsi512_si128(reversal())), mask);
    to_bytes(tag)
}

/// Hashes blocks, bytes turned around: the result of all before them is added to the first, then each is multiplied with
/// its power and the sum is reduced once. What `blocks` has beyond the powers must be zero.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,vpclmulqdq")]
#[inline]
fn fold(blocks: &[__m512i], hash: __m128i, powers: &[u8]) -> __m128i {
    let mut low = _mm512_setzero_si512();
    let mut middle = _mm512_setzero_si512();
    let mut high = _mm512_setzero_si512();
    for (i, &block) in blocks.iter().enumerate() {
        let block = if i == 0 { _mm512_xor_si512(block, _mm512_zextsi128_si512(hash)) } else { block };
        let power = load_part(&powers[VECTOR * i..]);
        low = _mm512_xor_si512(low, _mm512_clmulepi64_epi128::<0x00>(block, power));
        high = _mm512_xor_si512(high, _mm512_clmulepi64_epi128::<0x11>(block, power));
        let (a, b) = (_mm512_clmulepi64_epi128::<0x01>(block, power), _mm512_clmulepi64_epi128::<0x10>(block, power));
        middle = _mm512_ternarylogic_epi64::<0x96>(middle, a, b);
    }
    let poly = _mm512_broadcast_i32x4(polynomial());
    let up = |to, from| {
        let swapped = _mm512_shuffle_epi32::<0x4e>(from);
        _mm512_ternarylogic_epi64::<0x96>(to, swapped, _mm512_clmulepi64_epi128::<0x01>(poly, from))
    };
    let reduced = up(high, up(middle, low));
    let half = _mm256_xor_si256(_mm512_castsi512_si256(reduced), _mm512_extracti64x4_epi64::<1>(reduced));
    _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
}

/// 1 in the low half, the reflected polynomial's upper end in the high one.
#[target_feature(enable = "sse2")]
#[inline]
fn polynomial() -> __m128i {
    _mm_set_epi64x(0xc2 << 56, 1)
}

/// H^16 to H^1 from the hash key, each multiplied by x.
#[target_feature(enable = "ssse3,pclmulqdq")]
fn fill_powers(h: &[u8; BLOCK], powers: &mut [[u8; BLOCK]; POWERS]) {
    let h = u128::from_be_bytes(*h);
    let carry = if h >> 127 == 1 { 0xc2 << 120 | 1 } else { 0 };
    let first = h << 1 ^ carry;
    let first = _mm_set_epi64x((first >> 64) as i64, first as i64);
    let mut power = first;
    for slot in powers.iter_mut().rev() {
        *slot = to_bytes(power);
        power = multiply(power, first);
    }
}

#[target_feature(enable = "ssse3,pclmulqdq")]
fn multiply(a: __m128i, b: __m128i) -> __m128i {
    let low = _mm_clmulepi64_si128::<0x00>(a, b);
    let high = _mm_clmulepi64_si128::<0x11>(a, b);
    let middle = _mm_xor_si128(_mm_clmulepi64_si128::<0x01>(a, b), _mm_clmulepi64_si128::<0x10>(a, b));
    let up = |to, from| {
        let swapped = _mm_shuffle_epi32::<0x4e>(from);
        _mm_xor_si128(to, _mm_xor_si128(swapped, _mm_clmulepi64_si128::<0x01>(polynomial(), from)))
    };
    up(high, up(middle, low))
}

#[target_feature(enable = "avx512f,aes")]
#[inline]
fn encrypt_one<const ROUNDS: usize>(keys: &[__m512i; 15], block: &[u8; BLOCK]) -> __m128i {
    // SAFETY: 16 readable bytes; the load wants no alignment.
    let mut block = unsafe { _mm_loadu_si128(block.as_ptr().cast()) };
    block = _mm_xor_si128(block, _mm512_castsi512_si128(keys[0]));
    for key in &keys[1..ROUNDS] {
        block = _mm_aesenc_si128(block, _mm512_castsi512_si128(*key));
    }
    _mm_aesenclast_si128(block, _mm512_castsi512_si128(keys[ROUNDS]))
}

fn to_bytes(block: __m128i) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    // SAFETY: 16 writable bytes; the store wants no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), block) };
    bytes
}
