//! Which tile stands where, with and without a presentation.

use super::Presenting;
use crate::layout::Layout;
use plenum_kernels::{Rect, fit};

/// Where the presentation stands, if there is one, and where members stand, in stage order. Tiles that would be empty are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrangement {
    pub(super) presentation: Option<Rect>,
    pub(super) seats: Vec<Rect>,
}

/// Arranges `layout` on a picture of this size.
pub(super) fn arrange(layout: Layout, (width, height): (usize, usize), presenting: Option<Presenting>) -> Arrangement {
    let tiles = || (0..layout.tiles()).filter_map(|n| layout.tile(n, width, height)).filter(seen);
    let whole = Rect { x: 0, y: 0, width: width & !1, height: height & !1 };
    match presenting {
        None => Arrangement { presentation: None, seats: tiles().collect() },
        Some(Presenting::Full) => Arrangement { presentation: Some(whole).filter(seen), seats: Vec::new() },
        Some(Presenting::Beside) if layout.large() == 1 => {
            let Some((first, second)) = tiles().next().and_then(|main| split(band(main, tiles().skip(1), width)))
            else {
                return Arrangement { presentation: tiles().next(), seats: tiles().skip(1).collect() };
            };
            let seats = std::iter::once(second).chain(tiles().skip(1)).collect();
            Arrangement { presentation: Some(first), seats }
        }
        Some(Presenting::Main | Presenting::Beside) => {
            Arrangement { presentation: tiles().next(), seats: tiles().skip(1).collect() }
        }
    }
}

fn seen(rect: &Rect) -> bool {
    rect.width > 0 && rect.height > 0
}

/// The main tile, made as wide as the tiles beside it and the picture's edges let it.
fn band(main: Rect, others: impl Iterator<Item = Rect>, width: usize) -> Rect {
    let (mut left, mut right) = (0, width & !1);
    for other in others.filter(|o| o.y < main.y + main.height && main.y < o.y + o.height) {
        if other.x + other.width <= main.x {
            left = left.max(other.x + other.width);
        } else {
            right = right.min(other.x);
        }
    }
    Rect { x: left, width: right.saturating_sub(left), ..main }
}

/// Two thirds for the presentation and one for the speaker, whose part is as high as a camera's picture. `None` when that is too small.
fn split(band: Rect) -> Option<(Rect, Rect)> {
    let first = Rect { width: (band.width * 2 / 3) & !1, ..band };
    let part = Rect { x: band.x + first.width, width: (band.width - first.width) & !1, ..band };
    if !seen(&first) || !seen(&part) {
        return None;
    }
    let inside = fit((16, 9), (part.width, part.height));
    Some((first, Rect { x: part.x + inside.x, y: part.y + inside.y, ..inside }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(layout: &str, presenting: Option<Presenting>) -> Arrangement {
        arrange(layout.parse().expect("a layout"), (1280, 720), presenting)
    }

    fn rect(x: usize, y: usize, width: usize, height: usize) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn a_presentation_takes_the_main_tile_and_people_the_others() {
        let arrangement = at("1:7", Some(Presenting::Main));
        assert_eq!(arrangement.presentation, Some(rect(90, 0, 1096, 616)));
        assert_eq!((arrangement.seats.len(), arrangement.seats[0]), (7, rect(0, 616, 182, 102)));
        assert_eq!(at("4:0", Some(Presenting::Beside)).seats.len(), 3);
        let full = at("1:7", Some(Presenting::Full));
        assert_eq!((full.presentation, full.seats.len()), (Some(rect(0, 0, 1280, 720)), 0));
    }

    #[test]
    fn beside_the_main_tile_a_presentation_has_two_thirds_of_the_room() {
        let arrangement = at("1:7", Some(Presenting::Beside));
        assert_eq!(arrangement.presentation, Some(rect(0, 0, 852, 616)));
        assert_eq!((arrangement.seats.len(), arrangement.seats[0]), (8, rect(852, 188, 428, 240)));
        let between = at("1:33", Some(Presenting::Beside));
        assert_eq!(between.presentation, Some(rect(364, 50, 366, 308)), "between the tiles at the sides");
        let alone = at("1:0", Some(Presenting::Beside));
        assert_eq!((alone.presentation, alone.seats.len()), (Some(rect(0, 0, 852, 720)), 1));
    }

    #[test]
    fn tiles_lie_apart_on_any_picture() {
        for layout in Layout::all() {
            for presenting in [None, Some(Presenting::Main), Some(Presenting::Beside), Some(Presenting::Full)] {
                for size in [(1280, 720), (722, 1280), (64, 36), (8, 8), (2, 2), (8192, 8192)] {
                    let arrangement = arrange(layout, size, presenting);
                    let all: Vec<Rect> = arrangement.presentation.into_iter().chain(arrangement.seats).collect();
                    for (n, a) in all.iter().enumerate() {
                        assert!(a.x + a.width <= size.0 && a.y + a.height <= size.1, "{layout} {size:?} {a:?}");
                        assert!([a.x, a.y, a.width, a.height].iter().all(|v| v % 2 == 0), "{layout} {a:?}");
                        for b in &all[n + 1..] {
                            let beside = a.x + a.width <= b.x || b.x + b.width <= a.x;
                            assert!(beside || a.y + a.height <= b.y || b.y + b.height <= a.y, "{layout} {a:?} {b:?}");
                        }
                    }
                }
            }
        }
    }
}
