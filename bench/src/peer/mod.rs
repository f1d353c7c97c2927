//! A synthetic WebRTC peer without I/O, for the simulation and for the load generator.
//!
//! ```text
//!  bytes ─► Peer::handle ─► ICE, DTLS, SRTP ─► slots: frames, NACK, PLI, feedback ─► stats
//!  time  ─► Peer::handle_timeout ─► camera, microphone, pacer ─► sink(path, bytes)
//! ```
//!
//! It behaves as libwebrtc does where a server can tell: full ICE in the controlling role, DTLS client, frame-shaped video with
//! picture ids and temporal layers, simulcast by RID, RTX, transport-wide feedback, pacing. There is no SDP: the caller makes
//! the [`plenum_contract::SessionSpec`] with [`PeerConfig::session_spec`]. Every payload carries a [`stamp::Stamp`], so a
//! receiver knows what it sees without trusting what the server rewrote. Built for checking and load, not for showing pictures.
//! [`ForeignPeer`] does the same on a stack that is none of ours; [`Endpoint`] is what the two have in common.

mod agent;
mod audio;
mod config;
mod data;
mod dtls;
mod endpoint;
mod foreign;
mod frames;
mod ice;
mod nack;
mod pacing;
mod receiver;
mod remb;
mod sender;
mod shared;
mod slot;
pub mod stamp;
mod stats;
mod studio;
mod tap;
mod transport;
mod twcc;
mod video;

pub use agent::{Peer, Sink};
pub use audio::AudioConfig;
pub use config::{Guarding, PeerConfig, Publish, Slots, credentials};
pub use data::Message;
pub use endpoint::Endpoint;
pub use foreign::ForeignPeer;
pub use receiver::Watch;
pub use shared::Shared;
pub use stats::{PeerStats, SlotStats};
pub use video::{Encoding, Rate, VideoConfig};
