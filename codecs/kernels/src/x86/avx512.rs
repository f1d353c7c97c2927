//! Scaling with AVX-512: byte permutes (VBMI) gather odd ratios, VNNI sums the products, masks keep every access inside of its row.
//! Each function equals its namesake in `scale/scalar.rs`; `tests/twins.rs` holds them together.

use std::arch::x86_64::*;

use crate::scale::scalar::{self, ROUND21};
use crate::table::{BLOCK, Block, ByteTaps, PAD, QuadTaps};

/// The first `count` of 64 lanes.
fn mask(count: usize) -> u64 {
    if count >= 64 { !0 } else { (1 << count) - 1 }
}

/// Up to 64 bytes; lanes beyond the slice are 0.
#[target_feature(enable = "avx512f,avx512bw")]
fn load(bytes: &[u8]) -> __m512i {
    // SAFETY: masked lanes are not touched, the others are in the slice.
    unsafe { _mm512_maskz_loadu_epi8(mask(bytes.len()), bytes.as_ptr().cast()) }
}

/// Up to 64 bytes, as many as the slice has room for.
#[target_feature(enable = "avx512f,avx512bw")]
fn store(bytes: &mut [u8], value: __m512i) {
    // SAFETY: masked lanes are not touched, the others are in the slice.
    unsafe { _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), mask(bytes.len()), value) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(crate) fn row4(src: &[u8], taps: &ByteTaps, out: &mut [i16]) {
    assert!(taps.group == 16 && taps.window == 64 && src.len() >= 64);
    assert!(
        out.len() <= taps.base.len() * 16 && taps.index.len() >= out.len() * 4 && taps.weight.len() >= out.len() * 4
    );
    let last = src.len() - 64;
    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    for ((i, out), bases) in out.as_chunks_mut::<32>().0.iter_mut().enumerate().zip(taps.base.as_chunks::<2>().0) {
        let sixteen = |g: usize| {
            let base = (bases[g] as usize).min(last);
            // SAFETY: 64 bytes from `base` on are in `src`, for `base` is at most its length less 64; the tables hold 64 bytes for each
            // group of the outputs asserted above.
            let (pixels, index, weight) = unsafe {
                (
                    _mm512_loadu_si512(src.as_ptr().add(base).cast()),
                    _mm512_loadu_si512(taps.index.as_ptr().add((2 * i + g) * 64).cast()),
                    _mm512_loadu_si512(taps.weight.as_ptr().add((2 * i + g) * 64).cast()),
                )
            };
            _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_permutexvar_epi8(index, pixels), weight)
        };
        let words = _mm512_permutexvar_epi64(order, _mm512_packs_epi32(sixteen(0), sixteen(1)));
        // SAFETY: `out` is 32 words long.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), words) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(crate) fn rows14(lines: &[i16], offsets: &[usize], weights: &[i16], out: &mut [u8]) {
    let padded = out.len().next_multiple_of(PAD);
    assert!(offsets.len() == weights.len() && offsets.iter().all(|o| o + padded <= lines.len()));
    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    for (i, out) in out.chunks_mut(64).enumerate() {
        let half = |x: usize| {
            let (mut low, mut high) = (_mm512_set1_epi32(ROUND21), _mm512_set1_epi32(ROUND21));
            for (o, w) in offsets.as_chunks::<2>().0.iter().zip(weights.as_chunks::<2>().0) {
                // SAFETY: 32 words from each offset + x on are in `lines`, for x + 32 is at most `padded`.
                let (a, b) = unsafe {
                    let at = lines.as_ptr().add(x);
                    (_mm512_loadu_si512(at.add(o[0]).cast()), _mm512_loadu_si512(at.add(o[1]).cast()))
                };
                let weight = _mm512_set1_epi32(i32::from(w[0]) | i32::from(w[1]) << 16);
                low = _mm512_dpwssd_epi32(low, _mm512_unpacklo_epi16(a, b), weight);
                high = _mm512_dpwssd_epi32(high, _mm512_unpackhi_epi16(a, b), weight);
            }
            _mm512_packs_epi32(_mm512_srai_epi32::<21>(low), _mm512_srai_epi32::<21>(high))
        };
        let bytes = _mm512_packus_epi16(half(i * 64), half(i * 64 + 32));
        store(out, _mm512_permutexvar_epi64(order, bytes));
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn rows7(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, ahead: usize, out: &mut [u8]) {
    assert!(offsets.len() == weights.len() && out.len() >= width && offsets.iter().all(|o| o + width <= data.len()));
    for (i, out) in out[..width].chunks_mut(64).enumerate() {
        let lanes = mask(out.len());
        let (mut low, mut high) = (_mm512_set1_epi16(64), _mm512_set1_epi16(64));
        for (o, w) in offsets.as_chunks::<2>().0.iter().zip(weights.as_chunks::<2>().0) {
            // SAFETY: lanes beyond `width` are masked; the others are in `data`, for offset + width is. A prefetch may name any address.
            let (a, b) = unsafe {
                let (a, b) = (data.as_ptr().add(o[0] + i * 64), data.as_ptr().add(o[1] + i * 64));
                _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(ahead).cast());
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(ahead).cast());
                (_mm512_maskz_loadu_epi8(lanes, a.cast()), _mm512_maskz_loadu_epi8(lanes, b.cast()))
            };
            let weight = _mm512_set1_epi16(i16::from_le_bytes([w[0] as u8, w[1] as u8]));
            low = _mm512_add_epi16(low, _mm512_maddubs_epi16(_mm512_unpacklo_epi8(a, b), weight));
            high = _mm512_add_epi16(high, _mm512_maddubs_epi16(_mm512_unpackhi_epi8(a, b), weight));
        }
        store(out, _mm512_packus_epi16(_mm512_srli_epi16::<7>(low), _mm512_srli_epi16::<7>(high)));
    }
}

