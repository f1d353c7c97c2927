//! VP8 and VP9 by libvpx: a context that is closed when dropped, and what encoder and decoder share.
//!
//! libvpx's contexts may move between threads; they are used by one at a time (`&mut`).

mod decoder;
mod encoder;
mod layers;
mod size;

pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;

use std::ffi::c_int;
use std::mem::MaybeUninit;

use vpx_sys::{vpx_codec_control_, vpx_codec_ctx_t, vpx_codec_destroy, vpx_codec_err_t};

/// Which of libvpx's codecs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Vp8,
    Vp9,
}

/// An initialised codec context.
struct Context(Box<vpx_codec_ctx_t>);

// SAFETY: libvpx keeps no thread-local state; the context is used through `&mut` alone.
unsafe impl Send for Context {}
// SAFETY: nothing of the context is read through `&`.
unsafe impl Sync for Context {}

impl Context {
    /// A context that `init` initialises.
    fn new(init: impl FnOnce(*mut vpx_codec_ctx_t) -> vpx_codec_err_t) -> Result<Self, i32> {
        let mut context: Box<MaybeUninit<vpx_codec_ctx_t>> = Box::new_zeroed();
        let code = init(context.as_mut_ptr());
        if code != vpx_codec_err_t::VPX_CODEC_OK {
            // libvpx has freed what a failed initialisation took.
            return Err(code as i32);
        }
        // SAFETY: `init` succeeded, so libvpx has filled the context; before it was zeros, and its one enum has a variant 0.
        Ok(Context(unsafe { context.assume_init() }))
    }

    fn as_mut(&mut self) -> *mut vpx_codec_ctx_t {
        &raw mut *self.0
    }

    /// Sets a control whose argument is an `int`.
    fn control(&mut self, id: u32, value: c_int) -> Result<(), i32> {
        // SAFETY: the context is initialised; all controls that we set take one int.
        let code = unsafe { vpx_codec_control_(self.as_mut(), id as c_int, value) };
        if code == vpx_codec_err_t::VPX_CODEC_OK { Ok(()) } else { Err(code as i32) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context is initialised and not used again.
        unsafe { vpx_codec_destroy(self.as_mut()) };
    }
}
