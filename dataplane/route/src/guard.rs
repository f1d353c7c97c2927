//! An independent checker of one egress stream, for tests and simulation.
