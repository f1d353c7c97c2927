//! Page-aligned memory that the kernel writes into.
//!
//! Mapped, so that pages which no packet ever reached cost nothing: receive buffers hold 64 KiB each, but most packets
//! touch the first page alone.

use std::io;

/// A zeroed, private mapping. Its address never changes.
pub(crate) struct Memory {
    base: *mut u8,
    len: usize,
}

// SAFETY: the mapping is owned by this value alone, and is reached through `&self` and `&mut self` only.
unsafe impl Send for Memory {}

impl Memory {
    /// `len` bytes, rounded up to pages.
    pub(crate) fn new(len: usize) -> io::Result<Memory> {
        let len = len.max(1).next_multiple_of(4096);
        // SAFETY: a new private anonymous mapping at an address of the kernel's choice touches no existing memory.
        let base = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Memory { base: base.cast(), len })
    }

    /// The address of byte `at`, for the kernel.
    pub(crate) fn address(&self, at: usize) -> *mut u8 {
        assert!(at < self.len, "offset {at} outside of a mapping");
        // SAFETY: `at` lies inside the mapping.
        unsafe { self.base.add(at) }
    }

    /// `len` bytes at `at`, which the kernel does not write to at the same time.
    ///
    /// # Panics
    /// If they do not lie in the mapping.
    pub(crate) fn slice_mut(&mut self, at: usize, len: usize) -> &mut [u8] {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len), "range outside of a mapping");
        // SAFETY: the range lies inside the mapping, which is always initialised (zeroed by the kernel) and lives as long as
        // `self`; `&mut self` excludes every other reference of ours, and the callers hand out only buffers that no receive
        // is pending on.
        unsafe { core::slice::from_raw_parts_mut(self.base.add(at), len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length and is removed once.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}
