//! Numbers of one continuous egress stream, made from whatever ingress streams fill it.
//!
//! [`splice`] maps counters that must have no gap where packets were left out on purpose, and must keep their gaps where
//! packets were lost; [`clock`] maps RTP timestamps so that time in the stream passes as it does on the wall;
//! [`pictures`] maps picture ids, TL0PICIDX and frame numbers. Each is told when another ingress stream begins.

pub mod clock;
pub mod pictures;
pub mod splice;

pub use clock::Clock;
pub use pictures::Pictures;
pub use splice::{LeftOut, Splice};
