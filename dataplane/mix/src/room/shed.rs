//! What is left out when the mixer falls behind, in this order: half the frame rate, all but the smallest rung, half the resolution.
//!
//! A frame is late when it is made more than its own length after its time. Many of them raise the level by one, a long time without lowers it; who
//! is raised again soon after waits longer the next time. Sound is never left out. Pure: whoever has the clock says how late a frame is.

use plenum_contract::mix::MAX_SHED;

/// The smoothed share of late frames that raises the level.
const TOO_MANY: f32 = 0.3;
/// What a frame counts in it: about a second of frames.
const WEIGHT: f32 = 0.06;
/// Shortest time at a level before the next one.
const SETTLE: u64 = 2_000_000_000;
/// Time without late frames that lowers the level; doubled up to eight times when that was too early.
const CALM: u64 = 10_000_000_000;
const MOST_DOUBLINGS: u32 = 3;

/// How much is left out. See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shedder {
    level: u8,
    share: f32,
    changed: u64,
    last_late: u64,
    doublings: u32,
    lowered: Option<u64>,
}

impl Shedder {
    /// A frame of length `interval` is made `late` nanoseconds after its time. Whether the level changed.
    pub fn frame(&mut self, now: u64, late: u64, interval: u64) -> bool {
        let is_late = late > interval;
        self.share += (f32::from(u8::from(is_late)) - self.share) * WEIGHT;
        if is_late {
            self.last_late = now;
        }
        let settled = now.saturating_sub(self.changed) >= SETTLE;
        if settled && self.share > TOO_MANY && self.level < MAX_SHED {
            let early = self.lowered.is_some_and(|at| now.saturating_sub(at) < CALM);
            self.doublings = if early { (self.doublings + 1).min(MOST_DOUBLINGS) } else { self.doublings };
            self.set(self.level + 1, now);
            return true;
        }
        let calm = now.saturating_sub(self.last_late.max(self.changed)) >= CALM << self.doublings;
        if calm && self.level > 0 {
            self.lowered = Some(now);
            self.set(self.level - 1, now);
            return true;
        }
        false
    }

    /// 0 = nothing is left out, up to [`MAX_SHED`].
    pub fn level(&self) -> u8 {
        self.level
    }

    fn set(&mut self, level: u8, now: u64) {
        (self.level, self.changed, self.share) = (level, now, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 33_000_000;
    const S: u64 = 1_000_000_000;

    /// Frames for `seconds`, all late or none; the level at the end.
    fn run(shedder: &mut Shedder, now: &mut u64, seconds: u64, late: bool) -> u8 {
        let end = *now + seconds * S;
        while *now < end {
            shedder.frame(*now, if late { 2 * FRAME } else { FRAME / 2 }, FRAME);
            *now += FRAME;
        }
        shedder.level()
    }

    #[test]
    fn the_level_rises_step_by_step_and_falls_when_it_is_calm() {
        let (mut s, mut now) = (Shedder::default(), 100 * S);
        assert_eq!(run(&mut s, &mut now, 1, true), 1);
        assert_eq!(run(&mut s, &mut now, 1, true), 1);
        assert_eq!(run(&mut s, &mut now, 2, true), 2);
        assert_eq!(run(&mut s, &mut now, 10, true), 3);
        assert_eq!(run(&mut s, &mut now, 9, false), 3);
        assert_eq!(run(&mut s, &mut now, 2, false), 2);
        assert_eq!(run(&mut s, &mut now, 40, false), 0);
    }

    #[test]
    fn single_late_frames_change_nothing() {
        let mut s = Shedder::default();
        for n in 0..1000u64 {
            s.frame(n * FRAME, if n % 10 == 0 { 5 * FRAME } else { 0 }, FRAME);
        }
        assert_eq!(s.level(), 0);
    }

    #[test]
    fn who_falls_behind_again_at_once_waits_longer() {
        let (mut s, mut now) = (Shedder::default(), 100 * S);
        run(&mut s, &mut now, 1, true);
        assert_eq!(run(&mut s, &mut now, 11, false), 0);
        assert_eq!(run(&mut s, &mut now, 2, true), 1);
        assert_eq!(run(&mut s, &mut now, 15, false), 1);
        assert_eq!(run(&mut s, &mut now, 6, false), 0);
    }
}
