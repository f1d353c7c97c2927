//! Pictures of a presentation (MGMT-46): two browsers, one shares a screen whose colours are known, and the other fetches it as a JPEG.

use crate::appliance::pictures;
use crate::browser::Browser;
use crate::client::join as enter;
use crate::conference::join;
use crate::gallery::appliance;
use serde_json::{Value, json};

/// A screen of four quarters, painted again and again: red, green, blue and white.
pub(crate) const SCREEN: &str = "
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
    [canvas.width, canvas.height] = [1280, 720];
    const paint = () => ['#f00', '#0c0', '#00f', '#fff'].forEach((colour, n) => {
      pen.fillStyle = colour;
      pen.fillRect(n % 2 * 640, (n >> 1) * 360, 640, 360);
    });
    paint();
    setInterval(paint, 100);
    return canvas.captureStream(10);
  };";

/// Follows the events of somebody in `window.frames`, and fetches pictures as them.
const FOLLOW: &str = "(token => {
  const at = name => `/api/services/1061/${name}?token=${token}`;
  window.frames = 0;
  new EventSource(at('events')).addEventListener('presentation_frame', () => window.frames += 1);
  window.picture = async name => {
    const answer = await fetch(at(name));
    if (answer.status !== 200) return { status: answer.status, text: await answer.text() };
    const bitmap = await createImageBitmap(await answer.blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), pen = canvas.getContext('2d');
    pen.drawImage(bitmap, 0, 0);
    const colour = n => [...pen.getImageData((n % 2 + 0.5) * bitmap.width / 2, ((n >> 1) + 0.5) * bitmap.height / 2, 1, 1).data];
    return { status: 200, type: answer.headers.get('content-type'), size: [bitmap.width, bitmap.height], quarters: [0, 1, 2, 3].map(colour) };
  };
})";

/// Whether a pixel has this colour, as nearly as two codecs leave it.
fn is(pixel: &Value, want: [i64; 3]) -> bool {
    want.iter().enumerate().all(|(n, want)| pixel[n].as_i64().is_some_and(|have| (have - want).abs() < 48))
}

fn show(picture: &Value) {
    assert_eq!((&picture["status"], &picture["type"]), (&json!(200), &json!("image/jpeg")), "{picture}");
    for (quarter, want) in [[255, 0, 0], [0, 204, 0], [0, 0, 255], [255, 255, 255]].into_iter().enumerate() {
        assert!(is(&picture["quarters"][quarter], want), "quarter {quarter}: {picture}");
    }
}

#[test]
fn a_shared_screen_is_fetched_as_a_jpeg_and_each_new_picture_is_told() {
    let _alone = crate::alone();
    let at = appliance(&[]);
    let mut browser = Browser::start(&[]);
    let alice = join(&mut browser, &at, "Alice");
    let bob = browser.open_prepared(&at.room("Bob", "&width=640&height=360"), (1280, 720), SCREEN);
    browser.until(&bob, "Bob is connected", "window.plenum?.room?.call?.pc.connectionState === 'connected'");
    // Somebody without media, who fetches from within Alice's page.
    let watcher = enter(&at, "Watcher");
    browser.eval(&alice, &format!("{FOLLOW}({})", json!(watcher.token)));
    assert_eq!(browser.eval(&alice, "picture('presentation.jpeg')")["status"], 404, "nobody presents");

    browser.eval(&bob, "document.getElementById('share').click()");
    browser.until(&alice, "a picture is told though nobody has fetched one", "window.frames > 0");
    let fetched = "(async () => { const p = await picture('presentation.jpeg'); return p.status === 200 && p.size[0] === 1280 && p; })()";
    let picture = browser.until(&alice, "a picture comes", fetched);
    show(&picture);
    assert_eq!(picture["size"], json!([1280, 720]));
    let high = "(async () => { const p = await picture('presentation_high.jpeg'); return p.status === 200 && p; })()";
    show(&browser.until(&alice, "a large picture comes", high));
    let frames = browser.eval(&alice, "window.frames").as_u64().expect("a count");
    let more = format!("window.frames >= {frames} + 3 || (await picture('presentation.jpeg'), false)");
    browser.until(&alice, "more are told while they are fetched", &format!("(async () => {more})()"));
    browser.screenshot(&alice, &pictures().join("presentation_frames.png"));

    browser.eval(&bob, "document.getElementById('share').click()");
    let over = "(async () => (await picture('presentation.jpeg')).status === 404)()";
    browser.until(&alice, "nobody presents any more", over);
}
