//! Scaling of planes: a [`ScalePlan`] is made once for two sizes and run for every frame.
//!
//! One rule for every ratio: an output pixel is the mean of the source over a window centred on it, in each direction; the edge repeats. The window is
//! one pixel long up to a reduction of 1½:1 (that is bilinear) and as long as the ratio from 2:1 on (that is the area average), see `axis`.
//! Windows and weights are integers, made once.
//!
//! Four ways, chosen by the sizes alone, so that every level computes the same:
//! - exact 1:1, 2:1 and 4:1: copied, or means of 2×2 and 4×4;
//! - narrow (at most 3:1 across): each source row is filtered across into words (Q7, exact), kept in a ring, and summed down (Q15);
//! - wide: exact sums over boxes of pixels, divided once at the end, see `wide`;
//! - beyond 32:1 the picture is halved first, as often as needed.

mod axis;
mod boxes;
pub(crate) mod scalar;
mod wide;

use axis::Axis;

use crate::level::Kernels;
use crate::table::{Aligned, BATCH, ByteTaps, OUTPUT_AHEAD, PAD, Ring, Rows};
use crate::view::{Plane, PlaneMut, SizeError, check_side};
use wide::Wide;

/// Ratio across up to which four taps suffice.
const NARROW: usize = 3;

/// Ratio beyond which the picture is halved first: a pixel of a window stays 8 parts long, and the taps of a row fit a small array.
const HALVE_BEYOND: usize = 32;

/// How a plane of one size becomes a plane of another. Holds tables and scratch: a few times a row's bytes, up to a third of the source beyond 32:1.
#[derive(Debug)]
pub struct ScalePlan {
    kernels: Kernels,
    src: (usize, usize),
    dst: (usize, usize),
    way: Way,
}

#[derive(Debug)]
enum Way {
    Copy,
    Half,
    Quarter,
    Narrow(Narrow),
    Wide(Wide),
    Chain(Box<Chain>),
}

impl ScalePlan {
    /// A plan from planes of `src` (width, height) to planes of `dst`.
    ///
    /// # Errors
    /// [`SizeError::Side`] when a side is outside of 1 to 8192.
    pub fn new(kernels: Kernels, src: (usize, usize), dst: (usize, usize)) -> Result<ScalePlan, SizeError> {
        check_side(src.0, src.1)?;
        check_side(dst.0, dst.1)?;
        let way = if src == dst {
            Way::Copy
        } else if src == (dst.0 * 2, dst.1 * 2) {
            Way::Half
        } else if src == (dst.0 * 4, dst.1 * 4) {
            Way::Quarter
        } else if src.0 > dst.0 * HALVE_BEYOND || src.1 > dst.1 * HALVE_BEYOND {
            Way::Chain(Box::new(Chain::new(kernels, src, dst)?))
        } else if src.0 <= dst.0 * NARROW {
            Way::Narrow(Narrow::new(kernels, src, dst))
        } else {
            Way::Wide(Wide::new(kernels, src, dst))
        };
        Ok(ScalePlan { kernels, src, dst, way })
    }

    /// Size of the source, width and height.
    #[must_use]
    pub fn src(&self) -> (usize, usize) {
        self.src
    }

    /// Size of the destination, width and height.
    #[must_use]
    pub fn dst(&self) -> (usize, usize) {
        self.dst
    }

    /// Scales `src` into `dst`. Allocates nothing.
    ///
    /// # Errors
    /// [`SizeError::Mismatch`] when a plane is not of the plan's size; nothing is written then.
    pub fn run(&mut self, src: Plane<'_>, mut dst: PlaneMut<'_>) -> Result<(), SizeError> {
        for (want, have) in [(self.src, (src.width(), src.height())), (self.dst, (dst.width(), dst.height()))] {
            if want != have {
                return Err(SizeError::Mismatch(want.0, want.1, have.0, have.1));
            }
        }
        match &mut self.way {
            Way::Copy => copy(src, &mut dst),
            Way::Half => halve(self.kernels, src, &mut dst),
            Way::Quarter => quarter(self.kernels, src, &mut dst),
            Way::Narrow(narrow) => narrow.run(self.kernels, src, &mut dst),
            Way::Wide(wide) => wide.run(src, &mut dst),
            Way::Chain(chain) => chain.run(src, dst)?,
        }
        Ok(())
    }
}

fn copy(src: Plane<'_>, dst: &mut PlaneMut<'_>) {
    for y in 0..src.height() {
        dst.row_mut(y).copy_from_slice(src.row(y));
    }
}

fn halve(kernels: Kernels, src: Plane<'_>, dst: &mut PlaneMut<'_>) {
    for y in 0..dst.height() {
        // SAFETY: the processor has the level of `kernels`.
        unsafe { (kernels.table.halve)([src.row(2 * y), src.row(2 * y + 1)], dst.row_mut(y)) };
    }
}

fn quarter(kernels: Kernels, src: Plane<'_>, dst: &mut PlaneMut<'_>) {
    for y in 0..dst.height() {
        let rows = [0, 1, 2, 3].map(|i| src.row(4 * y + i));
        // SAFETY: the processor has the level of `kernels`.
        unsafe { (kernels.table.quarter)(rows, dst.row_mut(y)) };
    }
}

