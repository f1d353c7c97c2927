//! A swarm in conferences of a running appliance: everybody enters, calls and acknowledges over the in-conference API, then media
//! runs for a while. Peers stand on the own stack or on `str0m`; whatever they stand on, they send and count the same.
//!
//! Signalling uses one thread beside the media, because a peer that waits for an answer must not keep others from sending.

use super::driver::Driver;
use super::mgmt::Session;
use super::offer::{Told, offer};
use super::summary::{Summary, Times};
use crate::http::Client;
use crate::painted::{Film, Painting, Reel};
use crate::peer::{
    AudioConfig, Encoding, Endpoint, ForeignPeer, Guarding, Peer, PeerConfig, PeerStats, Publish, Rate, Shared, Slots,
    VideoConfig,
};
use hdrhistogram::Histogram;
use plenum_contract::{Codec, TrackKey};
use plenum_engines::VideoCodec;
use plenum_packet::{Path, Time, Transport};
use plenum_session::Anchor;
use plenum_srtp::Suite;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long the last peer may take to connect after it was answered.
const CONNECT: Duration = Duration::from_secs(30);
/// libwebrtc's `kDefaultBurstInterval`: ordinary frames leave whole.
const BURST: Duration = Duration::from_millis(40);

/// The WebRTC stack of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stack {
    /// The synthetic peer of [`crate::peer`].
    Own,
    /// `str0m`, which is none of ours.
    Str0m,
    /// Both, in turns.
    Both,
}

impl Stack {
    /// The stack of peer `index`.
    fn of(self, index: usize) -> Stack {
        match (self, index % 2) {
            (Stack::Both, 0) => Stack::Own,
            (Stack::Both, _) => Stack::Str0m,
            (one, _) => one,
        }
    }
}

/// One peer afterwards.
#[derive(Clone, Debug)]
pub struct Attendee {
    /// Its stack.
    pub stack: Stack,
    /// The track of its camera, where it has one.
    pub camera: Option<TrackKey>,
    /// What it saw.
    pub stats: PeerStats,
}

/// A camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// Frames a second.
    pub fps: u8,
    /// Kilobits a second of the largest encoding.
    pub kbps: u64,
    /// 1 to 3.
    pub encodings: u8,
    /// Whether it follows the server's feedback, as browsers do, instead of keeping its rate.
    pub adaptive: bool,
}

/// What somebody else tells a swarm that runs.
#[derive(Debug, Default)]
pub struct Cues {
    stop: AtomicBool,
    turn: AtomicUsize,
}

impl Cues {
    /// Publisher `number` of each conference, counted from 1, speaks alone from now on; 0 is the first one too.
    pub fn speak(&self, number: usize) {
        self.turn.store(number.saturating_sub(1), Ordering::Relaxed);
    }

    /// Ends the swarm before its time.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A swarm.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The appliance: `https://host:8443`.
    pub url: String,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Its conferences: peers take them in turn.
    pub conferences: Vec<String>,
    /// The PIN that everybody types.
    pub pin: Option<String>,
    /// Peers that send and receive.
    pub publishers: usize,
    /// Peers that only receive.
    pub viewers: usize,
    /// Seconds of media once everybody is in.
    pub seconds: u64,
    /// What publishers show.
    pub camera: Option<Camera>,
    /// Whether publishers have a microphone; the first in each conference speaks all the time, the others not.
    pub audio: bool,
    /// Publishers in a conference take turns in speaking, each for so long.
    pub turns: Option<Duration>,
    /// Pictures and sound are real ([`Painting`]): what a decoder makes of them tells whose they are. Nothing bears stamps then. A
    /// swarm of viewers says so in a conference of browsers.
    pub painted: bool,
    /// An IVF file of VP8 or AV1 that publishers show instead of [`Plan::camera`], each with its own tone; implies `painted`. Viewers take its codec.
    pub film: Option<PathBuf>,
    /// What somebody else says while it runs; whose cue it is to speak stands before `turns`.
    pub cues: Option<Arc<Cues>>,
    /// The SRTP profile that peers insist on; `None` leaves it to the appliance.
    pub suite: Option<Suite>,
    /// Video slots of each peer.
    pub tiles: u16,
    /// Whether every stream is checked by the independent guard; where nothing bears stamps, by all rules but two: whether who is seen changes
    /// at a key frame, and whether time in the stream goes as in the world, which is the sender's affair.
    pub guard: bool,
    /// What the peers stand on.
    pub stack: Stack,
    /// Share of RTP packets that is lost at the peers' sockets in each direction, 0 to 1.
    pub loss: f64,
    /// How often every peer asks for a key frame of every picture, though it needs none: to measure how long it takes.
    pub key_frames: Option<Duration>,
    /// The address that peers send from; `None`: the one that leads to the appliance.
    pub bind: Option<IpAddr>,
}

