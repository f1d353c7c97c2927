//! MGMT section E over HTTP: what streams tell, to whom, and in which order.
#![allow(missing_docs)]

mod house;

use house::{House, OFFER, ROOM, SIMPLE, webrtc};
use plenum_contract::event::EventBody;
use plenum_contract::{Command, LegEnd};
use serde_json::{Value, json};

#[tokio::test]
async fn mgmt_59_every_stream_tells_the_same_in_the_order_of_the_state_and_nobody_before_they_came() {
    let house = House::open().await;
    let alice = house.join("Alice", None).await;
    let (mut one, mut two) = (house.events(&alice).await, house.events(&alice).await);
    one.sync().await;
    two.sync().await;
    let mut people = Vec::new();
    for n in 0..10 {
        let person = house.join(&format!("P{n}"), None).await;
        house.to(&alice, &person, "mute", Value::Null).await.result();
        house.to(&alice, &person, "spotlighton", Value::Null).await.result();
        people.push(person);
    }
    for person in people.iter().rev() {
        house.act(person, "end_session", Value::Null).await.result();
    }
    house.act(&alice, "message", json!({"payload": "end"})).await.result();
    let mut told = Vec::new();
    let mut here = std::collections::BTreeSet::new();
    loop {
        let (name, data) = one.next().await.unwrap();
        assert_eq!(two.next().await, Some((name.clone(), data.clone())));
        let uuid = data["uuid"].as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "participant_create" => assert!(here.insert(uuid), "created twice"),
            "participant_update" => assert!(here.contains(&uuid), "an update before the create"),
            "participant_delete" => assert!(here.remove(&uuid)),
            "message" => break,
            _ => continue,
        }
        told.push(name);
    }
    let lives = ["participant_create", "participant_update", "participant_update"].repeat(10);
    let expected: Vec<&str> = lives.into_iter().chain(["participant_delete"; 10]).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn mgmt_43_mgmt_47_mgmt_48_mgmt_49_a_stream_begins_with_a_sync_then_tells_who_comes_changes_and_goes() {
    let house = House::open().await;
    let alice = house.join("Alice", None).await;
    let mut events = house.events(&alice).await;
    assert_eq!(events.sync().await, ["Alice"]);
    assert_eq!(events.next().await.unwrap().0, "service_update");
    assert_eq!(events.next().await.unwrap().0, "stage");
    let bob = house.join("Bob", None).await;
    assert_eq!(events.until("participant_create").await["uuid"], json!(bob.uuid));
    let mut second = house.events(&alice).await;
    assert_eq!(second.sync().await, ["Alice", "Bob"], "a second subscription gets its own sync");
    house.to(&alice, &bob, "mute", Value::Null).await.result();
    let update = events.until("participant_update").await;
    assert_eq!((&update["uuid"], &update["is_muted"]), (&json!(bob.uuid), &json!("YES")));
    house.act(&bob, "end_session", Value::Null).await.result();
    assert_eq!(events.until("participant_delete").await, json!({"uuid": bob.uuid}));
}

#[tokio::test]
async fn mgmt_42_a_known_last_event_id_gets_what_it_missed_and_an_unknown_one_a_sync() {
    let house = House::open().await;
    let alice = house.join("Alice", None).await;
    let mut events = house.events(&alice).await;
    events.sync().await;
    house.join("Bob", None).await;
    events.until("participant_create").await;
    let last = events.last_id.clone().unwrap();
    drop(events);
    house.join("Carol", None).await;
    let mut again = house.events_since(&alice, Some(&last)).await;
    let (name, data) = again.next().await.unwrap();
    assert_eq!((name.as_str(), &data["display_name"]), ("participant_create", &json!("Carol")));
    let mut anew = house.events_since(&alice, Some("0-77")).await;
    assert_eq!(anew.sync().await, ["Alice", "Bob", "Carol"]);
}

