//! Encoding H.264 constrained baseline in real time: constant bitrate, parameter sets before every key frame, one or two temporal layers.
//!
//! Of two layers the upper one's frames have a nal_ref_idc of 0 and refer to the base alone: who leaves them out leaves a whole stream. The crate
//! knows one layer, and OpenH264 is told of two once it is initialised, which a picture that nobody sees does.

use std::ffi::{c_int, c_void};

use openh264::encoder::{
    self, BitRate, Complexity, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, Profile, RateControlMode,
    UsageType,
};
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};
use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_MAX_BITRATE,
    ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, ENCODER_OPTION_TRACE_LEVEL, SBitrateInfo, SEncParamExt, SPATIAL_LAYER_0,
    WELS_LOG_QUIET,
};
use plenum_kernels::{I420, I420Buf};

use crate::clock::Clock;
use crate::video::{EncodeError, Encoded, EncoderSettings, VideoEncoder, held};

/// The least length of a NAL unit that can be asked for: one macroblock row's worst case must be cut in few pieces.
const MIN_NAL: u32 = 500;

/// An encoder of OpenH264.
pub(crate) struct Encoder {
    encoder: encoder::Encoder,
    size: (usize, usize),
    clock: Clock,
    /// The rates that the encoder has; `wanted` differs until the next picture.
    rate: (u32, u32),
    wanted: (u32, u32),
    key_due: bool,
    started: bool,
}

impl Encoder {
    pub(crate) fn new(settings: &EncoderSettings) -> Result<Self, EncodeError> {
        let (width, height) = (settings.width, settings.height);
        let even = width.is_multiple_of(2) && height.is_multiple_of(2);
        if !even || width.min(height) < 16 || width.max(height) > 3840 || width.min(height) > 2160 {
            return Err(EncodeError::Size(width, height));
        }
        if !(1..=2).contains(&settings.temporal_layers) {
            return Err(EncodeError::Unsupported("H.264 with more than 2 temporal layers"));
        }
        let (bitrate, fps) = held(settings.bitrate, settings.fps);
        let complexity = match settings.speed {
            0 => Complexity::High,
            1 => Complexity::Medium,
            _ => Complexity::Low,
        };
        let mut config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(bitrate))
            .max_frame_rate(FrameRate::from_hz(fps as f32))
            .rate_control_mode(RateControlMode::Bitrate)
            .skip_frames(settings.may_drop)
            .usage_type(UsageType::CameraVideoRealTime)
            .profile(Profile::Baseline)
            .complexity(complexity)
            // Key frames come on request; a cut in the picture is none.
            .scene_change_detect(false)
            .intra_frame_period(IntraFramePeriod::from_num_frames(0))
            // One slice a picture leaves nothing to share between threads.
            .num_threads(1);
        if let Some(bytes) = settings.max_nal {
            config = config.max_slice_len(bytes.max(MIN_NAL));
        }
        let encoder = encoder::Encoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(|_| EncodeError::Failed(0))?;
        let rate = (bitrate, fps);
        let mut encoder = Encoder {
            encoder,
            size: (width, height),
            clock: Clock::new(fps),
            rate,
            wanted: rate,
            key_due: true,
            started: false,
        };
        // Before the first picture, whose initialisation would print.
        encoder.set_option(ENCODER_OPTION_TRACE_LEVEL, WELS_LOG_QUIET);
        if settings.temporal_layers > 1 {
            encoder.set_layers(settings.temporal_layers)?;
        }
        Ok(encoder)
    }

    /// Initialises OpenH264 and gives it temporal layers; it begins anew with the next picture.
    fn set_layers(&mut self, layers: u8) -> Result<(), EncodeError> {
        let (width, height) = self.size;
        let unseen = I420Buf::new(width, height).map_err(|_| EncodeError::Size(width, height))?;
        let failed = |_| EncodeError::Failed(0);
        self.encoder.encode_at(&Source(&unseen.view()), Timestamp::ZERO).map_err(failed)?;
        self.set_option(ENCODER_OPTION_TRACE_LEVEL, WELS_LOG_QUIET);
        let mut params = SEncParamExt::default();
        // SAFETY: this option's type is the one that OpenH264 writes and reads for it; the encoder is initialised.
        let code = unsafe {
            let api = self.encoder.raw_api();
            api.get_option(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, (&raw mut params).cast::<c_void>());
            params.iTemporalLayerNum = c_int::from(layers);
            api.set_option(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, (&raw mut params).cast::<c_void>())
        };
        if code != 0 {
            return Err(EncodeError::Failed(code));
        }
        self.started = true;
        Ok(())
    }

    fn set_option<T>(&mut self, option: ENCODER_OPTION, mut value: T) {
        // SAFETY: each option is called with the type that OpenH264 reads for it, below. But for the trace level they need the first picture's
        // initialisation; without it they would be refused.
        unsafe { self.encoder.raw_api().set_option(option, (&raw mut value).cast::<c_void>()) };
    }

    /// Gives the encoder the wanted rates. It has none before its first picture, and holds the target below the maximum.
    fn apply_rate(&mut self) {
        let (bitrate, fps) = self.wanted;
        if self.rate == self.wanted || !self.started {
            return;
        }
        let info = SBitrateInfo { iLayer: SPATIAL_LAYER_0, iBitrate: bitrate as c_int };
        let order = if bitrate > self.rate.0 {
            [ENCODER_OPTION_MAX_BITRATE, ENCODER_OPTION_BITRATE]
        } else {
            [ENCODER_OPTION_BITRATE, ENCODER_OPTION_MAX_BITRATE]
        };
        self.set_option(ENCODER_OPTION_FRAME_RATE, fps as f32);
        for option in order {
            self.set_option(option, info);
        }
        self.rate = self.wanted;
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
        if (picture.width(), picture.height()) != self.size {
            return Err(EncodeError::Size(picture.width(), picture.height()));
        }
        self.key_due |= key;
        self.apply_rate();
        if self.key_due && self.started {
            self.encoder.force_intra_frame();
        }
        let time = Timestamp::from_millis(u64::try_from(self.clock.advance(timestamp) / 90).unwrap_or_default());
        let encoded = self.encoder.encode_at(&Source(picture), time).map_err(|_| EncodeError::Failed(0))?;
        self.started = true;
        let key = matches!(encoded.frame_type(), FrameType::IDR);
        if matches!(encoded.frame_type(), FrameType::Skip | FrameType::Invalid) {
            return Ok(Encoded { dropped: true, ..Encoded::default() });
        }
        encoded.write_vec(out);
        self.key_due &= !key;
        let info = encoded.raw_info();
        // Parameter sets are layers of their own, before the picture.
        let last = usize::try_from(info.iLayerNum).unwrap_or(0).saturating_sub(1);
        let temporal = info.sLayerInfo.get(last).map_or(0, |layer| layer.uiTemporalId);
        Ok(Encoded { key, temporal, sync: temporal > 0, reference: temporal == 0, dropped: false })
    }

    fn set_rate(&mut self, bitrate: u32, fps: u32) {
        self.wanted = held(bitrate, fps);
        self.clock.set_fps(self.wanted.1);
    }
}

struct Source<'a>(&'a I420<'a>);

impl YUVSource for Source<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.width(), self.0.height())
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.0.y.stride(), self.0.u.stride(), self.0.v.stride())
    }

    fn y(&self) -> &[u8] {
        self.0.y.data()
    }

    fn u(&self) -> &[u8] {
        self.0.u.data()
    }

    fn v(&self) -> &[u8] {
        self.0.v.data()
    }
}
