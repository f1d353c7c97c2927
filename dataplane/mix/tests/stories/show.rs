//! What operators make of a mix: pictures of the presentation, places that are tied to people, the presentation beside the speaker, a logo, a
//! banner, voices of one loudness.

use crate::hall::{Camera, Hall, colour, feed, hum, p, scene};
use crate::world::MS;
use plenum_contract::{Codec, FeedKind, MixSpec, PresentationPlace, ToMix};
use plenum_kernels::Colour;
use plenum_packet::Time;

const SMALL: (u16, u16) = (320, 180);

fn hall(layout: &str, guests: u64) -> Hall {
    let mut hall = Hall::new(vec![scene(0, layout, SMALL.0, SMALL.1)]);
    for n in 1..=guests {
        hall.join(n, Codec::Vp8);
    }
    hall
}

fn change(hall: &mut Hall, change: impl FnOnce(&mut MixSpec)) {
    change(&mut hall.spec);
    hall.apply();
}

/// Who stands at a place (in 1024ths) of scene 0.
fn who(hall: &Hall, at: (usize, usize)) -> Option<u64> {
    hall.watcher(0, Codec::Vp8).who(at.0 * usize::from(SMALL.0) / 1024, at.1 * usize::from(SMALL.1) / 1024)
}

fn share(hall: &mut Hall, n: u64) {
    hall.guests.get_mut(&n).unwrap().screen = Some(Camera::new(Codec::Vp8, (160, 90), colour(6)));
    change(hall, |spec| spec.presenter = Some(p(n)));
}

/// The luma in the middle of a JPEG of a wall, and its size.
fn picture(file: &[u8]) -> (u8, (u16, u16)) {
    let mut decoder = jpeg_decoder::Decoder::new(file);
    let pixels = decoder.decode().expect("a JPEG");
    let info = decoder.info().expect("a JPEG");
    let at = (usize::from(info.height / 2) * usize::from(info.width) + usize::from(info.width / 2)) * 3;
    let [r, g, b] = [0, 1, 2].map(|n| f32::from(pixels[at + n]));
    ((0.2126 * r + 0.7152 * g + 0.0722 * b) as u8, (info.width, info.height))
}

/// Full range of what is sent in limited range.
fn full(y: u8) -> u8 {
    ((f32::from(y) - 16.0) * 255.0 / 219.0) as u8
}

/// MGMT-46
#[test]
fn mgmt_46_who_asks_gets_a_picture_of_the_presentation_each_second_though_nobody_watches() {
    let mut hall = Hall::new(vec![]);
    hall.join(1, Codec::Vp8);
    hall.join(2, Codec::Vp8);
    share(&mut hall, 2);
    hall.run(1000);
    assert!(hall.wanted.is_empty() && hall.room.deadline() == Time::NEVER, "nobody asks: nothing is decoded");
    change(&mut hall, |spec| spec.stills = vec![72, 1080]);
    let begun = hall.now / MS;
    hall.run(3500);
    let at = |height| -> Vec<u64> { hall.stills.iter().filter(|s| s.2 == height).map(|s| s.0 - begun).collect() };
    let small = at(72);
    assert_eq!((small.len(), at(1080)), (4, small.clone()), "{small:?}");
    assert!(small[0] < 300 && small.windows(2).all(|pair| pair[1] - pair[0] >= 1000), "{small:?}");
    assert_eq!(hall.wanted.keys().copied().collect::<Vec<_>>(), [feed(2, FeedKind::Presentation)]);
    assert_eq!(hall.wanted[&feed(2, FeedKind::Presentation)], (1920, 1080), "the larger one");
    for (_, presenter, height, file) in &hall.stills {
        let (luma, size) = picture(file);
        assert_eq!((*presenter, size), (p(2), if *height == 72 { (128, 72) } else { (160, 90) }), "not enlarged");
        assert!(luma.abs_diff(full(colour(6).y)) < 20, "{luma}");
    }
    // Somebody else presents: the picture is theirs, at once.
    hall.stills.clear();
    share(&mut hall, 1);
    hall.run(400);
    assert!(hall.stills.len() == 2 && hall.stills.iter().all(|s| s.1 == p(1)));
    change(&mut hall, |spec| spec.stills = vec![]);
    hall.stills.clear();
    hall.run(1500);
    assert!(hall.stills.is_empty() && hall.wanted.is_empty() && hall.room.deadline() == Time::NEVER);
}

/// MGMT-46
#[test]
fn mgmt_46_a_screen_on_which_nothing_happens_is_asked_for_a_key_frame_when_somebody_begins_to_ask() {
    let mut hall = hall("1:7", 2);
    hall.watch(0, Codec::Vp8, 0);
    share(&mut hall, 2);
    hall.run(1000);
    let screen = feed(2, FeedKind::Presentation);
    // Nothing is sent any more.
    hall.guests.get_mut(&2).unwrap().screen.as_mut().unwrap().on = false;
    hall.run(500);
    hall.key_frames.clear();
    change(&mut hall, |spec| spec.stills = vec![90]);
    hall.run(100);
    assert!(hall.key_frames.iter().any(|(_, feed)| *feed == screen) && hall.stills.is_empty());
    hall.guests.get_mut(&2).unwrap().screen.as_mut().unwrap().on = true;
    hall.run(300);
    assert_eq!(hall.stills.len(), 1);
}

