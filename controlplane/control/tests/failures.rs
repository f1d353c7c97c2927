//! Failure: either plane killed, the store failing, the program ending; and the operator's side.
#![allow(missing_docs)]

mod house;

use axum::body::Body;
use axum::http::StatusCode;
use house::{Answer, House, OFFER, PASSWORD, ROOM, ice_restart, request, session, webrtc};
use plenum::serve::{Limits, Settings};
use plenum_contract::event::EventBody;
use plenum_contract::snapshot::{LegState, Snapshot};
use plenum_contract::spec::Binding;
use plenum_contract::{Command, LegKey};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_restarted_media_plane_ends_calls_and_the_same_participants_call_again() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("Alice", None).await;
    let (call, first) = house.call(&alice, webrtc()).await;
    let mut events = house.events(&alice).await;
    events.sync().await;
    house.told();
    house.media.send(plenum::link::LinkEvent::Down).await.unwrap();
    house.settle().await;
    let path = format!("participants/{}/calls", alice.uuid);
    house.act(&alice, &path, webrtc()).await.refused(503);
    house.media_up(2, false).await;
    assert_eq!(events.until("call_disconnected").await, json!({"call_uuid": call, "reason": "media restarted"}));
    house.told();
    let (_, second) = house.call(&alice, webrtc()).await;
    let fingerprint = |sdp: &str| sdp.lines().find(|line| line.starts_with("a=fingerprint")).unwrap().to_owned();
    assert_ne!(fingerprint(&first), fingerprint(&second), "each boot has its own certificate");
    let told = house.told();
    assert!(matches!(&told[0], Command::Conference(_)), "the new media plane is told everything: {told:?}");
    assert_eq!(house.gauges.media_restarts.load(Ordering::Relaxed), 1);
}

/// What media refuses the client was promised: it is told, whether the session is new or a change of one that media has.
#[tokio::test]
async fn mgmt_55_a_session_that_media_refuses_ends_the_call_with_the_reason() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let alice = house.join("Alice", None).await;
    let mut events = house.events(&alice).await;
    for change in [false, true] {
        let (call, _) = house.call(&alice, webrtc()).await;
        if change {
            let path = format!("participants/{}/calls/{call}/update", alice.uuid);
            house.act(&alice, &path, json!({"sdp": OFFER})).await.result();
        }
        let leg = session(&house.told()).key;
        let refused = |leg, reason| plenum::link::LinkEvent::Refused { index: u64::MAX, reason, leg };
        house.media.send(refused(None, "leg 99 is unknown".into())).await.unwrap();
        house.media.send(refused(Some(LegKey(99)), "leg 99: nobody's".into())).await.unwrap();
        let why = format!("leg {}: this shard's limit of 2 sessions is reached", leg.0);
        house.media.send(refused(Some(leg), why)).await.unwrap();
        house.settle().await;
        let reason = "Call refused: this shard's limit of 2 sessions is reached";
        assert_eq!(events.until("call_disconnected").await, json!({"call_uuid": call, "reason": reason}));
        assert!(house.told().contains(&Command::RemoveSession(leg)), "media keeps nothing of it");
        house.act(&alice, &format!("participants/{}/calls/{call}/ack", alice.uuid), Value::Null).await.refused(404);
    }
}

