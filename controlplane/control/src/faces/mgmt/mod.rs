//! In-conference management API (spec/mgmt.md) and its Pexip-named alias paths.
