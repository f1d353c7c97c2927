//! Opus by libopus: 48 kHz, mono, frames of 20 ms out; whatever RFC 6716 allows in.

use opus::{Application, Bitrate, Channels, Decoder as Inner, Encoder as InnerEncoder, ErrorCode, Signal};
use plenum_kernels::Rate;

use crate::audio::{AudioDecoder, AudioEncoder, AudioSettings, EncodedAudio};
use crate::video::{DecodeError, EncodeError};

/// Samples of 2.5 ms: concealment comes in multiples of it.
const STEP: usize = 120;
/// Samples of 120 ms, the longest packet.
const LONGEST: usize = 5760;
/// Longest payload of ours: 20 ms at 510 kbit/s.
const MAX_PAYLOAD: usize = 1275;
/// Longest payload that is decoded: 120 ms of 48 frames, each with its length.
const MAX_IN: usize = 48 * 1277 + 2;

/// An Opus decoder.
pub(crate) struct Decoder(Inner);

impl Decoder {
    pub(crate) fn new() -> Result<Self, DecodeError> {
        Inner::new(48_000, Channels::Mono).map(Decoder).map_err(refused)
    }
}

fn refused(error: opus::Error) -> DecodeError {
    match error.code() {
        ErrorCode::BufferTooSmall => DecodeError::Room(0),
        code => DecodeError::Corrupt(code as i32),
    }
}

impl AudioDecoder for Decoder {
    fn rate(&self) -> Rate {
        Rate::Hz48000
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        match payload.len() {
            0 => return Err(DecodeError::Empty),
            n if n > MAX_IN => return Err(DecodeError::Long(n)),
            _ => {}
        }
        let room = out.len().min(LONGEST);
        let samples = opus::packet::get_nb_samples(payload, 48_000).map_err(refused)?;
        if samples > room {
            return Err(DecodeError::Room(samples));
        }
        self.0.decode(payload, &mut out[..room], false).map_err(refused)
    }

    fn conceal(&mut self, out: &mut [i16]) -> usize {
        let whole = out.len() / STEP * STEP;
        let mut done = 0;
        while done < whole {
            let room = (whole - done).min(LONGEST);
            let Ok(made @ 1..) = self.0.decode(&[], &mut out[done..done + room], false) else { break };
            done += made;
        }
        out[done..].fill(0);
        out.len()
    }

    fn decode_fec(&mut self, next: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        if next.is_empty() {
            return Err(DecodeError::Empty);
        }
        let room = out.len().min(LONGEST) / STEP * STEP;
        if room == 0 {
            return Err(DecodeError::Room(out.len()));
        }
        self.0.decode(next, &mut out[..room], true).map_err(refused)
    }
}

/// An Opus encoder.
pub(crate) struct Encoder(InnerEncoder);

impl Encoder {
    pub(crate) fn new(settings: &AudioSettings) -> Result<Self, EncodeError> {
        let inner = InnerEncoder::new(48_000, Channels::Mono, Application::Voip).map_err(failed)?;
        let mut encoder = Encoder(inner);
        encoder.0.set_bitrate(bitrate(settings.bitrate)).map_err(failed)?;
        encoder.0.set_inband_fec(settings.fec).map_err(failed)?;
        encoder.0.set_dtx(settings.dtx).map_err(failed)?;
        encoder.0.set_signal(Signal::Voice).map_err(failed)?;
        encoder.0.set_complexity(i32::from(settings.complexity.min(10))).map_err(failed)?;
        encoder.set_loss(settings.loss);
        Ok(encoder)
    }
}

fn failed(error: opus::Error) -> EncodeError {
    EncodeError::Failed(error.code() as i32)
}

fn bitrate(bits: u32) -> Bitrate {
    Bitrate::Bits(i32::try_from(bits.clamp(6000, 510_000)).unwrap_or(6000))
}

impl AudioEncoder for Encoder {
    fn rate(&self) -> Rate {
        Rate::Hz48000
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<EncodedAudio, EncodeError> {
        if pcm.len() != self.frame() {
            return Err(EncodeError::Samples(pcm.len()));
        }
        let start = out.len();
        out.resize(start + MAX_PAYLOAD, 0);
        match self.0.encode(pcm, &mut out[start..]) {
            Ok(length) => {
                out.truncate(start + length);
                // Up to two bytes: libopus says that it need not be sent.
                Ok(EncodedAudio { send: length > 2 })
            }
            Err(error) => {
                out.truncate(start);
                Err(failed(error))
            }
        }
    }

    fn set_rate(&mut self, bits: u32) {
        // Only a closed encoder or a rate out of bounds would be refused.
        let _ = self.0.set_bitrate(bitrate(bits));
    }

    fn set_loss(&mut self, percent: u8) {
        let _ = self.0.set_packet_loss_perc(i32::from(percent.min(100)));
    }
}
