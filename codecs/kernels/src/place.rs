//! Placing a source in a tile: fitted whole with bars (letterbox), or cropped to fill. All edges are even, so that no two tiles share chroma.
//!
//! A [`TilePlan`] is made once for a source's size and a tile, and draws every frame straight into the picture.

use crate::draw::Colour;
use crate::level::Kernels;
use crate::scale::ScalePlan;
use crate::view::{I420, I420Mut, SizeError, check_side};

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// Pixels from the left.
    pub x: usize,
    /// Pixels from the top.
    pub y: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// How a source of another shape than its tile is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The whole source, with bars beside or above it.
    Letterbox,
    /// The whole tile; what is too much of the source is cut off at both ends alike.
    Fill,
}

/// The largest rectangle of the shape of `src` (width, height) in the middle of a tile of size `tile`; sides rounded to even, at least 2 where the tile
/// has them. A shape that is less than two pixels off fills the tile: there are no hairline bars.
#[must_use]
pub fn fit(src: (usize, usize), tile: (usize, usize)) -> Rect {
    let (width, height) = inner(src, tile);
    Rect { x: (tile.0 - width) / 4 * 2, y: (tile.1 - height) / 4 * 2, width, height }
}

/// The largest rectangle of the shape of `tile` (width, height) in the middle of a source of size `src`.
#[must_use]
pub fn cover(src: (usize, usize), tile: (usize, usize)) -> Rect {
    fit(tile, src)
}

/// Sides of the largest rectangle of the shape of `shape` within `room`.
fn inner(shape: (usize, usize), room: (usize, usize)) -> (usize, usize) {
    let side = |a: usize, b: usize, of: usize, limit: usize| {
        let exact = (a * of + b / 2) / b.max(1);
        if exact + 2 > limit { limit } else { (exact.max(2) & !1).min(limit) }
    };
    if shape.0 * room.1 <= room.0 * shape.1 {
        (side(shape.0, shape.1, room.1, room.0), room.1)
    } else {
        (room.0, side(shape.1, shape.0, room.0, room.1))
    }
}

/// How pictures of one size are drawn into one tile.
#[derive(Debug)]
pub struct TilePlan {
    tile: Rect,
    /// What of the source is shown.
    crop: Rect,
    /// Where it stands, in the whole picture.
    inside: Rect,
    luma: ScalePlan,
    chroma: ScalePlan,
}

impl TilePlan {
    /// A plan for sources of size `src` (width, height) in `tile`, whose left and top are even.
    ///
    /// # Errors
    /// [`SizeError::Side`] when a side is out of range, [`SizeError::Chroma`] when the tile starts at an odd pixel.
    pub fn new(kernels: Kernels, src: (usize, usize), tile: Rect, placement: Placement) -> Result<TilePlan, SizeError> {
        check_side(src.0, src.1)?;
        check_side(tile.width, tile.height)?;
        if tile.x % 2 + tile.y % 2 != 0 {
            return Err(SizeError::Chroma);
        }
        let whole = |(width, height)| Rect { x: 0, y: 0, width, height };
        let size = (tile.width, tile.height);
        let (crop, inside) = match placement {
            Placement::Letterbox => (whole(src), fit(src, size)),
            Placement::Fill => (cover(src, size), whole(size)),
        };
        let half = |r: Rect| (r.width.div_ceil(2), r.height.div_ceil(2));
        Ok(TilePlan {
            tile,
            crop,
            inside: Rect { x: tile.x + inside.x, y: tile.y + inside.y, ..inside },
            luma: ScalePlan::new(kernels, (crop.width, crop.height), (inside.width, inside.height))?,
            chroma: ScalePlan::new(kernels, half(crop), half(inside))?,
        })
    }

    /// Where the source itself stands in the picture, without its bars.
    #[must_use]
    pub fn inside(&self) -> Rect {
        self.inside
    }

    /// Draws `src` into its tile of `picture`, bars in `background`. Allocates nothing.
    ///
    /// # Errors
    /// [`SizeError::Mismatch`] when the source is smaller than the plan's, or the tile is not inside of the picture; nothing is written then.
    pub fn draw(&mut self, src: I420<'_>, picture: &mut I420Mut<'_>, background: Colour) -> Result<(), SizeError> {
        let (c, t) = (self.crop, self.tile);
        let (right, bottom) = (t.x + t.width, t.y + t.height);
        if right > picture.width() || bottom > picture.height() {
            return Err(SizeError::Mismatch(picture.width(), picture.height(), right, bottom));
        }
        let luma = src.y.part(c.x, c.y, c.width, c.height)?;
        let ((width, height), (x, y)) = (self.chroma.src(), (c.x / 2, c.y / 2));
        let (u, v) = (src.u.part(x, y, width, height)?, src.v.part(x, y, width, height)?);
        self.bars(picture, background);
        let i = self.inside;
        self.luma.run(luma, picture.y.reborrow().part(i.x, i.y, i.width, i.height)?)?;
        let (width, height) = self.chroma.dst();
        self.chroma.run(u, picture.u.reborrow().part(i.x / 2, i.y / 2, width, height)?)?;
        self.chroma.run(v, picture.v.reborrow().part(i.x / 2, i.y / 2, width, height)?)
    }

