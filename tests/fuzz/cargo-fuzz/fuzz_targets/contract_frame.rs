#![no_main]
//! Feeds what libFuzzer makes up to `targets::contract_frame`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::contract_frame(bytes));
