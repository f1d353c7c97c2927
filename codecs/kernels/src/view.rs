//! Views of pictures: a plane is bytes with a stride; an I420 picture is three planes, the chroma ones of half the size, rounded up.
//!
//! A view is checked when it is made: sides of 1 to [`MAX_SIDE`], a stride of at least the width, and enough bytes. Kernels rely on it and
//! therefore never panic. Views own nothing; [`I420Buf`] does.

use crate::table::Aligned;

/// Longest side of a picture, in pixels. A view with a longer side is refused: the tables of a plan stay below 1 MiB.
pub const MAX_SIDE: usize = 8192;

/// Why a view or a plan could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A side is 0 or longer than [`MAX_SIDE`].
    #[error("a picture of {0}x{1} is outside of 1x1 to 8192x8192")]
    Side(usize, usize),
    /// The stride is shorter than a row.
    #[error("a stride of {stride} is shorter than the row of {width}")]
    Stride {
        /// The stride given, in bytes.
        stride: usize,
        /// The width of a row, in bytes.
        width: usize,
    },
    /// The bytes end before the last row does.
    #[error("{have} bytes do not hold a plane that needs {need}")]
    Short {
        /// Bytes given.
        have: usize,
        /// Bytes that the plane takes.
        need: usize,
    },
    /// Two views, or a view and a plan, are of different sizes.
    #[error("a size of {0}x{1} was expected, not {2}x{3}")]
    Mismatch(usize, usize, usize, usize),
    /// Chroma planes are not of half the luma plane's size, rounded up.
    #[error("chroma planes do not fit the luma plane")]
    Chroma,
}

/// Whether `width` × `height` is a size that pictures may have.
pub(crate) fn check_side(width: usize, height: usize) -> Result<(), SizeError> {
    let good = 1..=MAX_SIDE;
    if good.contains(&width) && good.contains(&height) { Ok(()) } else { Err(SizeError::Side(width, height)) }
}

fn check(len: usize, stride: usize, width: usize, height: usize, unit: usize) -> Result<(), SizeError> {
    check_side(width, height)?;
    let row = width * unit;
    if stride < row {
        return Err(SizeError::Stride { stride, width: row });
    }
    let need = (height - 1).checked_mul(stride).and_then(|n| n.checked_add(row)).unwrap_or(usize::MAX);
    if len < need { Err(SizeError::Short { have: len, need }) } else { Ok(()) }
}

/// A plane of bytes to read.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    data: &'a [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl<'a> Plane<'a> {
    /// A view of `height` rows of `width` bytes, `stride` bytes apart.
    ///
    /// # Errors
    /// A [`SizeError`] when the sides, the stride or the length do not fit.
    pub fn new(data: &'a [u8], stride: usize, width: usize, height: usize) -> Result<Self, SizeError> {
        check(data.len(), stride, width, height, 1)?;
        Ok(Plane { data, stride, width, height })
    }

    /// Bytes in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes between the starts of two rows.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The bytes, from the first row's start.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Row `y`.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, y: usize) -> &'a [u8] {
        assert!(y < self.height, "row {y} of {}", self.height);
        &self.data[y * self.stride..][..self.width]
    }

    /// The part `width` × `height` at (`x`, `y`).
    ///
    /// # Errors
    /// [`SizeError::Mismatch`] when it is not inside, [`SizeError::Side`] when it is empty.
    pub fn part(&self, x: usize, y: usize, width: usize, height: usize) -> Result<Plane<'a>, SizeError> {
        check_side(width, height)?;
        if x.saturating_add(width) > self.width || y.saturating_add(height) > self.height {
            return Err(SizeError::Mismatch(self.width, self.height, x + width, y + height));
        }
        Ok(Plane { data: &self.data[y * self.stride + x..], stride: self.stride, width, height })
    }
}

/// A plane of bytes to write.
#[derive(Debug)]
pub struct PlaneMut<'a> {
    data: &'a mut [u8],
    stride: usize,
    width: usize,
    height: usize,
}

