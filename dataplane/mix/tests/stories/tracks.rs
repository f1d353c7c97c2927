//! Single tracks in another codec: who cannot decode what a member sends sees and hears them all the same, alone, in shape and in time.

use crate::hall::{AV1, CONFERENCE, Camera, Hall, colour, feed, hum, p, said, scene};
use crate::world::{MS, Microphone};
use plenum_contract::{Codec, FeedKind, MixOutput, ToMix};
use plenum_packet::Time;

const CAMERA: FeedKind = FeedKind::Camera;

/// A conference without any picture of its own, and guest 1 who sends in `codec`.
fn hall(codec: Codec) -> Hall {
    let mut hall = Hall::new(vec![]);
    hall.join(1, codec);
    hall
}

/// Who is seen in the middle of guest 1's picture.
fn who(hall: &Hall, codec: Codec, rung: u8) -> Option<u64> {
    let watcher = &hall.tracks[&(1, CAMERA, codec, rung)];
    let (width, height) = watcher.size();
    watcher.who(width / 2, height / 2)
}

fn camera(hall: &mut Hall) -> &mut Camera {
    hall.guests.get_mut(&1).unwrap().camera.as_mut().unwrap()
}

#[test]
fn a_picture_in_another_codec_has_the_shape_and_the_timestamps_of_the_original() {
    let pairs = [(Codec::Vp8, Codec::H264), (Codec::H264, Codec::Vp8), (Codec::Vp9, Codec::Vp8)];
    for (from, to) in pairs {
        let mut hall = hall(from);
        assert!(hall.transcode(1, CAMERA, to, 0));
        hall.guests.get_mut(&1).unwrap().networks.0.delay_ms = 30;
        hall.run(2000);
        assert_eq!(who(&hall, to, 0), Some(1), "{from:?} to {to:?}");
        let watcher = &hall.tracks[&(1, CAMERA, to, 0)];
        assert_eq!((watcher.size(), watcher.keys), ((160, 90), 1));
        assert!(watcher.frames.len() >= 55, "{from:?} to {to:?}: {}", watcher.frames.len());
        // When it came, and not when it was made: sound that is forwarded as it is has the same clock.
        for &(timestamp, captured, _) in &watcher.stamps {
            let taken = captured - 30 * MS;
            assert!(timestamp.abs_diff((taken * 9 / 100_000) as u32) <= 90, "{timestamp} {captured}");
        }
        assert_eq!(hall.wanted.keys().copied().collect::<Vec<_>>(), [feed(1, CAMERA)], "no sound is needed");
    }
}

#[test]
fn an_av1_picture_is_seen_by_who_has_vp8_alone() {
    let mut hall = hall(Codec::Vp8);
    hall.guests.get_mut(&1).unwrap().camera = None;
    hall.transcode(1, CAMERA, Codec::Vp8, 2);
    hall.run(50);
    hall.show_av1(1, 0, None);
    let watcher = &hall.tracks[&(1, CAMERA, Codec::Vp8, 2)];
    let source = (u16::from_le_bytes([AV1[12], AV1[13]]), u16::from_le_bytes([AV1[14], AV1[15]]));
    let whole = |rung| plenum_contract::mix::track_rung(CAMERA, source.0, source.1, rung).map(|r| (r.width, r.height));
    let size = (0..3).rev().find_map(whole).expect("a size");
    assert_eq!(watcher.size(), (usize::from(size.0), usize::from(size.1)));
    let (width, height) = watcher.size();
    let shades: Vec<_> = (0..width).step_by(8).map(|x| watcher.at(x, height / 2)).collect();
    assert!(watcher.frames.len() > 3 && shades.iter().any(|shade| *shade != shades[0]), "the scene");
}

