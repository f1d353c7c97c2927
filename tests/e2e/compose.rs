//! `plenum compose`: the command that hands over to the mixer's program beside it.

use crate::appliance::program;
use std::process::Command;

#[test]
fn plenum_compose_renders_with_the_mixers_program_and_hands_its_errors_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stream = b"YUV4MPEG2 W4 H4 F30:1\nFRAME\n".to_vec();
    stream.extend([[200; 16].as_slice(), &[128; 8]].concat());
    std::fs::write(folder.path().join("in.y4m"), stream).expect("written");
    let compose = |line: &str| {
        let mut command = Command::new(program("plenum"));
        command.arg("compose").args(line.split(' ')).current_dir(folder.path()).output().expect("it runs")
    };
    let ran = compose("--layout 1:0 --size 64x36 --out out.y4m --no-overlay in.y4m");
    assert!(ran.status.success(), "{ran:?}");
    let out = std::fs::read(folder.path().join("out.y4m")).expect("a stream");
    assert!(out.starts_with(b"YUV4MPEG2 W64 H36 "));
    let picture = &out[out.len() - 64 * 36 * 3 / 2..];
    assert!(picture[18 * 64 + 32].abs_diff(200) <= 2, "its luma in the middle: {}", picture[18 * 64 + 32]);

    let ran = compose("--layout 1:8 --out out.png in.y4m");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success() && said.contains("1:8") && said.contains("1:7"), "{said}");
}
