//! Helpers shared by the tests: none yet.
