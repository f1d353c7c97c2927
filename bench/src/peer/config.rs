//! What a peer is, and the [`SessionSpec`] that follows: what offer and answer would have agreed on.
//!
//! Payload types, extension ids and m-lines are Chromium's. A line that sends also receives, as long as there are slots of its
//! kind and the peer shares lines; further slots have lines of their own.

use super::{AudioConfig, VideoConfig};
use crate::painted::Painting;
use plenum_contract::spec::{CodecSpec, Fingerprint, IceSpec, MediaSpec, SlotSpec, SourceSpec, local_ufrag};
use plenum_contract::{Codec, Extension, Kind, LegKey, ParticipantKey, SessionSpec};
use plenum_packet::{Bitrate, Path};
use plenum_srtp::Suite;
use plenum_wire::ext;
use plenum_wire::payload::dd::Describer;
use std::sync::Arc;
use std::time::Duration;

/// Payload type of Opus.
pub(crate) const OPUS: u8 = 111;
/// Payload type of pictures, mostly VP8.
pub(crate) const VP8: u8 = 96;
/// Payload type of their retransmissions.
pub(crate) const VP8_RTX: u8 = 97;
/// Header extension ids on every line.
const EXTENSIONS: [(u8, Extension, ext::Kind); 7] = [
    (1, Extension::AudioLevel, ext::Kind::AudioLevel),
    (2, Extension::AbsSendTime, ext::Kind::AbsSendTime),
    (3, Extension::TransportSequence, ext::Kind::TransportSequence),
    (4, Extension::Mid, ext::Kind::Mid),
    (10, Extension::Rid, ext::Kind::Rid),
    (11, Extension::RepairedRid, ext::Kind::RepairedRid),
    (12, Extension::DependencyDescriptor, ext::Kind::DependencyDescriptor),
];

/// Something that the peer sends.
#[derive(Clone, Debug)]
pub enum Publish {
    /// A microphone.
    Audio(AudioConfig),
    /// A camera or a screen.
    Video(VideoConfig),
}

impl Publish {
    /// RIDs as the offer names them: none without simulcast.
    pub(crate) fn rids(&self) -> Vec<String> {
        match self {
            Publish::Video(video) => video.rids(),
            Publish::Audio(_) => vec![],
        }
    }
}

/// How many streams the peer receives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slots {
    /// Sounds.
    pub audio: u16,
    /// Pictures.
    pub video: u16,
    /// Whether it takes a presentation.
    pub presentation: bool,
}

/// Where the independent guard of [`plenum_route::guard`] looks at what the peer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarding {
    /// Nowhere.
    Off,
    /// As packets come in: for networks that lose and reorder nothing.
    Arrival,
    /// Where [`super::Peer::tap`] is called: before the network.
    Tap,
}

/// A peer.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Its leg.
    pub leg: LegKey,
    /// Whose leg it is.
    pub participant: ParticipantKey,
    /// The shard that it belongs to.
    pub shard: u16,
    /// Its address and the server's, as the server sees them.
    pub path: Path,
    /// What it sends.
    pub publishes: Vec<Publish>,
    /// What it receives.
    pub slots: Slots,
    /// Whether a line that sends also receives.
    pub shares_lines: bool,
    /// The SRTP profile that it insists on; `None` leaves it to the DTLS library.
    pub suite: Option<Suite>,
    /// Whether retransmissions are negotiated (RFC 4588).
    pub rtx: bool,
    /// Whether transport-wide feedback is negotiated; without it the peer sends REMB.
    pub twcc: bool,
    /// The first REMB of a peer without transport-wide feedback.
    pub first_remb: Bitrate,
    /// Whether it has an SCTP association.
    pub data: bool,
    /// Whether and where egress streams are checked.
    pub guarding: Guarding,
    /// Nothing is lost on anybody's way to the server: the guard then wants every number, and frames that end.
    pub lossless: bool,
    /// Packets of each stream that carry MID and RID: less than all only where a test wants so: a browser goes on until a report says that the server knows the stream, as this peer does.
    pub announced: u32,
    /// Whether the offer names SSRCs.
    pub signals_ssrcs: bool,
    /// SSRC and RTX SSRC of the server's stream on each line, where an answer named them; empty: those of the spec that
    /// [`PeerConfig::session_spec`] makes.
    pub answered: Vec<Option<(u32, Option<u32>)>>,
    /// How often a key frame of every picture is asked for without need; `None`: only when a picture is stuck.
    pub asks_key_frames: Option<Duration>,
    /// What pictures are in: VP8, or AV1 where its camera shows a film in that.
    pub codec: Codec,
    /// What its camera shows and its microphone says, instead of stamped bytes that no decoder understands.
    pub painting: Option<Arc<Painting>>,
    /// Whether what it receives bears stamps; without them packets and frames are counted, and nothing is known of their senders.
    pub stamped: bool,
    /// What may leave at once after a pause, in time of the pacer's rate.
    pub burst: Duration,
    /// Everything random about it.
    pub seed: u64,
}

