//! Independent WebRTC stacks in a conference with a browser: aiortc (Python), GStreamer (C, RSA certificate).

use crate::appliance::Appliance;
use crate::browser::Browser;
use crate::gallery::{appliance, beside, plan, point, until};
use plenum_bench::painted::rgb;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// Where the peers' Python packages are.
const VENV: &str = "target/python/bin/python";
/// Where GStreamer's bindings are.
const SYSTEM: &str = "/usr/bin/python3";

/// Starts a peer of `tests/interop` in conference 1061, for so many seconds.
fn start(at: &Appliance, python: &str, script: &str, seconds: &str, more: &[&str]) -> Child {
    Command::new(root().join(python))
        .arg(root().join("tests/interop").join(script))
        .args([&at.url(), "1061", "Peer", seconds])
        .args(more)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the peer starts (packaging/setup.sh test installs what it needs)")
}

/// What a peer counted, and its errors.
fn told(peer: Child) -> (Value, String) {
    let output = peer.wait_with_output().expect("the peer ends");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|l| l.starts_with('{')).unwrap_or_else(|| panic!("a peer said nothing:\n{errors}"));
    let counts: Value = serde_json::from_str(line).expect("the peer prints JSON");
    assert_eq!(counts["connected"], true, "{counts}\n{errors}");
    (counts, errors)
}

/// Runs a peer while a browser watches it; both see and hear each other.
fn meet(python: &str, script: &str) {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let page = browser.open(&appliance.room("Alice", "&width=640&height=360"), 1280, 720);
    browser.until(&page, "Alice is connected", "window.plenum?.room?.call?.pc.connectionState === 'connected'");
    // With one picture it would get the mix.
    let peer = start(&appliance, python, script, "15", &["--media", "forward"]);
    let seen = "(async () => { let frames = 0, sound = 0; for (const s of (await window.plenum.room.call.pc.getStats()).values()) \
        if (s.type === 'inbound-rtp') { frames += s.framesDecoded ?? 0; sound += s.totalAudioEnergy ?? 0; } \
        return frames > 60 && sound > 0; })()";
    browser.until(&page, &format!("Alice sees and hears {script}"), seen);
    let (counts, errors) = told(peer);
    assert!(counts["video"].as_u64().unwrap_or(0) > 60, "{script} decodes Alice: {counts}\n{errors}");
    assert!(counts["audio"].as_u64().unwrap_or(0) > 100, "{script} hears Alice: {counts}\n{errors}");
}

#[test]
fn aiortc_and_a_browser_see_and_hear_each_other() {
    meet(VENV, "aiortc_peer.py");
}

#[test]
fn gstreamer_with_its_rsa_certificate_and_a_browser_see_and_hear_each_other() {
    meet(SYSTEM, "gst_peer.py");
}

#[test]
fn other_stacks_get_the_mix_in_h264_and_in_vp8() {
    let _alone = crate::alone();
    let at = appliance(&[]);
    beside(plan(&at, "1061", 3), |_| {
        // Publisher 1 speaks first, so that nobody who is as loud takes the main tile.
        until(&at, "the publishers are in", || at.metric("plenum_calls") >= 3.0);
        let ([x, y], [r, g, b]) = (point("1:7", 0), rgb(1));
        let main: Vec<String> = [x, y].iter().map(f64::to_string).chain([r, g, b].iter().map(u8::to_string)).collect();
        let mix = [&["--media", "mix", "--until"], &main.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat();
        let h264 = [&mix[..], &["--codec", "H264"]].concat();
        let peers = [start(&at, VENV, "aiortc_peer.py", "90", &h264), start(&at, SYSTEM, "gst_peer.py", "90", &mix)];
        for (peer, who) in peers.map(told).iter().zip(["aiortc with H.264 alone", "GStreamer with VP8"]) {
            let (counts, errors) = peer;
            println!("{who}: {counts}");
            let count = |key: &str| counts[key].as_u64().unwrap_or(0);
            assert!(count("video") >= 10 && count("audio") >= 30, "{who} gets the mix: {counts}\n{errors}");
            let colour: Vec<f64> = serde_json::from_value(counts["colour"].clone()).expect("a colour");
            let far: f64 = colour.iter().zip([r, g, b]).map(|(a, b)| (a - f64::from(b)).abs()).sum();
            assert!(far < 120.0, "{who} sees the speaker in the main tile: {counts}\n{errors}");
        }
    });
}
