//! Descriptors, users and the umask.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// Waits until one of `fds` is readable (or writable, where the flag asks for it too), or `timeout` has passed.
///
/// # Errors
/// What `poll(2)` says, but for interruption by a signal, which ends the wait.
pub fn poll(fds: &[(RawFd, bool)], timeout: Duration) -> io::Result<()> {
    let mut set: Vec<libc::pollfd> = fds
        .iter()
        .map(|&(fd, write)| libc::pollfd {
            fd,
            events: if write { libc::POLLIN | libc::POLLOUT } else { libc::POLLIN },
            revents: 0,
        })
        .collect();
    let millis = timeout.as_millis().min(i32::MAX as u128) as i32;
    // SAFETY: the pointer and the count describe `set`, which outlives the call.
    let result = unsafe { libc::poll(set.as_mut_ptr(), set.len() as libc::nfds_t, millis) };
    if result >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

/// The user that the process acts as.
pub fn effective_uid() -> u32 {
    // SAFETY: geteuid cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

/// The user at the other end of a Unix socket.
///
/// # Errors
/// When `fd` is no connected Unix socket.
pub fn peer_uid(fd: RawFd) -> io::Result<u32> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers describe `credentials` and `len`, which outlive the call; the kernel writes at most `len` bytes.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut credentials).cast(), &raw mut len)
    };
    if result == 0 { Ok(credentials.uid) } else { Err(io::Error::last_os_error()) }
}

/// Runs `make` with the process's umask set to `mask`. For start-up, before other threads make files.
pub fn with_umask<T>(mask: u32, make: impl FnOnce() -> T) -> T {
    // SAFETY: umask cannot fail and touches no memory.
    let former = unsafe { libc::umask(mask as libc::mode_t) };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::umask(former) };
    made
}

/// Raises the soft limit of open files to the hard one; the limit that holds then.
pub fn raise_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 0;
    }
    let former = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit that the call reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0 { limit.rlim_max } else { former }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_peer_of_a_socket_pair_is_ourselves() {
        let (a, _b) = UnixStream::pair().unwrap();
        assert_eq!(peer_uid(a.as_raw_fd()).unwrap(), effective_uid());
        assert!(peer_uid(-1).is_err());
    }

    #[test]
    fn a_wait_ends_when_something_can_be_read() {
        use std::io::Write;
        let (a, mut b) = UnixStream::pair().unwrap();
        b.write_all(b"x").unwrap();
        poll(&[(a.as_raw_fd(), false)], Duration::from_secs(3600)).unwrap();
    }

    #[test]
    fn the_file_limit_is_the_hard_one_afterwards() {
        let limit = raise_file_limit();
        assert_eq!(raise_file_limit(), limit);
    }
}
