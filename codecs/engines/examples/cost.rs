//! Measures the engines: what encoding and decoding a frame costs per codec and size, and a frame of 20 ms per audio codec.
//!
//! Processor time of this thread, medians over the frames of a scene that moves everywhere with grain on it: harder than a talking head.
//! usage: cargo run --release -p plenum-engines --example cost [-- FRAMES]

#[path = "../tests/world/mod.rs"]
mod world;

use plenum_engines::{
    AudioCodec, AudioSettings, EncoderSettings, Limits, VideoCodec, audio_decoder, audio_encoder, video_decoder,
    video_encoder,
};
use plenum_kernels::I420Buf;

fn main() {
    let frames = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(90);
    println!("| Codec | Size | kbit/s at 30 frames/s | Encode ms | Decode ms |\n|---|---|---|---|---|");
    for (width, height, bitrate) in
        [(320, 180, 200_000), (640, 360, 600_000), (1280, 720, 1_800_000), (1920, 1080, 4_000_000)]
    {
        let scene: Vec<_> = (0..frames).map(|n| world::scene(width, height, n)).collect();
        for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264] {
            video(codec, &scene, EncoderSettings::new(width, height, 30, bitrate));
        }
    }
    println!("\n| Codec | Encode µs a frame of 20 ms | Decode µs |\n|---|---|---|");
    for codec in [AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::G722, AudioCodec::G726_32, AudioCodec::Ilbc] {
        audio(codec, frames * 5);
    }
}

/// Processor time of this thread, in nanoseconds.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(times: &mut [u64]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| *time as f64)
}

fn video(codec: VideoCodec, scene: &[I420Buf], settings: EncoderSettings) {
    // H.264 takes even sizes, and 1080 is one.
    let mut encoder = video_encoder(codec, &settings).expect("an encoder");
    let mut decoder = video_decoder(codec, Limits::default()).expect("a decoder");
    let (mut encoding, mut decoding, mut bytes, mut out) = (Vec::new(), Vec::new(), 0, Vec::new());
    for (n, picture) in scene.iter().enumerate() {
        out.clear();
        let start = now();
        let encoded = encoder.encode(&picture.view(), n as u32 * 3000, false, &mut out).expect("encoded");
        let middle = now();
        encoding.push(middle - start);
        if !encoded.dropped {
            bytes += out.len();
            assert!(decoder.decode(&out).expect("decoded").is_some());
            decoding.push(now() - middle);
        }
    }
    println!(
        "| {codec:?} | {}×{} | {:.0} | {:.2} | {:.2} |",
        settings.width,
        settings.height,
        bytes as f64 * 8.0 * 30.0 / scene.len() as f64 / 1000.0,
        median(&mut encoding) / 1e6,
        median(&mut decoding) / 1e6
    );
}

fn audio(codec: AudioCodec, frames: usize) {
    let mut encoder = audio_encoder(codec, &AudioSettings::default()).expect("an encoder");
    let mut decoder = audio_decoder(codec).expect("a decoder");
    let (frame, hz) = (encoder.frame(), codec.rate().hz());
    let (mut encoding, mut decoding, mut out) = (Vec::new(), Vec::new(), vec![0; frame]);
    for n in 0..frames {
        let mut pcm = world::tone(150.0, hz, 6000.0, n * frame, frame);
        for (sample, other) in pcm.iter_mut().zip(world::tone(1730.0, hz, 3000.0, n * frame, frame)) {
            *sample += other;
        }
        let mut payload = Vec::with_capacity(1500);
        let start = now();
        encoder.encode(&pcm, &mut payload).expect("encoded");
        let middle = now();
        decoder.decode(&payload, &mut out).expect("decoded");
        encoding.push(middle - start);
        decoding.push(now() - middle);
    }
    println!("| {codec:?} | {:.1} | {:.1} |", median(&mut encoding) / 1e3, median(&mut decoding) / 1e3);
}
