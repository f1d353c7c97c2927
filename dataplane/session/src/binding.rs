//! Which SSRC is which source: bound only after a packet of it was authenticated.
//!
//! In this order: an SSRC that was signalled or reported by a former media plane; MID with RID or RRID; MID alone; RID
//! alone when only one m-line has it; a payload type that only one m-line has (RFC 8843 §9.2, RFC 8852). Bounded by
//! [`MAX_STREAMS`]; at the limit a stream that was silent for [`STALE`] gives way, or one that a former media plane
//! had reported and that never came back; else the packet is dropped.

use crate::media::{PayloadKind, PayloadTable, bundle_map, is_rtp};
use plenum_contract::SessionSpec;
use plenum_contract::spec::Binding;
use plenum_packet::{DropReason, Time};
use plenum_wire::{ext, rtp};
use std::time::Duration;

/// SSRCs of one session: every encoding of a dozen m-lines with its RTX.
pub(crate) const MAX_STREAMS: usize = 64;
/// A stream without packets for this long may be replaced when there is no room.
pub(crate) const STALE: Duration = Duration::from_secs(10);

/// An m-line on which the peer sends.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) media: u16,
    pub(crate) payloads: PayloadTable,
    /// Payload type, clock and feedback of each codec.
    pub(crate) codecs: Vec<CodecInfo>,
    mid: Box<[u8]>,
    rids: Vec<Box<[u8]>>,
}

/// What is needed of a codec for each packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodecInfo {
    pub(crate) payload_type: u8,
    pub(crate) clock: u32,
    pub(crate) nack: bool,
    pub(crate) pli: bool,
    pub(crate) fir: bool,
    pub(crate) twcc: bool,
}

/// A bound SSRC.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    pub(crate) media: u16,
    /// Index in [`Bindings::sources`].
    pub(crate) source: u8,
    pub(crate) encoding: u8,
    pub(crate) rtx: bool,
    /// Whether the offer in force names it.
    offered: bool,
    /// Whether a packet of it was authenticated.
    pub(crate) heard: bool,
    pub(crate) last: Time,
}

/// All bindings of a session.
#[derive(Debug)]
pub(crate) struct Bindings {
    pub(crate) map: ext::ExtensionMap,
    pub(crate) sources: Vec<Source>,
    pub(crate) streams: Vec<Stream>,
    latest: usize,
}

impl Bindings {
    pub(crate) fn new(spec: &SessionSpec) -> Bindings {
        let mut bindings =
            Bindings { map: bundle_map(&spec.media), sources: Vec::new(), streams: Vec::new(), latest: 0 };
        bindings.apply(spec);
        bindings
    }

    /// A newer spec: tables are made anew, streams of m-lines that still send stay bound.
    pub(crate) fn apply(&mut self, spec: &SessionSpec) {
        self.map = bundle_map(&spec.media);
        self.sources.clear();
        for (index, media) in spec.media.iter().enumerate() {
            let Some(source) = media.source.as_ref().filter(|_| is_rtp(media)) else { continue };
            let codecs = media.codecs.iter().map(|c| CodecInfo {
                payload_type: c.payload_type,
                clock: c.clock.max(1),
                nack: c.nack,
                pli: c.pli,
                fir: c.fir,
                twcc: c.twcc,
            });
            self.sources.push(Source {
                media: index as u16,
                payloads: PayloadTable::new(media),
                codecs: codecs.collect(),
                mid: media.mid.as_bytes().into(),
                rids: source.rids.iter().map(|r| r.as_bytes().into()).collect(),
            });
        }
        let sources = &self.sources;
        self.streams.retain_mut(|stream| match sources.iter().position(|s| s.media == stream.media) {
            Some(index) => {
                stream.source = index as u8;
                stream.offered = false;
                true
            }
            None => false,
        });
        for (index, media) in spec.media.iter().enumerate() {
            for (encoding, &(ssrc, rtx)) in media.source.iter().flat_map(|s| s.ssrcs.iter()).enumerate() {
                self.signalled(ssrc, index as u16, encoding as u8, false, true);
                if let Some(rtx) = rtx {
                    self.signalled(rtx, index as u16, encoding as u8, true, true);
                }
            }
        }
        for b in &spec.bindings {
            self.signalled(b.ssrc, b.media, b.encoding, b.rtx, false);
        }
        self.latest = 0;
    }

    fn signalled(&mut self, ssrc: u32, media: u16, encoding: u8, rtx: bool, offered: bool) {
        let Some(source) = self.sources.iter().position(|s| s.media == media) else { return };
        if let Some(known) = self.streams.iter_mut().find(|s| s.ssrc == ssrc) {
            known.offered |= offered;
            return;
        }
        if self.streams.len() >= MAX_STREAMS {
            return;
        }
        let source = source as u8;
        self.streams.push(Stream { ssrc, media, source, encoding, rtx, offered, heard: false, last: Time::ZERO });
    }

