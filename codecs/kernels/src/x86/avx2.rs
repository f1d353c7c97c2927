//! Scaling with AVX2. Each function equals its namesake in `scale/scalar.rs`; `tests/twins.rs` holds them together.
//!
//! Loads stay inside of the slices: full vectors where they fit, else one vector that ends with the row, else the scalar twin.

use std::arch::x86_64::*;

use crate::scale::scalar::{self, ROUND21};
use crate::table::{BLOCK, Block, ByteTaps, PAD, QuadTaps};

#[target_feature(enable = "avx2")]
fn load(bytes: &[u8]) -> __m256i {
    let bytes = &bytes[..32];
    // SAFETY: 32 bytes are there; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store(bytes: &mut [u8], value: __m256i) {
    let bytes = &mut bytes[..32];
    // SAFETY: 32 bytes are there; the store asks for no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), value) };
}

#[target_feature(enable = "avx2")]
pub(crate) fn row4(src: &[u8], taps: &ByteTaps, out: &mut [i16]) {
    assert!(taps.group == 4 && taps.window == 16 && src.len() >= 16);
    assert!(
        out.len() <= taps.base.len() * 4 && taps.index.len() >= out.len() * 4 && taps.weight.len() >= out.len() * 4
    );
    let last = src.len() - 16;
    for (i, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let window = |g: usize| {
            let base = (taps.base[4 * i + g] as usize).min(last);
            // SAFETY: 16 bytes from `base` on are in `src`, for `base` is at most its length less 16.
            unsafe { _mm_loadu_si128(src.as_ptr().add(base).cast()) }
        };
        let table = |at: *const u8, g: usize| {
            // SAFETY: the tables hold four bytes for each of the outputs asserted above; group 4i + g is one of theirs.
            unsafe { _mm_loadu_si128(at.add((4 * i + g) * 16).cast()) }
        };
        let pairs = |low: usize, high: usize| {
            let pixels = _mm256_set_m128i(window(high), window(low));
            let at = taps.index.as_ptr();
            let picked = _mm256_shuffle_epi8(pixels, _mm256_set_m128i(table(at, high), table(at, low)));
            let at = taps.weight.as_ptr().cast();
            _mm256_maddubs_epi16(picked, _mm256_set_m128i(table(at, high), table(at, low)))
        };
        let sums = _mm256_hadd_epi16(pairs(0, 2), pairs(1, 3));
        // SAFETY: `out` is 16 words long.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sums) };
    }
}

#[target_feature(enable = "avx2")]
pub(crate) fn rows14(lines: &[i16], offsets: &[usize], weights: &[i16], out: &mut [u8]) {
    let width = out.len();
    let padded = width.next_multiple_of(PAD);
    assert!(offsets.len() == weights.len() && offsets.iter().all(|o| o + padded <= lines.len()));
    for x in (0..width).step_by(32) {
        let half = |x: usize| {
            let (mut low, mut high) = (_mm256_set1_epi32(ROUND21), _mm256_set1_epi32(ROUND21));
            for (o, w) in offsets.as_chunks::<2>().0.iter().zip(weights.as_chunks::<2>().0) {
                // SAFETY: 16 words from each offset + x on are in `lines`, for x + 16 is at most `padded`.
                let (a, b) = unsafe {
                    let at = lines.as_ptr().add(x);
                    (_mm256_loadu_si256(at.add(o[0]).cast()), _mm256_loadu_si256(at.add(o[1]).cast()))
                };
                let weight = _mm256_set1_epi32(i32::from(w[0]) | i32::from(w[1]) << 16);
                low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), weight));
                high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), weight));
            }
            _mm256_packs_epi32(_mm256_srai_epi32::<21>(low), _mm256_srai_epi32::<21>(high))
        };
        let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(half(x), half(x + 16)));
        put(&mut out[x..], bytes);
    }
}

