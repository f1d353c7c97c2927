//! Two browsers in conference 1061 see and hear each other.

use crate::appliance::Appliance;
use crate::browser::{Browser, Page};

/// What a page measured of its call, in one object.
const STATS: &str = r#"(async () => {
  const stats = [...(await window.plenum.room.call.pc.getStats()).values()];
  const of = (type, kind) => stats.filter(s => s.type === type && s.kind === kind);
  const sum = (list, key) => list.reduce((n, s) => n + (s[key] ?? 0), 0);
  return {
    decoded: sum(of('inbound-rtp', 'video'), 'framesDecoded'),
    width: Math.max(0, ...of('inbound-rtp', 'video').filter(s => s.framesPerSecond > 0).map(s => s.frameWidth ?? 0)),
    sent: Math.max(0, ...of('outbound-rtp', 'video').map(s => s.framesSent ?? 0)),
    audio: sum(of('inbound-rtp', 'audio'), 'packetsReceived'),
    energy: sum(of('inbound-rtp', 'audio'), 'totalAudioEnergy'),
  };
})()"#;

fn join(browser: &mut Browser, appliance: &Appliance, name: &str) -> Page {
    let page = browser.open(&appliance.room(name, "&width=640&height=360"), 1280, 720);
    browser.until(&page, &format!("{name} is connected"), "window.plenum?.room?.call?.pc.connectionState === 'connected'");
    page
}

#[test]
fn two_browsers_see_and_hear_each_other() {
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let alice = join(&mut browser, &appliance, "Alice");
    let bob = join(&mut browser, &appliance, "Bob");
    for (page, name) in [(&alice, "Alice"), (&bob, "Bob")] {
        let seen = format!("(async () => {{ const s = await {STATS}; return s.decoded > 30 && s.audio > 50 && s.energy > 0 && s; }})()");
        let stats = browser.until(page, &format!("{name} sees and hears the other"), &seen);
        println!("{name}: {stats}");
    }
}
