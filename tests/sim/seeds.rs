//! Which seeds a scenario runs with, and telling which one failed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `scenario` once for each seed: those of `default`, or what the environment says.
pub(crate) fn each(name: &str, default: &[u64], mut scenario: impl FnMut(u64)) {
    let number = |key: &str| std::env::var(key).ok().and_then(|v| v.parse::<u64>().ok());
    let seeds: Vec<u64> = match (number("PLENUM_SIM_SEED"), number("PLENUM_SIM_SEEDS")) {
        (Some(one), _) => vec![one],
        (None, Some(many)) => (1..=many).collect(),
        (None, None) => default.to_vec(),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(seed))) {
            eprintln!("simulation failed: PLENUM_SIM_SEED={seed} cargo test -p plenum-tests --test sim {name}");
            resume_unwind(panic);
        }
    }
}
