//! Linear prediction of iLBC (RFC 3951 3.2, 4.1): analysis, line spectral frequencies and their interpolation; filters.

use std::f32::consts::PI;

use super::frame::{Length, SUBS};
use super::tables::{LAG, LSF_HIGH, LSF_LOW, LSF_MEAN, LSF_MIDDLE};

pub(super) const ORDER: usize = 10;
/// A predictor: 1 and ten coefficients.
pub(super) type Lpc = [f32; ORDER + 1];
/// Line spectral frequencies in radians, rising.
pub(super) type Lsf = [f32; ORDER];

/// Samples that the analysis looks at, and how far back it goes before the frame.
const WINDOW: usize = 240;
const BUFFER: usize = 300;

/// `a` with its zeros drawn towards the centre.
pub(super) fn widened(a: &Lpc, by: f32) -> Lpc {
    let mut chirp = 1.0;
    a.map(|a| {
        let value = a * chirp;
        chirp *= by;
        value
    })
}

/// All-pole filter in place, from `from` on; what lies before it is its memory.
pub(super) fn all_pole(samples: &mut [f32], from: usize, to: usize, a: &Lpc) {
    for n in from..to {
        let past: f32 = (1..=ORDER.min(n)).map(|k| a[k] * samples[n - k]).sum();
        samples[n] -= past;
    }
}

/// The autocorrelation's predictor (Levinson and Durbin).
fn levinson(r: &Lpc) -> Lpc {
    let mut a = [0.0; ORDER + 1];
    a[0] = 1.0;
    if r[0] < 1e-9 {
        return a;
    }
    let mut energy = r[0];
    for m in 1..=ORDER {
        let sum: f32 = (0..m).map(|i| a[i] * r[m - i]).sum();
        let k = -sum / energy;
        let before = a;
        for i in 1..=m {
            a[i] = before[i] + k * before[m - i];
        }
        energy += k * sum;
    }
    a
}

/// Line spectral frequencies of a predictor: zeros on the unit circle of its symmetric and antisymmetric sums, in turn.
pub(super) fn to_lsf(a: &Lpc) -> Lsf {
    // The sums without their zeros at -1 and 1, as cosine series of degree 5.
    let (mut p, mut q) = ([1.0; 6], [1.0; 6]);
    for i in 1..6 {
        p[i] = a[i] + a[11 - i] - p[i - 1];
        q[i] = a[i] - a[11 - i] + q[i - 1];
    }
    let value = |c: &[f32; 6], w: f32| (0..5).map(|i| 2.0 * c[i] * ((5 - i) as f32 * w).cos()).sum::<f32>() + c[5];
    let (mut lsf, mut found) = ([0.0; ORDER], 0);
    const STEPS: usize = 400;
    let at = |i: usize| PI * i as f32 / STEPS as f32;
    let mut i = 0;
    // From each zero on the other sum's next one is looked for, from the same step: they alternate.
    while found < ORDER && i < STEPS {
        let sum = if found % 2 == 0 { &p } else { &q };
        let (mut low, mut high) = (at(i).max(if found > 0 { lsf[found - 1] } else { 0.0 }), at(i + 1));
        if value(sum, low) * value(sum, high) > 0.0 {
            i += 1;
            continue;
        }
        let below = value(sum, low);
        for _ in 0..12 {
            let middle = (low + high) / 2.0;
            if value(sum, middle) * below > 0.0 { low = middle } else { high = middle }
        }
        lsf[found] = (low + high) / 2.0;
        found += 1;
    }
    // What was not found (a predictor at the edge of stability) is spread to the top.
    let last = if found > 0 { lsf[found - 1] } else { 0.05 };
    let left = (ORDER + 1 - found) as f32;
    for (value, step) in lsf[found..].iter_mut().zip(1..) {
        *value = last + (3.1 - last) * step as f32 / left;
    }
    lsf
}

/// The predictor of line spectral frequencies.
pub(super) fn from_lsf(lsf: &Lsf) -> Lpc {
    let product = |first: usize, edge: f32| {
        let mut c = [0.0; ORDER + 2];
        (c[0], c[1]) = (1.0, edge);
        for k in (first..ORDER).step_by(2) {
            let turn = -2.0 * lsf[k].cos();
            for i in (1..ORDER + 2).rev() {
                c[i] += turn * c[i - 1] + if i > 1 { c[i - 2] } else { 0.0 };
            }
        }
        c
    };
    let (p, q) = (product(0, 1.0), product(1, -1.0));
    std::array::from_fn(|i| (p[i] + q[i]) / 2.0)
}

/// Keeps neighbours apart (LSF_check): a predictor that is stable.
fn kept_apart(lsf: &mut Lsf) {
    for _ in 0..2 {
        for k in 0..ORDER - 1 {
            if lsf[k + 1] - lsf[k] < 0.039 {
                if lsf[k + 1] < lsf[k] {
                    let low = lsf[k];
                    lsf[k + 1] = low + 0.0195;
                    lsf[k] = lsf[k + 1] - 0.0195;
                } else {
                    lsf[k] -= 0.0195;
                    lsf[k + 1] += 0.0195;
                }
            }
            // At most π, less than a thousandth of it.
            lsf[k] = lsf[k].clamp(0.01, PI * 0.9995);
        }
    }
}

