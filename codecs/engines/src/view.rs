//! Planes in the memory of a library, as checked views, and the picture that a library keeps until it is called again.

use std::ffi::c_int;

use plenum_kernels::{I420, Plane};

use crate::video::DecodeError;

/// Where a library keeps the picture that it showed last.
pub(crate) struct Shown {
    planes: [*const u8; 3],
    /// Of luma and of chroma.
    strides: [c_int; 2],
    width: usize,
    height: usize,
}

// SAFETY: the bytes are only read through it, and [`Shown::new`]'s caller promises that nobody writes them meanwhile.
unsafe impl Send for Shown {}
// SAFETY: as above; many may read.
unsafe impl Sync for Shown {}

impl Shown {
    /// The picture at `planes`: luma of `width` × `height` bytes, chroma of half of that, rounded up.
    ///
    /// # Safety
    /// Each plane has its rows, `strides` apart, valid and unchanged as long as this value is kept: the decoder drops it before it calls
    /// the library again.
    ///
    /// # Errors
    /// [`DecodeError::Format`] when the planes are none of a picture.
    pub(crate) unsafe fn new(
        planes: [*const u8; 3],
        strides: [c_int; 2],
        width: usize,
        height: usize,
    ) -> Result<Shown, DecodeError> {
        let shown = Shown { planes, strides, width, height };
        shown.checked().map(|_| ())?;
        Ok(shown)
    }

    /// The picture.
    pub(crate) fn view(&self) -> Option<I420<'_>> {
        self.checked().ok()
    }

    fn checked(&self) -> Result<I420<'_>, DecodeError> {
        let Shown { planes: [y, u, v], strides, width, height } = *self;
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        // SAFETY: the promise of `new`; the result borrows `self`.
        let (y, u, v) = unsafe {
            (
                borrowed(y, strides[0], width, height)?,
                borrowed(u, strides[1], half_width, half_height)?,
                borrowed(v, strides[1], half_width, half_height)?,
            )
        };
        I420::new(y, u, v).map_err(|_| DecodeError::Format)
    }
}

/// A plane in a library's memory.
///
/// # Safety
/// `start` points to `height` rows of `width` bytes, `stride` apart, that stay valid and unchanged for `'a`.
unsafe fn borrowed<'a>(start: *const u8, stride: c_int, width: usize, height: usize) -> Result<Plane<'a>, DecodeError> {
    let stride = usize::try_from(stride).map_err(|_| DecodeError::Format)?;
    if start.is_null() || width == 0 || height == 0 || stride < width {
        return Err(DecodeError::Format);
    }
    // SAFETY: the caller's promise; the last row is counted by its width.
    let data = unsafe { std::slice::from_raw_parts(start, (height - 1) * stride + width) };
    Plane::new(data, stride, width, height).map_err(|_| DecodeError::Format)
}
