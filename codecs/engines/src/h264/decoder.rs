//! Decoding H.264. Sizes are read from the parameter sets before OpenH264 sees them.
//!
//! Nothing is concealed: what a lost reference would spoil is an error, and the picture shown stays the last good one. Pictures that
//! OpenH264 keeps back for reordering are asked for at once: real-time streams have none.

use std::ffi::c_int;
use std::ptr;

use openh264_sys2::{DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER, SBufferInfo};
use plenum_kernels::I420;

use super::sps;
use crate::video::{DecodeError, Limits, VideoDecoder};
use crate::view::Shown;

/// A decoder of OpenH264.
pub(crate) struct Decoder {
    decoder: openh264::decoder::Decoder,
    limits: Limits,
    /// What was lent last.
    shown: Option<Shown>,
}

impl Decoder {
    pub(crate) fn new(limits: Limits) -> Result<Self, DecodeError> {
        let decoder = openh264::decoder::Decoder::new().map_err(|_| DecodeError::Corrupt(0))?;
        Ok(Decoder { decoder, limits, shown: None })
    }

    /// Takes the picture that waits for its turn, if there is one.
    fn flush(&mut self, planes: &mut [*mut u8; 3], info: &mut SBufferInfo) -> c_int {
        let mut waiting: c_int = 0;
        // SAFETY: this option writes one int; the flush writes three pointers and the info, as a decode does.
        unsafe {
            let api = self.decoder.raw_api();
            api.get_option(DECODER_OPTION_NUM_OF_FRAMES_REMAINING_IN_BUFFER, (&raw mut waiting).cast());
            if waiting > 0 { api.flush_frame(planes.as_mut_ptr(), &raw mut *info) } else { 0 }
        }
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, frame: &[u8]) -> Result<Option<I420<'_>>, DecodeError> {
        self.shown = None;
        self.limits.check_len(frame.len())?;
        sps::check(frame, &self.limits)?;
        let mut planes = [ptr::null_mut::<u8>(); 3];
        let mut info = SBufferInfo::default();
        // SAFETY: the decoder is initialised; the frame is valid for its length, which `check_len` holds far below 2 GiB; the decoder
        // writes three pointers and the info.
        let state = unsafe {
            self.decoder.raw_api().decode_frame_no_delay(
                frame.as_ptr(),
                c_int::try_from(frame.len()).unwrap_or_default(),
                planes.as_mut_ptr(),
                &raw mut info,
            )
        };
        if state != 0 {
            return Err(DecodeError::Corrupt(state));
        }
        if info.iBufferStatus == 0 {
            let state = self.flush(&mut planes, &mut info);
            if state != 0 {
                return Err(DecodeError::Corrupt(state));
            }
        }
        if info.iBufferStatus == 0 || planes.iter().any(|plane| plane.is_null()) {
            return Ok(None);
        }
        // SAFETY: with a buffer status of 1 the decoder has filled this member of the union.
        let buffer = unsafe { info.UsrData.sSystemBuffer };
        let side = |side: c_int| usize::try_from(side).unwrap_or_default();
        let (width, height) = (side(buffer.iWidth), side(buffer.iHeight));
        self.limits.check(width, height)?;
        // SAFETY: OpenH264's planes have these sizes and strides (4:2:0, 8 bits: it decodes no other), valid until the next call, before
        // which `shown` is emptied.
        let shown = unsafe { Shown::new(planes.map(<*mut u8>::cast_const), buffer.iStride, width, height)? };
        self.shown = Some(shown);
        Ok(self.picture())
    }

    fn picture(&self) -> Option<I420<'_>> {
        self.shown.as_ref().and_then(Shown::view)
    }
}
