//! One RTP stream that the peer sends: numbering, header extensions, the cache for NACK, RTX.

use super::config::{OPUS, VP8, VP8_RTX};
use super::studio::Feed;
use plenum_contract::Kind;
use plenum_packet::Time;
use plenum_wire::ext::{self, ExtensionMap};
use plenum_wire::payload::av1;
use plenum_wire::payload::dd::{Describer, Frame, MAX_LEN};
use plenum_wire::rtp;
use std::collections::VecDeque;
use std::time::Duration;

/// Packets that can be sent again.
const CACHED: usize = 600;
/// A packet is sent again at most this often.
const REPEAT: Duration = Duration::from_millis(40);

struct Cached {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
    descriptor: Vec<u8>,
    resent: Option<Time>,
}

/// A stream.
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    pub(crate) video: bool,
    rtx_ssrc: Option<u32>,
    mid: String,
    rid: Option<String>,
    index: u64,
    rtx_index: u64,
    /// Packets that still carry MID and RID, of the stream and of its RTX.
    announce: u32,
    announce_rtx: u32,
    cache: VecDeque<Cached>,
    /// Describes AV1's frames, and the newest of them.
    describer: Option<(Describer, Option<Frame>)>,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    /// RTP timestamp and send time of the newest packet.
    newest: Option<(u32, Time)>,
    pub(crate) resent: u64,
}

/// A plaintext packet with what sealing needs.
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) header_len: usize,
    pub(crate) index: u64,
}

impl Stream {
    /// A stream with this SSRC; its RTX SSRC is one above. `announce` is how many packets carry MID and RID.
    pub(crate) fn new(feed: Feed<'_>, ssrc: u32, rtx: bool, announce: u32) -> Stream {
        let line = feed.line.1;
        let video = line.kind == Kind::Video;
        Stream {
            ssrc,
            video,
            rtx_ssrc: (rtx && video).then_some(ssrc + 1),
            mid: line.mid.clone(),
            rid: feed.rid,
            index: feed.random & 0x7fff,
            rtx_index: feed.random >> 16 & 0x7fff,
            announce,
            announce_rtx: announce,
            cache: VecDeque::new(),
            describer: None,
            packets: 0,
            octets: 0,
            newest: None,
            resent: 0,
        }
    }

    /// Its pictures are described (AV1).
    pub(crate) fn described(mut self, describer: Option<Describer>) -> Stream {
        self.describer = describer.filter(|_| self.video).map(|describer| (describer, None));
        self
    }

    /// The dependency descriptor of the next packet; empty where there is none.
    fn descriptor(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
        let first = self.newest.is_none_or(|(newest, _)| newest != timestamp);
        let Some((describer, frame)) = &mut self.describer else { return Vec::new() };
        if first {
            let info = av1::frame_info(payload, marker).unwrap_or_default();
            *frame = Some(describer.frame(info.key_frame, info.temporal));
        }
        let mut out = [0; MAX_LEN];
        let len = frame.as_ref().map(|frame| describer.write(frame, (first, marker), &mut out));
        out[..len.and_then(Result::ok).unwrap_or(0)].to_vec()
    }

    /// The server reported on this stream, so it knows whose it is: MID and RID are of no use any more.
    pub(crate) fn acknowledged(&mut self) {
        self.announce = 0;
    }

    /// New keys: the rollover counter begins at zero again, numbers go on.
    pub(crate) fn rekeyed(&mut self) {
        self.index &= 0xffff;
        self.rtx_index &= 0xffff;
        self.cache.clear();
    }

    /// The RTP timestamp of `now`, counted from the newest packet; `None` before the first.
    pub(crate) fn rtp_at(&self, now: Time) -> Option<u32> {
        let clock = if self.video { 90_000 } else { 48_000 };
        let (timestamp, at) = self.newest?;
        Some(timestamp.wrapping_add((now.since(at).as_micros() * clock / 1_000_000) as u32))
    }

