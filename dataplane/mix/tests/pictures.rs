//! Layouts as pictures, compared with the ones in `tests/pictures/`: each layout with 1, 2, 5, 9, 23 and 30 participants, names in
//! many scripts, and everything that is laid over a tile.
//!
//! Tolerance, cell by cell of a sheet: the mean difference of a channel is at most 1 of 255, and at most 2 in a thousand pixels
//! differ by more than 24. A name, a border or a tile that is missing or elsewhere is far more.
//! `PLENUM_WRITE_PICTURES=1 cargo test -p plenum-mix --test pictures` writes them anew: look at them before they are committed.

use plenum_kernels::{I420Buf, Placement};
use plenum_mix::canvas::{Canvas, disc, round_rect};
use plenum_mix::files::{canvas, i420, read_png, save_png};
use plenum_mix::fonts;
use plenum_mix::layout::Layout;
use plenum_mix::scene::{Banner, Edge, Presenting, Scene, SceneSettings, Seat, SeatState};
use plenum_mix::text::Fonts;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const CELL: (usize, usize) = (640, 360);
const COUNTS: [usize; 6] = [1, 2, 5, 9, 23, 30];
const NAMES: [&str; 10] = [
    "Ada Lovelace",
    "Grace Hopper",
    "Alan Turing",
    "Edsger W. Dijkstra",
    "Katherine Johnson",
    "Claude Shannon",
    "Hedy Lamarr",
    "Johann Carl Friedrich Gauß",
    "Radia Perlman",
    "Vint Cerf",
];

fn loaded() -> &'static Fonts {
    static FONTS: OnceLock<Fonts> = OnceLock::new();
    FONTS.get_or_init(|| fonts::load(fonts::DIRECTORIES).fonts)
}

/// A participant's picture: a colour of its own, a frame that shows what is cut off, and a number.
fn source(n: usize, width: usize, height: usize) -> I420Buf {
    let turn = n as f32 * 2.4;
    let [r, g, b] = [0.0, 2.1, 4.2].map(|shift| (110.0 + 80.0 * (turn + shift).cos()) as u8);
    let (w, h) = (width as f32, height as f32);
    let mut canvas = Canvas::new(width, height);
    canvas.shape([255, 255, 255, 255], |_, _| -1.0);
    canvas.shape([r, g, b, 255], round_rect((4.0, 4.0, w - 8.0, h - 8.0), 0.0));
    canvas.shape([255, 255, 255, 60], disc((w / 2.0, h / 2.0), h * 0.4));
    let number = loaded().line(&n.to_string(), width.min(height) / 2, width, [255; 3]).expect("fonts are installed");
    number.draw_centred(&mut canvas, width as i32 / 2, height as i32 / 2);
    i420(&canvas)
}

fn seat(n: usize, name: &str) -> Seat<'_> {
    Seat { id: n as u64, name, state: SeatState::Shown, speaking: n == 1 }
}

/// A scene with these seats, all of them with their pictures.
fn composed(settings: SceneSettings, seats: &[Seat<'_>], total: usize) -> Scene {
    let mut scene = Scene::new(settings, loaded());
    let shown: Vec<Seat<'_>> = seats.iter().map(|seat| Seat { state: SeatState::Shown, ..*seat }).collect();
    scene.place(&shown, total);
    for seat in seats {
        scene.picture(seat.id, &source(seat.id as usize, 320, 180).view());
    }
    scene.place(seats, total);
    scene
}

fn layout(name: &str) -> Layout {
    name.parse().expect("a layout")
}

/// Pictures of one size on a sheet, three in a row.
fn sheet(cells: &[Canvas]) -> Canvas {
    let (width, height) = (cells[0].width(), cells[0].height());
    let mut sheet = Canvas::new(width * 3, height * cells.len().div_ceil(3));
    // Where there is no cell, the colour of the first one's corner.
    sheet.shape(cells[0].pixel(0, 0), |_, _| -1.0);
    for (n, cell) in cells.iter().enumerate() {
        let (left, top) = (n % 3 * width, n / 3 * height);
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            sheet.lay((left + x) as i32, (top + y) as i32, cell.pixel(x, y));
        }
    }
    sheet
}

