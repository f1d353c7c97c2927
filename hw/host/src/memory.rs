//! How much memory there is.

/// Bytes of memory that this process may use: the machine's, or its cgroup's where that is less.
pub fn memory_bytes() -> u64 {
    // SAFETY: sysconf reads no memory of ours.
    let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let machine = pages.max(0) as u64 * size.max(0) as u64;
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|t| t.trim().parse().ok());
    machine.min(group.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_memory() {
        assert!(super::memory_bytes() > 64 << 20);
    }
}
