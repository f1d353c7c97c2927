#![no_main]
//! Feeds what libFuzzer makes up to `targets::dtls_hello`.

#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::dtls_hello(bytes));
