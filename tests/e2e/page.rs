//! The room page as people use it: refusals, the waiting room, what hosts do, chat, keys, farewells, and that nothing is cut
//! off at any size in any language. Screenshots of what was seen lie in `target/e2e`.

use crate::appliance::{Appliance, pictures};
use crate::browser::{Browser, Page};
use serde_json::{Value, json};
use std::process::Command;

const IN_CALL: &str = "window.plenum?.room?.call?.pc.connectionState === 'connected'";

/// Opens the lobby with these words in its fields.
fn lobby(browser: &mut Browser, appliance: &Appliance, conference: &str, name: &str) -> Page {
    let url = format!("{}/?conference={conference}&name={name}&width=640&height=360", appliance.url());
    let page = browser.open(&url, 1280, 720);
    browser.until(
        &page,
        "the lobby is there",
        "window.plenum?.devices.video && document.body.dataset.view === 'lobby'",
    );
    page
}

/// A function that says whether the page shows a view.
const VIEW: &str = "(name => document.body.dataset.view === name)";

fn shows(browser: &mut Browser, page: &Page, view: &str) {
    browser.until(page, &format!("the page shows the {view}"), &format!("{VIEW}('{view}')"));
}

fn click(browser: &mut Browser, page: &Page, selector: &str) {
    browser.eval(page, &format!("document.querySelector({}).click()", json!(selector)));
}

/// Fills one field of the lobby.
fn fill(browser: &mut Browser, page: &Page, id: &str, value: &str) {
    browser.eval(page, &format!("document.getElementById('{id}').value = {}", json!(value)));
}

fn press(browser: &mut Browser, page: &Page, key: &str) {
    let event = format!("new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }})");
    browser.eval(page, &format!("document.body.dispatchEvent({event})"));
}

/// Waits until the text of an element that is shown is this one.
fn says(browser: &mut Browser, page: &Page, id: &str, text: &str) {
    let element = format!("document.getElementById('{id}')");
    let condition = format!("{element}.checkVisibility() && {element}.textContent === {}", json!(text));
    browser.until(page, &format!("#{id} says {text:?}"), &condition);
}

/// Makes a conference as an operator does, with the password that the first start printed.
fn create(browser: &mut Browser, appliance: &Appliance, page: &Page, settings: &Value) {
    let log = appliance.log();
    let password = log.split("shown this once:").nth(1).and_then(|rest| rest.split_whitespace().next());
    let login = json!(format!("admin:{}", password.expect("the first start prints the password")));
    let request = format!(
        "fetch('/api/plenum/v1/conferences', {{ method: 'POST', body: JSON.stringify({settings}), \
         headers: {{ 'content-type': 'application/json', authorization: 'Basic ' + btoa({login}) }} }}).then(a => a.status)"
    );
    assert_eq!(browser.eval(page, &request), 201);
}

/// A participant without media: a session and nothing else. Its uuid.
fn session(browser: &mut Browser, page: &Page, conference: &str, name: &str, pin: &str) -> String {
    let body = json!({"display_name": name}).to_string();
    let request = format!(
        "fetch('/api/services/{conference}/new_session', {{ method: 'POST', body: {}, headers: {{ pin: '{pin}' }} }}).then(a => a.json()).then(a => a.result.participant_uuid)",
        json!(body)
    );
    browser.eval(page, &request).as_str().expect("entered").to_owned()
}

fn board() -> Value {
    json!({"name": "Board", "aliases": ["2000"], "host_pin": "1234", "guest_pin": "99"})
}

/// The row of a participant in the list of people, by name.
fn row(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('#people-list li')].find(li => li.querySelector('b').textContent === {})",
        json!(name)
    )
}

/// How many packets of sound have come so far.
const SOUND: &str = "(async () => [...(await window.plenum.room.call.pc.getStats()).values()] \
     .filter(s => s.type === 'inbound-rtp' && s.kind === 'audio').reduce((n, s) => n + (s.packetsReceived ?? 0), 0))()";

