//! Transfer (MGMT-38): a live participant goes to another conference with their token, their call and their event stream.
#![allow(missing_docs)]

mod house;

use house::{House, Person, ROOM, SIMPLE, session, webrtc};
use plenum_contract::event::EventBody;
use plenum_contract::{Command, SessionSpec};
use serde_json::{Value, json};

async fn make(house: &House, settings: Value) {
    let request =
        house::request("POST", "/api/plenum/v1/conferences", None).header("authorization", house::login("operator"));
    let answer = house.send(request.body(axum::body::Body::from(settings.to_string())).unwrap()).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
}

/// Conference 1061 with a host and a guest who has a call, and conference 2000 with somebody in it.
async fn two_rooms(pins: Value) -> (House, Person, Person, SessionSpec, Person) {
    let mut house = House::with_pins().await;
    house.media_up(1, false).await;
    let mut settings = json!({"aliases": ["2000"], "name": "Two thousand"});
    settings.as_object_mut().unwrap().extend(pins.as_object().unwrap().clone());
    make(&house, settings).await;
    let host = house.join("H", Some("1234")).await;
    house.act(&host, "start_service", Value::Null).await.result();
    let guest = house.join("G", Some("99")).await;
    house.call(&guest, webrtc()).await;
    let spec = session(&house.told());
    let mut request = house::request("POST", "/api/services/2000/new_session", None);
    if let Some(pin) = pins["host_pin"].as_str() {
        request = request.header("pin", pin);
    }
    let body = axum::body::Body::from(r#"{"display_name":"Resident"}"#);
    let resident = house::person(&house.send(request.body(body).unwrap()).await);
    (house, host, guest, spec, resident)
}

#[tokio::test]
async fn mgmt_38_a_transfer_moves_a_live_call_without_a_new_offer() {
    let (mut house, host, guest, spec, resident) = two_rooms(json!({})).await;
    let mut events = house.events(&guest).await;
    let mut left = house.events(&host).await;
    let mut there = house.events_at(&format!("/api/services/2000/events?token={}", resident.token), None).await;
    for stream in [&mut events, &mut left, &mut there] {
        stream.sync().await;
    }
    let body = json!({"role": "guest", "conference_alias": "2000", "pin": ""});
    assert_eq!(house.to(&host, &guest, "transfer", body).await.result(), &json!(true));
    let told = house.told();
    let [Command::Conference(room), Command::Participant(moved)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((moved.key, moved.conference, moved.waiting), (spec.participant, room.key, false));
    assert_eq!(room.home_shard, spec.shard);
    assert_eq!(left.until("participant_delete").await["uuid"], json!(guest.uuid));
    assert_eq!(there.until("participant_create").await["uuid"], json!(guest.uuid));
    let told = events.until("transfer").await;
    assert_eq!(told, json!({"conference_alias": "2000", "conference_name": "Two thousand", "role": "GUEST"}));
    assert_eq!(events.sync().await, ["G", "Resident"], "the same stream goes on in the other room");
    // The client goes on with the address and the token that it has.
    let list = house.get(&format!("{ROOM}/participants"), Some(&guest.token)).await;
    assert_eq!(list.result().as_array().unwrap().len(), 2);
    let refreshed = house.act(&guest, "refresh_session", Value::Null).await;
    let token = refreshed.result()["token"].as_str().unwrap().to_owned();
    for alias in ["1061", "2000", "1061%40plenum.local"] {
        house.get(&format!("/api/services/{alias}/service_status"), Some(&token)).await.result();
    }
    // Both hear each other's words, and what media says of the leg is told.
    house.post(&format!("{ROOM}/message"), Some(&token), json!({"payload": "hello"})).await.result();
    assert_eq!(there.until("message").await["uuid"], json!(guest.uuid));
    house.media_says(EventBody::Seats { leg: spec.key, seats: vec![None], presentation: None, layout: None }).await;
    assert_eq!(events.until("layout").await["slots"], json!([null]));
    // A stream that broke meanwhile comes back by the old address too.
    let last = events.last_id.clone();
    let mut again = house.events_at(&format!("{ROOM}/events?token={token}"), last.as_deref()).await;
    house.post("/api/services/2000/message", Some(&resident.token), json!({"payload": "back"})).await.result();
    assert_eq!(again.until("message").await["payload"], "back");
    house.get(&format!("{ROOM}/participants"), Some(&resident.token)).await.refused(403);
}

#[tokio::test]
async fn mgmt_38_the_pin_is_that_of_the_role_there_and_a_guest_may_have_to_wait() {
    let pins = json!({"host_pin": "77", "guest_pin": "88"});
    let (mut house, host, guest, _, resident) = two_rooms(pins).await;
    let to = |pin: &str, role: &str| json!({"role": role, "conference_alias": "2000", "pin": pin});
    for (pin, role) in [("", "guest"), ("1234", "host"), ("88", "chair")] {
        assert!(house.to(&host, &guest, "transfer", to(pin, role)).await.refused(403).contains("PIN"));
    }
    house.to(&host, &guest, "transfer", json!({"role": "guest"})).await.refused(400);
    house.to(&host, &guest, "transfer", json!({"conference_alias": "404"})).await.refused(404);
    house.to(&guest, &guest, "transfer", to("88", "guest")).await.refused(403);
    assert!(house.told().is_empty());
    house.to(&host, &guest, "transfer", to("88", "guest")).await.result();
    assert!(house.told().iter().any(|c| matches!(c, Command::Participant(spec) if spec.waiting)));
    let admit = format!("/api/services/2000/participants/{}/unlock", guest.uuid);
    house.post(&admit, Some(&resident.token), Value::Null).await.result();
    assert!(house.told().iter().any(|c| matches!(c, Command::Participant(spec) if !spec.waiting)));
    house.to(&host, &host, "transfer", to("77", "host")).await.result();
    house.act(&host, "lock", Value::Null).await.result();
    assert_eq!(house.get("/api/services/2000/service_status", Some(&resident.token)).await.result()["locked"], true);
}

#[tokio::test]
async fn mgmt_38_a_call_of_another_shard_ends_with_a_reason_and_is_set_up_again() {
    let (mut house, host, guest, spec, resident) = two_rooms(json!({})).await;
    house.media_up_sharded(2, 2).await;
    // Everybody calls again on the new media plane, and each room gets a shard of its own.
    house.call(&guest, webrtc()).await;
    let first = session(&house.told());
    let there = format!("/api/services/2000/participants/{}/calls", resident.uuid);
    house.post(&there, Some(&resident.token), json!({"call_type": "WEBRTC", "sdp": SIMPLE})).await.result();
    let second = session(&house.told());
    assert_ne!((first.key, first.shard), (spec.key, second.shard));
    let mut events = house.events(&guest).await;
    events.sync().await;
    house.to(&host, &guest, "transfer", json!({"conference_alias": "2000"})).await.result();
    assert_eq!(events.until("call_disconnected").await["reason"], "Transferred to another conference");
    events.until("transfer").await;
    assert!(house.told().contains(&Command::RemoveSession(first.key)));
    house.call(&guest, webrtc()).await;
    assert_eq!(session(&house.told()).shard, second.shard);
}

#[tokio::test]
async fn mgmt_38_a_transfer_is_kept_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let mut house = House::on(&file).await;
    house.media_up(1, false).await;
    make(&house, json!({"aliases": ["2000"]})).await;
    let host = house.join("H", Some("1234")).await;
    let other = house.join("O", Some("1234")).await;
    house.call(&other, webrtc()).await;
    for (from, to) in [("1061", "2000"), ("2000", "1061"), ("1061", "2000")] {
        let pin = if to == "1061" { "1234" } else { "" };
        let path = format!("/api/services/{from}/participants/{}/transfer", other.uuid);
        let by = if from == "1061" { &host } else { &other };
        house.post(&path, Some(&by.token), json!({"conference_alias": to, "pin": pin})).await.result();
    }
    house.driving.abort();
    let _ = house.driving.await;
    let house = House::on(&file).await;
    assert_eq!(house.events(&other).await.sync().await, ["O"]);
    assert_eq!(house.events(&host).await.sync().await, ["H"]);
    house.act(&other, "lock", Value::Null).await.result();
    assert_eq!(house.get("/api/services/2000/service_status", Some(&other.token)).await.result()["locked"], true);
}

#[tokio::test]
async fn mgmt_38_on_the_pexip_paths_the_roster_is_synced_anew() {
    let (house, host, guest, _, _) = two_rooms(json!({})).await;
    let base = "/api/client/v2/conferences/1061";
    let mut events = house.events_at(&format!("{base}/events?token={}", guest.token), None).await;
    events.sync().await;
    let body = json!({"role": "host", "conference_alias": "2000"});
    let path = format!("{base}/participants/{}/transfer", guest.uuid);
    assert_eq!(house.post(&path, Some(&host.token), body).await.result(), &json!(true));
    loop {
        let (name, _) = events.next().await.unwrap();
        assert_ne!(name, "transfer", "no event that Pexip's clients do not know");
        if name == "participant_sync_end" {
            break;
        }
    }
    let me = house.get(&format!("{base}/participants/{}", guest.uuid), Some(&guest.token)).await;
    assert_eq!(me.result()["role"], "chair");
}
