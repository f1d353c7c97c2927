//! No allocation per packet: counted by the global allocator, after a warm-up, for every back-end and for TCP.

mod world;

use plenum_io::{Io, Kind, Options};
use plenum_packet::{PacketIo, Path, Pool, Transport, TxBatch};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use world::{V4, open, soon};

/// Counts what the calling thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local integer without a destructor
// and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

fn exchange(from: &mut Io, to: &mut Io, pool: &mut Pool, batch: &mut TxBatch) {
    let path = Path { transport: Transport::Udp, local: from.local_addrs()[0], remote: to.local_addrs()[0] };
    for size in [1000, 1000, 1000, 200, 50, 50] {
        let buf = pool.copy_in(64, &[1; 1000][..size]).unwrap();
        batch.push(path, buf);
    }
    from.transmit(pool, batch).unwrap();
    from.receive(pool, plenum_packet::Time::ZERO, &mut |_, _| {}).unwrap();
    let mut got = 0;
    while got < 6 {
        got += to.receive(pool, soon(), &mut |_, _| {}).unwrap();
    }
}

fn datagrams(kind: Kind) {
    let (Some(mut a), Some(mut b)) =
        (open(kind, &[V4], &[], Options::default()), open(kind, &[V4], &[], Options::default()))
    else {
        return;
    };
    let (mut pool, mut batch) = (Pool::new(64), TxBatch::default());
    for _ in 0..300 {
        exchange(&mut a, &mut b, &mut pool, &mut batch);
    }
    let before = allocations();
    for _ in 0..1000 {
        exchange(&mut a, &mut b, &mut pool, &mut batch);
    }
    assert_eq!(allocations() - before, 0);
    assert_eq!(pool.in_use(), 0);
}

fn frames(kind: Kind) {
    let Some(mut io) = open(kind, &[V4], &[V4], Options::default()) else { return };
    let mut peer = TcpStream::connect(io.tcp_addrs()[0]).unwrap();
    peer.set_nodelay(true).unwrap();
    let path = Path { transport: Transport::Tcp, local: io.tcp_addrs()[0], remote: peer.local_addr().unwrap() };
    let (mut pool, mut batch) = (Pool::new(64), TxBatch::default());
    let mut frame = vec![7; 202];
    frame[..2].copy_from_slice(&200u16.to_be_bytes());
    let mut back = vec![0; 3 * 302];
    let mut turn = |pool: &mut Pool, batch: &mut TxBatch| {
        peer.write_all(&frame[..100]).unwrap();
        peer.write_all(&frame[100..]).unwrap();
        while io.receive(pool, soon(), &mut |_, d| assert_eq!(d.bytes.len(), 200)).unwrap() == 0 {}
        for _ in 0..3 {
            batch.push(path, pool.copy_in(64, &[5; 300]).unwrap());
        }
        io.transmit(pool, batch).unwrap();
        peer.read_exact(&mut back).unwrap();
    };
    (0..200).for_each(|_| turn(&mut pool, &mut batch));
    let before = allocations();
    (0..500).for_each(|_| turn(&mut pool, &mut batch));
    assert_eq!(allocations() - before, 0);
}

#[test]
fn datagrams_need_no_allocation_with_mmsg() {
    datagrams(Kind::Mmsg);
}

#[test]
fn datagrams_need_no_allocation_with_uring() {
    datagrams(Kind::Uring);
}

#[test]
fn tcp_frames_need_no_allocation_with_mmsg() {
    frames(Kind::Mmsg);
}

#[test]
fn tcp_frames_need_no_allocation_with_uring() {
    frames(Kind::Uring);
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    drop(std::hint::black_box(vec![1u8; 10]));
    assert_eq!(allocations() - before, 1);
}
