//! A media packet's way in. The order is the cost: parse, replay check, crypto, then everything that needs trust.
//!
//! ```text
//!  parse header ─► open (replay, then tag) ─► allowance ─► extensions ─► TWCC arrival ─► SSRC ─► statistics
//!                                                                                      │
//!     Incoming ◄── pool slot ◄── seen before? ◄── RTX unwrapped, or padding ◄──────────┘
//! ```
//!
//! The packet is opened in the receive buffer and copied into a pool slot afterwards, so bogus packets cost neither a slot
//! nor a copy. Nothing is bound, counted as received or acknowledged before the tag is right.

use crate::binding::{Bindings, CodecInfo};
use crate::events::{Incoming, SessionEvent};
use crate::media::PayloadKind;
use crate::report::{ArrivalRecorder, NackList, ReceptionStats};
use crate::session::{Session, State};
use plenum_packet::{DropReason, HEADROOM, Path, Pool, Time};
use plenum_wire::rtcp::ReportBlock;
use plenum_wire::{ext, rtp};
use std::fmt;
use std::time::Duration;

/// Sequence numbers of which each source remembers whether they came. 512 are two seconds of a video of 3 Mbit/s, longer than
/// any retransmission is asked for.
const SEEN: u64 = 512;

/// Which packets of a source came already, whether on their own SSRC or by RTX.
#[derive(Debug)]
pub(crate) struct Seen {
    highest: Option<u64>,
    bits: [u64; SEEN as usize / 64],
}

impl Default for Seen {
    fn default() -> Self {
        Seen { highest: None, bits: [0; SEEN as usize / 64] }
    }
}

impl Seen {
    /// Notes `sequence`; the unwrapped number, or `None` when it came before or is too old to tell.
    fn note(&mut self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else {
            // Away from zero, so that an older packet has a number too.
            let first = u64::from(sequence) | 1 << 16;
            self.highest = Some(first);
            self.set(first);
            return Some(first);
        };
        let delta = sequence.wrapping_sub(highest as u16) as i16;
        let index = highest.checked_add_signed(i64::from(delta))?;
        if index > highest {
            // A jump over the whole window clears it; a smaller one clears what lies between.
            for i in 0..(index - highest).min(SEEN) {
                self.clear(index - i);
            }
            self.highest = Some(index);
        } else if highest - index >= SEEN || self.has(index) {
            return None;
        }
        self.set(index);
        Some(index)
    }

    fn slot(index: u64) -> (usize, u64) {
        ((index % SEEN / 64) as usize, 1 << (index % 64))
    }
    fn has(&self, index: u64) -> bool {
        let (word, bit) = Seen::slot(index);
        self.bits[word] & bit != 0
    }
    fn set(&mut self, index: u64) {
        let (word, bit) = Seen::slot(index);
        self.bits[word] |= bit;
    }
    fn clear(&mut self, index: u64) {
        let (word, bit) = Seen::slot(index);
        self.bits[word] &= !bit;
    }
}

/// What the receiving side remembers of one bound SSRC.
#[derive(Debug, Default)]
struct Received {
    seen: Seen,
    stats: ReceptionStats,
    /// When the codec negotiated generic NACK; RTX streams are not repaired themselves.
    nack: Option<NackList>,
}

/// The receiving side; beside [`Bindings::streams`], with the same indices.
pub(crate) struct Ingress {
    streams: Vec<Received>,
    /// For transport-wide feedback, when the peer wants it.
    pub(crate) arrivals: Option<ArrivalRecorder>,
    /// No lost packet is to be asked for before this.
    pub(crate) next_nack: Time,
}

impl Ingress {
    pub(crate) fn new(bindings: &Bindings) -> Ingress {
        let mut ingress = Ingress { streams: Vec::new(), arrivals: None, next_nack: Time::NEVER };
        ingress.apply(&[], bindings);
        ingress
    }

