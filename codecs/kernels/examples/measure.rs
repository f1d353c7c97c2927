//! Measures the kernels: composing 1:7 and 2:21 against the memory floor and libyuv in one run, and each kernel at each level.
//!
//! Processor time of this thread, medians of interleaved rounds. The floor reads every byte of the inputs once and writes every byte of the
//! output, nothing else. libyuv is loaded when it is there (Debian: libyuv0); without it those rows are left out and it says so.
//! usage: cargo run --release -p plenum-kernels --example measure [-- ROUNDS]

use std::ffi::CStr;
use std::hint::black_box;

use plenum_kernels::{
    Colour, I420, I420Buf, I420Mut, Kernels, Level, Nv12Mut, Placement, PlaneMut, Rate, Rect, Resampler, TilePlan,
    memory_floor,
};

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    let only = std::env::var("PLENUM_SIMD").is_ok();
    let here = Level::ALL.into_iter().filter_map(Kernels::at);
    let levels: Vec<Kernels> = if only { vec![Kernels::best()] } else { here.collect() };
    let yuv = Yuv::load();
    if yuv.is_none() {
        println!("libyuv is not installed: its rows are left out");
    }
    println!("| Composition | Method | ms | × floor |\n|---|---|---|---|");
    let seventh = |n: usize, of: usize| (n * of / 7) & !1;
    let small = |i: usize, w: usize, h: usize, top: usize| Rect {
        x: seventh(i % 7, w),
        y: seventh(top + i / 7, h),
        width: seventh(1, w),
        height: seventh(1, h),
    };
    let (w, h) = (1280, 720);
    let mut tiles = vec![Rect { x: (w / 14) & !1, y: 0, width: seventh(6, w), height: seventh(6, h) }];
    tiles.extend((0..7).map(|i| small(i, w, h, 6)));
    compose("1:7 at 1280×720 from 8 of 1280×720", &tiles, (w, h), (1280, 720), &levels, yuv.as_ref(), rounds);
    compose("1:7 at 1280×720 from 8 of 640×360", &tiles, (w, h), (640, 360), &levels, yuv.as_ref(), rounds);
    let (w, h) = (1920, 1080);
    let mut tiles: Vec<_> = [0, w / 2].map(|x| Rect { x, y: (h / 28) & !1, width: w / 2, height: h / 2 }).to_vec();
    tiles.extend((0..21).map(|i| small(i, w, h, 4)));
    compose("2:21 at 1920×1080 from 23 of 640×360", &tiles, (w, h), (640, 360), &levels, yuv.as_ref(), rounds);
    let tiles: Vec<_> = (0..4).map(|i| Rect { x: i % 2 * 640, y: i / 2 * 360, width: 640, height: 360 }).collect();
    compose("4:0 at 1280×720 from 4 of 1280×720", &tiles, (1280, 720), (1280, 720), &levels, yuv.as_ref(), rounds);
    simple(&levels, rounds);
}

/// Processor time of this thread, in nanoseconds.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

type Method<'a> = (String, Box<dyn FnMut() + 'a>);

