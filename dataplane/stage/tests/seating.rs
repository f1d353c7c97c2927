//! Conferences in virtual time: who sees and hears whom when people come, speak, are pinned and go.

use plenum_contract::ParticipantKey;
use plenum_stage::{AudioLevel, AudioSeats, Changes, Flags, SlotWant, Stage, VideoSeats};
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const ALL: Flags = Flags {
    audio: true,
    video: true,
    presentation: false,
    audio_blocked: false,
    video_blocked: false,
    presentation_denied: false,
    waiting: false,
};

fn p(n: u64) -> ParticipantKey {
    ParticipantKey(n)
}

struct World {
    stage: Stage,
    now: u64,
}

impl World {
    fn with(members: u64) -> World {
        let mut stage = Stage::new();
        for n in 1..=members {
            assert!(stage.set_member(p(n), ALL));
        }
        let mut world = World { stage, now: 0 };
        world.run(100, &[]);
        world
    }

    /// `ms` milliseconds in which `speaking` speak and the others are silent.
    fn run(&mut self, ms: u64, speaking: &[u64]) -> Changes {
        let mut changes = Changes::default();
        for _ in 0..ms / 20 {
            self.now += 20 * MS;
            for n in 1..=20 {
                let voice = speaking.contains(&n);
                let level = AudioLevel { voice, level: if voice { 25 } else { 100 } };
                self.stage.handle_level(p(n), level, self.now);
            }
            let c = self.stage.tick(self.now);
            changes = Changes { speakers: changes.speakers | c.speakers, seats: changes.seats | c.seats };
        }
        changes
    }

    fn video(&self, seats: &mut VideoSeats, viewer: u64, slots: usize) -> Vec<u64> {
        self.stage.seat_video(&self.stage.line_up(), seats, p(viewer), &[], &vec![SlotWant::default(); slots]);
        numbers(seats.slots())
    }

    fn audio(&self, seats: &mut AudioSeats, viewer: u64, slots: usize) -> Vec<u64> {
        self.stage.seat_audio(&self.stage.line_up(), seats, p(viewer), slots);
        numbers(seats.slots())
    }
}

/// 0 = empty.
fn numbers(slots: &[Option<ParticipantKey>]) -> Vec<u64> {
    slots.iter().map(|s| s.map_or(0, |k| k.0)).collect()
}

#[test]
fn a_client_with_one_slot_sees_the_current_speaker_and_the_speaker_sees_the_one_before() {
    let mut world = World::with(3);
    let (mut one, mut two, mut three) = Default::default();
    assert_eq!(world.video(&mut two, 2, 1), [1]);
    assert_eq!(world.video(&mut one, 1, 1), [2]);
    world.run(1200, &[3]);
    assert_eq!(world.video(&mut two, 2, 1), [1], "not before they dominated");
    assert!(world.run(800, &[3]).seats);
    assert_eq!(world.video(&mut two, 2, 1), [3]);
    assert_eq!(world.video(&mut one, 1, 1), [3]);
    assert_eq!(world.video(&mut three, 3, 1), [1]);
}

#[test]
fn a_new_main_holder_changes_places_with_the_old_one_and_nobody_else_moves() {
    let mut world = World::with(6);
    let mut seats = VideoSeats::default();
    assert_eq!(world.video(&mut seats, 6, 5), [1, 2, 3, 4, 5]);
    world.run(3000, &[4]);
    assert_eq!(world.video(&mut seats, 6, 5), [4, 2, 3, 1, 5]);
    world.run(3000, &[2]);
    assert_eq!(world.video(&mut seats, 6, 5), [2, 4, 3, 1, 5]);
}

#[test]
fn with_more_people_than_slots_a_speaker_takes_the_place_of_who_was_silent_longest() {
    let mut world = World::with(8);
    let mut seats = VideoSeats::default();
    assert_eq!(world.video(&mut seats, 8, 4), [1, 2, 3, 4]);
    world.run(600, &[7]);
    assert_eq!(world.video(&mut seats, 8, 4), [1, 2, 3, 7]);
    world.run(600, &[5]);
    assert_eq!(world.video(&mut seats, 8, 4), [1, 2, 5, 7], "7 keeps its place");
    world.stage.remove_member(p(2));
    assert_eq!(world.video(&mut seats, 8, 4), [1, 3, 5, 7]);
}

