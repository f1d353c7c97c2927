//! Who is seen where and who is heard, in whole conferences.

use crate::hall::{CONFERENCE, Camera, Hall, colour, feed, header, hum, p, scene};
use crate::watcher::Watcher;
use crate::world::{MS, random};
use plenum_contract::{
    Codec, Feed, FeedKind, FromMix, MemberPicture, MixOutput, MixPacket, PresentationPlace, ToMix, TranscodeSpec,
};
use plenum_mix::room::jobs::AtOnce;
use plenum_packet::Time;

/// The middle of the main tile of 1:7, and of its small tiles, in 1024ths.
const MAIN: (usize, usize) = (512, 430);

fn small(n: usize) -> (usize, usize) {
    (n * 146 + 90, 950)
}

/// Who stands at a place (in 1024ths) of a scene.
pub(crate) fn who(hall: &Hall, scene: u16, codec: Codec, at: (usize, usize)) -> Option<u64> {
    let watcher = hall.watcher(scene, codec);
    let (width, height) = watcher.size();
    watcher.who(at.0 * width / 1024, at.1 * height / 1024)
}

/// A scene with so many guests.
pub(crate) fn hall(layout: &str, size: (u16, u16), guests: u64) -> Hall {
    let mut hall = Hall::new(vec![scene(0, layout, size.0, size.1)]);
    for n in 1..=guests {
        hall.join(n, Codec::Vp8);
    }
    hall
}

pub(crate) const SMALL: (u16, u16) = (320, 180);

#[test]
fn each_tile_shows_its_member_and_a_speaker_takes_the_main_tile_within_two_seconds() {
    let mut hall = hall("1:7", (640, 360), 4);
    hall.watch(0, Codec::Vp8, 1);
    hall.listen(None);
    hall.run(1500);
    let who = |hall: &Hall, at| who(hall, 0, Codec::Vp8, at);
    assert_eq!(hall.watcher(0, Codec::Vp8).size(), (640, 360));
    let seen = [MAIN, small(0), small(1), small(2), small(3)].map(|at| who(&hall, at));
    assert_eq!(seen, [Some(1), Some(2), Some(3), Some(4), None]);
    let (_, layout, seats) = hall.seats[&0].clone();
    assert_eq!((layout.as_str(), seats), ("1:7", vec![Some(p(1)), Some(p(2)), Some(p(3)), Some(p(4))]));

    hall.speak(&[3]);
    let begun = hall.now;
    while who(&hall, MAIN) != Some(3) {
        hall.run(50);
        assert!(hall.now - begun < 2_000 * MS, "three speaks and is not in the main tile");
    }
    assert!(hall.now - begun >= 1_500 * MS, "a cough does not take it");
    hall.run(200);
    assert_eq!([small(0), small(1), small(2)].map(|at| who(&hall, at)), [Some(2), Some(1), Some(4)], "the others stay");
    assert_eq!(hall.seats[&0].2, [Some(p(3)), Some(p(2)), Some(p(1)), Some(p(4))], "what is told is what is seen");
    assert!(hall.ears[&None].amplitude(hum(3), 200) > 3000.0);
}

#[test]
fn a_viewer_never_hears_themselves_and_quiet_members_hear_all_who_speak() {
    let mut hall = hall("1:7", SMALL, 5);
    for n in [None, Some(1), Some(2), Some(5)] {
        hall.listen(n);
    }
    hall.speak(&[1, 2]);
    hall.run(2000);
    for (ear, one, two) in [(None, true, true), (Some(1), false, true), (Some(2), true, false), (Some(5), true, true)] {
        let ear = &hall.ears[&ear.map(p)];
        assert_eq!((ear.amplitude(hum(1), 500) > 3000.0, ear.amplitude(hum(2), 500) > 3000.0), (one, two));
        assert!(one || ear.amplitude(hum(1), 500) < 60.0);
        assert!(two || ear.amplitude(hum(2), 500) < 60.0);
    }
    let voices = hall.wanted.keys().filter(|f| f.kind == FeedKind::Audio).count();
    assert!(
        voices <= 5 && hall.wanted.keys().all(|f| f.kind == FeedKind::Audio),
        "nobody watches: no pictures are wanted"
    );
    // Halved by the member's volume, and gone when they are muted.
    hall.spec.members[1].volume = 50;
    hall.apply();
    hall.run(400);
    let half = hall.ears[&Some(p(1))].amplitude(hum(2), 200);
    assert!((3000.0..5000.0).contains(&half), "{half}");
    hall.spec.members[1].heard = false;
    hall.apply();
    hall.run(400);
    assert!(hall.ears[&Some(p(1))].amplitude(hum(2), 200) < 60.0);
}

