//! Synthetic members: a microphone that hums, a network that loses and delays, and an ear that tells tones apart.
//!
//! Everything is made from counters and a seeded generator: every run is the same.

use plenum_contract::Codec;
use plenum_engines::{AudioCodec, AudioDecoder, AudioEncoder, AudioSettings, audio_decoder, audio_encoder};
use std::collections::BTreeMap;

/// A millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;

/// Splitmix64.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn engine(codec: Codec) -> AudioCodec {
    match codec {
        Codec::Opus => AudioCodec::Opus,
        Codec::Pcmu => AudioCodec::Pcmu,
        Codec::Pcma => AudioCodec::Pcma,
        Codec::G722 => AudioCodec::G722,
        Codec::G726 => AudioCodec::G726_32,
        Codec::Ilbc => AudioCodec::Ilbc,
        Codec::Ilbc30 => AudioCodec::Ilbc30,
        other => panic!("no engine for {other:?}"),
    }
}

/// Samples of a tone at full amplitude 8000, from sample `from` on.
pub(crate) fn tone(hz: f32, rate: u32, from: u64, out: &mut [i16]) {
    for (i, sample) in out.iter_mut().enumerate() {
        // Whole cycles are left out first: the phase stays exact.
        let cycles = (from + i as u64) as f64 * f64::from(hz) / f64::from(rate);
        *sample = ((cycles.fract() * std::f64::consts::TAU).sin() * 8000.0) as i16;
    }
}

/// A microphone that hums.
pub(crate) struct Microphone {
    pub(crate) codec: Codec,
    pub(crate) hz: f32,
    encoder: Box<dyn AudioEncoder>,
    frames: u64,
    first: u32,
}

impl Microphone {
    pub(crate) fn new(codec: Codec, hz: f32, first_timestamp: u32) -> Microphone {
        let encoder = audio_encoder(engine(codec), &AudioSettings::default()).expect("an encoder");
        Microphone { codec, hz, encoder, frames: 0, first: first_timestamp }
    }

    /// RTP clock in Hz.
    pub(crate) fn clock(&self) -> u32 {
        if self.codec == Codec::Opus { 48_000 } else { 8000 }
    }

    /// The next 20 ms, with the tone or silent: timestamp and payload.
    pub(crate) fn frame(&mut self, sounds: bool) -> (u32, Vec<u8>) {
        let mut pcm = vec![0; self.encoder.frame()];
        if sounds {
            tone(self.hz, self.encoder.rate().hz(), self.frames * pcm.len() as u64, &mut pcm);
        }
        let mut payload = Vec::new();
        self.encoder.encode(&pcm, &mut payload).expect("a frame");
        let ticks = pcm.len() as u64 * u64::from(self.clock()) / u64::from(self.encoder.rate().hz());
        let timestamp = self.first.wrapping_add((self.frames * ticks) as u32);
        self.frames += 1;
        (timestamp, payload)
    }
}

/// An ear: decodes and tells how much of a tone is in each 20 ms.
pub(crate) struct Ear {
    decoder: Box<dyn AudioDecoder>,
    pub(crate) heard: Vec<i16>,
    rate: u32,
}

impl Ear {
    pub(crate) fn new(codec: Codec) -> Ear {
        let decoder = audio_decoder(engine(codec)).expect("a decoder");
        let rate = decoder.rate().hz();
        Ear { decoder, heard: Vec::new(), rate }
    }

    pub(crate) fn hear(&mut self, payload: &[u8]) {
        let mut pcm = vec![0; 5760];
        let len = self.decoder.decode(payload, &mut pcm).expect("a payload of ours");
        self.heard.extend(&pcm[..len]);
    }

    /// Amplitude of the tone in the last `ms` milliseconds, 0 to 32768.
    pub(crate) fn amplitude(&self, hz: f32, ms: usize) -> f32 {
        let len = self.rate as usize * ms / 1000;
        goertzel(&self.heard[self.heard.len().saturating_sub(len)..], hz, self.rate)
    }

    /// The longest time without the tone from `from_ms` on, in milliseconds.
    pub(crate) fn longest_hole(&self, hz: f32, from_ms: usize) -> usize {
        let frame = self.rate as usize / 50;
        let from = (self.rate as usize * from_ms / 1000).min(self.heard.len());
        let (mut longest, mut run) = (0, 0);
        for part in self.heard[from..].chunks_exact(frame) {
            run = if goertzel(part, hz, self.rate) > 2000.0 { 0 } else { run + 20 };
            longest = longest.max(run);
        }
        longest
    }

    /// The share of the 20 ms frames from `from_ms` on in which the tone sounds.
    pub(crate) fn share(&self, hz: f32, from_ms: usize) -> f32 {
        let frame = self.rate as usize / 50;
        let from = (self.rate as usize * from_ms / 1000).min(self.heard.len());
        let frames: Vec<_> = self.heard[from..].chunks_exact(frame).collect();
        let sounding = frames.iter().filter(|f| goertzel(f, hz, self.rate) > 2000.0).count();
        sounding as f32 / frames.len().max(1) as f32
    }
}

/// Amplitude of one tone.
fn goertzel(pcm: &[i16], hz: f32, rate: u32) -> f32 {
    let step = f64::from(hz) * std::f64::consts::TAU / f64::from(rate);
    let (mut re, mut im) = (0.0, 0.0);
    for (i, &sample) in pcm.iter().enumerate() {
        let phase = step * i as f64;
        re += f64::from(sample) * phase.cos();
        im += f64::from(sample) * phase.sin();
    }
    ((re * re + im * im).sqrt() * 2.0 / pcm.len().max(1) as f64) as f32
}

/// A network: what is sent comes out later, or never.
pub(crate) struct Network<T> {
    pub(crate) loss_percent: u64,
    pub(crate) jitter_ms: u64,
    /// What is lost comes this much later instead: it is sent again. 0 = it is not.
    pub(crate) repair_ms: u64,
    /// Added to the way of everything.
    pub(crate) delay_ms: u64,
    seed: u64,
    on_the_way: BTreeMap<(u64, u64), T>,
    sent: u64,
}

impl<T> Network<T> {
    pub(crate) fn new(loss_percent: u64, jitter_ms: u64, seed: u64) -> Network<T> {
        Network { loss_percent, jitter_ms, repair_ms: 0, delay_ms: 0, seed, on_the_way: BTreeMap::new(), sent: 0 }
    }

    pub(crate) fn send(&mut self, now: u64, packet: T) {
        self.sent += 1;
        let lost = random(&mut self.seed) % 100 < self.loss_percent;
        let jitter = random(&mut self.seed) % (self.jitter_ms * MS + 1);
        let again = random(&mut self.seed) % 100 >= self.loss_percent && self.repair_ms > 0;
        let delay = self.delay_ms * MS + jitter + if lost { self.repair_ms * MS } else { 0 };
        if !lost || again {
            self.on_the_way.insert((now + delay, self.sent), packet);
        }
    }

    /// What has arrived by now, with when.
    pub(crate) fn arrived(&mut self, now: u64) -> Vec<(u64, T)> {
        let later = self.on_the_way.split_off(&(now + 1, 0));
        std::mem::replace(&mut self.on_the_way, later).into_iter().map(|((at, _), p)| (at, p)).collect()
    }
}
