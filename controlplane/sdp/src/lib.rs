//! One SDP model (RFC 8866) for WebRTC and SIP: parse, write, answer.
//!
//! [`Session::parse`] reads any description within stated bounds and names the line that it cannot read; writing a model
//! and parsing it again gives the same model. [`answer`] makes the WebRTC answer of an ice-lite, passive peer and the list of
//! `MediaSpec` that the media plane is asked for. Nothing here does I/O, decides a policy, or has a random source.

#![forbid(unsafe_code)]

pub mod answer;
pub mod attr;
pub mod model;
mod parse;
mod write;

pub use answer::{AnswerError, Answered, Terms, answer};
pub use attr::{
    Attribute, Candidate, Direction, ExtMap, Fingerprint, ParseAttributeError, Rid, RidDirection, RtpMap, Setup,
    Simulcast, SimulcastStream,
};
pub use model::{Bandwidth, Connection, Media, Origin, Session};
pub use parse::{MAX_LINES, MAX_MEDIA, MAX_SIZE, ParseError, ParseErrorKind};
