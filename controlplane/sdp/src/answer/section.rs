//! One m-line: whether it is taken, and its section of the answer with its `MediaSpec`.

use super::codecs::{self, Taken};
use super::{AnswerError, MAX_MESSAGE_SIZE, MAX_MID, SCTP_PORT, Terms, extensions, kind_of, simulcast};
use crate::attr::{Attribute, Direction, Rid, RidDirection, Simulcast, SimulcastStream};
use crate::model::{Bandwidth, Connection, Media, Session};
use plenum_contract::spec::{SlotSpec, SourceSpec};
use plenum_contract::{Kind, MediaSpec};

/// Most SSRCs of a source that are taken from `a=ssrc`: a primary one with RTX for each encoding.
const MAX_SSRCS: usize = 8;

/// Counts slots of each kind, presentation slots apart.
#[derive(Default)]
pub(super) struct SlotCounter([[u16; 2]; 3]);

impl SlotCounter {
    fn next(&mut self, kind: Kind, presentation: bool) -> u16 {
        let count = &mut self.0[kind as usize][usize::from(presentation)];
        *count += 1;
        *count - 1
    }
}

/// For each m-line the codecs that are taken (none for data), or `None` where it is rejected.
pub(super) fn choose(offer: &Session, terms: &Terms<'_>) -> Result<Vec<Option<Vec<Taken>>>, AnswerError> {
    let bundle: Vec<&String> = offer.groups("BUNDLE").next().unwrap_or_default().iter().collect();
    let mut taken = Vec::with_capacity(offer.media.len());
    let mut seen: Vec<&str> = Vec::new();
    let (mut refused, mut unbundled) = ([false; 3], false);
    for (index, media) in offer.media.iter().enumerate() {
        let Some(kind) = kind_of(media).filter(|_| media.is_offered()) else {
            taken.push(None);
            continue;
        };
        match media.mid() {
            Some(mid) if mid.len() > MAX_MID || seen.contains(&mid) => return Err(AnswerError::BadMid(index)),
            Some(mid) => seen.push(mid),
            None if offer.media.len() > 1 => return Err(AnswerError::BadMid(index)),
            None => {}
        }
        let bundled = media.mid().is_some_and(|mid| bundle.iter().any(|m| *m == mid));
        if !bundled && offer.media.len() > 1 {
            unbundled = true;
            taken.push(None);
            continue;
        }
        if kind == Kind::Data {
            taken.push(Some(Vec::new()));
            continue;
        }
        if !media.attributes.iter().any(|a| matches!(a, Attribute::RtcpMux | Attribute::RtcpMuxOnly)) {
            return Err(AnswerError::NoRtcpMux(index));
        }
        let codecs = codecs::choose(media, kind, terms.codecs);
        let primary = codecs.iter().any(|t| t.spec.codec != plenum_contract::Codec::TelephoneEvent);
        refused[kind as usize] |= !primary;
        taken.push(primary.then_some(codecs));
    }
    for (kind, name) in [(Kind::Audio, "audio"), (Kind::Video, "video")] {
        let any = offer.media.iter().zip(&taken).any(|(m, t)| t.is_some() && kind_of(m) == Some(kind));
        if refused[kind as usize] && !any {
            return Err(AnswerError::NoCodec(name));
        }
    }
    if unbundled && taken.iter().all(Option::is_none) {
        return Err(AnswerError::NotBundled);
    }
    Ok(taken)
}

/// The section of a rejected m-line: port 0, inactive, outside BUNDLE (RFC 9143 section 7.3.3).
pub(super) fn reject(offered: &Media) -> (Media, MediaSpec) {
    let mut section = blank(offered);
    section.formats = offered.formats.iter().take(1).cloned().collect();
    section.connection = Some(Connection::unspecified());
    section.attributes.push(Attribute::Direction(Direction::Inactive));
    let mut mid = offered.mid().unwrap_or_default().to_owned();
    if mid.len() > MAX_MID {
        mid.clear();
    }
    let kind = match offered.kind.as_str() {
        "audio" => Kind::Audio,
        "video" => Kind::Video,
        _ => Kind::Data,
    };
    (section, empty_spec(mid, kind))
}

