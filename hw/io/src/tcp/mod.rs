//! ICE over TCP (RFC 6544), passive side: listeners, and connections whose frames are shown as datagrams.
//!
//! Driven by one epoll descriptor, which the UDP back-end watches: a wait there ends when something happens here.
//! Everything is bounded: connections ([`Options::tcp_connections`]), bytes that wait for a peer ([`Options::tcp_queue`]),
//! half-read bytes (one frame each), and the time of those that say nothing or never get an answer.

mod connection;
mod framing;

use crate::clock;
use crate::show::{self, Sink};
use crate::socket::{self, Options};
use connection::{Live, Outcome, Slot};
use core::net::SocketAddr;
use core::time::Duration;
pub(crate) use framing::deframe_any;
use framing::{LENGTH, MAX_FRAME};
use plenum_packet::io::IoStats;
use plenum_packet::{Buf, Path, Pool, Time, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Events taken in one turn. More come in the next: the descriptor stays readable.
const EVENTS: usize = 64;
/// Connections accepted in one turn at each listener, so that a flood of them does not hold up packets.
const ACCEPTS: usize = 16;
/// How often timeouts are looked at. They are seconds long, so a second more or less does no harm.
const SWEEP: Duration = Duration::from_secs(1);
/// Bytes read at once.
const SCRATCH: usize = 64 << 10;
/// Bytes that the kernel may hold unsent per connection: beyond that our own queue rules, which drops whole frames.
const UNSENT: i32 = 32 << 10;
/// Marks the events of listeners.
const LISTENER: u64 = 1 << 63;

/// Listeners and connections of one shard.
pub(crate) struct Tcp {
    epoll: OwnedFd,
    listeners: Vec<TcpListener>,
    locals: Vec<SocketAddr>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_path: HashMap<(SocketAddr, SocketAddr), u32>,
    scratch: Vec<u8>,
    events: Vec<libc::epoll_event>,
    options: Options,
    next_sweep: Time,
    /// Whether accepting stands still until the next sweep, because the process has no descriptor left.
    paused: bool,
    stats: IoStats,
}

impl Tcp {
    /// Listens at every address.
    pub(crate) fn open(addrs: &[SocketAddr], options: &Options) -> io::Result<Tcp> {
        // SAFETY: no pointers are involved.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        let connections = options.tcp_connections.clamp(1, 1 << 20);
        let mut tcp = Tcp {
            // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
            epoll: unsafe { OwnedFd::from_raw_fd(epoll) },
            listeners: Vec::new(),
            locals: Vec::new(),
            slots: (0..connections).map(|_| Slot::default()).collect(),
            free: (0..connections as u32).rev().collect(),
            by_path: HashMap::with_capacity(connections),
            scratch: vec![0; SCRATCH],
            events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS],
            options: *options,
            next_sweep: Time::NEVER,
            paused: false,
            stats: IoStats::default(),
        };
        tcp.options.tcp_queue = options.tcp_queue.max(2 * (LENGTH + MAX_FRAME));
        for addr in addrs {
            let listener = listen(*addr).map_err(|e| io::Error::new(e.kind(), format!("binding TCP {addr}: {e}")))?;
            tcp.locals.push(listener.local_addr()?);
            tcp.control(
                libc::EPOLL_CTL_ADD,
                listener.as_raw_fd(),
                libc::EPOLLIN,
                LISTENER | tcp.listeners.len() as u64,
            )?;
            tcp.listeners.push(listener);
        }
        Ok(tcp)
    }

    pub(crate) fn local_addrs(&self) -> &[SocketAddr] {
        &self.locals
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn stats(&self) -> IoStats {
        self.stats
    }

    /// When [`Tcp::receive`] must be called at the latest.
    pub(crate) fn next_timeout(&self) -> Time {
        self.next_sweep
    }

    /// Takes what has happened, without waiting, and shows the packets that came.
    pub(crate) fn receive(&mut self, pool: &mut Pool, sink: Sink<'_>) -> io::Result<usize> {
        self.stats.syscalls += 1;
        // SAFETY: `events` is a live array of EVENTS elements.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), EVENTS as i32, 0) };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(0) } else { Err(error) };
        }
        let now = clock::now();
        let mut shown = 0;
        for i in 0..count as usize {
            let libc::epoll_event { events, u64: key } = self.events[i];
            if key & LISTENER != 0 {
                self.accept((key ^ LISTENER) as usize, now);
            } else {
                shown += self.serve(key, events as i32, now, pool, &mut *sink);
            }
        }
        if now >= self.next_sweep {
            self.sweep(now);
        }
        Ok(shown)
    }

    /// Sends packets over the connection that `path` names; counts them as failed when there is none.
    pub(crate) fn transmit(&mut self, pool: &Pool, path: &Path, packets: &[Option<Buf>]) {
        let Some(&at) = self.by_path.get(&(path.local, path.remote)) else {
            self.stats.tx_failed += packets.iter().flatten().count() as u64;
            return;
        };
        let outcome = self.slots[at as usize].transmit(pool, packets, self.options.tcp_queue, &mut self.stats);
        self.after(at, outcome);
    }

    /// Serves an event of a connection.
    fn serve(&mut self, key: u64, events: i32, now: Time, pool: &mut Pool, sink: Sink<'_>) -> usize {
        let at = key as u32;
        let slot = &mut self.slots[at as usize];
        if slot.generation & GENERATION != (key >> 32) as u32 || slot.live.is_none() {
            return 0; // Of a connection that was closed earlier in this turn.
        }
        let mut shown = 0;
        let mut outcome = Outcome::Open;
        if events & libc::EPOLLOUT != 0 {
            outcome = slot.flush(&mut self.stats);
        }
        if outcome == Outcome::Open && events & !libc::EPOLLOUT != 0 {
            outcome = slot.read(&mut self.scratch, now, &mut self.stats, |path, bytes, stats| {
                shown += show::message(path, now, bytes, None, pool, &mut *sink, stats);
            });
        }
        self.after(at, outcome);
        shown
    }

    /// Closes a connection that has ended, or asks to be told when a blocked one takes bytes again.
    fn after(&mut self, at: u32, outcome: Outcome) {
        let slot = &mut self.slots[at as usize];
        let wants = slot.is_blocked();
        if outcome == Outcome::Closed {
            self.close(at);
        } else if wants != slot.wants_writable {
            slot.wants_writable = wants;
            let (Some(fd), key) = (slot.live.as_ref().map(Live::fd), key(at, slot.generation)) else { return };
            let events = if wants { libc::EPOLLIN | libc::EPOLLOUT } else { libc::EPOLLIN };
            if self.control(libc::EPOLL_CTL_MOD, fd, events, key).is_err() {
                self.close(at);
            }
        }
    }

    fn accept(&mut self, listener: usize, now: Time) {
        for _ in 0..ACCEPTS {
            self.stats.syscalls += 1;
            match self.listeners[listener].accept() {
                Ok((stream, remote)) => {
                    // A connection that breaks while it is set up concerns nobody.
                    let _ = self.add(listener, stream, remote, now);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e)
                    if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)) =>
                {
                    return self.pause(now);
                }
                Err(_) => {} // The connection went away before we took it.
            }
        }
    }

    fn add(&mut self, listener: usize, stream: TcpStream, remote: SocketAddr, now: Time) -> io::Result<()> {
        let local = self.locals[listener];
        if let Some(&former) = self.by_path.get(&(local, remote)) {
            self.close(former); // The peer's new connection from the same port: the old one is dead.
        }
        if self.free.is_empty() {
            self.evict();
        }
        let Some(&at) = self.free.last() else { return Ok(()) };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        socket::set(stream.as_raw_fd(), libc::SOL_TCP, libc::TCP_NOTSENT_LOWAT, UNSENT)?;
        let slot = &mut self.slots[at as usize];
        slot.live = Some(Live::new(stream, Path { transport: Transport::Tcp, local, remote }, now));
        self.free.pop();
        self.by_path.insert((local, remote), at);
        self.next_sweep = self.next_sweep.min(now + SWEEP);
        let slot = &self.slots[at as usize];
        let fd = slot.live.as_ref().map_or(-1, Live::fd);
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, key(at, slot.generation)).inspect_err(|_| self.close(at))
    }

    /// Makes room: closes the oldest connection that never got an answer.
    fn evict(&mut self) {
        let unanswered = self.slots.iter().enumerate().filter_map(|(at, s)| Some((at as u32, s.live.as_ref()?)));
        let oldest = unanswered.filter(|(_, live)| !live.answered).min_by_key(|(_, live)| live.accepted);
        if let Some((at, _)) = oldest {
            self.close(at);
        }
    }

    fn close(&mut self, at: u32) {
        // Closing the stream takes it out of the poller.
        if let Some(path) = self.slots[at as usize].close() {
            self.by_path.remove(&(path.local, path.remote));
            self.free.push(at);
        }
    }

    /// Stops accepting until the next sweep: else the listener would stay readable and every wait would end at once.
    fn pause(&mut self, now: Time) {
        self.paused = true;
        self.next_sweep = self.next_sweep.min(now + SWEEP);
        for listener in &self.listeners {
            let _ = self.control(libc::EPOLL_CTL_MOD, listener.as_raw_fd(), 0, LISTENER);
        }
    }

    /// Closes what has been silent or unanswered for too long.
    fn sweep(&mut self, now: Time) {
        if std::mem::take(&mut self.paused) {
            for (i, listener) in self.listeners.iter().enumerate() {
                let _ = self.control(libc::EPOLL_CTL_MOD, listener.as_raw_fd(), libc::EPOLLIN, LISTENER | i as u64);
            }
        }
        for at in 0..self.slots.len() as u32 {
            let Some(live) = &self.slots[at as usize].live else { continue };
            let idle = now.since(live.heard) > self.options.tcp_idle_timeout;
            let unanswered = !live.answered && now.since(live.accepted) > self.options.tcp_answer_timeout;
            if idle || unanswered {
                self.close(at);
            }
        }
        self.next_sweep = if self.connections() > 0 { now + SWEEP } else { Time::NEVER };
    }

    fn control(&self, operation: i32, fd: RawFd, events: i32, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: key };
        // SAFETY: `event` is a live epoll_event that the kernel reads.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsRawFd for Tcp {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

/// The bits of a generation that an event carries (the top one marks listeners).
const GENERATION: u32 = u32::MAX >> 1;

/// What an event says about a connection: its slot and generation.
fn key(at: u32, generation: u32) -> u64 {
    u64::from(generation & GENERATION) << 32 | u64::from(at)
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Former connections in TIME_WAIT must not keep a restarted program from listening; a second listener is still refused.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}
