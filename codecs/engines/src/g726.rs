//! G.726: ADPCM at 16, 24, 32 and 40 kbit/s, 8 kHz (ITU-T G.726), packed as RFC 3551 4.5.4 says: the first code in the lowest bits.
//!
//! The names are the recommendation's; its blocks stand in the order of their signals. Arithmetic is the recommendation's fixed point, so
//! both ends keep the same state. Samples are linear: 14 of the 16 bits count.

use plenum_kernels::Rate;

use crate::audio::{AudioDecoder, AudioEncoder, EncodedAudio};
use crate::conceal::Concealer;
use crate::video::{DecodeError, EncodeError};

/// Bits a code, 2 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bits {
    Two,
    Three,
    Four,
    Five,
}

/// What a rate's codes mean, by their magnitude.
struct Codes {
    bits: u32,
    /// Least `DLN` of each magnitude but 0 (QUAN).
    least: &'static [i32],
    /// `DQLN` (RECONST), `W(I)` (FUNCTW) and `F(I)` (FUNCTF) of each magnitude.
    quantised: &'static [i32],
    scale: &'static [i32],
    speed: &'static [i32],
}

static CODES: [Codes; 4] = [
    Codes { bits: 2, least: &[261], quantised: &[116, 365], scale: &[-22, 439], speed: &[0, 7] },
    Codes {
        bits: 3,
        least: &[8, 218, 331],
        quantised: &[-2048, 135, 273, 373],
        scale: &[-4, 30, 137, 582],
        speed: &[0, 1, 2, 7],
    },
    Codes {
        bits: 4,
        least: &[-124, 80, 178, 246, 300, 349, 400],
        quantised: &[-2048, 4, 135, 213, 273, 323, 373, 425],
        scale: &[-12, 18, 41, 64, 112, 198, 355, 1122],
        speed: &[0, 0, 0, 1, 1, 1, 3, 7],
    },
    Codes {
        bits: 5,
        least: &[-122, -16, 68, 139, 198, 250, 298, 339, 378, 413, 445, 475, 502, 528, 553],
        quantised: &[-2048, -66, 28, 104, 169, 224, 274, 318, 358, 395, 429, 459, 488, 514, 539, 566],
        scale: &[14, 14, 24, 39, 40, 41, 58, 100, 141, 179, 219, 280, 358, 440, 529, 696],
        speed: &[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6],
    },
];

/// A number of the predictor's delay lines: sign, exponent and six bits of mantissa (FLOATA, FLOATB).
#[derive(Debug, Clone, Copy)]
struct Float {
    negative: bool,
    exponent: u32,
    mantissa: i32,
}

impl Float {
    const ZERO: Float = Float { negative: false, exponent: 0, mantissa: 32 };

    fn new(negative: bool, magnitude: i32) -> Self {
        let exponent = 32 - (magnitude as u32).leading_zeros();
        let mantissa = if magnitude == 0 { 32 } else { (magnitude << 6) >> exponent };
        Float { negative, exponent, mantissa }
    }

    /// The product with a coefficient (FMULT).
    fn times(self, coefficient: i32) -> i32 {
        let magnitude = (coefficient >> 2).abs() & 8191;
        let other = Float::new(coefficient < 0, magnitude);
        let exponent = self.exponent + other.exponent;
        let mantissa = (self.mantissa * other.mantissa + 48) >> 4;
        let product = if exponent <= 26 {
            (mantissa << 7) >> (26 - exponent)
        } else {
            ((mantissa << 7) << (exponent - 26)) & 32767
        };
        if self.negative == other.negative { product } else { -product }
    }
}

/// The state that encoder and decoder share.
struct Adpcm {
    codes: &'static Codes,
    /// Predictor: poles, zeros, and what they look at.
    a: [i32; 2],
    b: [i32; 6],
    sr: [Float; 2],
    dq: [Float; 6],
    /// Signs of the last two partial reconstructions.
    pk: [bool; 2],
    /// Scale: fast, slow, and the speed control's averages.
    yu: i32,
    yl: i32,
    dms: i32,
    dml: i32,
    ap: i32,
    /// A tone was detected.
    td: bool,
}

