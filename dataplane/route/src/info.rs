//! What routing knows of a packet: plain `Copy` values, made once per received packet and read by every subscriber.
//!
//! [`Arrival`] is what the session and the payload parsers found; [`PacketInfo`] adds what the track knows. Neither holds
//! bytes: the payload is a weak reference into the track's cache.

use plenum_packet::{PacketRef, Time};
use plenum_wire::PlanExtensions;

/// Most simulcast encodings of a track.
pub const MAX_ENCODINGS: usize = 4;
/// Most spatial layers of an encoding that are told apart; higher ones count as the last.
pub const MAX_SPATIAL: usize = 4;
/// Most temporal layers of an encoding that are told apart; higher ones count as the last.
pub const MAX_TEMPORAL: usize = 4;

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RTP audio.
    Audio,
    /// RTP video.
    Video,
}

/// A payload format, as far as forwarding tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 2198 around Opus.
    Red,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
    /// RFC 4733.
    TelephoneEvent,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// AOMedia's RTP payload format.
    Av1,
    /// G.726 at 32 kbit/s.
    G726,
    /// iLBC in frames of 20 ms.
    Ilbc,
    /// iLBC in frames of 30 ms.
    Ilbc30,
}

impl Codec {
    /// Sound or picture.
    pub const fn kind(self) -> Kind {
        match self {
            Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::H265 | Codec::Av1 => Kind::Video,
            _ => Kind::Audio,
        }
    }
}

/// Codec, profile and RTP clock: what both sides must agree on for a payload to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// H.264 profile and packetization mode, VP9 or AV1 profile; 0 where the codec has none.
    pub profile: u32,
    /// RTP clock in Hz.
    pub clock: u32,
}

/// A layer of a track: which encoding, and up to which spatial and temporal layer of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Layer {
    /// Simulcast encoding, 0 = smallest.
    pub encoding: u8,
    /// Highest spatial layer, 0 = base.
    pub spatial: u8,
    /// Highest temporal layer, 0 = base.
    pub temporal: u8,
}

/// A picture id with its width on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// The value, 7 or 15 bits.
    pub value: u16,
    /// Whether it has 15 bits.
    pub wide: bool,
}

impl PictureId {
    /// All bits that the width has.
    pub const fn mask(self) -> u16 {
        if self.wide { 0x7fff } else { 0x7f }
    }
}

/// What a RED payload (RFC 2198) holds, as far as cutting needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedBlocks {
    /// Payload type of the primary block as the sender numbers it.
    pub payload_type: u8,
    /// Offset of the primary block's data in the payload.
    pub primary_start: u16,
    /// Bytes of the primary block's data.
    pub primary_len: u16,
    /// Timestamp offset of the oldest redundant block, 0 when there is none.
    pub oldest_offset: u16,
}

/// What the payload descriptor says of the frame this packet belongs to. The default suits audio and codecs without
/// layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// A decoder can start with this packet: it is the first of a key frame (with its parameter sets).
    pub key: bool,
    /// First packet of a layer frame.
    pub begins: bool,
    /// Last packet of a layer frame.
    pub ends: bool,
    /// Spatial layer, 0 = base.
    pub spatial: u8,
    /// Temporal layer, 0 = base.
    pub temporal: u8,
    /// This layer frame depends on no earlier picture of its own spatial layer: a receiver of the layer below may go up
    /// with it (VP9: P bit clear).
    pub spatial_sync: bool,
    /// This frame depends on the base temporal layer alone: a receiver of the layer below may go up with it (VP8: Y bit;
    /// dependency descriptor: "switch" indication).
    pub temporal_sync: bool,
    /// After this frame a receiver may go up to any temporal layer (VP9: U bit).
    pub switch_up: bool,
    /// Picture id (VP8, VP9).
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX (VP8, VP9).
    pub tl0_pic_idx: Option<u8>,
    /// Frame number of the dependency descriptor.
    pub frame_number: Option<u16>,
    /// Size in pixels of this spatial layer, where the packet tells it.
    pub dimensions: Option<(u16, u16)>,
    /// The blocks of a RED payload.
    pub red: Option<RedBlocks>,
}

/// One received packet: decrypted, parsed once.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Simulcast encoding, 0 = smallest.
    pub encoding: u8,
    /// Its SSRC (after RTX was unwrapped): another one starts the encoding's numbers afresh.
    pub ssrc: u32,
    /// Payload format.
    pub format: Format,
    /// RTP sequence number (after RTX was unwrapped).
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker bit.
    pub marker: bool,
    /// When it was received.
    pub received: Time,
    /// The payload without RTP header and padding: offset and bytes in the `Buf`'s packet.
    pub payload: (u16, u16),
    /// What its descriptor says.
    pub frame: Frame,
    /// Header extension values to pass on. `dependency_descriptor` is filled by [`crate::Track::receive`] from
    /// [`Arrival::dependency_descriptor`].
    pub extensions: PlanExtensions,
    /// The raw dependency descriptor: offset and bytes in the `Buf`'s packet.
    pub dependency_descriptor: Option<(u16, u16)>,
}

/// One packet as subscribers see it.
#[derive(Clone, Copy, Debug)]
pub struct PacketInfo {
    /// Simulcast encoding, 0 = smallest.
    pub encoding: u8,
    /// Changes when the encoding's numbers start afresh (another SSRC, or a jump too large to be loss).
    pub epoch: u32,
    /// Payload format.
    pub format: Format,
    /// Sequence number without wrapping, unique in its epoch.
    pub sequence: u64,
    /// Highest sequence number of the encoding received so far.
    pub highest: u64,
    /// RTP timestamp as sent.
    pub timestamp: u32,
    /// When the frame was captured by the sender's wall clock, from its sender reports; by our own clock, if it was made here. All encodings
    /// of a track share that clock; no two tracks do.
    pub captured: Option<Time>,
    /// RTP marker bit.
    pub marker: bool,
    /// When it was received.
    pub received: Time,
    /// When it was captured by our own clock, if it was made here; else when it was received.
    pub taken: Time,
    /// The payload in the cache.
    pub payload: PacketRef,
    /// What its descriptor says.
    pub frame: Frame,
    /// Header extension values to pass on.
    pub extensions: PlanExtensions,
}
