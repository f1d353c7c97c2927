//! Helpers of this crate's unit tests.

use crate::info::{Codec, Format, Frame, PacketInfo};
use plenum_packet::{PacketRef, Time};
use plenum_wire::PlanExtensions;

/// A VP8 packet that says nothing.
pub(crate) fn info(payload: PacketRef) -> PacketInfo {
    PacketInfo {
        encoding: 0,
        epoch: 0,
        format: Format { codec: Codec::Vp8, profile: 0, clock: 90_000 },
        sequence: 1 << 16,
        highest: 1 << 16,
        timestamp: 0,
        captured: None,
        marker: false,
        received: Time::ZERO,
        taken: Time::ZERO,
        payload,
        frame: Frame::default(),
        extensions: PlanExtensions::default(),
    }
}
