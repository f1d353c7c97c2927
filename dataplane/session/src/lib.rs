//! One peer's transport: ICE, DTLS, SRTP, feedback, congestion control, pacing; no I/O.
//!
//! A [`Session`] is fed with packets and with time, and yields packets, values and a deadline. It owns no socket, reads no
//! clock and starts no thread; nothing is believed, bound or allocated for a packet that is not authenticated.

#![forbid(unsafe_code)]

pub mod cc;
pub mod report;
