//! A hall: one shard and synthetic peers in virtual time, on a network that loses nothing. Control is played by the test.

#![allow(dead_code, unreachable_pub)]

use is::stun::{StunMessage, TransId};
use is::{DefaultSha1HmacProvider, Sha1HmacProvider};
use plenum_bench::peer::{
    AudioConfig, Encoding, Guarding, Peer, PeerConfig, Publish, Shared, Slots, VideoConfig, credentials,
};
use plenum_contract::spec::IceSpec;
use plenum_contract::{
    Command, ConferenceKey, ConferenceSpec, EventBody, LegKey, ParticipantKey, ParticipantSpec, SessionSpec, TrackKey,
};
use plenum_packet::{Datagram, Path, Pool, Time, Transport, TxBatch};
use plenum_session::{Anchor, Certificates, Env, SessionLimits};
use plenum_shard::{Shard, ShardConfig};
use plenum_wire::demux::{PacketKind, classify};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub const ROOM: ConferenceKey = ConferenceKey(1);
pub const OTHER_ROOM: ConferenceKey = ConferenceKey(2);
pub type Id = usize;

/// What a peer was sent since the last [`Hall::forget`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub rtp: u64,
    pub rtp_bytes: u64,
    pub rtcp: u64,
    pub stun: u64,
    pub dtls: u64,
}

pub struct Member {
    pub peer: Peer,
    pub ice: IceSpec,
    pub spec: SessionSpec,
    pub participant: ParticipantSpec,
    pub sent: Sent,
    pub here: bool,
}

/// A datagram on its way to the shard or to a peer: whether it passes.
pub type Passes = Box<dyn FnMut(&Path, &[u8]) -> bool>;

pub struct Hall {
    pub now: Time,
    pub shard: Shard,
    pub pool: Pool,
    pub members: Vec<Member>,
    pub events: Vec<EventBody>,
    /// Ticks of the shard, each of which a thread would have woken up for.
    pub ticks: u64,
    /// Those of them that nothing arrived for.
    pub woken: u64,
    /// How long a tick takes.
    pub tick_takes: Duration,
    /// What may reach a peer.
    pub down: Passes,
    /// What was sent to addresses that are nobody's.
    pub astray: u64,
    tx: TxBatch,
    by_address: HashMap<SocketAddr, Id>,
    to_shard: Vec<(Path, Vec<u8>)>,
    shared: Arc<Shared>,
    env: Arc<Env>,
}

pub fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

pub fn address(id: Id) -> SocketAddr {
    SocketAddr::from(([10, 1, (id >> 8) as u8, id as u8], 5000))
}

pub fn path(remote: SocketAddr) -> Path {
    Path { transport: Transport::Udp, local: server(), remote }
}

/// A microphone of member `n` of the hall.
pub fn microphone(leg: u64) -> Publish {
    Publish::Audio(AudioConfig { track: TrackKey(10 * leg), dtx: false, levels: true })
}

/// A camera of one encoding.
pub fn camera(leg: u64) -> Publish {
    Publish::Video(VideoConfig::single(TrackKey(10 * leg + 1), Encoding::new("", 640, 360, 300)))
}

/// A shared screen.
pub fn screen(leg: u64) -> Publish {
    let video = VideoConfig::single(TrackKey(10 * leg + 2), Encoding::new("", 640, 360, 200));
    Publish::Video(VideoConfig { presentation: true, ..video })
}

fn shared() -> &'static (Arc<Shared>, Certificates, Anchor) {
    static SHARED: OnceLock<(Arc<Shared>, Certificates, Anchor)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let anchor = Anchor::new(Instant::now(), Time::ZERO, Duration::from_secs(1_700_000_000));
        (Shared::new(anchor), Certificates::generate().expect("a certificate"), anchor)
    })
}

impl Hall {
    pub fn new() -> Hall {
        Hall::with_limit(1000)
    }

