//! What a host does to the picture of a conference on the room page, seen and heard by who gets one picture: painted publishers tell by
//! colour and tone what became of it. Guests get no such controls, and a refusal says why. Screenshots lie in `target/e2e`.

use crate::appliance::{Appliance, pictures};
use crate::browser::{Browser, Page};
use crate::gallery::{MIXED, appliance, beside, enters, looks_at, plan, speaks, tiles_show_whom_they_should};
use crate::presentation::SCREEN;
use plenum_bench::painted::tone;
use plenum_bench::swarm::Plan;
use plenum_mix::canvas::Canvas;
use plenum_mix::files::save_png;
use serde_json::{Value, json};

const COUNT: usize = 4;
/// A point of the main tile of 1:0 and 1:7 where its name stands, and one where the text over the picture does.
const NAME: &str = "[0.093, 0.822]";
const BANNER: &str = "[0.5, 0.03]";
/// A point of the logo.
const LOGO: &str = "[0.94, 0.06]";
const DESKTOP: (u32, u32) = (1280, 800);
const PHONE: (u32, u32) = (390, 844);

fn click(browser: &mut Browser, page: &Page, selector: &str) {
    browser.eval(page, &format!("document.querySelector({}).click()", json!(selector)));
}

/// Presses one of the buttons of a choice, and waits until the page shows it as what is in force.
fn choose(browser: &mut Browser, page: &Page, group: &str, value: &str) {
    let button = format!("#{group} button[value={}]", json!(value));
    click(browser, page, &button);
    let pressed = format!("document.querySelector({}).getAttribute('aria-pressed') === 'true'", json!(button));
    browser.until(page, &format!("{group} is {value}"), &pressed);
}

/// Pictures of the page as a desktop and a phone show it.
fn portrait(browser: &mut Browser, page: &Page, name: &str) {
    for ((width, height), kind) in [(PHONE, "phone"), (DESKTOP, "desktop")] {
        browser.resize(page, width, height);
        let laid = format!("innerWidth === {width} && document.getElementById('room').clientWidth === {width}");
        browser.until(page, "the page is laid out", &laid);
        browser.eval(page, "new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(true))))");
        browser.screenshot(page, &pictures().join(format!("{name}-{kind}.png")));
    }
}

/// What the server says is in force, of hosts and of guests.
fn in_force(browser: &mut Browser, page: &Page, key: &str) -> Value {
    browser.eval(page, &format!("window.plenum.room.picture.read().then((l) => l.map((e) => e[{}]))", json!(key)))
}

/// The row of a publisher in the list of people.
fn row(number: usize) -> String {
    format!(
        "[...document.querySelectorAll('#people-list li')].find((li) => li.querySelector('b').textContent === 'Publisher {number}')"
    )
}

