//! Messages for `sendmmsg`, and the rules for a send that fails.
//!
//! A train is one message whose iovecs name its packets in their pool slots and whose control message says where to cut
//! (UDP_SEGMENT). When the kernel refuses a train as a whole, its packets are sent one by one; a packet that it refuses is
//! counted and the next one goes on.

use crate::addr::Name;
use crate::cmsg::Segment;
use crate::socket::UdpSocket;
use plenum_packet::io::{IoStats, MAX_TRAIN, MAX_TRAIN_BYTES};
use plenum_packet::{Buf, Pool, Train};
use std::os::fd::RawFd;

/// Messages in one `sendmmsg`. More gain nothing: the call itself is a small part of 64 sends.
const MAX_MESSAGES: usize = 64;
/// Packets in one `sendmmsg`: at least one full train, and small enough to stay in the nearest cache.
const MAX_PACKETS: usize = 512;
const _: () = assert!(MAX_PACKETS >= MAX_TRAIN);

/// A message that names nothing.
pub(crate) const EMPTY_MESSAGE: libc::msghdr = libc::msghdr {
    msg_name: core::ptr::null_mut(),
    msg_namelen: 0,
    msg_iov: core::ptr::null_mut(),
    msg_iovlen: 0,
    msg_control: core::ptr::null_mut(),
    msg_controllen: 0,
    msg_flags: 0,
};
/// An iovec of no bytes.
pub(crate) const EMPTY_IOVEC: libc::iovec = libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };

