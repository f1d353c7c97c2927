//! The simple kernels, written once as plain loops. The scalar level is this text; other levels are the same text, compiled with their
//! instructions (`table::compiled`), so that all agree by construction. Integers wrap nowhere by the bounds given; floats are added and
//! multiplied in the written order, never fused.

use crate::audio::{LIMIT_KNEE, MAX_GAIN};

/// `dst` becomes the mean of `dst` and `src`, weighted by `alpha` / 255, rounded to nearest.
#[inline(always)]
pub(crate) fn blend(dst: &mut [u8], src: &[u8], alpha: &[u8]) {
    for ((d, s), a) in dst.iter_mut().zip(src).zip(alpha) {
        let a = u16::from(*a);
        let sum = u16::from(*d) * (255 - a) + u16::from(*s) * a + 128;
        *d = ((sum + (sum >> 8)) >> 8) as u8;
    }
}

/// Pairs of (`u`, `v`).
#[inline(always)]
pub(crate) fn interleave(u: &[u8], v: &[u8], out: &mut [u8]) {
    for ((pair, u), v) in out.as_chunks_mut::<2>().0.iter_mut().zip(u).zip(v) {
        *pair = [*u, *v];
    }
}

/// Pairs taken apart.
#[inline(always)]
pub(crate) fn deinterleave(uv: &[u8], u: &mut [u8], v: &mut [u8]) {
    for ((pair, u), v) in uv.as_chunks::<2>().0.iter().zip(u).zip(v) {
        [*u, *v] = *pair;
    }
}

/// Values move towards `towards`: `keep` / 256 of the distance stays (0 to 256).
#[inline(always)]
pub(crate) fn dim(row: &mut [u8], towards: u8, keep: u16) {
    let keep = keep.min(256);
    let base = u16::from(towards) * (256 - keep) + 128;
    for value in row {
        *value = ((u16::from(*value) * keep + base) >> 8) as u8;
    }
}

/// Sound onto a sum; 65536 voices fit.
#[inline(always)]
pub(crate) fn add(sum: &mut [i32], samples: &[i16]) {
    for (sum, sample) in sum.iter_mut().zip(samples) {
        *sum = sum.wrapping_add(i32::from(*sample));
    }
}

/// Sound onto a sum, with a gain that goes from `from` by `step` a sample.
#[inline(always)]
pub(crate) fn add_f32(sum: &mut [f32], samples: &[f32], from: f32, step: f32) {
    for (i, (sum, sample)) in sum.iter_mut().zip(samples).enumerate() {
        *sum += *sample * (from + i as i32 as f32 * step);
    }
}

/// A gain that goes from `from` by `step` a sample; rounded to even, saturated.
#[inline(always)]
pub(crate) fn gain(samples: &mut [i16], from: f32, step: f32) {
    for (i, sample) in samples.iter_mut().enumerate() {
        let value = f32::from(*sample) * (from + i as i32 as f32 * step);
        *sample = round(clamp(value, -32768.0, 32767.0));
    }
}

/// A sum through the limiter.
#[inline(always)]
pub(crate) fn limit(sum: &[i32], out: &mut [i16]) {
    for (out, sum) in out.iter_mut().zip(sum) {
        *out = limited(*sum);
    }
}

/// A sum less one's own sound (mix-minus), through the limiter.
#[inline(always)]
pub(crate) fn limit_without(sum: &[i32], own: &[i16], out: &mut [i16]) {
    for ((out, sum), own) in out.iter_mut().zip(sum).zip(own) {
        *out = limited(sum.wrapping_sub(i32::from(*own)));
    }
}

/// Full scale is ±1; what is not a number becomes silence.
#[inline(always)]
pub(crate) fn limit_f32(samples: &mut [f32]) {
    for sample in samples {
        let value = if sample.is_nan() { 0.0 } else { *sample };
        *sample = soft(clamp(value.abs(), 0.0, MAX_GAIN * 65536.0), LIMIT_KNEE, 1.0 - LIMIT_KNEE).copysign(value);
    }
}

/// 16 bits as ±1.
#[inline(always)]
pub(crate) fn to_f32(samples: &[i16], out: &mut [f32]) {
    for (out, sample) in out.iter_mut().zip(samples) {
        *out = f32::from(*sample) * (1.0 / 32768.0);
    }
}

/// ±1 as 16 bits, rounded to even, saturated; what is not a number becomes silence.
#[inline(always)]
pub(crate) fn to_i16(samples: &[f32], out: &mut [i16]) {
    for (out, sample) in out.iter_mut().zip(samples) {
        let value = if sample.is_nan() { 0.0 } else { *sample * 32768.0 };
        *out = round(clamp(value, -32768.0, 32767.0));
    }
}

/// Sum of products; exact while the taps' absolute sum is below 65536.
#[inline(always)]
pub(crate) fn dot(samples: &[i16], taps: &[i16]) -> i32 {
    samples.iter().zip(taps).fold(0_i32, |sum, (s, t)| sum.wrapping_add(i32::from(*s) * i32::from(*t)))
}

#[inline(always)]
fn limited(sum: i32) -> i16 {
    let value = sum as f32;
    let knee = LIMIT_KNEE * 32768.0;
    let level = soft(value.abs(), knee, 32767.0 - knee);
    round(level.copysign(value))
}

/// Below the knee nothing changes; above it the rest `d` becomes `room × d / (room + d)`: same slope at the knee, never over `knee + room`.
#[inline(always)]
fn soft(level: f32, knee: f32, room: f32) -> f32 {
    let over = if level > knee { level - knee } else { 0.0 };
    let under = if level > knee { knee } else { level };
    under + room * over / (room + over)
}

#[inline(always)]
fn clamp(value: f32, low: f32, high: f32) -> f32 {
    let value = if value > low { value } else { low };
    if value < high { value } else { high }
}

/// To nearest, ties to even, for values within ±32768: adding 1.5 × 2²³ leaves the integer in the low bits.
#[inline(always)]
fn round(value: f32) -> i16 {
    const MAGIC: f32 = 12_582_912.0;
    ((value + MAGIC).to_bits() as i32).wrapping_sub(0x4B40_0000) as i16
}
