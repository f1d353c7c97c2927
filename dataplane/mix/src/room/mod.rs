//! The mix of one conference: packets and wishes in, pictures and sound out.
//!
//! ```text
//!  packets ─► VideoBuffer ─► decoder ─► Scene of each Screen ─► encoder of each rung ─► packets
//!          │                     └► Tracks: alone, as it comes ─► encoder of each rung ─► packets
//!          └► Voice (buffer, decoder) ─► Sound ─► encoder of each output ─────────────► packets
//! ```
//!
//! Whoever runs it gives it what the shard says ([`Room::handle`]), calls [`Room::tick`] at [`Room::deadline`], and carries what it says through an
//! [`Outlet`]. Whatever takes long is a job ([`jobs`]), done at once or elsewhere and brought back by [`Room::done`]; sound is mixed here, and waits for
//! no picture. It wants feeds only for tiles that somebody looks at and for voices that are heard. Pictures are made on a steady clock; when they
//! come too late, work is left out in the order of [`shed`], sound never. No I/O, no clock, no thread: time comes in. What it keeps is bounded by
//! constants: scenes, members, outputs, decoders, each of which has one job out at most.

mod encoding;
mod intake;
pub mod jobs;
mod logo;
mod pictures;
mod screen;
mod seating;
pub mod shed;
mod source;
mod stills;
mod sync;
mod tracks;

use crate::scene::SeatState;
use crate::sound::{MAX_VOICES, Sound, SoundSettings};
use crate::text::Fonts;
use jobs::{Desk, Done, Jobs};
use logo::Logo;
use pictures::Showing;
use plenum_contract::mix::{MAX_MEMBERS, MAX_SCENES, MAX_TRANSCODES};
use plenum_contract::{
    ConferenceKey, Feed, FeedKind, FromMix, MemberPicture, MixMember, MixOutput, MixPacket, MixSpec, ParticipantKey,
    SceneSpec, ToMix, TranscodeSpec,
};
use plenum_kernels::Kernels;
use plenum_packet::Time;
use plenum_wire::rtp;
use screen::Screen;
use shed::Shedder;
use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stills::Stills;
use sync::{Pace, Report};
use tracks::Tracks;

/// Largest payload of a picture's packet: with the header below what the contract says, and with all that a shard adds below an Ethernet frame.
pub const MAX_PAYLOAD: usize = 1160;
/// Without a picture for this long, a tile goes from the last good one to the avatar.
pub const AVATAR_AFTER: Duration = Duration::from_secs(2);
/// Most pictures that are decoded at once; beyond it those with the smallest tiles are avatars.
pub const MAX_SOURCES: usize = 64;
/// How long a voice is wanted after it left the loudest.
const KEEP_VOICE: u64 = 5_000_000_000;
/// How often seats are looked at when nothing is known to have changed.
const PLACE_EVERY: Duration = Duration::from_millis(100);
/// Sound is mixed every 20 ms.
const SOUND_EVERY: Duration = Duration::from_millis(20);
/// A room that was not ticked for this long was stopped: it goes on from now instead of catching up.
const STOPPED: Duration = Duration::from_millis(400);
/// Marks the presentation of a participant among the ids of a scene; keys of participants are smaller.
const PRESENTATION_BIT: u64 = 1 << 63;

/// Whose voice a feed of sound is among the voices: that of a screen has a key of its own.
fn voice_of(feed: Feed) -> ParticipantKey {
    let screen = if feed.kind == FeedKind::PresentationAudio { PRESENTATION_BIT } else { 0 };
    ParticipantKey(feed.participant.0 | screen)
}

/// The feed that a voice is.
fn feed_of(voice: ParticipantKey) -> Feed {
    let kind = if voice.0 & PRESENTATION_BIT == 0 { FeedKind::Audio } else { FeedKind::PresentationAudio };
    Feed { participant: ParticipantKey(voice.0 & !PRESENTATION_BIT), kind }
}

