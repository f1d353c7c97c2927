//! The levels of this architecture, one a line; behind those that this processor lacks stands `:absent`: what `make test` runs the tests of the kernels at.

use plenum_kernels::Level;

fn main() {
    let levels: &[Level] = match std::env::consts::ARCH {
        "x86_64" => &[Level::Scalar, Level::Avx2, Level::Avx512],
        "aarch64" => &[Level::Scalar, Level::Neon],
        _ => &[Level::Scalar],
    };
    for level in levels {
        println!("{}{}", level.name(), if level.is_available() { "" } else { ":absent" });
    }
}
