//! A shard and its peers in one process: virtual time, no sockets, nothing lost. What the shard costs is measured alone.
//!
//! [`Lab::step`] lets the peers speak, times the shard while it takes their packets and ticks, and hands out what it sends. The
//! peers' work stands between two timed pieces, so caches are as cold as they are in service.

use crate::allocations::Since;
use crate::peer::{Peer, PeerConfig, Shared, credentials};
use plenum_contract::{Command, ConferenceKey, ConferenceSpec, ParticipantSpec};
use plenum_packet::{Datagram, Path, Pool, Time, Transport, TxBatch};
use plenum_session::{Anchor, Certificates, Env, SessionLimits};
use plenum_shard::{Shard, ShardConfig};
use plenum_wire::demux::{PacketKind, classify};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the shard seems to receive.
const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000);
/// The conference that everybody is in.
const ROOM: ConferenceKey = ConferenceKey(1);

/// What the shard did since the last [`Lab::reset`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Time in the shard.
    pub time: Duration,
    /// Allocations while it took packets.
    pub taking: usize,
    /// Allocations in its ticks: releasing and sealing, and five times a second layer decisions.
    pub ticking: usize,
    /// Bytes that it took and did not give back.
    pub held: i64,
    /// RTP packets that it was given.
    pub received: u64,
    /// RTP packets that it sent.
    pub sent: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Trains that they left in.
    pub trains: u64,
}

/// A shard with its peers.
pub struct Lab {
    /// The shard.
    pub shard: Shard,
    /// Its slots.
    pub pool: Pool,
    /// The peers, in the order they were added.
    pub peers: Vec<Peer>,
    /// What the shard did.
    pub spent: Spent,
    shared: Arc<Shared>,
    env: Arc<Env>,
    by_address: HashMap<SocketAddr, usize>,
    now: Time,
    tx: TxBatch,
    to_shard: Vec<(Path, Vec<u8>)>,
}

impl Lab {
    /// A shard with one empty conference and a pool of `slots`.
    ///
    /// # Panics
    /// When the system gives no randomness.
    pub fn new(slots: usize) -> Lab {
        let now = Time::from_millis(1_000_000);
        let anchor = Anchor::new(Instant::now(), now, Duration::from_secs(1_700_000_000));
        let certificates = Certificates::generate().expect("a certificate");
        let limits = SessionLimits::default();
        let env = Env::new(anchor, &certificates, limits).expect("our own certificate");
        let mut counter = 0u64;
        let random = move |seed: &mut [u8; 32]| {
            for chunk in seed.chunks_mut(8) {
                counter = counter.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                chunk.copy_from_slice(&(counter ^ (counter >> 29)).to_le_bytes());
            }
        };
        let config = ShardConfig { env: env.clone(), max_sessions: 10_000, random: Box::new(random) };
        let mut lab = Lab {
            shard: Shard::new(config),
            pool: Pool::new(slots),
            peers: Vec::new(),
            spent: Spent::default(),
            shared: Shared::new(anchor),
            env,
            by_address: HashMap::new(),
            now,
            tx: TxBatch::default(),
            to_shard: Vec::new(),
        };
        lab.command(Command::Conference(ConferenceSpec {
            key: ROOM,
            revision: 1,
            presenter: None,
            pinned: Vec::new(),
            last_n: 64,
            home_shard: 0,
        }));
        lab
    }

