//! RTP's 32-bit timestamps as a clock that never stands still or goes back, which is what encoders want.

/// Counts 90 kHz from the first picture on.
#[derive(Debug)]
pub(crate) struct Clock {
    last: Option<u32>,
    now: i64,
    frame: i64,
}

impl Clock {
    pub(crate) fn new(fps: u32) -> Self {
        Clock { last: None, now: 0, frame: i64::from(90_000 / fps.max(1)) }
    }

    pub(crate) fn set_fps(&mut self, fps: u32) {
        self.frame = i64::from(90_000 / fps.max(1));
    }

    /// A frame's length in ticks.
    pub(crate) fn frame(&self) -> i64 {
        self.frame
    }

    /// The time of a picture. Steps back, no step, and more than ten seconds count as a frame.
    pub(crate) fn advance(&mut self, timestamp: u32) -> i64 {
        if let Some(last) = self.last.replace(timestamp) {
            let step = timestamp.wrapping_sub(last);
            self.now += if (1..=900_000).contains(&step) { i64::from(step) } else { self.frame };
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_across_the_wrap_and_odd_steps() {
        let mut clock = Clock::new(30);
        let times: Vec<_> = [u32::MAX - 1000, 1999, 1999, 0, 3000].map(|t| clock.advance(t)).into();
        assert_eq!(times, [0, 3000, 6000, 9000, 12_000]);
    }
}
