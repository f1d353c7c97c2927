//! Who may do what (MGMT-4, MGMT-5, MGMT-7, MGMT-35): every command of MGMT × every kind of caller.
//!
//! Whoever has no valid token of the conference learns nothing but that. What operators show, password or key, is no token: operators steer
//! through their own API, whose operations × (nobody, tokens, viewer, operator, admin, by password and by key) follow. A test
//! below reads the sources, so that a command that is added has a row here.
#![allow(missing_docs)]

mod house;

use axum::body::Body;
use axum::http::StatusCode;
use house::{House, PASSWORD, Person, ROOM, SIMPLE, pin_room, request};
use plenum::accounts::Role;
use plenum::serve::{Limits, Settings};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tower::ServiceExt;

/// Who may.
#[derive(Clone, Copy, PartialEq)]
enum May {
    /// Everybody with a valid token, also who waits.
    All,
    /// Everybody who is in.
    In,
    /// Hosts; to themselves everybody, also who waits.
    Own,
    /// Everybody who is in, to themselves alone; hosts too.
    OwnIn,
    /// Everybody to themselves, and nobody else.
    Self_,
    /// Hosts.
    Host,
}
use May::{All, Host, In, Own, OwnIn, Self_};

/// Commands to the conference: method, name, body, who may.
fn conference() -> Vec<(&'static str, &'static str, Value, May)> {
    let nothing = Value::Null;
    vec![
        ("GET", "participants", nothing.clone(), All),
        ("GET", "service_status", nothing.clone(), All),
        ("GET", "conference_status", nothing.clone(), All),
        ("GET", "available_layouts", nothing.clone(), All),
        ("GET", "theme", nothing.clone(), All),
        ("GET", "presentation.jpeg", nothing.clone(), In),
        ("GET", "presentation_high.jpeg", nothing.clone(), In),
        ("GET", "events", nothing.clone(), All),
        ("POST", "refresh_session", nothing.clone(), All),
        ("POST", "refresh_token", nothing.clone(), All),
        ("POST", "message", json!({"payload": "x"}), In),
        ("POST", "dial", json!({"destination": "b", "protocol": "sip"}), Host),
        ("POST", "lock", nothing.clone(), Host),
        ("POST", "unlock", nothing.clone(), Host),
        ("POST", "start_service", nothing.clone(), Host),
        ("POST", "start_conference", nothing.clone(), Host),
        ("POST", "muteguests", nothing.clone(), Host),
        ("POST", "unmuteguests", nothing.clone(), Host),
        ("POST", "clearallbuzz", nothing.clone(), Host),
        ("GET", "override_layout", nothing.clone(), Host),
        ("POST", "override_layout", json!({"layouts": []}), Host),
        ("POST", "transform_layout", json!({"transforms": {}}), Host),
        ("POST", "disconnect", nothing.clone(), Host),
        ("POST", "end_session", nothing.clone(), All),
        ("POST", "release_token", nothing, All),
    ]
}

/// Commands to a participant: name, body, who may.
fn member() -> Vec<(&'static str, Value, May)> {
    let nothing = Value::Null;
    let camera = json!({"action": "stop"});
    let mut list: Vec<_> = [
        "mute",
        "unmute",
        "hard_vmute",
        "hard_uvmute",
        "video_muted",
        "video_unmuted",
        "cancel_delay",
        "resume_delay",
        "allowrxpresentation",
        "denyrxpresentation",
        "spotlighton",
        "spotlightoff",
        "lobby",
        "unlock",
    ]
    .map(|name| (name, nothing.clone(), Host))
    .to_vec();
    list.extend([
        ("dtmf", json!({"digits": "1"}), Host),
        ("fecc", camera, Host),
        ("volume", json!({"percent": 50}), Host),
        ("overlaytext", json!({"text": "T"}), Host),
        ("transfer", json!({"conference_alias": "2000"}), Host),
        ("role", json!({"role": "guest"}), Host),
        ("calls", json!({"sdp": SIMPLE}), Own),
        ("clearbuzz", nothing.clone(), Own),
        ("take_floor", nothing.clone(), OwnIn),
        ("release_floor", nothing.clone(), Own),
        ("buzz", nothing.clone(), Self_),
        ("client_mute", nothing.clone(), Self_),
        ("client_unmute", nothing.clone(), Self_),
        ("message", json!({"payload": "x"}), In),
        ("notify_not_afk", nothing.clone(), All),
        ("preferred_aspect_ratio", json!({"aspect_ratio": 1.5}), All),
        ("disconnect", nothing, Host),
    ]);
    list
}

