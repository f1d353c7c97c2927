//! Stories of a stage in virtual time.

use super::*;
use proptest::prelude::*;

fn p(n: u64) -> ParticipantKey {
    ParticipantKey(n)
}

const ALL: Flags = Flags { present: true, audio: true, video: true };

/// A stage of `n` members, and the time.
struct Room {
    stage: Stage,
    now: Time,
}

impl Room {
    fn new(n: u64) -> Room {
        let mut stage = Stage::new();
        for i in 1..=n {
            stage.set(p(i), ALL);
        }
        Room { stage, now: Time::from_millis(10_000) }
    }

    /// `speakers` speak at −20 dBov (the first a little louder) for `ms`; everybody else is silent.
    fn speak(&mut self, speakers: &[u64], ms: u64) {
        let members: Vec<_> = self.stage.members.iter().map(|m| m.key).collect();
        for _ in 0..ms / 20 {
            for key in &members {
                let level = match speakers.iter().position(|s| p(*s) == *key) {
                    Some(at) => AudioLevel::Told(0x80 | (20 + 3 * at as u8)),
                    None => AudioLevel::Told(110),
                };
                self.stage.heard(*key, level, self.now);
            }
            self.now += Duration::from_millis(20);
            self.stage.tick(self.now);
        }
    }

    fn seats(&self, viewer: u64, seats: &mut Seats) -> Vec<u64> {
        self.stage.video_seats(p(viewer), &[], seats);
        seats.holders().iter().map(|h| h.map_or(0, |k| k.0)).collect()
    }
}

#[test]
fn the_first_speaker_takes_the_main_place_at_once() {
    let mut room = Room::new(3);
    room.speak(&[2], 600);
    assert_eq!(room.stage.order().collect::<Vec<_>>(), [(p(2), true)]);
    assert_eq!(room.seats(1, &mut Seats::new(2)), [2, 3]);
}

#[test]
fn another_speaker_takes_the_main_place_after_a_second_and_a_half_of_dominance_and_not_before() {
    let mut room = Room::new(3);
    room.speak(&[2], 4000);
    room.speak(&[3], 1200);
    assert_eq!(room.stage.order().next(), Some((p(2), false)), "still the former one");
    room.speak(&[3], 1500);
    assert_eq!(room.stage.order().next(), Some((p(3), true)));
}

#[test]
fn a_cough_changes_nothing() {
    let mut room = Room::new(3);
    room.speak(&[2], 4000);
    let mut seats = Seats::new(2);
    let before = room.seats(1, &mut seats);
    room.speak(&[2, 3], 140);
    room.speak(&[2], 2000);
    assert_eq!(room.seats(1, &mut seats), before);
    assert_eq!(room.stage.order().collect::<Vec<_>>(), [(p(2), true)]);
}

#[test]
fn two_who_talk_over_each_other_do_not_flicker() {
    let mut room = Room::new(3);
    room.speak(&[2], 4000);
    let mut mains = Vec::new();
    for _ in 0..20 {
        room.speak(&[3, 2], 500);
        mains.push(room.stage.order().next().unwrap().0);
        room.speak(&[2, 3], 500);
        mains.push(room.stage.order().next().unwrap().0);
    }
    mains.dedup();
    assert_eq!(mains, [p(2)], "neither dominates for long enough");
}

#[test]
fn a_new_main_speaker_changes_places_and_nobody_else_moves() {
    let mut room = Room::new(5);
    room.speak(&[2], 3000);
    let mut seats = Seats::new(4);
    assert_eq!(room.seats(1, &mut seats), [2, 3, 4, 5]);
    room.speak(&[4], 5000);
    assert_eq!(room.seats(1, &mut seats), [4, 3, 2, 5]);
}

#[test]
fn the_speaker_does_not_see_himself_but_the_one_before() {
    let mut room = Room::new(3);
    room.speak(&[2], 3000);
    room.speak(&[1], 5000);
    assert_eq!(room.seats(1, &mut Seats::new(1)), [2]);
    assert_eq!(room.seats(3, &mut Seats::new(1)), [1]);
}

