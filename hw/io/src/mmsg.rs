//! The `mmsg` back-end: `ppoll`, `recvmmsg` and `sendmmsg`. Works wherever Linux does.
//!
//! Sends finish inside [`Mmsg::transmit`], so no buffer is ever kept. Receive buffers are shared by all sockets: one is
//! read after the other, and nothing of a batch outlives the call that shows it.

use crate::addr::{NAME_LEN, Name};
use crate::clock::Reading;
use crate::cmsg::{self, RECEIVE_SPACE, ReceiveSpace};
use crate::memory::Memory;
use crate::outbox::{EMPTY_IOVEC, EMPTY_MESSAGE, Outbox};
use crate::show::{self, Sink};
use crate::socket::{Options, UdpSocket, timeout};
use core::net::SocketAddr;
use plenum_packet::io::IoStats;
use plenum_packet::{Path, Pool, SLOT_SIZE, Time, Transport, TxBatch};
use std::io;
use std::os::fd::RawFd;

/// Messages of one socket in a batch. Larger: a tick takes longer and its first packet waits. Smaller: more system calls.
const BATCH: usize = 64;

/// Descriptors that may be watched besides the sockets: a control socket, queues, a waker. More are refused.
pub(crate) const MAX_WATCHED: usize = 64;

/// Bytes of a receive buffer that holds whatever UDP may bring, also joined.
pub(crate) const LARGE: usize = 65_536;

/// Sockets and memory of the `mmsg` back-end.
pub(crate) struct Mmsg {
    sockets: Vec<UdpSocket>,
    locals: Vec<SocketAddr>,
    /// The sockets, then what is watched.
    polled: Vec<libc::pollfd>,
    inbox: Inbox,
    outbox: Outbox,
    stats: IoStats,
    fired: bool,
}

impl Mmsg {
    /// Takes the sockets over.
    pub(crate) fn new(sockets: Vec<UdpSocket>, options: &Options) -> io::Result<Mmsg> {
        let mut polled: Vec<_> = sockets.iter().map(|s| poll_in(s.fd())).collect();
        polled.reserve(MAX_WATCHED);
        Ok(Mmsg {
            locals: sockets.iter().map(|s| s.local).collect(),
            sockets,
            polled,
            inbox: Inbox::new(if options.gro { LARGE } else { SLOT_SIZE })?,
            outbox: Outbox::new(),
            stats: IoStats::default(),
            fired: false,
        })
    }

    pub(crate) fn local_addrs(&self) -> &[SocketAddr] {
        &self.locals
    }

    pub(crate) fn receive(&mut self, pool: &mut Pool, deadline: Time, sink: Sink<'_>) -> io::Result<usize> {
        if !self.wait(deadline)? {
            return Ok(0);
        }
        let mut shown = 0;
        for i in 0..self.sockets.len() {
            if self.polled[i].revents != 0 {
                let local = self.locals[i];
                shown += self.inbox.read(self.polled[i].fd, local, pool, &mut *sink, &mut self.stats)?;
            }
        }
        Ok(shown)
    }

    /// Waits; whether anything is ready.
    fn wait(&mut self, deadline: Time) -> io::Result<bool> {
        let timeout = timeout(deadline);
        let timeout = timeout.as_ref().map_or(core::ptr::null(), |t| t as *const _);
        self.stats.syscalls += 1;
        self.fired = false;
        // SAFETY: `polled` is a live array of the length given; `timeout` is null or points to a live timespec.
        let ready =
            unsafe { libc::ppoll(self.polled.as_mut_ptr(), self.polled.len() as _, timeout, core::ptr::null()) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) };
        }
        for watched in &mut self.polled[self.sockets.len()..] {
            self.fired |= watched.revents != 0;
            if watched.revents & libc::POLLNVAL != 0 {
                watched.fd = -1; // Closed by its owner: a negative descriptor is not polled.
            }
        }
        Ok(ready > 0)
    }

    pub(crate) fn transmit(&mut self, pool: &mut Pool, batch: &mut TxBatch) -> io::Result<()> {
        let mut known = 0;
        for socket in &mut self.sockets {
            if known == batch.trains.len() {
                break;
            }
            let local = socket.local;
            for train in batch.trains.iter().filter(|t| t.path.local == local) {
                known += 1;
                let first = train.first as usize;
                let packets = &batch.packets[first..first + usize::from(train.count)];
                self.outbox.push(socket, pool, train, packets, &mut self.stats);
            }
            self.outbox.flush(socket, &mut self.stats);
        }
        if known < batch.trains.len() {
            let foreign = batch.trains.iter().filter(|t| !self.locals.contains(&t.path.local));
            self.stats.tx_failed += foreign.map(|t| u64::from(t.count)).sum::<u64>();
        }
        batch.clear(pool);
        Ok(())
    }

    pub(crate) fn watch(&mut self, fd: RawFd) -> io::Result<()> {
        if self.polled.len() >= self.sockets.len() + MAX_WATCHED {
            match self.polled[self.sockets.len()..].iter_mut().find(|p| p.fd < 0) {
                Some(free) => *free = poll_in(fd),
                None => return Err(io::Error::other("too many watched descriptors")),
            }
        } else {
            self.polled.push(poll_in(fd));
        }
        Ok(())
    }

    pub(crate) fn unwatch(&mut self, fd: RawFd) {
        let sockets = self.sockets.len();
        if let Some(at) = self.polled[sockets..].iter().position(|p| p.fd == fd) {
            self.polled.swap_remove(sockets + at);
        }
    }

    /// Whether a watched descriptor may be readable since the last wait.
    pub(crate) fn fired(&self) -> bool {
        self.fired
    }

    pub(crate) fn stats(&self) -> IoStats {
        self.stats
    }
}