/// Four vectors of 4×32 bits a lane, turned within each lane.
#[target_feature(enable = "avx512f")]
fn turn_lanes(r: [__m512i; 4]) -> [__m512i; 4] {
    let (a, b) = (_mm512_unpacklo_epi32(r[0], r[1]), _mm512_unpackhi_epi32(r[0], r[1]));
    let (c, d) = (_mm512_unpacklo_epi32(r[2], r[3]), _mm512_unpackhi_epi32(r[2], r[3]));
    [_mm512_unpacklo_epi64(a, c), _mm512_unpackhi_epi64(a, c), _mm512_unpacklo_epi64(b, d), _mm512_unpackhi_epi64(b, d)]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(crate) fn columns7(rows: &[u8], line: usize, taps: &QuadTaps, scratch: &mut [u32], out: Block<'_>) {
    let quads = line / 4;
    assert!(
        line.is_multiple_of(PAD) && rows.len() >= BLOCK * line && scratch.len() >= quads * BLOCK && out.count <= BLOCK
    );
    let columns = out.width.next_multiple_of(PAD);
    assert!(taps.first.len() >= columns && taps.weight.len() >= columns * taps.quads * 4);
    for x in (0..line).step_by(16) {
        // Lane l of vector i holds four quads of row 4l + i: turned within lanes, each vector holds one quad of all sixteen rows.
        let gather = |i: usize| {
            // SAFETY: rows 0 to 15 have 16 bytes at `x`, for `x` is a multiple of 16 below `line`, which is one too.
            unsafe {
                let at = |row: usize| _mm_loadu_si128(rows.as_ptr().add(row * line + x).cast());
                let all = _mm512_castsi128_si512(at(i));
                let all = _mm512_mask_broadcast_i32x4(all, 0x00F0, at(i + 4));
                let all = _mm512_mask_broadcast_i32x4(all, 0x0F00, at(i + 8));
                _mm512_mask_broadcast_i32x4(all, 0xF000, at(i + 12))
            }
        };
        for (k, column) in turn_lanes([gather(0), gather(1), gather(2), gather(3)]).into_iter().enumerate() {
            let at = &mut scratch[(x / 4 + k) * BLOCK..][..BLOCK];
            // SAFETY: `at` is sixteen words long.
            unsafe { _mm512_storeu_si512(at.as_mut_ptr().cast(), column) };
        }
    }
    for x in (0..out.width).step_by(16) {
        // Vector k: outputs x + 4k to x + 4k + 3 of all rows; turned within lanes, lane l of vector i holds sixteen outputs of row 4l + i.
        let four = |k: usize| quad(scratch, quads, taps, x + 4 * k);
        let turned = turn_lanes([four(0), four(1), four(2), four(3)]);
        let lanes = mask(out.width - x) as u16;
        for (i, all) in turned.into_iter().enumerate() {
            let parts = [
                _mm512_castsi512_si128(all),
                _mm512_extracti32x4_epi32::<1>(all),
                _mm512_extracti32x4_epi32::<2>(all),
                _mm512_extracti32x4_epi32::<3>(all),
            ];
            for (l, part) in parts.into_iter().enumerate().filter(|(l, _)| 4 * l + i < out.count) {
                put(&mut out.data[(4 * l + i) * out.stride + x..], lanes, part);
            }
        }
    }
}

/// The first lanes of 16 bytes; `lanes` is a run from lane 0.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn put(out: &mut [u8], lanes: u16, value: __m128i) {
    assert!(out.len() >= lanes.trailing_ones() as usize);
    // SAFETY: masked lanes are not touched, the others are in the slice.
    unsafe { _mm_mask_storeu_epi8(out.as_mut_ptr().cast(), lanes, value) };
}

