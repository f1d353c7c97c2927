//! A received message, shown as the packets it consists of.

use plenum_packet::io::IoStats;
use plenum_packet::{Datagram, Path, Pool, Time};

/// Where the shard takes datagrams.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&mut Pool, Datagram<'_>);

/// Shows `bytes`, split where the kernel joined packets (`segment` bytes each, the last may be shorter). Returns how many
/// there were. An empty datagram is one packet of no bytes.
pub(crate) fn message(
    path: Path,
    received: Time,
    bytes: &mut [u8],
    segment: Option<u16>,
    pool: &mut Pool,
    sink: Sink<'_>,
    stats: &mut IoStats,
) -> usize {
    stats.rx_bytes += bytes.len() as u64;
    let segment = segment.map_or(bytes.len(), usize::from);
    if segment == 0 || segment >= bytes.len() {
        stats.rx_packets += 1;
        sink(pool, Datagram { path, received, bytes });
        return 1;
    }
    let mut shown = 0;
    for packet in bytes.chunks_mut(segment) {
        shown += 1;
        sink(pool, Datagram { path, received, bytes: packet });
    }
    stats.rx_packets += shown as u64;
    shown
}
