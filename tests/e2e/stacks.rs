//! Peers on an independent WebRTC stack (str0m) beside the synthetic ones, in one conference of the running appliance: every one
//! sends as a browser does and counts what the others' media is when it arrives.

use crate::appliance::Appliance;
use plenum_bench::peer::SlotStats;
use plenum_bench::swarm::{Attendee, Camera, Plan, Stack, Summary};
use plenum_contract::Kind;
use std::time::Duration;

/// Two senders on each stack and a viewer on each, seconds of media.
fn plan(at: &Appliance, camera: Camera) -> Plan {
    Plan {
        url: at.url(),
        insecure: true,
        conferences: vec!["1061".into()],
        pin: None,
        publishers: 4,
        viewers: 2,
        seconds: 8,
        camera: Some(camera),
        audio: true,
        turns: None,
        painted: false,
        film: None,
        cues: None,
        suite: None,
        tiles: 3,
        guard: true,
        bind: None,
        stack: Stack::Both,
        loss: 0.0,
        key_frames: None,
    }
}

const CAMERA: Camera = Camera { width: 1280, height: 720, fps: 30, kbps: 1200, encodings: 3, adaptive: false };

fn run(plan: &Plan) -> (Summary, Vec<Attendee>) {
    let (summary, attendees) = plan.attendees().expect("the swarm runs");
    assert_eq!((summary.connected, &summary.refused), (plan.publishers + plan.viewers, &vec![]), "{}", summary.text());
    assert!(summary.violation.is_none(), "{}", summary.text());
    for stack in [Stack::Own, Stack::Str0m] {
        assert_eq!(attendees.iter().filter(|a| a.stack == stack).count(), attendees.len() / 2);
    }
    (summary, attendees)
}

fn slots(attendee: &Attendee, kind: Kind) -> impl Iterator<Item = &SlotStats> {
    attendee.stats.slots.iter().filter(move |s| s.kind == kind && s.packets + s.fillers > 0)
}

/// Everybody decodes every camera of the others, and hears who speaks.
fn all_see_and_hear(attendees: &[Attendee], said: &str) {
    for (index, attendee) in attendees.iter().enumerate() {
        let who = format!("peer {} on {:?}", index + 1, attendee.stack);
        // Each has three tiles: whoever shows themselves sees all three others, a viewer three of four.
        let seen = slots(attendee, Kind::Video).filter(|s| s.frames > 30).count();
        assert_eq!(seen, 3, "{who} sees: {said}");
        let own = attendee.camera.map(|track| track.0 as u32);
        assert!(slots(attendee, Kind::Video).all(|s| s.by_track.keys().all(|t| Some(*t) != own)), "{who} sees itself");
        let heard = slots(attendee, Kind::Audio).map(|s| s.frames).max().unwrap_or_default();
        assert!(heard > if index == 0 { 5 } else { 100 }, "{who} hears {heard}: {said}");
    }
}

#[test]
fn peers_on_an_independent_stack_and_our_own_see_and_hear_each_other() {
    let _alone = crate::alone();
    let at = Appliance::start(&["--shards", "1"]);
    let (summary, attendees) = run(&Plan { key_frames: Some(Duration::from_secs(2)), ..plan(&at, CAMERA) });
    let said = summary.text();
    all_see_and_hear(&attendees, &said);
    for attendee in &attendees {
        let stats = &attendee.stats;
        for slot in &stats.slots {
            let (came, lost) = (slot.packets + slot.fillers, slot.lost);
            assert!(lost * 100 <= came + lost, "{:?} lost {lost} of {came}: {said}", attendee.stack);
            assert!(slot.gaps * 100 <= slot.packets, "{:?} misses {} sounds: {said}", attendee.stack, slot.gaps);
        }
        assert!(stats.withheld * 100 <= stats.slots.iter().map(|s| s.packets).sum(), "{said}");
        // Simulcast: what is received is one encoding of three, and grows from the smallest as the estimate does, which the
        // receiver's transport-wide feedback feeds.
        let largest = slots(attendee, Kind::Video).filter_map(|s| s.source).map(|source| source.1).max();
        assert!(largest >= Some(1), "{:?} stays at encoding {largest:?}: {said}", attendee.stack);
        // PLI: everybody asks, and everybody is given.
        assert!(slots(attendee, Kind::Video).all(|s| s.plis > 0 && s.key_frames > 1), "{said}");
        assert!(!stats.key_latency.is_empty(), "{said}");
        assert!(!stats.video_delay.is_empty() && !stats.audio_delay.is_empty());
        if attendee.camera.is_some() {
            assert!(stats.key_requests > 0 && stats.feedback > 20, "{:?} is asked and told: {said}", attendee.stack);
        }
    }
    let json = serde_json::to_value(&summary).expect("a summary is JSON");
    for kind in ["audio", "video"] {
        for count in ["lost", "reordered", "duplicates", "freezes"] {
            assert!(json[kind][count].is_u64(), "{kind} {count}: {json}");
        }
        assert!(json[kind]["delay"]["buckets"].as_array().is_some_and(|b| !b.is_empty()), "{json}");
    }
    assert!(json["key_frame_latency"]["count"].as_u64() > Some(0) && json["stack"] == "both", "{json}");
}

#[test]
fn what_an_independent_stack_loses_is_asked_for_and_sent_again_in_both_directions() {
    let _alone = crate::alone();
    let at = Appliance::start(&["--shards", "1"]);
    let one = Camera { encodings: 1, kbps: 600, ..CAMERA };
    let (summary, attendees) = run(&Plan { loss: 0.03, guard: false, ..plan(&at, one) });
    let said = summary.text();
    all_see_and_hear(&attendees, &said);
    for attendee in &attendees {
        let stack = attendee.stack;
        let pictures = |f: fn(&SlotStats) -> u64| slots(attendee, Kind::Video).map(f).sum::<u64>();
        let (came, lost) = (pictures(|s| s.packets + s.fillers), pictures(|s| s.lost));
        assert!(pictures(|s| s.asked) > 0 && pictures(|s| s.recovered) > 0, "{stack:?} gets nothing again: {said}");
        assert!(lost * 100 <= came + lost, "{stack:?} lost {lost} pictures' packets of {came}: {said}");
        assert!(attendee.camera.is_none() || attendee.stats.resent > 0, "{stack:?} sends nothing again: {said}");
    }
}

#[test]
fn cameras_of_both_stacks_follow_the_servers_feedback() {
    let _alone = crate::alone();
    let at = Appliance::start(&["--shards", "1"]);
    let (summary, attendees) = run(&plan(&at, Camera { adaptive: true, ..CAMERA }));
    let said = summary.text();
    all_see_and_hear(&attendees, &said);
    for attendee in attendees.iter().filter(|a| a.camera.is_some()) {
        assert!(attendee.stats.feedback > 20, "{:?}: {said}", attendee.stack);
    }
    // Whoever is given room sends more than the smallest encoding, on either stack.
    for stack in [Stack::Own, Stack::Str0m] {
        let tracks: Vec<u32> =
            attendees.iter().filter(|a| a.stack == stack).filter_map(|a| Some(a.camera?.0 as u32)).collect();
        let sources = attendees.iter().flat_map(|a| slots(a, Kind::Video)).filter_map(|s| s.source);
        let largest = sources.filter(|s| tracks.contains(&s.0)).map(|s| s.1).max();
        assert!(largest >= Some(1), "{stack:?} sends encoding {largest:?}: {said}");
    }
}
