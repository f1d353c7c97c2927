//! Which layer each slot of a receiver gets: wishes, measured rates and one budget in, targets out.
//!
//! Each slot has a ladder: the layers worth showing at the wanted size, worst first. First every slot gets its lowest
//! rung, in the order of slots, so the main tile (first) is the last to be paused. Then the main tile climbs as far as
//! the budget goes, then the others climb in rounds, one rung each. Climbing above what a slot has now must fit with a
//! margin, so that a rate that wobbles around a limit does not make pictures flip. Audio is not in here: the caller
//! takes it off the budget first ([`video_budget`]).

use crate::info::Layer;
use plenum_packet::Bitrate;

/// A layer that arrives, with what was measured of it: all layers that it needs included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerInfo {
    /// Which layer.
    pub layer: Layer,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Frames a second.
    pub frame_rate: f32,
    /// Bits a second with packet overhead.
    pub bitrate: Bitrate,
}

/// What one slot is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// Width of its tile in pixels; 0 = not shown.
    pub width: u16,
    /// Height of its tile in pixels; 0 = not shown.
    pub height: u16,
    /// Most frames a second, 0 = no limit.
    pub max_fps: u8,
    /// A screen: sharpness before motion.
    pub presentation: bool,
    /// What its track offers, as [`crate::Track::layers`] lists it.
    pub layers: &'a [LayerInfo],
    /// What it is to get until now.
    pub current: Option<Layer>,
    /// Whether it may climb above `current` ([`crate::Subscriber::may_rise`]).
    pub may_rise: bool,
}

/// A layer above the present one must fit with this factor to spare. Smaller: pictures flip at a limit. Larger: bandwidth
/// stays unused.
pub const RISE_MARGIN: f64 = 1.15;

/// A layer counts as filling a tile when it reaches this share of its size: the next one costs about four times as much.
pub const FILLS: f32 = 0.9;

/// Fewest frames a second for which a larger picture is preferred to a smaller, smoother one (cameras only).
pub const SMOOTH: f32 = 12.0;

/// Most slots of one receiver; wishes beyond it are paused.
pub const MAX_SLOTS: usize = 64;

/// Most rungs of a ladder; further layers are not used.
const MAX_RUNGS: usize = 32;

/// What is left of an estimate for video when audio was given its share: what it takes now, and room for 60 kbit/s in each of
/// its slots (Opus at 32 kbit/s with RED and packet overhead), the latter never more than half of the estimate.
pub fn video_budget(estimate: Bitrate, audio: Bitrate, audio_slots: usize) -> Bitrate {
    let room = audio_share(audio_slots).min(estimate.bps() / 2);
    Bitrate(estimate.bps().saturating_sub(room.max(audio.bps())))
}

/// The estimate that layers of `video` bits a second together need, so that they may be climbed to: the other way round from
/// [`video_budget`], with [`RISE_MARGIN`].
pub fn needed_estimate(video: Bitrate, audio: Bitrate, audio_slots: usize) -> Bitrate {
    Bitrate(video.scale(RISE_MARGIN).bps().saturating_add(audio_share(audio_slots).max(audio.bps())))
}

fn audio_share(slots: usize) -> u64 {
    60_000 * slots.min(MAX_SLOTS) as u64
}

/// Decides for all slots of one receiver: `out` gets a target for each of `wants` (`None` = paused, or nothing wanted or
/// offered). Order is priority: the main tile first, then a presentation, then the others. Returns the sum of the rates.
pub fn allocate(budget: Bitrate, wants: &[Want<'_>], out: &mut Vec<Option<Layer>>) -> Bitrate {
    out.clear();
    out.resize(wants.len(), None);
    let wants = &wants[..wants.len().min(MAX_SLOTS)];
    let mut ladders = [Ladder::EMPTY; MAX_SLOTS];
    let mut left = budget.bps();
    for (ladder, want) in ladders.iter_mut().zip(wants) {
        *ladder = Ladder::of(want);
        if ladder.len > 0 && ladder.cost(want, 0) <= left {
            ladder.at = Some(0);
            left -= ladder.rate(want, 0);
        }
    }
    for (ladder, want) in ladders.iter_mut().zip(wants).take_while(|(_, w)| is_foremost(w, wants)) {
        while ladder.climb(want, &mut left) {}
    }
    loop {
        let mut climbed = false;
        for (ladder, want) in ladders.iter_mut().zip(wants) {
            climbed |= ladder.climb(want, &mut left);
        }
        if !climbed {
            break;
        }
    }
    for ((slot, ladder), want) in out.iter_mut().zip(&ladders).zip(wants) {
        *slot = ladder.at.map(|at| ladder.layer(want, at).layer);
    }
    Bitrate(budget.bps() - left)
}

/// The main tile, and a presentation directly behind it, climb before all others.
fn is_foremost(want: &Want<'_>, wants: &[Want<'_>]) -> bool {
    want.presentation || wants.first().is_some_and(|first| core::ptr::eq(first, want))
}

