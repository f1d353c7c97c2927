//! A whole conference in virtual time: guests with cameras and microphones behind networks, the shard's part (levels, speakers, wishes), the
//! room, and those who watch and listen to what it makes.

use crate::pool::SlowPool;
use crate::watcher::Watcher;
use crate::world::{Ear, MS, Microphone, Network, random};
use plenum_contract::{
    Codec, ConferenceKey, Feed, FeedKind, FromMix, MemberPicture, MixMember, MixOutput, MixPacket, MixSpec,
    ParticipantKey, SceneSpec, ToMix, TranscodeSpec,
};
use plenum_engines::{EncoderSettings, VideoCodec, VideoEncoder, video_encoder};
use plenum_kernels::{Colour, I420Buf, Rect};
use plenum_mix::room::jobs::{AtOnce, Done, Jobs};
use plenum_mix::room::{Room, RoomSettings};
use plenum_mix::text::Fonts;
use plenum_packet::Time;
use plenum_stage::{AudioLevel, AudioSeats, Flags, Stage};
use plenum_wire::payload::pack::{FrameTags, Packer};
use plenum_wire::{payload, rtp};
use std::collections::BTreeMap;

pub(crate) const CONFERENCE: ConferenceKey = ConferenceKey(7);
/// A step of the world.
const STEP: u64 = 5 * MS;
/// Between two frames of a camera.
const FRAME: u64 = 33_333_333;
/// A scene in AV1, as an IVF file.
pub(crate) const AV1: &[u8] = include_bytes!("../../../../codecs/engines/tests/vectors/av1.ivf");
/// Wall time of the beginning, in seconds since 1900.
const WALL: u64 = 3_900_000_000;

pub(crate) fn p(n: u64) -> ParticipantKey {
    ParticipantKey(n)
}

pub(crate) fn feed(n: u64, kind: FeedKind) -> Feed {
    Feed { participant: p(n), kind }
}

/// Under which number a guest's voice is heard alone, and what their screen says.
pub(crate) fn said(n: u64, kind: FeedKind) -> u64 {
    if kind == FeedKind::PresentationAudio { 1000 + n } else { n }
}

pub(crate) fn engines(codec: Codec) -> (VideoCodec, payload::Codec) {
    match codec {
        Codec::Vp8 => (VideoCodec::Vp8, payload::Codec::Vp8),
        Codec::Vp9 => (VideoCodec::Vp9, payload::Codec::Vp9),
        Codec::H264 => (VideoCodec::H264, payload::Codec::H264),
        other => panic!("no pictures in {other:?}"),
    }
}

/// The colour of guest `n`: all far apart.
pub(crate) fn colour(n: u64) -> Colour {
    let list =
        [(60, 90, 200), (150, 60, 90), (100, 200, 60), (200, 128, 128), (80, 60, 180), (170, 180, 180), (120, 90, 90)];
    let (y, u, v) = list[n as usize % list.len()];
    Colour { y, u, v }
}

/// A camera before a coloured wall; its left edge flickers from frame to frame.
pub(crate) struct Camera {
    pub(crate) codec: Codec,
    pub(crate) colour: Colour,
    pub(crate) on: bool,
    pub(crate) key: bool,
    pub(crate) encoding: u8,
    /// The size that key frames of VP8 claim, instead of their own.
    pub(crate) claims: Option<(u16, u16)>,
    /// Packets are cut to so many bytes of payload.
    pub(crate) cut: Option<usize>,
    encoder: Box<dyn VideoEncoder>,
    packer: Packer,
    picture: I420Buf,
    sequence: u16,
    frames: u64,
}

impl Camera {
    pub(crate) fn new(codec: Codec, size: (usize, usize), colour: Colour) -> Camera {
        let (engine, format) = engines(codec);
        let encoder = video_encoder(engine, &EncoderSettings::new(size.0, size.1, 30, 400_000)).expect("an encoder");
        let packer = Packer::new(format, 400, 100).expect("a packer");
        let picture = I420Buf::new(size.0, size.1).expect("a picture");
        let (on, key, encoding, sequence) = (true, true, 0, 65_500);
        let (claims, cut) = (None, None);
        Camera { codec, colour, on, key, encoding, claims, cut, encoder, packer, picture, sequence, frames: 0 }
    }

