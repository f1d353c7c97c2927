//! What offer and answer agreed on, as tables that a packet is looked up in.
//!
//! Built from a [`SessionSpec`] when it changes, read for every packet. Does not know SSRCs: those are bound by
//! [`crate::binding`].

use plenum_contract::spec::MediaSpec;
use plenum_contract::{Extension, Kind};
use plenum_wire::ext;

/// Longest MID that fits a one-byte header extension.
pub(crate) const MAX_MID: usize = 16;

/// What a payload type of an m-line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    /// The codec of this index.
    Media(u8),
    /// Retransmissions of the codec of this index.
    Rtx(u8),
}

/// The payload types of an m-line: 128 bytes, indexed by payload type.
#[derive(Clone, Debug)]
pub(crate) struct PayloadTable([u8; 128]);

const UNKNOWN: u8 = 0xff;
const RTX: u8 = 0x80;
/// Codecs of one m-line: seven bits of an entry less the value of [`UNKNOWN`].
pub(crate) const MAX_CODECS: usize = 64;

impl PayloadTable {
    pub(crate) fn new(media: &MediaSpec) -> PayloadTable {
        let mut table = [UNKNOWN; 128];
        for (index, codec) in media.codecs.iter().take(MAX_CODECS).enumerate() {
            table[usize::from(codec.payload_type & 0x7f)] = index as u8;
            if let Some(rtx) = codec.rtx {
                table[usize::from(rtx & 0x7f)] = RTX | index as u8;
            }
        }
        PayloadTable(table)
    }

    pub(crate) fn get(&self, payload_type: u8) -> Option<PayloadKind> {
        match self.0[usize::from(payload_type & 0x7f)] {
            UNKNOWN => None,
            entry if entry & RTX != 0 => Some(PayloadKind::Rtx(entry & !RTX)),
            entry => Some(PayloadKind::Media(entry)),
        }
    }
}

/// The extension map of one m-line.
pub(crate) fn extension_map(media: &MediaSpec) -> ext::ExtensionMap {
    ext::ExtensionMap::new(media.extensions.iter().map(|&(id, e)| (id, kind(e))))
}

/// The extension map that all m-lines share: within a bundle an id means the same everywhere (RFC 8843 §9.1).
pub(crate) fn bundle_map(media: &[MediaSpec]) -> ext::ExtensionMap {
    ext::ExtensionMap::new(media.iter().flat_map(|m| m.extensions.iter().map(|&(id, e)| (id, kind(e)))))
}

/// `wire` knows nothing of the contract: the same list under another type.
pub(crate) fn kind(extension: Extension) -> ext::Kind {
    match extension {
        Extension::Mid => ext::Kind::Mid,
        Extension::Rid => ext::Kind::Rid,
        Extension::RepairedRid => ext::Kind::RepairedRid,
        Extension::AudioLevel => ext::Kind::AudioLevel,
        Extension::TransportSequence => ext::Kind::TransportSequence,
        Extension::AbsSendTime => ext::Kind::AbsSendTime,
        Extension::AbsCaptureTime => ext::Kind::AbsCaptureTime,
        Extension::PlayoutDelay => ext::Kind::PlayoutDelay,
        Extension::VideoOrientation => ext::Kind::VideoOrientation,
        Extension::DependencyDescriptor => ext::Kind::DependencyDescriptor,
    }
}

/// Whether this m-line carries RTP.
pub(crate) fn is_rtp(media: &MediaSpec) -> bool {
    matches!(media.kind, Kind::Audio | Kind::Video)
}
