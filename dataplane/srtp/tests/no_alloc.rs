//! Nothing is allocated per packet after warm-up. One test alone, because the counter belongs to the whole program.

mod common;

use common::{master, rtcp, rtp};
use plenum_packet::{HEADROOM, Pool};
use plenum_srtp::{Backend, Job, Opener, Sealer, Suite};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, which is the same.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn sealing_and_opening_allocate_nothing_after_warm_up() {
    for &backend in Backend::available() {
        let mut pool = Pool::new(64);
        let mut sealer = Sealer::with_backend(backend);
        let mut sides: Vec<_> = (0..9)
            .map(|seed| {
                let master = master(Suite::ALL[usize::from(seed) % 3], seed);
                (sealer.insert(&master), Opener::with_backend(&master, backend))
            })
            .collect();
        let packets: Vec<_> = (0..40u64).map(|index| rtp(5, index, 20 + 29 * index as usize)).collect();
        let report = rtcp(5, 60);
        let mut jobs = Vec::with_capacity(sides.len());

        let mut tick = |index: usize| {
            for (key, _) in &sides {
                let buf = pool.copy_in(HEADROOM, &packets[index]).unwrap();
                jobs.push(Job::new(*key, buf, 12, index as u64));
            }
            sealer.protect(&mut pool, &mut jobs);
            for (job, (key, opener)) in jobs.drain(..).zip(&mut sides) {
                assert!(job.result.is_ok());
                assert!(opener.open_rtp(5, index as u16, 12, pool.bytes_mut(&job.buf)).is_ok());
                pool.free(job.buf);
                let mut buf = pool.copy_in(HEADROOM, &report).unwrap();
                sealer.protect_rtcp(*key, &mut pool, &mut buf).unwrap();
                assert!(opener.open_rtcp(pool.bytes_mut(&buf)).is_ok());
                pool.free(buf);
            }
        };
        tick(0);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (1..packets.len()).for_each(&mut tick);
        let after = ALLOCATIONS.load(Ordering::Relaxed);
        assert_eq!(after - before, 0, "allocations on {}", backend.name());
    }
}
