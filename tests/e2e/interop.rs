//! Independent WebRTC stacks in a conference with a browser: aiortc (Python), GStreamer (C, RSA certificate).

use crate::appliance::Appliance;
use crate::browser::Browser;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// Runs a peer of `tests/interop` in conference 1061 while a browser watches it; what the peer counted.
fn meet(python: &Path, script: &str) {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let page = browser.open(&appliance.room("Alice", "&width=640&height=360"), 1280, 720);
    browser.until(&page, "Alice is connected", "window.plenum?.room?.call?.pc.connectionState === 'connected'");
    let peer = Command::new(python)
        .arg(root().join("tests/interop").join(script))
        .args([&appliance.url(), "1061", "Peer", "15"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the peer starts (packaging/setup.sh test installs what it needs)");
    let seen = "(async () => { let frames = 0, sound = 0; for (const s of (await window.plenum.room.call.pc.getStats()).values()) \
        if (s.type === 'inbound-rtp') { frames += s.framesDecoded ?? 0; sound += s.totalAudioEnergy ?? 0; } \
        return frames > 60 && sound > 0; })()";
    browser.until(&page, &format!("Alice sees and hears {script}"), seen);
    let output = peer.wait_with_output().expect("the peer ends");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().rfind(|l| l.starts_with('{')).unwrap_or_else(|| panic!("{script} said nothing:\n{errors}"));
    let counts: Value = serde_json::from_str(line).expect("the peer prints JSON");
    assert_eq!(counts["connected"], true, "{counts}\n{errors}");
    assert!(counts["video"].as_u64().unwrap_or(0) > 60, "{script} decodes Alice: {counts}\n{errors}");
    assert!(counts["audio"].as_u64().unwrap_or(0) > 100, "{script} hears Alice: {counts}\n{errors}");
}

#[test]
fn aiortc_and_a_browser_see_and_hear_each_other() {
    meet(&root().join("target/python/bin/python"), "aiortc_peer.py");
}

#[test]
fn gstreamer_with_its_rsa_certificate_and_a_browser_see_and_hear_each_other() {
    meet(Path::new("/usr/bin/python3"), "gst_peer.py");
}
