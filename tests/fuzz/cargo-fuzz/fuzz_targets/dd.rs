#![no_main]
//! Feeds what libFuzzer makes up to `targets::dd`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::dd(bytes));
