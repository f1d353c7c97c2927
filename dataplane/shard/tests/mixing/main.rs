//! Mixed legs beside forwarded ones, with a mixer that the test plays: what is tapped, told and made, and what happens when it dies.

#[path = "../common/mod.rs"]
mod common;
mod layers;
mod sound;
mod telling;
mod transcoding;

use common::*;
use plenum_bench::peer::stamp::Stamp;
use plenum_bench::peer::{Encoding, Publish, Slots, VideoConfig};
use plenum_contract::spec::SlotWish;
use plenum_contract::{
    Codec, Command, ConferenceKey, EventBody, Feed, FeedKind, FromMix, Kind, MemberPicture, MixMember, MixOutput,
    MixSpec, MixerSpent, ParticipantKey, SceneSpec, SubscriptionSpec, ToMix, TrackKey, TranscodeSpec,
};
use plenum_packet::{DropReason, Time};
use plenum_wire::rtp;
use std::collections::BTreeMap;
use std::time::Duration;

const ONE: Slots = Slots { audio: 1, video: 1, presentation: false };
const SECOND: Duration = Duration::from_secs(1);
/// Track numbers in the stamps of what the mixer makes.
const SCENE: u32 = 5000;
const EVERYBODY: u32 = 6000;
const SINGLE: u32 = 7000;

/// A stand-in for the mixer: makes what is needed, and notes what it was told.
#[derive(Default)]
struct Mixer {
    needs: BTreeMap<MixOutput, Encoder>,
    specs: Vec<MixSpec>,
    loudest: Vec<ParticipantKey>,
    gone: Vec<Feed>,
    /// Packets of each feed and encoding, and whether the first of a picture was a key frame's.
    tapped: BTreeMap<(Feed, u8), (u64, bool)>,
    /// Frames made of each output: numbers go on.
    frames: BTreeMap<MixOutput, u32>,
    turns: u64,
    /// How long before it is told what pictures show was captured, and what sound says.
    lag: (Duration, Duration),
    /// It tells that everything was captured when the machine started.
    lies: bool,
    /// Which stream it makes of each output: another number where one begins afresh.
    stream: u32,
}

#[derive(Default)]
struct Encoder {
    frame: u32,
    /// The newest frame of the base layer, and how many there were.
    base: u32,
    bases: u32,
    /// The next frame of a picture is of the upper layer.
    upper: bool,
    wants_key: bool,
    keys: u32,
    bitrate: u32,
    loss: u8,
}

impl Mixer {
    /// A mixer that comes.
    fn start(hall: &mut Hall) -> Mixer {
        hall.shard.mixer_up(hall.now);
        Mixer::default()
    }

    fn run(&mut self, hall: &mut Hall, time: Duration) {
        let end = hall.now + time;
        while hall.now < end {
            hall.step(Duration::from_millis(1));
            self.listen(hall);
            self.make(hall);
        }
    }

    fn listen(&mut self, hall: &mut Hall) {
        let mut records = Vec::new();
        hall.shard.drain_mixer(|record, _| records.push(record.to_vec()));
        for record in &records {
            match ToMix::read(record).expect("a record that can be read") {
                ToMix::Spec(spec) => self.specs.push(spec),
                ToMix::Remove(_) => self.needs.clear(),
                ToMix::Speakers { loudest, .. } => self.loudest = loudest,
                ToMix::Packet(packet) => {
                    let header = rtp::parse(packet.rtp).unwrap();
                    let payload = &packet.rtp[usize::from(header.payload_start)..];
                    let key = Stamp::in_vp8(payload).is_some_and(|stamp| stamp.is_key());
                    let entry = self.tapped.entry((packet.feed, packet.encoding)).or_insert((0, key));
                    entry.0 += 1;
                }
                ToMix::Gone { feed, .. } => self.gone.push(feed),
                ToMix::Need { output, bitrate, loss, .. } => {
                    let frame = self.frames.get(&output).copied().unwrap_or(0);
                    let fresh = Encoder { wants_key: true, frame, ..Encoder::default() };
                    let encoder = self.needs.entry(output).or_insert(fresh);
                    (encoder.bitrate, encoder.loss) = (bitrate, loss);
                }
                ToMix::Unneeded { output, .. } => {
                    let made = self.needs.remove(&output).map_or(0, |encoder| encoder.frame);
                    self.frames.insert(output, made);
                }
                ToMix::KeyFrame { output, .. } => {
                    if let Some(encoder) = self.needs.get_mut(&output) {
                        encoder.wants_key = true;
                    }
                }
                ToMix::Report { .. } => {}
            }
        }
    }

