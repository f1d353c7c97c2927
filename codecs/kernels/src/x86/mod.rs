//! The levels of x86: hand-written scaling for AVX2 and AVX-512, and the simple kernels compiled for each.

pub(crate) mod avx2;
pub(crate) mod avx512;

/// The simple kernels with AVX2.
pub(crate) mod simple2 {
    crate::table::compiled!("avx2");
}

/// The simple kernels with AVX-512.
pub(crate) mod simple512 {
    crate::table::compiled!("avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni");
}
