//! A room of the mixer in virtual time: members who send what was encoded before, and the processor time that the room takes.
//!
//! Only [`Room`]'s work is timed, on its thread's processor clock; making packets and counting what comes out are not, but for a few adds.

use crate::painted::{Player, Reel, Tape};
use plenum_contract::{
    Codec, ConferenceKey, Feed, FeedKind, FromMix, MemberPicture, MixMember, MixOutput, MixPacket, MixSpec,
    ParticipantKey, SceneSpec, ToMix, TranscodeSpec,
};
use plenum_engines::VideoCodec;
use plenum_mix::room::jobs::AtOnce;
use plenum_mix::room::{Room, RoomSettings};
use plenum_packet::Time;
use plenum_wire::rtp;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeSet;
use std::sync::Arc;

const MS: u64 = 1_000_000;
const CONFERENCE: ConferenceKey = ConferenceKey(1);
/// Between two packets of sound.
const SOUND_EVERY: u64 = 20 * MS;
/// Largest payload of a member's pictures.
const MAX_PAYLOAD: usize = 1160;

/// Nanoseconds of this thread's processor time.
pub(crate) fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What a member sends.
struct Sends {
    feed: Feed,
    codec: Codec,
    clock: u32,
    every: u64,
    next: u64,
    sequence: u16,
    source: Source,
}

enum Source {
    Camera { reel: Arc<Reel>, player: Player, key: bool },
    Microphone { tape: Arc<Tape>, speaking: bool },
}

/// A packet on its way to the room.
struct Due {
    feed: Feed,
    codec: Codec,
    clock: u32,
    rtp: Vec<u8>,
}

/// What came out of the room.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Made {
    pub(super) pictures: u64,
    pub(super) picture_packets: u64,
    pub(super) picture_bytes: u64,
    pub(super) sound_packets: u64,
}

/// A room with its members.
pub(super) struct Hall {
    room: Room,
    spec: MixSpec,
    senders: Vec<Sends>,
    wanted: BTreeSet<Feed>,
    now: u64,
    /// What was made since [`Hall::reset`].
    pub(super) made: Made,
    /// Processor time of the room since then, in nanoseconds.
    pub(super) spent: u64,
    /// Virtual time since then.
    pub(super) passed: u64,
}

/// A scene of 1:7 at 1280×720 with names and border.
pub(crate) fn one_to_seven() -> SceneSpec {
    SceneSpec::new(0, "1:7", 1280, 720)
}

impl Hall {
    /// A room that shows these scenes, without members.
    pub(super) fn new(settings: RoomSettings, scenes: Vec<SceneSpec>) -> Hall {
        let (members, presenter) = (vec![], None);
        let spec = MixSpec {
            conference: CONFERENCE,
            revision: 1,
            scenes,
            members,
            presenter,
            loudest: 3,
            fps: 30,
            transcodes: vec![],
            stills: vec![],
            level: false,
            logo: None,
        };
        let now = 1_000 * MS;
        Hall {
            room: Room::new(spec.clone(), settings, Time(now)),
            spec,
            senders: Vec::new(),
            wanted: BTreeSet::new(),
            now,
            made: Made::default(),
            spent: 0,
            passed: 0,
        }
    }

    /// Adds the next member, with a camera of 30 frames a second or without one, and with a microphone or without one.
    pub(super) fn join(&mut self, camera: Option<Arc<Reel>>, microphone: Option<(Arc<Tape>, bool)>) {
        let number = self.spec.members.len() as u64 + 1;
        let participant = ParticipantKey(number);
        let shown = if camera.is_some() { MemberPicture::Camera } else { MemberPicture::AudioOnly };
        let name = format!("Member {number}");
        self.spec.members.push(MixMember { participant, name, shown, heard: true, volume: 100 });
        // Nobody sends in step with anybody.
        let next = self.now + number * 3 * MS;
        if let Some(reel) = camera {
            self.show(Feed { participant, kind: FeedKind::Camera }, reel, next);
        }
        if let Some((tape, speaking)) = microphone {
            let source = Source::Microphone { tape, speaking };
            let feed = Feed { participant, kind: FeedKind::Audio };
            let (codec, clock, every) = (Codec::Opus, 48_000, SOUND_EVERY);
            self.senders.push(Sends { feed, codec, clock, every, next, sequence: 0, source });
        }
        self.tell_spec();
    }

    /// A feed of pictures, 30 a second, from `next` on. A codec that cannot be packed sends nothing.
    fn show(&mut self, feed: Feed, reel: Arc<Reel>, next: u64) {
        let codec = match reel.codec() {
            VideoCodec::Vp8 => Codec::Vp8,
            VideoCodec::Vp9 => Codec::Vp9,
            VideoCodec::H264 => Codec::H264,
            VideoCodec::Av1 => Codec::Av1,
        };
        let Some(player) = Player::of(reel.codec(), MAX_PAYLOAD, 0) else { return };
        let (source, every) = (Source::Camera { reel, player, key: true }, 1_000_000_000 / 30);
        self.senders.push(Sends { feed, codec, clock: 90_000, every, next, sequence: 0, source });
    }

    /// The only member sends these pictures, as camera or presentation, and somebody needs them alone in `to`.
    pub(super) fn transcode_pictures(&mut self, kind: FeedKind, reel: Arc<Reel>, to: Codec, rung: u8) {
        self.join(None, None);
        let feed = Feed { participant: ParticipantKey(1), kind };
        self.show(feed, reel, self.now);
        self.need_alone(feed, to, rung);
    }