#[test]
fn pinned_members_stand_first_in_their_order() {
    let mut world = World::with(6);
    let mut seats = VideoSeats::default();
    world.run(3000, &[2]);
    world.stage.set_pinned(&[p(5), p(4), p(5)]);
    assert!(world.stage.tick(world.now).seats);
    assert_eq!(world.video(&mut seats, 6, 3), [5, 4, 2]);
    assert_eq!(world.video(&mut VideoSeats::default(), 5, 3), [4, 2, 1], "not to themselves");
    world.run(5000, &[3]);
    assert_eq!(world.video(&mut seats, 6, 3), [5, 4, 3]);
}

#[test]
fn mgmt_34_the_pinned_have_the_places_of_their_order_and_a_viewer_has_an_order_of_their_own() {
    let mut world = World::with(8);
    let mut seats = VideoSeats::default();
    assert_eq!(world.video(&mut seats, 8, 5), [1, 2, 3, 4, 5]);
    // 5 and 2 sit already: pinned, they move to where their order puts them.
    world.stage.set_pinned(&[p(5), p(2)]);
    assert_eq!(world.video(&mut seats, 8, 5), [5, 2, 3, 4, 1]);
    world.stage.set_pinned(&[p(2), p(5)]);
    assert_eq!(world.video(&mut seats, 8, 5), [2, 5, 3, 4, 1]);
    let wants = vec![SlotWant::default(); 5];
    world.stage.seat_video(&world.stage.line_up(), &mut seats, p(8), &[p(7), p(5), p(8)], &wants);
    assert_eq!(numbers(seats.slots())[..3], [7, 5, 2], "own order, then everybody's");
    world.stage.set_pinned(&[]);
    world.stage.seat_video(&world.stage.line_up(), &mut seats, p(8), &[], &wants);
    assert!(!numbers(seats.slots()).contains(&0));
}

#[test]
fn who_cannot_be_seen_is_left_out_and_comes_back() {
    let mut world = World::with(4);
    let mut seats = VideoSeats::default();
    let stage = &mut world.stage;
    stage.set_member(p(1), Flags { video_blocked: true, ..ALL });
    stage.set_member(p(2), Flags { waiting: true, ..ALL });
    stage.set_member(p(3), Flags { video: false, ..ALL });
    assert_eq!(world.video(&mut seats, 4, 3), [0, 0, 0]);
    assert_eq!(world.video(&mut VideoSeats::default(), 2, 3), [0, 0, 0], "who waits sees nobody");
    world.stage.set_member(p(3), ALL);
    assert_eq!(world.video(&mut seats, 4, 3), [3, 0, 0]);
    world.stage.set_member(p(1), ALL);
    assert_eq!(world.video(&mut seats, 4, 3), [1, 3, 0]);
}

#[test]
fn a_slot_keeps_its_own_wish_and_a_hidden_slot_stays_empty() {
    let mut world = World::with(6);
    let mut seats = VideoSeats::default();
    let mut wants = [SlotWant::default(); 4];
    wants[1].pinned = Some(p(5));
    wants[2].shown = false;
    world.stage.seat_video(&world.stage.line_up(), &mut seats, p(6), &[], &wants);
    assert_eq!(numbers(seats.slots()), [1, 5, 0, 2]);
    world.stage.set_member(p(5), Flags { video: false, ..ALL });
    world.stage.seat_video(&world.stage.line_up(), &mut seats, p(6), &[], &wants);
    assert_eq!(numbers(seats.slots()), [1, 0, 0, 2], "the slot waits for them");
    world.stage.remove_member(p(5));
    world.stage.seat_video(&world.stage.line_up(), &mut seats, p(6), &[], &wants);
    assert_eq!(numbers(seats.slots()), [1, 3, 0, 2]);
}

