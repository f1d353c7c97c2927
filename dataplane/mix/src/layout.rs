//! Where tiles stand: the geometry of spec/layouts.md on a picture of any size.
//!
//! Every tile's origin and size is rounded down to even numbers, so that no two tiles share a chroma sample of a 4:2:0
//! picture; what is left over is background. Large tiles come first, then the small ones by rows from the top, each row
//! from the left. Who stands in a tile is decided elsewhere.

use plenum_kernels::Rect;
use std::fmt;
use std::str::FromStr;

/// Cisco's names of layouts that have one of ours.
const CISCO: [(&str, &str); 10] = [
    ("speakerOnly", "1:0"),
    ("allEqualQuarters", "4:0"),
    ("allEqualNinths", "9:0"),
    ("allEqualSixteenths", "16:0"),
    ("allEqualTwentyFifths", "25:0"),
    ("onePlusFive", "1:5"),
    ("onePlusSeven", "1:7"),
    ("onePlusNine", "1:9"),
    ("automatic", "1:7"),
    ("telepresence", "1:7"),
];
/// Layouts that grow with the number of people: the smallest of these that shows everybody, else the last.
const GROWING: [(&str, &[&str]); 2] = [
    ("allEqual", &["1:0", "4:0", "9:0", "16:0", "25:0"]),
    ("onePlusN", &["1:0", "1:5", "1:7", "1:9", "1:12", "1:21", "1:33"]),
];

