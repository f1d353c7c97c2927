//! Opening UDP sockets as the back-ends want them.
//!
//! One socket for each local address, never shared (no SO_REUSEADDR, no SO_REUSEPORT): a second process on the same port
//! is an error at start and not a silent split of the traffic.

use crate::clock;
use core::net::SocketAddr;
use core::time::Duration;
use plenum_packet::Time;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// How a back-end is opened. [`Default`] is what a server wants.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Let the kernel join received packets of one peer (UDP_GRO, Linux 5.0). Each receive buffer then has 64 KiB.
    pub gro: bool,
    /// Send trains in one piece (UDP_SEGMENT, Linux 4.18).
    pub gso: bool,
    /// Bytes of the kernel's receive queue per socket. At 1.25 GB/s, 4 MiB are 3 ms. What the kernel grants is limited by
    /// `net.core.rmem_max` unless we have CAP_NET_ADMIN.
    pub receive_queue: usize,
    /// Bytes of the kernel's send queue per socket, limited by `net.core.wmem_max` likewise.
    pub send_queue: usize,
    /// How long opening tries again when a port that was asked for is taken. After a kill the kernel takes io_uring and the
    /// sockets in it apart some 50 ms later than the process; a port that another program holds stays taken, and is an error.
    pub port_grace: Duration,
    /// Most TCP connections at once. At the limit the oldest that never was answered gives way; when all were answered,
    /// the new one is closed.
    pub tcp_connections: usize,
    /// Most bytes that wait for one TCP peer beyond the kernel's own queue. At 2 Mbit/s, 64 KiB are a quarter of a second.
    /// At the limit whole frames are dropped and counted in `tx_failed`.
    pub tcp_queue: usize,
    /// A TCP connection to which nothing was sent this long after it came is closed: the shard answers nothing that is
    /// not authenticated.
    pub tcp_answer_timeout: Duration,
    /// A TCP connection that brought nothing for this long is closed. Consent checks (RFC 7675) come every 5 s.
    pub tcp_idle_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            gro: true,
            gso: true,
            receive_queue: 4 << 20,
            send_queue: 4 << 20,
            port_grace: Duration::from_millis(500),
            tcp_connections: 1024,
            tcp_queue: 64 << 10,
            tcp_answer_timeout: Duration::from_secs(10),
            tcp_idle_timeout: Duration::from_secs(30),
        }
    }
}

/// A bound UDP socket.
pub(crate) struct UdpSocket {
    socket: Socket,
    /// Where it is bound: the path's local address.
    pub(crate) local: SocketAddr,
    /// Whether trains leave as one send; cleared for good when the device says that it cannot (EIO).
    pub(crate) gso: bool,
}

impl UdpSocket {
    /// Binds `addr`; port 0 lets the kernel choose.
    pub(crate) fn open(addr: SocketAddr, options: &Options) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        let fd = socket.as_raw_fd();
        queue_size(fd, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, options.receive_queue)?;
        queue_size(fd, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, options.send_queue)?;
        set(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        if options.gro {
            set(fd, libc::SOL_UDP, libc::UDP_GRO, 1)?;
        }
        socket.bind(&addr.into()).map_err(|e| io::Error::new(e.kind(), format!("binding UDP {addr}: {e}")))?;
        let local = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("no IP address"))?;
        Ok(UdpSocket { socket, local, gso: options.gso })
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Sets a queue's size, past the system's limit where we may.
fn queue_size(fd: RawFd, force: i32, plain: i32, bytes: usize) -> io::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    set(fd, libc::SOL_SOCKET, force, bytes).or_else(|_| set(fd, libc::SOL_SOCKET, plain, bytes))
}

/// `setsockopt` with an integer.
pub(crate) fn set(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value points to a live i32 of the length given.
    let result = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size_of::<i32>() as u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `deadline` as the kernel takes it: relative; `None` waits for ever.
pub(crate) fn timeout(deadline: Time) -> Option<libc::timespec> {
    let left = clock::until(deadline)?;
    Some(libc::timespec { tv_sec: left.as_secs() as libc::time_t, tv_nsec: libc::c_long::from(left.subsec_nanos()) })
}
