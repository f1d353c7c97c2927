//! iLBC's residual (RFC 3951 3.5, 3.6, 4.2 to 4.4): a start state in the loudest 80 samples, quantised one by one, and around it blocks
//! from a codebook of what is already there, first beside the state, then forward in time, then backward.
//!
//! [`assemble`] is the decoder; the encoder runs it too and chooses each block's indices just before they are used.

use super::frame::{BLOCK, Block, Frame, STATE_LEN, SUB, SUBS};
use super::lpc::{Lpc, ORDER, all_pole};
use super::tables::{EXPAND, GAIN3, GAIN4, GAIN5, SCALE, STATE};

/// The codebook's memory, and as much of it as the block beside the state uses.
const MEMORY: usize = 147;
const STATE_MEMORY: usize = 85;

/// Where a block lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Which of the frame's blocks.
    pub(super) block: usize,
    /// Its first sample, or its last one when it runs backward.
    at: usize,
    pub(super) len: usize,
    backward: bool,
    /// The sub-frame whose weighting filter is used.
    pub(super) sub: usize,
}

impl Part {
    fn position(&self, k: usize) -> usize {
        if self.backward { self.at - k } else { self.at + k }
    }

    /// The part's samples in its direction.
    pub(super) fn of(&self, samples: &[f32; BLOCK]) -> [f32; SUB] {
        std::array::from_fn(|k| if k < self.len { samples[self.position(k)] } else { 0.0 })
    }
}

/// The residual of a frame. `choose` sees each part and the codebook's memory before its block is read.
pub(super) fn assemble(
    frame: &mut Frame,
    lpc: &[Lpc; SUBS],
    mut choose: impl FnMut(Part, &[f32], &mut Block),
) -> [f32; BLOCK] {
    let mut out = [0.0; BLOCK];
    let (start, short) = (usize::from(frame.start), frame.length.short());
    let (subs, first, beside) = (frame.length.subs(), frame.first == 1, STATE_LEN - short);
    let state_at = (start - 1) * SUB;
    let at = if first { state_at } else { state_at + beside };
    state(frame, &lpc[start - 1], &mut out[at..at + short]);
    let mut memory = [0.0; MEMORY];
    let mut fill = |out: &mut [f32; BLOCK], memory: &[f32], part: Part| {
        let block = &mut frame.blocks[part.block];
        choose(part, memory, block);
        let made = constructed(memory, block, part.len);
        for (k, value) in made[..part.len].iter().enumerate() {
            out[part.position(k)] = *value;
        }
        made
    };
    // Beside the state: forward from the memory of it, or backward from its mirror image.
    let part = if first {
        memory[MEMORY - short..].copy_from_slice(&out[at..at + short]);
        Part { block: 0, at: at + short, len: beside, backward: false, sub: start }
    } else {
        (0..short).for_each(|k| memory[MEMORY - 1 - k] = out[at + k]);
        Part { block: 0, at: at - 1, len: beside, backward: true, sub: start - 1 }
    };
    fill(&mut out, &memory[MEMORY - STATE_MEMORY..], part);
    let mut block = 1;
    memory = [0.0; MEMORY];
    memory[MEMORY - STATE_LEN..].copy_from_slice(&out[state_at..state_at + STATE_LEN]);
    for sub in start + 1..subs {
        let made = fill(&mut out, &memory, Part { block, at: sub * SUB, len: SUB, backward: false, sub });
        remember(&mut memory, &made);
        block += 1;
    }
    memory = [0.0; MEMORY];
    for k in 0..(SUB * (subs + 1 - start)).min(MEMORY) {
        memory[MEMORY - 1 - k] = out[state_at + k];
    }
    for sub in (0..start - 1).rev() {
        let part = Part { block, at: sub * SUB + SUB - 1, len: SUB, backward: true, sub };
        let made = fill(&mut out, &memory, part);
        remember(&mut memory, &made);
        block += 1;
    }
    out
}

fn remember(memory: &mut [f32; MEMORY], made: &[f32; SUB]) {
    memory.rotate_left(SUB);
    memory[MEMORY - SUB..].copy_from_slice(made);
}

/// Turns samples round the circle through the all-pass made of the predictor (3.5.1, 4.2), in reversed time on request.
fn all_pass(samples: &[f32], lpc: &Lpc) -> [f32; 58] {
    let (len, mut wide) = (samples.len(), [0.0; 116]);
    // The zeros' part: the predictor backward.
    for (n, value) in wide[..2 * len].iter_mut().enumerate() {
        *value = (0..=ORDER.min(n)).filter(|k| n - k < len).map(|k| lpc[ORDER - k] * samples[n - k]).sum();
    }
    all_pole(&mut wide, 0, 2 * len, lpc);
    std::array::from_fn(|k| if k < len { wide[k] + wide[k + len] } else { 0.0 })
}

