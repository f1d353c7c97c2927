//! Decoders and strangers' bytes: frames cut, bent, doubled, left out and swapped, and bytes that never were frames.
//!
//! Seeded, so that a failure comes again. Whatever came before, a key frame is decoded as it should be.

mod world;

use plenum_engines::{AudioCodec, DecodeError, Limits, VideoCodec, audio_decoder, video_decoder};
use world::{Seeded, bend, psnr, scene, stream};

const CODECS: [VideoCodec; 3] = [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264];

#[test]
fn bent_video_is_an_error_or_a_picture_and_a_key_frame_heals() {
    // Small, so that sizes which a bent header names are refused, or cost little.
    let limits = Limits { width: 1024, height: 1024, pixels: 256 * 1024, bytes: 1 << 20 };
    for codec in CODECS {
        let frames = stream(codec, 96, 64, 10);
        let mut decoder = video_decoder(codec, limits).expect("a decoder");
        for seed in 0..150 {
            let mut seeded = Seeded(seed);
            for frame in &frames {
                match seeded.below(4) {
                    0 => {}
                    1 => {
                        let _ = decoder.decode(&bend(frame, &mut seeded));
                    }
                    2 => {
                        let other = &frames[seeded.below(frames.len())];
                        let _ = decoder.decode(other);
                    }
                    _ => {
                        if let Ok(Some(picture)) = decoder.decode(frame) {
                            assert!(picture.width() * picture.height() <= limits.pixels);
                        }
                    }
                }
            }
            let healed = heals(&mut *decoder, &frames);
            assert!(healed, "{codec:?} with seed {seed}");
        }
    }
}

/// Whether a key frame, at the second try at the latest, brings the right picture back.
fn heals(decoder: &mut dyn plenum_engines::VideoDecoder, frames: &[Vec<u8>]) -> bool {
    (0..2).any(|_| match decoder.decode(&frames[0]) {
        Ok(Some(picture)) if (picture.width(), picture.height()) == (96, 64) => {
            psnr(scene(96, 64, 0).view(), picture) > 28.0
        }
        _ => false,
    })
}

#[test]
fn every_cut_of_a_frame_is_survived() {
    for codec in CODECS {
        let frames = stream(codec, 64, 48, 2);
        let mut decoder = video_decoder(codec, Limits::default()).expect("a decoder");
        for frame in &frames {
            for length in 1..frame.len().min(400) {
                let _ = decoder.decode(&frame[..length]);
            }
        }
        assert!(matches!(decoder.decode(&frames[0]), Ok(Some(_))), "{codec:?}");
    }
}

#[test]
fn frames_without_a_key_frame_are_errors() {
    for codec in CODECS {
        let frames = stream(codec, 64, 48, 3);
        let mut decoder = video_decoder(codec, Limits::default()).expect("a decoder");
        for frame in &frames[1..] {
            assert!(matches!(decoder.decode(frame), Err(DecodeError::Corrupt(_))), "{codec:?}");
        }
    }
}

#[test]
fn a_vp8_frame_of_16383_by_16383_takes_no_memory() {
    let mut frame = stream(VideoCodec::Vp8, 64, 48, 1).remove(0);
    frame[6..10].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    let mut decoder = video_decoder(VideoCodec::Vp8, Limits::default()).expect("a decoder");
    assert_eq!(decoder.decode(&frame).err(), Some(DecodeError::Size(16383, 16383)));
    // 8192 x 8192 is within the sides, beyond the pixels.
    frame[6..10].copy_from_slice(&[0x00, 0x20, 0x00, 0x20]);
    assert_eq!(decoder.decode(&frame).err(), Some(DecodeError::Size(8192, 8192)));
}

#[test]
fn a_vp9_frame_of_65536_by_65536_takes_no_memory() {
    // frame_marker 2, profile 0, key frame, shown; the sync code, BT.601; both sides 65536.
    let head = [0x82u8, 0x49, 0x83, 0x42, 0x2f, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0];
    let mut decoder = video_decoder(VideoCodec::Vp9, Limits::default()).expect("a decoder");
    assert_eq!(decoder.decode(&head).err(), Some(DecodeError::Size(65536, 65536)));
    // The same inside of a superframe.
    let mut frame = vec![0x80];
    frame.extend(head);
    frame.extend([0xc1, 1, 12, 0xc1]);
    assert_eq!(decoder.decode(&frame).err(), Some(DecodeError::Size(65536, 65536)));
}

#[test]
fn any_bytes_as_sound_are_an_error_or_sound() {
    for codec in [
        AudioCodec::Opus,
        AudioCodec::Pcmu,
        AudioCodec::Pcma,
        AudioCodec::G722,
        AudioCodec::G726_24,
        AudioCodec::G726_32,
        AudioCodec::Ilbc,
    ] {
        let mut decoder = audio_decoder(codec).expect("a decoder");
        let mut out = vec![0; 5760];
        for seed in 0..2000 {
            let mut seeded = Seeded(seed);
            let payload: Vec<u8> = {
                // Lengths that iLBC has are among them.
                let length = [38, 50, 100, 0][seeded.below(4)];
                let length = if length == 0 { seeded.below(300) } else { length };
                (0..length).map(|_| seeded.next() as u8).collect()
            };
            let done = match seeded.below(4) {
                0 => decoder.decode_fec(&payload, &mut out[..960]),
                1 => Ok(decoder.conceal(&mut out[..seeded.below(5760)])),
                2 => decoder.decode(&payload, &mut out[..seeded.below(200)]),
                _ => decoder.decode(&payload, &mut out),
            };
            if let Ok(samples) = done {
                assert!(samples <= out.len());
            }
        }
        assert_eq!(decoder.decode(&[], &mut out), Err(DecodeError::Empty));
    }
}
