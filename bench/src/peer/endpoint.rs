//! What a driver of sockets needs of a peer, on whatever stack it stands: bytes and time in, bytes out, counters.

use super::{Peer, PeerStats, Sink};
use plenum_packet::{Path, Time};
use std::net::SocketAddr;

/// A peer without I/O.
pub trait Endpoint {
    /// Its own address.
    fn address(&self) -> SocketAddr;
    /// Whether its transport is up.
    fn is_up(&self) -> bool;
    /// Whether somebody speaks into its microphones.
    fn set_speaking(&mut self, speaking: bool);
    /// A packet of the server arrived on `path`, which is as the server sees it.
    fn handle(&mut self, now: Time, path: Path, bytes: &mut [u8], out: &mut Sink<'_>);
    /// When [`Endpoint::handle_timeout`] is due.
    fn poll_timeout(&self) -> Time;
    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Time, out: &mut Sink<'_>);
    /// Says goodbye.
    fn close(&mut self, now: Time, out: &mut Sink<'_>);
    /// Everything that it saw.
    fn stats(&self) -> PeerStats;
    /// Packets with content that it received, each counted once.
    fn media_received(&self) -> u64;
}

impl Endpoint for Peer {
    fn address(&self) -> SocketAddr {
        self.config().path.remote
    }

    fn is_up(&self) -> bool {
        Peer::is_up(self)
    }

    fn set_speaking(&mut self, speaking: bool) {
        Peer::set_speaking(self, speaking);
    }

    fn handle(&mut self, now: Time, path: Path, bytes: &mut [u8], out: &mut Sink<'_>) {
        Peer::handle(self, now, path, bytes, out);
    }

    fn poll_timeout(&self) -> Time {
        Peer::poll_timeout(self)
    }

    fn handle_timeout(&mut self, now: Time, out: &mut Sink<'_>) {
        Peer::handle_timeout(self, now, out);
    }

    fn close(&mut self, now: Time, out: &mut Sink<'_>) {
        Peer::close(self, now, out);
    }

    fn stats(&self) -> PeerStats {
        Peer::stats(self)
    }

    fn media_received(&self) -> u64 {
        Peer::media_received(self)
    }
}