#[test]
fn a_refusal_says_why_and_the_next_attempt_may_be_right() {
    let _alone = crate::alone();
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("plenum.toml");
    std::fs::write(&config, "[limits]\nparticipants_per_conference = 2\n").expect("written");
    let appliance = Appliance::start(&["--config", config.to_str().expect("a path")]);
    let mut browser = Browser::start(&[]);
    let page = lobby(&mut browser, &appliance, "4444", "Ann");
    create(&mut browser, &appliance, &page, &board());
    let focus = |browser: &mut Browser, id: &str| {
        browser.until(&page, &format!("the focus is in #{id}"), &format!("document.activeElement.id === '{id}'"));
    };

    click(&mut browser, &page, "#enter");
    says(&mut browser, &page, "refusal", "This conference does not exist.");
    focus(&mut browser, "conference");
    fill(&mut browser, &page, "conference", "2000");
    click(&mut browser, &page, "#enter");
    says(&mut browser, &page, "refusal", "This conference needs a PIN.");
    fill(&mut browser, &page, "pin", "77");
    click(&mut browser, &page, "#enter");
    says(&mut browser, &page, "refusal", "This PIN is not right. Please try again.");
    focus(&mut browser, "pin");
    // What no header can carry is a wrong PIN, not a failure.
    fill(&mut browser, &page, "pin", "密码");
    click(&mut browser, &page, "#enter");
    says(&mut browser, &page, "refusal", "This PIN is not right. Please try again.");
    browser.screenshot(&page, &pictures().join("refused.png"));
    fill(&mut browser, &page, "pin", "1234");
    click(&mut browser, &page, "#enter");
    browser.until(&page, "the right PIN lets Ann in", IN_CALL);
    says(&mut browser, &page, "room-name", "Board");

    session(&mut browser, &page, "2000", "Bea", "99");
    let third = lobby(&mut browser, &appliance, "2000", "Cem");
    fill(&mut browser, &third, "pin", "99");
    click(&mut browser, &third, "#enter");
    says(&mut browser, &third, "refusal", "The conference is full.");
    assert_eq!(browser.eval(&page, IN_CALL), true, "who is in stays in");
}

#[test]
fn a_guest_waits_is_let_in_chats_is_muted_and_is_removed_and_knows_why_each_time() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let guest = lobby(&mut browser, &appliance, "2000", "Gus");
    create(&mut browser, &appliance, &guest, &board());
    fill(&mut browser, &guest, "pin", "99");
    click(&mut browser, &guest, "#enter");
    shows(&mut browser, &guest, "waiting");
    browser.screenshot(&guest, &pictures().join("waiting.png"));

    let host = lobby(&mut browser, &appliance, "2000", "Hana");
    fill(&mut browser, &host, "pin", "1234");
    click(&mut browser, &host, "#enter");
    browser.until(&host, "the host is in", IN_CALL);
    browser.until(&guest, "the guest is let in when the host is there", IN_CALL);

    // Locked: the next guest waits until the host lets them in.
    click(&mut browser, &host, "#people-toggle");
    click(&mut browser, &host, "#lock");
    browser.until(&host, "the lock is shown", "!document.getElementById('locked').hidden");
    session(&mut browser, &host, "2000", "Wu", "99");
    says(&mut browser, &host, "notice", "Wu is waiting to be let in.");
    browser.until(&host, "one waits", "document.getElementById('people-waiting').textContent === '1'");
    browser.screenshot(&host, &pictures().join("people.png"));
    assert_eq!(browser.eval(&guest, &format!("Boolean({})", row("Wu"))), false, "guests do not see who waits");
    browser.eval(&host, &format!("{}.querySelector('.primary').click()", row("Wu")));
    browser.until(&guest, "the guest sees who was let in", &row("Wu").replace(".find", ".some"));
    assert_eq!(browser.eval(&guest, "document.getElementById('lock').hidden"), true, "guests cannot lock");

    // Chat: shown as text whatever it contains, and counted while the panel is closed.
    let words = "<b>مرحبا</b> & 你好";
    fill(&mut browser, &guest, "chat-text", words);
    browser.eval(&guest, "document.getElementById('chat-form').requestSubmit()");
    says(&mut browser, &host, "chat-unread", "1");
    click(&mut browser, &host, "#chat-toggle");
    let last = "document.querySelector('#chat-list li:last-child p')?.textContent";
    assert_eq!(browser.eval(&host, last), words);
    browser.until(&guest, "the sender sees it too", &format!("{last} === {}", json!(words)));
    assert_eq!(browser.eval(&host, "document.getElementById('chat-unread').hidden"), true);
    browser.screenshot(&host, &pictures().join("chat.png"));

    // Muted: seen by both, and really silent.
    browser.until(&host, "the guest is heard", &format!("(async () => (await {SOUND}) > 20)()"));
    browser.eval(&host, &format!("{}.querySelector('[data-command]').click()", row("Gus")));
    says(&mut browser, &guest, "notice", "You were muted by a host.");
    browser.until(
        &guest,
        "the button says so",
        "document.getElementById('mic').getAttribute('aria-pressed') === 'false'",
    );
    browser.until(&host, "the list says so", &format!("!{}.querySelector('.muted').hidden", row("Gus")));
    let quiet = format!(
        "(async () => {{ const before = await {SOUND}; await new Promise(r => setTimeout(r, 1500)); return before === await {SOUND}; }})()"
    );
    browser.until(&host, "nothing is heard of the guest", &quiet);
    press(&mut browser, &guest, "m");
    says(&mut browser, &guest, "notice", "Only a host can unmute you.");
    let before = browser.eval(&host, SOUND).as_u64().expect("a count");
    browser.eval(&host, &format!("{}.querySelector('[data-command]').click()", row("Gus")));
    says(&mut browser, &guest, "notice", "A host has unmuted you.");
    browser.until(&host, "the guest is heard again", &format!("(async () => (await {SOUND}) > {before} + 20)()"));

    // Removed: asked twice, and told why.
    let remove = format!("{}.querySelector('.icon.warn').click()", row("Gus"));
    browser.eval(&host, &remove);
    assert_eq!(browser.eval(&guest, &format!("{VIEW}('room')")), true, "one click removes nobody");
    browser.eval(&host, &remove);
    shows(&mut browser, &guest, "ended");
    says(&mut browser, &guest, "ended-title", "You were removed");
    says(&mut browser, &guest, "ended-reason", "A host has removed you from the conference.");
    assert_eq!(browser.eval(&guest, "Boolean(window.plenum.devices.stream)"), false, "the camera is off");
    browser.screenshot(&guest, &pictures().join("removed.png"));
    browser.until(&host, "the guest is gone", &format!("!{}", row("Gus")));
}