#[test]
fn last_n_bounds_who_is_forwarded_besides_the_pinned() {
    let mut world = World::with(8);
    world.stage.set_last_n(2);
    assert_eq!(world.video(&mut VideoSeats::default(), 8, 5), [1, 2, 0, 0, 0]);
    world.stage.set_pinned(&[p(7)]);
    assert_eq!(world.video(&mut VideoSeats::default(), 8, 5), [7, 1, 2, 0, 0]);
}

#[test]
fn a_presentation_goes_to_everybody_else_while_it_may() {
    let mut world = World::with(3);
    let mut seats = VideoSeats::default();
    world.stage.set_presenter(Some(p(1)));
    world.video(&mut seats, 2, 1);
    assert_eq!(seats.presentation(), None, "nothing is presented yet");
    world.stage.set_member(p(1), Flags { presentation: true, ..ALL });
    world.video(&mut seats, 2, 1);
    assert_eq!(seats.presentation(), Some(p(1)));
    let mut own = VideoSeats::default();
    world.video(&mut own, 1, 1);
    assert_eq!(own.presentation(), None);
    world.stage.set_member(p(1), Flags { presentation: true, presentation_denied: true, ..ALL });
    world.video(&mut seats, 2, 1);
    assert_eq!(seats.presentation(), Some(p(1)), "who may not see presentations may still show one");
    world.stage.set_member(p(2), Flags { presentation_denied: true, ..ALL });
    assert!(world.stage.seat_video(&world.stage.line_up(), &mut seats, p(2), &[], &[SlotWant::default()]));
    assert_eq!(seats.presentation(), None);
    world.video(&mut own, 3, 1);
    assert_eq!(own.presentation(), Some(p(1)), "others go on seeing it");
}

#[test]
fn sound_follows_who_speaks_at_once_and_holders_keep_their_slots() {
    let mut world = World::with(6);
    let mut seats = AudioSeats::default();
    assert_eq!(world.audio(&mut seats, 6, 3), [1, 2, 3]);
    world.run(300, &[5]);
    let heard = world.audio(&mut seats, 6, 3);
    assert!(heard.contains(&5), "{heard:?}");
    let place = heard.iter().position(|&n| n == 5);
    world.run(2000, &[4]);
    let heard = world.audio(&mut seats, 6, 3);
    assert!(heard.contains(&4) && heard.iter().position(|&n| n == 5) == place, "{heard:?}");
    assert_eq!(world.audio(&mut AudioSeats::default(), 4, 1), [5]);
    world.stage.set_member(p(4), Flags { audio_blocked: true, ..ALL });
    assert!(!world.audio(&mut seats, 6, 3).contains(&4));
}

#[test]
fn the_speakers_event_lists_who_spoke_most_recent_first() {
    let mut world = World::with(5);
    assert_eq!(world.stage.speakers().count(), 0);
    assert!(world.run(3000, &[2]).speakers);
    world.run(400, &[2, 4]);
    assert_eq!(world.stage.speakers().collect::<Vec<_>>(), [(p(2), true), (p(4), true)]);
    world.run(3000, &[]);
    assert_eq!(world.stage.speakers().collect::<Vec<_>>(), [(p(2), false), (p(4), false)]);
    assert_eq!(world.run(1000, &[]), Changes::default());
}