    /// The only member speaks, with packets of `from`, and somebody needs the voice alone in `to`.
    pub(super) fn transcode_sound(&mut self, tape: Arc<Tape>, from: Codec, to: Codec) {
        self.join(None, None);
        let feed = Feed { participant: ParticipantKey(1), kind: FeedKind::Audio };
        let clock = if from == Codec::Opus { 48_000 } else { 8_000 };
        let source = Source::Microphone { tape, speaking: true };
        let (next, every) = (self.now, SOUND_EVERY);
        self.senders.push(Sends { feed, codec: from, clock, every, next, sequence: 0, source });
        self.need_alone(feed, to, 0);
    }

    fn need_alone(&mut self, feed: Feed, codec: Codec, rung: u8) {
        self.spec.transcodes.push(TranscodeSpec { source: feed, codec });
        self.tell_spec();
        self.need(MixOutput::Track { feed, codec, rung }, 0);
    }

    fn tell_spec(&mut self) {
        self.spec.revision += 1;
        self.room.handle(Time(self.now), ToMix::Spec(self.spec.clone()));
    }

    /// The first `count` members speak, the first one loudest and last.
    pub(super) fn speakers(&mut self, count: u64) {
        let order: Vec<ParticipantKey> = (1..=count).map(ParticipantKey).collect();
        let loudest = order.clone();
        self.room.handle(Time(self.now), ToMix::Speakers { conference: CONFERENCE, order, loudest });
    }

    /// Somebody needs an output.
    pub(super) fn need(&mut self, output: MixOutput, bitrate: u32) {
        self.room.handle(Time(self.now), ToMix::Need { conference: CONFERENCE, output, bitrate, loss: 5 });
    }

    /// Forgets what was counted.
    pub(super) fn reset(&mut self) {
        (self.made, self.spent, self.passed) = (Made::default(), 0, 0);
    }

    /// What the room took, in percent of a core.
    pub(super) fn percent(&self) -> f64 {
        100.0 * self.spent as f64 / self.passed.max(1) as f64
    }

    /// Lets `ms` milliseconds pass.
    pub(super) fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += MS;
            self.passed += MS;
            let due = self.due();
            if due.is_empty() && self.room.deadline() > Time(self.now) {
                continue;
            }
            self.step(&due);
        }
    }

    /// The packets that arrive by now, of the feeds that are wanted.
    fn due(&mut self) -> Vec<Due> {
        let mut due = Vec::new();
        for sends in self.senders.iter_mut() {
            let wanted = self.wanted.contains(&sends.feed);
            while sends.next <= self.now {
                sends.take(wanted, &mut due);
            }
        }
        due
    }

    fn step(&mut self, due: &[Due]) {
        let (now, conference) = (self.now, CONFERENCE);
        let Hall { room, wanted, made, senders, .. } = self;
        let start = processor_time();
        for Due { feed, codec, clock, rtp } in due {
            let (feed, codec, clock) = (*feed, *codec, *clock);
            let packet = MixPacket { conference, feed, encoding: 0, codec, clock, arrival: now, level: None, rtp };
            room.handle(Time(now), ToMix::Packet(packet));
        }
        while room.deadline() <= Time(now) {
            room.tick(Time(now), &mut AtOnce, &mut |message: FromMix<'_>| match message {
                FromMix::Packet { output: MixOutput::Track { feed, .. }, .. } if feed.kind.is_sound() => {
                    made.sound_packets += 1;
                }
                FromMix::Packet { output: MixOutput::Video { .. } | MixOutput::Track { .. }, rtp, .. } => {
                    made.picture_packets += 1;
                    made.picture_bytes += rtp.len() as u64;
                    made.pictures += u64::from(rtp[1] & 0x80 != 0);
                }
                FromMix::Packet { output: MixOutput::Audio { .. }, .. } => made.sound_packets += 1,
                FromMix::Want { feed, .. } => {
                    wanted.insert(feed);
                }
                FromMix::Unwant { feed, .. } => {
                    wanted.remove(&feed);
                }
                FromMix::KeyFrame { feed, .. } => {
                    let of = senders.iter_mut().find(|sends| sends.feed == feed);
                    if let Some(Sends { source: Source::Camera { key, .. }, .. }) = of {
                        *key = true;
                    }
                }
                FromMix::Seats { .. } | FromMix::Still { .. } | FromMix::Unable { .. } => {}
                FromMix::Shed { .. } | FromMix::Load { .. } => {}
            });
        }
        self.spent += processor_time() - start;
    }
}

impl Sends {
    /// The packets that are due next. What is not wanted is not sent, and its sender's clock goes on.
    fn take(&mut self, wanted: bool, due: &mut Vec<Due>) {
        let at = self.next;
        self.next += self.every;
        let timestamp = (u128::from(at) * u128::from(self.clock) / 1_000_000_000) as u32;
        let payloads = match &mut self.source {
            _ if !wanted => return,
            Source::Camera { reel, player, key } => player.frame(reel, std::mem::take(key)),
            Source::Microphone { tape, speaking } => vec![tape.packet(at / SOUND_EVERY, *speaking).to_vec()],
        };
        let last = payloads.len().saturating_sub(1);
        for (part, payload) in payloads.into_iter().enumerate() {
            let mut rtp = vec![0; rtp::FIXED_LEN];
            let marker = part == last && !self.feed.kind.is_sound();
            let fields =
                rtp::Fields { sequence: self.sequence, timestamp, marker, payload_type: 96, ..rtp::Fields::default() };
            rtp::write_header(&mut rtp, &fields).expect("room for a header");
            rtp.extend(payload);
            self.sequence = self.sequence.wrapping_add(1);
            due.push(Due { feed: self.feed, codec: self.codec, clock: self.clock, rtp });
        }
    }
}