/// Indices into a slot's layers, worst first, and the rung it stands on.
#[derive(Clone, Copy)]
struct Ladder {
    rungs: [u8; MAX_RUNGS],
    len: usize,
    at: Option<usize>,
}

impl Ladder {
    const EMPTY: Ladder = Ladder { rungs: [0; MAX_RUNGS], len: 0, at: None };

    /// The layers worth using: from the smallest picture up to the first that fills the tile; of the smallest picture all
    /// frame rates, of larger ones those that are smooth; none faster than wanted when a slower one exists.
    fn of(want: &Want<'_>) -> Ladder {
        let mut ladder = Ladder::EMPTY;
        if want.width == 0 || want.height == 0 {
            return ladder;
        }
        let layers = &want.layers[..want.layers.len().min(usize::from(u8::MAX))];
        let smooth = if want.max_fps > 0 { SMOOTH.min(f32::from(want.max_fps)) } else { SMOOTH };
        let mut from = 0;
        while from < layers.len() {
            let to = from + layers[from..].iter().take_while(|l| same_picture(l, &layers[from])).count();
            let first_rung = ladder.len;
            for (index, layer) in layers.iter().enumerate().take(to).skip(from) {
                let slowest = index == from;
                let too_fast = want.max_fps > 0 && layer.frame_rate > f32::from(want.max_fps) * 1.1;
                let jerky = !want.presentation && first_rung > 0 && layer.frame_rate < smooth && index + 1 < to;
                if ladder.len < MAX_RUNGS && (slowest || !too_fast) && !jerky {
                    ladder.rungs[ladder.len] = index as u8;
                    ladder.len += 1;
                }
            }
            if fills(want, &layers[from]) {
                break;
            }
            from = to;
        }
        ladder
    }

    fn layer<'a>(&self, want: &Want<'a>, rung: usize) -> &'a LayerInfo {
        &want.layers[usize::from(self.rungs[rung])]
    }

    fn rate(&self, want: &Want<'_>, rung: usize) -> u64 {
        self.layer(want, rung).bitrate.bps()
    }

    /// What must be free for this rung: more than its rate when it lies above the present layer.
    fn cost(&self, want: &Want<'_>, rung: usize) -> u64 {
        let rate = self.rate(want, rung);
        if self.is_rise(want, rung) { Bitrate(rate).scale(RISE_MARGIN).bps() } else { rate }
    }

    fn is_rise(&self, want: &Want<'_>, rung: usize) -> bool {
        let Some(current) = want.current else { return true };
        (0..self.len).find(|&r| self.layer(want, r).layer == current).is_some_and(|at| rung > at)
    }

    /// Goes up to the next rung that the budget allows; rungs that cost less than the present one come for nothing.
    fn climb(&mut self, want: &Want<'_>, left: &mut u64) -> bool {
        let Some(at) = self.at else { return false };
        let free = *left + self.rate(want, at);
        for rung in at + 1..self.len {
            if want.current.is_some() && !want.may_rise && self.is_rise(want, rung) {
                return false;
            }
            if self.cost(want, rung) <= free {
                *left = free - self.rate(want, rung);
                self.at = Some(rung);
                return true;
            }
        }
        false
    }
}

fn same_picture(a: &LayerInfo, b: &LayerInfo) -> bool {
    (a.layer.encoding, a.layer.spatial) == (b.layer.encoding, b.layer.spatial)
}