/// A layout `A:B`: A large tiles and at most B small ones.
#[derive(Clone, Copy)]
pub struct Layout(&'static Shape);

struct Shape {
    name: &'static str,
    large: usize,
    /// Tiles in units: the frame is `columns` × `rows` of them.
    columns: usize,
    rows: usize,
    tiles: fn(usize) -> Unit,
    count: usize,
}

/// A tile in units of its layout's grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unit {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

const fn unit(x: usize, y: usize, width: usize, height: usize) -> Unit {
    Unit { x, y, width, height }
}

/// Tile `n` of a grid of `side` × `side` tiles.
const fn equal(n: usize, side: usize) -> Unit {
    unit(n % side, n / side, 1, 1)
}

/// Tile `n` of rows of seven in a grid of 28 × 28 units, from row `top` (in 28ths) on.
const fn sevens(n: usize, top: usize) -> Unit {
    unit(n % 7 * 4, top + n / 7 * 4, 4, 4)
}

/// Small tile `n` around a large one of `large` × `large` units at (`at`, `at`) of a grid of `side` × `side`.
const fn around(n: usize, side: usize, at: usize, large: usize) -> Unit {
    let (mut place, mut left) = (0, n);
    loop {
        let (x, y) = (place % side, place / side);
        let covered = x >= at && x < at + large && y >= at && y < at + large;
        if !covered && left == 0 {
            return unit(x, y, 1, 1);
        }
        left -= !covered as usize;
        place += 1;
    }
}

/// Small tile `n` of 1:33: three rows of two on either side of the large tile, then three rows of seven.
const fn sides_and_rows(n: usize) -> Unit {
    match n {
        0..12 => unit([0, 4, 20, 24][n % 4], 2 + n / 4 * 4, 4, 4),
        _ => sevens(n - 12, 16),
    }
}

const fn shape(
    name: &'static str,
    large: usize,
    count: usize,
    grid: (usize, usize),
    tiles: fn(usize) -> Unit,
) -> Shape {
    Shape { name, large, columns: grid.0, rows: grid.1, tiles, count }
}

static SHAPES: [Shape; 15] = [
    shape("1:0", 1, 1, (1, 1), |_| unit(0, 0, 1, 1)),
    shape("2:0", 2, 2, (4, 4), |n| unit(n * 2, 1, 2, 2)),
    shape("stacked", 2, 2, (4, 4), |n| unit(1, n * 2, 2, 2)),
    shape("3:0", 3, 3, (4, 4), |n| if n == 0 { unit(1, 0, 2, 2) } else { unit((n - 1) * 2, 2, 2, 2) }),
    shape("4:0", 4, 4, (2, 2), |n| equal(n, 2)),
    shape("9:0", 9, 9, (3, 3), |n| equal(n, 3)),
    shape("16:0", 16, 16, (4, 4), |n| equal(n, 4)),
    shape("25:0", 25, 25, (5, 5), |n| equal(n, 5)),
    shape("1:5", 1, 6, (3, 3), |n| if n == 0 { unit(0, 0, 2, 2) } else { around(n - 1, 3, 0, 2) }),
    shape("1:7", 1, 8, (28, 28), |n| if n == 0 { unit(2, 0, 24, 24) } else { sevens(n - 1, 24) }),
    shape("1:9", 1, 10, (5, 5), |n| if n == 0 { unit(0, 0, 4, 4) } else { around(n - 1, 5, 0, 4) }),
    shape("1:12", 1, 13, (4, 4), |n| if n == 0 { unit(1, 1, 2, 2) } else { around(n - 1, 4, 1, 2) }),
    shape("1:21", 1, 22, (28, 28), |n| if n == 0 { unit(6, 0, 16, 16) } else { sevens(n - 1, 16) }),
    shape("2:21", 2, 23, (28, 28), |n| if n < 2 { unit(n * 14, 1, 14, 14) } else { sevens(n - 2, 16) }),
    shape("1:33", 1, 34, (28, 28), |n| if n == 0 { unit(8, 2, 12, 12) } else { sides_and_rows(n - 1) }),
];

/// Not a layout of spec/layouts.md.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no layout of this name; there are {}", names())]
pub struct UnknownLayout;

fn names() -> String {
    SHAPES.iter().map(|shape| shape.name).collect::<Vec<_>>().join(", ")
}

impl FromStr for Layout {
    type Err = UnknownLayout;

    fn from_str(name: &str) -> Result<Layout, UnknownLayout> {
        SHAPES.iter().find(|shape| shape.name == name).map(Layout).ok_or(UnknownLayout)
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Layout) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Layout {}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({})", self.0.name)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Layout {
    /// Tiles of the layout that has most.
    pub const MOST_TILES: usize = 34;

    /// The layout that a name stands for when `people` are to be shown: one of ours, or one of Cisco's.
    pub fn named(name: &str, people: usize) -> Option<Layout> {
        if let Some((_, of)) = GROWING.iter().find(|(growing, _)| *growing == name) {
            let mut fits = of.iter().filter_map(|name| name.parse().ok());
            let shows = |layout: &Layout| layout.tiles() >= people;
            return fits.clone().find(shows).or(fits.next_back());
        }
        let same = CISCO.iter().find(|(cisco, _)| *cisco == name).map_or(name, |(_, ours)| ours);
        same.parse().ok()
    }

    /// Every name that stands for a layout, ours and Cisco's.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let growing = GROWING.iter().map(|(name, _)| *name);
        SHAPES.iter().map(|shape| shape.name).chain(CISCO.iter().map(|(cisco, _)| *cisco)).chain(growing)
    }

    /// Every layout.
    pub fn all() -> impl Iterator<Item = Layout> {
        SHAPES.iter().map(Layout)
    }

    /// How many tiles it has.
    pub fn tiles(self) -> usize {
        self.0.count
    }

    /// How many of them are large; they come first.
    pub fn large(self) -> usize {
        self.0.large
    }

    /// Tile `n` on a picture of this size; `None` beyond the last. Empty where the picture is too small for it.
    pub fn tile(self, n: usize, width: usize, height: usize) -> Option<Rect> {
        let Shape { columns, rows, tiles, count, .. } = *self.0;
        (n < count).then(|| {
            let unit = tiles(n);
            Rect {
                x: even(unit.x * width / columns),
                y: even(unit.y * height / rows),
                width: even(unit.width * width / columns),
                height: even(unit.height * height / rows),
            }
        })
    }
}