/// Medians of each method in nanoseconds, all in turn for so many rounds.
fn medians(methods: &mut [Method<'_>], rounds: usize) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(rounds); methods.len()];
    for _ in 0..rounds {
        for ((_, run), times) in methods.iter_mut().zip(&mut times) {
            let start = now();
            run();
            times.push(now() - start);
        }
    }
    times
        .iter_mut()
        .map(|t| {
            t.sort_unstable();
            t[t.len() / 2] as f64
        })
        .collect()
}

fn picture(width: usize, height: usize, seed: u64) -> I420Buf {
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

fn compose(
    name: &str,
    tiles: &[Rect],
    size: (usize, usize),
    src: (usize, usize),
    levels: &[Kernels],
    yuv: Option<&Yuv>,
    rounds: usize,
) {
    let inputs: Vec<I420Buf> = (0..tiles.len()).map(|i| picture(src.0, src.1, i as u64)).collect();
    let inputs = &inputs;
    let out = std::cell::RefCell::new(I420Buf::new(size.0, size.1).expect("a size"));
    let out = &out;
    let mut methods: Vec<Method<'_>> = vec![(
        "memory floor".into(),
        Box::new(move || memory_floor(inputs.iter().map(I420Buf::view), &mut out.borrow_mut().view_mut())),
    )];
    for kernels in levels.iter().rev() {
        let mut plans: Vec<TilePlan> =
            tiles.iter().map(|t| TilePlan::new(*kernels, src, *t, Placement::Fill).expect("a plan")).collect();
        methods.push((
            kernels.level().name().into(),
            Box::new(move || {
                let mut out = out.borrow_mut();
                let mut out = out.view_mut();
                for (plan, input) in plans.iter_mut().zip(inputs) {
                    plan.draw(input.view(), &mut out, Colour::BLACK).expect("it fits");
                }
            }),
        ));
    }
    for (name, filter) in [("libyuv bilinear", 2), ("libyuv box", 3)] {
        if let Some(yuv) = yuv {
            methods.push((
                name.into(),
                Box::new(move || {
                    let mut out = out.borrow_mut();
                    let mut out = out.view_mut();
                    for (tile, input) in tiles.iter().zip(inputs) {
                        yuv.scale(input.view(), &mut out, *tile, filter);
                    }
                }),
            ));
        }
    }
    let times = medians(&mut methods, rounds);
    for ((method, _), time) in methods.iter().zip(&times) {
        println!("| {name} | {method} | {:.3} | {:.2} |", time / 1e6, time / times[0]);
    }
}

fn simple(levels: &[Kernels], rounds: usize) {
    println!(
        "\n| Kernel | Work | {} |",
        levels.iter().rev().map(|l| format!("{} µs", l.level().name())).collect::<Vec<_>>().join(" | ")
    );
    println!("|---|---|{}", "---|".repeat(levels.len()));
    let (w, h) = (1280, 720);
    let input = picture(w, h, 1);
    let input = input.view();
    let row = |name: &str, work: &str, make: &dyn Fn(Kernels) -> Box<dyn FnMut()>, times: f64| {
        let mut methods: Vec<Method<'_>> =
            levels.iter().rev().map(|l| (String::new(), make(*l) as Box<dyn FnMut()>)).collect();
        let times: Vec<_> = medians(&mut methods, rounds).iter().map(|t| format!("{:.2}", t / 1e3 / times)).collect();
        println!("| {name} | {work} | {} |", times.join(" | "));
    };
    let luma: Vec<u8> = (0..h).flat_map(|y| input.y.row(y).to_vec()).collect();
    row(
        "blend",
        "a plane of 1280×720",
        &|k| {
            let (src, alpha, mut dst) = (luma.clone(), luma.clone(), luma.clone());
            Box::new(move || {
                let plane = |d| plenum_kernels::Plane::new(d, w, w, h).expect("a view");
                k.blend_plane(&mut PlaneMut::new(&mut dst, w, w, h).expect("a view"), plane(&src), plane(&alpha))
                    .expect("one size");
            })
        },
        1.0,
    );
    row(
        "I420 to NV12",
        "1280×720",
        &|k| {
            let (src, mut y, mut uv) = (picture(w, h, 2), vec![0; w * h], vec![0; w * h / 2]);
            Box::new(move || {
                let mut dst = Nv12Mut {
                    y: PlaneMut::new(&mut y, w, w, h).expect("a view"),
                    uv: PlaneMut::new(&mut uv, w, w, h / 2).expect("a view"),
                };
                k.to_nv12(src.view(), &mut dst).expect("one size");
            })
        },
        1.0,
    );
    row(
        "grey-out",
        "1280×720",
        &|k| {
            let mut dst = picture(w, h, 3);
            Box::new(move || k.grey_out(&mut dst.view_mut(), 200))
        },
        1.0,
    );
    let voice: Vec<i16> = luma[..1920].iter().map(|b| i16::from(*b) * 100).collect();
    row(
        "mix",
        "20 ms of 48 kHz onto a sum",
        &|k| {
            let (voice, mut sum) = (voice[..960].to_vec(), vec![0; 960]);
            Box::new(move || (0..100).for_each(|_| k.mix(black_box(&mut sum), &voice)))
        },
        100.0,
    );
    row(
        "mix-minus and limit",
        "20 ms of 48 kHz",
        &|k| {
            let (voice, sum, mut out) = (voice[..960].to_vec(), vec![30_000; 960], vec![0; 960]);
            Box::new(move || (0..100).for_each(|_| k.limit_without(&sum, &voice, black_box(&mut out))))
        },
        100.0,
    );
    row(
        "gain",
        "20 ms of 48 kHz",
        &|k| {
            let mut voice = voice[..960].to_vec();
            Box::new(move || (0..100).for_each(|_| k.gain(black_box(&mut voice), 0.9, 1.1)))
        },
        100.0,
    );
    for (from, to) in [(Rate::Hz8000, Rate::Hz48000), (Rate::Hz48000, Rate::Hz16000)] {
        row(
            &format!("{} to {} Hz", from.hz(), to.hz()),
            "20 ms",
            &|k| {
                let (input, mut out) = (voice[..from.hz() as usize / 50].to_vec(), vec![0; 960]);
                let mut resampler = Resampler::new(k, from, to);
                Box::new(move || {
                    (0..10).for_each(|_| {
                        black_box(resampler.run(&input, &mut out));
                    })
                })
            },
            10.0,
        );
    }
}

