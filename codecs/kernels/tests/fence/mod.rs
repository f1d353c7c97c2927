//! Bytes between two pages that nobody may touch: a kernel that reads beyond its view ends the test with a signal.

use std::ptr;

/// Bytes that start right behind, or end right before, memory that faults.
pub(crate) struct Fenced {
    map: *mut libc::c_void,
    mapped: usize,
    at: *const u8,
    len: usize,
}

impl Fenced {
    /// `len` bytes from `next`; the fence stands at their end, or at their start.
    pub(crate) fn new(len: usize, at_end: bool, next: &mut impl FnMut() -> u8) -> Fenced {
        // 64 KiB is a multiple of every page size in use.
        const PAGE: usize = 1 << 16;
        let inner = len.next_multiple_of(PAGE).max(PAGE);
        let mapped = inner + 2 * PAGE;
        // SAFETY: a fresh private mapping; the kernel chooses the address.
        let map = unsafe {
            libc::mmap(ptr::null_mut(), mapped, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        assert_ne!(map, libc::MAP_FAILED, "no memory to map");
        // SAFETY: the pages between the two outermost belong to the mapping above.
        let bytes = unsafe {
            let start = map.cast::<u8>().add(PAGE);
            assert_eq!(libc::mprotect(start.cast(), inner, libc::PROT_READ | libc::PROT_WRITE), 0);
            std::slice::from_raw_parts_mut(start.add(if at_end { inner - len } else { 0 }), len)
        };
        bytes.fill_with(next);
        Fenced { map, mapped, at: bytes.as_ptr(), len }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `new` made them readable; they live as long as the mapping.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no borrow of its bytes outlives `self`.
        unsafe { libc::munmap(self.map, self.mapped) };
    }
}
