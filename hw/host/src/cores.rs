//! Cores that this process may use, and pinning to them.

use std::io;

/// Indices of the cores in this process's affinity mask.
pub fn usable_cores() -> Vec<usize> {
    // SAFETY: an all-zero cpu_set_t is a valid empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the size is the set's own; pid 0 is the calling thread.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if result != 0 {
        return vec![0];
    }
    // SAFETY: every index is below CPU_SETSIZE, the set's capacity in bits.
    (0..libc::CPU_SETSIZE as usize).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect()
}

/// Pins the calling thread to `core`.
///
/// # Errors
/// When the core does not exist or is not in the process's mask.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    if core >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("core {core} does not exist")));
    }
    // SAFETY: an all-zero cpu_set_t is a valid empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `core` is below CPU_SETSIZE, checked above.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the size is the set's own; pid 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Names the calling thread for `top` and `perf`; what is beyond 15 bytes, or behind a NUL, is cut off.
pub fn name_thread(name: &str) {
    let mut bytes = [0u8; 16];
    let wanted = name.bytes().take_while(|&b| b != 0).take(15);
    bytes.iter_mut().zip(wanted).for_each(|(to, from)| *to = from);
    // SAFETY: a NUL-terminated string of at most 16 bytes, as PR_SET_NAME reads it.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
}

/// The vector extensions that kernels may use, best first, for the log and for benchmark reports.
pub fn cpu_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        for (name, here) in [
            ("avx512vbmi", std::arch::is_x86_feature_detected!("avx512vbmi")),
            ("avx512bw", std::arch::is_x86_feature_detected!("avx512bw")),
            ("vaes", std::arch::is_x86_feature_detected!("vaes")),
            ("sha", std::arch::is_x86_feature_detected!("sha")),
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ] {
            if here {
                features.push(name);
            }
        }
    }
    #[cfg(target_arch = "aarch64")]
    features.push("neon");
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_to_a_usable_core_and_not_to_one_that_is_not_there() {
        let cores = usable_cores();
        assert!(!cores.is_empty());
        let core = cores[0];
        std::thread::spawn(move || {
            pin_to_core(core).unwrap();
            assert_eq!(usable_cores(), [core]);
        })
        .join()
        .unwrap();
        assert!(pin_to_core(100_000).is_err());
    }
    #[test]
    fn a_thread_carries_the_name_it_was_given() {
        let name = || {
            name_thread("shard 3 of very many");
            std::fs::read_to_string("/proc/thread-self/comm").unwrap()
        };
        assert_eq!(std::thread::spawn(name).join().unwrap().trim_end(), "shard 3 of very");
    }
}
