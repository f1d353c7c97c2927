//! Two browsers in conference 1061 see and hear each other, and go on doing so through what happens to calls.

use crate::appliance::{Appliance, kill, pause};
use crate::browser::{Browser, Page};
use crate::gallery::{beside, plan, until as wait_until};
use plenum_bench::swarm::{Attendee, Plan, Summary};
use plenum_contract::Kind;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a page measured of its call, in one object.
pub(crate) const STATS: &str = r#"(async () => {
  const stats = [...(await window.plenum.room.call.pc.getStats()).values()];
  const of = (type, kind) => stats.filter(s => s.type === type && s.kind === kind);
  const sum = (list, key) => list.reduce((n, s) => n + (s[key] ?? 0), 0);
  const videos = of('inbound-rtp', 'video');
  const pair = stats.find(s => s.type === 'candidate-pair' && s.nominated && s.state === 'succeeded');
  return {
    decoded: sum(videos, 'framesDecoded'),
    dropped: sum(videos, 'framesDropped'),
    main: Math.max(0, ...videos.filter(s => s.mid === window.plenum.room.call.video.mid).map(s => s.frameWidth ?? 0)),
    screen: Math.max(0, ...videos.filter(s => s.mid === window.plenum.room.call.presentation.mid).map(s => s.framesDecoded ?? 0)),
    sent: Math.max(0, ...of('outbound-rtp', 'video').map(s => s.framesSent ?? 0)),
    audio: sum(of('inbound-rtp', 'audio'), 'packetsReceived'),
    energy: sum(of('inbound-rtp', 'audio'), 'totalAudioEnergy'),
    protocol: stats.find(s => s.id === pair?.remoteCandidateId)?.protocol ?? '',
  };
})()"#;

pub(crate) fn open(browser: &mut Browser, appliance: &Appliance, name: &str) -> Page {
    browser.open(&appliance.room(name, "&width=640&height=360"), 1280, 720)
}

pub(crate) fn join(browser: &mut Browser, appliance: &Appliance, name: &str) -> Page {
    let page = open(browser, appliance, name);
    let connected = "window.plenum?.room?.call?.pc.connectionState === 'connected'";
    browser.until(&page, &format!("{name} is connected"), connected);
    page
}

/// Waits until `condition` holds of the page's statistics `s`.
fn until(browser: &mut Browser, page: &Page, what: &str, condition: &str) -> Value {
    browser.until(page, what, &format!("(async () => {{ const s = await {STATS}; return ({condition}) && s; }})()"))
}

/// Waits until the page decodes and hears anew.
pub(crate) fn sees_and_hears(browser: &mut Browser, page: &Page, who: &str) {
    let before = browser.eval(page, STATS);
    let (decoded, audio) = (before["decoded"].as_u64().unwrap_or(0), before["audio"].as_u64().unwrap_or(0));
    let condition = format!("s.decoded > {decoded} + 30 && s.audio > {audio} + 50 && s.energy > 0");
    until(browser, page, &format!("{who} sees and hears the other"), &condition);
}

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Frames of a stretch over which shares are looked at: enough that those on their way do not count.
const STRETCH: u64 = 150;

/// Waits until each of two, who decode already, decoded nine of ten frames that the other sent meanwhile, over a stretch of 150 at least.
/// `look` says for each how many the other sent so far, and how many were decoded.
pub(crate) fn each_decodes_nine_of_ten(names: [&str; 2], mut look: impl FnMut() -> [[Value; 2]; 2]) {
    let mut looks: [Vec<[u64; 2]>; 2] = Default::default();
    let mut shares: [Option<[u64; 2]>; 2] = [None; 2];
    let end = Instant::now() + PATIENCE;
    while shares.contains(&None) {
        assert!(
            Instant::now() < end,
            "{names:?} decode less than nine of ten frames, sent and decoded so far: {looks:?}"
        );
        for (n, now) in look().into_iter().enumerate() {
            let now = now.map(|count| count.as_u64().unwrap_or(0));
            let since = looks[n].iter().map(|then| [now[0].saturating_sub(then[0]), now[1].saturating_sub(then[1])]);
            let good = |[sent, decoded]: &[u64; 2]| *sent >= STRETCH && decoded * 10 >= sent * 9;
            shares[n] = shares[n].or(since.into_iter().find(good));
            looks[n].push(now);
        }
        pause();
    }
    println!("of so many frames, so many were decoded by {names:?}: {:?}", shares.map(Option::unwrap_or_default));
}

/// A viewer that decodes nothing and holds every stream that it is sent to the guard's rules.
pub(crate) fn guard(appliance: &Appliance) -> Plan {
    Plan { viewers: 1, tiles: 2, guard: true, ..plan(appliance, "1061", 0) }
}

