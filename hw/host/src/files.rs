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

/// Runs `make` with the process's umask set to `mask`. For start-up, before other threads make files.
pub fn with_umask<T>(mask: u32, make: impl FnOnce() -> T) -> T {
    // SAFETY: umask cannot fail and touches no memory.
    let former = unsafe { libc::umask(mask as libc::mode_t) };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::umask(former) };
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_wait_ends_when_something_can_be_read() {
        use std::io::Write;
        let (a, mut b) = UnixStream::pair().unwrap();
        b.write_all(b"x").unwrap();
        poll(&[(a.as_raw_fd(), false)], Duration::from_secs(3600)).unwrap();
    }
}
