//! iLBC (RFC 3951): 8 kHz at 15.2 kbit/s (20 ms, 38 bytes) or 13.3 kbit/s (30 ms, 50 bytes), made for lost packets: no frame needs another.
//!
//! Written after the RFC's text. The decoder leaves out the enhancer (4.6), which smooths what it decodes, and fills lost frames with
//! [`Concealer`]. The encoder searches the whole codebook where the RFC's looks at parts of it.

mod frame;
mod lpc;
mod residual;
mod tables;

pub(crate) use frame::Length;

use plenum_kernels::Rate;

use self::frame::{BLOCK, Frame, SUB};
use self::lpc::{Analysis, HighPass, Lpc, Lsf, ORDER, dequantised, interpolated, quantised, widened};
use self::tables::{HIGH_PASS_IN, HIGH_PASS_OUT, LSF_MEAN};
use crate::audio::{AudioDecoder, AudioEncoder, EncodedAudio};
use crate::conceal::Concealer;
use crate::video::{DecodeError, EncodeError};

/// The frequencies that a frame's indices stand for.
fn sets(frame: &Frame) -> [Lsf; 2] {
    let first = dequantised(&frame.lsf[..3]);
    [first, if frame.length.sets() == 2 { dequantised(&frame.lsf[3..]) } else { first }]
}

/// A decoder of both lengths, and of payloads with several frames of one.
pub(crate) struct Decoder {
    old: Lsf,
    /// The synthesis filter's memory.
    past: [f32; ORDER],
    output: HighPass,
    concealer: Concealer,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Decoder {
            old: LSF_MEAN,
            past: [0.0; ORDER],
            output: HighPass::new(&HIGH_PASS_OUT),
            concealer: Concealer::new(Rate::Hz8000),
        }
    }

    fn frame(&mut self, frame: &mut Frame, out: &mut [i16]) {
        let sets = sets(frame);
        let lpc = interpolated(frame.length, &self.old, &sets);
        self.old = sets[frame.length.sets() - 1];
        let residual = residual::assemble(frame, &lpc, |_, _, _| {});
        let mut voice = [0.0; ORDER + BLOCK];
        voice[..ORDER].copy_from_slice(&self.past);
        let samples = frame.length.samples();
        voice[ORDER..ORDER + samples].copy_from_slice(&residual[..samples]);
        for (sub, lpc) in lpc[..frame.length.subs()].iter().enumerate() {
            let from = ORDER + sub * SUB;
            lpc::all_pole(&mut voice, from, from + SUB, lpc);
        }
        // Bent payloads can drive the filter beyond all bounds; it starts anew then.
        let voice = &mut voice[..ORDER + samples];
        if voice.iter().any(|x| x.abs() > 1e6 || x.is_nan()) {
            voice.fill(0.0);
            self.output = HighPass::new(&HIGH_PASS_OUT);
        }
        self.past.copy_from_slice(&voice[samples..]);
        self.output.run(&mut voice[ORDER..]);
        for (sample, value) in out.iter_mut().zip(&voice[ORDER..]) {
            *sample = value.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16;
        }
    }
}

impl AudioDecoder for Decoder {
    fn rate(&self) -> Rate {
        Rate::Hz8000
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        if payload.is_empty() {
            return Err(DecodeError::Empty);
        }
        let whole = |length: &Length| payload.len().is_multiple_of(length.bytes());
        let Some(length) = [Length::Ms20, Length::Ms30].into_iter().find(whole) else {
            return Err(DecodeError::Corrupt(0));
        };
        let samples = payload.len() / length.bytes() * length.samples();
        let out = out.get_mut(..samples).ok_or(DecodeError::Room(samples))?;
        for (bytes, out) in payload.chunks(length.bytes()).zip(out.chunks_mut(length.samples())) {
            match Frame::read(bytes) {
                Some(mut frame) => {
                    self.frame(&mut frame, out);
                    self.concealer.heard(out);
                }
                // Empty, or bent where it shows: as if it had been lost.
                None => self.concealer.fill(out),
            }
        }
        Ok(samples)
    }

    fn conceal(&mut self, out: &mut [i16]) -> usize {
        self.concealer.fill(out);
        out.len()
    }
}

/// An encoder of one length.
pub(crate) struct Encoder {
    length: Length,
    input: HighPass,
    analysis: Analysis,
    /// The last frame's frequencies, as analysed and as quantised.
    old: [Lsf; 2],
    /// What the prediction looks back to.
    past: [f32; ORDER],
}

impl Encoder {
    pub(crate) fn new(length: Length) -> Self {
        Encoder {
            length,
            input: HighPass::new(&HIGH_PASS_IN),
            analysis: Analysis::new(),
            old: [LSF_MEAN; 2],
            past: [0.0; ORDER],
        }
    }

    /// What is left of the voice after prediction.
    fn residual(&mut self, voice: &[f32], lpc: &[Lpc]) -> [f32; BLOCK] {
        let mut wide = [0.0; ORDER + BLOCK];
        wide[..ORDER].copy_from_slice(&self.past);
        wide[ORDER..ORDER + voice.len()].copy_from_slice(voice);
        self.past.copy_from_slice(&wide[voice.len()..voice.len() + ORDER]);
        std::array::from_fn(|n| lpc[n / SUB].iter().enumerate().map(|(k, a)| a * wide[ORDER + n - k]).sum())
    }
}

impl AudioEncoder for Encoder {
    fn rate(&self) -> Rate {
        Rate::Hz8000
    }

    fn frame(&self) -> usize {
        self.length.samples()
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<EncodedAudio, EncodeError> {
        if pcm.len() != self.frame() {
            return Err(EncodeError::Samples(pcm.len()));
        }
        let length = self.length;
        let mut voice = [0.0; BLOCK];
        voice.iter_mut().zip(pcm).for_each(|(value, sample)| *value = f32::from(*sample));
        let voice = &mut voice[..pcm.len()];
        self.input.run(voice);
        let analysed = self.analysis.run(length, voice);
        let mut frame = Frame::new(length);
        for (index, lsf) in frame.lsf.as_chunks_mut::<3>().0.iter_mut().zip(&analysed).take(length.sets()) {
            *index = quantised(lsf);
        }
        let known = sets(&frame);
        let lpc = interpolated(length, &self.old[1], &known);
        let weight = interpolated(length, &self.old[0], &analysed).map(|lpc| widened(&lpc, 0.4222));
        self.old = [analysed[length.sets() - 1], known[length.sets() - 1]];
        let residual = self.residual(voice, &lpc);
        let short = length.short();
        (frame.start, frame.first) = residual::classify(&residual, length.subs(), short);
        let pair = &residual[(usize::from(frame.start) - 1) * SUB..][..2 * SUB];
        let state = if frame.first == 1 { &pair[..short] } else { &pair[2 * SUB - short..] };
        residual::search_state(&mut frame, state, &lpc, &weight);
        residual::assemble(&mut frame, &lpc, |part, memory, block| {
            residual::search_block(part, memory, &residual, &weight[part.sub], block);
        });
        frame.write(out);
        Ok(EncodedAudio { send: true })
    }
}
