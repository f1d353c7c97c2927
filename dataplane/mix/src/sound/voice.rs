//! One voice: packets in, 20 ms of 48 kHz sound at a time out.
//!
//! Joins the jitter buffer with a decoder, conceals what is lost, brings any rate to 48 kHz, and keeps the delay near its target by leaving
//! out or repeating a period. A codec that changes starts anew. RED (RFC 2198) gives its copies for packets that were lost.

use super::stretch;
use crate::jitter::{AudioBuffer, MS, Pull};
use plenum_contract::Codec;
use plenum_engines::{AudioCodec, AudioDecoder, audio_decoder};
use plenum_kernels::{Kernels, Rate, Resampler};
use plenum_wire::payload::red;
use plenum_wire::rtp;

/// Samples of 20 ms at 48 kHz: what the mix goes by.
pub const FRAME: usize = 960;
/// Most samples that a packet decodes to: 120 ms at 48 kHz.
const LONGEST: usize = 5760;
/// Decoded sound that waits at most.
const MOST: usize = 2 * LONGEST + FRAME;
/// How far the delay may be from its target before something is done.
const SLACK: i64 = 20 * MS as i64;
/// So far from it sound is cut in bad places too.
const URGENT: i64 = 80 * MS as i64;
/// So far beyond it packets are left out.
const STALLED: i64 = 250 * MS as i64;

/// The codec that a payload format is decoded with; RED is taken for Opus.
pub fn engine(codec: Codec) -> Option<AudioCodec> {
    Some(match codec {
        Codec::Opus | Codec::Red => AudioCodec::Opus,
        Codec::Pcmu => AudioCodec::Pcmu,
        Codec::Pcma => AudioCodec::Pcma,
        Codec::G722 => AudioCodec::G722,
        Codec::G726 => AudioCodec::G726_32,
        Codec::Ilbc => AudioCodec::Ilbc,
        Codec::Ilbc30 => AudioCodec::Ilbc30,
        _ => return None,
    })
}

/// A voice. See the module.
pub struct Voice {
    kernels: Kernels,
    codec: AudioCodec,
    buffer: AudioBuffer,
    decoder: Box<dyn AudioDecoder>,
    resampler: Option<Resampler>,
    clock: u32,
    ssrc: Option<u32>,
    /// Decoded, at 48 kHz, not yet played.
    ready: Vec<i16>,
    decoded: Vec<i16>,
}

impl Voice {
    /// A voice in `codec`; `None` when there is no decoder for it.
    pub fn new(kernels: Kernels, codec: Codec, clock: u32) -> Option<Voice> {
        let codec = engine(codec)?;
        let decoder = audio_decoder(codec).ok()?;
        let resampler =
            (decoder.rate() != Rate::Hz48000).then(|| Resampler::new(kernels, decoder.rate(), Rate::Hz48000));
        let buffer = AudioBuffer::new(clock);
        let (ready, decoded) = (Vec::with_capacity(MOST), vec![0; LONGEST]);
        Some(Voice { kernels, codec, buffer, decoder, resampler, clock: clock.max(1000), ssrc: None, ready, decoded })
    }

    /// A packet arrived; one of another codec makes another voice of it, one of another SSRC starts the buffer anew.
    pub fn packet(&mut self, codec: Codec, clock: u32, header: &rtp::Header, payload: &[u8], arrival: u64) {
        let timestamp = header.timestamp;
        let Some(wanted) = engine(codec) else { return };
        if wanted != self.codec || clock.max(1000) != self.clock {
            let Some(other) = Voice::new(self.kernels, codec, clock) else { return };
            *self = other;
        }
        if self.ssrc.replace(header.ssrc).is_some_and(|before| before != header.ssrc) {
            self.buffer.restart();
        }
        if codec != Codec::Red {
            return self.buffer.insert(timestamp, payload, arrival, false);
        }
        let Ok(blocks) = red::blocks(payload) else { return };
        for block in blocks {
            let old = timestamp.wrapping_sub(u32::from(block.timestamp_offset));
            self.buffer.insert(old, block.data.of(payload), arrival, !block.primary);
        }
    }

