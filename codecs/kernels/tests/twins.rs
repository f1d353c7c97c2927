//! Every level computes what the scalar level computes, bit for bit: random sizes, strides and alignments, with guard bytes around what is written
//! and unreadable memory around what is read. Levels that the processor lacks are not among them: `make test` says which those are, `make test-arm`
//! runs NEON's in an emulator.

use plenum_kernels::{
    I420, I420Buf, I420Mut, Kernels, Level, Nv12, Nv12Mut, Plane, PlaneMut, Rate, Resampler, ScalePlan,
};
use proptest::prelude::*;

mod fence;
use fence::Fenced;

/// The levels to compare with the scalar one.
fn levels() -> Vec<Kernels> {
    let all: Vec<_> = Level::ALL.into_iter().filter(|l| *l != Level::Scalar).filter_map(Kernels::at).collect();
    assert!(!all.is_empty(), "this processor has only the scalar level: nothing is compared");
    all
}

fn scalar() -> Kernels {
    Kernels::at(Level::Scalar).expect("the scalar level is everywhere")
}

/// Bytes without a pattern that a mistake could fit: a small generator, seeded by the case.
fn noise(seed: u64) -> impl FnMut() -> u8 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // A third each: any value, black, white; so that sums reach their ends.
        match state >> 60 {
            0..=5 => (state >> 32) as u8,
            6..=10 => 0,
            _ => 255,
        }
    }
}

/// A picture's plane to be written, inside of guard bytes.
struct Guarded {
    bytes: Vec<u8>,
    start: usize,
    stride: usize,
    size: (usize, usize),
}

const GUARD: u8 = 0xA5;

impl Guarded {
    fn new(size: (usize, usize), gap: usize, shift: usize) -> Guarded {
        let stride = size.0 + gap;
        let start = 128 + shift;
        Guarded { bytes: vec![GUARD; start + stride * size.1 + 128], start, stride, size }
    }

    fn view(&mut self) -> PlaneMut<'_> {
        let end = self.start + self.stride * (self.size.1 - 1) + self.size.0;
        PlaneMut::new(&mut self.bytes[self.start..end], self.stride, self.size.0, self.size.1).expect("a view")
    }

    /// The pixels; panics if a guard byte changed.
    fn pixels(&self) -> Vec<u8> {
        let mut pixels = Vec::new();
        for (i, byte) in self.bytes.iter().enumerate() {
            let inside = i
                .checked_sub(self.start)
                .is_some_and(|at| at / self.stride < self.size.1 && at % self.stride < self.size.0);
            if inside {
                pixels.push(*byte);
            } else {
                assert_eq!(*byte, GUARD, "a guard byte at {i} changed");
            }
        }
        pixels
    }
}

fn scaled(kernels: Kernels, src: Plane<'_>, dst: (usize, usize), gap: usize, shift: usize) -> Vec<u8> {
    let mut out = Guarded::new(dst, gap, shift);
    let mut plan = ScalePlan::new(kernels, (src.width(), src.height()), dst).expect("a plan");
    plan.run(src, out.view()).expect("scaled");
    let first = out.pixels();
    // Scratch that an earlier frame left behind changes nothing.
    plan.run(src, out.view()).expect("scaled again");
    assert_eq!(out.pixels(), first, "the second run differs");
    first
}

fn compare_scaling(src: (usize, usize), dst: (usize, usize), gap: usize, shift: usize, at_end: bool, seed: u64) {
    let stride = src.0 + gap;
    let mut next = noise(seed);
    let fenced = Fenced::new(stride * (src.1 - 1) + src.0, at_end, &mut next);
    let plane = Plane::new(fenced.bytes(), stride, src.0, src.1).expect("a view");
    let expected = scaled(scalar(), plane, dst, gap, shift);
    for kernels in levels() {
        let got = scaled(kernels, plane, dst, gap, shift);
        if let Some(at) = (0..got.len()).find(|i| got[*i] != expected[*i]) {
            panic!(
                "{kernels:?} differs at {}, {}: {} for {}, {src:?} to {dst:?}",
                at % dst.0,
                at / dst.0,
                got[at],
                expected[at]
            );
        }
    }
}

