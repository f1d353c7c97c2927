//! What we tell a peer about its stream, and ask it for: pure bookkeeping, written with `wire`.
//!
//! Bounded state for each stream or transport; no clock, no allocation after warm-up. Counters of what we send
//! ourselves live with the slots, in `egress`.

pub mod nack;
pub mod receiver;
pub mod rtt;
pub mod twcc;

pub use nack::NackList;
pub use receiver::ReceptionStats;
pub use rtt::Rtt;
pub use twcc::ArrivalRecorder;
