//! What a mix costs (P7, P8): a whole room of the mixer in this process, in virtual time, as fast as it goes.
//!
//! P7 is a 1:7 of 1280×720 at 30 frames a second: eight members send VP8 of the layer that suits their tile, one scene is composed and
//! encoded at 1.5 Mbit/s. P8 is the mixed sound of a room in which three speak. The figures are processor time of the room by virtual
//! time. A room does not know who watches or listens: an output is made once, and each who receives it costs a shard its packets, which
//! the same shard without sockets as in `micro` is asked for.

mod alone;
mod room;

use crate::load::{Media, suite_name};
use crate::micro;
use crate::painted::{Reel, Tape};
use crate::report::{Bound, Report};
pub use alone::run as transcode;
use plenum_contract::{Codec, MixOutput, ParticipantKey};
use plenum_engines::{Limits, VideoCodec, video_decoder};
use plenum_kernels::{Colour, I420Mut, Rect};
use plenum_mix::fonts;
use plenum_mix::room::RoomSettings;
use plenum_srtp::Suite;
use room::Hall;
pub(crate) use room::{one_to_seven, processor_time};
use std::sync::Arc;

const PICTURES: &str = "A mixed room's picture (P7)";
const SOUNDS: &str = "A mixed room's sound (P8)";
/// Bits a second of the mixed picture.
const BITRATE: u32 = 1_500_000;
/// Members, speakers among them.
const MEMBERS: usize = 8;
const SPEAKERS: usize = 3;
/// Milliseconds until buffers, decoders and rate control have settled.
const WARM_UP: u64 = 3_000;

/// Measures pictures, then sound.
pub fn run(report: &mut Report, quick: bool) {
    let settings = RoomSettings::new(fonts::load(fonts::DIRECTORIES).fonts);
    let ms = if quick { 10_000 } else { 30_000 };
    if let Err(why) = pictures(report, &settings, ms, quick) {
        report.skip("a mixed room's picture", why);
    }
    if let Err(why) = sounds(report, &settings, ms, quick) {
        report.skip("a mixed room's sound", why);
    }
}

/// P7.
fn pictures(report: &mut Report, settings: &RoomSettings, ms: u64, quick: bool) -> Result<(), String> {
    let main = Arc::new(film((1280, 720), 1500, 0)?);
    let small = (1..MEMBERS).map(|seed| film((320, 180), 150, seed).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    let mut hall = Hall::new(settings.clone(), vec![one_to_seven()]);
    hall.join(Some(main.clone()), None);
    small.iter().for_each(|reel| hall.join(Some(reel.clone()), None));
    hall.speakers(1);
    hall.need(MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 2 }, BITRATE);
    hall.run(WARM_UP);
    hall.reset();
    hall.run(ms);
    let (seconds, made) = (ms as f64 / 1000.0, hall.made);
    let kbps = made.picture_bytes as f64 * 8.0 / seconds / 1000.0;
    report
        .add(PICTURES, "1:7 at 1280x720, 8 sources decoded, one VP8 encoding", hall.percent(), "% of a core")
        .bound(Bound::AtMost(33.0))
        .note(format!("{:.1} frames/s, {kbps:.0} kbit/s", made.pictures as f64 / seconds));
    let decoding = decoding(&main, &small, ms)?;
    report.add(PICTURES, "of it decoding, measured alone", decoding, "% of a core").note("1280x720 and 7 of 320x180");
    let (viewers, suite) = (if quick { 10 } else { 30 }, Suite::AeadAes128Gcm);
    let packet = nanos_a_packet(Media::Video, viewers, suite);
    let viewer = made.picture_packets as f64 / seconds * packet / 1e7;
    report
        .add(PICTURES, format!("each who watches, in a shard, {}", suite_name(suite)), viewer, "% of a core")
        .note(format!("{packet:.0} ns/packet without sockets; the room does not know how many there are"));
    Ok(())
}

