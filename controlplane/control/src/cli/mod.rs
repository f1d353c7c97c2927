//! The command line of `plenum`.
