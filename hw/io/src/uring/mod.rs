//! The `uring` back-end: one io_uring per shard, one system call per tick.
//!
//! Each socket has a multishot `recvmsg` that fills buffers of a ring; sends are queued by [`Uring::transmit`] and leave with
//! the next [`Uring::receive`], whose one `io_uring_enter` submits them, reaps what arrived, and waits. A UDP send completes
//! inside that call (MSG_DONTWAIT), so its slots are back in the pool when it returns.

mod buffers;
mod ring;
mod sends;

use crate::clock::{self, Reading};
use crate::mmsg::{LARGE, MAX_WATCHED, fatal};
use crate::outbox;
use crate::show::{self, Sink};
use crate::socket::{Options, UdpSocket};
pub(crate) use buffers::parse_any;
use buffers::{BUFFERS, Buffers, GROUP};
use core::net::SocketAddr;
use core::time::Duration;
use io_uring::{cqueue, opcode, squeue, types};
use plenum_packet::io::IoStats;
use plenum_packet::{Buf, Path, Pool, SLOT_SIZE, Time, Train, Transport, TxBatch};
use ring::Ring;
use sends::Sends;
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;

/// Messages shown in one turn, for the same reason as in `mmsg`; what else has arrived waits for the next.
const BATCH: usize = 64;

/// What an operation was, in the upper half of its user data; the lower half says which.
const SEND: u32 = 1;
const RECEIVE: u32 = 2;
const WATCH: u32 = 3;
const UNWATCH: u32 = 4;

/// Ring, buffers, sockets.
pub(crate) struct Uring {
    // Dropped before all memory that the kernel may be told of.
    ring: Ring,
    buffers: Buffers,
    sends: Sends,
    /// What every receive asks for; read by the kernel when a receive is armed.
    request: Box<libc::msghdr>,
    sockets: Vec<UdpSocket>,
    /// Whether a socket's receive is armed.
    armed: Vec<bool>,
    locals: Vec<SocketAddr>,
    watches: Vec<Watch>,
    arrived: VecDeque<Arrived>,
    /// Sends queued and not submitted.
    queued: u32,
    /// The pool whose slots they name.
    region: Option<(*mut u8, usize)>,
    /// Whether single packets go without a message header (IORING_OP_SEND with an address), which costs less.
    plain_sends: bool,
    fired: bool,
    broken: Option<i32>,
    stats: IoStats,
}

// SAFETY: the raw pointers are `request`'s (null), and the pool's region, which is only compared.
unsafe impl Send for Uring {}

/// A watched descriptor; free when negative.
struct Watch {
    fd: RawFd,
    armed: bool,
    /// Tells a completion for a former descriptor of this place apart.
    generation: u16,
}

/// A received message that was not shown yet.
struct Arrived {
    socket: u16,
    buffer: u16,
    len: u32,
}

/// A ring with its buffers: what may fail before the sockets are given away.
pub(crate) struct Prepared {
    ring: Ring,
    buffers: Buffers,
}

/// Probes whether this kernel and this process can have the back-end.
pub(crate) fn prepare(sockets: &[UdpSocket], options: &Options) -> io::Result<Prepared> {
    let fds: Vec<_> = sockets.iter().map(UdpSocket::fd).collect();
    let ring = Ring::open(&fds)?;
    let buffers = Buffers::new(if options.gro { LARGE } else { SLOT_SIZE }, &ring)?;
    Ok(Prepared { ring, buffers })
}

impl Uring {
    /// Takes the sockets over that were prepared for.
    pub(crate) fn new(prepared: Prepared, sockets: Vec<UdpSocket>) -> Uring {
        Uring {
            ring: prepared.ring,
            buffers: prepared.buffers,
            sends: Sends::new(),
            request: Box::new(buffers::request()),
            armed: vec![false; sockets.len()],
            locals: sockets.iter().map(|s| s.local).collect(),
            sockets,
            watches: Vec::with_capacity(MAX_WATCHED),
            arrived: VecDeque::with_capacity(usize::from(BUFFERS)),
            queued: 0,
            region: None,
            plain_sends: true,
            fired: false,
            broken: None,
            stats: IoStats::default(),
        }
    }

    pub(crate) fn local_addrs(&self) -> &[SocketAddr] {
        &self.locals
    }