/// The quantised part of the start state.
fn state(frame: &Frame, lpc: &Lpc, out: &mut [f32]) {
    let largest = 10f32.powf(SCALE[usize::from(frame.scale) % 64]) / 4.5;
    let len = out.len();
    let mut reversed = [0.0; 58];
    for (k, value) in reversed[..len].iter_mut().enumerate() {
        *value = largest * STATE[usize::from(frame.state[len - 1 - k]) % 8];
    }
    let turned = all_pass(&reversed[..len], lpc);
    out.iter_mut().enumerate().for_each(|(k, value)| *value = turned[len - 1 - k]);
}

/// Chooses the start state's scale and samples (3.5.2, 3.5.3): the quantiser's noise is shaped by the weighting filter.
pub(super) fn search_state(frame: &mut Frame, residual: &[f32], lpc: &[Lpc; SUBS], weight: &[Lpc; SUBS]) {
    let (len, sub) = (residual.len(), usize::from(frame.start) - 1);
    let mut target = all_pass(residual, &lpc[sub]);
    let largest = target[..len].iter().fold(10.0, |most: f32, x| most.max(x.abs()));
    frame.scale = nearest(&SCALE, largest.log10());
    let scale = 4.5 / 10f32.powf(SCALE[usize::from(frame.scale)]);
    target.iter_mut().for_each(|x| *x *= scale);
    // Where the second sub-frame begins.
    let turn = if frame.first == 1 { SUB } else { len - SUB };
    all_pole(&mut target, 0, turn, &weight[sub]);
    all_pole(&mut target, turn, len, &weight[sub + 1]);
    let mut made = [0.0; 58];
    for n in 0..len {
        let weight = if n < turn { &weight[sub] } else { &weight[sub + 1] };
        all_pole(&mut made, n, n + 1, weight);
        let index = nearest(&STATE, target[n] - made[n]);
        frame.state[n] = index;
        made[n] += STATE[usize::from(index)];
    }
}

fn nearest(table: &[f32], value: f32) -> u16 {
    let distance = |i: &usize| (table[*i] - value).abs();
    (0..table.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or_default() as u16
}

/// The gain of a stage, whose scale is the stage before's.
fn gain(stage: usize, index: u16, before: f32) -> f32 {
    let index = usize::from(index);
    match stage {
        0 => GAIN5[index % 32],
        1 => before.abs().max(0.1) * GAIN4[index % 16],
        _ => before.abs().max(0.1) * GAIN3[index % 8],
    }
}

/// Vectors of a codebook: plain ones, for sub-frames also interpolated ones, and as many from the filtered memory (3.6.3).
struct Codebook<'a> {
    memory: &'a [f32],
    filtered: [f32; MEMORY],
    len: usize,
}

impl<'a> Codebook<'a> {
    fn new(memory: &'a [f32], len: usize) -> Self {
        let mut filtered = [0.0; MEMORY];
        for (k, value) in filtered[..memory.len()].iter_mut().enumerate() {
            let tap = |j: usize| (k + j).checked_sub(3).and_then(|at| memory.get(at)).copied().unwrap_or_default();
            *value = (0..8).map(|j| tap(j) * EXPAND[7 - j]).sum();
        }
        Codebook { memory, filtered, len }
    }

    /// How many plain vectors there are, and how many in each half.
    fn sizes(&self) -> (usize, usize) {
        let plain = self.memory.len() - self.len + 1;
        (plain, plain + if self.len == SUB { SUB / 2 } else { 0 })
    }

    /// The vector of an index; one beyond the last is the last.
    fn vector(&self, index: usize) -> [f32; SUB] {
        let ((plain, half), end) = (self.sizes(), self.memory.len());
        let (memory, index) =
            if index < half { (self.memory, index) } else { (&self.filtered[..end], (index - half).min(half - 1)) };
        let mut out = [0.0; SUB];
        if index < plain {
            out[..self.len].copy_from_slice(&memory[end - index - self.len..][..self.len]);
            return out;
        }
        // The last samples again and again, blended over five samples.
        let lag = index - plain + SUB / 2;
        for (j, value) in out.iter_mut().enumerate() {
            let newer = memory[end - lag + j % lag];
            let blend = if j < lag { (j + 5).saturating_sub(lag) as f32 * 0.2 } else { 0.0 };
            *value = if blend > 0.0 { (1.0 - blend) * newer + blend * memory[end - 2 * lag + j] } else { newer };
        }
        out
    }
}

/// The block that indices and gains stand for (4.4).
fn constructed(memory: &[f32], block: &Block, len: usize) -> [f32; SUB] {
    let codebook = Codebook::new(memory, len);
    let (mut out, mut before) = ([0.0; SUB], 1.0);
    for stage in 0..3 {
        before = gain(stage, block.gain[stage], before);
        let vector = codebook.vector(usize::from(block.index[stage]));
        out.iter_mut().zip(vector).for_each(|(out, value)| *out += before * value);
    }
    out
}