/// The `update` of a call (architecture.md section 1).
#[tokio::test]
async fn after_a_media_restart_an_update_with_an_ice_restart_opens_the_same_call_with_its_known_sources() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let (alice, bob) = (house.join("Alice", None).await, house.join("Bob", None).await);
    let (call, first) = house.call(&alice, webrtc()).await;
    let before = session(&house.told());
    let bound = Binding { ssrc: 77, media: 1, encoding: 0, rtx: false };
    house.media_says(EventBody::Bound { leg: before.key, binding: bound.clone() }).await;
    house.media_up(2, false).await;
    house.told();
    let update = |who: &house::Person| format!("participants/{}/calls/{call}/update", who.uuid);
    // The same credentials cannot find the new media plane; somebody else's call is nobody's.
    house.act(&alice, &update(&alice), json!({"sdp": OFFER})).await.refused(400);
    house.act(&bob, &update(&bob), ice_restart()).await.refused(404);
    assert!(house.told().is_empty());
    let answer = house.act(&alice, &update(&alice), ice_restart()).await;
    let result = answer.result();
    assert_eq!(result["call_uuid"], json!(call));
    let fingerprint = |sdp: &str| sdp.lines().find(|line| line.starts_with("a=fingerprint")).unwrap().to_owned();
    assert_ne!(fingerprint(result["sdp"].as_str().unwrap()), fingerprint(&first), "the new boot's certificate");
    let told = house.told();
    let mut after = session(&told);
    for (media, former) in after.media.iter_mut().zip(&before.media) {
        let ssrc = |media: &plenum_contract::spec::MediaSpec| media.slot.as_ref().map(|slot| slot.ssrc);
        assert!(media.slot.is_none() || ssrc(media) != ssrc(former), "a slot is another stream now");
        media.slot.clone_from(&former.slot);
    }
    assert_eq!((after.key, &after.media, &after.bindings[..]), (before.key, &before.media, &[bound][..]));
    assert_ne!(after.ice.local_pwd, before.ice.local_pwd);
    let at = |wanted: fn(&Command) -> bool| told.iter().position(wanted).expect("told");
    let (opened, started) = (at(|c| matches!(c, Command::Session(_))), at(|c| matches!(c, Command::Start(_))));
    assert!(opened < started, "it was started before, so it starts at once, after its session");
    // From here on it is a call like any other.
    house.act(&alice, &update(&alice), json!({"sdp": OFFER})).await.result();
    house.act(&alice, &format!("participants/{}/calls/{call}/disconnect", alice.uuid), Value::Null).await.result();
    house.pass(1).await;
    house.act(&alice, &update(&alice), ice_restart()).await.refused(404);
}

#[tokio::test]
async fn a_lost_call_comes_back_only_while_its_place_is_free_and_its_time_lasts() {
    let mut house = House::open().await;
    house.media_up(1, false).await;
    let (alice, bob) = (house.join("Alice", None).await, house.join("Bob", None).await);
    let (replaced, _) = house.call(&alice, webrtc()).await;
    let (late, _) = house.call(&bob, webrtc()).await;
    house.media_up(2, false).await;
    house.call(&alice, webrtc()).await;
    let update = |who: &house::Person, call: &str| format!("participants/{}/calls/{call}/update", who.uuid);
    house.act(&alice, &update(&alice, &replaced), ice_restart()).await.refused(404);
    house.pass(100).await;
    house.act(&bob, "refresh_session", Value::Null).await.result();
    let token = house.act(&bob, "refresh_session", Value::Null).await.result()["token"].as_str().unwrap().to_owned();
    house.pass(21).await;
    let bob = house::Person { token, ..bob };
    house.act(&bob, &update(&bob, &late), ice_restart()).await.refused(404);
}

#[tokio::test]
async fn a_restarted_control_plane_goes_on_with_the_same_people_tokens_and_calls() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let mut house = House::on(&file).await;
    house.media_up(1, false).await;
    let host = house.join("Host", Some("1234")).await;
    let (call, _) = house.call(&host, webrtc()).await;
    let spec = session(&house.told());
    let guest = house.join("Guest", Some("99")).await;
    assert_eq!(guest.state, "conference");
    let refreshed =
        house.act(&guest, "refresh_session", Value::Null).await.result()["token"].as_str().unwrap().to_owned();
    house.act(&host, "lock", Value::Null).await.result();
    house.pass(100).await;
    house.driving.abort();
    let _ = house.driving.await;

    let mut house = House::on(&file).await;
    let leg = |key: LegKey, revision| LegState {
        key,
        revision,
        participant: spec.participant,
        connected: true,
        started: true,
        bindings: Vec::new(),
    };
    let snapshot = Snapshot { legs: vec![leg(spec.key, 1), leg(LegKey(4711), 1)], last: true, ..Snapshot::default() };
    house.media_up_with(1, true, snapshot).await;
    let told = house.told();
    assert!(told.contains(&Command::RemoveSession(LegKey(4711))), "a leg that nobody knows is removed");
    let again = session(&told);
    assert_eq!((again.key, again.revision, &again.ice), (spec.key, 2, &spec.ice));
    assert!(told.contains(&Command::Start(spec.key)));
    // Fresh 120 s for the tokens, all of them; the state is as it was.
    house.pass(110).await;
    for token in [&host.token, &guest.token, &refreshed] {
        let status = house.get(&format!("{ROOM}/service_status"), Some(token)).await;
        assert_eq!((&status.result()["locked"], &status.result()["started"]), (&json!(true), &json!(true)));
    }
    let mut events = house.events(&host).await;
    assert_eq!(events.sync().await, ["Host", "Guest"]);
    house.act(&host, &format!("participants/{}/calls/{call}/ack", host.uuid), Value::Null).await.result();
    // An id that is none of this meeting's gets a full sync (keeping.rs: others continue).
    assert_eq!(house.events_since(&guest, Some("1234abcd-3")).await.sync().await, ["Host", "Guest"]);
}

