//! Limits of the process, and who is at the other end of a Unix socket.

use crate::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Raises the number of files we may open to the most that is allowed; returns that number.
///
/// # Errors
/// If the limit cannot be read or set.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit to write to.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a valid rlimit to read from.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    }
    Ok(limit.rlim_cur)
}

/// The process at the other end of a connected Unix socket, as it was when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Its process id (0 when it is not visible from our namespace).
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// Asks the kernel who connected (SO_PEERCRED).
///
/// # Errors
/// If `socket` is not a connected Unix socket.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let value = (&raw mut peer).cast();
    // SAFETY: `value` points to a ucred of `len` bytes.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value, &raw mut len) })?;
    if peer.uid == u32::MAX {
        // What a socket that nobody connected answers.
        return Err(io::Error::from(io::ErrorKind::NotConnected));
    }
    Ok(PeerCredentials { pid: peer.pid, uid: peer.uid, gid: peer.gid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn raising_the_limit_twice_says_the_same() {
        let limit = raise_open_files().unwrap();
        assert!(limit >= 256);
        assert_eq!(raise_open_files().unwrap(), limit);
    }

    #[test]
    fn we_are_at_the_other_end_of_our_own_pair() {
        let (a, _b) = UnixStream::pair().unwrap();
        let peer = peer_credentials(a.as_fd()).unwrap();
        assert_eq!(peer.pid as u32, std::process::id());
        // SAFETY: these calls read nothing and cannot fail.
        assert_eq!((peer.uid, peer.gid), unsafe { (libc::geteuid(), libc::getegid()) });
    }

    #[test]
    fn sockets_without_a_peer_process_have_no_credentials() {
        let lonely = UnixDatagram::unbound().unwrap();
        assert!(peer_credentials(lonely.as_fd()).is_err());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(peer_credentials(udp.as_fd()).is_err());
    }
}
