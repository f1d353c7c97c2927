//! RTP header extensions (RFC 8285), both forms: read into a `Copy` value, written by [`Writer`].
//!
//! What cannot be read ends the reading; what was read before stays. Unknown ids are skipped. The map from ids to kinds
//! is negotiated per m-line and fits in 26 bytes.

mod write;

pub use write::{Writer, Written, abs_send_time, stamp_abs_send_time, stamp_transport_sequence};

use crate::bytes::{u16_at, u24_at, u64_at};
use crate::rtp::{ExtBlock, Header};

/// The header extensions that are read or written. Names are those of the contract's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `sdes:mid` (RFC 9143).
    Mid,
    /// `sdes:rtp-stream-id` (RFC 8852).
    Rid,
    /// `sdes:repaired-rtp-stream-id` (RFC 8852).
    RepairedRid,
    /// `ssrc-audio-level` (RFC 6464).
    AudioLevel,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportSequence,
    /// `abs-send-time`.
    AbsSendTime,
    /// `abs-capture-time`.
    AbsCaptureTime,
    /// `playout-delay`.
    PlayoutDelay,
    /// `urn:3gpp:video-orientation`.
    VideoOrientation,
    /// Dependency descriptor (AV1 RTP payload format, appendix A).
    DependencyDescriptor,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Kind; 10] = [
        Kind::Mid,
        Kind::Rid,
        Kind::RepairedRid,
        Kind::AudioLevel,
        Kind::TransportSequence,
        Kind::AbsSendTime,
        Kind::AbsCaptureTime,
        Kind::PlayoutDelay,
        Kind::VideoOrientation,
        Kind::DependencyDescriptor,
    ];
}

const UNMAPPED: u8 = u8::MAX;

/// Which id means which extension. `Copy`; an id or a kind occurs at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionMap {
    /// The id of each kind; 0 when it was not negotiated.
    ids: [u8; Kind::ALL.len()],
    /// The kind of each id below 16.
    kinds: [u8; 16],
}

impl Default for ExtensionMap {
    fn default() -> Self {
        ExtensionMap { ids: [0; Kind::ALL.len()], kinds: [UNMAPPED; 16] }
    }
}

impl ExtensionMap {
    /// A map of `pairs`. Ids 0 and 15 mean nothing (RFC 8285 sections 4.2 and 4.3) and are left out, as is a pair
    /// whose id or kind is already taken.
    pub fn new(pairs: impl IntoIterator<Item = (u8, Kind)>) -> ExtensionMap {
        let mut map = ExtensionMap::default();
        for (id, kind) in pairs {
            if id == 0 || id == 15 || map.kind_of(id).is_some() || map.id_of(kind).is_some() {
                continue;
            }
            map.ids[kind as usize] = id;
            if id < 16 {
                map.kinds[usize::from(id)] = kind as u8;
            }
        }
        map
    }

    /// The id that was negotiated for `kind`.
    pub fn id_of(&self, kind: Kind) -> Option<u8> {
        match self.ids[kind as usize] {
            0 => None,
            id => Some(id),
        }
    }

    /// The extension that `id` means.
    pub fn kind_of(&self, id: u8) -> Option<Kind> {
        if id < 16 {
            return Kind::ALL.get(usize::from(self.kinds[usize::from(id)])).copied();
        }
        self.ids.iter().position(|&i| i == id).map(|i| Kind::ALL[i])
    }
}

/// A range of a packet. `Copy`, unlike the standard library's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u16,
    /// Bytes.
    pub len: u16,
}

impl Span {
    /// The bytes it names in `packet`; empty when they are not there.
    pub fn of(self, packet: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        packet.get(start..start + usize::from(self.len)).unwrap_or_default()
    }

    /// Bytes.
    pub fn len(self) -> usize {
        usize::from(self.len)
    }

