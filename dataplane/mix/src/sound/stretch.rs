//! Sound a little shorter or longer without a change of pitch: one period of it is left out, or played twice.
//!
//! The period is where the sound is most like itself (WSOLA); the seam is cross-faded. Silence is cut anywhere. What is like nothing, as noise
//! and consonants, is left alone unless it is urgent. Works on 48 kHz mono.

/// Shortest and longest period that is looked for: 2.5 to 15 ms, voices from 67 to 400 Hz.
const PERIODS: (usize, usize) = (120, 720);
/// What is compared, and at most the length of the seam: 10 ms.
const SEAM: usize = 480;
/// Samples that [`shorten`] and [`lengthen`] need.
pub const NEEDS: usize = PERIODS.1 + SEAM;
/// Mean square below which sound is silence: about −60 dBov.
const SILENCE: i64 = 32 * 32;
/// How alike two periods must be.
const ALIKE: f32 = 0.7;

/// Takes one period out of the beginning of `pcm`; returns how many samples, 0 when there is no good place.
pub fn shorten(pcm: &mut Vec<i16>, urgent: bool) -> usize {
    let Some(period) = period(pcm, urgent) else { return 0 };
    let seam = SEAM.min(period);
    for i in 0..seam {
        pcm[i] = fade(pcm[i], pcm[period + i], i, seam);
    }
    pcm.copy_within(period + seam.., seam);
    pcm.truncate(pcm.len() - period);
    period
}

/// Plays one period at the beginning of `pcm` twice; returns how many samples came to it, 0 when there is no good place.
pub fn lengthen(pcm: &mut Vec<i16>, urgent: bool) -> usize {
    let Some(period) = period(pcm, urgent) else { return 0 };
    let (len, seam) = (pcm.len(), SEAM.min(period));
    pcm.resize(len + period, 0);
    pcm.copy_within(..len, period);
    // From the end of the first period back into its beginning.
    for i in 0..seam {
        let (on, again) = (pcm[2 * period + i], pcm[period + i]);
        pcm[period + i] = fade(on, again, i, seam);
    }
    period
}

fn fade(from: i16, to: i16, i: usize, seam: usize) -> i16 {
    let (a, b) = ((seam - i) as i32, i as i32);
    ((i32::from(from) * a + i32::from(to) * b) / seam as i32) as i16
}

/// Where the beginning is most like what follows it.
fn period(pcm: &[i16], urgent: bool) -> Option<usize> {
    let window = pcm.get(..NEEDS)?;
    let energy = |at: usize| window[at..at + SEAM].iter().step_by(4).map(|&s| i64::from(s) * i64::from(s)).sum::<i64>();
    let own = energy(0);
    if own < SILENCE * SEAM as i64 / 4 && energy(PERIODS.1) < SILENCE * SEAM as i64 / 4 {
        return Some(PERIODS.1);
    }
    let alike = |lag: usize| {
        let pairs = window[..SEAM].iter().step_by(4).zip(window[lag..].iter().step_by(4));
        let dot: i64 = pairs.map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
        dot as f32 / ((own as f32) * (energy(lag) as f32)).sqrt().max(1.0)
    };
    let best = (PERIODS.0..=PERIODS.1).step_by(6).map(|lag| (alike(lag), lag));
    let coarse = best.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let around = coarse.1.saturating_sub(5).max(PERIODS.0)..=(coarse.1 + 5).min(PERIODS.1);
    let (likeness, lag) = around.map(|lag| (alike(lag), lag)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness >= ALIKE || urgent).then_some(lag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, len: usize) -> Vec<i16> {
        (0..len).map(|i| ((i as f32 * hz * std::f32::consts::TAU / 48_000.0).sin() * 8000.0) as i16).collect()
    }

    /// The largest step between neighbours.
    fn step(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_tone_becomes_shorter_and_longer_without_a_click() {
        for hz in [110.0, 250.0, 330.0] {
            let whole = tone(hz, 3000);
            let mut pcm = whole.clone();
            let less = shorten(&mut pcm, false);
            assert!((PERIODS.0..=PERIODS.1).contains(&less) && pcm.len() == 3000 - less);
            assert!(step(&pcm) <= step(&whole) * 3 / 2, "{hz}: {} {}", step(&pcm), step(&whole));
            let mut pcm = whole.clone();
            let more = lengthen(&mut pcm, false);
            assert_eq!(pcm.len(), 3000 + more);
            assert!(more > 0 && step(&pcm) <= step(&whole) * 3 / 2, "{hz}: {}", step(&pcm));
            // It is a whole number of periods: the tone goes on as it was.
            let periods = more as f32 * hz / 48_000.0;
            assert!((periods - periods.round()).abs() < 0.05, "{periods}");
        }
    }

    #[test]
    fn silence_is_cut_by_the_longest_piece_and_noise_only_when_it_is_urgent() {
        let mut silence = vec![0; 2000];
        assert_eq!(shorten(&mut silence, false), PERIODS.1);
        let mut state = 1u32;
        let mut noise: Vec<i16> = (0..2000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 18) as i16 - 8192
            })
            .collect();
        assert_eq!(shorten(&mut noise, false), 0);
        assert!(shorten(&mut noise, true) > 0);
        assert_eq!(shorten(&mut vec![0; NEEDS - 1], true), 0);
    }
}
