//! Feeds what libFuzzer makes up to the target that `PLENUM_FUZZ_TARGET` names.

#![no_main]

#[cfg(feature = "control")]
#[path = "../../control.rs"]
mod control;
#[cfg(feature = "decoders")]
#[path = "../../decoders.rs"]
mod decoders;
#[path = "../../targets.rs"]
mod targets;

use std::sync::OnceLock;
use targets::Target;

fn all() -> Vec<(&'static str, Target)> {
    #[allow(unused_mut)] // Without features there is nothing to add.
    let mut all = targets::TARGETS.to_vec();
    #[cfg(feature = "control")]
    all.extend_from_slice(control::TARGETS);
    #[cfg(feature = "decoders")]
    all.extend_from_slice(decoders::TARGETS);
    all
}

fn chosen() -> Target {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("PLENUM_FUZZ_TARGET").unwrap_or_default();
        let names = || all().iter().map(|(target, _)| *target).collect::<Vec<_>>().join(", ");
        let found = all().into_iter().find(|(target, _)| *target == name);
        found.unwrap_or_else(|| panic!("PLENUM_FUZZ_TARGET={name:?} is none of {}", names())).1
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chosen()(bytes));