#[test]
fn hosts_and_guests_see_different_layouts_in_different_codecs() {
    let mut guests = scene(1, "4:0", 320, 180);
    guests.without = Some(p(1));
    let mut hall = Hall::new(vec![scene(0, "1:0", 320, 180), guests]);
    for (n, codec) in [(1, Codec::Vp8), (2, Codec::H264), (3, Codec::Vp9)] {
        hall.join(n, codec);
    }
    hall.watch(0, Codec::Vp8, 0);
    hall.watch(1, Codec::H264, 0);
    hall.run(1000);
    assert_eq!(who(&hall, 0, Codec::Vp8, (512, 512)), Some(1));
    let quarters = [(256, 256), (768, 256), (256, 768), (768, 768)].map(|at| who(&hall, 1, Codec::H264, at));
    assert_eq!(quarters, [Some(2), Some(3), None, None], "guest 1 does not see themselves");
    assert_eq!(hall.wanted[&feed(1, FeedKind::Camera)], (320, 180));
    assert_eq!(hall.wanted[&feed(2, FeedKind::Camera)], (160, 90));
    // Actors first, whoever speaks.
    hall.spec.scenes[0].first = vec![p(3)];
    hall.apply();
    hall.run(500);
    assert_eq!(who(&hall, 0, Codec::Vp8, (512, 512)), Some(3));
    assert!(!hall.wanted.contains_key(&feed(1, FeedKind::Camera)), "nobody sees guest 1 any more");
}

#[test]
fn loss_that_is_repaired_and_jitter_of_300_ms_leave_it_watchable() {
    for (loss, jitter, repair) in [(5, 10, 60), (0, 300, 0)] {
        let mut hall = hall("1:0", SMALL, 1);
        hall.watch(0, Codec::Vp8, 0);
        // The flickering edge of the guest's picture.
        hall.watchers.values_mut().for_each(|w| w.probe = (60, 512));
        let guest = hall.guests.get_mut(&1).unwrap();
        let network = &mut guest.networks.0;
        (network.loss_percent, network.jitter_ms, network.repair_ms) = (loss, jitter, repair);
        hall.run(6500);
        let frozen = hall.watcher(0, Codec::Vp8).frozen(3000);
        assert!(frozen < 0.02, "{loss} % of loss, {jitter} ms of jitter: {frozen}");
    }
}

#[test]
fn without_repair_a_loss_is_healed_by_a_key_frame() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.watch(0, Codec::Vp8, 0);
    hall.run(500);
    let asked = hall.key_frames.len();
    hall.guests.get_mut(&1).unwrap().networks.0.loss_percent = 100;
    hall.run(100);
    hall.guests.get_mut(&1).unwrap().networks.0.loss_percent = 0;
    hall.guests.get_mut(&1).unwrap().camera.as_mut().unwrap().colour = colour(4);
    hall.run(1000);
    assert!(hall.key_frames.len() > asked, "a key frame is asked for");
    assert!(hall.key_frames.len() < asked + 4, "and not for every frame");
    assert_eq!(who(&hall, 0, Codec::Vp8, (512, 512)), Some(4));
}

#[test]
fn size_codec_and_encoding_change_in_mid_stream() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.watch(0, Codec::Vp8, 0);
    hall.run(500);
    let changes = [
        (Codec::Vp8, (320, 180), 2, 0),
        (Codec::Vp8, (32, 240), 3, 1),
        (Codec::H264, (96, 54), 4, 1),
        (Codec::Vp9, (640, 360), 5, 0),
    ];
    for (codec, size, shade, encoding) in changes {
        let mut camera = Camera::new(codec, size, colour(shade));
        camera.encoding = encoding;
        hall.guests.get_mut(&1).unwrap().camera = Some(camera);
        hall.run(900);
        assert_eq!(who(&hall, 0, Codec::Vp8, (512, 512)), Some(shade), "{codec:?} {size:?}");
    }
}

