//! Google congestion control (draft-ietf-rmcat-gcc-02) with what libwebrtc learned since: the delay-based part looks
//! for queues that grow, the loss-based part for loss that the rate causes, and a rate control follows both.
//!
//! Each part is a plain state machine over acknowledged packets; [`super::BandwidthEstimator`] joins them.

pub mod aimd;
pub mod delay;
pub mod loss;
pub mod overuse;
pub mod throughput;
pub mod trendline;

pub use delay::{DelayBased, LONG_QUEUE_MS};
pub use overuse::Usage;