    /// The packets of the picture that is taken at `now`.
    fn frame(&mut self, now: u64) -> Vec<Vec<u8>> {
        let (width, height) = (self.picture.width(), self.picture.height());
        let flicker = Colour { y: if self.frames.is_multiple_of(2) { 30 } else { 220 }, u: 128, v: 128 };
        self.picture.view_mut().fill(Rect { x: 0, y: 0, width, height }, self.colour);
        self.picture.view_mut().fill(Rect { x: 0, y: 0, width: width / 8, height }, flicker);
        self.frames += 1;
        let (mut unit, timestamp) = (Vec::new(), video_clock(now));
        let key = std::mem::take(&mut self.key);
        let encoded = self.encoder.encode(&self.picture.view(), timestamp, key, &mut unit).expect("a frame");
        let mut packets = Vec::new();
        let tags = FrameTags { key: encoded.key, size: (width as u16, height as u16), ..Default::default() };
        if unit.is_empty() {
            return packets;
        }
        if let Some((width, height)) = self.claims.filter(|_| encoded.key) {
            unit[6..8].copy_from_slice(&width.to_le_bytes());
            unit[8..10].copy_from_slice(&height.to_le_bytes());
        }
        let (sequence, cut) = (&mut self.sequence, self.cut.unwrap_or(usize::MAX));
        self.packer
            .pack(&unit, tags, &mut |piece| {
                let payload = [piece.head, piece.body].concat();
                let payload = &payload[..payload.len().min(cut)];
                packets.push([&header(*sequence, timestamp, piece.last)[..], payload].concat());
                *sequence = sequence.wrapping_add(1);
            })
            .expect("a unit");
        packets
    }
}

/// Damages a third of the packets: cut, flipped, filled with noise.
fn mangle(rtp: &mut Vec<u8>, state: &mut u64) {
    let (kind, at) = (random(state) % 12, random(state) as usize);
    match kind {
        0 => rtp.truncate(at % (rtp.len() + 1)),
        1 => {
            for _ in 0..8 {
                let (at, byte) = (random(state) as usize, random(state) as u8);
                if let Some(byte_at) = (12..rtp.len()).nth(at % rtp.len()) {
                    rtp[byte_at] ^= byte;
                }
            }
        }
        2 => rtp.iter_mut().skip(12).for_each(|byte| *byte = random(state) as u8),
        3 => rtp.extend((0..at % 1400).map(|i| i as u8)),
        _ => {}
    }
}

fn video_clock(now: u64) -> u32 {
    (now * 9 / 100_000) as u32
}

pub(crate) fn header(sequence: u16, timestamp: u32, marker: bool) -> Vec<u8> {
    let mut bytes = vec![0; rtp::FIXED_LEN];
    let fields = rtp::Fields { sequence, timestamp, marker, payload_type: 96, ..Default::default() };
    rtp::write_header(&mut bytes, &fields).expect("room for a header");
    bytes
}

/// Something on its way: RTP with encoding and codec, or a sender report.
pub(crate) enum Sent {
    Rtp { feed: Feed, encoding: u8, codec: Codec, clock: u32, rtp: Vec<u8> },
    Report { feed: Feed, ntp: u64, rtp: u32 },
}

pub(crate) struct Guest {
    pub(crate) camera: Option<Camera>,
    pub(crate) screen: Option<Camera>,
    pub(crate) microphone: Option<Microphone>,
    /// What their screen says all the time.
    pub(crate) screen_sound: Option<Microphone>,
    pub(crate) speaking: bool,
    /// Whether what they send is damaged on the way, and the state of the damage.
    pub(crate) mangled: Option<u64>,
    /// For pictures and for sound.
    pub(crate) networks: (Network<Sent>, Network<Sent>),
    sequence: u16,
}

/// Sequence number, timestamp and captured time of a packet of sound.
pub(crate) type Said = (u16, u32, u64);

