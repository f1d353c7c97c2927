//! Micro benchmarks: one step of a packet's way at a time, without sockets.
//!
//! `parse` reads what arrives, `route` decides for each receiver, `rewrite` writes what it gets, `protect` seals, `whole` runs a shard with everything in it.

mod packets;
mod parse;
mod protect;
mod rewrite;
mod route;
mod whole;

use crate::report::Report;
pub(crate) use whole::spend;

/// Runs all of them.
pub fn run(report: &mut Report) {
    parse::run(report);
    route::run(report);
    rewrite::run(report);
    protect::run(report);
    whole::run(report);
}