impl Plan {
    /// Runs it.
    ///
    /// # Errors
    /// Why nothing could be run: no appliance, no sockets, a plan that contradicts itself. Refusals of single peers are in the
    /// summary.
    pub fn run(&self) -> Result<Summary, String> {
        self.attendees().map(|(summary, _)| summary)
    }

    /// As [`Plan::run`], with everybody who was answered, in the order of their answers.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn attendees(&self) -> Result<(Summary, Vec<Attendee>), String> {
        let Some(path) = &self.film else { return self.attendees_of(None) };
        if self.stack != Stack::Own {
            return Err("only peers on the own stack show films".into());
        }
        let film = Film::read(path)?;
        let (width, height) = film.reel.size();
        let camera = Camera { width, height, fps: film.fps, kbps: film.kbps(), encodings: 1, adaptive: false };
        Plan { camera: Some(camera), painted: true, ..self.clone() }.attendees_of(Some(&film))
    }

    fn attendees_of(&self, film: Option<&Film>) -> Result<(Summary, Vec<Attendee>), String> {
        if self.suite.is_some() && self.stack != Stack::Own {
            return Err("str0m cannot insist on an SRTP profile: only peers on the own stack can".into());
        }
        if self.painted && self.key_frames.is_some() {
            return Err("the timing of key frames reads stamps, and painted media bears none".into());
        }
        if film.is_some() && self.guard {
            return Err("the guard reads VP8, and films may be something else".into());
        }
        let paintings = self.paintings(film)?;
        let client = Client::new(&self.url, self.insecure)?;
        let count = self.publishers + self.viewers;
        let own = self.bind.map_or_else(|| self.own_address(), Ok)?;
        let mut driver = Driver::open(&[(own, count)]).map_err(|e| format!("{count} sockets on {own}: {e}"))?;
        driver.lose(self.loss);
        let anchor = Anchor::new(Instant::now(), Driver::now(), Duration::from_secs(1_700_000_000));
        let shared = Shared::new(anchor);
        let (to_media, joined) = channel();
        let (to_signalling, stop) = channel();
        let addresses = driver.addresses().to_vec();
        std::thread::scope(|scope| {
            let (addresses, known, paintings) = (&addresses, &shared, &paintings[..]);
            let signalling = scope.spawn(move || signal(self, client, addresses, (known, paintings), &to_media, &stop));
            let result = self.attend(&mut driver, &joined);
            drop(to_signalling);
            let refused = signalling.join().map_err(|_| "the signalling thread panicked")?;
            let (mut summary, attendees) = result?;
            summary.refused.extend(refused);
            Ok((summary, attendees))
        })
    }

    /// Media: takes peers in as they are answered, and runs.
    fn attend(
        &self,
        driver: &mut Driver<Member>,
        joined: &Receiver<Joined>,
    ) -> Result<(Summary, Vec<Attendee>), String> {
        let count = self.publishers + self.viewers;
        let mut who: Vec<(Stack, Option<TrackKey>)> = Vec::new();
        let mut asked: Vec<Time> = Vec::new();
        let mut up: Vec<bool> = Vec::new();
        let mut join: Histogram<u32> = Histogram::new_with_bounds(1, 60_000_000, 2).map_err(|e| format!("{e:?}"))?;
        let (mut started, mut end, mut refused) = (None, Time::NEVER, 0);
        let mut give_up = Time::NEVER;
        let mut numbers: Vec<usize> = Vec::new();
        let mut speaking = 0;
        let looked = driver.run(Time::NEVER, |driver| {
            let now = Driver::now();
            while let Ok(next) = joined.try_recv() {
                give_up = now + CONNECT;
                match next {
                    Joined::Peer { number, mut peer, stack, camera, at } => {
                        peer.set_speaking(self.speaks(number, speaking));
                        driver.add(peer);
                        numbers.push(number);
                        who.push((stack, camera));
                        asked.push(at);
                        up.push(false);
                    }
                    Joined::Refused => refused += 1,
                }
            }
            for (index, peer) in driver.peers().iter().enumerate() {
                if !up[index] && peer.is_up() {
                    up[index] = true;
                    join.saturating_record(now.since(asked[index]).as_micros() as u64);
                }
            }
            let everybody = asked.len() + refused == count && up.iter().all(|up| *up);
            if started.is_none() && (everybody || now >= give_up) {
                started = Some(now);
                end = now + Duration::from_secs(self.seconds);
            }
            let turn = self.turn(started.map_or(Duration::ZERO, |at| now.since(at)));
            if turn != speaking {
                speaking = turn;
                for (peer, number) in driver.peers().iter_mut().zip(&numbers) {
                    peer.set_speaking(self.speaks(*number, turn));
                }
            }
            now >= end || self.cues.as_ref().is_some_and(|cues| cues.stop.load(Ordering::Relaxed))
        });
        looked.map_err(|e| format!("sockets: {e}"))?;
        let stats = driver.stats();
        let _ = driver.close();
        let mut summary = Summary::of(&stats);
        summary.stack = Some(self.stack);
        summary.peers = count;
        summary.connected = up.iter().filter(|up| **up).count();
        summary.seconds = self.seconds as f64;
        summary.join = Times::of(&join);
        summary.dropped = driver.dropped();
        let attendees = who.into_iter().zip(stats).map(|((stack, camera), stats)| Attendee { stack, camera, stats });
        Ok((summary, attendees.collect()))
    }

    /// Whose turn it is to speak after this time of media: the first publishers of each conference, the second ones, and so on.
    fn turn(&self, passed: Duration) -> usize {
        if let Some(cues) = &self.cues {
            return cues.turn.load(Ordering::Relaxed);
        }
        let rows = self.publishers.div_ceil(self.conferences.len().max(1)).max(1);
        let turns = self.turns.map_or(0, |each| passed.as_millis() / each.as_millis().max(1));
        (turns % rows as u128) as usize
    }

    /// Whether peer `number`, counted from 0, speaks in this turn.
    fn speaks(&self, number: usize, turn: usize) -> bool {
        number < self.publishers && number / self.conferences.len().max(1) == turn
    }

    /// What publishers send, when it is painted.
    fn paintings(&self, film: Option<&Film>) -> Result<Vec<Arc<Painting>>, String> {
        let count = if self.painted { self.publishers } else { 0 };
        let encodings: Vec<_> = self.camera.iter().flat_map(|camera| camera.config(TrackKey(0)).encodings).collect();
        let sizes: Vec<_> = encodings.iter().map(|e| ((e.width, e.height), e.bitrate.bps() / 1000)).collect();
        let fps = self.camera.map_or(1, |camera| camera.fps);
        let painting = |number| match film {
            Some(film) => Painting::film(number, film).map(Arc::new),
            None => Painting::encode(number, fps, &sizes).map(Arc::new),
        };
        (1..=count).map(painting).collect()
    }

    /// The address of ours from which the appliance is reached.
    fn own_address(&self) -> Result<IpAddr, String> {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
        let wildcard = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
        let probe = UdpSocket::bind(wildcard).map_err(|e| e.to_string())?;
        // A connected UDP socket sends nothing, but knows its route.
        probe.connect((host, 9)).map_err(|e| format!("{host}: {e}"))?;
        probe.local_addr().map(|a| a.ip()).map_err(|e| e.to_string())
    }

    /// Peer `index`; publishers come first.
    fn config(&self, index: usize, own: SocketAddr) -> PeerConfig {
        let leg = index as u64 + 1;
        // The server's address is known when it has answered.
        let path = Path { transport: Transport::Udp, local: own, remote: own };
        let mut publishes = Vec::new();
        if index < self.publishers {
            if self.audio {
                let dtx = !self.painted;
                publishes.push(Publish::Audio(AudioConfig { track: TrackKey(2 * leg), dtx, levels: true }));
            }
            if let Some(camera) = &self.camera {
                publishes.push(Publish::Video(camera.config(TrackKey(2 * leg + 1))));
            }
        }
        // One slot for sound would be given the mix where there is a mixer: three take the loudest, as the room page does.
        let slots = Slots { audio: 3, video: self.tiles, presentation: false };
        let guarding = if self.guard { Guarding::Arrival } else { Guarding::Off };
        PeerConfig {
            publishes,
            slots,
            suite: self.suite,
            guarding,
            asks_key_frames: self.key_frames,
            stamped: !self.painted,
            burst: BURST,
            ..PeerConfig::new(leg, path)
        }
    }
}

