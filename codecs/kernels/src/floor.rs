//! The memory floor that composing is measured against: nothing can read its inputs and write its output faster.

use crate::view::{I420, I420Mut};

/// How far ahead bytes are fetched, as the kernels do: without it the floor would not be one.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 2048;

/// Reads every byte of the inputs once and writes every byte of the picture once, nothing else. For benchmarks.
pub fn memory_floor<'a>(inputs: impl IntoIterator<Item = I420<'a>>, picture: &mut I420Mut<'_>) {
    let mut sum = 0;
    for input in inputs {
        for plane in [input.y, input.u, input.v] {
            for y in 0..plane.height() {
                sum ^= fold(plane.row(y));
            }
        }
    }
    for plane in [&mut picture.y, &mut picture.u, &mut picture.v] {
        for y in 0..plane.height() {
            plane.row_mut(y).fill(sum as u8);
        }
    }
}

fn fold(row: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide(row: &[u8]) -> u64 {
            narrow(row)
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { wide(row) };
        }
    }
    narrow(row)
}

#[inline(always)]
fn narrow(row: &[u8]) -> u64 {
    let mut lanes = [0; 16];
    for words in row.as_chunks::<128>().0 {
        #[cfg(target_arch = "x86_64")]
        for ahead in [AHEAD, AHEAD + 64] {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch may name any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(words.as_ptr().wrapping_add(ahead).cast()) };
        }
        for (lane, word) in lanes.iter_mut().zip(words.as_chunks::<8>().0) {
            *lane ^= u64::from_ne_bytes(*word);
        }
    }
    lanes.iter().fold(0, |a, b| a ^ b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::I420Buf;

    #[test]
    fn every_byte_of_the_output_is_written() {
        let (one, mut out) = (I420Buf::new(256, 4).expect("a size"), I420Buf::new(33, 9).expect("a size"));
        let mut other = I420Buf::new(256, 4).expect("a size");
        other.view_mut().y.fill(0, 0, 8, 1, 0x51);
        memory_floor([one.view(), other.view()], &mut out.view_mut());
        let view = out.view();
        for plane in [view.y, view.u, view.v] {
            assert!((0..plane.height()).all(|y| plane.row(y).iter().all(|b| *b == 0x51 ^ 0x10)));
        }
    }
}
