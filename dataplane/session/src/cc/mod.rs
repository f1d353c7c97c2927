//! Congestion control of what we send: how much, and when each packet leaves.
//!
//! ```text
//!   Plan ─► pacer ─► egress ─► on_sent ─► send_history ─┐
//!                                                       │ matched by number
//!   TWCC feedback ─► estimator ─────────────────────────┘
//!        ├─ gcc::delay  queues that grow      ─┐
//!        ├─ gcc::loss   loss that rate causes  ├─► target() ─► layer choice, pacer rate
//!        ├─ probe       is there more?        ─┘
//!   REMB, RR ─► remb    (peers without TWCC)
//! ```
//!
//! Pure modules in virtual time: no clock, no socket, no random source, and no allocation after warm-up. Rates are of
//! the bytes that the caller counts into [`BandwidthEstimator::on_sent`]; count the same bytes in the pacer.

pub mod arrival;
pub mod estimator;
pub mod gcc;
pub mod pacer;
pub mod probe;
pub mod remb;
pub mod send_history;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod stories;

pub use estimator::{BandwidthEstimator, Limits, Snapshot};
pub use pacer::{Paced, Pacer, Popped};