    /// The next packet of the stream.
    pub(crate) fn packet(
        &mut self,
        now: Time,
        map: &ExtensionMap,
        twcc: Option<u16>,
        (timestamp, marker, level): (u32, bool, Option<u8>),
        payload: Vec<u8>,
    ) -> Packet {
        let announce = self.announce > 0;
        self.announce = self.announce.saturating_sub(1);
        let descriptor = self.descriptor(timestamp, marker, &payload);
        let mut writer = self.writer(now, map, announce, twcc);
        writer.dependency_descriptor(&descriptor);
        if let (true, Some(rid)) = (announce, &self.rid) {
            writer.rid(rid.as_bytes());
        }
        if let Some(level) = level {
            writer.audio_level(level);
        }
        let index = self.index;
        let fields = rtp::Fields {
            marker,
            payload_type: if self.video { VP8 } else { OPUS },
            sequence: index as u16,
            timestamp,
            ssrc: self.ssrc,
            ..rtp::Fields::default()
        };
        let packet = assemble(fields, &writer, &[&payload], index);
        self.index += 1;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        self.newest = Some((timestamp, now));
        if self.video {
            if self.cache.len() == CACHED {
                self.cache.pop_front();
            }
            let sequence = index as u16;
            self.cache.push_back(Cached { sequence, timestamp, marker, payload, descriptor, resent: None });
        }
        packet
    }

    /// The payload of a packet that is asked for again; `None` when it is gone or was just sent again.
    pub(crate) fn repair(&mut self, now: Time, sequence: u16) -> Option<(u32, bool, Vec<u8>)> {
        self.rtx_ssrc?;
        let behind = (self.index as u16).wrapping_sub(sequence);
        let at = self.cache.len().checked_sub(usize::from(behind))?;
        let cached = self.cache.get_mut(at).filter(|c| c.sequence == sequence)?;
        if cached.resent.is_some_and(|at| now.since(at) < REPEAT) {
            return None;
        }
        cached.resent = Some(now);
        Some((cached.timestamp, cached.marker, cached.payload.clone()))
    }

    /// Number, timestamp, marker and payload of the newest packet that can be sent again.
    pub(crate) fn newest_repair(&self) -> Option<(u16, u32, bool, Vec<u8>)> {
        self.rtx_ssrc?;
        self.cache.back().map(|c| (c.sequence, c.timestamp, c.marker, c.payload.clone()))
    }

    /// A retransmission (RFC 4588 §4).
    pub(crate) fn rtx_packet(
        &mut self,
        now: Time,
        map: &ExtensionMap,
        twcc: Option<u16>,
        (timestamp, marker): (u32, bool),
        (repairs, payload): (u16, &[u8]),
    ) -> Option<Packet> {
        let ssrc = self.rtx_ssrc?;
        let announce = self.announce_rtx > 0;
        self.announce_rtx = self.announce_rtx.saturating_sub(1);
        let mut writer = self.writer(now, map, announce, twcc);
        if let Some(cached) = self.cache.iter().rev().find(|cached| cached.sequence == repairs) {
            writer.dependency_descriptor(&cached.descriptor);
        }
        if let (true, Some(rid)) = (announce, &self.rid) {
            writer.repaired_rid(rid.as_bytes());
        }
        let index = self.rtx_index;
        let fields = rtp::Fields {
            marker,
            payload_type: VP8_RTX,
            sequence: index as u16,
            timestamp,
            ssrc,
            ..rtp::Fields::default()
        };
        let packet = assemble(fields, &writer, &[&repairs.to_be_bytes(), payload], index);
        self.rtx_index += 1;
        self.resent += 1;
        Some(packet)
    }

    fn writer<'a>(&'a self, now: Time, map: &'a ExtensionMap, announce: bool, twcc: Option<u16>) -> ext::Writer<'a> {
        let mut writer = ext::Writer::new(map);
        if announce {
            writer.mid(self.mid.as_bytes());
        }
        if self.video {
            writer.abs_send_time(ext::abs_send_time(now));
        }
        if let Some(sequence) = twcc {
            writer.transport_sequence(sequence);
        }
        writer
    }
}

fn assemble(fields: rtp::Fields, writer: &ext::Writer<'_>, payload: &[&[u8]], index: u64) -> Packet {
    let mut header = [0; 128];
    let fields = rtp::Fields { extension: !writer.is_empty(), ..fields };
    let fixed = rtp::write_header(&mut header, &fields).expect("room for a header");
    let header_len = fixed + writer.write(&mut header[fixed..]).expect("room for extensions").len;
    let mut bytes = header[..header_len].to_vec();
    payload.iter().for_each(|p| bytes.extend_from_slice(p));
    Packet { bytes, header_len, index }
}