    /// The way of peer `n`, counted from 1.
    pub fn path(n: u64) -> Path {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + n as u32);
        Path { transport: Transport::Udp, local: SERVER, remote: SocketAddr::from((ip, 5000)) }
    }

    /// Adds a peer to the conference and lets its media flow.
    pub fn add(&mut self, config: PeerConfig) {
        let ice = credentials(config.shard, config.leg, 0);
        self.command(Command::Participant(ParticipantSpec {
            key: config.participant,
            conference: ROOM,
            revision: 1,
            audio_blocked: false,
            video_blocked: false,
            presentation_denied: false,
            waiting: false,
        }));
        let spec = config.session_spec(1, &ice, self.shared.fingerprints());
        self.command(Command::Session(spec));
        self.command(Command::Start(config.leg));
        self.by_address.insert(config.path.remote, self.peers.len());
        self.peers.push(Peer::new(config, &ice, &self.shared, self.now));
    }

    /// Carries out a command.
    ///
    /// # Panics
    /// When the shard refuses it.
    pub fn command(&mut self, command: Command) {
        let since = Since::now();
        self.shard.command(self.now, &mut self.pool, command).expect("the shard takes our commands");
        self.spent.held += since.change().bytes;
    }

    /// Runs until every peer is connected.
    ///
    /// # Panics
    /// When that takes longer than 20 s of virtual time.
    pub fn connect(&mut self) {
        for _ in 0..4_000 {
            if self.peers.iter().all(Peer::is_up) {
                return;
            }
            self.step(Duration::from_millis(5));
        }
        let up = self.peers.iter().filter(|p| p.is_up()).count();
        let pairs = self.peers.iter().filter(|p| p.is_nominated()).count();
        let drops: Vec<_> = self.shard.drops().iter().filter(|(_, n)| *n > 0).collect();
        panic!("{up} of {} peers are up after 20 s, {pairs} have a pair; drops {drops:?}", self.peers.len());
    }

    /// Lets `time` pass in steps of a millisecond.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(Duration::from_millis(1));
        }
    }

    /// Forgets what the shard did so far; what it holds stays counted.
    pub fn reset(&mut self) {
        self.spent = Spent { held: self.spent.held, ..Spent::default() };
    }

    /// Lets `time` pass at once.
    pub fn step(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        let to_shard = &mut self.to_shard;
        for peer in self.peers.iter_mut().filter(|p| p.poll_timeout() <= now) {
            peer.handle_timeout(now, &mut |path, bytes| to_shard.push((path, bytes.to_vec())));
        }
        let since = Since::now();
        let start = Instant::now();
        for (path, bytes) in &mut self.to_shard {
            self.shard.handle(now, &mut self.pool, Datagram { path: *path, received: now, bytes });
        }
        let taken = since.change().calls;
        self.shard.tick(now, &mut self.pool, &mut self.tx);
        self.shard.drain_events(|_, _| {});
        self.spent.time += start.elapsed();
        let change = since.change();
        self.spent.taking += taken;
        self.spent.ticking += change.calls - taken;
        self.spent.held += change.bytes;
        let rtp = |bytes: &[u8]| classify(bytes) == PacketKind::Rtp;
        self.spent.received += self.to_shard.iter().filter(|(_, b)| rtp(b)).count() as u64;
        self.to_shard.clear();
        self.deliver(now);
    }

    fn deliver(&mut self, now: Time) {
        let mut bytes = [0; plenum_packet::SLOT_SIZE];
        for train in &self.tx.trains {
            let first = train.first as usize;
            let mut media = 0;
            for buf in self.tx.packets[first..first + usize::from(train.count)].iter().flatten() {
                let packet = &mut bytes[..buf.len()];
                packet.copy_from_slice(self.pool.bytes(buf));
                if classify(packet) == PacketKind::Rtp {
                    media += 1;
                    self.spent.bytes += packet.len() as u64;
                }
                if let Some(&peer) = self.by_address.get(&train.path.remote) {
                    let to_shard = &mut self.to_shard;
                    let out = &mut |path: Path, bytes: &[u8]| to_shard.push((path, bytes.to_vec()));
                    self.peers[peer].handle(now, train.path, packet, out);
                }
            }
            self.spent.sent += media;
            self.spent.trains += u64::from(media > 0);
        }
        self.tx.clear(&mut self.pool);
    }

    /// The fingerprint of the shard's certificate, for offers.
    pub fn env(&self) -> &Arc<Env> {
        &self.env
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{self, Media};
    use plenum_srtp::Suite;

    #[test]
    fn a_picture_and_a_sound_reach_their_receivers() {
        for (media, suite) in [(Media::Video, Suite::AeadAes128Gcm), (Media::Audio, Suite::AesCm128HmacSha1_80)] {
            let mut lab = Lab::new(4096);
            lab.add(load::publisher(1, Lab::path(1), media, suite));
            lab.add(load::viewer(2, Lab::path(2), media, suite));
            lab.connect();
            lab.peers[0].set_speaking(media == Media::Audio);
            lab.run(Duration::from_secs(6));
            lab.reset();
            lab.run(Duration::from_secs(2));
            assert!(lab.peers[1].stats().slots.iter().all(|slot| slot.lost == 0));
            assert_eq!(lab.peers[1].suite(), Some(suite));
            assert!(lab.spent.sent * 10 >= lab.spent.received * 9, "{:?}", lab.spent);
        }
    }
}
