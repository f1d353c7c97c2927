//! Two ends of a loopback path for the tests: a back-end with its pool, and what it received.

#![allow(dead_code, reason = "each test program uses its part")]

use plenum_io::{Io, Kind, Options};
use plenum_packet::{PacketIo, Path, Pool, Time, Transport, TxBatch};
use std::net::SocketAddr;
use std::time::Duration;

/// IPv4 loopback, a port of the kernel's choice.
pub(crate) const V4: &str = "127.0.0.1:0";
/// IPv6 loopback, likewise.
pub(crate) const V6: &str = "[::1]:0";

/// CLOCK_MONOTONIC.
pub(crate) fn now() -> Time {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut ts) };
    Time(ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64)
}

/// Far enough away that a loaded machine delivers before, near enough that a failing test ends.
pub(crate) fn soon() -> Time {
    now() + Duration::from_secs(5)
}

/// A recognisable packet.
pub(crate) fn payload(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + seed * 13) as u8).collect()
}

/// A copy of a datagram.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) path: Path,
    pub(crate) received: Time,
    pub(crate) bytes: Vec<u8>,
}

/// A back-end and its pool.
pub(crate) struct Side {
    pub(crate) io: Io,
    pub(crate) pool: Pool,
    pub(crate) got: Vec<Got>,
}

/// Opens a back-end; `None`, with a line, where this machine has not got io_uring.
pub(crate) fn open(kind: Kind, udp: &[&str], tcp: &[&str], options: Options) -> Option<Io> {
    let parse = |addrs: &[&str]| addrs.iter().map(|a| a.parse().unwrap()).collect::<Vec<SocketAddr>>();
    match Io::open(kind, &parse(udp), &parse(tcp), options) {
        Ok(io) => Some(io),
        Err(e) if kind == Kind::Uring && e.kind() == std::io::ErrorKind::Unsupported => {
            println!("SKIPPED: no io_uring here: {e}");
            None
        }
        Err(e) => panic!("{kind}: {e}"),
    }
}

impl Side {
    pub(crate) fn new(kind: Kind, addrs: &[&str], options: Options) -> Option<Side> {
        Some(Side { io: open(kind, addrs, &[], options)?, pool: Pool::new(2048), got: Vec::new() })
    }

    pub(crate) fn with_tcp(kind: Kind, addr: &str, options: Options) -> Option<Side> {
        Some(Side { io: open(kind, &[addr], &[addr], options)?, pool: Pool::new(2048), got: Vec::new() })
    }

    pub(crate) fn pair(kind: Kind, addr: &str) -> Option<(Side, Side)> {
        Some((Side::new(kind, &[addr], Options::default())?, Side::new(kind, &[addr], Options::default())?))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.io.local_addrs()[0]
    }

    pub(crate) fn path_to(&self, other: &Side) -> Path {
        Path { transport: Transport::Udp, local: self.addr(), remote: other.addr() }
    }

    pub(crate) fn push(&mut self, batch: &mut TxBatch, to: SocketAddr, bytes: &[u8]) {
        let path = Path { transport: Transport::Udp, local: self.addr(), remote: to };
        let buf = self.pool.copy_in(plenum_packet::HEADROOM, bytes).unwrap();
        batch.push(path, buf);
    }

    /// Sends `(size, count)` runs of packets numbered through, and lets them leave.
    pub(crate) fn send(&mut self, other: &Side, runs: &[(usize, usize)]) {
        self.send_to(other.addr(), runs);
        self.settle();
    }

    pub(crate) fn send_to(&mut self, to: SocketAddr, runs: &[(usize, usize)]) {
        let mut batch = TxBatch::default();
        let mut number = 0;
        for &(size, count) in runs {
            for _ in 0..count {
                self.push(&mut batch, to, &payload(number, size));
                number += 1;
            }
        }
        self.io.transmit(&mut self.pool, &mut batch).unwrap();
        assert!(batch.is_empty() && batch.packets.is_empty());
    }

    /// Lets queued sends leave and their buffers return.
    pub(crate) fn settle(&mut self) {
        self.receive(Time::ZERO);
        assert_eq!(self.pool.in_use(), 0);
    }

    /// One `receive`; keeps what it showed.
    pub(crate) fn receive(&mut self, deadline: Time) -> usize {
        let got = &mut self.got;
        self.io
            .receive(&mut self.pool, deadline, &mut |_, d| {
                got.push(Got { path: d.path, received: d.received, bytes: d.bytes.to_vec() });
            })
            .unwrap()
    }

    /// Waits until `count` packets are there, and takes them.
    pub(crate) fn collect(&mut self, count: usize) -> Vec<Got> {
        let end = soon();
        while self.got.len() < count {
            assert!(now() < end, "{} of {count} packets came", self.got.len());
            self.receive(end);
        }
        std::mem::take(&mut self.got)
    }
}