#[test]
fn keys_switch_sound_and_picture_the_other_sees_it_and_a_closed_tab_has_left() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let alice = lobby(&mut browser, &appliance, "1061", "Alice");
    let bob = lobby(&mut browser, &appliance, "1061", "Bob");
    for (page, who) in [(&alice, "Alice"), (&bob, "Bob")] {
        click(&mut browser, page, "#enter");
        browser.until(page, &format!("{who} is in"), IN_CALL);
    }
    let tile = |part: &str| format!("document.querySelector('.tile[aria-label^=Bob]:not([hidden]){part}')");
    browser.until(&alice, "Bob is seen", &tile(".picture"));

    press(&mut browser, &bob, "m");
    browser.until(&alice, "Bob's silence is shown", &tile(" .name svg:not([hidden])"));
    press(&mut browser, &bob, "m");
    browser.until(&alice, "Bob's voice is back", &tile(" .name svg[hidden]"));

    press(&mut browser, &bob, "v");
    browser.until(&alice, "Bob is a name without a picture", &tile(":not(.picture)"));
    assert_eq!(browser.eval(&bob, "window.plenum.devices.video"), Value::Null, "the camera is really off");
    browser.screenshot(&alice, &pictures().join("camera-off.png"));
    press(&mut browser, &bob, "v");
    browser.until(&alice, "Bob is seen again", &tile(".picture"));

    // In a field they are letters.
    click(&mut browser, &bob, "#chat-toggle");
    browser.eval(
        &bob,
        "document.getElementById('chat-text').dispatchEvent(new KeyboardEvent('keydown', { key: 'm', bubbles: true }))",
    );
    assert_eq!(browser.eval(&bob, "window.plenum.devices.microphoneOn"), true);
    press(&mut browser, &bob, "Escape");
    assert_eq!(browser.eval(&bob, "document.getElementById('chat').hidden"), true);

    // Far below the life of a token: the page said that it goes.
    browser.close(bob);
    browser.until(&alice, "Bob has left", "window.plenum.room.people.size === 1");
    browser.until(&alice, "Alice is told that she is alone", "document.getElementById('alone').checkVisibility()");
}

