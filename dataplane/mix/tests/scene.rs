//! A scene over time: what is drawn again and what is not, people who move, hold and leave, sizes that change.

use plenum_kernels::{I420Buf, Placement, Rect};
use plenum_mix::canvas::{Canvas, colour};
use plenum_mix::layout::Layout;
use plenum_mix::scene::{Banner, Edge, Presenting, Scene, SceneSettings, Seat, SeatState};
use plenum_mix::text::Fonts;
use plenum_mix::{fonts, look};
use std::sync::{Arc, OnceLock};

fn loaded() -> &'static Fonts {
    static FONTS: OnceLock<Fonts> = OnceLock::new();
    FONTS.get_or_init(|| fonts::load(fonts::DIRECTORIES).fonts)
}

fn settings(layout: &str) -> SceneSettings {
    SceneSettings::new(layout.parse().expect("a layout"), 640, 360)
}

fn bare(layout: &str) -> SceneSettings {
    SceneSettings { names: false, plus_n: false, border: false, ..settings(layout) }
}

fn seat(id: u64) -> Seat<'static> {
    Seat { id, name: "Ada Lovelace", state: SeatState::Shown, speaking: false }
}

const RED: [u8; 3] = [220, 30, 30];
const BLUE: [u8; 3] = [30, 60, 220];

fn plain(rgb: [u8; 3], width: usize, height: usize) -> I420Buf {
    let mut picture = I420Buf::new(width, height).expect("a size");
    picture.view_mut().fill(Rect { x: 0, y: 0, width, height }, colour(rgb));
    picture
}

fn at(picture: &I420Buf, x: usize, y: usize) -> (u8, u8, u8) {
    let view = picture.view();
    (view.y.row(y)[x], view.u.row(y / 2)[x / 2], view.v.row(y / 2)[x / 2])
}

fn is(picture: &I420Buf, (x, y): (usize, usize), rgb: [u8; 3]) -> bool {
    let (want, have) = (colour(rgb), at(picture, x, y));
    want.y.abs_diff(have.0) <= 2 && want.u.abs_diff(have.1) <= 2 && want.v.abs_diff(have.2) <= 2
}

fn middle(scene: &Scene, id: u64) -> (usize, usize) {
    let (_, rect) = scene.shown().find(|shown| shown.0 == id).expect("it has a tile");
    (rect.x + rect.width / 2, rect.y + rect.height / 2)
}

fn bytes(picture: &I420Buf) -> Vec<u8> {
    let view = picture.view();
    [view.y, view.u, view.v].iter().flat_map(|p| (0..p.height()).flat_map(|y| p.row(y).to_vec())).collect()
}

#[test]
fn a_scene_says_what_it_wants_and_whether_it_changed() {
    let mut scene = Scene::new(bare("1:7"), loaded());
    assert_eq!((scene.places(), scene.wanted(1)), (8, None));
    scene.place(&[seat(1), seat(2), Seat { state: SeatState::CameraOff, ..seat(3) }], 3);
    assert_eq!((scene.wanted(1), scene.wanted(2), scene.wanted(3)), (Some((548, 308)), Some((90, 50)), None));
    assert!(scene.has_changed());
    scene.render();
    assert!(!scene.has_changed());
    assert!(!scene.picture(9, &plain(RED, 64, 36).view()), "nobody of that id");
    assert!(!scene.picture(3, &plain(RED, 64, 36).view()), "a camera that is off");
    scene.place(&[seat(1), seat(2), Seat { state: SeatState::CameraOff, ..seat(3) }], 3);
    scene.present(None);
    assert!(!scene.has_changed(), "nothing new");
    assert!(scene.picture(2, &plain(RED, 64, 36).view()));
    assert!(scene.has_changed());
    let at = middle(&scene, 2);
    assert!(is(scene.render(), at, RED));
}

#[test]
fn people_who_change_places_take_their_last_picture_with_them() {
    let mut scene = Scene::new(bare("1:7"), loaded());
    scene.place(&[seat(1), seat(2)], 2);
    scene.picture(1, &plain(RED, 320, 180).view());
    scene.picture(2, &plain(BLUE, 320, 180).view());
    scene.render();
    scene.place(&[seat(2), seat(1)], 2);
    let (one, two) = (middle(&scene, 1), middle(&scene, 2));
    let picture = scene.render();
    assert!(is(picture, one, RED) && is(picture, two, BLUE));
    for layout in ["4:0", "1:33", "1:0", "1:7"] {
        scene.set(SceneSettings { width: 800, height: 450, ..bare(layout) });
        let at = middle(&scene, 2);
        assert!(is(scene.render(), at, BLUE), "{layout}");
    }
    scene.place(&[seat(2)], 1);
    assert!(is(scene.render(), (2, 440), look::BACKGROUND), "who left is gone");
}

#[test]
fn on_hold_the_last_picture_is_frozen_and_grey() {
    let mut scene = Scene::new(bare("1:0"), loaded());
    let held = Seat { state: SeatState::Held, ..seat(1) };
    scene.place(&[seat(1)], 1);
    scene.picture(1, &plain(RED, 320, 180).view());
    scene.place(&[held], 1);
    let frozen = at(scene.render(), 320, 180);
    assert_eq!((frozen.1, frozen.2), (128, 128), "no colour");
    assert!(frozen.0 < colour(RED).y && frozen.0 > 24, "darker, and not black: {frozen:?}");
    assert!(!scene.picture(1, &plain(BLUE, 320, 180).view()), "frozen");
    assert_eq!(scene.wanted(1), None);
    scene.set(bare("4:0"));
    let middle = middle(&scene, 1);
    assert_eq!(at(scene.render(), middle.0, middle.1), frozen, "not darker for having moved");
    scene.place(&[seat(1)], 1);
    scene.picture(1, &plain(BLUE, 320, 180).view());
    assert!(is(scene.render(), middle, BLUE));
}

