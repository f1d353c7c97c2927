//! HMAC-SHA1 of up to sixteen messages at once, one in each 32-bit lane of AVX-512.
//!
//! A fan-out is the ideal case: one length, N keys. Lanes may differ in length: one that has no block left keeps its state
//! behind a mask, so a batch costs as much as its longest message. The portable twin is `HmacKey::tag`.

use super::Avx512;
use crate::hmac::{BLOCK, HmacKey, Message, TAG, tail};
use core::arch::x86_64::*;

/// Messages in a batch.
pub(crate) const LANES: usize = 16;

/// Fewer messages than this are cheaper one by one with the SHA instructions: a pass of sixteen lanes costs about as much
/// as three to four passes of one.
pub(crate) const WORTHWHILE: usize = 4;

/// What a lane without a message reads.
static NOTHING: [u8; BLOCK] = [0; BLOCK];

/// The tags of at most [`LANES`] messages.
pub(crate) fn tags(_proof: Avx512, messages: &[Message<'_>], out: &mut [[u8; TAG]]) {
    // SAFETY: `Avx512` is only made after the features were detected.
    unsafe { tags_with_features(messages, out) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn tags_with_features(messages: &[Message<'_>], out: &mut [[u8; TAG]]) {
    assert!(messages.len() <= LANES && messages.len() == out.len());
    let mut whole: [&[[u8; BLOCK]]; LANES] = [&[]; LANES];
    let mut last = [[[0; BLOCK]; 2]; LANES];
    let mut counts = [0; LANES];
    for (lane, message) in messages.iter().enumerate() {
        let (blocks, rest) = message.data.as_chunks::<BLOCK>();
        let (padded, count) = tail(rest, &message.suffix, message.data.len());
        whole[lane] = blocks;
        last[lane] = padded;
        counts[lane] = blocks.len() + count;
    }

    let mut state = states(messages, |key| &key.inner);
    let longest = counts.iter().copied().max().unwrap_or(0);
    for i in 0..longest {
        let mut rows: [&[u8; BLOCK]; LANES] = [&NOTHING; LANES];
        let mut busy = 0;
        for lane in 0..LANES {
            if let Some(block) = whole[lane].get(i) {
                rows[lane] = block;
                busy |= 1 << lane;
            } else if i < counts[lane] {
                rows[lane] = &last[lane][i - whole[lane].len()];
                busy |= 1 << lane;
            }
        }
        compress(&mut state, words(&rows), busy);
    }

    // The outer hash: one block whose first five words are the inner state, and whose padding is the same in every lane.
    let mut block = [_mm512_setzero_si512(); 16];
    block[..5].copy_from_slice(&state);
    block[5] = _mm512_set1_epi32(0x8000_0000_u32 as i32);
    block[15] = _mm512_set1_epi32(8 * (BLOCK + TAG) as i32);
    let mut outer = states(messages, |key| &key.outer);
    compress(&mut outer, block, u16::MAX);
    for (word, lanes) in outer.into_iter().map(to_lanes).enumerate() {
        for (tag, value) in out.iter_mut().zip(lanes) {
            tag[4 * word..4 * word + 4].copy_from_slice(&value.to_be_bytes());
        }
    }
}

/// The keys' states, a lane each.
#[target_feature(enable = "avx512f")]
fn states(messages: &[Message<'_>], of: impl Fn(&HmacKey) -> &[u32; 5]) -> [__m512i; 5] {
    let mut lanes = [[0; LANES]; 5];
    for (lane, message) in messages.iter().enumerate() {
        for (word, value) in of(message.key).iter().enumerate() {
            lanes[word][lane] = *value;
        }
    }
    // SAFETY: sixteen u32 are as large as a vector, and every bit pattern is one.
    lanes.map(|l| unsafe { core::mem::transmute::<[u32; LANES], __m512i>(l) })
}

fn to_lanes(vector: __m512i) -> [u32; LANES] {
    // SAFETY: sixteen u32 are as large as a vector, and every bit pattern is one.
    unsafe { core::mem::transmute(vector) }
}

/// The sixteen message words of a block for all lanes: loads a row of each lane, swaps its bytes, transposes 16 × 16.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn words(rows: &[&[u8; BLOCK]; LANES]) -> [__m512i; 16] {
    let swap = _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    let mut r = [_mm512_setzero_si512(); 16];
    for (r, row) in r.iter_mut().zip(rows) {
        // SAFETY: a row is 64 readable bytes; the load wants no alignment.
        let bytes = unsafe { _mm512_loadu_si512(row.as_ptr().cast()) };
        *r = _mm512_shuffle_epi8(bytes, swap);
    }
    let mut a = [_mm512_setzero_si512(); 16];
    for i in 0..8 {
        a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    // b[4 q + w]: rows 4q..4q+4, word 4k + w of each in 128-bit part k.
    let mut b = [_mm512_setzero_si512(); 16];
    for q in 0..4 {
        b[4 * q] = _mm512_unpacklo_epi64(a[4 * q], a[4 * q + 2]);
        b[4 * q + 1] = _mm512_unpackhi_epi64(a[4 * q], a[4 * q + 2]);
        b[4 * q + 2] = _mm512_unpacklo_epi64(a[4 * q + 1], a[4 * q + 3]);
        b[4 * q + 3] = _mm512_unpackhi_epi64(a[4 * q + 1], a[4 * q + 3]);
    }
    // Then a 4 × 4 transpose of the 128-bit parts.
    let mut out = [_mm512_setzero_si512(); 16];
    for w in 0..4 {
        let low01 = _mm512_shuffle_i32x4::<0x44>(b[w], b[4 + w]);
        let high01 = _mm512_shuffle_i32x4::<0xee>(b[w], b[4 + w]);
        let low23 = _mm512_shuffle_i32x4::<0x44>(b[8 + w], b[12 + w]);
        let high23 = _mm512_shuffle_i32x4::<0xee>(b[8 + w], b[12 + w]);
        out[w] = _mm512_shuffle_i32x4::<0x88>(low01, low23);
        out[4 + w] = _mm512_shuffle_i32x4::<0xdd>(low01, low23);
        out[8 + w] = _mm512_shuffle_i32x4::<0x88>(high01, high23);
        out[12 + w] = _mm512_shuffle_i32x4::<0xdd>(high01, high23);
    }
    out
}

/// One round: `$f` is the truth table of the round's function, `$k` its constant.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident, $f:literal, $k:ident, $w:expr) => {
        let f = _mm512_ternarylogic_epi32::<$f>($b, $c, $d);
        let ek = _mm512_add_epi32(_mm512_add_epi32($e, $k), $w);
        $e = _mm512_add_epi32(_mm512_add_epi32(_mm512_rol_epi32::<5>($a), f), ek);
        $b = _mm512_rol_epi32::<30>($b);
    };
}

/// The next word of the schedule, in the ring of sixteen.
macro_rules! expand {
    ($w:ident, $t:literal) => {{
        let x = _mm512_ternarylogic_epi32::<0x96>($w[($t + 13) & 15], $w[($t + 8) & 15], $w[($t + 2) & 15]);
        $w[$t & 15] = _mm512_rol_epi32::<1>(_mm512_xor_si512(x, $w[$t & 15]));
        $w[$t & 15]
    }};
}

/// Five rounds, after which every variable has its name again.
macro_rules! five {
    ($a:ident $b:ident $c:ident $d:ident $e:ident, $f:literal, $k:ident, $w:ident, $op:ident, $t0:literal $t1:literal $t2:literal $t3:literal $t4:literal) => {
        round!($a $b $c $d $e, $f, $k, $op!($w, $t0));
        round!($e $a $b $c $d, $f, $k, $op!($w, $t1));
        round!($d $e $a $b $c, $f, $k, $op!($w, $t2));
        round!($c $d $e $a $b, $f, $k, $op!($w, $t3));
        round!($b $c $d $e $a, $f, $k, $op!($w, $t4));
    };
}

/// A word of the block itself.
macro_rules! given {
    ($w:ident, $t:literal) => {
        $w[$t]
    };
}

/// SHA-1's block function in every lane that `busy` names; the others keep their state.
#[target_feature(enable = "avx512f")]
#[inline]
fn compress(state: &mut [__m512i; 5], mut w: [__m512i; 16], busy: __mmask16) {
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    let k = _mm512_set1_epi32(0x5a82_7999);
    five!(a b c d e, 0xca, k, w, given, 0 1 2 3 4);
    five!(a b c d e, 0xca, k, w, given, 5 6 7 8 9);
    five!(a b c d e, 0xca, k, w, given, 10 11 12 13 14);
    round!(a b c d e, 0xca, k, w[15]);
    round!(e a b c d, 0xca, k, expand!(w, 16));
    round!(d e a b c, 0xca, k, expand!(w, 17));
    round!(c d e a b, 0xca, k, expand!(w, 18));
    round!(b c d e a, 0xca, k, expand!(w, 19));
    let k = _mm512_set1_epi32(0x6ed9_eba1);
    five!(a b c d e, 0x96, k, w, expand, 20 21 22 23 24);
    five!(a b c d e, 0x96, k, w, expand, 25 26 27 28 29);
    five!(a b c d e, 0x96, k, w, expand, 30 31 32 33 34);
    five!(a b c d e, 0x96, k, w, expand, 35 36 37 38 39);
    let k = _mm512_set1_epi32(0x8f1b_bcdc_u32 as i32);
    five!(a b c d e, 0xe8, k, w, expand, 40 41 42 43 44);
    five!(a b c d e, 0xe8, k, w, expand, 45 46 47 48 49);
    five!(a b c d e, 0xe8, k, w, expand, 50 51 52 53 54);
    five!(a b c d e, 0xe8, k, w, expand, 55 56 57 58 59);
    let k = _mm512_set1_epi32(0xca62_c1d6_u32 as i32);
    five!(a b c d e, 0x96, k, w, expand, 60 61 62 63 64);
    five!(a b c d e, 0x96, k, w, expand, 65 66 67 68 69);
    five!(a b c d e, 0x96, k, w, expand, 70 71 72 73 74);
    five!(a b c d e, 0x96, k, w, expand, 75 76 77 78 79);
    for (old, new) in state.iter_mut().zip([a, b, c, d, e]) {
        *old = _mm512_mask_add_epi32(*old, busy, *old, new);
    }
}
