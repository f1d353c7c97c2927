//! G.711: µ-law and A-law (ITU-T G.711; RFC 3551 4.5.14), a byte a sample at 8 kHz.
//!
//! Decoding is a table; encoding finds the segment by counting leading zeros. What was lost is filled by [`Concealer`].

use plenum_kernels::Rate;

use crate::audio::{AudioDecoder, AudioEncoder, EncodedAudio};
use crate::conceal::Concealer;
use crate::video::{DecodeError, EncodeError};

/// Which of the two laws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    Mu,
    A,
}

/// The sample of a µ-law byte.
const fn from_mu(byte: u8) -> i16 {
    let byte = !byte;
    let (segment, step) = ((byte >> 4 & 7) as i16, (byte & 15) as i16);
    let magnitude = (((step << 3) + 132) << segment) - 132;
    if byte & 0x80 != 0 { -magnitude } else { magnitude }
}

/// The sample of an A-law byte.
const fn from_a(byte: u8) -> i16 {
    let byte = byte ^ 0x55;
    let (segment, step) = ((byte >> 4 & 7) as i16, (byte & 15) as i16);
    let magnitude = if segment == 0 { (step << 4) + 8 } else { ((step << 4) + 264) << (segment - 1) };
    if byte & 0x80 != 0 { magnitude } else { -magnitude }
}

/// The µ-law byte of a sample (14 bits of it count).
fn to_mu(sample: i16) -> u8 {
    let magnitude = (i32::from(sample).abs() >> 2) + 33;
    let magnitude = magnitude.min(0x1fff) as u32;
    // 33 to 8191: the highest bit is 5 to 12.
    let segment = 31 - magnitude.leading_zeros() - 5;
    let byte = (segment << 4 | magnitude >> (segment + 1) & 15) as u8;
    !(byte | if sample < 0 { 0x80 } else { 0 })
}

/// The A-law byte of a sample (13 bits of it count).
fn to_a(sample: i16) -> u8 {
    let shifted = i32::from(sample) >> 3;
    let (sign, magnitude) = if shifted >= 0 { (0x80, shifted as u32) } else { (0, (-shifted - 1) as u32) };
    let byte = if magnitude < 32 {
        (magnitude >> 1) as u8
    } else {
        let segment = 31 - magnitude.leading_zeros() - 4;
        (segment << 4 | magnitude >> segment & 15) as u8
    };
    (byte | sign) ^ 0x55
}

static TABLES: [[i16; 256]; 2] = {
    let mut tables = [[0; 256]; 2];
    let mut byte = 0;
    while byte < 256 {
        tables[0][byte] = from_mu(byte as u8);
        tables[1][byte] = from_a(byte as u8);
        byte += 1;
    }
    tables
};

/// A decoder of one law.
pub(crate) struct Decoder {
    table: &'static [i16; 256],
    concealer: Concealer,
}

impl Decoder {
    pub(crate) fn new(law: Law) -> Self {
        Decoder { table: &TABLES[law as usize], concealer: Concealer::new(Rate::Hz8000) }
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
        let out = out.get_mut(..payload.len()).ok_or(DecodeError::Room(payload.len()))?;
        for (sample, byte) in out.iter_mut().zip(payload) {
            *sample = self.table[usize::from(*byte)];
        }
        self.concealer.heard(out);
        Ok(payload.len())
    }

    fn conceal(&mut self, out: &mut [i16]) -> usize {
        self.concealer.fill(out);
        out.len()
    }
}

/// An encoder of one law.
pub(crate) struct Encoder(pub(crate) Law);

impl AudioEncoder for Encoder {
    fn rate(&self) -> Rate {
        Rate::Hz8000
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<EncodedAudio, EncodeError> {
        if pcm.len() != self.frame() {
            return Err(EncodeError::Samples(pcm.len()));
        }
        match self.0 {
            Law::Mu => out.extend(pcm.iter().map(|sample| to_mu(*sample))),
            Law::A => out.extend(pcm.iter().map(|sample| to_a(*sample))),
        }
        Ok(EncodedAudio { send: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laws_have_the_values_of_the_recommendation() {
        // ITU-T G.711 tables 1a to 2b, decision values scaled to 16 bits.
        for (byte, sample) in
            [(0x00, -32124), (0x80, 32124), (0x7f, 0), (0xff, 0), (0xf0, 120), (0x8f, 16764), (0x0f, -16764)]
        {
            assert_eq!(from_mu(byte), sample, "µ {byte:02x}");
        }
        for (byte, sample) in
            [(0x2a, -32256), (0xaa, 32256), (0x55, -8), (0xd5, 8), (0xda, 248), (0xc5, 264), (0x80, 5504)]
        {
            assert_eq!(from_a(byte), sample, "A {byte:02x}");
        }
    }

    #[test]
    fn every_byte_comes_back_and_every_sample_goes_to_its_nearest() {
        for byte in 0..=255 {
            // µ-law has a second zero, negative, that no sample makes.
            if byte != 0x7f {
                assert_eq!(to_mu(from_mu(byte)), byte);
            }
            assert_eq!(to_a(from_a(byte)), byte);
        }
        for sample in i16::MIN..=i16::MAX {
            for (table, byte) in [(&TABLES[0], to_mu(sample)), (&TABLES[1], to_a(sample))] {
                let error = (i32::from(table[usize::from(byte)]) - i32::from(sample)).abs();
                // Half of the widest step, 1024, and what is clipped above the highest value.
                assert!(
                    error <= (i32::from(sample).abs() / 32 + 8).max(i32::from(sample).abs() - 32124),
                    "{sample}: {error}"
                );
            }
        }
    }
}
