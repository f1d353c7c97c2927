//! `plenum-mix compose`, from files to files, and what it says about wrong ones.

use plenum_kernels::Rect;
use plenum_mix::canvas::colour;
use plenum_mix::files::{Input, Output};
use std::path::Path;
use std::process::{Command, Output as Ran};

fn compose(folder: &Path, line: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_plenum-mix");
    Command::new(program).arg("compose").args(line.split(' ')).current_dir(folder).output().expect("it runs")
}

/// Red, green and blue stills `0.png` to `2.png`, and a stream `s.y4m` of three frames.
fn inputs(folder: &Path) {
    let colours = [[220, 30, 30], [30, 200, 60], [30, 60, 220]];
    let all = Rect { x: 0, y: 0, width: 320, height: 180 };
    let mut stream = Output::create(&folder.join("s.y4m"), (320, 180), (25, 1)).expect("created");
    for (n, rgb) in colours.into_iter().enumerate() {
        let mut picture = plenum_kernels::I420Buf::new(320, 180).expect("a size");
        picture.view_mut().fill(all, colour(rgb));
        let mut still = Output::create(&folder.join(format!("{n}.png")), (320, 180), (1, 1)).expect("created");
        still.write(&picture).expect("written");
        stream.write(&picture).expect("written");
    }
    stream.finish().expect("written");
}

fn luma(path: &Path, at: (usize, usize)) -> u8 {
    Input::open(path).expect("a picture").picture().view().y.row(at.1)[at.0]
}

#[test]
fn a_layout_is_rendered_from_stills_to_a_still() {
    let folder = tempfile::tempdir().expect("a folder");
    inputs(folder.path());
    let line =
        "--layout 1:7 --size 1280x720 --out out.png --name Ada --name 王小明 --speaking 1 --total 30 0.png 1.png 2.png";
    let ran = compose(folder.path(), line);
    assert!(ran.status.success() && ran.stdout.is_empty(), "{ran:?}");
    let out = folder.path().join("out.png");
    for (at, rgb) in [((638, 308), [220, 30, 30]), ((91, 640), [30, 200, 60]), ((274, 640), [30, 60, 220])] {
        assert!(luma(&out, at).abs_diff(colour(rgb).y) <= 4, "{at:?}");
    }
    let speaks = luma(&out, (92, 2));
    let ran = compose(folder.path(), &line.replace("--layout", "--no-overlay --layout"));
    assert!(ran.status.success());
    assert!(speaks.abs_diff(luma(&out, (92, 2))) > 20, "the border is an overlay");
}

#[test]
fn streams_become_a_stream_and_the_time_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    inputs(folder.path());
    let ran = compose(folder.path(), "--layout 4:0 --size 640x360 --out out.y4m --time --frames 5 s.y4m 0.png");
    assert!(ran.status.success(), "{ran:?}");
    let text = String::from_utf8(ran.stdout).expect("text");
    assert!(text.contains("ns/frame: 4:0 at 640x360 from 2 inputs, median of 5 frames"), "{text}");
    let mut out = Input::open(&folder.path().join("out.y4m")).expect("a stream");
    assert_eq!(out.rate(), Some((25, 1)), "the inputs' rate");
    let mut frames = vec![out.picture().view().y.row(90)[160]];
    while out.advance().expect("no error") {
        frames.push(out.picture().view().y.row(90)[160]);
    }
    assert_eq!(frames.len(), 5);
    assert!(
        frames[0] != frames[1] && frames[1] != frames[2] && frames[2] == frames[4],
        "the last frame stays: {frames:?}"
    );
    let ran = compose(folder.path(), "--layout 4:0 --size 640x360 --out out.y4m s.y4m 0.png");
    assert!(ran.status.success());
    let bytes = std::fs::metadata(folder.path().join("out.y4m")).expect("a file").len();
    assert!((3 * 345_600..3 * 345_700 + 100).contains(&bytes), "as long as the longest input: {bytes}");
}

#[test]
fn everything_that_can_be_shown_can_be_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    inputs(folder.path());
    for line in [
        "--layout 1:0 --out out.png",
        "--layout 1:7 --out out.png --state 1:held --state 2:camera-off --state 3:audio-only 0.png 1.png 2.png",
        "--layout 1:7 --out out.png --present 2.png --presenting beside --fill 0.png 1.png",
        "--layout 2:21 --out out.png --banner Recording --banner-below --logo 1.png 0.png",
    ] {
        let ran = compose(folder.path(), line);
        assert!(ran.status.success(), "{line}: {ran:?}");
    }
}

#[test]
fn what_is_wrong_is_said_with_what_is_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    inputs(folder.path());
    std::fs::write(folder.path().join("text.png"), "hello").expect("written");
    for (line, wants) in [
        ("--layout 7:1 --out out.png 0.png", vec!["7:1", "1:0", "1:7", "2:21", "25:0"]),
        ("--layout 1:7 --size 1281x720 --out out.png 0.png", vec!["1281x720", "even", "8192"]),
        ("--layout 1:7 --size big --out out.png 0.png", vec!["big", "1280x720"]),
        ("--layout 1:7 --out out.gif 0.png", vec!["out.gif", ".png", ".y4m"]),
        ("--layout 1:7 --out out.png missing.png", vec!["missing.png", "No such file"]),
        ("--layout 1:7 --out out.png text.png", vec!["text.png", "neither PNG nor Y4M"]),
        ("--layout 1:7 --out nowhere/out.png 0.png", vec!["nowhere/out.png", "No such file"]),
        ("--layout 1:7 --out out.png --total 1 0.png 1.png", vec!["--total 1", "2 inputs"]),
        ("--layout 1:7 --out out.png --name a --name b 0.png", vec!["--name", "2 times", "1 inputs"]),
        ("--layout 1:7 --out out.png --state 1:off 0.png", vec!["1:off", "camera-off", "held"]),
        ("--layout 1:7 --out out.png --speaking 3 0.png", vec!["no input 3", "from 1 to 1"]),
        ("--layout 1:7 --out out.png --frames 0 0.png", vec!["--frames", "0"]),
        ("--layout 1:7 --out out.png --logo s.y4m 0.png", vec!["s.y4m"]),
    ] {
        let ran = compose(folder.path(), line);
        let said = String::from_utf8(ran.stderr).expect("text");
        assert!(!ran.status.success(), "{line}");
        for want in wants {
            assert!(said.contains(want), "{line}: {said}");
        }
    }
}