    /// The tile around the source.
    fn bars(&self, picture: &mut I420Mut<'_>, background: Colour) {
        let (i, t) = (self.inside, self.tile);
        let (right, bottom) = (i.x + i.width, i.y + i.height);
        let bars = [
            Rect { height: i.y - t.y, ..t },
            Rect { y: bottom, height: t.y + t.height - bottom, ..t },
            Rect { x: t.x, y: i.y, width: i.x - t.x, height: i.height },
            Rect { x: right, y: i.y, width: t.x + t.width - right, height: i.height },
        ];
        for bar in bars.into_iter().filter(|b| b.width > 0 && b.height > 0) {
            picture.fill(bar, background);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::I420Buf;

    #[test]
    fn a_source_is_fitted_whole_or_cropped_to_fill() {
        assert_eq!(fit((640, 480), (640, 360)), Rect { x: 80, y: 0, width: 480, height: 360 });
        assert_eq!(fit((1280, 720), (640, 480)), Rect { x: 0, y: 60, width: 640, height: 360 });
        assert_eq!(fit((1280, 720), (182, 102)), Rect { x: 0, y: 0, width: 182, height: 102 });
        assert_eq!(fit((1, 8192), (320, 180)), Rect { x: 158, y: 0, width: 2, height: 180 });
        assert_eq!(fit((8192, 1), (1, 1)), Rect { x: 0, y: 0, width: 1, height: 1 });
        assert_eq!(cover((640, 480), (640, 360)), Rect { x: 0, y: 60, width: 640, height: 360 });
        assert_eq!(cover((720, 1280), (160, 90)), Rect { x: 0, y: 438, width: 720, height: 404 });
    }

    #[test]
    fn a_tile_is_covered_whole_and_nothing_beside_it() {
        let grey = Colour { y: 60, u: 100, v: 150 };
        for (src, placement) in [
            ((64, 48), Placement::Letterbox),
            ((48, 64), Placement::Letterbox),
            ((64, 48), Placement::Fill),
            ((3, 1), Placement::Fill),
        ] {
            let mut source = I420Buf::new(src.0, src.1).expect("a size");
            source.view_mut().fill(Rect { x: 0, y: 0, width: src.0, height: src.1 }, Colour { y: 200, u: 90, v: 240 });
            let mut picture = I420Buf::new(100, 60).expect("a size");
            let tile = Rect { x: 10, y: 4, width: 70, height: 40 };
            let mut plan = TilePlan::new(Kernels::best(), src, tile, placement).expect("a plan");
            plan.draw(source.view(), &mut picture.view_mut(), grey).expect("drawn");
            let (view, inside) = (picture.view(), plan.inside());
            for y in 0..60 {
                for x in 0..100 {
                    let has = |r: Rect| (r.x..r.x + r.width).contains(&x) && (r.y..r.y + r.height).contains(&y);
                    let want = if has(inside) {
                        (200, 90)
                    } else if has(tile) {
                        (60, 100)
                    } else {
                        (16, 128)
                    };
                    assert_eq!((view.y.row(y)[x], view.u.row(y / 2)[x / 2]), want, "{src:?} {placement:?} at {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn a_plan_refuses_what_does_not_fit() {
        let tile = Rect { x: 0, y: 0, width: 8, height: 8 };
        let odd = TilePlan::new(Kernels::best(), (8, 8), Rect { x: 1, ..tile }, Placement::Fill);
        assert_eq!(odd.err(), Some(SizeError::Chroma));
        let mut plan = TilePlan::new(Kernels::best(), (16, 16), tile, Placement::Fill).expect("a plan");
        let (small, mut picture) = (I420Buf::new(8, 8).expect("a size"), I420Buf::new(8, 8).expect("a size"));
        assert!(plan.draw(small.view(), &mut picture.view_mut(), Colour::BLACK).is_err());
        let source = I420Buf::new(16, 16).expect("a size");
        let mut narrow = I420Buf::new(6, 8).expect("a size");
        assert!(plan.draw(source.view(), &mut narrow.view_mut(), Colour::BLACK).is_err());
        assert!(plan.draw(source.view(), &mut picture.view_mut(), Colour::BLACK).is_ok());
    }
}
