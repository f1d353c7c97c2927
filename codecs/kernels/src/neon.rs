//! Scaling with NEON. Each function equals its namesake in `scale/scalar.rs`; `tests/twins.rs` holds them together. NEON is part of the
//! architecture's baseline, so the simple kernels need no second compilation.
//!
//! Loads stay inside of the slices: full vectors where they fit, else one vector that ends with the row, else the scalar twin.

use std::arch::aarch64::*;

use crate::scale::scalar;
use crate::table::{BLOCK, Block, ByteTaps, PAD, PairTaps, Ring, Rows};

#[target_feature(enable = "neon")]
fn load(bytes: &[u8]) -> uint8x16_t {
    let bytes = &bytes[..16];
    // SAFETY: 16 bytes are there.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// Stores 16 bytes, or as many as there is room for.
#[target_feature(enable = "neon")]
fn put(out: &mut [u8], value: uint8x16_t) {
    if out.len() >= 16 {
        // SAFETY: 16 bytes are there.
        unsafe { vst1q_u8(out.as_mut_ptr(), value) };
    } else {
        let mut rest = [0; 16];
        // SAFETY: `rest` is 16 bytes long.
        unsafe { vst1q_u8(rest.as_mut_ptr(), value) };
        out.copy_from_slice(&rest[..out.len()]);
    }
}

/// Sums of neighbouring pairs of products; weights are never negative.
#[target_feature(enable = "neon")]
fn pairs(pixels: uint8x16_t, weights: uint8x16_t) -> uint16x8_t {
    let low = vmull_u8(vget_low_u8(pixels), vget_low_u8(weights));
    vpaddq_u16(low, vmull_high_u8(pixels, weights))
}

#[target_feature(enable = "neon")]
pub(crate) fn across(rows: Rows<'_>, taps: &ByteTaps, mut ring: Ring<'_>) {
    assert!(taps.window == 16 && rows.width >= 16 && taps.group * taps.each == 16);
    assert!(taps.outputs.is_multiple_of(32) && taps.base.len() >= taps.outputs / taps.group);
    let (starts, outs, count) = (rows.starts(), ring.starts(rows.first, taps.outputs), rows.count);
    let last = rows.width - 16;
    let tables = |group: usize| {
        let weights = &taps.weight[group * 16..][..16];
        // SAFETY: `weights` is 16 bytes long.
        (load(&taps.index[group * 16..]), unsafe { vreinterpretq_u8_s8(vld1q_s8(weights.as_ptr())) })
    };
    let products = |row: *const u8, base: u32, (index, weight): (uint8x16_t, uint8x16_t)| {
        // SAFETY: 16 bytes from there on are in the row, for `last` is its length less 16.
        let window = unsafe { vld1q_u8(row.wrapping_add((base as usize).min(last))) };
        pairs(vqtbl1q_u8(window, index), weight)
    };
    let put = |line: *mut i16, block: usize, words: uint16x8_t| {
        // SAFETY: a line holds all outputs, 8 for each block.
        unsafe { vst1q_s16(line.add(block * 8), vreinterpretq_s16_u16(words)) };
    };
    for block in 0..taps.outputs / 8 {
        if taps.each == 2 {
            let (tables, base) = (tables(block), taps.base[block]);
            for (row, out) in starts.iter().zip(outs).take(count) {
                put(out, block, products(*row, base, tables));
            }
        } else {
            let (even, odd, base) = (tables(2 * block), tables(2 * block + 1), &taps.base[2 * block..][..2]);
            for (row, out) in starts.iter().zip(outs).take(count) {
                put(out, block, vpaddq_u16(products(*row, base[0], even), products(*row, base[1], odd)));
            }
        }
    }
}

#[target_feature(enable = "neon")]
pub(crate) fn down(lines: &[i16], offsets: &[usize], weights: &[i16], _ahead: usize, out: &mut [u8]) {
    let padded = out.len().next_multiple_of(PAD);
    assert!(offsets.len() == weights.len() && offsets.iter().all(|o| o + padded <= lines.len()));
    let line = |offset: usize, x: usize| {
        // SAFETY: x + 8 is at most `padded`, and `padded` words from each offset on are in `lines`.
        unsafe { vld1q_s16(lines.as_ptr().add(offset + x)) }
    };
    let part = |x: usize| {
        let sum = if let (&[a, b], &[_, w]) = (offsets, weights) {
            let (a, b) = (line(a, x), line(b, x));
            vaddq_s16(a, vqrdmulhq_n_s16(vsubq_s16(b, a), w))
        } else {
            let mut sum = vdupq_n_s16(0);
            for (o, w) in offsets.iter().zip(weights) {
                sum = vaddq_s16(sum, vqrdmulhq_n_s16(line(*o, x), *w));
            }
            sum
        };
        vqrshrun_n_s16::<7>(sum)
    };
    for (i, out) in out.chunks_mut(16).enumerate() {
        put(out, vcombine_u8(part(i * 16), part(i * 16 + 8)));
    }
}

#[target_feature(enable = "neon")]
pub(crate) fn sums(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, ahead: usize, out: &mut [u16]) {
    assert!(offsets.len() == weights.len() && out.len() >= width && offsets.iter().all(|o| o + width <= data.len()));
    if width < 16 {
        return scalar::sums(data, offsets, weights, width, ahead, out);
    }
    for x in (0..width).step_by(16) {
        let x = x.min(width - 16);
        let (mut low, mut high) = (vdupq_n_u16(0), vdupq_n_u16(0));
        for (o, w) in offsets.iter().zip(weights) {
            let (row, weight) = (load(&data[o + x..]), vdupq_n_u8(*w as u8));
            low = vmlal_u8(low, vget_low_u8(row), vget_low_u8(weight));
            high = vmlal_high_u8(high, row, weight);
        }
        let out = &mut out[x..x + 16];
        // SAFETY: `out` is sixteen words long.
        unsafe {
            vst1q_u16(out.as_mut_ptr(), low);
            vst1q_u16(out.as_mut_ptr().add(8), high);
        }
    }
}

/// Four rows of four 32-bit columns, turned.
#[target_feature(enable = "neon")]
fn turn(r: [uint32x4_t; 4]) -> [uint32x4_t; 4] {
    let (a, b) = (vtrn1q_u32(r[0], r[1]), vtrn2q_u32(r[0], r[1]));
    let (c, d) = (vtrn1q_u32(r[2], r[3]), vtrn2q_u32(r[2], r[3]));
    let join = |low: uint32x4_t, high: uint32x4_t| {
        let (low, high) = (vreinterpretq_u64_u32(low), vreinterpretq_u64_u32(high));
        (vreinterpretq_u32_u64(vtrn1q_u64(low, high)), vreinterpretq_u32_u64(vtrn2q_u64(low, high)))
    };
    let ((first, third), (second, fourth)) = (join(a, c), join(b, d));
    [first, second, third, fourth]
}

#[target_feature(enable = "neon")]
pub(crate) fn columns(rows: &[u16], line: usize, taps: &PairTaps, scratch: &mut [u32], out: Block<'_>) {
    let pairs = line / 2;
    assert!(line.is_multiple_of(PAD) && rows.len() >= BLOCK * line && scratch.len() >= pairs * 4 && out.count <= BLOCK);
    for top in (0..out.count).step_by(4) {
        for x in (0..line).step_by(8) {
            let row = |i: usize| {
                let words = &rows[(top + i) * line + x..][..8];
                // SAFETY: `words` is eight words long.
                vreinterpretq_u32_u16(unsafe { vld1q_u16(words.as_ptr()) })
            };
            for (k, column) in turn([row(0), row(1), row(2), row(3)]).into_iter().enumerate() {
                let at = &mut scratch[(x / 2 + k) * 4..][..4];
                // SAFETY: `at` is four words long.
                unsafe { vst1q_u32(at.as_mut_ptr(), column) };
            }
        }
        for x in (0..out.width).step_by(16) {
            let four = |k: usize| four_outputs(scratch, pairs, taps, x + 4 * k, out.scale);
            let width = (out.width - x).min(16);
            let turned = turn([four(0), four(1), four(2), four(3)]);
            for (i, row) in turned.into_iter().enumerate().take(out.count - top) {
                let start = (top + i) * out.stride + x;
                put(&mut out.data[start..start + width], vreinterpretq_u8_u32(row));
            }
        }
    }
}

/// Outputs x to x + 3 of four rows: a 32-bit lane for each row.
#[target_feature(enable = "neon")]
fn four_outputs(scratch: &[u32], pairs: usize, taps: &PairTaps, x: usize, scale: f32) -> uint32x4_t {
    let one = |x: usize| {
        let first = (taps.first[x] as usize).min(pairs - taps.pairs);
        let weights = &taps.weight[x * taps.pairs * 2..][..taps.pairs * 2];
        let mut sum = vdupq_n_u32(0);
        for (k, w) in weights.as_chunks::<2>().0.iter().enumerate() {
            let at = &scratch[(first + k) * 4..][..4];
            // SAFETY: `at` is four words long.
            let sums = vreinterpretq_u16_u32(unsafe { vld1q_u32(at.as_ptr()) });
            let weight = vreinterpretq_u16_u32(vdupq_n_u32(w[0] as u32 | (w[1] as u32) << 16));
            let low = vmull_u16(vget_low_u16(sums), vget_low_u16(weight));
            sum = vaddq_u32(sum, vpaddq_u32(low, vmull_high_u16(sums, weight)));
        }
        vcvtnq_u32_f32(vmulq_n_f32(vcvtq_f32_u32(sum), scale))
    };
    let low = vsliq_n_u32::<8>(one(x), one(x + 1));
    vsliq_n_u32::<24>(vsliq_n_u32::<16>(low, one(x + 2)), one(x + 3))
}

#[target_feature(enable = "neon")]
pub(crate) fn halve(rows: [&[u8]; 2], out: &mut [u8]) {
    let whole = out.len() / 16 * 16;
    let means = |x: usize| {
        let pairs = |row: &[u8]| vpaddlq_u8(load(&row[x..]));
        vrshrn_n_u16::<2>(vaddq_u16(pairs(rows[0]), pairs(rows[1])))
    };
    for x in (0..whole).step_by(16) {
        put(&mut out[x..x + 16], vcombine_u8(means(2 * x), means(2 * x + 16)));
    }
    scalar::halve(rows.map(|r| &r[2 * whole..]), &mut out[whole..]);
}

#[target_feature(enable = "neon")]
pub(crate) fn quarter(rows: [&[u8]; 4], out: &mut [u8]) {
    let whole = out.len() / 16 * 16;
    let sums = |x: usize| {
        let pairs = |i: usize| vpaddlq_u8(load(&rows[i][x..]));
        vaddq_u16(vaddq_u16(pairs(0), pairs(1)), vaddq_u16(pairs(2), pairs(3)))
    };
    let means = |x: usize| vrshrn_n_u16::<4>(vpaddq_u16(sums(x), sums(x + 16)));
    for x in (0..whole).step_by(16) {
        put(&mut out[x..x + 16], vcombine_u8(means(4 * x), means(4 * x + 32)));
    }
    scalar::quarter(rows.map(|r| &r[4 * whole..]), &mut out[whole..]);
}
