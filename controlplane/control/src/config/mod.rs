//! Settings: `plenum.toml`, environment and command line.