#[tokio::test]
async fn mgmt_52_mgmt_54_what_media_tells_becomes_stage_and_layout() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let (alice, bob) = (house.join("Alice", None).await, house.join("Bob", None).await);
    house.call(&alice, webrtc()).await;
    house.call(&bob, webrtc()).await;
    let told = house.told();
    let session = |n: usize| {
        let mut specs = told.iter().filter_map(|c| if let Command::Session(spec) = c { Some(spec) } else { None });
        specs.nth(n).unwrap().clone()
    };
    let (a, b) = (session(0), session(1));
    let room = told.iter().find_map(|c| if let Command::Conference(spec) = c { Some(spec.key) } else { None }).unwrap();
    let mut events = house.events(&alice).await;
    let mut others = house.events(&bob).await;
    events.sync().await;
    others.sync().await;
    house
        .media_says(EventBody::Speakers {
            conference: room,
            order: vec![(b.participant, true), (a.participant, false)],
        })
        .await;
    let mut stage = events.until("stage").await;
    if stage == json!([]) {
        stage = events.until("stage").await;
    }
    assert_eq!(stage[0], json!({"stage_index": 0, "participant_uuid": bob.uuid, "vad": 100}));
    assert_eq!(stage[1], json!({"stage_index": 1, "participant_uuid": alice.uuid, "vad": 0}));
    let seats = EventBody::Seats {
        leg: a.key,
        seats: vec![Some(b.participant), None],
        presentation: Some(b.participant),
        layout: None,
    };
    house.media_says(seats).await;
    let layout = events.until("layout").await;
    assert_eq!((&layout["view"], &layout["participants"]), (&json!("1:7"), &json!([bob.uuid])));
    assert_eq!((&layout["slots"], &layout["presentation"]), (&json!([bob.uuid, null]), &json!(bob.uuid)));
    // A stream that comes later is told what is on screen; others are not told of Alice's screen.
    assert_eq!(house.events(&alice).await.until("layout").await, layout);
    house.act(&bob, "message", json!({"payload": "end"})).await.result();
    loop {
        match others.next().await.unwrap().0.as_str() {
            "layout" => panic!("somebody else's layout"),
            "message" => break,
            _ => {}
        }
    }
}

#[tokio::test]
async fn mgmt_29_mgmt_56_a_kicked_participant_is_told_and_out() {
    let house = House::open().await;
    let (alice, bob) = (house.join("A", None).await, house.join("B", None).await);
    let mut events = house.events(&bob).await;
    events.sync().await;
    house.to(&alice, &bob, "disconnect", Value::Null).await.result();
    assert_eq!(events.until("disconnect").await["reason"], "API initiated participant disconnect");
    assert!(events.rest().await.is_empty(), "the stream ends");
    house.get(&format!("{ROOM}/service_status"), Some(&bob.token)).await.refused(403);
}

#[tokio::test]
async fn mgmt_44_mgmt_45_mgmt_55_the_last_to_present_has_the_floor() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let (alice, bob) = (house.join("Alice", None).await, house.join("Bob", None).await);
    let mut events = house.events(&alice).await;
    events.sync().await;
    let share = json!({"call_type": "WEBRTC", "sdp": SIMPLE, "present": "send"});
    let (first, _) = house.call(&alice, share.clone()).await;
    let start = events.until("presentation_start").await;
    assert_eq!((&start["presenter_name"], &start["presenter_uuid"]), (&json!("Alice"), &json!(alice.uuid)));
    let (second, _) = house.call(&bob, share).await;
    assert_eq!(events.until("call_disconnected").await["call_uuid"], json!(first));
    assert_eq!(events.until("presentation_start").await["presenter_name"], "Bob");
    let told = house.told();
    let presenter =
        told.iter().rev().find_map(|c| if let Command::Conference(spec) = c { Some(spec.presenter) } else { None });
    assert!(presenter.unwrap().is_some());
    house.act(&bob, &format!("participants/{}/calls/{second}/disconnect", bob.uuid), Value::Null).await.result();
    assert_eq!(events.until("presentation_stop").await, Value::Null);
}

