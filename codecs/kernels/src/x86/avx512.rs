//! Scaling with AVX-512: byte permutes (VBMI) gather odd ratios, VNNI sums the products, masks keep every access inside of its row.
//! Each function equals its namesake in `scale/scalar.rs`; `tests/twins.rs` holds them together.

use std::arch::x86_64::*;

use crate::scale::scalar;
use crate::table::{ByteTaps, PAD, PAIRED, Ring, Rows, SOURCE_AHEAD, Strip, WindowTaps};

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

/// Windows are followed by others before they end: what a window leaves beyond its outputs is overwritten by the next.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub(crate) fn across(rows: Rows<'_>, taps: &ByteTaps, ring: Ring<'_>) {
    match rows.count {
        4 => batch::<4>(rows, taps, ring),
        3 => batch::<3>(rows, taps, ring),
        2 => batch::<2>(rows, taps, ring),
        _ => batch::<1>(rows, taps, ring),
    }
}

/// [`across`] for `N` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn batch<const N: usize>(rows: Rows<'_>, taps: &ByteTaps, mut ring: Ring<'_>) {
    assert!(rows.count == N && taps.window == PAIRED && rows.width >= PAIRED && matches!(taps.each, 2 | 4));
    let (groups, pairs) = ((taps.outputs - 32) / taps.group + 1, taps.each / 2);
    let tabled = groups * pairs * 64;
    assert!(taps.base.len() >= groups && taps.index.len() >= tabled && taps.weight.len() >= tabled);
    let (first, stride, last) = (rows.starts()[0], rows.stride, rows.width - PAIRED);
    let lines = ring.starts(rows.first, taps.outputs);
    let window = |base: u32| {
        // 64 bytes from there on are in the row, for `last` is its length less 64.
        first.wrapping_add((base as usize).min(last))
    };
    let read = |window: *const u8, row: usize| {
        let at = window.wrapping_add(row * stride);
        // SAFETY: `window` gave a place in the first row, and there are `N` rows. A prefetch may name any address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(SOURCE_AHEAD * stride).cast());
            _mm512_loadu_si512(at.cast())
        }
    };
    let tables = |pair: usize| {
        // SAFETY: both tables hold 64 bytes for each pair of each group, as asserted.
        unsafe {
            let (index, weight) = (taps.index.as_ptr().add(pair * 64), taps.weight.as_ptr().add(pair * 64));
            (_mm512_load_si512(index.cast()), _mm512_load_si512(weight.cast()))
        }
    };
    let put = |row: usize, group: usize, words: __m512i| {
        // SAFETY: a line holds all outputs, and so many are 32 from the last group's first on.
        unsafe { _mm512_storeu_si512(lines[row].add(group * taps.group).cast(), words) };
    };
    let products = |pixels: __m512i, (index, weight): (__m512i, __m512i)| {
        _mm512_maddubs_epi16(_mm512_permutexvar_epi8(index, pixels), weight)
    };
    for (group, base) in taps.base[..groups].iter().enumerate() {
        let at = window(*base);
        if pairs == 1 {
            let tables = tables(group);
            for row in 0..N {
                put(row, group, products(read(at, row), tables));
            }
        } else {
            let (first, second) = (tables(2 * group), tables(2 * group + 1));
            for row in 0..N {
                let pixels = read(at, row);
                put(row, group, _mm512_add_epi16(products(pixels, first), products(pixels, second)));
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn down(lines: &[i16], offsets: &[usize], weights: &[i16], ahead: usize, out: &mut [u8]) {
    let padded = out.len().next_multiple_of(PAD);
    assert!(offsets.len() == weights.len() && offsets.iter().all(|o| o + padded <= lines.len()));
    let line = |offset: usize, x: usize| {
        // SAFETY: x + 32 is at most `padded`, and `padded` words from each offset on are in `lines`.
        unsafe { _mm512_loadu_si512(lines.as_ptr().add(offset + x).cast()) }
    };
    match (offsets, weights) {
        (&[a, b], &[_, w]) => {
            let w = _mm512_set1_epi16(w);
            finish(ahead, out, |x| {
                let (a, b) = (line(a, x), line(b, x));
                _mm512_add_epi16(a, _mm512_mulhrs_epi16(_mm512_sub_epi16(b, a), w))
            });
        }
        (&[a, b, c], &[u, v, w]) => {
            let (u, v, w) = (_mm512_set1_epi16(u), _mm512_set1_epi16(v), _mm512_set1_epi16(w));
            finish(ahead, out, |x| {
                let sum = _mm512_add_epi16(_mm512_mulhrs_epi16(line(a, x), u), _mm512_mulhrs_epi16(line(b, x), v));
                _mm512_add_epi16(sum, _mm512_mulhrs_epi16(line(c, x), w))
            });
        }
        (&[a, b, c, d], &[t, u, v, w]) => {
            let (t, u, v, w) = (_mm512_set1_epi16(t), _mm512_set1_epi16(u), _mm512_set1_epi16(v), _mm512_set1_epi16(w));
            finish(ahead, out, |x| {
                let sum = _mm512_add_epi16(_mm512_mulhrs_epi16(line(a, x), t), _mm512_mulhrs_epi16(line(b, x), u));
                let rest = _mm512_add_epi16(_mm512_mulhrs_epi16(line(c, x), v), _mm512_mulhrs_epi16(line(d, x), w));
                _mm512_add_epi16(sum, rest)
            });
        }
        _ => finish(ahead, out, |x| {
            let mut sum = _mm512_setzero_si512();
            for (o, w) in offsets.iter().zip(weights) {
                sum = _mm512_add_epi16(sum, _mm512_mulhrs_epi16(line(*o, x), _mm512_set1_epi16(*w)));
            }
            sum
        }),
    }
}

/// Fetches the line `ahead` bytes from the start of `out` on.
#[target_feature(enable = "avx512f")]
fn fetch(out: &[u8], ahead: usize) {
    // A prefetch may name any address.
    _mm_prefetch::<_MM_HINT_T0>(out.as_ptr().wrapping_add(ahead).cast());
}

/// Words of `part` as bytes, from Q7.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn finish(ahead: usize, out: &mut [u8], part: impl Fn(usize) -> __m512i) {
    let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    // The high half of a product with 2⁸, doubled and rounded, is (word + 64) >> 7.
    let part = |x: usize| _mm512_mulhrs_epi16(part(x), _mm512_set1_epi16(256));
    let whole = out.len() / 64 * 64;
    for x in (0..whole).step_by(64) {
        fetch(out, x + ahead);
        let bytes = _mm512_permutexvar_epi64(order, _mm512_packus_epi16(part(x), part(x + 32)));
        store(&mut out[x..x + 64], bytes);
    }
    let rest = out.len() - whole;
    if rest > 0 {
        fetch(out, whole + ahead);
        let low = part(whole);
        let high = if rest > 32 { part(whole + 32) } else { low };
        store(&mut out[whole..], _mm512_permutexvar_epi64(order, _mm512_packus_epi16(low, high)));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
pub(crate) fn gather(rows: Strip<'_>, taps: &WindowTaps, ahead: usize, out: &mut [u8]) {
    match taps.quads {
        1 => gathered::<1>(rows, taps, ahead, out),
        2 => gathered::<2>(rows, taps, ahead, out),
        4 => gathered::<4>(rows, taps, ahead, out),
        8 => gathered::<8>(rows, taps, ahead, out),
        _ => gathered::<16>(rows, taps, ahead, out),
    }
}

/// [`gather`] for outputs of `Q` groups of four bytes. A window's sixteen sums belong to `16 / Q` outputs; `Q` windows make sixteen outputs.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn gathered<const Q: usize>(rows: Strip<'_>, taps: &WindowTaps, ahead: usize, out: &mut [u8]) {
    let Strip { data, stride, width, count, ends, part, scale } = rows;
    let groups = out.len().div_ceil(16) * Q;
    assert!(taps.quads == Q && count > 0 && width >= 64 && (count - 1) * stride + width <= data.len());
    assert!(taps.base.len() >= groups && taps.index.len() >= groups * 64 && taps.weight.len() >= groups * 64);
    let ends = ends.map(|weight| _mm512_set1_epi32(i32::from(weight)));
    let (part, scale, zero) = (_mm_cvtsi32_si128(part as i32), _mm512_set1_ps(scale), _mm512_setzero_si512());
    // The next output row starts with the last row of this one.
    let below = (count - 1) * stride;
    let mut order = [0; 16];
    for (i, lane) in order.iter_mut().enumerate() {
        *lane = (i % (16 / Q) * Q + i / (16 / Q)) as u8;
    }
    // SAFETY: `order` is sixteen bytes long.
    let order = unsafe { _mm_loadu_si128(order.as_ptr().cast()) };
    for x in (0..out.len()).step_by(64) {
        fetch(out, x + ahead);
    }
    for (block, out) in out.chunks_mut(16).enumerate() {
        let mut all = zero;
        for i in 0..Q {
            let group = block * Q + i;
            // SAFETY: all three tables have this group, as asserted.
            let (base, index, weight) = unsafe {
                let (index, weight) = (taps.index.as_ptr().add(group * 64), taps.weight.as_ptr().add(group * 64));
                let base = *taps.base.as_ptr().add(group) as usize;
                (base.min(width - 64), _mm512_load_si512(index.cast()), _mm512_load_si512(weight.cast()))
            };
            let add = |sum: __m512i, row: usize| {
                let at = data.as_ptr().wrapping_add(row * stride + base);
                // SAFETY: row is below `count`, and 64 bytes from `base` on are in the row. A prefetch may name any address.
                let window = unsafe {
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(below).cast());
                    _mm512_loadu_si512(at.cast())
                };
                _mm512_dpbusd_epi32(sum, _mm512_permutexvar_epi8(index, window), weight)
            };
            let (first, last) = (add(zero, 0), add(zero, count - 1));
            let whole = (1..count - 1).fold(zero, add);
            let edges = _mm512_add_epi32(_mm512_madd_epi16(first, ends[0]), _mm512_madd_epi16(last, ends[1]));
            let sum = fold::<Q>(_mm512_add_epi32(_mm512_sll_epi32(whole, part), edges));
            all = _mm512_mask_mov_epi32(all, lanes::<Q>() << i, sum);
        }
        let bytes = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(all), scale));
        let bytes = _mm_shuffle_epi8(_mm512_cvtepi32_epi8(bytes), order);
        // SAFETY: masked lanes are not touched, the others are in the slice.
        unsafe { _mm_mask_storeu_epi8(out.as_mut_ptr().cast(), mask(out.len()) as u16, bytes) };
    }
}

/// Every `Q`-th lane.
const fn lanes<const Q: usize>() -> u16 {
    match Q {
        1 => 0xFFFF,
        2 => 0x5555,
        4 => 0x1111,
        8 => 0x0101,
        _ => 1,
    }
}

/// In each `Q` neighbouring lanes, the sum of them.
#[target_feature(enable = "avx512f")]
fn fold<const Q: usize>(mut v: __m512i) -> __m512i {
    if Q >= 2 {
        v = _mm512_add_epi32(v, _mm512_shuffle_epi32::<0b10_11_00_01>(v));
    }
    if Q >= 4 {
        v = _mm512_add_epi32(v, _mm512_shuffle_epi32::<0b01_00_11_10>(v));
    }
    if Q >= 8 {
        v = _mm512_add_epi32(v, _mm512_shuffle_i32x4::<0b10_11_00_01>(v, v));
    }
    if Q >= 16 {
        v = _mm512_add_epi32(v, _mm512_shuffle_i32x4::<0b01_00_11_10>(v, v));
    }
    v
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
