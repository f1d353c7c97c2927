//! Many peers on real sockets.

pub mod driver;

pub use driver::Driver;
