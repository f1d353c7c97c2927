//! Writing header extensions: collect the values, then write the block in the shorter form that can hold them.
//!
//! Transport sequence and send time are not known before the packet is released; [`Written`] says where they stand so
//! that they can be stamped in then. Nothing is written for an extension that the receiver did not negotiate.

use super::{ExtensionMap, Kind};
use crate::NoRoom;
use crate::bytes::Put;
use plenum_packet::Time;

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Inline { bytes: [u8; 8], len: u8 },
    Borrowed(&'a [u8]),
}

impl Value<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Value::Inline { bytes, len } => &bytes[..usize::from(*len)],
            Value::Borrowed(bytes) => bytes,
        }
    }
}

/// Collects extension values for one packet, then writes them with [`Writer::write`].
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    map: &'a ExtensionMap,
    values: [Option<Value<'a>>; Kind::ALL.len()],
}

/// Where [`Writer::write`] put things. Offsets count from the start of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Written {
    /// Bytes of the whole block with its four-byte header; 0 when there was nothing to write.
    pub len: usize,
    /// Offset of the two bytes of the transport sequence.
    pub transport_sequence: Option<usize>,
    /// Offset of the three bytes of the send time.
    pub abs_send_time: Option<usize>,
}

impl<'a> Writer<'a> {
    /// A writer for a receiver that negotiated `map`.
    pub fn new(map: &'a ExtensionMap) -> Writer<'a> {
        Writer { map, values: [None; Kind::ALL.len()] }
    }

    /// Sets a value given as bytes: MID, RID, dependency descriptor. Empty values and those longer than 255 bytes (the
    /// most that RFC 8285 can say) are left out.
    pub fn bytes(&mut self, kind: Kind, value: &'a [u8]) -> &mut Self {
        let fits = !value.is_empty() && value.len() <= 255;
        self.values[kind as usize] = (fits && self.map.id_of(kind).is_some()).then_some(Value::Borrowed(value));
        self
    }

    fn inline(&mut self, kind: Kind, value: &[u8]) -> &mut Self {
        let mut bytes = [0; 8];
        bytes[..value.len()].copy_from_slice(value);
        let value = Value::Inline { bytes, len: value.len() as u8 };
        self.values[kind as usize] = self.map.id_of(kind).map(|_| value);
        self
    }

    /// Sets the MID.
    pub fn mid(&mut self, mid: &'a [u8]) -> &mut Self {
        self.bytes(Kind::Mid, mid)
    }

    /// Sets the RTP stream id.
    pub fn rid(&mut self, rid: &'a [u8]) -> &mut Self {
        self.bytes(Kind::Rid, rid)
    }

    /// Sets the repaired RTP stream id.
    pub fn repaired_rid(&mut self, rid: &'a [u8]) -> &mut Self {
        self.bytes(Kind::RepairedRid, rid)
    }

    /// Sets the raw dependency descriptor.
    pub fn dependency_descriptor(&mut self, descriptor: &'a [u8]) -> &mut Self {
        self.bytes(Kind::DependencyDescriptor, descriptor)
    }

    /// Sets voice activity (bit 7) and level (−dBov).
    pub fn audio_level(&mut self, level: u8) -> &mut Self {
        self.inline(Kind::AudioLevel, &[level])
    }

    /// Sets the transport-wide sequence number; may be stamped later.
    pub fn transport_sequence(&mut self, sequence: u16) -> &mut Self {
        self.inline(Kind::TransportSequence, &sequence.to_be_bytes())
    }

    /// Sets the send time (24 bits, see [`abs_send_time`]); may be stamped later.
    pub fn abs_send_time(&mut self, time: u32) -> &mut Self {
        self.inline(Kind::AbsSendTime, &time.to_be_bytes()[1..])
    }

    /// Sets the capture time.
    pub fn abs_capture_time(&mut self, ntp: u64) -> &mut Self {
        self.inline(Kind::AbsCaptureTime, &ntp.to_be_bytes())
    }

    /// Sets the playout delay.
    pub fn playout_delay(&mut self, delay: [u8; 3]) -> &mut Self {
        self.inline(Kind::PlayoutDelay, &delay)
    }

    /// Sets the video orientation.
    pub fn video_orientation(&mut self, orientation: u8) -> &mut Self {
        self.inline(Kind::VideoOrientation, &[orientation])
    }

    /// Whether nothing would be written: the RTP extension bit stays clear.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }

    fn items(&self) -> impl Iterator<Item = (Kind, u8, &[u8])> {
        Kind::ALL.into_iter().zip(&self.values).filter_map(|(kind, value)| {
            let value = value.as_ref()?;
            Some((kind, self.map.id_of(kind)?, value.bytes()))
        })
    }

    /// Writes the block, its four-byte header and the padding to 32 bits at the start of `out`. One-byte form, or
    /// two-byte form when an id is above 14 or a value longer than 16 bytes.
    ///
    /// # Errors
    /// [`NoRoom`]; `out` is then unchanged.
    pub fn write(&self, out: &mut [u8]) -> Result<Written, NoRoom> {
        if self.is_empty() {
            return Ok(Written::default());
        }
        let two_byte = self.items().any(|(_, id, value)| id > 14 || value.len() > 16);
        let prefix = if two_byte { 2 } else { 1 };
        let len: usize = self.items().map(|(_, _, value)| prefix + value.len()).sum();
        let padded = len.next_multiple_of(4);
        let out = out.get_mut(..4 + padded).ok_or(NoRoom)?;
        let mut put = Put::new(out);
        put.u16(if two_byte { 0x1000 } else { 0xbede }).u16((padded / 4) as u16);
        let mut written = Written { len: 4 + padded, ..Written::default() };
        for (kind, id, value) in self.items() {
            if two_byte {
                put.u8(id).u8(value.len() as u8);
            } else {
                put.u8(id << 4 | (value.len() - 1) as u8);
            }
            match kind {
                Kind::TransportSequence => written.transport_sequence = Some(put.at()),
                Kind::AbsSendTime => written.abs_send_time = Some(put.at()),
                _ => {}
            }
            put.bytes(value);
        }
        out[4 + len..].fill(0);
        Ok(written)
    }
}

/// Writes the transport sequence at `at` of `packet`, an offset that [`Written`] gave. Outside of the packet: nothing.
pub fn stamp_transport_sequence(packet: &mut [u8], at: usize, sequence: u16) {
    if let Some(place) = packet.get_mut(at..).and_then(|p| p.first_chunk_mut::<2>()) {
        *place = sequence.to_be_bytes();
    }
}

/// Writes the send time at `at` of `packet`, an offset that [`Written`] gave. Outside of the packet: nothing.
pub fn stamp_abs_send_time(packet: &mut [u8], at: usize, time: u32) {
    if let Some(place) = packet.get_mut(at..).and_then(|p| p.first_chunk_mut::<3>()) {
        place.copy_from_slice(&time.to_be_bytes()[1..]);
    }
}

/// `time` as abs-send-time has it: seconds in 6.18 fixed point, 24 bits, wrapping every 64 s.
pub fn abs_send_time(time: Time) -> u32 {
    const WRAP: u64 = 64_000_000_000;
    (((time.nanos() % WRAP) << 18) / 1_000_000_000) as u32 & 0xff_ffff
}