/// The frequencies that three indices stand for.
pub(super) fn dequantised(index: &[u16]) -> Lsf {
    let mut lsf = [0.0; ORDER];
    lsf[..3].copy_from_slice(&LSF_LOW[usize::from(index[0]) % 64]);
    lsf[3..6].copy_from_slice(&LSF_MIDDLE[usize::from(index[1]) % 128]);
    lsf[6..].copy_from_slice(&LSF_HIGH[usize::from(index[2]) % 128]);
    kept_apart(&mut lsf);
    lsf
}

fn nearest<const N: usize>(table: &[[f32; N]], to: &[f32]) -> u16 {
    let distance = |row: &[f32; N]| row.iter().zip(to).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
    (0..table.len()).min_by(|a, b| distance(&table[*a]).total_cmp(&distance(&table[*b]))).unwrap_or_default() as u16
}

/// The indices nearest to frequencies.
pub(super) fn quantised(lsf: &Lsf) -> [u16; 3] {
    [nearest(&LSF_LOW, &lsf[..3]), nearest(&LSF_MIDDLE, &lsf[3..6]), nearest(&LSF_HIGH, &lsf[6..])]
}

/// A predictor for each sub-frame between the last frame's frequencies and this one's (3.2.6, 3.2.7).
pub(super) fn interpolated(length: Length, old: &Lsf, sets: &[Lsf]) -> [Lpc; SUBS] {
    let between =
        |a: &Lsf, b: &Lsf, share: f32| from_lsf(&std::array::from_fn(|i| share * a[i] + (1.0 - share) * b[i]));
    std::array::from_fn(|sub| match (length, sub) {
        (Length::Ms20, _) => between(old, &sets[0], [0.75, 0.5, 0.25, 0.0, 0.0, 0.0][sub]),
        (Length::Ms30, 0) => between(old, &sets[0], 0.5),
        (Length::Ms30, _) => between(&sets[0], &sets[1], [0.0, 1.0, 2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0][sub]),
    })
}

/// The analysis: what was heard lately.
pub(super) struct Analysis {
    buffer: [f32; BUFFER],
}

impl Analysis {
    pub(super) fn new() -> Self {
        Analysis { buffer: [0.0; BUFFER] }
    }

    /// Takes a frame; its one or two sets of line spectral frequencies.
    pub(super) fn run(&mut self, length: Length, samples: &[f32]) -> [Lsf; 2] {
        self.buffer.rotate_left(samples.len());
        self.buffer[BUFFER - samples.len()..].copy_from_slice(samples);
        let newest = lsf_of(&self.buffer[BUFFER - WINDOW..], |i| match i {
            0..220 => (PI * (i + 1) as f32 / 441.0).sin().powi(2),
            _ => (PI * (i - 220) as f32 / 40.0).cos(),
        });
        match length {
            Length::Ms20 => [newest, LSF_MEAN],
            Length::Ms30 => {
                let hann = |i: usize| (PI * (i + 1) as f32 / 241.0).sin().powi(2);
                [lsf_of(&self.buffer[..WINDOW], hann), newest]
            }
        }
    }
}

fn lsf_of(samples: &[f32], window: impl Fn(usize) -> f32) -> Lsf {
    let x: [f32; WINDOW] = std::array::from_fn(|i| samples[i] * window(i));
    let r = std::array::from_fn(|lag| LAG[lag] * x[lag..].iter().zip(&x).map(|(a, b)| a * b).sum::<f32>());
    to_lsf(&widened(&levinson(&r), 0.9025))
}

/// A high-pass of second order.
pub(super) struct HighPass {
    c: &'static [f32; 5],
    x: [f32; 2],
    y: [f32; 2],
}

impl HighPass {
    pub(super) fn new(c: &'static [f32; 5]) -> Self {
        HighPass { c, x: [0.0; 2], y: [0.0; 2] }
    }

    pub(super) fn run(&mut self, samples: &mut [f32]) {
        for sample in samples {
            let [b0, b1, b2, a1, a2] = *self.c;
            let y = b0 * *sample + b1 * self.x[0] + b2 * self.x[1] - a1 * self.y[0] - a2 * self.y[1];
            self.x = [*sample, self.x[0]];
            self.y = [y, self.y[0]];
            *sample = y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predictor_comes_back_from_its_frequencies() {
        for lsf in [LSF_MEAN, dequantised(&[3, 17, 99]), dequantised(&[60, 1, 0])] {
            let again = to_lsf(&from_lsf(&lsf));
            for (a, b) in lsf.iter().zip(again) {
                assert!((a - b).abs() < 2e-3, "{lsf:?} {again:?}");
            }
            let index = quantised(&lsf);
            assert_eq!(quantised(&dequantised(&index)), index);
        }
    }
}