fn even(n: usize) -> usize {
    n & !1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(name: &str) -> Layout {
        name.parse().expect("a layout")
    }

    fn empty(rect: &Rect) -> bool {
        rect.width == 0 || rect.height == 0
    }

    fn at(name: &str, n: usize) -> (usize, usize, usize, usize) {
        let Rect { x, y, width, height } = layout(name).tile(n, 1280, 720).expect("a tile");
        (x, y, width, height)
    }

    #[test]
    fn tiles_stand_where_the_specification_says() {
        assert_eq!(at("1:0", 0), (0, 0, 1280, 720));
        assert_eq!((at("2:0", 0), at("2:0", 1)), ((0, 180, 640, 360), (640, 180, 640, 360)));
        assert_eq!((at("stacked", 0), at("stacked", 1)), ((320, 0, 640, 360), (320, 360, 640, 360)), "2:0 upright");
        assert_eq!((at("3:0", 0), at("3:0", 2)), ((320, 0, 640, 360), (640, 360, 640, 360)));
        assert_eq!(at("4:0", 1), (640, 0, 640, 360), "the second is at the top right");
        assert_eq!((at("1:7", 0), at("1:7", 1)), ((90, 0, 1096, 616), (0, 616, 182, 102)));
        assert_eq!(at("1:7", 7), (1096, 616, 182, 102));
        assert_eq!((at("1:21", 0), at("1:21", 1)), ((274, 0, 730, 410), (0, 410, 182, 102)));
        assert_eq!((at("2:21", 1), at("2:21", 2)), ((640, 24, 640, 360), (0, 410, 182, 102)));
        assert_eq!(
            (at("1:33", 0), at("1:33", 1), at("1:33", 13)),
            ((364, 50, 548, 308), (0, 50, 182, 102), (0, 410, 182, 102))
        );
        assert_eq!((at("1:5", 1), at("1:5", 3)), ((852, 0, 426, 240), (0, 480, 426, 240)));
        assert_eq!((at("1:12", 0), at("1:12", 5)), ((320, 180, 640, 360), (0, 180, 320, 180)));
    }

    /// CMS-22: each of the thirteen names is a layout; two of them grow.
    #[test]
    fn cms_22_cisco_names_are_layouts_and_unknown_ones_are_none() {
        let named = |name, people| Layout::named(name, people).map(|layout| layout.to_string());
        let is = |name, people, want: &str| assert_eq!(named(name, people).as_deref(), Some(want), "{name} {people}");
        for (name, want) in CISCO.into_iter().chain([("stacked", "stacked"), ("1:21", "1:21")]) {
            is(name, 3, want);
        }
        for (people, want) in [(0, "1:0"), (1, "1:0"), (5, "9:0"), (99, "25:0")] {
            is("allEqual", people, want);
        }
        for (people, want) in [(1, "1:0"), (2, "1:5"), (7, "1:7"), (14, "1:21"), (40, "1:33")] {
            is("onePlusN", people, want);
        }
        assert_eq!((named("nonsense", 3), named("", 3), named("2:", 3)), (None, None, None));
    }

    #[test]
    fn tiles_of_every_layout_lie_apart_inside_the_picture_and_are_even() {
        for (layout, (width, height)) in Layout::all()
            .flat_map(|l| [(1280, 720), (1919, 1079), (640, 361), (28, 28), (7, 3), (1, 1)].map(|size| (l, size)))
        {
            let name = if layout.to_string() == "stacked" { "2:0".to_owned() } else { layout.to_string() };
            let large: usize = name.split(':').next().and_then(|n| n.parse().ok()).expect("a number");
            assert_eq!(layout.large(), large);
            assert!(layout.tiles() <= Layout::MOST_TILES);
            let tiles: Vec<Rect> =
                (0..layout.tiles()).map(|n| layout.tile(n, width, height).expect("a tile")).collect();
            assert_eq!(layout.tile(layout.tiles(), width, height), None);
            for (n, a) in tiles.iter().enumerate() {
                assert!(a.x + a.width <= width && a.y + a.height <= height, "{layout} {n} {a:?}");
                assert!([a.x, a.y, a.width, a.height].iter().all(|v| v % 2 == 0), "{layout} {n} {a:?}");
                for b in &tiles[n + 1..] {
                    let apart =
                        a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
                    assert!(apart || empty(a) || empty(b), "{layout} at {width}×{height}: {a:?} covers {b:?}");
                }
            }
        }
    }
}