/// Stores 32 bytes, or as many as there is room for.
#[target_feature(enable = "avx2")]
fn put(out: &mut [u8], bytes: __m256i) {
    if out.len() >= 32 {
        store(out, bytes);
    } else {
        let mut rest = [0; 32];
        store(&mut rest, bytes);
        out.copy_from_slice(&rest[..out.len()]);
    }
}

#[target_feature(enable = "avx2")]
pub(crate) fn rows7(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, ahead: usize, out: &mut [u8]) {
    assert!(offsets.len() == weights.len() && out.len() >= width && offsets.iter().all(|o| o + width <= data.len()));
    if width < 32 {
        return scalar::rows7(data, offsets, weights, width, ahead, out);
    }
    for x in (0..width).step_by(32) {
        let x = x.min(width - 32);
        let (mut low, mut high) = (_mm256_set1_epi16(64), _mm256_set1_epi16(64));
        for (o, w) in offsets.as_chunks::<2>().0.iter().zip(weights.as_chunks::<2>().0) {
            // SAFETY: 32 bytes from each offset + x on are in `data`, for x + 32 is at most `width`. A prefetch may name any address.
            let (a, b) = unsafe {
                let (a, b) = (data.as_ptr().add(o[0] + x), data.as_ptr().add(o[1] + x));
                _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(ahead).cast());
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(ahead).cast());
                (_mm256_loadu_si256(a.cast()), _mm256_loadu_si256(b.cast()))
            };
            let weight = _mm256_set1_epi16(i16::from_le_bytes([w[0] as u8, w[1] as u8]));
            low = _mm256_add_epi16(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), weight));
            high = _mm256_add_epi16(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), weight));
        }
        store(&mut out[x..], _mm256_packus_epi16(_mm256_srli_epi16::<7>(low), _mm256_srli_epi16::<7>(high)));
    }
}

/// Eight rows of eight 32-bit columns, turned.
#[target_feature(enable = "avx2")]
fn turn(r: [__m256i; 8]) -> [__m256i; 8] {
    let pair = |i: usize| (_mm256_unpacklo_epi32(r[i], r[i + 1]), _mm256_unpackhi_epi32(r[i], r[i + 1]));
    let (a, b, c, d) = (pair(0), pair(2), pair(4), pair(6));
    let four = |p: (__m256i, __m256i), q: (__m256i, __m256i)| {
        [
            _mm256_unpacklo_epi64(p.0, q.0),
            _mm256_unpackhi_epi64(p.0, q.0),
            _mm256_unpacklo_epi64(p.1, q.1),
            _mm256_unpackhi_epi64(p.1, q.1),
        ]
    };
    let (top, bottom) = (four(a, b), four(c, d));
    let mut out = [_mm256_setzero_si256(); 8];
    for k in 0..4 {
        out[k] = _mm256_permute2x128_si256::<0x20>(top[k], bottom[k]);
        out[k + 4] = _mm256_permute2x128_si256::<0x31>(top[k], bottom[k]);
    }
    out
}

#[target_feature(enable = "avx2")]
pub(crate) fn columns7(rows: &[u8], line: usize, taps: &QuadTaps, scratch: &mut [u32], out: Block<'_>) {
    let quads = line / 4;
    assert!(line.is_multiple_of(PAD) && rows.len() >= BLOCK * line && scratch.len() >= quads * 8 && out.count <= BLOCK);
    assert!(taps.weight.len() >= out.width.next_multiple_of(8) * taps.quads * 4);
    let columns = out.width.next_multiple_of(8);
    for half in (0..out.count).step_by(8) {
        for x in (0..line).step_by(32) {
            let mut block = [_mm256_setzero_si256(); 8];
            for (i, row) in block.iter_mut().enumerate() {
                *row = load(&rows[(half + i) * line + x..]);
            }
            for (k, column) in turn(block).into_iter().enumerate() {
                let at = &mut scratch[(x / 4 + k) * 8..][..8];
                // SAFETY: `at` is eight words long.
                unsafe { _mm256_storeu_si256(at.as_mut_ptr().cast(), column) };
            }
        }
        let mut eight = [_mm256_setzero_si256(); 8];
        for x in (0..columns).step_by(32) {
            for (k, four) in eight.iter_mut().enumerate() {
                let x = x + 4 * k;
                *four = if x < columns { quad(scratch, quads, taps, x) } else { _mm256_setzero_si256() };
            }
            let width = (out.width - x).min(32);
            for (i, row) in turn(eight).into_iter().enumerate().take(out.count - half) {
                let start = (half + i) * out.stride + x;
                put(&mut out.data[start..start + width], row);
            }
        }
    }
}