/// The conference. See the module.
pub(crate) struct Hall {
    pub(crate) room: Room,
    pub(crate) spec: MixSpec,
    pub(crate) guests: BTreeMap<u64, Guest>,
    pub(crate) watchers: BTreeMap<(u16, Codec, u8), Watcher>,
    /// Those who see every second frame of what another watches.
    pub(crate) halves: BTreeMap<(u16, Codec, u8), Watcher>,
    pub(crate) ears: BTreeMap<Option<ParticipantKey>, Ear>,
    /// Those who see a member alone in another codec: guest, camera or screen, codec, rung.
    pub(crate) tracks: BTreeMap<(u64, FeedKind, Codec, u8), Watcher>,
    /// Those who hear a member alone in another codec, or their screen ([`said`]), with sequence number, timestamp and captured time of each packet.
    pub(crate) voices: BTreeMap<(u64, Codec), (Ear, Vec<Said>)>,
    /// Captured time of each packet of sound in milliseconds.
    pub(crate) heard: Vec<u64>,
    pub(crate) wanted: BTreeMap<Feed, (u16, u16)>,
    pub(crate) key_frames: Vec<(u64, Feed)>,
    /// Layout and seats of each scene as told, with when.
    pub(crate) seats: BTreeMap<u16, (u64, String, Vec<Option<ParticipantKey>>)>,
    /// Pictures of the presentation: when, whose, in which height.
    pub(crate) stills: Vec<(u64, ParticipantKey, u16, Vec<u8>)>,
    /// What the room says that it cannot do.
    pub(crate) unable: Vec<String>,
    /// What it said that it leaves out.
    pub(crate) told_shed: Vec<u8>,
    pub(crate) stage: Stage,
    loud: AudioSeats,
    pub(crate) reports: bool,
    /// How much later than its deadline a tick comes.
    pub(crate) behind: u64,
    /// Does the room's jobs, in its own time; without one each is done at once.
    pub(crate) pool: Option<SlowPool>,
    /// The mixer is not run at all: what arrives piles up.
    pub(crate) stopped: bool,
    pub(crate) now: u64,
}

pub(crate) fn scene(id: u16, layout: &str, width: u16, height: u16) -> SceneSpec {
    SceneSpec { names: false, border: false, ..SceneSpec::new(id, layout, width, height) }
}

fn member(n: u64) -> MixMember {
    MixMember { participant: p(n), name: format!("Guest {n}"), shown: MemberPicture::Camera, heard: true, volume: 100 }
}

impl Hall {
    pub(crate) fn new(scenes: Vec<SceneSpec>) -> Hall {
        // Who watches is a member too, and is not shown.
        let viewer = MixMember { shown: MemberPicture::Nothing, heard: false, ..member(50) };
        let spec = MixSpec {
            conference: CONFERENCE,
            revision: 1,
            scenes,
            members: vec![viewer],
            presenter: None,
            loudest: 3,
            fps: 30,
            transcodes: vec![],
            stills: vec![],
            level: false,
            logo: None,
        };
        // Not at zero: nothing may depend on when it begins.
        let now = 1_000 * MS;
        Hall {
            room: Room::new(spec.clone(), RoomSettings::new(Fonts::none()), Time(now)),
            spec,
            guests: BTreeMap::new(),
            watchers: BTreeMap::new(),
            halves: BTreeMap::new(),
            ears: BTreeMap::new(),
            tracks: BTreeMap::new(),
            voices: BTreeMap::new(),
            heard: Vec::new(),
            wanted: BTreeMap::new(),
            key_frames: Vec::new(),
            seats: BTreeMap::new(),
            stills: Vec::new(),
            unable: Vec::new(),
            told_shed: Vec::new(),
            stage: Stage::new(),
            loud: AudioSeats::default(),
            reports: false,
            behind: 0,
            pool: None,
            stopped: false,
            now,
        }
    }

