//! Jitter buffers: packets as they come in, frames in order and in time out.
//!
//! [`VideoBuffer`] makes whole access units, [`AudioBuffer`] says what to play next. Both learn from [`Lateness`] how long to wait. Nothing here
//! decodes; time comes in; memory is bounded by constants and used again.

mod audio;
mod lateness;
mod video;

pub use audio::{AudioBuffer, DRY, MAX_PACKETS, Pull, TARGETS};
pub use lateness::{Lateness, media_time};
pub use video::{CAPACITY, Frame, VideoBuffer, VideoPacket, WAITS};

/// One millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;
