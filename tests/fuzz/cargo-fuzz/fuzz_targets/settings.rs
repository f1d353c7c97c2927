#![no_main]
//! Feeds what libFuzzer makes up to `targets::settings`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::settings(bytes));