#[test]
fn a_voice_in_another_codec_is_heard_alone_and_pauses_where_its_codec_can() {
    let mut pairs = vec![(Codec::Opus, Codec::Pcmu), (Codec::Pcmu, Codec::Opus), (Codec::G722, Codec::Pcma)];
    pairs.extend([(Codec::G726, Codec::Ilbc), (Codec::Ilbc, Codec::Opus)]);
    for (from, to) in pairs {
        let mut hall = hall(Codec::Vp8);
        hall.join(2, Codec::Vp8);
        hall.guests.get_mut(&1).unwrap().microphone = Some(Microphone::new(from, hum(1), 77));
        hall.guests.get_mut(&1).unwrap().networks.1.jitter_ms = 10;
        assert!(hall.transcode(1, FeedKind::Audio, to, 0));
        hall.speak(&[1, 2]);
        hall.run(2000);
        let (ear, stamps) = &hall.voices[&(1, to)];
        assert!(ear.amplitude(hum(1), 500) > 3000.0, "{from:?} to {to:?}");
        assert!(ear.amplitude(hum(2), 500) < 100.0, "{from:?} to {to:?}: nobody else");
        assert_eq!(ear.longest_hole(hum(1), 500), 0, "{from:?} to {to:?}");
        let step = if to == Codec::Opus { 960 } else { 160 };
        for pair in stamps.windows(2) {
            assert_eq!((pair[1].0.wrapping_sub(pair[0].0), pair[1].1.wrapping_sub(pair[0].1)), (1, step));
        }
        let behind = (hall.now - stamps.last().unwrap().2) / MS;
        assert!((10..=120).contains(&behind), "{from:?} to {to:?}: what is told is when it came: {behind} ms");
        hall.speak(&[]);
        hall.run(1000);
        let before = hall.voices[&(1, to)].1.len();
        hall.run(1000);
        let (ear, stamps) = &hall.voices[&(1, to)];
        let packets = stamps.len() - before;
        assert!(ear.amplitude(hum(1), 200) < 100.0);
        assert!(if to == Codec::Opus { packets < 25 } else { packets == 50 }, "{from:?} to {to:?}: {packets}");
    }
}

#[test]
fn a_presentation_keeps_its_size_with_fewer_pictures_where_that_is_large() {
    const SCREEN: FeedKind = FeedKind::Presentation;
    let mut hall = hall(Codec::Vp8);
    let guest = hall.guests.get_mut(&1).unwrap();
    (guest.camera, guest.screen) = (None, Some(Camera::new(Codec::Vp8, (1920, 1080), colour(1))));
    for rung in 0..3 {
        assert!(hall.transcode(1, SCREEN, Codec::H264, rung));
    }
    hall.run(200);
    assert_eq!(hall.wanted[&feed(1, SCREEN)], (3840, 2160), "as large as it comes");
    hall.run(1000);
    let sizes = [(640, 360), (1280, 720), (1920, 1080)];
    let most = [25..=40, 25..=40, 12..=20];
    for (rung, (size, most)) in sizes.into_iter().zip(most).enumerate() {
        let watcher = &hall.tracks[&(1, SCREEN, Codec::H264, rung as u8)];
        assert_eq!(watcher.size(), size);
        assert_eq!(watcher.who(size.0 / 2, size.1 / 2), Some(1));
        assert!(most.contains(&watcher.frames.len()), "{size:?}: {}", watcher.frames.len());
    }
}

#[test]
fn what_a_screen_says_is_heard_in_another_codec_beside_the_voice_and_not_in_the_mix() {
    const SOUND: FeedKind = FeedKind::PresentationAudio;
    let mut hall = hall(Codec::Vp8);
    hall.guests.get_mut(&1).unwrap().screen_sound = Some(Microphone::new(Codec::Opus, hum(4), 5));
    hall.transcode(1, FeedKind::Audio, Codec::Pcmu, 0);
    hall.listen(None);
    let output = MixOutput::Track { feed: feed(1, SOUND), codec: Codec::Pcmu, rung: 0 };
    assert!(!hall.room.need(output, 0), "control did not name it");
    assert!(hall.transcode(1, SOUND, Codec::Pcmu, 0));
    hall.speak(&[1]);
    hall.run(2000);
    for (kind, own, other) in [(FeedKind::Audio, hum(1), hum(4)), (SOUND, hum(4), hum(1))] {
        let (ear, _) = &hall.voices[&(said(1, kind), Codec::Pcmu)];
        assert!(ear.amplitude(own, 500) > 3000.0 && ear.amplitude(other, 500) < 100.0, "{kind:?}");
    }
    let mixed = &hall.ears[&None];
    assert!(mixed.amplitude(hum(1), 500) > 3000.0 && mixed.amplitude(hum(4), 500) < 100.0);
    hall.room.handle(Time(hall.now), ToMix::Unneeded { conference: CONFERENCE, output });
    hall.run(100);
    assert!(!hall.wanted.contains_key(&feed(1, SOUND)) && hall.wanted.contains_key(&feed(1, FeedKind::Audio)));
    hall.spec.members.retain(|m| m.participant != p(1));
    hall.spec.transcodes.clear();
    hall.apply();
    hall.run(300);
    assert!(hall.wanted.is_empty());
}

