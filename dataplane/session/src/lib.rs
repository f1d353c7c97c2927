//! One peer's transport: ICE, DTLS, SRTP, feedback, congestion control, pacing; no I/O.
//!
//! A [`Session`] is fed with packets and with time, and yields packets, values and a deadline. It owns no socket, reads no
//! clock and starts no thread; nothing is believed, bound or allocated for a packet that is not authenticated.
//!
//! ```text
//!  STUN  ─► ice       answers, paths, consent            ─► events
//!  DTLS  ─► dtls      two engines, fingerprint, keys     ─► events, data
//!  RTP   ─► ingress   open, bind, unwrap RTX             ─► Incoming    ─► route
//!  RTCP  ─► rtcp      reports, NACK, TWCC, REMB          ─► Feedback    ─► route
//!  Plan  ─► egress    pacer, history, write              ─► srtp::Job   ─► one protect() per tick
//!  time  ─► timers    reports, feedback, consent, DTLS   ─► Outbox
//! ```

#![forbid(unsafe_code)]

mod allowance;
mod binding;
pub mod cc;
mod data;
pub mod dtls;
mod egress;
mod env;
mod events;
mod ice;
mod ingress;
mod keys;
mod media;
pub mod report;
mod rtcp;
mod session;
mod timers;

pub use data::{MAX_CHANNELS, MAX_MESSAGE, open_any};
pub use egress::{Released, Timing};
pub use env::{Anchor, Certificates, Env, EnvError, SessionLimits};
pub use events::{Feedback, Incoming, Outbox, SessionEvent};
pub use ice::{CONSENT_LOST_AFTER, MAX_PATHS, MAX_STUN, SILENT_AFTER, check_any};
pub use session::{Session, SpecError};
