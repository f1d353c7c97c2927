//! Drawing on pictures: rectangles, borders, grey-out; and I420 to NV12 and back.

use crate::level::Kernels;
use crate::place::Rect;
use crate::view::{I420, I420Mut, Nv12, Nv12Mut, PlaneMut, SizeError};

/// A colour in BT.601 or BT.709 limited range, as the picture has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// Luma, 16 to 235.
    pub y: u8,
    /// Blue chroma, 128 is none.
    pub u: u8,
    /// Red chroma, 128 is none.
    pub v: u8,
}

impl Colour {
    /// Black.
    pub const BLACK: Colour = Colour { y: 16, u: 128, v: 128 };
}

impl I420Mut<'_> {
    /// Fills `area`; what lies outside of the picture is left out. Chroma covers every pixel that the area touches.
    pub fn fill(&mut self, area: Rect, colour: Colour) {
        self.y.fill(area.x, area.y, area.width, area.height, colour.y);
        let (left, top) = (area.x / 2, area.y / 2);
        let width = area.x.saturating_add(area.width).div_ceil(2) - left;
        let height = area.y.saturating_add(area.height).div_ceil(2) - top;
        self.u.fill(left, top, width, height, colour.u);
        self.v.fill(left, top, width, height, colour.v);
    }

    /// Draws a border of `thickness` pixels along the inside of `area`.
    pub fn border(&mut self, area: Rect, thickness: usize, colour: Colour) {
        let across = thickness.min(area.width.div_ceil(2));
        let down = thickness.min(area.height.div_ceil(2));
        let (right, bottom) = (area.x.saturating_add(area.width - across), area.y.saturating_add(area.height - down));
        self.fill(Rect { height: down, ..area }, colour);
        self.fill(Rect { y: bottom, height: down, ..area }, colour);
        self.fill(Rect { width: across, ..area }, colour);
        self.fill(Rect { x: right, width: across, ..area }, colour);
    }
}

impl Kernels {
    /// Takes the colour out of a picture and part of its light: `keep` / 256 of the luma above black stays (256: all). A picture on hold.
    pub fn grey_out(self, picture: &mut I420Mut<'_>, keep: u16) {
        for y in 0..picture.y.height() {
            // SAFETY: the processor has this level.
            unsafe { (self.table.dim)(picture.y.row_mut(y), 16, keep) };
        }
        for plane in [&mut picture.u, &mut picture.v] {
            let (width, height) = (plane.width(), plane.height());
            plane.fill(0, 0, width, height, 128);
        }
    }

    /// I420 to NV12.
    ///
    /// # Errors
    /// A [`SizeError`] when the pictures differ in size; nothing is written then.
    pub fn to_nv12(self, src: I420<'_>, dst: &mut Nv12Mut<'_>) -> Result<(), SizeError> {
        same((src.y.width(), src.y.height()), (dst.y.width(), dst.y.height()))?;
        same((src.u.width() * 2, src.u.height()), (dst.uv.width(), dst.uv.height()))?;
        copy_rows(src.y, &mut dst.y);
        for y in 0..src.u.height() {
            // SAFETY: the processor has this level.
            unsafe { (self.table.interleave)(src.u.row(y), src.v.row(y), dst.uv.row_mut(y)) };
        }
        Ok(())
    }

    /// NV12 to I420.
    ///
    /// # Errors
    /// A [`SizeError`] when the pictures differ in size; nothing is written then.
    pub fn from_nv12(self, src: Nv12<'_>, dst: &mut I420Mut<'_>) -> Result<(), SizeError> {
        same((src.y.width(), src.y.height()), (dst.y.width(), dst.y.height()))?;
        same((dst.u.width() * 2, dst.u.height()), (src.uv.width(), src.uv.height()))?;
        copy_rows(src.y, &mut dst.y);
        for y in 0..src.uv.height() {
            // SAFETY: the processor has this level.
            unsafe { (self.table.deinterleave)(src.uv.row(y), dst.u.row_mut(y), dst.v.row_mut(y)) };
        }
        Ok(())
    }
}

fn same(want: (usize, usize), have: (usize, usize)) -> Result<(), SizeError> {
    if want == have { Ok(()) } else { Err(SizeError::Mismatch(want.0, want.1, have.0, have.1)) }
}

