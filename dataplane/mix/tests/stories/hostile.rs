//! Media that is wrong on purpose: nothing crashes, a tile shows its last good picture and then the avatar, and what is good again is shown again.
//!
//! Beside these: `room` has sources that stop, change and are damaged at random, wrong payload types, loss and 300 ms of jitter.

use crate::hall::{CONFERENCE, Camera, Hall, colour, feed, header, hum};
use crate::room::{SMALL, hall, who};
use plenum_contract::{Codec, FeedKind, Kind, MixPacket, ToMix};
use plenum_engines::{Limits, VideoCodec, video_decoder};
use plenum_packet::Time;
use plenum_wire::payload::{
    self,
    pack::{FrameTags, Packer},
};
use std::path::{Path, PathBuf};

/// Right of the avatar's initials, in the wall of whoever is shown.
const BESIDE: (usize, usize) = (800, 512);
const MIDDLE: (usize, usize) = (512, 512);

fn camera(hall: &mut Hall) -> &mut Camera {
    hall.guests.get_mut(&1).and_then(|guest| guest.camera.as_mut()).expect("a camera")
}

#[test]
fn frames_that_are_cut_show_the_last_good_picture_then_the_avatar_and_whole_ones_heal() {
    for (codec, cut) in
        [(Codec::Vp8, 5), (Codec::Vp8, 12), (Codec::H264, 2), (Codec::H264, 9), (Codec::Vp9, 4), (Codec::Vp9, 9)]
    {
        let mut hall = hall("1:0", SMALL, 0);
        hall.join(1, codec);
        hall.watch(0, Codec::Vp8, 0);
        hall.run(1000);
        camera(&mut hall).cut = Some(cut);
        hall.run(1600);
        assert_eq!(who(&hall, 0, Codec::Vp8, BESIDE), Some(1), "{codec:?} {cut}: the last good picture");
        hall.run(1000);
        assert_eq!(who(&hall, 0, Codec::Vp8, BESIDE), None, "{codec:?} {cut}: the avatar");
        let asked = hall.key_frames.len();
        assert!((3..=8).contains(&asked), "{codec:?} {cut}: a key frame is asked for, and not all the time: {asked}");
        camera(&mut hall).cut = None;
        hall.run(1000);
        assert_eq!(who(&hall, 0, Codec::Vp8, BESIDE), Some(1), "{codec:?} {cut}");
    }
}

#[test]
fn frames_of_av1_that_are_cut_do_the_same() {
    let row = |hall: &Hall| (40..120).map(|x| hall.watcher(0, Codec::Vp8).at(2 * x, 60).0).collect::<Vec<_>>();
    let far =
        |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>() / a.len() as u32;
    for cut in [5, 12] {
        let mut hall = hall("1:0", SMALL, 1);
        hall.guests.get_mut(&1).unwrap().camera = None;
        hall.watch(0, Codec::Vp8, 0);
        hall.run(200);
        let avatar = row(&hall);
        let mut sequence = hall.show_av1(1, 0, None);
        hall.run(100);
        let good = row(&hall);
        assert!(far(&good, &avatar) > 20, "{cut}: the scene, and no avatar: {}", far(&good, &avatar));
        // The scene takes 350 ms.
        (0..3).for_each(|_| sequence = hall.show_av1(1, sequence, Some(cut)));
        assert!(far(&row(&hall), &good) < 6, "{cut}: the last good picture");
        (0..4).for_each(|_| sequence = hall.show_av1(1, sequence, Some(cut)));
        assert!(far(&row(&hall), &avatar) < 6, "{cut}: the avatar");
        let asked = hall.key_frames.len();
        assert!((3..=8).contains(&asked), "{cut}: a key frame is asked for, and not all the time: {asked}");
        hall.show_av1(1, sequence, None);
        hall.run(100);
        assert!(far(&row(&hall), &good) < 6, "{cut}: whole again");
    }
}

