//! The mixer's death harms nobody for long: browsers that get the mix get it again, and what is forwarded goes on as if nothing had happened.
//!
//! How long it takes is printed here, and asserted in virtual time: control's part (`within_250_ms…`), and shard, room and viewer (simulation:
//! `a_mixer_that_comes_again…`). That forwarding loses no packet is asserted by plenum-shard's `a_mixer_that_starts_again…`; here a socket's queue may
//! run over on a busy machine, which costs sound for good and pictures a retransmission.

use crate::appliance::{kill, pictures};
use crate::browser::Browser;
use crate::conference::{join, sees_and_hears};
use crate::gallery::{MIXED, appliance, beside, enters, plan, speaks, tiles_show_whom_they_should, until};
use plenum_bench::peer::SlotStats;
use plenum_bench::swarm::{Attendee, Plan};
use plenum_contract::Kind;
use std::path::PathBuf;

/// Publishers whose mix is looked at.
const COUNT: usize = 3;

/// What came to a viewer on streams of a kind.
fn slots(viewer: &Attendee, kind: Kind) -> impl Iterator<Item = &SlotStats> {
    viewer.stats.slots.iter().filter(move |s| s.kind == kind && s.packets > 0)
}

/// The mixer looks into hostile bytes: no thread of it may open anything, and what it holds open is its rings, bells, pipes and its lock.
fn is_confined(pid: i32) {
    let entries = |folder: String| {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let status = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let threads = entries(format!("/proc/{pid}/task"));
    assert!(threads.len() > 2, "{threads:?}");
    for (key, value) in [("Seccomp", "2"), ("NoNewPrivs", "1")] {
        let of =
            |text: &str| text.lines().find_map(|l| Some(l.strip_prefix(key)?.trim_matches([':', '\t']).to_owned()));
        if of(&status("/proc/self/status")).is_none() {
            println!("SKIPPED: this kernel does not tell {key} of {} threads", threads.len());
            continue;
        }
        for thread in &threads {
            let found = of(&status(&format!("{}/status", thread.display())));
            assert_eq!(found.as_deref(), Some(value), "{key} of {}", thread.display());
        }
    }
    // What whoever started this test left open goes on to everything that it starts. A descriptor of ours may be closed before it is looked at.
    let to = |descriptor: PathBuf| Some(std::fs::read_link(descriptor).ok()?.display().to_string());
    let inherited: Vec<_> = entries("/proc/self/fd".into()).into_iter().filter_map(to).collect();
    for to in entries(format!("/proc/{pid}/fd")).into_iter().filter_map(to) {
        let known = ["pipe:", "socket:", "anon_inode:[event", "/memfd:plenum ", "/dev/null"];
        let known = known.iter().any(|kind| to.starts_with(kind)) || to.ends_with("/mixer.lock");
        assert!(known || inherited.contains(&to), "it holds {to} open");
    }
}

#[test]
fn when_the_mixer_is_killed_its_viewers_get_the_mix_again_and_forwarding_loses_nothing() {
    let _alone = crate::alone();
    let at = appliance(&["--shards", "1"]);
    at.create(&["2000"]);
    let mut browser = Browser::start(&[]);
    // Beside the mix: a viewer of the same publishers, and a conference in which a guard looks at every stream.
    let watched = Plan { viewers: 1, tiles: 3, ..plan(&at, "1061", COUNT) };
    let guarded = Plan { painted: false, guard: true, viewers: 1, tiles: 2, ..plan(&at, "2000", 2) };
    let mut seen = None;
    let (summary, attendees) = beside(watched, |cues| {
        seen = Some(beside(guarded, |_| {
            let alice = join(&mut browser, &at, "Alice");
            // The fake microphone beeps: that is not to be anybody's turn.
            browser.eval(&alice, "window.plenum.room.setMicrophone(false)");
            let mixed = enters(&mut browser, &at.room("Mixed", MIXED), "", COUNT);
            speaks(&mut browser, &mixed, cues, 3);
            tiles_show_whom_they_should(&mut browser, &mixed, &[1, 2, 3]);
            sees_and_hears(&mut browser, &alice, "who is forwarded to");
            until(&at, "a picture and a sound are made", || at.metric("plenum_mixer_outputs") >= 2.0);
            until(&at, "the pool's work is told", || at.metric("plenum_mixer_job_seconds_total") > 0.0);
            browser.screenshot(&mixed, &pictures().join("mixed.png"));

            let first = at.mixer_pid().expect("a mixer was started");
            is_confined(first);
            browser.eval(&mixed, "look.main = 3, look.gap = 0");
            kill(first);
            until(&at, "another mixer comes", || {
                at.mixer_pid().is_some_and(|pid| pid != first) && at.metric("plenum_mixer_starts_total") >= 2.0
            });
            let frames = browser.eval(&mixed, "look.frames").as_u64().expect("a count");
            let there = format!("look.frames > {frames} + 30 && look.tiles()[0] === 3");
            browser.until(&mixed, "the speaker is in the main tile again", &there);
            let gap = browser.eval(&mixed, "look.gap").as_f64().expect("a time");
            println!("the mixer was killed: {gap:.0} ms without the speaker's picture");
            speaks(&mut browser, &mixed, cues, 1);
            tiles_show_whom_they_should(&mut browser, &mixed, &[1, 2, 3]);
            sees_and_hears(&mut browser, &alice, "who is forwarded to as before");
            until(&at, "they are made again", || at.metric("plenum_mixer_outputs") >= 2.0);
        }));
    });
    let (guarded, _) = seen.expect("it ran");
    assert!(guarded.violation.is_none(), "{}", guarded.text());
    assert_eq!((guarded.video.lost, guarded.video.reordered), (0, 0), "{}", guarded.text());
    assert!(guarded.audio.gaps * 100 <= guarded.audio.packets, "{}", guarded.text());
    let viewer = attendees.last().expect("the viewer was answered last");
    assert_eq!(slots(viewer, Kind::Video).count(), COUNT, "{}", summary.text());
    assert!(slots(viewer, Kind::Video).all(|s| s.lost == 0 && s.frames > 30), "{}", summary.text());
}