/// MGMT-28
#[test]
fn mgmt_28_places_that_are_tied_to_people_stay_empty_when_they_leave() {
    let mut hall = hall("4:0", 4);
    hall.watch(0, Codec::Vp8, 0);
    let quarters = |hall: &Hall| [(256, 256), (768, 256), (256, 768), (768, 768)].map(|at| who(hall, at));
    change(&mut hall, |spec| spec.scenes[0].fixed = vec![Some(p(3)), None, Some(p(1)), Some(p(3))]);
    hall.run(1000);
    assert_eq!(quarters(&hall), [Some(3), None, Some(1), None], "nobody stands twice");
    assert_eq!(hall.seats[&0].2, [Some(p(3)), None, Some(p(1)), None]);
    hall.speak(&[2]);
    hall.run(3000);
    assert_eq!(quarters(&hall), [Some(3), None, Some(1), None], "whoever speaks");
    change(&mut hall, |spec| spec.members.retain(|m| m.participant != p(3)));
    hall.run(500);
    assert_eq!(quarters(&hall), [None, None, Some(1), None]);
    change(&mut hall, |spec| spec.scenes[0].fixed.clear());
    hall.run(500);
    assert_eq!(quarters(&hall).iter().flatten().count(), 3, "everybody again");
}

#[test]
fn a_presentation_stands_beside_the_speaker_and_people_keep_their_small_tiles() {
    let mut hall = hall("1:7", 3);
    hall.watch(0, Codec::Vp8, 0);
    share(&mut hall, 2);
    change(&mut hall, |spec| spec.scenes[0].presentation = PresentationPlace::Beside);
    hall.run(1000);
    let seen = [(340, 430), (853, 430), (90, 950), (236, 950), (382, 950)].map(|at| who(&hall, at));
    assert_eq!(seen, [Some(6), Some(1), Some(2), Some(3), None]);
    hall.speak(&[3]);
    hall.run(2500);
    let seen = [(340, 430), (853, 430)].map(|at| who(&hall, at));
    assert_eq!(seen, [Some(6), Some(3)], "the speaker is beside it");
}

fn white_png(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&vec![255; (width * height * 3) as usize]).expect("pixels");
    writer.finish().expect("an end");
    file
}

#[test]
fn a_logo_and_a_banner_lie_over_the_picture_and_a_broken_logo_is_none() {
    let mut hall = hall("1:0", 1);
    hall.join(2, Codec::Vp8);
    hall.watch(0, Codec::Vp8, 0);
    hall.run(700);
    let corner = |hall: &Hall| hall.watcher(0, Codec::Vp8).at(308, 12);
    let wall = corner(&hall);
    assert!(wall.0.abs_diff(colour(1).y) < 12);
    change(&mut hall, |spec| spec.logo = Some(white_png(40, 16)));
    hall.run(400);
    let white: Colour = plenum_mix::canvas::colour([255, 255, 255]);
    assert!(corner(&hall).0.abs_diff(white.y) < 12, "{:?}", corner(&hall));
    assert_eq!(hall.unable, [""; 0]);
    change(&mut hall, |spec| spec.logo = Some(b"no PNG".to_vec()));
    hall.run(400);
    assert!(corner(&hall).0.abs_diff(wall.0) < 12);
    change(&mut hall, |spec| spec.fps = 15);
    hall.run(400);
    let [told] = &hall.unable[..] else { panic!("told once: {:?}", hall.unable) };
    assert!(told.starts_with("the logo cannot be drawn: "), "{told}");
}

/// CMS-22
#[test]
fn cms_22_a_layout_that_grows_is_told_as_it_is_drawn() {
    let mut hall = hall("onePlusN", 3);
    hall.watch(0, Codec::Vp8, 0);
    hall.run(300);
    assert_eq!(hall.seats[&0].1, "1:5");
    for n in 4..=7 {
        hall.join(n, Codec::Vp8);
    }
    hall.run(300);
    assert_eq!(hall.seats[&0].1, "1:7");
    change(&mut hall, |spec| spec.scenes[0].layout = "stacked".into());
    hall.run(700);
    assert_eq!((hall.seats[&0].1.as_str(), hall.seats[&0].2.len()), ("stacked", 2));
    assert_eq!([(512, 256), (512, 768), (128, 512)].map(|at| who(&hall, at)), [Some(1), Some(2), None]);
}

#[test]
fn voices_are_brought_to_one_loudness_when_the_spec_says_so() {
    let mut hall = hall("1:7", 1);
    hall.listen(None);
    hall.speak(&[1]);
    hall.run(1500);
    let loud = |hall: &Hall| hall.ears[&None].amplitude(hum(1), 200);
    let before = loud(&hall);
    change(&mut hall, |spec| spec.level = true);
    hall.run(6000);
    assert!(before > 6000.0 && loud(&hall) < before * 0.6, "{before} {}", loud(&hall));
}

#[test]
fn a_conference_of_which_pictures_are_wanted_ends_with_its_people() {
    let mut hall = Hall::new(vec![]);
    hall.join(1, Codec::Vp8);
    share(&mut hall, 1);
    change(&mut hall, |spec| spec.stills = vec![90]);
    hall.run(500);
    change(&mut hall, |spec| spec.members.retain(|m| m.participant != p(1)));
    hall.run(200);
    assert!(hall.wanted.is_empty() && hall.room.deadline() == Time::NEVER);
    hall.room.handle(Time(hall.now), ToMix::Gone { conference: hall.spec.conference, feed: feed(1, FeedKind::Audio) });
}
