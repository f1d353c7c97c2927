//! Being asked to end: SIGTERM and SIGINT set a flag that a program's first thread looks at.

use crate::check;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// Lets SIGTERM and SIGINT set the flag of [`asked_to_end`] instead of ending the process, and ignores SIGPIPE and SIGHUP:
/// the process outlives the terminal and the parent that started it.
///
/// # Errors
/// When the kernel refuses a handler.
pub fn handle_end_signals() -> io::Result<()> {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        set(signal, on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t)?;
    }
    for signal in [libc::SIGPIPE, libc::SIGHUP] {
        set(signal, libc::SIG_IGN)?;
    }
    Ok(())
}

fn set(signal: libc::c_int, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: an all-zero sigaction is valid: no flags, empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: `action` is valid and outlives the call; the handler only stores to an atomic, which is async-signal-safe.
    check(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) })?;
    Ok(())
}

/// Whether SIGTERM or SIGINT arrived.
pub fn asked_to_end() -> bool {
    ASKED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_sets_the_flag_and_does_not_end_the_process() {
        handle_end_signals().unwrap();
        assert!(!asked_to_end());
        // SAFETY: the handler was installed above.
        unsafe { libc::raise(libc::SIGTERM) };
        assert!(asked_to_end());
    }
}