    /// The stream of `ssrc`, if it is bound. Packets come in bursts, so the latest one is looked at first.
    pub(crate) fn find(&mut self, ssrc: u32) -> Option<usize> {
        if self.streams.get(self.latest).is_some_and(|s| s.ssrc == ssrc) {
            return Some(self.latest);
        }
        let index = self.streams.iter().position(|s| s.ssrc == ssrc)?;
        self.latest = index;
        Some(index)
    }

    /// Binds the SSRC of an authenticated packet.
    ///
    /// # Errors
    /// [`DropReason::UnknownSsrc`] when nothing tells what it is, [`DropReason::TooManySources`] at the limit.
    pub(crate) fn bind(
        &mut self,
        now: Time,
        header: &rtp::Header,
        values: &ext::Values,
        packet: &[u8],
    ) -> Result<usize, DropReason> {
        let (source, encoding, rtx) = self.identify(header, values, packet).ok_or(DropReason::UnknownSsrc)?;
        let media = self.sources[source].media;
        let ssrc = header.ssrc;
        let stream =
            Stream { ssrc, media, source: source as u8, encoding, rtx, offered: false, heard: false, last: now };
        let index = if self.streams.len() < MAX_STREAMS {
            self.streams.push(stream);
            self.streams.len() - 1
        } else {
            let gone = |s: &Stream| if s.heard { now.since(s.last) > STALE } else { !s.offered };
            let stale = self.streams.iter().enumerate().filter(|(_, s)| gone(s)).min_by_key(|(_, s)| s.last);
            let (index, _) = stale.ok_or(DropReason::TooManySources)?;
            self.streams[index] = stream;
            index
        };
        self.latest = index;
        Ok(index)
    }

    fn identify(&self, header: &rtp::Header, values: &ext::Values, packet: &[u8]) -> Option<(usize, u8, bool)> {
        let by_mid = values.mid.and_then(|mid| {
            let mid = mid.of(packet);
            self.sources.iter().position(|s| *s.mid == *mid)
        });
        let (rid, repaired) = match (values.rid, values.repaired_rid) {
            (_, Some(rrid)) => (Some(rrid.of(packet)), true),
            (Some(rid), None) => (Some(rid.of(packet)), false),
            (None, None) => (None, false),
        };
        let source = match (by_mid, rid) {
            (Some(source), _) => source,
            // A MID that nobody has: of an m-line that was removed, or was never ours.
            (None, _) if values.mid.is_some() => return None,
            (None, Some(rid)) => self.only(|s| s.rid_index(rid).is_some())?,
            (None, None) => self.only(|s| s.rids.is_empty() && s.payloads.get(header.payload_type).is_some())?,
        };
        let found = &self.sources[source];
        let by_payload = matches!(found.payloads.get(header.payload_type), Some(PayloadKind::Rtx(_)));
        let encoding = match rid {
            Some(rid) if !found.rids.is_empty() => found.rid_index(rid)?,
            None if !found.rids.is_empty() => return None,
            _ => 0,
        };
        Some((source, encoding, repaired || by_payload))
    }

    fn only(&self, wanted: impl Fn(&Source) -> bool) -> Option<usize> {
        let mut found = self.sources.iter().enumerate().filter(|(_, s)| wanted(s)).map(|(i, _)| i);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// The stream that RTX packets of `media` and `encoding` repair; the latest when the peer changed its SSRC.
    pub(crate) fn primary(&self, media: u16, encoding: u8) -> Option<usize> {
        let wanted = |s: &&Stream| s.media == media && s.encoding == encoding && !s.rtx;
        let latest = self.streams.iter().filter(wanted).max_by_key(|s| s.last)?;
        self.streams.iter().position(|s| s.ssrc == latest.ssrc)
    }

    /// Bindings that were proven by a packet, for a snapshot.
    pub(crate) fn heard(&self) -> impl Iterator<Item = Binding> + '_ {
        self.streams.iter().filter(|s| s.heard).map(Stream::binding)
    }
}

impl Source {
    fn rid_index(&self, rid: &[u8]) -> Option<u8> {
        self.rids.iter().position(|r| **r == *rid).map(|i| i as u8)
    }
}

impl Stream {
    pub(crate) fn binding(&self) -> Binding {
        Binding { ssrc: self.ssrc, media: self.media, encoding: self.encoding, rtx: self.rtx }
    }
}