/// Waits until so many, the guard among them, are connected.
pub(crate) fn the_guard_is_in(browser: &mut Browser, page: &Page, people: usize) {
    let there = format!("[...window.plenum.room.people.values()].filter(p => p.has_media).length === {people}");
    browser.until(page, "the guard is in", &there);
}

/// The guard saw so many pictures, and sound, and found nothing.
pub(crate) fn nothing_wrong(summary: &Summary, guards: &[Attendee], pictures: usize) {
    let [guard] = guards else { panic!("one guard: {}", summary.text()) };
    let seen = |kind: Kind| guard.stats.slots.iter().filter(move |s| s.kind == kind && s.frames > 30).count();
    println!("the guard looked at {} packets", guard.stats.guarded);
    assert!(summary.violation.is_none() && guard.stats.guarded > 0, "{}", summary.text());
    assert!(seen(Kind::Video) >= pictures && seen(Kind::Audio) > 0, "{}", summary.text());
}

fn two(appliance: &Appliance, browser: &mut Browser) -> (Page, Page) {
    let alice = join(browser, appliance, "Alice");
    let bob = join(browser, appliance, "Bob");
    sees_and_hears(browser, &alice, "Alice");
    sees_and_hears(browser, &bob, "Bob");
    (alice, bob)
}

/// Of all the story of a call in one: this is what most of the others stand on.
#[test]
fn two_browsers_see_and_hear_each_other() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let (alice, bob) = two(&appliance, &mut browser);
    let (summary, guards) = beside(guard(&appliance), |_| {
        the_guard_is_in(&mut browser, &alice, 3);
        each_decodes_nine_of_ten(["Alice", "Bob"], || {
            let [a, b] = [&alice, &bob].map(|page| browser.eval(page, STATS));
            [[b["sent"].clone(), a["decoded"].clone()], [a["sent"].clone(), b["decoded"].clone()]]
        });
        layers_screens_and_a_restart(&mut browser, &alice, &bob);
    });
    nothing_wrong(&summary, &guards, 2);

    // Leaving is seen.
    browser.eval(&bob, "document.getElementById('leave').click()");
    browser.until(&alice, "Alice is alone again", "window.plenum.room.people.size === 1");
}

fn layers_screens_and_a_restart(browser: &mut Browser, alice: &Page, bob: &Page) {
    // A smaller tile gets a smaller layer, a larger one the larger again.
    until(browser, alice, "the large tile shows the large layer", "s.main >= 600");
    browser.resize(alice, 360, 640);
    until(browser, alice, "the small tile shows a smaller layer", "s.main > 0 && s.main < 600");
    browser.resize(alice, 1280, 720);
    until(browser, alice, "the large tile shows the large layer again", "s.main >= 600");

    // Bob shows his screen.
    browser.eval(bob, "document.getElementById('share').click()");
    until(browser, alice, "Alice sees Bob's screen", "s.screen > 5");
    browser.until(alice, "the presentation tile is shown", "!window.plenum.tiles.presentation.hidden");
    browser.screenshot(alice, &crate::appliance::pictures().join("presentation.png"));
    browser.eval(bob, "document.getElementById('share').click()");
    browser.until(alice, "the presentation tile is gone", "window.plenum.tiles.presentation.hidden");

    browser.screenshot(alice, &crate::appliance::pictures().join("room.png"));

    // An ICE restart changes the credentials and loses nobody.
    let ufrag = "window.plenum.room.call.pc.remoteDescription.sdp.match(/a=ice-ufrag:(\\S+)/)[1]";
    let before = browser.eval(bob, ufrag);
    browser.eval(bob, "window.plenum.room.call.restart()");
    assert_ne!(browser.eval(bob, ufrag), before);
    sees_and_hears(browser, bob, "Bob after an ICE restart");
    sees_and_hears(browser, alice, "Alice after Bob's ICE restart");
}

#[test]
fn a_browser_without_udp_joins_over_tcp() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut with_udp = Browser::start(&[]);
    let mut without = Browser::start(&[
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    ]);
    let alice = join(&mut with_udp, &appliance, "Alice");
    let bob = join(&mut without, &appliance, "Bob");
    sees_and_hears(&mut with_udp, &alice, "Alice");
    sees_and_hears(&mut without, &bob, "Bob");
    let stats = without.eval(&bob, STATS);
    assert_eq!(stats["protocol"], "tcp", "{stats}");
}

