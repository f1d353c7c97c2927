//! Change of rate between 8, 16, 24 and 48 kHz: a polyphase filter (Kaiser window, 64 taps at the lower rate), streaming.
//!
//! Taps are Q14 integers that sum to one in every phase; sums are exact in 32 bits. The pass band ends at 0.42 of the lower rate (3.4 kHz for
//! telephony), aliases lie 60 dB below. It delays by 32 samples of the lower rate.

use crate::level::Kernels;

/// A rate of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rate {
    /// 8 kHz, narrow band.
    Hz8000,
    /// 16 kHz, wide band.
    Hz16000,
    /// 24 kHz, super-wide band of Opus.
    Hz24000,
    /// 48 kHz, full band.
    Hz48000,
}

impl Rate {
    /// All rates, lowest first.
    pub const ALL: [Rate; 4] = [Rate::Hz8000, Rate::Hz16000, Rate::Hz24000, Rate::Hz48000];

    /// Samples a second.
    #[must_use]
    pub fn hz(self) -> u32 {
        match self {
            Rate::Hz8000 => 8000,
            Rate::Hz16000 => 16_000,
            Rate::Hz24000 => 24_000,
            Rate::Hz48000 => 48_000,
        }
    }

    /// The rate of so many samples a second.
    #[must_use]
    pub fn from_hz(hz: u32) -> Option<Rate> {
        Rate::ALL.into_iter().find(|r| r.hz() == hz)
    }
}

/// Taps at the lower rate. More: a sharper edge and more delay.
const TAPS: usize = 64;
/// Where the filter is 6 dB down, in the lower rate.
const CUTOFF: f64 = 0.46;
/// The Kaiser window's shape: 75 dB.
const BETA: f64 = 7.5;
/// Input taken at once, in samples: bounds the state.
const CHUNK: usize = 960;

/// A stream's change of rate. Feed it sound in pieces of any length; it keeps what the filter still needs.
#[derive(Debug)]
pub struct Resampler {
    kernels: Kernels,
    /// Output samples come every `down` of the grid that is `up` times finer than the input.
    up: usize,
    down: usize,
    /// Taps of a phase.
    taps: usize,
    /// `up` phases, each turned round, so that they meet the samples in order.
    phases: Vec<i16>,
    /// The last `taps - 1` samples, then up to [`CHUNK`] new ones.
    recent: Vec<i16>,
    /// The next output's place on the fine grid, counted from the first new sample.
    at: usize,
}

impl Resampler {
    /// From one rate to another. The same rate copies.
    #[must_use]
    pub fn new(kernels: Kernels, from: Rate, to: Rate) -> Resampler {
        let common = gcd(from.hz(), to.hz());
        let (up, down) = ((to.hz() / common) as usize, (from.hz() / common) as usize);
        let (taps, phases) = if up == down { (1, vec![1 << 14]) } else { design(up, down) };
        Resampler { kernels, up, down, taps, phases, recent: vec![0; taps - 1 + CHUNK], at: 0 }
    }

    /// Most samples that come out when `input` go in.
    #[must_use]
    pub fn output_len(&self, input: usize) -> usize {
        (input * self.up).div_ceil(self.down)
    }

    /// Forgets the past: the next input starts from silence.
    pub fn reset(&mut self) {
        self.recent.fill(0);
        self.at = 0;
    }

