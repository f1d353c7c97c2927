//! Mixed rooms on sockets: the media plane and the mixer as programs in a network of their own, with us in control's place.
//!
//! Eight publishers show and hum what was painted before, in three simulcast sizes; viewers get a 1:7 of 1280×720 and its sound. Three
//! chapters: how old what they see is ([`glass`]), what a room costs by the number of its viewers ([`viewers`]), and what two rooms do to
//! those who are forwarded to on the same machine ([`beside`]).

mod beside;
mod eye;
mod glass;
mod viewers;

use crate::fanout::{Plenum, Server, drive};
use crate::load::BURST;
use crate::mixing::one_to_seven;
use crate::painted::Painting;
use crate::peer::{AudioConfig, Encoding, PeerConfig, Publish, Shared, Slots, VideoConfig, Watch};
use crate::report::Report;
use crate::swarm::Driver;
use plenum_contract::{
    Command, ConferenceKey, LegKey, MemberPicture, MixMember, MixSpec, ParticipantKey, SubscriptionSpec, TrackKey,
};
use plenum_packet::Path;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Who is shown.
const PUBLISHERS: usize = 8;
/// Frames a second of the cameras.
const FPS: u8 = 30;
/// What each camera sends: size and kilobits a second.
const ENCODINGS: [((u16, u16), u64); 3] = [((320, 180), 100), ((640, 360), 400), ((1280, 720), 1500)];
/// Longest wait for connections.
const CONNECT: Duration = Duration::from_secs(60);
/// The I/O back-end.
const IO: &str = "auto";

/// How old the mixed picture is that a viewer sees.
pub fn glass(report: &mut Report, quick: bool) {
    if let Err(why) = glass::measure(report, quick) {
        report.skip("glass to glass", why);
    }
}

/// What a mixed room costs, by the number of those who see it.
pub fn viewers(report: &mut Report, quick: bool) {
    if let Err(why) = viewers::measure(report, quick) {
        report.skip("viewers of a mixed room", why);
    }
}

/// What mixing does to forwarding.
pub fn beside(report: &mut Report, quick: bool) {
    if let Err(why) = beside::measure(report, quick) {
        report.skip("forwarding beside mixing", why);
    }
}

/// What publishers show, encoded once; with marks where somebody is to read them.
fn paintings(encodings: &[((u16, u16), u64)], marked: bool) -> Result<Vec<Arc<Painting>>, String> {
    let paint = if marked { Painting::marked } else { Painting::encode };
    (1..=PUBLISHERS).map(|number| paint(number, FPS, encodings).map(Arc::new)).collect()
}

/// Somebody of a mixed room who sends.
fn publisher(leg: u64, path: Path, painting: &Arc<Painting>) -> PeerConfig {
    let sound = Publish::Audio(AudioConfig { track: TrackKey(2 * leg), dtx: false, levels: true });
    let encodings = ["q", "h", "f"].iter().zip(ENCODINGS).map(|(rid, ((w, h), kbps))| Encoding::new(rid, w, h, kbps));
    let camera = VideoConfig::simulcast(TrackKey(2 * leg + 1), encodings.collect());
    let publishes = vec![sound, Publish::Video(camera)];
    PeerConfig { publishes, painting: Some(painting.clone()), burst: BURST, ..PeerConfig::new(leg, path) }
}

/// Somebody of a mixed room who sees and hears.
fn viewer(leg: u64, path: Path) -> PeerConfig {
    let slots = Slots { audio: 1, video: 1, presentation: false };
    PeerConfig { slots, stamped: false, ..PeerConfig::new(leg, path) }
}

/// The mix of a room.
fn spec(conference: ConferenceKey, members: &[ParticipantKey], revision: u64) -> MixSpec {
    let member = |(n, participant): (usize, &ParticipantKey)| {
        let name = format!("Member {}", n + 1);
        MixMember { participant: *participant, name, shown: MemberPicture::Camera, heard: true, volume: 100 }
    };
    let members: Vec<MixMember> = members.iter().enumerate().map(member).collect();
    // Everything that is not said is as control has it by default.
    let wanted = json!({
        "conference": conference,
        "revision": revision,
        "scenes": [one_to_seven()],
        "members": members,
        "fps": FPS,
    });
    serde_json::from_value(wanted).expect("a spec that names no more than there is")
}

