//! The codecs of a conference in real browsers: layered VP9 and AV1, H.264, redundant sound, and who cannot decode them.
//!
//! A layer switch is judged by the decoder: it may ask for no key frame, because it never lost its way.

use crate::appliance::Appliance;
use crate::browser::{Browser, Page};
use serde_json::Value;

/// What a page measured of its call: the main picture, what it sends, and what it hears.
const STATS: &str = r#"(async () => {
  const call = window.plenum.room.call;
  const all = await call.pc.getStats();
  const stats = [...all.values()];
  const mime = (s) => all.get(s?.codecId)?.mimeType ?? '';
  const main = stats.find(s => s.type === 'inbound-rtp' && s.mid === call.video.mid) ?? {};
  const sent = stats.filter(s => s.type === 'outbound-rtp' && s.kind === 'video');
  const heard = stats.filter(s => s.type === 'inbound-rtp' && s.kind === 'audio');
  const sum = (list, key) => list.reduce((n, s) => n + (s[key] ?? 0), 0);
  return {
    codec: mime(main), width: main.frameWidth ?? 0, decoded: main.framesDecoded ?? 0, plis: main.pliCount ?? 0, freezes: main.freezeCount ?? 0,
    mode: sent.find(s => s.active !== false)?.scalabilityMode ?? '',
    audio: sum(heard, 'packetsReceived'), audioBytes: sum(heard, 'bytesReceived'), energy: sum(heard, 'totalAudioEnergy'),
  };
})()"#;

fn open(browser: &mut Browser, appliance: &Appliance, name: &str, more: &str) -> Page {
    browser.open(&appliance.room(name, &format!("&tiles=2&{more}")), 1280, 720)
}

fn join(browser: &mut Browser, appliance: &Appliance, name: &str, more: &str) -> Page {
    let page = open(browser, appliance, name, more);
    let connected = "window.plenum?.room?.call?.pc.connectionState === 'connected'";
    browser.until(&page, &format!("{name} is connected"), connected);
    page
}

/// Waits until `condition` holds of the page's statistics `s`.
fn until(browser: &mut Browser, page: &Page, what: &str, condition: &str) -> Value {
    browser.until(page, what, &format!("(async () => {{ const s = await {STATS}; return ({condition}) && s; }})()"))
}

/// Two pages opened with `more` see and hear each other in `codec`; a small tile gets a lower layer and a large one the
/// highest again, `widths` wide. What the other page measured at the end.
fn layers(set: &str, more: &str, codec: &str, widths: (u32, u32)) -> Value {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[&format!("PLENUM_CODECS_SET={set}")]);
    let mut browser = Browser::start(&[]);
    let alice = join(&mut browser, &appliance, "Alice", more);
    let bob = join(&mut browser, &appliance, "Bob", more);
    for (page, who) in [(&alice, "Alice"), (&bob, "Bob")] {
        let seen = format!("s.codec === 'video/{codec}' && s.decoded > 30 && s.audio > 50 && s.energy > 0");
        until(&mut browser, page, &format!("{who} sees {codec} and hears"), &seen);
    }
    let (small, large) = widths;
    until(&mut browser, &alice, "the large tile shows the highest layer", &format!("s.width === {large}"));
    let before = browser.eval(&alice, STATS);
    browser.resize(&alice, 360, 640);
    until(&mut browser, &alice, "the small tile shows a lower layer", &format!("s.width === {small}"));
    let between = until(&mut browser, &alice, "the lower layer goes on", &grows(&before, 60));
    browser.resize(&alice, 1280, 720);
    until(&mut browser, &alice, "the large tile shows the highest layer again", &format!("s.width === {large}"));
    let after = until(&mut browser, &alice, "the highest layer goes on", &grows(&between, 60));
    assert_eq!(after["plis"], before["plis"], "no switch made the decoder lose its way: {before} {between} {after}");
    browser.eval(&bob, STATS)
}

/// That more than `frames` were decoded since.
fn grows(since: &Value, frames: u64) -> String {
    format!("s.decoded > {}", since["decoded"].as_u64().unwrap_or(0) + frames)
}

#[test]
fn vp9_with_layers_that_depend_on_each_other() {
    let sent = layers("opus,red,vp9", "svc=L3T3", "VP9", (320, 1280));
    assert_eq!(sent["mode"], "L3T3");
}

#[test]
fn vp9_with_layers_that_depend_on_each_other_in_key_frames_alone() {
    let sent = layers("opus,red,vp9", "svc=L3T3_KEY", "VP9", (320, 1280));
    assert_eq!(sent["mode"], "L3T3_KEY");
}

#[test]
fn a_page_sends_layers_by_itself_where_the_conference_wants_vp9() {
    let sent = layers("opus,red,vp9", "", "VP9", (320, 1280));
    assert_eq!(sent["mode"], "L3T3_KEY");
}

#[test]
fn av1_with_layers_told_by_its_dependency_descriptor() {
    // 960 wide: the encoder must keep up with two pages on two cores.
    let sent = layers("opus,red,av1", "svc=L3T3&width=960&height=540", "AV1", (480, 960));
    assert_eq!(sent["mode"], "L3T3");
}

#[test]
fn h264_in_simulcast() {
    layers("opus,red,h264", "", "H264", (320, 1280));
}

#[test]
fn vp8_in_simulcast_beside_codecs_that_need_the_dependency_descriptor() {
    layers("opus,red,vp8,vp9,av1", "", "VP8", (320, 1280));
}

#[test]
fn redundant_sound_passes_to_who_has_it() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let alice = join(&mut browser, &appliance, "Alice", "red=1&width=640&height=360");
    let bob = join(&mut browser, &appliance, "Bob", "width=640&height=360");
    for (page, who) in [(&alice, "Alice"), (&bob, "Bob")] {
        until(&mut browser, page, &format!("{who} hears"), "s.audio > 200 && s.energy > 0");
    }
    let size = |s: &Value| s["audioBytes"].as_f64().unwrap() / s["audio"].as_f64().unwrap();
    let (a, b) = (browser.eval(&alice, STATS), browser.eval(&bob, STATS));
    assert!(size(&b) > size(&a) * 1.4, "Bob gets Alice's sound twice: {b}; Alice gets Bob's once: {a}");
}

#[test]
fn who_cannot_decode_what_is_sent_is_told_so_where_nothing_transcodes_it() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&["--mixer=off"]);
    let mut browser = Browser::start(&[]);
    let small = "width=640&height=360";
    let alice = join(&mut browser, &appliance, "Alice", small);
    let bob = open(&mut browser, &appliance, "Bob", &format!("codec=H264&{small}"));
    let shown = "document.body.innerText.includes('The conference sends VP8, which this client does not decode')";
    browser.until(&bob, "Bob is told why", shown);
    // Alone with his codec he is welcome, and everybody after him uses it.
    browser.eval(&alice, "document.getElementById('leave').click()");
    browser.until(&alice, "Alice left", "document.body.dataset.view !== 'room'");
    let bob = join(&mut browser, &appliance, "Bob", &format!("codec=H264&{small}"));
    let alice = join(&mut browser, &appliance, "Alice", small);
    for (page, who) in [(&alice, "Alice"), (&bob, "Bob")] {
        until(&mut browser, page, &format!("{who} sees H.264"), "s.codec === 'video/H264' && s.decoded > 30");
    }
}