#[test]
fn a_picture_of_one_pixel_is_shown_and_one_of_8192_by_8192_is_not() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.watch(0, Codec::Vp8, 0);
    hall.run(500);
    for (shade, codec) in [(3, Codec::Vp9), (5, Codec::Vp8)] {
        hall.guests.get_mut(&1).unwrap().camera = Some(Camera::new(codec, (1, 1), colour(shade)));
        hall.run(900);
        assert_eq!(who(&hall, 0, Codec::Vp8, MIDDLE), Some(shade), "{codec:?}");
    }
    // Both sides are within what is taken, the pixels are not: no memory is taken for them.
    for (encoding, claims) in [(1, (8192, 8192)), (0, (16_383, 16_383)), (1, (16_383, 1))] {
        let mut fresh = Camera::new(Codec::Vp8, (160, 90), colour(2));
        fresh.encoding = encoding;
        hall.guests.get_mut(&1).unwrap().camera = Some(fresh);
        hall.run(900);
        assert_eq!(who(&hall, 0, Codec::Vp8, BESIDE), Some(2));
        let camera = camera(&mut hall);
        (camera.claims, camera.key) = (Some(claims), true);
        hall.run(1600);
        assert_eq!(who(&hall, 0, Codec::Vp8, BESIDE), Some(2), "{claims:?}: the last good picture");
        hall.run(1000);
        assert_eq!(who(&hall, 0, Codec::Vp8, BESIDE), None, "{claims:?}: the avatar");
    }
    camera(&mut hall).claims = None;
    hall.run(1000);
    assert_eq!(who(&hall, 0, Codec::Vp8, BESIDE), Some(2));
}

#[test]
fn the_corpora_of_the_fuzzers_as_media_harm_nobody() {
    let mut hall = Hall::new(vec![crate::hall::scene(0, "4:0", 320, 180)]);
    hall.join(1, Codec::Vp8);
    hall.join(2, Codec::Vp8);
    hall.watch(0, Codec::Vp8, 0);
    hall.listen(None);
    hall.speak(&[1, 2]);
    hall.run(1000);
    camera(&mut hall).on = false;
    let (mut hostile, mut files, mut reached) = (Hostile { sequence: 0 }, 0, 0);
    for (folder, codec, form) in [
        ("vp8", Codec::Vp8, Form::Payload),
        ("vp9", Codec::Vp9, Form::Payload),
        ("h264", Codec::H264, Form::Payload),
        ("av1", Codec::Av1, Form::Payload),
        ("dd", Codec::Av1, Form::Payload),
        ("red", Codec::Opus, Form::Payload),
        ("unpack", Codec::Vp8, Form::Payloads),
        ("decode_vp8", Codec::Vp8, Form::Frames(payload::Codec::Vp8)),
        ("decode_vp9", Codec::Vp9, Form::Frames(payload::Codec::Vp9)),
        ("decode_h264", Codec::H264, Form::Frames(payload::Codec::H264)),
        ("decode_av1", Codec::Av1, Form::Frames(payload::Codec::Av1)),
        ("decode_sound", Codec::Opus, Form::Sound),
    ] {
        // A codec that comes right after another one is passed over for a while.
        hall.run(300);
        for file in corpus(folder) {
            let bytes = std::fs::read(&file).expect("a readable file");
            println!("{}", file.display());
            hostile.send(&mut hall, codec, form, &bytes);
            hall.run(40);
            files += 1;
            if matches!(form, Form::Frames(_)) && file.ends_with("key_and_deltas") {
                // It has reached the decoder, and what it shows is in the tile.
                hall.run(100);
                let watcher = hall.watcher(0, Codec::Vp8);
                let (width, height) = watcher.size();
                let (shown, seen) = (last_shown(codec, &bytes), watcher.at(width / 4, height / 4).0);
                assert!(shown.abs_diff(seen) < 24, "{codec:?}: {seen} is seen of {shown}");
                reached += 1;
                // Bent in every frame, at another place each time.
                for bent in 1..=8 {
                    let mut bytes = bytes.clone();
                    bytes.iter_mut().skip(2 + bent).step_by(17).for_each(|byte| *byte ^= 1 << (bent % 8));
                    hostile.send(&mut hall, codec, form, &bytes);
                }
            }
        }
    }
    assert!(files > 50 && reached == 4, "{files} files, frames of {reached} codecs were seen");
    assert_eq!(who(&hall, 0, Codec::Vp8, (768, 256)), Some(2), "guest 2 sends well all the time");
    assert!(hall.ears[&None].amplitude(hum(2), 300) > 3000.0);
    // A new stream from its key frame on.
    let (camera, fresh) = (camera(&mut hall), Camera::new(Codec::Vp8, (160, 90), colour(1)));
    *camera = fresh;
    hall.run(2000);
    assert_eq!(who(&hall, 0, Codec::Vp8, (256, 256)), Some(1));
    assert!(hall.ears[&None].amplitude(hum(1), 300) > 3000.0);
}

