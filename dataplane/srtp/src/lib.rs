//! SRTP and SRTCP contexts (RFC 3711, RFC 7714), protecting in batches.
//!
//! An [`Opener`] is one session's inbound side: replay check before any cryptography, windows that move only after
//! authentication, a bounded number of SSRCs. A [`Sealer`] is one shard's outbound side: [`Sealer::protect`] takes all that
//! a tick releases, whatever session, suite and length. Time, sockets and key exchange are others' work; nothing here
//! allocates per packet after warm-up.
//!
//! **An SRTP index is sealed once.** A peer without RTX gets the stored ciphertext again: the caller keeps the sealed slot
//! and sends the same bytes, and never hands the packet to [`Sealer::protect`] a second time. A guard in debug builds
//! panics when a (key, SSRC, index) is sealed twice, because with a counter-mode cipher that reveals both plaintexts.

pub mod backend;
pub mod opener;
pub mod sealer;
pub mod suite;

mod ctr;
mod gcm;
mod guard;
mod hmac;
mod kdf;
mod replay;
mod srtcp;
mod transform;

#[cfg(test)]
mod vectors;

pub use backend::Backend;
pub use opener::{MAX_ASIDE, MAX_SOURCES, Opened, Opener};
pub use sealer::{Job, KeyId, Sealer};
pub use suite::{MasterKey, Suite, split_dtls_material};
