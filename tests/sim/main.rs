//! The simulation: whole shards, peers and a bad network in virtual time. One seed replays one run.
//!
//! `PLENUM_SIM_SEEDS=n` runs every scenario with n seeds instead of the few that `cargo test` takes; `PLENUM_SIM_SEED=s` runs
//! one. A failure prints scenario and seed. Scenarios read as stories: a world is set up, time runs, and what people would
//! notice is asserted. The guard, the sealing guard of debug builds and the leak check run in all of them.

mod failure;
mod net;
mod random;
mod seeds;
mod simulcast;
mod transport;
mod walk;
mod world;

mod bandwidth;
mod conference;
mod hostile;
mod meeting;
mod mixed;
