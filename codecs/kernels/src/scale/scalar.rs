//! The scalar twins of the scaling kernels: they define the arithmetic that every other level repeats bit for bit.

use crate::table::{BLOCK, Block, ByteTaps, QuadTaps};

/// Rounding of the second pass of the narrow way: Q7 × Q14 to bytes.
pub(crate) const ROUND21: i32 = 1 << 20;

/// Q7 words, exact: at most 255 × 128.
pub(crate) fn row4(src: &[u8], taps: &ByteTaps, out: &mut [i16]) {
    for (i, out) in out.iter_mut().enumerate() {
        let window = &src[taps.base[i / taps.group] as usize..];
        let (index, weight) = (&taps.index[4 * i..][..4], &taps.weight[4 * i..][..4]);
        *out = (0..4).map(|k| i16::from(window[usize::from(index[k])]) * i16::from(weight[k])).sum();
    }
}

pub(crate) fn rows14(lines: &[i16], offsets: &[usize], weights: &[i16], out: &mut [u8]) {
    for (x, out) in out.iter_mut().enumerate() {
        let sum = offsets.iter().zip(weights).map(|(o, w)| i32::from(lines[o + x]) * i32::from(*w)).sum::<i32>();
        *out = ((sum + ROUND21) >> 21) as u8;
    }
}

pub(crate) fn rows7(data: &[u8], offsets: &[usize], weights: &[i8], width: usize, _ahead: usize, out: &mut [u8]) {
    for (x, out) in out[..width].iter_mut().enumerate() {
        let sum = offsets.iter().zip(weights).map(|(o, w)| u16::from(data[o + x]) * *w as u16).sum::<u16>();
        *out = ((sum + 64) >> 7) as u8;
    }
}

pub(crate) fn columns7(rows: &[u8], line: usize, taps: &QuadTaps, _scratch: &mut [u32], out: Block<'_>) {
    assert!(out.count <= BLOCK);
    let each = taps.quads * 4;
    for (row, out) in rows
        .chunks_exact(line)
        .zip(out.data.chunks_mut(out.stride))
        .take(out.count)
        .map(|(r, o)| (r, &mut o[..out.width]))
    {
        for (x, out) in out.iter_mut().enumerate() {
            let pixels = &row[taps.first[x] as usize * 4..][..each];
            let sum = pixels
                .iter()
                .zip(&taps.weight[x * each..][..each])
                .map(|(p, w)| i32::from(*p) * i32::from(*w))
                .sum::<i32>();
            *out = ((sum + 64) >> 7) as u8;
        }
    }
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