    /// A picture each 33 ms, in two temporal layers; a sound each 20 ms.
    fn make(&mut self, hall: &mut Hall) {
        self.turns += 1;
        let now = hall.now;
        let mut records = Vec::new();
        for (&output, encoder) in &mut self.needs {
            let heard = match output {
                MixOutput::Video { .. } => false,
                MixOutput::Audio { .. } => true,
                MixOutput::Track { feed, .. } => feed.kind.is_sound(),
            };
            let (every, ticks) = if heard { (20, 48) } else { (33, 90) };
            if !self.turns.is_multiple_of(every) {
                continue;
            }
            let key = std::mem::take(&mut encoder.wants_key);
            encoder.keys += u32::from(key);
            encoder.frame += 1;
            let upper = every == 33 && encoder.upper && !key;
            let refers = if key { encoder.frame } else { encoder.base };
            encoder.upper = !upper;
            if !upper {
                (encoder.base, encoder.bases) = (encoder.frame, encoder.bases + 1);
            }
            let (track, encoding) = match output {
                MixOutput::Video { scene, rung, .. } => (SCENE + u32::from(scene), rung),
                MixOutput::Track { feed, rung, .. } => (SINGLE + feed.participant.0 as u32, rung),
                MixOutput::Audio { without, .. } => (EVERYBODY + without.map_or(0, |p| p.0 as u32), 0),
            };
            let fps = if every == 33 { 30 } else { 50 };
            let frame = encoder.frame;
            // Not every frame takes the same time.
            let lag = if every == 33 { self.lag.0 + Duration::from_millis(5) * (frame % 3) } else { self.lag.1 };
            let sent = Time(now.nanos().saturating_sub(lag.as_nanos() as u64));
            let (base, temporal) = (encoder.base, u8::from(upper));
            let stamp = Stamp { track, frame, refers, base, part: 0, parts: 1, fps, encoding, temporal, sent };
            let payload = if every == 33 { picture(&stamp, key, encoder.bases as u8) } else { sound(&stamp) };
            let fields = rtp::Fields {
                marker: every == 33,
                payload_type: 96,
                sequence: frame as u16,
                timestamp: (sent.nanos() / 1_000_000 * ticks) as u32,
                ssrc: self.stream,
                ..rtp::Fields::default()
            };
            let mut packet = vec![0; rtp::FIXED_LEN];
            rtp::write_header(&mut packet, &fields).unwrap();
            packet.extend(payload);
            let mut record = Vec::new();
            let captured = if self.lies { 0 } else { sent.nanos() };
            let made = FromMix::Packet { conference: ROOM, output, captured, rtp: &packet };
            made.write(&mut record).unwrap();
            records.push(record);
        }
        for record in records {
            hall.shard.handle_mixer(now, &mut hall.pool, &record);
        }
    }

    fn say(&self, hall: &mut Hall, value: &FromMix<'_>) {
        let mut record = Vec::new();
        value.write(&mut record).unwrap();
        hall.shard.handle_mixer(hall.now, &mut hall.pool, &record);
    }

    fn want(&self, hall: &mut Hall, feed: Feed, width: u16, height: u16) {
        self.say(hall, &FromMix::Want { conference: ROOM, feed, width, height });
    }

    fn tapped(&self, feed: Feed, encoding: u8) -> u64 {
        self.tapped.get(&(feed, encoding)).map_or(0, |t| t.0)
    }
}

