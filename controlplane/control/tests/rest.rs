//! The REST API: lists in parts, settings, who is there, what operators do, and events as they happen.
#![allow(missing_docs)]

mod house;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::StreamExt;
use house::{House, ROOM, login, request};
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn a_list_comes_in_parts_and_filtered() {
    let house = House::open().await;
    let operator = login("operator");
    for n in 2000..2010 {
        let body = json!({"number": n.to_string(), "name": format!("Room {n}")});
        assert_eq!(house.operate(&operator, "POST", "conferences", body).await.status, StatusCode::CREATED);
    }
    let list = async |query: &str| house.operate(&operator, "GET", &format!("conferences{query}"), Value::Null).await;
    let all = list("").await;
    assert_eq!((all.json["conferences"].as_array().unwrap().len(), &all.json["total"]), (11, &json!(11)));
    let part = list("?offset=9&limit=5").await;
    assert_eq!(part.json["conferences"].as_array().unwrap().len(), 2);
    let found = list("?filter=rOOm%202003").await;
    assert_eq!(
        (&found.json["total"], &found.json["conferences"][0]["aliases"][1]),
        (&json!(1), &json!("2003@plenum.local"))
    );
    assert_eq!(list("?limit=0").await.problem(400).1.as_deref(), Some("limit"));
    assert_eq!(list("?limit=x").await.problem(400).1.as_deref(), Some("limit"));
    assert_eq!(list("?colour=blue").await.problem(400).1.as_deref(), Some("colour"));
}

#[tokio::test]
async fn settings_are_checked_by_field_changed_in_part_or_whole_and_pins_are_not_for_viewers() {
    let house = House::open().await;
    let operator = login("operator");
    let post = async |body| house.operate(&operator, "POST", "conferences", body).await;
    let field = |field: &str| Some(field.to_owned());
    assert_eq!(post(json!({})).await.problem(400).1, field("aliases"));
    assert_eq!(post(json!({"number": 5})).await.problem(400).1, field("number"));
    assert_eq!(post(json!({"number": "5", "layout": "9:9"})).await.problem(400).1, field("layout"));
    assert_eq!(post(json!({"number": "5", "host_pin": "x y"})).await.problem(400).1, field("host_pin"));
    assert_eq!(post(json!({"number": "1061"})).await.problem(409).1, field("aliases"));
    let made = post(json!({"number": "5", "host_pin": "77", "kind": {"scheduled": {"begins": 1, "ends": 9}}})).await;
    assert_eq!(
        (&made.json["name"], &made.json["kind"]["scheduled"]["ends"]),
        (&json!("5"), &json!(9)),
        "{}",
        made.text
    );
    let seen = house.operate(&login("viewer"), "GET", "conferences/5", Value::Null).await;
    assert_eq!((seen.json.get("host_pin"), &seen.json["host_pin_set"]), (None, &json!(true)));
    let change = async |method, body| house.operate(&operator, method, "conferences/5", body).await;
    let changed = change("PATCH", json!({"mute_on_join": true})).await;
    assert_eq!((&changed.json["host_pin"], &changed.json["mute_on_join"]), (&json!("77"), &json!(true)));
    let open = change("PATCH", json!({"host_pin": null})).await;
    assert_eq!((&open.json["host_pin_set"], &open.json["mute_on_join"]), (&json!(false), &json!(true)));
    let whole = change("PUT", json!({"aliases": ["5"]})).await;
    assert_eq!((&whole.json["mute_on_join"], &whole.json["kind"]), (&json!(false), &json!("permanent")));
}

