//! Peers on sockets: one UDP socket each, one thread for all, packets read and written in batches.
//!
//! Uses the `mmsg` back-end of `plenum-io` without joined packets, so that every packet is received for itself, as by a viewer
//! behind a network. A packet's arrival is the kernel's receive stamp. Peers sit in a heap by their next deadline; an entry that
//! is no longer true is skipped when it surfaces. A share of the media can be lost on purpose, in both directions.

use crate::peer::{Endpoint, Peer, PeerStats};
use plenum_io::{Io, Kind, Options};
use plenum_packet::{Datagram, HEADROOM, PacketIo, Path, Pool, Time, TxBatch};
use plenum_wire::demux::{PacketKind, classify};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Packets that wait for the end of a turn. A full pool loses packets, and the driver counts them.
const SLOTS: usize = 8192;
/// A turn that has nothing to do looks around after this.
const IDLE: Duration = Duration::from_millis(50);

/// Sockets and their peers.
pub struct Driver<E: Endpoint + ?Sized = Peer> {
    io: Io,
    pool: Pool,
    tx: TxBatch,
    exit: Exit,
    peers: Vec<Box<E>>,
    by_address: HashMap<SocketAddr, usize>,
    armed: Vec<Time>,
    heap: BinaryHeap<Reverse<(Time, usize)>>,
    touched: Vec<usize>,
    lossy: Lossy,
    /// Packets received, of whatever kind.
    pub received: u64,
}

/// What happens to packets that leave.
struct Exit {
    lossy: Lossy,
    /// Packets that found no slot.
    dropped: u64,
}

/// Loss of RTP packets, each for itself.
struct Lossy {
    share: f64,
    random: u64,
}

impl Driver {
    /// The clock that peers live by.
    pub fn now() -> Time {
        Time(plenum_host::now())
    }
}

impl<E: Endpoint + ?Sized> Driver<E> {
    /// Opens `count` sockets on `ip`.
    ///
    /// # Errors
    /// When sockets run out.
    pub fn open(ips: &[(IpAddr, usize)]) -> io::Result<Driver<E>> {
        let addresses: Vec<_> =
            ips.iter().flat_map(|&(ip, count)| std::iter::repeat_n(SocketAddr::new(ip, 0), count)).collect();
        let options = Options { gro: false, receive_queue: 1 << 20, send_queue: 1 << 20, ..Options::default() };
        Ok(Driver {
            io: Io::open(Kind::Mmsg, &addresses, &[], options)?,
            pool: Pool::new(SLOTS),
            tx: TxBatch::default(),
            exit: Exit { lossy: Lossy::new(1), dropped: 0 },
            peers: Vec::new(),
            by_address: HashMap::new(),
            armed: Vec::new(),
            heap: BinaryHeap::new(),
            touched: Vec::new(),
            lossy: Lossy::new(2),
            received: 0,
        })
    }

    /// Loses this share of all RTP packets, 0 to 1, in each direction.
    pub fn lose(&mut self, share: f64) {
        (self.lossy.share, self.exit.lossy.share) = (share, share);
    }

    /// Packets that found no slot.
    pub fn dropped(&self) -> u64 {
        self.exit.dropped
    }

