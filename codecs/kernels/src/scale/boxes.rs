//! Windows of whole and partial pixels, for reductions: an output is the sum of a run of pixels that all count alike but for the two at its ends.
//!
//! Positions are rounded to a power of two of parts of a pixel, and every window has the same length in them: no output needs a divisor of its own,
//! and the sums stay exact integers whatever the order of adding. The windows are those of [`Axis`](super::axis::Axis), which rounds weights instead.

use super::axis::window;
use crate::table::{Aligned, PAD, PairTaps, WindowTaps};

/// Most that the weights of a window sum to: 255 times it fits 16 bits.
const TOTAL: i64 = 256;

/// The windows of every output along one direction.
#[derive(Debug)]
pub(super) struct Boxes {
    /// A whole pixel counts `1 << part`.
    pub(super) part: u32,
    /// What a window's weights sum to: at most 256.
    pub(super) total: usize,
    windows: Vec<Window>,
    src: usize,
}

/// The pixels of one output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// The first pixel.
    pub(super) first: usize,
    /// Pixels, at least one.
    pub(super) count: usize,
    /// Weights of the first and of the last; of a single pixel all is in the first.
    pub(super) ends: [u8; 2],
}

impl Boxes {
    /// From `src` to `dst` pixels; a whole pixel counts at most `1 << part`, and less where a window is so long that its weights would exceed 256.
    pub(super) fn new(src: usize, dst: usize, part: u32) -> Boxes {
        let (length, pixel) = window(src, dst);
        let part = (0..=part).rev().find(|part| (length << part) <= TOTAL * pixel).unwrap_or(0);
        let scaled = |at: i64| ((at << part) + pixel / 2).div_euclid(pixel);
        let (total, end) = (scaled(length).clamp(1, TOTAL), (src as i64) << part);
        let windows = (0..dst as i64)
            .map(|i| {
                let low = (2 * i + 1) * src as i64 - length / 2;
                let start = scaled(low);
                // A window that rounding has moved over the edge is moved back; one that reaches over it counts the edge pixel for what is beyond.
                let start =
                    if low >= 0 && low + length <= src as i64 * pixel { start.min(end - total).max(0) } else { start };
                let pixel_at = |at: i64| (at >> part).clamp(0, src as i64 - 1);
                let (first, last) = (pixel_at(start), pixel_at(start + total - 1));
                let ends = if first == last {
                    [total, 0]
                } else {
                    [((first + 1) << part) - start, start + total - (last << part)]
                };
                let ends = ends.map(|weight| weight.min(255) as u8);
                Window { first: first as usize, count: (last - first + 1) as usize, ends }
            })
            .collect();
        Boxes { part, total: total as usize, windows, src }
    }
}

impl Boxes {
    /// The window of output `i`.
    pub(super) fn at(&self, i: usize) -> Window {
        self.windows[i]
    }

    /// The weights of a window, from its first pixel on.
    pub(super) fn weights(&self, window: Window) -> impl Iterator<Item = u8> {
        let (whole, last) = (1 << self.part, window.count - 1);
        (0..window.count).map(move |k| match k {
            0 => window.ends[0],
            k if k == last => window.ends[1],
            _ => whole,
        })
    }

    /// Most pixels of a window.
    fn longest(&self) -> usize {
        self.windows.iter().map(|w| w.count).max().unwrap_or(1)
    }

    /// The same as [`WindowTaps`], over a source of at least 64 bytes.
    pub(super) fn window_taps(&self) -> WindowTaps {
        let fits = |quads: usize| {
            let span = |group: &[Window]| group.last().map_or(0, |last| last.first + last.count - group[0].first);
            self.longest() <= 4 * quads && self.windows.chunks(16 / quads).all(|group| span(group) <= 64)
        };
        let quads = [1, 2, 4, 8].into_iter().find(|quads| fits(*quads)).unwrap_or(16);
        let groups = self.windows.len().div_ceil(16) * quads;
        let mut taps = WindowTaps {
            quads,
            base: Aligned::zeros(groups),
            index: Aligned::zeros(groups * 64),
            weight: Aligned::zeros(groups * 64),
        };
        for (group, windows) in self.windows.chunks(16 / quads).enumerate() {
            let base = windows[0].first.min(self.src - 64);
            taps.base[group] = base as u32;
            for (i, window) in windows.iter().enumerate() {
                let at = group * 64 + i * quads * 4;
                for (k, weight) in self.weights(*window).enumerate() {
                    taps.index[at + k] = (window.first + k - base) as u8;
                    taps.weight[at + k] = weight as i8;
                }
            }
        }
        taps
    }

    /// The same as [`PairTaps`], over a line of `pairs` pairs.
    pub(super) fn pair_taps(&self, pairs: usize) -> PairTaps {
        let needed = |w: &Window| (w.first + w.count).div_ceil(2) - w.first / 2;
        let each = self.windows.iter().map(needed).max().unwrap_or(1);
        let padded = self.windows.len().next_multiple_of(PAD);
        let mut taps = PairTaps {
            pairs: each,
            total: self.total,
            first: Aligned::zeros(padded),
            weight: Aligned::zeros(padded * each * 2),
        };
        for (i, window) in self.windows.iter().enumerate() {
            let first = (window.first / 2).min(pairs - each);
            taps.first[i] = first as u32;
            for (k, weight) in self.weights(*window).enumerate() {
                taps.weight[i * each * 2 + window.first - first * 2 + k] = i16::from(weight);
            }
        }
        taps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_one_length_and_stay_inside() {
        for part in [5, 6] {
            for (src, dst) in
                [(1, 1), (1, 9), (9, 1), (2, 1), (640, 960), (640, 182), (1280, 182), (31, 1), (5, 4), (8192, 257)]
            {
                let boxes = Boxes::new(src, dst, part);
                assert!(boxes.total <= 256);
                for i in 0..dst {
                    let window = boxes.at(i);
                    assert_eq!(
                        boxes.weights(window).map(usize::from).sum::<usize>(),
                        boxes.total,
                        "{src} to {dst} at {i}"
                    );
                    assert!(window.first + window.count <= src);
                    assert!(boxes.weights(window).all(|w| (1..=127).contains(&w)), "{src} to {dst} at {i}: {window:?}");
                }
            }
        }
    }

    #[test]
    fn windows_lie_beside_each_other() {
        let boxes = Boxes::new(1280, 182, 5);
        assert_eq!((boxes.part, boxes.total), (5, 225), "7.03 pixels of 32 parts");
        let at = |i: usize| (boxes.at(i).first, boxes.at(i).count, boxes.at(i).ends);
        assert_eq!((at(0), at(1), at(181)), ((0, 8, [32, 1]), (7, 8, [31, 2]), (1272, 8, [1, 32])));
        assert_eq!(Boxes::new(2048, 64, 5).part, 3, "32 pixels of 8 parts");
    }
}
