//! Helpers of this crate's tests: a world with one pool, tracks and subscribers in virtual time.

use crate::info::*;
use plenum_packet::{PacketRef, Pool, Time};
use plenum_wire::PlanExtensions;

/// VP8 at 90 kHz.
pub(crate) const VP8: Format = Format { codec: Codec::Vp8, profile: 0, clock: 90_000 };
/// Opus at 48 kHz.
pub(crate) const OPUS: Format = Format { codec: Codec::Opus, profile: 0, clock: 48_000 };
/// RED around Opus.
pub(crate) const RED: Format = Format { codec: Codec::Red, profile: 0, clock: 48_000 };

/// A VP8 packet that says nothing.
pub(crate) fn info(payload: PacketRef) -> PacketInfo {
    PacketInfo {
        encoding: 0,
        epoch: 0,
        format: VP8,
        sequence: 1 << 16,
        highest: 1 << 16,
        timestamp: 0,
        captured: None,
        marker: false,
        received: Time::ZERO,
        payload,
        frame: Frame::default(),
        extensions: PlanExtensions::default(),
    }
}

/// A pool with a packet in it, and a reference to that packet.
pub(crate) fn some_payload() -> (Pool, PacketRef) {
    let mut pool = Pool::new(1);
    let buf = pool.copy_in(0, &[7; 1000]).unwrap();
    let reference = pool.reference(&buf);
    // The slot stays taken as long as the test's pool lives.
    drop(buf);
    (pool, reference)
}
