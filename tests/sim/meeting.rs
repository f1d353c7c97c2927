//! People who talk and see each other on a good network: the simplest story, and the one that says the simulation itself works.

use crate::seeds;
use crate::world::World;
use plenum_bench::peer::{AudioConfig, Encoding, PeerConfig, Publish, Slots, VideoConfig};
use plenum_contract::{Kind, TrackKey};
use std::time::Duration;

/// A microphone of this peer; tracks are numbered by leg.
pub(crate) fn microphone(config: &PeerConfig) -> Publish {
    Publish::Audio(AudioConfig { track: TrackKey(config.leg.0 * 10), dtx: false, levels: true })
}

/// A camera with one encoding.
pub(crate) fn camera(config: &PeerConfig, kbps: u64) -> Publish {
    Publish::Video(VideoConfig::single(TrackKey(config.leg.0 * 10 + 1), Encoding::new("", 640, 360, kbps)))
}

/// A camera with three encodings and two temporal layers.
pub(crate) fn simulcast(config: &PeerConfig) -> Publish {
    let encodings =
        vec![Encoding::new("q", 320, 180, 150), Encoding::new("h", 640, 360, 500), Encoding::new("f", 1280, 720, 1500)];
    Publish::Video(VideoConfig::simulcast(TrackKey(config.leg.0 * 10 + 1), encodings))
}

#[test]
fn two_people_see_and_hear_each_other() {
    seeds::each("two_people_see_and_hear_each_other", &[1], |seed| {
        let mut world = World::new(seed);
        for _ in 0..2 {
            world.join(|config| {
                config.publishes = vec![microphone(config), camera(config, 1500)];
                config.slots = Slots { audio: 3, video: 4, presentation: false };
            });
        }
        world.connect(Duration::from_secs(2));
        world.run(Duration::from_secs(5));
        for id in 0..2 {
            let stats = world.members[id].peer.stats();
            let other = 1 - id;
            let video = world.members[id].peer.slot(Kind::Video, false, 0).unwrap();
            assert!(video.frames > 110, "{} frames in 5 s", video.frames);
            assert_eq!(world.owner(video.source.unwrap().0), Some(other));
            let audio = world.members[id].peer.slot(Kind::Audio, false, 0).unwrap();
            assert!(audio.frames > 200 && audio.gaps == 0, "{} packets, {} gaps", audio.frames, audio.gaps);
            let late = Duration::from_micros(stats.audio_delay.max());
            assert!(late < Duration::from_millis(50), "sound took {late:?} over 40 ms of network");
        }
        world.finish();
    });
}