#[test]
fn encodings_are_made_while_somebody_needs_them_and_the_spec_names_them() {
    let mut hall = hall(Codec::Vp8);
    hall.guests.get_mut(&1).unwrap().camera = Some(Camera::new(Codec::Vp8, (640, 360), colour(1)));
    hall.run(300);
    assert!(hall.wanted.is_empty() && hall.room.deadline() == Time::NEVER, "nobody needs anything");
    let output = |rung| MixOutput::Track { feed: feed(1, CAMERA), codec: Codec::H264, rung };
    assert!(!hall.room.need(output(0), 0), "control did not name it");
    assert!(hall.transcode(1, CAMERA, Codec::H264, 1));
    assert!(hall.transcode(1, CAMERA, Codec::H264, 0));
    assert!(!hall.room.need(output(3), 0), "there is no such encoding");
    assert!(!hall.room.need(MixOutput::Track { feed: feed(1, FeedKind::Audio), codec: Codec::Pcmu, rung: 0 }, 0));
    hall.run(1000);
    let size = |hall: &Hall, rung| hall.tracks[&(1, CAMERA, Codec::H264, rung)].size();
    assert_eq!((size(&hall, 0), size(&hall, 1)), ((320, 180), (640, 360)));
    assert_eq!((who(&hall, Codec::H264, 0), who(&hall, Codec::H264, 1)), (Some(1), Some(1)));
    assert_eq!(hall.wanted[&feed(1, CAMERA)], (640, 360));
    hall.room.handle(Time(hall.now), ToMix::Unneeded { conference: CONFERENCE, output: output(1) });
    hall.run(300);
    assert_eq!(hall.wanted[&feed(1, CAMERA)], (320, 180));
    let frames = |hall: &Hall, rung| hall.tracks[&(1, CAMERA, Codec::H264, rung)].frames.len();
    let before = (frames(&hall, 0), frames(&hall, 1));
    hall.run(500);
    assert!(frames(&hall, 0) > before.0 && frames(&hall, 1) == before.1);
    hall.spec.transcodes.clear();
    hall.apply();
    let before = frames(&hall, 0);
    hall.run(500);
    assert!(hall.wanted.is_empty() && hall.room.deadline() == Time::NEVER && frames(&hall, 0) == before);
}

#[test]
fn who_asks_for_a_key_frame_gets_one_also_of_a_screen_that_stands_still() {
    let mut hall = hall(Codec::Vp8);
    hall.transcode(1, CAMERA, Codec::H264, 0);
    hall.run(1000);
    let output = MixOutput::Track { feed: feed(1, CAMERA), codec: Codec::H264, rung: 0 };
    let ask = |hall: &mut Hall| hall.room.handle(Time(hall.now), ToMix::KeyFrame { conference: CONFERENCE, output });
    let keys = |hall: &Hall| hall.tracks[&(1, CAMERA, Codec::H264, 0)].keys;
    let asked = hall.key_frames.len();
    ask(&mut hall);
    hall.run(100);
    assert_eq!((keys(&hall), hall.key_frames.len()), (2, asked), "the next picture, and the member is left in peace");
    camera(&mut hall).on = false;
    hall.run(400);
    ask(&mut hall);
    hall.run(100);
    assert_eq!(hall.key_frames.len(), asked + 1, "nothing comes: it is asked for");
    camera(&mut hall).on = true;
    hall.run(400);
    assert_eq!((keys(&hall), hall.key_frames.len()), (3, asked + 1));
    for _ in 0..50 {
        ask(&mut hall);
        hall.run(10);
    }
    assert!(keys(&hall) <= 5, "not for everybody who asks");
}

