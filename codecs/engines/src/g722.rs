//! G.722 at 64 kbit/s: two bands of ADPCM, 16 kHz, a byte for two samples (ITU-T G.722; RFC 3551 4.5.2, whose clock counts 8 kHz).
//!
//! The names are the recommendation's; the lower band's code is in the lower six bits. Arithmetic is the recommendation's fixed point.

use plenum_kernels::Rate;

use crate::audio::{AudioDecoder, AudioEncoder, EncodedAudio};
use crate::conceal::Concealer;
use crate::video::{DecodeError, EncodeError};

/// Every other tap of the quadrature mirror filter; the taps between are the same from the end (table 11, in units of 2⁻¹³).
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Decision levels of the lower band's magnitudes (table 16).
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// What the upper four bits of a lower code stand for: for prediction (table 17).
const QM4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// What the whole lower code stands for: for output (table 18).
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
/// How the scale moves for the upper four bits (W of table 19, by code).
const WL4: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// The upper band's codes: values, and how the scale moves.
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
const WH2: [i32; 4] = [798, -214, 798, -214];
/// Powers of two in steps of a 32nd (table 20).
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

fn sat(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// Which band, with its own scale.
#[derive(Clone, Copy)]
enum Half {
    Lower,
    Upper,
}

/// One band's state: predictor and scale.
struct Band {
    half: Half,
    /// Estimate: all of it, and the zeros' part.
    s: i32,
    sz: i32,
    a: [i32; 2],
    b: [i32; 6],
    /// The last reconstructed signals and differences, and signs of partial reconstructions.
    r: [i32; 2],
    d: [i32; 6],
    p: [bool; 2],
    nb: i32,
    det: i32,
}

impl Band {
    fn new(half: Half) -> Self {
        let det = match half {
            Half::Lower => 32,
            Half::Upper => 8,
        };
        Band { half, s: 0, sz: 0, a: [0; 2], b: [0; 6], r: [0; 2], d: [0; 6], p: [false; 2], nb: 0, det }
    }

    /// The code of `x` (QUANTL, QUANTH).
    fn quantise(&self, x: i32) -> u8 {
        let e = sat(x - self.s);
        let magnitude = if e < 0 { -(e + 1) } else { e };
        match self.half {
            Half::Lower => {
                let mil = Q6.iter().take_while(|q| magnitude >= (**q * self.det) >> 12).count() as u8;
                match (e < 0, mil) {
                    (true, 0..=1) => 63 - mil,
                    (true, _) => 33 - mil,
                    (false, _) => 61 - mil,
                }
            }
            Half::Upper => {
                let far = magnitude >= (564 * self.det) >> 12;
                u8::from(e >= 0) << 1 | u8::from(!far)
            }
        }
    }

    /// The quantised difference that a code stands for, for prediction.
    fn difference(&self, code: u8) -> i32 {
        let value = match self.half {
            Half::Lower => QM4[usize::from(code >> 2)],
            Half::Upper => QM2[usize::from(code)],
        };
        (self.det * value) >> 15
    }

    /// Takes a code: scale (LOGSCL, SCALEL; LOGSCH, SCALEH) and predictor go on.
    fn step(&mut self, code: u8) {
        let d = self.difference(code);
        let (move_by, most, shift) = match self.half {
            Half::Lower => (WL4[usize::from(code >> 2)], 18432, 8),
            Half::Upper => (WH2[usize::from(code)], 22528, 10),
        };
        self.nb = (((self.nb * 127) >> 7) + move_by).clamp(0, most);
        let (power, shift) = (ILB[(self.nb >> 6 & 31) as usize], shift - (self.nb >> 11));
        self.det = (if shift < 0 { power << -shift } else { power >> shift }) << 2;
        self.adapt(d);
    }

    /// RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, FILTEP, FILTEZ, PREDIC.
    fn adapt(&mut self, d: i32) {
        let r = sat(self.s + d);
        let p = sat(self.sz + d) < 0;
        let same = [p == self.p[0], p == self.p[1]];
        let four = sat(self.a[0] << 2);
        let turned = if same[0] { -four } else { four }.min(32767);
        let a2 = (turned >> 7) + if same[1] { 128 } else { -128 } + ((self.a[1] * 32512) >> 15);
        let a2 = a2.clamp(-12288, 12288);
        let a1 = sat(if same[0] { 192 } else { -192 } + ((self.a[0] * 32640) >> 15));
        let limit = sat(15360 - a2);
        self.a = [a1.clamp(-limit, limit), a2];
        let gain = if d == 0 { 0 } else { 128 };
        for (b, past) in self.b.iter_mut().zip(self.d) {
            let turned = if (past < 0) == (d < 0) { gain } else { -gain };
            *b = sat(turned + ((*b * 32640) >> 15));
        }
        self.d.rotate_right(1);
        self.d[0] = d;
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];
        let product = |coefficient: i32, value: i32| (coefficient * sat(2 * value)) >> 15;
        let poles = sat(product(self.a[0], self.r[0]) + product(self.a[1], self.r[1]));
        self.sz = sat(self.b.iter().zip(self.d).map(|(b, d)| product(*b, d)).sum());
        self.s = sat(poles + self.sz);
    }
}

