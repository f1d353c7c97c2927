//! Fills gaps for codecs that have nothing of their own for it: the last pitch period again and again, fading to silence in 60 ms.

use plenum_kernels::Rate;

/// What was heard lately, and how far a gap has come.
pub(crate) struct Concealer {
    past: Vec<i16>,
    hz: usize,
    /// Samples filled since the last that were heard, and the period that is repeated.
    gap: usize,
    period: usize,
}

/// What is kept: 30 ms, two periods of the lowest voice.
const KEPT_MS: usize = 30;
/// Until here nothing fades, and here all is silent.
const FADE_FROM_MS: usize = 10;
const FADE_TO_MS: usize = 60;
/// How long what comes after a gap is blended with what filled it.
const BLEND_MS: usize = 4;

impl Concealer {
    pub(crate) fn new(rate: Rate) -> Self {
        let hz = rate.hz() as usize;
        Concealer { past: vec![0; hz * KEPT_MS / 1000], hz, gap: 0, period: hz / 100 }
    }

    /// These samples were decoded. The first ones after a gap come in gently, over what filled it.
    pub(crate) fn heard(&mut self, samples: &mut [i16]) {
        if self.gap > 0 {
            let over = (self.hz * BLEND_MS / 1000).min(samples.len());
            for (i, sample) in samples[..over].iter_mut().enumerate() {
                let filled = i64::from(self.sample(self.gap + i));
                let (i, over) = (i as i64, over as i64);
                *sample = ((i64::from(*sample) * i + filled * (over - i)) / over) as i16;
            }
        }
        self.gap = 0;
        self.keep(samples);
    }

    /// Sample `at` of a gap.
    fn sample(&self, at: usize) -> i16 {
        let (from, to) = (self.hz * FADE_FROM_MS / 1000, self.hz * FADE_TO_MS / 1000);
        let last = &self.past[self.past.len() - self.period..];
        let gain = to.saturating_sub(at.max(from)) as i64;
        (i64::from(last[at % self.period]) * gain / (to - from) as i64) as i16
    }

    fn keep(&mut self, samples: &[i16]) {
        let kept = samples.len().min(self.past.len());
        self.past.rotate_left(kept);
        let start = self.past.len() - kept;
        self.past[start..].copy_from_slice(&samples[samples.len() - kept..]);
    }

    /// Samples for a gap, going on from the last ones.
    pub(crate) fn fill(&mut self, out: &mut [i16]) {
        if self.gap == 0 {
            self.period = self.pitch();
        }
        for (i, sample) in out.iter_mut().enumerate() {
            *sample = self.sample(self.gap + i);
        }
        self.gap = self.gap.saturating_add(out.len());
    }

    /// The period, 2.5 to 15 ms, at which the past resembles itself most.
    fn pitch(&self) -> usize {
        let (shortest, longest) = (self.hz / 400, self.past.len() / 2);
        let recent = &self.past[longest..];
        let likeness = |period: usize| {
            let before = &self.past[longest - period..][..recent.len()];
            let (mut product, mut energy) = (0i64, 1i64);
            for (a, b) in recent.iter().zip(before) {
                product += i64::from(*a) * i64::from(*b);
                energy += i64::from(*b) * i64::from(*b);
            }
            if product <= 0 { 0.0 } else { product as f64 * product as f64 / energy as f64 }
        };
        let better = |best: (usize, f64), period: usize| {
            let now = likeness(period);
            if now > best.1 { (period, now) } else { best }
        };
        (shortest..=longest).fold((longest, 0.0), better).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_goes_on_and_fades_away() {
        let tone = |i: usize| ((i as f64 * 250.0 / 8000.0 * std::f64::consts::TAU).sin() * 10_000.0) as i16;
        let mut concealer = Concealer::new(Rate::Hz8000);
        concealer.heard(&mut (0..320).map(tone).collect::<Vec<_>>());
        let mut gap = [0; 640];
        concealer.fill(&mut gap[..80]);
        concealer.fill(&mut gap[80..]);
        for (i, sample) in gap[..80].iter().enumerate() {
            assert!((i32::from(*sample) - i32::from(tone(320 + i))).abs() < 400, "sample {i}");
        }
        let power = |part: &[i16]| part.iter().map(|s| i64::from(*s).pow(2)).sum::<i64>();
        assert!(power(&gap[320..400]) < power(&gap[..80]) / 2);
        assert_eq!(power(&gap[480..]), 0);
    }
    #[test]
    fn what_comes_after_a_gap_does_not_click() {
        let mut concealer = Concealer::new(Rate::Hz8000);
        concealer.heard(&mut [9000; 240]);
        let mut gap = [0; 160];
        concealer.fill(&mut gap);
        let mut after = [-9000; 160];
        concealer.heard(&mut after);
        let joined: Vec<i32> = gap[120..].iter().chain(&after).map(|s| i32::from(*s)).collect();
        assert!(joined.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 800), "{joined:?}");
        assert_eq!(after[32..], [-9000; 128]);
        let mut next = [500; 160];
        concealer.heard(&mut next);
        assert_eq!(next, [500; 160], "without a gap nothing is changed");
    }
}