#[test]
fn packets_of_the_former_codec_that_were_overtaken_do_not_end_the_stream_of_the_next_one() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.watch(0, Codec::Vp8, 0);
    hall.run(500);
    hall.guests.get_mut(&1).unwrap().camera = Some(Camera::new(Codec::H264, (96, 54), colour(4)));
    hall.run(100);
    let asked = hall.key_frames.len();
    for sequence in 0..20 {
        let rtp = [&header(sequence, 9, true)[..], &[0x10, 0, 0]].concat();
        let (conference, feed, arrival) = (CONFERENCE, feed(1, FeedKind::Camera), hall.now);
        let (codec, clock, level) = (Codec::Vp8, 90_000, None);
        let packet = MixPacket { conference, feed, encoding: 0, codec, clock, arrival, level, rtp: &rtp };
        hall.room.handle(Time(hall.now), ToMix::Packet(packet));
        hall.run(10);
    }
    assert_eq!(hall.key_frames.len(), asked, "nothing is missing");
    assert_eq!(who(&hall, 0, Codec::Vp8, (512, 512)), Some(4));
}

#[test]
fn who_is_alone_sees_the_holding_picture_until_somebody_comes() {
    let mut hall = hall("1:7", SMALL, 1);
    let viewer = hall.spec.members.pop().expect("the viewer");
    hall.apply();
    hall.watch(0, Codec::Vp8, 0);
    hall.run(500);
    assert_eq!(who(&hall, 0, Codec::Vp8, MAIN), None);
    assert!(hall.wanted.is_empty());
    hall.spec.members.push(viewer);
    hall.apply();
    hall.join(2, Codec::Vp8);
    hall.run(700);
    assert_eq!([MAIN, small(0)].map(|at| who(&hall, 0, Codec::Vp8, at)), [Some(1), Some(2)]);
}

#[test]
fn every_second_frame_of_a_mix_is_a_stream_of_its_own_in_each_codec() {
    for codec in [Codec::Vp8, Codec::H264] {
        let mut hall = hall("1:0", SMALL, 1);
        hall.watch(0, codec, 0);
        hall.halves.insert((0, codec, 0), Watcher::new(codec));
        hall.run(1500);
        let output = MixOutput::Video { scene: 0, codec, rung: 0 };
        hall.room.handle(Time(hall.now), ToMix::KeyFrame { conference: CONFERENCE, output });
        hall.run(1500);
        let (all, half) = (hall.watcher(0, codec), &hall.halves[&(0, codec, 0)]);
        let (frames, fewer) = (all.frames.len(), half.frames.len());
        assert!(frames > 80 && (fewer * 2).abs_diff(frames) <= 4, "{codec:?}: {fewer} of {frames}");
        assert_eq!((all.keys, half.keys), (2, 2), "{codec:?}");
        let middle = (half.size().0 / 2, half.size().1 / 2);
        assert_eq!((half.size(), half.who(middle.0, middle.1)), (all.size(), Some(1)), "{codec:?}");
    }
}

#[test]
fn av1_is_decoded_from_its_packets() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.guests.get_mut(&1).unwrap().camera = None;
    hall.watch(0, Codec::Vp8, 0);
    hall.run(200);
    let shades = |hall: &Hall| (40..120).map(|x| hall.watcher(0, Codec::Vp8).at(2 * x, 60)).collect::<Vec<_>>();
    let before = shades(&hall);
    let packets = hall.show_av1(1, 0, None);
    hall.run(100);
    assert!(packets > 10, "the key frame took several packets");
    assert_ne!(shades(&hall), before, "the scene, and no avatar");
    assert_eq!(hall.key_frames.len(), 1, "only the first, when the source is new");
}

