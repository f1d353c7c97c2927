//! As `targets.rs`, for what stands behind the parsers: the decoders of pictures and sound, and the jitter buffer before them. They stand apart
//! because they need the codecs' libraries.
//!
//! A decoder may refuse what it is given or make any picture of it within its limits; whatever happens, the program goes on.

#![allow(dead_code, unreachable_pub)]

use super::targets::Target;
use plenum_engines::{AudioCodec, Limits, VideoCodec, audio_decoder, video_decoder};

/// The decoders' targets.
pub const TARGETS: &[(&str, Target)] = &[
    ("decode_vp8", decode_vp8),
    ("decode_vp9", decode_vp9),
    ("decode_h264", decode_h264),
    ("decode_av1", decode_av1),
    ("decode_sound", decode_sound),
];

/// Small: a size that a bent header names is refused, or costs little.
const LIMITS: Limits = Limits { width: 512, height: 512, pixels: 64 * 1024, bytes: 64 * 1024 };
/// Frames of one input that are looked at.
const MOST_FRAMES: usize = 16;
/// Samples that the longest packet of sound may hold: 120 ms at 48 kHz.
const MOST_SAMPLES: usize = 5760;

/// VP8 frames, each behind two bytes with its length.
pub fn decode_vp8(bytes: &[u8]) {
    pictures(VideoCodec::Vp8, bytes);
}

/// The same of VP9.
pub fn decode_vp9(bytes: &[u8]) {
    pictures(VideoCodec::Vp9, bytes);
}

/// The same of H.264: access units with start codes.
pub fn decode_h264(bytes: &[u8]) {
    pictures(VideoCodec::H264, bytes);
}

/// The same of AV1: temporal units.
pub fn decode_av1(bytes: &[u8]) {
    pictures(VideoCodec::Av1, bytes);
}

fn pictures(codec: VideoCodec, bytes: &[u8]) {
    let mut decoder = video_decoder(codec, LIMITS).expect("a decoder");
    for frame in frames(bytes) {
        let Ok(Some(picture)) = decoder.decode(frame) else { continue };
        let (width, height) = (picture.width(), picture.height());
        assert!(width > 0 && height > 0 && width <= LIMITS.width && height <= LIMITS.height, "{width}x{height}");
        assert!(width * height <= LIMITS.pixels, "{width}x{height}");
        // Every row can be read.
        for plane in [picture.y, picture.u, picture.v] {
            assert!((0..plane.height()).all(|y| plane.row(y).len() == plane.width()));
        }
    }
}

/// Packets of sound, each behind two bytes with its length: a byte before them names the codec. An empty packet is one that was lost; where the
/// highest bit of the length is set, the one before it is made from this one (FEC).
pub fn decode_sound(bytes: &[u8]) {
    let Some((&codec, bytes)) = bytes.split_first() else { return };
    let codecs = [
        AudioCodec::Opus,
        AudioCodec::Pcmu,
        AudioCodec::Pcma,
        AudioCodec::G722,
        AudioCodec::G726_32,
        AudioCodec::Ilbc,
        AudioCodec::Ilbc30,
        AudioCodec::G726_24,
    ];
    let mut decoder = audio_decoder(codecs[usize::from(codec) % codecs.len()]).expect("a decoder");
    let mut out = vec![0; MOST_SAMPLES];
    let mut rest = bytes;
    for _ in 0..MOST_FRAMES {
        let Some((length, more)) = rest.split_first_chunk::<2>() else { return };
        let length = u16::from_be_bytes(*length);
        let (packet, more) = more.split_at(usize::from(length & 0x7fff).min(more.len()));
        rest = more;
        let made = match packet.is_empty() {
            true => Ok(decoder.conceal(&mut out[..960])),
            false if length & 0x8000 != 0 => decoder.decode_fec(packet, &mut out[..960]),
            false => decoder.decode(packet, &mut out),
        };
        assert!(made.is_err() || made.is_ok_and(|samples| samples <= out.len()));
    }
}

fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let next = move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (frame, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        bytes = rest;
        Some(frame)
    };
    std::iter::from_fn(next).take(MOST_FRAMES)
}
