//! Micro benchmarks, the client swarm, peer comparisons, the report; and the synthetic peer that swarm and simulation share.

#![forbid(unsafe_code)]

pub mod allocations;
pub mod compose;
pub mod engines;
pub mod events;
pub mod fanout;
pub mod http;
pub mod lab;
pub mod load;
pub mod media;
pub mod micro;
pub mod mixed;
pub mod mixing;
pub mod network;
pub mod painted;
pub mod peer;
pub mod process;
pub mod report;
pub mod rivals;
pub mod swarm;
pub mod timing;
