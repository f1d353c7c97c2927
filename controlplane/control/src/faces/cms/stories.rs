//! Stories of the event protocol in virtual time: a real model acts, a client subscribes, and what comes out is read as JSON.

mod story;

use super::session::{IDLE_MS, Rules, Session};
use crate::events::Observed;
use plenum_model::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use story::{BRIDGE, RULES, Story, observed, roster, updates};

/// The messages of the guide as it prints them; the call appears, and somebody joins, at two times.
#[test]
fn cms_28_cms_8_cms_9_cms_15_the_guides_sample_is_answered_as_printed() {
    let sample = include_str!("../../../tests/fixtures/cms_sample.json");
    let sample: Vec<Value> = serde_json::from_str(sample).unwrap();
    let mut story = Story::new();
    story.acks = false;
    let (place, call) = (ConferenceKey(1), "97c771ae-fc2e-4257-b129-30ee818e034b");
    let meeting = EventBody::Meeting(Box::new(MeetingView {
        conference: place,
        id: ConferenceId([1; 16]),
        meeting: MeetingId::parse(call).unwrap(),
        name: "Andy's coSpace".into(),
        alias: "andy".into(),
        kind: Kind::Permanent,
        status: Status {
            locked: false,
            guests_muted: false,
            started: false,
            chat: true,
            recording: false,
            streaming: false,
        },
        mute_on_join: false,
        host_layout: LayoutName::DEFAULT,
        guest_layout: LayoutName::DEFAULT,
        mix_shed: 0,
    }));
    let andy = Participant::new(ParticipantKey(7), ParticipantId([7; 16]), "Andy".into(), Role::Host, 0).view(false);
    let mut waiting: std::collections::VecDeque<Value> = Default::default();
    for step in &sample {
        match step["from"].as_str().unwrap() {
            "client" => story.says(&step["frame"].to_string()),
            "call" => story.session.happened(0, &[observed(place, [(Audience::Observers, meeting.clone())])]),
            "joins" => {
                let created = EventBody::Created(Box::new(andy.clone()));
                story.session.happened(0, &[observed(place, [(Audience::Admitted, created)])]);
            }
            _ => {
                waiting.extend(story.told());
                assert_eq!(waiting.pop_front().as_ref(), Some(&step["frame"]));
            }
        }
    }
    waiting.extend(story.told());
    let rest: Vec<Value> = waiting.into_iter().collect();
    // The re-subscription: index 3 is kept without an add, 1 and 2 begin.
    assert_eq!(rest[0], json!({"type": "messageAck", "messageAck": {"messageId": 9, "status": "success"}}));
    let states = |pending: &str| json!([{"index": 1, "state": pending}, {"index": 2, "state": pending}, {"index": 3, "state": "active"}]);
    assert_eq!(rest[1]["message"]["subscriptions"], states("pending"));
    assert_eq!(rest[2]["message"]["subscriptions"], states("active"));
    let add = json!({"participant": andy.id.to_string(), "updateType": "add", "name": "Andy", "uri": "", "state": "initial", "importance": null});
    let expected = json!({"messageId": 7, "type": "rosterUpdate", "subscriptionIndex": 1, "updates": [add]});
    assert_eq!(rest[3]["message"], expected);
    let info = json!({"call": call, "name": "Andy's coSpace", "participants": 1, "streaming": "inactive"});
    let expected = json!({"messageId": 8, "type": "callInfoUpdate", "subscriptionIndex": 2, "callInfo": info});
    assert_eq!(rest[4]["message"], expected);
    assert_eq!(rest.len(), 5, "nothing is told anew of index 3");
}

