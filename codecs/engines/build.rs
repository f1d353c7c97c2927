//! Refuses to build without nasm: OpenH264 would silently be built without its assembly, four times slower.

use std::process::{Command, Stdio};

fn main() {
    println!("cargo:rerun-if-env-changed=PATH");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let assembled = arch == "x86_64" || arch == "x86";
    let found = || Command::new("nasm").arg("-v").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    assert!(
        !assembled || found(),
        "nasm is needed: OpenH264 would be built without its assembly. `packaging/setup.sh build` installs it; \
         then `cargo clean -p openh264-sys2`, in case that was built without."
    );
}
