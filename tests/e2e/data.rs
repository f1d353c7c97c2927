//! Data channels between real browsers: relayed by label, text and binary, up to the size that answers announce.

use crate::appliance::Appliance;
use crate::browser::{Browser, Page};

/// Opens the channel `trial` on the page's own connection, which adds an m-line to the running call, and keeps what arrives on
/// any channel of that label: ours, or the one that the server opens.
const OPEN: &str = r#"(async () => {
  const call = window.plenum.room.call;
  const trial = window.trial = { got: [], channel: null };
  const sum = (bytes) => bytes.reduce((n, b) => (n * 31 + b) % 65521, 7);
  const listen = (channel) => {
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => trial.got.push(typeof data === 'string' ? `text:${data.length}:${data}` : `binary:${data.byteLength}:${sum(new Uint8Array(data))}`);
  };
  call.pc.ondatachannel = ({ channel }) => { if (channel.label === 'trial') listen(channel); };
  trial.channel = call.pc.createDataChannel('trial');
  listen(trial.channel);
  await call.restart();
})()"#;

fn join(browser: &mut Browser, appliance: &Appliance, name: &str) -> Page {
    let page = browser.open(&appliance.room(name, "&tiles=2&width=640&height=360"), 1280, 720);
    let connected = "window.plenum?.room?.call?.pc.connectionState === 'connected'";
    browser.until(&page, &format!("{name} is connected"), connected);
    browser.eval(&page, OPEN);
    browser.until(&page, &format!("{name}'s channel is open"), "window.trial.channel.readyState === 'open'");
    page
}

fn arrives(browser: &mut Browser, page: &Page, what: &str, message: &str) {
    browser.until(page, what, &format!("window.trial.got.includes('{message}')"));
}

#[test]
fn messages_of_both_kinds_pass_between_browsers_up_to_the_announced_size() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let alice = join(&mut browser, &appliance, "Alice");
    let bob = join(&mut browser, &appliance, "Bob");

    browser.eval(&alice, "window.trial.channel.send('hello')");
    arrives(&mut browser, &bob, "Bob reads Alice's text", "text:5:hello");
    browser.eval(&bob, "window.trial.channel.send('')");
    arrives(&mut browser, &alice, "Alice gets Bob's empty text", "text:0:");

    // The largest message arrives whole; one byte more is refused by the sender's own browser.
    assert_eq!(browser.eval(&bob, "window.plenum.room.call.pc.sctp.maxMessageSize"), plenum_session::MAX_MESSAGE);
    let sum = browser.eval(
        &bob,
        "(() => { const bytes = new Uint8Array(65536).map((_, i) => i * 7 + (i >> 8)); window.trial.channel.send(bytes); \
         return bytes.reduce((n, b) => (n * 31 + b) % 65521, 7); })()",
    );
    arrives(&mut browser, &alice, "Alice gets 64 KiB of bytes", &format!("binary:65536:{sum}"));
    let refused =
        "(() => { try { window.trial.channel.send(new Uint8Array(65537)); return false; } catch { return true; } })()";
    assert_eq!(browser.eval(&bob, refused), true);

    // Nobody hears himself, and nothing came twice.
    assert_eq!(browser.eval(&alice, "window.trial.got.length"), 2);
    assert_eq!(browser.eval(&bob, "window.trial.got.length"), 1);
}

#[test]
fn answers_announce_the_message_size_that_sessions_take() {
    assert_eq!(plenum_sdp::answer::MAX_MESSAGE_SIZE, u64::from(plenum_session::MAX_MESSAGE));
}
