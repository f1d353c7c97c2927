//! Micro benchmarks, the client swarm, peer comparisons, the report; and the synthetic peer that swarm and simulation share.

#![forbid(unsafe_code)]

pub mod allocations;
pub mod lab;
pub mod load;
pub mod micro;
pub mod peer;
pub mod report;
pub mod timing;
