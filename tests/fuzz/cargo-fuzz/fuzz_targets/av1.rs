#![no_main]
//! Feeds what libFuzzer makes up to `targets::av1`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::av1(bytes));
