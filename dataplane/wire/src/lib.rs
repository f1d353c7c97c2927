//! RTP, RTCP, header extensions and payload formats: views that borrow and writers in place.
//!
//! Network bytes yield values or errors, never panics; nothing allocates.

pub mod plan;

pub use plan::{Class, Patch, Plan, PlanExtensions};
