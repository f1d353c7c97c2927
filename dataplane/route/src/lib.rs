//! Selective forwarding: layer choice, rewriting, retransmission cache, key-frame requests.
//!
//! A [`Track`] is what a peer sends: it owns the received packets for a while and tells what it saw as a [`PacketInfo`].
//! A [`Subscriber`] is one slot of a receiver: it turns a `PacketInfo` into a [`plenum_wire::Plan`] or a drop reason.
//! Between them nothing is shared but values, so one track feeds hundreds of subscribers without parsing again.
//!
//! Pure: no clock, no socket, no random source; nothing is allocated per packet after warm-up. Network input was
//! authenticated and parsed before it comes here; odd values still yield drops, never panics.
#![forbid(unsafe_code)]

pub mod cache;
pub mod guard;
pub mod info;
pub mod keyframe;
pub mod layers;
pub mod rate;
pub mod rewrite;
pub mod subscriber;
pub mod track;

#[cfg(test)]
mod testing;

pub use cache::CacheLimits;
pub use info::{Arrival, Codec, Format, Frame, Kind, Layer, PacketInfo, PictureId, RedBlocks};
pub use keyframe::{Ask, Cause, Throttle};
pub use layers::{LayerInfo, Want};
pub use subscriber::{Accepted, Replay, Seed, Subscriber};
pub use track::Track;
