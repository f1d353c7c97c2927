//! What members send that must exist in another codec too, because somebody who is forwarded to cannot decode it.
//!
//! Whoever decodes the original keeps it. A viewer who would need more than a conference may have ([`MAX_TRANSCODES`]) gets the mix in its place, whatever their
//! call said; who came first is served first. Pure.

use super::legs::Legs;
use super::mixing::{hears, wants};
use crate::calls;
use plenum_contract::mix::MAX_TRANSCODES;
use plenum_contract::{Feed, FeedKind, Kind, MediaSpec, ParticipantKey, SessionSpec, TranscodeSpec};
use plenum_model::{Conference, LegKey, ServiceState};
use std::collections::BTreeSet;

/// What a conference needs. See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) tracks: BTreeSet<TranscodeSpec>,
    /// Legs that would need too much, and get the mix.
    pub(super) mixed: BTreeSet<LegKey>,
}

/// A leg, as far as codecs go.
struct Leg<'a> {
    key: LegKey,
    spec: &'a SessionSpec,
    mixed: bool,
    /// It is forwarded to but hears the mix, and lacks no voice.
    hears: bool,
}

/// The plan of a conference.
pub(super) fn plan(conference: &Conference, legs: &Legs) -> Plan {
    let members = conference.members.values().filter(|member| member.state == ServiceState::Conference);
    let calls = members.flat_map(|member| &member.calls);
    let known = calls.filter_map(|call| {
        let record = legs.get(call.leg)?;
        Some(Leg { key: call.leg, spec: &record.spec, mixed: wants(record), hears: hears(record) })
    });
    plan_of(&known.collect::<Vec<_>>())
}

fn plan_of(legs: &[Leg<'_>]) -> Plan {
    let mut plan = Plan::default();
    for viewer in legs {
        let (shared, own): (Vec<_>, Vec<_>) = lacks(viewer, legs)
            .into_iter()
            .filter(|t| !viewer.hears || t.source.kind != FeedKind::Audio)
            .partition(|t| matches!(t.source.kind, FeedKind::Presentation | FeedKind::PresentationAudio));
        if !viewer.mixed && !plan.add(own) {
            plan.mixed.insert(viewer.key);
        }
        // A presentation has an m-line of its own, beside the mix too.
        plan.add(shared);
    }
    plan
}

impl Plan {
    /// All of these, or none.
    fn add(&mut self, tracks: Vec<TranscodeSpec>) -> bool {
        let added: BTreeSet<_> = tracks.into_iter().filter(|track| !self.tracks.contains(track)).collect();
        let fits = self.tracks.len() + added.len() <= MAX_TRANSCODES;
        if fits {
            self.tracks.extend(added);
        }
        fits
    }
}

/// What a viewer lacks of what others send.
fn lacks(viewer: &Leg<'_>, legs: &[Leg<'_>]) -> Vec<TranscodeSpec> {
    let others = legs.iter().filter(|leg| leg.spec.participant != viewer.spec.participant);
    let pairs = others.flat_map(|leg| calls::lacking(leg.spec, viewer.spec).map(|lack| (leg.spec.participant, lack)));
    pairs
        .filter_map(|(participant, lack)| {
            Some(TranscodeSpec { source: feed(participant, lack.media)?, codec: lack.substitute()? })
        })
        .collect()
}

