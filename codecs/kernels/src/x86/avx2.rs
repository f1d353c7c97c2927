//! Scaling with AVX2. Each function equals its namesake in `scale/scalar.rs`; `tests/twins.rs` holds them together.
//!
//! Loads stay inside of the slices: full vectors where they fit, else one vector that ends with the row, else the scalar twin.

use std::arch::x86_64::*;

use crate::scale::scalar;
use crate::table::{Block, ByteTaps, PAD, PAIRS, PairTaps, Ring, Rows, SOURCE_AHEAD};

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
pub(crate) fn across(rows: Rows<'_>, taps: &ByteTaps, mut ring: Ring<'_>) {
    assert!(taps.window == 16 && rows.width >= 16 && taps.group * taps.each == 16);
    let groups = taps.outputs / taps.group;
    assert!(
        taps.base.len() >= groups
            && taps.index.len() >= taps.outputs * taps.each
            && taps.weight.len() >= taps.outputs * taps.each
    );
    let (starts, outs, count) = (rows.starts(), ring.starts(rows.first, taps.outputs), rows.count);
    let (last, ahead) = (rows.width - 16, SOURCE_AHEAD * rows.stride);
    let at = |table: *const u8, group: usize| {
        // SAFETY: the tables hold 16 bytes for each group, as asserted.
        unsafe { _mm_loadu_si128(table.add(group * 16).cast()) }
    };
    let tables = |low: usize, high: usize| {
        let (index, weight) = (taps.index.as_ptr(), taps.weight.as_ptr().cast());
        (_mm256_set_m128i(at(index, high), at(index, low)), _mm256_set_m128i(at(weight, high), at(weight, low)))
    };
    let window = |row: *const u8, base: u32| {
        // SAFETY: 16 bytes from there on are in the row, for `last` is its length less 16.
        unsafe { _mm_loadu_si128(row.wrapping_add((base as usize).min(last)).cast()) }
    };
    let products = |row: *const u8, low: u32, high: u32, (index, weight): (__m256i, __m256i)| {
        let pixels = _mm256_set_m128i(window(row, high), window(row, low));
        _mm256_maddubs_epi16(_mm256_shuffle_epi8(pixels, index), weight)
    };
    let put = |line: *mut i16, block: usize, words: __m256i| {
        // SAFETY: a line holds all outputs, 16 for each block.
        unsafe { _mm256_storeu_si256(line.add(block * 16).cast(), words) };
    };
    // A prefetch may name any address.
    let fetch = |row: *const u8, base: u32| _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(base as usize + ahead).cast());
    if taps.each == 2 {
        for (block, base) in taps.base[..groups].as_chunks::<2>().0.iter().enumerate() {
            let tables = tables(2 * block, 2 * block + 1);
            for (row, out) in starts.iter().zip(outs).take(count) {
                fetch(*row, base[0]);
                put(out, block, products(*row, base[0], base[1], tables));
            }
        }
    } else {
        for (block, base) in taps.base[..groups].as_chunks::<4>().0.iter().enumerate() {
            let (even, odd) = (tables(4 * block, 4 * block + 2), tables(4 * block + 1, 4 * block + 3));
            for (row, out) in starts.iter().zip(outs).take(count) {
                fetch(*row, base[0]);
                let even = products(*row, base[0], base[2], even);
                put(out, block, _mm256_hadd_epi16(even, products(*row, base[1], base[3], odd)));
            }
        }
    }
}

#[target_feature(enable = "avx2")]
pub(crate) fn down(lines: &[i16], offsets: &[usize], weights: &[i16], ahead: usize, out: &mut [u8]) {
    let padded = out.len().next_multiple_of(PAD);
    assert!(offsets.len() == weights.len() && offsets.iter().all(|o| o + padded <= lines.len()));
    let line = |offset: usize, x: usize| {
        // SAFETY: x + 16 is at most `padded`, and `padded` words from each offset on are in `lines`.
        unsafe { _mm256_loadu_si256(lines.as_ptr().add(offset + x).cast()) }
    };
    match (offsets, weights) {
        (&[a, b], &[_, w]) => {
            let w = _mm256_set1_epi16(w);
            finish(ahead, out, |x| {
                let (a, b) = (line(a, x), line(b, x));
                _mm256_add_epi16(a, _mm256_mulhrs_epi16(_mm256_sub_epi16(b, a), w))
            });
        }
        (&[a, b, c], &[u, v, w]) => {
            let (u, v, w) = (_mm256_set1_epi16(u), _mm256_set1_epi16(v), _mm256_set1_epi16(w));
            finish(ahead, out, |x| {
                let sum = _mm256_add_epi16(_mm256_mulhrs_epi16(line(a, x), u), _mm256_mulhrs_epi16(line(b, x), v));
                _mm256_add_epi16(sum, _mm256_mulhrs_epi16(line(c, x), w))
            });
        }
        _ => finish(ahead, out, |x| {
            let mut sum = _mm256_setzero_si256();
            for (o, w) in offsets.iter().zip(weights) {
                sum = _mm256_add_epi16(sum, _mm256_mulhrs_epi16(line(*o, x), _mm256_set1_epi16(*w)));
            }
            sum
        }),
    }
}

/// Fetches the line `ahead` bytes from the start of `out` on.
#[target_feature(enable = "avx2")]
fn fetch(out: &[u8], ahead: usize) {
    // A prefetch may name any address.
    _mm_prefetch::<_MM_HINT_T0>(out.as_ptr().wrapping_add(ahead).cast());
}

