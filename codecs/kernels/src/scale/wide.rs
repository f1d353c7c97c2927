//! Reductions by more than 3:1 across: exact integer sums over boxes of pixels (`boxes`), at most 255 × 256 × 256, scaled to bytes once at the end.
//!
//! All integers up to 2²⁴ are exact in an `f32`, so a sum's order does not matter, and one product rounded to nearest is the same everywhere. Levels
//! differ in the way: AVX-512 gathers and sums both directions at once from source to output, others sum down and then turn blocks of rows.

use super::boxes::Boxes;
use super::scalar;
use crate::level::Kernels;
use crate::table::{Aligned, BLOCK, Block, Columns, Far, Gather, OUTPUT_AHEAD, PAD, PairTaps, Strip, Sums, WindowTaps};
use crate::view::{Plane, PlaneMut};

/// Parts of a pixel at most, across: four whole pixels stay within 16 bits.
const ACROSS: u32 = 5;

/// Parts of a pixel at most, down: two whole pixels stay within 16 bits.
const DOWN: u32 = 6;

/// Room for the taps of an output row: 32:1 touches at most 34 source rows.
const TAPS: usize = 36;

/// How planes of one size become planes of another.
#[derive(Debug)]
pub(super) struct Wide {
    down: Boxes,
    /// One by the sum of all weights.
    scale: f32,
    steps: Steps,
}

enum Steps {
    Gathered(Gather, WindowTaps),
    Turned(Box<Turned>),
}

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Steps::Gathered(..) => "gathered",
            Steps::Turned(_) => "turned",
        })
    }
}

impl Wide {
    pub(super) fn new(kernels: Kernels, src: (usize, usize), dst: (usize, usize)) -> Wide {
        let (across, down) = (Boxes::new(src.0, dst.0, ACROSS), Boxes::new(src.1, dst.1, DOWN));
        let scale = 1.0 / (across.total * down.total) as f32;
        let steps = match kernels.table.far {
            Far::Gathered(gather) if src.0 >= PAD => Steps::Gathered(gather, across.window_taps()),
            Far::Gathered(_) => Steps::Turned(Box::new(Turned::new(scalar::sums, scalar::columns, &across, src.0))),
            Far::Turned(sums, columns) => Steps::Turned(Box::new(Turned::new(sums, columns, &across, src.0))),
        };
        Wide { down, scale, steps }
    }

    pub(super) fn run(&mut self, src: Plane<'_>, dst: &mut PlaneMut<'_>) {
        match &mut self.steps {
            Steps::Turned(turned) => turned.run(&self.down, self.scale, src, dst),
            Steps::Gathered(gather, taps) => {
                let (stride, width, ahead) = (src.stride(), src.width(), OUTPUT_AHEAD * dst.stride());
                for y in 0..dst.height() {
                    let window = self.down.at(y);
                    let rows = Strip {
                        data: &src.data()[window.first * stride..],
                        stride,
                        width,
                        count: window.count,
                        ends: window.ends,
                        part: self.down.part,
                        scale: self.scale,
                    };
                    // SAFETY: the processor has the level that the plan was made for.
                    unsafe { gather(rows, taps, ahead, dst.row_mut(y)) };
                }
            }
        }
    }
}

/// Down first, then across by blocks of rows that are turned on their side.
struct Turned {
    sums: Sums,
    columns: Columns,
    taps: PairTaps,
    /// [`BLOCK`] lines of sums.
    rows: Aligned<u16>,
    line: usize,
    /// The block turned on its side.
    turned: Aligned<u32>,
}

impl Turned {
    fn new(sums: Sums, columns: Columns, across: &Boxes, width: usize) -> Turned {
        let line = width.next_multiple_of(PAD);
        let (rows, turned) = (Aligned::zeros(BLOCK * line), Aligned::zeros(line / 2 * BLOCK));
        Turned { sums, columns, taps: across.pair_taps(line / 2), rows, line, turned }
    }

    fn run(&mut self, down: &Boxes, scale: f32, src: Plane<'_>, dst: &mut PlaneMut<'_>) {
        let (width, height, stride) = (dst.width(), dst.height(), dst.stride());
        for top in (0..height).step_by(BLOCK) {
            let count = BLOCK.min(height - top);
            for (i, line) in self.rows.chunks_exact_mut(self.line).take(count).enumerate() {
                sum_down(self.sums, src, down, top + i, line);
            }
            let out = Block { data: dst.rows_from(top), stride, width, count, scale };
            // SAFETY: the processor has the level that the plan was made for.
            unsafe { (self.columns)(&self.rows, self.line, &self.taps, &mut self.turned, out) };
        }
    }
}

/// Output row `y` of the downward pass.
fn sum_down(sums: Sums, src: Plane<'_>, down: &Boxes, y: usize, line: &mut [u16]) {
    let window = down.at(y);
    let mut offsets = [window.first * src.stride(); TAPS];
    let mut bytes = [0_i8; TAPS];
    for (i, weight) in down.weights(window).enumerate() {
        offsets[i] = (window.first + i) * src.stride();
        bytes[i] = weight as i8;
    }
    let taps = window.count.next_multiple_of(2);
    let ahead = window.count * src.stride();
    // SAFETY: the processor has the level that the plan was made for.
    unsafe { sums(src.data(), &offsets[..taps], &bytes[..taps], src.width(), ahead, line) };
}