#[test]
fn cms_10_cms_19_after_the_ack_comes_pending_then_active_then_what_is() {
    let mut story = Story::new();
    let room = story.room("1061");
    story.join("1061", "Alice");
    let call = story.call(room);
    story.subscribe(1, json!([
        {"index": 5, "type": "calls", "elements": ["name", "participants", "lockState", "callType", "callCorrelator", "recording",
            "streaming", "endpointRecording", "distributedInstances"]},
        {"index": 4, "type": "callInfo", "call": call, "elements": ["lockState", "joinAudioMuteOverride", "distributedInstances"]},
    ]));
    let told = story.told();
    assert_eq!(told[0], json!({"type": "messageAck", "messageAck": {"messageId": 1, "status": "success"}}));
    let both = |state: &str| json!([{"index": 4, "state": state}, {"index": 5, "state": state}]);
    assert_eq!(told[1]["message"]["subscriptions"], both("pending"));
    assert_eq!(told[2]["message"]["subscriptions"], both("active"));
    // CMS-17, CMS-21: one object, no list.
    let info =
        json!({"call": call, "lockState": "unlocked", "joinAudioMuteOverride": false, "distributedInstances": 0});
    assert_eq!(told[3]["message"]["callInfo"], info);
    // CMS-20: every element with its type.
    let correlator = story.model.conference(room).unwrap().id.to_string();
    let add = json!({"call": call, "updateType": "add", "name": "Room 1061", "participants": 1, "distributedInstances": 0,
        "recording": "inactive", "endpointRecording": "inactive", "streaming": "inactive", "lockState": "notLocked",
        "callType": "coSpace", "callCorrelator": correlator});
    assert_eq!(told[4]["message"]["updates"], json!([add]));
    story.does(room, Command::Lock(true));
    let told = story.bodies();
    assert_eq!(told[0]["callInfo"], json!({"call": call, "lockState": "locked"}), "only what changed (CMS-15)");
    assert_eq!(told[1]["updates"], json!([{"call": call, "updateType": "update", "lockState": "locked"}]));
    story.does(room, Command::MuteOnJoin(Some(true)));
    assert_eq!(story.bodies()[0]["callInfo"], json!({"call": call, "joinAudioMuteOverride": true}));
}

#[test]
fn cms_11_cms_12_the_list_is_the_whole_wish_and_the_index_decides_what_is_kept() {
    let mut story = Story::new();
    let room = story.room("1061");
    story.join("1061", "Alice");
    let call = story.call(room);
    story.subscribe(1, json!([{"index": 1, "type": "calls", "elements": ["name"]}]));
    story.told();
    // Kept, with more elements: their values come as an update.
    story.subscribe(2, json!([{"index": 1, "type": "calls", "elements": ["name", "participants"]}]));
    let told = story.bodies();
    assert_eq!(told[0]["subscriptions"], json!([{"index": 1, "state": "active"}]));
    assert_eq!(told[1]["updates"], json!([{"call": call, "updateType": "update", "participants": 1}]));
    // The same resource under another index is a new subscription; the old one is dropped.
    story.subscribe(3, json!([{"index": 2, "type": "calls", "elements": ["name"]}]));
    let told = story.bodies();
    assert_eq!(
        told[0]["subscriptions"],
        json!([{"index": 1, "state": "deactivated"}, {"index": 2, "state": "pending"}])
    );
    assert_eq!(told[1]["subscriptions"], json!([{"index": 2, "state": "active"}]));
    assert_eq!(updates(&told[2])[0].0, "add");
    // Another resource under the same index is a new one as well.
    story.subscribe(
        4,
        roster(&call, json!(["name"]))
            .as_array()
            .map(|one| json!([{"index": 2, "type": "callRoster", "call": call, "elements": one[0]["elements"]}]))
            .unwrap(),
    );
    let told = story.bodies();
    assert_eq!(told[0]["subscriptions"], json!([{"index": 2, "state": "pending"}]));
    assert_eq!((told[2]["type"].as_str(), told.len()), (Some("rosterUpdate"), 3));
    // An empty list ends all: nothing is told any more.
    story.subscribe(5, json!([]));
    assert_eq!(story.bodies()[0]["subscriptions"], json!([{"index": 2, "state": "deactivated"}]));
    story.join("1061", "Bob");
    assert!(story.bodies().is_empty());
}

