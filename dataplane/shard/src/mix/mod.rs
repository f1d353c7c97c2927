//! Mixes of conferences: what control wants is told to the mixer, feeds that the mixer wants are copied to it ([`feeds`]), and what
//! it makes are tracks that belong to no leg, with which the slots of mixed legs are filled ([`outputs`]), and single slots of those who cannot
//! decode a member's original ([`tracks`]).
//!
//! The shard speaks in records ([`plenum_contract::record`]) that somebody else carries: no I/O is here. A mixer keeps nothing: one
//! that comes anew is told everything again. What it says is not trusted: it may only ask for what members send, and send what
//! was asked for. While there is no mixer, mixed legs wait for a little while, then they are forwarded to.

mod feeds;
mod outputs;
mod steps;
mod tracks;

use crate::Shard;
use crate::world::{ConferenceIndex, ToldSeats, TrackIndex};
use core::time::Duration;
use plenum_contract::mix::{MAX_MEMBERS, MAX_SCENES, MAX_SHED, MAX_TRANSCODES};
use plenum_contract::record::MAX_SPEAKERS;
use plenum_contract::{
    ConferenceKey, EventBody, Feed, FromMix, MixOutput, MixSpec, MixerSpent, ParticipantKey, PresentationPlace,
    SceneSpec, Still, ToMix, TranscodeSpec,
};
use plenum_packet::{DropReason, Pool, Time};
use plenum_route::keyframe::Cause;
use plenum_stage::AudioSeats;

pub(crate) use feeds::Tap;
pub(crate) use outputs::Made;

/// Mixed legs wait so long for a mixer that went; then they are forwarded to. Shorter: a restart (2 s) makes every picture jump
/// twice. Longer: they look at a frozen picture.
const PATIENCE: Duration = Duration::from_secs(4);
/// Who was among the loudest keeps a mix without themself for so long, because they will soon be again.
const OWN_MIX: Duration = Duration::from_secs(5);
/// Most feeds that the mixer may want in one conference: sound, camera and screen of as many as tiles and ears can take.
const MAX_WANTS: usize = 256;
/// Bytes of records for which memory is kept. A turn takes less; when a mixer comes, all specs are told at once.
const KEPT_RECORDS: usize = 1 << 20;
/// Least time between two pictures of a presentation in one size: what comes sooner is left out. The mixer makes one a second.
const STILL_EVERY: Duration = Duration::from_millis(500);

/// A conference's mix.
pub(crate) struct Mix {
    pub(crate) spec: MixSpec,
    wants: Vec<Wanted>,
    pub(crate) tracks: Vec<MixTrack>,
    loudest: AudioSeats,
    /// What the mixer was told of speakers last.
    told: Option<(Vec<ParticipantKey>, Vec<ParticipantKey>)>,
    /// Who hears a mix without themself, until when.
    own: Vec<(ParticipantKey, Time)>,
    needs: Vec<Need>,
    /// Who stands in the tiles of each scene and in which layout, as the mixer told.
    seats: Vec<(u16, String, Vec<Option<ParticipantKey>>)>,
    /// When a picture of the presentation came, by its height.
    stills: Vec<(u16, Time)>,
    /// What cannot be done, as the mixer told of this spec.
    unable: Option<String>,
    /// How much of it is left out ([`FromMix::Shed`]).
    pub(crate) shed: u8,
}

/// A feed that the mixer wants.
struct Wanted {
    feed: Feed,
    width: u16,
    height: u16,
    /// The track that is tapped for it.
    source: Option<TrackIndex>,
}

/// A track that the mixer makes.
#[derive(Clone, Copy)]
pub(crate) struct MixTrack {
    made: Made,
    source: TrackIndex,
    /// When somebody was last seen to need it.
    used: Time,
}

/// An output that the mixer was told to make.
struct Need {
    output: MixOutput,
    bitrate: u32,
    loss: u8,
    used: Time,
}

/// The mixer, as the shard knows it.
#[derive(Default)]
pub(crate) struct Mixer {
    up: bool,
    /// When it came or went.
    since: Time,
    /// Counts mixers: packets of another one begin other streams.
    generation: u32,
    /// How much work it leaves out ([`FromMix::Load`]).
    shed: u8,
    /// What it took so far, and what those before it took.
    spent: MixerSpent,
    spent_before: MixerSpent,
    /// Whether mixed legs get the mix.
    pub(crate) flows: bool,
    /// Records for it, one after the other, and where each ends.
    records: Vec<u8>,
    ends: Vec<u32>,
}

impl Mixer {
    /// Whether it makes the smallest encodings alone.
    pub(crate) fn is_short(&self) -> bool {
        self.shed >= 2
    }

