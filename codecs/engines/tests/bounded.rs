//! The memory of a decoder does not grow with the sizes that its source changes to: what the codecs' libraries take counts too, so it is the whole
//! process's that is looked at. Alone in its file, so that no other test shares the process.

use plenum_engines::{EncoderSettings, Limits, VideoCodec, video_decoder, video_encoder};
use plenum_kernels::{I420Buf, Rect};

/// What a source changes to, over and over; no two behind each other are alike.
const SIZES: [(usize, usize); 8] =
    [(320, 180), (64, 36), (640, 360), (96, 128), (1280, 720), (16, 16), (480, 270), (176, 144)];
/// Rounds over all sizes until everything has its largest size, and rounds that are looked at.
const ROUNDS: (usize, usize) = (10, 60);
/// What may be added: who keeps the pictures of each round keeps 120 MB, 57 of AV1.
const MOST: usize = 24 << 20;

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("the kernel tells");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

/// A key frame and what follows it, in every size.
fn encoded(codec: VideoCodec) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (width, height) in SIZES {
        let settings = EncoderSettings { may_drop: false, ..EncoderSettings::new(width, height, 30, 500_000) };
        let mut encoder = video_encoder(codec, &settings).expect("an encoder");
        let mut picture = I420Buf::new(width, height).expect("a picture");
        for frame in 0..2_u32 {
            let part = Rect { x: 0, y: 0, width: width / (2 + frame as usize), height };
            picture.view_mut().fill(part, plenum_kernels::Colour { y: 60 + 40 * frame as u8, u: 90, v: 160 });
            let mut unit = Vec::new();
            encoder.encode(&picture.view(), frame * 3000, frame == 0, &mut unit).expect("a frame");
            frames.push(unit);
        }
    }
    frames
}

/// The frames of two films in AV1, of 96×64 and 320×180, behind each other.
fn films() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for film in [&include_bytes!("vectors/av1.ivf")[..], include_bytes!("../../../tests/e2e/film.ivf")] {
        let mut rest = &film[32..];
        for _ in 0..4 {
            let len = u32::from_le_bytes(rest[..4].try_into().expect("four bytes")) as usize;
            frames.push(rest[12..12 + len].to_vec());
            rest = &rest[12 + len..];
        }
    }
    frames
}

#[test]
fn a_decoder_that_goes_through_hundreds_of_sizes_takes_no_more_memory_than_after_the_first_rounds() {
    for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1] {
        let (frames, sizes, rounds) = match codec {
            VideoCodec::Av1 => (films(), 2, (40, 600)),
            _ => (encoded(codec), SIZES.len(), ROUNDS),
        };
        let mut decoder = video_decoder(codec, Limits::default()).expect("a decoder");
        let mut warm = 0;
        for round in 0..rounds.0 + rounds.1 {
            if round == rounds.0 {
                warm = resident();
            }
            let (mut last, mut changes) = ((0, 0), 0);
            for frame in &frames {
                let picture = decoder.decode(frame).expect("a good frame").expect("a picture");
                let size = (picture.width(), picture.height());
                changes += usize::from(std::mem::replace(&mut last, size) != size);
            }
            assert_eq!(changes, sizes, "{codec:?}: every size was decoded");
        }
        let grown = resident().saturating_sub(warm);
        println!("{codec:?}: {grown} bytes more than {warm}");
        assert!(grown < MOST, "{codec:?}: {grown} bytes more after {} changes of size", rounds.1 * sizes);
    }
}