#[test]
fn when_the_control_plane_is_killed_media_goes_on_and_the_same_people_are_there_afterwards() {
    let _alone = crate::alone();
    let mut appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let (alice, bob) = two(&appliance, &mut browser);
    let uuid = browser.eval(&alice, "window.plenum.room.session.uuid");
    let call = browser.eval(&alice, "window.plenum.room.call.uuid");
    let media = appliance.media_pid();
    kill(appliance.control_pid());
    sees_and_hears(&mut browser, &alice, "Alice without a control plane");
    appliance.kill_control_and_restart();
    assert_eq!(appliance.media_pid(), media, "the media plane was kept");
    sees_and_hears(&mut browser, &bob, "Bob with a new control plane");
    let roster = "window.plenum.room.session.get('/participants').then(l => l.filter(p => p.has_media).length)";
    browser.until(
        &alice,
        "both are in the roster of the new control plane",
        &format!("(async () => 2 === await {roster})()"),
    );
    assert_eq!(browser.eval(&alice, "window.plenum.room.session.uuid"), uuid);
    assert_eq!(browser.eval(&alice, "window.plenum.room.call.uuid"), call, "the call was not set up again");
    browser.eval(&alice, "window.plenum.room.session.post('/refresh_session')");
}

#[test]
fn when_the_media_plane_is_killed_clients_set_their_call_up_again_as_the_same_participants() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let (alice, bob) = two(&appliance, &mut browser);
    let state = "({ participant: window.plenum.room.session.uuid, call: window.plenum.room.call.uuid })";
    let before = [&alice, &bob].map(|page| browser.eval(page, state));
    let note = "(() => { const all = window.plenum.room.session.handlers, before = all.get('call_disconnected'); window.told = []; \
        all.set('call_disconnected', (e) => { window.told.push(e); before(e); }); return true; })()";
    for page in [&alice, &bob] {
        browser.eval(page, note);
    }
    kill(appliance.media_pid());
    let killed = Instant::now();
    wait_until(&appliance, "media is started again", || appliance.log().matches("media started").count() == 2);
    let started = killed.elapsed();
    wait_until(&appliance, "media answers again", || appliance.metric("plenum_media_up") > 0.0);
    let answers = killed.elapsed();
    for (page, before, who) in [(&alice, &before[0], "Alice"), (&bob, &before[1], "Bob")] {
        browser.until(
            page,
            &format!("{who} has a new call"),
            &format!("window.plenum.room.call.uuid && window.plenum.room.call.uuid !== {} && window.plenum.room.call.pc.connectionState === 'connected'", before["call"]),
        );
    }
    let back = killed.elapsed();
    println!(
        "media was started again after {started:?}, answered after {answers:?}; both were connected again after {back:?}"
    );
    for (page, before, who) in [(&alice, &before[0], "Alice"), (&bob, &before[1], "Bob")] {
        let told = json!([{"call_uuid": before["call"], "reason": "media restarted"}]);
        browser.until(
            page,
            &format!("{who} was told"),
            &format!("JSON.stringify(window.told) === {:?}", told.to_string()),
        );
        assert_eq!(browser.eval(page, state)["participant"], before["participant"], "{who} is the same participant");
        assert_eq!(browser.eval(page, "window.plenum.room.people.size"), 2, "{who} sees nobody twice");
    }
    sees_and_hears(&mut browser, &alice, "Alice after the media plane was killed");
    sees_and_hears(&mut browser, &bob, "Bob after the media plane was killed");
}

/// The other way than the page's own: an ICE restart on the connection that is there, answered with the new fingerprint.
#[test]
fn after_the_media_plane_was_killed_an_ice_restart_revives_the_same_call_on_the_same_connection() {
    let _alone = crate::alone();
    let mut appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let (alice, bob) = two(&appliance, &mut browser);
    let state = "({ participant: window.plenum.room.session.uuid, call: window.plenum.room.call.uuid })";
    let before: Vec<Value> = [&alice, &bob].into_iter().map(|page| browser.eval(page, state)).collect();
    let fingerprint = "window.plenum.room.call.pc.remoteDescription.sdp.match(/a=fingerprint:(.*)/)[1]";
    let old = browser.eval(&alice, fingerprint);
    for page in [&alice, &bob] {
        // The page believes that somebody sets its call up again already, so it does not.
        browser.eval(page, "window.plenum.room.reconnecting = true; window.first = window.plenum.room.call.pc; true");
    }
    kill(appliance.media_pid());
    appliance.wait_until_healthy();
    for (page, who) in [(&alice, "Alice"), (&bob, "Bob")] {
        // Until control hears of the new media plane, it answers as if nothing had happened.
        let answered = format!("window.plenum.room.call.restart().then(() => {fingerprint} !== {old})");
        browser.until(page, &format!("{who}'s ICE restart is answered by the new media plane"), &answered);
    }
    sees_and_hears(&mut browser, &alice, "Alice on the connection that she had");
    sees_and_hears(&mut browser, &bob, "Bob on the connection that he had");
    let after: Vec<Value> = [&alice, &bob].into_iter().map(|page| browser.eval(page, state)).collect();
    assert_eq!(after, before, "the same participants with the same calls");
    assert_eq!(browser.eval(&alice, "window.first === window.plenum.room.call.pc"), true);
}
