//! AES with VAES: the key schedule, and counter mode sixteen blocks at a time.
//!
//! A round key is broadcast to the four 128-bit parts of a vector; four vectors are under way together, which hides the
//! latency of a round. The last bytes go through masked loads and stores, so nothing outside of the data is touched. The
//! portable twin is aws-lc.

use super::Avx512;
use core::arch::x86_64::*;
use zeroize::Zeroize;

/// Round keys of AES-256, and one.
const MOST_KEYS: usize = 15;
/// Bytes of four vectors.
pub(super) const STEP: usize = 256;
/// Bytes of a vector.
pub(super) const VECTOR: usize = 64;

/// A key schedule, zeroed when it is dropped.
pub(crate) struct Schedule {
    keys: [u128; MOST_KEYS],
    pub(super) rounds: usize,
    _proof: Avx512,
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

impl Schedule {
    /// # Panics
    /// If `key` is neither 16 nor 32 bytes long.
    pub(crate) fn new(proof: Avx512, key: &[u8]) -> Schedule {
        assert!(key.len() == 16 || key.len() == 32, "an AES key of {} bytes", key.len());
        let mut schedule = Schedule { keys: [0; MOST_KEYS], rounds: key.len() / 4 + 6, _proof: proof };
        // SAFETY: `Avx512` is only made after the features were detected.
        unsafe { expand(key, schedule.rounds, &mut schedule.keys) };
        schedule
    }

    /// XORs `data` with the key stream that begins at the counter block `iv`.
    pub(crate) fn ctr(&self, iv: &[u8; 16], data: &mut [u8]) {
        // SAFETY: `Avx512` is only made after the features were detected.
        unsafe {
            match self.rounds {
                10 => ctr::<10>(self, iv, data),
                _ => ctr::<14>(self, iv, data),
            }
        }
    }
}

/// FIPS 197 section 5.2, words in the order of memory.
#[target_feature(enable = "aes")]
fn expand(key: &[u8], rounds: usize, out: &mut [u128; MOST_KEYS]) {
    let nk = key.len() / 4;
    let mut words = [0; 4 * MOST_KEYS];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut rcon = 1;
    for i in nk..4 * (rounds + 1) {
        let mut word = words[i - 1];
        if i % nk == 0 {
            word = sub_word(word).rotate_right(8) ^ rcon;
            rcon = rcon << 1 ^ if rcon & 0x80 != 0 { 0x11b } else { 0 };
        } else if nk == 8 && i % 8 == 4 {
            word = sub_word(word);
        }
        words[i] = words[i - nk] ^ word;
    }
    for (key, four) in out.iter_mut().zip(words.as_chunks::<4>().0) {
        *key = four.iter().rev().fold(0, |key, &word| key << 32 | u128::from(word));
    }
    words.zeroize();
}

#[target_feature(enable = "aes")]
fn sub_word(word: u32) -> u32 {
    _mm_cvtsi128_si32(_mm_aeskeygenassist_si128::<0>(_mm_set1_epi32(word as i32))) as u32
}

/// The round keys, each in all four parts of a vector.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn broadcast<const ROUNDS: usize>(schedule: &Schedule) -> [__m512i; MOST_KEYS] {
    let mut keys = [_mm512_setzero_si512(); MOST_KEYS];
    for (wide, key) in keys[..=ROUNDS].iter_mut().zip(schedule.keys) {
        *wide = _mm512_broadcast_i32x4(_mm_set_epi64x((key >> 64) as i64, key as i64));
    }
    keys
}

/// A mask that turns the bytes of each block around.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn reversal() -> __m512i {
    _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
}

/// Four counters from `iv` on, bytes turned around so that the 32-bit counter is the lowest word of each block.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn counters(iv: &[u8; 16]) -> __m512i {
    let iv = u128::from_be_bytes(*iv);
    let first = _mm512_broadcast_i32x4(_mm_set_epi64x((iv >> 64) as i64, iv as i64));
    _mm512_add_epi32(first, _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0))
}

/// The next sixteen blocks of key stream.
#[target_feature(enable = "avx512f,avx512bw,vaes")]
#[inline]
pub(super) fn key_stream<const ROUNDS: usize>(keys: &[__m512i; MOST_KEYS], counter: &mut __m512i) -> [__m512i; 4] {
    let four = _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, 4));
    let mut blocks = [_mm512_setzero_si512(); 4];
    for block in &mut blocks {
        *block = _mm512_xor_si512(_mm512_shuffle_epi8(*counter, reversal()), keys[0]);
        *counter = _mm512_add_epi32(*counter, four);
    }
    for key in &keys[1..ROUNDS] {
        for block in &mut blocks {
            *block = _mm512_aesenc_epi128(*block, *key);
        }
    }
    for block in &mut blocks {
        *block = _mm512_aesenclast_epi128(*block, keys[ROUNDS]);
    }
    blocks
}

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn ctr<const ROUNDS: usize>(schedule: &Schedule, iv: &[u8; 16], data: &mut [u8]) {
    let keys = broadcast::<ROUNDS>(schedule);
    let mut counter = counters(iv);
    let (steps, rest) = data.as_chunks_mut::<STEP>();
    for step in steps {
        let stream = key_stream::<ROUNDS>(&keys, &mut counter);
        for (part, stream) in step.as_chunks_mut::<VECTOR>().0.iter_mut().zip(stream) {
            store(part, _mm512_xor_si512(load(part), stream));
        }
    }
    if !rest.is_empty() {
        let stream = key_stream::<ROUNDS>(&keys, &mut counter);
        for (part, stream) in rest.chunks_mut(VECTOR).zip(stream) {
            store_part(part, _mm512_xor_si512(load_part(part), stream));
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(bytes: &[u8; VECTOR]) -> __m512i {
    // SAFETY: 64 readable bytes; the load wants no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn store(bytes: &mut [u8; VECTOR], value: __m512i) {
    // SAFETY: 64 writable bytes; the store wants no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), value) }
}

/// The mask of the first bytes of a vector: as many as `bytes` has, at most all.
#[inline]
pub(super) fn mask_of(bytes: &[u8]) -> __mmask64 {
    if bytes.len() >= VECTOR { !0 } else { (1 << bytes.len()) - 1 }
}

/// The first bytes, zeros behind them.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn load_part(bytes: &[u8]) -> __m512i {
    // SAFETY: a masked load reads only what its mask names, and that lies in `bytes`.
    unsafe { _mm512_maskz_loadu_epi8(mask_of(bytes), bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn store_part(bytes: &mut [u8], value: __m512i) {
    let mask = mask_of(bytes);
    // SAFETY: a masked store writes only what its mask names, and that lies in `bytes`.
    unsafe { _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), mask, value) }
}