/// What is predicted before a sample: the estimate, its zeros' part, and the scale.
struct Predicted {
    se: i32,
    sez: i32,
    y: i32,
}

impl Adpcm {
    fn new(bits: Bits) -> Self {
        Adpcm {
            codes: &CODES[bits as usize],
            a: [0; 2],
            b: [0; 6],
            sr: [Float::ZERO; 2],
            dq: [Float::ZERO; 6],
            pk: [false; 2],
            yu: 544,
            yl: 34_816,
            dms: 0,
            dml: 0,
            ap: 0,
            td: false,
        }
    }

    /// FMULT, ACCUM; LIMA, MIX.
    fn predict(&self) -> Predicted {
        let wrap = |sum: i32| i32::from(sum as i16);
        let sezi = wrap(self.dq.iter().zip(self.b).map(|(dq, b)| dq.times(b)).sum());
        let sei = wrap(sezi + self.sr.iter().zip(self.a).map(|(sr, a)| sr.times(a)).sum::<i32>());
        let al = if self.ap >= 256 { 64 } else { self.ap >> 2 };
        let dif = self.yu - (self.yl >> 6);
        let product = if dif < 0 { -((-dif * al) >> 6) } else { (dif * al) >> 6 };
        Predicted { se: sei >> 1, sez: sezi >> 1, y: (self.yl >> 6) + product }
    }

    /// SUBTA, LOG, SUBTB, QUAN: the code of a sample of 14 bits.
    fn quantise(&self, sample: i32, predicted: &Predicted) -> u8 {
        let d = sample - predicted.se;
        let magnitude = d.abs() & 32767;
        let exponent = if magnitude == 0 { 0 } else { magnitude.ilog2() as i32 };
        let dl = (exponent << 7) + (((magnitude << 7) >> exponent) & 127);
        let dln = dl - (predicted.y >> 2);
        let code = self.codes.least.iter().take_while(|least| dln >= **least).count() as u8;
        let all = ((1u32 << self.codes.bits) - 1) as u8;
        // With two bits a positive 0 is a code of its own; else all zeros is never sent.
        if d < 0 || code == 0 && self.codes.bits > 2 { all - code } else { code }
    }

    /// Takes a code: the reconstructed sample of 14 bits (a little more where it overshoots), and the next state.
    fn step(&mut self, code: u8, predicted: &Predicted) -> i32 {
        let sign = code >> (self.codes.bits - 1) & 1 == 1;
        let all = ((1u32 << self.codes.bits) - 1) as u8;
        let index = usize::from(if sign { all - code } else { code }) & (self.codes.quantised.len() - 1);
        // RECONST, ADDA, ANTILOG.
        let dql = self.codes.quantised[index] + (predicted.y >> 2);
        let dqmag = if dql < 0 { 0 } else { ((128 + (dql & 127)) << 7) >> (14 - (dql >> 7 & 15)) };
        let dq = if sign { -dqmag } else { dqmag };
        // ADDB.
        let sr = i32::from((predicted.se + dq) as i16);
        let transition = self.is_transition(dqmag);
        self.adapt_predictor(dq, sign, dqmag, dq + predicted.sez, transition);
        self.sr = [Float::new(sr < 0, sr.abs() & 32767), self.sr[0]];
        self.adapt_scale(index, predicted.y, transition);
        sr
    }

    /// TRANS: a jump out of a tone.
    fn is_transition(&self, dqmag: i32) -> bool {
        let ylint = self.yl >> 15;
        let thr = if ylint > 9 { 31 << 10 } else { (32 + (self.yl >> 10 & 31)) << ylint };
        self.td && dqmag > (thr + (thr >> 1)) >> 1
    }