fn copy_rows(src: crate::view::Plane<'_>, dst: &mut PlaneMut<'_>) {
    for y in 0..src.height() {
        dst.row_mut(y).copy_from_slice(src.row(y));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{I420Buf, Plane};

    const RED: Colour = Colour { y: 81, u: 90, v: 240 };

    #[test]
    fn a_border_frames_its_area_and_nothing_else() {
        let mut picture = I420Buf::new(20, 16).expect("a size");
        picture.view_mut().border(Rect { x: 4, y: 2, width: 12, height: 10 }, 2, RED);
        let view = picture.view();
        for y in 0..16 {
            for x in 0..20 {
                let inside = (4..16).contains(&x) && (2..12).contains(&y);
                let hollow = (6..14).contains(&x) && (4..10).contains(&y);
                let want = if inside && !hollow { RED } else { Colour::BLACK };
                let have = Colour { y: view.y.row(y)[x], u: view.u.row(y / 2)[x / 2], v: view.v.row(y / 2)[x / 2] };
                assert_eq!(have, want, "at {x}, {y}");
            }
        }
    }

    #[test]
    fn drawing_beyond_the_edge_is_left_out() {
        let mut picture = I420Buf::new(5, 3).expect("a size");
        let mut view = picture.view_mut();
        view.fill(Rect { x: 4, y: 2, width: usize::MAX, height: 9 }, RED);
        view.border(Rect { x: 90, y: 90, width: 4, height: 0 }, 9, RED);
        let view = picture.view();
        assert_eq!((view.y.row(2), view.y.row(1)), (&[16, 16, 16, 16, 81][..], &[16; 5][..]));
        assert_eq!((view.u.row(1), view.v.row(1)), (&[128, 128, 90][..], &[128, 128, 240][..]));
    }

    #[test]
    fn a_picture_on_hold_is_grey_and_darker() {
        let mut picture = I420Buf::new(3, 3).expect("a size");
        picture.view_mut().fill(Rect { x: 0, y: 0, width: 3, height: 3 }, Colour { y: 216, u: 1, v: 2 });
        Kernels::best().grey_out(&mut picture.view_mut(), 128);
        let view = picture.view();
        assert_eq!((view.y.row(1), view.u.row(1), view.v.row(0)), (&[116; 3][..], &[128; 2][..], &[128; 2][..]));
    }

    #[test]
    fn nv12_comes_back_as_it_was_and_odd_sizes_fit() {
        let (width, height) = (7, 5);
        let luma: Vec<u8> = (0..35).collect();
        let chroma: Vec<u8> = (100..124).collect();
        let mut bytes = [0; 35 + 24];
        let (y, uv) = bytes.split_at_mut(35);
        let src = I420 {
            y: Plane::new(&luma, width, width, height).expect("luma"),
            u: Plane::new(&chroma[..12], 4, 4, 3).expect("blue"),
            v: Plane::new(&chroma[12..], 4, 4, 3).expect("red"),
        };
        let mut nv12 = Nv12Mut {
            y: PlaneMut::new(y, width, width, height).expect("luma"),
            uv: PlaneMut::new(uv, 8, 8, 3).expect("pairs"),
        };
        Kernels::best().to_nv12(src, &mut nv12).expect("the same size");
        assert_eq!(nv12.uv.as_plane().row(0), [100, 112, 101, 113, 102, 114, 103, 115]);
        let mut back = I420Buf::new(width, height).expect("a size");
        let nv12 = Nv12 { y: nv12.y.as_plane(), uv: nv12.uv.as_plane() };
        Kernels::best().from_nv12(nv12, &mut back.view_mut()).expect("the same size");
        for y in 0..height {
            assert_eq!(back.view().y.row(y), src.y.row(y));
            assert_eq!((back.view().u.row(y / 2), back.view().v.row(y / 2)), (src.u.row(y / 2), src.v.row(y / 2)));
        }
        let mut small = I420Buf::new(6, 5).expect("a size");
        assert_eq!(Kernels::best().from_nv12(nv12, &mut small.view_mut()), Err(SizeError::Mismatch(7, 5, 6, 5)));
    }
}