/// The section of a taken m-line, without transport, and what it means.
pub(super) fn accept(
    offer: &Session,
    index: usize,
    codecs: &[Taken],
    terms: &mut Terms<'_>,
    slots: &mut SlotCounter,
) -> (Media, MediaSpec) {
    let offered = &offer.media[index];
    let kind = kind_of(offered).unwrap_or(Kind::Data);
    let mut section = blank(offered);
    let mut spec = empty_spec(offered.mid().unwrap_or_default().to_owned(), kind);
    spec.presentation = terms.presentation || offered.is_slides();
    if kind == Kind::Data {
        data(offered, &mut section, &mut spec);
        return (section, spec);
    }
    let previous = terms.previous.get(index).filter(|p| p.mid == spec.mid && p.kind == kind).cloned();
    let extensions = extensions::choose(offered, codecs);
    codecs::write(codecs, &mut section);
    section.attributes.extend(extensions.iter().map(|(map, _)| Attribute::ExtMap(map.clone())));
    spec.codecs = codecs.iter().map(|t| t.spec.clone()).collect();
    spec.extensions = extensions.iter().map(|(map, e)| (map.id, *e)).collect();

    let direction = offered.direction(offer);
    if direction.sends() {
        let rids = if kind == Kind::Video { simulcast::offered(offered) } else { Vec::new() };
        receive_rids(&rids, &mut section);
        let track = previous.as_ref().and_then(|p| p.source.as_ref()).map(|s| s.track);
        spec.source = Some(SourceSpec {
            track: track.unwrap_or_else(|| (terms.track_key)(index)),
            ssrcs: if rids.is_empty() { ssrcs(offered) } else { Vec::new() },
            rids: simulcast::smallest_first(&rids),
        });
        bandwidth(&mut section, kind, terms.max_bitrate);
    }
    if direction.receives() {
        let slot = slot(&spec, previous.and_then(|p| p.slot), terms, slots);
        write_slot(&slot, index, &spec, terms, &mut section);
        spec.slot = Some(slot);
    }
    let a = &mut section.attributes;
    a.push(Attribute::Direction(direction.reversed()));
    if spec.presentation {
        a.push(Attribute::Content(vec!["slides".into()]));
    }
    a.push(Attribute::RtcpMux);
    if offered.attributes.contains(&Attribute::RtcpRsize) {
        a.push(Attribute::RtcpRsize);
    }
    if offered.attributes.contains(&Attribute::ExtMapAllowMixed) {
        a.push(Attribute::ExtMapAllowMixed);
    }
    (section, spec)
}

fn blank(offered: &Media) -> Media {
    Media {
        kind: offered.kind.clone(),
        port: 0,
        protocol: offered.protocol.clone(),
        formats: Vec::new(),
        connection: None,
        bandwidth: Vec::new(),
        attributes: offered.mid().map(|mid| Attribute::Mid(mid.to_owned())).into_iter().collect(),
    }
}

fn empty_spec(mid: String, kind: Kind) -> MediaSpec {
    MediaSpec {
        mid,
        kind,
        presentation: false,
        codecs: Vec::new(),
        extensions: Vec::new(),
        source: None,
        slot: None,
        sctp_port: None,
    }
}

fn data(offered: &Media, section: &mut Media, spec: &mut MediaSpec) {
    section.formats = vec!["webrtc-datachannel".into()];
    let port = offered.attributes.iter().find_map(|a| match a {
        Attribute::SctpPort(port) => Some(*port),
        _ => None,
    });
    spec.sctp_port = Some(port.unwrap_or(SCTP_PORT));
    section.attributes.push(Attribute::SctpPort(SCTP_PORT));
    section.attributes.push(Attribute::MaxMessageSize(MAX_MESSAGE_SIZE));
}

fn receive_rids(rids: &[&Rid], section: &mut Media) {
    if rids.is_empty() {
        return;
    }
    let received = |rid: &&Rid| {
        Attribute::Rid(Rid { id: rid.id.clone(), direction: RidDirection::Recv, params: rid.params.clone() })
    };
    section.attributes.extend(rids.iter().map(received));
    let recv = rids.iter().map(|rid| SimulcastStream::single(rid.id.as_str())).collect();
    section.attributes.push(Attribute::Simulcast(Simulcast { send: Vec::new(), recv }));
}

