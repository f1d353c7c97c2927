//! Scaling with AVX-512: byte permutes (VBMI) gather odd ratios, VNNI sums the products, masks keep every access inside of its row.
//! Each function equals its namesake in `scale/scalar.rs`; `tests/twins.rs` holds them together.

use std::arch::x86_64::*;

use crate::scale::scalar;
use crate::table::{BLOCK, Block, ByteTaps, PAD, PAIRS, QuadTaps, Ring, Rows};

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

/// Words come out as packing leaves them (lane k: outputs 4k to 4k + 3 and 16 + 4k to 16 + 4k + 3 of each 32); `down` puts them in order.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(crate) fn across(rows: Rows<'_>, taps: &ByteTaps, mut ring: Ring<'_>) {
    assert!(taps.window == 64 && rows.width >= 64 && taps.group * taps.each == 64);
    let groups = taps.outputs / taps.group;
    assert!(taps.base.len() >= groups && taps.index.len() >= groups * 64 && taps.weight.len() >= groups * 64);
    let (starts, outs, count) = (rows.starts(), ring.starts(rows.first, taps.outputs), rows.count);
    let (last, ahead) = (rows.width - 64, count * rows.stride);
    let window = |row: *const u8, base: u32| {
        let at = row.wrapping_add((base as usize).min(last));
        // SAFETY: 64 bytes from there on are in the row, for `last` is its length less 64. A prefetch may name any address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(ahead).cast());
            _mm512_loadu_si512(at.cast())
        }
    };
    let tables = |group: usize| {
        // SAFETY: both tables hold 64 bytes for each group, as asserted.
        unsafe {
            let (index, weight) = (taps.index.as_ptr().add(group * 64), taps.weight.as_ptr().add(group * 64));
            (_mm512_loadu_si512(index.cast()), _mm512_loadu_si512(weight.cast()))
        }
    };
    let put = |line: *mut i16, block: usize, words: __m512i| {
        // SAFETY: a line holds all outputs, 32 for each block.
        unsafe { _mm512_storeu_si512(line.add(block * 32).cast(), words) };
    };
    if taps.each == 2 {
        for (block, base) in taps.base[..groups].iter().enumerate() {
            let (index, weight) = tables(block);
            for (row, out) in starts.iter().zip(outs).take(count) {
                let picked = _mm512_permutexvar_epi8(index, window(*row, *base));
                put(out, block, _mm512_maddubs_epi16(picked, weight));
            }
        }
    } else {
        for (block, base) in taps.base[..groups].as_chunks::<2>().0.iter().enumerate() {
            let ((index, weight), (index2, weight2)) = (tables(2 * block), tables(2 * block + 1));
            for (row, out) in starts.iter().zip(outs).take(count) {
                let zero = _mm512_setzero_si512();
                let a = _mm512_permutexvar_epi8(index, window(*row, base[0]));
                let b = _mm512_permutexvar_epi8(index2, window(*row, base[1]));
                let (a, b) = (_mm512_dpbusd_epi32(zero, a, weight), _mm512_dpbusd_epi32(zero, b, weight2));
                put(out, block, _mm512_packs_epi32(a, b));
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn down(lines: &[i16], offsets: &[usize], weights: &[i16], out: &mut [u8]) {
    let padded = out.len().next_multiple_of(PAD);
    assert!(offsets.len() == weights.len() && offsets.iter().all(|o| o + padded <= lines.len()));
    let line = |offset: usize, x: usize| {
        // SAFETY: x + 32 is at most `padded`, and `padded` words from each offset on are in `lines`.
        unsafe { _mm512_loadu_si512(lines.as_ptr().add(offset + x).cast()) }
    };
    let half = _mm512_set1_epi16(64);
    match (offsets, weights) {
        (&[a, b], &[_, w]) => {
            let w = _mm512_set1_epi16(w);
            finish(out, |x| {
                let (a, b) = (line(a, x), line(b, x));
                let sum = _mm512_add_epi16(a, _mm512_mulhrs_epi16(_mm512_sub_epi16(b, a), w));
                _mm512_srli_epi16::<7>(_mm512_add_epi16(sum, half))
            });
        }
        (&[a, b, c], &[u, v, w]) => {
            let (u, v, w) = (_mm512_set1_epi16(u), _mm512_set1_epi16(v), _mm512_set1_epi16(w));
            finish(out, |x| {
                let sum = _mm512_add_epi16(half, _mm512_mulhrs_epi16(line(a, x), u));
                let rest = _mm512_add_epi16(_mm512_mulhrs_epi16(line(b, x), v), _mm512_mulhrs_epi16(line(c, x), w));
                _mm512_srli_epi16::<7>(_mm512_add_epi16(sum, rest))
            });
        }
        (&[a, b, c, d], &[t, u, v, w]) => {
            let (t, u, v, w) = (_mm512_set1_epi16(t), _mm512_set1_epi16(u), _mm512_set1_epi16(v), _mm512_set1_epi16(w));
            finish(out, |x| {
                let sum = _mm512_add_epi16(_mm512_mulhrs_epi16(line(a, x), t), _mm512_mulhrs_epi16(line(b, x), u));
                let rest = _mm512_add_epi16(_mm512_mulhrs_epi16(line(c, x), v), _mm512_mulhrs_epi16(line(d, x), w));
                _mm512_srli_epi16::<7>(_mm512_add_epi16(_mm512_add_epi16(sum, rest), half))
            });
        }
        _ => finish(out, |x| {
            let mut sum = half;
            for (o, w) in offsets.iter().zip(weights) {
                sum = _mm512_add_epi16(sum, _mm512_mulhrs_epi16(line(*o, x), _mm512_set1_epi16(*w)));
            }
            _mm512_srli_epi16::<7>(sum)
        }),
    }
}

/// Words of `part` as bytes, in order again.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn finish(out: &mut [u8], part: impl Fn(usize) -> __m512i) {
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let whole = out.len() / 64 * 64;
    for x in (0..whole).step_by(64) {
        let bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(part(x), part(x + 32)));
        store(&mut out[x..x + 64], bytes);
    }
    let rest = out.len() - whole;
    if rest > 0 {
        let low = part(whole);
        let high = if rest > 32 { part(whole + 32) } else { low };
        store(&mut out[whole..], _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn rows7(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, ahead: usize, out: &mut [u8]) {
    assert!(offsets.len() == weights.len() && out.len() >= width && offsets.iter().all(|o| o + width <= data.len()));
    assert!(offsets.len() <= 2 * PAIRS);
    let mut factors = [_mm512_setzero_si512(); PAIRS];
    for (factor, w) in factors.iter_mut().zip(weights.as_chunks::<2>().0) {
        *factor = _mm512_set1_epi16(i16::from_le_bytes([w[0] as u8, w[1] as u8]));
    }
    for (i, out) in out[..width].chunks_mut(64).enumerate() {
        let lanes = mask(out.len());
        let (mut low, mut high) = (_mm512_set1_epi16(64), _mm512_set1_epi16(64));
        for (o, weight) in offsets.as_chunks::<2>().0.iter().zip(&factors) {
            // SAFETY: lanes beyond `width` are masked; the others are in `data`, for offset + width is. A prefetch may name any address.
            let (a, b) = unsafe {
                let (a, b) = (data.as_ptr().add(o[0] + i * 64), data.as_ptr().add(o[1] + i * 64));
                _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(ahead).cast());
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(ahead).cast());
                (_mm512_maskz_loadu_epi8(lanes, a.cast()), _mm512_maskz_loadu_epi8(lanes, b.cast()))
            };
            low = _mm512_add_epi16(low, _mm512_maddubs_epi16(_mm512_unpacklo_epi8(a, b), *weight));
            high = _mm512_add_epi16(high, _mm512_maddubs_epi16(_mm512_unpackhi_epi8(a, b), *weight));
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
