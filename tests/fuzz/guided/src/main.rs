//! Feeds what libFuzzer makes up to the target that `PLENUM_FUZZ_TARGET` names.

#![no_main]

#[path = "../../targets.rs"]
mod targets;

use std::sync::OnceLock;
use targets::{TARGETS, Target};

fn chosen() -> Target {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("PLENUM_FUZZ_TARGET").unwrap_or_default();
        let found = TARGETS.iter().find(|(target, _)| *target == name);
        let names = || TARGETS.iter().map(|(target, _)| *target).collect::<Vec<_>>().join(", ");
        found.unwrap_or_else(|| panic!("PLENUM_FUZZ_TARGET={name:?} is none of {}", names())).1
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chosen()(bytes));
