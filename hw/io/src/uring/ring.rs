//! The io_uring instance: opening it as we need it, entering it, queueing operations.
//!
//! SINGLE_ISSUER and DEFER_TASKRUN: completions are made only inside our own call to `io_uring_enter`, so nothing interrupts
//! a shard, and the kernel touches our memory only then. The ring is made disabled and enabled by the first thread that uses
//! it, which alone may use it from then on.

use crate::socket;
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, opcode, squeue};
use plenum_packet::Time;
use std::io;
use std::os::fd::RawFd;

/// Operations that can be queued for one submit.
const SUBMISSIONS: u32 = 512;
/// Completions that can wait: more than all operations that can be in flight, so that the queue never overflows.
const COMPLETIONS: u32 = 2048;

/// The ring and what is queued in it.
pub(super) struct Ring {
    ring: IoUring,
    enabled: bool,
    /// System calls so far.
    pub(super) syscalls: u64,
}

impl Ring {
    /// Makes a ring that knows `sockets` by their index.
    pub(super) fn open(sockets: &[RawFd]) -> io::Result<Ring> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_submit_all()
            .setup_r_disabled()
            .setup_cqsize(COMPLETIONS)
            .dontfork()
            .build(SUBMISSIONS)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [
            opcode::RecvMsgMulti::CODE,
            opcode::SendMsg::CODE,
            opcode::Send::CODE,
            opcode::PollAdd::CODE,
            opcode::PollRemove::CODE,
        ];
        if !ring.params().is_feature_ext_arg() || needed.iter().any(|&code| !probe.is_supported(code)) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel's io_uring lacks what we need"));
        }
        if !sockets.is_empty() {
            ring.submitter().register_files(sockets)?;
        }
        Ok(Ring { ring, enabled: false, syscalls: 0 })
    }

    /// The ring for registering memory.
    pub(super) fn submitter(&self) -> io_uring::Submitter<'_> {
        self.ring.submitter()
    }

    /// Binds the ring to the calling thread at its first use.
    pub(super) fn enable(&mut self) -> io::Result<()> {
        if !self.enabled {
            self.ring.submitter().register_enable_rings()?;
            self.enabled = true;
        }
        Ok(())
    }

    /// Queues an operation; `false` when the queue is full, and [`Ring::enter`] must make room.
    ///
    /// # Safety
    /// What `entry` points to must live, in place, until its completion.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: the caller vouches for the memory that the entry names.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    /// Submits what is queued, lets the kernel complete what it can, and waits for `want` completions, not beyond `deadline`.
    pub(super) fn enter(&mut self, want: u32, deadline: Time) -> io::Result<()> {
        let queued = self.ring.submission().len() as u32;
        self.syscalls += 1;
        let timeout = if want > 0 { socket::timeout(deadline) } else { None };
        let submitter = self.ring.submitter();
        let result = match timeout {
            Some(ts) => {
                let ts = Timespec::new().sec(ts.tv_sec as u64).nsec(ts.tv_nsec as u32);
                let args = SubmitArgs::new().timespec(&ts);
                let flags = (EnterFlags::GETEVENTS | EnterFlags::EXT_ARG).bits();
                // SAFETY: with EXT_ARG the argument is an io_uring_getevents_arg, which SubmitArgs is; it and the timespec that
                // it names outlive the call.
                unsafe { submitter.enter(queued, want, flags, Some(&args)) }
            }
            // SAFETY: without an argument nothing is pointed to.
            None => unsafe { submitter.enter::<libc::sigset_t>(queued, want, EnterFlags::GETEVENTS.bits(), None) },
        };
        match result {
            Ok(_) => Ok(()),
            // The deadline passed, a signal came, or the kernel wants completions reaped first.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) => {
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    /// The next completion.
    pub(super) fn pop(&mut self) -> Option<io_uring::cqueue::Entry> {
        self.ring.completion().next()
    }
}

/// Ends everything in flight, so that sockets are closed when their owner closes them: the kernel itself takes a ring apart
/// some milliseconds later, and keeps the ports until then. What is queued and was not submitted never leaves.
impl Drop for Ring {
    fn drop(&mut self) {
        let submitter = self.ring.submitter();
        if self.enabled {
            // Fails on another thread than the one that used the ring; then the kernel's own way has to do.
            let timeout = Timespec::new().nsec(100_000_000);
            let _ = submitter.register_sync_cancel(Some(timeout), CancelBuilder::any());
            // SAFETY: nothing is submitted and without an argument nothing is pointed to: lets cancelled operations finish.
            let _ = unsafe { submitter.enter::<libc::sigset_t>(0, 0, EnterFlags::GETEVENTS.bits(), None) };
        }
        let _ = submitter.unregister_files();
    }
}
