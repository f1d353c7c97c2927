//! What a frame costs to encode and to decode, for each codec and size: one thread, processor time, medians over a scene in which somebody
//! moves before a still wall.
//!
//! AV1 is decoded only: FFmpeg makes what is decoded, and without it that row is skipped.

mod ivf;

use crate::mixing::{processor_time, scenery};
use crate::report::Report;
use plenum_engines::{EncoderSettings, Limits, VideoCodec, VideoDecoder, VideoEncoder, video_decoder, video_encoder};
use plenum_kernels::I420Buf;

const DECODE: &str = "Decoding a frame, one thread";
const ENCODE: &str = "Encoding a frame, one thread, as the mixer sets encoders";
/// Width, height and bits a second at 30 frames a second.
const SIZES: [(usize, usize, u32); 4] =
    [(320, 180, 200_000), (640, 360, 600_000), (1280, 720, 1_800_000), (1920, 1080, 4_000_000)];
const FPS: u32 = 30;

/// Measures everything.
pub fn run(report: &mut Report, quick: bool) {
    let frames = if quick { 20 } else { 90 };
    for (width, height, bitrate) in SIZES {
        eprintln!("plenum: engines at {width}x{height}");
        let Ok(scene) = film(width, height, frames) else { continue };
        for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1] {
            let name = format!("{codec:?} {width}x{height}");
            let settings = EncoderSettings {
                may_drop: false,
                speed: if width * height >= 1280 * 720 { 3 } else { 2 },
                ..EncoderSettings::new(width, height, FPS, bitrate)
            };
            match measure(codec, &scene, &settings) {
                Ok(found) => tell(report, &name, &found),
                Err(why) => report.skip(name, why),
            }
        }
    }
}

/// What a codec took at a size.
struct Found {
    /// Nanoseconds a frame.
    encode: Option<f64>,
    decode: f64,
    kbps: f64,
}

fn tell(report: &mut Report, name: &str, found: &Found) {
    let mut add = |group: &str, nanos: f64| {
        report.add(group, name, nanos / 1e6, "ms/frame").note(format!(
            "{:.0} frames for each second of a core; {:.0} kbit/s",
            1e9 / nanos,
            found.kbps
        ));
    };
    add(DECODE, found.decode);
    if let Some(encode) = found.encode {
        add(ENCODE, encode);
    }
}

fn film(width: usize, height: usize, frames: usize) -> Result<Vec<I420Buf>, String> {
    let mut random = 1;
    let frame = |n| {
        let mut picture = I420Buf::new(width, height).map_err(|e| e.to_string())?;
        scenery(&mut picture.view_mut(), n, 0, &mut random);
        Ok(picture)
    };
    (0..frames).map(frame).collect()
}

fn measure(codec: VideoCodec, scene: &[I420Buf], settings: &EncoderSettings) -> Result<Found, String> {
    let (encode, units) = if codec == VideoCodec::Av1 {
        (None, ivf::av1(scene, FPS, settings.bitrate)?)
    } else {
        let mut encoder = video_encoder(codec, settings).map_err(|e| e.to_string())?;
        let (time, units) = encoded(&mut *encoder, scene)?;
        (Some(time), units)
    };
    let mut decoder = video_decoder(codec, Limits::default()).map_err(|e| e.to_string())?;
    let decode = decoded(&mut *decoder, &units)?;
    let bytes: usize = units.iter().map(Vec::len).sum();
    let kbps = bytes as f64 * 8.0 * f64::from(FPS) / scene.len().max(1) as f64 / 1000.0;
    Ok(Found { encode, decode, kbps })
}

/// The median time of a frame, and the frames.
fn encoded(encoder: &mut dyn VideoEncoder, scene: &[I420Buf]) -> Result<(f64, Vec<Vec<u8>>), String> {
    let (mut times, mut units) = (Vec::new(), Vec::new());
    for (n, picture) in scene.iter().enumerate() {
        let (mut unit, start) = (Vec::new(), processor_time());
        let timestamp = n as u32 * (90_000 / FPS);
        encoder.encode(&picture.view(), timestamp, n == 0, &mut unit).map_err(|e| e.to_string())?;
        times.push(processor_time() - start);
        units.push(unit);
    }
    Ok((median(&mut times), units))
}

/// The median time of a frame.
fn decoded(decoder: &mut dyn VideoDecoder, units: &[Vec<u8>]) -> Result<f64, String> {
    let mut times = Vec::new();
    for unit in units.iter().filter(|unit| !unit.is_empty()) {
        let start = processor_time();
        std::hint::black_box(decoder.decode(unit).map_err(|e| e.to_string())?);
        times.push(processor_time() - start);
    }
    if times.is_empty() { Err("there is nothing to decode".into()) } else { Ok(median(&mut times)) }
}

fn median(times: &mut [u64]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| *time as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_that_can_be_encoded_is_timed_both_ways() {
        let scene = film(64, 36, 4).unwrap();
        for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264] {
            let settings = EncoderSettings { may_drop: false, ..EncoderSettings::new(64, 36, FPS, 100_000) };
            let found = measure(codec, &scene, &settings).unwrap();
            assert!(found.encode.is_some() && found.kbps > 0.0, "{codec:?}");
        }
    }
}