/// A VP8 payload of a frame in one packet.
fn picture(stamp: &Stamp, key: bool, tl0: u8) -> Vec<u8> {
    let (id, upper) = (0x8000 | stamp.frame as u16 & 0x7fff, stamp.temporal > 0);
    let mut out = vec![if upper { 0xb0 } else { 0x90 }, 0xe0];
    out.extend(id.to_be_bytes());
    out.extend([tl0, if upper { 0x60 } else { 0 }]);
    let mut header = [0; 10];
    header[0] = u8::from(!key) | 0x10;
    if key {
        header[3..].copy_from_slice(&[0x9d, 0x01, 0x2a, 64, 1, 180, 0]);
    }
    out.extend(header);
    let start = out.len();
    out.resize(start + 200, 0x33);
    stamp.write(&mut out[start..]);
    out
}

fn sound(stamp: &Stamp) -> Vec<u8> {
    let mut out = vec![0x78; 80];
    stamp.write(&mut out[1..]);
    out
}

fn spec(hall: &Hall, revision: u64) -> MixSpec {
    let member = |m: &Member| MixMember {
        participant: m.participant.key,
        name: "Somebody".into(),
        shown: MemberPicture::Camera,
        heard: true,
        volume: 100,
    };
    MixSpec {
        conference: ROOM,
        revision,
        scenes: vec![SceneSpec::new(0, "1:7", 1280, 720)],
        members: hall.members.iter().map(member).collect(),
        presenter: None,
        loudest: 3,
        fps: 30,
        transcodes: vec![],
        stills: vec![],
        level: false,
        logo: None,
    }
}

fn mix(hall: &mut Hall, id: Id, revision: u64, scene: Option<u16>) {
    let leg = hall.leg(id);
    hall.command(Command::Subscription(SubscriptionSpec {
        leg,
        revision,
        slots: vec![],
        first: vec![],
        low_latency: false,
        mix: scene,
        mixed_sound: false,
    }));
}

/// A leg that is forwarded to hears the mix, or does not.
fn hear(hall: &mut Hall, id: Id, revision: u64, mixed_sound: bool) {
    let leg = hall.leg(id);
    let spec =
        SubscriptionSpec { leg, revision, slots: vec![], first: vec![], low_latency: false, mix: None, mixed_sound };
    hall.command(Command::Subscription(spec));
}

/// Two forwarded talkers, a talker and a viewer who get the mix.
fn room() -> (Hall, Mixer, [Id; 4]) {
    let mut hall = Hall::new();
    let ids = [hall.talker(ONE), hall.talker(ONE), hall.talker(ONE), hall.join(true, |config| config.slots = ONE)];
    let mixer = Mixer::start(&mut hall);
    hall.command(Command::Mix(spec(&hall, 1)));
    mix(&mut hall, ids[2], 1, Some(0));
    mix(&mut hall, ids[3], 1, Some(0));
    hall.connect();
    (hall, mixer, ids)
}

/// Decoded frames of a slot, by track.
fn by_track(hall: &Hall, id: Id, kind: Kind) -> BTreeMap<u32, u64> {
    hall.members[id].peer.slot(kind, false, 0).map(|s| s.by_track.clone()).unwrap_or_default()
}

/// The tracks of which frames were decoded in a second, after another one.
fn seen(hall: &mut Hall, mixer: &mut Mixer, id: Id, kind: Kind) -> Vec<u32> {
    mixer.run(hall, SECOND);
    let before = by_track(hall, id, kind);
    mixer.run(hall, SECOND);
    let after = by_track(hall, id, kind);
    after.iter().filter(|(track, n)| **n > before.get(track).copied().unwrap_or(0) + 5).map(|(t, _)| *t).collect()
}

fn camera_of(hall: &Hall, id: Id) -> Feed {
    Feed { participant: hall.participant(id), kind: FeedKind::Camera }
}

