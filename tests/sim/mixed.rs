//! A conference that is mixed, whole: publishers of real pictures, the shard, the mixer's room, and a viewer who decodes what comes and reads in
//! each tile which frame of whom it shows. All of it is the product's own code, but for threads, rings and sockets: time is virtual, and
//! each job of the mixer is done at once.

use crate::meeting::microphone;
use crate::net::Way;
use crate::seeds;
use crate::world::{HALL, Id, World};
use plenum_bench::painted::{Mark, Painting};
use plenum_bench::peer::{Encoding, Guarding, Publish, Slots, VideoConfig};
use plenum_contract::{
    Command, FromMix, Kind, MemberPicture, MixMember, MixSpec, SceneSpec, SubscriptionSpec, ToMix, TrackKey,
};
use plenum_engines::{Limits, VideoCodec, VideoDecoder, video_decoder};
use plenum_mix::jitter::{VideoBuffer, VideoPacket, media_time};
use plenum_mix::layout::Layout;
use plenum_mix::room::jobs::AtOnce;
use plenum_mix::room::{Room, RoomSettings};
use plenum_mix::text::Fonts;
use plenum_packet::Time;
use plenum_wire::payload::Codec;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// A publisher in each tile.
const LAYOUT: &str = "4:0";
const COUNT: usize = 4;
const FPS: u8 = 30;
/// Of what publishers send and, twice as large, of the mix.
const SIZE: (u16, u16) = (320, 180);
const KBPS: u64 = 300;

fn paintings() -> &'static [Arc<Painting>] {
    static PAINTINGS: OnceLock<Vec<Arc<Painting>>> = OnceLock::new();
    PAINTINGS.get_or_init(|| {
        let one = |number| Painting::marked(number, FPS, &[(SIZE, KBPS)]).expect("it can be encoded");
        (1..=COUNT).map(|number| Arc::new(one(number))).collect()
    })
}

/// How much later than the fastest could be shown a viewer shows everything: who asks for packets again has time for a round trip and more, as browsers have.
const DELAY: Duration = Duration::from_millis(100);

/// A viewer's eye.
struct Eye {
    buffer: VideoBuffer,
    decoder: Box<dyn VideoDecoder>,
    /// When pictures were shown.
    shown: Vec<Time>,
    /// When a tile showed another frame of its publisher than before.
    moved: [Vec<Time>; COUNT],
    marks: [Option<Mark>; COUNT],
}

impl Eye {
    fn new() -> Eye {
        Eye {
            buffer: VideoBuffer::new(Codec::Vp8).expect("a buffer"),
            decoder: video_decoder(VideoCodec::Vp8, Limits::default()).expect("a decoder"),
            shown: Vec::new(),
            moved: Default::default(),
            marks: [None; COUNT],
        }
    }

    /// Shows what can be shown.
    fn look(&mut self, now: Time) {
        let layout: Layout = LAYOUT.parse().expect("a layout");
        let fastest = self.buffer.fastest().unwrap_or(0);
        let due = |timestamp| Time((media_time(timestamp, 90_000) as i64 + fastest) as u64) + DELAY;
        while let Some(frame) = self.buffer.next(now, due) {
            let picture = self.decoder.decode(frame.unit).expect("our own frame").expect("a picture");
            self.shown.push(now);
            for (tile, (moved, mark)) in self.moved.iter_mut().zip(&mut self.marks).enumerate() {
                let place = layout.tile(tile, picture.width(), picture.height()).expect("a tile");
                let read = Mark::read(&picture, place).filter(|read| *mark != Some(*read));
                if let Some(read) = read {
                    (*mark, _) = (Some(read), moved.push(now));
                }
            }
        }
    }
}

/// The share of the time between `from` and `to` in which pictures stood still: libwebrtc's definition of a freeze, whole.
fn frozen(pictures: &[Time], from: Time, to: Time) -> f64 {
    let usual = Duration::from_secs(1) / u32::from(FPS);
    let noticed = (usual * 3).max(usual + Duration::from_millis(150));
    let within = pictures.iter().copied().filter(|at| (from..to).contains(at));
    let (mut last, mut sum) = (from, Duration::ZERO);
    for at in within.chain([to]) {
        let gap = at.since(std::mem::replace(&mut last, at));
        sum += if gap > noticed { gap } else { Duration::ZERO };
    }
    sum.as_secs_f64() / to.since(from).as_secs_f64()
}

