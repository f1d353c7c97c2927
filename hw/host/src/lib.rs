//! The machine: cores, clocks, addresses, memory, process rights. Small safe functions around the system's calls.
//!
//! Knows nothing of packets and imports none of our crates; times are nanoseconds as `u64`.

mod addresses;
mod cores;
mod files;
mod memory;
mod time;

pub use addresses::interface_addresses;
pub use cores::{cpu_features, pin_to_core, usable_cores};
pub use files::{effective_uid, peer_uid, poll, raise_file_limit, with_umask};
pub use memory::memory_bytes;
pub use time::{monotonic_nanos, unix_nanos};
