//! What makes packets of sound in a codec: 20 ms of 48 kHz in, a payload out, with its number and its timestamp.
//!
//! Most codecs have frames of 20 ms. iLBC's second mode has 30: of three times 20 ms two packets are made. Both are counted from the beginning of the room,
//! so that whoever begins later, or leaves something out, stays in step.

use super::engine;
use plenum_contract::Codec;
use plenum_engines::{AudioEncoder, AudioSettings, audio_encoder};
use plenum_kernels::{Kernels, Rate, Resampler};

/// Samples of 20 ms of a codec that has frames of 30 ms, and of its frames: 8 kHz.
const PART: usize = 160;
/// See [`PART`].
const LONG: usize = 240;

/// An encoder of one output. See the module.
pub(super) struct Maker {
    encoder: Box<dyn AudioEncoder>,
    /// To the codec's rate.
    resampler: Option<Resampler>,
    resampled: Vec<i16>,
    /// What of a frame of 30 ms is there.
    waiting: Vec<i16>,
    /// Ticks of the RTP clock in 20 ms: Opus counts 48 kHz, all others 8 kHz (RFC 3551).
    ticks: u64,
}

/// What became of 20 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A payload was appended.
    Packet {
        /// Counted from the beginning of the room.
        number: u64,
        timestamp: u32,
    },
    /// They wait for the next 20 ms.
    Waits,
    /// There is nothing to send.
    Nothing,
}

impl Maker {
    /// An encoder of `codec`; `None` when it cannot be made. A `bitrate` of 0 is the codec's own.
    pub(super) fn new(kernels: Kernels, codec: Codec, bitrate: u32) -> Option<Maker> {
        let engine = engine(codec).filter(|_| codec != Codec::Red)?;
        let mut settings = AudioSettings::default();
        if bitrate > 0 {
            settings.bitrate = bitrate;
        }
        let encoder = audio_encoder(engine, &settings).ok()?;
        let rate = encoder.rate();
        let resampler = (rate != Rate::Hz48000).then(|| Resampler::new(kernels, Rate::Hz48000, rate));
        let ticks = if codec == Codec::Opus { 960 } else { 160 };
        let waiting = Vec::with_capacity(2 * PART);
        Some(Maker { encoder, resampler, resampled: vec![0; super::FRAME], waiting, ticks })
    }

    /// Another target in bit/s.
    pub(super) fn set_rate(&mut self, bitrate: u32) {
        self.encoder.set_rate(bitrate);
    }

    /// The loss in per cent that its receivers report.
    pub(super) fn set_loss(&mut self, percent: u8) {
        self.encoder.set_loss(percent);
    }

    /// Encodes the 20 ms of this number and appends what came of it to `out`.
    pub(super) fn make(&mut self, frame: u64, pcm: &[i16], out: &mut Vec<u8>) -> Step {
        let samples = match &mut self.resampler {
            None => pcm,
            Some(resampler) => {
                let len = resampler.run(pcm, &mut self.resampled);
                &self.resampled[..len]
            }
        };
        let sent = |encoded: Result<plenum_engines::EncodedAudio, _>| encoded.is_ok_and(|encoded| encoded.send);
        if self.encoder.frame() != LONG {
            let (number, timestamp) = (frame, (frame * self.ticks) as u32);
            return match sent(self.encoder.encode(samples, out)) {
                true => Step::Packet { number, timestamp },
                false => Step::Nothing,
            };
        }
        let (turn, at) = (frame / 3, (frame % 3) as usize);
        // What is there already in each of the three: anything else is from before something was left out.
        if self.waiting.len() != [0, PART, 2 * PART - LONG][at] {
            self.waiting.clear();
            if at > 0 {
                return Step::Nothing;
            }
        }
        self.waiting.extend_from_slice(samples);
        let Some(whole) = self.waiting.get(..LONG) else { return Step::Waits };
        let sent = sent(self.encoder.encode(whole, out));
        self.waiting.drain(..LONG);
        let (number, timestamp) = (turn * 2 + at as u64 - 1, turn * 480 + (at as u64 - 1) * LONG as u64);
        if sent { Step::Packet { number, timestamp: timestamp as u32 } } else { Step::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_thirty_milliseconds_are_two_packets_in_sixty_and_stay_in_step() {
        let mut maker = Maker::new(Kernels::best(), Codec::Ilbc30, 0).unwrap();
        let mut make = |frame| {
            let mut out = Vec::new();
            match maker.make(frame, &[0; 960], &mut out) {
                Step::Packet { number, timestamp } => {
                    assert_eq!(out.len(), 50);
                    Some((number, timestamp))
                }
                Step::Waits | Step::Nothing => None,
            }
        };
        // It begins in the middle.
        assert_eq!([1, 2].map(&mut make), [None, None]);
        assert_eq!([3, 4, 5, 6].map(&mut make), [None, Some((2, 480)), Some((3, 720)), None]);
        // Something was left out.
        assert_eq!([8, 9, 10, 11].map(&mut make), [None, None, Some((6, 1440)), Some((7, 1680))]);
    }
}