type Scale = unsafe extern "C" fn(
    *const u8,
    i32,
    *const u8,
    i32,
    *const u8,
    i32,
    i32,
    i32,
    *mut u8,
    i32,
    *mut u8,
    i32,
    *mut u8,
    i32,
    i32,
    i32,
    i32,
) -> i32;

/// libyuv, found at run time.
struct Yuv(Scale);

impl Yuv {
    fn load() -> Option<Yuv> {
        let open = |name: &CStr| {
            // SAFETY: libyuv has no initialisers with conditions; the name ends with 0.
            unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) }
        };
        let library = [c"libyuv.so.0", c"libyuv.so"].into_iter().map(open).find(|l| !l.is_null())?;
        // SAFETY: the library stays open for good; the name ends with 0.
        let symbol = unsafe { libc::dlsym(library, c"I420Scale".as_ptr()) };
        // SAFETY: I420Scale has this signature in libyuv/scale.h.
        (!symbol.is_null()).then(|| Yuv(unsafe { std::mem::transmute::<*mut libc::c_void, Scale>(symbol) }))
    }

    fn scale(&self, src: I420<'_>, dst: &mut I420Mut<'_>, tile: Rect, filter: i32) {
        let mut y = dst.y.reborrow().part(tile.x, tile.y, tile.width, tile.height).expect("inside");
        let half = (tile.width / 2, tile.height / 2);
        let mut u = dst.u.reborrow().part(tile.x / 2, tile.y / 2, half.0, half.1).expect("inside");
        let mut v = dst.v.reborrow().part(tile.x / 2, tile.y / 2, half.0, half.1).expect("inside");
        let strides =
            [src.y.stride(), src.u.stride(), src.v.stride(), y.stride(), u.stride(), v.stride()].map(|s| s as i32);
        let sides = [src.width(), src.height(), tile.width, tile.height].map(|s| s as i32);
        // SAFETY: the views hold the planes of these sizes and strides.
        let failed = unsafe {
            (self.0)(
                src.y.data().as_ptr(),
                strides[0],
                src.u.data().as_ptr(),
                strides[1],
                src.v.data().as_ptr(),
                strides[2],
                sides[0],
                sides[1],
                y.row_mut(0).as_mut_ptr(),
                strides[3],
                u.row_mut(0).as_mut_ptr(),
                strides[4],
                v.row_mut(0).as_mut_ptr(),
                strides[5],
                sides[2],
                sides[3],
                filter,
            )
        };
        assert_eq!(failed, 0, "libyuv refused");
    }
}