    /// Guest `n` joins with a camera before a wall in their colour and a microphone that hums at `300 + 200 n` Hz.
    pub(crate) fn join(&mut self, n: u64, codec: Codec) {
        let camera = Camera::new(codec, (160, 90), colour(n));
        let microphone = Microphone::new(Codec::Opus, hum(n), 1000 * n as u32);
        let networks = (Network::new(0, 0, n), Network::new(0, 0, 100 + n));
        let (camera, microphone) = (Some(camera), Some(microphone));
        self.guests.insert(
            n,
            Guest {
                camera,
                screen: None,
                microphone,
                screen_sound: None,
                speaking: false,
                mangled: None,
                networks,
                sequence: 0,
            },
        );
        self.stage.set_member(p(n), Flags { audio: true, video: true, ..Flags::default() });
        self.spec.members.insert(self.spec.members.len() - 1, member(n));
        self.apply();
    }

    pub(crate) fn apply(&mut self) {
        self.spec.revision += 1;
        self.room.handle(Time(self.now), ToMix::Spec(self.spec.clone()));
    }

    pub(crate) fn watch(&mut self, scene: u16, codec: Codec, rung: u8) {
        let output = MixOutput::Video { scene, codec, rung };
        self.room.handle(Time(self.now), ToMix::Need { conference: CONFERENCE, output, bitrate: 0, loss: 0 });
        self.watchers.insert((scene, codec, rung), Watcher::new(codec));
    }

    pub(crate) fn watcher(&self, scene: u16, codec: Codec) -> &Watcher {
        self.watchers.iter().find(|((s, c, _), _)| (*s, *c) == (scene, codec)).expect("a watcher").1
    }

    pub(crate) fn listen(&mut self, without: Option<u64>) {
        let output = MixOutput::Audio { codec: Codec::Opus, without: without.map(p) };
        self.room.handle(Time(self.now), ToMix::Need { conference: CONFERENCE, output, bitrate: 0, loss: 0 });
        self.ears.insert(without.map(p), Ear::new(Codec::Opus));
    }

    /// Somebody is forwarded to who cannot decode what guest `n` sends, and gets it in `codec`. Whether the room makes it.
    pub(crate) fn transcode(&mut self, n: u64, kind: FeedKind, codec: Codec, rung: u8) -> bool {
        let what = TranscodeSpec { source: feed(n, kind), codec };
        if !self.spec.transcodes.contains(&what) {
            self.spec.transcodes.push(what);
            self.apply();
        }
        match kind {
            kind if kind.is_sound() => drop(self.voices.insert((said(n, kind), codec), (Ear::new(codec), Vec::new()))),
            _ => drop(self.tracks.insert((n, kind, codec, rung), Watcher::new(codec))),
        }
        self.room.need(MixOutput::Track { feed: feed(n, kind), codec, rung }, 0)
    }

    /// Guest `n` shows the scene in AV1, in packets from number `sequence` on, which may be cut to so many bytes of payload; the number that follows.
    pub(crate) fn show_av1(&mut self, n: u64, mut sequence: u16, cut: Option<usize>) -> u16 {
        let mut packer = Packer::new(payload::Codec::Av1, 1000, 0).expect("a packer");
        let (mut rest, first) = (&AV1[32..], sequence);
        while rest.len() > 12 {
            let len = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let (unit, behind) = rest[12..].split_at(len);
            rest = behind;
            let tags = FrameTags { key: sequence == first, ..FrameTags::default() };
            let (room, now) = (&mut self.room, self.now);
            let packed = packer.pack(unit, tags, &mut |piece| {
                let payload = [piece.head, piece.body].concat();
                let payload = &payload[..payload.len().min(cut.unwrap_or(usize::MAX))];
                let rtp = [&header(sequence, video_clock(now), piece.last)[..], payload].concat();
                sequence += 1;
                let (feed, codec, clock) = (feed(n, FeedKind::Camera), Codec::Av1, 90_000);
                let (conference, encoding, level, rtp) = (CONFERENCE, 0, None, &rtp[..]);
                let packet = MixPacket { conference, feed, encoding, codec, clock, arrival: now, level, rtp };
                room.handle(Time(now), ToMix::Packet(packet));
            });
            packed.expect("a temporal unit");
            self.run(35);
        }
        sequence
    }

