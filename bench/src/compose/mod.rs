//! Composing (P6): a scene against the memory floor, libyuv, FFmpeg's xstack and GStreamer's compositor, all in one run.
//!
//! Every source gives a new picture for every frame. The floor, Plenum and libyuv take turns, the median of the rounds counts, each on
//! one thread with inputs of noise; processor time throughout. FFmpeg and GStreamer are asked for many frames and for few; the difference of their processor time
//! counts, so that starting them does not.

mod peers;

use crate::report::{Bound, Report};
use peers::Yuv;
use plenum_kernels::{I420Buf, memory_floor};
use plenum_mix::fonts;
use plenum_mix::scene::{Scene, SceneSettings, Seat, SeatState};
use rustix::time::{ClockId, clock_gettime};

const GROUP: &str = "Composing (P6)";
/// Frames that a round of libyuv makes: several, because each starts with a change of process. The other methods make one a round, so that
/// all of them find the caches as the others have left them, as a mixer does whose decoders have just run.
const FRAMES: u32 = 3;

/// One composition.
struct Work {
    layout: &'static str,
    size: (usize, usize),
    source: (usize, usize),
    /// Most it may take, in memory floors.
    floors: f64,
    /// How many times as long libyuv must take at least, where that is promised.
    libyuv: Option<f64>,
}

const WORKS: [Work; 2] = [
    Work { layout: "1:7", size: (1280, 720), source: (1280, 720), floors: 1.1, libyuv: None },
    Work { layout: "2:21", size: (1920, 1080), source: (640, 360), floors: 1.5, libyuv: Some(4.0) },
];

type Method<'a> = (&'static str, Box<dyn FnMut() -> f64 + 'a>);

/// Measures both compositions.
pub fn run(report: &mut Report, quick: bool) {
    let program = peers::build_yuv().map_err(|why| report.skip("libyuv as a compositor", why)).ok();
    for work in &WORKS {
        let tiles = tiles(work);
        let name = format!(
            "{} at {}x{} from {} of {}x{}",
            work.layout,
            work.size.0,
            work.size.1,
            tiles.len(),
            work.source.0,
            work.source.1
        );
        let inputs: Vec<I420Buf> = (0..tiles.len()).map(|n| noise(work.source, n as u64)).collect();
        let mut out = noise(work.size, 99);
        let (mut plain, mut whole) = (scene(work, tiles.len(), false), scene(work, tiles.len(), true));
        let mut methods: Vec<Method<'_>> = vec![
            (
                "memory floor",
                Box::new(|| timed(|| memory_floor(inputs.iter().map(I420Buf::view), &mut out.view_mut()))),
            ),
            ("Plenum", Box::new(|| timed(|| compose(&mut plain, &inputs)))),
            ("Plenum with names, border and +N", Box::new(|| timed(|| compose(&mut whole, &inputs)))),
        ];
        if let Some(program) = &program {
            for (filter, number) in [("libyuv bilinear", 2), ("libyuv box", 3)] {
                match Yuv::start(program, work.source, work.size, number, &tiles) {
                    Ok(mut yuv) => methods.push((filter, Box::new(move || yuv.compose(FRAMES)))),
                    Err(why) => report.skip(filter, why),
                }
            }
        }
        let times = medians(&mut methods, if quick { 60 } else { 300 });
        drop(methods);
        tell(report, work, &name, &times);
        let frames = if quick { 100 } else { 400 };
        for (peer, taken) in [
            ("FFmpeg xstack", peers::ffmpeg(work.source, &tiles, frames)),
            ("GStreamer compositor", peers::gstreamer(work.source, work.size, &tiles, frames)),
        ] {
            match taken {
                Ok(nanos) => {
                    report
                        .add(GROUP, format!("{name}: {peer} / Plenum"), nanos / times[1].1, "x")
                        .note("processor time");
                }
                Err(why) => report.skip(format!("{name}: {peer}"), why),
            }
        }
    }
}

