//! Conferences of painted publishers, and viewers of the mix that look at pixels and listen for tones. Who speaks is told, everything is
//! waited for: nothing depends on how fast the machine is.

use crate::appliance::{Appliance, pause};
use crate::browser::{Browser, Page};
use plenum_bench::painted::{rgb, tone};
use plenum_bench::swarm::{Attendee, Camera, Cues, Plan, Stack, Summary};
use plenum_mix::layout::Layout;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pictures that say whose they are even in a small tile, and cost little.
pub(crate) const CAMERA: Camera = Camera { width: 320, height: 180, fps: 15, kbps: 150, encodings: 1, adaptive: false };
const PATIENCE: Duration = Duration::from_secs(60);

/// Painted publishers in a conference, for as long as somebody looks.
pub(crate) fn plan(at: &Appliance, conference: &str, publishers: usize) -> Plan {
    Plan {
        url: at.url(),
        insecure: true,
        conferences: vec![conference.into()],
        pin: None,
        publishers,
        viewers: 0,
        seconds: 900,
        camera: Some(CAMERA),
        audio: true,
        turns: None,
        painted: true,
        film: None,
        cues: None,
        suite: None,
        tiles: 1,
        guard: false,
        bind: None,
        stack: Stack::Own,
        loss: 0.0,
        key_frames: None,
    }
}

/// Ends the swarm, whatever becomes of the story.
struct Stop(Arc<Cues>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs a swarm for as long as a story takes, in which it is told who speaks; then what the swarm saw.
pub(crate) fn beside(plan: Plan, story: impl FnOnce(&Cues)) -> (Summary, Vec<Attendee>) {
    let cues = Arc::new(Cues::default());
    let plan = Plan { cues: Some(cues.clone()), ..plan };
    std::thread::scope(|scope| {
        let stop = Stop(cues.clone());
        let swarm = scope.spawn(|| plan.attendees().expect("the swarm runs"));
        story(&cues);
        drop(stop);
        let (summary, attendees) = swarm.join().expect("the swarm ends");
        let count = plan.publishers + plan.viewers;
        assert_eq!((summary.connected, &summary.refused), (count, &vec![]), "{}", summary.text());
        (summary, attendees)
    })
}

/// An appliance whose mixer has come.
pub(crate) fn appliance(extra: &[&str]) -> Appliance {
    let at = Appliance::start(extra);
    until(&at, "no mixer came", || at.metric("plenum_mixer_up") > 0.0);
    at
}

/// Waits until `there` says so.
pub(crate) fn until(at: &Appliance, what: &str, mut there: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !there() {
        assert!(Instant::now() < end, "{what}:\n{}", at.log());
        pause();
    }
}

/// What makes the room page ask for the mix.
pub(crate) const MIXED: &str = "&width=320&height=180&media=mix&tiles=1";

/// Enters through the room page, which first runs `script`, sends neither picture nor sound, and opens its eyes and ears for the mix of
/// `publishers` in the default layout: `window.look`, eyes.js.
pub(crate) fn enters(browser: &mut Browser, url: &str, script: &str, publishers: usize) -> Page {
    let page = browser.open_prepared(url, (640, 480), script);
    browser.until(&page, "it is connected", "window.plenum?.room?.call?.pc.connectionState === 'connected'");
    let colours: Vec<_> = (1..=publishers).map(rgb).collect();
    let tones: Vec<_> = (1..=publishers).map(tone).collect();
    browser.eval(&page, &format!("({})({colours:?}, {tones:?})", include_str!("eyes.js")));
    looks_at(browser, &page, "1:7");
    page
}

/// The point at which a tile of a layout is looked at, as shares of width and height: upper left, where neither number nor bar nor name is.
pub(crate) fn point(layout: &str, tile: usize) -> [f64; 2] {
    let layout: Layout = layout.parse().expect("a layout");
    let tile = layout.tile(tile, 1280, 720).expect("a tile");
    let share = |at: usize, size: usize, part: f64, of: f64| (at as f64 + size as f64 * part) / of;
    [share(tile.x, tile.width, 0.15, 1280.0), share(tile.y, tile.height, 0.17, 720.0)]
}

/// Tells eyes where the tiles of a layout are looked at.
pub(crate) fn looks_at(browser: &mut Browser, page: &Page, layout: &str) {
    let tiles = layout.parse::<Layout>().expect("a layout").tiles();
    let points: Vec<_> = (0..tiles).map(|n| point(layout, n)).collect();
    browser.eval(page, &format!("look.points = {points:?}; true"));
}

/// Waits until every tile shows the publisher that the server says stands there, each of these among them and once, and empty ones nobody.
pub(crate) fn tiles_show_whom_they_should(browser: &mut Browser, page: &Page, among: &[usize]) {
    let condition = format!(
        "(() => {{ const wrong = look.wrong({among:?}); if (wrong) throw JSON.stringify(wrong); return true; }})()"
    );
    browser.until(page, &format!("every tile shows whom it should, {among:?} among them"), &condition);
}

/// Gives a publisher the word, and waits until they are heard and stand in the main tile. Frames, and milliseconds of the pictures' own
/// time, from the first frame with their tone to the first with their picture in the main tile; and milliseconds from the cue to that.
pub(crate) fn speaks(browser: &mut Browser, page: &Page, cues: &Cues, number: usize) -> (i64, f64, f64) {
    browser.eval(page, &format!("look.watch({number})"));
    let cue = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs_f64() * 1e3;
    cues.speak(number);
    let both = format!(
        "(() => {{ const {{ heard, seen }} = look.watched; if (!heard || !seen || look.tiles()[0] !== {number}) \
         throw JSON.stringify({{ heard, seen, tiles: look.tiles(), loud: look.loud() }}); \
         return [seen.frame - heard.frame, seen.media - heard.media, seen.at]; }})()"
    );
    let what = format!("publisher {number} is heard and stands in the main tile");
    let figures = browser.until(page, &what, &both);
    let figure = |n: usize| figures[n].as_f64().expect("a figure");
    (figure(0) as i64, figure(1), figure(2) - cue)
}