    /// Only these speak.
    pub(crate) fn speak(&mut self, who: &[u64]) {
        for (n, guest) in &mut self.guests {
            guest.speaking = who.contains(n);
        }
    }

    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now + ms * MS;
        while self.now < end {
            self.take_pictures();
            self.deliver();
            self.shard();
            let done = self.pool.as_mut().map(|pool| pool.run(self.now)).unwrap_or_default();
            done.into_iter().for_each(|done| self.drive(Some(done)));
            while !self.stopped && self.room.deadline() + std::time::Duration::from_nanos(self.behind) <= Time(self.now)
            {
                self.drive(None);
            }
            self.now += STEP;
        }
    }

    /// Cameras and microphones.
    fn take_pictures(&mut self) {
        let now = self.now;
        for (n, guest) in &mut self.guests {
            let mut sends = Vec::new();
            for (kind, camera) in [(FeedKind::Camera, &mut guest.camera), (FeedKind::Presentation, &mut guest.screen)] {
                let Some(camera) = camera.as_mut().filter(|c| c.on && now % FRAME < STEP) else { continue };
                let (encoding, codec) = (camera.encoding, camera.codec);
                let wanted = self.wanted.contains_key(&feed(*n, kind));
                let packets = camera.frame(now);
                sends.extend(packets.into_iter().filter(|_| wanted).map(|rtp| Sent::Rtp {
                    feed: feed(*n, kind),
                    encoding,
                    codec,
                    clock: 90_000,
                    rtp,
                }));
            }
            for mut sent in sends {
                if let (Some(state), Sent::Rtp { rtp, .. }) = (&mut guest.mangled, &mut sent) {
                    mangle(rtp, state);
                }
                guest.networks.0.send(now, sent);
            }
            if let Some(sound) = guest.screen_sound.as_mut().filter(|_| now % (20 * MS) < STEP) {
                let (timestamp, payload) = sound.frame(true);
                let rtp = [header((now / (20 * MS)) as u16, timestamp, false), payload].concat();
                let (codec, clock, feed) = (sound.codec, sound.clock(), feed(*n, FeedKind::PresentationAudio));
                guest.networks.1.send(now, Sent::Rtp { feed, encoding: 0, codec, clock, rtp });
            }
            if let Some(microphone) = guest.microphone.as_mut().filter(|_| now % (20 * MS) < STEP) {
                let (timestamp, payload) = microphone.frame(guest.speaking);
                let mut rtp = [header(guest.sequence, timestamp, false), payload].concat();
                if let Some(state) = &mut guest.mangled {
                    mangle(&mut rtp, state);
                }
                guest.sequence = guest.sequence.wrapping_add(1);
                let feed = feed(*n, FeedKind::Audio);
                let (codec, clock) = (microphone.codec, microphone.clock());
                guest.networks.1.send(now, Sent::Rtp { feed, encoding: 0, codec, clock, rtp });
                let level = AudioLevel { voice: guest.speaking, level: if guest.speaking { 20 } else { 110 } };
                self.stage.handle_level(p(*n), level, now);
                if self.reports && now % (1000 * MS) < STEP {
                    let ntp = (WALL << 32) + ((u128::from(now) << 32) / 1_000_000_000) as u64;
                    guest.networks.1.send(now, Sent::Report { feed, ntp, rtp: timestamp });
                    let feed = Feed { kind: FeedKind::Camera, ..feed };
                    guest.networks.0.send(now, Sent::Report { feed, ntp, rtp: video_clock(now) });
                }
            }
        }
    }

    fn deliver(&mut self) {
        for guest in self.guests.values_mut() {
            let arrived = guest.networks.0.arrived(self.now).into_iter().chain(guest.networks.1.arrived(self.now));
            for (arrival, sent) in arrived {
                let conference = CONFERENCE;
                match sent {
                    Sent::Rtp { feed, encoding, codec, clock, rtp } if self.wanted.contains_key(&feed) => {
                        let rtp = &rtp[..];
                        let packet = MixPacket { conference, feed, encoding, codec, clock, arrival, level: None, rtp };
                        self.room.handle(Time(self.now), ToMix::Packet(packet));
                    }
                    Sent::Report { feed, ntp, rtp } => {
                        self.room.handle(Time(self.now), ToMix::Report { conference, feed, encoding: 0, ntp, rtp });
                    }
                    Sent::Rtp { .. } => {}
                }
            }
        }
    }

    /// The shard's stage: who speaks.
    fn shard(&mut self) {
        if self.now % (50 * MS) >= STEP {
            return;
        }
        let changes = self.stage.tick(self.now);
        if changes.speakers || changes.seats {
            let lineup = self.stage.line_up();
            self.stage.seat_audio(&lineup, &mut self.loud, p(u64::MAX), 3);
            let order = self.stage.speakers().map(|(key, _)| key).collect();
            let loudest = self.loud.slots().iter().flatten().copied().collect();
            self.room.handle(Time(self.now), ToMix::Speakers { conference: CONFERENCE, order, loudest });
        }
    }

    /// Ticks the room, or gives it back what was done.
    fn drive(&mut self, done: Option<Done>) {
        let now = self.now;
        let Hall {
            room,
            watchers,
            halves,
            ears,
            tracks,
            voices,
            heard,
            wanted,
            key_frames,
            seats,
            guests,
            stills,
            unable,
            told_shed,
            pool,
            ..
        } = self;
        let (mut at_once, time) = (AtOnce, Time(now));
        let jobs: &mut dyn Jobs = pool.as_mut().map_or(&mut at_once as &mut dyn Jobs, |pool| pool);
        let outlet = &mut |message: FromMix<'_>| match message {
            FromMix::Packet { output: MixOutput::Video { scene, codec, rung }, captured, rtp, .. } => {
                let key = (scene, codec, rung);
                watchers.get_mut(&key).expect("an output that is needed").packet(now, captured, rtp);
                if let Some(half) = halves.get_mut(&key) {
                    half.base(now, captured, rtp);
                }
            }
            FromMix::Packet { output: MixOutput::Audio { without, .. }, captured, rtp, .. } => {
                heard.push(captured / MS);
                ears.get_mut(&without).expect("an output that is needed").hear(&rtp[rtp::FIXED_LEN..]);
            }
            FromMix::Packet { output: MixOutput::Track { feed, codec, rung }, captured, rtp, .. } => {
                let n = feed.participant.0;
                if !feed.kind.is_sound() {
                    let watcher = tracks.get_mut(&(n, feed.kind, codec, rung)).expect("an output that is needed");
                    return watcher.packet(now, captured, rtp);
                }
                let header = rtp::parse(rtp).expect("our own packet");
                let (ear, stamps) = voices.get_mut(&(said(n, feed.kind), codec)).expect("an output that is needed");
                ear.hear(&rtp[rtp::FIXED_LEN..]);
                stamps.push((header.sequence, header.timestamp, captured));
            }
            FromMix::Want { feed, width, height, .. } => {
                wanted.insert(feed, (width, height));
            }
            FromMix::Unwant { feed, .. } => {
                wanted.remove(&feed).expect("it was wanted");
            }
            FromMix::KeyFrame { feed, .. } => {
                key_frames.push((now / MS, feed));
                let guest = guests.get_mut(&feed.participant.0);
                let camera = guest
                    .and_then(|g| if feed.kind == FeedKind::Camera { g.camera.as_mut() } else { g.screen.as_mut() });
                if let Some(camera) = camera {
                    camera.key = true;
                }
            }
            FromMix::Seats { scene, layout, seats: told, .. } => {
                seats.insert(scene, (now / MS, layout, told));
            }
            FromMix::Still { presenter, height, jpeg, .. } => stills.push((now / MS, presenter, height, jpeg.to_vec())),
            FromMix::Unable { reason, .. } => unable.push(reason),
            FromMix::Shed { level, .. } => told_shed.push(level),
            FromMix::Load { .. } => {}
        };
        match done {
            Some(done) => room.done(time, done, jobs, outlet),
            None => room.tick(time, jobs, outlet),
        }
    }
}

/// The tone of guest `n`.
pub(crate) fn hum(n: u64) -> f32 {
    300.0 + 200.0 * n as f32
}
