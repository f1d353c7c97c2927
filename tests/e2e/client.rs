//! An HTTPS client of the appliance's API: one exchange for each connection, and event streams.

use crate::appliance::{Appliance, tls_connect};
use serde_json::{Value, json};
use std::io::{Read, Write};

/// A simple offer as Chromium makes it.
pub(crate) const OFFER: &str = include_str!("../../controlplane/sdp/tests/fixtures/chromium_simple.sdp");
const ROOM: &str = "/api/services/1061";

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Option<Answer> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Answer { status: head.split(' ').nth(1)?.parse().ok()?, head: head.to_owned(), body: body.to_owned() })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The result of a success.
    pub(crate) fn result(&self) -> Value {
        let json = self.json();
        assert_eq!((self.status, &json["status"]), (200, &json!("success")), "{}", self.body);
        json["result"].clone()
    }

    /// The reason of a refusal with this status.
    pub(crate) fn refused(&self, status: u16) -> String {
        let json = self.json();
        assert_eq!((self.status, &json["status"]), (status, &json!("failed")), "{} {}", self.head, self.body);
        json["result"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Somebody in the conference.
pub(crate) struct Person {
    pub(crate) token: String,
    pub(crate) uuid: String,
}

/// One exchange.
pub(crate) fn exchange(at: &Appliance, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let text = attempt(at, method, path, headers, body).expect("the appliance accepts");
    Answer::read(&text).unwrap_or_else(|| panic!("{method} {path}: no answer: {text:?}"))
}

/// One exchange with an appliance that may be killed meanwhile: the result of a success, `None` = nobody knows.
pub(crate) fn attempt_post(at: &Appliance, path: &str, token: &str, body: &Value) -> Option<Value> {
    let answer = Answer::read(&attempt(at, "POST", path, &[("token", token)], &body.to_string())?)?;
    let json = serde_json::from_str::<Value>(&answer.body).ok()?;
    (answer.status == 200 && json["status"] == "success").then(|| json["result"].clone())
}

fn attempt(at: &Appliance, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<String> {
    let mut stream = tls_connect(at.port())?;
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n"
    );
    // Who is refused early may find the connection closed while it still writes.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn post(at: &Appliance, path: &str, token: Option<&str>, body: Value) -> Answer {
    let headers: Vec<_> = token.iter().map(|token| ("token", *token)).collect();
    exchange(at, "POST", path, &headers, &body.to_string())
}

/// Tries to enter conference 1061.
pub(crate) fn try_join(at: &Appliance, name: &str) -> Answer {
    post(at, &format!("{ROOM}/new_session"), None, json!({"display_name": name}))
}

pub(crate) fn join(at: &Appliance, name: &str) -> Person {
    person(&try_join(at, name))
}

pub(crate) fn person(answer: &Answer) -> Person {
    let result = answer.result();
    let text = |name: &str| result[name].as_str().expect("a text").to_owned();
    Person { token: text("token"), uuid: text("participant_uuid") }
}

/// As somebody, to a path below the conference.
pub(crate) fn act(at: &Appliance, who: &Person, path: &str, body: Value) -> Answer {
    post(at, &format!("{ROOM}/{path}"), Some(&who.token), body)
}

/// Offers a call; `present` as in MGMT-39.
pub(crate) fn call(at: &Appliance, who: &Person, present: &str) -> Answer {
    let body = json!({"call_type": "WEBRTC", "present": present, "sdp": OFFER});
    act(at, who, &format!("participants/{}/calls", who.uuid), body)
}

/// Opens an event stream; the answer's head, and the stream while it is open.
pub(crate) fn events(at: &Appliance, who: &Person) -> (Answer, impl Read + use<>) {
    let mut stream = tls_connect(at.port()).expect("the appliance accepts");
    write!(stream, "GET {ROOM}/events?token={} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", who.token).expect("it reads");
    let mut text = String::new();
    let mut chunk = [0; 4096];
    while !text.contains("\r\n\r\n") {
        let n = stream.read(&mut chunk).expect("an answer");
        assert!(n > 0, "the stream ended: {text}");
        text.push_str(&String::from_utf8_lossy(&chunk[..n]));
    }
    (Answer::read(&text).expect("a head"), stream)
}
