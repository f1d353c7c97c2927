//! Which pictures a bitrate is worth: sizes and frame rates for one to three rungs, and steps down when the processor is short.
//!
//! A rung is one encoding of the same picture. Its size is what its share of the bitrate can show well: at least [`BITS_PER_PIXEL`] of a bit
//! for each pixel of each frame, twice that to step up again, so that a rate that wavers does not change sizes.

use crate::video::MIN_BITRATE;

/// One encoding: its size, frame rate and bitrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Width in pixels, even.
    pub width: usize,
    /// Height in pixels, even.
    pub height: usize,
    /// Frames a second.
    pub fps: u32,
    /// Target in bit/s.
    pub bitrate: u32,
}

/// Hundredths of a bit for a pixel of a frame below which a size is not worth showing: 0.03. Lower: blocks; higher: blurred for nothing.
pub const BITS_PER_PIXEL: u64 = 3;
/// As much more is wanted, in per cent, before a size that was left is taken again.
const UP: u64 = 130;
/// Bitrate beyond which more bits are not seen: 0.2 bit for a pixel of a frame.
const ENOUGH: u64 = 20;
/// Sizes as shares of the full one, largest first: numerator, denominator.
const SHARES: [(usize, usize); 6] = [(1, 1), (3, 4), (1, 2), (3, 8), (1, 4), (1, 8)];
/// A picture is not made smaller than this, in pixels of the shorter side.
const LEAST_SIDE: usize = 90;
/// Below this many frames a second the size goes down instead.
const LEAST_FPS: u32 = 15;

/// What is to be shown at best, and how often sizes were stepped down for the processor's sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LadderInput {
    /// Full width in pixels.
    pub width: usize,
    /// Full height in pixels.
    pub height: usize,
    /// Full frame rate.
    pub fps: u32,
    /// All that may be sent, in bit/s, over all rungs.
    pub bitrate: u32,
    /// Rungs wanted, 1 to 3.
    pub rungs: usize,
    /// Steps down for a short processor: 1 halves the frame rate, 2 leaves out all rungs but the lowest two, 3 all but the lowest, from 4 on
    /// each takes the next smaller size.
    pub shed: u32,
}

/// The rungs for `input`, largest first, at least one.
///
/// Each rung is half as wide as the one above and gets a quarter of its bits or so; a rung that its bits are not worth is left out. `before`
/// is what this function answered last: it keeps sizes from swinging.
#[must_use]
pub fn ladder(input: &LadderInput, before: &[Rung]) -> Vec<Rung> {
    let fps = if input.shed >= 1 { (input.fps / 2).max(input.fps.min(LEAST_FPS)) } else { input.fps }.max(1);
    let wanted = input.rungs.clamp(1, 3);
    let smaller = input.shed.saturating_sub(3) as usize;
    let mut rungs = Vec::with_capacity(wanted);
    // Shares of the rate: the lowest rung of three has a twentieth or so, the others four times the one below.
    let mut left = u64::from(input.bitrate.max(MIN_BITRATE));
    for rung in 0..wanted {
        let below = wanted - rung - 1;
        let share = left * 4 / if below == 0 { 4 } else { 5 };
        let kept = before.get(rung).map(|rung| rung.width);
        let rung = fitted(input, share, fps, rung * 2 + smaller, kept);
        let fits = |above: &Rung| rung.width < above.width;
        if rungs.last().is_none_or(fits) {
            left -= u64::from(rung.bitrate).min(left);
            rungs.push(rung);
        }
    }
    let keep = match input.shed {
        0 | 1 => wanted,
        2 => 2,
        _ => 1,
    };
    let cut = rungs.len().saturating_sub(keep);
    rungs.drain(..cut);
    rungs
}

