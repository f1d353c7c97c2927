//! Who gets the mix, and what each conference's mix is to look and sound like.
//!
//! A call says `media: forward` or `mix`; one that says nothing gets the mix when it has a single picture to fill, or none and a
//! single sound. Who is forwarded to and has a single sound to fill hears the mix all the same. Media decides again when there is no mixer. Members who see the same thing share a scene, which is encoded once; who is not to see themselves has one of their own,
//! as far as [`MAX_SCENES`] goes.

use super::legs::Legs;
use super::media::Media;
use super::transcoding;
use crate::store::LegRecord;
use plenum_contract as contract;
use plenum_contract::mix::{MAX_MEMBERS, MAX_SCENES};
use plenum_contract::{Command, Kind, MemberPicture, MixMember, MixSpec, PresentationPlace, SceneSpec, SessionSpec};
use plenum_model::layout::PresentationPlace as Chosen;
use plenum_model::{
    Call, Conference, ConferenceKey, Event, LegKey, MediaChange, Model, Participant, Purpose, ServiceState,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Size of a scene.
const SIZE: (u16, u16) = (1280, 720);

/// Most conferences with a logo of their own: they are kept in memory, 64 KiB each.
pub(super) const MAX_LOGOS: usize = 1_000;

/// What media was told of mixes.
#[derive(Debug, Default)]
pub(super) struct Mixes {
    told: BTreeMap<ConferenceKey, MixSpec>,
    /// Legs that get the mix because too much would have to be transcoded for them.
    beyond: BTreeMap<ConferenceKey, BTreeSet<LegKey>>,
    look: Look,
    /// Logos that conferences have of their own, instead of the one of all.
    logos: BTreeMap<ConferenceKey, Arc<[u8]>>,
}

/// What an operator decided for all mixes.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// A PNG over every picture.
    pub(super) logo: Option<Vec<u8>>,
    /// Whether voices are brought to one loudness.
    pub(super) level: bool,
    /// Composed pictures a second.
    pub(super) fps: u8,
}

/// Conferences that something happened in. Who speaks and who is on screen changes no mix, and comes often.
pub(super) fn touched(events: &[Event], changes: &[MediaChange]) -> BTreeSet<ConferenceKey> {
    let changed = changes.iter().filter_map(|change| match *change {
        MediaChange::Conference(place) | MediaChange::Participant(place, _) => Some(place),
        _ => None,
    });
    let lasting = events.iter().filter(|event| !event.body.is_passing());
    lasting.map(|event| event.conference).chain(changed).collect()
}

/// Whether a leg is to get the mix.
pub(super) fn wants(record: &LegRecord) -> bool {
    gets_mix(&record.spec, record.mix)
}

/// The same before there is a record: `choice` is what the call said.
pub(super) fn gets_mix(spec: &SessionSpec, choice: Option<bool>) -> bool {
    let (pictures, sounds) = (slots(spec, Kind::Video), slots(spec, Kind::Audio));
    match choice {
        Some(mix) => mix && pictures + sounds > 0,
        None => pictures == 1 || (pictures == 0 && sounds == 1),
    }
}

/// Whether a leg that is forwarded to is to hear the mix: it has one sound to fill, in which a voice would leave out all others.
pub(super) fn hears(record: &LegRecord) -> bool {
    !wants(record) && slots(&record.spec, Kind::Audio) == 1
}

/// How many streams of a kind a leg receives beside presentations.
fn slots(spec: &SessionSpec, kind: Kind) -> usize {
    spec.media.iter().filter(|m| m.kind == kind && !m.presentation && m.slot.is_some()).count()
}

impl Mixes {
    pub(super) fn new(look: Look, logos: impl IntoIterator<Item = (ConferenceKey, Vec<u8>)>) -> Mixes {
        let logos = logos.into_iter().map(|(key, png)| (key, png.into())).collect();
        Mixes { look, logos, ..Mixes::default() }
    }

    /// A conference's own logo.
    pub(super) fn logo(&self, key: ConferenceKey) -> Option<Arc<[u8]>> {
        self.logos.get(&key).cloned()
    }

    pub(super) fn set_logo(&mut self, key: ConferenceKey, logo: Option<Arc<[u8]>>) {
        match logo {
            Some(logo) => self.logos.insert(key, logo),
            None => self.logos.remove(&key),
        };
    }

    /// Whether this conference has a logo, or may have one beside the others.
    pub(super) fn has_room_for_logo(&self, key: ConferenceKey) -> bool {
        self.logos.len() < MAX_LOGOS || self.logos.contains_key(&key)
    }

    /// Drops logos of conferences that were deleted.
    pub(super) fn sweep(&mut self, model: &Model) {
        self.logos.retain(|key, _| model.conference(*key).is_some());
    }

    /// Whether media has a mix of this conference.
    pub(super) fn is_told(&self, key: ConferenceKey) -> bool {
        self.told.contains_key(&key)
    }