    /// Whether it names no bytes.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// The header extensions of one packet. Ranges are those of the whole packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Values {
    /// MID of the m-line.
    pub mid: Option<Span>,
    /// RTP stream id: the simulcast encoding.
    pub rid: Option<Span>,
    /// RTP stream id that this RTX stream repairs.
    pub repaired_rid: Option<Span>,
    /// Voice activity in bit 7, level in −dBov below (0 loudest, 127 silence).
    pub audio_level: Option<u8>,
    /// Transport-wide sequence number.
    pub transport_sequence: Option<u16>,
    /// 24 bits: seconds in 6.18 fixed point, wraps every 64 s.
    pub abs_send_time: Option<u32>,
    /// NTP time of capture, 32.32.
    pub abs_capture_time: Option<u64>,
    /// Minimum and maximum in 10 ms, 12 bits each.
    pub playout_delay: Option<[u8; 3]>,
    /// Camera, flip and rotation bits.
    pub video_orientation: Option<u8>,
    /// The raw dependency descriptor.
    pub dependency_descriptor: Option<Span>,
}

/// Reads the extensions of `packet` whose ids `map` knows. Values of a wrong length are left out; an element that
/// reaches beyond the block ends the reading. When an element occurs twice, the last one counts.
pub fn read(map: &ExtensionMap, header: &Header, packet: &[u8]) -> Values {
    let mut values = Values::default();
    if let Some(block) = header.extension {
        for (id, span) in elements(block, packet) {
            if let Some(kind) = map.kind_of(id) {
                values.set(kind, span, span.of(packet));
            }
        }
    }
    values
}

impl Values {
    fn set(&mut self, kind: Kind, span: Span, value: &[u8]) {
        let name = (!value.is_empty()).then_some(span);
        match kind {
            Kind::Mid => self.mid = name,
            Kind::Rid => self.rid = name,
            Kind::RepairedRid => self.repaired_rid = name,
            Kind::AudioLevel => self.audio_level = value.first().copied(),
            Kind::TransportSequence => self.transport_sequence = u16_at(value, 0).ok(),
            Kind::AbsSendTime => self.abs_send_time = u24_at(value, 0).ok(),
            Kind::AbsCaptureTime => self.abs_capture_time = u64_at(value, 0).ok(),
            Kind::PlayoutDelay => self.playout_delay = value.first_chunk::<3>().copied(),
            Kind::VideoOrientation => self.video_orientation = value.first().copied(),
            Kind::DependencyDescriptor => self.dependency_descriptor = name,
        }
    }
}

/// The elements of a block as (id, range of the value in the packet), in either form of RFC 8285; none for other profiles.
pub fn elements(block: ExtBlock, packet: &[u8]) -> Elements<'_> {
    let form = match block.profile {
        0xbede => Form::OneByte,
        p if p & 0xfff0 == 0x1000 => Form::TwoByte,
        _ => Form::Unknown,
    };
    let end = (usize::from(block.start) + usize::from(block.len)).min(packet.len());
    Elements { packet, at: usize::from(block.start), end, form }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
    Unknown,
}

/// Iterator over the elements of an extension block, made by [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    packet: &'a [u8],
    at: usize,
    end: usize,
    form: Form,
}

impl Iterator for Elements<'_> {
    type Item = (u8, Span);

    fn next(&mut self) -> Option<(u8, Span)> {
        while self.at < self.end {
            let first = self.packet[self.at];
            self.at += 1;
            let (id, len) = match self.form {
                // Id 15 ends the processing of the whole block (RFC 8285 section 4.2).
                Form::OneByte if first >> 4 == 15 => break,
                Form::OneByte if first >> 4 == 0 => continue,
                Form::OneByte => (first >> 4, usize::from(first & 0x0f) + 1),
                Form::TwoByte if first == 0 => continue,
                Form::TwoByte if self.at < self.end => {
                    self.at += 1;
                    (first, usize::from(self.packet[self.at - 1]))
                }
                _ => break,
            };
            let start = self.at;
            if start + len > self.end {
                break;
            }
            self.at = start + len;
            return Some((id, Span { start: start as u16, len: len as u16 }));
        }
        self.at = self.end;
        None
    }
}

#[cfg(test)]
mod tests;