#[tokio::test]
async fn operators_see_and_steer_who_is_there_and_follow_what_happens() {
    let house = House::with_pins().await;
    let host = house.join("Host", Some("1234")).await;
    let guest = house.join("Guest", Some("99")).await;
    let operator = login("operator");
    let asked = request("GET", "/api/plenum/v1/conferences/1061/events", None).header("authorization", login("viewer"));
    let stream = house.router.clone().oneshot(asked.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let list = house.operate(&login("viewer"), "GET", "conferences/1061/participants", Value::Null).await;
    let names: Vec<_> = list.json["participants"].as_array().unwrap().iter().map(|p| &p["display_name"]).collect();
    assert_eq!(names, ["Host", "Guest"]);
    let act =
        async |path: &str, body| house.operate(&operator, "POST", &format!("conferences/1061/{path}"), body).await;
    assert_eq!(act("actions", json!({"action": "lock"})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.get(&format!("{ROOM}/service_status"), Some(&host.token)).await.result()["locked"], true);
    let to_guest = format!("participants/{}/actions", guest.uuid);
    assert_eq!(act(&to_guest, json!({"action": "mute"})).await.status, StatusCode::NO_CONTENT);
    let seen = format!("conferences/1061/participants/{}", guest.uuid);
    assert_eq!(house.operate(&operator, "GET", &seen, Value::Null).await.json["audio_muted"], true);
    assert_eq!(act(&to_guest, json!({"action": "role", "role": "king"})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(act("actions", json!({"action": "explode"})).await.status, StatusCode::BAD_REQUEST);
    act("participants/5e010203-0405-0607-0809-0a0b0c0d0eff/actions", json!({"action": "mute"})).await.problem(404);
    assert_eq!(act(&to_guest, json!({"action": "disconnect"})).await.status, StatusCode::NO_CONTENT);

    let mut body = stream.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains("event: participant_left") {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(20), body.next()).await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    let kinds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds[..3], ["meeting", "participant_joined", "participant_joined"], "first what is: {text}");
    assert!(kinds.contains(&"status") && kinds.contains(&"participant_updated"), "{text}");
}

#[tokio::test]
async fn a_stream_of_events_ends_with_a_reason_when_the_key_that_opened_it_is_deleted() {
    let house = House::open().await;
    let admin = login("admin");
    let made = house.operate(&admin, "POST", "keys", json!({"name": "robot", "role": "viewer"})).await;
    let bearer = format!("Bearer {}", made.json["key"].as_str().unwrap());
    let asked = request("GET", "/api/plenum/v1/conferences/1061/events", None).header("authorization", bearer);
    let stream = house.router.clone().oneshot(asked.body(Body::empty()).unwrap()).await.unwrap();
    house.operate(&admin, "DELETE", "keys/robot", Value::Null).await;
    let all =
        tokio::time::timeout(std::time::Duration::from_secs(60), axum::body::to_bytes(stream.into_body(), 1 << 20));
    let all = String::from_utf8(all.await.expect("it ends").unwrap().to_vec()).unwrap();
    assert!(all.ends_with(": over, the API key was deleted\n\n"), "{all}");
}

#[tokio::test]
async fn operators_mute_everybody_lay_out_what_is_seen_and_call_nobody_while_nothing_can() {
    let house = House::open().await;
    let ada = house.join("Ada", None).await;
    let operator = login("operator");
    let act =
        async |path: &str, body| house.operate(&operator, "POST", &format!("conferences/1061/{path}"), body).await;
    let to_ada = format!("participants/{}/actions", ada.uuid);
    let seen = async || {
        let path = format!("conferences/1061/participants/{}", ada.uuid);
        house.operate(&operator, "GET", &path, Value::Null).await.json
    };
    let mut events = house.events(&ada).await;
    events.sync().await;
    for (action, muted) in [("mute_all", true), ("unmute_all", false)] {
        assert_eq!(act("actions", json!({"action": action})).await.status, StatusCode::NO_CONTENT);
        assert_eq!(seen().await["audio_muted"], muted);
    }
    for body in [
        json!({"action": "mute_on_join", "muted": true}),
        json!({"action": "mute_on_join", "muted": null}),
        json!({"action": "lower_hands"}),
        json!({"action": "layout"}),
    ] {
        assert_eq!(act("actions", body.clone()).await.status, StatusCode::NO_CONTENT, "{body}");
    }
    for body in [
        json!({"action": "importance", "importance": 7}),
        json!({"action": "importance", "importance": null}),
        json!({"action": "layout", "layout": "4:0"}),
        json!({"action": "layout", "layout": null}),
        json!({"action": "overlay_text", "text": "Dr. Ada"}),
        json!({"action": "deny_presentation"}),
        json!({"action": "allow_presentation"}),
        json!({"action": "lower_hand"}),
        json!({"action": "message", "text": "for you"}),
    ] {
        assert_eq!(act(&to_ada, body.clone()).await.status, StatusCode::NO_CONTENT, "{body}");
    }
    assert_eq!(events.until("message").await["payload"], "for you");
    assert_eq!(act("actions", json!({"action": "layout", "hosts": "4:0"})).await.status, StatusCode::NO_CONTENT);
    let meeting = house.operate(&login("admin"), "GET", "audit?limit=1", Value::Null).await;
    assert!(meeting.text.contains("override_layout") && meeting.text.contains("hosts 4:0"), "{}", meeting.text);
    let bad = |answer: house::Answer| answer.problem(400).1;
    assert_eq!(bad(act("actions", json!({"action": "layout", "guests": "9:9"})).await).as_deref(), Some("guests"));
    assert_eq!(bad(act(&to_ada, json!({"action": "layout", "layout": "x"})).await).as_deref(), Some("layout"));
    assert_eq!(act(&to_ada, json!({"action": "importance", "importance": 256})).await.status, StatusCode::BAD_REQUEST);
}