    /// The scene of a leg, if it gets the mix: as media was last told.
    pub(super) fn scene_of(&self, conference: &Conference, member: &Participant, record: &LegRecord) -> Option<u16> {
        let leg = LegKey(record.spec.key.0);
        let beyond = self.beyond.get(&conference.key).is_some_and(|legs| legs.contains(&leg));
        let told = self.told.get(&conference.key).filter(|_| beyond || wants(record))?;
        let wanted = scene(conference, member, record);
        seen(&told.scenes, &wanted)
    }

    /// Whether a leg that is forwarded to hears the mix: as media was last told.
    pub(super) fn heard_by(&self, conference: &Conference, record: &LegRecord) -> bool {
        self.told.contains_key(&conference.key) && hears(record)
    }

    /// A conference ended, and its mix with it.
    pub(super) fn remove(&mut self, key: ConferenceKey) {
        self.told.remove(&key);
        self.beyond.remove(&key);
    }

    /// Another media plane knows of no mix.
    pub(super) fn forget(&mut self) {
        self.told.clear();
        self.beyond.clear();
    }

    /// What media is to be told of a conference's mix, if that is news.
    pub(super) fn news(
        &mut self,
        model: &Model,
        legs: &Legs,
        unix_ms: u64,
        key: ConferenceKey,
        stills: &[u16],
    ) -> Option<Command> {
        let before = self.told.get(&key);
        let plan = model.conference(key).map(|conference| transcoding::plan(conference, legs)).unwrap_or_default();
        let wanted = model.conference(key).and_then(|conference| spec(conference, legs, before, (&plan, stills)));
        let same = self.beyond.get(&key).unwrap_or(&BTreeSet::new()) == &plan.mixed;
        let Some(mut wanted) = wanted else {
            self.beyond.remove(&key);
            self.told.remove(&key)?;
            return Some(Command::RemoveMix(contract::ConferenceKey(key.0)));
        };
        let own = self.logos.get(&key).map(|logo| logo.to_vec());
        (wanted.level, wanted.logo) = (self.look.level, own.or_else(|| self.look.logo.clone()));
        wanted.fps = self.look.fps;
        wanted.revision = before.map_or(0, |told| told.revision);
        if before == Some(&wanted) && same {
            return None;
        }
        // Newer than what a former process told.
        wanted.revision = unix_ms.max(wanted.revision + 1);
        self.told.insert(key, wanted.clone());
        self.beyond.insert(key, plan.mixed);
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
        (now, unix_ms): (u64, u64),
        of: &BTreeSet<ConferenceKey>,
        sight: &mut BTreeSet<LegKey>,
    ) {
        for key in of {
            // Media does not know a conference before its first call.
            if !self.mixer || !self.knows(*key) {
                continue;
            }
            let stills = self.stills.heights(now, *key);
            if let Some(command) = self.mixes.news(model, legs, unix_ms, *key, &stills) {
                self.send(command);
                sight.extend(model.conference(*key).into_iter().flat_map(Conference::legs));
            }
        }
    }
}

/// The whole mix; `None` when nobody gets or hears it, nor lacks a codec, nor asks for pictures of the presentation in heights of `stills`. Scenes keep the ids that
/// they have in `before`.
fn spec(
    conference: &Conference,
    legs: &Legs,
    before: Option<&MixSpec>,
    (plan, stills): (&transcoding::Plan, &[u16]),
) -> Option<MixSpec> {
    let (mut wanted, mut heard): (Vec<SceneSpec>, bool) = (Vec::new(), false);
    for member in conference.members.values().filter(|member| member.state == ServiceState::Conference) {
        let main = member.calls.iter().filter(|call| call.purpose == Purpose::Main);
        for record in main.filter_map(|call| legs.get(call.leg)) {
            heard |= hears(record);
            if wants(record) || plan.mixed.contains(&LegKey(record.spec.key.0)) {
                wanted.push(scene(conference, member, record));
            }
        }
    }
    let mut scenes = kept(&wanted);
    let known = |wanted: &SceneSpec| before.and_then(|b| b.scenes.iter().find(|s| same(s, wanted))).map(|s| s.id);
    let mut ids: Vec<Option<u16>> = scenes.iter().map(known).collect();
    for (scene, at) in scenes.iter_mut().zip(0..) {
        let free = (0..).find(|id| !ids.contains(&Some(*id)));
        scene.id = ids[at].or(free).unwrap_or(0);
        ids[at] = Some(scene.id);
    }
    let present = conference.members.values().filter(|member| member.state == ServiceState::Conference);
    (!wanted.is_empty() || heard || !plan.tracks.is_empty() || !stills.is_empty()).then(|| MixSpec {
        conference: contract::ConferenceKey(conference.key.0),
        revision: 0,
        scenes,
        members: present.take(MAX_MEMBERS).map(|m| member(m)).collect(),
        presenter: conference.presenter.map(|key| contract::ParticipantKey(key.0)),
        loudest: 3,
        fps: 0,
        transcodes: plan.tracks.iter().copied().collect(),
        stills: stills.to_vec(),
        level: false,
        logo: None,
    })
}

