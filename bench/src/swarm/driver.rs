//! Peers on sockets: one UDP socket each, one thread for all, packets read and written in batches.
//!
//! Uses the `mmsg` back-end of `plenum-io` without joined packets, so that every packet is received for itself, as by a viewer
//! behind a network. A packet's arrival is the kernel's receive stamp. Peers sit in a heap by their next deadline; an entry that
//! is no longer true is skipped when it surfaces.

use crate::peer::{Peer, PeerStats};
use plenum_io::{Io, Kind, Options};
use plenum_packet::{Datagram, HEADROOM, PacketIo, Path, Pool, Time, TxBatch};
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
pub struct Driver {
    io: Io,
    pool: Pool,
    tx: TxBatch,
    peers: Vec<Peer>,
    by_address: HashMap<SocketAddr, usize>,
    armed: Vec<Time>,
    heap: BinaryHeap<Reverse<(Time, usize)>>,
    touched: Vec<usize>,
    /// Packets that found no slot.
    pub dropped: u64,
    /// Packets received, of whatever kind.
    pub received: u64,
}

impl Driver {
    /// Opens `count` sockets on `ip`.
    ///
    /// # Errors
    /// When sockets run out.
    pub fn open(ips: &[(IpAddr, usize)]) -> io::Result<Driver> {
        let addresses: Vec<_> =
            ips.iter().flat_map(|&(ip, count)| std::iter::repeat_n(SocketAddr::new(ip, 0), count)).collect();
        let options = Options { gro: false, receive_queue: 1 << 20, send_queue: 1 << 20, ..Options::default() };
        Ok(Driver {
            io: Io::open(Kind::Mmsg, &addresses, &[], options)?,
            pool: Pool::new(SLOTS),
            tx: TxBatch::default(),
            peers: Vec::new(),
            by_address: HashMap::new(),
            armed: Vec::new(),
            heap: BinaryHeap::new(),
            touched: Vec::new(),
            dropped: 0,
            received: 0,
        })
    }

    /// The clock that peers live by.
    pub fn now() -> Time {
        Time(plenum_host::now())
    }

    /// The addresses of all sockets: a peer's own address is one of them, each used once.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.io.local_addrs()
    }

    /// Adds a peer, whose configuration names one of [`Driver::addresses`].
    pub fn add(&mut self, peer: Peer) {
        let index = self.peers.len();
        self.by_address.insert(peer.config().path.remote, index);
        self.peers.push(peer);
        self.armed.push(Time::NEVER);
        self.arm(index);
    }

    /// The peers, in the order they were added.
    pub fn peers(&mut self) -> &mut [Peer] {
        &mut self.peers
    }

    /// Peers whose transport is up.
    pub fn up(&self) -> usize {
        self.peers.iter().filter(|p| p.is_up()).count()
    }

    /// What every peer saw.
    pub fn stats(&self) -> Vec<PeerStats> {
        self.peers.iter().map(Peer::stats).collect()
    }

    /// Media packets with content that all peers received so far.
    pub fn media_received(&self) -> u64 {
        self.peers.iter().map(Peer::media_received).sum()
    }

    /// Works until `end`, or until `done` says so; it is asked once in a turn.
    ///
    /// # Errors
    /// When the sockets are of no use any more.
    pub fn run(&mut self, end: Time, mut done: impl FnMut(&mut Driver) -> bool) -> io::Result<()> {
        loop {
            let now = Driver::now();
            if now >= end || done(self) {
                return Ok(());
            }
            self.pass(now);
            self.io.transmit(&mut self.pool, &mut self.tx)?;
            let next = self.heap.peek().map_or(Time::NEVER, |Reverse((at, _))| *at);
            self.receive(next.min(end).min(Driver::now() + IDLE))?;
            self.io.transmit(&mut self.pool, &mut self.tx)?;
        }
    }

    /// Says goodbye for everybody.
    ///
    /// # Errors
    /// As [`Driver::run`].
    pub fn close(&mut self) -> io::Result<()> {
        let now = Driver::now();
        let Driver { peers, pool, tx, dropped, .. } = self;
        for peer in peers {
            peer.close(now, &mut |path, bytes| put(pool, tx, dropped, path, bytes));
        }
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
            let Driver { peers, pool, tx, dropped, .. } = self;
            peers[index].handle_timeout(now, &mut |path, bytes| put(pool, tx, dropped, path, bytes));
            self.arm(index);
        }
    }

    fn receive(&mut self, deadline: Time) -> io::Result<()> {
        let Driver { io, pool, tx, peers, by_address, touched, dropped, received, .. } = self;
        io.receive(pool, deadline, &mut |pool, datagram: Datagram<'_>| {
            *received += 1;
            let Some(&index) = by_address.get(&datagram.path.local) else { return };
            let path = turned(datagram.path);
            peers[index].handle(datagram.received, path, datagram.bytes, &mut |path, bytes| {
                put(pool, tx, dropped, path, bytes);
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

fn put(pool: &mut Pool, tx: &mut TxBatch, dropped: &mut u64, path: Path, bytes: &[u8]) {
    match pool.copy_in(HEADROOM, bytes) {
        Some(buf) => tx.push(turned(path), buf),
        None => *dropped += 1,
    }
}