#[test]
fn hosts_shape_the_picture_on_the_page_and_everybody_who_gets_it_sees_and_hears_so() {
    let _alone = crate::alone();
    let at = appliance(&["--shards", "1"]);
    at.create(&["2000", "--pin", "1234", "--guest-pin", "99"]);
    let mut browser = Browser::start(&[]);
    let place = |name: &str, pin: &str| at.url() + &format!("/?conference=2000&name={name}&pin={pin}&join=1{MIXED}");
    let swarm = Plan { pin: Some("1234".into()), ..plan(&at, "2000", COUNT) };
    beside(swarm, |cues| {
        let host = enters(&mut browser, &place("Host", "1234"), "", COUNT);
        let guest = enters(&mut browser, &place("Guest", "99"), SCREEN, COUNT);
        speaks(&mut browser, &host, cues, 1);
        browser.resize(&host, DESKTOP.0, DESKTOP.1);
        click(&mut browser, &host, "#picture-toggle");
        let there = "document.getElementById('host-picture').checkVisibility()";
        browser.until(&host, "a host has controls of the picture", there);
        browser.until(&host, "names stand in the tiles", &format!("look.who({NAME}) !== 1 && look.tiles()[0] === 1"));
        portrait(&mut browser, &host, "picture");

        // Names, and a text over everything.
        click(&mut browser, &host, "#show-names");
        browser.until(&host, "no names", &format!("look.who({NAME}) === 1"));
        let type_banner = |text: &str| {
            format!(
                "{{ const b = document.getElementById('banner-text'); b.value = {}; b.dispatchEvent(new Event('change')); }}",
                json!(text)
            )
        };
        browser.until(&host, "nothing over the picture", &format!("look.who({BANNER}) === 1"));
        browser.eval(&host, &type_banner("Recorded for the minutes 会议记录"));
        for page in [&host, &guest] {
            browser.until(
                page,
                "a text over the picture",
                &format!("look.who({BANNER}) !== 1 && look.tiles()[0] === 1"),
            );
        }
        portrait(&mut browser, &host, "picture-banner");
        browser.eval(&host, &type_banner(""));
        browser.until(&host, "the text is gone", &format!("look.who({BANNER}) === 1"));

        // A logo of this conference alone; what is none is refused with the reason, and the one before stays.
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("logo.png");
        let logo = Canvas::from_pixels(64, 32, vec![[255, 255, 255, 255]; 64 * 32]).expect("a picture");
        save_png(&file, &logo).expect("written");
        let give = |file: &std::path::Path| at.conference("logo", &["2000", file.to_str().expect("a path")]);
        let white_corner = format!("look.pixel({LOGO}).every((c) => c > 180)");
        browser.until(&host, "no logo", &format!("!({white_corner})"));
        assert_eq!(give(&file), (true, String::new()));
        browser.until(&host, "the logo is in the corner", &white_corner);
        portrait(&mut browser, &host, "picture-logo");
        std::fs::write(&file, b"no PNG").expect("written");
        let (done, said) = give(&file);
        assert!(!done && said.contains("no PNG"), "{said}");
        assert_eq!(at.conference("logo", &["2000", "--remove"]), (true, String::new()));
        browser.until(&host, "the logo is gone", &format!("!({white_corner})"));

        // Layouts: for everybody, then for guests alone.
        choose(&mut browser, &host, "layouts", "4:0");
        for page in [&host, &guest] {
            looks_at(&mut browser, page, "4:0");
            tiles_show_whom_they_should(&mut browser, page, &[1]);
        }
        choose(&mut browser, &host, "audience", "guests");
        choose(&mut browser, &host, "layouts", "1:0");
        looks_at(&mut browser, &guest, "1:0");
        tiles_show_whom_they_should(&mut browser, &guest, &[1]);
        tiles_show_whom_they_should(&mut browser, &host, &[1]);
        assert_eq!(
            in_force(&mut browser, &host, "actors_overlay_text"),
            json!(["off", "off"]),
            "what was chosen before stays"
        );
        choose(&mut browser, &host, "audience", "all");
        for (id, key) in [
            ("show-speaker", "indicate_speaker"),
            ("show-more", "plus_n"),
            ("fill-tiles", "fill"),
            ("leave-self", "remove_self"),
        ] {
            let before = in_force(&mut browser, &host, key);
            click(&mut browser, &host, &format!("#{id}"));
            let other = format!(
                "window.plenum.room.picture.read().then((l) => l.every((e, n) => (e[{0:?}] ?? null) !== {before}[n] && e[{0:?}] === l[0][{0:?}]))",
                key
            );
            browser.until(&host, &format!("{key} is another for both"), &other);
        }

        // A screen: large, then alone.
        click(&mut browser, &host, "#picture-reset");
        browser.until(
            &host,
            "the usual picture",
            "document.querySelector('#layouts [aria-pressed=true]').value === '1:7'",
        );
        browser.eval(&guest, "document.getElementById('share').click()");
        let red = |point: &str| format!("(([r, g, b]) => r > 180 && g < 80 && b < 80)(look.pixel({point}))");
        let white = |point: &str| format!("look.pixel({point}).every((c) => c > 180)");
        browser.until(&host, "the screen is large", &format!("{} && {}", red("[0.2, 0.2]"), white("[0.8, 0.7]")));
        browser.until(&host, "beside nothing", &format!("!({})", red("[0.03, 0.03]")));
        choose(&mut browser, &host, "slides", "full");
        browser.until(&host, "the screen is alone", &format!("{} && {}", red("[0.03, 0.03]"), white("[0.97, 0.97]")));
        choose(&mut browser, &host, "slides", "beside");
        browser.until(
            &host,
            "people stand beside it",
            &format!("!({}) && {}", white("[0.97, 0.97]"), "look.pixel([0.1, 0.3])[0] > 180"),
        );
        portrait(&mut browser, &host, "picture-beside");
        browser.eval(&guest, "document.getElementById('share').click()");
        click(&mut browser, &host, "#picture-reset");
        for page in [&host, &guest] {
            looks_at(&mut browser, page, "1:7");
            tiles_show_whom_they_should(&mut browser, page, &[1]);
        }

        // One of them is turned down, and another shown first.
        click(&mut browser, &host, "#people-toggle");
        let own = format!("{}.querySelector('[aria-expanded]').click()", row(1));
        browser.eval(&host, &own);
        let volume = |percent: u16| {
            format!(
                "{{ const r = {}.querySelector('input'); r.value = {percent}; r.dispatchEvent(new Event('input')); r.dispatchEvent(new Event('change')); }}",
                row(1)
            )
        };
        let heard = |yes: &str| format!("look.level({}) {yes}", tone(1));
        browser.until(&guest, "publisher 1 is heard", &heard("> -40"));
        browser.eval(&host, &volume(0));
        browser.until(&guest, "publisher 1 is not heard", &heard("< -60"));
        portrait(&mut browser, &host, "picture-people");
        browser.eval(&host, &volume(100));
        browser.until(&guest, "publisher 1 is heard again", &heard("> -40"));
        browser.eval(&host, &format!("{}.querySelector('[aria-expanded]').click()", row(3)));
        browser.eval(&host, &format!("{}.querySelector('.toggle').click()", row(3)));
        browser.until(&guest, "publisher 3 stands first", "look.tiles()[0] === 3");

        // Who is no host has no such controls, and is told so when they ask for it all the same.
        click(&mut browser, &guest, "#picture-toggle");
        browser.until(
            &guest,
            "a guest has the choice of their own",
            "document.getElementById('own-view').checkVisibility()",
        );
        assert_eq!(browser.eval(&guest, there), false);
        browser.eval(&guest, "window.plenum.room.picture.write([])");
        let said = "document.getElementById('notice').textContent === 'Only a host can do this.'";
        browser.until(&guest, "why it was refused", said);

        // One picture or single ones, in the middle of the call.
        choose(&mut browser, &guest, "own-view", "no");
        let forwarded = "window.plenum.room.call.presentation && window.plenum.room.call.pc.connectionState === 'connected' \
             && document.querySelectorAll('#stage .tile.picture:not(.mirror)').length === 1";
        browser.until(&guest, "publishers come one by one", forwarded);
        assert_eq!(browser.eval(&guest, "document.getElementById('stage').classList.contains('mixed')"), false);
        choose(&mut browser, &guest, "own-view", "yes");
        let mixed = "document.querySelector('#stage.mixed .tile.picture video')?.videoWidth > 0 && !window.plenum.room.call.presentation";
        browser.until(&guest, "one picture comes again", mixed);
    });
}

