//! A frame allocates nothing: plans, overlays and resamplers hold what they need from the start.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use plenum_kernels::{Colour, I420Buf, Kernels, Overlay, Placement, Rate, Rect, Resampler, TilePlan};

/// Counts this thread's allocations.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps `alloc`'s conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s conditions.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_composed_frame_and_its_sound_allocate_nothing() {
    let kernels = Kernels::best();
    let source = I420Buf::new(640, 360).expect("a size");
    let mut picture = I420Buf::new(1280, 720).expect("a size");
    let tile = |x, y, width, height| Rect { x, y, width, height };
    // Wide, narrow, enlarged, exact, and more than 32:1.
    let tiles = [
        tile(0, 0, 90, 50),
        tile(0, 60, 300, 200),
        tile(400, 0, 800, 450),
        tile(0, 500, 320, 180),
        tile(400, 500, 16, 8),
    ];
    let mut plans = tiles.map(|t| TilePlan::new(kernels, (640, 360), t, Placement::Letterbox).expect("a plan"));
    let overlay = Overlay::from_rgba(64, 16, &[128; 4096]).expect("an overlay");
    let mut resampler = Resampler::new(kernels, Rate::Hz8000, Rate::Hz48000);
    let (voice, mut wide, mut sum, mut out) = ([100; 160], [0; 960], [0; 960], [0; 960]);
    assert!(COUNT.get() > 0, "the count counts");
    let before = COUNT.get();
    for _ in 0..3 {
        for plan in &mut plans {
            plan.draw(source.view(), &mut picture.view_mut(), Colour::BLACK).expect("drawn");
        }
        kernels.blend(&mut picture.view_mut(), &overlay, 10, 10);
        picture.view_mut().border(tiles[1], 4, Colour { y: 200, u: 60, v: 60 });
        kernels.grey_out(&mut picture.view_mut(), 200);
        resampler.run(&voice, &mut wide);
        kernels.mix(&mut sum, &wide);
        kernels.gain(&mut wide, 0.5, 1.0);
        kernels.limit_without(&sum, &wide, &mut out);
    }
    assert_eq!(COUNT.get(), before);
}
