//! The mixer: members' pictures composed into layouts, their sound mixed.
//!
//! [`layout`] knows where tiles stand, [`text`] sets names in type, [`canvas`] draws what is laid over pictures.

#![forbid(unsafe_code)]

pub mod canvas;
pub mod fonts;
pub mod layout;
pub mod text;
