//! Congestion control of what we send: how much, and when each packet leaves.

pub mod gcc;
pub mod send_history;