#[test]
fn a_source_that_stops_shows_its_last_picture_then_the_avatar_and_comes_back() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.watch(0, Codec::Vp8, 0);
    hall.run(1000);
    let camera = |hall: &mut Hall, on| hall.guests.get_mut(&1).unwrap().camera.as_mut().unwrap().on = on;
    camera(&mut hall, false);
    hall.run(1700);
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), Some(1), "the last good picture");
    hall.run(1000);
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), None, "the avatar");
    assert!(hall.wanted.contains_key(&feed(1, FeedKind::Camera)), "and it is still wanted");
    camera(&mut hall, true);
    hall.run(35);
    camera(&mut hall, false);
    hall.run(300);
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), Some(1), "one picture is enough");
    hall.run(2500);
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), None);
    camera(&mut hall, true);
    hall.run(1000);
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), Some(1));
    // Muted by its owner: the avatar at once, and nothing is wanted.
    hall.spec.members[0].shown = MemberPicture::CameraOff;
    hall.apply();
    hall.run(300);
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), None);
    assert!(hall.wanted.is_empty());
}

#[test]
fn who_is_on_hold_is_a_still_picture_until_they_are_back() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.watch(0, Codec::Vp8, 0);
    // The flickering edge of the guest's picture.
    hall.watchers.values_mut().for_each(|w| w.probe = (60, 512));
    let spread = |hall: &Hall| {
        let frames = hall.watcher(0, Codec::Vp8).frames.iter().filter(|(at, _)| *at + 500 >= hall.now / MS);
        let lumas: Vec<u8> = frames.map(|(_, luma)| *luma).collect();
        lumas.iter().max().expect("frames") - lumas.iter().min().expect("frames")
    };
    hall.run(1500);
    assert!(spread(&hall) > 60, "it flickers: {}", spread(&hall));
    hall.spec.members[0].shown = MemberPicture::Held;
    hall.apply();
    hall.run(1500);
    assert!(hall.wanted.is_empty(), "{:?}", hall.wanted);
    assert!(spread(&hall) < 30, "it is still: {}", spread(&hall));
    hall.spec.members[0].shown = MemberPicture::Camera;
    hall.apply();
    hall.run(1000);
    assert!(spread(&hall) > 60, "it is back: {}", spread(&hall));
    assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), Some(1));
}

#[test]
fn damaged_and_misplaced_packets_harm_nobody_else_and_the_source_recovers() {
    let mut hall = Hall::new(vec![scene(0, "4:0", 320, 180)]);
    for (n, codec) in [(1, Codec::Vp8), (2, Codec::H264), (3, Codec::Vp9), (4, Codec::Vp8)] {
        hall.join(n, codec);
    }
    hall.watch(0, Codec::Vp8, 0);
    hall.listen(None);
    hall.speak(&[1, 4]);
    hall.run(500);
    for n in 1..=3 {
        hall.guests.get_mut(&n).unwrap().mangled = Some(n);
    }
    for step in 0..20u16 {
        // Sound where pictures are expected, pictures where sound is, codecs that nobody decodes, feeds that nobody wants.
        for (n, kind, codec) in [
            (1, FeedKind::Camera, Codec::Opus),
            (1, FeedKind::Audio, Codec::Vp8),
            (2, FeedKind::Audio, Codec::TelephoneEvent),
            (2, FeedKind::Camera, Codec::H265),
            (9, FeedKind::Camera, Codec::Vp8),
            (3, FeedKind::Presentation, Codec::Vp8),
        ] {
            let rtp = [header(step.wrapping_mul(7000), u32::from(step), true), vec![step as u8; 100]].concat();
            let (conference, feed, arrival) = (CONFERENCE, feed(n, kind), hall.now);
            let packet = MixPacket { conference, feed, encoding: 9, codec, clock: 0, arrival, level: None, rtp: &rtp };
            hall.room.handle(Time(hall.now), ToMix::Packet(packet));
            hall.room.handle(Time(hall.now), ToMix::Packet(MixPacket { rtp: &rtp[..usize::from(step)], ..packet }));
        }
        hall.run(100);
    }
    assert_eq!(who(&hall, 0, Codec::Vp8, (768, 768)), Some(4), "guest 4 sends well");
    assert!(hall.ears[&None].amplitude(hum(4), 300) > 3000.0);
    for n in 1..=3 {
        hall.guests.get_mut(&n).unwrap().mangled = None;
    }
    hall.run(2000);
    let quarters = [(256, 256), (768, 256), (256, 768), (768, 768)].map(|at| who(&hall, 0, Codec::Vp8, at));
    assert_eq!(quarters, [Some(1), Some(2), Some(3), Some(4)]);
    assert!(hall.ears[&None].amplitude(hum(1), 300) > 3000.0);
}

