//! The table of kernels that a level fills: one function for each step that has hand-written or specially compiled forms.
//!
//! All are `unsafe fn`: they may use instructions that the processor lacks. A table leaves `level.rs` only when the processor has its level;
//! that is the one condition of calling. Lengths are asserted by the kernels themselves, once a row.

/// A vector that starts at a multiple of 64 bytes: no access to it straddles two cache lines.
#[derive(Debug, Clone)]
pub(crate) struct Aligned<T> {
    lines: Vec<Line>,
    kind: std::marker::PhantomData<T>,
}

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Types of which every pattern of bits is a value.
pub(crate) trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for i8 {}
impl Plain for i16 {}
impl Plain for u16 {}
impl Plain for u32 {}

impl<T: Plain> Aligned<T> {
    /// At least `len` zeros, rounded up to whole lines.
    pub(crate) fn zeros(len: usize) -> Aligned<T> {
        let lines = vec![Line([0; 64]); (len * size_of::<T>()).div_ceil(64)];
        Aligned { lines, kind: std::marker::PhantomData }
    }
}

impl<T: Plain> std::ops::Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines are initialised bytes, aligned for `T`, and any bits are a `T`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 64 / size_of::<T>()) }
    }
}

impl<T: Plain> std::ops::DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the borrow is unique.
        unsafe {
            std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 64 / size_of::<T>())
        }
    }
}

/// The length of windows whose outputs' positions and weights lie in pairs: for each window 64 for the first two of up to 32 outputs, then 64 for the others.
pub(crate) const PAIRED: usize = 64;

/// Taps of outputs that read two or four neighbouring bytes; weights are Q7 and sum to 128 (0 for padding outputs).
#[derive(Debug)]
pub(crate) struct ByteTaps {
    /// Positions and weights of an output: 2 or 4.
    pub(crate) each: usize,
    /// Outputs that share a window of the source.
    pub(crate) group: usize,
    /// Bytes in a window.
    pub(crate) window: usize,
    /// Outputs, padding included: a multiple of 32; with windows of [`PAIRED`] bytes, what is written in steps of `group`, 32 at a time.
    pub(crate) outputs: usize,
    /// Where each group's window starts.
    pub(crate) base: Aligned<u32>,
    /// Positions of each output, within the window; see [`PAIRED`].
    pub(crate) index: Aligned<u8>,
    /// Weights of each output; 128 is split over two positions.
    pub(crate) weight: Aligned<i8>,
}

/// Lines of words that wrap around: line `row` of a picture lies at `row & mask`.
pub(crate) struct Ring<'a> {
    pub(crate) words: &'a mut [i16],
    /// Words of a line, a multiple of [`PAD`].
    pub(crate) line: usize,
    /// Lines less one; their number is a power of two.
    pub(crate) mask: usize,
}

impl Ring<'_> {
    /// The line of row `row`, its first `words`.
    pub(crate) fn line(&mut self, row: usize, words: usize) -> &mut [i16] {
        &mut self.words[(row & self.mask) * self.line..][..words]
    }

    /// Where the lines of up to [`BATCH`] rows from `first` on start; each holds `words` from there on.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(crate) fn starts(&mut self, first: usize, words: usize) -> [*mut i16; BATCH] {
        assert!(words <= self.line && (self.mask + 1) * self.line <= self.words.len());
        // The product is in bounds by the assertion: a row's line is below mask + 1.
        [0, 1, 2, 3].map(|i| self.words.as_mut_ptr().wrapping_add(((first + i) & self.mask) * self.line))
    }
}

/// Consecutive rows of a picture.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) stride: usize,
    pub(crate) width: usize,
    /// Number of the first row, which `data` starts with.
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl<'a> Rows<'a> {
    /// Row `i` of these.
    pub(crate) fn row(&self, i: usize) -> &'a [u8] {
        &self.data[i * self.stride..][..self.width]
    }

    /// Where each row starts; `width` bytes are there for the first `count`, the others must not be read.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(crate) fn starts(&self) -> [*const u8; BATCH] {
        assert!((1..=BATCH).contains(&self.count) && (self.count - 1) * self.stride + self.width <= self.data.len());
        [0, 1, 2, 3].map(|i| self.data.as_ptr().wrapping_add(i * self.stride))
    }
}

/// Rows that a call of [`Table::across`] takes at once.
pub(crate) const BATCH: usize = 4;

/// How many source rows ahead [`Across`] fetches: a batch takes less time than memory does.
#[cfg(target_arch = "x86_64")]
pub(crate) const SOURCE_AHEAD: usize = 2 * BATCH;

/// How many output rows ahead memory is fetched for writing, for the same reason.
pub(crate) const OUTPUT_AHEAD: usize = 3;