#[tokio::test]
async fn a_media_plane_that_died_meanwhile_ends_the_calls_when_control_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let mut house = House::on(&file).await;
    house.media_up(1, false).await;
    let host = house.join("Host", Some("1234")).await;
    let (call, _) = house.call(&host, webrtc()).await;
    house.driving.abort();
    let _ = house.driving.await;
    let mut house = House::on(&file).await;
    let mut events = house.events(&host).await;
    events.sync().await;
    house.media_up(2, false).await;
    assert_eq!(events.until("call_disconnected").await["call_uuid"], json!(call));
    house.call(&host, webrtc()).await;
}

async fn break_store(file: &Path, sql: &'static str) {
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_failed_store_answers_503_loses_nobody_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let mut house = House::on(&file).await;
    house.media_up(1, false).await;
    let host = house.join("Host", Some("1234")).await;
    let (call, _) = house.call(&host, webrtc()).await;
    house.told();
    let mut events = house.events(&host).await;
    events.sync().await;
    break_store(
        &file,
        "ALTER TABLE conferences RENAME TO c2; ALTER TABLE tokens RENAME TO t2; ALTER TABLE participants RENAME TO p2;
         ALTER TABLE log RENAME TO l2; ALTER TABLE legs RENAME TO g2",
    )
    .await;

    house.act(&host, "lock", Value::Null).await.refused(503);
    house.try_join("Late", Some("99")).await.refused(503);
    house.act(&host, &format!("participants/{}/calls", host.uuid), webrtc()).await.refused(503);
    assert!(house.told().is_empty(), "media hears nothing of what was not kept");
    let status = house.get(&format!("{ROOM}/service_status"), Some(&host.token)).await;
    assert_eq!(status.result()["locked"], false, "what was answered 503 was not done");
    assert_eq!(
        house.get(&format!("{ROOM}/participants"), Some(&host.token)).await.result().as_array().unwrap().len(),
        1
    );
    house.act(&host, "message", json!({"payload": "not kept"})).await.refused(503);
    let size = json!({"slots": [{"mid": "1", "width": 320, "height": 180}]});
    house.act(&host, &format!("participants/{}/calls/{call}/wishes", host.uuid), size).await.result();
    assert_eq!(house.get("/health", None).await.json["store"], "down");
    // Nobody is thrown out: the presented token itself is prolonged.
    house.pass(100).await;
    let refreshed = house.act(&host, "refresh_session", Value::Null).await;
    assert_eq!(refreshed.result()["token"], json!(host.token));
    house.pass(100).await;
    house.get(&format!("{ROOM}/service_status"), Some(&host.token)).await.result();

    break_store(
        &file,
        "ALTER TABLE c2 RENAME TO conferences; ALTER TABLE t2 RENAME TO tokens; ALTER TABLE p2 RENAME TO participants;
         ALTER TABLE l2 RENAME TO log; ALTER TABLE g2 RENAME TO legs",
    )
    .await;
    house.act(&host, "lock", Value::Null).await.result();
    assert_eq!(house.get("/health", None).await.json["store"], "up");
    while events.until("service_update").await["locked"] == false {}
}

#[tokio::test]
async fn at_the_end_of_the_program_clients_are_told() {
    let limits = Limits { joins_per_address: 100, ..Limits::default() };
    let house = House::with(house::open_room(), Settings { limits, ..Settings::default() }).await;
    let alice = house.join("A", None).await;
    for _ in 0..600 {
        house.join("B", None).await;
    }
    let mut events = house.events(&alice).await;
    assert_eq!(events.sync().await.len(), 601);
    house.handle.end().await;
    assert_eq!(events.until("disconnect").await["reason"], "The server is shutting down");
    assert!(events.next().await.is_none());
    house.act(&alice, "lock", Value::Null).await.refused(503);
}

