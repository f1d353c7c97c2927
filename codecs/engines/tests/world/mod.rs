//! What the tests of the engines look at and listen to: a picture that moves, tones, noise from a seed, and how near two of them are.
#![allow(dead_code, unreachable_pub)]

use plenum_engines::{EncoderSettings, VideoCodec, VideoEncoder, video_encoder};
use plenum_kernels::{I420, I420Buf, Plane};

/// Numbers from a seed.
pub struct Seeded(pub u64);

impl Seeded {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n.max(1)
    }
}

/// Frame `n` of a scene: a gradient and stripes that move, a square that moves the other way, and a little grain.
pub fn scene(width: usize, height: usize, n: usize) -> I420Buf {
    let mut picture = I420Buf::new(width, height).expect("a size");
    let mut view = picture.view_mut();
    let mut grain = Seeded(n as u64 + 1);
    let side = height / 4;
    let left = (width * 3 + height - n * 5 % width.max(1)) % width.max(1);
    for y in 0..height {
        for (x, value) in view.y.row_mut(y).iter_mut().enumerate() {
            let square = x >= left && x < left + side && y >= side && y < 2 * side;
            let stripes = if ((x + 2 * n) / 12).is_multiple_of(2) { 20 } else { 0 };
            let slope = (x * 100 / width.max(1)) + (y * 60 / height.max(1));
            *value = if square { 220 } else { (40 + slope + stripes + grain.below(4)) as u8 };
        }
    }
    for y in 0..height.div_ceil(2) {
        view.u.row_mut(y).fill((100 + y * 40 / height + n) as u8);
        for (x, value) in view.v.row_mut(y).iter_mut().enumerate() {
            *value = (150 + (x + n) * 40 / width.max(1)) as u8;
        }
    }
    picture
}

fn squares(a: Plane<'_>, b: Plane<'_>) -> u64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let row = |y| a.row(y).iter().zip(b.row(y)).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>();
    (0..a.height()).map(row).sum()
}

/// Peak signal-to-noise ratio over all three planes, in dB.
pub fn psnr(a: I420<'_>, b: I420<'_>) -> f64 {
    let error = squares(a.y, b.y) + squares(a.u, b.u) + squares(a.v, b.v);
    let samples = [a.y, a.u, a.v].iter().map(|p| p.width() * p.height()).sum::<usize>();
    10.0 * (255.0 * 255.0 * samples as f64 / (error as f64).max(0.01)).log10()
}

/// A picture that owns what a decoder lent.
pub fn kept(picture: I420<'_>) -> I420Buf {
    let mut own = I420Buf::new(picture.width(), picture.height()).expect("a size");
    let mut view = own.view_mut();
    for (to, from) in [(&mut view.y, picture.y), (&mut view.u, picture.u), (&mut view.v, picture.v)] {
        for y in 0..from.height() {
            to.row_mut(y).copy_from_slice(from.row(y));
        }
    }
    own
}

/// An encoder of small pictures that drops nothing.
pub fn encoder(codec: VideoCodec, width: usize, height: usize, bitrate: u32) -> Box<dyn VideoEncoder> {
    let settings = EncoderSettings { may_drop: false, ..EncoderSettings::new(width, height, 30, bitrate) };
    video_encoder(codec, &settings).expect("an encoder")
}

/// The first `count` frames of the scene, encoded.
pub fn stream(codec: VideoCodec, width: usize, height: usize, count: usize) -> Vec<Vec<u8>> {
    let mut encoder = encoder(codec, width, height, 300_000);
    (0..count)
        .map(|n| {
            let mut out = Vec::new();
            encoder.encode(&scene(width, height, n).view(), n as u32 * 3000, false, &mut out).expect("encoded");
            out
        })
        .collect()
}

/// A tone of `hz` from sample `from` on.
pub fn tone(hz: f64, rate: u32, amplitude: f64, from: usize, samples: usize) -> Vec<i16> {
    let step = hz * std::f64::consts::TAU / f64::from(rate);
    (from..from + samples).map(|i| ((i as f64 * step).sin() * amplitude) as i16).collect()
}

/// The share of the power that lies at `hz` (Goertzel), 0 to 1.
pub fn share_of(hz: f64, rate: u32, samples: &[i16]) -> f64 {
    let step = hz * std::f64::consts::TAU / f64::from(rate);
    let (mut re, mut im, mut power) = (0.0, 0.0, 1e-9);
    for (i, sample) in samples.iter().enumerate() {
        let (sample, angle) = (f64::from(*sample), i as f64 * step);
        re += sample * angle.cos();
        im += sample * angle.sin();
        power += sample * sample;
    }
    2.0 * (re * re + im * im) / samples.len() as f64 / power
}

/// Signal-to-noise ratio in dB of `heard` against `said`.
pub fn snr(said: &[i16], heard: &[i16]) -> f64 {
    let power: f64 = said.iter().map(|s| f64::from(*s).powi(2)).sum();
    let noise: f64 = said.iter().zip(heard).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (power / noise.max(1e-9)).log10()
}

/// A frame that something happened to.
pub fn bend(frame: &[u8], seeded: &mut Seeded) -> Vec<u8> {
    let mut bent = frame.to_vec();
    match seeded.below(6) {
        0 => bent.truncate(seeded.below(frame.len())),
        1 => {
            for _ in 0..=seeded.below(8) {
                let at = seeded.below(bent.len());
                bent[at] ^= 1 << seeded.below(8);
            }
        }
        // The headers, where sizes and references are.
        2 => {
            let at = seeded.below(bent.len().min(24));
            bent[at] = seeded.next() as u8;
        }
        3 => {
            let (at, length) = (seeded.below(bent.len()), seeded.below(40));
            let end = (at + length).min(bent.len());
            bent[at..end].fill(if seeded.below(2) == 0 { 0 } else { 0xff });
        }
        4 => {
            let at = seeded.below(bent.len());
            bent.splice(at..at, (0..20).map(|_| seeded.next() as u8).collect::<Vec<_>>());
        }
        _ => {
            bent.clear();
            bent.extend((0..=seeded.below(200)).map(|_| seeded.next() as u8));
        }
    }
    bent
}