/// How many plain vectors each stage may choose from: beside the state, the first sub-frame, the others (`search_rangeTbl`).
const RANGES: [[usize; 3]; 3] = [[58, 58, 58], [108, 44, 44], [108, 108, 108]];
/// A vector is not chosen with a larger gain.
const MAX_GAIN: f32 = 1.3;

/// Chooses a block's indices and gains (3.6): stage by stage, what is left of the weighted target.
pub(super) fn search_block(part: Part, memory: &[f32], residual: &[f32; BLOCK], weight: &Lpc, block: &mut Block) {
    let (end, len) = (memory.len(), part.len);
    let mut weighted = [0.0; MEMORY + SUB];
    weighted[..end].copy_from_slice(memory);
    weighted[end..end + len].copy_from_slice(&part.of(residual)[..len]);
    all_pole(&mut weighted, 0, end + len, weight);
    let mut target: [f32; SUB] = std::array::from_fn(|k| if k < len { weighted[end + k] } else { 0.0 });
    let codebook = Codebook::new(&weighted[..end], len);
    let (plain, half) = codebook.sizes();
    let (wanted, mut made, mut gains) = (energy(&target), [0.0; SUB], [1.0; 3]);
    for stage in 0..3 {
        let range = RANGES[part.block.min(2)][stage].min(plain);
        let side = |from: usize| (from..from + range).chain(from + plain..from + half);
        let mut best = (0, 0.0, f32::NEG_INFINITY);
        for index in side(0).chain(side(half)) {
            let vector = codebook.vector(index);
            let cross: f32 = target.iter().zip(vector).map(|(a, b)| a * b).sum();
            let inverse = match energy(&vector) {
                e if e > 0.0 => 1.0 / e,
                _ => 0.0,
            };
            let measure = cross * cross * inverse;
            let allowed = (stage > 0 || cross > 0.0) && (cross * inverse).abs() < MAX_GAIN;
            if allowed && measure > best.2 {
                best = (index, cross * inverse, measure);
            }
        }
        let before = if stage == 0 { 1.0 } else { gains[stage - 1] };
        let choice = [32, 16, 8][stage];
        let off = |index: &u16| (gain(stage, *index, before) - best.1).abs();
        block.index[stage] = best.0 as u16;
        block.gain[stage] = (0..choice).min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or_default();
        gains[stage] = gain(stage, block.gain[stage], before);
        for ((target, made), value) in target.iter_mut().zip(&mut made).zip(codebook.vector(best.0)) {
            *target -= gains[stage] * value;
            *made += gains[stage] * value;
        }
    }
    // The first gain is raised as far as the block stays quieter than what was wanted (3.7).
    let (made, first) = (energy(&made), gains[0]);
    let louder = |index: &u16| {
        let gain = GAIN5[usize::from(*index)];
        made * gain * gain < wanted * first * first && gain < 2.0 * first
    };
    if let Some(raised) = (block.gain[0]..32).rev().find(louder) {
        block.gain[0] = raised;
    }
}

fn energy(samples: &[f32]) -> f32 {
    samples.iter().map(|x| x * x).sum()
}

/// The two sub-frames where the residual is loudest (3.4), counted from 1, and whether its first part is the louder one.
pub(super) fn classify(residual: &[f32; BLOCK], subs: usize, short: usize) -> (u16, u16) {
    const EDGE: [f32; 5] = [1.0 / 6.0, 2.0 / 6.0, 3.0 / 6.0, 4.0 / 6.0, 5.0 / 6.0];
    const PLACE: [f32; 5] = [0.8, 0.9, 1.0, 0.9, 0.8];
    let sub = |n: usize| &residual[n * SUB..][..SUB];
    // The outer five samples of a pair count less.
    let rising = |n: usize| energy(&sub(n)[5..]) + EDGE.iter().zip(sub(n)).map(|(w, x)| w * x * x).sum::<f32>();
    let falling =
        |n: usize| energy(&sub(n)[..35]) + EDGE.iter().zip(sub(n).iter().rev()).map(|(w, x)| w * x * x).sum::<f32>();
    let loud = |n: &usize| (rising(n - 1) + falling(*n)) * PLACE[n - 1 + usize::from(subs == 4)];
    let start = (1..subs).rev().max_by(|a, b| loud(a).total_cmp(&loud(b))).unwrap_or(1);
    let pair = &residual[(start - 1) * SUB..][..STATE_LEN];
    (start as u16, u16::from(energy(&pair[..short]) > energy(&pair[STATE_LEN - short..])))
}