#[test]
fn size_codec_and_encoding_change_in_mid_stream_and_a_wild_source_costs_no_encoder_a_frame() {
    let mut hall = hall(Codec::Vp8);
    hall.transcode(1, CAMERA, Codec::Vp8, 1);
    hall.run(500);
    let changes = [
        (Codec::Vp8, (320, 180), 2, 0, (320, 180)),
        (Codec::Vp8, (34, 240), 3, 1, (34, 240)),
        (Codec::H264, (96, 54), 4, 1, (96, 54)),
        (Codec::Vp9, (960, 540), 5, 0, (640, 360)),
    ];
    for (codec, size, shade, encoding, seen) in changes {
        let before = hall.tracks[&(1, CAMERA, Codec::Vp8, 1)].stamps.last().unwrap().2;
        let mut camera = Camera::new(codec, size, colour(shade));
        camera.encoding = encoding;
        hall.guests.get_mut(&1).unwrap().camera = Some(camera);
        hall.run(900);
        let watcher = &hall.tracks[&(1, CAMERA, Codec::Vp8, 1)];
        assert_eq!((who(&hall, Codec::Vp8, 1), watcher.size()), (Some(shade), seen), "{codec:?} {size:?}");
        assert_eq!(watcher.stamps.last().unwrap().2 != before, codec != Codec::Vp8 || encoding == 1, "another stream");
    }
    // Another size with every frame.
    let before = hall.tracks[&(1, CAMERA, Codec::Vp8, 1)].keys;
    for n in 0..30 {
        let mut wild = Camera::new(Codec::Vp9, (160 + 2 * n, 90), colour(6));
        wild.encoding = 2;
        hall.guests.get_mut(&1).unwrap().camera = Some(wild);
        hall.run(35);
    }
    let keys = hall.tracks[&(1, CAMERA, Codec::Vp8, 1)].keys - before;
    assert!(keys <= 5, "{keys} key frames in a second");
    hall.guests.get_mut(&1).unwrap().camera = Some(Camera::new(Codec::Vp8, (160, 90), colour(2)));
    hall.run(1000);
    assert_eq!(who(&hall, Codec::Vp8, 1), Some(2));
}

#[test]
fn a_source_that_stops_sends_nothing_and_damaged_ones_recover() {
    for codec in [Codec::Vp8, Codec::H264, Codec::Vp9] {
        let to = if codec == Codec::H264 { Codec::Vp8 } else { Codec::H264 };
        let mut hall = hall(codec);
        hall.join(2, codec);
        hall.transcode(1, CAMERA, to, 0);
        hall.transcode(2, CAMERA, to, 0);
        hall.transcode(1, FeedKind::Audio, Codec::Pcmu, 0);
        hall.speak(&[1]);
        hall.run(500);
        let frames = |hall: &Hall, n| hall.tracks[&(n, CAMERA, to, 0)].frames.len();
        camera(&mut hall).on = false;
        hall.run(100);
        let before = (frames(&hall, 1), frames(&hall, 2));
        hall.run(1000);
        assert!(frames(&hall, 1) == before.0 && frames(&hall, 2) > before.1 + 20);
        camera(&mut hall).on = true;
        hall.guests.get_mut(&1).unwrap().mangled = Some(9);
        // What comes of it are pictures of ours, whatever they show: the watchers decode them.
        hall.run(2000);
        assert!(frames(&hall, 2) > before.1 + 70, "the other is not harmed");
        hall.guests.get_mut(&1).unwrap().mangled = None;
        camera(&mut hall).colour = colour(3);
        hall.run(2000);
        assert_eq!(who(&hall, to, 0), Some(3), "{codec:?}");
        assert!(hall.voices[&(1, Codec::Pcmu)].0.amplitude(hum(1), 300) > 3000.0, "{codec:?}");
    }
}