#[test]
fn lips_and_voice_stay_together_whichever_is_slower() {
    for (picture, sound) in [(0, 0), (150, 0), (0, 150)] {
        let mut hall = hall("1:0", SMALL, 1);
        hall.reports = true;
        hall.watch(0, Codec::Vp8, 0);
        hall.listen(None);
        let guest = hall.guests.get_mut(&1).unwrap();
        (guest.networks.0.delay_ms, guest.networks.1.delay_ms) = (picture, sound);
        hall.run(3500);
        // They light a lamp and speak at once.
        let begun = hall.now / MS;
        let guest = hall.guests.get_mut(&1).unwrap();
        guest.camera.as_mut().unwrap().colour = colour(3);
        guest.speaking = true;
        hall.run(1000);
        let seen = hall
            .watcher(0, Codec::Vp8)
            .frames
            .iter()
            .find(|(at, luma)| *at >= begun && *luma > 180)
            .expect("the lamp")
            .0;
        let ear = &hall.ears[&None];
        let frame = ear.heard.chunks(960).position(|f| f.iter().any(|s| s.abs() > 3000)).expect("the voice");
        let apart = seen.abs_diff(hall.heard[frame]);
        // 40 ms may be, of which the shard's sender reports leave 35: `sender_reports_bring…` of plenum-shard.
        assert!(apart <= 35, "pictures {picture} ms and sound {sound} ms late: {apart} ms apart");
    }
}

#[test]
fn late_ticks_leave_out_frames_then_rungs_then_pixels_and_never_sound() {
    let mut hall = hall("1:0", (640, 360), 1);
    hall.watch(0, Codec::Vp8, 0);
    hall.watch(0, Codec::Vp8, 1);
    hall.listen(None);
    hall.run(1000);
    let frames = |hall: &Hall, rung| hall.watchers[&(0, Codec::Vp8, rung)].frames.len();
    assert!((28..=31).contains(&frames(&hall, 0)) && frames(&hall, 1) == frames(&hall, 0));
    assert_eq!((hall.watchers[&(0, Codec::Vp8, 0)].size(), hall.room.shed()), ((320, 180), 0));
    hall.behind = 45 * MS;
    hall.run(2000);
    assert_eq!(hall.room.shed(), 1);
    let before = frames(&hall, 0);
    hall.run(1000);
    assert!((13..=16).contains(&(frames(&hall, 0) - before)), "half the frame rate");
    hall.behind = 100 * MS;
    while hall.room.shed() < 2 {
        hall.run(100);
        assert!(hall.now < 20_000 * MS);
    }
    let before = (frames(&hall, 0), frames(&hall, 1));
    hall.run(500);
    assert!(frames(&hall, 0) > before.0 && frames(&hall, 1) <= before.1 + 1, "the smallest rung alone");
    while hall.room.shed() < 3 {
        hall.run(100);
        assert!(hall.now < 30_000 * MS);
    }
    hall.run(500);
    assert_eq!(hall.watchers[&(0, Codec::Vp8, 0)].size(), (160, 90), "half the resolution");
    // 50 packets of sound a second, all the time.
    let steps: Vec<u64> = hall.heard.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(steps.iter().all(|step| *step == 20), "{steps:?}");
    hall.behind = 0;
    hall.run(11_000);
    assert_eq!(hall.room.shed(), 2, "and back, step by step");
    assert_eq!(hall.told_shed, [1, 2, 3, 2], "each step is told once");
}

