//! The data plane program.
fn main() {}
