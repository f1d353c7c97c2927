//! The one log of both programs: JSON lines with request and leg ids, media's lines too, and no secret at any level.

use crate::appliance::{Appliance, pause};
use crate::client::{OFFER, events, exchange, person, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Waits until some line of the log is what `wanted` looks for.
fn line(at: &Appliance, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let log = at.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(found) = lines.find(&wanted) {
            return found;
        }
        assert!(Instant::now() < end, "no line about {what}");
        pause();
    }
}

fn says(line: &Value, target: &str, text: &str) -> bool {
    line["target"] == target && line["message"].as_str().is_some_and(|message| message.contains(text))
}

#[test]
fn the_log_names_requests_and_legs_of_both_programs_and_no_secret_even_at_trace() {
    let turn =
        "PLENUM_ICE_TURN=[{ urls = [\"turn:turn.example.org:3478\"], username = \"u\", credential = \"tUrNsEcReT\" }]";
    let at = Appliance::start(&["--shards", "1", "PLENUM_LOG_FORMAT=json", "PLENUM_LOG_LEVEL=trace", turn]);
    let banner = at.log();
    let password = banner.split("shown this once:").nth(1).and_then(|rest| rest.split_whitespace().next());
    let password = password.expect("the banner shows the first password").to_owned();

    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("admin:{password}")));
    let operator = basic(&password);
    let room = json!({"aliases": ["7700"], "host_pin": "48151623", "guest_pin": "42108642"}).to_string();
    let wrong = exchange(&at, "POST", "/api/plenum/v1/conferences", &[("authorization", &basic("wRoNgPaSs"))], &room);
    assert_eq!(wrong.status, 401);
    let robot = json!({"name": "robot", "role": "operator"}).to_string();
    let key = exchange(&at, "POST", "/api/plenum/v1/keys", &[("authorization", &operator)], &robot);
    let key: Value = serde_json::from_str(&key.body).expect("a key");
    let key = key["key"].as_str().expect("the key").to_owned();
    let listed = exchange(&at, "GET", "/api/plenum/v1/status", &[("authorization", &format!("Bearer {key}"))], "");
    assert_eq!(listed.status, 200);
    let made = exchange(&at, "POST", "/api/plenum/v1/conferences", &[("authorization", &operator)], &room);
    assert_eq!(made.status, 201, "{}", made.body);
    let path = "/api/services/7700";
    let enter = |pin: &str| exchange(&at, "POST", &format!("{path}/new_session"), &[("pin", pin)], "{}");
    assert_eq!(enter("99887766").status, 403);
    let form = "joinAccount=7700&participantName=A&joinPwd=42108642";
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    exchange(&at, "POST", "/api/v3/meet/checkJoin.shtml", &kind, form);
    let host = person(&enter("48151623"));
    let (stream, reading) = {
        let room = format!("{path}/events?token={}", host.token);
        let answer = exchange(&at, "POST", &room, &[], "");
        (answer, events(&at, &crate::client::join(&at, "B")))
    };
    assert_eq!(stream.status, 405);
    let calls = format!("{path}/participants/{}/calls", host.uuid);
    let offered = post(&at, &calls, Some(&host.token), json!({"call_type": "WEBRTC", "sdp": OFFER}));
    let answer = offered.result()["sdp"].as_str().expect("an answer").to_owned();
    let refreshed = post(&at, &format!("{path}/refresh_session"), Some(&host.token), Value::Null);
    let fresh = refreshed.result()["token"].as_str().expect("a token").to_owned();
    let last = post(&at, &format!("{path}/end_session"), Some(&fresh), Value::Null);
    drop(reading);

    // A request's lines carry its id, a leg's lines its key; media's are among them.
    let id = last.header("x-request-id").expect("an id").to_owned();
    let answered =
        line(&at, "the last request", |l| says(l, "plenum::http", "answered") && l["span"]["id"] == id.as_str());
    assert_eq!((&answered["status"], &answered["span"]["method"]), (&json!(200), &json!("POST")));
    let opened = line(&at, "the session", |l| says(l, "plenum_media", "revision 1 of a session"));
    assert!(opened["leg"].is_u64() && opened["level"] == "DEBUG", "{opened}");
    let ended = line(&at, "the end of the leg", |l| says(l, "plenum::driver", "a leg ended"));
    assert_eq!(ended["leg"], opened["leg"]);
    assert_eq!(line(&at, "media's sockets", |l| says(l, "plenum_media", "receives at udp"))["shard"], 0);

    let log = at.log();
    for text in log.lines().skip_while(|line| !line.starts_with('{')).filter(|line| line.starts_with('{')) {
        let line: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string(), "{text}");
    }
    let attribute = |sdp: &str, name: &str| {
        let value = sdp.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        value.trim().to_owned()
    };
    let secrets = [
        ("a right PIN", "48151623".to_owned()),
        ("a guest's PIN", "42108642".to_owned()),
        ("a wrong PIN", "99887766".to_owned()),
        ("a wrong password", "wRoNgPaSs".to_owned()),
        ("a login", operator),
        ("an API key", key),
        ("TURN's password", "tUrNsEcReT".to_owned()),
        ("a token", host.token),
        ("a refreshed token", fresh),
        ("the client's ice-pwd", attribute(OFFER, "a=ice-pwd:")),
        ("our ice-pwd", attribute(&answer, "a=ice-pwd:")),
    ];
    for (what, secret) in secrets {
        let found = log.lines().find(|line| line.contains(&secret));
        assert!(found.is_none(), "{what} is in the log: {found:?}");
    }
    assert_eq!(log.matches(&password).count(), 1, "the first password is in the banner, and nowhere else");
}

#[test]
fn a_control_plane_that_returns_logs_what_media_has_to_say() {
    let mut at = Appliance::start(&["--shards", "1"]);
    at.kill_control_and_restart();
    let end = Instant::now() + Duration::from_secs(30);
    while !at.log().contains("plenum_media: control is gone") {
        assert!(Instant::now() < end, "media's line did not come:\n{}", at.log());
        pause();
    }
}
