//! Automatic gain: brings voices to about the same loudness, slowly, within bounds.
//!
//! Only what is loud enough to be speech moves it; pauses leave it as it is. It decides a gain and applies none.

/// Where speech is brought to: root mean square of about −26 dBov.
const TARGET: f32 = 1640.0;
/// Below this root mean square (−50 dBov) it is no speech.
const SPEECH: f32 = 100.0;
/// Least and greatest gain: ±12 dB.
const GAINS: (f32, f32) = (0.25, 4.0);
/// What a frame of 20 ms counts in the smoothed loudness: about a second and a half.
const WEIGHT: f32 = 0.013;

/// The loudness of one voice. See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leveller {
    /// Smoothed mean square.
    power: Option<f32>,
}

impl Leveller {
    /// Hears a frame and says with which gain it is to be mixed.
    pub fn gain(&mut self, frame: &[i16]) -> f32 {
        let sum: f32 = frame.iter().map(|&s| f32::from(s) * f32::from(s)).sum();
        let power = sum / frame.len().max(1) as f32;
        if power >= SPEECH * SPEECH {
            let before = self.power.unwrap_or(TARGET * TARGET);
            self.power = Some(before + (power - before) * WEIGHT);
        }
        self.power.map_or(1.0, |power| (TARGET / power.sqrt()).clamp(GAINS.0, GAINS.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_voices_are_raised_loud_ones_lowered_and_pauses_change_nothing() {
        let after = |amplitude: i16, frames: usize| {
            let mut leveller = Leveller::default();
            let frame: Vec<i16> = (0..960).map(|i| if i / 40 % 2 == 0 { amplitude } else { -amplitude }).collect();
            let first = leveller.gain(&frame);
            let last = (0..frames).map(|_| leveller.gain(&frame)).last().unwrap();
            (first, last, leveller)
        };
        let (first, quiet, mut leveller) = after(500, 500);
        assert!((0.9..1.1).contains(&first) && (2.5..3.5).contains(&quiet), "{first} {quiet}");
        assert!(after(8000, 500).1 < 0.3);
        assert_eq!(after(i16::MAX, 5000).1, GAINS.0);
        let before = leveller.gain(&[500; 960]);
        assert!((leveller.gain(&[10; 960]) - before).abs() < 0.01);
    }
}