#[test]
fn an_avatar_stands_where_there_is_no_picture_and_goes_with_the_first_one() {
    let mut scene = Scene::new(bare("1:0"), loaded());
    scene.place(&[seat(5)], 1);
    assert!(is(scene.render(), (8, 8), look::avatar_tile(5)));
    assert!(is(scene.render(), (320 - 70, 180), look::avatar_colour(5)));
    scene.picture(5, &plain(BLUE, 320, 180).view());
    assert!(is(scene.render(), (8, 8), BLUE));
    scene.place(&[Seat { state: SeatState::AudioOnly, ..seat(5) }], 1);
    assert!(is(scene.render(), (8, 8), look::avatar_tile(5)));
    scene.place(&[], 0);
    assert!(is(scene.render(), (8, 8), look::BACKGROUND), "the holding picture");
}

/// The heart of drawing only what changed: it must look as if all had been drawn.
#[test]
fn after_any_changes_the_picture_is_the_one_of_a_fresh_scene() {
    let mut logo = Canvas::new(60, 30);
    logo.shape([255, 140, 0, 160], |_, _| -1.0);
    let logo = Arc::new(logo);
    let mut scene = Scene::new(settings("1:7"), loaded());
    let layouts: Vec<Layout> = Layout::all().collect();
    let names = ["Ada", "王小明", "محمد علي", "A rather long name that does not fit", ""];
    let states = [SeatState::Shown, SeatState::Shown, SeatState::AudioOnly, SeatState::CameraOff];
    let mut state = 7_u32;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut wanted = settings("1:7");
    let mut seats: Vec<Seat<'_>> = (1..=5).map(seat).collect();
    let mut presentation = None;
    for round in 0..60 {
        match draw(8) {
            0 => wanted.layout = layouts[draw(layouts.len())],
            1 => wanted.banner = (draw(2) == 0).then(|| Banner { text: "Recording".into(), edge: Edge::Bottom }),
            2 => wanted.logo = (draw(2) == 0).then(|| logo.clone()),
            3 => (wanted.width, wanted.height) = [(640, 360), (426, 240), (360, 640), (101, 77)][draw(4)],
            4 => seats.rotate_left(1),
            5 => seats = (1..=1 + draw(12) as u64).map(seat).collect(),
            6 => {
                wanted.presenting = [Presenting::Main, Presenting::Beside, Presenting::Full][draw(3)];
                presentation = (draw(2) == 0).then(|| Seat { name: "Slides", ..seat(99) });
            }
            _ => {
                wanted.placement = [Placement::Letterbox, Placement::Fill][draw(2)];
                wanted.names = draw(3) > 0;
            }
        }
        for _ in 0..2 {
            let at = draw(seats.len());
            (seats[at].name, seats[at].state) = (names[draw(names.len())], states[draw(states.len())]);
            seats[at].speaking = draw(2) == 0;
        }
        let total = seats.len() + draw(3);
        scene.set(wanted.clone());
        scene.present(presentation);
        scene.place(&seats, total);
        scene.render();
        let mut fresh = Scene::new(wanted.clone(), loaded());
        fresh.present(presentation);
        fresh.place(&seats, total);
        for id in (1..=12).chain([99]) {
            let source = plain([id as u8 * 2, 255 - id as u8 * 2, 90], [320, 160, 90][id as usize % 3], 180);
            assert_eq!(scene.picture(id, &source.view()), fresh.picture(id, &source.view()));
            if id == 6 {
                scene.render();
            }
        }
        assert!(bytes(scene.render()) == bytes(fresh.render()), "round {round}: {wanted:?} {seats:?} {presentation:?}");
    }
}

#[test]
fn any_size_of_source_and_scene_is_drawn() {
    let (dot, huge) = (plain(RED, 1, 1), I420Buf::new(8192, 8192).expect("a size"));
    for size in [(0, 0), (2, 2), (3, 9), (30, 16), (17, 400), (9000, 2)] {
        for layout in Layout::all() {
            let mut scene = Scene::new(SceneSettings { width: size.0, height: size.1, ..settings("1:0") }, loaded());
            scene.set(SceneSettings { layout, ..scene.settings().clone() });
            let seats: Vec<Seat<'_>> = (1..=40).map(seat).collect();
            scene.place(&seats, 1000);
            for id in 1..=3 {
                scene.picture(id, &dot.view());
            }
            scene.render();
        }
    }
    let mut scene = Scene::new(bare("4:0"), loaded());
    scene.place(&[seat(1), seat(2)], 2);
    assert!(scene.picture(1, &huge.view()) && scene.picture(2, &dot.view()));
    let at = middle(&scene, 2);
    assert!(is(scene.render(), at, RED), "one pixel is enough");
    let tall = plain(BLUE, 1, 8192);
    assert!(scene.picture(2, &tall.view()), "a source may change its size");
    scene.render();
}

#[test]
fn without_fonts_a_scene_shows_pictures() {
    let mut scene = Scene::new(settings("1:7"), &Fonts::none());
    scene.place(&[seat(1), Seat { state: SeatState::CameraOff, ..seat(2) }], 30);
    scene.picture(1, &plain(RED, 320, 180).view());
    let at = middle(&scene, 1);
    assert!(is(scene.render(), at, RED));
}
