//! The mixer: members' pictures composed into layouts, their sound mixed.
//!
//! [`layout`] knows where tiles stand, [`text`] sets names in type, [`canvas`] draws what is laid over pictures.
//! [`jitter`] brings packets in order and time, [`sound`] mixes voices.

#![forbid(unsafe_code)]

pub mod canvas;
pub mod fonts;
pub mod jitter;
pub mod layout;
pub mod sound;
pub mod text;
