//! A fixed pool of packet slots in one page-aligned region.
//!
//! Every slot is [`SLOT_SIZE`] bytes; a [`Buf`] is the only owner of its slot and must be given back with
//! [`Pool::free`]. A [`PacketRef`] is a weak, copyable reference: it stops resolving when its slot is freed, because the
//! slot's generation moves on. So a queued plan never keeps a packet alive, and never reads another packet's bytes.
//!
//! The region is allocated once (an I/O back-end may register it with the kernel, or lay it over a UMEM) and its pages
//! never move. Nothing is allocated after [`Pool::new`].

use core::fmt;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// Bytes in a slot: an Ethernet MTU of payload, headroom for our own headers, and tailroom for the SRTP tag. A power of
/// two that divides a page, as AF_XDP demands of its frames.
pub const SLOT_SIZE: usize = 2048;

/// Bytes in front of a received packet in its slot: room for link, network and RTX headers that are written later.
pub const HEADROOM: usize = 128;

/// Exclusive ownership of one slot and the range of it that holds a packet.
///
/// Not `Clone`: giving it back twice is impossible. Dropping it without [`Pool::free`] leaks the slot; the pool's
/// [`Pool::in_use`] count shows that, and the simulation asserts on it.
#[must_use = "a dropped Buf leaks its slot; give it back with Pool::free"]
#[derive(PartialEq, Eq)]
pub struct Buf {
    slot: u32,
    start: u16,
    len: u16,
}

impl Buf {
    /// The slot's index in the region.
    pub fn slot(&self) -> u32 {
        self.slot
    }
    /// Offset of the packet's first byte in the slot.
    pub fn start(&self) -> usize {
        usize::from(self.start)
    }
    /// Bytes of the packet.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }
    /// Whether the packet has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Sets the packet's range in the slot.
    ///
    /// # Panics
    /// If the range does not lie in the slot: a broken invariant of ours, never of the network.
    pub fn set_range(&mut self, start: usize, len: usize) {
        assert!(start + len <= SLOT_SIZE, "range {start}+{len} outside of a slot");
        self.start = start as u16;
        self.len = len as u16;
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf#{}[{}..+{}]", self.slot, self.start, self.len)
    }
}

/// A weak reference to a packet in a slot. `Copy`, 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRef {
    slot: u32,
    generation: u32,
    start: u16,
    len: u16,
}

impl PacketRef {
    /// The part of the referenced packet from `offset`, `len` bytes; `None` when that is not inside it.
    pub fn slice(self, offset: usize, len: usize) -> Option<PacketRef> {
        if offset + len > usize::from(self.len) {
            return None;
        }
        Some(PacketRef { start: self.start + offset as u16, len: len as u16, ..self })
    }
    /// Bytes referenced.
    pub fn len(self) -> usize {
        usize::from(self.len)
    }
    /// Whether no bytes are referenced.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// The slots, their free list and their generations.
pub struct Pool {
    base: *mut u8,
    layout: Layout,
    free: Vec<u32>,
    generations: Vec<u32>,
}

// SAFETY: the pool owns its region exclusively; the pointer is only read or written through `&self` and `&mut self`.
unsafe impl Send for Pool {}

impl Pool {
    /// A pool of `slots` slots, zeroed, page-aligned.
    ///
    /// # Panics
    /// If `slots` is zero or the region's size overflows; aborts when memory is out (start-up only).
    pub fn new(slots: usize) -> Pool {
        assert!(slots > 0 && slots < u32::MAX as usize, "pool of {slots} slots");
        let layout = Layout::from_size_align(slots * SLOT_SIZE, 4096).expect("pool size");
        // SAFETY: the layout has a size above zero.
        let base = unsafe { alloc_zeroed(layout) };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        let free = (0..slots as u32).rev().collect();
        Pool { base, layout, free, generations: vec![0; slots] }
    }

    /// Takes a free slot; the packet's range starts at [`HEADROOM`] with length 0. `None` when all are in use.
    pub fn alloc(&mut self) -> Option<Buf> {
        let slot = self.free.pop()?;
        Some(Buf { slot, start: HEADROOM as u16, len: 0 })
    }

    /// Gives a slot back; every [`PacketRef`] to it stops resolving.
    pub fn free(&mut self, buf: Buf) {
        let generation = &mut self.generations[buf.slot as usize];
        *generation = generation.wrapping_add(1);
        self.free.push(buf.slot);
        debug_assert!(self.free.len() <= self.generations.len());
    }

    /// A new slot that holds a copy of `bytes` behind `headroom`; `None` when no slot is free or it does not fit.
    pub fn copy_in(&mut self, headroom: usize, bytes: &[u8]) -> Option<Buf> {
        if headroom + bytes.len() > SLOT_SIZE {
            return None;
        }
        let mut buf = self.alloc()?;
        buf.set_range(headroom, bytes.len());
        self.bytes_mut(&buf).copy_from_slice(bytes);
        Some(buf)
    }

    /// The packet's bytes.
    pub fn bytes(&self, buf: &Buf) -> &[u8] {
        &self.slot(buf.slot)[buf.start()..buf.start() + buf.len()]
    }