/// Compares a sheet with the one that is checked in; what came out instead is kept beside the build's files.
fn compare(name: &str, cells: &[Canvas]) {
    compare_with(&format!("tests/pictures/{name}.png"), cells);
}

/// The same with a picture elsewhere, by its path from this crate.
fn compare_with(name: &str, cells: &[Canvas]) {
    let sheet = sheet(cells);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("PLENUM_WRITE_PICTURES").is_some() {
        save_png(&path, &sheet).expect("written");
        return;
    }
    let reference = read_png(&path).expect("a checked-in picture");
    assert_eq!((reference.width(), reference.height()), (sheet.width(), sheet.height()), "{name}");
    let (width, height) = (cells[0].width(), cells[0].height());
    for n in 0..cells.len() {
        let (mean, far) = difference(&reference, &sheet, (n % 3 * width, n / 3 * height), (width, height));
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(path.file_name().expect("a file's name"));
        if mean > 1.0 || far > 0.002 {
            save_png(&kept, &sheet).expect("written");
        }
        assert!(
            mean <= 1.0 && far <= 0.002,
            "{name}, cell {n}: mean {mean}, {far} are far off; see {}",
            kept.display()
        );
    }
}

/// Mean difference of a channel, and the share of pixels that differ by more than 24, in one cell.
fn difference(a: &Canvas, b: &Canvas, (left, top): (usize, usize), (width, height): (usize, usize)) -> (f64, f64) {
    let (mut sum, mut far) = (0, 0);
    for (x, y) in (top..top + height).flat_map(|y| (left..left + width).map(move |x| (x, y))) {
        let (one, other) = (a.pixel(x, y), b.pixel(x, y));
        let off = (0..3).map(|c| u32::from(one[c].abs_diff(other[c])));
        sum += off.clone().sum::<u32>();
        far += usize::from(off.max() > Some(24));
    }
    let pixels = (width * height) as f64;
    (f64::from(sum) / pixels / 3.0, far as f64 / pixels)
}

#[test]
fn every_layout_with_few_and_many_participants_looks_as_it_did() {
    for layout in Layout::all() {
        let cells = COUNTS.map(|count| {
            let seats: Vec<Seat<'_>> = (1..=count).map(|n| seat(n, NAMES[(n - 1) % NAMES.len()])).collect();
            canvas(composed(SceneSettings::new(layout, CELL.0, CELL.1), &seats, count).render())
        });
        compare(&format!("layout-{}", layout.to_string().replace(':', "-")), &cells);
    }
}

#[test]
fn names_in_many_scripts_look_as_they_did() {
    let names = [
        "Zoë Brontë-Müller",
        "王小明 (北京)",
        "田中 さくら",
        "محمد عبد الله",
        "Party 🎉🚀👩‍💻",
        "Дмитрий Ёлкин",
        "김민준",
        "अनिता शर्मा",
        "שרה לוי",
        "Wolfeschlegelsteinhausenbergerdorff the Second of his name",
        "علی رضا محمدی نژاد از شهر اصفهان در کشور ایران",
        "عمر Müller 王",
        "ไพลิน",
    ];
    let seats: Vec<Seat<'_>> = names.iter().enumerate().map(|(n, name)| seat(n + 1, name)).collect();
    let large = canvas(composed(SceneSettings::new(layout("4:0"), CELL.0, CELL.1), &seats[1..5], 4).render());
    let nine = canvas(composed(SceneSettings::new(layout("9:0"), CELL.0, CELL.1), &seats[..9], 9).render());
    let off: Vec<Seat<'_>> = seats.iter().map(|seat| Seat { state: SeatState::AudioOnly, ..*seat }).collect();
    let avatars = canvas(composed(SceneSettings::new(layout("1:12"), CELL.0, CELL.1), &off, 13).render());
    let long = canvas(composed(SceneSettings::new(layout("4:0"), CELL.0, CELL.1), &seats[9..], 4).render());
    compare("names", &[large, nine, avatars, long]);
}

