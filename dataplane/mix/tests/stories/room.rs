//! Who is seen where and who is heard, in whole conferences.

use crate::hall::{Hall, hum, p, scene};
use plenum_contract::Codec;

/// The middle of the main tile and of the small tiles of 1:7 at 640 × 360.
const MAIN: (usize, usize) = (320, 150);

fn small(n: usize) -> (usize, usize) {
    (n * 91 + 55, 334)
}

fn four() -> Hall {
    let mut hall = Hall::new(vec![scene(0, "1:7", 640, 360)]);
    for n in 1..=4 {
        hall.join(n, Codec::Vp8);
    }
    hall
}

#[test]
fn each_tile_shows_its_member_and_a_speaker_takes_the_main_tile_within_two_seconds() {
    let mut hall = four();
    hall.watch(0, Codec::Vp8, 1);
    hall.listen(None);
    hall.run(1500);
    let who = |hall: &Hall, (x, y)| hall.watcher(0, Codec::Vp8).who(x, y);
    assert_eq!(hall.watcher(0, Codec::Vp8).size(), (640, 360));
    assert_eq!(
        [MAIN, small(0), small(1), small(2), small(3)].map(|at| who(&hall, at)),
        [Some(1), Some(2), Some(3), Some(4), None]
    );
    let (_, layout, seats) = hall.seats[&0].clone();
    assert_eq!((layout.as_str(), seats), ("1:7", vec![Some(p(1)), Some(p(2)), Some(p(3)), Some(p(4))]));

    hall.speak(&[3]);
    let begun = hall.now;
    while who(&hall, MAIN) != Some(3) {
        hall.run(50);
        assert!(hall.now - begun < 2_000_000_000, "three speaks and is not in the main tile");
    }
    assert!(hall.now - begun >= 1_500_000_000, "a cough does not take it");
    hall.run(200);
    assert_eq!([small(0), small(1), small(2)].map(|at| who(&hall, at)), [Some(2), Some(1), Some(4)], "the others stay");
    assert!(hall.ears[&None].amplitude(hum(3), 200) > 3000.0);
}
