//! Which header extensions are taken: those that the data plane knows and that help with what was negotiated.

use super::codecs::Taken;
use crate::attr::{Attribute, Direction, ExtMap};
use crate::model::Media;
use plenum_contract::{Codec, Extension};

/// The offered extensions that are taken, as the answer writes them and with what they are.
pub(super) fn choose(media: &Media, codecs: &[Taken]) -> Vec<(ExtMap, Extension)> {
    let has = |codec| codecs.iter().any(|t| t.spec.codec == codec);
    let offered = |wanted| extmaps(media).any(|(_, e)| e == wanted);
    let twcc = offered(Extension::TransportSequence) && codecs.iter().any(|t| t.spec.twcc);
    let mut taken: Vec<(ExtMap, Extension)> = Vec::new();
    for (map, extension) in extmaps(media) {
        let wanted = match extension {
            // Four bytes a packet that nobody reads beside transport-wide numbers.
            Extension::AbsSendTime => !twcc,
            Extension::TransportSequence => twcc,
            // libwebrtc sends it with VP8 and H.264 as well, and then trusts its frame numbers more than the picture ids that
            // we keep continuous; only AV1 has no other way.
            Extension::DependencyDescriptor => has(Codec::Av1),
            Extension::Mid
            | Extension::Rid
            | Extension::RepairedRid
            | Extension::AudioLevel
            | Extension::AbsCaptureTime
            | Extension::PlayoutDelay
            | Extension::VideoOrientation => map.direction != Some(Direction::Inactive),
        };
        if wanted && !taken.iter().any(|(m, e)| m.id == map.id || *e == extension) {
            let map = ExtMap { direction: map.direction.map(Direction::reversed), ..map.clone() };
            taken.push((map, extension));
        }
    }
    taken
}

fn extmaps(media: &Media) -> impl Iterator<Item = (&ExtMap, Extension)> {
    media.attributes.iter().filter_map(|a| match a {
        Attribute::ExtMap(map) => Extension::from_uri(&map.uri).map(|e| (map, e)),
        _ => None,
    })
}
