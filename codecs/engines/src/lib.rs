//! Engines: video and audio encoders and decoders behind two traits each.
//!
//! | | Codec | Library |
//! |---|---|---|
//! | [`VideoDecoder`], [`VideoEncoder`] | VP8, VP9 | libvpx (Debian's) |
//! | | H.264 | OpenH264 (bundled) |
//! | [`VideoDecoder`] | AV1 | dav1d (Debian's) |
//! | [`AudioDecoder`], [`AudioEncoder`] | Opus | libopus (bundled) |
//! | | G.711 (PCMU, PCMA), G.722, G.726, iLBC | ours |
//!
//! Decoders take bytes from strangers: sizes are checked against [`Limits`] before memory is taken, what cannot be decoded is an error and
//! never a panic, and the next frame may go well. Encoders run in real time without look-ahead; one frame goes in, one comes out or is told
//! to be dropped. No engine starts a thread unless [`EncoderSettings::threads`] says so,
//! none knows RTP, time or the network.

mod audio;
mod av1;
mod clock;
mod conceal;
mod g711;
mod g722;
mod g726;
mod h264;
mod ilbc;
mod opus;
mod video;
mod view;
mod vpx;

pub use audio::{AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, EncodedAudio};
pub use video::{
    DecodeError, EncodeError, Encoded, EncoderSettings, Limits, MAX_BITRATE, MIN_BITRATE, VideoCodec, VideoDecoder,
    VideoEncoder,
};

/// A decoder of `codec` that takes pictures within `limits`.
///
/// # Errors
/// [`DecodeError::Corrupt`] when the library cannot be set up.
pub fn video_decoder(codec: VideoCodec, limits: Limits) -> Result<Box<dyn VideoDecoder>, DecodeError> {
    Ok(match codec {
        VideoCodec::Vp8 => Box::new(vpx::Decoder::new(vpx::Kind::Vp8, limits)?),
        VideoCodec::Vp9 => Box::new(vpx::Decoder::new(vpx::Kind::Vp9, limits)?),
        VideoCodec::H264 => Box::new(h264::Decoder::new(limits)?),
        VideoCodec::Av1 => Box::new(av1::Decoder::new(limits)?),
    })
}

/// An encoder of `codec`.
///
/// # Errors
/// [`EncodeError::Size`] and [`EncodeError::Unsupported`] for settings that the codec does not take.
pub fn video_encoder(codec: VideoCodec, settings: &EncoderSettings) -> Result<Box<dyn VideoEncoder>, EncodeError> {
    Ok(match codec {
        VideoCodec::Vp8 => Box::new(vpx::Encoder::new(vpx::Kind::Vp8, settings)?),
        VideoCodec::Vp9 => Box::new(vpx::Encoder::new(vpx::Kind::Vp9, settings)?),
        VideoCodec::H264 => Box::new(h264::Encoder::new(settings)?),
        VideoCodec::Av1 => return Err(EncodeError::Unsupported("AV1")),
    })
}

/// A decoder of `codec`.
///
/// # Errors
/// [`DecodeError::Corrupt`] when the library cannot be set up.
pub fn audio_decoder(codec: AudioCodec) -> Result<Box<dyn AudioDecoder>, DecodeError> {
    Ok(match codec {
        AudioCodec::Opus => Box::new(opus::Decoder::new()?),
        AudioCodec::Pcmu => Box::new(g711::Decoder::new(g711::Law::Mu)),
        AudioCodec::Pcma => Box::new(g711::Decoder::new(g711::Law::A)),
        AudioCodec::G722 => Box::new(g722::Decoder::new()),
        AudioCodec::G726_16 => Box::new(g726::Decoder::new(g726::Bits::Two)),
        AudioCodec::G726_24 => Box::new(g726::Decoder::new(g726::Bits::Three)),
        AudioCodec::G726_32 => Box::new(g726::Decoder::new(g726::Bits::Four)),
        AudioCodec::G726_40 => Box::new(g726::Decoder::new(g726::Bits::Five)),
        AudioCodec::Ilbc | AudioCodec::Ilbc30 => Box::new(ilbc::Decoder::new()),
    })
}

/// An encoder of `codec`.
///
/// # Errors
/// [`EncodeError::Failed`] when the library cannot be set up.
pub fn audio_encoder(codec: AudioCodec, settings: &AudioSettings) -> Result<Box<dyn AudioEncoder>, EncodeError> {
    Ok(match codec {
        AudioCodec::Opus => Box::new(opus::Encoder::new(settings)?),
        AudioCodec::Pcmu => Box::new(g711::Encoder(g711::Law::Mu)),
        AudioCodec::Pcma => Box::new(g711::Encoder(g711::Law::A)),
        AudioCodec::G722 => Box::new(g722::Encoder::new()),
        AudioCodec::G726_16 => Box::new(g726::Encoder::new(g726::Bits::Two)),
        AudioCodec::G726_24 => Box::new(g726::Encoder::new(g726::Bits::Three)),
        AudioCodec::G726_32 => Box::new(g726::Encoder::new(g726::Bits::Four)),
        AudioCodec::G726_40 => Box::new(g726::Encoder::new(g726::Bits::Five)),
        AudioCodec::Ilbc => Box::new(ilbc::Encoder::new(ilbc::Length::Ms20)),
        AudioCodec::Ilbc30 => Box::new(ilbc::Encoder::new(ilbc::Length::Ms30)),
    })
}