#[tokio::test]
async fn health_tells_what_is_missing_and_metrics_are_prometheus() {
    let mut house = House::open().await;
    let sick = house.get("/health", None).await;
    assert_eq!((sick.status, &sick.json["media"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("down")));
    house.media_up(1, false).await;
    let well = house.get("/health", None).await;
    assert_eq!((well.status, &well.json["status"]), (StatusCode::OK, &json!("up")));
    house.join("A", None).await;
    let shard = plenum_contract::event::ShardMetrics {
        rx_packets: 7,
        drops: [("replayed".to_owned(), 3)].into(),
        residence: vec![(1000, 2), (u64::MAX, 0)],
        ..Default::default()
    };
    let metrics = plenum_contract::event::Metrics { shards: vec![shard], bandwidth: [(9, 1_000_000)].into() };
    house.media.send(plenum::link::LinkEvent::Metrics(metrics)).await.unwrap();
    house.settle().await;
    let text = house.get("/metrics", None).await.text;
    for line in [
        "plenum_participants 1",
        "plenum_joins_total 1",
        "plenum_media_up 1",
        "plenum_shard_received_packets_total{shard=\"0\"} 7",
        "plenum_shard_drops_total{shard=\"0\",reason=\"replayed\"} 3",
        "plenum_residence_seconds_count{shard=\"0\"} 2",
        "plenum_leg_bandwidth_bits{leg=\"9\"} 1000000",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
}

async fn operate(house: &House, method: &str, path: &str, password: Option<&str>, body: Value) -> Answer {
    let mut request = request(method, &format!("/api/plenum/v1/{path}"), None);
    if let Some(password) = password {
        request = request.header("authorization", house::basic("operator", password));
    }
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    house.send(request.body(body).unwrap()).await
}

#[tokio::test]
async fn an_operator_makes_changes_and_deletes_conferences() {
    let house = House::open().await;
    let ok = Some(PASSWORD);
    let denied = operate(&house, "GET", "conferences", None, Value::Null).await;
    assert_eq!(denied.status, StatusCode::UNAUTHORIZED);
    assert!(denied.headers.contains_key("www-authenticate"));
    assert_eq!(
        operate(&house, "GET", "conferences", Some("wrong"), Value::Null).await.status,
        StatusCode::UNAUTHORIZED
    );
    let made = operate(&house, "POST", "conferences", ok, json!({"aliases": ["2000"], "host_pin": "77"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json["aliases"], json!(["2000", "2000@plenum.local"]));
    let id = made.json["id"].as_str().unwrap().to_owned();
    assert_eq!(made.headers["location"], format!("/api/plenum/v1/conferences/{id}"));
    operate(&house, "POST", "conferences", ok, json!({"aliases": ["1061"]})).await.problem(409);
    operate(&house, "POST", "conferences", ok, json!({"aliases": ["x y"]})).await.problem(400);
    operate(&house, "POST", "conferences", ok, json!({"aliases": ["3000"], "colour": "blue"})).await.problem(400);
    let changed = operate(&house, "PATCH", "conferences/2000", ok, json!({"name": "Zweitausend"})).await;
    assert_eq!((&changed.json["name"], &changed.json["host_pin"]), (&json!("Zweitausend"), &json!("77")));
    assert_eq!(operate(&house, "GET", &format!("conferences/{id}"), ok, Value::Null).await.json["name"], "Zweitausend");
    let list = operate(&house, "GET", "conferences", ok, Value::Null).await;
    assert_eq!(list.json["conferences"].as_array().unwrap().len(), 2);
    // Whoever is inside is told when it goes.
    let alice = house.join("A", None).await;
    let mut events = house.events(&alice).await;
    assert_eq!(operate(&house, "DELETE", "conferences/1061", ok, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(events.until("disconnect").await["reason"], "Conference deleted");
    house.try_join("A", None).await.refused(404);
    assert_eq!(operate(&house, "GET", "status", ok, Value::Null).await.json["conferences"], 1);
}