    pub fn with_limit(max_sessions: usize) -> Hall {
        let (peers, certificates, anchor) = shared();
        let env = Env::new(*anchor, certificates, SessionLimits::default()).unwrap();
        let mut counter = 7u64;
        let random = move |seed: &mut [u8; 32]| {
            for chunk in seed.chunks_mut(8) {
                counter = counter.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                chunk.copy_from_slice(&(counter ^ (counter >> 29)).to_le_bytes());
            }
        };
        let mut hall = Hall {
            now: Time::from_millis(1_000_000),
            shard: Shard::new(ShardConfig { env: env.clone(), max_sessions, random: Box::new(random) }),
            pool: Pool::new(16_384),
            members: Vec::new(),
            events: Vec::new(),
            ticks: 0,
            woken: 0,
            tick_takes: Duration::ZERO,
            down: Box::new(|_, _| true),
            astray: 0,
            tx: TxBatch::default(),
            by_address: HashMap::new(),
            to_shard: Vec::new(),
            shared: Arc::clone(peers),
            env,
        };
        for key in [ROOM, OTHER_ROOM] {
            hall.conference(key, 1, |_| {});
        }
        hall
    }

    pub fn command(&mut self, command: Command) {
        self.try_command(command).expect("the shard takes this command");
    }

    pub fn try_command(&mut self, command: Command) -> Result<(), String> {
        self.shard.command(self.now, &mut self.pool, command)
    }

    pub fn conference(&mut self, key: ConferenceKey, revision: u64, change: impl FnOnce(&mut ConferenceSpec)) {
        let mut spec = ConferenceSpec { key, revision, presenter: None, pinned: vec![], last_n: 64, home_shard: 0 };
        change(&mut spec);
        self.command(Command::Conference(spec));
    }

    /// Somebody comes in; `start`: whether control lets their media flow at once.
    pub fn join(&mut self, start: bool, change: impl FnOnce(&mut PeerConfig)) -> Id {
        let id = self.members.len();
        let mut config = PeerConfig::new(id as u64 + 1, path(address(id)));
        config.guarding = Guarding::Arrival;
        change(&mut config);
        let ice = credentials(0, config.leg, 0);
        let spec = config.session_spec(1, &ice, self.shared.fingerprints());
        let participant = ParticipantSpec {
            key: config.participant,
            conference: ROOM,
            revision: 1,
            audio_blocked: false,
            video_blocked: false,
            presentation_denied: false,
            waiting: false,
        };
        self.command(Command::Participant(participant.clone()));
        self.command(Command::Session(spec.clone()));
        if start {
            self.command(Command::Start(config.leg));
        }
        self.by_address.insert(config.path.remote, id);
        let peer = Peer::new(config, &ice, &self.shared, self.now);
        self.members.push(Member { peer, ice, spec, participant, sent: Sent::default(), here: true });
        id
    }

    /// Somebody who sends sound and a picture and receives as much as `slots`.
    pub fn talker(&mut self, slots: Slots) -> Id {
        self.join(true, |config| {
            let leg = config.leg.0;
            config.publishes = vec![microphone(leg), camera(leg)];
            config.slots = slots;
        })
    }

    pub fn leg(&self, id: Id) -> LegKey {
        self.members[id].spec.key
    }

    pub fn participant(&self, id: Id) -> ParticipantKey {
        self.members[id].participant.key
    }

    /// Control changes a participant.
    pub fn change(&mut self, id: Id, change: impl FnOnce(&mut ParticipantSpec)) {
        let spec = &mut self.members[id].participant;
        spec.revision += 1;
        change(spec);
        let spec = spec.clone();
        self.command(Command::Participant(spec));
    }