fn poll_in(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

/// Buffers and headers for `recvmmsg`.
struct Inbox {
    buffers: Memory,
    size: usize,
    messages: Vec<libc::mmsghdr>,
    names: Vec<Name>,
    controls: Vec<ReceiveSpace>,
    /// Only pointed to by `messages`.
    _iovecs: Vec<libc::iovec>,
}

// SAFETY: the pointers in `messages` lead to the vectors and the mapping beside them, which move with the value, never
// reallocate, and are followed only inside `read`.
unsafe impl Send for Inbox {}

impl Inbox {
    fn new(size: usize) -> io::Result<Inbox> {
        // Not a power of two apart: else the first bytes of all buffers compete for the same cache set.
        let stride = size + 192;
        let buffers = Memory::new(BATCH * stride)?;
        let mut names = vec![Name::EMPTY; BATCH];
        let mut controls = vec![ReceiveSpace([0; RECEIVE_SPACE]); BATCH];
        let mut iovecs = vec![EMPTY_IOVEC; BATCH];
        let (name, control, iovec) = (names.as_mut_ptr(), controls.as_mut_ptr(), iovecs.as_mut_ptr());
        let mut messages = Vec::with_capacity(BATCH);
        for i in 0..BATCH {
            let mut header = EMPTY_MESSAGE;
            // SAFETY: each vector has BATCH elements, and `i` is below that.
            unsafe {
                *iovec.add(i) = libc::iovec { iov_base: buffers.address(i * stride).cast(), iov_len: size };
                header.msg_iov = iovec.add(i);
                header.msg_name = name.add(i).cast();
                header.msg_control = control.add(i).cast();
            }
            header.msg_iovlen = 1;
            messages.push(libc::mmsghdr { msg_hdr: header, msg_len: 0 });
        }
        Ok(Inbox { buffers, size, messages, names, controls, _iovecs: iovecs })
    }

    /// Reads a batch from `fd` and shows it.
    fn read(
        &mut self,
        fd: RawFd,
        local: SocketAddr,
        pool: &mut Pool,
        sink: Sink<'_>,
        stats: &mut IoStats,
    ) -> io::Result<usize> {
        for message in &mut self.messages {
            message.msg_hdr.msg_namelen = NAME_LEN;
            message.msg_hdr.msg_controllen = RECEIVE_SPACE as _;
        }
        stats.syscalls += 1;
        // SAFETY: every header points to a name, a control buffer and a receive buffer of the lengths it says, all owned by
        // `self` and not borrowed now; the timeout is null.
        let count = unsafe {
            let messages = self.messages.as_mut_ptr();
            libc::recvmmsg(fd, messages, BATCH as u32, libc::MSG_DONTWAIT, core::ptr::null_mut())
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if fatal(&error) { Err(error) } else { Ok(0) };
        }
        let clock = Reading::take();
        let mut shown = 0;
        for i in 0..count as usize {
            let header = &self.messages[i].msg_hdr;
            let len = self.messages[i].msg_len as usize;
            if header.msg_flags & libc::MSG_TRUNC != 0 {
                stats.rx_truncated += 1;
                continue;
            }
            let Some(remote) = self.names[i].get() else { continue };
            let control = cmsg::read(&self.controls[i].0[..header.msg_controllen.min(RECEIVE_SPACE)]);
            let path = Path { transport: Transport::Udp, local, remote };
            let bytes = self.buffers.slice_mut(i * (self.size + 192), len.min(self.size));
            shown +=
                show::message(path, clock.received(control.stamp), bytes, control.segment, pool, &mut *sink, stats);
        }
        Ok(shown)
    }
}

/// Whether a receive error means that the socket is of no use any more; others concern single packets (ICMP errors) or a
/// moment (no memory).
pub(crate) fn fatal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK | libc::EFAULT | libc::EINVAL))
}
