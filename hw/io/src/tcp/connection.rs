//! One TCP connection: reading frames, and a send queue that is bounded in bytes.
//!
//! A frame that has begun to leave always leaves whole; one that does not fit into the queue never begins. So the stream
//! stays in step however slow the peer is.

use super::framing::{Deframer, LENGTH, length};
use crate::outbox::{EMPTY_IOVEC, EMPTY_MESSAGE};
use plenum_packet::io::{IoStats, MAX_TRAIN};
use plenum_packet::{Buf, Path, Pool, Time};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};

/// An accepted stream and its times.
pub(super) struct Live {
    stream: TcpStream,
    /// The path its packets carry.
    pub(super) path: Path,
    /// When it came.
    pub(super) accepted: Time,
    /// When bytes last came.
    pub(super) heard: Time,
    /// Whether the shard ever sent something back: it does so only to peers that proved who they are.
    pub(super) answered: bool,
}

/// What happened to a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes on.
    Open,
    /// The peer ended it, or it broke.
    Closed,
}

/// A place for a connection. Its buffers outlive the connections that come and go.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) live: Option<Live>,
    /// Counted up at every close, so that an event for a former connection is recognised.
    pub(super) generation: u32,
    /// Whether the poller is to tell when the stream takes bytes again.
    pub(super) wants_writable: bool,
    deframer: Deframer,
    queue: VecDeque<u8>,
}

impl Live {
    pub(super) fn new(stream: TcpStream, path: Path, now: Time) -> Live {
        Live { stream, path, accepted: now, heard: now, answered: false }
    }

    pub(super) fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

impl Slot {
    /// Drops the connection and what it had queued. Returns its path.
    pub(super) fn close(&mut self) -> Option<Path> {
        self.deframer.reset();
        self.queue.clear();
        self.wants_writable = false;
        self.generation = self.generation.wrapping_add(1);
        self.live.take().map(|live| live.path)
    }

    /// Whether something waits to be sent.
    pub(super) fn is_blocked(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Reads once and shows the frames. `scratch` is longer than what a deframer holds.
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        now: Time,
        stats: &mut IoStats,
        mut frame: impl FnMut(Path, &mut [u8], &mut IoStats),
    ) -> Outcome {
        let Some(live) = &mut self.live else { return Outcome::Closed };
        let held = self.deframer.held().len();
        scratch[..held].copy_from_slice(self.deframer.held());
        stats.syscalls += 1;
        match live.stream.read(&mut scratch[held..]) {
            Ok(0) => Outcome::Closed,
            Ok(n) => {
                live.heard = now;
                let path = live.path;
                let too_long = self.deframer.feed(&mut scratch[..held + n], |bytes| frame(path, bytes, stats));
                stats.rx_truncated += too_long;
                Outcome::Open
            }
            Err(e) if is_momentary(&e) => Outcome::Open,
            Err(_) => Outcome::Closed,
        }
    }

    /// Sends what is queued, as far as the stream takes it.
    pub(super) fn flush(&mut self, stats: &mut IoStats) -> Outcome {
        while !self.queue.is_empty() {
            let Some(live) = &self.live else { return Outcome::Closed };
            let (front, back) = self.queue.as_slices();
            let mut parts = [iovec(front), iovec(back)];
            match send(live.fd(), &mut parts, stats) {
                Ok(0) => break,
                Ok(n) => drop(self.queue.drain(..n)),
                Err(_) => return Outcome::Closed,
            }
        }
        Outcome::Open
    }

    /// Sends packets as frames: at once what the stream takes, later what fits into `limit` bytes of queue; the rest is
    /// dropped, whole frames each.
    pub(super) fn transmit(
        &mut self,
        pool: &Pool,
        packets: &[Option<Buf>],
        limit: usize,
        stats: &mut IoStats,
    ) -> Outcome {
        let Some(live) = &mut self.live else { return Outcome::Closed };
        live.answered = true;
        let fd = live.fd();
        for packets in packets.chunks(MAX_TRAIN) {
            let mut done = 0;
            if self.queue.is_empty() {
                match send_frames(fd, pool, packets, stats) {
                    Ok(bytes) => done = bytes,
                    Err(_) => {
                        stats.tx_failed += packets.iter().flatten().count() as u64;
                        return Outcome::Closed;
                    }
                }
            }
            for bytes in packets.iter().flatten().map(|buf| pool.bytes(buf)) {
                let frame = LENGTH + bytes.len();
                if done < frame && !self.enqueue(bytes, done, limit) {
                    stats.tx_failed += 1;
                } else {
                    stats.tx_packets += 1;
                    stats.tx_bytes += bytes.len() as u64;
                }
                done = done.saturating_sub(frame);
            }
        }
        Outcome::Open
    }

    /// Queues a frame of which the first `sent` bytes have left; false when it does not fit. One that has begun to leave
    /// meets an empty queue, which has room for any frame.
    fn enqueue(&mut self, bytes: &[u8], sent: usize, limit: usize) -> bool {
        if self.queue.len() + LENGTH + bytes.len() > limit {
            debug_assert!(sent == 0, "a frame torn apart");
            return false;
        }
        let length = length(bytes.len());
        self.queue.extend(&length[sent.min(LENGTH)..]);
        self.queue.extend(&bytes[sent.saturating_sub(LENGTH)..]);
        true
    }
}

/// Sends frames with one call; how many bytes left.
fn send_frames(fd: RawFd, pool: &Pool, packets: &[Option<Buf>], stats: &mut IoStats) -> io::Result<usize> {
    let mut lengths = [[0u8; LENGTH]; MAX_TRAIN];
    let mut parts = [EMPTY_IOVEC; 2 * MAX_TRAIN];
    let mut count = 0;
    for (bytes, length_here) in packets.iter().flatten().map(|buf| pool.bytes(buf)).zip(&mut lengths) {
        *length_here = length(bytes.len());
        parts[count] = iovec(&length_here[..]);
        parts[count + 1] = iovec(bytes);
        count += 2;
    }
    send(fd, &mut parts[..count], stats)
}

fn iovec(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// One `sendmsg`; 0 when the stream takes nothing now. The iovecs must name live bytes: all callers build them from
/// slices that they still borrow.
fn send(fd: RawFd, parts: &mut [libc::iovec], stats: &mut IoStats) -> io::Result<usize> {
    let mut message = EMPTY_MESSAGE;
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    stats.syscalls += 1;
    // SAFETY: the message names `parts`, whose iovecs name slices that the callers in this file borrow during the call.
    let sent = unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    if sent >= 0 {
        return Ok(sent as usize);
    }
    let error = io::Error::last_os_error();
    if is_momentary(&error) { Ok(0) } else { Err(error) }
}

fn is_momentary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(libc::ENOBUFS)
}
