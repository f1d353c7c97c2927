//! The mixer: members' pictures composed into layouts, their sound mixed.
//!
//! [`layout`] knows where tiles stand, [`scene`] composes; [`text`] sets names in type, [`canvas`] draws what is laid over
//! pictures, [`look`] says how it looks. [`compose`] does it with files, for designers, tests and benchmarks.
//! [`jitter`] brings packets in order and time, [`sound`] mixes voices, [`jpeg`] makes files of presentations.

#![forbid(unsafe_code)]

pub mod canvas;
pub mod compose;
pub mod files;
pub mod fonts;
pub mod jitter;
pub mod jpeg;
pub mod layout;
pub mod look;
pub mod room;
pub mod scene;
pub mod sound;
pub mod text;