/// A world with a mixer.
struct Mixing {
    world: World,
    /// The mixer has a room as long as it lives.
    room: Option<Room>,
    viewer: Id,
    eye: Arc<Mutex<Eye>>,
}

impl Mixing {
    /// Everybody is connected, and each tile shows its publisher.
    fn new(seed: u64) -> Mixing {
        let mut world = World::new(seed);
        for painting in paintings() {
            world.join(|config| {
                let encoding = Encoding::new("", SIZE.0, SIZE.1, KBPS);
                let camera = VideoConfig { fps: FPS, ..VideoConfig::single(TrackKey(config.leg.0 * 10 + 1), encoding) };
                config.publishes = vec![microphone(config), Publish::Video(camera)];
                config.painting = Some(painting.clone());
                // Who hears nobody is told nothing of which a round trip could be known.
                config.slots = Slots { audio: 1, video: 0, presentation: false };
                (config.stamped, config.guarding) = (false, Guarding::Off);
            });
        }
        let viewer = world.join(|config| {
            config.publishes = vec![microphone(config)];
            config.slots = Slots { audio: 1, video: 1, presentation: false };
            config.stamped = false;
            config.guarding = Guarding::Off;
        });
        world.shard.mixer_up(world.now);
        let member = |id| MixMember {
            participant: world.participant(id),
            name: String::new(),
            shown: if id == viewer { MemberPicture::Nothing } else { MemberPicture::Camera },
            heard: id != viewer,
            volume: 100,
        };
        let spec = MixSpec {
            conference: HALL,
            revision: 1,
            scenes: vec![SceneSpec::new(0, LAYOUT, 2 * SIZE.0, 2 * SIZE.1)],
            members: (0..=COUNT).map(member).collect(),
            presenter: None,
            loudest: 3,
            fps: FPS,
            transcodes: vec![],
            stills: vec![],
            level: false,
            logo: None,
        };
        world.command(Command::Mix(spec)).expect("a mix");
        let (leg, slots, first) = (world.leg(viewer), vec![], vec![]);
        let wish =
            SubscriptionSpec { leg, revision: 1, slots, first, low_latency: false, mix: Some(0), mixed_sound: false };
        world.command(Command::Subscription(wish)).expect("a leg");
        let eye = Arc::new(Mutex::new(Eye::new()));
        let watching = Arc::clone(&eye);
        world.members[viewer].peer.watch(Box::new(move |arrival, header, payload| {
            let (sequence, timestamp, marker) = (header.sequence, header.timestamp, header.marker);
            let packet = VideoPacket { sequence, timestamp, marker, payload, arrival };
            watching.lock().expect("an eye").buffer.insert(&packet);
        }));
        let mut mixing = Mixing { world, room: None, viewer, eye };
        mixing.world.connect(Duration::from_secs(2));
        mixing.run(Duration::from_secs(3));
        let whose: Vec<_> = mixing.eye().marks.iter().map(|mark| mark.map(|m| m.number)).collect();
        assert_eq!(whose, (1..=COUNT).map(Some).collect::<Vec<_>>());
        mixing
    }