/// Outputs x to x + 3 of sixteen rows: a 32-bit lane for each row.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn quad(scratch: &[u32], quads: usize, taps: &QuadTaps, x: usize) -> __m512i {
    let one = |x: usize| {
        let first = (taps.first[x] as usize).min(quads - taps.quads);
        let weights = &taps.weight[x * taps.quads * 4..][..taps.quads * 4];
        let mut sum = _mm512_set1_epi32(64);
        for (k, w) in weights.as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: `scratch` holds `quads` groups of sixteen words, and first + k is below `quads`.
            let pixels = unsafe { _mm512_loadu_si512(scratch.as_ptr().add((first + k) * BLOCK).cast()) };
            sum = _mm512_dpbusd_epi32(sum, pixels, _mm512_set1_epi32(i32::from_le_bytes(w.map(|w| w as u8))));
        }
        _mm512_srli_epi32::<7>(sum)
    };
    let (a, b, c, d) = (one(x), one(x + 1), one(x + 2), one(x + 3));
    let low = _mm512_or_si512(a, _mm512_slli_epi32::<8>(b));
    _mm512_or_si512(low, _mm512_or_si512(_mm512_slli_epi32::<16>(c), _mm512_slli_epi32::<24>(d)))
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn halve(rows: [&[u8]; 2], out: &mut [u8]) {
    let whole = out.len() / 64 * 64;
    let ones = _mm512_set1_epi8(1);
    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    let means = |x: usize| {
        let pairs = |row: &[u8]| _mm512_maddubs_epi16(load(&row[x..x + 64]), ones);
        let sum = _mm512_add_epi16(_mm512_add_epi16(pairs(rows[0]), pairs(rows[1])), _mm512_set1_epi16(2));
        _mm512_srli_epi16::<2>(sum)
    };
    for x in (0..whole).step_by(64) {
        let bytes = _mm512_packus_epi16(means(2 * x), means(2 * x + 64));
        store(&mut out[x..x + 64], _mm512_permutexvar_epi64(order, bytes));
    }
    scalar::halve(rows.map(|r| &r[2 * whole..]), &mut out[whole..]);
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn quarter(rows: [&[u8]; 4], out: &mut [u8]) {
    let whole = out.len() / 16 * 16;
    let ones = _mm512_set1_epi8(1);
    for x in (0..whole).step_by(16) {
        let pairs = |i: usize| _mm512_maddubs_epi16(load(&rows[i][4 * x..4 * x + 64]), ones);
        let sum = _mm512_add_epi16(_mm512_add_epi16(pairs(0), pairs(1)), _mm512_add_epi16(pairs(2), pairs(3)));
        let sum = _mm512_madd_epi16(sum, _mm512_set1_epi16(1));
        let means = _mm512_srli_epi32::<4>(_mm512_add_epi32(sum, _mm512_set1_epi32(8)));
        let out = &mut out[x..x + 16];
        // SAFETY: `out` is sixteen bytes long.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(means)) };
    }
    scalar::quarter(rows.map(|r| &r[4 * whole..]), &mut out[whole..]);
}