/// Words of `part` as bytes, from Q7.
#[target_feature(enable = "avx2")]
#[inline]
fn finish(ahead: usize, out: &mut [u8], part: impl Fn(usize) -> __m256i) {
    // The high half of a product with 2⁸, doubled and rounded, is (word + 64) >> 7.
    let part = |x: usize| _mm256_mulhrs_epi16(part(x), _mm256_set1_epi16(256));
    for x in (0..out.len()).step_by(32) {
        if x % 64 == 0 {
            fetch(out, x + ahead);
        }
        let bytes = _mm256_packus_epi16(part(x), part(x + 16));
        put(&mut out[x..], _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes));
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

/// Sums less 2¹⁵, as signed words: `columns` adds it again.
#[target_feature(enable = "avx2")]
pub(crate) fn sums(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, ahead: usize, out: &mut [u16]) {
    assert!(offsets.len() == weights.len() && out.len() >= width && offsets.iter().all(|o| o + width <= data.len()));
    if width < 32 {
        scalar::sums(data, offsets, weights, width, ahead, out);
        return out[..width].iter_mut().for_each(|sum| *sum ^= 1 << 15);
    }
    assert!(offsets.len() <= 2 * PAIRS);
    let mut factors = [_mm256_setzero_si256(); PAIRS];
    for (factor, w) in factors.iter_mut().zip(weights.as_chunks::<2>().0) {
        *factor = _mm256_set1_epi16(i16::from_le_bytes([w[0] as u8, w[1] as u8]));
    }
    for x in (0..width).step_by(32) {
        let x = x.min(width - 32);
        let (mut low, mut high) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(i16::MIN));
        for (o, weight) in offsets.as_chunks::<2>().0.iter().zip(&factors) {
            // SAFETY: 32 bytes from each offset + x on are in `data`, for x + 32 is at most `width`. A prefetch may name any address.
            let (a, b) = unsafe {
                let (a, b) = (data.as_ptr().add(o[0] + x), data.as_ptr().add(o[1] + x));
                _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(ahead).cast());
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(ahead).cast());
                (_mm256_loadu_si256(a.cast()), _mm256_loadu_si256(b.cast()))
            };
            low = _mm256_add_epi16(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), *weight));
            high = _mm256_add_epi16(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), *weight));
        }
        let out = &mut out[x..x + 32];
        // SAFETY: `out` is 32 words long.
        unsafe {
            _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_permute2x128_si256::<0x20>(low, high));
            _mm256_storeu_si256(out.as_mut_ptr().add(16).cast(), _mm256_permute2x128_si256::<0x31>(low, high));
        }
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
pub(crate) fn columns(rows: &[u16], line: usize, taps: &PairTaps, scratch: &mut [u32], out: Block<'_>) {
    let pairs = line / 2;
    assert!(line.is_multiple_of(PAD) && rows.len() >= 8 * line && scratch.len() >= pairs * 8 && out.count <= 8);
    assert!(taps.weight.len() >= out.width.next_multiple_of(8) * taps.pairs * 2);
    let columns = out.width.next_multiple_of(8);
    for x in (0..line).step_by(16) {
        let mut block = [_mm256_setzero_si256(); 8];
        for (i, row) in block.iter_mut().enumerate() {
            let words = &rows[i * line + x..][..16];
            // SAFETY: `words` is sixteen words long.
            *row = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
        }
        for (k, column) in turn(block).into_iter().enumerate() {
            let at = &mut scratch[(x / 2 + k) * 8..][..8];
            // SAFETY: `at` is eight words long.
            unsafe { _mm256_storeu_si256(at.as_mut_ptr().cast(), column) };
        }
    }
    let mut eight = [_mm256_setzero_si256(); 8];
    for x in (0..columns).step_by(32) {
        for (k, four) in eight.iter_mut().enumerate() {
            let x = x + 4 * k;
            *four = if x < columns { four_outputs(scratch, pairs, taps, x, out.scale) } else { _mm256_setzero_si256() };
        }
        let width = (out.width - x).min(32);
        for (i, row) in turn(eight).into_iter().enumerate().take(out.count) {
            let start = i * out.stride + x;
            put(&mut out.data[start..start + width], row);
        }
    }
}

/// Outputs x to x + 3 of eight rows: a 32-bit lane for each row.
#[target_feature(enable = "avx2")]
fn four_outputs(scratch: &[u32], pairs: usize, taps: &PairTaps, x: usize, scale: f32) -> __m256i {
    let (again, scale) = (_mm256_set1_epi32((taps.total << 15) as i32), _mm256_set1_ps(scale));
    let one = |x: usize| {
        let first = (taps.first[x] as usize).min(pairs - taps.pairs);
        let weights = &taps.weight[x * taps.pairs * 2..][..taps.pairs * 2];
        let mut sum = again;
        for (k, w) in weights.as_chunks::<2>().0.iter().enumerate() {
            // SAFETY: `scratch` holds `pairs` groups of eight words, and first + k is below `pairs`.
            let sums = unsafe { _mm256_loadu_si256(scratch.as_ptr().add((first + k) * 8).cast()) };
            let weight = _mm256_set1_epi32(i32::from(w[0]) | i32::from(w[1]) << 16);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(sums, weight));
        }
        _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale))
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