/// The pictures that are made of those that are wanted. Those that leave nobody out stand first: they are what is seen where
/// there is no room for one's own.
fn kept(wanted: &[SceneSpec]) -> Vec<SceneSpec> {
    let mut scenes: Vec<SceneSpec> = Vec::new();
    for wanted in wanted.iter().map(common).chain(wanted.iter().cloned()) {
        if scenes.len() < MAX_SCENES && !scenes.iter().any(|known| same(known, &wanted)) {
            scenes.push(wanted);
        }
    }
    scenes
}

/// The picture that is seen where this one is wanted.
fn seen(scenes: &[SceneSpec], wanted: &SceneSpec) -> Option<u16> {
    let find = |wanted: &SceneSpec| scenes.iter().find(|known| same(known, wanted));
    find(wanted).or_else(|| find(&common(wanted))).or(scenes.first()).map(|known| known.id)
}

fn same(a: &SceneSpec, b: &SceneSpec) -> bool {
    SceneSpec { id: b.id, ..a.clone() } == *b
}

/// The scene with nobody left out.
fn common(scene: &SceneSpec) -> SceneSpec {
    SceneSpec { without: None, ..scene.clone() }
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
        fixed: fixed(conference, member),
        without: chosen.is_some_and(|entry| entry.remove_self).then_some(contract::ParticipantKey(member.key.0)),
        names: chosen.is_none_or(|entry| entry.overlay_text),
        plus_n: chosen.is_none_or(|entry| entry.plus_n),
        border: chosen.is_none_or(|entry| entry.indicate_speaker),
        fill: chosen.is_some_and(|entry| entry.fill),
        banner: chosen.map(|entry| entry.banner.clone()).filter(|text| !text.is_empty()),
        presentation: match (apart || member.presentation_denied, chosen.map(|entry| entry.presentation)) {
            (true, _) => PresentationPlace::Absent,
            (false, None | Some(Chosen::Main)) => PresentationPlace::Main,
            (false, Some(Chosen::Beside)) => PresentationPlace::Beside,
            (false, Some(Chosen::Full)) => PresentationPlace::Full,
        },
    }
}

/// MGMT-28: without `vad_backfill` actors have their places, and nobody takes that of one who left.
fn fixed(conference: &Conference, member: &Participant) -> Vec<Option<contract::ParticipantKey>> {
    let tied = conference.override_for(member.role).is_some_and(|e| !e.vad_backfill && !e.actors.is_empty());
    let actors = conference.actors_for(member).into_iter().filter(|_| tied);
    actors.map(|actor| actor.map(|key| contract::ParticipantKey(key.0))).collect()
}

fn member(member: &Participant) -> MixMember {
    let main = |which: fn(&Call) -> bool| member.calls.iter().any(|call| call.purpose == Purpose::Main && which(call));
    let (video, held) = (main(|call| call.video), main(|call| call.on_hold));
    let shown = match (member.has_media(), video, member.video_muted) {
        (false, ..) => MemberPicture::Nothing,
        (_, true, true) => MemberPicture::CameraOff,
        _ if held => MemberPicture::Held,
        (_, false, _) => MemberPicture::AudioOnly,
        (_, true, false) => MemberPicture::Camera,
    };
    MixMember {
        participant: contract::ParticipantKey(member.key.0),
        name: member.overlay_text.clone(),
        shown,
        heard: !member.audio_muted && !member.self_muted,
        volume: member.volume,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::EventBody;

    #[test]
    fn who_speaks_changes_no_mix_and_who_presents_may() {
        let touches = |body| {
            let (conference, audience) = (ConferenceKey(1), plenum_model::Audience::Admitted);
            !touched(&[Event { conference, audience, body }], &[]).is_empty()
        };
        assert!(!touches(EventBody::Stage(vec![])) && !touches(EventBody::PresentationFrame));
        assert!(touches(EventBody::PresentationStopped));
    }

    #[test]
    fn who_finds_no_room_for_a_picture_of_their_own_sees_the_common_one() {
        let own = |layout: &str, key: Option<u64>| SceneSpec {
            without: key.map(contract::ParticipantKey),
            ..SceneSpec::new(0, layout, SIZE.0, SIZE.1)
        };
        let mut wanted: Vec<SceneSpec> = (0..MAX_SCENES as u64).map(|key| own("1:7", Some(key))).collect();
        wanted.push(own("4:0", None));
        let mut scenes = kept(&wanted);
        assert_eq!((scenes.len(), &scenes[0], &scenes[1]), (MAX_SCENES, &own("1:7", None), &own("4:0", None)));
        scenes.iter_mut().zip(100..).for_each(|(scene, id)| scene.id = id);
        let at = |wanted: &SceneSpec| seen(&scenes, wanted);
        assert_eq!((at(&wanted[0]), at(&wanted[13]), at(&wanted[14])), (Some(102), Some(115), Some(100)));
        assert_eq!((at(&own("4:0", Some(3))), at(&own("9:0", None))), (Some(101), Some(100)));
        assert_eq!(seen(&[], &wanted[0]), None);
    }
}
