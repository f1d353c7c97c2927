//! Stories of the pacer.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    class: Class,
    slot: u16,
    frame: u32,
    size: usize,
    number: u32,
}

impl Paced for Item {
    fn class(&self) -> Class {
        self.class
    }
    fn slot(&self) -> u16 {
        self.slot
    }
    fn frame(&self) -> u32 {
        self.frame
    }
    fn size(&self) -> usize {
        self.size
    }
}

fn video(slot: u16, frame: u32, number: u32) -> Item {
    Item { class: Class::Video, slot, frame, size: 1000, number }
}

fn audio(number: u32) -> Item {
    Item { class: Class::Audio, slot: 9, frame: number, size: 100, number }
}

fn pacer(kbps: u64) -> Pacer<Item> {
    Pacer::new(Bitrate::kbps(kbps), Bitrate::kbps(kbps))
}

fn push(pacer: &mut Pacer<Item>, now: Time, item: Item) {
    assert_eq!(pacer.push(now, item, |_| {}), Ok(()));
}

fn drain(pacer: &mut Pacer<Item>, now: Time) -> Vec<Item> {
    core::iter::from_fn(|| pacer.pop(now, |_| {})).map(|p| p.item).collect()
}

#[test]
fn an_ordinary_frame_leaves_whole_and_a_key_frame_is_spread() {
    let mut pacer = pacer(2000);
    let now = Time::from_millis(1000);
    (0..8).for_each(|i| push(&mut pacer, now, video(0, 1, i)));
    assert_eq!(drain(&mut pacer, now).len(), 8, "a frame of 8 kB at 2 Mbit/s: 32 ms");
    let now = Time::from_millis(1100);
    (0..60).for_each(|i| push(&mut pacer, now, video(0, 2, i)));
    assert_eq!(drain(&mut pacer, now).len(), 10, "40 ms at once");
    let (mut at, mut left) = (now, 50);
    while left > 0 {
        let wake = pacer.poll_timeout();
        assert!(wake > at && wake.since(at) <= Duration::from_micros(4001), "one packet in 4 ms");
        at = wake;
        left -= drain(&mut pacer, at).len();
    }
    assert!((195..=205).contains(&at.since(now).as_millis()), "{:?}", at.since(now));
    assert_eq!(pacer.poll_timeout(), Time::NEVER);
}

#[test]
fn audio_never_waits_and_is_paid_by_the_others() {
    let mut pacer = pacer(300);
    let now = Time::from_millis(500);
    (0..20).for_each(|i| push(&mut pacer, now, video(0, 1, i)));
    assert_eq!(drain(&mut pacer, now).len(), 3);
    push(&mut pacer, now, audio(1));
    assert_eq!(pacer.poll_timeout(), Time::ZERO);
    assert_eq!(drain(&mut pacer, now), [audio(1)]);
    assert!(pacer.poll_timeout() > now, "video still waits");
}

#[test]
fn retransmissions_go_before_video_and_probes_after_all() {
    let mut pacer = pacer(10_000);
    let now = Time::from_millis(1);
    let of = |class, number| Item { class, slot: 0, frame: 0, size: 500, number };
    let order = [Class::Probe, Class::Video, Class::Retransmission, Class::Audio];
    (0..4).for_each(|i| push(&mut pacer, now, of(order[i as usize], i)));
    assert_eq!(drain(&mut pacer, now).iter().map(|i| i.number).collect::<Vec<_>>(), [3, 2, 1, 0]);
}

#[test]
fn slots_take_turns_by_bytes() {
    let mut pacer = pacer(1000);
    let mut now = Time::from_millis(1);
    for i in 0..100 {
        push(&mut pacer, now, video(0, i, i));
        (0..2).for_each(|half| push(&mut pacer, now, Item { size: 500, ..video(1, i, 2 * i + half) }));
    }
    let mut bytes = [0usize; 2];
    let mut last = [None; 2];
    while bytes[0] + bytes[1] < 80_000 {
        for item in drain(&mut pacer, now) {
            let slot = usize::from(item.slot);
            bytes[slot] += item.size;
            assert!(last[slot].is_none_or(|n| n < item.number), "in order within a slot");
            last[slot] = Some(item.number);
        }
        now = pacer.poll_timeout().max(now + Duration::from_millis(1));
    }
    assert!(bytes[0].abs_diff(bytes[1]) <= 4096, "{bytes:?}");
}

#[test]
fn what_waits_too_long_goes_a_frame_at_a_time_and_its_rest_is_refused() {
    let mut pacer = pacer(50);
    let then = Time::from_millis(0);
    (0..10).for_each(|i| push(&mut pacer, then, video(3, 1, i)));
    push(&mut pacer, Time::from_millis(900), video(3, 2, 10));
    let now = Time::from_millis(1001);
    let mut gone = 0;
    assert_eq!(pacer.push(now, video(3, 1, 11), |_| gone += 1), Err(DropReason::PacerFull), "the rest of frame 1");
    assert_eq!((gone, pacer.take_dropped(), pacer.take_dropped(), pacer.len()), (10, 10, 0, 1));
    assert_eq!(pacer.push(now, video(3, 3, 12), |_| {}), Ok(()));
    assert_eq!(pacer.pop(now, |_| {}).unwrap().item.number, 10, "the next frame is whole");
}

