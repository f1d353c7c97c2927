//! Ends a shard's wait from another thread: an eventfd.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Wakes the thread that waits in [`PacketIo::receive`](plenum_packet::PacketIo::receive). Cheap to clone; may be used
/// from any thread, also after the back-end is gone.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker of one's own, to be watched with [`PacketIo::watch`](plenum_packet::PacketIo::watch); a back-end brings one
    /// already ([`Io::waker`](crate::Io::waker)).
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn new() -> io::Result<Waker> {
        // SAFETY: no pointers are involved.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        Ok(Waker(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Ends the present wait, or the next one when nobody waits. Several calls before that count as one.
    pub fn wake(&self) {
        let one = 1u64;
        // SAFETY: eight readable bytes. The only failure is a full counter (EAGAIN), which wakes as well.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Makes the descriptor quiet again. A back-end does it for the waker that it brings.
    pub fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight writable bytes. EAGAIN (nobody woke us) leaves them alone.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
