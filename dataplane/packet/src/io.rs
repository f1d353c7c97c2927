//! Datagrams, trains, and the trait that every I/O back-end implements.
//!
//! Receive buffers belong to the back-end and never outlive the call that shows them. Send buffers are pool slots: a
//! back-end owns them from [`PacketIo::transmit`] until the kernel has them, and then gives them back to the pool.
//! Made so that a UMEM can be the pool and an XDP ring the socket.

use crate::{Buf, Pool, Time};
use core::net::SocketAddr;
use std::io;
use std::os::fd::RawFd;

/// What carries a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// A UDP datagram.
    Udp,
    /// A frame of RFC 4571 in a TCP stream (RFC 6544).
    Tcp,
}

/// A way to a peer: our address and theirs. The key under which a session is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// UDP or TCP.
    pub transport: Transport,
    /// Our address: the socket that received, and sends.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// One received packet. A train that the kernel joined (UDP GRO) is shown as its packets, one by one.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from and where it arrived.
    pub path: Path,
    /// When the kernel received it, if it says so, else when the batch was reaped.
    pub received: Time,
    /// Its payload; decrypted in place.
    pub bytes: &'a mut [u8],
}

/// Packets to one peer that leave together: every one `segment` bytes long but the last, which may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct Train {
    /// Where they go.
    pub path: Path,
    /// Index of the first packet in [`TxBatch::packets`].
    pub first: u32,
    /// Number of packets, at least 1.
    pub count: u16,
    /// Bytes of each packet but the last, which is at most that long.
    pub segment: u16,
}

/// What one tick sends. Filled by a shard, emptied by a back-end; both vectors keep their capacity.
#[derive(Debug, Default)]
pub struct TxBatch {
    /// The packets, those of a train side by side. A back-end takes them with [`Option::take`].
    pub packets: Vec<Option<Buf>>,
    /// The trains, in sending order.
    pub trains: Vec<Train>,
}

/// Most packets in a train: the kernel's UDP_MAX_SEGMENTS is 64 (128 since Linux 6.9); 64 × 1200 B also stays below 64 KiB
/// only up to 54 packets, so the byte limit below rules for full ones.
pub const MAX_TRAIN: usize = 64;
/// Most bytes in a train: what fits into one IPv4 packet with its headers.
pub const MAX_TRAIN_BYTES: usize = 65_000;

impl TxBatch {
    /// Adds a packet, to the last train when it goes the same way and fits behind it.
    pub fn push(&mut self, path: Path, buf: Buf) {
        let len = buf.len();
        if let Some(train) = self.trains.last_mut() {
            let count = usize::from(train.count);
            let segment = usize::from(train.segment);
            let last = self.packets.last().and_then(|b| b.as_ref()).map_or(0, Buf::len);
            if train.path == path
                && last == segment
                && len <= segment
                && len > 0
                && count < MAX_TRAIN
                && (count + 1) * segment <= MAX_TRAIN_BYTES
            {
                train.count += 1;
                self.packets.push(Some(buf));
                return;
            }
        }
        let first = self.packets.len() as u32;
        self.packets.push(Some(buf));
        self.trains.push(Train { path, first, count: 1, segment: len as u16 });
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.trains.is_empty()
    }

    /// Gives every packet still here back to `pool` and empties the batch.
    pub fn clear(&mut self, pool: &mut Pool) {
        for buf in self.packets.drain(..).flatten() {
            pool.free(buf);
        }
        self.trains.clear();
    }
}

/// Counters of a back-end, all since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received (UDP payload).
    pub rx_bytes: u64,
    /// Packets handed to the kernel.
    pub tx_packets: u64,
    /// Bytes handed to the kernel (UDP payload).
    pub tx_bytes: u64,
    /// Packets that the kernel refused.
    pub tx_failed: u64,
    /// Datagrams longer than a receive buffer, dropped.
    pub rx_truncated: u64,
    /// System calls (`sendmsg`, `io_uring_enter`, …).
    pub syscalls: u64,
}

/// An I/O back-end: one shard's sockets.
///
/// Contract, checked for every back-end by the same tests in `hw/io`: packets of a train arrive in order; nothing is
/// truncated silently; after [`PacketIo::transmit`] the batch is empty, and each of its buffers is back in the pool at
/// once or after a later [`PacketIo::receive`]; a failed send is counted, and never stops the ones behind it.
pub trait PacketIo {
    /// The addresses this back-end receives at.
    fn local_addrs(&self) -> &[SocketAddr];

    /// Waits until something arrives, a watched descriptor is readable, or `deadline` has passed (not at all when it lies
    /// in the past), then shows the datagrams that are there (at most a batch) to `sink`. Completed sends go back to `pool`.
    /// Returns how many datagrams were shown.
    ///
    /// # Errors
    /// Only what makes the back-end unusable; errors of single packets are counted.
    fn receive(
        &mut self,
        pool: &mut Pool,
        deadline: Time,
        sink: &mut dyn FnMut(&mut Pool, Datagram<'_>),
    ) -> io::Result<usize>;

    /// Sends the batch and empties it. A back-end may let it leave with the next [`PacketIo::receive`], which a loop calls
    /// right after; before an end, call that once more with a deadline in the past. `pool` is the same in all these calls.
    ///
    /// # Errors
    /// As for [`PacketIo::receive`].
    fn transmit(&mut self, pool: &mut Pool, batch: &mut TxBatch) -> io::Result<()>;

    /// Makes `fd`'s readability end a wait. The caller reads it.
    ///
    /// # Errors
    /// If the kernel refuses to watch it.
    fn watch(&mut self, fd: RawFd) -> io::Result<()>;

    /// Counters since start.
    fn stats(&self) -> IoStats;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path {
            transport: Transport::Udp,
            local: "127.0.0.1:4000".parse().unwrap(),
            remote: format!("127.0.0.1:{port}").parse().unwrap(),
        }
    }

    fn batch_of(sizes: &[(u16, usize)]) -> (Pool, TxBatch) {
        let mut pool = Pool::new(256);
        let mut batch = TxBatch::default();
        for &(port, size) in sizes {
            let buf = pool.copy_in(HEADROOM_FOR_TEST, &vec![0; size]).unwrap();
            batch.push(path(port), buf);
        }
        (pool, batch)
    }
    const HEADROOM_FOR_TEST: usize = 64;

    #[test]
    fn equal_packets_to_one_peer_form_a_train_and_a_shorter_one_ends_it() {
        let (mut pool, mut batch) = batch_of(&[(1, 100), (1, 100), (1, 60), (1, 60), (2, 60)]);
        let shape: Vec<_> = batch.trains.iter().map(|t| (t.path.remote.port(), t.count, t.segment)).collect();
        assert_eq!(shape, [(1, 3, 100), (1, 1, 60), (2, 1, 60)]);
        batch.clear(&mut pool);
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_longer_packet_starts_a_new_train() {
        let (mut pool, mut batch) = batch_of(&[(1, 60), (1, 100)]);
        assert_eq!(batch.trains.len(), 2);
        batch.clear(&mut pool);
    }

    #[test]
    fn a_train_has_at_most_64_packets_and_65000_bytes() {
        let (mut pool, mut batch) = batch_of(&[(1, 100); 65]);
        assert_eq!(batch.trains.iter().map(|t| t.count).collect::<Vec<_>>(), [64, 1]);
        batch.clear(&mut pool);
        let (mut pool, mut batch) = batch_of(&[(1, 1200); 60]);
        assert_eq!(batch.trains[0].count, 54);
        batch.clear(&mut pool);
    }
}