/// How a corpus holds what is to be sent.
#[derive(Clone, Copy)]
enum Form {
    /// A file is a payload.
    Payload,
    /// Payloads behind two bytes with their length each; a byte before them is the parser's own.
    Payloads,
    /// Frames behind two bytes with their length each, to be packed.
    Frames(payload::Codec),
    /// Packets of sound behind two bytes with their length each, whose highest bit is the decoder's own; a byte before them names the codec.
    Sound,
}

/// The luma in the middle of the last picture that a file of frames shows.
fn last_shown(codec: Codec, bytes: &[u8]) -> u8 {
    let engine = if codec == Codec::Av1 { VideoCodec::Av1 } else { crate::hall::engines(codec).0 };
    let mut decoder = video_decoder(engine, Limits::default()).expect("a decoder");
    let mut shown = None;
    for frame in split(bytes, u16::MAX) {
        if let Ok(Some(picture)) = decoder.decode(frame) {
            shown = Some(picture.y.row(picture.height() / 2)[picture.width() / 2]);
        }
    }
    shown.expect("a picture")
}

/// Guest 1's packets, by another hand.
struct Hostile {
    sequence: u16,
}

impl Hostile {
    fn send(&mut self, hall: &mut Hall, codec: Codec, form: Form, bytes: &[u8]) {
        match form {
            Form::Payload => self.packet(hall, codec, true, bytes),
            Form::Payloads => {
                split(bytes.get(1..).unwrap_or_default(), u16::MAX).for_each(|p| self.packet(hall, codec, true, p));
            }
            Form::Sound => {
                let Some((codec, packets)) = bytes.split_first() else { return };
                // As the target's list; what has no payload type is sent as what it is not.
                let codecs = [Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::G722];
                let codec = codecs[usize::from(*codec) % codecs.len()];
                for packet in split(packets, 0x7fff) {
                    self.packet(hall, codec, false, packet);
                    hall.run(20);
                }
            }
            Form::Frames(format) => {
                let mut packer = Packer::new(format, 400, 0).expect("a packer");
                for frame in split(bytes, u16::MAX) {
                    let mut payloads = Vec::new();
                    let tags = FrameTags { key: true, size: (16, 16), ..Default::default() };
                    let _ = packer.pack(frame, tags, &mut |p| payloads.push((p.last, [p.head, p.body].concat())));
                    payloads.iter().for_each(|(last, payload)| self.packet(hall, codec, *last, payload));
                    hall.run(35);
                }
            }
        }
    }

    fn packet(&mut self, hall: &mut Hall, codec: Codec, marker: bool, payload: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        let kind = if codec.kind() == Kind::Audio { FeedKind::Audio } else { FeedKind::Camera };
        let clock = match codec {
            Codec::Opus => 48_000,
            _ if kind == FeedKind::Audio => 8_000,
            _ => 90_000,
        };
        let timestamp = (hall.now / 1000 * u64::from(clock) / 1_000_000) as u32;
        let rtp = [&header(self.sequence, timestamp, marker)[..], &payload[..payload.len().min(1400)]].concat();
        let (conference, feed, arrival) = (CONFERENCE, feed(1, kind), hall.now);
        let packet = MixPacket { conference, feed, encoding: 0, codec, clock, arrival, level: None, rtp: &rtp };
        hall.room.handle(Time(hall.now), ToMix::Packet(packet));
    }
}

/// The files of a target.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.sort();
    files
}

/// Parts behind two bytes each, in which their length is as far as `mask` says.
fn split(mut bytes: &[u8], mask: u16) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length) & mask).min(rest.len()));
        bytes = rest;
        Some(part)
    })
}
