#![no_main]
//! Feeds what libFuzzer makes up to `targets::request_form`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::request_form(bytes));