/// A mixed room of a running server.
struct Room {
    conference: ConferenceKey,
    publishers: Vec<ParticipantKey>,
    /// Index of the first publisher among the driver's peers.
    first: usize,
    revision: u64,
}

impl Room {
    /// Opens it and lets the publishers in, at the driver's addresses from the next free one on.
    fn open(
        server: &mut Plenum<'_>,
        driver: &mut Driver,
        shared: &Arc<Shared>,
        key: u64,
        paintings: &[Arc<Painting>],
    ) -> Result<Room, String> {
        let conference = ConferenceKey(key);
        server.open(conference)?;
        let first = driver.peers().len();
        let mut publishers = Vec::new();
        for painting in paintings {
            let (leg, at) = next(driver)?;
            let config = publisher(leg, server.path_to(at)?, painting);
            publishers.push(config.participant);
            driver.add(Box::new(server.admit(conference, config, shared)?));
        }
        Ok(Room { conference, publishers, first, revision: 0 })
    }

    /// Lets a viewer in who gets the mix, and whose picture `watch` looks at.
    fn view(
        &self,
        server: &mut Plenum<'_>,
        driver: &mut Driver,
        shared: &Arc<Shared>,
        watch: Option<Watch>,
    ) -> Result<(), String> {
        let (leg, at) = next(driver)?;
        let mut peer = server.admit(self.conference, viewer(leg, server.path_to(at)?), shared)?;
        server.send(Command::Subscription(SubscriptionSpec {
            leg: LegKey(leg),
            revision: 1,
            slots: vec![],
            first: vec![],
            low_latency: false,
            mix: Some(0),
            mixed_sound: false,
        }))?;
        if let Some(watch) = watch {
            peer.watch(watch);
        }
        driver.add(Box::new(peer));
        Ok(())
    }

    /// From now on it is mixed, or not.
    fn mix(&mut self, server: &mut Plenum<'_>, on: bool) -> Result<(), String> {
        self.revision += 1;
        server.send(match on {
            true => Command::Mix(spec(self.conference, &self.publishers, self.revision)),
            false => Command::RemoveMix(self.conference),
        })
    }

    /// The first publisher speaks.
    fn speak(&self, driver: &mut Driver) {
        if let Some(peer) = driver.peers().get_mut(self.first) {
            peer.set_speaking(true);
        }
    }
}

/// The leg and the address of who comes next.
fn next(driver: &mut Driver) -> Result<(u64, SocketAddr), String> {
    let index = driver.peers().len();
    let address = driver.addresses().get(index).ok_or("more peers than sockets")?;
    Ok((index as u64 + 1, *address))
}

/// Waits until everybody is connected.
fn connect(driver: &mut Driver, server: &mut dyn Server) -> Result<(), String> {
    drive(driver, server, CONNECT, |driver| driver.up() == driver.peers().len())?;
    let (up, all) = (driver.up(), driver.peers().len());
    if up == all { Ok(()) } else { Err(format!("{up} of {all} peers connected in {} s", CONNECT.as_secs())) }
}

/// Lets `time` pass.
fn pass(driver: &mut Driver, server: &mut dyn Server, time: Duration) -> Result<(), String> {
    drive(driver, server, time, |_| false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_packet::Transport;

    #[test]
    fn publishers_send_what_the_painting_has_and_the_mix_shows_them_in_their_order() {
        let remote = SocketAddr::from(([127, 0, 0, 1], 5000));
        let path = Path { transport: Transport::Udp, local: remote, remote };
        let painting = Arc::new(Painting::marked(1, 2, &[((64, 36), 60)]).unwrap());
        let config = publisher(7, path, &painting);
        let Publish::Video(camera) = &config.publishes[1] else { panic!("no camera") };
        assert_eq!(camera.encodings.len(), ENCODINGS.len());
        assert!(config.slots.audio == 0 && config.painting.is_some());
        let seen = viewer(8, path);
        assert!((seen.slots.audio, seen.slots.video, seen.stamped) == (1, 1, false) && seen.publishes.is_empty());
        let members: Vec<_> = (1..=PUBLISHERS as u64).map(ParticipantKey).collect();
        let mix = spec(ConferenceKey(3), &members, 2);
        assert_eq!(mix.members.iter().map(|m| m.participant).collect::<Vec<_>>(), members);
        assert_eq!((mix.revision, mix.scenes.len(), mix.conference), (2, 1, ConferenceKey(3)));
    }
}
