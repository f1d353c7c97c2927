//! What a member's stream costs that is made in another codec for who cannot decode it (decision 15): a whole room of the mixer in virtual time,
//! from packets to packets, in percent of a core.
//!
//! One member sends, one track is made; each further track of another member or size costs the same again, another viewer of the same costs the
//! mixer nothing. Pictures come 30 times a second; those larger than 1280×720 are a presentation's, of which fewer are made.

use super::room::Hall;
use super::{WARM_UP, scenery, voice};
use crate::painted::{Reel, Tape};
use crate::report::Report;
use plenum_contract::{Codec, FeedKind};
use plenum_engines::{AudioCodec, VideoCodec};
use plenum_mix::room::RoomSettings;
use plenum_mix::text::Fonts;
use std::sync::Arc;

const PICTURES: &str = "A picture in another codec, decoded and encoded";
const SOUNDS: &str = "A voice in another codec, decoded and encoded";
/// Size, bit rate in kbit/s, what it is, and the encoding that has its size.
const SIZES: [((u16, u16), u64, FeedKind, u8); 3] = [
    ((640, 360), 600, FeedKind::Camera, 1),
    ((1280, 720), 1800, FeedKind::Camera, 2),
    ((1920, 1080), 2500, FeedKind::Presentation, 2),
];

/// Measures pictures and voices.
pub fn run(report: &mut Report, quick: bool) {
    let ms = if quick { 5_000 } else { 20_000 };
    for (size, kbps, kind, rung) in SIZES {
        for (from, to) in [(VideoCodec::Vp8, Codec::H264), (VideoCodec::H264, Codec::Vp8)] {
            let name = format!("{from:?} to {to:?}, {}x{}", size.0, size.1);
            eprintln!("plenum: {name}");
            let mut random = 1;
            let reel = Reel::encode_in(from, size, (30, kbps), 120, |picture, frame| {
                scenery(picture, frame, 0, &mut random);
            });
            match reel {
                Ok(reel) => {
                    let mut hall = Hall::new(RoomSettings::new(Fonts::none()), vec![]);
                    hall.transcode_pictures(kind, Arc::new(reel), to, rung);
                    measure(&mut hall, ms);
                    let (seconds, made) = (ms as f64 / 1000.0, hall.made);
                    let (fps, bits) = (made.pictures as f64 / seconds, made.picture_bytes as f64 * 8.0 / seconds);
                    report
                        .add(PICTURES, name, hall.percent(), "% of a core")
                        .note(format!("{fps:.1} frames/s, {:.0} kbit/s", bits / 1000.0));
                }
                Err(why) => report.skip(name, why),
            }
        }
    }
    for (engine, from, to) in [
        (AudioCodec::Opus, Codec::Opus, Codec::Pcmu),
        (AudioCodec::Opus, Codec::Opus, Codec::G722),
        (AudioCodec::Pcmu, Codec::Pcmu, Codec::Opus),
        (AudioCodec::G722, Codec::G722, Codec::Opus),
    ] {
        let name = format!("{from:?} to {to:?}");
        match Tape::of_codec(engine, voice(0)) {
            Ok(tape) => {
                let mut hall = Hall::new(RoomSettings::new(Fonts::none()), vec![]);
                hall.transcode_sound(Arc::new(tape), from, to);
                measure(&mut hall, ms);
                let packets = hall.made.sound_packets as f64 * 1000.0 / ms as f64;
                report.add(SOUNDS, name, hall.percent(), "% of a core").note(format!("{packets:.0} packets/s"));
            }
            Err(why) => report.skip(name, why),
        }
    }
}

fn measure(hall: &mut Hall, ms: u64) {
    hall.run(WARM_UP);
    hall.reset();
    hall.run(ms);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::painted::{paint, tone};

    #[test]
    fn a_track_is_made_of_every_picture_and_of_fewer_where_they_are_large() {
        for (from, to) in [(VideoCodec::Vp8, Codec::H264), (VideoCodec::H264, Codec::Vp8)] {
            let reel =
                Reel::encode_in(from, (64, 36), (30, 50), 30, |picture, frame| paint(picture, 1, frame)).unwrap();
            let mut hall = Hall::new(RoomSettings::new(Fonts::none()), vec![]);
            hall.transcode_pictures(FeedKind::Camera, Arc::new(reel), to, 0);
            hall.run(1_000);
            assert!(hall.made.pictures >= 25 && hall.spent > 0, "{from:?}: {:?}", hall.made);
        }
        let reel = Reel::encode((1920, 1080), (30, 500), 4, |picture, frame| paint(picture, 1, frame)).unwrap();
        let mut hall = Hall::new(RoomSettings::new(Fonts::none()), vec![]);
        hall.transcode_pictures(FeedKind::Presentation, Arc::new(reel), Codec::H264, 2);
        hall.run(500);
        hall.reset();
        hall.run(1_000);
        assert!((12..=16).contains(&hall.made.pictures), "{:?}", hall.made);
    }

    #[test]
    fn a_voice_is_made_every_20_ms() {
        for (engine, from, to) in
            [(AudioCodec::Opus, Codec::Opus, Codec::G722), (AudioCodec::Pcmu, Codec::Pcmu, Codec::Opus)]
        {
            let hz = f64::from(tone(1)) * std::f64::consts::TAU / 48_000.0;
            let tape = Tape::of_codec(engine, |sample| ((sample as f64 * hz).sin() * 8000.0) as i16).unwrap();
            let mut hall = Hall::new(RoomSettings::new(Fonts::none()), vec![]);
            hall.transcode_sound(Arc::new(tape), from, to);
            hall.run(500);
            hall.reset();
            hall.run(1_000);
            assert_eq!(hall.made.sound_packets, 50, "{from:?} to {to:?}");
        }
    }
}