/// Whether the picture, fitted whole into the tile, need not be enlarged (but for a little).
fn fills(want: &Want<'_>, layer: &LayerInfo) -> bool {
    f32::from(layer.width) >= f32::from(want.width) * FILLS || f32::from(layer.height) >= f32::from(want.height) * FILLS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Simulcast as Chromium sends it: three sizes, three temporal layers each.
    fn simulcast() -> Vec<LayerInfo> {
        let mut layers = Vec::new();
        for (encoding, width, height, kbps) in [(0, 320, 180, 150), (1, 640, 360, 500), (2, 1280, 720, 1700)] {
            for (temporal, frame_rate, share) in [(0, 7.5, 0.5), (1, 15.0, 0.7), (2, 30.0, 1.0)] {
                let layer = Layer { encoding, spatial: 0, temporal };
                let bitrate = Bitrate::kbps(kbps).scale(share);
                layers.push(LayerInfo { layer, width, height, frame_rate, bitrate });
            }
        }
        layers
    }

    fn want(width: u16, height: u16, layers: &[LayerInfo]) -> Want<'_> {
        Want { width, height, max_fps: 0, presentation: false, layers, current: None, may_rise: true }
    }

    fn targets(kbps: u64, wants: &[Want<'_>]) -> Vec<Option<(u8, u8)>> {
        let mut out = Vec::new();
        allocate(Bitrate::kbps(kbps), wants, &mut out);
        out.into_iter().map(|t| t.map(|l| (l.encoding, l.temporal))).collect()
    }

    #[test]
    fn with_room_enough_each_tile_gets_the_smallest_layer_that_fills_it() {
        let layers = simulcast();
        let sizes = [(1280, 720), (640, 360), (320, 180), (160, 90), (650, 366), (1920, 1080)];
        let wants: Vec<_> = sizes.iter().map(|&(w, h)| want(w, h, &layers)).collect();
        let expected = [2, 1, 0, 0, 1, 2].map(|e| Some((e, 2)));
        assert_eq!(targets(20_000, &wants), expected);
    }

    #[test]
    fn the_main_tile_is_the_last_to_be_paused() {
        let layers = simulcast();
        let wants = [want(1280, 720, &layers), want(320, 180, &layers), want(320, 180, &layers)];
        assert_eq!(targets(80, &wants), [None, None, None]);
        assert_eq!(targets(90, &wants), [Some((0, 0)), None, None]);
        assert_eq!(targets(180, &wants), [Some((0, 0)), Some((0, 0)), None]);
    }

    #[test]
    fn the_main_tile_climbs_before_the_others() {
        let layers = simulcast();
        let wants = [want(1280, 720, &layers), want(640, 360, &layers), want(640, 360, &layers)];
        assert_eq!(targets(1000, &wants), [Some((1, 2)), Some((0, 2)), Some((0, 2))]);
        assert_eq!(targets(3500, &wants), [Some((2, 2)), Some((1, 2)), Some((1, 2))]);
    }

    #[test]
    fn hidden_tiles_and_silent_tracks_get_nothing_and_frame_rates_are_limited() {
        let layers = simulcast();
        let slow = Want { max_fps: 15, ..want(1280, 720, &layers) };
        let wants = [want(0, 0, &layers), want(640, 360, &[]), slow, Want { max_fps: 5, ..want(640, 360, &layers) }];
        assert_eq!(targets(20_000, &wants), [None, None, Some((2, 1)), Some((1, 0))]);
    }

    #[test]
    fn a_budget_that_wobbles_around_a_limit_changes_nothing() {
        let layers = simulcast();
        let mut current = None;
        let mut changes = 0;
        for kbps in [560, 510, 570, 505, 560, 520].iter().cycle().take(60) {
            let wants = [Want { current, ..want(1280, 720, &layers) }];
            let mut out = Vec::new();
            allocate(Bitrate::kbps(*kbps), &wants, &mut out);
            changes += usize::from(out[0] != current);
            current = out[0];
        }
        assert!(changes <= 2, "{changes} changes");
        let held = [Want { current: Some(layers[2].layer), may_rise: false, ..want(1280, 720, &layers) }];
        assert_eq!(targets(10_000, &held), [Some((0, 2))]);
    }

    #[test]
    fn a_screen_prefers_size_to_motion() {
        let layers = simulcast();
        let screen = Want { presentation: true, ..want(1280, 720, &layers) };
        assert_eq!(targets(1000, &[screen]), [Some((2, 0))]);
        assert_eq!(targets(1000, &[want(1280, 720, &layers)]), [Some((1, 2))]);
    }

    #[test]
    fn audio_is_taken_off_first() {
        let budget = |estimate, audio| video_budget(Bitrate::kbps(estimate), Bitrate::kbps(audio), 3);
        assert_eq!(budget(1000, 90), Bitrate::kbps(820), "room for all three");
        assert_eq!(budget(300, 90), Bitrate::kbps(150), "room never takes more than half");
        assert_eq!(budget(300, 180), Bitrate::kbps(120), "what is said does");
        assert_eq!(budget(170, 180), Bitrate::ZERO);
    }

    proptest! {
        #[test]
        fn the_budget_is_never_exceeded_and_the_first_wanted_slot_is_served_first(
            kbps in 0u64..10_000,
            sizes in proptest::collection::vec((0u16..2000, 0u16..1200, 0u8..40, 0usize..10), 0..80),
        ) {
            let all = simulcast();
            let wants: Vec<_> = sizes.iter().map(|&(w, h, max_fps, n)| Want {
                max_fps, current: n.checked_sub(1).map(|i| all[i.min(8)].layer), ..want(w, h, &all[..n.min(9)])
            }).collect();
            let mut out = Vec::new();
            let used = allocate(Bitrate::kbps(kbps), &wants, &mut out);
            prop_assert!(used <= Bitrate::kbps(kbps));
            prop_assert_eq!(out.len(), wants.len());
            let rate = |(t, w): (&Option<Layer>, &Want<'_>)| {
                t.map_or(0, |t| w.layers.iter().find(|l| l.layer == t).unwrap().bitrate.bps())
            };
            prop_assert_eq!(out.iter().zip(&wants).map(rate).sum::<u64>(), used.bps());
        }
    }

    #[test]
    fn the_needed_estimate_holds_what_it_was_asked_for() {
        for (kbps, audio, sounds) in [(460, 100, 3), (150, 0, 0), (5000, 900, 8)] {
            let audio = Bitrate::kbps(audio);
            let needed = needed_estimate(Bitrate::kbps(kbps), audio, sounds);
            assert!(video_budget(needed, audio, sounds) >= Bitrate::kbps(kbps).scale(RISE_MARGIN), "{kbps} kbit/s");
        }
    }
}
