//! The world: one shard, its peers, the network between them, and virtual time.
//!
//! ```text
//!  Peer ─► uplink ─► queue of arrivals ─► Shard::handle ─► Shard::tick ─► tap (guard) ─► downlink ─► queue ─► Peer
//! ```
//!
//! A seed replays a run exactly: chance comes from it alone, the handshakes' included, and contents of packets change nothing.
//!
//! It plays control as well: joins people, changes what is wanted, collects what the shard tells. Time goes from one event to
//! the next; what the shard takes in within half a millisecond is one tick, as on a real core.

use crate::net::{Link, Way};
use crate::random::Random;
use plenum_bench::peer::{Guarding, Peer, PeerConfig, Publish, Shared, credentials};
use plenum_contract::spec::{Binding, SlotWish};
use plenum_contract::{
    Command, ConferenceKey, ConferenceSpec, EventBody, Kind, LegEnd, LegKey, ParticipantKey, ParticipantSpec,
    SessionSpec, SubscriptionSpec, TrackKey, VideoLayer,
};
use plenum_packet::{Datagram, DropReason, Path, Pool, Time, Transport, TxBatch};
use plenum_session::{Anchor, Certificates, Env, SessionLimits};
use plenum_shard::{Shard, ShardConfig};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Packets that the shard takes in during this time are one tick; ticks stand on multiples of it.
const BATCH: Duration = Duration::from_micros(500);
/// A peer is looked at this often at the least, because packets may have moved its deadline.
const PEER_TURN: Duration = Duration::from_millis(5);
/// And this often at most. Turns stand on multiples of both, so that a deadline of chance (a handshake's) moves no other.
const PEER_REST: Duration = Duration::from_millis(1);

/// What all runs share: keys are slow to make.
fn shared() -> &'static (Arc<Shared>, Certificates, Anchor) {
    static SHARED: OnceLock<(Arc<Shared>, Certificates, Anchor)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let anchor = Anchor::new(Instant::now(), Time::ZERO, Duration::from_secs(1_700_000_000));
        (Shared::new(anchor), Certificates::generate().expect("a certificate"), anchor)
    })
}

/// Index of a peer in the world.
pub(crate) type Id = usize;

/// A peer with its ways and what control knows of it.
pub(crate) struct Member {
    pub(crate) peer: Peer,
    pub(crate) up: Link,
    pub(crate) down: Link,
    pub(crate) spec: SessionSpec,
    pub(crate) participant: ParticipantSpec,
    subscription: u64,
    generation: u32,
    /// Whether the peer is still running.
    pub(crate) here: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    ToShard(SocketAddr, SocketAddr, Vec<u8>),
    ToPeer(Id, SocketAddr, SocketAddr, Vec<u8>),
    Turn(Id),
}

/// What the shard told last.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) connected: BTreeMap<LegKey, (String, String)>,
    pub(crate) ended: BTreeMap<LegKey, LegEnd>,
    pub(crate) silent: Vec<LegKey>,
    pub(crate) bindings: BTreeMap<LegKey, Vec<Binding>>,
    pub(crate) seats: BTreeMap<LegKey, (Vec<Option<ParticipantKey>>, Option<ParticipantKey>)>,
    pub(crate) speakers: BTreeMap<ConferenceKey, Vec<(ParticipantKey, bool)>>,
    pub(crate) layers: BTreeMap<(LegKey, String), Option<VideoLayer>>,
    pub(crate) active: BTreeMap<TrackKey, bool>,
}

/// The world.
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) random: Random,
    pub(crate) shard: Shard,
    pub(crate) pool: Pool,
    pub(crate) members: Vec<Member>,
    pub(crate) told: Told,
    /// New members' ways.
    pub(crate) ways: (Way, Way),
    tx: TxBatch,
    next_tick: Time,
    happenings: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    count: u64,
    by_address: HashMap<SocketAddr, Id>,
    conferences: BTreeMap<ConferenceKey, ConferenceSpec>,
    pub(crate) sent: u64,
    /// The newest RTP packet of each peer.
    overheard: BTreeMap<Id, Vec<u8>>,
    /// Mixed from all that happened: two runs of one seed agree on it.
    pub(crate) digest: u64,
    env: Arc<Env>,
    shared: Arc<Shared>,
}

/// The conference that tests use when they need one.
pub(crate) const HALL: ConferenceKey = ConferenceKey(1);

pub(crate) fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