#[derive(Clone, Debug)]
enum Step {
    Join(u64, u8),
    Leave(u64),
    Speak(Vec<u64>, u64),
    Pin(Vec<u64>),
    Present(Option<u64>),
    Want(usize, bool, Option<u64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u64..15, any::<u8>()).prop_map(|(n, f)| Step::Join(n, f)),
        (1u64..15).prop_map(Step::Leave),
        (prop::collection::vec(1u64..15, 0..3), 100u64..2500).prop_map(|(who, ms)| Step::Speak(who, ms)),
        prop::collection::vec(1u64..15, 0..3).prop_map(Step::Pin),
        prop::option::of(1u64..15).prop_map(Step::Present),
        (0usize..6, any::<bool>(), prop::option::of(1u64..15)).prop_map(|(i, s, who)| Step::Want(i, s, who)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever happens: nobody sits twice, nobody sees themselves or who may not be seen, no slot stays empty while
    /// somebody stands outside, and who stays on screen stays in place (but for the main slot and its exchange).
    #[test]
    fn seats_keep_their_rules_through_any_story(steps in prop::collection::vec(step(), 1..60), viewer in 1u64..15) {
        let mut world = World::with(4);
        let (mut video, mut audio) = (VideoSeats::default(), AudioSeats::default());
        let mut wants = [SlotWant::default(); 6];
        let mut main_changed_at: Option<u64> = None;
        let mut before_main = world.stage.main();
        let mut anybody_pinned = false;
        for step in steps {
            let mut by_speech = false;
            let mut wants_changed = false;
            // Who is pinned has a place by their order: it may be taken from whoever sat there.
            anybody_pinned |= matches!(&step, Step::Pin(who) if !who.is_empty());
            match step {
                Step::Join(n, f) => {
                    let flags = Flags {
                        audio: f & 1 == 0, video: f & 6 != 0, presentation: f & 8 != 0,
                        audio_blocked: f & 48 == 48, video_blocked: f & 192 == 192, waiting: f == 7, ..ALL
                    };
                    prop_assert!(world.stage.set_member(p(n), flags));
                }
                Step::Leave(n) => world.stage.remove_member(p(n)),
                Step::Speak(who, ms) => {
                    by_speech = true;
                    for _ in 0..ms / 100 {
                        world.run(100, &who);
                        if world.stage.main() != before_main {
                            before_main = world.stage.main();
                            prop_assert!(main_changed_at.is_none_or(|at| world.now - at >= 1900 * MS));
                            main_changed_at = Some(world.now);
                        }
                    }
                }
                Step::Pin(who) => world.stage.set_pinned(&who.iter().map(|&n| p(n)).collect::<Vec<_>>()),
                Step::Present(who) => world.stage.set_presenter(who.map(p)),
                Step::Want(i, shown, who) => {
                    wants_changed = true;
                    wants[i] = SlotWant { shown, pinned: who.map(p) };
                }
            }
            if !by_speech {
                before_main = world.stage.main();
            }
            let old = numbers(video.slots());
            world.stage.seat_video(&world.stage.line_up(), &mut video, p(viewer), &[], &wants);
            prop_assert!(!world.stage.seat_video(&world.stage.line_up(), &mut video.clone(), p(viewer), &[], &wants), "seating twice changes nothing");
            let new = numbers(video.slots());
            world.stage.seat_audio(&world.stage.line_up(), &mut audio, p(viewer), 3);
            prop_assert!(!world.stage.seat_audio(&world.stage.line_up(), &mut audio.clone(), p(viewer), 3));
            for list in [&new, &numbers(audio.slots())] {
                let mut seated: Vec<_> = list.iter().filter(|&&n| n > 0).collect();
                seated.sort_unstable();
                seated.dedup();
                prop_assert_eq!(seated.len(), list.iter().filter(|&&n| n > 0).count(), "{:?}", list);
                prop_assert!(!list.contains(&viewer));
            }
            for (index, &n) in new.iter().enumerate().filter(|&(_, &n)| n > 0) {
                let flags = world.stage.flags(p(n)).unwrap();
                prop_assert!(flags.video && !flags.video_blocked && !flags.waiting);
                prop_assert!(wants[index].shown);
            }
            let viewer_waits = world.stage.flags(p(viewer)).is_some_and(|f| f.waiting);
            let outside = (1..15).any(|n| {
                n != viewer && !new.contains(&n)
                    && world.stage.flags(p(n)).is_some_and(|f| f.video && !f.video_blocked && !f.waiting)
            });
            let empty = new.iter().zip(&wants).any(|(&n, w)| n == 0 && w.shown && w.pinned.is_none());
            prop_assert!(viewer_waits || !(outside && empty));
            if !wants_changed && !anybody_pinned && !old.is_empty() {
                for index in 1..6 {
                    let n = old[index];
                    if n == 0 || new[index] == n || wants[index].pinned.is_some() {
                        continue;
                    }
                    // Moved: only to the main slot, or to a slot that wishes for them.
                    if let Some(to) = new.iter().position(|&m| m == n) {
                        prop_assert!(to == 0 || wants[to].pinned == Some(p(n)), "{:?} -> {:?}", old, new);
                    }
                }
            }
        }
    }
}
