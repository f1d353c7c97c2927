//! One shard's I/O: a UDP back-end chosen at start, the TCP connections beside it, and the waker.
//!
//! Dispatch is by enum: the compiler sees both back-ends, and a shard holds one value whatever was chosen.

use crate::clock;
use crate::mmsg::Mmsg;
use crate::socket::{Options, UdpSocket};
use crate::tcp::Tcp;
use crate::uring::{self, Uring};
use crate::waker::Waker;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use core::time::Duration;
use plenum_packet::io::IoStats;
use plenum_packet::{Datagram, PacketIo, Pool, Time, Transport, TxBatch};
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
    Uring(Box<Uring>),
}

/// Does the same with either back-end.
macro_rules! either {
    ($udp:expr, $io:ident => $what:expr) => {
        match $udp {
            Udp::Mmsg($io) => $what,
            Udp::Uring($io) => $what,
        }
    };
}

/// A shard's sockets.
pub struct Io {
    udp: Udp,
    tcp: Option<Box<Tcp>>,
    waker: Waker,
    /// Packets that nothing here could send.
    unroutable: u64,
}

/// How often other ports are tried, where the kernel chooses the UDP port and TCP has its number taken.
const PORT_TRIES: usize = 16;
/// Between two tries for a port that is still taken.
const PORT_PAUSE: Duration = Duration::from_millis(5);

impl Io {
    /// Opens a UDP socket for every address of `udp` and a TCP listener for every address of `tcp`. Port 0 lets the kernel
    /// choose; a TCP address with port 0 takes the port of the UDP socket on the same IP address, where there is one.
    ///
    /// # Errors
    /// If an address cannot be bound (the message names it), a limit of the process is reached, or `kind` is not possible
    /// here ([`io::ErrorKind::Unsupported`]).
    pub fn open(kind: Kind, udp: &[SocketAddr], tcp: &[SocketAddr], options: Options) -> io::Result<Io> {
        let end = clock::now() + options.port_grace;
        let mut tries = 0;
        let (sockets, tcp) = loop {
            tries += 1;
            match open_sockets(udp, tcp, &options) {
                Ok(opened) => break opened,
                Err(e) if e.kind() != io::ErrorKind::AddrInUse => return Err(e),
                // Another port of the kernel's choice may be free for both UDP and TCP.
                Err(_) if udp.iter().all(|a| a.port() == 0) && tries < PORT_TRIES => {}
                Err(_) if clock::now() < end => std::thread::sleep(PORT_PAUSE),
                Err(e) => return Err(e),
            }
        };
        let waker = Waker::new()?;
        let mut udp = Udp::open(kind, sockets, &options)?;
        udp.watch(waker.as_raw_fd())?;
        if let Some(tcp) = &tcp {
            udp.watch(tcp.as_raw_fd())?;
        }
        Ok(Io { udp, tcp, waker, unroutable: 0 })
    }

    /// The back-end in use: `uring` or `mmsg`.
    pub fn back_end(&self) -> &'static str {
        match &self.udp {
            Udp::Mmsg(_) => "mmsg",
            Udp::Uring(_) => "uring",
        }
    }

    /// The addresses of the TCP listeners, with their real ports.
    pub fn tcp_addrs(&self) -> &[SocketAddr] {
        self.tcp.as_ref().map_or(&[], |tcp| tcp.local_addrs())
    }

    /// How many TCP connections there are now.
    pub fn tcp_connections(&self) -> usize {
        self.tcp.as_ref().map_or(0, |tcp| tcp.connections())
    }

    /// A handle with which other threads end a wait.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Stops watching `fd`; call it before closing the descriptor.
    pub fn unwatch(&mut self, fd: RawFd) {
        either!(&mut self.udp, io => io.unwatch(fd))
    }

    /// Sends the trains to TCP peers, and takes them out of the batch.
    fn transmit_tcp(&mut self, pool: &mut Pool, batch: &mut TxBatch) {
        for train in batch.trains.iter().filter(|t| t.path.transport == Transport::Tcp) {
            let first = train.first as usize;
            let packets = &mut batch.packets[first..first + usize::from(train.count)];
            match &mut self.tcp {
                Some(tcp) => tcp.transmit(pool, &train.path, packets),
                None => self.unroutable += packets.len() as u64,
            }
            packets.iter_mut().filter_map(Option::take).for_each(|buf| pool.free(buf));
        }
        batch.trains.retain(|t| t.path.transport == Transport::Udp);
    }
}

