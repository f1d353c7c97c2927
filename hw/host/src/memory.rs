//! How much memory there is, and hints to the kernel about ours.

use crate::check;
use std::io;
use std::path::Path;

/// Bytes of memory that this process may use: the machine's, or the lowest limit of its control groups where that is less.
pub fn memory_bytes() -> u64 {
    // SAFETY: sysconf reads no memory of ours.
    let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let machine = pages.max(0) as u64 * size.max(0) as u64;
    machine.min(group_limit().unwrap_or(u64::MAX))
}

/// The lowest memory limit of our control group (version 2) and those above it. In a container the group's own path may not
/// be visible; then the mount's root is what limits us.
fn group_limit() -> Option<u64> {
    let root = Path::new("/sys/fs/cgroup");
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or("");
    let group = root.join(group);
    let levels = group.ancestors().take_while(|level| level.starts_with(root));
    levels.filter_map(|level| std::fs::read_to_string(level.join("memory.max")).ok()?.trim().parse().ok()).min()
}

/// Bytes of memory that this process has resident now (`VmRSS`).
///
/// # Errors
/// If `/proc/self/status` cannot be read or understood.
pub fn resident_bytes() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    resident_in(&status).ok_or_else(|| io::Error::other("/proc/self/status lacks VmRSS"))
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Asks for huge pages under a region (page-aligned base, length in bytes): fewer misses of the address cache where packets
/// lie. A hint only: neither contents nor validity of the memory change, so any address may be given.
///
/// # Errors
/// If the kernel has no transparent huge pages or the range is not mapped.
pub fn advise_huge_pages(base: *const u8, len: usize) -> io::Result<()> {
    // SAFETY: MADV_HUGEPAGE never changes the contents of memory, and the kernel checks the range.
    check(unsafe { libc::madvise(base.cast_mut().cast(), len, libc::MADV_HUGEPAGE) }).map(drop)
}

/// Keeps every page that the process has in memory, so that a packet never waits for the disk. Pages that are first touched
/// later are kept from then on.
///
/// # Errors
/// If RLIMIT_MEMLOCK forbids it (systemd: `LimitMEMLOCK=infinity`); then nothing is locked, and all goes on.
pub fn lock_memory() -> io::Result<()> {
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: locking pages changes no contents.
    check(unsafe { libc::mlockall(flags) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_and_we_use_some_of_it() {
        let resident = resident_bytes().unwrap();
        assert!(memory_bytes() > 64 << 20 && resident > 0);
        assert_eq!(resident_in("VmPeak:\t 9 kB\nVmRSS:\t  16 kB\n"), Some(16 << 10));
        assert_eq!(resident_in("VmRSS: many kB"), None);
        assert_eq!(resident_in("VmRSS: 18446744073709551615 kB"), None);
    }

    #[test]
    fn a_hint_leaves_the_contents_alone() {
        let region = vec![7u8; 4 << 20];
        let base = region.as_ptr().map_addr(|a| a.next_multiple_of(4096));
        // The machine may have no huge pages: either answer is right.
        let _ = advise_huge_pages(base, 2 << 20);
        assert!(region.iter().all(|&b| b == 7));
        assert!(advise_huge_pages(core::ptr::without_provenance(4096), 4096).is_err());
    }
}