    /// Submits, waits, reaps and shows.
    pub(crate) fn receive(&mut self, pool: &mut Pool, deadline: Time, sink: Sink<'_>) -> io::Result<usize> {
        self.bind(pool)?;
        self.fired = false;
        self.arm()?;
        let busy = !self.arrived.is_empty() || clock::until(deadline) == Some(Duration::ZERO);
        // The queued sends complete at once, one completion each: what we wait for is one more.
        let want = if busy { 0 } else { self.queued + 1 };
        self.ring.enter(want, deadline)?;
        self.queued = 0;
        self.reap(pool);
        if let Some(errno) = self.broken {
            return Err(io::Error::from_raw_os_error(errno));
        }
        Ok(self.show(pool, sink))
    }

    /// Queues the batch. It leaves with the next [`Uring::receive`], or now when there is more than fits into the queue.
    pub(crate) fn transmit(&mut self, pool: &mut Pool, batch: &mut TxBatch) -> io::Result<()> {
        self.bind(pool)?;
        for train in &batch.trains {
            let first = train.first as usize;
            let packets = &mut batch.packets[first..first + usize::from(train.count)];
            let Some(socket) = self.locals.iter().position(|l| *l == train.path.local) else {
                self.stats.tx_failed += u64::from(train.count);
                continue;
            };
            if self.sockets[socket].gso && outbox::one_send(train) {
                self.send(socket, train, packets, pool)?;
            } else {
                for packet in packets.chunks_mut(1) {
                    self.send(socket, train, packet, pool)?;
                }
            }
        }
        batch.clear(pool);
        Ok(())
    }

    pub(crate) fn watch(&mut self, fd: RawFd) -> io::Result<()> {
        if let Some(free) = self.watches.iter_mut().find(|w| w.fd < 0) {
            free.fd = fd;
            return Ok(());
        }
        if self.watches.len() >= MAX_WATCHED {
            return Err(io::Error::other("too many watched descriptors"));
        }
        self.watches.push(Watch { fd, armed: false, generation: 0 });
        Ok(())
    }

    pub(crate) fn unwatch(&mut self, fd: RawFd) {
        let Some(at) = self.watches.iter().position(|w| w.fd == fd) else { return };
        let Watch { armed, generation, .. } = self.watches[at];
        self.watches[at] = Watch { fd: -1, armed: false, generation: generation.wrapping_add(1) };
        if armed {
            let remove = opcode::PollRemove::new(watch_key(at, generation)).build().user_data(key(UNWATCH, 0));
            // SAFETY: the operation names no memory. When the queue is full the poll stays; its completion is ignored.
            unsafe { self.ring.push(&remove) };
        }
    }

    /// Whether a watched descriptor may be readable since the last wait.
    pub(crate) fn fired(&self) -> bool {
        self.fired
    }

    pub(crate) fn stats(&self) -> IoStats {
        IoStats { syscalls: self.stats.syscalls + self.ring.syscalls, ..self.stats }
    }

    /// Makes this thread the ring's, and `pool` the one whose slots are sent.
    ///
    /// # Panics
    /// If another pool comes while packets of the former are queued: the kernel would read memory that may be gone.
    fn bind(&mut self, pool: &Pool) -> io::Result<()> {
        self.ring.enable()?;
        assert!(self.queued == 0 || self.region == Some(pool.region()), "packets of another pool are queued");
        self.region = Some(pool.region());
        Ok(())
    }

