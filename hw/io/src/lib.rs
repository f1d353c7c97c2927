//! The [`PacketIo`](plenum_packet::PacketIo) back-ends: `mmsg`, `uring`, and ICE over TCP beside either.
//!
//! [`Io`] joins one UDP back-end with the TCP connections of a shard and dispatches by enum. One thread drives it; only
//! a [`Waker`] may be used from others. Sockets, memory for receiving and for messages are made when it opens: nothing
//! is allocated per packet. This crate knows no protocol above UDP and the framing of RFC 4571.

mod addr;
mod clock;
mod cmsg;
mod dispatch;
mod memory;
mod mmsg;
mod outbox;
mod show;
mod socket;
mod tcp;
mod uring;
mod waker;

pub use dispatch::{Io, Kind, UnknownKind};
pub use socket::Options;
pub use waker::Waker;
