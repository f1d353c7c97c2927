//! From a slope to a verdict: is the path overused, underused or neither (draft-ietf-rmcat-gcc-02, section 5.4).
//!
//! The threshold adapts: it follows the slope that the path shows anyway, so that jitter and competing TCP flows
//! neither cause false alarms nor starve us. Does not change any rate.

use super::trendline::Sample;

/// The slope is weighed with this and with the groups seen, at most [`MAX_COUNT`].
const GAIN: f64 = 4.0;
const MAX_COUNT: u32 = 60;
/// The threshold at the start, and its bounds. Higher start: a larger queue before the first alarm.
const START: f64 = 12.5;
const LOWEST: f64 = 6.0;
const HIGHEST: f64 = 600.0;
/// How fast the threshold follows, per millisecond: slowly up, quickly down.
const UP: f64 = 0.0087;
const DOWN: f64 = 0.039;
/// Slopes that exceed the threshold by more than this are events, not the nature of the path; they do not move it.
const LARGEST_STEP: f64 = 15.0;
/// Overuse must last this long and more than one group. Longer: larger queues. Shorter: alarms at a single delayed
/// frame.
const OVERUSE_MS: f64 = 10.0;

/// What the delay says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// The delay is steady.
    #[default]
    Normal,
    /// The delay grows: a queue builds up.
    Over,
    /// The delay falls: a queue drains.
    Under,
}

/// The detector.
#[derive(Debug)]
pub struct Overuse {
    threshold: f64,
    over_ms: f64,
    over_count: u32,
    last: f64,
    last_ms: Option<f64>,
    usage: Usage,
}

impl Default for Overuse {
    fn default() -> Self {
        Overuse { threshold: START, over_ms: 0.0, over_count: 0, last: 0.0, last_ms: None, usage: Usage::Normal }
    }
}

impl Overuse {
    /// The verdict so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Takes the sample of a group that ended.
    pub fn sample(&mut self, sample: Sample) -> Usage {
        let trend = f64::from(sample.count.min(MAX_COUNT)) * sample.slope * GAIN;
        if trend > self.threshold {
            self.over_ms += if self.over_count == 0 { sample.interval_ms / 2.0 } else { sample.interval_ms };
            self.over_count += 1;
            if self.over_ms > OVERUSE_MS && self.over_count > 1 && trend >= self.last {
                (self.over_ms, self.over_count) = (0.0, 0);
                self.usage = Usage::Over;
            }
        } else {
            (self.over_ms, self.over_count) = (0.0, 0);
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.last = trend;
        self.adapt(trend.abs(), sample.sent_ms);
        self.usage
    }

    /// Forgets the verdict, not what it learned about the path.
    pub fn reset(&mut self) {
        *self = Overuse { threshold: self.threshold, ..Overuse::default() };
    }

    fn adapt(&mut self, trend: f64, now_ms: f64) {
        let passed = (now_ms - self.last_ms.unwrap_or(now_ms)).clamp(0.0, 100.0);
        self.last_ms = Some(now_ms);
        if trend > self.threshold + LARGEST_STEP {
            return;
        }
        let gain = if trend < self.threshold { DOWN } else { UP };
        self.threshold = (self.threshold + gain * (trend - self.threshold) * passed).clamp(LOWEST, HIGHEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(detector: &mut Overuse, slope: f64, from: u32, groups: u32) -> bool {
        (from..from + groups).fold(false, |over, i| {
            let sample = Sample { slope, count: i, sent_ms: f64::from(i) * 20.0, interval_ms: 20.0 };
            detector.sample(sample) == Usage::Over || over
        })
    }

    #[test]
    fn a_steep_slope_is_overuse_and_a_falling_one_underuse() {
        let mut detector = Overuse::default();
        assert!(!run(&mut detector, 0.0, 0, 100));
        assert!(run(&mut detector, 0.2, 100, 5));
        assert!(!run(&mut detector, -0.2, 105, 5));
        assert_eq!(detector.usage(), Usage::Under);
    }

    #[test]
    fn one_bad_group_is_no_overuse() {
        let mut detector = Overuse::default();
        assert!(!run(&mut detector, 0.0, 0, 100));
        assert!(!run(&mut detector, 0.5, 100, 1));
        assert!(!run(&mut detector, 0.0, 101, 10));
    }
}