    /// Arms the receives and watches that have ended.
    fn arm(&mut self) -> io::Result<()> {
        for i in 0..self.armed.len() {
            if !self.armed[i] {
                let receive = opcode::RecvMsgMulti::new(types::Fixed(i as u32), &raw const *self.request, GROUP);
                self.queue(&receive.build().user_data(key(RECEIVE, i as u32)))?;
                self.armed[i] = true;
            }
        }
        for i in 0..self.watches.len() {
            let Watch { fd, armed, generation } = self.watches[i];
            if fd >= 0 && !armed {
                let poll = opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32);
                self.queue(&poll.build().user_data(watch_key(i, generation)))?;
                self.watches[i].armed = true;
            }
        }
        Ok(())
    }

    /// Queues an operation on memory of ours that lives as long as the ring.
    fn queue(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: callers pass operations that name no memory, `request` (boxed, never moved, dropped after the ring), or an
            // entry of `sends` (in place until its completion, dropped after the ring).
            if unsafe { self.ring.push(entry) } {
                return Ok(());
            }
            self.ring.enter(0, Time::ZERO)?;
        }
    }

    /// Queues one send; submits first when all entries are taken.
    fn send(&mut self, socket: usize, train: &Train, packets: &mut [Option<Buf>], pool: &mut Pool) -> io::Result<()> {
        while self.sends.is_full() {
            self.ring.enter(1, Time::NEVER)?;
            self.queued = 0;
            self.reap(pool);
        }
        let Some(index) = self.sends.add(socket as u16, &train.path.remote, train.segment, packets, pool) else {
            return Ok(());
        };
        let operation = self.sends.operation(index, self.plain_sends);
        self.queue(&operation.user_data(key(SEND, u32::from(index))))?;
        self.queued += 1;
        Ok(())
    }

    /// Takes all completions.
    fn reap(&mut self, pool: &mut Pool) {
        while let Some(entry) = self.ring.pop() {
            let (what, which) = ((entry.user_data() >> 32) as u32, entry.user_data() as u32);
            match what {
                SEND => self.sent(which as u16, entry.result(), pool),
                RECEIVE => self.received(which as u16, &entry),
                WATCH => self.watched(which, entry.result()),
                _ => {}
            }
        }
    }

    fn sent(&mut self, index: u16, result: i32, pool: &mut Pool) {
        let Some((socket, header)) = self.sends.get(index) else { return };
        let socket = &mut self.sockets[usize::from(socket)];
        let count = header.msg_iovlen as u64;
        if result >= 0 {
            self.stats.tx_packets += count;
            self.stats.tx_bytes += result as u64;
        } else if outbox::refuses_trains(-result) && (count > 1 || self.plain_sends) {
            socket.gso &= result != -libc::EIO;
            // SAFETY: the header and what it names stay in their entry until it is released below.
            let sent = unsafe { outbox::send_each(socket.fd(), header, &mut self.stats) };
            // What `sendmsg` can send and IORING_OP_SEND cannot: this kernel knows no address there.
            self.plain_sends &= count > 1 || sent == 0;
        } else {
            self.stats.tx_failed += count;
        }
        self.sends.release(index, pool);
    }

    fn received(&mut self, socket: u16, entry: &cqueue::Entry) {
        if !cqueue::more(entry.flags()) {
            self.armed[usize::from(socket)] = false;
        }
        let result = entry.result();
        match cqueue::buffer_select(entry.flags()) {
            Some(buffer) if result >= 0 => self.arrived.push_back(Arrived { socket, buffer, len: result as u32 }),
            Some(buffer) => {
                self.buffers.give_back(buffer);
                self.buffers.publish();
            }
            // Out of buffers (ENOBUFS): armed again when some were given back. Errors of single packets: armed again at once.
            None if fatal(&io::Error::from_raw_os_error(-result)) => self.broken = Some(-result),
            None => {}
        }
    }

    fn watched(&mut self, which: u32, result: i32) {
        let (at, generation) = ((which & 0xffff) as usize, (which >> 16) as u16);
        let Some(watch) = self.watches.get_mut(at).filter(|w| w.generation == generation) else { return };
        watch.armed = false;
        self.fired = true;
        if result < 0 {
            // Closed by its owner, or nothing that can be polled.
            *watch = Watch { fd: -1, armed: false, generation: generation.wrapping_add(1) };
        }
    }

    /// Shows a batch of what has arrived and offers its buffers again.
    fn show(&mut self, pool: &mut Pool, sink: Sink<'_>) -> usize {
        if self.arrived.is_empty() {
            return 0;
        }
        let clock = Reading::take();
        let mut shown = 0;
        for _ in 0..BATCH {
            let Some(Arrived { socket, buffer, len }) = self.arrived.pop_front() else { break };
            let local = self.locals[usize::from(socket)];
            match self.buffers.message(buffer, len as usize) {
                Some(message) if message.truncated => self.stats.rx_truncated += 1,
                Some(message) => {
                    if let Some(remote) = message.remote {
                        let path = Path { transport: Transport::Udp, local, remote };
                        let received = clock.received(message.control.stamp);
                        let segment = message.control.segment;
                        let stats = &mut self.stats;
                        shown += show::message(path, received, message.payload, segment, pool, &mut *sink, stats);
                    }
                }
                None => self.stats.rx_truncated += 1,
            }
            self.buffers.give_back(buffer);
        }
        self.buffers.publish();
        shown
    }
}

/// User data of an operation.
fn key(what: u32, which: u32) -> u64 {
    u64::from(what) << 32 | u64::from(which)
}

fn watch_key(at: usize, generation: u16) -> u64 {
    key(WATCH, u32::from(generation) << 16 | at as u32)
}