#[test]
fn cms_13_an_unknown_call_and_one_that_ends_are_deactivated() {
    let mut story = Story::new();
    let room = story.room("1061");
    let alice = story.join("1061", "Alice");
    let call = story.call(room);
    story.subscribe(
        1,
        json!([
            {"index": 1, "type": "callRoster", "call": call, "elements": ["name"]},
            {"index": 2, "type": "callRoster", "call": "97c771ae-fc2e-4257-b129-30ee818e034b"},
            {"index": 3, "type": "calls"},
            {"index": 4, "type": "callInfo", "call": call},
        ]),
    );
    let told = story.bodies();
    let states: Vec<&str> =
        told[1]["subscriptions"].as_array().unwrap().iter().map(|s| s["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "deactivated", "active", "active"]);
    story.to(room, alice, MemberCommand::Disconnect);
    let told = story.bodies();
    // CMS-16: a remove says why, in words of our own (D11).
    let remove = json!({"participant": alice.to_string(), "updateType": "remove", "reason": "apiInitiatedTeardown"});
    assert_eq!(told[0]["updates"], json!([remove]));
    assert_eq!(told[1]["updates"], json!([{"call": call, "updateType": "remove"}]));
    assert_eq!(
        told[2]["subscriptions"],
        json!([{"index": 1, "state": "deactivated"}, {"index": 4, "state": "deactivated"}])
    );
    // The next meeting in the room is another call, with the same correlator (CMS-21).
    story.join("1061", "Alice");
    assert_ne!(story.call(room), call);
    assert_eq!(story.bodies()[0]["updates"], json!([{"call": story.call(room), "updateType": "add"}]));
}

#[test]
fn cms_14_elements_decide_what_is_told_and_without_them_only_who_comes_and_goes() {
    let mut story = Story::new();
    let room = story.room("1061");
    let alice = story.join("1061", "Alice");
    let call = story.call(room);
    let bare = json!([
        {"index": 1, "type": "callRoster", "call": call, "elements": ["audioMuted", "ofALaterRelease"]},
        {"index": 2, "type": "calls", "elements": []},
    ]);
    story.subscribe(1, bare);
    let told = story.bodies();
    assert_eq!(
        told[2]["updates"],
        json!([{"participant": alice.to_string(), "updateType": "add", "audioMuted": false}])
    );
    assert_eq!(told[3]["updates"], json!([{"call": call, "updateType": "add"}]));
    story.to(room, alice, MemberCommand::VideoMute(true));
    story.does(room, Command::Lock(true));
    assert!(story.bodies().is_empty(), "nothing of it was wished for");
    story.to(room, alice, MemberCommand::Mute(true));
    let told = story.bodies();
    assert_eq!(
        told[0]["updates"],
        json!([{"participant": alice.to_string(), "updateType": "update", "audioMuted": true}])
    );
    assert_eq!(told.len(), 1);
}

#[test]
fn cms_22_every_element_of_a_participant_follows_what_happens_to_them() {
    let mut story = Story::new();
    let room = story.room("1061");
    let alice = story.join("1061", "Alice");
    let key = story.model.conference(room).unwrap().by_id[&alice];
    let call = story.call(room);
    story.subscribe(1, roster(&call, json!(super::elements::PERSON)));
    let add = updates(&story.bodies()[2])[0].1.clone();
    let expected = json!({"participant": alice.to_string(), "updateType": "add", "name": "Alice", "uri": "", "state": "initial",
        "direction": "incoming", "audioMuted": false, "videoMuted": false, "importance": null, "layout": "onePlusSeven",
        "activeSpeaker": false, "presenter": false, "endpointRecording": "inactive", "canMove": true, "canMoveToLobby": false,
        "movedParticipant": null, "movedParticipantCallBridge": null});
    assert_eq!(add, expected);
    let expect = |story: &mut Story, what: Value| {
        let told = story.bodies();
        let mut update = json!({"participant": alice.to_string(), "updateType": "update"});
        update.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        assert_eq!(told.iter().flat_map(updates).map(|(_, update)| update).collect::<Vec<_>>(), [update]);
    };
    story.to(room, alice, MemberCommand::Importance(Some(3)));
    expect(&mut story, json!({"importance": 3}));
    story.to(room, alice, MemberCommand::Importance(None));
    expect(&mut story, json!({"importance": null}));
    story.to(room, alice, MemberCommand::Layout(LayoutName::parse("4:0")));
    expect(&mut story, json!({"layout": "allEqualQuarters"}));
    story.to(room, alice, MemberCommand::Layout(None));
    expect(&mut story, json!({"layout": "onePlusSeven"}));
    story.act(Action::Fact(Fact::Speakers { conference: room, order: vec![(key, true)] }));
    expect(&mut story, json!({"activeSpeaker": true}));
    story.act(Action::Fact(Fact::Speakers { conference: room, order: vec![(key, false)] }));
    expect(&mut story, json!({"activeSpeaker": false}));
    story.act(Action::Fact(Fact::EndpointRecording { participant: key, active: true }));
    expect(&mut story, json!({"endpointRecording": "active"}));
    story.to(room, alice, MemberCommand::Role(Role::Guest));
    expect(&mut story, json!({"canMoveToLobby": true}));
    let token = By::Token(TokenHash([alice.0[0]; 32]));
    let own = |story: &mut Story, command| {
        story.act(Action::Do { conference: room, by: token, command: Command::To { target: alice, command } });
    };
    own(&mut story, MemberCommand::TakeFloor);
    expect(&mut story, json!({"presenter": true}));
    own(&mut story, MemberCommand::ReleaseFloor);
    expect(&mut story, json!({"presenter": false}));
    let open =
        CallCommand::Open { id: CallId([1; 16]), leg: LegKey(900), purpose: Purpose::Main, video: true, fecc: false };
    own(&mut story, MemberCommand::Call(open));
    own(&mut story, MemberCommand::Call(CallCommand::Start(CallId([1; 16]))));
    expect(&mut story, json!({"state": "connected"}));
    // The layout that a host chose for guests is theirs too, while they have chosen none.
    let entry = layout::LayoutEntry::new(layout::LayoutAudience::Guests, LayoutName::parse("1:0").unwrap());
    story.does(room, Command::OverrideLayout { entries: vec![entry], whole: false });
    expect(&mut story, json!({"layout": "speakerOnly"}));
    story.to(room, alice, MemberCommand::Lobby);
    expect(&mut story, json!({"state": "initial", "canMoveToLobby": false}));
}

#[test]
fn cms_24_whoever_is_moved_leaves_the_one_call_and_appears_in_the_other_with_their_past() {
    let mut story = Story::new();
    let (one, two) = (story.room("1061"), story.room("2000"));
    let alice = story.join("1061", "Alice");
    story.join("1061", "Bob");
    story.join("2000", "Carol");
    story.subscribe(1, json!([
        {"index": 1, "type": "callRoster", "call": story.call(one), "elements": ["name", "movedParticipant", "movedParticipantCallBridge"]},
        {"index": 2, "type": "callRoster", "call": story.call(two), "elements": ["name", "movedParticipant", "movedParticipantCallBridge"]},
    ]));
    story.told();
    let transfer = Transfer { alias: "2000".into(), pin: None, role: None, ending: Vec::new() };
    story.to(one, alice, MemberCommand::Transfer(transfer));
    let told = story.bodies();
    let id = alice.to_string();
    assert_eq!(told[0]["updates"], json!([{"participant": id, "updateType": "remove", "reason": "moved"}]));
    // D13: the bridge that hosted the conference they were moved from.
    let add = json!({"participant": id, "updateType": "add", "name": "Alice", "movedParticipant": id, "movedParticipantCallBridge": BRIDGE});
    assert_eq!(told[1]["updates"], json!([add]));
}

#[test]
fn cms_6_cms_9_a_request_that_cannot_be_is_refused_and_changes_nothing() {
    let mut story = Story::with(Rules { subscriptions: 2, ..RULES });
    story.subscribe(1, json!([{"index": 7, "type": "calls"}]));
    story.told();
    let call = "97c771ae-fc2e-4257-b129-30ee818e034b";
    let calls = |index: u64| json!({"index": index, "type": "callInfo", "call": format!("97c771ae-fc2e-4257-b129-{index:012}")});
    for (n, bad) in [
        json!([calls(1), calls(2), calls(3)]),
        json!([{"index": 1, "type": "calls"}, {"index": 1, "type": "callInfo", "call": call}]),
        json!([{"index": 1, "type": "calls"}, {"index": 2, "type": "calls"}]),
        json!([{"index": 1, "type": "callRoster"}]),
        json!([{"index": 1, "type": "callRoster", "call": "x"}]),
        json!([{"index": 1, "type": "participants"}]),
        json!([{"index": "1", "type": "calls"}]),
        json!([{"index": -1, "type": "calls"}]),
        json!([{"type": "calls"}]),
        json!({"index": 1, "type": "calls"}),
    ]
    .into_iter()
    .enumerate()
    {
        let number = 20 + n as u64;
        story.subscribe(number, bad.clone());
        let told = story.told();
        assert_eq!(told.len(), 1, "{bad}");
        let ack = &told[0]["messageAck"];
        assert_eq!((&ack["messageId"], &ack["status"]), (&json!(number), &json!("error")), "{bad}");
        assert!(ack["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    }
    story.room("1061");
    story.join("1061", "Alice");
    assert_eq!(story.bodies()[0]["subscriptionIndex"], 7, "what was subscribed to before is still there");
}

#[test]
fn cms_8_what_is_no_message_is_refused_and_the_connection_goes_on() {
    let mut story = Story::new();
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
    let twice = r#"{"type":"message","message":{"messageId":1,"messageId":2,"type":"subscribeRequest"}}"#;
    for bad in [
        "",
        "x",
        "[]",
        "{}",
        "null",
        &deep,
        twice,
        r#"{"type":"messageAck"}"#,
        r#"{"type":"message"}"#,
        r#"{"type":"message","message":{"messageId":5,"type":"callListUpdate"}}"#,
        r#"{"type":"messageAck","messageAck":{"messageId":"x"}}"#,
    ] {
        story.says(bad);
        let told = story.told();
        assert_eq!((told.len(), &told[0]["messageAck"]["status"]), (1, &json!("error")), "{bad:.60}");
    }
    assert_eq!(story.closed(), None);
    // An ack of something that was never said is nothing.
    story.says(r#"{"type":"messageAck","messageAck":{"messageId":99,"status":"success"}}"#);
    assert!(story.told().is_empty());
}

#[test]
fn cms_18_whoever_does_not_acknowledge_in_time_is_closed_with_a_reason() {
    let mut story = Story::new();
    story.acks = false;
    story.subscribe(1, json!([{"index": 1, "type": "calls"}]));
    story.told();
    assert_eq!(story.session.deadline_ms(), Some(30_000));
    story.pass(29_999);
    assert_eq!(story.closed(), None);
    story.pass(1);
    assert_eq!(story.closed(), Some(1008));
    // Whoever does acknowledge stays, however long nothing happens.
    let mut story = Story::new();
    story.subscribe(1, json!([{"index": 1, "type": "calls"}]));
    story.told();
    story.pass(86_400_000);
    assert_eq!((story.closed(), story.session.deadline_ms()), (None, None));
}

#[test]
fn cms_18_whoever_leaves_too_much_without_an_ack_is_closed_and_costs_bounded_memory() {
    let mut story = Story::new();
    story.acks = false;
    story.subscribe(1, json!([{"index": 1, "type": "calls", "elements": ["participants", "lockState"]}]));
    let room = story.room("1061");
    story.join("1061", "Alice");
    let mut told = 0;
    for n in 0..500 {
        story.does(room, Command::Lock(n % 2 == 0));
        told += story.told().iter().filter(|value| !value["message"].is_null()).count();
    }
    assert_eq!((told, story.closed()), (50, Some(1008)));
}

#[test]
fn a_client_that_never_subscribes_gives_its_place_back() {
    let mut story = Story::new();
    story.pass(IDLE_MS - 1);
    assert_eq!(story.closed(), None);
    story.pass(1);
    assert_eq!(story.closed(), Some(1008));
}

#[test]
fn a_large_call_is_told_in_bounded_messages_and_what_happens_at_one_time_is_told_once() {
    let mut story = Story::new();
    let room = story.room("1061");
    for n in 0..200 {
        story.join("1061", &format!("P{n}"));
    }
    let call = story.call(room);
    story.subscribe(1, roster(&call, json!(["audioMuted"])));
    let sizes: Vec<usize> = story.bodies().iter().skip(2).map(|body| updates(body).len()).collect();
    assert_eq!(sizes, [200]);
    story.does(room, Command::MuteAll { audio: Some(true), video: None });
    let told = story.bodies();
    assert_eq!((told.len(), updates(&told[0]).len()), (1, 200), "muting everybody is one message");
}

#[test]
fn cms_23_several_conferences_are_followed_at_once_and_an_ended_one_removes_everybody() {
    let mut story = Story::new();
    let (one, two) = (story.room("1061"), story.room("2000"));
    story.join("1061", "Alice");
    let bob = story.join("2000", "Bob");
    story.subscribe(
        1,
        json!([
            {"index": 1, "type": "calls", "elements": ["participants"]},
            {"index": 2, "type": "callRoster", "call": story.call(two)},
        ]),
    );
    assert_eq!(updates(&story.bodies()[2]).len(), 2);
    story.does(two, Command::End);
    let told = story.bodies();
    assert_eq!(told.iter().flat_map(updates).filter(|(kind, _)| kind == "remove").count(), 2);
    let roster: Vec<_> = told.iter().filter(|body| body["type"] == "rosterUpdate").flat_map(updates).collect();
    assert_eq!((&roster[0].1["participant"], &roster[0].1["reason"]), (&json!(bob.to_string()), &json!("callEnded")));
    story.join("1061", "Carol");
    assert_eq!(
        story.bodies()[0]["updates"],
        json!([{"call": story.call(one), "updateType": "update", "participants": 2}])
    );
}

/// What a client knows that keeps what it is told, by subscription and name.
#[derive(Debug, Default, PartialEq)]
struct Mirror(BTreeMap<(u64, String), serde_json::Map<String, Value>>);

impl Mirror {
    fn take(&mut self, bodies: Vec<Value>) {
        for body in bodies {
            let Some(index) = body["subscriptionIndex"].as_u64() else { continue };
            for (kind, update) in updates(&body) {
                let mut elements = update.as_object().unwrap().clone();
                elements.remove("updateType");
                let id = elements.get("call").or(elements.get("participant")).unwrap().as_str().unwrap().to_owned();
                let known = self.0.contains_key(&(index, id.clone()));
                assert_eq!(known, kind != "add", "{kind} of {id}, which was known: {known}");
                match kind.as_str() {
                    "remove" => drop(self.0.remove(&(index, id))),
                    _ => self.0.entry((index, id)).or_default().extend(elements),
                }
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// CMS-15, CMS-16, CMS-19: who keeps what they are told knows exactly what somebody is told who comes now.
    #[test]
    fn cms_15_cms_16_cms_19_random_meetings_are_told_without_a_gap(moves in proptest::collection::vec((0u8..12, 0u8..8), 1..80)) {
        let mut story = Story::new();
        let rooms = [story.room("1061"), story.room("2000")];
        story.join("1061", "Alice");
        let calls = json!({"index": 1, "type": "calls", "elements": super::elements::CALL});
        let roster = json!({"index": 2, "type": "callRoster", "call": story.call(rooms[0]), "elements": super::elements::PERSON});
        let subscription = json!([calls, roster]);
        story.subscribe(1, subscription.clone());
        let mut mirror = Mirror::default();
        mirror.take(story.bodies());
        let mut people: Vec<ParticipantId> = Vec::new();
        for (what, n) in moves {
            let room = rooms[n as usize % 2];
            let inside = people.iter().copied().filter(|id| story.model.conference(room).unwrap().by_id.contains_key(id));
            let who = inside.clone().nth(n as usize % inside.count().max(1));
            let on = n % 4 < 2;
            match (what, who) {
                (0..3, _) if people.len() < 100 => people.push(story.join(["1061", "2000"][n as usize % 2], &format!("P{n}"))),
                (3, _) => story.does(room, Command::Lock(on)),
                (4, _) => story.does(room, Command::MuteAll { audio: Some(on), video: Some(!on) }),
                (5, _) => story.does(room, Command::MuteOnJoin(on.then_some(true))),
                (6, Some(who)) => story.to(room, who, MemberCommand::Role(if on { Role::Host } else { Role::Guest })),
                (7, Some(who)) => story.to(room, who, MemberCommand::Importance(on.then_some(n))),
                (8, Some(who)) => story.to(room, who, MemberCommand::Layout(LayoutName::parse("4:0").filter(|_| on))),
                (9, Some(who)) => {
                    let alias = ["2000", "1061"][n as usize % 2].into();
                    let transfer = Transfer { alias, pin: None, role: None, ending: Vec::new() };
                    story.to(room, who, MemberCommand::Transfer(transfer));
                }
                (10, Some(who)) => story.to(room, who, MemberCommand::Disconnect),
                (11, Some(who)) => {
                    let key = story.model.conference(room).unwrap().by_id[&who];
                    story.act(Action::Fact(Fact::Speakers { conference: room, order: vec![(key, on)] }));
                }
                _ => {}
            }
            mirror.take(story.bodies());
        }
        let pictures = story.model.conferences().map(|conference| {
            let bodies = conference.picture_for_observers();
            observed(conference.key, bodies.into_iter().map(|body| (Audience::Observers, body)))
        });
        let pictures: Vec<Observed> = pictures.collect();
        story.session = Session::new(RULES, BRIDGE.into(), 0);
        story.session.happened(0, &pictures);
        story.subscribe(1, subscription);
        let mut fresh = Mirror::default();
        fresh.take(story.bodies());
        proptest::prop_assert_eq!(mirror, fresh);
    }
}
