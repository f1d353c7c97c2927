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

/// Feeds any bytes to the parsers of this crate, in pieces whose size the first byte gives: what a fuzz target calls.
#[doc(hidden)]
pub fn parse_any(bytes: &[u8]) {
    cmsg::read(bytes);
    let _ = addr::Name::parse(bytes);
    let piece = bytes.first().map_or(1, |b| usize::from(*b) + 1);
    tcp::deframe_any(bytes, piece);
    uring::parse_any(&mut bytes.to_vec());
}
