//! Pexip's own client library (`@pexip/infinity` 20 from npm, unmodified) in real browsers, at the Pexip-named paths (MGMT-62).
//!
//! What it does is asked of the library; what must not happen is in `pexip.complaints` of `tests/interop/pexip/client.js`.

use crate::appliance::Appliance;
use crate::browser::{Browser, Page};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The library with what records it, as one script.
fn bundle() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let installed = root.join("target/pexip");
    let bundler = Command::new("node")
        .arg(installed.join("node_modules/esbuild/bin/esbuild"))
        .arg(root.join("tests/interop/pexip/client.js"))
        .args(["--bundle", "--minify-whitespace", "--target=es2022", "--log-level=warning"])
        .env("NODE_PATH", installed.join("node_modules"))
        .output()
        .expect("node starts (packaging/setup.sh test installs it)");
    assert!(bundler.status.success(), "{}", String::from_utf8_lossy(&bundler.stderr));
    String::from_utf8(bundler.stdout).expect("a script")
}

/// A person with a page of their own: the library keeps its event signals in one place for a page.
struct Client<'a> {
    browser: &'a std::cell::RefCell<Browser>,
    page: Page,
    name: &'static str,
}

impl<'a> Client<'a> {
    fn open(browser: &'a std::cell::RefCell<Browser>, at: &Appliance, bundle: &str, name: &'static str) -> Client<'a> {
        let page = browser.borrow_mut().open(&format!("{}/health", at.url()), 640, 480);
        let client = Client { browser, page, name };
        client.until("the page is there", "document.readyState === 'complete' && location.protocol === 'https:'");
        client.eval(&format!("{bundle}; true"));
        client
    }

    fn eval(&self, expression: &str) -> Value {
        self.browser.borrow_mut().eval(&self.page, expression)
    }

    /// Waits until `expression` is truthy; if that does not come, says what the library warned of.
    fn until(&self, what: &str, expression: &str) {
        let wait = format!(
            "(async () => {{ for (const end = Date.now() + 30000; Date.now() < end;) {{ \
             try {{ if (await ({expression})) return true; }} catch (e) {{ if (!window.pexip) throw e; }} \
             await new Promise(r => setTimeout(r, 50)); }} return false; }})()"
        );
        if self.eval(&wait) != json!(true) {
            let said = self.eval("({complaints: pexip.complaints, last: pexip.seen.slice(-25)})");
            panic!("{}: {what} did not happen: {said:#}", self.name);
        }
    }

    /// Enters, and is answered with `status`.
    fn join(&self, conference: &str, pin: Option<&str>, status: u16) {
        let pin = pin.map_or("undefined".into(), |pin| format!("'{pin}'"));
        let answered = self.eval(&format!("pexip.join('{conference}', '{}', {pin})", self.name));
        assert_eq!(answered, json!(status), "{}: {}", self.name, self.eval("pexip.complaints"));
    }

    /// A request of the library that must be answered with success.
    fn does(&self, call: &str) -> Value {
        let answer = self.eval(&format!("pexip.client.{call}"));
        assert_eq!(
            (&answer["status"], &answer["data"]["status"]),
            (&json!(200), &json!("success")),
            "{call}: {answer}"
        );
        answer["data"]["result"].clone()
    }

    /// Waits until the library told `signal` with a value of which `test` holds.
    fn told(&self, signal: &str, test: &str) {
        self.until(&format!("{signal} with {test}"), &format!("pexip.told('{signal}', v => {test}) > 0"));
    }

    /// Waits until somebody, as this client sees them, is so.
    fn sees(&self, name: &str, test: &str) {
        let seen = format!("(() => {{ const p = pexip.person('{name}'); return p && ({test}); }})()");
        self.until(&format!("{name} is such that {test}"), &seen);
    }

    fn connected(&self) {
        self.told("onCallConnected", "true");
    }

    /// Waits until pictures are decoded that were not before.
    fn sees_pictures(&self) {
        let before = self.eval("pexip.frames()");
        self.until("pictures come", &format!("pexip.frames().then(n => n > {before} + 20)"));
    }

    fn complains_of_nothing(&self) {
        assert_eq!(self.eval("pexip.complaints"), json!([]), "{}", self.name);
    }
}