#[tokio::test]
async fn mgmt_58_a_camera_that_can_be_steered_is_told() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let (alice, bob) = (house.join("A", None).await, house.join("B", None).await);
    let pan = json!({"action": "start", "movement": [{"axis": "pan", "direction": "left"}], "timeout": 1000});
    assert!(house.to(&alice, &bob, "fecc", pan.clone()).await.refused(501).contains("camera"));
    let (call, _) = house.call(&bob, json!({"call_type": "WEBRTC", "sdp": OFFER, "fecc_supported": true})).await;
    let mut events = house.events(&bob).await;
    events.sync().await;
    assert_eq!(house.to(&alice, &bob, "fecc", pan.clone()).await.result(), &json!(true));
    assert_eq!(events.until("fecc").await, pan);
    let stop = json!({"action": "stop"});
    house.act(&alice, &format!("participants/{}/calls/{call}/fecc", bob.uuid), stop).await.result();
    assert_eq!(events.until("fecc").await, json!({"action": "stop", "movement": [], "timeout": 0}));
    for bad in [
        json!({}),
        json!({"action": "jump"}),
        json!({"action": "start", "movement": [{"axis": "pan", "direction": "up"}]}),
    ] {
        house.to(&alice, &bob, "fecc", bad).await.refused(400);
    }
    let list = house.get(&format!("{ROOM}/participants"), Some(&alice.token)).await;
    assert_eq!(
        (&list.result()[0]["fecc_supported"], &list.result()[1]["fecc_supported"]),
        (&json!("NO"), &json!("YES"))
    );
}

#[tokio::test]
async fn mgmt_24_mgmt_53_chat_reaches_everybody_and_can_be_off() {
    let house = House::open().await;
    let (alice, bob) = (house.join("Alice", None).await, house.join("Bob", None).await);
    let mut events = house.events(&bob).await;
    events.sync().await;
    let said = json!({"type": "text/plain", "payload": "hello 会"});
    assert_eq!(house.act(&alice, "message", said).await.result(), &json!(true));
    let heard = events.until("message").await;
    let expected =
        json!({"origin": "Alice", "type": "text/plain", "payload": "hello 会", "uuid": alice.uuid, "direct": false});
    assert_eq!(heard, expected);
    let silent = plenum::store::rows::SettingsRow { chat: false, ..house::open_room() };
    let house = House::with(silent, plenum::serve::Settings::default()).await;
    let alice = house.join("Alice", None).await;
    house.act(&alice, "message", json!({"payload": "x"})).await.refused(403);
}

#[tokio::test]
async fn mgmt_22_mgmt_51_muteguests_is_told_and_holds_for_later_guests() {
    let house = House::with_pins().await;
    let host = house.join("H", Some("1234")).await;
    house.act(&host, "start_service", Value::Null).await.result();
    let mut events = house.events(&host).await;
    events.sync().await;
    house.act(&host, "muteguests", Value::Null).await.result();
    let mut status = events.until("service_update").await;
    if status["guests_muted"] == false {
        status = events.until("service_update").await;
    }
    assert_eq!((&status["guests_muted"], &status["locked"]), (&json!(true), &json!(false)));
    house.join("G", Some("99")).await;
    assert_eq!(events.until("participant_create").await["is_muted"], "YES");
    house.act(&host, "unmuteguests", Value::Null).await.result();
    assert_eq!(events.until("participant_update").await["is_muted"], "NO");
}

#[tokio::test]
async fn a_leg_that_media_lost_is_told_to_its_owner_alone() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("A", None).await;
    let (call, _) = house.call(&alice, webrtc()).await;
    let leg = house
        .told()
        .into_iter()
        .find_map(|c| if let Command::Session(spec) = c { Some(spec.key) } else { None })
        .unwrap();
    let mut events = house.events(&alice).await;
    events.sync().await;
    house.media_says(EventBody::LegEnded { leg, reason: LegEnd::ConsentLost }).await;
    assert_eq!(events.until("call_disconnected").await, json!({"call_uuid": call, "reason": "Connection lost"}));
    house.media_says(EventBody::LegEnded { leg, reason: LegEnd::ConsentLost }).await;
    house.call(&alice, webrtc()).await;
}