#[test]
fn loss_and_jitter_leave_it_watchable() {
    for (loss, jitter, repair) in [(5, 10, 60), (0, 200, 0)] {
        let mut hall = hall(Codec::Vp8);
        hall.transcode(1, CAMERA, Codec::H264, 0);
        // The flickering edge of the guest's picture.
        hall.tracks.values_mut().for_each(|w| w.probe = (60, 512));
        let network = &mut hall.guests.get_mut(&1).unwrap().networks.0;
        (network.loss_percent, network.jitter_ms, network.repair_ms) = (loss, jitter, repair);
        hall.run(5000);
        let frozen = hall.tracks[&(1, CAMERA, Codec::H264, 0)].frozen(3000);
        assert!(frozen < 0.05, "{loss} % of loss, {jitter} ms of jitter: {frozen}");
    }
}

#[test]
fn beside_a_mix_the_same_member_is_decoded_once_and_seen_in_both() {
    let mut hall = Hall::new(vec![scene(0, "1:0", 320, 180)]);
    hall.join(1, Codec::Vp8);
    hall.watch(0, Codec::Vp8, 0);
    hall.listen(None);
    hall.transcode(1, CAMERA, Codec::H264, 0);
    hall.transcode(1, FeedKind::Audio, Codec::Pcma, 0);
    hall.speak(&[1]);
    hall.run(1500);
    assert_eq!(who(&hall, Codec::H264, 0), Some(1));
    assert_eq!(hall.watcher(0, Codec::Vp8).who(160, 90), Some(1));
    assert!(hall.ears[&None].amplitude(hum(1), 300) > 3000.0);
    assert!(hall.voices[&(1, Codec::Pcma)].0.amplitude(hum(1), 300) > 3000.0);
    // Muted in the mix by their volume; who is forwarded to hears them as they are.
    hall.spec.members[0].volume = 0;
    hall.apply();
    hall.run(500);
    assert!(hall.ears[&None].amplitude(hum(1), 200) < 60.0);
    assert!(hall.voices[&(1, Codec::Pcma)].0.amplitude(hum(1), 200) > 3000.0);
    // Whoever leaves is gone.
    hall.spec.members.retain(|m| m.participant != p(1));
    hall.spec.transcodes.clear();
    hall.apply();
    hall.run(300);
    assert!(hall.wanted.is_empty());
}

#[test]
fn when_time_is_short_every_second_picture_is_left_out_then_all_but_the_smallest_then_pixels() {
    let mut hall = hall(Codec::Vp8);
    hall.guests.get_mut(&1).unwrap().camera = Some(Camera::new(Codec::Vp8, (640, 360), colour(1)));
    hall.transcode(1, CAMERA, Codec::H264, 0);
    hall.transcode(1, CAMERA, Codec::H264, 1);
    hall.run(1000);
    hall.behind = 80 * MS;
    let frames = |hall: &Hall, rung| hall.tracks[&(1, CAMERA, Codec::H264, rung)].frames.len();
    let mut seen = Vec::new();
    for level in 1..=3 {
        while hall.room.shed() < level {
            hall.run(100);
            assert!(hall.now < 60_000 * MS, "level {level}");
        }
        hall.run(300);
        let before = (frames(&hall, 0), frames(&hall, 1));
        hall.run(1000);
        seen.push((frames(&hall, 0) - before.0, frames(&hall, 1) - before.1));
    }
    assert!(seen.iter().all(|made| (10..=18).contains(&made.0)), "{seen:?}");
    assert!((10..=18).contains(&seen[0].1) && seen[1].1 == 0 && seen[2].1 == 0, "{seen:?}");
    assert_eq!(hall.tracks[&(1, CAMERA, Codec::H264, 0)].size(), (160, 90));
}