fn tell(report: &mut Report, work: &Work, name: &str, times: &[(&'static str, f64)]) {
    let (floor, plenum) = (times[0].1, times[1].1);
    for (method, nanos) in times {
        report.add(GROUP, format!("{name}: {method}"), nanos / 1e3, "us/frame");
    }
    report.add(GROUP, format!("{name}: Plenum / floor"), plenum / floor, "x").bound(Bound::AtMost(work.floors));
    report.add(GROUP, format!("{name}: with names / floor"), times[2].1 / floor, "x");
    for (method, nanos) in &times[3..] {
        let figure = report.add(GROUP, format!("{name}: {method} / Plenum"), nanos / plenum, "x");
        if let Some(least) = work.libyuv.filter(|_| *method == "libyuv bilinear") {
            figure.bound(Bound::AtLeast(least));
        }
    }
}

/// Left, top, width and height of every tile.
fn tiles(work: &Work) -> Vec<[usize; 4]> {
    let shown = scene(work, 34, false);
    shown.shown().map(|(_, rect)| [rect.x, rect.y, rect.width, rect.height]).collect()
}

fn scene(work: &Work, members: usize, overlays: bool) -> Scene {
    let mut settings = SceneSettings::new(work.layout.parse().expect("a layout"), work.size.0, work.size.1);
    (settings.names, settings.border, settings.plus_n) = (overlays, overlays, overlays);
    let mut scene = Scene::new(settings, &fonts::load(fonts::DIRECTORIES).fonts);
    let seats: Vec<Seat<'_>> = (0..members as u64)
        .map(|id| Seat { id, name: "Katherine Johnson", state: SeatState::Shown, speaking: id == 0 })
        .collect();
    scene.place(&seats, members + 5);
    scene
}

fn compose(scene: &mut Scene, inputs: &[I420Buf]) {
    for (id, input) in inputs.iter().enumerate() {
        scene.picture(id as u64, &input.view());
    }
    std::hint::black_box(scene.render());
}

/// Nanoseconds of this thread's processor time for a frame.
fn timed(frame: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    let start = now();
    frame();
    (now() - start) as f64
}

/// The median of each method's rounds, after some to warm up.
fn medians(methods: &mut [Method<'_>], rounds: usize) -> Vec<(&'static str, f64)> {
    let mut times = vec![Vec::with_capacity(rounds); methods.len()];
    for round in 0..rounds + rounds / 10 {
        for ((_, method), times) in methods.iter_mut().zip(&mut times) {
            let taken = method();
            if round >= rounds / 10 {
                times.push(taken);
            }
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    };
    methods.iter().zip(&mut times).map(|((name, _), times)| (*name, median(times))).collect()
}

/// A picture that nothing can make easy.
fn noise((width, height): (usize, usize), seed: u64) -> I420Buf {
    let mut picture = I420Buf::new(width, height).expect("a size");
    let mut state = seed * 2 + 1;
    let mut view = picture.view_mut();
    for plane in [&mut view.y, &mut view.u, &mut view.v] {
        for y in 0..plane.height() {
            plane.row_mut(y).fill_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            });
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_compositions_have_the_tiles_that_they_promise() {
        assert_eq!(WORKS.each_ref().map(|work| tiles(work).len()), [8, 23]);
        assert_eq!(tiles(&WORKS[0])[1], [0, 616, 182, 102]);
    }

    #[test]
    fn methods_take_turns_and_the_median_counts() {
        let mut given = [9.0, 1.0, 2.0, 3.0].into_iter().cycle();
        let mut methods: Vec<Method<'_>> =
            vec![("a", Box::new(move || given.next().unwrap_or(0.0))), ("b", Box::new(|| 5.0))];
        assert_eq!(medians(&mut methods, 3), [("a", 2.0), ("b", 5.0)]);
    }
}
