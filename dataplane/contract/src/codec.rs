//! Codecs, header extensions and kinds of media: the closed lists that both planes know.

use serde::{Deserialize, Serialize};

/// Sound, picture or data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// RTP audio.
    Audio,
    /// RTP video.
    Video,
    /// SCTP data channels (RFC 8831).
    Data,
}

/// A payload format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 2198 around Opus.
    Red,
    /// G.711 µ-law, RFC 3551.
    Pcmu,
    /// G.711 A-law, RFC 3551.
    Pcma,
    /// RFC 3551; its RTP clock is 8 kHz although it samples at 16 kHz.
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
    /// G.726 at 32 kbit/s, the first code in the lowest bits (RFC 3551 section 4.5.4; not AAL2's packing).
    G726,
    /// RFC 3952, `mode=20`: frames of 20 ms.
    Ilbc,
    /// RFC 3952, `mode=30`, which holds where none is said.
    Ilbc30,
}

impl Codec {
    /// Codecs of sound for phones, the preferred one first: they are not forwarded but transcoded, and answered to who has nothing else.
    pub const PHONES: [Codec; 6] = [Codec::G722, Codec::Pcmu, Codec::Pcma, Codec::G726, Codec::Ilbc, Codec::Ilbc30];

    /// Sound or picture.
    pub const fn kind(self) -> Kind {
        match self {
            Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::H265 | Codec::Av1 => Kind::Video,
            _ => Kind::Audio,
        }
    }

    /// Whether the mixer decodes it.
    pub const fn is_decoded(self) -> bool {
        !matches!(self, Codec::H265 | Codec::TelephoneEvent)
    }

    /// The profile ([`crate::spec::CodecSpec::profile`]) in which the mixer makes it; `None` when it does not.
    pub const fn encoded(self) -> Option<u32> {
        match self {
            Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Vp8 => Some(0),
            Codec::G726 | Codec::Ilbc | Codec::Ilbc30 => Some(0),
            // Constrained Baseline in packetization mode 1.
            Codec::H264 => Some(0x42_e001),
            Codec::Red | Codec::TelephoneEvent | Codec::Vp9 | Codec::H265 | Codec::Av1 => None,
        }
    }

    /// The encoding name of SDP's `a=rtpmap`.
    pub const fn rtpmap_name(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::Red => "red",
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::TelephoneEvent => "telephone-event",
            Codec::Vp8 => "VP8",
            Codec::Vp9 => "VP9",
            Codec::H264 => "H264",
            Codec::H265 => "H265",
            Codec::Av1 => "AV1",
            Codec::G726 => "G726-32",
            Codec::Ilbc | Codec::Ilbc30 => "iLBC",
        }
    }
}

/// RTP header extensions that the data plane reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extension {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid` (RFC 9143).
    Mid,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id` (RFC 8852).
    Rid,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id` (RFC 8852).
    RepairedRid,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
    AudioLevel,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`.
    TransportSequence,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`.
    AbsSendTime,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time`.
    AbsCaptureTime,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`.
    PlayoutDelay,
    /// `urn:3gpp:video-orientation`.
    VideoOrientation,
    /// `https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension`.
    DependencyDescriptor,
}

impl Extension {
    /// Every extension, with its URI.
    pub const URIS: &'static [(Extension, &'static str)] = &[
        (Extension::Mid, "urn:ietf:params:rtp-hdrext:sdes:mid"),
        (Extension::Rid, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
        (Extension::RepairedRid, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
        (Extension::AudioLevel, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
        (Extension::TransportSequence, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
        (Extension::AbsSendTime, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
        (Extension::AbsCaptureTime, "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"),
        (Extension::PlayoutDelay, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"),
        (Extension::VideoOrientation, "urn:3gpp:video-orientation"),
        (
            Extension::DependencyDescriptor,
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        ),
    ];

    /// Its URI in `a=extmap`.
    pub fn uri(self) -> &'static str {
        Self::URIS.iter().find(|(e, _)| *e == self).map_or("", |(_, uri)| uri)
    }

    /// The extension that `uri` names.
    pub fn from_uri(uri: &str) -> Option<Extension> {
        Self::URIS.iter().find(|(_, u)| *u == uri).map(|(e, _)| *e)
    }
}

/// A layer of a video track as reported and wanted: which encoding, spatial and temporal layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VideoLayer {
    /// Simulcast encoding, 0 = smallest.
    pub encoding: u8,
    /// Spatial layer, 0 = base.
    pub spatial: u8,
    /// Temporal layer, 0 = base.
    pub temporal: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_has_one_uri() {
        for (extension, uri) in Extension::URIS {
            assert_eq!(Extension::from_uri(uri), Some(*extension));
            assert_eq!(extension.uri(), *uri);
        }
        assert_eq!(Extension::from_uri("urn:nobody"), None);
    }
}