#[test]
fn mgmt_62_pexips_own_client_enters_with_and_without_a_pin_steers_and_never_complains() {
    let _alone = crate::alone();
    let at = Appliance::start(&["--shards", "1"]);
    at.create(&["2000", "--pin", "1234", "--guest-pin", "99"]);
    let bundle = bundle();
    let browser = std::cell::RefCell::new(Browser::start(&[]));

    // Without a PIN; an unknown conference is an error that the library knows.
    let dave = Client::open(&browser, &at, &bundle, "Dave");
    dave.join("4711", None, 404);
    dave.told("onError", "v.error === 'No such conference'");
    dave.join("1061", None, 200);
    dave.connected();
    dave.until("he is in the roster", "pexip.me()?.isHost && pexip.me().hasMedia");

    // With PINs.
    let alice = Client::open(&browser, &at, &bundle, "Alice");
    alice.join("2000", None, 403);
    alice.told("onPinRequired", "v.hasHostPin && v.hasGuestPin");
    alice.join("2000", Some("55"), 403);
    alice.until("asked again", "pexip.told('onPinRequired') === 2");
    alice.join("2000", Some("1234"), 200);
    alice.told("onConnected", "true");
    alice.told("onParticipants", "v.participants.some(p => p.displayName === 'Alice' && p.isHost)");
    alice.connected();

    // A locked conference: the guest waits until he is let in, and then sees and is seen.
    alice.does("lock({lock: true})");
    alice.told("onConferenceStatus", "v.status.locked");
    let bob = Client::open(&browser, &at, &bundle, "Bob");
    bob.join("2000", Some("99"), 200);
    bob.told("onServiceType", "v === 'waiting_room'");
    alice.sees("Bob", "p.isWaiting && !p.isHost");
    alice.does("admit({participantUuid: pexip.uuid('Bob')})");
    bob.told("onServiceType", "v === 'conference'");
    alice.does("lock({lock: false})");
    alice.told("onConferenceStatus", "!v.status.locked");
    bob.connected();
    alice.sees("Bob", "!p.isWaiting && p.hasMedia && p.protocol === 'webrtc'");
    alice.sees_pictures();
    bob.sees_pictures();
    bob.told("onStage", "Array.isArray(v)");
    let listed = alice.does("requestParticipants({})");
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");

    steer(&alice, &bob);
    present(&alice, &bob);

    // Out of the conference by a transfer, by being sent out, by the end of all, and by leaving.
    alice.does("transfer({destination: '1061', role: 'guest', pin: '', participantUuid: pexip.uuid('Bob')})");
    bob.sees("Dave", "true");
    dave.sees("Bob", "true");
    alice.until("Bob is gone", "!pexip.person('Bob') && pexip.told('onParticipantLeft') > 0");
    dave.does("kick({participantUuid: pexip.uuid('Bob')})");
    bob.told("onDisconnected", "v.errorCode === '#pex122'");
    alice.does("disconnectAll({})");
    alice.told("onDisconnected", "v.error.length > 0");
    dave.eval("pexip.client.disconnect({})");
    let (status, people) =
        at.get("/metrics").map(|(s, body)| (s, body.contains("\nplenum_participants 0"))).expect("metrics");
    assert_eq!((status, people), (200, true), "everybody is gone");
    for client in [&alice, &bob, &dave] {
        client.complains_of_nothing();
    }
}

/// Everything that a host does to a guest, and what both are told.
fn steer(alice: &Client<'_>, bob: &Client<'_>) {
    let to_bob = "participantUuid: pexip.uuid('Bob')";
    for on in [true, false] {
        let off = !on;
        alice.does(&format!("mute({{mute: {on}, {to_bob}}})"));
        bob.told("onMyselfMuted", &format!("v === {on}"));
        alice.does(&format!("muteVideo({{muteVideo: {on}, {to_bob}}})"));
        alice.sees("Bob", &format!("p.isCameraMuted === {on} && p.isMuted === {on}"));
        alice.does(&format!("muteAllGuests({{mute: {on}}})"));
        bob.told("onConferenceStatus", &format!("v.status.guestsMuted === {on}"));
        bob.does(&format!("clientMute({{mute: {on}}})"));
        alice.sees("Bob", &format!("p.isClientMuted === {on}"));
        alice.does(&format!("spotlight({{enable: {on}, {to_bob}}})"));
        bob.sees("Bob", &format!("p.isSpotlight === {on}"));
        let role = if on { "chair" } else { "guest" };
        alice.eval(&format!("pexip.client.setRole({{role: '{role}', {to_bob}}})"));
        bob.sees("Bob", &format!("p.isHost === {on} && p.canControl !== {off}"));
    }
    bob.does("raiseHand({raise: true})");
    alice.told("onRaiseHand", "v.participant.raisedHand");
    alice.does("lowerAllRaisedHands({})");
    bob.sees("Bob", "!p.raisedHand");
    alice.does(&format!("setTextOverlay({{text: 'Bob of Bonn', {to_bob}}})"));
    bob.sees("Bob", "p.overlayText === 'Bob of Bonn'");
    alice.does("startConference({})");

    bob.does("sendMessage({payload: 'hello 会'})");
    alice.told("onMessage", "v.message === 'hello 会' && v.displayName === 'Bob' && !v.direct");
    alice.does(&format!("sendMessage({{payload: 'for you', {to_bob}}})"));
    bob.told("onMessage", "v.message === 'for you' && v.direct");
    alice.does("sendApplicationMessage({payload: {poll: 1}})");
    bob.told("onApplicationMessage", "v.message.poll === 1");

    let layouts = alice.eval("pexip.client.availableLayouts({})");
    assert!(layouts.as_array().is_some_and(|list| list.contains(&json!("4:0"))), "{layouts}");
    alice.does("setLayout({transforms: {layout: '4:0'}})");
    bob.told("onRequestedLayout", "v.primaryScreen.guestLayout === '4:0'");
    bob.told("onLayoutUpdate", "v.view === '4:0' && v.participants.includes(pexip.uuid('Alice'))");
    alice.does("requestAspectRatio({aspectRatio: 1.77})");
    alice.does("notifyNotAFK({})");
    // The library renegotiates its call, and refreshes its token with it.
    bob.eval("pexip.client.setBandwidth(500)");
    bob.sees_pictures();
}

/// The floor goes from Bob to Alice.
fn present(alice: &Client<'_>, bob: &Client<'_>) {
    bob.eval("pexip.present()");
    bob.told("onPresentationConnectionChange", "v.send === 'connected'");
    alice.until("a presentation begins", "pexip.heard('presentation_start', v => v.presenter_name === 'Bob') > 0");
    alice.told("onPresentationConnectionChange", "v.recv === 'connected'");
    alice.sees("Bob", "p.isPresenting");
    alice.told("onRemotePresentationStream", "true");
    bob.eval("pexip.client.stopPresenting()");
    alice.until("the presentation ends", "pexip.heard('presentation_stop') > 0");
    alice.sees("Bob", "!p.isPresenting");
}
