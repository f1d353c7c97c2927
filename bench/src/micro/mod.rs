//! Micro benchmarks: one step of a packet's way at a time, without sockets.
//!
//! `parse` reads what arrives, `rewrite` decides for each receiver, `protect` seals, `whole` runs a shard with everything in it.

mod packets;
mod parse;
mod protect;
mod rewrite;
mod whole;

use crate::report::Report;
pub(crate) use whole::spend;

/// Runs all of them.
pub fn run(report: &mut Report) {
    parse::run(report);
    rewrite::run(report);
    protect::run(report);
    whole::run(report);
}