    fn eye(&self) -> std::sync::MutexGuard<'_, Eye> {
        self.eye.lock().expect("an eye")
    }

    fn run(&mut self, time: Duration) {
        let end = self.world.now + time;
        while self.world.now < end {
            self.world.run(Duration::from_millis(1));
            self.mix();
            let now = self.world.now;
            let mut eye = self.eye.lock().expect("an eye");
            eye.look(now);
            if eye.buffer.wants_key(now) {
                self.world.members[self.viewer].peer.ask_key_frame();
            }
        }
    }

    /// The mixer's turn: what the shard wrote, what is due, what was made.
    fn mix(&mut self) {
        let now = self.world.now;
        let mut told = Vec::new();
        self.world.shard.drain_mixer(|record, _| told.push(record.to_vec()));
        for record in &told {
            match (ToMix::read(record).expect("a record"), &mut self.room) {
                (ToMix::Spec(spec), room @ None) => {
                    *room = Some(Room::new(spec, RoomSettings::new(Fonts::none()), now));
                }
                (message, room) => room.as_mut().expect("the spec comes first").handle(now, message),
            }
        }
        let mut made = Vec::new();
        while let Some(room) = self.room.as_mut().filter(|room| room.deadline() <= now) {
            room.tick(now, &mut AtOnce, &mut |message: FromMix<'_>| {
                let mut record = Vec::new();
                message.write(&mut record).expect("a record");
                made.push(record);
            });
        }
        made.iter().for_each(|record| self.world.hear_mixer(record));
    }

    /// Packets of sound that the viewer got.
    fn sounds(&self) -> u64 {
        self.world.members[self.viewer].peer.slot(Kind::Audio, false, 0).map_or(0, |slot| slot.packets)
    }
}

#[test]
fn a_loss_of_five_percent_both_ways_freezes_a_mix_for_less_than_two_percent_of_the_time() {
    seeds::each("five_percent_both_ways", &[1, 2, 3], |seed| {
        let mut mixing = Mixing::new(seed);
        let lossy = Way { loss: 0.05, ..Way::GOOD };
        mixing.world.all_ways(lossy, lossy);
        let from = mixing.world.now;
        mixing.run(Duration::from_secs(30));
        let to = mixing.world.now;
        let eye = mixing.eye();
        let share = frozen(&eye.shown, from, to);
        let tiles = eye.moved.each_ref().map(|moved| frozen(moved, from, to));
        println!("seed {seed}: frozen {:.2} %, tiles {tiles:.4?}", share * 100.0);
        assert!(share < 0.02, "the mix froze for {share:.4} of the time");
        assert!(tiles.iter().all(|share| *share < 0.02), "what tiles show froze: {tiles:.4?}");
        drop(eye);
        let stats = mixing.world.members.iter().map(|m| m.peer.stats()).collect::<Vec<_>>();
        let lost: u64 = mixing.world.members.iter().map(|m| m.up.lost.min(m.down.lost)).min().unwrap_or(0);
        let resent: u64 = stats[..COUNT].iter().map(|s| s.resent).min().unwrap_or(0);
        let recovered: u64 = stats[mixing.viewer].slots.iter().map(|s| s.recovered).sum();
        assert!(lost > 10 && resent > 10 && recovered > 10, "{lost} lost, {resent} sent again, {recovered} repaired");
        mixing.world.finish();
    });
}

/// What control waits for at most before it starts the next mixer of one that had run, with the time between two looks at its lock
/// (control's `a_mixer_that_ran_is_started_again_at_once_and_one_that_died_young_within_250_ms…`).
const WAIT: Duration = Duration::from_millis(250);

#[test]
fn a_mixer_that_comes_again_has_pictures_of_everybody_and_sound_at_the_viewer_within_a_second() {
    seeds::each("a_mixer_that_comes_again", &[1, 2], |seed| {
        let mut mixing = Mixing::new(seed);
        mixing.world.shard.mixer_gone(mixing.world.now);
        mixing.room = None;
        mixing.run(WAIT);
        let up = mixing.world.now;
        mixing.world.shard.mixer_up(up);
        let sounds = mixing.sounds();
        let mut heard = None;
        while mixing.eye().moved.iter().any(|moved| moved.last().is_none_or(|at| *at <= up)) || heard.is_none() {
            mixing.run(Duration::from_millis(1));
            heard = heard.or((mixing.sounds() > sounds + 2).then_some(mixing.world.now));
            assert!(mixing.world.now.since(up) <= Duration::from_secs(1), "{heard:?}, {:?}", mixing.eye().marks);
        }
        println!("seed {seed}: {:?}, sound {:?}", mixing.world.now.since(up), heard.map(|at| at.since(up)));
        mixing.world.finish();
    });
}