    /// The addresses of all sockets: a peer's own address is one of them, each used once.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.io.local_addrs()
    }

    /// Adds a peer, whose configuration names one of [`Driver::addresses`].
    pub fn add(&mut self, peer: Box<E>) {
        let index = self.peers.len();
        self.by_address.insert(peer.address(), index);
        self.peers.push(peer);
        self.armed.push(Time::NEVER);
        self.arm(index);
    }

    /// The peers, in the order they were added.
    pub fn peers(&mut self) -> &mut [Box<E>] {
        &mut self.peers
    }

    /// Peers whose transport is up.
    pub fn up(&self) -> usize {
        self.peers.iter().filter(|p| p.is_up()).count()
    }

    /// What every peer saw.
    pub fn stats(&self) -> Vec<PeerStats> {
        self.peers.iter().map(|p| p.stats()).collect()
    }

    /// Media packets with content that all peers received so far.
    pub fn media_received(&self) -> u64 {
        self.peers.iter().map(|p| p.media_received()).sum()
    }

    /// Works until `end`, or until `done` says so; it is asked once in a turn.
    ///
    /// # Errors
    /// When the sockets are of no use any more.
    pub fn run(&mut self, end: Time, mut done: impl FnMut(&mut Driver<E>) -> bool) -> io::Result<()> {
        loop {
            let now = Driver::now();
            if now >= end || done(self) {
                return Ok(());
            }
            self.pass(now);
            self.transmit()?;
            let next = self.heap.peek().map_or(Time::NEVER, |Reverse((at, _))| *at);
            self.receive(next.min(end).min(Driver::now() + IDLE))?;
            self.transmit()?;
        }
    }

    /// Says goodbye for everybody.
    ///
    /// # Errors
    /// As [`Driver::run`].
    pub fn close(&mut self) -> io::Result<()> {
        let now = Driver::now();
        let Driver { peers, pool, tx, exit, .. } = self;
        for peer in peers {
            peer.close(now, &mut |path, bytes| exit.put(pool, tx, path, bytes));
        }
        self.transmit()
    }

    fn transmit(&mut self) -> io::Result<()> {
        self.io.transmit(&mut self.pool, &mut self.tx)
    }

    /// Lets every peer do what is due.
    fn pass(&mut self, now: Time) {
        while let Some(&Reverse((at, index))) = self.heap.peek() {
            if at > now {
                return;
            }
            self.heap.pop();
            if self.armed[index] != at {
                continue;
            }
            self.armed[index] = Time::NEVER;
            let Driver { peers, pool, tx, exit, .. } = self;
            peers[index].handle_timeout(now, &mut |path, bytes| exit.put(pool, tx, path, bytes));
            self.arm(index);
        }
    }

    fn receive(&mut self, deadline: Time) -> io::Result<()> {
        let Driver { io, pool, tx, exit, peers, by_address, touched, lossy, received, .. } = self;
        io.receive(pool, deadline, &mut |pool, datagram: Datagram<'_>| {
            *received += 1;
            let Some(&index) = by_address.get(&datagram.path.local) else { return };
            if lossy.takes(datagram.bytes) {
                return;
            }
            let path = turned(datagram.path);
            peers[index].handle(datagram.received, path, datagram.bytes, &mut |path, bytes| {
                exit.put(pool, tx, path, bytes);
            });
            if touched.last() != Some(&index) {
                touched.push(index);
            }
        })?;
        let mut touched = std::mem::take(&mut self.touched);
        touched.drain(..).for_each(|index| self.arm(index));
        self.touched = touched;
        Ok(())
    }

    /// Arms a peer's next deadline. A later one than it is armed for stays, and is put right when it surfaces.
    fn arm(&mut self, index: usize) {
        let at = self.peers[index].poll_timeout();
        if at < self.armed[index] {
            self.armed[index] = at;
            self.heap.push(Reverse((at, index)));
        }
    }
}

/// Peers speak of paths as the server sees them.
fn turned(path: Path) -> Path {
    Path { transport: path.transport, local: path.remote, remote: path.local }
}

impl Exit {
    fn put(&mut self, pool: &mut Pool, tx: &mut TxBatch, path: Path, bytes: &[u8]) {
        if self.lossy.takes(bytes) {
            return;
        }
        match pool.copy_in(HEADROOM, bytes) {
            Some(buf) => tx.push(turned(path), buf),
            None => self.dropped += 1,
        }
    }
}

impl Lossy {
    fn new(seed: u64) -> Lossy {
        Lossy { share: 0.0, random: seed }
    }

    /// Whether this packet is lost.
    fn takes(&mut self, bytes: &[u8]) -> bool {
        if self.share <= 0.0 || classify(bytes) != PacketKind::Rtp {
            return false;
        }
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.random >> 33) as f64) < self.share * f64::from(1u32 << 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_media_is_lost_and_nothing_else() {
        let mut lossy = Lossy::new(7);
        let (mut media, mut report) = ([0; 20], [0; 20]);
        media[..2].copy_from_slice(&[0x80, 96]);
        report[..2].copy_from_slice(&[0x80, 200]);
        assert!((0..1000).all(|_| !lossy.takes(&media)), "none is lost unless asked for");
        lossy.share = 0.1;
        let lost = (0..10_000).filter(|_| lossy.takes(&media)).count();
        assert!((900..1100).contains(&lost), "{lost}");
        assert!((0..1000).all(|_| !lossy.takes(&report)));
    }
}