/// What a room says: to the shard, and through it to everybody who sees and hears it.
pub trait Outlet {
    /// Carries one message.
    fn tell(&mut self, message: FromMix<'_>);
}

impl<F: FnMut(FromMix<'_>)> Outlet for F {
    fn tell(&mut self, message: FromMix<'_>) {
        self(message);
    }
}

/// What rooms need beside their spec; cheap to clone.
#[derive(Clone, Debug)]
pub struct RoomSettings {
    /// For names.
    pub fonts: Fonts,
    /// For scaling and mixing.
    pub kernels: Kernels,
    /// How sound is mixed.
    pub sound: SoundSettings,
}

impl RoomSettings {
    /// With these fonts, the processor's best kernels, comfort noise, without automatic gain.
    pub fn new(fonts: Fonts) -> RoomSettings {
        RoomSettings { fonts, kernels: Kernels::best(), sound: SoundSettings::default() }
    }
}

/// Somebody in the room.
struct Person {
    member: MixMember,
    /// Whether pictures of them came lately, or none ever did.
    live: bool,
    pace: Pace,
}

impl Person {
    /// What their tile shows.
    fn state(&self) -> SeatState {
        match self.member.shown {
            MemberPicture::Camera if self.live => SeatState::Shown,
            MemberPicture::Camera | MemberPicture::AudioOnly | MemberPicture::Nothing => SeatState::AudioOnly,
            MemberPicture::CameraOff => SeatState::CameraOff,
            MemberPicture::Held => SeatState::Held,
        }
    }
}

/// The people of a room, as its screens see them.
struct Members<'a> {
    conference: ConferenceKey,
    people: &'a BTreeMap<ParticipantKey, Person>,
    presenter: Option<ParticipantKey>,
    /// Those who spoke, most recent first.
    spoke: &'a [ParticipantKey],
}

impl Members<'_> {
    fn get(&self, key: ParticipantKey) -> Option<&Person> {
        self.people.get(&key)
    }

    /// Whether there is one member, whatever is shown of them, and no more.
    fn is_one(&self) -> bool {
        self.people.len() == 1
    }

    fn presenter(&self) -> Option<ParticipantKey> {
        self.presenter.filter(|key| self.people.contains_key(key))
    }

    fn speaker(&self) -> Option<ParticipantKey> {
        self.spoke.first().copied()
    }

    fn conference(&self) -> ConferenceKey {
        self.conference
    }
}

/// One conference. See the module.
pub struct Room {
    settings: RoomSettings,
    spec: MixSpec,
    people: BTreeMap<ParticipantKey, Person>,
    /// Speakers first, then everybody in the order of joining.
    order: Vec<ParticipantKey>,
    /// As the shard says them; `None` until it does.
    speakers: Option<(Vec<ParticipantKey>, Vec<ParticipantKey>)>,
    /// Voices that are wanted, and until when those are that are not among the loudest.
    hearing: BTreeMap<ParticipantKey, Option<u64>>,
    sources: BTreeMap<Feed, Source>,
    reports: BTreeMap<Feed, Report>,
    /// What was asked for, with its size.
    wanted: BTreeMap<Feed, (u16, u16)>,
    /// Pictures that stand in a tile: these are shown in step with their sound. Others are made into tracks as they come.
    tiled: BTreeSet<Feed>,
    screens: Vec<Screen>,
    tracks: Tracks,
    sound: Sound,
    stills: Stills,
    /// The logo of the spec, decoded.
    logo: Logo,
    shedder: Shedder,
    /// What was told of it.
    told_shed: u8,
    desk: Desk,
    /// Sources whose decoder may be free for the next frame.
    freed: Vec<Feed>,
    /// A picture that is due and waits for what is being decoded.
    showing: Option<Showing>,
    /// Something was left out since the last picture, because what it needed was still at work.
    overran: bool,
    epoch: Time,
    next_sound: Time,
    next_picture: Time,
    next_place: Time,
    /// Something changed: tick at once.
    stirred: bool,
}

impl Room {
    /// The room of `spec`, from `now` on.
    pub fn new(spec: MixSpec, settings: RoomSettings, now: Time) -> Room {
        let sound = Sound::new(settings.kernels, settings.sound);
        let mut room = Room {
            settings,
            spec: MixSpec { members: Vec::new(), scenes: Vec::new(), ..spec.clone() },
            people: BTreeMap::new(),
            order: Vec::new(),
            speakers: None,
            hearing: BTreeMap::new(),
            sources: BTreeMap::new(),
            reports: BTreeMap::new(),
            wanted: BTreeMap::new(),
            tiled: BTreeSet::new(),
            screens: Vec::new(),
            tracks: Tracks::default(),
            sound,
            stills: Stills::default(),
            logo: Logo::default(),
            shedder: Shedder::default(),
            told_shed: 0,
            desk: Desk::new(spec.conference, now),
            freed: Vec::new(),
            showing: None,
            overran: false,
            epoch: now,
            next_sound: now,
            next_picture: now,
            next_place: now,
            stirred: true,
        };
        room.apply(spec);
        room
    }