/// Opens all sockets, TCP at the UDP sockets' port numbers where it asks for port 0.
fn open_sockets(
    udp: &[SocketAddr],
    tcp: &[SocketAddr],
    options: &Options,
) -> io::Result<(Vec<UdpSocket>, Option<Box<Tcp>>)> {
    let sockets = udp.iter().map(|a| UdpSocket::open(*a, options)).collect::<io::Result<Vec<_>>>()?;
    if tcp.is_empty() {
        return Ok((sockets, None));
    }
    let same_port = |a: &SocketAddr| match sockets.iter().find(|s| s.local.ip() == a.ip()) {
        Some(s) if a.port() == 0 => SocketAddr::new(a.ip(), s.local.port()),
        _ => *a,
    };
    let listen_at: Vec<_> = tcp.iter().map(same_port).collect();
    let tcp = Tcp::open(&listen_at, options)?;
    Ok((sockets, Some(Box::new(tcp))))
}

impl Udp {
    fn open(kind: Kind, sockets: Vec<UdpSocket>, options: &Options) -> io::Result<Udp> {
        if kind != Kind::Mmsg {
            match uring::prepare(&sockets, options) {
                Ok(prepared) => return Ok(Udp::Uring(Box::new(Uring::new(prepared, sockets)))),
                Err(_) if kind == Kind::Auto => {}
                Err(e) => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("io_uring: {e}"))),
            }
        }
        Ok(Udp::Mmsg(Box::new(Mmsg::new(sockets, options)?)))
    }

    fn watch(&mut self, fd: RawFd) -> io::Result<()> {
        either!(self, io => io.watch(fd))
    }
}

impl PacketIo for Io {
    fn local_addrs(&self) -> &[SocketAddr] {
        either!(&self.udp, io => io.local_addrs())
    }

    fn receive(
        &mut self,
        pool: &mut Pool,
        deadline: Time,
        sink: &mut dyn FnMut(&mut Pool, Datagram<'_>),
    ) -> io::Result<usize> {
        let tcp_deadline = self.tcp.as_ref().map_or(Time::NEVER, |tcp| tcp.next_timeout());
        let deadline = deadline.min(tcp_deadline);
        let (mut shown, fired) = either!(&mut self.udp, io => (io.receive(pool, deadline, sink)?, io.fired()));
        if fired {
            self.waker.clear();
        }
        if let Some(tcp) = &mut self.tcp
            && (fired || tcp_deadline != Time::NEVER && clock::now() >= tcp_deadline)
        {
            shown += tcp.receive(pool, sink)?;
        }
        Ok(shown)
    }

    fn transmit(&mut self, pool: &mut Pool, batch: &mut TxBatch) -> io::Result<()> {
        if batch.trains.iter().any(|t| t.path.transport == Transport::Tcp) {
            self.transmit_tcp(pool, batch);
        }
        either!(&mut self.udp, io => io.transmit(pool, batch))
    }

    fn watch(&mut self, fd: RawFd) -> io::Result<()> {
        self.udp.watch(fd)
    }

    fn stats(&self) -> IoStats {
        let udp = either!(&self.udp, io => io.stats());
        let tcp = self.tcp.as_ref().map_or_else(IoStats::default, |tcp| tcp.stats());
        IoStats {
            rx_packets: udp.rx_packets + tcp.rx_packets,
            rx_bytes: udp.rx_bytes + tcp.rx_bytes,
            tx_packets: udp.tx_packets + tcp.tx_packets,
            tx_bytes: udp.tx_bytes + tcp.tx_bytes,
            tx_failed: udp.tx_failed + tcp.tx_failed + self.unroutable,
            rx_truncated: udp.rx_truncated + tcp.rx_truncated,
            syscalls: udp.syscalls + tcp.syscalls,
        }
    }
}
