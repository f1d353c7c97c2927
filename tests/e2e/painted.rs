//! Who stands where in the mix, seen and heard in a browser: nine publishers whose pictures and tones tell who they are, viewers that look
//! at pixels and listen for tones. Figures are printed: `cargo test -p plenum-tests --test e2e each_tile -- --nocapture`.

use crate::appliance::{Appliance, pictures};
use crate::browser::{Browser, Page};
use crate::gallery::{appliance, beside, looks_at, opens_its_eyes, plan, speaks, tiles_show_whom_they_should};
use plenum_bench::swarm::Plan;
use serde_json::json;

/// Publishers: one more than the default layout has tiles.
const COUNT: usize = 9;
/// What a viewer hums, in Hz: nobody's tone, and no multiple of one.
const HUM: u32 = 1870;

/// Enters with neither picture nor sound of its own, and gets the mix.
fn enter(browser: &mut Browser, at: &Appliance, (name, pin): (&str, &str), more: &str) -> Page {
    let query = format!("/?conference=2000&name={name}&pin={pin}&join=1&width=320&height=180&media=mix&tiles=1{more}");
    let page = browser.open(&(at.url() + &query), 640, 480);
    opens_its_eyes(browser, &page, COUNT);
    looks_at(browser, &page, "1:7");
    page
}

#[test]
fn each_tile_shows_its_publisher_the_speaker_stands_in_the_main_one_and_nobody_hears_themselves() {
    let _alone = crate::alone();
    let at = appliance(&["--shards", "1"]);
    at.create(&["2000", "--pin", "1234", "--guest-pin", "99"]);
    let mut browser = Browser::start(&[]);
    let swarm = Plan { pin: Some("1234".into()), ..plan(&at, "2000", COUNT) };
    beside(swarm, |cues| {
        let guest = enter(&mut browser, &at, ("Guest", "99"), "");
        speaks(&mut browser, &guest, cues, 1);
        tiles_show_whom_they_should(&mut browser, &guest, &[1]);
        for number in [6, 9] {
            let (frames, media, all) = speaks(&mut browser, &guest, cues, number);
            println!(
                "publisher {number}: in the main tile {frames} frames, {media:.0} ms after the tone, {all:.0} ms after the cue"
            );
            tiles_show_whom_they_should(&mut browser, &guest, &[number]);
        }
        browser.screenshot(&guest, &pictures().join("painted.png"));

        // The host has other tiles than the guests.
        let host = enter(&mut browser, &at, ("Host", "1234"), "");
        let entry = |audience: &str, layout: &str| json!({"audience": audience, "actors": [], "vad_backfill": true, "layout": layout});
        let layouts = json!({"layouts": [entry("hosts", "1:21"), entry("", "4:0")]});
        browser.eval(&host, &format!("window.plenum.room.session.post('/override_layout', {layouts})"));
        looks_at(&mut browser, &host, "1:21");
        looks_at(&mut browser, &guest, "4:0");
        tiles_show_whom_they_should(&mut browser, &host, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        tiles_show_whom_they_should(&mut browser, &guest, &[9]);
        browser.screenshot(&host, &pictures().join("painted_host.png"));
        browser.screenshot(&guest, &pictures().join("painted_guest.png"));

        // Who decodes H.264 alone sees the same as who decodes VP8 alone, though the publishers send VP8.
        for codec in ["H264", "VP8"] {
            let page = enter(&mut browser, &at, (codec, "99"), &format!("&codec={codec}"));
            looks_at(&mut browser, &page, "4:0");
            tiles_show_whom_they_should(&mut browser, &page, &[9]);
            let condition = format!("look.codec().then((c) => c === 'video/{codec}')");
            browser.until(&page, &format!("the picture comes in {codec}"), &condition);
            browser.screenshot(&page, &pictures().join(format!("painted_{codec}.png")));
            browser.close(page);
        }

        // Who hums is heard by others, and hears the others alone.
        browser.eval(&guest, &format!("look.hum({HUM})"));
        let heard = format!("look.level({HUM}) > -30");
        browser.until(&host, "another hears who hums", &heard);
        let others = format!(
            "(async () => {{ for (let i = 0; i < 20; i++) {{ if (look.level({HUM}) > -40 || !look.loud()) return false; \
             await new Promise((r) => setTimeout(r, 50)); }} return true; }})()"
        );
        browser.until(&guest, "who hums hears the others and not the hum", &others);
        browser.until(&host, "another still hears who hums", &heard);
    });
}
