//! Queues of one class: one per slot, served in turns by bytes (deficit round robin).
//!
//! All queues of a pacer share one store of linked nodes, so that memory follows what waits in total. Slots with items
//! form a ring of their own; an idle slot costs nothing. No limit is kept here.

use super::{Paced, Popped};
use plenum_packet::Time;

/// "None" of a node or slot index.
const NIL: u32 = u32::MAX;
/// Bytes that a slot may send in a turn. At least the largest packet, so that every turn sends something.
const QUANTUM: i32 = 2048;

#[derive(Debug)]
struct Node<T> {
    item: T,
    queued: Time,
    next: u32,
}

/// The nodes of all queues.
#[derive(Debug)]
pub(super) struct Store<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    used: usize,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Store { nodes: Vec::new(), free: NIL, used: 0 }
    }
}

impl<T: Paced> Store<T> {
    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn insert(&mut self, item: T, queued: Time) -> u32 {
        self.used += 1;
        let node = Node { item, queued, next: NIL };
        if self.free == NIL {
            self.nodes.push(node);
            return self.nodes.len() as u32 - 1;
        }
        let at = self.free;
        self.free = self.nodes[at as usize].next;
        self.nodes[at as usize] = node;
        at
    }

    /// The item at `at`, and the node behind it.
    fn remove(&mut self, at: u32) -> (Popped<T>, u32) {
        self.used -= 1;
        let node = &mut self.nodes[at as usize];
        let next = core::mem::replace(&mut node.next, self.free);
        self.free = at;
        (Popped { item: node.item, queued: node.queued }, next)
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    head: u32,
    tail: u32,
    /// The slot behind this one in the ring; meaningful while it has items.
    next: u32,
    deficit: i32,
    /// The rest of this frame is not wanted any more.
    refused: Option<u32>,
}

const IDLE: Slot = Slot { head: NIL, tail: NIL, next: NIL, deficit: 0, refused: None };

/// The queues of one class.
#[derive(Debug)]
pub(super) struct Rings {
    slots: Vec<Slot>,
    first: u32,
    last: u32,
    bytes: usize,
}

impl Default for Rings {
    fn default() -> Self {
        Rings { slots: Vec::new(), first: NIL, last: NIL, bytes: 0 }
    }
}

impl Rings {
    pub(super) fn is_empty(&self) -> bool {
        self.first == NIL
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push<T: Paced>(&mut self, store: &mut Store<T>, now: Time, item: T) {
        let slot = usize::from(item.slot());
        if slot >= self.slots.len() {
            self.slots.resize(slot + 1, IDLE);
        }
        self.bytes += item.size();
        let node = store.insert(item, now);
        let queue = &mut self.slots[slot];
        if queue.head == NIL {
            *queue = Slot { head: node, deficit: QUANTUM, ..*queue };
            self.enter(slot as u32);
        } else {
            store.nodes[queue.tail as usize].next = node;
        }
        self.slots[slot].tail = node;
    }

    /// The next item in turn.
    pub(super) fn pop<T: Paced>(&mut self, store: &mut Store<T>) -> Option<Popped<T>> {
        if self.first == NIL {
            return None;
        }
        while self.slots[self.first as usize].deficit <= 0 {
            self.slots[self.first as usize].deficit += QUANTUM;
            let slot = self.first;
            self.leave_first();
            self.enter(slot);
        }
        let slot = self.first as usize;
        let (popped, next) = store.remove(self.slots[slot].head);
        self.bytes -= popped.item.size();
        self.slots[slot].deficit -= popped.item.size() as i32;
        self.slots[slot].head = next;
        if next == NIL {
            self.leave_first();
        }
        Some(popped)
    }

    /// The slot whose first item waits longest, and since when.
    pub(super) fn oldest<T: Paced>(&self, store: &Store<T>) -> Option<(u16, Time)> {
        let mut oldest: Option<(u16, Time)> = None;
        let mut slot = self.first;
        while slot != NIL {
            let entry = &self.slots[slot as usize];
            let queued = store.nodes[entry.head as usize].queued;
            if oldest.is_none_or(|(_, at)| queued < at) {
                oldest = Some((slot as u16, queued));
            }
            slot = entry.next;
        }
        oldest
    }

    /// The first item of `slot`.
    pub(super) fn head<'a, T: Paced>(&self, store: &'a Store<T>, slot: u16) -> Option<&'a T> {
        let head = self.slots.get(usize::from(slot))?.head;
        store.nodes.get(head as usize).map(|node| &node.item)
    }

    /// Takes the first item of `slot` out of its turn.
    pub(super) fn drop_head<T: Paced>(&mut self, store: &mut Store<T>, slot: u16) -> Option<T> {
        let entry = self.slots.get_mut(usize::from(slot)).filter(|s| s.head != NIL)?;
        let (popped, next) = store.remove(entry.head);
        entry.head = next;
        self.bytes -= popped.item.size();
        if next == NIL {
            self.leave(u32::from(slot));
        }
        Some(popped.item)
    }

    /// From now on the rest of `frame` is refused in `slot`.
    pub(super) fn refuse(&mut self, slot: u16, frame: Option<u32>) {
        if let Some(entry) = self.slots.get_mut(usize::from(slot)) {
            entry.refused = frame;
        }
    }

    /// Whether `frame` was refused. Another frame ends the refusal.
    pub(super) fn refuses(&mut self, slot: u16, frame: u32) -> bool {
        let Some(entry) = self.slots.get_mut(usize::from(slot)) else { return false };
        if entry.refused.is_some_and(|refused| refused != frame) {
            entry.refused = None;
        }
        entry.refused.is_some()
    }

    fn enter(&mut self, slot: u32) {
        self.slots[slot as usize].next = NIL;
        match self.last {
            NIL => self.first = slot,
            last => self.slots[last as usize].next = slot,
        }
        self.last = slot;
    }

    fn leave_first(&mut self) {
        self.first = self.slots[self.first as usize].next;
        if self.first == NIL {
            self.last = NIL;
        }
    }

    fn leave(&mut self, slot: u32) {
        if self.first == slot {
            return self.leave_first();
        }
        let mut before = self.first;
        while before != NIL && self.slots[before as usize].next != slot {
            before = self.slots[before as usize].next;
        }
        if before != NIL {
            self.slots[before as usize].next = self.slots[slot as usize].next;
            if self.last == slot {
                self.last = before;
            }
        }
    }
}

#[cfg(test)]
impl<T> Store<T> {
    pub(super) fn footprint(&self) -> usize {
        self.nodes.capacity()
    }
}

#[cfg(test)]
impl Rings {
    pub(super) fn footprint(&self) -> usize {
        self.slots.capacity()
    }
}
