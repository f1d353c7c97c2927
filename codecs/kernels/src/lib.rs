//! Kernels of the mixer: pictures are scaled, placed, blended and drawn on; sound is mixed, limited and resampled.
//!
//! Every kernel exists at several [`Level`]s (scalar, AVX2, AVX-512, NEON) that agree bit for bit: the arithmetic is fixed-point, or
//! float operations whose order is defined. The level is detected once ([`Kernels::best`]); `PLENUM_SIMD` forces another.
//!
//! Plans ([`ScalePlan`], [`TilePlan`], [`Resampler`]) hold tables and scratch: made once for a size, they allocate nothing for a frame.
//! The crate decodes nothing, encodes nothing, and knows no layout: callers say which source goes where.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

mod audio;
mod draw;
mod floor;
mod level;
mod overlay;
mod place;
mod plain;
mod scale;
mod table;
mod view;

pub use audio::{LIMIT_KNEE, Rate, Resampler};
pub use draw::Colour;
pub use floor::memory_floor;
pub use level::{Kernels, Level};
pub use overlay::Overlay;
pub use place::{Placement, Rect, TilePlan, cover, fit};
pub use scale::ScalePlan;
pub use view::{I420, I420Buf, I420Mut, MAX_SIDE, Nv12, Nv12Mut, Plane, PlaneMut, SizeError};