    /// Whose room it is.
    pub fn conference(&self) -> ConferenceKey {
        self.spec.conference
    }

    // ---- what the shard says --------------------------------------------------------------------------------------------------------

    /// Anything that the shard says about this conference. `Remove` is for whoever keeps rooms; what is about another conference is passed over.
    pub fn handle(&mut self, now: Time, message: ToMix<'_>) {
        let own = self.spec.conference;
        match message {
            ToMix::Packet(packet) => self.packet(&packet),
            ToMix::Spec(spec) if spec.conference == own => self.apply(spec),
            ToMix::Speakers { conference, order, loudest } if conference == own => self.speak(order, loudest),
            ToMix::Report { conference, feed, encoding, ntp, rtp }
                if conference == own && self.wanted.contains_key(&feed) =>
            {
                self.reports.insert(feed, Report::new(encoding, ntp, rtp));
            }
            ToMix::Gone { conference, feed } if conference == own => self.gone(feed),
            ToMix::Need { conference, output, bitrate, loss } if conference == own => {
                self.need(output, bitrate);
                self.expect_loss(output, loss);
            }
            ToMix::Unneeded { conference, output } if conference == own => self.unneeded(now, output),
            ToMix::KeyFrame { conference, output } if conference == own => match output {
                MixOutput::Video { scene, codec, rung } => {
                    if let Some(screen) = self.screen(scene) {
                        screen.key_frame(codec, rung);
                    }
                }
                MixOutput::Track { feed, codec, rung } => self.tracks.key_frame(feed, codec, rung),
                MixOutput::Audio { .. } => {}
            },
            _ => {}
        }
    }

    /// Another spec of the conference: the last one counts, whatever its revision, since control may have begun anew.
    pub fn apply(&mut self, mut spec: MixSpec) {
        if spec.conference != self.spec.conference {
            return;
        }
        spec.members.truncate(MAX_MEMBERS);
        spec.scenes.truncate(MAX_SCENES);
        spec.transcodes.truncate(MAX_TRANSCODES);
        for scene in &mut spec.scenes {
            (scene.width, scene.height) = screen::within(scene.width, scene.height);
        }
        let mut before = std::mem::take(&mut self.people);
        for member in &spec.members {
            let old = before.remove(&member.participant);
            let (live, pace) = old.map_or((true, Pace::default()), |p| (p.live, p.pace));
            self.people.insert(member.participant, Person { member: member.clone(), live, pace });
        }
        for key in before.keys() {
            for kind in [FeedKind::Audio, FeedKind::PresentationAudio] {
                self.sound.remove(voice_of(Feed { participant: *key, kind }));
            }
            self.hearing.remove(key);
            self.reports.retain(|feed, _| feed.participant != *key);
        }
        let longest = |side: fn(&SceneSpec) -> u16| usize::from(spec.scenes.iter().map(side).max().unwrap_or(0));
        self.logo.set(spec.logo.as_deref(), (longest(|s| s.width), longest(|s| s.height)));
        self.sound.set_level(self.settings.sound.level || spec.level);
        self.screens.retain(|screen| spec.scenes.iter().any(|s| s.id == screen.spec().id));
        for scene in &spec.scenes {
            match self.screens.iter_mut().find(|s| s.spec().id == scene.id) {
                Some(screen) if screen.spec() != scene => screen.set(scene),
                Some(_) => {}
                None => self.screens.push(Screen::new(scene, &self.settings)),
            }
        }
        let presenter = spec.presenter.filter(|key| self.people.contains_key(key));
        if self.stills.set(presenter, &spec.stills)
            && let Some(participant) = presenter
            && let Some(source) = self.sources.get_mut(&Feed { participant, kind: FeedKind::Presentation })
        {
            // A screen on which nothing happens may send nothing for long.
            source.refresh();
        }
        self.tracks.apply(&spec);
        self.sound
            .retain_singles(|codec, voice| spec.transcodes.contains(&TranscodeSpec { source: feed_of(voice), codec }));
        self.spec = spec;
        self.put_in_order();
    }