#[test]
fn a_full_pacer_drops_old_video_and_keeps_the_sound() {
    let mut pacer = pacer(50);
    let now = Time::from_millis(5);
    (0..MAX_QUEUED as u32 - 1).for_each(|i| push(&mut pacer, now, video((i % 7) as u16, i / 70, i)));
    push(&mut pacer, now, audio(0));
    assert_eq!(pacer.len(), MAX_QUEUED);
    push(&mut pacer, now, audio(1));
    assert!(pacer.len() < MAX_QUEUED && pacer.take_dropped() >= 1);
    assert_eq!(pacer.pop(now, |_| {}).unwrap().item, audio(0));

    let mut loud: Pacer<Item> = self::pacer(50);
    (0..MAX_QUEUED as u32).for_each(|i| push(&mut loud, now, audio(i)));
    assert_eq!(loud.push(now, audio(1), |_| {}), Err(DropReason::PacerFull), "nobody fetches it");
    assert_eq!(loud.push(now, Item { slot: MAX_SLOTS, ..audio(2) }, |_| {}), Err(DropReason::PacerFull));
}

#[test]
fn a_receiver_that_asks_for_everything_again_still_hears() {
    let mut pacer = pacer(50);
    let now = Time::from_millis(5);
    let again = |number| Item { class: Class::Retransmission, slot: 0, frame: number, size: 90, number };
    let refused = (0..2 * MAX_QUEUED as u32).filter(|&n| pacer.push(now, again(n), |_| {}).is_err()).count();
    assert_eq!(refused, 2 * MAX_QUEUED - MAX_REPAIRS);
    push(&mut pacer, now, video(1, 1, 1));
    push(&mut pacer, now, audio(1));
    assert_eq!(pacer.pop(now, |_| {}).unwrap().item, audio(1));
}

#[test]
fn a_slot_is_cleared_when_someone_else_gets_it() {
    let mut pacer = pacer(1000);
    let now = Time::from_millis(1);
    (0..30).for_each(|i| push(&mut pacer, now, video((i % 3) as u16, 1, i)));
    let mut gone = 0;
    pacer.clear_slot(1, |item| gone += u32::from(item.slot == 1));
    assert_eq!((gone, pacer.len(), pacer.bytes()), (10, 20, 20_000));
    let mut left = Vec::new();
    let mut at = now;
    while !pacer.is_empty() {
        left.extend(drain(&mut pacer, at));
        at = pacer.poll_timeout();
    }
    assert_eq!(left.len(), 20);
    assert!(left.iter().all(|item| item.slot != 1));
}

#[test]
fn memory_is_used_again() {
    let mut pacer = pacer(1000);
    let mut now = Time::from_millis(1);
    let mut warm = 0;
    for round in 0..200u32 {
        (0..20).for_each(|i| push(&mut pacer, now, video((i % 4) as u16, round, i)));
        while !pacer.is_empty() {
            now = pacer.poll_timeout().max(now);
            drain(&mut pacer, now);
        }
        let size = pacer.store.footprint() + pacer.rings.iter().map(Rings::footprint).sum::<usize>();
        assert!(round == 0 || size == warm, "round {round}: {warm} -> {size}");
        warm = size;
    }
}

proptest! {
    #[test]
    fn every_item_leaves_once_or_is_counted_as_dropped(
        steps in proptest::collection::vec((0u8..6, 0u16..5, 1usize..1500, 0u64..60), 1..600),
        kbps in 30u64..3000,
    ) {
        let mut pacer = pacer(kbps);
        let (mut now, mut pushed, mut popped, mut dropped) = (Time::from_millis(1), 0u64, 0u64, 0u64);
        for (number, &(class, slot, size, wait)) in steps.iter().enumerate() {
            let class = [Class::Audio, Class::Retransmission, Class::Video, Class::Video, Class::Video, Class::Probe]
                [usize::from(class)];
            let item = Item { class, slot, frame: number as u32 / 8, size, number: number as u32 };
            pushed += u64::from(pacer.push(now, item, |_| dropped += 1).is_ok());
            now += Duration::from_millis(wait % 7);
            while pacer.pop(now, |_| dropped += 1).is_some() {
                popped += 1;
            }
            prop_assert_eq!(pushed, popped + dropped + pacer.len() as u64);
            prop_assert_eq!(pacer.is_empty(), pacer.poll_timeout() == Time::NEVER);
            prop_assert!(pacer.is_empty() || pacer.poll_timeout() > now);
        }
        prop_assert_eq!(pacer.take_dropped(), dropped);
        while !pacer.is_empty() {
            now = pacer.poll_timeout();
            let before = pacer.len();
            while pacer.pop(now, |_| {}).is_some() {}
            prop_assert!(pacer.len() < before, "it gives something when it said that it would");
        }
        prop_assert_eq!(pacer.bytes(), 0);
    }
}