/// The stream of an m-line; `None` for what is neither picture nor sound.
fn feed(participant: ParticipantKey, media: &MediaSpec) -> Option<Feed> {
    let kind = match (media.kind, media.presentation) {
        (Kind::Audio, false) => FeedKind::Audio,
        (Kind::Video, false) => FeedKind::Camera,
        (Kind::Video, true) => FeedKind::Presentation,
        (Kind::Audio, true) => FeedKind::PresentationAudio,
        _ => return None,
    };
    Some(Feed { participant, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_contract::spec::{CodecSpec, IceSpec, SlotSpec, SourceSpec};
    use plenum_contract::{Codec, TrackKey};

    /// A leg that sends the first of `video` and receives all of them, with one sound codec.
    fn spec(key: u64, video: &[Codec], audio: Codec) -> SessionSpec {
        let codec = |codec: &Codec| CodecSpec {
            payload_type: 96,
            codec: *codec,
            clock: 90_000,
            rtx: None,
            profile: codec.encoded().unwrap_or(0),
            nack: true,
            pli: true,
            fir: false,
            twcc: true,
            remb: false,
        };
        let line = |kind, presentation, codecs: &[Codec]| MediaSpec {
            mid: "0".into(),
            kind,
            presentation,
            codecs: codecs.iter().map(codec).collect(),
            extensions: vec![],
            source: Some(SourceSpec { track: TrackKey(key), ssrcs: vec![], rids: vec![] }),
            slot: Some(SlotSpec { index: 0, ssrc: 1, rtx_ssrc: None }),
            sctp_port: None,
        };
        let ice = |text: &str| text.to_owned();
        SessionSpec {
            key: plenum_contract::LegKey(key),
            revision: 1,
            participant: ParticipantKey(key),
            shard: 0,
            ice: IceSpec { local_ufrag: ice("a"), local_pwd: ice("b"), remote_ufrag: ice("c"), remote_pwd: ice("d") },
            fingerprints: vec![],
            media: vec![
                line(Kind::Audio, false, &[audio]),
                line(Kind::Video, false, video),
                line(Kind::Video, true, video),
                line(Kind::Audio, true, &[audio]),
            ],
            max_bitrate: None,
            cname: "c".into(),
            bindings: vec![],
        }
    }

    fn planned(specs: &[SessionSpec], mixed: &[u64]) -> Plan {
        let leg = |spec| Leg { key: LegKey(key(spec)), spec, mixed: mixed.contains(&key(spec)), hears: false };
        plan_of(&specs.iter().map(leg).collect::<Vec<_>>())
    }

    fn key(spec: &SessionSpec) -> u64 {
        spec.key.0
    }

    fn track(key: u64, kind: FeedKind, codec: Codec) -> TranscodeSpec {
        TranscodeSpec { source: Feed { participant: ParticipantKey(key), kind }, codec }
    }

    #[test]
    fn nothing_is_made_where_everybody_decodes_what_everybody_sends() {
        let both = [Codec::Vp8, Codec::H264];
        let plan = planned(&[spec(1, &both, Codec::Opus), spec(2, &[Codec::Vp8], Codec::Opus)], &[]);
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn who_lacks_a_codec_gets_each_sender_in_one_they_have_and_the_mixed_only_what_is_presented() {
        use FeedKind::{Audio, Camera, Presentation, PresentationAudio};
        let (vp8, h264) = (spec(1, &[Codec::Vp8], Codec::Opus), spec(2, &[Codec::H264], Codec::Pcmu));
        let av1 = spec(3, &[Codec::Av1, Codec::Vp8, Codec::H264], Codec::Opus);
        let plan = planned(&[vp8.clone(), h264.clone(), av1.clone()], &[]);
        let wanted = [
            track(1, Audio, Codec::Pcmu),
            track(1, Camera, Codec::H264),
            track(1, Presentation, Codec::H264),
            track(1, PresentationAudio, Codec::Pcmu),
            track(2, Audio, Codec::Opus),
            track(2, Camera, Codec::Vp8),
            track(2, Presentation, Codec::Vp8),
            track(2, PresentationAudio, Codec::Opus),
            track(3, Audio, Codec::Pcmu),
            track(3, Camera, Codec::Vp8),
            track(3, Camera, Codec::H264),
            track(3, Presentation, Codec::Vp8),
            track(3, Presentation, Codec::H264),
            track(3, PresentationAudio, Codec::Pcmu),
        ];
        assert_eq!((plan.tracks.into_iter().collect::<Vec<_>>(), plan.mixed), (wanted.to_vec(), BTreeSet::new()));
        let plan = planned(&[vp8, h264], &[2]);
        let wanted = [
            track(1, Presentation, Codec::H264),
            track(1, PresentationAudio, Codec::Pcmu),
            track(2, Audio, Codec::Opus),
            track(2, Camera, Codec::Vp8),
            track(2, Presentation, Codec::Vp8),
            track(2, PresentationAudio, Codec::Opus),
        ];
        assert_eq!(plan.tracks.into_iter().collect::<Vec<_>>(), wanted);
        // Who hears the mix lacks no voice.
        let [opus, pcmu] =
            [Codec::Opus, Codec::Pcmu].map(|audio| spec(u64::from(audio == Codec::Pcmu), &[Codec::Vp8], audio));
        let leg = |spec, hears| Leg { key: LegKey(key(spec)), spec, mixed: false, hears };
        let plan = plan_of(&[leg(&opus, false), leg(&pcmu, true)]);
        let wanted = [
            track(0, PresentationAudio, Codec::Pcmu),
            track(1, Audio, Codec::Opus),
            track(1, PresentationAudio, Codec::Opus),
        ];
        assert_eq!(plan.tracks.into_iter().collect::<Vec<_>>(), wanted);
        // What the mixer does not decode is not made.
        let h265 = spec(4, &[Codec::H265], Codec::Opus);
        assert_eq!(planned(&[h265, av1], &[3]).tracks.iter().filter(|t| t.source.participant.0 == 4).count(), 0);
    }

    #[test]
    fn a_viewer_who_would_need_too_much_gets_the_mix_and_who_came_first_is_served_first() {
        let mut specs: Vec<_> = (1..=30).map(|n| spec(n, &[Codec::Vp8], Codec::Opus)).collect();
        specs.iter_mut().for_each(|spec| spec.media.truncate(2));
        for (n, codec, audio) in [(40, Codec::H264, Codec::Pcmu), (41, Codec::H264, Codec::Pcma)] {
            specs.push(spec(n, &[codec], audio));
            specs.last_mut().unwrap().media.truncate(2);
        }
        let plan = planned(&specs, &[]);
        assert_eq!(
            plan.mixed.into_iter().collect::<Vec<_>>(),
            [LegKey(40), LegKey(41)],
            "61 each, beside 4 of their own"
        );
        let own = [40, 41].map(|n| [track(n, FeedKind::Audio, Codec::Opus), track(n, FeedKind::Camera, Codec::Vp8)]);
        assert_eq!(plan.tracks, own.into_iter().flatten().collect());
        specs.truncate(31);
        let plan = planned(&specs, &[]);
        assert_eq!((plan.tracks.len(), plan.mixed.len()), (62, 0));
    }
}