/// Outputs x to x + 3 of eight rows: a 32-bit lane for each row.
#[target_feature(enable = "avx2")]
fn quad(scratch: &[u32], quads: usize, taps: &QuadTaps, x: usize) -> __m256i {
    let one = |x: usize| {
        let first = (taps.first[x] as usize).min(quads - taps.quads);
        let weights = &taps.weight[x * taps.quads * 4..][..taps.quads * 4];
        let mut sum = _mm256_set1_epi32(64);
        for (k, w) in weights.as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: `scratch` holds `quads` groups of eight words, and first + k is below `quads`.
            let pixels = unsafe { _mm256_loadu_si256(scratch.as_ptr().add((first + k) * 8).cast()) };
            let weight = _mm256_set1_epi32(i32::from_le_bytes(w.map(|w| w as u8)));
            let pairs = _mm256_maddubs_epi16(pixels, weight);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        }
        _mm256_srli_epi32::<7>(sum)
    };
    let (a, b, c, d) = (one(x), one(x + 1), one(x + 2), one(x + 3));
    let low = _mm256_or_si256(a, _mm256_slli_epi32::<8>(b));
    _mm256_or_si256(low, _mm256_or_si256(_mm256_slli_epi32::<16>(c), _mm256_slli_epi32::<24>(d)))
}

#[target_feature(enable = "avx2")]
pub(crate) fn halve(rows: [&[u8]; 2], out: &mut [u8]) {
    let whole = out.len() / 32 * 32;
    let ones = _mm256_set1_epi8(1);
    let means = |x: usize| {
        let pairs = |row: &[u8]| _mm256_maddubs_epi16(load(&row[x..]), ones);
        let sum = _mm256_add_epi16(_mm256_add_epi16(pairs(rows[0]), pairs(rows[1])), _mm256_set1_epi16(2));
        _mm256_srli_epi16::<2>(sum)
    };
    for x in (0..whole).step_by(32) {
        let bytes = _mm256_packus_epi16(means(2 * x), means(2 * x + 32));
        store(&mut out[x..], _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes));
    }
    scalar::halve(rows.map(|r| &r[2 * whole..]), &mut out[whole..]);
}

#[target_feature(enable = "avx2")]
pub(crate) fn quarter(rows: [&[u8]; 4], out: &mut [u8]) {
    let whole = out.len() / 32 * 32;
    let ones = _mm256_set1_epi8(1);
    let means = |x: usize| {
        let pairs = |i: usize| _mm256_maddubs_epi16(load(&rows[i][x..]), ones);
        let sum = _mm256_add_epi16(_mm256_add_epi16(pairs(0), pairs(1)), _mm256_add_epi16(pairs(2), pairs(3)));
        let sum = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
        _mm256_srli_epi32::<4>(_mm256_add_epi32(sum, _mm256_set1_epi32(8)))
    };
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for x in (0..whole).step_by(32) {
        let low = _mm256_packs_epi32(means(4 * x), means(4 * x + 32));
        let high = _mm256_packs_epi32(means(4 * x + 64), means(4 * x + 96));
        store(&mut out[x..], _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order));
    }
    scalar::quarter(rows.map(|r| &r[4 * whole..]), &mut out[whole..]);
}