#[test]
fn pinned_people_stand_before_speakers_in_their_order() {
    let mut room = Room::new(5);
    room.speak(&[2], 3000);
    room.stage.set_pinned(&[p(5), p(4)]);
    let seats = room.seats(1, &mut Seats::new(3));
    assert_eq!(seats[0], 5);
    assert!(seats.contains(&4) && seats.contains(&2), "{seats:?}");
}

#[test]
fn a_pin_of_one_slot_holds_it_against_speakers() {
    let mut room = Room::new(5);
    let mut seats = Seats::new(3);
    room.stage.video_seats(p(1), &[None, Some(p(5)), None], &mut seats);
    assert_eq!(seats.holders()[1], Some(p(5)));
    room.speak(&[3], 5000);
    room.stage.video_seats(p(1), &[None, Some(p(5)), None], &mut seats);
    assert_eq!(seats.holders()[..2], [Some(p(3)), Some(p(5))]);
}

#[test]
fn who_left_or_waits_sits_nowhere() {
    let mut room = Room::new(3);
    let mut seats = Seats::new(2);
    assert_eq!(room.seats(1, &mut seats), [2, 3]);
    room.stage.set(p(2), Flags { present: false, ..ALL });
    assert_eq!(room.seats(1, &mut seats), [3, 0]);
    room.stage.remove(p(3));
    assert_eq!(room.seats(1, &mut seats), [0, 0]);
}

#[test]
fn pictures_stand_before_people_without_one_who_are_silent() {
    let mut room = Room::new(3);
    room.stage.set(p(2), Flags { video: false, ..ALL });
    assert_eq!(room.seats(1, &mut Seats::new(1)), [3]);
    room.speak(&[2], 1000);
    assert_eq!(room.seats(1, &mut Seats::new(1)), [2], "an avatar tile while they speak");
}

#[test]
fn the_loudest_are_heard_and_a_muted_one_is_not() {
    let mut room = Room::new(5);
    room.speak(&[4, 5], 1000);
    let mut seats = Seats::new(2);
    room.stage.audio_seats(p(1), &mut seats);
    let mut heard: Vec<_> = seats.holders().iter().flatten().map(|k| k.0).collect();
    heard.sort_unstable();
    assert_eq!(heard, [4, 5]);
    room.stage.set(p(4), Flags { audio: false, ..ALL });
    room.stage.audio_seats(p(1), &mut seats);
    assert!(!seats.holders().contains(&Some(p(4))));
}

proptest! {
    #[test]
    fn nobody_sits_twice_and_everybody_who_stays_seated_keeps_the_seat_but_for_the_main_one(
        steps in proptest::collection::vec((0u64..8, 0u8..4, 1usize..6), 1..40),
    ) {
        let mut room = Room::new(6);
        let mut seats = Seats::new(3);
        for (who, what, count) in steps {
            match what {
                0 => room.speak(&[who], 900),
                1 => room.stage.set(p(who), Flags { video: who % 2 == 0, ..ALL }),
                2 => room.stage.remove(p(who)),
                _ => seats.resize(count),
            }
            let before = seats.clone();
            let after = room.seats(1, &mut seats);
            let mut seated: Vec<_> = after.iter().filter(|k| **k != 0).collect();
            seated.sort_unstable();
            let total = seated.len();
            seated.dedup();
            prop_assert_eq!(seated.len(), total, "nobody sits twice");
            prop_assert!(!after.contains(&1), "nobody sees himself");
            let moved = (0..after.len())
                .filter(|&i| after[i] != 0 && before.holders()[i] != seats.holders()[i])
                .filter(|&i| before.holders().contains(&seats.holders()[i]))
                .count();
            prop_assert!(moved <= 2, "only the main place is changed: {before:?} -> {seats:?}");
        }
    }
}
