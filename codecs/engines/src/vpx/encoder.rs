//! Encoding VP8 and VP9 in real time: constant bitrate, no look-ahead, key frames on request alone.

use std::ffi::{c_int, c_long, c_ulong};
use std::mem::MaybeUninit;
use std::ptr;

use plenum_kernels::{I420, MAX_SIDE};
use vpx_sys::{
    VPX_DL_REALTIME, VPX_EFLAG_FORCE_KF, VPX_ENCODER_ABI_VERSION, VPX_ERROR_RESILIENT_DEFAULT, VPX_FRAME_IS_DROPPABLE,
    VPX_FRAME_IS_KEY, vp8e_enc_control_id as Control, vpx_codec_cx_pkt_kind, vpx_codec_enc_cfg_t,
    vpx_codec_enc_config_default, vpx_codec_enc_config_set, vpx_codec_enc_init_ver, vpx_codec_encode, vpx_codec_err_t,
    vpx_codec_get_cx_data, vpx_codec_vp8_cx, vpx_codec_vp9_cx, vpx_enc_pass, vpx_image_t, vpx_img_fmt, vpx_img_wrap,
    vpx_kf_mode, vpx_rational, vpx_rc_mode,
};

use super::layers::{Layers, Place};
use super::{Context, Kind};
use crate::clock::Clock;
use crate::video::{EncodeError, Encoded, EncoderSettings, VideoEncoder, held};

/// An encoder of libvpx.
pub(crate) struct Encoder {
    context: Context,
    config: Box<vpx_codec_enc_cfg_t>,
    kind: Kind,
    layers: Layers,
    clock: Clock,
    /// A key frame is due: at the start, and when one was asked for and left out.
    key_due: bool,
}

// SAFETY: the configuration's pointers (two-pass statistics) are null; the context may move between threads.
unsafe impl Send for Encoder {}

impl Encoder {
    pub(crate) fn new(kind: Kind, settings: &EncoderSettings) -> Result<Self, EncodeError> {
        let (width, height) = (settings.width, settings.height);
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(EncodeError::Size(width, height));
        }
        if kind == Kind::Vp9 && settings.temporal_layers != 1 {
            return Err(EncodeError::Unsupported("VP9 with temporal layers"));
        }
        let layers =
            Layers::new(settings.temporal_layers).ok_or(EncodeError::Unsupported("more than 3 temporal layers"))?;
        let config = configuration(kind, settings, &layers)?;
        let context = Context::new(|context| {
            // SAFETY: the interfaces are static; context and configuration are valid for the call, which copies the latter.
            unsafe {
                vpx_codec_enc_init_ver(
                    context,
                    interface(kind),
                    &raw const *config,
                    0,
                    VPX_ENCODER_ABI_VERSION as c_int,
                )
            }
        })
        .map_err(EncodeError::Failed)?;
        let fps = held(settings.bitrate, settings.fps).1;
        let mut encoder = Encoder { context, config, kind, layers, clock: Clock::new(fps), key_due: true };
        encoder.controls(settings).map_err(EncodeError::Failed)?;
        Ok(encoder)
    }

    fn controls(&mut self, settings: &EncoderSettings) -> Result<(), i32> {
        let speed = usize::from(settings.speed.min(3));
        let context = &mut self.context;
        // A key frame may take as much as half of the optimal buffer holds, at least three frames' worth.
        let intra = (600 / 2 * settings.fps.clamp(1, 120) / 10).max(300);
        context.control(Control::VP8E_SET_MAX_INTRA_BITRATE_PCT as u32, intra as c_int)?;
        context.control(Control::VP8E_SET_STATIC_THRESHOLD as u32, 1)?;
        match self.kind {
            Kind::Vp8 => {
                context.control(Control::VP8E_SET_CPUUSED as u32, [-3, -6, -9, -12][speed])?;
                context.control(
                    Control::VP8E_SET_TOKEN_PARTITIONS as u32,
                    c_int::from(settings.token_partitions.min(3)),
                )?;
            }
            Kind::Vp9 => {
                context.control(Control::VP8E_SET_CPUUSED as u32, [5, 7, 8, 9][speed])?;
                // Cyclic refresh: static parts get better over time instead of in one large frame.
                context.control(Control::VP9E_SET_AQ_MODE as u32, 3)?;
                // As many columns of tiles as there are threads, as a power of two.
                context
                    .control(Control::VP9E_SET_TILE_COLUMNS as u32, settings.threads.clamp(1, 64).ilog2() as c_int)?;
                context.control(Control::VP9E_SET_ROW_MT as u32, c_int::from(settings.threads > 1))?;
            }
        }
        Ok(())
    }

    /// Hands the picture to libvpx.
    fn submit(&mut self, picture: &I420<'_>, pts: i64, place: Place, key: bool) -> Result<(), EncodeError> {
        if self.layers.count() > 1 {
            self.context
                .control(Control::VP8E_SET_TEMPORAL_LAYER_ID as u32, c_int::from(place.temporal))
                .map_err(EncodeError::Failed)?;
        }
        let image = wrapped(picture)?;
        // A key frame replaces everything, whatever its place says.
        let flags = if key { VPX_EFLAG_FORCE_KF } else { place.flags };
        // SAFETY: the context is initialised; the image's planes are the picture's, which libvpx reads and copies before it returns.
        let code = unsafe {
            vpx_codec_encode(
                self.context.as_mut(),
                &raw const image,
                pts,
                self.clock.frame() as c_ulong,
                flags as c_long,
                VPX_DL_REALTIME as c_ulong,
            )
        };
        if code == vpx_codec_err_t::VPX_CODEC_OK { Ok(()) } else { Err(EncodeError::Failed(code as i32)) }
    }

    /// Appends what libvpx made, and its flags; `None` when it made nothing.
    fn collect(&mut self, out: &mut Vec<u8>) -> Option<u32> {
        let (mut iterator, mut found) = (ptr::null(), None);
        loop {
            // SAFETY: the context is initialised; the iterator starts at null and is only handed back.
            let packet = unsafe { vpx_codec_get_cx_data(self.context.as_mut(), &raw mut iterator) };
            if packet.is_null() {
                return found;
            }
            // SAFETY: the packet is libvpx's and valid until the next call of encode.
            let packet = unsafe { &*packet };
            if packet.kind == vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                // SAFETY: the kind says that `frame` is set, and its buffer holds `sz` bytes.
                let (frame, bytes) = unsafe {
                    let frame = packet.data.frame;
                    (frame, std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize))
                };
                out.extend_from_slice(bytes);
                found = Some(found.unwrap_or_default() | frame.flags);
            }
        }
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &I420<'_>,
        timestamp: u32,
        key: bool,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let (width, height) = (picture.width(), picture.height());
        if (width, height) != (self.config.g_w as usize, self.config.g_h as usize) {
            return Err(EncodeError::Size(width, height));
        }
        let pts = self.clock.advance(timestamp);
        self.key_due |= key;
        let key = self.key_due;
        let place = self.layers.place(key);
        self.submit(picture, pts, place, key)?;
        let Some(flags) = self.collect(out) else {
            // The next picture takes the place.
            return Ok(Encoded { temporal: place.temporal, dropped: true, ..Encoded::default() });
        };
        let key = flags & VPX_FRAME_IS_KEY != 0;
        self.key_due &= !key;
        self.layers.step(key);
        Ok(Encoded {
            key,
            temporal: if key { 0 } else { place.temporal },
            sync: !key && place.sync,
            reference: key || place.reference && flags & VPX_FRAME_IS_DROPPABLE == 0,
            dropped: false,
        })
    }

    fn set_rate(&mut self, bitrate: u32, fps: u32) {
        let (bitrate, fps) = held(bitrate, fps);
        self.clock.set_fps(fps);
        self.config.rc_target_bitrate = bitrate / 1000;
        self.layers.configure(&mut self.config, bitrate / 1000);
        // SAFETY: the context is initialised, the configuration is the one it was made with but for the rates.
        unsafe { vpx_codec_enc_config_set(self.context.as_mut(), &raw const *self.config) };
    }
}

