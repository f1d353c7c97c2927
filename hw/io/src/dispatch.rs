//! One shard's I/O: a UDP back-end chosen at start, and the waker.
//!
//! Dispatch is by enum: the compiler sees both back-ends, and a shard holds one value whatever was chosen.

use crate::mmsg::Mmsg;
use crate::socket::{Options, UdpSocket};
use crate::waker::Waker;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use plenum_packet::io::IoStats;
use plenum_packet::{Datagram, PacketIo, Pool, Time, TxBatch};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Which UDP back-end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// `uring` where the kernel allows it, else `mmsg`.
    #[default]
    Auto,
    /// io_uring (Linux 6.1).
    Uring,
    /// `recvmmsg` and `sendmmsg`.
    Mmsg,
}

/// Neither `auto`, `uring` nor `mmsg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKind;

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected auto, uring or mmsg")
    }
}

impl std::error::Error for UnknownKind {}

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Kind, UnknownKind> {
        match text {
            "auto" => Ok(Kind::Auto),
            "uring" => Ok(Kind::Uring),
            "mmsg" => Ok(Kind::Mmsg),
            _ => Err(UnknownKind),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Auto => "auto",
            Kind::Uring => "uring",
            Kind::Mmsg => "mmsg",
        })
    }
}

enum Udp {
    Mmsg(Box<Mmsg>),
}

/// A shard's sockets.
pub struct Io {
    udp: Udp,
    waker: Waker,
    tcp_addrs: Vec<SocketAddr>,
}

impl Io {
    /// Opens a UDP socket for every address of `udp` and a TCP listener for every address of `tcp`. Port 0 lets the kernel
    /// choose; a TCP address with port 0 takes the port of the UDP socket on the same IP address.
    ///
    /// # Errors
    /// If an address cannot be bound, a limit of the process is reached, or `kind` is not possible here.
    pub fn open(kind: Kind, udp: &[SocketAddr], tcp: &[SocketAddr], options: Options) -> io::Result<Io> {
        if kind == Kind::Uring || !tcp.is_empty() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "not supported yet: uring, TCP"));
        }
        let waker = Waker::new()?;
        let sockets = udp.iter().map(|a| UdpSocket::open(*a, &options)).collect::<io::Result<Vec<_>>>()?;
        let mut mmsg = Mmsg::new(sockets, &options)?;
        mmsg.watch(waker.as_raw_fd())?;
        Ok(Io { udp: Udp::Mmsg(Box::new(mmsg)), waker, tcp_addrs: Vec::new() })
    }

    /// The back-end in use: `uring` or `mmsg`.
    pub fn back_end(&self) -> &'static str {
        match &self.udp {
            Udp::Mmsg(_) => "mmsg",
        }
    }

    /// The addresses of the TCP listeners, with their real ports.
    pub fn tcp_addrs(&self) -> &[SocketAddr] {
        &self.tcp_addrs
    }

    /// A handle with which other threads end a wait.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Stops watching `fd`; call it before closing the descriptor.
    pub fn unwatch(&mut self, fd: RawFd) {
        match &mut self.udp {
            Udp::Mmsg(io) => io.unwatch(fd),
        }
    }
}

impl PacketIo for Io {
    fn local_addrs(&self) -> &[SocketAddr] {
        match &self.udp {
            Udp::Mmsg(io) => io.local_addrs(),
        }
    }

    fn receive(
        &mut self,
        pool: &mut Pool,
        deadline: Time,
        sink: &mut dyn FnMut(&mut Pool, Datagram<'_>),
    ) -> io::Result<usize> {
        let (shown, fired) = match &mut self.udp {
            Udp::Mmsg(io) => (io.receive(pool, deadline, sink)?, io.fired()),
        };
        if fired {
            self.waker.clear();
        }
        Ok(shown)
    }

    fn transmit(&mut self, pool: &mut Pool, batch: &mut TxBatch) -> io::Result<()> {
        match &mut self.udp {
            Udp::Mmsg(io) => io.transmit(pool, batch),
        }
    }

    fn watch(&mut self, fd: RawFd) -> io::Result<()> {
        match &mut self.udp {
            Udp::Mmsg(io) => io.watch(fd),
        }
    }

    fn stats(&self) -> IoStats {
        match &self.udp {
            Udp::Mmsg(io) => io.stats(),
        }
    }
}
