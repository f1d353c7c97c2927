#![no_main]
//! Feeds what libFuzzer makes up to `targets::h265`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::h265(bytes));
