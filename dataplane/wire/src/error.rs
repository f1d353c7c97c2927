//! The two errors of this crate: bytes that cannot be read, and room that does not suffice for writing.
//!
//! Both are small and `Copy`, so that a hostile packet costs no allocation. The caller knows which header was being
//! read and chooses the drop reason.

use core::fmt;

/// Why received bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The bytes end before the structure does.
    Truncated,
    /// The version field is not the one the format demands.
    Version,
    /// A length field contradicts the bytes that are there.
    Length,
    /// The padding count is zero or larger than what it pads.
    Padding,
    /// A field has a value that the format forbids.
    Value,
    /// A documented limit of ours is exceeded.
    TooLarge,
    /// It refers to state that was never received (a dependency descriptor before its template structure).
    MissingState,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Truncated => "truncated",
            Malformed::Version => "wrong version",
            Malformed::Length => "contradictory length",
            Malformed::Padding => "wrong padding",
            Malformed::Value => "forbidden value",
            Malformed::TooLarge => "exceeds a limit",
            Malformed::MissingState => "refers to state that was not received",
        })
    }
}

impl core::error::Error for Malformed {}

/// The output does not suffice; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room in the output")
    }
}

impl core::error::Error for NoRoom {}
