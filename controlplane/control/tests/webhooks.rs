//! Webhooks: everything arrives, in order, signed, whatever fails meanwhile; bounded; and only where they may go.
#![allow(missing_docs)]

mod house;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use house::{House, ROOM, login};
use plenum::hooks::{SIGNATURE, sign};
use plenum::serve::Settings;
use plenum_contract::{ConferenceKey, EventBody};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// A receiver whose answer the test chooses; it tells what it was sent.
struct Receiver {
    url: String,
    answer: Arc<AtomicU16>,
    sent: mpsc::UnboundedReceiver<(u16, HeaderMap, Bytes)>,
}

type Shared = (Arc<AtomicU16>, mpsc::UnboundedSender<(u16, HeaderMap, Bytes)>);

async fn take(State((answer, sent)): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let status = answer.load(Ordering::Relaxed);
    let _ = sent.send((status, headers, body));
    StatusCode::from_u16(status).unwrap()
}

impl Receiver {
    async fn start(status: u16) -> Receiver {
        let answer = Arc::new(AtomicU16::new(status));
        let (tell, sent) = mpsc::unbounded_channel();
        let router = Router::new().route("/in", post(take)).with_state((answer.clone(), tell));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Receiver { url, answer, sent }
    }

    async fn next(&mut self) -> (u16, HeaderMap, Bytes) {
        tokio::time::timeout(Duration::from_secs(60), self.sent.recv()).await.expect("a delivery within 60 s").unwrap()
    }

    /// Events of deliveries that it took, until the last is of this kind; every signature is checked.
    async fn until(&mut self, secret: &str, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let (status, headers, body) = self.next().await;
            let signature = headers[SIGNATURE].to_str().unwrap();
            let time = signature.strip_prefix("t=").unwrap().split(',').next().unwrap();
            assert_eq!(signature, sign(secret, time.parse().unwrap(), &body), "the signature is ours");
            if status != 200 {
                continue;
            }
            let delivery: Value = serde_json::from_slice(&body).unwrap();
            events.extend(delivery["events"].as_array().unwrap().iter().cloned());
            if events.last().is_some_and(|event| event["kind"] == kind) {
                return events;
            }
        }
    }
}

fn settings() -> Settings {
    Settings { webhook_private: true, ..Settings::default() }
}