    /// The next 20 ms; whether there was anything. Silence otherwise.
    pub fn pull(&mut self, now: u64, out: &mut [i16; FRAME]) -> bool {
        self.hold_delay(now);
        while self.ready.len() < FRAME {
            if !self.step(now) {
                break;
            }
        }
        let len = self.ready.len().min(FRAME);
        out[..len].copy_from_slice(&self.ready[..len]);
        out[len..].fill(0);
        self.ready.drain(..len);
        len > 0
    }

    /// How long after the fastest possible moment it is played, in nanoseconds, while it plays.
    pub fn delay(&self, now: u64) -> Option<i64> {
        self.buffer.delay(now, self.ahead())
    }

    /// The media time in nanoseconds of what is played next, while it plays.
    pub fn playing(&self) -> Option<u64> {
        self.buffer.playing(self.ahead())
    }

    /// The buffer behind it.
    pub fn buffer(&mut self) -> &mut AudioBuffer {
        &mut self.buffer
    }

    /// The RTP clock in Hz.
    pub fn clock(&self) -> u32 {
        self.clock
    }

    /// Nanoseconds of sound that are ready.
    fn ahead(&self) -> u64 {
        self.ready.len() as u64 * MS / 48
    }

    /// Brings the delay nearer to its target.
    fn hold_delay(&mut self, now: u64) {
        let Some(delay) = self.delay(now) else { return };
        let excess = delay - self.buffer.target() as i64;
        if excess > STALLED {
            self.buffer.skip(excess as u64);
            return;
        }
        if excess.abs() <= SLACK {
            return;
        }
        while self.ready.len() < stretch::NEEDS + FRAME / 2 {
            if !self.step(now) {
                return;
            }
        }
        let urgent = excess.abs() > URGENT;
        if excess > 0 {
            stretch::shorten(&mut self.ready, urgent)
        } else {
            stretch::lengthen(&mut self.ready, urgent)
        };
    }

    /// Decodes the next packet or what stands in for it; whether anything came of it.
    fn step(&mut self, now: u64) -> bool {
        let rate = u64::from(self.decoder.rate().hz());
        if self.ready.len() > MOST - LONGEST {
            return false;
        }
        // What is lost is as long as the packets are.
        let frame = (self.buffer.frame() * rate / u64::from(self.clock)).clamp(1, self.decoded.len() as u64) as usize;
        let ahead = self.ahead();
        let (samples, packet, moves) = match self.buffer.pull(now, ahead) {
            Pull::Nothing => return false,
            Pull::Packet(payload) => match self.decoder.decode(payload, &mut self.decoded) {
                Ok(samples) => (samples, true, true),
                Err(_) => (self.decoder.conceal(&mut self.decoded[..frame]), false, true),
            },
            Pull::Recover(next) => match self.decoder.decode_fec(next, &mut self.decoded[..frame]) {
                Ok(samples) => (samples, false, true),
                Err(_) => (self.decoder.conceal(&mut self.decoded[..frame]), false, true),
            },
            Pull::Lost => (self.decoder.conceal(&mut self.decoded[..frame]), false, true),
            Pull::Wait => (self.decoder.conceal(&mut self.decoded[..frame]), false, false),
        };
        let samples = samples.min(self.decoded.len());
        // At least a tick: a buffer whose clock stands would give the same again.
        let ticks = (samples as u64 * u64::from(self.clock) / rate).max(1);
        if moves {
            self.buffer.played(ticks, packet)
        } else {
            self.buffer.waited(ticks)
        }
        let from = self.ready.len();
        match &mut self.resampler {
            None => self.ready.extend_from_slice(&self.decoded[..samples]),
            Some(resampler) => {
                self.ready.resize(from + resampler.output_len(samples) + 1, 0);
                let made = resampler.run(&self.decoded[..samples], &mut self.ready[from..]);
                self.ready.truncate(from + made);
            }
        }
        self.ready.truncate(MOST);
        self.ready.len() > from
    }
}
