//! Buffers and their pool, datagrams, the [`PacketIo`] trait, time and unit types.
//!
//! Everything that both the data plane's libraries and the I/O back-ends must agree on, and nothing else. This crate
//! reads no clock, opens no socket and starts no thread: time and bytes come in as arguments. `unsafe` stands only in
//! [`pool`], where slots are handed out of one region that an I/O back-end may register with the kernel.

pub mod drops;
pub mod io;
pub mod pool;
pub mod time;
pub mod units;

pub use drops::{DropCounts, DropReason};
pub use io::{Datagram, PacketIo, Path, Train, Transport, TxBatch};
pub use pool::{Buf, HEADROOM, PacketRef, Pool, SLOT_SIZE};
pub use time::Time;
pub use units::Bitrate;
