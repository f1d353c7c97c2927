//! Who gets the mix, and what each conference's mix is to look and sound like.
//!
//! A call says `media: forward` or `mix`; one that says nothing gets the mix when it has a single picture to fill, or none and a
//! single sound. Media decides again when there is no mixer. Members who see the same thing share a scene, which is encoded once.

use super::legs::Legs;
use super::media::Media;
use crate::store::LegRecord;
use plenum_contract as contract;
use plenum_contract::mix::{MAX_MEMBERS, MAX_SCENES};
use plenum_contract::{Command, Kind, MemberPicture, MixMember, MixSpec, PresentationPlace, SceneSpec};
use plenum_model::{Conference, ConferenceKey, Event, LegKey, MediaChange, Model, Participant, Purpose, ServiceState};
use std::collections::{BTreeMap, BTreeSet};

/// Size of a scene.
const SIZE: (u16, u16) = (1280, 720);

/// What media was told of mixes.
#[derive(Debug, Default)]
pub(super) struct Mixes {
    told: BTreeMap<ConferenceKey, MixSpec>,
}

/// Conferences that something happened in.
pub(super) fn touched(events: &[Event], changes: &[MediaChange]) -> BTreeSet<ConferenceKey> {
    let changed = changes.iter().filter_map(|change| match *change {
        MediaChange::Conference(place) | MediaChange::Participant(place, _) => Some(place),
        _ => None,
    });
    events.iter().map(|event| event.conference).chain(changed).collect()
}

/// Whether a leg is to get the mix.
pub(super) fn wants(record: &LegRecord) -> bool {
    let slots =
        |kind: Kind| record.spec.media.iter().filter(|m| m.kind == kind && !m.presentation && m.slot.is_some()).count();
    let (pictures, sounds) = (slots(Kind::Video), slots(Kind::Audio));
    match record.mix {
        Some(mix) => mix && pictures + sounds > 0,
        None => pictures == 1 || (pictures == 0 && sounds == 1),
    }
}

impl Mixes {
    /// The scene of a leg, if it gets the mix: as media was last told.
    pub(super) fn scene_of(&self, conference: &Conference, member: &Participant, record: &LegRecord) -> Option<u16> {
        let told = self.told.get(&conference.key).filter(|_| wants(record))?;
        let wanted = scene(conference, member, record);
        let found = told.scenes.iter().find(|known| same(known, &wanted)).or(told.scenes.first());
        found.map(|known| known.id)
    }

    /// A conference ended, and its mix with it.
    pub(super) fn remove(&mut self, key: ConferenceKey) {
        self.told.remove(&key);
    }

    /// Another media plane knows of no mix.
    pub(super) fn forget(&mut self) {
        self.told.clear();
    }

    /// What media is to be told of a conference's mix, if that is news.
    pub(super) fn news(&mut self, model: &Model, legs: &Legs, unix_ms: u64, key: ConferenceKey) -> Option<Command> {
        let before = self.told.get(&key);
        let wanted = model.conference(key).and_then(|conference| spec(conference, legs, before));
        let Some(mut wanted) = wanted else {
            self.told.remove(&key)?;
            return Some(Command::RemoveMix(contract::ConferenceKey(key.0)));
        };
        wanted.revision = before.map_or(0, |told| told.revision);
        if before == Some(&wanted) {
            return None;
        }
        // Newer than what a former process told.
        wanted.revision = unix_ms.max(wanted.revision + 1);
        self.told.insert(key, wanted.clone());
        Some(Command::Mix(wanted))
    }
}

impl Media {
    /// Tells what mixes of these conferences are to be: before their legs are told of scenes. Legs whose scene that may change are
    /// added to `sight`.
    pub(super) fn tell_mixes(
        &mut self,
        model: &Model,
        legs: &Legs,
        unix_ms: u64,
        of: &BTreeSet<ConferenceKey>,
        sight: &mut BTreeSet<LegKey>,
    ) {
        for key in of {
            // Media does not know a conference before its first call.
            if !self.mixer || !self.knows(*key) {
                continue;
            }
            if let Some(command) = self.mixes.news(model, legs, unix_ms, *key) {
                self.send(command);
                sight.extend(model.conference(*key).into_iter().flat_map(Conference::legs));
            }
        }
    }
}