#[test]
fn a_mixed_leg_gets_the_scene_and_the_sound_without_themself_and_others_are_forwarded_to() {
    let (mut hall, mut mixer, [a, b, talker, viewer]) = room();
    assert_eq!(seen(&mut hall, &mut mixer, talker, Kind::Video), [SCENE]);
    assert_eq!(seen(&mut hall, &mut mixer, viewer, Kind::Video), [SCENE]);
    let own = EVERYBODY + hall.participant(talker).0 as u32;
    assert_eq!(seen(&mut hall, &mut mixer, talker, Kind::Audio), [own], "nobody hears themself");
    assert_eq!(seen(&mut hall, &mut mixer, viewer, Kind::Audio), [EVERYBODY]);
    for id in [a, b] {
        let pictures = seen(&mut hall, &mut mixer, id, Kind::Video);
        assert!(pictures.iter().all(|track| *track < SCENE) && !pictures.is_empty(), "{pictures:?}");
    }
    let video = mixer.needs.keys().filter(|output| matches!(output, MixOutput::Video { .. })).count();
    assert_eq!((mixer.specs.len(), video), (1, 1), "one spec, and one encoding for both");
    assert_eq!(hall.shard.mixer_outputs(), mixer.needs.len());
    hall.finish();
}

#[test]
fn outputs_that_nobody_needs_are_not_made_any_more() {
    let (mut hall, mut mixer, [_, _, talker, viewer]) = room();
    mixer.run(&mut hall, 2 * SECOND);
    assert!(!mixer.needs.is_empty());
    mix(&mut hall, talker, 2, None);
    mix(&mut hall, viewer, 2, None);
    mixer.run(&mut hall, 4 * SECOND);
    assert!(mixer.needs.is_empty(), "{:?}", mixer.needs.keys());
    let pictures = seen(&mut hall, &mut mixer, viewer, Kind::Video);
    assert!(pictures.iter().all(|track| *track < SCENE) && !pictures.is_empty(), "{pictures:?}");
    hall.finish();
}

#[test]
fn a_mixer_that_starts_again_is_told_everything_again_and_slots_go_on_at_a_key_frame() {
    let (mut hall, mut mixer, [a, b, talker, viewer]) = room();
    assert_eq!(seen(&mut hall, &mut mixer, viewer, Kind::Video), [SCENE]);
    let feed = camera_of(&hall, a);
    mixer.want(&mut hall, feed, 320, 180);
    // Who is forwarded to: packets of sound heard, frames seen, and what is missing of either.
    let forwarded = |hall: &Hall| {
        [a, b].map(|id| {
            let slot = |kind| hall.members[id].peer.stats().slots.into_iter().find(|s| s.kind == kind).unwrap();
            let (sound, picture) = (slot(Kind::Audio), slot(Kind::Video));
            ([sound.frames, picture.frames], [sound.gaps, sound.lost, picture.lost, picture.freezes])
        })
    };
    let (before, start) = (forwarded(&hall), hall.now);
    let spent = |jobs| MixerSpent { jobs, ..MixerSpent::default() };
    mixer.say(&mut hall, &FromMix::Load { shed: 0, spent: spent(5) });
    hall.shard.mixer_gone(hall.now);
    hall.run(SECOND);
    let mut second = Mixer::start(&mut hall);
    assert_eq!(seen(&mut hall, &mut second, viewer, Kind::Video), [SCENE]);
    assert_eq!(seen(&mut hall, &mut second, talker, Kind::Video), [SCENE]);
    assert_eq!(second.specs, [spec(&hall, 1)]);
    assert!(!second.loudest.is_empty() && second.tapped.is_empty(), "it wanted nothing yet");
    assert!(second.needs.values().all(|e| e.keys >= 1));
    let passed = hall.now.since(start).as_millis() as u64;
    for ((made, missing), (made_before, missing_before)) in forwarded(&hall).into_iter().zip(before) {
        assert_eq!(missing, missing_before, "forwarding loses nothing");
        let [sounds, frames] = [0, 1].map(|at| made[at] - made_before[at]);
        assert!(sounds.abs_diff(passed / 20) <= 1 && frames.abs_diff(passed * 30 / 1000) <= 1, "{sounds}, {frames}");
    }
    second.say(&mut hall, &FromMix::Load { shed: 0, spent: spent(u64::MAX) });
    assert_eq!(hall.shard.mixer_spent().jobs, u64::MAX, "whatever a mixer says");
    second.say(&mut hall, &FromMix::Load { shed: 0, spent: spent(3) });
    assert_eq!(hall.shard.mixer_spent().jobs, 8, "what both took");
    hall.finish();
}