/// P8.
fn sounds(report: &mut Report, settings: &RoomSettings, ms: u64, quick: bool) -> Result<(), String> {
    let tapes = (0..MEMBERS).map(|n| Tape::of(voice(n)).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    let room = |common: bool| {
        let mut hall = Hall::new(settings.clone(), vec![]);
        for (n, tape) in tapes.iter().enumerate() {
            hall.join(None, Some((tape.clone(), n < SPEAKERS)));
        }
        hall.speakers(SPEAKERS as u64);
        for n in 1..=SPEAKERS as u64 {
            hall.need(MixOutput::Audio { codec: Codec::Opus, without: Some(ParticipantKey(n)) }, 0);
        }
        if common {
            hall.need(MixOutput::Audio { codec: Codec::Opus, without: None }, 0);
        }
        hall.run(WARM_UP);
        hall.reset();
        hall.run(ms);
        (hall.percent(), hall.made.sound_packets as f64 * 1000.0 / ms as f64)
    };
    let (speakers, _) = room(false);
    let (whole, packets) = room(true);
    report
        .add(SOUNDS, "each who speaks: decode, mix without them, encode", speakers / SPEAKERS as f64, "% of a core")
        .bound(Bound::AtMost(1.5))
        .note("all that a room of three speakers takes, by three; Opus");
    let common = (whole - speakers).max(0.0);
    report
        .add(SOUNDS, "the mix for all who only listen, once", common, "% of a core")
        .note(format!("{packets:.0} packets/s of {} outputs", SPEAKERS + 1));
    let (listeners, suite) = (if quick { 30 } else { 100 }, Suite::AeadAes128Gcm);
    let packet = nanos_a_packet(Media::Audio, listeners, suite);
    let listener = packets / (SPEAKERS + 1) as f64 * packet / 1e7;
    report
        .add(SOUNDS, format!("each who listens, in a shard, {}", suite_name(suite)), listener, "% of a core")
        .note(format!("{packet:.0} ns/packet without sockets"));
    report
        .add(
            SOUNDS,
            "listeners that a core has room for beside three speakers",
            (100.0 - whole) / listener,
            "listeners",
        )
        .bound(Bound::AtLeast(1000.0))
        .note("without sockets; `fanout` measures packets with them");
    Ok(())
}

/// What a shard takes for a packet that it sends.
fn nanos_a_packet(media: Media, receivers: u64, suite: Suite) -> f64 {
    let spent = micro::spend(media, receivers, suite);
    spent.time.as_nanos() as f64 / spent.sent.max(1) as f64
}

/// What decoding these for as long as the room ran takes, in percent of a core.
fn decoding(main: &Reel, small: &[Arc<Reel>], ms: u64) -> Result<f64, String> {
    let mut reels: Vec<&Reel> = vec![main];
    reels.extend(small.iter().map(Arc::as_ref));
    let mut spent = 0;
    for reel in reels {
        let mut decoder = video_decoder(VideoCodec::Vp8, Limits::default()).map_err(|e| e.to_string())?;
        let start = processor_time();
        for unit in reel.units().iter().cycle().take((ms * 30 / 1000) as usize) {
            std::hint::black_box(decoder.decode(unit).map_err(|e| e.to_string())?);
        }
        spent += processor_time() - start;
    }
    Ok(100.0 * spent as f64 / (ms * 1_000_000) as f64)
}

/// Four seconds of somebody before a textured wall: the wall stands, they move, and the camera adds noise.
fn film(size: (u16, u16), kbps: u64, seed: usize) -> Result<Reel, String> {
    let mut random = seed as u64 * 2 + 1;
    Reel::encode(size, (30, kbps), 120, |picture, frame| scenery(picture, frame, seed, &mut random))
}

/// Frame `frame` of somebody before a textured wall.
pub(crate) fn scenery(picture: &mut I420Mut<'_>, frame: usize, seed: usize, random: &mut u64) {
    let (width, height) = (picture.width(), picture.height());
    let wall = Colour { y: 110, u: 118 + seed as u8, v: 136 - seed as u8 };
    let skin = Colour { y: 150, u: 110, v: 150 };
    picture.fill(Rect { x: 0, y: 0, width, height }, wall);
    // A circle in two seconds.
    let turn = frame as f64 * std::f64::consts::TAU / 60.0;
    let shift = |side: usize, part: f64| (side as f64 * (0.3 + 0.04 * part)) as usize & !1;
    let head = Rect { x: shift(width, turn.cos()), y: shift(height, turn.sin()), width: width / 3, height: height / 2 };
    picture.fill(head, skin);
    for y in 0..height {
        let inside = (head.y..head.y + head.height).contains(&y);
        let row = picture.y.row_mut(y);
        for (x, luma) in row.iter_mut().enumerate() {
            let moves = inside && (head.x..head.x + head.width).contains(&x);
            // Texture in units of the picture's width, the same in large and small pictures; it moves with its owner.
            let (x, y) = if moves { (x - head.x, y - head.y) } else { (x, y) };
            let (u, v) = (x * 512 / width, y * 288 / height);
            let texture = ((u * u / 64 + v * 5) % 48).abs_diff(24) + (v * v / 48 + u * 3) % 31;
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *luma = luma.wrapping_add(texture as u8).wrapping_add((*random >> 62) as u8);
        }
    }
}

/// A second of something like a voice: harmonics of 110 Hz and above with a breath of noise, four syllables.
fn voice(n: usize) -> impl Fn(usize) -> i16 {
    let pitch = 110.0 + 15.0 * n as f64;
    move |sample| {
        let time = (sample % 48_000) as f64 / 48_000.0;
        let tone = |k: u32| (time * pitch.round() * f64::from(k) * std::f64::consts::TAU).sin() / f64::from(k);
        let hash = (sample as u64 % 48_000 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let noise = (hash ^ hash >> 29) % 2001;
        let breath = noise as f64 / 1000.0 - 1.0;
        let syllable = (time * 4.0 * std::f64::consts::PI).sin().abs();
        (((1..=12).map(tone).sum::<f64>() * 5000.0 + breath * 600.0) * syllable) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::painted::{Painting, tone};
    use plenum_mix::text::Fonts;

    #[test]
    fn a_room_makes_a_picture_from_those_who_send_one_and_its_time_counts() {
        let painting = Painting::encode(1, 30, &[((64, 36), 50)]).unwrap();
        let reel = Arc::new(painting.reels.into_iter().next().unwrap());
        let mut scene = one_to_seven();
        (scene.width, scene.height) = (128, 72);
        let mut hall = Hall::new(RoomSettings::new(Fonts::none()), vec![scene]);
        (0..3).for_each(|_| hall.join(Some(reel.clone()), None));
        hall.need(MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 0 }, 200_000);
        hall.run(1_000);
        assert!(hall.made.pictures >= 20, "{:?}", hall.made);
        assert!(hall.spent > 0 && hall.passed == 1_000_000_000);
        hall.reset();
        assert_eq!(hall.made, room::Made::default());
    }

    #[test]
    fn a_room_makes_sound_for_each_who_speaks_and_once_for_all_others() {
        let tape = Arc::new(Tape::encode(tone(1)).unwrap());
        let mut hall = Hall::new(RoomSettings::new(Fonts::none()), vec![]);
        (0..4).for_each(|n| hall.join(None, Some((tape.clone(), n < 2))));
        hall.speakers(2);
        for without in [Some(ParticipantKey(1)), Some(ParticipantKey(2)), None] {
            hall.need(MixOutput::Audio { codec: Codec::Opus, without }, 0);
        }
        hall.run(500);
        hall.reset();
        hall.run(1_000);
        assert_eq!(hall.made.sound_packets, 150);
    }
}
