//! One direction of scaling: which source pixels an output reads, with which weights.
//!
//! The window of output i is centred on `(i + ½) × ratio`; a pixel's weight is its overlap with the window. The window is one pixel long up to 1½:1,
//! `2 × ratio - 2` up to 2:1, and `ratio` beyond.
//! Weights are differences of a rounded running sum, so that they add up to one exactly; pixels beyond the edge count for the edge pixel.

use crate::table::{Aligned, ByteTaps, PAIRED};

/// Lengths of a window and of a source pixel, both in units of 1 / (2 × dst) of a source pixel.
pub(super) fn window(src: usize, dst: usize) -> (i64, i64) {
    let (n, m) = (src as i64, dst as i64);
    (if n >= 2 * m { 2 * n } else { (2 * m).max(4 * (n - m)) }, 2 * m)
}

/// Weights of every output along one direction.
#[derive(Debug)]
pub(super) struct Axis {
    /// First source pixel of each output.
    first: Vec<u32>,
    /// Where each output's weights start in `weights`; one more at the end.
    start: Vec<u32>,
    weights: Vec<u16>,
}

impl Axis {
    /// From `src` to `dst` pixels, with weights that sum to `one`.
    pub(super) fn new(src: usize, dst: usize, one: i64) -> Axis {
        let (n, m) = (src as i64, dst as i64);
        let (length, pixel) = window(src, dst);
        let mut axis = Axis { first: Vec::with_capacity(dst), start: vec![0], weights: Vec::new() };
        for i in 0..m {
            let low = (2 * i + 1) * n - length / 2;
            let high = low + length;
            // The share of the window that lies left of source pixel k.
            let before = |k: i64| ((k * pixel).clamp(low, high) - low) * one;
            let rounded = |k: i64| (before(k) + length / 2) / length;
            let left = low.div_euclid(pixel).clamp(0, n - 1);
            let right = (high - 1).div_euclid(pixel).clamp(0, n - 1);
            let weight = |k: i64| {
                let upper = if k == right { one } else { rounded(k + 1) };
                let lower = if k == left { 0 } else { rounded(k) };
                upper - lower
            };
            let from = (left..right).find(|k| weight(*k) != 0).unwrap_or(right);
            let to = (from..=right).rev().find(|k| weight(*k) != 0).unwrap_or(from);
            axis.first.push(from as u32);
            axis.weights.extend((from..=to).map(|k| weight(k) as u16));
            axis.start.push(axis.weights.len() as u32);
        }
        axis
    }

    /// The first source pixel of output `i`, and the weights from there on.
    pub(super) fn at(&self, i: usize) -> (usize, &[u16]) {
        (self.first[i] as usize, &self.weights[self.start[i] as usize..self.start[i + 1] as usize])
    }

    /// Most source pixels that an output reads.
    pub(super) fn longest(&self) -> usize {
        self.start.windows(2).map(|s| (s[1] - s[0]) as usize).max().unwrap_or(1)
    }

    /// The same as [`ByteTaps`], for at most four weights in Q7 each, over a source of `src` bytes; `groups` for two and for four of them.
    pub(super) fn byte_taps(&self, src: usize, groups: [usize; 2], window: usize) -> ByteTaps {
        let near = src <= 2 * self.first.len();
        let (each, group) = if near && self.longest() <= 2 { (2, groups[0]) } else { (4, groups[1]) };
        let group = if window == PAIRED { self.fitting(window) } else { group };
        let outputs = self.first.len();
        let (entries, padded) = if window == PAIRED {
            let groups = outputs.div_ceil(group);
            (groups * 32, (groups - 1) * group + 32)
        } else {
            (outputs.next_multiple_of(32), outputs.next_multiple_of(32))
        };
        let mut taps = ByteTaps {
            each,
            group,
            window,
            outputs: padded,
            base: Aligned::zeros(outputs.next_multiple_of(32).div_ceil(group)),
            index: Aligned::zeros(entries * each),
            weight: Aligned::zeros(entries * each),
        };
        for i in 0..outputs {
            let base = (self.first[i - i % group] as usize).min(src.saturating_sub(window));
            taps.base[i / group] = base as u32;
            let (first, weights) = self.at(i);
            // 128 does not fit a signed byte: the pixel counts twice.
            let one = [64; 2];
            let (step, weights) = if weights == [128] { (0, &one[..]) } else { (1, weights) };
            for k in 0..each {
                let at = if window == PAIRED {
                    i / group * 32 * each + k / 2 * 64 + i % group * 2 + k % 2
                } else {
                    each * i + k
                };
                let (position, weight) = weights.get(k).map_or((first, 0), |weight| (first + k * step, *weight));
                (taps.index[at], taps.weight[at]) = ((position - base) as u8, weight as i8);
            }
        }
        taps
    }

    /// The most outputs, up to 32, of which any so many from a multiple of them on share a window.
    fn fitting(&self, window: usize) -> usize {
        let end = |i: usize| (self.first[i] + self.start[i + 1] - self.start[i]) as usize;
        let fits = |group: usize| {
            (0..self.first.len()).step_by(group).all(|i| {
                let last = (i + group).min(self.first.len()) - 1;
                end(last) - self.first[i] as usize <= window
            })
        };
        (1..=32).rev().find(|group| fits(*group)).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_stay_inside_for_every_ratio() {
        for (src, dst) in
            [(1, 1), (1, 9), (9, 1), (2, 3), (640, 960), (640, 274), (1280, 182), (31, 1), (5, 4), (8192, 8191)]
        {
            for one in [128, 32768] {
                let axis = Axis::new(src, dst, one);
                for i in 0..dst {
                    let (first, weights) = axis.at(i);
                    assert_eq!(weights.iter().map(|w| i64::from(*w)).sum::<i64>(), one, "{src} to {dst} at {i}");
                    assert!(first + weights.len() <= src && weights.iter().all(|w| i64::from(*w) <= one));
                }
            }
        }
    }

    #[test]
    fn enlarging_is_bilinear_and_reducing_is_the_mean_of_the_area() {
        let twice = Axis::new(2, 4, 128);
        assert_eq!(
            (twice.at(0), twice.at(1), twice.at(2), twice.at(3)),
            ((0, &[128][..]), (0, &[96, 32][..]), (0, &[32, 96][..]), (1, &[128][..]))
        );
        let third = Axis::new(6, 2, 32768);
        assert_eq!((third.at(0), third.at(1)), ((0, &[10923, 10922, 10923][..]), (3, &[10923, 10922, 10923][..])));
        let half_as_much = Axis::new(3, 2, 128);
        assert_eq!((half_as_much.at(0), half_as_much.at(1)), ((0, &[96, 32][..]), (1, &[32, 96][..])));
    }
}