impl PeerConfig {
    /// A peer with Chromium's abilities that sends and receives nothing yet.
    pub fn new(leg: u64, path: Path) -> PeerConfig {
        PeerConfig {
            leg: LegKey(leg),
            participant: ParticipantKey(leg),
            shard: 0,
            path,
            publishes: Vec::new(),
            slots: Slots::default(),
            shares_lines: true,
            suite: None,
            rtx: true,
            twcc: true,
            first_remb: Bitrate::kbps(500),
            data: false,
            guarding: Guarding::Off,
            lossless: false,
            announced: u32::MAX,
            signals_ssrcs: false,
            answered: Vec::new(),
            asks_key_frames: None,
            codec: Codec::Vp8,
            painting: None,
            stamped: true,
            burst: super::pacing::BURST,
            seed: leg,
        }
    }

    /// The spec that control would send for this peer.
    pub fn session_spec(&self, revision: u64, ice: &IceSpec, fingerprints: &[Fingerprint]) -> SessionSpec {
        SessionSpec {
            key: self.leg,
            revision,
            participant: self.participant,
            shard: self.shard,
            ice: ice.clone(),
            fingerprints: fingerprints.to_vec(),
            media: self.lines().iter().map(|line| self.media_spec(line)).collect(),
            max_bitrate: None,
            cname: "plenum".into(),
            bindings: vec![],
        }
    }

    /// Who describes the frames that it sends, where their codec does not do so itself.
    pub(crate) fn describer(&self) -> Option<Describer> {
        let reel = self.painting.as_ref()?.reels.first().filter(|_| self.codec == Codec::Av1)?;
        Describer::new(reel.temporal_layers(), reel.size(), self.seed as u16)
    }

