//! What every audio engine is to its caller: the two traits, their settings and results. Sound is mono, 16 bits.
//!
//! A decoder turns a payload into samples and fills what was lost; an encoder takes frames of 20 ms, iLBC's second mode of 30. Opus's second channel is
//! mixed down by the decoder.

use plenum_kernels::Rate;

use crate::video::{DecodeError, EncodeError};

/// An audio codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// Opus (RFC 6716, RFC 7587), 48 kHz.
    Opus,
    /// G.711 µ-law (RFC 3551 payload type 0).
    Pcmu,
    /// G.711 A-law (RFC 3551 payload type 8).
    Pcma,
    /// G.722 at 64 kbit/s, 16 kHz (RFC 3551 payload type 9, whose clock counts 8 kHz).
    G722,
    /// G.726 at 16 kbit/s (RFC 3551 4.5.4).
    G726_16,
    /// G.726 at 24 kbit/s.
    G726_24,
    /// G.726 at 32 kbit/s.
    G726_32,
    /// G.726 at 40 kbit/s.
    G726_40,
    /// iLBC (RFC 3951, RFC 3952); encoded in frames of 20 ms, decoded in both lengths.
    Ilbc,
    /// iLBC, encoded in frames of 30 ms.
    Ilbc30,
}

impl AudioCodec {
    /// Rate of the samples. RTP's clock may be another (G.722 counts 8 kHz, RFC 3551 4.5.2).
    #[must_use]
    pub fn rate(self) -> Rate {
        match self {
            AudioCodec::Opus => Rate::Hz48000,
            AudioCodec::G722 => Rate::Hz16000,
            AudioCodec::Pcmu
            | AudioCodec::Pcma
            | AudioCodec::G726_16
            | AudioCodec::G726_24
            | AudioCodec::G726_32
            | AudioCodec::G726_40
            | AudioCodec::Ilbc
            | AudioCodec::Ilbc30 => Rate::Hz8000,
        }
    }
}

/// How an audio encoder is set up. Codecs of a fixed rate look at none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioSettings {
    /// Target in bit/s; Opus: 6000 to 510,000.
    pub bitrate: u32,
    /// Each packet carries a coarse copy of the one before it, as far as `loss` makes that worth its bits.
    pub fec: bool,
    /// Packets that say nothing new are told by [`EncodedAudio::send`].
    pub dtx: bool,
    /// Loss to be expected, in per cent.
    pub loss: u8,
    /// 0 (cheap) to 10.
    pub complexity: u8,
}

impl Default for AudioSettings {
    /// 32 kbit/s with FEC for 5 % of loss, without DTX, complexity 5.
    fn default() -> Self {
        AudioSettings { bitrate: 32_000, fec: true, dtx: false, loss: 5, complexity: 5 }
    }
}

/// What became of a frame of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedAudio {
    /// Whether the packet should be sent. In DTX's pauses it need not be: the receiver makes comfort noise of its own.
    pub send: bool,
}

/// Decodes one stream of sound.
pub trait AudioDecoder: Send {
    /// Rate of the samples.
    fn rate(&self) -> Rate;

    /// Decodes `payload` into `out` and says how many samples it was. 120 ms fit every payload that [`AudioDecoder`]s accept.
    ///
    /// # Errors
    /// [`DecodeError::Empty`], [`DecodeError::Corrupt`], or [`DecodeError::Room`] when `out` is too short.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError>;

    /// Fills `out` for sound that was lost, as long as the loss was, and says how many samples were written. It fades away.
    fn conceal(&mut self, out: &mut [i16]) -> usize;

    /// Fills `out` for the lost frame right before `next`, from the copy in `next` if it has one, else as [`AudioDecoder::conceal`].
    /// `next` is decoded by [`AudioDecoder::decode`] afterwards.
    ///
    /// # Errors
    /// As [`AudioDecoder::decode`].
    fn decode_fec(&mut self, next: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        let _ = next;
        Ok(self.conceal(out))
    }
}

/// Encodes one stream of sound.
pub trait AudioEncoder: Send {
    /// Rate of the samples.
    fn rate(&self) -> Rate;

    /// Samples of a frame: 20 ms; 30 ms for [`AudioCodec::Ilbc30`].
    fn frame(&self) -> usize {
        self.rate().hz() as usize / 50
    }

    /// Encodes one frame of [`AudioEncoder::frame`] samples and appends the payload to `out`.
    ///
    /// # Errors
    /// [`EncodeError::Samples`] for another length, [`EncodeError::Failed`]. Nothing is appended then.
    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<EncodedAudio, EncodeError>;

    /// A new target in bit/s; codecs of a fixed rate keep theirs.
    fn set_rate(&mut self, bitrate: u32) {
        let _ = bitrate;
    }

    /// The loss that the receivers report, in per cent: how much goes into FEC. Codecs without FEC do not listen.
    fn set_loss(&mut self, percent: u8) {
        let _ = percent;
    }
}