#[test]
fn legs_are_forwarded_to_when_no_mixer_comes_back_and_get_the_mix_when_one_does() {
    let (mut hall, mut mixer, [_, _, _, viewer]) = room();
    assert_eq!(seen(&mut hall, &mut mixer, viewer, Kind::Video), [SCENE]);
    hall.shard.mixer_gone(hall.now);
    hall.run(6 * SECOND);
    let mut nobody = Mixer::default();
    let pictures = seen(&mut hall, &mut nobody, viewer, Kind::Video);
    assert!(pictures.iter().all(|track| *track < SCENE) && !pictures.is_empty(), "{pictures:?}");
    let mut second = Mixer::start(&mut hall);
    assert_eq!(seen(&mut hall, &mut second, viewer, Kind::Video), [SCENE]);
    hall.command(Command::RemoveMix(ROOM));
    let pictures = seen(&mut hall, &mut second, viewer, Kind::Video);
    assert!(pictures.iter().all(|track| *track < SCENE) && !pictures.is_empty(), "{pictures:?}");
    hall.finish();
}

#[test]
fn the_mixer_gets_the_encoding_that_suits_the_tile_from_its_key_frame_on() {
    let mut hall = Hall::new();
    let a = hall.join(true, |config| {
        let encodings = [("l", 320, 180, 150), ("m", 640, 360, 500), ("h", 1280, 720, 1500)];
        let encodings = encodings.map(|(rid, w, h, kbps)| Encoding::new(rid, w, h, kbps)).to_vec();
        config.publishes = vec![microphone(1), Publish::Video(VideoConfig::simulcast(TrackKey(11), encodings))];
    });
    let mut mixer = Mixer::start(&mut hall);
    hall.command(Command::Mix(spec(&hall, 1)));
    hall.connect();
    mixer.run(&mut hall, 3 * SECOND);
    assert!(mixer.tapped.is_empty(), "what is not wanted is not copied");
    let feed = camera_of(&hall, a);
    let voice = Feed { kind: FeedKind::Audio, ..feed };
    mixer.want(&mut hall, feed, 320, 180);
    mixer.want(&mut hall, voice, 0, 0);
    mixer.run(&mut hall, 2 * SECOND);
    assert!(mixer.tapped(feed, 0) > 20 && mixer.tapped(feed, 1) + mixer.tapped(feed, 2) == 0, "{:?}", mixer.tapped);
    assert!(mixer.tapped[&(feed, 0)].1, "it begins with a key frame");
    assert!(mixer.tapped(voice, 0) > 80);
    mixer.want(&mut hall, feed, 1280, 720);
    mixer.run(&mut hall, 2 * SECOND);
    assert!(mixer.tapped(feed, 2) > 20 && mixer.tapped[&(feed, 2)].1, "{:?}", mixer.tapped);
    let small = mixer.tapped(feed, 0);
    mixer.run(&mut hall, SECOND);
    assert_eq!(mixer.tapped(feed, 0), small, "one encoding at a time");
    mixer.say(&mut hall, &FromMix::Unwant { conference: ROOM, feed });
    let large = mixer.tapped(feed, 2);
    mixer.run(&mut hall, SECOND);
    assert_eq!((mixer.tapped(feed, 2), mixer.gone.len()), (large, 0));
    hall.finish();
}