#[test]
fn when_the_server_ends_people_are_told_and_when_it_is_gone_the_lobby_says_so() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let page = lobby(&mut browser, &appliance, "1061", "Alice");
    click(&mut browser, &page, "#enter");
    browser.until(&page, "Alice is in", IN_CALL);
    let term = Command::new("kill").args(["-TERM", &appliance.control_pid().to_string()]).status();
    assert!(term.is_ok_and(|status| status.success()));
    shows(&mut browser, &page, "ended");
    says(&mut browser, &page, "ended-title", "The server is shutting down");
    click(&mut browser, &page, "#again");
    says(&mut browser, &page, "refusal", "The server cannot be reached.");
}

/// What sticks out of the window, is cut off, or covers a neighbour: a list of words, empty when all is well.
const MISFITS: &str = r#"(() => {
  const found = [];
  const shown = (e) => e.checkVisibility() && e.getBoundingClientRect().width > 0;
  const say = (what, e) => found.push(`${what}: ${e.id || e.className || e.tagName} "${e.textContent.trim().slice(0, 30)}"`);
  if (document.documentElement.scrollWidth > innerWidth) found.push('the page is wider than the window');
  for (const main of document.querySelectorAll('main')) if (shown(main) && main.scrollWidth > main.clientWidth) say('wider than the window', main);
  for (const e of document.querySelectorAll('button, label > span, h1, h2, p, summary, dt, .control > span')) {
    if (!shown(e)) continue;
    const r = e.getBoundingClientRect();
    if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline') say('cut off', e);
    if (r.left < -1 || r.right > innerWidth + 1) say('outside', e);
  }
  const apart = (selector) => {
    const all = [...document.querySelectorAll(selector)].filter(shown), boxes = all.map((e) => e.getBoundingClientRect());
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) say('covered', all[i]);
    }));
    boxes.forEach((a, i) => { if (a.bottom > innerHeight + 1 || a.top < -1) say('not in the window', all[i]); });
  };
  if (document.body.dataset.view === 'room') { apart('.control, .topbar > *, #alone > *, .tile.corner'); apart('.tile:not(.corner)'); }
  for (const e of document.querySelectorAll('button, input, select, a')) {
    if (shown(e) && !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)) say('no accessible name', e);
  }
  return found;
})()"#;

/// Resolves when what a new size moves has moved: observers run within a frame.
const FRAMES: &str =
    "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(() => r(true)))))";

#[test]
fn nothing_is_cut_off_covered_or_nameless_at_any_size_in_any_language() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let page = lobby(&mut browser, &appliance, "1061", "Alice");
    // Tiles glide to their places; here only the places matter.
    browser.eval(&page, "document.head.append(Object.assign(document.createElement('style'), { textContent: '* { transition: none !important }' }))");
    let mut wrong = Vec::new();
    let mut look = |browser: &mut Browser, what: &str| {
        for language in ["en", "zh-Hans", "zh-Hant", "ja"] {
            browser.eval(
                &page,
                &format!("{{ const l = document.getElementById('language'); l.value = '{language}'; l.onchange(); }}"),
            );
            for (width, height) in [(1280, 720), (360, 640), (640, 360), (768, 1024)] {
                browser.resize(&page, width, height);
                browser.eval(&page, FRAMES);
                let found = browser.eval(&page, MISFITS);
                if found != json!([]) {
                    wrong.push(format!("{what} {language} {width}×{height}: {found}"));
                }
                browser.screenshot(&page, &pictures().join(format!("{what}-{language}-{width}.png")));
            }
        }
    };
    click(&mut browser, &page, "summary");
    look(&mut browser, "lobby");
    click(&mut browser, &page, "#enter");
    browser.until(&page, "Alice is in", IN_CALL);
    look(&mut browser, "alone");
    for name in
        ["محمد عبد الله الأنصاري", "👩‍👧 Grün", "Maximiliana Konstantinopoulou-Featherstonehaugh von Hohenstein-Waldburg"]
    {
        session(&mut browser, &page, "1061", name, "none");
    }
    for panel in ["people", "chat", "stats", "settings", "picture"] {
        click(&mut browser, &page, &format!("#{panel}-toggle"));
        if panel == "picture" {
            let there = "document.getElementById('host-picture').checkVisibility()";
            browser.until(&page, "what is in force is shown", there);
        }
        look(&mut browser, panel);
    }
    click(&mut browser, &page, "#leave");
    shows(&mut browser, &page, "ended");
    look(&mut browser, "ended");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
