//! What we tell a peer about its stream, and ask it for: pure bookkeeping, written with `wire`.
//!
//! Bounded state for each stream or transport; no clock, no allocation after warm-up.

pub mod twcc;

pub use twcc::ArrivalRecorder;
