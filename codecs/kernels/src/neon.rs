//! Scaling with NEON. Each function equals its namesake in `scale/scalar.rs`; `tests/twins.rs` holds them together. NEON is part of the
//! architecture's baseline, so the simple kernels need no second compilation.
//!
//! Loads stay inside of the slices: full vectors where they fit, else one vector that ends with the row, else the scalar twin.

use std::arch::aarch64::*;

use crate::scale::scalar::{self, ROUND21};
use crate::table::{BLOCK, Block, ByteTaps, PAD, QuadTaps};

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
pub(crate) fn row4(src: &[u8], taps: &ByteTaps, out: &mut [i16]) {
    assert!(taps.group == 4 && taps.window == 16 && src.len() >= 16);
    assert!(
        out.len() <= taps.base.len() * 4 && taps.index.len() >= out.len() * 4 && taps.weight.len() >= out.len() * 4
    );
    let last = src.len() - 16;
    for (i, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let four = |g: usize| {
            let group = 2 * i + g;
            let picked =
                vqtbl1q_u8(load(&src[(taps.base[group] as usize).min(last)..]), load(&taps.index[group * 16..]));
            let weights = &taps.weight[group * 16..][..16];
            // SAFETY: `weights` is 16 bytes long.
            pairs(picked, unsafe { vreinterpretq_u8_s8(vld1q_s8(weights.as_ptr())) })
        };
        let sums = vreinterpretq_s16_u16(vpaddq_u16(four(0), four(1)));
        // SAFETY: `out` is 8 words long.
        unsafe { vst1q_s16(out.as_mut_ptr(), sums) };
    }
}

#[target_feature(enable = "neon")]
pub(crate) fn rows14(lines: &[i16], offsets: &[usize], weights: &[i16], out: &mut [u8]) {
    let padded = out.len().next_multiple_of(PAD);
    assert!(offsets.len() == weights.len() && offsets.iter().all(|o| o + padded <= lines.len()));
    for (i, out) in out.chunks_mut(16).enumerate() {
        let half = |x: usize| {
            let (mut low, mut high) = (vdupq_n_s32(ROUND21), vdupq_n_s32(ROUND21));
            for (o, w) in offsets.iter().zip(weights) {
                // SAFETY: 8 words from each offset + x on are in `lines`, for x + 8 is at most `padded`.
                let words = unsafe { vld1q_s16(lines.as_ptr().add(o + x)) };
                low = vmlal_n_s16(low, vget_low_s16(words), *w);
                high = vmlal_high_n_s16(high, words, *w);
            }
            vqshrun_n_s16::<5>(vcombine_s16(vshrn_n_s32::<16>(low), vshrn_n_s32::<16>(high)))
        };
        put(out, vcombine_u8(half(i * 16), half(i * 16 + 8)));
    }
}

#[target_feature(enable = "neon")]
pub(crate) fn rows7(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, ahead: usize, out: &mut [u8]) {
    assert!(offsets.len() == weights.len() && out.len() >= width && offsets.iter().all(|o| o + width <= data.len()));
    if width < 16 {
        return scalar::rows7(data, offsets, weights, width, ahead, out);
    }
    for x in (0..width).step_by(16) {
        let x = x.min(width - 16);
        let (mut low, mut high) = (vdupq_n_u16(0), vdupq_n_u16(0));
        for (o, w) in offsets.iter().zip(weights) {
            let (row, weight) = (load(&data[o + x..]), vdupq_n_u8(*w as u8));
            low = vmlal_u8(low, vget_low_u8(row), vget_low_u8(weight));
            high = vmlal_high_u8(high, row, weight);
        }
        put(&mut out[x..x + 16], vcombine_u8(vrshrn_n_u16::<7>(low), vrshrn_n_u16::<7>(high)));
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
pub(crate) fn columns7(rows: &[u8], line: usize, taps: &QuadTaps, scratch: &mut [u32], out: Block<'_>) {
    let quads = line / 4;
    assert!(line.is_multiple_of(PAD) && rows.len() >= BLOCK * line && scratch.len() >= quads * 4 && out.count <= BLOCK);
    for top in (0..out.count).step_by(4) {
        for x in (0..line).step_by(16) {
            let row = |i: usize| vreinterpretq_u32_u8(load(&rows[(top + i) * line + x..]));
            for (k, column) in turn([row(0), row(1), row(2), row(3)]).into_iter().enumerate() {
                let at = &mut scratch[(x / 4 + k) * 4..][..4];
                // SAFETY: `at` is four words long.
                unsafe { vst1q_u32(at.as_mut_ptr(), column) };
            }
        }
        for x in (0..out.width).step_by(16) {
            let four = |k: usize| quad(scratch, quads, taps, x + 4 * k);
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
fn quad(scratch: &[u32], quads: usize, taps: &QuadTaps, x: usize) -> uint32x4_t {
    let one = |x: usize| {
        let first = (taps.first[x] as usize).min(quads - taps.quads);
        let weights = &taps.weight[x * taps.quads * 4..][..taps.quads * 4];
        let mut sum = vdupq_n_u32(64);
        for (k, w) in weights.as_chunks::<4>().0.iter().enumerate() {
            let at = &scratch[(first + k) * 4..][..4];
            // SAFETY: `at` is four words long.
            let pixels = vreinterpretq_u8_u32(unsafe { vld1q_u32(at.as_ptr()) });
            let weight = vreinterpretq_u8_u32(vdupq_n_u32(u32::from_le_bytes(w.map(|w| w as u8))));
            sum = vpadalq_u16(sum, pairs(pixels, weight));
        }
        vshrq_n_u32::<7>(sum)
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
