//! What every video engine is to its caller: the two traits, their settings, their results and errors.
//!
//! A decoder takes one whole access unit and lends the picture until the next call; an encoder takes a picture and appends one access unit.
//! Nothing here knows RTP: packing is the caller's.

use plenum_kernels::{I420, MAX_SIDE};

/// A video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// VP8 (RFC 6386).
    Vp8,
    /// VP9, profile 0.
    Vp9,
    /// H.264: encoded as constrained baseline, Annex B.
    H264,
    /// AV1, 8 bits. Decoded only.
    Av1,
}

/// What a decoder accepts. What lies beyond is refused before memory is taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Widest picture, in pixels; at most [`MAX_SIDE`].
    pub width: usize,
    /// Highest picture, in pixels; at most [`MAX_SIDE`].
    pub height: usize,
    /// Most pixels of a picture. A decoder keeps up to 17 pictures of 1.5 bytes a pixel (H.264's references), mostly 4 to 10.
    pub pixels: usize,
    /// Longest access unit, in bytes.
    pub bytes: usize,
}

impl Default for Limits {
    /// Sides up to 8192, no more pixels than H.264's level 5.2 has (4096 × 2304), 4 MiB an access unit.
    fn default() -> Self {
        Limits { width: MAX_SIDE, height: MAX_SIDE, pixels: 4096 * 2304, bytes: 4 << 20 }
    }
}

impl Limits {
    /// Whether a picture of this size may be decoded.
    ///
    /// # Errors
    /// [`DecodeError::Size`] when it may not.
    pub(crate) fn check(&self, width: usize, height: usize) -> Result<(), DecodeError> {
        let sides =
            (1..=self.width.min(MAX_SIDE)).contains(&width) && (1..=self.height.min(MAX_SIDE)).contains(&height);
        if sides && width * height <= self.pixels { Ok(()) } else { Err(DecodeError::Size(width, height)) }
    }

    /// Whether an access unit of so many bytes may be decoded.
    ///
    /// # Errors
    /// [`DecodeError::Empty`] or [`DecodeError::Long`].
    pub(crate) fn check_len(&self, bytes: usize) -> Result<(), DecodeError> {
        match bytes {
            0 => Err(DecodeError::Empty),
            n if n > self.bytes => Err(DecodeError::Long(n)),
            _ => Ok(()),
        }
    }
}

/// Why a frame was not decoded. The decoder stays usable; after any of these, what follows may need a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("an empty frame")]
    Empty,
    /// More bytes than [`Limits::bytes`], or than a payload of this audio codec has.
    #[error("a frame of {0} bytes is too long")]
    Long(usize),
    /// The picture is larger than [`Limits`] allow.
    #[error("a picture of {0}x{1} is outside of the limits")]
    Size(usize, usize),
    /// The picture is not 4:2:0 with 8 bits.
    #[error("a picture that is not 4:2:0 with 8 bits")]
    Format,
    /// The bytes are not a frame of this codec, a part is missing, or what they refer to was lost: a key frame helps.
    #[error("a corrupt frame or a lost reference (code {0})")]
    Corrupt(i32),
    /// The samples do not fit the output, or the output has no length that the codec could fill.
    #[error("{0} samples do not fit")]
    Room(usize),
}

/// Why an encoder could not be made, or did not encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// This codec is not encoded, or not with these settings.
    #[error("not encoded: {0}")]
    Unsupported(&'static str),
    /// The picture, or the size in the settings, is not one that the encoder takes.
    #[error("a picture of {0}x{1} does not fit the encoder")]
    Size(usize, usize),
    /// The number of samples is not the frame's.
    #[error("{0} samples are not one frame")]
    Samples(usize),
    /// The library refused.
    #[error("the encoder failed (code {0})")]
    Failed(i32),
}