/// Across first: rows of words in a ring that holds what one output row needs, and what is filtered ahead.
#[derive(Debug)]
struct Narrow {
    taps: ByteTaps,
    /// For each output row, how many source rows it needs done, and where its taps end in `offsets` and `factors`.
    rows: Vec<(usize, usize)>,
    /// Where in the ring an output row's lines start, two at least.
    offsets: Vec<usize>,
    /// What each counts, in Q15; of two the second's alone.
    factors: Vec<i16>,
    /// Lines of `line` words; their number is a power of two.
    ring: Aligned<i16>,
    line: usize,
    mask: usize,
}

impl Narrow {
    fn new(kernels: Kernels, src: (usize, usize), dst: (usize, usize)) -> Narrow {
        let down = Axis::new(src.1, dst.1, 1 << 15);
        let lines = (down.longest() + BATCH - 1).next_power_of_two();
        let across = Axis::new(src.0, dst.0, 1 << 7);
        let taps = across.byte_taps(src.0, kernels.table.groups, kernels.table.window);
        let (line, mask) = (dst.0.max(taps.outputs).next_multiple_of(PAD), lines - 1);
        let (mut rows, mut offsets, mut factors) = (Vec::with_capacity(dst.1), Vec::new(), Vec::new());
        for y in 0..dst.1 {
            let (first, weights) = down.at(y);
            let offset = |row: usize| (row & mask) * line;
            offsets.extend((first..first + weights.len()).map(offset));
            factors.extend(weights.iter().map(|weight| *weight as i16));
            if weights.len() == 1 {
                offsets.push(offset(first));
                factors.push(0);
            }
            rows.push((first + weights.len(), offsets.len()));
        }
        Narrow { taps, rows, offsets, factors, ring: Aligned::zeros(lines * line), line, mask }
    }

    fn run(&mut self, kernels: Kernels, src: Plane<'_>, dst: &mut PlaneMut<'_>) {
        let Narrow { taps, rows, offsets, factors, ring, line, mask } = self;
        let (mut next, mut start, ahead) = (0, 0, OUTPUT_AHEAD * dst.stride());
        for (y, (needed, end)) in rows.iter().enumerate() {
            while next < *needed {
                let count = BATCH.min(src.height() - next);
                filter(kernels, src, next, count, taps, Ring { words: ring, line: *line, mask: *mask });
                next += count;
            }
            let range = start..*end;
            start = *end;
            // SAFETY: the processor has the level of `kernels`.
            unsafe { (kernels.table.down)(ring, &offsets[range.clone()], &factors[range], ahead, dst.row_mut(y)) };
        }
    }
}

/// `count` rows from `first` on go across into the ring.
fn filter(kernels: Kernels, src: Plane<'_>, first: usize, count: usize, taps: &ByteTaps, ring: Ring<'_>) {
    if src.width() < taps.window {
        return filter_short(kernels, src, first, count, taps, ring);
    }
    let data = &src.data()[first * src.stride()..];
    let rows = Rows { data, stride: src.stride(), width: src.width(), first, count };
    // SAFETY: the processor has the level of `kernels`.
    unsafe { (kernels.table.across)(rows, taps, ring) };
}

/// [`filter`] from a copy, for rows that are shorter than a window. Apart, so that only they pay for clearing it.
#[inline(never)]
fn filter_short(kernels: Kernels, src: Plane<'_>, first: usize, count: usize, taps: &ByteTaps, ring: Ring<'_>) {
    let mut short = [0; BATCH * PAD];
    for (i, copy) in short.chunks_exact_mut(PAD).enumerate().take(count) {
        copy[..src.width()].copy_from_slice(src.row(first + i));
    }
    let rows = Rows { data: &short, stride: PAD, width: PAD, first, count };
    // SAFETY: the processor has the level of `kernels`.
    unsafe { (kernels.table.across)(rows, taps, ring) };
}

/// Halved first, where a side is beyond [`HALVE_BEYOND`].
#[derive(Debug)]
struct Chain {
    first: ScalePlan,
    between: Vec<u8>,
    then: ScalePlan,
}

impl Chain {
    fn new(kernels: Kernels, src: (usize, usize), dst: (usize, usize)) -> Result<Chain, SizeError> {
        let half = |src: usize, dst: usize| if src > dst * HALVE_BEYOND { src.div_ceil(2) } else { src };
        let middle = (half(src.0, dst.0), half(src.1, dst.1));
        Ok(Chain {
            first: ScalePlan::new(kernels, src, middle)?,
            between: vec![0; middle.0 * middle.1],
            then: ScalePlan::new(kernels, middle, dst)?,
        })
    }

    fn run(&mut self, src: Plane<'_>, dst: PlaneMut<'_>) -> Result<(), SizeError> {
        let (width, height) = self.first.dst;
        self.first.run(src, PlaneMut::new(&mut self.between, width, width, height)?)?;
        self.then.run(Plane::new(&self.between, width, width, height)?, dst)
    }
}
