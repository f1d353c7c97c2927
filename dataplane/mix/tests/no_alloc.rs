//! A frame allocates nothing once sources have shown their size: neither their pictures nor what lies over them.

use plenum_kernels::I420Buf;
use plenum_mix::canvas::Canvas;
use plenum_mix::fonts;
use plenum_mix::scene::{Banner, Edge, Scene, SceneSettings, Seat, SeatState};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

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
fn a_frame_allocates_nothing() {
    let mut settings = SceneSettings::new("1:7".parse().expect("a layout"), 640, 360);
    settings.banner = Some(Banner { text: "Recording".into(), edge: Edge::Top });
    settings.logo = Some(Arc::new(Canvas::new(80, 40)));
    let mut scene = Scene::new(settings, &fonts::load(fonts::DIRECTORIES).fonts);
    let states = [SeatState::Shown, SeatState::Shown, SeatState::Held, SeatState::CameraOff];
    let seats: Vec<Seat<'_>> =
        (0..8).map(|n| Seat { id: n, name: "Ada 王小明", state: states[n as usize % 4], speaking: n == 0 }).collect();
    let sources = [(640, 360), (320, 240), (90, 160), (1, 1)].map(|(w, h)| I420Buf::new(w, h).expect("a size"));
    let frame = |scene: &mut Scene| {
        for seat in &seats {
            scene.picture(seat.id, &sources[seat.id as usize % 4].view());
        }
        scene.place(&seats, 30);
        scene.present(None);
        scene.render();
    };
    // The first frame seats them, the second one has their pictures.
    frame(&mut scene);
    frame(&mut scene);
    assert!(COUNT.get() > 0, "the count counts");
    let before = COUNT.get();
    for _ in 0..3 {
        frame(&mut scene);
    }
    assert_eq!(COUNT.get(), before);
}