    /// The packet's bytes, writable.
    pub fn bytes_mut(&mut self, buf: &Buf) -> &mut [u8] {
        &mut self.slot_bytes_mut(buf)[buf.start()..buf.start() + buf.len()]
    }

    /// The whole slot, writable: headroom, packet and tailroom.
    pub fn slot_bytes_mut(&mut self, buf: &Buf) -> &mut [u8; SLOT_SIZE] {
        self.slot_mut(buf.slot)
    }

    /// A weak reference to the packet in `buf`.
    pub fn reference(&self, buf: &Buf) -> PacketRef {
        PacketRef { slot: buf.slot, generation: self.generations[buf.slot as usize], start: buf.start, len: buf.len }
    }

    /// The bytes that `reference` names, or `None` when its slot was freed since.
    pub fn get(&self, reference: PacketRef) -> Option<&[u8]> {
        if *self.generations.get(reference.slot as usize)? != reference.generation {
            return None;
        }
        let start = usize::from(reference.start);
        Some(&self.slot(reference.slot)[start..start + reference.len()])
    }

    /// Copies the bytes that `reference` names to offset `at` of `buf`'s slot; how many, or `None` when `reference` is
    /// stale or does not fit. Never overlaps: a live reference and an owned `buf` of the same slot may only meet when
    /// the caller copies a packet onto itself, which is allowed.
    pub fn copy_from(&mut self, reference: PacketRef, buf: &Buf, at: usize) -> Option<usize> {
        if *self.generations.get(reference.slot as usize)? != reference.generation {
            return None;
        }
        let len = reference.len();
        if at + len > SLOT_SIZE {
            return None;
        }
        let from = reference.slot as usize * SLOT_SIZE + usize::from(reference.start);
        let to = buf.slot as usize * SLOT_SIZE + at;
        // SAFETY: both ranges lie in the region (the slots are indices of this pool, the ranges were checked against
        // SLOT_SIZE), and `copy` allows them to overlap. `&mut self` excludes every other access.
        unsafe { core::ptr::copy(self.base.add(from), self.base.add(to), len) };
        Some(len)
    }

    /// The region, for registering with the kernel: base address and length in bytes.
    pub fn region(&self) -> (*mut u8, usize) {
        (self.base, self.layout.size())
    }

    /// How many slots exist.
    pub fn capacity(&self) -> usize {
        self.generations.len()
    }

    /// How many slots are taken.
    pub fn in_use(&self) -> usize {
        self.generations.len() - self.free.len()
    }

    fn slot(&self, slot: u32) -> &[u8; SLOT_SIZE] {
        assert!((slot as usize) < self.generations.len(), "slot of another pool");
        // SAFETY: the slot's range lies in the region (asserted), which lives as long as `self`; `&self` excludes writers.
        unsafe { &*self.base.add(slot as usize * SLOT_SIZE).cast() }
    }

    fn slot_mut(&mut self, slot: u32) -> &mut [u8; SLOT_SIZE] {
        assert!((slot as usize) < self.generations.len(), "slot of another pool");
        // SAFETY: as in `slot`; `&mut self` excludes every other access.
        unsafe { &mut *self.base.add(slot as usize * SLOT_SIZE).cast() }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: `base` came from `alloc_zeroed` with this layout and is freed once.
        unsafe { dealloc(self.base, self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_stops_resolving_when_its_slot_is_given_back() {
        let mut pool = Pool::new(2);
        let buf = pool.copy_in(HEADROOM, b"hello").unwrap();
        let hello = pool.reference(&buf);
        assert_eq!(pool.get(hello), Some(&b"hello"[..]));
        assert_eq!(pool.get(hello.slice(1, 3).unwrap()), Some(&b"ell"[..]));
        assert_eq!(hello.slice(3, 3), None);
        pool.free(buf);
        assert_eq!(pool.get(hello), None);
        let again = pool.copy_in(HEADROOM, b"other").unwrap();
        assert_eq!(pool.get(hello), None);
        pool.free(again);
    }

    #[test]
    fn an_empty_pool_says_so_and_recovers() {
        let mut pool = Pool::new(1);
        let buf = pool.alloc().unwrap();
        assert!(pool.alloc().is_none());
        assert_eq!(pool.in_use(), 1);
        pool.free(buf);
        let buf = pool.alloc().unwrap();
        pool.free(buf);
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_payload_is_copied_between_slots_without_leaving_them() {
        let mut pool = Pool::new(2);
        let from = pool.copy_in(HEADROOM, &[7; 1200]).unwrap();
        let to = pool.alloc().unwrap();
        let reference = pool.reference(&from);
        assert_eq!(pool.copy_from(reference, &to, SLOT_SIZE - 1199), None);
        assert_eq!(pool.copy_from(reference, &to, 12), Some(1200));
        assert_eq!(&pool.slot_bytes_mut(&to)[12..1212], &[7; 1200]);
        pool.free(from);
        assert_eq!(pool.copy_from(reference, &to, 12), None);
        pool.free(to);
    }

    #[test]
    fn what_is_larger_than_a_slot_is_refused() {
        let mut pool = Pool::new(1);
        assert!(pool.copy_in(HEADROOM, &[0; SLOT_SIZE]).is_none());
        assert_eq!(pool.in_use(), 0);
    }
}