    /// Takes all of `input` and writes what it yields to the start of `out`; returns how many samples. What does not fit `out` is lost: give it
    /// [`Resampler::output_len`].
    pub fn run(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let past = self.taps - 1;
        let mut written = 0;
        for chunk in input.chunks(CHUNK) {
            self.recent[past..past + chunk.len()].copy_from_slice(chunk);
            while self.at < chunk.len() * self.up {
                let (newest, phase) = (self.at / self.up, self.at % self.up);
                if let Some(slot) = out.get_mut(written) {
                    let samples = &self.recent[newest..newest + self.taps];
                    // SAFETY: the processor has the level of `kernels`.
                    let sum =
                        unsafe { (self.kernels.table.dot)(samples, &self.phases[phase * self.taps..][..self.taps]) };
                    *slot = ((sum + (1 << 13)) >> 14).clamp(-32_768, 32_767) as i16;
                    written += 1;
                }
                self.at += self.down;
            }
            self.at -= chunk.len() * self.up;
            self.recent.copy_within(chunk.len()..chunk.len() + past, 0);
        }
        written
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Taps of every phase in Q14, and how many a phase has.
fn design(up: usize, down: usize) -> (usize, Vec<i16>) {
    // The grid is `up` times finer than the input; the lower rate's samples are max(up, down) of it apart.
    let wide = up.max(down);
    let length = TAPS * wide;
    let taps = length / up;
    let middle = (length as f64 - 1.0) / 2.0;
    let tap = |i: usize| {
        let x = i as f64 - middle;
        let edge = x / (middle + 0.5);
        let angle = std::f64::consts::TAU * CUTOFF * x / wide as f64;
        let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
        sinc * bessel(BETA * (1.0 - edge * edge).max(0.0).sqrt())
    };
    let mut phases = Vec::with_capacity(length);
    for phase in 0..up {
        // Sample j before the newest meets tap phase + j × up; turned round, the oldest comes first.
        let exact: Vec<f64> = (0..taps).rev().map(|j| tap(phase + j * up)).collect();
        let sum: f64 = exact.iter().sum();
        let mut whole: Vec<i16> = exact.iter().map(|t| (t / sum * 16384.0).round() as i16).collect();
        let missing = 16384 - whole.iter().map(|t| i32::from(*t)).sum::<i32>();
        if let Some(largest) = whole.iter_mut().max() {
            *largest += missing as i16;
        }
        phases.extend(whole);
    }
    (taps, phases)
}

/// The modified Bessel function of order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-12 {
        term *= (x / (2.0 * k)) * (x / (2.0 * k));
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> impl Iterator<Item = (Rate, Rate)> {
        Rate::ALL.into_iter().flat_map(|a| Rate::ALL.into_iter().map(move |b| (a, b)))
    }

    fn tone(rate: Rate, hz: f64, samples: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * hz / f64::from(rate.hz());
        (0..samples).map(|i| ((i as f64 * step).sin() * 16_000.0).round() as i16).collect()
    }

    /// Amplitude of a tone in sound, and what remains beside it (root mean square).
    fn find(sound: &[i16], rate: Rate, hz: f64) -> (f64, f64) {
        let step = std::f64::consts::TAU * hz / f64::from(rate.hz());
        let n = sound.len() as f64;
        let part = |f: fn(f64) -> f64| {
            2.0 / n * sound.iter().enumerate().map(|(i, s)| f64::from(*s) * f(i as f64 * step)).sum::<f64>()
        };
        let (s, c) = (part(f64::sin), part(f64::cos));
        let rest = sound.iter().enumerate().map(|(i, x)| {
            let angle = i as f64 * step;
            (f64::from(*x) - s * angle.sin() - c * angle.cos()).powi(2)
        });
        (s.hypot(c), (rest.sum::<f64>() / n).sqrt())
    }

    #[test]
    fn a_tone_keeps_its_height_and_loudness_through_every_pair_of_rates() {
        for (from, to) in pairs() {
            for hz in [440.0, 1000.0, 3000.0] {
                let mut resampler = Resampler::new(Kernels::best(), from, to);
                let input = tone(from, hz, from.hz() as usize / 2);
                let mut out = vec![0; resampler.output_len(input.len())];
                assert_eq!(resampler.run(&input, &mut out), to.hz() as usize / 2);
                // Whole periods, after the filter has filled.
                let (level, noise) = find(&out[to.hz() as usize / 10..][..to.hz() as usize / 5], to, hz);
                assert!((level / 16_000.0 - 1.0).abs() < 0.005, "{from:?} to {to:?} at {hz}: {level}");
                assert!(noise < 6.0, "{from:?} to {to:?} at {hz}: noise {noise}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_kept_out() {
        for (from, to) in pairs().filter(|(a, b)| a > b) {
            let hz = f64::from(to.hz()) * 0.56;
            let mut resampler = Resampler::new(Kernels::best(), from, to);
            let input = tone(from, hz, from.hz() as usize / 4);
            let mut out = vec![0; resampler.output_len(input.len())];
            let length = resampler.run(&input, &mut out);
            let loudest = out[length / 4..length].iter().map(|s| s.unsigned_abs()).max();
            assert!(loudest < Some(16), "{from:?} to {to:?}: {loudest:?}");
        }
    }

    #[test]
    fn pieces_of_any_length_sound_like_the_whole() {
        for (from, to) in pairs() {
            let input: Vec<i16> = (0..5000_i32).map(|i| (i * i % 50_021 - 25_000) as i16).collect();
            let mut whole = Resampler::new(Kernels::best(), from, to);
            let mut expected = vec![0; whole.output_len(input.len())];
            let length = whole.run(&input, &mut expected);
            let mut pieces = Resampler::new(Kernels::best(), from, to);
            let (mut out, mut rest, mut take) = (Vec::new(), &input[..], 1);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(take.min(rest.len()));
                let mut part = vec![0; pieces.output_len(piece.len())];
                let n = pieces.run(piece, &mut part);
                out.extend_from_slice(&part[..n]);
                (rest, take) = (after, take * 7 % 331 + 1);
            }
            assert_eq!(out, expected[..length], "{from:?} to {to:?}");
            whole.reset();
            let mut again = vec![0; expected.len()];
            whole.run(&input, &mut again);
            assert_eq!(again, expected);
        }
    }

    #[test]
    fn no_input_overflows_the_sum() {
        for (from, to) in pairs() {
            let resampler = Resampler::new(Kernels::best(), from, to);
            for phase in resampler.phases.chunks(resampler.taps) {
                assert_eq!(phase.iter().map(|t| i32::from(*t)).sum::<i32>(), 1 << 14);
                assert!(phase.iter().map(|t| i32::from(t.unsigned_abs())).sum::<i32>() < 65_000);
            }
        }
    }
}
