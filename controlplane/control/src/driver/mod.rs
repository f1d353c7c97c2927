//! The one task that mutates.