/// The first address of a peer.
pub(crate) fn address(id: Id) -> SocketAddr {
    SocketAddr::from(([10, 1, (id >> 8) as u8, id as u8], 5000))
}

pub(crate) fn path(remote: SocketAddr) -> Path {
    Path { transport: Transport::Udp, local: server(), remote }
}

/// The first multiple of `grid` after `at`.
fn after(at: Time, grid: Duration) -> Time {
    if at == Time::NEVER {
        return at;
    }
    let grid = grid.as_nanos() as u64;
    Time((at.nanos() / grid + 1).saturating_mul(grid))
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World::with_limit(seed, 1000)
    }

    /// A world whose shard takes at most `sessions`.
    pub(crate) fn with_limit(seed: u64, sessions: usize) -> World {
        let (peers, certificates, anchor) = shared();
        let shared = peers.repeatable(seed);
        let env = Env::repeatable(*anchor, certificates, SessionLimits::default(), seed).expect("an environment");
        let mut random = Random::new(seed);
        let shard = new_shard(&env, sessions, random.fork());
        let mut world = World {
            now: Time::from_millis(1000),
            random,
            shard,
            pool: Pool::new(60_000),
            members: Vec::new(),
            told: Told::default(),
            ways: (Way::GOOD, Way::GOOD),
            tx: TxBatch::default(),
            next_tick: Time::from_millis(1000),
            happenings: BinaryHeap::new(),
            count: 0,
            by_address: HashMap::new(),
            conferences: BTreeMap::new(),
            sent: 0,
            overheard: BTreeMap::new(),
            digest: 0,
            env,
            shared,
        };
        world.conference(HALL, |_| {});
        world
    }

    // ---- control --------------------------------------------------------------------------------------------------

    pub(crate) fn command(&mut self, command: Command) -> Result<(), String> {
        let result = self.shard.command(self.now, &mut self.pool, command);
        self.collect();
        self.next_tick = self.next_tick.min(after(self.now, BATCH));
        result
    }

    /// Makes or changes a conference.
    pub(crate) fn conference(&mut self, key: ConferenceKey, change: impl FnOnce(&mut ConferenceSpec)) {
        let spec = self.conferences.entry(key).or_insert_with(|| ConferenceSpec {
            key,
            revision: 0,
            presenter: None,
            pinned: vec![],
            last_n: 64,
            home_shard: 0,
        });
        spec.revision += 1;
        change(spec);
        let spec = spec.clone();
        self.command(Command::Conference(spec)).expect("conferences are not refused");
    }

    /// Joins a peer; `change` makes it what the scenario needs.
    pub(crate) fn join(&mut self, change: impl FnOnce(&mut PeerConfig)) -> Id {
        self.try_join(HALL, change).expect("there is room")
    }

    pub(crate) fn try_join(
        &mut self,
        conference: ConferenceKey,
        change: impl FnOnce(&mut PeerConfig),
    ) -> Result<Id, String> {
        let id = self.members.len();
        let mut config = PeerConfig::new(id as u64 + 1, path(address(id)));
        config.guarding = Guarding::Tap;
        config.lossless = self.ways.0.loss == 0.0;
        config.seed = self.random.next();
        change(&mut config);
        let ice = credentials(0, config.leg, 0);
        let peers = Arc::clone(&self.shared);
        let spec = config.session_spec(1, &ice, peers.fingerprints());
        let participant = ParticipantSpec {
            key: config.participant,
            conference,
            revision: 1,
            audio_blocked: false,
            video_blocked: false,
            presentation_denied: false,
            waiting: false,
        };
        self.command(Command::Participant(participant.clone()))?;
        if let Err(reason) = self.command(Command::Session(spec.clone())) {
            let _ = self.command(Command::RemoveParticipant(participant.key));
            return Err(reason);
        }
        self.command(Command::Start(config.leg))?;
        let (up, down) = self.ways;
        let member = Member {
            peer: Peer::new(config, &ice, &peers, self.now),
            up: Link::new(up, self.random.fork()),
            down: Link::new(down, self.random.fork()),
            spec,
            participant,
            subscription: 0,
            generation: 0,
            here: true,
        };
        self.by_address.insert(address(id), id);
        self.members.push(member);
        self.happens(self.now, Happening::Turn(id));
        Ok(id)
    }

    pub(crate) fn leg(&self, id: Id) -> LegKey {
        self.members[id].spec.key
    }

    pub(crate) fn participant(&self, id: Id) -> ParticipantKey {
        self.members[id].participant.key
    }

    /// Control removes the leg; the peer stops.
    pub(crate) fn leave(&mut self, id: Id) {
        let key = self.participant(id);
        self.command(Command::RemoveParticipant(key)).expect("removing is not refused");
        self.members[id].here = false;
    }

    /// Changes a participant: blocked flags, conference.
    pub(crate) fn change(&mut self, id: Id, change: impl FnOnce(&mut ParticipantSpec)) {
        let spec = &mut self.members[id].participant;
        spec.revision += 1;
        change(spec);
        let spec = spec.clone();
        self.command(Command::Participant(spec)).expect("a known conference");
    }

    /// What a viewer wants in its video slots: (index, width, height, pinned).
    pub(crate) fn wish(&mut self, id: Id, wishes: &[(u16, u16, u16, Option<ParticipantKey>)]) {
        let member = &mut self.members[id];
        member.subscription += 1;
        let mid = |index: u16| {
            let line = member.spec.media.iter().find(|m| {
                m.kind == Kind::Video && !m.presentation && m.slot.as_ref().is_some_and(|s| s.index == index)
            });
            line.map(|l| l.mid.clone()).expect("a slot of this index")
        };
        let slots = wishes
            .iter()
            .map(|&(index, width, height, pinned)| SlotWish { mid: mid(index), width, height, max_fps: 0, pinned })
            .collect();
        let spec = SubscriptionSpec {
            leg: member.spec.key,
            revision: member.subscription,
            slots,
            first: Vec::new(),
            low_latency: false,
            mix: None,
            mixed_sound: false,
        };
        self.command(Command::Subscription(spec)).expect("a known leg");
    }

    /// An ICE restart, perhaps from another address.
    pub(crate) fn restart_ice(&mut self, id: Id, remote: SocketAddr) {
        let now = self.now;
        let member = &mut self.members[id];
        member.generation += 1;
        let ice = credentials(0, member.spec.key, member.generation);
        member.spec.revision += 1;
        member.spec.ice = ice.clone();
        let spec = member.spec.clone();
        member.peer.restart_ice(now, &ice, path(remote));
        self.by_address.insert(remote, id);
        self.command(Command::Session(spec)).expect("an ICE restart is not refused");
    }

    /// The media plane dies and comes back with nothing; control opens every session again, with the bindings that were told
    /// before unless it `keeps` none, and the peers connect anew.
    pub(crate) fn restart_media(&mut self, keeps: bool) {
        let peers = Arc::clone(&self.shared);
        self.pool = Pool::new(self.pool.capacity());
        let random = self.random.fork();
        self.shard = new_shard(&self.env, 1000, random);
        let bindings = std::mem::take(&mut self.told).bindings;
        self.tx = TxBatch::default();
        for spec in self.conferences.values().cloned().collect::<Vec<_>>() {
            self.command(Command::Conference(spec)).expect("conferences are not refused");
        }
        for id in 0..self.members.len() {
            let now = self.now;
            let member = &mut self.members[id];
            if !member.here {
                continue;
            }
            member.generation += 1;
            let ice = credentials(0, member.spec.key, member.generation);
            member.spec.revision += 1;
            member.spec.ice = ice.clone();
            member.spec.fingerprints = peers.fingerprints().to_vec();
            member.spec.bindings = bindings.get(&member.spec.key).cloned().filter(|_| keeps).unwrap_or_default();
            let (spec, participant) = (member.spec.clone(), member.participant.clone());
            member.peer.reconnect(now, &ice);
            self.command(Command::Participant(participant)).expect("a known conference");
            let leg = spec.key;
            self.command(Command::Session(spec)).expect("there was room before");
            self.command(Command::Start(leg)).expect("a known leg");
        }
    }

    fn collect(&mut self) {
        let told = &mut self.told;
        self.shard.drain_events(|_, body| match body {
            EventBody::LegConnected { leg, suite, dtls, .. } => {
                told.connected.insert(leg, (suite, dtls));
            }
            EventBody::LegSilent { leg } => told.silent.push(leg),
            EventBody::LegEnded { leg, reason } => {
                told.ended.insert(leg, reason);
            }
            EventBody::Bound { leg, binding } => told.bindings.entry(leg).or_default().push(binding),
            EventBody::TrackActive { track, active, .. } => {
                told.active.insert(track, active);
            }
            EventBody::Speakers { conference, order } => {
                told.speakers.insert(conference, order);
            }
            EventBody::Seats { leg, seats, presentation, .. } => {
                told.seats.insert(leg, (seats, presentation));
            }
            EventBody::Layer { leg, mid, layer } => {
                told.layers.insert((leg, mid), layer);
            }
            EventBody::Bandwidth { .. } | EventBody::Dtmf { .. } => {}
            EventBody::MixUnable { .. } | EventBody::MixShed { .. } => {}
        });
    }

    // ---- time -----------------------------------------------------------------------------------------------------

    pub(crate) fn run(&mut self, d: Duration) {
        self.run_until(self.now + d);
    }

    pub(crate) fn run_until(&mut self, end: Time) {
        loop {
            let next = self.happenings.peek().map_or(Time::NEVER, |Reverse((at, ..))| *at).min(self.next_tick);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            if next == self.next_tick {
                self.tick();
            } else if let Some(Reverse((_, _, happening))) = self.happenings.pop() {
                self.happen(happening);
            }
        }
    }

    fn happens(&mut self, at: Time, happening: Happening) {
        self.count += 1;
        self.happenings.push(Reverse((at, self.count, happening)));
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        // Bytes and sizes of handshakes are the libraries' own.
        let (who, bytes) = match &happening {
            Happening::ToShard(remote, _, bytes) => (u64::from(remote.port()), &bytes[..]),
            Happening::ToPeer(id, _, _, bytes) => (*id as u64 + 1, &bytes[..]),
            Happening::Turn(_) => (0, &[][..]),
        };
        let size = if matches!(bytes.first(), Some(20..=63)) { 0 } else { bytes.len() as u64 };
        for part in [now.nanos(), who, size] {
            self.digest = (self.digest.rotate_left(9) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        match happening {
            Happening::ToShard(remote, local, mut bytes) => {
                let path = Path { transport: Transport::Udp, local, remote };
                if plenum_wire::demux::classify(&bytes) == plenum_wire::demux::PacketKind::Rtp
                    && let Some(&id) = self.by_address.get(&remote)
                {
                    let kept = self.overheard.entry(id).or_default();
                    kept.clear();
                    kept.extend_from_slice(&bytes);
                }
                self.give(path, &mut bytes);
            }
            Happening::ToPeer(id, remote, local, mut bytes) => {
                let path = Path { transport: Transport::Udp, local, remote };
                self.with_peer(id, |peer, out| peer.handle(now, path, &mut bytes, out));
            }
            Happening::Turn(id) => {
                if !self.members[id].here {
                    return;
                }
                self.with_peer(id, |peer, out| peer.handle_timeout(now, out));
                let wanted = self.members[id].peer.poll_timeout().max(now + PEER_REST);
                let at = after(now, PEER_TURN).min(after(wanted.before(Duration::from_nanos(1)), PEER_REST));
                self.happens(at, Happening::Turn(id));
            }
        }
    }

    /// Gives the shard one datagram at once.
    pub(crate) fn give(&mut self, path: Path, bytes: &mut [u8]) {
        let datagram = Datagram { path, received: self.now, bytes };
        self.shard.handle(self.now, &mut self.pool, datagram);
        self.next_tick = self.next_tick.min(after(self.now, BATCH));
    }

    /// Gives the shard what a mixer wrote.
    pub(crate) fn hear_mixer(&mut self, record: &[u8]) {
        self.shard.handle_mixer(self.now, &mut self.pool, record);
        self.next_tick = self.next_tick.min(after(self.now, BATCH));
    }

    /// The newest RTP packet that a peer sent, sealed, as the shard got it.
    pub(crate) fn overhear(&self, id: Id) -> Vec<u8> {
        self.overheard.get(&id).cloned().expect("the peer has sent media")
    }

    fn with_peer(&mut self, id: Id, act: impl FnOnce(&mut Peer, &mut plenum_bench::peer::Sink<'_>)) {
        let now = self.now;
        let World { members, happenings, count, .. } = self;
        let member = &mut members[id];
        if !member.here {
            return;
        }
        let up = &mut member.up;
        act(&mut member.peer, &mut |path: Path, bytes: &[u8]| {
            for at in up.send(now, bytes.len()) {
                *count += 1;
                let arrival = Happening::ToShard(path.remote, path.local, bytes.to_vec());
                happenings.push(Reverse((at, *count, arrival)));
            }
        });
    }

    fn tick(&mut self) {
        let now = self.now;
        self.shard.tick(now, &mut self.pool, &mut self.tx);
        self.collect();
        let mut tx = std::mem::take(&mut self.tx);
        for train in tx.trains.drain(..) {
            let first = train.first as usize;
            for at in first..first + usize::from(train.count) {
                let Some(buf) = tx.packets[at].take() else { continue };
                self.transmit(train.path, self.pool.bytes(&buf).to_vec());
                self.pool.free(buf);
            }
        }
        assert!(tx.packets.iter().all(Option::is_none), "a packet is in no train");
        tx.packets.clear();
        self.tx = tx;
        self.next_tick =
            after(self.shard.deadline().max(now).before(Duration::from_nanos(1)), BATCH).max(after(now, BATCH));
    }

    fn transmit(&mut self, path: Path, bytes: Vec<u8>) {
        self.sent += 1;
        let Some(&id) = self.by_address.get(&path.remote) else { return };
        let now = self.now;
        let member = &mut self.members[id];
        member.peer.tap(now, &bytes);
        for at in member.down.send(now, bytes.len()) {
            self.happens(at, Happening::ToPeer(id, path.remote, path.local, bytes.clone()));
        }
    }

    /// Changes the ways of everybody who is here, up and down.
    pub(crate) fn all_ways(&mut self, up: Way, down: Way) {
        for member in &mut self.members {
            (member.up.way, member.down.way) = (up, down);
        }
    }

    // ---- what everybody asserts -----------------------------------------------------------------------------------

    /// Every peer is connected within `limit`.
    pub(crate) fn connect(&mut self, limit: Duration) {
        let end = self.now + limit;
        while self.now < end && !self.members.iter().all(|m| !m.here || m.peer.is_up()) {
            self.run(Duration::from_millis(20));
        }
        for (id, member) in self.members.iter().enumerate().filter(|(_, m)| m.here) {
            assert!(member.peer.is_up(), "peer {id} is not connected after {limit:?}");
        }
    }

    pub(crate) fn assert_guarded(&self) {
        // A queue that is too long, or that somebody else is given, is given up, parts of frames and key frames in it too: the peer
        // asks for another one. For each such hole at least one packet was counted.
        let given_up = [DropReason::PacerFull, DropReason::Evicted, DropReason::Cleared];
        let mut given_up: u64 = given_up.iter().map(|reason| self.shard.drops().get(*reason)).sum();
        for (id, member) in self.members.iter().enumerate() {
            let stats = member.peer.stats();
            let hole = |what: &str| ["Gap", "FrameCut", "NoKeyFrame"].iter().any(|kind| what.starts_with(kind));
            let excused = stats.violations.iter().filter(|v| hole(&v.2)).take(given_up as usize).count() as u64;
            given_up -= excused;
            assert_eq!(stats.violation_count, excused, "peer {id}, {given_up} left: {:?}", stats.violations);
            for reason in [DropReason::BadTag, DropReason::UnknownSsrc, DropReason::UnknownPayloadType] {
                assert_eq!(stats.refused.get(reason), 0, "peer {id}: {reason:?}");
            }
        }
    }

    /// Ends everything: no guard was violated, and every slot of the pool is free again.
    pub(crate) fn finish(mut self) {
        self.assert_guarded();
        self.shard.close_all(self.now, &mut self.pool);
        self.tick();
        assert_eq!(self.pool.in_use(), 0, "pool slots leak");
    }

    /// The estimate of a leg, bits a second.
    pub(crate) fn estimate(&self, id: Id) -> u64 {
        let leg = self.leg(id).0;
        self.shard.bandwidth().iter().find(|b| b.0 == leg).map_or(0, |b| b.1)
    }

    /// The member whose track this is.
    pub(crate) fn owner(&self, track: u32) -> Option<Id> {
        self.members.iter().position(|m| {
            m.peer.config().publishes.iter().any(|p| match p {
                Publish::Audio(audio) => audio.track.0 == u64::from(track),
                Publish::Video(video) => video.track.0 == u64::from(track),
            })
        })
    }
}

fn new_shard(env: &Arc<Env>, sessions: usize, mut random: Random) -> Shard {
    Shard::new(ShardConfig {
        env: Arc::clone(env),
        max_sessions: sessions,
        random: Box::new(move |seed| {
            for part in seed.chunks_mut(8) {
                part.copy_from_slice(&random.next().to_le_bytes()[..part.len()]);
            }
        }),
    })
}