/// Taps of outputs that are gathered from windows of 64 bytes: `quads` groups of four bytes for each, sixteen groups from each window.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "AVX-512 alone gathers"))]
#[derive(Debug)]
pub(crate) struct WindowTaps {
    /// 1, 2, 4, 8 or 16.
    pub(crate) quads: usize,
    /// Where each window starts; there are as many windows for sixteen outputs as an output has groups.
    pub(crate) base: Aligned<u32>,
    /// Positions within the window, 64 for each.
    pub(crate) index: Aligned<u8>,
    /// Weights, 64 for each window; no group of four exceeds 128.
    pub(crate) weight: Aligned<i8>,
}

/// Taps of outputs that read whole pairs of words.
#[derive(Debug)]
pub(crate) struct PairTaps {
    /// Pairs that each output reads.
    pub(crate) pairs: usize,
    /// What the weights of an output sum to: AVX2 works with signed sums.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "AVX2 alone has no unsigned products"))]
    pub(crate) total: usize,
    /// The first pair of each output; padded to a multiple of 64 outputs.
    pub(crate) first: Aligned<u32>,
    /// `2 × pairs` weights for each output.
    pub(crate) weight: Aligned<i16>,
}

/// The rows of one output row of [`Gather`]. Its first row counts `ends[0]`, its last `ends[1]` (0 when it is the first), those between `1 << part`.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "AVX-512 alone gathers"))]
#[derive(Clone, Copy)]
pub(crate) struct Strip<'a> {
    /// From the first row's start on.
    pub(crate) data: &'a [u8],
    pub(crate) stride: usize,
    /// Bytes of a row, at least 64.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) count: usize,
    pub(crate) ends: [u8; 2],
    pub(crate) part: u32,
    /// One by the sum of all weights, down times across.
    pub(crate) scale: f32,
}

/// Most pairs of rows that [`Sums`] takes: 32:1 touches at most 34 rows.
#[cfg(target_arch = "x86_64")]
pub(crate) const PAIRS: usize = 18;

/// Rows that a pass of [`Columns`] takes at once.
pub(crate) const BLOCK: usize = 8;

/// Output columns are padded to this: the widest vector of bytes.
pub(crate) const PAD: usize = 64;

// SAFETY: of every function type here: the processor must have the level that the table belongs to.

