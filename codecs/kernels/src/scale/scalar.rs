//! The scalar twins of the scaling kernels: they define the arithmetic that every other level repeats bit for bit.

use crate::table::{BLOCK, Block, ByteTaps, PairTaps, Ring, Rows};

/// Q7 words, exact: at most 255 × 128.
pub(crate) fn across(rows: Rows<'_>, taps: &ByteTaps, mut ring: Ring<'_>) {
    let each = taps.each;
    for i in 0..rows.count {
        let src = rows.row(i);
        for (x, out) in ring.line(rows.first + i, taps.outputs).iter_mut().enumerate() {
            let window = &src[taps.base[x / taps.group] as usize..];
            let (index, weight) = (&taps.index[each * x..][..each], &taps.weight[each * x..][..each]);
            *out = index.iter().zip(weight).map(|(i, w)| i16::from(window[usize::from(*i)]) * i16::from(*w)).sum();
        }
    }
}

/// The high half of a product, doubled and rounded: Q7 × Q15 to Q7.
fn scaled(value: i16, weight: i16) -> i16 {
    ((i32::from(value) * i32::from(weight) + (1 << 14)) >> 15) as i16
}

pub(crate) fn down(lines: &[i16], offsets: &[usize], weights: &[i16], _ahead: usize, out: &mut [u8]) {
    for (x, out) in out.iter_mut().enumerate() {
        let sum = if let ([a, b], [_, weight]) = (offsets, weights) {
            let a = lines[a + x];
            a + scaled(lines[b + x] - a, *weight)
        } else {
            offsets.iter().zip(weights).map(|(o, w)| scaled(lines[o + x], *w)).sum()
        };
        *out = ((sum + 64) >> 7) as u8;
    }
}

pub(crate) fn sums(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, _ahead: usize, out: &mut [u16]) {
    for (x, out) in out[..width].iter_mut().enumerate() {
        *out = offsets.iter().zip(weights).map(|(o, w)| u16::from(data[o + x]) * *w as u16).sum();
    }
}

pub(crate) fn columns(rows: &[u16], line: usize, taps: &PairTaps, _scratch: &mut [u32], out: Block<'_>) {
    assert!(out.count <= BLOCK);
    let (each, scale) = (taps.pairs * 2, out.scale);
    for (row, out) in rows
        .chunks_exact(line)
        .zip(out.data.chunks_mut(out.stride))
        .take(out.count)
        .map(|(r, o)| (r, &mut o[..out.width]))
    {
        for (x, byte) in out.iter_mut().enumerate() {
            let sums = &row[taps.first[x] as usize * 2..][..each];
            let weights = &taps.weight[x * each..][..each];
            let sum = sums.iter().zip(weights).map(|(s, w)| i32::from(*s) * i32::from(*w)).sum::<i32>();
            *byte = nearest(sum as f32 * scale);
        }
    }
}

/// To nearest, ties to even, for values from 0 to 255: adding 2²³ leaves the integer in the low bits.
fn nearest(value: f32) -> u8 {
    (value + 8_388_608.0).to_bits() as u8
}

pub(crate) fn halve(rows: [&[u8]; 2], out: &mut [u8]) {
    for (x, out) in out.iter_mut().enumerate() {
        let sum: u16 = rows.iter().flat_map(|r| &r[2 * x..][..2]).map(|p| u16::from(*p)).sum();
        *out = ((sum + 2) >> 2) as u8;
    }
}

pub(crate) fn quarter(rows: [&[u8]; 4], out: &mut [u8]) {
    for (x, out) in out.iter_mut().enumerate() {
        let sum: u16 = rows.iter().flat_map(|r| &r[4 * x..][..4]).map(|p| u16::from(*p)).sum();
        *out = ((sum + 8) >> 4) as u8;
    }
}