    /// Queues a record, when there is a mixer.
    fn tell(&mut self, value: &ToMix<'_>) {
        if self.up && value.write(&mut self.records).is_ok() {
            self.ends.push(self.records.len() as u32);
        }
    }
}

impl Mix {
    fn new(spec: MixSpec) -> Mix {
        Mix {
            spec,
            wants: Vec::new(),
            tracks: Vec::new(),
            loudest: AudioSeats::default(),
            told: None,
            own: Vec::new(),
            needs: Vec::new(),
            seats: Vec::new(),
            stills: Vec::new(),
            unable: None,
            shed: 0,
        }
    }

    /// Who is left out of the sound that a viewer hears: themself, while they are among the loudest, and a while longer.
    fn leaves_out(&self, viewer: ParticipantKey) -> Option<ParticipantKey> {
        self.own.iter().any(|(key, _)| *key == viewer).then_some(viewer)
    }

    /// The scene that a leg sees: the first one when its own is not there.
    fn scene(&self, id: u16) -> Option<&SceneSpec> {
        self.spec.scenes.iter().find(|s| s.id == id).or(self.spec.scenes.first())
    }
}

impl Shard {
    /// Makes or changes a conference's mix.
    pub(crate) fn set_mix(&mut self, pool: &mut Pool, mut spec: MixSpec) -> Result<(), String> {
        let key = spec.conference;
        let index = self.world.conference(key).ok_or_else(|| format!("mix: conference {} is unknown", key.0))?;
        let Some(conference) = self.world.conferences.get_mut(index) else { return Ok(()) };
        if conference.mix.as_ref().is_some_and(|mix| spec.revision < mix.spec.revision) {
            return Ok(());
        }
        spec.scenes.truncate(MAX_SCENES);
        spec.members.truncate(MAX_MEMBERS);
        spec.transcodes.truncate(MAX_TRANSCODES);
        self.mixer.tell(&ToMix::Spec(spec.clone()));
        let scenes: Vec<u16> = spec.scenes.iter().map(|s| s.id).collect();
        let transcodes = spec.transcodes.clone();
        match &mut conference.mix {
            Some(mix) => {
                if mix.spec.logo != spec.logo {
                    mix.unable = None;
                }
                mix.seats.retain(|(scene, ..)| scenes.contains(scene));
                mix.spec = spec;
            }
            None => conference.mix = Some(Box::new(Mix::new(spec))),
        }
        self.retire(pool, index, |track| match track.made {
            Made::Video { scene, .. } => scenes.contains(&scene),
            Made::Track { feed, codec } => transcodes.contains(&TranscodeSpec { source: feed, codec }),
            Made::Audio { .. } => true,
        });
        self.settle(index);
        Ok(())
    }

    /// Ends a conference's mix.
    pub(crate) fn remove_mix(&mut self, pool: &mut Pool, key: ConferenceKey) {
        let Some(index) = self.world.conference(key) else { return };
        self.retire(pool, index, |_| false);
        self.shed(key, 0);
        let Some(mix) = self.world.conferences.get_mut(index).and_then(|c| c.mix.take()) else { return };
        for want in &mix.wants {
            self.untap(want.source);
        }
        self.mixer.tell(&ToMix::Remove(key));
        self.settle(index);
    }

    /// A mixer is there, who knows nothing yet: it is told everything.
    pub fn mixer_up(&mut self, now: Time) {
        self.forget_mixer();
        self.mixer.generation = self.mixer.generation.wrapping_add(1);
        (self.mixer.up, self.mixer.since, self.mixer.shed) = (true, now, 0);
        (self.mixer.spent_before, self.mixer.spent) = (self.mixer_spent(), MixerSpent::default());
        for (_, conference) in self.world.conferences.iter() {
            if let Some(mix) = &conference.mix {
                self.mixer.tell(&ToMix::Spec(mix.spec.clone()));
            }
        }
        self.settle_mixes();
    }

    /// The mixer is gone.
    pub fn mixer_gone(&mut self, now: Time) {
        self.forget_mixer();
        (self.mixer.up, self.mixer.since) = (false, now);
        self.settle_mixes();
    }

    /// Whether there is a mixer, and how much work it leaves out.
    pub fn mixer_state(&self) -> Option<u8> {
        self.mixer.up.then_some(self.mixer.shed)
    }

    /// What mixers have taken for this shard's conferences, as they say.
    pub fn mixer_spent(&self) -> MixerSpent {
        self.mixer.spent_before.with(self.mixer.spent)
    }

    /// Outputs that the mixer was told to make.
    pub fn mixer_outputs(&self) -> usize {
        self.world.conferences.iter().filter_map(|(_, c)| c.mix.as_ref()).map(|mix| mix.needs.len()).sum()
    }