#[test]
fn who_is_muted_blocked_or_waits_is_not_tapped() {
    let (mut hall, mut mixer, [a, ..]) = room();
    let feed = camera_of(&hall, a);
    let voice = Feed { kind: FeedKind::Audio, ..feed };
    mixer.want(&mut hall, feed, 320, 180);
    mixer.want(&mut hall, voice, 0, 0);
    mixer.run(&mut hall, SECOND);
    let quiet = |hall: &mut Hall, mixer: &mut Mixer, feed: Feed| {
        mixer.run(hall, Duration::from_millis(5));
        let before = mixer.tapped(feed, 0);
        mixer.run(hall, SECOND);
        mixer.tapped(feed, 0) == before
    };
    assert!(!quiet(&mut hall, &mut mixer, feed) && !quiet(&mut hall, &mut mixer, voice));
    hall.change(a, |spec| spec.audio_blocked = true);
    assert!(quiet(&mut hall, &mut mixer, voice) && !quiet(&mut hall, &mut mixer, feed));
    hall.change(a, |spec| (spec.audio_blocked, spec.video_blocked) = (false, true));
    assert!(!quiet(&mut hall, &mut mixer, voice) && quiet(&mut hall, &mut mixer, feed));
    hall.change(a, |spec| (spec.video_blocked, spec.waiting) = (false, true));
    assert!(quiet(&mut hall, &mut mixer, voice) && quiet(&mut hall, &mut mixer, feed));
    assert_eq!(mixer.gone, [voice, feed, voice]);
    hall.change(a, |spec| spec.waiting = false);
    mixer.run(&mut hall, SECOND);
    assert!(!quiet(&mut hall, &mut mixer, voice) && !quiet(&mut hall, &mut mixer, feed));
    hall.finish();
}

#[test]
fn an_overloaded_mixer_has_everybody_on_the_smallest_rung() {
    let (mut hall, mut mixer, [_, _, _, viewer]) = room();
    let encoding =
        |hall: &Hall| hall.members[viewer].peer.slot(Kind::Video, false, 0).and_then(|s| s.source).map(|s| s.1);
    mixer.run(&mut hall, 15 * SECOND);
    assert_eq!(encoding(&hall), Some(2), "a wide link gets the whole picture");
    mixer.say(&mut hall, &FromMix::Load { shed: 2, spent: MixerSpent::default() });
    mixer.run(&mut hall, SECOND);
    assert_eq!((encoding(&hall), hall.shard.mixer_state()), (Some(0), Some(2)));
    hall.finish();
}

#[test]
fn control_is_told_when_another_part_of_a_mix_is_left_out_and_that_none_is_when_the_mixer_goes() {
    let (mut hall, mut mixer, _) = room();
    mixer.run(&mut hall, SECOND);
    let told = |hall: &mut Hall| {
        let mut levels = Vec::new();
        hall.shard.drain_events(|_, body| {
            levels.extend(if let EventBody::MixShed { conference: ROOM, level } = body { Some(level) } else { None });
        });
        levels
    };
    for (level, expected) in [(0, vec![]), (1, vec![1]), (1, vec![]), (200, vec![3]), (2, vec![2])] {
        mixer.say(&mut hall, &FromMix::Shed { conference: ROOM, level });
        assert_eq!(told(&mut hall), expected, "{level}");
    }
    mixer.say(&mut hall, &FromMix::Shed { conference: ConferenceKey(99), level: 1 });
    assert!(told(&mut hall).is_empty(), "of no conference that is there");
    hall.shard.tell_again();
    assert_eq!(told(&mut hall), [2], "to a control plane that comes anew");
    hall.shard.mixer_gone(hall.now);
    assert_eq!(told(&mut hall), [0]);
    let mixer = Mixer::start(&mut hall);
    mixer.say(&mut hall, &FromMix::Shed { conference: ROOM, level: 1 });
    hall.command(Command::RemoveMix(ROOM));
    assert_eq!(told(&mut hall), [1, 0]);
    hall.finish();
}