/// Sizes with all the ways of scaling: near, far, exact, tiny.
fn sizes() -> impl Strategy<Value = ((usize, usize), (usize, usize))> {
    let side = prop_oneof![1..20_usize, 1..300_usize];
    let pair = (side.clone(), side.clone(), side.clone(), side);
    let exact = (1..90_usize, 1..40_usize, prop_oneof![Just(1), Just(2), Just(4)]);
    prop_oneof![
        4 => pair.prop_map(|(a, b, c, d)| ((a, b), (c, d))),
        1 => exact.prop_map(|(w, h, n)| ((w * n, h * n), (w, h))),
        1 => (1..6_usize, 1..6_usize, 200..900_usize, 100..300_usize).prop_map(|(w, h, a, b)| ((a, b), (w, h))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scaling_is_the_same_at_every_level((src, dst) in sizes(), gap in 0..70_usize, shift in 0..64_usize, at_end: bool, seed: u64) {
        compare_scaling(src, dst, gap, shift, at_end, seed);
    }

    #[test]
    fn blending_is_the_same_at_every_level(width in 1..300_usize, height in 1..5_usize, gap in 0..9_usize, shift in 0..64_usize, at_end: bool, seed: u64) {
        let mut next = noise(seed);
        let (src, alpha) = (Fenced::new(width * height, at_end, &mut next), Fenced::new(width * height, at_end, &mut next));
        let under: Vec<u8> = (0..width * height).map(|_| next()).collect();
        let run = |kernels: Kernels| {
            let mut out = Guarded::new((width, height), gap, shift);
            for (y, row) in under.chunks(width).enumerate() {
                out.view().row_mut(y).copy_from_slice(row);
            }
            let plane = |f| Plane::new(f, width, width, height).expect("a view");
            kernels.blend_plane(&mut out.view(), plane(src.bytes()), plane(alpha.bytes())).expect("blended");
            out.pixels()
        };
        let expected = run(scalar());
        for ((out, s), (a, u)) in expected.iter().zip(src.bytes()).zip(alpha.bytes().iter().zip(&under)) {
            let exact = (u32::from(*u) * u32::from(255 - a) + u32::from(*s) * u32::from(*a)) as f64 / 255.0;
            prop_assert_eq!(*out, exact.round() as u8);
        }
        for kernels in levels() {
            prop_assert_eq!(run(kernels), expected.clone(), "{:?}", kernels);
        }
    }

    #[test]
    fn nv12_and_grey_are_the_same_at_every_level(width in 1..200_usize, height in 1..9_usize, keep in 0..300_u16, gap in 0..9_usize, shift in 0..64_usize, seed: u64) {
        let mut next = noise(seed);
        let mut picture = I420Buf::new(width, height).expect("a size");
        let mut view = picture.view_mut();
        for plane in [&mut view.y, &mut view.u, &mut view.v] {
            for y in 0..plane.height() {
                plane.row_mut(y).fill_with(&mut next);
            }
        }
        let half = (width.div_ceil(2), height.div_ceil(2));
        let run = |kernels: Kernels| {
            let mut y = Guarded::new((width, height), gap, shift);
            let mut uv = Guarded::new((half.0 * 2, half.1), gap, shift);
            kernels.to_nv12(picture.view(), &mut Nv12Mut { y: y.view(), uv: uv.view() }).expect("converted");
            let mut planes = [Guarded::new((width, height), gap, shift), Guarded::new(half, gap, shift), Guarded::new(half, gap, shift)];
            let [a, b, c] = &mut planes;
            let mut back = I420Mut::new(a.view(), b.view(), c.view()).expect("a picture");
            kernels.from_nv12(Nv12 { y: y.view().as_plane(), uv: uv.view().as_plane() }, &mut back).expect("converted");
            assert!(equal(back.as_i420(), picture.view()));
            kernels.grey_out(&mut back, keep);
            (uv.pixels(), planes.map(|p| p.pixels()))
        };
        let expected = run(scalar());
        for kernels in levels() {
            prop_assert_eq!(run(kernels), expected.clone(), "{:?}", kernels);
        }
    }

    #[test]
    fn sound_is_the_same_at_every_level(length in 0..700_usize, shift in 0..33_usize, from in -1.0..5.0_f32, to in 0.0..80.0_f32, seed: u64) {
        let mut next = noise(seed);
        let words = |next: &mut dyn FnMut() -> u8| -> Vec<i16> { (0..shift + length).map(|_| i16::from_le_bytes([next(), next()])).collect() };
        let (a, b) = (words(&mut next), words(&mut next));
        let (a, b) = (&a[shift..], &b[shift..]);
        let raw: Vec<f32> = (0..length).map(|_| f32::from_bits(u32::from_le_bytes([next(), next(), next(), next()]))).collect();
        let run = |kernels: Kernels| {
            let (mut sum, mut out, mut less) = (vec![7; length], vec![0; length], vec![0; length]);
            for voice in [a, b, a] {
                kernels.mix(&mut sum, voice);
            }
            kernels.limit(&sum, &mut out);
            kernels.limit_without(&sum, b, &mut less);
            let mut gained = a.to_vec();
            kernels.gain(&mut gained, from, to);
            let (mut x, mut floats, mut y) = (vec![0.0; length], vec![0.0; length], vec![0; length]);
            kernels.to_f32(a, &mut x);
            kernels.to_f32(b, &mut floats);
            kernels.mix_f32(&mut floats, &x, from, to);
            kernels.limit_f32(&mut floats);
            let mut wild = raw.clone();
            kernels.limit_f32(&mut wild);
            kernels.to_i16(&raw, &mut y);
            let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            (sum, out, less, gained, bits(floats), bits(wild), y)
        };
        let expected = run(scalar());
        for kernels in levels() {
            prop_assert_eq!(run(kernels), expected.clone(), "{:?}", kernels);
        }
    }

    #[test]
    fn resampling_is_the_same_at_every_level(length in 0..3000_usize, from in 0..4_usize, to in 0..4_usize, seed: u64) {
        let mut next = noise(seed);
        let input: Vec<i16> = (0..length).map(|_| i16::from_le_bytes([next(), next()])).collect();
        let run = |kernels: Kernels| {
            let mut resampler = Resampler::new(kernels, Rate::ALL[from], Rate::ALL[to]);
            let mut out = vec![0; resampler.output_len(length)];
            let n = resampler.run(&input, &mut out);
            (n, out)
        };
        let expected = run(scalar());
        for kernels in levels() {
            prop_assert_eq!(run(kernels), expected.clone(), "{:?}", kernels);
        }
    }
}

fn equal(a: I420<'_>, b: I420<'_>) -> bool {
    [(a.y, b.y), (a.u, b.u), (a.v, b.v)].iter().all(|(a, b)| (0..a.height()).all(|y| a.row(y) == b.row(y)))
}

#[test]
fn the_sizes_of_conferences_are_the_same_at_every_level() {
    // 1:7 at 720p and 2:21 at 1080p, luma and chroma; what hostile streams send; both ends of what is allowed.
    let pairs = [
        ((1280, 720), (1096, 616)),
        ((1280, 720), (182, 102)),
        ((640, 360), (91, 51)),
        ((640, 360), (960, 540)),
        ((640, 360), (274, 154)),
        ((320, 180), (137, 77)),
        ((320, 240), (1920, 1080)),
        // A shade over 2:1: two taps an output, whose span grows beyond a window.
        ((8192, 3), (4095, 2)),
        ((2048, 3), (1023, 2)),
        ((8192, 3), (5, 900)),
        ((3, 8192), (900, 5)),
        ((1, 1), (640, 360)),
        ((8192, 1), (1, 8192)),
    ];
    for (i, (src, dst)) in pairs.into_iter().enumerate() {
        compare_scaling(src, dst, i * 7, i * 5, i % 2 == 0, i as u64 + 1);
    }
}

#[test]
fn the_largest_picture_becomes_the_smallest_and_back() {
    let src = vec![77; 8192 * 8192];
    let plane = Plane::new(&src, 8192, 8192, 8192).expect("the largest");
    for kernels in levels() {
        assert_eq!(scaled(kernels, plane, (1, 1), 0, 0), [77]);
        assert_eq!(scaled(kernels, plane, (7, 3), 0, 0), [77; 21]);
        let one = Plane::new(&src[..1], 1, 1, 1).expect("the smallest");
        assert!(scaled(kernels, one, (8192, 64), 0, 0).iter().all(|p| *p == 77));
    }
}

#[test]
fn sizes_outside_of_the_limits_are_errors() {
    let kernels = scalar();
    for (src, dst) in [((0, 1), (1, 1)), ((1, 1), (1, 0)), ((8193, 1), (1, 1)), ((1, 1), (1, 8193))] {
        assert!(ScalePlan::new(kernels, src, dst).is_err());
    }
    assert!(
        Plane::new(&[0; 9], 3, 4, 2).is_err()
            && Plane::new(&[0; 6], 4, 3, 2).is_err()
            && Plane::new(&[0; 7], 4, 3, 2).is_ok()
    );
    assert!(Plane::new(&[], usize::MAX, 1, 8192).is_err());
    let mut plan = ScalePlan::new(kernels, (2, 2), (3, 3)).expect("a plan");
    let (src, mut dst) = ([0; 9], [0; 9]);
    fn out(d: &mut [u8]) -> PlaneMut<'_> {
        PlaneMut::new(d, 3, 3, 3).expect("a view")
    }
    assert!(plan.run(Plane::new(&src, 3, 3, 3).expect("a view"), out(&mut dst)).is_err());
    assert!(plan.run(Plane::new(&src, 2, 2, 2).expect("a view"), out(&mut dst)).is_ok());
}