    /// ADDC, UPA1, UPA2, LIMC, LIMD, UPB, TONE, TRIGB and the delay lines.
    fn adapt_predictor(&mut self, dq: i32, sign: bool, dqmag: i32, dqsez: i32, transition: bool) {
        let pk0 = dqsez < 0;
        let same = [pk0 == self.pk[0], pk0 == self.pk[1]];
        let [a1, a2] = self.a;
        let (mut uga1, mut uga2) = (0, 0);
        if dqsez != 0 {
            uga1 = if same[0] { 192 } else { -192 };
            let fa1 = a1.clamp(-8191, 8191) << 2;
            uga2 = (if same[1] { 16384 } else { -16384 } + if same[0] { -fa1 } else { fa1 }) >> 7;
        }
        let a2 = (a2 + uga2 - (a2 >> 7)).clamp(-12288, 12288);
        let limit = 15360 - a2;
        let a1 = (a1 + uga1 - (a1 >> 8)).clamp(-limit, limit);
        let leak = if self.codes.bits == 5 { 9 } else { 8 };
        for (b, past) in self.b.iter_mut().zip(self.dq) {
            let ugb = match (dqmag, past.negative == sign) {
                (0, _) => 0,
                (_, true) => 128,
                (_, false) => -128,
            };
            *b += ugb - (*b >> leak);
        }
        self.a = [a1, a2];
        self.td = a2 < -11776;
        if transition {
            (self.a, self.b, self.td) = ([0; 2], [0; 6], false);
        }
        self.dq.rotate_right(1);
        self.dq[0] = Float::new(sign, dq.abs());
        self.pk = [pk0, self.pk[0]];
    }

    /// FUNCTF, FILTA, FILTB, SUBTC, FILTC, TRIGA; FUNCTW, FILTD, LIMB, FILTE.
    fn adapt_scale(&mut self, index: usize, y: i32, transition: bool) {
        let fi = self.codes.speed[index];
        self.dms += ((fi << 9) - self.dms) >> 5;
        self.dml += ((fi << 11) - self.dml) >> 7;
        let steady = y >= 1536 && ((self.dms << 2) - self.dml).abs() < self.dml >> 3 && !self.td;
        self.ap += ((if steady { 0 } else { 1 << 9 }) - self.ap) >> 4;
        if transition {
            self.ap = 256;
        }
        self.yu = (y + (((self.codes.scale[index] << 5) - y) >> 5)).clamp(544, 5120);
        self.yl += self.yu + (-self.yl >> 6);
    }
}

/// A decoder.
pub(crate) struct Decoder {
    state: Adpcm,
    concealer: Concealer,
}

impl Decoder {
    pub(crate) fn new(bits: Bits) -> Self {
        Decoder { state: Adpcm::new(bits), concealer: Concealer::new(Rate::Hz8000) }
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
        let bits = self.state.codes.bits;
        let samples = payload.len() * 8 / bits as usize;
        let out = out.get_mut(..samples).ok_or(DecodeError::Room(samples))?;
        let (mut bytes, mut held, mut have) = (payload.iter(), 0u32, 0);
        for sample in out.iter_mut() {
            if have < bits {
                held |= u32::from(bytes.next().copied().unwrap_or_default()) << have;
                have += 8;
            }
            let code = (held & ((1 << bits) - 1)) as u8;
            (held, have) = (held >> bits, have - bits);
            let predicted = self.state.predict();
            let made = self.state.step(code, &predicted);
            *sample = (made << 2).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
        self.concealer.heard(out);
        Ok(samples)
    }

    fn conceal(&mut self, out: &mut [i16]) -> usize {
        self.concealer.fill(out);
        out.len()
    }
}

/// An encoder.
pub(crate) struct Encoder(Adpcm);

impl Encoder {
    pub(crate) fn new(bits: Bits) -> Self {
        Encoder(Adpcm::new(bits))
    }
}

impl AudioEncoder for Encoder {
    fn rate(&self) -> Rate {
        Rate::Hz8000
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<EncodedAudio, EncodeError> {
        if pcm.len() != self.frame() {
            return Err(EncodeError::Samples(pcm.len()));
        }
        let (mut held, mut have) = (0u32, 0);
        for sample in pcm {
            let predicted = self.0.predict();
            let code = self.0.quantise(i32::from(*sample) >> 2, &predicted);
            self.0.step(code, &predicted);
            held |= u32::from(code) << have;
            have += self.0.codes.bits;
            while have >= 8 {
                out.push(held as u8);
                (held, have) = (held >> 8, have - 8);
            }
        }
        // 160 codes of 2 to 5 bits are whole bytes.
        Ok(EncodedAudio { send: true })
    }
}