    /// After the bindings were made anew: what was received follows its SSRC. `before` are the SSRCs as they stood.
    pub(crate) fn apply(&mut self, before: &[u32], bindings: &Bindings) {
        let mut old = std::mem::take(&mut self.streams);
        for (index, stream) in bindings.streams.iter().enumerate() {
            let at = before.iter().position(|&ssrc| ssrc == stream.ssrc);
            if let Some(received) = at.and_then(|at| old.get_mut(at)) {
                *self.stream(index) = std::mem::take(received);
            }
        }
        // Looked at in the next turn, which sets it right.
        self.next_nack = Time::ZERO;
        let wanted = bindings.sources.iter().any(|s| s.codecs.iter().any(|c| c.twcc));
        match (wanted, &self.arrivals) {
            (true, None) => self.arrivals = Some(ArrivalRecorder::default()),
            (false, Some(_)) => self.arrivals = None,
            _ => {}
        }
    }

    /// Another SSRC takes this place.
    fn forget(&mut self, stream: usize) {
        if let Some(received) = self.streams.get_mut(stream) {
            *received = Received::default();
        }
    }

    fn stream(&mut self, stream: usize) -> &mut Received {
        if self.streams.len() <= stream {
            self.streams.resize_with(stream + 1, Received::default);
        }
        &mut self.streams[stream]
    }

    /// A packet of a stream arrived, by itself or by RTX. Whether a gap before it is too large to be repaired.
    ///
    /// # Errors
    /// [`DropReason::Duplicate`].
    fn packet(&mut self, at: &Arrived, header: &rtp::Header, codec: &CodecInfo) -> Result<bool, DropReason> {
        let received = self.stream(at.stream);
        let number = received.seen.note(header.sequence).ok_or(DropReason::Duplicate)?;
        if !at.retransmitted {
            received.stats.received(at.now, number, header.timestamp, codec.clock);
        }
        if !codec.nack {
            return Ok(false);
        }
        let nack = received.nack.get_or_insert_default();
        let hopeless = nack.received(at.now, number, at.retransmitted, at.rtt);
        let due = nack.poll_timeout();
        self.next_nack = self.next_nack.min(due);
        Ok(hopeless)
    }

    /// A sender report of a bound SSRC.
    pub(crate) fn sender_reported(&mut self, now: Time, bindings: &Bindings, ssrc: u32, ntp: u64) {
        if let Some(stream) = bindings.streams.iter().position(|s| s.ssrc == ssrc) {
            self.stream(stream).stats.sender_reported(now, ntp);
        }
    }

    /// Report blocks of the sources that were heard; how many were written.
    pub(crate) fn reports(&mut self, now: Time, bindings: &Bindings, out: &mut [ReportBlock]) -> usize {
        let streams = self.streams.iter_mut().zip(&bindings.streams).filter(|(_, s)| !s.rtx);
        let blocks = streams.filter_map(|(received, stream)| received.stats.report(now, stream.ssrc));
        let mut count = 0;
        for (block, place) in blocks.zip(out.iter_mut()) {
            *place = block;
            count += 1;
        }
        count
    }

    /// The next stream from `from` on with something to ask for: its index, how many numbers were written to `out`, and
    /// whether some were given up.
    pub(crate) fn missing(
        &mut self,
        now: Time,
        from: usize,
        rtt: Duration,
        out: &mut [u16],
    ) -> Option<(usize, usize, bool)> {
        for (index, received) in self.streams.iter_mut().enumerate().skip(from) {
            let Some(nack) = received.nack.as_mut().filter(|n| n.poll_timeout() <= now) else { continue };
            let (count, gave_up) = nack.due(now, rtt, out);
            if count > 0 || gave_up {
                return Some((index, count, gave_up));
            }
        }
        let timers = self.streams.iter().filter_map(|r| r.nack.as_ref()).map(NackList::poll_timeout);
        self.next_nack = timers.min().unwrap_or(Time::NEVER);
        None
    }
}

/// A packet as the counters see it.
struct Arrived {
    now: Time,
    stream: usize,
    retransmitted: bool,
    rtt: Duration,
}