/// The whole mix; `None` when nobody gets it. Scenes keep the ids that they have in `before`.
fn spec(conference: &Conference, legs: &Legs, before: Option<&MixSpec>) -> Option<MixSpec> {
    let mut scenes: Vec<SceneSpec> = Vec::new();
    let mut mixed = false;
    for member in conference.members.values().filter(|member| member.state == ServiceState::Conference) {
        let main = member.calls.iter().filter(|call| call.purpose == Purpose::Main);
        for record in main.filter_map(|call| legs.get(call.leg)).filter(|record| wants(record)) {
            mixed = true;
            let wanted = scene(conference, member, record);
            if scenes.len() < MAX_SCENES && !scenes.iter().any(|known| same(known, &wanted)) {
                scenes.push(wanted);
            }
        }
    }
    let known = |wanted: &SceneSpec| before.and_then(|b| b.scenes.iter().find(|s| same(s, wanted))).map(|s| s.id);
    let mut ids: Vec<Option<u16>> = scenes.iter().map(known).collect();
    for (scene, at) in scenes.iter_mut().zip(0..) {
        let free = (0..).find(|id| !ids.contains(&Some(*id)));
        scene.id = ids[at].or(free).unwrap_or(0);
        ids[at] = Some(scene.id);
    }
    let present = conference.members.values().filter(|member| member.state == ServiceState::Conference);
    mixed.then(|| MixSpec {
        conference: contract::ConferenceKey(conference.key.0),
        revision: 0,
        scenes,
        members: present.take(MAX_MEMBERS).map(|m| member(m)).collect(),
        presenter: conference.presenter.map(|key| contract::ParticipantKey(key.0)),
        loudest: 3,
        fps: 30,
    })
}

fn same(a: &SceneSpec, b: &SceneSpec) -> bool {
    SceneSpec { id: b.id, ..a.clone() } == *b
}

/// What a member sees. Its id is not chosen yet.
fn scene(conference: &Conference, member: &Participant, record: &LegRecord) -> SceneSpec {
    let chosen = conference.override_for(member.role);
    let mut first: Vec<_> = conference.actors_for(member).into_iter().flatten().collect();
    for pinned in conference.pinned() {
        if !first.contains(&pinned) {
            first.push(pinned);
        }
    }
    let apart = record.spec.media.iter().any(|media| media.presentation && media.slot.is_some());
    SceneSpec {
        id: 0,
        layout: conference.layout_for(member).as_str().to_owned(),
        width: SIZE.0,
        height: SIZE.1,
        first: first.into_iter().map(|key| contract::ParticipantKey(key.0)).collect(),
        without: None,
        names: chosen.is_none_or(|entry| entry.overlay_text),
        plus_n: chosen.is_none_or(|entry| entry.plus_n),
        border: true,
        fill: false,
        banner: None,
        presentation: match apart || member.presentation_denied {
            true => PresentationPlace::Absent,
            false => PresentationPlace::Main,
        },
    }
}

fn member(member: &Participant) -> MixMember {
    let video = member.calls.iter().any(|call| call.purpose == Purpose::Main && call.video);
    let shown = match (member.has_media(), video, member.video_muted) {
        (false, ..) => MemberPicture::Nothing,
        (_, false, _) => MemberPicture::AudioOnly,
        (.., true) => MemberPicture::CameraOff,
        (.., false) => MemberPicture::Camera,
    };
    MixMember {
        participant: contract::ParticipantKey(member.key.0),
        name: member.overlay_text.clone(),
        shown,
        heard: !member.audio_muted && !member.self_muted,
        volume: 100,
    }
}
