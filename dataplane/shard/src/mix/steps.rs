//! Which part of a mixed picture a leg gets, and the rate at which it is made. Pure; told what is known.
//!
//! A leg stands on a step: an encoding of the scene, with all its frames or with every second one. What its link does not carry whole it gets with half
//! the frames, before it gets a smaller picture. One encoder serves all who stand on an encoding's steps.

use plenum_contract::SceneSpec;
use plenum_contract::mix::BASE_SHARE;
use plenum_packet::Bitrate;
use plenum_route::Layer;
use plenum_route::info::MAX_TEMPORAL;
use plenum_route::layers::RISE_MARGIN;

/// An encoding, whole or its base temporal layer alone. Better ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    pub(super) rung: u8,
    pub(super) whole: bool,
}

impl Step {
    /// As the layer decision has it.
    pub(super) fn layer(self) -> Layer {
        Layer { encoding: self.rung, spatial: 0, temporal: if self.whole { MAX_TEMPORAL as u8 - 1 } else { 0 } }
    }

    /// The other way round.
    pub(super) fn of(layer: Layer) -> Step {
        Step { rung: layer.encoding, whole: layer.temporal > 0 }
    }

    /// What of an encoding's bits it takes.
    pub(super) fn share(self, bits: u32) -> u64 {
        u64::from(bits) * u64::from(if self.whole { 100 } else { BASE_SHARE }) / 100
    }
}

/// What a leg's wish and the mixer's load leave to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The highest encoding.
    pub(super) top: u8,
    /// Half the frames are all that is wanted.
    pub(super) slow: bool,
    /// Half the frames are too few to be looked at: only where nothing else is left.
    pub(super) jerky: bool,
}

impl Choice {
    /// The steps, best first. The last is taken whatever the link carries.
    fn steps(self) -> impl Iterator<Item = Step> {
        let steps = (0..=self.top).rev().flat_map(|rung| [true, false].map(|whole| Step { rung, whole }));
        steps.filter(move |step| if step.whole { !self.slow } else { self.slow || !self.jerky || step.rung == 0 })
    }

    /// The best step.
    pub(super) fn best(self) -> Step {
        Step { rung: self.top, whole: !self.slow }
    }

    /// The best step that a budget carries. `held`: it may not go above this now. Above `current` there must be room.
    pub(super) fn step(self, scene: &SceneSpec, budget: Bitrate, held: Option<Step>, current: Option<Step>) -> Step {
        let carries = |step: &Step| {
            let margin = if current.is_some_and(|c| *step > c) { RISE_MARGIN } else { 1.0 };
            scene.rung(step.rung).is_some_and(|r| step.share(r.least) as f64 * margin <= budget.bps() as f64)
        };
        let allowed = |step: &Step| held.is_none_or(|held| *step <= held);
        self.steps().filter(allowed).find(carries).unwrap_or(Step { rung: 0, whole: false })
    }
}

/// The estimate that somebody with all frames would have, of whom half the frames take as much.
pub(super) fn as_whole(estimate: Bitrate, step: Step) -> Bitrate {
    if step.whole { estimate } else { Bitrate(estimate.bps().saturating_mul(100) / u64::from(BASE_SHARE)) }
}

/// The rate for a rung when the narrowest of its viewers has this estimate, of which sound takes its part.
pub(super) fn rate_of(scene: &SceneSpec, rung: u8, estimate: Bitrate, sound: u32) -> u32 {
    let Some(rung) = scene.rung(rung) else { return 0 };
    // Nine tenths: sound, headers and retransmissions share the link.
    let narrow = estimate.bps().saturating_sub(u64::from(sound)) * 9 / 10;
    u32::try_from(narrow).unwrap_or(u32::MAX).clamp(rung.least, rung.bitrate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> SceneSpec {
        SceneSpec::new(0, "1:7", 1280, 720)
    }

    const ANY: Choice = Choice { top: 2, slow: false, jerky: false };

    fn whole(rung: u8) -> Option<Step> {
        Some(Step { rung, whole: true })
    }

    fn half(rung: u8) -> Option<Step> {
        Some(Step { rung, whole: false })
    }

    #[test]
    fn a_step_is_chosen_by_the_estimate_and_rises_with_a_margin() {
        let step = |kbps, held, current| Some(ANY.step(&scene(), Bitrate::kbps(kbps), held, current));
        let up: Vec<_> = [10, 50, 70, 190, 310, 550, 5_000].map(|kbps| step(kbps, None, None)).into();
        assert_eq!(
            up,
            [half(0), half(0), whole(0), half(1), whole(1), half(2), whole(2)],
            "half the frames come first"
        );
        assert_eq!(step(920, None, whole(2)), whole(2));
        assert_eq!(step(920, None, half(2)), half(2), "there must be room to rise");
        assert_eq!(step(600, None, whole(1)), whole(1), "there must be room to rise");
        assert_eq!(step(5_000, whole(1), whole(1)), whole(1), "it was lowered a moment ago");
    }

    #[test]
    fn a_wish_for_few_frames_and_a_mixer_that_makes_few_are_kept_to() {
        let step = |choice: Choice, kbps| Some(choice.step(&scene(), Bitrate::kbps(kbps), None, None));
        let slow = Choice { slow: true, ..ANY };
        assert_eq!((step(slow, 5_000), step(slow, 200), Some(slow.best())), (half(2), half(1), half(2)));
        let jerky = Choice { jerky: true, ..ANY };
        assert_eq!([600, 200, 50].map(|kbps| step(jerky, kbps)), [whole(1), whole(0), half(0)]);
        assert_eq!(step(Choice { top: 0, ..ANY }, 5_000), whole(0));
    }

    #[test]
    fn a_rung_is_made_at_the_rate_of_its_narrowest_viewer_within_its_bounds() {
        let rate = |kbps| rate_of(&scene(), 1, Bitrate::kbps(kbps), 48_000);
        assert_eq!((rate(100), rate(10_000)), (300_000, 600_000));
        assert_eq!(rate(548), 450_000);
        let narrow = as_whole(Bitrate::kbps(300), Step { rung: 1, whole: false });
        assert_eq!(rate_of(&scene(), 1, narrow, 48_000), 406_800, "of which half the frames take 244 kbit/s");
    }
}
