//! Planes in the memory of a library, as checked views.

use std::ffi::c_int;

use plenum_kernels::Plane;

use crate::video::DecodeError;

/// A plane in a library's memory.
///
/// # Safety
/// `start` points to `height` rows of `width` bytes, `stride` apart, that stay valid and unchanged for `'a`.
pub(crate) unsafe fn borrowed<'a>(
    start: *const u8,
    stride: c_int,
    width: usize,
    height: usize,
) -> Result<Plane<'a>, DecodeError> {
    let stride = usize::try_from(stride).map_err(|_| DecodeError::Format)?;
    if start.is_null() || width == 0 || height == 0 || stride < width {
        return Err(DecodeError::Format);
    }
    // SAFETY: the caller's promise; the last row is counted by its width.
    let data = unsafe { std::slice::from_raw_parts(start, (height - 1) * stride + width) };
    Plane::new(data, stride, width, height).map_err(|_| DecodeError::Format)
}
