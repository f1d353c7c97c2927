//! MGMT sections A and B over HTTP: join check, sessions, tokens, PINs, errors, limits.
#![allow(missing_docs)]

mod house;

use axum::body::Body;
use axum::http::StatusCode;
use house::{House, ROOM, from, open_room, request};
use plenum::serve::{Limits, Settings};
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::test]
async fn mgmt_9_new_session_gives_everything_that_a_client_needs() {
    let settings = Settings { stun: vec!["stun:stun.example.org".into()], ..Settings::default() };
    let house = House::with(open_room(), settings).await;
    let answer = house.try_join("Alice", None).await;
    let result = answer.result();
    assert!(result["token"].as_str().unwrap().len() >= 40);
    assert_eq!(result["expires"], 120, "B2");
    assert_eq!(result["participant_uuid"].as_str().unwrap().len(), 36);
    assert_eq!(result["display_name"], "Alice");
    assert_eq!(result["stun"], json!([{"url": "stun:stun.example.org"}]));
    assert_eq!(result["analytics_enabled"], false);
    assert_eq!(result["version"], json!({"pseudo_version": "25010.0.0", "version_id": "12"}));
    assert_eq!((&result["role"], &result["service_type"]), (&json!("HOST"), &json!("conference")));
    assert_eq!((&result["chat_enabled"], &result["current_service_type"]), (&json!(true), &json!("conference")));
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert_eq!(answer.headers["x-request-id"].len(), 32);
}

#[tokio::test]
async fn mgmt_10_a_pin_decides_the_role_and_a_wrong_or_missing_one_is_403() {
    let house = House::with_pins().await;
    for pin in [None, Some("0000"), Some("none"), Some("")] {
        let answer = house.try_join("A", pin).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.json, json!({"status": "success", "result": {"pin": "required", "guest_pin": "required"}}));
    }
    assert_eq!(house.join("H", Some("1234")).await.role, "HOST");
    let guest = house.join("G", Some("99")).await;
    assert_eq!((guest.role.as_str(), guest.state.as_str()), ("GUEST", "waiting_room"));
}

#[tokio::test]
async fn mgmt_10_guests_without_a_pin_say_none() {
    let room = plenum::store::rows::SettingsRow { guest_pin: None, ..house::pin_room() };
    let house = House::with(room, Settings::default()).await;
    let answer = house.try_join("G", None).await;
    assert_eq!(answer.json["result"], json!({"pin": "required", "guest_pin": "none"}));
    assert_eq!(house.join("G", Some("none")).await.role, "GUEST");
}

#[tokio::test]
async fn mgmt_3_both_aliases_are_one_room_and_an_unknown_one_is_404() {
    let house = House::open().await;
    let alice = house.join("Alice", None).await;
    let list = house.get("/api/services/1061%40plenum.local/participants", Some(&alice.token)).await;
    assert_eq!(list.result()[0]["display_name"], "Alice");
    house.post("/api/services/9999/new_session", None, json!({"display_name": "x"})).await.refused(404);
    for odd in ["..%2f..%2fetc", "%00", "a%ffb", "1061%20"] {
        let status = house.post(&format!("/api/services/{odd}/new_session"), None, json!({})).await.status.as_u16();
        assert!(status == 404 || status == 400, "{odd}: {status}");
    }
}

#[tokio::test]
async fn mgmt_4_mgmt_5_without_a_valid_token_nothing_is_told() {
    let house = House::open().await;
    let alice = house.join("Alice", None).await;
    for path in ["participants", "service_status"] {
        for token in [None, Some("nonsense"), Some("")] {
            let answer = house.get(&format!("{ROOM}/{path}"), token).await;
            assert_eq!(answer.refused(403), "Invalid token");
        }
        house.get(&format!("{ROOM}/{path}"), Some(&alice.token)).await.result();
    }
    assert_eq!(house.get(&format!("{ROOM}/events?token=nonsense"), None).await.refused(403), "Invalid token");
    assert_eq!(house.get(&format!("{ROOM}/events"), None).await.refused(403), "Invalid token");
}