#[test]
fn a_mix_has_as_many_pictures_a_second_as_its_spec_says() {
    for fps in [15, 30, 50] {
        let mut hall = hall("4:0", SMALL, 2);
        hall.spec.fps = fps;
        hall.apply();
        // Their cameras take turns: something is new for each picture.
        hall.guests.get_mut(&2).unwrap().networks.0.delay_ms = 16;
        hall.watch(0, Codec::Vp8, 0);
        hall.run(2000);
        let second = hall.now / MS - 1000;
        let last = hall.watcher(0, Codec::Vp8).frames.iter().filter(|(at, _)| *at >= second).count();
        assert!(last.abs_diff(usize::from(fps)) <= 1, "{last} pictures in a second, {fps} are asked for");
    }
}

#[test]
fn a_picture_of_another_shape_is_fitted_whole_or_cropped_to_fill() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.guests.get_mut(&1).unwrap().camera = Some(Camera::new(Codec::Vp8, (96, 96), colour(1)));
    hall.watch(0, Codec::Vp8, 0);
    for (fill, edge) in [(false, None), (true, Some(1)), (false, None)] {
        hall.spec.scenes[0].fill = fill;
        hall.apply();
        hall.run(700);
        let seen = [512, 980].map(|x| who(&hall, 0, Codec::Vp8, (x, 512)));
        assert_eq!(seen, [Some(1), edge], "fill: {fill}");
    }
}

#[test]
fn after_a_stall_what_is_shown_is_the_present_and_not_what_piled_up() {
    for (stall, keys) in [(500, 0), (4000, 1)] {
        let mut hall = hall("1:0", SMALL, 1);
        hall.watch(0, Codec::Vp8, 0);
        hall.run(1500);
        let before = hall.key_frames.len();
        hall.stopped = true;
        hall.run(stall - 200);
        hall.guests.get_mut(&1).unwrap().camera.as_mut().unwrap().colour = colour(2);
        hall.run(200);
        hall.stopped = false;
        hall.run(180);
        assert_eq!(who(&hall, 0, Codec::Vp8, (800, 512)), Some(2), "{stall} ms");
        assert_eq!(hall.key_frames.len() - before, keys, "{stall} ms: a short stall is caught up with");
    }
}

#[test]
fn a_presentation_takes_the_main_tile_or_the_whole_picture_or_none() {
    let mut hall = hall("1:7", SMALL, 3);
    hall.watch(0, Codec::Vp8, 0);
    hall.guests.get_mut(&2).unwrap().screen = Some(Camera::new(Codec::Vp8, (160, 90), colour(6)));
    hall.spec.presenter = Some(p(2));
    hall.apply();
    hall.run(1000);
    let seen = |hall: &Hall| [MAIN, small(0), small(1), small(2)].map(|at| who(hall, 0, Codec::Vp8, at));
    assert_eq!(seen(&hall), [Some(6), Some(1), Some(2), Some(3)]);
    hall.spec.scenes[0].presentation = PresentationPlace::Full;
    hall.apply();
    hall.run(700);
    assert_eq!(who(&hall, 0, Codec::Vp8, (512, 980)), Some(6));
    assert_eq!(hall.wanted.keys().copied().collect::<Vec<_>>(), [feed(2, FeedKind::Presentation)]);
    hall.spec.scenes[0].presentation = PresentationPlace::Absent;
    hall.apply();
    hall.run(700);
    assert_eq!(seen(&hall), [Some(1), Some(2), Some(3), None]);
}

#[test]
fn an_output_costs_nothing_when_nobody_needs_it_and_a_new_viewer_gets_a_key_frame() {
    let mut hall = hall("1:0", SMALL, 1);
    hall.run(500);
    assert!(hall.wanted.is_empty() && hall.room.deadline() == Time::NEVER);
    let output = MixOutput::Video { scene: 0, codec: Codec::H264, rung: 0 };
    hall.watch(0, Codec::H264, 0);
    hall.run(1000);
    assert_eq!(hall.watcher(0, Codec::H264).keys, 1);
    hall.room.handle(Time(hall.now), ToMix::KeyFrame { conference: CONFERENCE, output });
    hall.run(100);
    assert_eq!(hall.watcher(0, Codec::H264).keys, 2);
    for _ in 0..20 {
        hall.room.handle(Time(hall.now), ToMix::KeyFrame { conference: CONFERENCE, output });
        hall.run(10);
    }
    assert!(hall.watcher(0, Codec::H264).keys <= 4, "not for everybody who asks");
    hall.room.handle(Time(hall.now), ToMix::Unneeded { conference: CONFERENCE, output });
    hall.run(200);
    assert!(hall.wanted.is_empty() && hall.room.deadline() == Time::NEVER);
    let before = hall.watcher(0, Codec::H264).frames.len();
    hall.run(300);
    assert_eq!(hall.watcher(0, Codec::H264).frames.len(), before);
    assert!(!hall.room.need(MixOutput::Video { scene: 9, codec: Codec::Vp8, rung: 0 }, 0), "no such scene");
    assert!(!hall.room.need(MixOutput::Video { scene: 0, codec: Codec::Vp8, rung: 1 }, 0), "no such rung");
    assert!(!hall.room.need(MixOutput::Video { scene: 0, codec: Codec::H265, rung: 0 }, 0), "no such encoder");
}

