//! Receive buffers that the kernel picks from: a provided-buffer ring, and the layout of a multishot `recvmsg`.
//!
//! A buffer is either in the ring (the kernel's) or taken (ours, between its completion and [`Buffers::give_back`]).

use super::ring::Ring;
use crate::addr::Name;
use crate::cmsg::{self, Control, RECEIVE_SPACE};
use crate::memory::Memory;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU16, Ordering};
use io_uring::types::BufRingEntry;
use std::io;

/// Buffers of a shard. Larger: longer bursts are taken without re-arming. Each costs 64 KiB of address space, and of memory
/// what arrived in it.
pub(super) const BUFFERS: u16 = 128;
/// The group under which the kernel knows them.
pub(super) const GROUP: u16 = 0;
const _: () = assert!(BUFFERS.is_power_of_two());

/// Bytes before the payload: the kernel's header, the sender's address, control messages.
const HEADER: usize = 16;
const NAME: usize = 32;
const PAYLOAD: usize = HEADER + NAME + RECEIVE_SPACE;

/// The message header that asks for this layout.
pub(super) fn request() -> libc::msghdr {
    let mut header = crate::outbox::EMPTY_MESSAGE;
    header.msg_namelen = NAME as u32;
    header.msg_controllen = RECEIVE_SPACE as _;
    header
}

/// One received message in its buffer.
pub(super) struct Message<'a> {
    pub(super) truncated: bool,
    pub(super) remote: Option<SocketAddr>,
    pub(super) control: Control,
    pub(super) payload: &'a mut [u8],
}

/// The buffers and the ring that offers them.
pub(super) struct Buffers {
    ring: Memory,
    memory: Memory,
    /// Payload bytes of a buffer.
    size: usize,
    stride: usize,
    tail: u16,
}

impl Buffers {
    /// Makes buffers for payloads of `size` bytes and registers them with `ring`, which must be dropped before them.
    pub(super) fn new(size: usize, ring: &Ring) -> io::Result<Buffers> {
        // Not a power of two apart: else the first bytes of all buffers compete for the same cache set.
        let stride = size + 192;
        let mut buffers = Buffers {
            ring: Memory::new(usize::from(BUFFERS) * size_of::<BufRingEntry>())?,
            memory: Memory::new(usize::from(BUFFERS) * stride)?,
            size,
            stride,
            tail: 0,
        };
        let address = buffers.ring.address(0) as u64;
        // SAFETY: the mapping is page-aligned, holds BUFFERS entries, and lives until after the ring is gone.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, BUFFERS, GROUP, 0)? };
        for id in 0..BUFFERS {
            buffers.give_back(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// Offers a taken buffer again; the kernel sees it after [`Buffers::publish`].
    pub(super) fn give_back(&mut self, id: u16) {
        let slot = usize::from(self.tail & (BUFFERS - 1));
        let entry: *mut BufRingEntry = self.ring.address(slot * size_of::<BufRingEntry>()).cast();
        let address = self.memory.address(usize::from(id) * self.stride);
        // SAFETY: the entry lies in the mapping, is aligned (16 bytes each from a page's start), and is not the kernel's: there
        // are as many entries as buffers, and this buffer is ours. The tail, which shares the first entry, is not written.
        unsafe {
            (*entry).set_addr(address as u64);
            (*entry).set_len((PAYLOAD + self.size) as u32);
            (*entry).set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was given back.
    pub(super) fn publish(&mut self) {
        // SAFETY: the base is the address of the first entry, initialised (zeroed) memory.
        let tail = unsafe { BufRingEntry::tail(self.ring.address(0).cast()) };
        // SAFETY: a live, aligned u16 in the mapping that the kernel only reads.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }

    /// The message of `len` bytes in all that the kernel put into the taken buffer `id`; `None` when it makes no sense.
    pub(super) fn message(&mut self, id: u16, len: usize) -> Option<Message<'_>> {
        if id >= BUFFERS {
            return None;
        }
        let bytes = self.memory.slice_mut(usize::from(id) * self.stride, len.min(PAYLOAD + self.size));
        parse(bytes)
    }
}

/// Takes a multishot `recvmsg` result apart: lengths of address, control and payload, flags; then these three.
fn parse(bytes: &mut [u8]) -> Option<Message<'_>> {
    let (head, payload) = bytes.split_at_mut_checked(PAYLOAD)?;
    let field = |at: usize| head[at..].first_chunk().map(|b| u32::from_ne_bytes(*b));
    let (control_len, payload_len, flags) = (field(4)? as usize, field(8)? as usize, field(12)? as i32);
    let remote = Name::parse(&head[HEADER..HEADER + NAME]);
    let control = cmsg::read(&head[HEADER + NAME..][..control_len.min(RECEIVE_SPACE)]);
    let len = payload_len.min(payload.len());
    let truncated = flags & libc::MSG_TRUNC != 0 || payload_len > payload.len();
    Some(Message { truncated, remote, control, payload: &mut payload[..len] })
}

/// Takes any bytes apart.
pub(crate) fn parse_any(bytes: &mut [u8]) {
    let len = bytes.len();
    assert!(parse(bytes).is_none_or(|message| message.payload.len() <= len));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_nothing(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let len = bytes.len();
            match parse(&mut bytes) {
                Some(message) => prop_assert!(message.payload.len() <= len - PAYLOAD),
                None => prop_assert!(len < PAYLOAD),
            }
        }
    }
}
