//! Sound: sums of voices, one's own voice taken out again (mix-minus), gain that glides, a soft limiter, and changes of rate.
//!
//! A mix is a sum of 32-bit integers: exact, so that taking a voice out leaves what the others said. The limiter brings it to 16 bits.

mod resample;

pub use resample::{Rate, Resampler};

use crate::level::Kernels;

/// Above this share of full scale (−2.5 dBFS) the limiter bends. Higher: harder clipping; lower: loud single voices are coloured.
pub const LIMIT_KNEE: f32 = 0.75;

/// Gains are held to 0 to this (+36 dB); what is not a number is silence.
pub(crate) const MAX_GAIN: f32 = 64.0;

fn held(gain: f32) -> f32 {
    if gain.is_nan() { 0.0 } else { gain.clamp(0.0, MAX_GAIN) }
}

/// The step of a gain that goes from `from` to `to` over `samples`.
fn glide(from: f32, to: f32, samples: usize) -> (f32, f32) {
    let (from, to) = (held(from), held(to));
    (from, if samples == 0 { 0.0 } else { (to - from) / samples as f32 })
}

impl Kernels {
    /// Adds `samples` to `sum`, as far as both go. 65,536 voices fit before it wraps.
    pub fn mix(self, sum: &mut [i32], samples: &[i16]) {
        // SAFETY: the processor has this level.
        unsafe { (self.table.add)(sum, samples) };
    }

    /// Adds `samples` to `sum` with a gain that glides from `from` to `to` (0 to 64), as far as both go. Full scale is ±1.
    pub fn mix_f32(self, sum: &mut [f32], samples: &[f32], from: f32, to: f32) {
        let (from, step) = glide(from, to, sum.len().min(samples.len()));
        // SAFETY: the processor has this level.
        unsafe { (self.table.add_f32)(sum, samples, from, step) };
    }

    /// Multiplies by a gain that glides from `from` to `to` (0 to 64) over the samples; saturates.
    pub fn gain(self, samples: &mut [i16], from: f32, to: f32) {
        let (from, step) = glide(from, to, samples.len());
        // SAFETY: the processor has this level.
        unsafe { (self.table.gain)(samples, from, step) };
    }

    /// A sum as 16-bit sound: unchanged up to [`LIMIT_KNEE`], bent softly above, never clipped.
    pub fn limit(self, sum: &[i32], out: &mut [i16]) {
        // SAFETY: the processor has this level.
        unsafe { (self.table.limit)(sum, out) };
    }

    /// A sum less `own`, which was mixed into it, as 16-bit sound through the limiter.
    pub fn limit_without(self, sum: &[i32], own: &[i16], out: &mut [i16]) {
        // SAFETY: the processor has this level.
        unsafe { (self.table.limit_without)(sum, own, out) };
    }

    /// The limiter in place, full scale ±1. What is not a number becomes silence.
    pub fn limit_f32(self, samples: &mut [f32]) {
        // SAFETY: the processor has this level.
        unsafe { (self.table.limit_f32)(samples) };
    }

    /// 16-bit sound as ±1, as far as both go.
    pub fn to_f32(self, samples: &[i16], out: &mut [f32]) {
        // SAFETY: the processor has this level.
        unsafe { (self.table.to_f32)(samples, out) };
    }

    /// ±1 as 16-bit sound, rounded and saturated, as far as both go. What is not a number becomes silence.
    pub fn to_i16(self, samples: &[f32], out: &mut [i16]) {
        // SAFETY: the processor has this level.
        unsafe { (self.table.to_i16)(samples, out) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_taken_out_of_the_mix_is_not_heard() {
        let kernels = Kernels::best();
        let (own, other): (Vec<i16>, Vec<i16>) = (0..480).map(|i| (i * 37 % 4500, i * 61 % 3500 - 3500)).unzip();
        let (mut sum, mut out) = (vec![0; 480], vec![0; 480]);
        kernels.mix(&mut sum, &own);
        kernels.mix(&mut sum, &other);
        kernels.limit_without(&sum, &own, &mut out);
        assert_eq!(out, other);
    }

    #[test]
    fn the_limiter_leaves_quiet_sound_alone_and_bends_loud_sound_in_order() {
        let kernels = Kernels::best();
        let sum: Vec<i32> = (-600_000..600_000).step_by(64).collect();
        let mut out = vec![0; sum.len()];
        kernels.limit(&sum, &mut out);
        for (sum, out) in sum.iter().zip(&out).filter(|(s, _)| s.abs() <= 24_576) {
            assert_eq!(i32::from(*out), *sum);
        }
        assert!(out.windows(2).all(|o| o[0] <= o[1]), "louder stays louder");
        assert!(out.iter().all(|o| *o > -32_768) && out[0] < -32_600);
        let mut odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.5, -2.0];
        kernels.limit_f32(&mut odd);
        assert_eq!(odd[0], 0.0);
        assert!(odd[1] <= 1.0 && odd[1] > 0.99 && odd[2] == -odd[1]);
        assert_eq!(odd[3], 0.5);
        assert!(odd[4] > -1.0 && odd[4] < -0.9);
    }

    #[test]
    fn a_gain_glides_and_saturates_and_nonsense_is_silence() {
        let kernels = Kernels::best();
        let mut samples = vec![1000; 100];
        kernels.gain(&mut samples, 0.0, 1.0);
        assert_eq!((samples[0], samples[50], samples[99]), (0, 500, 990));
        let mut loud = [30_000, -30_000];
        kernels.gain(&mut loud, 2.0, 2.0);
        assert_eq!(loud, [32_767, -32_768]);
        kernels.gain(&mut loud, f32::NAN, -3.0);
        assert_eq!(loud, [0, 0]);
        let mut sum = [0.25_f32; 3];
        kernels.mix_f32(&mut sum, &[0.5; 3], 2.0, 2.0);
        assert_eq!(sum, [1.25; 3]);
    }

    #[test]
    fn floats_and_words_convert_back_and_forth() {
        let kernels = Kernels::best();
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let (mut floats, mut back) = (vec![0.0; all.len()], vec![0; all.len()]);
        kernels.to_f32(&all, &mut floats);
        kernels.to_i16(&floats, &mut back);
        assert_eq!(back, all);
        let mut out = [1; 4];
        kernels.to_i16(&[f32::NAN, 7.0, -7.0, f32::INFINITY], &mut out);
        assert_eq!(out, [0, 32_767, -32_768, 32_767]);
    }
}
