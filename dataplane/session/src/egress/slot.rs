//! One slot: a continuous stream to the peer, with its SSRC, its RTX SSRC, its numbering and its counters.
//!
//! Numbering outlives the slot's place in the spec: an m-line that is switched off and on again goes on where it was, because
//! an SRTP index must never come back under the same key.

use super::history::History;
use super::index::Indexer;
use super::resend::SealedRing;
use super::stats::SentStats;
use super::write::Rtx;
use crate::media::{MAX_MID, PayloadKind, PayloadTable, extension_map};
use plenum_contract::Kind;
use plenum_contract::spec::{MediaSpec, SlotSpec};
use plenum_wire::{Plan, ext};

/// A MID in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mid {
    bytes: [u8; MAX_MID],
    len: u8,
}

impl Mid {
    fn new(mid: &str) -> Mid {
        let len = mid.len().min(MAX_MID);
        let mut bytes = [0; MAX_MID];
        bytes[..len].copy_from_slice(&mid.as_bytes()[..len]);
        Mid { bytes, len: len as u8 }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// One slot.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Index of the m-line.
    pub(crate) media: u16,
    pub(crate) video: bool,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) map: ext::ExtensionMap,
    pub(crate) mid: Mid,
    payloads: PayloadTable,
    /// RTX payload type and clock of each codec.
    codecs: Vec<(Option<u8>, u32)>,
    /// Whether the peer asks for lost packets (RFC 4585).
    pub(crate) nack: bool,
    pub(crate) index: Indexer,
    /// The index of the next packet on the RTX SSRC.
    pub(crate) rtx_index: u64,
    pub(crate) history: History,
    /// Sealed packets, for a peer that wants lost packets again but has no RTX.
    pub(crate) sealed: Option<SealedRing>,
    pub(crate) stats: SentStats,
    /// The pacer dropped a frame, and no key frame was asked for since.
    pub(crate) starved: bool,
    /// Of the latest packet; `None` before the first.
    pub(crate) last_payload_type: Option<u8>,
}

impl Slot {
    pub(crate) fn new(media: u16, spec: &MediaSpec, slot: &SlotSpec, first_rtx: u16) -> Slot {
        let mut new = Slot {
            media,
            video: spec.kind == Kind::Video,
            ssrc: slot.ssrc,
            rtx_ssrc: None,
            map: ext::ExtensionMap::default(),
            mid: Mid::new(&spec.mid),
            payloads: PayloadTable::new(spec),
            codecs: Vec::new(),
            nack: false,
            index: Indexer::default(),
            // The lower half: a receiver that misses the first packets still guesses the rollover counter (RFC 3711 §3.3.1).
            rtx_index: u64::from(first_rtx & 0x7fff),
            history: History::new(spec.kind == Kind::Video),
            sealed: None,
            stats: SentStats::default(),
            starved: false,
            last_payload_type: None,
        };
        new.apply(media, spec, slot);
        new
    }

    /// What a newer spec says of this slot; numbering and counters go on.
    pub(crate) fn apply(&mut self, media: u16, spec: &MediaSpec, slot: &SlotSpec) {
        self.media = media;
        self.mid = Mid::new(&spec.mid);
        self.map = extension_map(spec);
        self.payloads = PayloadTable::new(spec);
        self.codecs = spec.codecs.iter().map(|c| (c.rtx, c.clock)).collect();
        self.nack = spec.codecs.iter().any(|c| c.nack);
        let has_rtx = spec.codecs.iter().any(|c| c.rtx.is_some());
        self.rtx_ssrc = slot.rtx_ssrc.filter(|_| has_rtx);
        match (self.nack && self.rtx_ssrc.is_none(), &self.sealed) {
            (true, None) => self.sealed = Some(SealedRing::default()),
            (false, Some(_)) => self.sealed = None,
            _ => {}
        }
    }

    /// RTX payload type of `payload_type`.
    pub(crate) fn rtx_payload_type(&self, payload_type: u8) -> Option<u8> {
        match self.payloads.get(payload_type)? {
            PayloadKind::Media(index) => self.codecs.get(usize::from(index))?.0,
            PayloadKind::Rtx(_) => None,
        }
    }

    /// RTP clock of `payload_type` in Hz; `None` when the payload type was not negotiated.
    pub(crate) fn clock(&self, payload_type: u8) -> Option<u32> {
        match self.payloads.get(payload_type)? {
            PayloadKind::Media(index) => self.codecs.get(usize::from(index)).map(|c| c.1),
            PayloadKind::Rtx(_) => None,
        }
    }

    /// Whether probes can go out here.
    pub(crate) fn can_probe(&self) -> bool {
        self.video && self.rtx_ssrc.is_some()
    }

    /// How a packet that is nothing but a probe looks: its RTX header and its RTP timestamp. Before the first packet of the
    /// stream too: a picture that is larger than the first estimate could never begin otherwise.
    pub(crate) fn padding_header(&self) -> Option<(Rtx, u32)> {
        let payload_type = match self.last_payload_type {
            Some(last) => self.rtx_payload_type(last)?,
            None => self.codecs.iter().find_map(|c| c.0)?,
        };
        let rtx = Rtx { ssrc: self.rtx_ssrc?, payload_type, sequence: self.rtx_index as u16 };
        Some((rtx, self.stats.latest_timestamp().unwrap_or(0)))
    }

    /// The newest packet, if it is remembered.
    pub(crate) fn newest_sent(&self) -> Option<Plan> {
        self.history.get_ref(self.index.highest()?).map(|sent| sent.plan)
    }

    /// The next number on the RTX SSRC.
    pub(crate) fn take_rtx_index(&mut self) -> u64 {
        let index = self.rtx_index;
        self.rtx_index += 1;
        index
    }
}