#[tokio::test]
async fn mgmt_12_refreshed_tokens_overlap_and_mgmt_14_silence_ends_the_session() {
    let house = House::open().await;
    let alice = house.join("Alice", None).await;
    let watcher = house.join("W", None).await;
    house.pass(60).await;
    let answer = house.act(&alice, "refresh_session", Value::Null).await;
    assert_eq!(answer.result()["expires"], 120);
    let second = answer.result()["token"].as_str().unwrap().to_owned();
    let watcher = {
        let token =
            house.act(&watcher, "refresh_session", json!({"display_name": "W"})).await.result()["token"].clone();
        house::Person { token: token.as_str().unwrap().into(), ..watcher }
    };
    house.pass(59).await;
    house.get(&format!("{ROOM}/service_status"), Some(&alice.token)).await.result();
    house.pass(1).await;
    house.get(&format!("{ROOM}/service_status"), Some(&alice.token)).await.refused(403);
    house.get(&format!("{ROOM}/service_status"), Some(&second)).await.result();
    let mut events = house.events(&watcher).await;
    assert_eq!(events.sync().await, ["Alice", "W"]);
    house.pass(59).await;
    let token =
        house.act(&watcher, "refresh_session", Value::Null).await.result()["token"].as_str().unwrap().to_owned();
    house.pass(2).await;
    assert_eq!(events.until("participant_delete").await, json!({"uuid": alice.uuid}));
    let list = house.get(&format!("{ROOM}/participants"), Some(&token)).await;
    assert_eq!(list.result().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn mgmt_13_end_session_works_as_a_beacon_too() {
    let house = House::open().await;
    let (alice, bob) = (house.join("A", None).await, house.join("B", None).await);
    house.act(&alice, "end_session", Value::Null).await.result();
    house.get(&format!("{ROOM}/service_status"), Some(&alice.token)).await.refused(403);
    let beacon = request("POST", &format!("{ROOM}/end_session?token={}", bob.token), None)
        .header("content-type", "text/plain;charset=UTF-8")
        .body(Body::from("\u{1}not json"))
        .unwrap();
    assert_eq!(house.send(beacon).await.status, StatusCode::OK);
    house.get(&format!("{ROOM}/service_status"), Some(&bob.token)).await.refused(403);
}

#[tokio::test]
async fn mgmt_8_mgmt_11_an_api_participant_is_listed_unless_it_hides() {
    let house = House::open().await;
    let body = json!({"display_name": "Ghost", "hideme": "yes"});
    let ghost = house::person(&house.post(&format!("{ROOM}/new_session"), None, body).await);
    let alice = house.join("Alice", None).await;
    for who in [&ghost, &alice] {
        let list = house.get(&format!("{ROOM}/participants"), Some(&who.token)).await;
        let list = list.result().as_array().unwrap().clone();
        assert_eq!(list.len(), 1);
        assert_eq!((&list[0]["has_media"], &list[0]["protocol"]), (&json!(false), &json!("api")));
    }
}

#[tokio::test]
async fn mgmt_1_mgmt_2_check_join_says_where_to_go_and_what_is_wrong() {
    let house = House::with_pins().await;
    let ask = |body: Value| house.post("/api/v3/meet/checkJoin.shtml", None, body);
    let good = ask(json!({"joinAccount": "1061", "joinPwd": "1234", "participantName": "Alice"})).await.json;
    assert_eq!(good["code"], "200");
    assert_eq!(good["timeStamp"].as_str().unwrap().len(), 19);
    let results = &good["results"];
    assert_eq!(results["isDot"], false);
    assert_eq!((&results["sipkey"], &results["alias"]), (&json!("1061"), &json!("1061@plenum.local")));
    assert_eq!((&results["roleType"], &results["mcuHost"]), (&json!("host"), &json!("localhost:8443")));
    assert_eq!((&results["conferenceName"], &results["allowGuest"]), (&json!("Conference 1061"), &json!("yes")));
    let code = |body: Value| async { ask(body).await.json["code"].as_str().unwrap().to_owned() };
    assert_eq!(code(json!({"joinAccount": "1061", "joinPwd": "9", "participantName": "A"})).await, "401");
    assert_eq!(code(json!({"joinAccount": "4711", "participantName": "A"})).await, "404");
    assert_eq!(code(json!({"joinAccount": "1061"})).await, "400");
    assert_eq!(code(json!({"joinAccount": "1".repeat(61), "participantName": "A"})).await, "400");
    let form = request("POST", "/api/v3/meet/checkJoin.shtml", None)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("joinAccount=1061&joinPwd=99&participantName=%E4%BC%9A"))
        .unwrap();
    let answer = house.send(form).await.json;
    assert_eq!(
        (&answer["results"]["roleType"], &answer["results"]["participantName"]),
        (&json!("guest"), &json!("会"))
    );
}

#[tokio::test]
async fn mgmt_62_the_alias_paths_speak_pexips_names() {
    let house = House::open().await;
    let base = "/api/client/v2/conferences/1061";
    let answer = house.post(&format!("{base}/request_token"), None, json!({"display_name": "P"})).await;
    assert_eq!(answer.result()["expires"], "120");
    let person = house::person(&answer);
    let refreshed = house.post(&format!("{base}/refresh_token"), Some(&person.token), Value::Null).await;
    assert_eq!(refreshed.result()["expires"], "120");
    let status = house.get(&format!("{base}/conference_status"), Some(&person.token)).await;
    assert_eq!(status.result()["locked"], false);
    let mut events = house.events_at(&format!("{base}/events?token={}", person.token), None).await;
    events.sync().await;
    house.post(&format!("{base}/lock"), Some(&person.token), Value::Null).await.result();
    while events.until("conference_update").await["locked"] == false {}
    house
        .post(&format!("{base}/message"), Some(&person.token), json!({"type": "text/plain", "payload": "hi"}))
        .await
        .result();
    assert_eq!(events.until("message_received").await["payload"], "hi");
    assert_eq!(
        house.post(&format!("{base}/release_token"), Some(&person.token), Value::Null).await.result(),
        &json!(true)
    );
}

#[tokio::test]
async fn hostile_bodies_get_a_clear_4xx() {
    let house = House::open().await;
    let alice = house.join("A", None).await;
    let send = |path: &'static str, body: Vec<u8>| {
        let request = request("POST", &format!("{ROOM}/{path}"), Some(&alice.token)).body(Body::from(body)).unwrap();
        house.send(request)
    };
    assert_eq!(send("message", b"{".to_vec()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send("message", b"[]".to_vec()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send("message", br#"{"payload":7,"Payload":8}"#.to_vec()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(send("message", b"{}".to_vec()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        send("message", [vec![b'['; 50_000], vec![b']'; 50_000]].concat()).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(send("message", vec![b' '; 300_000]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send("nonsense", Vec::new()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send("participants/xyz/mute", Vec::new()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send("participants", Vec::new()).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let payload = "x".repeat(20_000);
    assert_eq!(
        send("message", json!({"payload": payload}).to_string().into_bytes()).await.status,
        StatusCode::BAD_REQUEST
    );
    house.try_join("a\u{7}b", None).await.refused(400);
    house.get(&format!("{ROOM}/service_status"), Some(&alice.token)).await.result();
}

#[tokio::test]
async fn wrong_types_and_duplicate_names_get_a_clear_400_and_any_content_type_is_read_as_what_it_is() {
    let house = House::open().await;
    let alice = house.join("A", None).await;
    let me = format!("participants/{}", alice.uuid);
    let wrong = [json!({}), json!([]), json!([1]), json!({"a": 1}), json!(true)];
    for (path, name) in [
        ("message".to_owned(), "payload"),
        (format!("{me}/message"), "payload"),
        (format!("{me}/role"), "role"),
        (format!("{me}/overlaytext"), "text"),
        (format!("{me}/transfer"), "conference_alias"),
        (format!("{me}/dtmf"), "digits"),
        (format!("{me}/calls"), "sdp"),
        ("override_layout".to_owned(), "layouts"),
        ("dial".to_owned(), "destination"),
        ("refresh_session".to_owned(), "display_name"),
    ] {
        for value in &wrong {
            // Text may be a number; a list of layouts may be empty.
            if (name, value) == ("layouts", &json!([])) {
                continue;
            }
            let answer = house.act(&alice, &path, json!({name: value})).await;
            assert!(!answer.refused(400).is_empty(), "{path} with {value}");
        }
    }
    let raw = |body: &'static str, kind: &'static str| {
        let request = request("POST", &format!("{ROOM}/message"), Some(&alice.token)).header("content-type", kind);
        house.send(request.body(Body::from(body)).unwrap())
    };
    assert!(raw(r#"{"payload":"a","payload":"b"}"#, "application/json").await.refused(400).contains("twice"));
    for kind in ["text/plain", "multipart/form-data; boundary=x", "application/xml", "x", ""] {
        raw(r#"{"payload":"a"}"#, kind).await.result();
        raw("<payload>a</payload>", kind).await.refused(400);
        raw("payload=a", kind).await.refused(400);
    }
}

#[tokio::test]
async fn names_in_right_to_left_scripts_are_taken_and_characters_that_turn_the_text_around_are_not() {
    let house = House::open().await;
    for name in ["שלום עליכם", "مرحبا", "Zoë 会议 🙂", "a\u{200f}b"] {
        let who = house.join(name, None).await;
        let roster = house.get(&format!("{ROOM}/participants"), Some(&who.token)).await;
        assert_eq!(roster.result().as_array().unwrap().last().unwrap()["display_name"], name);
    }
    for name in ["a\u{0}", "a\nb", "\u{1b}[2J", "\u{85}x", "gpj\u{202e}exe", "\u{2066}x", "a\u{2028}b"] {
        assert!(house.try_join(&format!("x{name}x"), None).await.refused(400).contains("control"), "{name:?}");
    }
    house.try_join(&"x".repeat(129), None).await.refused(400);
}

#[tokio::test]
async fn a_body_that_trickles_has_the_time_of_every_request_and_one_without_end_is_cut_off() {
    let house = House::open().await;
    let alice = house.join("A", None).await;
    let send = |body: Body| {
        let request = request("POST", &format!("{ROOM}/message"), Some(&alice.token)).body(body).unwrap();
        house.router.clone().oneshot(request)
    };
    let second = std::time::Duration::from_secs(1);
    let trickle = futures_util::stream::unfold((), move |()| async move {
        tokio::time::sleep(second).await;
        Some((Ok::<_, std::convert::Infallible>(" "), ()))
    });
    // Time jumps only here: nothing waits for the store, which has a thread of its own.
    tokio::time::pause();
    assert_eq!(send(Body::from_stream(trickle)).await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    tokio::time::resume();
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::convert::Infallible>([b' '; 1000].as_slice()));
    assert_eq!(send(Body::from_stream(endless)).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let said = br#"{"payload":"slowly"}"#.iter().map(|byte| Ok::<_, std::convert::Infallible>(vec![*byte]));
    let bytes = Body::from_stream(futures_util::stream::iter(said));
    assert_eq!(send(bytes).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_address_that_joins_too_often_waits_and_others_do_not() {
    let limits = Limits { joins_per_address: 1, ..Limits::default() };
    let house = House::with(open_room(), Settings { limits, ..Settings::default() }).await;
    let join = |ip: &'static str| {
        let request = request("POST", &format!("{ROOM}/new_session"), None).body(Body::from("{}")).unwrap();
        house.send(from(request, ip))
    };
    let mut refused = 0;
    for _ in 0..30 {
        let answer = join("198.51.100.1").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.json["status"], "failed");
            assert!(answer.headers.contains_key("retry-after"));
            refused += 1;
        }
    }
    assert!(refused >= 15, "{refused}");
    assert_eq!(join("198.51.100.2").await.status, StatusCode::OK);
}

#[tokio::test]
async fn at_the_limit_the_next_is_refused_with_a_reason_and_the_others_go_on() {
    let limits = Limits { participants_per_conference: 2, event_streams: 1, ..Limits::default() };
    let house = House::with(open_room(), Settings { limits, ..Settings::default() }).await;
    let (alice, bob) = (house.join("A", None).await, house.join("B", None).await);
    assert!(house.try_join("C", None).await.refused(503).contains("full"));
    let mut events = house.events(&alice).await;
    assert!(house.get(&format!("{ROOM}/events?token={}", bob.token), None).await.refused(503).contains("Limit"));
    events.sync().await;
    drop(events);
    house.events(&bob).await.sync().await;
}

#[tokio::test]
async fn pages_of_other_origins_may_use_the_api() {
    let house = House::open().await;
    let asked = request("OPTIONS", &format!("{ROOM}/new_session"), None)
        .header("origin", "https://app.example.org")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "pin,content-type")
        .body(Body::empty())
        .unwrap();
    let answer = house.send(asked).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers["access-control-allow-headers"], "pin,content-type");
}

#[tokio::test]
async fn the_page_is_served_with_its_policy() {
    let house = House::open().await;
    let page = house.get("/", None).await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers.contains_key("content-security-policy"));
    let again = request("GET", "/", None).header("if-none-match", &page.headers["etag"]).body(Body::empty()).unwrap();
    assert_eq!(house.send(again).await.status, StatusCode::NOT_MODIFIED);
    house.get("/no/such/page", None).await.refused(404);
}

#[tokio::test]
async fn mgmt_62_pexips_clients_get_what_their_validators_want() {
    let house = House::with_pins().await;
    let room = "/api/client/v2/conferences/1061";
    let asked = house.post(&format!("{room}/request_token"), None, json!({"display_name": "A"})).await;
    assert_eq!(asked.status, 403);
    assert_eq!(asked.json["result"]["pin"], "required");
    assert!(asked.json["result"]["version"]["version_id"].is_string(), "they take the answer only with the version");
    let request = request("POST", &format!("{room}/request_token"), None).header("pin", "1234");
    let joined = house.send(request.body(axum::body::Body::from("{}")).unwrap()).await;
    let token = joined.result()["token"].as_str().unwrap();
    assert!(joined.result().get("stun").is_none(), "an empty list would become an ICE server without an address");
    let me = joined.result()["participant_uuid"].as_str().unwrap();
    for floor in ["take_floor", "release_floor"] {
        let answer = house.post(&format!("{room}/participants/{me}/{floor}"), Some(token), Value::Null).await;
        assert_eq!(answer.result(), &Value::Null, "{floor}");
    }
    let theme = house.get(&format!("{room}/theme/"), Some(token)).await;
    assert_eq!((theme.status.as_u16(), theme.text.as_str()), (204, ""));
    house.get(&format!("{room}/theme/"), None).await.refused(403);
}