/// The two bands and the filter's delay line.
struct State {
    lower: Band,
    upper: Band,
    x: [i32; 24],
}

impl State {
    fn new() -> Self {
        State { lower: Band::new(Half::Lower), upper: Band::new(Half::Upper), x: [0; 24] }
    }

    /// Takes two numbers into the delay line and gives the two sums of the filter's halves.
    fn filter(&mut self, pair: [i32; 2]) -> [i32; 2] {
        self.x.rotate_left(2);
        self.x[22..].copy_from_slice(&pair);
        let mut sums = [0; 2];
        for (pair, i) in self.x.as_chunks::<2>().0.iter().zip(0..) {
            sums[0] += pair[0] * QMF[i];
            sums[1] += pair[1] * QMF[11 - i];
        }
        sums
    }
}

/// A decoder.
pub(crate) struct Decoder {
    state: State,
    concealer: Concealer,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Decoder { state: State::new(), concealer: Concealer::new(Rate::Hz16000) }
    }
}

impl AudioDecoder for Decoder {
    fn rate(&self) -> Rate {
        Rate::Hz16000
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        if payload.is_empty() {
            return Err(DecodeError::Empty);
        }
        let samples = payload.len() * 2;
        let out = out.get_mut(..samples).ok_or(DecodeError::Room(samples))?;
        for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(payload) {
            let (low, high) = (byte & 63, byte >> 6);
            let state = &mut self.state;
            let limit = |value: i32| value.clamp(-16384, 16383);
            let rlow = limit(state.lower.s + ((state.lower.det * QM6[usize::from(low)]) >> 15));
            let rhigh = limit(state.upper.s + state.upper.difference(high));
            state.lower.step(low);
            state.upper.step(high);
            let [second, first] = state.filter([rlow + rhigh, rlow - rhigh]);
            *pair = [sat(first >> 11) as i16, sat(second >> 11) as i16];
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
pub(crate) struct Encoder(State);

impl Encoder {
    pub(crate) fn new() -> Self {
        Encoder(State::new())
    }
}

impl AudioEncoder for Encoder {
    fn rate(&self) -> Rate {
        Rate::Hz16000
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<EncodedAudio, EncodeError> {
        if pcm.len() != self.frame() {
            return Err(EncodeError::Samples(pcm.len()));
        }
        for pair in pcm.as_chunks::<2>().0 {
            let [odd, even] = self.0.filter(pair.map(i32::from));
            let (xlow, xhigh) = ((even + odd) >> 14, (even - odd) >> 14);
            let low = self.0.lower.quantise(xlow);
            let high = self.0.upper.quantise(xhigh);
            self.0.lower.step(low);
            self.0.upper.step(high);
            out.push(high << 6 | low);
        }
        Ok(EncodedAudio { send: true })
    }
}
