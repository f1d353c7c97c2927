//! Decoding AV1 by dav1d (Debian's): 8 bits, 4:2:0, one thread, a picture out for each temporal unit in.
//!
//! dav1d's pixel limit refuses large pictures before memory is taken. Where a stream has spatial layers, the highest is shown.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;

use dav1d_sys::{
    DAV1D_ERR_AGAIN, DAV1D_ERR_NOMEM, DAV1D_PIXEL_LAYOUT_I420, Dav1dContext, Dav1dData, Dav1dPicture, Dav1dSettings,
    dav1d_close, dav1d_data_create, dav1d_data_unref, dav1d_default_settings, dav1d_get_picture, dav1d_open,
    dav1d_picture_unref, dav1d_send_data, dav1d_version,
};
use plenum_kernels::I420;

use crate::video::{DecodeError, Limits, VideoDecoder};
use crate::view::Shown;

// The bindings have the structs of dav1d 1.0 (API 6); a later library has others.
const VERSION: &[u8] = b"1.0.";
const _: () = assert!(size_of::<Dav1dSettings>() == 96 && size_of::<Dav1dPicture>() == 264);

/// A decoder of dav1d.
pub(crate) struct Decoder {
    context: *mut Dav1dContext,
    limits: Limits,
    /// What it showed last; dav1d's to free.
    owned: Dav1dPicture,
    /// The same, as it was lent.
    shown: Option<Shown>,
}

// SAFETY: dav1d keeps no thread-local state, and its references are counted atomically; the context is used through `&mut` alone.
unsafe impl Send for Decoder {}
// SAFETY: through `&` only `shown` is read.
unsafe impl Sync for Decoder {}

impl Decoder {
    pub(crate) fn new(limits: Limits) -> Result<Self, DecodeError> {
        // SAFETY: the answer is a static string that ends with 0.
        let version = unsafe { CStr::from_ptr(dav1d_version()) };
        if !version.to_bytes().starts_with(VERSION) {
            return Err(DecodeError::Corrupt(0));
        }
        let mut settings = MaybeUninit::<Dav1dSettings>::zeroed();
        // SAFETY: zeros are valid settings, and the call writes those that are not zero.
        let mut settings = unsafe {
            dav1d_default_settings(settings.as_mut_ptr());
            settings.assume_init()
        };
        // A library does not print.
        settings.logger.callback = ptr::null_mut();
        settings.n_threads = 1;
        settings.max_frame_delay = 1;
        settings.all_layers = 0;
        settings.frame_size_limit = u32::try_from(limits.pixels).unwrap_or(u32::MAX);
        let mut context = ptr::null_mut();
        // SAFETY: both pointers are valid for the call, which reads the settings and writes the context.
        let code = unsafe { dav1d_open(&raw mut context, &raw const settings) };
        if code != 0 || context.is_null() {
            return Err(DecodeError::Corrupt(code));
        }
        Ok(Decoder { context, limits, owned: empty(), shown: None })
    }

    /// Takes the pictures that are ready; the last one is shown. Whether there was one.
    fn drain(&mut self) -> Result<bool, i32> {
        let mut any = false;
        loop {
            let mut picture = empty();
            // SAFETY: the context is open; the picture is empty and valid to write to.
            match unsafe { dav1d_get_picture(self.context, &raw mut picture) } {
                0 => {
                    self.release();
                    (self.owned, any) = (picture, true);
                }
                DAV1D_ERR_AGAIN => return Ok(any),
                code => return Err(code),
            }
        }
    }

    /// Gives the picture back that was lent.
    fn release(&mut self) {
        self.shown = None;
        // SAFETY: the picture is dav1d's or empty, and is empty afterwards.
        unsafe { dav1d_picture_unref(&raw mut self.owned) };
    }

    /// Hands a temporal unit to dav1d and takes what it shows.
    fn submit(&mut self, unit: &[u8]) -> Result<bool, i32> {
        let mut data = MaybeUninit::<Dav1dData>::zeroed();
        // SAFETY: zeros are empty data; on success the answer points to as many bytes as were asked for.
        let mut data = unsafe {
            let bytes = dav1d_data_create(data.as_mut_ptr(), unit.len());
            if bytes.is_null() {
                return Err(DAV1D_ERR_NOMEM);
            }
            ptr::copy_nonoverlapping(unit.as_ptr(), bytes, unit.len());
            data.assume_init()
        };
        let mut any = false;
        let done = loop {
            // SAFETY: the context is open; dav1d takes as much of `data` as it can.
            let code = unsafe { dav1d_send_data(self.context, &raw mut data) };
            if code != 0 && code != DAV1D_ERR_AGAIN {
                break Err(code);
            }
            match self.drain() {
                Err(code) => break Err(code),
                Ok(true) => any = true,
                // Full, and nothing to take: that would be so for ever.
                Ok(false) if code != 0 => break Err(code),
                Ok(false) => {}
            }
            if code == 0 && data.sz == 0 {
                break Ok(any);
            }
        };
        // SAFETY: `data` is dav1d's or empty.
        unsafe { dav1d_data_unref(&raw mut data) };
        done
    }
}

/// No picture.
fn empty() -> Dav1dPicture {
    // SAFETY: pointers may be null, and all else are numbers.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, frame: &[u8]) -> Result<Option<I420<'_>>, DecodeError> {
        self.release();
        self.limits.check_len(frame.len())?;
        if !self.submit(frame).map_err(DecodeError::Corrupt)? {
            return Ok(None);
        }
        let picture = &self.owned;
        let side = |side: i32| usize::try_from(side).unwrap_or_default();
        let (width, height) = (side(picture.p.w), side(picture.p.h));
        self.limits.check(width, height)?;
        if picture.p.layout != DAV1D_PIXEL_LAYOUT_I420 || picture.p.bpc != 8 {
            return Err(DecodeError::Format);
        }
        let planes = picture.data.map(|plane| plane.cast::<u8>().cast_const());
        let stride = |index: usize| i32::try_from(picture.stride[index]).map_err(|_| DecodeError::Format);
        // SAFETY: dav1d's planes have these sizes and strides and stay until `release`, which empties `shown` first.
        let shown = unsafe { Shown::new(planes, [stride(0)?, stride(1)?], width, height)? };
        self.shown = Some(shown);
        Ok(self.picture())
    }

    fn picture(&self) -> Option<I420<'_>> {
        self.shown.as_ref().and_then(Shown::view)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.release();
        // SAFETY: the context is open and not used again.
        unsafe { dav1d_close(&raw mut self.context) };
    }
}