/// The iovec of a packet in its slot.
pub(crate) fn iovec(pool: &Pool, buf: &Buf) -> libc::iovec {
    let bytes = pool.bytes(buf);
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// Whether `train` may leave as one send from a socket that can.
pub(crate) fn one_send(train: &Train) -> bool {
    let count = usize::from(train.count);
    count > 1 && train.segment > 0 && count <= MAX_TRAIN && count * usize::from(train.segment) <= MAX_TRAIN_BYTES
}

/// Whether an error says that the kernel does not want a train in one piece here: no checksum offload (EIO), a segment
/// that is longer than the path allows (EINVAL, and EMSGSIZE since Linux 6.14).
pub(crate) fn refuses_trains(errno: i32) -> bool {
    matches!(errno, libc::EIO | libc::EINVAL | libc::EMSGSIZE)
}

/// What `sendmmsg` is to send, reused for ever. The pointers in it are written anew for every call.
pub(crate) struct Outbox {
    messages: Vec<libc::mmsghdr>,
    names: Vec<Name>,
    controls: Vec<Segment>,
    packets: Vec<libc::iovec>,
}

// SAFETY: the pointers in `messages` and `packets` are only followed inside `flush`, by the thread that filled them.
unsafe impl Send for Outbox {}

impl Outbox {
    pub(crate) fn new() -> Outbox {
        Outbox {
            messages: Vec::with_capacity(MAX_MESSAGES),
            names: Vec::with_capacity(MAX_MESSAGES),
            controls: Vec::with_capacity(MAX_MESSAGES),
            packets: Vec::with_capacity(MAX_PACKETS),
        }
    }

    /// Adds `train`, sending first what stands in its way.
    pub(crate) fn push(
        &mut self,
        socket: &mut UdpSocket,
        pool: &Pool,
        train: &Train,
        packets: &[Option<Buf>],
        stats: &mut IoStats,
    ) {
        if socket.gso && one_send(train) {
            self.message(socket, train, packets.iter().flatten().map(|b| iovec(pool, b)), stats);
        } else {
            for buf in packets.iter().flatten() {
                self.message(socket, train, core::iter::once(iovec(pool, buf)), stats);
            }
        }
    }

    fn message(
        &mut self,
        socket: &mut UdpSocket,
        train: &Train,
        packets: impl Iterator<Item = libc::iovec>,
        stats: &mut IoStats,
    ) {
        if self.messages.len() == MAX_MESSAGES || self.packets.len() + MAX_TRAIN > MAX_PACKETS {
            self.flush(socket, stats);
        }
        let first = self.packets.len();
        self.packets.extend(packets);
        let count = self.packets.len() - first;
        if count == 0 {
            return;
        }
        let mut name = Name::EMPTY;
        let mut header = EMPTY_MESSAGE;
        header.msg_namelen = name.set(&train.path.remote);
        header.msg_iovlen = count as _;
        header.msg_controllen = if count > 1 { size_of::<Segment>() as _ } else { 0 };
        self.names.push(name);
        self.controls.push(Segment::new(train.segment));
        self.messages.push(libc::mmsghdr { msg_hdr: header, msg_len: 0 });
    }

    /// Sends everything added since the last flush. The packets' slots must still be as they were.
    pub(crate) fn flush(&mut self, socket: &mut UdpSocket, stats: &mut IoStats) {
        let mut packet = 0;
        for (i, message) in self.messages.iter_mut().enumerate() {
            let header = &mut message.msg_hdr;
            header.msg_name = (&raw mut self.names[i]).cast();
            header.msg_iov = &raw mut self.packets[packet];
            if header.msg_controllen > 0 {
                header.msg_control = (&raw mut self.controls[i]).cast();
            }
            packet += header.msg_iovlen;
        }
        let mut at = 0;
        while at < self.messages.len() {
            match send(socket.fd(), &mut self.messages[at..], stats) {
                Ok(sent) => at += sent,
                Err(libc::EINTR) => {}
                Err(errno) => {
                    let header = &self.messages[at].msg_hdr;
                    if header.msg_iovlen > 1 && refuses_trains(errno) {
                        socket.gso &= errno != libc::EIO;
                        // SAFETY: the header's pointers were set above, to memory that lives until the end of this call.
                        unsafe { send_each(socket.fd(), header, stats) };
                    } else {
                        stats.tx_failed += header.msg_iovlen as u64;
                    }
                    at += 1;
                }
            }
        }
        self.messages.clear();
        self.names.clear();
        self.controls.clear();
        self.packets.clear();
    }
}

/// One `sendmmsg`: how many messages the kernel took, at least one, or why it did not take the first.
fn send(fd: RawFd, messages: &mut [libc::mmsghdr], stats: &mut IoStats) -> Result<usize, i32> {
    stats.syscalls += 1;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every message's name, iovecs and control point to memory that its caller keeps alive and unchanged for the
    // duration of the call (`Outbox::flush`, `send_each`).
    let result = unsafe { libc::sendmmsg(fd, messages.as_mut_ptr(), messages.len() as u32, flags) };
    if result <= 0 {
        return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
    }
    for message in &messages[..result as usize] {
        stats.tx_packets += message.msg_hdr.msg_iovlen as u64;
        stats.tx_bytes += u64::from(message.msg_len);
    }
    Ok(result as usize)
}

/// Sends the packets of a refused train one by one; how many the kernel took.
///
/// # Safety
/// `train`'s name and iovecs must point to live memory, and each iovec too.
pub(crate) unsafe fn send_each(fd: RawFd, train: &libc::msghdr, stats: &mut IoStats) -> usize {
    let mut messages = [libc::mmsghdr { msg_hdr: EMPTY_MESSAGE, msg_len: 0 }; MAX_TRAIN];
    let count = train.msg_iovlen.min(MAX_TRAIN);
    for (i, message) in messages[..count].iter_mut().enumerate() {
        message.msg_hdr.msg_name = train.msg_name;
        message.msg_hdr.msg_namelen = train.msg_namelen;
        // SAFETY: `i` is below the number of iovecs, which the caller vouches for.
        message.msg_hdr.msg_iov = unsafe { train.msg_iov.add(i) };
        message.msg_hdr.msg_iovlen = 1;
    }
    let (mut at, mut taken) = (0, 0);
    while at < count {
        match send(fd, &mut messages[at..count], stats) {
            Ok(sent) => (at, taken) = (at + sent, taken + sent),
            Err(libc::EINTR) => {}
            Err(_) => {
                stats.tx_failed += 1;
                at += 1;
            }
        }
    }
    taken
}