/// Rows through [`ByteTaps`] into their lines of the ring: bytes in, Q7 words out.
pub(crate) type Across = unsafe fn(rows: Rows<'_>, taps: &ByteTaps, ring: Ring<'_>);
/// Lines at `offsets` weighted in Q15 and summed: Q7 words in, bytes out. At least two lines; of two, the second's weight counts alone.
/// The memory `ahead` bytes beyond `out` is fetched for a later call.
pub(crate) type Down = unsafe fn(lines: &[i16], offsets: &[usize], weights: &[i16], ahead: usize, out: &mut [u8]);
/// Sums over boxes of bytes, scaled and rounded to nearest, ties to even. The memory `ahead` bytes beyond `out` is fetched for a later call.
pub(crate) type Gather = unsafe fn(rows: Strip<'_>, taps: &WindowTaps, ahead: usize, out: &mut [u8]);
/// Rows of bytes at `offsets`, an even number, weighted and summed; the weights sum to at most 256. A level may keep the sums as its `columns` wants them.
/// Rows `ahead` bytes further are fetched for the next call.
pub(crate) type Sums =
    unsafe fn(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, ahead: usize, out: &mut [u16]);
/// [`BLOCK`] rows of sums, `line` words apart, through [`PairTaps`], scaled and rounded as above.
// SAFETY: as above.
pub(crate) type Columns = unsafe fn(rows: &[u16], line: usize, taps: &PairTaps, scratch: &mut [u32], out: Block<'_>);

/// How a level reduces by more than 3:1 across.
#[derive(Clone, Copy)]
pub(crate) enum Far {
    /// Both directions at once.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "AVX-512 alone gathers"))]
    Gathered(Gather),
    /// Down, then across by blocks of rows.
    Turned(Sums, Columns),
}
// SAFETY: as above: the processor must have the table's level.

/// Exact 2:1: means of 2×2, rounded.
pub(crate) type Halve = unsafe fn(rows: [&[u8]; 2], out: &mut [u8]);
/// Exact 4:1: means of 4×4, rounded.
pub(crate) type Quarter = unsafe fn(rows: [&[u8]; 4], out: &mut [u8]);

/// Where a block of output rows goes.
pub(crate) struct Block<'a> {
    /// Bytes from the first row's start.
    pub(crate) data: &'a mut [u8],
    /// Bytes between rows.
    pub(crate) stride: usize,
    /// Bytes of a row.
    pub(crate) width: usize,
    /// Rows, at most [`BLOCK`].
    pub(crate) count: usize,
    /// One by the sum of all weights, down times across.
    pub(crate) scale: f32,
}

/// The kernels of one level.
pub(crate) struct Table {
    /// Outputs that share a window: with two taps each, with four. With windows of [`PAIRED`] bytes, as many as fit, up to 32.
    pub(crate) groups: [usize; 2],
    pub(crate) window: usize,
    pub(crate) across: Across,
    pub(crate) down: Down,
    pub(crate) far: Far,
    pub(crate) halve: Halve,
    pub(crate) quarter: Quarter,
    // SAFETY: to call any of these, the processor must have the table's level.
    pub(crate) blend: unsafe fn(dst: &mut [u8], src: &[u8], alpha: &[u8]),
    pub(crate) interleave: unsafe fn(u: &[u8], v: &[u8], out: &mut [u8]),
    pub(crate) deinterleave: unsafe fn(uv: &[u8], u: &mut [u8], v: &mut [u8]),
    pub(crate) dim: unsafe fn(row: &mut [u8], towards: u8, keep: u16),
    pub(crate) add: unsafe fn(sum: &mut [i32], samples: &[i16]),
    pub(crate) add_f32: unsafe fn(sum: &mut [f32], samples: &[f32], from: f32, step: f32),
    pub(crate) gain: unsafe fn(samples: &mut [i16], from: f32, step: f32),
    pub(crate) limit: unsafe fn(sum: &[i32], out: &mut [i16]),
    // SAFETY: as above.
    pub(crate) limit_without: unsafe fn(sum: &[i32], own: &[i16], out: &mut [i16]),
    pub(crate) limit_f32: unsafe fn(samples: &mut [f32]),
    pub(crate) to_f32: unsafe fn(samples: &[i16], out: &mut [f32]),
    pub(crate) to_i16: unsafe fn(samples: &[f32], out: &mut [i16]),
    pub(crate) dot: unsafe fn(samples: &[i16], taps: &[i16]) -> i32,
}

/// The simple kernels compiled for a level: the compiler vectorises the text of `plain.rs` with the level's instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled {
    ($($feature:literal)?) => {
        use crate::plain;
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn blend(dst: &mut [u8], src: &[u8], alpha: &[u8]) { plain::blend(dst, src, alpha); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn interleave(u: &[u8], v: &[u8], out: &mut [u8]) { plain::interleave(u, v, out); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn deinterleave(uv: &[u8], u: &mut [u8], v: &mut [u8]) { plain::deinterleave(uv, u, v); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn dim(row: &mut [u8], towards: u8, keep: u16) { plain::dim(row, towards, keep); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn add(sum: &mut [i32], samples: &[i16]) { plain::add(sum, samples); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn add_f32(sum: &mut [f32], samples: &[f32], from: f32, step: f32) { plain::add_f32(sum, samples, from, step); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn gain(samples: &mut [i16], from: f32, step: f32) { plain::gain(samples, from, step); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn limit(sum: &[i32], out: &mut [i16]) { plain::limit(sum, out); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn limit_without(sum: &[i32], own: &[i16], out: &mut [i16]) { plain::limit_without(sum, own, out); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn limit_f32(samples: &mut [f32]) { plain::limit_f32(samples); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn to_f32(samples: &[i16], out: &mut [f32]) { plain::to_f32(samples, out); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn to_i16(samples: &[f32], out: &mut [i16]) { plain::to_i16(samples, out); }
        $(#[target_feature(enable = $feature)])?
        pub(crate) fn dot(samples: &[i16], taps: &[i16]) -> i32 { plain::dot(samples, taps) }
    };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use compiled;

/// A table whose hand-written kernels stand in module `$scale` and whose simple ones in `$simple`.
macro_rules! table {
    ($groups:expr, $window:expr, $far:expr, $scale:path, $simple:path) => {{
        use $scale as scale;
        use $simple as simple;
        $crate::table::Table {
            groups: $groups,
            window: $window,
            across: scale::across,
            down: scale::down,
            far: $far,
            halve: scale::halve,
            quarter: scale::quarter,
            blend: simple::blend,
            interleave: simple::interleave,
            deinterleave: simple::deinterleave,
            dim: simple::dim,
            add: simple::add,
            add_f32: simple::add_f32,
            gain: simple::gain,
            limit: simple::limit,
            limit_without: simple::limit_without,
            limit_f32: simple::limit_f32,
            to_f32: simple::to_f32,
            to_i16: simple::to_i16,
            dot: simple::dot,
        }
    }};
}
pub(crate) use table;