impl Camera {
    fn config(&self, track: TrackKey) -> VideoConfig {
        let rids = ["q", "h", "f"];
        let count = self.encodings.clamp(1, 3);
        let encodings = (0..count).map(|n| {
            let halvings = count - 1 - n;
            let rid = rids[usize::from(3 - count + n)];
            Encoding::new(rid, self.width >> halvings, self.height >> halvings, (self.kbps >> (2 * halvings)).max(60))
        });
        let encodings: Vec<_> = encodings.collect();
        let mut config = match count {
            1 => VideoConfig::single(track, encodings[0].clone()),
            _ => VideoConfig::simulcast(track, encodings),
        };
        config.fps = self.fps;
        config.rate = if self.adaptive { Rate::Adaptive } else { Rate::Fixed };
        config
    }
}

/// A peer on whatever stack.
type Member = dyn Endpoint + Send;

/// What signalling hands to the media.
enum Joined {
    /// A peer that was answered, which one counted from 0, its camera, and when it asked.
    Peer { number: usize, peer: Box<Member>, stack: Stack, camera: Option<TrackKey>, at: Time },
    /// A peer that was not.
    Refused,
}

/// Enters everybody, keeps their tokens until `stop` ends, and leaves. Returns the refusals.
fn signal(
    plan: &Plan,
    mut client: Client,
    addresses: &[SocketAddr],
    (shared, paintings): (&Arc<Shared>, &[Arc<Painting>]),
    to_media: &Sender<Joined>,
    stop: &Receiver<()>,
) -> Vec<String> {
    let mut sessions = Vec::new();
    let mut refused = Vec::new();
    for (index, own) in addresses.iter().enumerate() {
        let next = match enter(plan, &mut client, (index, paintings), *own, shared) {
            Ok((session, joined)) => {
                sessions.push(session);
                joined
            }
            Err(why) => {
                refused.push(format!("peer {}: {why}", index + 1));
                Joined::Refused
            }
        };
        if to_media.send(next).is_err() {
            break;
        }
    }
    // Nothing is ever sent here: the other end going away is the signal.
    while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = stop.recv_timeout(Duration::from_millis(500)) {
        for session in &mut sessions {
            if let Err(why) = session.keep_alive(&mut client) {
                refused.push(why);
            }
        }
    }
    sessions.iter().for_each(|session| session.leave(&mut client));
    refused
}

