//! Simulcast by RID (RFC 8853): which encodings of an offer are taken, and which of them is the smallest picture.

use super::MAX_ENCODINGS;
use crate::attr::{Attribute, Rid, RidDirection};
use crate::model::{Media, fmtp_value};

/// Sets of names that clients use, smallest picture first. `h` is the half of one set and the high of others, so a name
/// means something in its set alone.
const NAMES: &[&[&str]] = &[
    &["q", "h", "f"],
    &["l", "m", "h"],
    &["lo", "mid", "hi"],
    &["low", "mid", "high"],
    &["low", "medium", "high"],
    &["s", "m", "l"],
];

/// The rids that the peer sends and we take, in the offer's order; empty = no simulcast. Of alternatives the first counts.
pub(super) fn offered(media: &Media) -> Vec<&Rid> {
    let streams = media.attributes.iter().find_map(|a| match a {
        Attribute::Simulcast(s) => Some(s.send.as_slice()),
        _ => None,
    });
    let sent = |id: &str| {
        media.attributes.iter().find_map(|a| match a {
            Attribute::Rid(rid) if rid.direction == RidDirection::Send && rid.id == id => Some(rid),
            _ => None,
        })
    };
    let mut rids: Vec<&Rid> = Vec::new();
    for stream in streams.unwrap_or_default() {
        let rid = stream.alternatives.first().and_then(|(id, _)| sent(id));
        // RFC 8852: a rid longer than 16 bytes does not fit a one-byte header extension element.
        if let Some(rid) = rid.filter(|r| r.id.len() <= 16 && !rids.iter().any(|known| known.id == r.id)) {
            rids.push(rid);
        }
    }
    rids.truncate(MAX_ENCODINGS);
    rids
}

/// The ids, smallest picture first: by `max-width` where all say it, else by names of a known set, else in the offer's
/// order, which is that of W3C's default scaling (4, 2, 1).
pub(super) fn smallest_first(rids: &[&Rid]) -> Vec<String> {
    let mut ordered = rids.to_vec();
    let width = |rid: &Rid| fmtp_value(rid.params.as_deref().unwrap_or(""), "max-width")?.parse::<u32>().ok();
    if rids.iter().all(|r| width(r).is_some()) {
        ordered.sort_by_key(|r| width(r));
    } else if let Some(names) = NAMES.iter().find(|names| rids.iter().all(|r| names.contains(&r.id.as_str()))) {
        ordered.sort_by_key(|r| names.iter().position(|n| *n == r.id));
    }
    ordered.into_iter().map(|r| r.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(ids: &[(&str, Option<&str>)]) -> Vec<String> {
        let rids: Vec<Rid> = ids
            .iter()
            .map(|(id, params)| Rid {
                id: (*id).into(),
                direction: RidDirection::Send,
                params: params.map(str::to_owned),
            })
            .collect();
        smallest_first(&rids.iter().collect::<Vec<_>>())
    }

    #[test]
    fn encodings_are_ordered_by_width_then_by_known_names_then_as_offered() {
        let wide = [("a", Some("max-width=1280")), ("b", Some("max-width=320;max-height=180"))];
        assert_eq!(order(&wide), ["b", "a"]);
        assert_eq!(order(&[("f", None), ("h", None), ("q", None)]), ["q", "h", "f"]);
        assert_eq!(order(&[("h", None), ("m", None), ("l", None)]), ["l", "m", "h"]);
        assert_eq!(order(&[("r0", None), ("r1", None), ("r2", None)]), ["r0", "r1", "r2"]);
    }
}