    /// A newer session spec.
    pub fn respec(&mut self, id: Id, change: impl FnOnce(&mut SessionSpec)) {
        let spec = &mut self.members[id].spec;
        spec.revision += 1;
        change(spec);
        let spec = spec.clone();
        self.command(Command::Session(spec));
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(Duration::from_millis(1));
        }
    }

    pub fn connect(&mut self) {
        for _ in 0..10_000 {
            if self.members.iter().all(|m| !m.here || m.peer.is_up()) {
                return;
            }
            self.step(Duration::from_millis(1));
        }
        panic!("not everybody is up after 10 s");
    }

    /// A datagram that the network brings.
    pub fn give(&mut self, path: Path, bytes: &mut [u8]) {
        let datagram = Datagram { path, received: self.now, bytes };
        self.shard.handle(self.now, &mut self.pool, datagram);
    }

    pub fn step(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        let to_shard = &mut self.to_shard;
        for member in self.members.iter_mut().filter(|m| m.here && m.peer.poll_timeout() <= now) {
            member.peer.handle_timeout(now, &mut |path, bytes| to_shard.push((path, bytes.to_vec())));
        }
        let mut arrived = std::mem::take(&mut self.to_shard);
        self.woken += u64::from(arrived.is_empty() && self.shard.deadline() <= now);
        let busy = !arrived.is_empty() || self.shard.deadline() <= now;
        for (path, bytes) in &mut arrived {
            self.give(*path, bytes);
        }
        if busy {
            self.tick();
        }
    }

    pub fn tick(&mut self) {
        self.ticks += 1;
        self.shard.tick(self.now, &mut self.pool, &mut self.tx);
        self.shard.submitted(self.now + self.tick_takes);
        self.shard.drain_events(|_, body| self.events.push(body));
        let tx = std::mem::take(&mut self.tx);
        for train in &tx.trains {
            let first = train.first as usize;
            for buf in tx.packets[first..first + usize::from(train.count)].iter().flatten() {
                let mut bytes = self.pool.bytes(buf).to_vec();
                self.deliver(train.path, &mut bytes);
            }
        }
        self.tx = tx;
        self.tx.clear(&mut self.pool);
    }

    fn deliver(&mut self, path: Path, bytes: &mut [u8]) {
        let Some(&id) = self.by_address.get(&path.remote) else {
            self.astray += 1;
            return;
        };
        let member = &mut self.members[id];
        match classify(bytes) {
            PacketKind::Rtp => {
                member.sent.rtp += 1;
                member.sent.rtp_bytes += bytes.len() as u64;
            }
            PacketKind::Rtcp => member.sent.rtcp += 1,
            PacketKind::Stun => member.sent.stun += 1,
            PacketKind::Dtls => member.sent.dtls += 1,
            PacketKind::Unknown => {}
        }
        if member.here && (self.down)(&path, bytes) {
            let to_shard = &mut self.to_shard;
            member.peer.handle(self.now, path, bytes, &mut |path, bytes| to_shard.push((path, bytes.to_vec())));
        }
    }

    /// Counts what is sent anew.
    pub fn forget(&mut self) {
        self.members.iter_mut().for_each(|m| m.sent = Sent::default());
        self.events.clear();
        (self.ticks, self.woken) = (0, 0);
        self.astray = 0;
    }

    /// Everybody leaves: nobody saw a rule broken, and every slot of the pool is free.
    pub fn finish(mut self) {
        for (id, member) in self.members.iter().enumerate() {
            let stats = member.peer.stats();
            assert_eq!(stats.violation_count, 0, "peer {id}: {:?}", stats.violations);
        }
        self.shard.close_all(self.now, &mut self.pool);
        self.tick();
        assert_eq!(self.pool.in_use(), 0, "pool slots leak");
    }

    pub fn env(&self) -> &Arc<Env> {
        &self.env
    }
}

/// An authenticated ICE check with these credentials.
pub fn check(ice: &IceSpec, nominate: bool) -> Vec<u8> {
    let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
    let username = format!("{}:{}", ice.local_ufrag, ice.remote_ufrag);
    let request = StunMessage::binding_request(&username, TransId::new(), true, 1, 100, nominate);
    let mut bytes = vec![0; 300];
    let len = request.to_bytes(Some(ice.local_pwd.as_bytes()), &mut bytes, hmac).unwrap();
    bytes.truncate(len);
    bytes
}
