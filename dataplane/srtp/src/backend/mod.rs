//! Ways to compute: portable code, and wide vectors where the processor has them.
//!
//! A [`Backend`] is chosen once, when a sealer or an opener is made. All of the crate's `unsafe` stands in this folder, and
//! each of its functions has a portable twin that a test compares it with. The vector functions take [`Avx512`], a token
//! that only detection makes: so holding one is the proof that the instructions exist.

#[cfg(target_arch = "x86_64")]
pub(crate) mod aes;
#[cfg(target_arch = "x86_64")]
pub(crate) mod gcm;
#[cfg(target_arch = "x86_64")]
pub(crate) mod sha1_x16;

/// Proof that the processor and the system support AVX-512 (F, BW, VL), VAES and VPCLMULQDQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

/// How to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    Avx512(Avx512),
}

impl Backend {
    /// Works everywhere: aws-lc and the `sha1` crate, which use AES and SHA instructions where there are any.
    pub const PORTABLE: Backend = Backend(Kind::Portable);

    /// The fastest that this machine supports.
    pub fn detect() -> Backend {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("vpclmulqdq")
        {
            return Backend(Kind::Avx512(Avx512(())));
        }
        Backend::PORTABLE
    }

    /// Every back-end of this machine, the portable one first. For tests and benchmarks.
    pub fn available() -> &'static [Backend] {
        const WITH_VECTORS: [Backend; 2] = [Backend::PORTABLE, Backend(Kind::Avx512(Avx512(())))];
        if Backend::detect() == Backend::PORTABLE { &WITH_VECTORS[..1] } else { &WITH_VECTORS }
    }

    /// A name for logs and reports.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            Kind::Avx512(_) => "avx512",
        }
    }

    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "the vector code stands only there"))]
    pub(crate) fn avx512(self) -> Option<Avx512> {
        match self.0 {
            Kind::Portable => None,
            Kind::Avx512(token) => Some(token),
        }
    }
}