fn enter(
    plan: &Plan,
    client: &mut Client,
    (index, paintings): (usize, &[Arc<Painting>]),
    own: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<(Session, Joined), String> {
    let conference = plan.conferences.get(index % plan.conferences.len().max(1)).ok_or("no conference is named")?;
    let name =
        if index < plan.publishers { format!("Publisher {}", index + 1) } else { format!("Viewer {}", index + 1) };
    let shown = paintings.first().and_then(|painting| painting.reels.first()).map(Reel::codec);
    let codec = if shown == Some(VideoCodec::Av1) { Codec::Av1 } else { Codec::Vp8 };
    let config = PeerConfig { painting: paintings.get(index).cloned(), codec, ..plan.config(index, own) };
    let camera = config.publishes.iter().find_map(|p| if let Publish::Video(v) = p { Some(v.track) } else { None });
    let stack = plan.stack.of(index);
    let mut session = Session::enter(client, conference, &name, plan.pin.as_deref())?;
    let at = Driver::now();
    let peer = match stack {
        Stack::Str0m => call_foreign(config, client, &mut session, shared)?,
        _ => call_own(config, client, &mut session, shared)?,
    };
    session.acknowledge(client)?;
    Ok((session, Joined::Peer { number: index, peer, stack, camera, at }))
}

fn call_own(
    mut config: PeerConfig,
    client: &mut Client,
    session: &mut Session,
    shared: &Arc<Shared>,
) -> Result<Box<Member>, String> {
    let ufrag = format!("sw{:04x}", config.leg.0);
    let pwd = format!("swarmpassword{:012x}", Driver::now().nanos() & 0xffff_ffff_ffff);
    // A peer that insists on a profile shows its second certificate.
    let fingerprint = *shared.fingerprints().get(usize::from(config.suite.is_some())).ok_or("no certificate")?;
    let told = Told::read(&session.call(client, &offer(&config, (&ufrag, &pwd), fingerprint))?)?;
    config.path.local = told.address;
    config.answered = told.ssrcs.clone();
    Ok(Box::new(Peer::new(config, &told.ice(&ufrag, &pwd), shared, Driver::now())))
}

fn call_foreign(
    config: PeerConfig,
    client: &mut Client,
    session: &mut Session,
    shared: &Arc<Shared>,
) -> Result<Box<Member>, String> {
    let (mut peer, offer) = ForeignPeer::new(config, shared, Driver::now())?;
    let answer = session.call(client, &offer)?;
    let told = Told::read(&answer)?;
    peer.answered(&answer, told.address, told.ssrcs)?;
    Ok(Box::new(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulcast_halves_the_picture_and_quarters_the_rate() {
        let camera = Camera { width: 1280, height: 720, fps: 25, kbps: 1600, encodings: 3, adaptive: false };
        let config = camera.config(TrackKey(1));
        let shape: Vec<_> =
            config.encodings.iter().map(|e| (e.rid.as_str(), e.width, e.height, e.bitrate.bps() / 1000)).collect();
        assert_eq!(shape, [("q", 320, 180, 100), ("h", 640, 360, 400), ("f", 1280, 720, 1600)]);
        assert_eq!(Camera { encodings: 1, ..camera }.config(TrackKey(1)).encodings[0].rid, "f");
    }

    #[test]
    fn publishers_of_each_conference_take_turns_in_speaking() {
        let plan = Plan {
            url: String::new(),
            insecure: true,
            conferences: vec!["1".into(), "2".into()],
            pin: None,
            publishers: 5,
            viewers: 1,
            seconds: 1,
            camera: Some(Camera { width: 64, height: 36, fps: 5, kbps: 50, encodings: 1, adaptive: false }),
            audio: true,
            turns: Some(Duration::from_secs(3)),
            painted: true,
            film: None,
            cues: None,
            suite: None,
            tiles: 1,
            guard: false,
            stack: Stack::Own,
            loss: 0.0,
            key_frames: None,
            bind: None,
        };
        let speak = |seconds| {
            let turn = plan.turn(Duration::from_secs(seconds));
            (0..6).filter(|number| plan.speaks(*number, turn)).collect::<Vec<_>>()
        };
        assert_eq!([0, 2, 3, 6, 9].map(speak), [vec![0, 1], vec![0, 1], vec![2, 3], vec![4], vec![0, 1]]);
        let cues = Arc::new(Cues::default());
        let told = Plan { cues: Some(cues.clone()), ..plan.clone() };
        assert_eq!(told.turn(Duration::from_secs(6)), 0);
        cues.speak(3);
        assert_eq!(told.turn(Duration::ZERO), 2, "a cue stands before turns");
        let steady = Plan { turns: None, ..plan.clone() };
        assert_eq!(steady.turn(Duration::from_secs(100)), 0);
        let paintings = plan.paintings(None).unwrap();
        assert_eq!(paintings.iter().map(|p| p.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(Plan { painted: false, ..plan }.paintings(None).unwrap().is_empty());
    }
}