#[test]
fn control_gets_the_pictures_of_a_presentation_that_it_asked_for_and_not_too_many() {
    let (mut hall, mut mixer, [a, b, ..]) = room();
    mixer.run(&mut hall, SECOND);
    let (presenter, other) = (hall.participant(a), hall.participant(b));
    let say = |hall: &mut Hall, mixer: &mut Mixer, presenter, height, jpeg: &[u8]| {
        mixer.say(hall, &FromMix::Still { conference: ROOM, presenter, height, jpeg });
        let mut got = Vec::new();
        hall.shard.drain_stills(|still| got.push((still.presenter, still.height, still.jpeg)));
        got
    };
    assert!(say(&mut hall, &mut mixer, presenter, 720, b"unasked").is_empty());
    hall.command(Command::Mix(MixSpec { presenter: Some(presenter), stills: vec![720, 1080], ..spec(&hall, 9) }));
    assert_eq!(say(&mut hall, &mut mixer, presenter, 720, b"one"), [(presenter, 720, b"one".to_vec())]);
    assert_eq!(say(&mut hall, &mut mixer, presenter, 1080, b"large"), [(presenter, 1080, b"large".to_vec())]);
    assert!(say(&mut hall, &mut mixer, presenter, 720, b"at once").is_empty());
    assert!(say(&mut hall, &mut mixer, other, 720, b"another's").is_empty());
    assert!(say(&mut hall, &mut mixer, presenter, 360, b"unasked").is_empty());
    mixer.run(&mut hall, SECOND);
    assert_eq!(say(&mut hall, &mut mixer, presenter, 720, b"two").len(), 1);
    hall.finish();
}

#[test]
fn what_a_mixer_sends_unasked_or_broken_goes_nowhere() {
    let (mut hall, mut mixer, [_, _, _, viewer]) = room();
    assert_eq!(seen(&mut hall, &mut mixer, viewer, Kind::Video), [SCENE]);
    let mut broken = 0;
    for record in [&[][..], &[0xff; 40], &[4, 1, 2], &[10; 12]] {
        hall.shard.handle_mixer(hall.now, &mut hall.pool, record);
        broken += 1;
    }
    assert_eq!(hall.shard.drops().get(DropReason::MalformedRtp), broken);
    let output = MixOutput::Video { scene: 7, codec: Codec::Vp8, rung: 0 };
    let scene = MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 9 };
    let packet = [&[0x80, 96][..], &[0; 10], &[0x90, 0x80, 0x80, 1, 0x10]].concat();
    let long = [&packet[..], &[0; 1300]].concat();
    for (output, rtp) in [(output, &packet[..]), (scene, &packet), (scene, &[]), (scene, &packet[..9]), (scene, &long)]
    {
        mixer.say(&mut hall, &FromMix::Packet { conference: ROOM, output, captured: 0, rtp });
    }
    let nobody = Feed { participant: ParticipantKey(u64::MAX - 1), kind: FeedKind::Camera };
    mixer.want(&mut hall, nobody, 1, 1);
    mixer.say(&mut hall, &FromMix::KeyFrame { conference: ROOM, feed: nobody });
    mixer.say(&mut hall, &FromMix::KeyFrame { conference: OTHER_ROOM, feed: nobody });
    assert_eq!(seen(&mut hall, &mut mixer, viewer, Kind::Video), [SCENE]);
    hall.finish();
}

#[test]
fn a_conference_ends_with_its_mix() {
    let (mut hall, mut mixer, ids) = room();
    mixer.run(&mut hall, SECOND);
    hall.command(Command::RemoveConference(ROOM));
    ids.into_iter().for_each(|id| hall.members[id].here = false);
    mixer.run(&mut hall, SECOND);
    assert!(mixer.needs.is_empty());
    assert!(hall.try_command(Command::Mix(spec(&hall, 2))).is_err(), "a mix of nothing");
    hall.finish();
}

/// A profile that only some decode.
const OTHER: u32 = 7;
