//! Micro benchmarks, the client swarm, peer comparisons, the report; and the synthetic peer that swarm and simulation share.

#![forbid(unsafe_code)]

pub mod peer;