    /// Hands out the records for the mixer, and whether each is a packet, which may be lost where others may not.
    pub fn drain_mixer(&mut self, mut take: impl FnMut(&[u8], bool)) {
        let mut start = 0;
        for end in self.mixer.ends.drain(..).map(|end| end as usize) {
            let record = &self.mixer.records[start..end];
            take(record, plenum_contract::record::is_packet(record));
            start = end;
        }
        self.mixer.records.clear();
        self.mixer.records.shrink_to(KEPT_RECORDS);
    }

    /// Takes a record that the mixer wrote.
    pub fn handle_mixer(&mut self, now: Time, pool: &mut Pool, record: &[u8]) {
        let result = match FromMix::read(record) {
            Ok(value) if self.mixer.up => self.take_from_mixer(now, pool, value),
            Ok(_) => Ok(()),
            Err(_) => Err(DropReason::MalformedRtp),
        };
        if let Err(reason) = result {
            self.drops.count(reason);
        }
    }

    fn take_from_mixer(&mut self, now: Time, pool: &mut Pool, value: FromMix<'_>) -> Result<(), DropReason> {
        match value {
            FromMix::Packet { conference, output, captured, rtp } => {
                return self.take_mixed(now, pool, conference, output, (Time(captured), rtp));
            }
            FromMix::Want { conference, feed, width, height } => self.want(now, conference, feed, width, height),
            FromMix::Unwant { conference, feed } => self.unwant(conference, feed),
            FromMix::KeyFrame { conference, feed } => {
                let mix = self.world.conference(conference).and_then(|c| self.world.conferences.get(c)?.mix.as_ref());
                let source = mix.and_then(|mix| mix.wants.iter().find(|w| w.feed == feed)?.source);
                let tap = source.and_then(|s| self.world.sources.get(s)?.tap);
                if let Some((source, tap)) = source.zip(tap) {
                    self.ask_key_frame(now, source, tap.target, Cause::Receiver);
                    self.send_due_key_frame_requests(now);
                }
            }
            FromMix::Seats { conference, scene, layout, seats } => self.seated(conference, scene, layout, seats),
            FromMix::Shed { conference, level } => self.shed(conference, level),
            FromMix::Unable { conference, reason } => {
                let index = self.world.conference(conference);
                let mix = index.and_then(|index| self.world.conferences.get_mut(index)?.mix.as_mut());
                if mix.is_some_and(|mix| mix.unable.replace(reason.clone()).is_none()) {
                    self.tell(false, EventBody::MixUnable { conference, reason });
                }
            }
            FromMix::Still { conference, presenter, height, jpeg } => {
                self.still(now, conference, presenter, height, jpeg);
            }
            FromMix::Load { shed, spent } => {
                self.mixer.spent = spent;
                if self.mixer.shed != shed {
                    self.mixer.shed = shed;
                    self.next_layers = Time::ZERO;
                }
            }
        }
        Ok(())
    }

    /// Control is told when another part of a mix is left out.
    fn shed(&mut self, key: ConferenceKey, level: u8) {
        let index = self.world.conference(key);
        let mix = index.and_then(|index| self.world.conferences.get_mut(index)?.mix.as_mut());
        let level = level.min(MAX_SHED);
        if mix.is_some_and(|mix| std::mem::replace(&mut mix.shed, level) != level) {
            self.tell(false, EventBody::MixShed { conference: key, level });
        }
    }

    /// Somebody else stands in the tiles of a scene: control is told for each leg that sees it.
    fn seated(&mut self, key: ConferenceKey, scene: u16, layout: String, seats: Vec<Option<ParticipantKey>>) {
        let Some(index) = self.world.conference(key) else { return };
        let Some(mix) = self.world.conferences.get_mut(index).and_then(|c| c.mix.as_mut()) else { return };
        if !mix.spec.scenes.iter().any(|s| s.id == scene) {
            return;
        }
        mix.seats.retain(|(id, ..)| *id != scene);
        mix.seats.push((scene, layout, seats));
        self.settle(index);
    }

    /// A picture of the presentation, for control: as far as it was asked for, and not too often.
    fn still(&mut self, now: Time, key: ConferenceKey, presenter: ParticipantKey, height: u16, jpeg: &[u8]) {
        let Some(index) = self.world.conference(key) else { return };
        let Some(mix) = self.world.conferences.get_mut(index).and_then(|c| c.mix.as_mut()) else { return };
        if mix.spec.presenter != Some(presenter) || !mix.spec.stills.contains(&height) {
            return;
        }
        mix.stills.retain(|(height, at)| mix.spec.stills.contains(height) && now.since(*at) < STILL_EVERY);
        if mix.stills.iter().any(|(known, _)| *known == height) {
            return;
        }
        mix.stills.push((height, now));
        self.stills.push(Still { conference: key, presenter, height, jpeg: jpeg.to_vec() });
    }

