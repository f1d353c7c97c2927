//! The plan of one packet to one receiver: what is left to do once routing has decided.
//!
//! Small and `Copy`. Nothing is parsed again: the payload is a weak reference into the cache, and all that differs from
//! the received packet stands here. Made by `route`, queued, written and sealed by `session`.

use plenum_packet::{PacketRef, Time};

/// One packet to one receiver.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The plaintext payload (no RTP header, no padding) in the cache.
    pub payload: PacketRef,
    /// Index of the receiver's m-line (its slot).
    pub media: u16,
    /// The receiver's payload type.
    pub payload_type: u8,
    /// RTP marker bit.
    pub marker: bool,
    /// Sequence number in the receiver's stream.
    pub sequence: u16,
    /// RTP timestamp in the receiver's stream.
    pub timestamp: u32,
    /// What to change in the payload's descriptor.
    pub patch: Patch,
    /// Header extension values passed on.
    pub extensions: PlanExtensions,
    /// When the packet was received from its sender: residence counts from here.
    pub received: Time,
    /// The moment that the RTP timestamp stands for, by our clock, as near as it is known: sender reports count from here. That of a mix is when
    /// what it shows was captured, the same for sound and picture; of what is forwarded, when it was received.
    pub captured: Time,
    /// How the pacer ranks it.
    pub class: Class,
}

/// How the pacer ranks a packet. Smaller leaves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Sound: never waits.
    Audio,
    /// Retransmissions.
    Retransmission,
    /// Pictures.
    Video,
    /// Probes and padding.
    Probe,
}

/// A change in the payload descriptor, made in the send slot after the payload was copied. Never changes the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// The payload passes unchanged.
    None,
    /// VP8 (RFC 7741): picture id (15 bits, written in the width it had), TL0PICIDX.
    Vp8 {
        /// Picture id in the receiver's stream.
        picture_id: u16,
        /// TL0PICIDX in the receiver's stream.
        tl0_pic_idx: u8,
    },
    /// VP9 (RFC 9628): picture id (15 bits, written in the width it had), TL0PICIDX; and the end-of-frame bit where the
    /// receiver's highest spatial layer is below the sender's.
    Vp9 {
        /// Picture id in the receiver's stream.
        picture_id: u16,
        /// TL0PICIDX in the receiver's stream.
        tl0_pic_idx: u8,
    },
}

/// Values of header extensions that travel from sender to receiver. What the receiver did not negotiate is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanExtensions {
    /// RFC 6464: voice activity in bit 7, level in −dBov below.
    pub audio_level: Option<u8>,
    /// `urn:3gpp:video-orientation`.
    pub video_orientation: Option<u8>,
    /// `playout-delay`: min and max in 10 ms, 12 bits each.
    pub playout_delay: Option<[u8; 3]>,
    /// `abs-capture-time`: the 64-bit NTP capture time.
    pub abs_capture_time: Option<u64>,
    /// The raw dependency descriptor in the cache.
    pub dependency_descriptor: Option<PacketRef>,
    /// Frame number to write over bytes 1 and 2 of the dependency descriptor: continuous in the receiver's stream.
    pub dependency_frame_number: Option<u16>,
}