impl<'a> PlaneMut<'a> {
    /// A view of `height` rows of `width` bytes, `stride` bytes apart.
    ///
    /// # Errors
    /// A [`SizeError`] when the sides, the stride or the length do not fit.
    pub fn new(data: &'a mut [u8], stride: usize, width: usize, height: usize) -> Result<Self, SizeError> {
        check(data.len(), stride, width, height, 1)?;
        Ok(PlaneMut { data, stride, width, height })
    }

    /// Bytes in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes between the starts of two rows.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Row `y`, to write.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        assert!(y < self.height, "row {y} of {}", self.height);
        &mut self.data[y * self.stride..][..self.width]
    }

    /// The bytes from row `y` on.
    pub(crate) fn rows_from(&mut self, y: usize) -> &mut [u8] {
        &mut self.data[y * self.stride..]
    }

    /// The same plane, to read.
    #[must_use]
    pub fn as_plane(&self) -> Plane<'_> {
        Plane { data: self.data, stride: self.stride, width: self.width, height: self.height }
    }

    /// The same plane, lent for a while.
    pub fn reborrow(&mut self) -> PlaneMut<'_> {
        PlaneMut { data: self.data, stride: self.stride, width: self.width, height: self.height }
    }

    /// The part `width` × `height` at (`x`, `y`), to write.
    ///
    /// # Errors
    /// [`SizeError::Mismatch`] when it is not inside, [`SizeError::Side`] when it is empty.
    pub fn part(self, x: usize, y: usize, width: usize, height: usize) -> Result<PlaneMut<'a>, SizeError> {
        check_side(width, height)?;
        if x.saturating_add(width) > self.width || y.saturating_add(height) > self.height {
            return Err(SizeError::Mismatch(self.width, self.height, x + width, y + height));
        }
        Ok(PlaneMut { data: &mut self.data[y * self.stride + x..], stride: self.stride, width, height })
    }

    /// Sets the rectangle at (`x`, `y`) to `value`; what lies outside of the plane is left out.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, value: u8) {
        let right = x.saturating_add(width).min(self.width);
        let bottom = y.saturating_add(height).min(self.height);
        if x < right {
            for row in y..bottom {
                self.row_mut(row)[x..right].fill(value);
            }
        }
    }
}

/// An I420 picture to read.
#[derive(Debug, Clone, Copy)]
pub struct I420<'a> {
    /// Luma.
    pub y: Plane<'a>,
    /// Blue chroma, half the size rounded up.
    pub u: Plane<'a>,
    /// Red chroma, half the size rounded up.
    pub v: Plane<'a>,
}

impl<'a> I420<'a> {
    /// Three planes as a picture.
    ///
    /// # Errors
    /// [`SizeError::Chroma`] when the chroma planes are not of half the luma plane's size, rounded up.
    pub fn new(y: Plane<'a>, u: Plane<'a>, v: Plane<'a>) -> Result<Self, SizeError> {
        let want = (y.width.div_ceil(2), y.height.div_ceil(2));
        if (u.width, u.height) != want || (v.width, v.height) != want {
            return Err(SizeError::Chroma);
        }
        Ok(I420 { y, u, v })
    }

    /// Width of the picture in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.y.width
    }

    /// Height of the picture in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.y.height
    }
}

/// An I420 picture to write.
#[derive(Debug)]
pub struct I420Mut<'a> {
    /// Luma.
    pub y: PlaneMut<'a>,
    /// Blue chroma, half the size rounded up.
    pub u: PlaneMut<'a>,
    /// Red chroma, half the size rounded up.
    pub v: PlaneMut<'a>,
}

impl<'a> I420Mut<'a> {
    /// Three planes as a picture.
    ///
    /// # Errors
    /// [`SizeError::Chroma`] when the chroma planes are not of half the luma plane's size, rounded up.
    pub fn new(y: PlaneMut<'a>, u: PlaneMut<'a>, v: PlaneMut<'a>) -> Result<Self, SizeError> {
        let want = (y.width.div_ceil(2), y.height.div_ceil(2));
        if (u.width, u.height) != want || (v.width, v.height) != want {
            return Err(SizeError::Chroma);
        }
        Ok(I420Mut { y, u, v })
    }

