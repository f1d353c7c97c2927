//! Speaker order and seats: who speaks, who stands in the main tile, who fills which slot of a receiver.
//!
//! [`Stage`] is one conference. It hears audio levels ([`levels`]), keeps the order of speakers ([`speakers`]), and seats
//! members in the slots of each viewer ([`seats`], from one [`LineUp`] for all), by the rules of the layouts: pinned first in their order, then the
//! speakers, most recent first; who is on screen keeps their place. Pure: time comes in, values go out; no I/O.
#![forbid(unsafe_code)]

pub mod levels;
mod lineup;
pub mod seats;
pub mod speakers;
mod stage;

pub use levels::{AudioLevel, Meter};
pub use lineup::LineUp;
pub use seats::{AudioSeats, MAX_SLOTS, SlotWant, VideoSeats};
pub use stage::{Changes, Flags, MAX_MEMBERS, MAX_SPEAKERS, Stage};
