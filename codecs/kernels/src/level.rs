//! Levels of instructions, found once: the best that the processor has, or the one that `PLENUM_SIMD` names.
//!
//! The invariant that all `unsafe` calls of this crate rest on: a [`Kernels`] exists only for a level that the processor has.

use std::sync::OnceLock;

use crate::scale::scalar;
#[cfg(target_arch = "x86_64")]
use crate::table::PAIRED;
use crate::table::{Far, Table, table};
#[cfg(target_arch = "x86_64")]
use crate::x86::{avx2, avx512};

/// A set of instructions that kernels exist for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every processor of the architecture has.
    Scalar,
    /// ARM's Advanced SIMD.
    Neon,
    /// x86 with AVX2 (2013 on).
    Avx2,
    /// x86 with AVX-512 F, BW, DQ, VL, VBMI and VNNI (Ice Lake, Zen 4 and later).
    Avx512,
}

impl Level {
    /// All levels, slowest first.
    pub const ALL: [Level; 4] = [Level::Scalar, Level::Neon, Level::Avx2, Level::Avx512];

    /// The name that `PLENUM_SIMD` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Neon => "neon",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|l| l.name() == name)
    }

    /// Whether this processor has the level.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Level::Scalar => true,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[allow(unreachable_patterns, reason = "which levels remain depends on the architecture")]
            _ => false,
        }
    }
}

/// The kernels of one level, ready to use. Copying costs nothing.
#[derive(Clone, Copy)]
pub struct Kernels {
    level: Level,
    pub(crate) table: &'static Table,
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kernels({})", self.level.name())
    }
}

impl Kernels {
    /// The fastest level that the processor has. The environment variable `PLENUM_SIMD` (`scalar`, `neon`, `avx2`, `avx512`) names another; one
    /// that is unknown or absent here is passed over. Looked at once a process.
    #[must_use]
    pub fn best() -> Kernels {
        static BEST: OnceLock<Kernels> = OnceLock::new();
        *BEST.get_or_init(|| {
            let forced = std::env::var("PLENUM_SIMD").ok().and_then(|name| Level::from_name(&name));
            let best = Level::ALL.into_iter().rev().find_map(Kernels::at);
            forced.and_then(Kernels::at).or(best).unwrap_or(Kernels { level: Level::Scalar, table: &SCALAR })
        })
    }

    /// The kernels of `level`, if the processor has it.
    #[must_use]
    pub fn at(level: Level) -> Option<Kernels> {
        if !level.is_available() {
            return None;
        }
        let table = match level {
            Level::Scalar => &SCALAR,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => &NEON,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &AVX2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => &AVX512,
            #[allow(unreachable_patterns, reason = "which levels remain depends on the architecture")]
            _ => return None,
        };
        Some(Kernels { level, table })
    }

    /// Which level this is.
    #[must_use]
    pub fn level(self) -> Level {
        self.level
    }
}

static SCALAR: Table =
    table!([1, 1], 16, Far::Turned(scalar::sums, scalar::columns), crate::scale::scalar, crate::plain);
#[cfg(target_arch = "x86_64")]
static AVX2: Table = table!([8, 4], 16, Far::Turned(avx2::sums, avx2::columns), crate::x86::avx2, crate::x86::simple2);
#[cfg(target_arch = "x86_64")]
static AVX512: Table =
    table!([32, 32], PAIRED, Far::Gathered(avx512::gather), crate::x86::avx512, crate::x86::simple512);
#[cfg(target_arch = "aarch64")]
static NEON: Table =
    table!([8, 4], 16, Far::Turned(crate::neon::sums, crate::neon::columns), crate::neon, crate::plain);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_found_by_its_name_and_scalar_is_everywhere() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
            assert_eq!(Kernels::at(level).map(Kernels::level), level.is_available().then_some(level));
        }
        assert_eq!(Level::from_name("mmx"), None);
        assert!(Level::Scalar.is_available());
    }

    #[test]
    fn the_environment_forces_a_level() {
        let best = Level::ALL.into_iter().rev().find(|l| l.is_available());
        // Whoever forces a level tests it, and is told when that is not so.
        let wanted = std::env::var("PLENUM_SIMD").ok().map(|name| {
            let level = Level::from_name(&name).unwrap_or_else(|| panic!("PLENUM_SIMD={name} is no level"));
            assert!(level.is_available(), "PLENUM_SIMD={name}: this processor has no such instructions");
            level
        });
        assert_eq!(Some(Kernels::best().level()), wanted.or(best));
    }
}