    /// Width of the picture in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.y.width
    }

    /// Height of the picture in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.y.height
    }

    /// The same picture, to read.
    #[must_use]
    pub fn as_i420(&self) -> I420<'_> {
        I420 { y: self.y.as_plane(), u: self.u.as_plane(), v: self.v.as_plane() }
    }

    /// The same picture, lent for a while.
    pub fn reborrow(&mut self) -> I420Mut<'_> {
        I420Mut { y: self.y.reborrow(), u: self.u.reborrow(), v: self.v.reborrow() }
    }
}

/// An NV12 picture to read: luma, and chroma as pairs of blue and red.
#[derive(Debug, Clone, Copy)]
pub struct Nv12<'a> {
    /// Luma.
    pub y: Plane<'a>,
    /// Rows of (blue, red) pairs: `2 × ceil(width / 2)` bytes wide.
    pub uv: Plane<'a>,
}

/// An NV12 picture to write.
#[derive(Debug)]
pub struct Nv12Mut<'a> {
    /// Luma.
    pub y: PlaneMut<'a>,
    /// Rows of (blue, red) pairs: `2 × ceil(width / 2)` bytes wide.
    pub uv: PlaneMut<'a>,
}

/// A picture that owns its bytes: three planes in one allocation; every row starts at a multiple of 64 bytes, where a cache line does.
#[derive(Debug, Clone)]
pub struct I420Buf {
    data: Aligned<u8>,
    width: usize,
    height: usize,
}

impl I420Buf {
    /// A black picture (luma 16, chroma 128).
    ///
    /// # Errors
    /// [`SizeError::Side`] when a side is 0 or too long.
    pub fn new(width: usize, height: usize) -> Result<Self, SizeError> {
        check_side(width, height)?;
        let mut buf = I420Buf { data: Aligned::zeros(0), width, height };
        let (luma, chroma) = buf.sizes();
        buf.data = Aligned::zeros(luma + 2 * chroma);
        buf.data[..luma].fill(16);
        buf.data[luma..].fill(128);
        Ok(buf)
    }

    fn strides(&self) -> (usize, usize) {
        (self.width.next_multiple_of(64), self.width.div_ceil(2).next_multiple_of(64))
    }

    fn sizes(&self) -> (usize, usize) {
        let (luma, chroma) = self.strides();
        (luma * self.height, chroma * self.height.div_ceil(2))
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The picture, to read.
    #[must_use]
    pub fn view(&self) -> I420<'_> {
        let (strides, sizes) = (self.strides(), self.sizes());
        let (y, uv) = self.data.split_at(sizes.0);
        let (u, v) = uv.split_at(sizes.1);
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let chroma = |data| Plane { data, stride: strides.1, width, height };
        I420 {
            y: Plane { data: y, stride: strides.0, width: self.width, height: self.height },
            u: chroma(u),
            v: chroma(v),
        }
    }

    /// The picture, to write.
    pub fn view_mut(&mut self) -> I420Mut<'_> {
        let (strides, sizes) = (self.strides(), self.sizes());
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let (y, uv) = self.data.split_at_mut(sizes.0);
        let (u, v) = uv.split_at_mut(sizes.1);
        I420Mut {
            y: PlaneMut { data: y, stride: strides.0, width: self.width, height: self.height },
            u: PlaneMut { data: u, stride: strides.1, width, height },
            v: PlaneMut { data: v, stride: strides.1, width, height },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_black_at_first_and_its_rows_start_where_cache_lines_do() {
        for (width, height) in [(1, 1), (33, 17), (640, 360)] {
            let picture = I420Buf::new(width, height).expect("a size");
            let I420 { y, u, v } = picture.view();
            for (plane, value) in [(y, 16), (u, 128), (v, 128)] {
                let start = |row: &[u8]| row.as_ptr() as usize % 64;
                assert!(
                    (0..plane.height()).all(|y| start(plane.row(y)) == 0 && plane.row(y).iter().all(|b| *b == value))
                );
            }
        }
    }
}