    /// A packet of a feed. The payload may be empty (a probe): then it says that no packet of that number is missing.
    pub fn packet(&mut self, packet: &MixPacket<'_>) {
        if packet.conference != self.spec.conference || !self.wanted.contains_key(&packet.feed) {
            return;
        }
        let Ok(header) = rtp::parse(packet.rtp) else { return };
        let Some(payload) = packet.rtp.get(usize::from(header.payload_start)..) else { return };
        if packet.feed.kind.is_sound() {
            let key = voice_of(packet.feed);
            if self.sound.packet(key, packet.codec, packet.clock, &header, payload, packet.arrival) {
                self.sound.set_gain(key, self.gain(key));
            }
        } else if let Some(source) = self.sources.get_mut(&packet.feed) {
            source.packet(packet, &header, payload);
        }
    }

    /// Somebody needs an output, or needs it at another rate; whether it can be made.
    pub fn need(&mut self, output: MixOutput, bitrate: u32) -> bool {
        self.stirred = true;
        match output {
            MixOutput::Audio { codec, without } => self.sound.need(codec, without, bitrate),
            MixOutput::Video { scene, codec, rung } => self.screen(scene).is_some_and(|s| s.need(codec, rung, bitrate)),
            MixOutput::Track { feed, codec, rung } => {
                let what = TranscodeSpec { source: feed, codec };
                if feed.kind.is_sound() {
                    let allowed = rung == 0 && self.spec.transcodes.contains(&what);
                    return allowed && self.sound.need_single(codec, voice_of(feed), bitrate);
                }
                self.tracks.need(&self.spec, what, rung, bitrate)
            }
        }
    }

    /// Receivers of this sound lose so many per cent of it.
    fn expect_loss(&mut self, output: MixOutput, loss: u8) {
        match output {
            MixOutput::Audio { codec, without } => self.sound.expect_loss(codec, without, loss),
            MixOutput::Track { feed, codec, .. } if feed.kind.is_sound() => {
                self.sound.expect_loss_of_single(codec, voice_of(feed), loss);
            }
            MixOutput::Track { .. } | MixOutput::Video { .. } => {}
        }
    }

    /// Nobody needs an output any more.
    pub fn unneeded(&mut self, now: Time, output: MixOutput) {
        self.stirred = true;
        match output {
            MixOutput::Audio { codec, without } => self.sound.unneeded(codec, without, now.nanos()),
            MixOutput::Video { scene, codec, rung } => {
                if let Some(screen) = self.screen(scene) {
                    screen.unneeded(codec, rung);
                }
            }
            MixOutput::Track { feed, codec, .. } if feed.kind.is_sound() => {
                self.sound.unneeded_single(codec, voice_of(feed), now.nanos());
            }
            MixOutput::Track { feed, codec, rung } => self.tracks.unneeded(feed, codec, rung),
        }
    }

    fn speak(&mut self, mut order: Vec<ParticipantKey>, mut loudest: Vec<ParticipantKey>) {
        order.truncate(MAX_MEMBERS);
        loudest.truncate(MAX_VOICES);
        self.speakers = Some((order, loudest));
        self.put_in_order();
    }

    fn gone(&mut self, feed: Feed) {
        self.reports.remove(&feed);
        match feed.kind {
            FeedKind::Audio | FeedKind::PresentationAudio => self.sound.remove(voice_of(feed)),
            FeedKind::Camera | FeedKind::Presentation => {
                if let Some(source) = self.sources.get_mut(&feed) {
                    *source = Source::new();
                }
            }
        }
        self.stirred = true;
    }

    // ---- time -----------------------------------------------------------------------------------------------------------------------

    /// When to call [`Room::tick`] next.
    pub fn deadline(&self) -> Time {
        if self.stirred {
            return Time::ZERO;
        }
        if self.is_idle() {
            return Time::NEVER;
        }
        let patience = self.showing.as_ref().map_or(Time::NEVER, |showing| showing.until);
        self.next_sound.min(self.next_picture).min(patience)
    }

    /// What is left out to keep up: 0 = nothing, see [`shed`].
    pub fn shed(&self) -> u8 {
        self.shedder.level()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time, jobs: &mut dyn Jobs, outlet: &mut dyn Outlet) {
        if std::mem::take(&mut self.stirred) || now >= self.next_place {
            self.place(now, outlet);
        }
        if self.is_idle() {
            self.showing = None;
            self.shedder = Shedder::default();
            return self.tell_shed(outlet);
        }
        self.mix(now, outlet);
        self.desk.turn(now, self.interval());
        self.decode(now, jobs, outlet);
        if now >= self.next_picture {
            self.show(now);
        }
        self.tell_shed(outlet);
        self.settle(now, jobs, outlet);
    }

