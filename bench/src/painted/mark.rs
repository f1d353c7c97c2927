//! A row of black and white cells that tells which frame of whose loop a picture is, in whatever size it comes back.
//!
//! Eighteen cells, read from the left: seven bits of the frame, four of the publisher, two of the encoding, and five that check them. The row
//! stands between the corner, which shows the colour alone, and the number in the middle.

use plenum_kernels::{Colour, I420, I420Mut, Rect};

/// Cells in the row.
const CELLS: usize = 18;
/// Frames of a loop that can be told apart.
pub(super) const FRAMES: usize = 128;
/// What divides the content; the rest of it checks. It tells any single cell that is wrong.
const CHECK: u32 = 31;
/// Where the row begins and how high it is, in parts of a hundred of the picture: from 5 % on, cells of 5 %.
const ROW: (usize, usize) = (11, 11);
/// Luma of cells, and what is taken for one.
const INK: (u8, u8) = (16, 235);
const READS: (u32, u32) = (95, 155);

/// What the row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Whose, 1 to 15.
    pub number: usize,
    /// Simulcast encoding, 0 to 3.
    pub encoding: usize,
    /// Which frame of the loop, below 128.
    pub frame: usize,
}

impl Mark {
    fn bits(self) -> u32 {
        let content = ((self.frame % FRAMES) << 6) | ((self.number & 15) << 2) | (self.encoding & 3);
        let content = content as u32;
        (content << 5) | (content % CHECK)
    }

    /// Draws it over the whole picture.
    pub fn draw(self, picture: &mut I420Mut<'_>) {
        let whole = Rect { x: 0, y: 0, width: picture.width(), height: picture.height() };
        let bits = self.bits();
        for (at, cell) in cells(whole).enumerate() {
            let y = if bits >> (CELLS - 1 - at) & 1 == 1 { INK.1 } else { INK.0 };
            picture.fill(cell, Colour { y, u: 128, v: 128 });
        }
    }

    /// Reads it from a tile of a picture; `None` when there is none, or it cannot be made out.
    pub fn read(picture: &I420<'_>, tile: Rect) -> Option<Mark> {
        if tile.x + tile.width > picture.width() || tile.y + tile.height > picture.height() {
            return None;
        }
        let mut bits = 0;
        for cell in cells(tile) {
            let luma = middle(picture, cell)?;
            let white = match luma {
                dark if dark <= READS.0 => 0,
                bright if bright >= READS.1 => 1,
                _ => return None,
            };
            bits = (bits << 1) | white;
        }
        let content = bits >> 5;
        let mark = Mark {
            number: (content >> 2 & 15) as usize,
            encoding: (content & 3) as usize,
            frame: (content >> 6) as usize,
        };
        (content % CHECK == bits & 31 && mark.number > 0).then_some(mark)
    }
}

/// The cells of a tile.
fn cells(tile: Rect) -> impl Iterator<Item = Rect> {
    let at = move |n: usize| tile.x + tile.width * (5 + 5 * n) / 100;
    let (y, height) = (tile.y + tile.height * ROW.0 / 100, tile.height * ROW.1 / 100);
    (0..CELLS).map(move |n| Rect { x: at(n), y, width: at(n + 1) - at(n), height })
}

/// The mean luma of the middle of a cell; `None` when it has none.
fn middle(picture: &I420<'_>, cell: Rect) -> Option<u32> {
    let (x, width) = (cell.x + cell.width / 4, cell.width.div_ceil(2));
    let (y, height) = (cell.y + cell.height / 4, cell.height.div_ceil(2));
    let sum: u32 = (y..y + height)
        .filter(|y| *y < picture.height())
        .flat_map(|y| picture.y.row(y).iter().skip(x).take(width))
        .map(|luma| u32::from(*luma))
        .sum();
    sum.checked_div((width * height) as u32).filter(|_| width > 0 && height > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::painted::paint;
    use plenum_kernels::I420Buf;

    const TILE: Rect = Rect { x: 32, y: 16, width: 182, height: 102 };

    #[test]
    fn every_mark_is_read_as_it_was_drawn_beside_a_publishers_number() {
        for (number, encoding, frame) in [(1, 0, 0), (8, 2, 119), (15, 3, 127), (5, 1, 64)] {
            let mark = Mark { number, encoding, frame };
            let mut tile = I420Buf::new(TILE.width, TILE.height).unwrap();
            paint(&mut tile.view_mut(), number, frame);
            mark.draw(&mut tile.view_mut());
            let mut picture = I420Buf::new(320, 180).unwrap();
            for y in 0..TILE.height {
                let row = tile.view().y.row(y).to_vec();
                picture.view_mut().y.row_mut(TILE.y + y)[TILE.x..TILE.x + TILE.width].copy_from_slice(&row);
            }
            assert_eq!(Mark::read(&picture.view(), TILE), Some(mark));
            assert_eq!(Mark::read(&picture.view(), Rect { x: 120, ..TILE }), None, "beside it");
            assert_eq!(Mark::read(&picture.view(), Rect { x: 200, ..TILE }), None, "beyond the picture");
        }
    }

    #[test]
    fn what_is_no_mark_is_not_read() {
        for luma in [16, 128, 235] {
            let mut picture = I420Buf::new(TILE.width, TILE.height).unwrap();
            let whole = Rect { x: 0, y: 0, ..TILE };
            picture.view_mut().fill(whole, Colour { y: luma, u: 128, v: 128 });
            assert_eq!(Mark::read(&picture.view(), whole), None, "{luma}");
        }
        let mark = Mark { number: 3, encoding: 1, frame: 77 };
        for cell in 0..CELLS {
            let bits = mark.bits() ^ 1 << cell;
            assert_ne!((bits >> 5) % CHECK, bits & 31, "cell {cell}");
        }
    }
}
