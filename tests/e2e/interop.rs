//! Independent WebRTC stacks in a conference with a browser: aiortc (Python), GStreamer (C, RSA certificate).

use crate::appliance::{Appliance, follow, pause};
use crate::browser::Browser;
use crate::conference::{
    PATIENCE, STATS, each_decodes_nine_of_ten, guard, join, nothing_wrong, sees_and_hears, the_guard_is_in,
};
use crate::gallery::{appliance, beside, plan, point, until};
use plenum_bench::painted::rgb;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// Where the peers' Python packages are.
const VENV: &str = "target/python/bin/python";
/// Where GStreamer's bindings are.
const SYSTEM: &str = "/usr/bin/python3";

/// A peer of `tests/interop`, in a process of its own. It leaves when its value ends.
struct Peer {
    child: Child,
    /// Where it takes orders; it leaves when this is closed.
    orders: Option<ChildStdin>,
    said: Arc<Mutex<String>>,
    errors: Arc<Mutex<String>>,
    readers: [JoinHandle<()>; 2],
}

impl Peer {
    /// Starts it in conference 1061. Webrtcbin 1.22 does not come up now and then on a busy machine: then it is started again, as a person
    /// would, twice at most.
    fn start(at: &Appliance, python: &str, script: &str, more: &[&str]) -> Peer {
        for _ in 0..2 {
            let mut peer = Peer::try_start(at, python, script, more);
            let end = Instant::now() + PATIENCE / 2;
            while Instant::now() < end {
                if peer.counts()["connected"] == true {
                    return peer;
                }
                pause();
            }
            println!("{script} did not connect: {}\n{}", peer.counts(), peer.errors());
            let _ = peer.child.kill();
            let _ = peer.child.wait();
        }
        Peer::try_start(at, python, script, more)
    }

    fn try_start(at: &Appliance, python: &str, script: &str, more: &[&str]) -> Peer {
        let mut child = Command::new(root().join(python))
            .arg(root().join("tests/interop").join(script))
            .args([&at.url(), "1061", "Peer", "300"])
            .args(more)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the peer starts (packaging/setup.sh test installs what it needs)");
        let (said, errors) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<String>>::default());
        let out = follow(child.stdout.take().expect("piped"), said.clone());
        let err = follow(child.stderr.take().expect("piped"), errors.clone());
        Peer { orders: child.stdin.take(), child, said, errors, readers: [out, err] }
    }

    /// What it counted last; nothing before it is connected.
    fn counts(&self) -> Value {
        let said = self.said.lock().map(|s| s.clone()).unwrap_or_default();
        said.lines().rfind(|l| l.starts_with('{')).map_or(Value::Null, |l| serde_json::from_str(l).expect("JSON"))
    }

    fn count(&self, key: &str) -> u64 {
        self.counts()[key].as_u64().unwrap_or(0)
    }

    fn errors(&self) -> String {
        self.errors.lock().map(|e| e.clone()).unwrap_or_default()
    }

    /// Tells it to ask for pictures of this size.
    fn shows(&mut self, width: u32, height: u32) {
        writeln!(self.orders.as_mut().expect("it takes orders"), "{width} {height}").expect("it reads them");
    }

    /// Waits until its counts are so.
    fn until(&self, what: &str, there: impl Fn(&Peer) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !there(self) {
            assert!(Instant::now() < end, "{what} did not happen: {}\n{}", self.counts(), self.errors());
            pause();
        }
    }

    /// What it counted, and its errors, once it has left: by itself, or because it is told to.
    fn left(mut self, told: bool) -> (Value, String) {
        if told {
            self.orders = None;
        }
        self.child.wait().expect("the peer ends");
        while !self.readers.iter().all(JoinHandle::is_finished) {
            pause();
        }
        let (counts, errors) = (self.counts(), self.errors());
        assert_eq!(counts["connected"], true, "{counts}\n{errors}");
        (counts, errors)
    }
}

/// A browser, a peer and a guard in a conference: what two browsers show of each other, as far as another stack can. What the peer said last,
/// and the appliance's log.
fn meet(python: &str, script: &str) -> (Value, String) {
    let _alone = crate::alone();
    let at = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let alice = join(&mut browser, &at, "Alice");
    let mut ended = None;
    let (summary, guards) = beside(guard(&at), |_| {
        // With one picture it would get the mix.
        let mut peer = Peer::start(&at, python, script, &["--media", "forward", "--screen"]);
        the_guard_is_in(&mut browser, &alice, 3);
        sees_and_hears(&mut browser, &alice, "Alice");
        peer.until("it hears Alice", |peer| peer.count("audio") > 100);
        // A smaller tile gets a smaller layer, which even a busy machine decodes, and a larger one the larger.
        peer.shows(160, 90);
        peer.until("it sees the small layer", |peer| (1..600).contains(&peer.count("width")));
        each_decodes_nine_of_ten(["Alice", script], || {
            let (a, b) = (browser.eval(&alice, STATS), peer.counts());
            [[b["sent"].clone(), a["decoded"].clone()], [a["sent"].clone(), b["video"].clone()]]
        });
        peer.shows(640, 360);
        peer.until("it sees the large layer", |peer| peer.count("width") >= 600);

        browser.eval(&alice, "document.getElementById('share').click()");
        peer.until("it sees Alice's screen", |peer| peer.count("screen") > 5);
        ended = Some(peer.left(true));
    });
    let (counts, errors) = ended.expect("it ended");
    println!("{script}: {counts}\n{errors}");
    nothing_wrong(&summary, &guards, 2);
    (counts, at.log())
}

#[test]
fn aiortc_and_a_browser_see_and_hear_each_other() {
    meet(VENV, "aiortc_peer.py");
}

#[test]
fn gstreamer_with_its_rsa_certificate_and_a_browser_see_and_hear_each_other() {
    let (counts, log) = meet(SYSTEM, "gst_peer.py");
    assert_eq!(counts["rsa"], true, "{counts}");
    let second = |line: &&str| line.contains("a leg is connected") && line.contains("DTLS1.2, second engine");
    assert_eq!(log.lines().filter(second).count(), 1, "{log}");
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
        let peers = [Peer::start(&at, VENV, "aiortc_peer.py", &h264), Peer::start(&at, SYSTEM, "gst_peer.py", &mix)];
        for (peer, who) in
            peers.map(|peer| peer.left(false)).iter().zip(["aiortc with H.264 alone", "GStreamer with VP8"])
        {
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
