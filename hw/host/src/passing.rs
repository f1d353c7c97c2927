//! Descriptors that go to another process over a Unix socket, and bells with which two processes wake each other.
//!
//! A bell is a socket pair and not an eventfd: the flags of an eventfd are shared by both sides, so a hostile peer could make it
//! block; here each side says for each call that it does not wait. It also shows that the peer's process has ended.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Most descriptors in one message.
pub const MAX_PASSED: usize = 8;

/// Room for the control message of [`MAX_PASSED`] descriptors, aligned as its header needs it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends `bytes` with descriptors, all at once; never waits.
///
/// # Errors
/// When there are more than [`MAX_PASSED`], or the socket does not take everything now.
pub fn send_descriptors(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if descriptors.len() > MAX_PASSED {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: an all-zero msghdr is valid and empty.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if !raw.is_empty() {
        let len = size_of_val(&raw[..]) as u32;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: only computes a number; 8 descriptors need 48 bytes, and `control` has 64.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(len) } as usize;
        // SAFETY: `msg_control` points to `msg_controllen` aligned bytes, which hold one header with `len` bytes of data.
        unsafe {
            let head = libc::CMSG_FIRSTHDR(&raw const message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(len) as usize;
            std::ptr::copy_nonoverlapping(raw.as_ptr().cast(), libc::CMSG_DATA(head), len as usize);
        }
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: every pointer in `message` refers to memory that outlives the call; the kernel only reads it.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
    match usize::try_from(sent) {
        Ok(sent) if sent == bytes.len() => Ok(()),
        Ok(_) => Err(io::Error::from(io::ErrorKind::WouldBlock)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Receives at most `bytes.len()` bytes with the descriptors that came with them; waits as the socket does. Returns how many
/// bytes came, 0 at the end.
///
/// # Errors
/// What `recvmsg(2)` says, or that more than [`MAX_PASSED`] descriptors were sent.
pub fn receive_descriptors(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: an all-zero msghdr is valid and empty.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: every pointer in `message` refers to memory of the told length that outlives the call.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let mut descriptors = Vec::new();
    // SAFETY: the kernel filled `msg_control` and told its length; the macros stay within it, and each descriptor in a
    // SCM_RIGHTS message is new and ours alone.
    unsafe {
        let mut head = libc::CMSG_FIRSTHDR(&raw const message);
        while !head.is_null() {
            if ((*head).cmsg_level, (*head).cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let data: *const RawFd = libc::CMSG_DATA(head).cast();
                let count = ((*head).cmsg_len - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
                descriptors.extend((0..count).map(|i| OwnedFd::from_raw_fd(data.add(i).read_unaligned())));
            }
            head = libc::CMSG_NXTHDR(&raw const message, head);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 || descriptors.len() > MAX_PASSED {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors"));
    }
    Ok((received, descriptors))
}

/// One side of a bell: ringing it makes the other side's descriptor readable.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// Both sides.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn pair() -> io::Result<(Bell, Bell)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        Ok((Bell(ours.into()), Bell(theirs.into())))
    }

    /// The side that a peer passed.
    pub fn from_descriptor(descriptor: OwnedFd) -> Bell {
        Bell(descriptor)
    }

    /// Wakes the other side. A bell that rings already goes on ringing.
    pub fn ring(&self) {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: one readable byte. A full buffer rings as well; a peer that is gone does not mind.
        unsafe { libc::send(self.0.as_raw_fd(), [1u8].as_ptr().cast(), 1, flags) };
    }

    /// Makes the own descriptor quiet; false when the other side is gone.
    pub fn quiet(&self) -> bool {
        let mut bytes = [0u8; 256];
        loop {
            let flags = libc::MSG_DONTWAIT;
            // SAFETY: as many writable bytes as are told.
            let received = unsafe { libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), flags) };
            match received {
                0 => return false,
                256 => {}
                1.. => return true,
                _ => {
                    let error = io::Error::last_os_error().kind();
                    return matches!(error, io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
                }
            }
        }
    }

    /// Its descriptor, to be passed or watched.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.0)
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn files_go_over_a_socket_and_are_the_same_files_there() {
        let (a, b) = UnixStream::pair().unwrap();
        let mut file = crate::ring_file("passed", 4096).unwrap();
        file.write_all(b"hello").unwrap();
        send_descriptors(a.as_fd(), b"two files", &[file.as_fd(), a.as_fd()]).unwrap();
        let mut bytes = [0; 32];
        let (len, mut passed) = receive_descriptors(b.as_fd(), &mut bytes).unwrap();
        assert_eq!((&bytes[..len], passed.len()), (&b"two files"[..], 2));
        let mut same = File::from(passed.remove(0));
        same.rewind().unwrap();
        let mut text = [0; 5];
        same.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
    }

    #[test]
    fn bytes_without_descriptors_and_an_end_are_received_as_well() {
        let (a, b) = UnixStream::pair().unwrap();
        send_descriptors(a.as_fd(), b"none", &[]).unwrap();
        drop(a);
        let mut bytes = [0; 8];
        assert!(matches!(receive_descriptors(b.as_fd(), &mut bytes), Ok((4, passed)) if passed.is_empty()));
        assert!(matches!(receive_descriptors(b.as_fd(), &mut bytes), Ok((0, _))));
    }

    #[test]
    fn more_descriptors_than_are_taken_are_an_error_and_none_stays_open() {
        let (a, b) = UnixStream::pair().unwrap();
        let many = vec![a.as_fd(); MAX_PASSED + 1];
        assert!(send_descriptors(a.as_fd(), b"x", &many).is_err());
        let mut bytes = [0; 8];
        send_descriptors(a.as_fd(), b"x", &many[1..]).unwrap();
        assert_eq!(receive_descriptors(b.as_fd(), &mut bytes).unwrap().1.len(), MAX_PASSED);
    }

    #[test]
    fn a_bell_rings_until_it_is_made_quiet_and_tells_when_the_other_side_is_gone() {
        let (ours, theirs) = Bell::pair().unwrap();
        for _ in 0..100_000 {
            ours.ring();
        }
        let soon = core::time::Duration::from_secs(3600);
        crate::poll(&[(theirs.as_raw_fd(), false)], soon).unwrap();
        assert!(theirs.quiet() && theirs.quiet());
        drop(ours);
        crate::poll(&[(theirs.as_raw_fd(), false)], soon).unwrap();
        assert!(!theirs.quiet());
        theirs.ring();
    }
}
