//! The mixer's death harms nobody for long: browsers that get the mix get it again, and what is forwarded goes on as if nothing had happened.

use crate::appliance::{kill, pictures};
use crate::browser::Browser;
use crate::conference::{join, sees_and_hears};
use crate::gallery::{MIXED, appliance, beside, enters, plan, speaks, tiles_show_whom_they_should, until};
use plenum_bench::peer::SlotStats;
use plenum_bench::swarm::{Attendee, Plan};
use plenum_contract::Kind;

/// Publishers whose mix is looked at.
const COUNT: usize = 3;

/// What came to a viewer on streams of a kind.
fn slots(viewer: &Attendee, kind: Kind) -> impl Iterator<Item = &SlotStats> {
    viewer.stats.slots.iter().filter(move |s| s.kind == kind && s.packets > 0)
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