/// Commands to a call: name, body. Everybody to their own, hosts to everybody's (B24).
fn call() -> Vec<(&'static str, Value)> {
    vec![
        ("ack", Value::Null),
        ("update", json!({"sdp": SIMPLE})),
        ("new_candidate", json!({"candidate": "", "mid": "0"})),
        ("statistics", Value::Null),
        ("wishes", json!({"slots": []})),
        ("dtmf", json!({"digits": "1"})),
        ("fecc", json!({"action": "stop"})),
        ("disconnect", Value::Null),
    ]
}

/// A meeting that is made anew for every command, in the same house.
struct Meeting {
    host: Person,
    guest: Person,
    victim: Person,
    waiting: Person,
}

struct Matrix {
    house: House,
    expired: String,
    foreign: String,
    /// What operators show, by who they are: no token here.
    operators: Vec<(String, String)>,
}

impl Matrix {
    async fn new() -> Matrix {
        let limits = Limits { joins_per_address: 10_000, requests_per_address: 10_000, ..Limits::default() };
        let mut house = House::with(pin_room(), Settings { limits, ..Settings::default() }).await;
        house.media_up(1, false).await;
        let expired = house.join("Expired", Some("1234")).await.token;
        house.pass(121).await;
        let made =
            request("POST", "/api/plenum/v1/conferences", None).header("authorization", house::login("operator"));
        let made = house.send(made.body(Body::from(r#"{"aliases":["2000"]}"#)).unwrap()).await;
        assert_eq!(made.status, StatusCode::CREATED);
        let foreign = house.post("/api/services/2000/new_session", None, json!({"display_name": "F"})).await;
        let foreign = house::person(&foreign).token;
        let mut operators = Vec::new();
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            let body = json!({"name": format!("key-{}", role.name()), "role": role});
            let key = house.operate(&house::login("admin"), "POST", "keys", body).await;
            let key = format!("Bearer {}", key.json["key"].as_str().unwrap());
            operators.push((format!("an API key of a {}", role.name()), key));
            operators.push((format!("the password of a {}", role.name()), house::login(role.name())));
        }
        Matrix { house, expired, foreign, operators }
    }

    async fn meet(&self) -> Meeting {
        let host = self.house.join("H", Some("1234")).await;
        self.house.act(&host, "start_service", Value::Null).await.result();
        let (guest, victim) = (self.house.join("G", Some("99")).await, self.house.join("V", Some("99")).await);
        self.house.act(&host, "lock", Value::Null).await.result();
        let waiting = self.house.join("W", Some("99")).await;
        assert_eq!((guest.state.as_str(), waiting.state.as_str()), ("conference", "waiting_room"));
        Meeting { host, guest, victim, waiting }
    }

    /// Ends the meeting, whoever is left of it.
    async fn part(&self) {
        let last = self.house.join("Last", Some("1234")).await;
        self.house.act(&last, "disconnect", Value::Null).await.result();
    }

    /// The status of a request with this token; a stream is not read.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        authorization: Option<&str>,
        body: &Value,
    ) -> (StatusCode, String) {
        let path = match (path, token) {
            ("events", Some(token)) => format!("{ROOM}/events?token={token}"),
            _ => format!("{ROOM}/{path}"),
        };
        let mut asked = request(method, &path, token);
        if let Some(authorization) = authorization {
            asked = asked.header("authorization", authorization);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.house.router.clone().oneshot(asked.body(body).unwrap()).await.unwrap();
        let status = answer.status();
        if status == StatusCode::OK {
            return (status, String::new());
        }
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Those who have no valid token of this conference.
    async fn strangers(&self, method: &str, path: &str, body: &Value) {
        let strangers = [
            ("no token", None, None),
            ("an expired token", Some(self.expired.as_str()), None),
            ("another conference's token", Some(self.foreign.as_str()), None),
            ("a made-up token", Some("x"), None),
        ];
        let operators = self.operators.iter().map(|(who, shown)| (who.as_str(), None, Some(shown.as_str())));
        for (who, token, authorization) in strangers.into_iter().chain(operators) {
            let (status, text) = self.ask(method, path, token, authorization, body).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} by {who}: {text}");
            assert_eq!(text, r#"{"result":"Invalid token","status":"failed"}"#, "{path} by {who}");
        }
    }

    async fn check(&self, method: &str, path: &str, who: &Person, name: &str, body: &Value, allowed: bool) {
        let (status, text) = self.ask(method, path, Some(&who.token), None, body).await;
        // What is not there yet, or cannot be now, says so to who may ask.
        let reasons = [StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::NOT_IMPLEMENTED, StatusCode::BAD_REQUEST];
        let picture = path.ends_with(".jpeg") && status == StatusCode::NOT_FOUND && text.contains("picture");
        let answered = reasons.contains(&status) || picture;
        let refused = status == StatusCode::FORBIDDEN
            || (status == StatusCode::NOT_FOUND && text.contains("No such participant"))
            || (status == StatusCode::BAD_REQUEST && text.contains("Only the participant"));
        let right = if allowed { answered && !refused } else { refused };
        assert!(right, "{path} by {name}: {status} {text}, allowed: {allowed}");
    }
}

#[tokio::test]
async fn mgmt_4_mgmt_7_commands_to_the_conference() {
    let matrix = Matrix::new().await;
    for (method, path, body, may) in conference() {
        matrix.strangers(method, path, &body).await;
        let m = matrix.meet().await;
        matrix.check(method, path, &m.waiting, "a waiting guest", &body, may == All).await;
        matrix.check(method, path, &m.guest, "a guest", &body, may != Host).await;
        matrix.check(method, path, &m.host, "a host", &body, true).await;
        matrix.part().await;
    }
}

#[tokio::test]
async fn mgmt_4_mgmt_7_commands_to_participants() {
    let matrix = Matrix::new().await;
    for (name, body, may) in member() {
        let m = matrix.meet().await;
        let to = |whom: &Person| format!("participants/{}/{name}", whom.uuid);
        matrix.strangers("POST", &to(&m.victim), &body).await;
        // To oneself.
        let own = matches!(may, Own | OwnIn | Self_ | In | All);
        let waiting = matches!(may, Own | Self_ | All);
        matrix.check("POST", &to(&m.waiting), &m.waiting, "a waiting guest", &body, waiting).await;
        matrix.check("POST", &to(&m.guest), &m.guest, "a guest", &body, own).await;
        // To another: whoever waits does not see them.
        matrix.check("POST", &to(&m.victim), &m.waiting, "a waiting guest", &body, may == All).await;
        let guest = matches!(may, In | All);
        matrix.check("POST", &to(&m.victim), &m.guest, "a guest", &body, guest).await;
        matrix.check("POST", &to(&m.host), &m.guest, "a guest to a host", &body, guest).await;
        matrix.check("POST", &to(&m.victim), &m.host, "a host", &body, may != Self_).await;
        matrix.part().await;
    }
}

#[tokio::test]
async fn mgmt_4_mgmt_7_commands_to_calls() {
    let matrix = Matrix::new().await;
    for (name, body) in call() {
        for by_host in [false, true] {
            let m = matrix.meet().await;
            let (call, _) = matrix.house.call(&m.victim, json!({"sdp": SIMPLE})).await;
            let path = format!("participants/{}/calls/{call}/{name}", m.victim.uuid);
            matrix.strangers("POST", &path, &body).await;
            matrix.check("POST", &path, &m.waiting, "a waiting guest", &body, false).await;
            matrix.check("POST", &path, &m.guest, "another guest", &body, false).await;
            let (who, words) = if by_host { (&m.host, "a host") } else { (&m.victim, "its owner") };
            matrix.check("POST", &path, who, words, &body, true).await;
            matrix.part().await;
        }
    }
}

/// Operations of the REST API, and the least role that may.
const REST: &[(&str, &str, Role)] = &[
    ("GET", "me", Role::Viewer),
    ("GET", "status", Role::Viewer),
    ("GET", "conferences", Role::Viewer),
    ("POST", "conferences", Role::Operator),
    ("GET", "conferences/{name}", Role::Viewer),
    ("PUT", "conferences/{name}", Role::Operator),
    ("PATCH", "conferences/{name}", Role::Operator),
    ("DELETE", "conferences/{name}", Role::Operator),
    ("GET", "conferences/{name}/logo", Role::Viewer),
    ("PUT", "conferences/{name}/logo", Role::Operator),
    ("DELETE", "conferences/{name}/logo", Role::Operator),
    ("POST", "conferences/{name}/actions", Role::Operator),
    ("GET", "conferences/{name}/events", Role::Viewer),
    ("GET", "conferences/{name}/participants", Role::Viewer),
    ("GET", "conferences/{name}/participants/{id}", Role::Viewer),
    ("POST", "conferences/{name}/participants/{id}/actions", Role::Operator),
    ("GET", "webhooks", Role::Admin),
    ("POST", "webhooks", Role::Admin),
    ("GET", "webhooks/{id}", Role::Admin),
    ("PATCH", "webhooks/{id}", Role::Admin),
    ("DELETE", "webhooks/{id}", Role::Admin),
    ("GET", "audit", Role::Admin),
    ("GET", "accounts", Role::Admin),
    ("POST", "accounts", Role::Admin),
    ("GET", "accounts/{name}", Role::Admin),
    ("PATCH", "accounts/{name}", Role::Admin),
    ("DELETE", "accounts/{name}", Role::Admin),
    ("GET", "keys", Role::Admin),
    ("POST", "keys", Role::Admin),
    ("GET", "keys/{id}", Role::Admin),
    ("DELETE", "keys/{id}", Role::Admin),
];

#[tokio::test]
async fn operations_of_the_rest_api_by_role_password_and_key() {
    let matrix = Matrix::new().await;
    let m = matrix.meet().await;
    let mut keys = Vec::new();
    for role in [Role::Viewer, Role::Operator, Role::Admin] {
        let body = json!({"name": format!("robot-{}", role.name()), "role": role});
        let made = matrix.house.operate(&house::login("admin"), "POST", "keys", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        keys.push((role, format!("Bearer {}", made.json["key"].as_str().unwrap())));
    }
    let bearer = |token: &str| format!("Bearer {token}");
    for (method, path, least) in REST {
        // Nothing that is there is named: who may gets 404 or 400, and the world stays as it is.
        let path = path.replace("{name}", "nothing").replace("{id}", "nothing");
        let full = format!("/api/plenum/v1/{path}");
        for token in [None, Some(m.guest.token.as_str()), Some(m.host.token.as_str()), Some("x")] {
            let answer = matrix.house.send(request(method, &full, token).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {}", answer.text);
            assert!(answer.headers.contains_key("www-authenticate"));
        }
        for wrong in [house::basic("admin", "wrong"), bearer(&m.host.token), bearer(PASSWORD), "Digest x".into()] {
            let asked = request(method, &full, None).header("authorization", wrong).body(Body::empty()).unwrap();
            // Each from an address of its own: guesses are slowed.
            let status = matrix.house.send(asked).await.status;
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
            assert!(refused.contains(&status), "{method} {path}: {status}");
        }
        let passwords = [Role::Viewer, Role::Operator, Role::Admin].map(|role| (role, house::login(role.name())));
        for (role, authorization) in passwords.iter().chain(&keys) {
            let answer = matrix.house.operate(authorization, method, &path, Value::Null).await;
            let denied = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(denied, role < least, "{method} {path} by {}: {} {}", role.name(), answer.status, answer.text);
            assert!(!answer.status.is_server_error() && answer.status != StatusCode::UNAUTHORIZED, "{}", answer.text);
        }
    }
}

#[test]
fn every_operation_of_the_rest_api_has_a_row() {
    let api = plenum::faces::operator::openapi();
    let mut described = BTreeSet::new();
    for (path, operations) in api["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/plenum/v1/").unwrap();
        described.extend(operations.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.to_owned())));
    }
    let rows: BTreeSet<_> = REST.iter().map(|(method, path, _)| (method.to_string(), path.to_string())).collect();
    assert_eq!(described, rows);
}

/// Names of a function's match arms that are commands: what stands in quotes before `=>`.
fn arms(source: &str, function: &str) -> BTreeSet<String> {
    let start = source.find(function).unwrap_or_else(|| panic!("{function} is gone"));
    let body = &source[start..start + source[start..].find("\n}\n").unwrap()];
    let mut names = BTreeSet::new();
    for line in body.lines().map(str::trim).filter(|line| line.starts_with('"')) {
        let Some((patterns, _)) = line.split_once("=>") else { continue };
        names.extend(patterns.split('"').skip(1).step_by(2).map(String::from));
    }
    names
}

#[test]
fn every_command_of_the_sources_has_a_row() {
    let commands = include_str!("../src/faces/mgmt/commands.rs");
    let calls = include_str!("../src/faces/mgmt/calls.rs");
    let rows = |names: Vec<&str>| names.into_iter().map(String::from).collect::<BTreeSet<_>>();
    let named = rows(conference().into_iter().map(|(_, name, _, _)| name).collect());
    let missing = |of: BTreeSet<String>, named: &BTreeSet<String>| of.difference(named).cloned().collect::<Vec<_>>();
    assert_eq!(missing(arms(commands, "async fn conference("), &named), [""; 0]);
    let named = rows(member().into_iter().map(|(name, _, _)| name).collect());
    assert_eq!(missing(arms(commands, "async fn member("), &named), [""; 0]);
    let named = rows(call().into_iter().map(|(name, _)| name).collect());
    assert_eq!(missing(arms(calls, "async fn command("), &named), [""; 0]);
}