/// How an encoder is set up. Rate and frame rate change later by [`VideoEncoder::set_rate`]; for another size make another encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderSettings {
    /// Width in pixels: 1 to 8192; for H.264 even, from 16, the longer side up to 3840 and the shorter up to 2160.
    pub width: usize,
    /// Height in pixels, as the width.
    pub height: usize,
    /// Frames a second that come at most, 1 to 120.
    pub fps: u32,
    /// Target in bit/s, held to [`MIN_BITRATE`] to [`MAX_BITRATE`].
    pub bitrate: u32,
    /// Temporal layers: 1; with H.264 up to 2, with VP8 up to 3. Each has half the frames of those up to the one above it; of two layers the base
    /// takes three fifths of the bits.
    pub temporal_layers: u8,
    /// Threads that one frame may use, from 1.
    pub threads: u32,
    /// How much quality is given for speed: 0 (slow) to 3 (fastest). See [`VideoEncoder`].
    pub speed: u8,
    /// Whether the rate control may leave frames out to hold the bitrate.
    pub may_drop: bool,
    /// Frames that are lost disturb what follows less, at some cost in bits (VP8, VP9). Temporal layers set it.
    pub resilient: bool,
    /// VP8: the coefficients are cut into 2 to this partitions, 0 to 3. H.264 and VP9 do not look at it.
    pub token_partitions: u8,
    /// H.264: longest NAL unit in bytes, so that packetization-mode 0 works; `None`: one slice a picture. From 500.
    pub max_nal: Option<u32>,
}

impl EncoderSettings {
    /// Settings for real time: one layer, one thread, speed 2, may drop.
    #[must_use]
    pub fn new(width: usize, height: usize, fps: u32, bitrate: u32) -> Self {
        EncoderSettings {
            width,
            height,
            fps,
            bitrate,
            temporal_layers: 1,
            threads: 1,
            speed: 2,
            may_drop: true,
            resilient: false,
            token_partitions: 0,
            max_nal: None,
        }
    }
}

/// The lowest target of an encoder in bit/s. Less is taken as this.
pub const MIN_BITRATE: u32 = 20_000;
/// The highest target of an encoder in bit/s. More is taken as this.
pub const MAX_BITRATE: u32 = 100_000_000;

/// Target and frame rate, held to what encoders take.
pub(crate) fn held(bitrate: u32, fps: u32) -> (u32, u32) {
    (bitrate.clamp(MIN_BITRATE, MAX_BITRATE), fps.clamp(1, 120))
}

/// What became of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoded {
    /// It starts anew: nothing before it is needed.
    pub key: bool,
    /// Temporal layer, 0 is the base.
    pub temporal: u8,
    /// It needs nothing but frames of layer 0: who receives layer 0 may go up here (VP8's `Y` bit).
    pub sync: bool,
    /// Frames that follow may refer to it; where not, it can be left out (VP8's `N` bit, inverted).
    pub reference: bool,
    /// The rate control left it out; nothing was appended.
    pub dropped: bool,
}

/// Decodes one stream. Its last picture may be read by several threads at once.
pub trait VideoDecoder: Send + Sync {
    /// Decodes `frame`, a whole access unit (H.264: Annex B; AV1: a temporal unit of OBUs with sizes).
    ///
    /// `None`: nothing is to be shown for it. The size may change with any key frame.
    ///
    /// H.264 notices that a frame between is missing. VP8, VP9 and AV1 mostly do not: who saw a gap in the stream waits for a key frame.
    ///
    /// # Errors
    /// A [`DecodeError`]; the next call may go well.
    fn decode(&mut self, frame: &[u8]) -> Result<Option<I420<'_>>, DecodeError>;

    /// What the last call of [`VideoDecoder::decode`] lent, if it went well and showed something.
    fn picture(&self) -> Option<I420<'_>>;
}

/// Encodes one stream in real time, without delay: an access unit a picture.
///
/// Speeds 0 to 3 are libvpx's `cpu-used` −3, −6, −9, −12 for VP8 and 5, 7, 8, 9 for VP9, and OpenH264's complexities high, medium, low, low.
pub trait VideoEncoder: Send {
    /// Encodes `picture` and appends the access unit to `out`. The first one is a key frame, and each with `key`.
    ///
    /// `timestamp` counts 90 kHz and may wrap; a step back or none is taken as one frame's length.
    ///
    /// # Errors
    /// [`EncodeError::Size`] when the picture is not of the size in the settings, [`EncodeError::Failed`]. Nothing is appended then.
    fn encode(
        &mut self,
        picture: &I420<'_>,
        timestamp: u32,
        key: bool,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError>;

    /// From the next picture on: a target in bit/s ([`MIN_BITRATE`] to [`MAX_BITRATE`]) and frames a second (1 to 120).
    fn set_rate(&mut self, bitrate: u32, fps: u32);
}