fn interface(kind: Kind) -> *mut vpx_sys::vpx_codec_iface_t {
    // SAFETY: these return the addresses of statics.
    unsafe {
        match kind {
            Kind::Vp8 => vpx_codec_vp8_cx(),
            Kind::Vp9 => vpx_codec_vp9_cx(),
        }
    }
}

fn configuration(
    kind: Kind,
    settings: &EncoderSettings,
    layers: &Layers,
) -> Result<Box<vpx_codec_enc_cfg_t>, EncodeError> {
    let mut config: Box<MaybeUninit<vpx_codec_enc_cfg_t>> = Box::new_uninit();
    // SAFETY: the interface is static; the configuration is written as a whole when the call succeeds.
    let mut config = unsafe {
        let code = vpx_codec_enc_config_default(interface(kind), config.as_mut_ptr(), 0);
        if code != vpx_codec_err_t::VPX_CODEC_OK {
            return Err(EncodeError::Failed(code as i32));
        }
        config.assume_init()
    };
    let (bitrate, _) = held(settings.bitrate, settings.fps);
    config.g_w = settings.width as u32;
    config.g_h = settings.height as u32;
    config.g_threads = settings.threads.clamp(1, 64);
    config.g_timebase = vpx_rational { num: 1, den: 90_000 };
    config.g_pass = vpx_enc_pass::VPX_RC_ONE_PASS;
    config.g_lag_in_frames = 0;
    let resilient = settings.resilient || layers.count() > 1;
    config.g_error_resilient = if resilient { VPX_ERROR_RESILIENT_DEFAULT } else { 0 };
    config.rc_end_usage = vpx_rc_mode::VPX_CBR;
    config.rc_target_bitrate = bitrate / 1000;
    config.rc_dropframe_thresh = if settings.may_drop { 30 } else { 0 };
    config.rc_resize_allowed = 0;
    config.rc_min_quantizer = 2;
    config.rc_max_quantizer = 56;
    config.rc_undershoot_pct = 100;
    config.rc_overshoot_pct = 15;
    // A second of buffer, in milliseconds at the target.
    config.rc_buf_sz = 1000;
    config.rc_buf_initial_sz = 500;
    config.rc_buf_optimal_sz = 600;
    // libvpx's VPX_KF_DISABLED has this value: no key frame of its own accord.
    config.kf_mode = vpx_kf_mode::VPX_KF_FIXED;
    layers.configure(&mut config, bitrate / 1000);
    Ok(config)
}

/// libvpx's view of a picture. It is only read.
fn wrapped(picture: &I420<'_>) -> Result<vpx_image_t, EncodeError> {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let mut image = MaybeUninit::<vpx_image_t>::zeroed();
    // SAFETY: with memory given, vpx_img_wrap fills the struct and allocates nothing; the planes are set right below.
    let mut image = unsafe {
        let start = picture.y.data().as_ptr().cast_mut();
        if vpx_img_wrap(image.as_mut_ptr(), vpx_img_fmt::VPX_IMG_FMT_I420, width, height, 1, start).is_null() {
            return Err(EncodeError::Size(picture.width(), picture.height()));
        }
        image.assume_init()
    };
    for (index, plane) in [picture.y, picture.u, picture.v].iter().enumerate() {
        image.planes[index] = plane.data().as_ptr().cast_mut();
        image.stride[index] = plane.stride() as c_int;
    }
    Ok(image)
}
