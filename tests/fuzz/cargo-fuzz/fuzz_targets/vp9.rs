#![no_main]
//! Feeds what libFuzzer makes up to `targets::vp9`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::vp9(bytes));
