//! Who stands where in the mix, seen and heard in a browser: publishers whose pictures and tones tell who they are, viewers that look at
//! pixels and listen for tones. Everything is waited for; nothing depends on how fast the machine is.

use crate::appliance::{Appliance, pause, pictures};
use crate::browser::{Browser, Page};
use plenum_bench::painted::{rgb, tone};
use plenum_bench::swarm::{Camera, Plan, Stack};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Publishers.
const COUNT: usize = 4;
/// How long each speaks: long enough for a slow machine to show it.
const TURN: Duration = Duration::from_secs(10);
/// What the viewer hums, in Hz: nobody's tone, and no multiple of one.
const HUM: u32 = 1870;

/// Ends the swarm, whatever becomes of the test.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn plan(at: &Appliance, stop: &Arc<AtomicBool>) -> Plan {
    Plan {
        url: at.url(),
        insecure: true,
        conferences: vec!["1061".into()],
        pin: None,
        publishers: COUNT,
        viewers: 0,
        seconds: 900,
        camera: Some(Camera { width: 160, height: 90, fps: 10, kbps: 120, encodings: 1, adaptive: false }),
        audio: true,
        turns: Some(TURN),
        painted: true,
        stop: Some(stop.clone()),
        suite: None,
        tiles: 1,
        guard: false,
        bind: None,
        stack: Stack::Own,
        loss: 0.0,
        key_frames: None,
    }
}

/// `window.look`: who is in which tile of a 1:7 (0: nobody of the swarm), whose tone sounds, how loud a tone is in dB, and a hum to send.
fn eyes_and_ears() -> String {
    let colours: Vec<_> = (1..=COUNT).map(rgb).collect();
    let tones: Vec<_> = (1..=COUNT).map(tone).collect();
    format!(
        r#"(async () => {{
  const colours = {colours:?}, tones = {tones:?}, call = window.plenum.room.call;
  const video = document.createElement('video');
  video.muted = true;
  video.srcObject = new MediaStream([call.videos[0].receiver.track]);
  video.play();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [320, 180];
  const pen = canvas.getContext('2d', {{ willReadFrequently: true }});
  const sound = new AudioContext({{ sampleRate: 48000 }}), ear = sound.createAnalyser(), quiet = sound.createGain();
  [ear.fftSize, ear.smoothingTimeConstant, quiet.gain.value] = [8192, 0, 0];
  for (const t of call.audios) sound.createMediaStreamSource(new MediaStream([t.receiver.track])).connect(ear);
  ear.connect(quiet).connect(sound.destination);
  const bins = new Float32Array(ear.frequencyBinCount);
  const who = (x, y) => {{
    const seen = pen.getImageData(x * 320, y * 180, 1, 1).data;
    const far = colours.map((c) => Math.abs(c[0] - seen[0]) + Math.abs(c[1] - seen[1]) + Math.abs(c[2] - seen[2]));
    const near = far.indexOf(Math.min(...far));
    return far[near] < 120 ? near + 1 : 0;
  }};
  const level = (hz) => {{
    ear.getFloatFrequencyData(bins);
    const at = Math.round(hz * 8192 / 48000);
    return Math.max(...bins.slice(at - 1, at + 2));
  }};
  // The upper left of each tile: the number stands in the middle, the bar and the name below.
  const tiles = () => {{
    pen.drawImage(video, 0, 0, 320, 180);
    return [who(256 / 1280, 92 / 720), ...[0, 1, 2, 3, 4, 5, 6].map((n) => who((183 * n + 27) / 1280, 634 / 720))];
  }};
  const loud = () => {{
    const levels = tones.map(level), best = Math.max(...levels);
    return best > -40 && levels.filter((l) => l > best - 15).length === 1 ? levels.indexOf(best) + 1 : 0;
  }};
  const hum = async (hz) => {{
    const tone = sound.createOscillator(), gain = sound.createGain(), out = sound.createMediaStreamDestination();
    [tone.frequency.value, gain.gain.value] = [hz, 0.3];
    tone.connect(gain).connect(out);
    tone.start();
    await call.audio.sender.replaceTrack(out.stream.getAudioTracks()[0]);
  }};
  window.look = {{ tiles, loud, level, hum, sound }};
  await call.audio.sender.replaceTrack(null);
  await call.video.sender.replaceTrack(null);
}})()"#
    )
}

/// Enters with neither picture nor sound of its own, and gets the mix.
fn enter(browser: &mut Browser, appliance: &Appliance, name: &str) -> Page {
    let page = browser.open(&appliance.room(name, "&width=320&height=180&media=mix&tiles=1"), 640, 480);
    browser.until(&page, "it is connected", "window.plenum?.room?.call?.pc.connectionState === 'connected'");
    browser.eval(&page, &eyes_and_ears());
    page
}

/// Waits until each publisher is in one tile, and who is heard is in the main tile and is not `before`.
fn the_speaker_is_in_the_main_tile(browser: &mut Browser, page: &Page, before: u64) -> u64 {
    let condition = format!(
        "(() => {{ const seen = look.tiles(), heard = look.loud(); \
         const each = [1, 2, 3, 4].every((n) => seen.filter((m) => m === n).length === 1); \
         if (!each || seen[0] !== heard || heard === {before}) throw JSON.stringify({{ seen, heard }}); return heard; }})()"
    );
    let what = format!("all are seen, and who speaks after publisher {before} is in the main tile");
    browser.until(page, &what, &condition).as_u64().expect("a number")
}

#[test]
fn each_tile_shows_its_publisher_the_speaker_stands_in_the_main_one_and_nobody_hears_themselves() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&["--mixer=on"]);
    let end = Instant::now() + Duration::from_secs(60);
    while appliance.metric("plenum_mixer_up") < 1.0 {
        assert!(Instant::now() < end, "no mixer came");
        pause();
    }
    let mut browser = Browser::start(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let swarm = plan(&appliance, &stop);
    std::thread::scope(|scope| {
        let _stop = Stop(stop);
        scope.spawn(move || {
            let summary = swarm.run().expect("the swarm runs");
            assert_eq!((summary.connected, &summary.refused), (COUNT, &vec![]), "{}", summary.text());
        });
        let viewer = enter(&mut browser, &appliance, "Viewer");
        let first = the_speaker_is_in_the_main_tile(&mut browser, &viewer, 0);
        browser.screenshot(&viewer, &pictures().join("painted.png"));
        the_speaker_is_in_the_main_tile(&mut browser, &viewer, first);

        // Who hums is heard by others, and hears the others alone.
        let listener = enter(&mut browser, &appliance, "Listener");
        browser.eval(&viewer, &format!("look.hum({HUM})"));
        let heard = format!("look.level({HUM}) > -30");
        browser.until(&listener, "another hears who hums", &heard);
        let others = format!(
            "(async () => {{ for (let i = 0; i < 20; i++) {{ if (look.level({HUM}) > -40 || !look.loud()) return false; \
             await new Promise((r) => setTimeout(r, 50)); }} return true; }})()"
        );
        browser.until(&viewer, "who hums hears the others and not the hum", &others);
        browser.until(&listener, "another still hears who hums", &heard);
    });
}