    /// The m-lines.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for (index, publish) in self.publishes.iter().enumerate() {
            let (kind, presentation) = match publish {
                Publish::Audio(_) => (Kind::Audio, false),
                Publish::Video(video) => (Kind::Video, video.presentation),
            };
            lines.push(Line { mid: String::new(), kind, presentation, publish: Some(index), slot: None });
        }
        let wanted = [
            (Kind::Audio, false, self.slots.audio),
            (Kind::Video, false, self.slots.video),
            (Kind::Video, true, u16::from(self.slots.presentation)),
        ];
        for (kind, presentation, count) in wanted {
            for index in 0..count {
                let free = |l: &&mut Line| {
                    self.shares_lines && l.kind == kind && l.presentation == presentation && l.slot.is_none()
                };
                match lines.iter_mut().find(free) {
                    Some(line) => line.slot = Some(index),
                    None => {
                        lines.push(Line { mid: String::new(), kind, presentation, publish: None, slot: Some(index) });
                    }
                }
            }
        }
        if self.data {
            lines.push(Line { mid: String::new(), kind: Kind::Data, presentation: false, publish: None, slot: None });
        }
        for (index, line) in lines.iter_mut().enumerate() {
            line.mid = index.to_string();
        }
        lines
    }

    /// The server's SSRC of a line's slot, and its RTX SSRC.
    pub(crate) fn slot_ssrcs(&self, line: usize, kind: Kind) -> (u32, Option<u32>) {
        match self.answered.get(line) {
            Some(answered) => answered.unwrap_or_default(),
            None => {
                let ssrc = self.slot_ssrc(line);
                (ssrc, (self.rtx && kind == Kind::Video).then_some(ssrc + 1))
            }
        }
    }

    /// The server's SSRC of a line's slot in our own spec; its RTX SSRC is one above.
    fn slot_ssrc(&self, line: usize) -> u32 {
        0x1000_0000 | (self.leg.0 as u32 & 0xfff) << 12 | (line as u32) << 4
    }

    /// Our SSRC of an encoding; its RTX SSRC is one above.
    pub(crate) fn source_ssrc(&self, line: usize, encoding: usize) -> u32 {
        0x8000_0000 | (self.leg.0 as u32 & 0xfff) << 12 | (line as u32) << 4 | (encoding as u32) << 1
    }

    /// Header extensions as `wire` writes and reads them.
    pub(crate) fn map(&self) -> ext::ExtensionMap {
        ext::ExtensionMap::new(self.all_extensions().map(|(id, _, kind)| (id, kind)))
    }

    /// Header extensions as SDP and the contract name them.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = (u8, Extension)> + '_ {
        self.all_extensions().map(|(id, extension, _)| (id, extension))
    }

    fn all_extensions(&self) -> impl Iterator<Item = (u8, Extension, ext::Kind)> + '_ {
        EXTENSIONS.into_iter().filter(|e| match e.1 {
            Extension::TransportSequence => self.twcc,
            Extension::DependencyDescriptor => self.codec == Codec::Av1,
            _ => true,
        })
    }

    fn media_spec(&self, line: &Line) -> MediaSpec {
        let index: usize = line.mid.parse().unwrap_or_default();
        let source = line.publish.map(|p| {
            let (track, rids, encodings) = match &self.publishes[p] {
                Publish::Audio(audio) => (audio.track, vec![], 1),
                Publish::Video(video) => (video.track, video.rids(), video.encodings.len()),
            };
            let video = line.kind == Kind::Video;
            let ssrc = |e| (self.source_ssrc(index, e), (self.rtx && video).then_some(self.source_ssrc(index, e) + 1));
            let ssrcs = if self.signals_ssrcs { (0..encodings).map(ssrc).collect() } else { vec![] };
            SourceSpec { track, ssrcs, rids }
        });
        let slot = line.slot.map(|at| {
            let ssrc = self.slot_ssrc(index);
            SlotSpec { index: at, ssrc, rtx_ssrc: (self.rtx && line.kind == Kind::Video).then_some(ssrc + 1) }
        });
        let extensions = match line.kind {
            Kind::Data => vec![],
            _ => self.extensions().collect(),
        };
        MediaSpec {
            mid: line.mid.clone(),
            kind: line.kind,
            presentation: line.presentation,
            codecs: self.codecs(line.kind),
            extensions,
            source,
            slot,
            sctp_port: (line.kind == Kind::Data).then_some(5000),
        }
    }

    fn codecs(&self, kind: Kind) -> Vec<CodecSpec> {
        let video = kind == Kind::Video;
        let codec = CodecSpec {
            payload_type: if video { VP8 } else { OPUS },
            codec: if video { self.codec } else { Codec::Opus },
            clock: if video { 90_000 } else { 48_000 },
            rtx: (video && self.rtx).then_some(VP8_RTX),
            profile: 0,
            nack: video,
            pli: video,
            fir: video,
            twcc: self.twcc,
            remb: video && !self.twcc,
        };
        if kind == Kind::Data { vec![] } else { vec![codec] }
    }
}

/// One m-line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) mid: String,
    pub(crate) kind: Kind,
    pub(crate) presentation: bool,
    /// Index in [`PeerConfig::publishes`].
    pub(crate) publish: Option<usize>,
    /// Index among the slots of its kind.
    pub(crate) slot: Option<u16>,
}

/// ICE credentials of a leg; each generation is an ICE restart.
pub fn credentials(shard: u16, leg: LegKey, generation: u32) -> IceSpec {
    IceSpec {
        local_ufrag: local_ufrag(shard, leg, &format!("tail{generation:04}")),
        local_pwd: format!("serverpasswordlongenough{generation:04}"),
        // A slash is an ice-char, and ours have two: a peer may have some as well.
        remote_ufrag: format!("pe/r{:x}g{generation:04}", leg.0),
        remote_pwd: format!("peerpasswordlongenough{generation:04}"),
    }
}