async fn hook(house: &House, body: Value) -> (String, String) {
    let made = house.operate(&login("admin"), "POST", "webhooks", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let text = |name: &str| made.json[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_happens_is_told_in_order_and_signed_and_only_what_was_asked_for() {
    let mut receiver = Receiver::start(200).await;
    let house = House::with(house::open_room(), settings()).await;
    let (id, secret) = hook(&house, json!({"url": receiver.url, "conferences": ["1061"]})).await;
    house.operate(&login("operator"), "POST", "conferences", json!({"number": "2000"})).await;
    let other = house.post("/api/services/2000/new_session", None, json!({"display_name": "Elsewhere"})).await;
    house::person(&other);
    let ada = house.join("Ada", None).await;
    house.act(&ada, "lock", Value::Null).await.result();
    house.act(&ada, "message", json!({"payload": "not told"})).await.result();
    let bob = house.join("Bob", None).await;
    house.act(&bob, "end_session", Value::Null).await.result();
    house.act(&ada, "disconnect", Value::Null).await.result();
    let events = receiver.until(&secret, "meeting_ended").await;
    let told = kinds(&events);
    assert_eq!(told[..2], ["meeting", "participant_joined"], "{told:?}");
    assert!(told.contains(&"status") && told.contains(&"participant_left") && !told.contains(&"message"), "{told:?}");
    assert!(events.iter().all(|event| event["conference"]["alias"] == "1061"), "{events:?}");
    let joined = events.iter().find(|event| event["kind"] == "participant_joined").unwrap();
    assert_eq!((&joined["data"]["display_name"], &joined["data"]["id"]), (&json!("Ada"), &json!(ada.uuid)));
    let ids: Vec<u64> = events.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let shown = house.operate(&login("admin"), "GET", &format!("webhooks/{id}"), Value::Null).await;
    assert!(shown.json["delivered"].as_u64().unwrap() >= 1 && !shown.text.contains(&secret), "{}", shown.text);
    let metrics = house.get("/metrics", None).await.text;
    assert!(metrics.contains(&format!("plenum_webhook_deliveries_total{{hook=\"{id}\"}}")), "{metrics}");
    let gone = house.operate(&login("admin"), "DELETE", &format!("webhooks/{id}"), Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn operators_are_told_what_the_mixer_leaves_out_of_a_conference_each_time_that_changes() {
    let mut receiver = Receiver::start(200).await;
    let house = House::with(house::open_room(), settings()).await;
    let (_, secret) = hook(&house, json!({"url": receiver.url, "kinds": ["meeting", "meeting_ended"]})).await;
    let ada = house.join("Ada", None).await;
    for level in [1, 1, 2, 0, 0] {
        house.media_says(EventBody::MixShed { conference: ConferenceKey(1), level }).await;
    }
    house.media_says(EventBody::MixShed { conference: ConferenceKey(99), level: 1 }).await;
    house.act(&ada, "disconnect", Value::Null).await.result();
    let events = receiver.until(&secret, "meeting_ended").await;
    let shed: Vec<_> = events.iter().filter_map(|event| event["data"]["mix_shed"].as_u64()).collect();
    assert_eq!(shed, [0, 1, 2, 0]);
}

#[tokio::test]
async fn a_receiver_that_fails_gets_everything_in_order_also_when_control_is_killed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plenum.db");
    let mut receiver = Receiver::start(500).await;
    let house = House::on_with(&file, settings()).await;
    let (id, secret) = hook(&house, json!({"url": receiver.url})).await;
    let host = house.join("Host", Some("1234")).await;
    for n in 0..150 {
        house.act(&host, if n % 2 == 0 { "lock" } else { "unlock" }, Value::Null).await.result();
    }
    assert_eq!(receiver.next().await.0, 500);
    assert_eq!(receiver.next().await.0, 500, "it is tried again");
    let state = house.operate(&login("admin"), "GET", &format!("webhooks/{id}"), Value::Null).await;
    assert_eq!(state.json["error"], "the receiver answered 500 Internal Server Error");
    // Killed: nothing in the process is told.
    house.driving.abort();
    let _ = house.driving.await;

    let house = House::on_with(&file, settings()).await;
    let state = house.act(&host, "muteguests", Value::Null).await;
    state.result();
    receiver.answer.store(200, Ordering::Relaxed);
    house.act(&host, "disconnect", Value::Null).await.result();
    let events = receiver.until(&secret, "meeting_ended").await;
    let locked: Vec<bool> = events
        .iter()
        .filter(|event| event["kind"] == "status")
        .map(|event| event["data"]["locked"].as_bool().unwrap())
        .collect();
    let expected: Vec<bool> = (0..150).map(|n| n % 2 == 0).chain([false]).collect();
    assert_eq!(locked, expected, "all of it, in order");
    let ids: BTreeSet<u64> = events.iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "what was taken does not come again");
}

#[tokio::test]
async fn at_the_bound_of_the_spool_the_oldest_give_way_and_the_receiver_is_told_how_many() {
    let mut receiver = Receiver::start(500).await;
    let house = House::with(house::open_room(), Settings { webhook_spool: 100, ..settings() }).await;
    let (id, _) = hook(&house, json!({"url": receiver.url, "kinds": ["status"]})).await;
    let ada = house.join("Ada", None).await;
    for n in 0..514 {
        house.act(&ada, if n % 2 == 0 { "lock" } else { "unlock" }, Value::Null).await.result();
    }
    let state = house.operate(&login("admin"), "GET", &format!("webhooks/{id}"), Value::Null).await;
    let lost = state.json["lost"].as_u64().unwrap();
    assert!(lost > 300, "{}", state.text);
    receiver.answer.store(200, Ordering::Relaxed);
    let delivery = loop {
        let (status, _, body) = receiver.next().await;
        if status == 200 {
            break serde_json::from_slice::<Value>(&body).unwrap();
        }
    };
    assert_eq!(delivery["lost"], lost);
}

#[tokio::test]
async fn a_webhook_goes_only_where_the_setting_lets_it_and_says_what_it_can() {
    let house = House::open().await;
    let add = async |body| house.operate(&login("admin"), "POST", "webhooks", body).await;
    for url in ["http://example.org/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "nonsense"] {
        assert_eq!(add(json!({"url": url})).await.problem(400).1.as_deref(), Some("url"), "{url}");
    }
    let unknown = add(json!({"url": "https://example.org/", "kinds": ["weather"]})).await;
    assert_eq!(unknown.problem(400).1.as_deref(), Some("kinds[0]"));
    assert_eq!(add(json!({"url": "https://example.org/", "kinds": []})).await.problem(400).1.as_deref(), Some("kinds"));
    let many = vec!["1"; 101];
    let named = add(json!({"url": "https://example.org/", "conferences": many})).await;
    assert_eq!(named.problem(400).1.as_deref(), Some("conferences"));
    assert_eq!(house.get(&format!("{ROOM}/service_status"), None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_webhook_is_changed_in_part_and_another_secret_signs_from_then_on() {
    let mut receiver = Receiver::start(200).await;
    let house = House::with(house::open_room(), settings()).await;
    let (id, old) = hook(&house, json!({"url": receiver.url, "kinds": ["message"]})).await;
    let patch = async |body| house.operate(&login("admin"), "PATCH", &format!("webhooks/{id}"), body).await;
    let changed = patch(json!({"kinds": ["status", "meeting_ended"], "new_secret": true})).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    let secret = changed.json["secret"].as_str().unwrap().to_owned();
    assert_ne!(secret, old);
    let same = patch(json!({})).await;
    assert_eq!((&same.json["url"], same.json.get("secret")), (&json!(receiver.url), None), "told once");
    assert_eq!(same.json["kinds"], json!(["status", "meeting_ended"]));
    assert_eq!(patch(json!({"url": "nonsense"})).await.problem(400).1.as_deref(), Some("url"));
    assert_eq!(patch(json!({"kinds": []})).await.problem(400).1.as_deref(), Some("kinds"));
    assert_eq!(patch(json!({"colour": "blue"})).await.problem(400).1.as_deref(), Some("colour"));
    house.operate(&login("admin"), "PATCH", "webhooks/none", json!({})).await.problem(404);
    let audit = house.operate(&login("admin"), "GET", "audit?limit=10", Value::Null).await;
    assert!(audit.text.contains("another secret") && !audit.text.contains(&secret), "{}", audit.text);
    let ada = house.join("Ada", None).await;
    house.act(&ada, "lock", Value::Null).await.result();
    house.act(&ada, "disconnect", Value::Null).await.result();
    let events = receiver.until(&secret, "meeting_ended").await;
    assert!(kinds(&events).contains(&"status"), "{events:?}");
}
