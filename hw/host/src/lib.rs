//! The machine: cores, clocks, addresses, memory, process rights, rings that processes share. Small safe functions around the system's calls.
//!
//! Knows nothing of packets and imports none of our crates; times are nanoseconds as `u64`.

mod addresses;
mod clock;
mod cores;
mod files;
mod limits;
mod memory;
mod passing;
mod rings;
mod sandbox;
mod signals;

pub use addresses::interface_addresses;
pub use clock::{Anchor, anchor, now};
pub use cores::{cpu_features, name_thread, pin_to_core, usable_cores};
pub use files::{effective_uid, poll, with_umask};
pub use limits::{PeerCredentials, peer_credentials, raise_open_files};
pub use memory::{advise_huge_pages, lock_memory, memory_bytes, resident_bytes};
pub use passing::{Bell, MAX_PASSED, receive_descriptors, send_descriptors};
pub use rings::{Corrupt, Refused, RingReader, RingWriter, ring_file};
pub use sandbox::{Confine, confine, yield_to_others};
pub use signals::{asked_to_end, handle_end_signals};

/// The error of a system call that returned less than zero.
fn check(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}