impl Session {
    /// An RTP packet that arrived on `path`. The slot in [`Incoming`] belongs to the caller.
    ///
    /// # Errors
    /// A [`DropReason`]; [`DropReason::Padding`] (on an RTX SSRC) and [`DropReason::Duplicate`] were acknowledged all the same.
    pub fn handle_rtp(
        &mut self,
        now: Time,
        received: Time,
        path: Path,
        bytes: &mut [u8],
        pool: &mut Pool,
    ) -> Result<Incoming, DropReason> {
        if self.state == State::Ended {
            return Err(DropReason::SessionGone);
        }
        let keys = self.keys.as_mut().ok_or(DropReason::NoKeys)?;
        let mut header = rtp::parse(bytes).map_err(|_| DropReason::MalformedRtp)?;
        let header_len = usize::from(header.payload_start);
        let opened = keys.opener.open_rtp(header.ssrc, header.sequence, header_len, bytes)?;
        self.heard(now, path);
        if !self.allowance.take(received, self.env.limits.max_ingest, bytes.len()) {
            return Err(DropReason::IngestLimit);
        }
        let packet = &bytes[..opened.len];
        let values = ext::read(&self.bindings.map, &header, packet);
        if let (Some(sequence), Some(arrivals)) = (values.transport_sequence, self.ingress.arrivals.as_mut()) {
            arrivals.record(sequence, received);
        }
        let stream = match self.bindings.find(header.ssrc) {
            Some(stream) => stream,
            None => {
                let stream = self.bindings.bind(now, &header, &values, packet)?;
                self.ingress.forget(stream);
                stream
            }
        };
        self.note(now, stream);
        let (start, len) = rtp::payload_range(&header, packet).map_err(|_| DropReason::MalformedRtp)?;
        let mut payload = (start as u16, len as u16);
        let bound = &self.bindings.streams[stream];
        let source = &self.bindings.sources[usize::from(bound.source)];
        let (media, encoding) = (bound.media, bound.encoding);
        let kind = source.payloads.get(header.payload_type).ok_or(DropReason::UnknownPayloadType)?;
        let codec_index = match kind {
            PayloadKind::Media(codec) | PayloadKind::Rtx(codec) => codec,
        };
        let codec = source.codecs[usize::from(codec_index)];
        let retransmitted = matches!(kind, PayloadKind::Rtx(_));
        let mut original = stream;
        if retransmitted {
            if payload.1 == 0 {
                return Err(DropReason::Padding);
            }
            let osn = packet.get(start..start + 2).filter(|_| payload.1 >= 2).ok_or(DropReason::MalformedRtp)?;
            header.sequence = u16::from_be_bytes([osn[0], osn[1]]);
            header.payload_type = codec.payload_type;
            payload = (payload.0 + 2, payload.1 - 2);
            original = self.bindings.primary(media, encoding).ok_or(DropReason::UnknownSsrc)?;
            header.ssrc = self.bindings.streams[original].ssrc;
        }
        let arrived = Arrived { now, stream: original, retransmitted, rtt: self.egress.rtt() };
        if self.ingress.packet(&arrived, &header, &codec)? {
            self.request_key_frame(media, encoding);
        }
        // Without content it still has a number: routing closes the gap that it leaves.
        let buf = pool.copy_in(HEADROOM, packet).ok_or(DropReason::NoBuffer)?;
        Ok(Incoming { media, encoding, codec_index, header, values, buf, payload, received, retransmitted })
    }

    /// A packet of a bound SSRC was authenticated.
    fn note(&mut self, now: Time, stream: usize) {
        let bound = &mut self.bindings.streams[stream];
        bound.last = now;
        if !bound.heard {
            bound.heard = true;
            self.events.push_back(SessionEvent::Bound(bound.binding()));
        }
    }
}

impl fmt::Debug for Ingress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingress").field("streams", &self.streams.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_new_once_whatever_the_order() {
        let mut seen = Seen::default();
        assert!(seen.note(65_535).is_some());
        assert!(seen.note(1).is_some());
        assert!(seen.note(0).is_some(), "late");
        assert!(seen.note(0).is_none() && seen.note(1).is_none() && seen.note(65_535).is_none());
        assert!(seen.note(1 + SEEN as u16).is_some());
        assert!(seen.note(1).is_none(), "too old to tell");
        assert!(seen.note(2).is_some());
    }
}
