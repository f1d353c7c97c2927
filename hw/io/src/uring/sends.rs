//! Sends in flight: a slab whose entries stay where they are until the kernel is done with them.
//!
//! An entry holds all that the kernel reads: message header, address, segment size, iovecs; and the pool slots that the
//! iovecs name, which go back to the pool when the send completes.

use crate::addr::Name;
use crate::cmsg::Segment;
use crate::outbox::{EMPTY_IOVEC, EMPTY_MESSAGE, iovec};
use core::net::SocketAddr;
use io_uring::{opcode, squeue, types};
use plenum_packet::io::MAX_TRAIN;
use plenum_packet::{Buf, Pool};

/// Sends that can be queued or in flight. When all are taken, the queue is submitted and completes at once.
pub(super) const SENDS: usize = 256;

/// One send.
struct Send {
    header: libc::msghdr,
    name: Name,
    control: Segment,
    packets: [libc::iovec; MAX_TRAIN],
    bufs: [Option<Buf>; MAX_TRAIN],
    socket: u16,
}

/// All sends.
pub(super) struct Sends {
    entries: Vec<Send>,
    /// The last one given back is taken first: it is still in the cache.
    free: Vec<u16>,
}

// SAFETY: the pointers in an entry lead into the same entry, which never moves, and into pool slots that the entry owns.
// They are followed by the kernel alone, inside calls made by the thread that owns this value.
unsafe impl core::marker::Send for Sends {}

impl Sends {
    pub(super) fn new() -> Sends {
        let entry = || Send {
            header: EMPTY_MESSAGE,
            name: Name::EMPTY,
            control: Segment::new(0),
            packets: [EMPTY_IOVEC; MAX_TRAIN],
            bufs: [const { None }; MAX_TRAIN],
            socket: 0,
        };
        Sends { entries: (0..SENDS).map(|_| entry()).collect(), free: (0..SENDS as u16).rev().collect() }
    }

    /// Whether no entry is free.
    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Takes the packets (at most [`MAX_TRAIN`]) into a free entry and returns its index; `None` when no entry is free or no
    /// packet is there.
    pub(super) fn add(
        &mut self,
        socket: u16,
        remote: &SocketAddr,
        segment: u16,
        packets: &mut [Option<Buf>],
        pool: &Pool,
    ) -> Option<u16> {
        if packets.iter().all(Option::is_none) {
            return None;
        }
        let index = self.free.pop()?;
        let entry = &mut self.entries[usize::from(index)];
        let mut count = 0;
        for buf in packets.iter_mut().filter_map(Option::take) {
            entry.packets[count] = iovec(pool, &buf);
            entry.bufs[count] = Some(buf);
            count += 1;
        }
        entry.socket = socket;
        entry.control = Segment::new(segment);
        let name_len = entry.name.set(remote);
        entry.header = EMPTY_MESSAGE;
        entry.header.msg_name = (&raw mut entry.name).cast();
        entry.header.msg_namelen = name_len;
        entry.header.msg_iov = entry.packets.as_mut_ptr();
        entry.header.msg_iovlen = count as _;
        if count > 1 {
            entry.header.msg_control = (&raw mut entry.control).cast();
            entry.header.msg_controllen = size_of::<Segment>() as _;
        }
        Some(index)
    }

    /// The operation that sends an entry. `plain`: a single packet goes without its message header.
    pub(super) fn operation(&self, index: u16, plain: bool) -> squeue::Entry {
        let entry = &self.entries[usize::from(index)];
        let socket = types::Fixed(u32::from(entry.socket));
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        if plain && entry.header.msg_iovlen == 1 {
            let libc::iovec { iov_base, iov_len } = entry.packets[0];
            return opcode::Send::new(socket, iov_base.cast(), iov_len as u32)
                .flags(flags)
                .dest_addr((&raw const entry.name).cast())
                .dest_addr_len(entry.header.msg_namelen)
                .build();
        }
        opcode::SendMsg::new(socket, &raw const entry.header).flags(flags as u32).build()
    }

    /// The socket and the message header of an entry.
    pub(super) fn get(&self, index: u16) -> Option<(u16, &libc::msghdr)> {
        self.entries.get(usize::from(index)).map(|entry| (entry.socket, &entry.header))
    }

    /// Gives an entry's slots back to the pool and frees it. Only after its completion.
    pub(super) fn release(&mut self, index: u16, pool: &mut Pool) {
        let entry = &mut self.entries[usize::from(index)];
        let count = entry.header.msg_iovlen;
        entry.bufs[..count].iter_mut().filter_map(Option::take).for_each(|buf| pool.free(buf));
        entry.header.msg_iovlen = 0;
        self.free.push(index);
        debug_assert!(self.free.len() <= SENDS, "an entry given back twice");
    }
}
