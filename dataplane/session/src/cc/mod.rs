//! Congestion control of what we send: how much, and when each packet leaves.

pub mod arrival;
pub mod estimator;
pub mod gcc;
pub mod pacer;
pub mod probe;
pub mod remb;
pub mod send_history;

pub use estimator::{BandwidthEstimator, Limits};
pub use pacer::Pacer;
