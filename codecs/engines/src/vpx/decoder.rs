//! Decoding VP8 and VP9. The size is read from the header before libvpx sees the frame, so that hostile sizes take no memory.

use std::ffi::{c_int, c_uint};
use std::ptr;

use plenum_kernels::I420;
use vpx_sys::{
    VPX_DECODER_ABI_VERSION, vp8_dec_control_id, vpx_codec_control_, vpx_codec_dec_cfg_t, vpx_codec_dec_init_ver,
    vpx_codec_decode, vpx_codec_err_t, vpx_codec_get_frame, vpx_codec_vp8_dx, vpx_codec_vp9_dx, vpx_image_t,
    vpx_img_fmt,
};

use super::{Context, Kind, size};
use crate::video::{DecodeError, Limits, VideoDecoder};
use crate::view::Shown;

/// A decoder of libvpx.
pub(crate) struct Decoder {
    context: Context,
    kind: Kind,
    limits: Limits,
    /// What was lent last.
    shown: Option<Shown>,
}

impl Decoder {
    pub(crate) fn new(kind: Kind, limits: Limits) -> Result<Self, DecodeError> {
        Ok(Decoder { context: open(kind)?, kind, limits, shown: None })
    }

    /// Hands the frame to libvpx.
    fn submit(&mut self, frame: &[u8]) -> vpx_codec_err_t {
        let length = c_uint::try_from(frame.len()).unwrap_or_default();
        // SAFETY: the frame is valid for its length, which `check_len` holds far below 4 GiB; libvpx copies what it keeps.
        unsafe { vpx_codec_decode(self.context.as_mut(), frame.as_ptr(), length, ptr::null_mut(), 0) }
    }

    /// The last picture that the frame shows; libvpx's to own.
    fn last_picture(&mut self) -> *const vpx_image_t {
        let (mut iterator, mut last) = (ptr::null(), ptr::null());
        loop {
            // SAFETY: the context is initialised; the iterator starts at null and is only handed back.
            let image: *const vpx_image_t = unsafe { vpx_codec_get_frame(self.context.as_mut(), &raw mut iterator) };
            if image.is_null() {
                return last;
            }
            last = image;
        }
    }

    /// Whether libvpx says that what it decoded rests on lost frames.
    fn is_corrupted(&mut self) -> bool {
        let mut corrupted: c_int = 0;
        let id = vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED as c_int;
        // SAFETY: this control writes one int.
        let code = unsafe { vpx_codec_control_(self.context.as_mut(), id, &raw mut corrupted) };
        code == vpx_codec_err_t::VPX_CODEC_OK && corrupted != 0
    }
}

fn open(kind: Kind) -> Result<Context, DecodeError> {
    let config = vpx_codec_dec_cfg_t { threads: 1, w: 0, h: 0 };
    Context::new(|context| {
        // SAFETY: the interfaces are static; context and configuration are valid for the call.
        unsafe {
            let interface = match kind {
                Kind::Vp8 => vpx_codec_vp8_dx(),
                Kind::Vp9 => vpx_codec_vp9_dx(),
            };
            vpx_codec_dec_init_ver(context, interface, &raw const config, 0, VPX_DECODER_ABI_VERSION as c_int)
        }
    })
    .map_err(DecodeError::Corrupt)
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, frame: &[u8]) -> Result<Option<I420<'_>>, DecodeError> {
        self.shown = None;
        self.limits.check_len(frame.len())?;
        match self.kind {
            Kind::Vp8 => size::vp8(frame, &self.limits)?,
            Kind::Vp9 => size::vp9(frame, &self.limits)?,
        }
        let mut code = self.submit(frame);
        if code == vpx_codec_err_t::VPX_CODEC_MEM_ERROR {
            // libvpx's VP9 loses a buffer of its pool to some corrupt frames, and decodes nothing once all are lost. A new context has
            // them all, and needs a key frame, as after any error.
            self.context = open(self.kind)?;
            code = self.submit(frame);
        }
        let image = self.last_picture();
        if code != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(DecodeError::Corrupt(code as i32));
        }
        if self.is_corrupted() {
            return Err(DecodeError::Corrupt(vpx_codec_err_t::VPX_CODEC_CORRUPT_FRAME as i32));
        }
        if image.is_null() {
            return Ok(None);
        }
        // SAFETY: libvpx's picture stays valid until the next call with this context.
        let image = unsafe { &*image };
        if image.fmt != vpx_img_fmt::VPX_IMG_FMT_I420 || image.bit_depth != 8 {
            return Err(DecodeError::Format);
        }
        let (width, height) = (image.d_w as usize, image.d_h as usize);
        self.limits.check(width, height)?;
        let planes = [image.planes[0], image.planes[1], image.planes[2]].map(<*mut u8>::cast_const);
        // SAFETY: libvpx's planes hold as many rows of these strides, valid until the next call, before which `shown` is emptied.
        let shown = unsafe { Shown::new(planes, [image.stride[0], image.stride[1]], width, height)? };
        self.shown = Some(shown);
        Ok(self.picture())
    }

    fn picture(&self) -> Option<I420<'_>> {
        self.shown.as_ref().and_then(Shown::view)
    }
}
