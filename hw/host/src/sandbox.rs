//! A filter of system calls for a program that handles hostile bytes, and its weight beside others.
//!
//! What is not in the list fails as if it were not permitted: the program may compute, wait, use the memory and the descriptors
//! that it has, and end. It opens no file and no socket, starts no program and no thread, looks into no other process, and makes
//! no memory executable. The filter cannot be taken off.

use crate::check;
use std::io;

/// System calls that stay. Beside these, `mmap` and `mprotect` without `PROT_EXEC`.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_futex,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const THIRD_ARGUMENT: u32 = 32;

#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xc000_00b7;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const HAS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn step(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// The filter as the kernel reads it.
fn filter() -> Vec<libc::sock_filter> {
    let refuse = step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    let allow = step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW);
    let mut steps = vec![
        step(LOAD, 0, 0, ARCHITECTURE),
        step(EQUAL, 1, 0, OURS),
        step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(LOAD, 0, 0, NUMBER),
    ];
    for number in ALLOWED {
        steps.extend([step(EQUAL, 0, 1, *number as u32), allow]);
    }
    for number in [libc::SYS_mmap, libc::SYS_mprotect] {
        steps.extend([
            step(EQUAL, 0, 4, number as u32),
            step(LOAD, 0, 0, THIRD_ARGUMENT),
            step(HAS, 0, 1, libc::PROT_EXEC as u32),
            refuse,
            allow,
        ]);
    }
    steps.push(refuse);
    steps
}

/// Whom a filter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confine {
    /// Every thread that the process has; it can have no others afterwards.
    Process,
    /// The calling thread alone.
    Thread,
}

/// Takes away every system call that computing does not need. For ever.
///
/// # Errors
/// When the kernel has no seccomp filters or refuses ours; then nothing is confined.
pub fn confine(whom: Confine) -> io::Result<()> {
    let steps = filter();
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_ptr().cast_mut() };
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let flags = if whom == Confine::Process { libc::SECCOMP_FILTER_FLAG_TSYNC } else { 0 };
    // SAFETY: `program` describes `steps`, and both outlive the call; the kernel copies and checks the program.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER as libc::c_long, flags, &raw const program)
    };
    match result {
        0 => Ok(()),
        1.. => Err(io::Error::other("a thread could not be confined")),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the calling thread, and those that it starts, less weight than others have: `level` 1 to 19. It yields where cores are
/// shared and is not starved.
///
/// # Errors
/// When the kernel refuses.
pub fn yield_to_others(level: i32) -> io::Result<()> {
    // SAFETY: takes numbers only; 0 is the calling thread.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, level.clamp(1, 19)) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    #[test]
    fn who_is_confined_computes_waits_and_rings_and_opens_nothing() {
        let (ours, theirs) = crate::Bell::pair().unwrap();
        let confined = std::thread::spawn(move || {
            if let Err(error) = confine(Confine::Thread) {
                // A kernel without filters, or a container that keeps them to itself.
                println!("skipped: {error}");
                theirs.ring();
                return None;
            }
            let refused = |kind: io::Result<()>| kind.unwrap_err().kind() == io::ErrorKind::PermissionDenied;
            let file = refused(std::fs::File::open("/etc/passwd").map(drop));
            let socket = refused(UdpSocket::bind("127.0.0.1:0").map(drop));
            let thread = std::thread::Builder::new().spawn(|| {}).is_err();
            // SAFETY: an anonymous mapping at an address of the kernel's choice replaces nothing.
            let page = unsafe {
                let protection = libc::PROT_READ | libc::PROT_EXEC;
                libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
            };
            let memory = vec![1u8; 1 << 20];
            std::thread::sleep(Duration::from_millis(1));
            theirs.ring();
            Some((file, socket, thread, page == libc::MAP_FAILED, memory.len(), crate::now() > 0))
        });
        assert!(matches!(confined.join().unwrap(), None | Some((true, true, true, true, 0x10_0000, true))));
        crate::poll(&[(std::os::fd::AsRawFd::as_raw_fd(&ours), false)], Duration::from_secs(3600)).unwrap();
        assert!(std::fs::File::open("/etc/passwd").is_ok(), "other threads are not confined");
    }

    #[test]
    fn a_thread_can_take_less_weight() {
        std::thread::spawn(|| yield_to_others(5).unwrap()).join().unwrap();
    }
}