#[test]
fn who_chose_one_picture_where_no_mixer_runs_is_told_and_gets_single_ones() {
    const NONE: &str = "The server cannot put everybody into one picture now: you see one person at a time.";
    let _alone = crate::alone();
    let at = Appliance::start(&["--mixer=off"]);
    at.create(&["2000", "--pin", "1234", "--guest-pin", "99"]);
    let mut browser = Browser::start(&[]);
    let mut enters = |name: &str, more: &str| {
        let place = at.url() + &format!("/?conference=2000&name={name}&pin=1234&join=1&width=320&height=180{more}");
        let page = browser.open(&place, DESKTOP.0, DESKTOP.1);
        browser.until(&page, "it is connected", "window.plenum?.room?.call?.pc.connectionState === 'connected'");
        page
    };
    let (ann, bob) = (enters("Ann", ""), enters("Bob", "&media=mix"));
    // A notice goes after a while; its words stay.
    let says = |id: &str, text: &str| format!("document.getElementById({}).textContent === {}", json!(id), json!(text));
    // Bob chose it in the lobby, Ann does in the room.
    browser.until(&bob, "Bob is told", &says("notice", NONE));
    click(&mut browser, &ann, "#picture-toggle");
    choose(&mut browser, &ann, "own-view", "yes");
    browser.until(&ann, "Ann is told", &says("notice", NONE));
    browser.until(&ann, "and it stays where she chose", &says("own-hint", NONE));
    let sees = "document.querySelectorAll('#stage.mixed .tile.picture:not(.mirror)').length === 1 \
         && document.querySelector('#stage .tile:not(.mirror):not([hidden]) b').textContent === 'Bob'";
    browser.until(&ann, "she sees Bob, with his name", sees);
    portrait(&mut browser, &ann, "picture-none");

    // Changes that follow each other at once are all made.
    browser.until(
        &ann,
        "a host has controls of the picture",
        "document.getElementById('host-picture').checkVisibility()",
    );
    let both = "for (const id of ['show-names', 'show-speaker']) document.getElementById(id).click()";
    browser.eval(&ann, &format!("{{ {both} }}"));
    let done = "window.plenum.room.picture.read().then((l) => l.every((e) => e.actors_overlay_text === 'off' && e.indicate_speaker === false))";
    browser.until(&ann, "neither undid the other", done);

    choose(&mut browser, &ann, "own-view", "no");
    let hint = says("own-hint", "Everybody comes as a picture of their own.");
    browser.until(&ann, "single pictures are what she asked for", &hint);
}
