//! Ours against what independent implementations made (`vectors/README.md`): G.722 and G.726 to the bit, both ways; iLBC to
//! what can be heard; AV1 to the picture.

mod world;

use plenum_engines::{
    AudioCodec, AudioSettings, DecodeError, EncodeError, EncoderSettings, Limits, VideoCodec, audio_decoder,
    audio_encoder, video_decoder, video_encoder,
};
use world::{Seeded, psnr, scene, snr};

const NARROW: &[u8] = include_bytes!("vectors/voice_8000.s16");
const WIDE: &[u8] = include_bytes!("vectors/voice_16000.s16");
/// Codec, what it was made from, payload, decoded again.
type Vector = (AudioCodec, &'static [u8], &'static [u8], &'static [u8]);
const SOUND: [Vector; 5] = [
    (AudioCodec::G722, WIDE, include_bytes!("vectors/g722.payload"), include_bytes!("vectors/g722.s16")),
    (AudioCodec::G726_16, NARROW, include_bytes!("vectors/g726_16.payload"), include_bytes!("vectors/g726_16.s16")),
    (AudioCodec::G726_24, NARROW, include_bytes!("vectors/g726_24.payload"), include_bytes!("vectors/g726_24.s16")),
    (AudioCodec::G726_32, NARROW, include_bytes!("vectors/g726_32.payload"), include_bytes!("vectors/g726_32.s16")),
    (AudioCodec::G726_40, NARROW, include_bytes!("vectors/g726_40.payload"), include_bytes!("vectors/g726_40.s16")),
];

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

#[test]
fn payloads_are_the_ones_that_others_make() {
    for (codec, said, payload, _) in SOUND {
        let mut encoder = audio_encoder(codec, &AudioSettings::default()).expect("an encoder");
        let mut out = Vec::new();
        for frame in samples(said).chunks_exact(encoder.frame()) {
            encoder.encode(frame, &mut out).expect("encoded");
        }
        let first = out.iter().zip(payload).position(|(a, b)| a != b);
        assert_eq!((first, out.len()), (None, payload.len()), "{codec:?}");
    }
}

#[test]
fn others_payloads_sound_as_they_do_there() {
    for (codec, _, payload, heard) in SOUND {
        let mut decoder = audio_decoder(codec).expect("a decoder");
        let (mut all, mut out) = (Vec::new(), vec![0; 960]);
        for packet in payload.chunks(payload.len() / 16) {
            let samples = decoder.decode(packet, &mut out).expect("decoded");
            all.extend_from_slice(&out[..samples]);
        }
        let heard = samples(heard);
        let first = all.iter().zip(&heard).position(|(a, b)| a != b);
        assert_eq!((first, all.len()), (None, heard.len()), "{codec:?}");
    }
}

/// Codec, samples of a frame, payload of ours, and what FFmpeg decodes it to.
const ILBC: [(AudioCodec, usize, &[u8], &[u8]); 2] = [
    (AudioCodec::Ilbc, 160, include_bytes!("vectors/ilbc_20.payload"), include_bytes!("vectors/ilbc_20.s16")),
    (AudioCodec::Ilbc30, 240, include_bytes!("vectors/ilbc_30.payload"), include_bytes!("vectors/ilbc_30.s16")),
];

#[test]
fn ilbc_payloads_sound_as_they_do_elsewhere_and_near_to_what_was_said() {
    for (codec, frame, payload, heard) in ILBC {
        let said = samples(include_bytes!("vectors/voice_ilbc.s16"));
        let mut encoder = audio_encoder(codec, &AudioSettings::default()).expect("an encoder");
        // FFmpeg computes in whole numbers, we in floats: near, not equal.
        let heard = samples(heard);
        let mut theirs = vec![0; said.len()];
        audio_decoder(codec).expect("a decoder").decode(payload, &mut theirs).expect("decoded");
        let near = snr(&heard, &theirs);
        assert!(near > 28.0, "{codec:?}: {near:.1} dB to FFmpeg's");
        let mut ours = Vec::new();
        for frame in said.chunks_exact(frame) {
            encoder.encode(frame, &mut ours).expect("encoded");
        }
        assert_eq!(ours.len(), payload.len());
        let mut again = vec![0; said.len()];
        audio_decoder(codec).expect("a decoder").decode(&ours, &mut again).expect("decoded");
        // Both of its high-passes turn the phase, so what was said is turned as well.
        let turned = high_passed(&high_passed(&said, HIGH_PASSES[0]), HIGH_PASSES[1]);
        let near = snr(&turned, &again);
        assert!(near > 16.0, "{codec:?}: {near:.1} dB to what was said");
    }
}

/// RFC 3951 3.1 and 4.8.
const HIGH_PASSES: [[f64; 5]; 2] = [
    [0.92727436, -1.8544941, 0.92727436, -1.9059465, 0.9114024],
    [0.93980581, -1.8795834, 0.93980581, -1.9330735, 0.93589199],
];

fn high_passed(samples: &[i16], [b0, b1, b2, a1, a2]: [f64; 5]) -> Vec<i16> {
    let (mut x, mut y) = ([0.0; 2], [0.0; 2]);
    let mut next = |sample: &i16| {
        let now = f64::from(*sample);
        let out = b0 * now + b1 * x[0] + b2 * x[1] - a1 * y[0] - a2 * y[1];
        (x, y) = ([now, x[0]], [out, y[0]]);
        out as i16
    };
    samples.iter().map(&mut next).collect()
}

/// Temporal units of an IVF file.
fn units(ivf: &[u8]) -> Vec<&[u8]> {
    let mut rest = &ivf[32..];
    std::iter::from_fn(|| {
        let (head, body) = rest.split_first_chunk::<12>()?;
        let (unit, next) = body.split_at(u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize);
        rest = next;
        Some(unit)
    })
    .collect()
}

const AV1: &[u8] = include_bytes!("vectors/av1.ivf");

#[test]
fn an_av1_stream_shows_its_scene_frame_by_frame() {
    let mut decoder = video_decoder(VideoCodec::Av1, Limits::default()).expect("a decoder");
    let units = units(AV1);
    assert_eq!(units.len(), 10);
    for (n, unit) in units.iter().enumerate() {
        let picture = decoder.decode(unit).expect("decoded").expect("a picture for each unit, at once");
        let near = psnr(scene(96, 64, n).view(), picture);
        assert!(near > 30.0, "frame {n}: {near:.1} dB");
    }
    let settings = EncoderSettings::new(96, 64, 30, 100_000);
    assert!(matches!(video_encoder(VideoCodec::Av1, &settings).err(), Some(EncodeError::Unsupported(_))));
}

#[test]
fn an_av1_picture_beyond_the_limits_is_refused() {
    for limits in [
        Limits { pixels: 96 * 64 - 1, ..Limits::default() },
        Limits { width: 95, ..Limits::default() },
        Limits { height: 63, ..Limits::default() },
    ] {
        let mut decoder = video_decoder(VideoCodec::Av1, limits).expect("a decoder");
        assert!(decoder.decode(units(AV1)[0]).is_err());
    }
    let mut decoder = video_decoder(VideoCodec::Av1, Limits { bytes: 10, ..Limits::default() }).expect("a decoder");
    assert_eq!(decoder.decode(&[0; 11]).err(), Some(DecodeError::Long(11)));
    assert_eq!(decoder.decode(&[]).err(), Some(DecodeError::Empty));
}

#[test]
fn bent_av1_is_an_error_or_a_picture_and_a_key_frame_heals() {
    let limits = Limits { pixels: 256 * 1024, ..Limits::default() };
    let mut decoder = video_decoder(VideoCodec::Av1, limits).expect("a decoder");
    let units = units(AV1);
    for seed in 0..150 {
        let mut seeded = Seeded(seed);
        for unit in &units {
            let _ = match seeded.below(3) {
                0 => decoder.decode(unit),
                1 => decoder.decode(units[seeded.below(units.len())]),
                _ => decoder.decode(&world::bend(unit, &mut seeded)),
            };
        }
        let healed = (0..2).any(|_| match decoder.decode(units[0]) {
            Ok(Some(picture)) if picture.width() == 96 => psnr(scene(96, 64, 0).view(), picture) > 28.0,
            _ => false,
        });
        assert!(healed, "seed {seed}");
    }
    for unit in &units[..2] {
        for length in 1..unit.len().min(400) {
            let _ = decoder.decode(&unit[..length]);
        }
    }
    assert!(decoder.decode(units[0]).is_ok());
}