#[test]
fn what_lies_over_tiles_looks_as_it_did() {
    let states = [SeatState::Shown, SeatState::AudioOnly, SeatState::CameraOff, SeatState::Held];
    let seats: Vec<Seat<'_>> =
        (1..=8).map(|n| Seat { state: states[(n - 1) % 4], speaking: n == 6, ..seat(n, NAMES[n - 1]) }).collect();
    let settings = |name: &str| SceneSettings::new(layout(name), CELL.0, CELL.1);
    let banner = |edge| Some(Banner { text: "Recording in progress".into(), edge });
    let mut logo = Canvas::new(300, 120);
    logo.shape([255, 140, 0, 220], round_rect((0.0, 0.0, 300.0, 120.0), 60.0));
    let mut cells = vec![
        canvas(composed(settings("4:0"), &seats[..4], 4).render()),
        canvas(
            composed(
                SceneSettings { banner: banner(Edge::Top), logo: Some(Arc::new(logo)), ..settings("1:7") },
                &seats,
                30,
            )
            .render(),
        ),
        canvas(Scene::new(SceneSettings { banner: banner(Edge::Bottom), ..settings("1:0") }, loaded()).render()),
    ];
    for presenting in [Presenting::Main, Presenting::Beside, Presenting::Full] {
        let mut scene = composed(SceneSettings { presenting, ..settings("1:7") }, &seats, 8);
        scene.present(Some(Seat { id: 99, name: "Grace's slides", state: SeatState::Shown, speaking: false }));
        scene.picture(99, &source(99, 400, 300).view());
        cells.push(canvas(scene.render()));
    }
    for placement in [Placement::Letterbox, Placement::Fill] {
        let people: Vec<Seat<'_>> = (1..=3).map(|n| seat(n, NAMES[n])).collect();
        let mut scene = Scene::new(SceneSettings { placement, ..settings("4:0") }, loaded());
        scene.place(&people, 3);
        for (n, (width, height)) in [(180, 320), (320, 240), (400, 100)].into_iter().enumerate() {
            scene.picture(n as u64 + 1, &source(n + 1, width, height).view());
        }
        cells.push(canvas(scene.render()));
    }
    let plain = SceneSettings { names: false, plus_n: false, border: false, ..settings("1:5") };
    cells.push(canvas(composed(plain, &seats, 30).render()));
    compare("overlays", &cells);
}

#[test]
fn the_comparison_sees_a_missing_name() {
    let settings = SceneSettings::new(layout("1:7"), CELL.0, CELL.1);
    let seats: Vec<Seat<'_>> = (1..=8).map(|n| seat(n, NAMES[n])).collect();
    let with = canvas(composed(settings.clone(), &seats, 8).render());
    let mut fewer = seats.clone();
    fewer[7].name = "";
    let without = canvas(composed(settings, &fewer, 8).render());
    assert_eq!(difference(&with, &with, (0, 0), CELL), (0.0, 0.0));
    let (_, far) = difference(&with, &without, (0, 0), CELL);
    assert!(far > 0.002, "{far}");
}

#[test]
fn the_sheet_of_layouts_in_the_documents_is_true() {
    let cells: Vec<Canvas> = Layout::all()
        .map(|layout| {
            let seats: Vec<Seat<'_>> = (1..=34).map(|n| seat(n, "")).collect();
            let settings = SceneSettings { plus_n: false, border: false, ..SceneSettings::new(layout, 384, 216) };
            let picture = canvas(composed(settings, &seats, 34).render());
            let mut cell = Canvas::new(416, 264);
            cell.shape([255, 255, 255, 255], |_, _| -1.0);
            for (x, y) in (0..216).flat_map(|y| (0..384).map(move |x| (x, y))) {
                cell.lay(x as i32 + 16, y as i32 + 8, picture.pixel(x, y));
            }
            let label = loaded().line(&layout.to_string(), 20, 384, [30, 34, 42]).expect("fonts are installed");
            label.draw(&mut cell, 208 - label.width as i32 / 2, 228);
            cell
        })
        .collect();
    compare_with("../../docs/layouts.png", &cells);
}