/// The largest size from share `first` on that `bitrate` is worth.
fn fitted(input: &LadderInput, bitrate: u64, fps: u32, first: usize, kept: Option<usize>) -> Rung {
    let first = first.min(SHARES.len() - 1);
    let mut rung = sized(input, SHARES[first], bitrate, fps);
    for share in &SHARES[first..] {
        let next = sized(input, *share, bitrate, fps);
        if next.width.min(next.height) < LEAST_SIDE.min(input.width.min(input.height)) {
            break;
        }
        rung = next;
        let up = kept.is_some_and(|width| rung.width > width);
        let needed = BITS_PER_PIXEL * (rung.width * rung.height) as u64 * u64::from(fps) / 100;
        if bitrate * 100 >= needed * if up { UP } else { 100 } {
            break;
        }
    }
    rung
}

fn sized(input: &LadderInput, (of, by): (usize, usize), bitrate: u64, fps: u32) -> Rung {
    let side = |full: usize| (full * of / by / 2 * 2).max(2.min(full));
    let (width, height) = if of == by { (input.width, input.height) } else { (side(input.width), side(input.height)) };
    let enough = ENOUGH * (width * height) as u64 * u64::from(fps) / 100;
    let bitrate = bitrate.min(enough.max(u64::from(MIN_BITRATE)));
    Rung { width, height, fps, bitrate: u32::try_from(bitrate).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(bitrate: u32, rungs: usize, shed: u32) -> LadderInput {
        LadderInput { width: 1280, height: 720, fps: 30, bitrate, rungs, shed }
    }

    fn widths(rungs: &[Rung]) -> Vec<usize> {
        rungs.iter().map(|rung| rung.width).collect()
    }

    #[test]
    fn a_size_is_what_its_bitrate_is_worth() {
        let width = |bitrate| widths(&ladder(&input(bitrate, 1, 0), &[]))[0];
        assert_eq!(
            [2_000_000, 830_000, 500_000, 250_000, 120_000, 60_000, 20_000].map(width),
            [1280, 1280, 960, 640, 480, 320, 160]
        );
        // More bits than are seen are not spent.
        assert_eq!(ladder(&input(50_000_000, 1, 0), &[])[0].bitrate, 5_529_600);
    }

    #[test]
    fn three_rungs_share_the_rate_and_none_is_there_twice() {
        let rungs = ladder(&input(2_500_000, 3, 0), &[]);
        assert_eq!(widths(&rungs), [1280, 640, 320]);
        assert!(rungs.iter().map(|rung| rung.bitrate).sum::<u32>() <= 2_500_000);
        assert!(rungs.windows(2).all(|pair| pair[0].bitrate >= 2 * pair[1].bitrate));
        for bitrate in (20_000..3_000_000).step_by(20_000) {
            let rungs = ladder(&input(bitrate, 3, 0), &[]);
            assert!(rungs.windows(2).all(|pair| pair[0].width > pair[1].width), "{rungs:?}");
            assert!(rungs.iter().map(|rung| rung.bitrate).sum::<u32>() <= bitrate.max(3 * MIN_BITRATE));
        }
    }

    #[test]
    fn a_rate_that_wavers_does_not_change_the_size() {
        let high = ladder(&input(900_000, 1, 0), &[]);
        let low = ladder(&input(800_000, 1, 0), &high);
        assert_eq!((widths(&high), widths(&low)), (vec![1280], vec![960]));
        assert_eq!(widths(&ladder(&input(900_000, 1, 0), &low)), [960]);
        assert_eq!(widths(&ladder(&input(1_100_000, 1, 0), &low)), [1280]);
    }

    #[test]
    fn a_short_processor_costs_frames_then_rungs_then_size() {
        let steps: Vec<_> = (0..6).map(|shed| ladder(&input(2_500_000, 3, shed), &[])).collect();
        assert_eq!(steps.iter().map(|rungs| rungs[0].fps).collect::<Vec<_>>(), [30, 15, 15, 15, 15, 15]);
        assert_eq!(
            steps.iter().map(|rungs| widths(rungs)).collect::<Vec<_>>(),
            [vec![1280, 640, 320], vec![1280, 640, 320], vec![640, 320], vec![320], vec![160], vec![160],]
        );
    }
}
