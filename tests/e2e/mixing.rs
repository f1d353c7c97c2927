//! A browser that asks for the mix sees one composed picture and hears one sound, beside one that is forwarded to; the mixer's death
//! harms neither for long.

use crate::appliance::kill;
use crate::browser::Browser;
use crate::conference::{join, sees_and_hears};
use crate::gallery::{appliance, until};

#[test]
fn a_browser_gets_the_mix_and_gets_it_again_when_the_mixer_was_killed() {
    let _alone = crate::alone();
    let appliance = appliance(&[]);
    let mut browser = Browser::start(&[]);
    let alice = join(&mut browser, &appliance, "Alice");
    let mixed = browser.open(&appliance.room("Mixed", "&width=640&height=360&media=mix"), 1280, 720);
    browser.until(&mixed, "it is connected", "window.plenum?.room?.call?.pc.connectionState === 'connected'");
    sees_and_hears(&mut browser, &mixed, "who asked for the mix");
    sees_and_hears(&mut browser, &alice, "who is forwarded to");
    until(&appliance, "a picture and a sound are made", || appliance.metric("plenum_mixer_outputs") >= 2.0);
    browser.screenshot(&mixed, &crate::appliance::pictures().join("mixed.png"));

    let first = appliance.mixer_pid().expect("a mixer was started");
    kill(first);
    until(&appliance, "another mixer comes", || {
        appliance.mixer_pid().is_some_and(|pid| pid != first) && appliance.metric("plenum_mixer_starts_total") >= 2.0
    });
    sees_and_hears(&mut browser, &mixed, "who gets the mix again");
    sees_and_hears(&mut browser, &alice, "who is forwarded to as before");
    until(&appliance, "they are made again", || appliance.metric("plenum_mixer_outputs") >= 2.0);
}