    /// Nothing is tapped, wanted or made any more.
    fn forget_mixer(&mut self) {
        self.mixer.records.clear();
        self.mixer.ends.clear();
        for (_, conference) in self.world.conferences.iter_mut() {
            if let Some(mix) = &mut conference.mix {
                mix.wants.clear();
                mix.needs.clear();
                mix.seats.clear();
                mix.told = None;
                if std::mem::take(&mut mix.shed) != 0 {
                    self.events.push((false, EventBody::MixShed { conference: conference.spec.key, level: 0 }));
                }
            }
        }
        self.world.sources.iter_mut().for_each(|(_, source)| source.tap = None);
    }

    fn settle_mixes(&mut self) {
        let mixed: Vec<_> = self.world.conferences.iter().filter(|(_, c)| c.mix.is_some()).map(|(i, _)| i).collect();
        mixed.into_iter().for_each(|index| self.settle(index));
        self.next_layers = Time::ZERO;
    }

    /// Decides whether mixed legs get the mix: while there is a mixer, and a while longer.
    pub(crate) fn tick_mixer(&mut self, now: Time) {
        let waits = self.mixer.generation > 0 && now.since(self.mixer.since) < PATIENCE;
        let flows = self.mixer.up || waits;
        if flows != self.mixer.flows {
            self.mixer.flows = flows;
            self.settle_mixes();
        }
    }

    /// Tells the mixer who speaks and who is to be heard, and notes who needs a mix without themself. True when seats are to be
    /// filled again.
    pub(crate) fn update_speakers(&mut self, now: Time, index: ConferenceIndex) -> bool {
        let Some(conference) = self.world.conferences.get_mut(index) else { return false };
        let (stage, Some(mix)) = (&conference.stage, conference.mix.as_mut()) else { return false };
        let count = usize::from(mix.spec.loudest).min(MAX_SPEAKERS);
        // A viewer who is nobody hears what everybody may hear.
        stage.seat_audio(&stage.line_up(), &mut mix.loudest, ParticipantKey(u64::MAX), count);
        let loudest: Vec<_> = mix.loudest.slots().iter().flatten().copied().collect();
        let order: Vec<_> = stage.speakers().map(|(key, _)| key).collect();
        let told = (order, loudest);
        if mix.told.as_ref() == Some(&told) {
            return false;
        }
        let changed = mix.told.as_ref().is_none_or(|(_, before)| *before != told.1);
        for (key, until) in &mut mix.own {
            if told.1.contains(key) {
                *until = Time::NEVER;
            } else if *until == Time::NEVER {
                *until = now + OWN_MIX;
            }
        }
        for &key in &told.1 {
            if !mix.own.iter().any(|(own, _)| *own == key) {
                mix.own.push((key, Time::NEVER));
            }
        }
        let (order, loudest) = told.clone();
        self.mixer.tell(&ToMix::Speakers { conference: conference.spec.key, order, loudest });
        mix.told = self.mixer.up.then_some(told);
        changed
    }

    /// Lets mixes of those who have long been silent go; true when seats are to be filled again.
    pub(crate) fn expire_own(&mut self, now: Time, index: ConferenceIndex) -> bool {
        let Some(mix) = self.world.conferences.get_mut(index).and_then(|c| c.mix.as_mut()) else { return false };
        let before = mix.own.len();
        mix.own.retain(|(_, until)| *until > now);
        mix.own.len() != before
    }

    /// What control is told of a mixed leg's seats: those of its scene.
    fn tell_scene(
        &mut self,
        index: u32,
        scene: u16,
        conference: ConferenceIndex,
        presentation: Option<ParticipantKey>,
    ) {
        let Some(mix) = self.world.conferences.get(conference).and_then(|c| c.mix.as_ref()) else { return };
        let Some((_, layout, seats)) = mix.seats.iter().find(|(id, ..)| *id == scene) else { return };
        let drawn = mix.scene(scene).is_some_and(|scene| scene.presentation != PresentationPlace::Absent);
        let presentation = presentation.or(mix.spec.presenter.filter(|_| drawn));
        let told = ToldSeats { seats: seats.clone(), presentation, layout: Some(layout.clone()) };
        let Some(leg) = self.world.legs.get_mut(index) else { return };
        if leg.told_seats.as_ref() != Some(&told) {
            leg.told_seats = Some(told.clone());
            let event = told.event(leg.session.key());
            self.tell(false, event);
        }
    }
}
