#![no_main]
//! Feeds what libFuzzer makes up to `targets::rtp`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::rtp(bytes));