#[test]
fn whatever_is_said_in_whatever_order_the_room_stays_whole() {
    fn can_be_sent<T: Send>(_: &T) {}
    let mut hall = hall("1:7", (128, 96), 3);
    can_be_sent(&hall.room);
    let (mut state, all) = (7, [Codec::Vp8, Codec::H264, Codec::Opus, Codec::Pcmu, Codec::Av1, Codec::G722]);
    let mut said = 0;
    let feed_of = |n, kind| Feed { participant: p(n), kind };
    for _ in 0..500 {
        let mut dice = |sides: u64| random(&mut state) % sides;
        let (conference, participant, codec) = (CONFERENCE, p(dice(6)), all[dice(6) as usize]);
        let kind = [FeedKind::Audio, FeedKind::Camera, FeedKind::Presentation][dice(3) as usize];
        let feed = Feed { participant, kind };
        let output = match dice(3) {
            0 => MixOutput::Audio { codec, without: Some(participant).filter(|_| dice(2) == 0) },
            1 => MixOutput::Video { scene: dice(3) as u16, codec, rung: dice(3) as u8 },
            _ => MixOutput::Track { feed, codec, rung: dice(4) as u8 },
        };
        let message = match dice(8) {
            0 => {
                let mut spec = hall.spec.clone();
                spec.members.truncate(dice(4) as usize);
                spec.presenter = Some(participant);
                let all = [FeedKind::Audio, FeedKind::Camera]
                    .into_iter()
                    .flat_map(|kind| (1..4).map(move |n| feed_of(n, kind)));
                spec.transcodes = all.map(|source| TranscodeSpec { source, codec }).collect();
                (spec.fps, spec.loudest) = (dice(256) as u8, dice(256) as u8);
                let layout = ["1:33", "25:0", "", "onePlusN", "2:21"][dice(5) as usize];
                spec.scenes =
                    (0..dice(3) as u16).map(|id| scene(id, layout, dice(200) as u16, dice(200) as u16)).collect();
                ToMix::Spec(spec)
            }
            1 => ToMix::Speakers {
                conference,
                order: vec![participant, participant, p(99)],
                loudest: vec![p(98), participant],
            },
            2 => ToMix::Report { conference, feed, encoding: 0, ntp: dice(u64::MAX), rtp: dice(u64::MAX) as u32 },
            3 => ToMix::Gone { conference, feed },
            4 => ToMix::Unneeded { conference, output },
            5 => ToMix::KeyFrame { conference, output },
            6 => ToMix::Need { conference, output, bitrate: dice(1 << 32) as u32, loss: dice(256) as u8 },
            _ => ToMix::Need { conference: plenum_contract::ConferenceKey(1), output, bitrate: 0, loss: 0 },
        };
        hall.room.handle(Time(hall.now), message);
        hall.now += dice(40) * MS;
        let now = Time(hall.now);
        hall.room.tick(now, &mut AtOnce, &mut |message: FromMix<'_>| {
            said += 1;
            if let FromMix::Packet { rtp, captured, .. } = message {
                assert!(rtp.len() <= 1200 && captured <= now.nanos());
            }
        });
        assert!(hall.room.deadline() > now || hall.room.deadline() == Time::ZERO);
    }
    assert!(said > 100, "{said}");
}
