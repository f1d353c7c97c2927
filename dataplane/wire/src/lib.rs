//! RTP, RTCP, header extensions and payload formats: views that borrow and writers in place.
//!
//! Network bytes yield values or [`Malformed`], never a panic; nothing allocates, keeps a clock or decides. Offsets are
//! those of the whole packet unless a name says "payload". What a payload means to routing is one [`payload::FrameInfo`].

#![forbid(unsafe_code)]

mod bits;
mod bytes;
pub mod demux;
mod error;
pub mod ext;
pub mod payload;
pub mod plan;
pub mod rtcp;
pub mod rtp;
pub mod seq;
pub mod stun;

pub use error::{Malformed, NoRoom};
pub use ext::Span;
pub use plan::{Class, Patch, Plan, PlanExtensions};