/// Signalled SSRCs with their RTX SSRCs. Of a SIM group (simulcast without RIDs) only the first, which always flows.
fn ssrcs(offered: &Media) -> Vec<(u32, Option<u32>)> {
    let groups = |wanted: &'static str| {
        offered.attributes.iter().filter_map(move |a| match a {
            Attribute::SsrcGroup { semantics, ssrcs } if semantics == wanted => Some(ssrcs.as_slice()),
            _ => None,
        })
    };
    let is_rtx = |ssrc: u32| groups("FID").chain(groups("FEC-FR")).any(|g| g.iter().skip(1).any(|s| *s == ssrc));
    let is_other_layer = |ssrc: u32| groups("SIM").any(|g| g.iter().skip(1).any(|s| *s == ssrc));
    let rtx_of = |ssrc: u32| groups("FID").find(|g| g.first() == Some(&ssrc)).and_then(|g| g.get(1)).copied();
    let mut out: Vec<(u32, Option<u32>)> = Vec::new();
    for attribute in &offered.attributes {
        let Attribute::Ssrc { ssrc, .. } = attribute else { continue };
        let new = !out.iter().any(|(known, _)| known == ssrc);
        if new && out.len() < MAX_SSRCS && !is_rtx(*ssrc) && !is_other_layer(*ssrc) {
            out.push((*ssrc, rtx_of(*ssrc)));
        }
    }
    out
}

fn slot(spec: &MediaSpec, previous: Option<SlotSpec>, terms: &mut Terms<'_>, slots: &mut SlotCounter) -> SlotSpec {
    let rtx = spec.codecs.iter().any(|c| c.rtx.is_some());
    let index = slots.next(spec.kind, spec.presentation);
    let kept_rtx = previous.as_ref().and_then(|p| p.rtx_ssrc);
    let ssrc = previous.map_or_else(|| (terms.new_ssrc)(), |p| p.ssrc);
    SlotSpec { index, ssrc, rtx_ssrc: rtx.then(|| kept_rtx.unwrap_or_else(|| (terms.new_ssrc)())) }
}

/// `msid`, `ssrc-group` and `ssrc`. Each slot is a stream of its own: the holder of a picture slot need not be the voice of
/// a sound slot, so browsers must not synchronise them. Named by the m-line, which never changes. Only the sound and the picture of a mix
/// are one stream: browsers synchronise what has one stream's name, by the sender reports.
fn write_slot(slot: &SlotSpec, line: usize, spec: &MediaSpec, terms: &Terms<'_>, section: &mut Media) {
    let kind = if spec.kind == Kind::Audio { "audio" } else { "video" };
    let role = if spec.presentation { "slides" } else { "slot" };
    let stream = format!("{role}-{kind}-{line}");
    let track = format!("{stream}-track");
    let stream = if terms.in_step && slot.index == 0 && !spec.presentation { "mix".to_owned() } else { stream };
    let a = &mut section.attributes;
    a.push(Attribute::Msid { stream: stream.clone(), track: Some(track.clone()) });
    if let Some(rtx) = slot.rtx_ssrc {
        a.push(Attribute::SsrcGroup { semantics: "FID".into(), ssrcs: vec![slot.ssrc, rtx] });
    }
    for ssrc in std::iter::once(slot.ssrc).chain(slot.rtx_ssrc) {
        let named = |name: &str, value: String| Attribute::Ssrc { ssrc, name: name.into(), value: Some(value) };
        a.push(named("cname", terms.cname.to_owned()));
        a.push(named("msid", format!("{stream} {track}")));
    }
}

/// One line: libwebrtc and Firefox read `TIAS` (RFC 3890), and there are parsers (str0m) that take no second `b=` line.
fn bandwidth(section: &mut Media, kind: Kind, max: Option<u64>) {
    if let Some(max) = max.filter(|_| kind == Kind::Video) {
        section.bandwidth.push(Bandwidth { kind: "TIAS".into(), value: max });
    }
}