    /// Says what is left out, when that changed.
    fn tell_shed(&mut self, outlet: &mut dyn Outlet) {
        let level = self.shed();
        if std::mem::replace(&mut self.told_shed, level) != level {
            outlet.tell(FromMix::Shed { conference: self.spec.conference, level });
        }
    }

    /// Takes back a job that [`Jobs::start`] did not do at once, and goes on with what waited for it.
    pub fn done(&mut self, now: Time, done: Done, jobs: &mut dyn Jobs, outlet: &mut dyn Outlet) {
        self.desk.turn(now, self.interval());
        self.desk.back(done);
        self.settle(now, jobs, outlet);
    }

    /// Whether nobody needs anything.
    fn is_idle(&self) -> bool {
        let alone = self.tracks.is_needed() || self.sound.singles().next().is_some();
        let watched = self.screens.iter().any(Screen::is_seen) || self.stills.wanted().is_some();
        !alone && !self.sound.is_needed() && !watched
    }

    /// Seats people, and wants what that takes.
    fn place(&mut self, now: Time, outlet: &mut dyn Outlet) {
        self.next_place = now + PLACE_EVERY;
        self.listen(now.nanos());
        for (key, person) in &mut self.people {
            let feed = Feed { participant: *key, kind: FeedKind::Camera };
            let seen = self.sources.get(&feed).and_then(|source| source.seen);
            person.live = seen.is_none_or(|at| now.since(at) < AVATAR_AFTER);
        }
        let members = Members {
            conference: self.spec.conference,
            people: &self.people,
            presenter: self.spec.presenter,
            spoke: self.speakers.as_ref().map_or(&[], |(order, _)| order),
        };
        if let Some(reason) = self.logo.refused() {
            outlet.tell(FromMix::Unable { conference: self.spec.conference, reason });
        }
        for screen in &mut self.screens {
            if let Some(event) = screen.place(now.nanos(), &members, &self.order, &self.logo) {
                outlet.tell(event);
            }
        }
        self.want(outlet);
    }

    /// Mixes every 20 ms of sound that is due.
    fn mix(&mut self, now: Time, outlet: &mut dyn Outlet) {
        if now.since(self.next_sound) > STOPPED {
            let frames = (now.since(self.next_sound).as_nanos() / SOUND_EVERY.as_nanos()) as u64;
            self.sound.skip(frames);
            self.next_sound += SOUND_EVERY * u32::try_from(frames).unwrap_or(u32::MAX);
        }
        while self.next_sound <= now {
            let (conference, at) = (self.spec.conference, self.next_sound);
            self.sound.mix(at.nanos(), &mut |codec, without, packet| {
                let output = MixOutput::Audio { codec, without };
                outlet.tell(FromMix::Packet { conference, output, captured: at.nanos(), rtp: packet });
            });
            self.sound.singles_of(&mut |codec, voice, captured, packet| {
                let output = MixOutput::Track { feed: feed_of(voice), codec, rung: 0 };
                outlet.tell(FromMix::Packet { conference, output, captured, rtp: packet });
            });
            self.keep_in_step(at);
            self.next_sound += SOUND_EVERY;
        }
    }

    // ---- steps ----------------------------------------------------------------------------------------------------------------------

    /// Between two pictures.
    fn interval(&self) -> Duration {
        let whole = Duration::from_nanos(1_000_000_000 / u64::from(self.spec.fps.clamp(1, 60)));
        if self.shedder.level() >= 1 { whole * 2 } else { whole }
    }

    fn screen(&mut self, id: u16) -> Option<&mut Screen> {
        self.screens.iter_mut().find(|s| s.spec().id == id)
    }

    fn gain(&self, key: ParticipantKey) -> f32 {
        let loud = self.hearing.get(&key).is_some_and(Option::is_none);
        let volume = self.people.get(&key).map_or(0, |p| if p.member.heard { p.member.volume.min(400) } else { 0 });
        if loud { f32::from(volume) / 100.0 } else { 0.0 }
    }

    /// Speakers first, most recent first; then everybody in the order of joining.
    fn put_in_order(&mut self) {
        self.stirred = true;
        let mut order = Vec::with_capacity(self.spec.members.len());
        let told = self.speakers.iter().flat_map(|(order, _)| order.iter().copied());
        let joined = self.spec.members.iter().map(|m| m.participant);
        let mut placed = std::collections::BTreeSet::new();
        for key in told.chain(joined).filter(|key| self.people.contains_key(key)) {
            if placed.insert(key) {
                order.push(key);
            }
        }
        self.order = order;
    }
}
