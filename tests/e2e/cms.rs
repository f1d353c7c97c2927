//! A CMS event client, written from the examples of the guide (spec/cms.md, CMS-28), against two conferences that real browsers
//! join and leave; steered through the REST API beside it.

use crate::appliance::{Appliance, pause, tls_connect};
use crate::browser::{Browser, Page};
use crate::client::exchange;
use crate::conference::{join, sees_and_hears};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::{Error, Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(60);

type Tls = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// The event client.
struct Client {
    socket: WebSocket<Tls>,
    /// Acks and messages that nobody has looked for yet.
    told: Vec<Value>,
}

impl Client {
    fn connect(appliance: &Appliance, authorization: &str) -> Client {
        let answer = exchange(appliance, "POST", "/api/v1/authTokens", &[("authorization", authorization)], "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = answer.header("X-Cisco-CMS-Auth-Token").expect("a token").to_owned();
        let url = format!("wss://127.0.0.1:{}/events/v1?authToken={token}", appliance.port());
        let stream = tls_connect(appliance.port()).expect("the appliance accepts");
        let (socket, _) = tungstenite::client(url, stream).expect("101 Switching Protocols");
        Client { socket, told: Vec::new() }
    }

    fn send(&mut self, value: &Value) {
        self.socket.send(Message::text(value.to_string())).expect("the server takes it");
    }

    fn subscribe(&mut self, number: u64, subscriptions: Value) {
        let message = json!({"messageId": number, "type": "subscribeRequest", "subscriptions": subscriptions});
        self.send(&json!({"type": "message", "message": message}));
    }

    /// Takes one more frame, if there is one, and acknowledges it.
    fn take(&mut self) {
        match self.socket.read() {
            Ok(Message::Text(text)) => {
                let value: Value = serde_json::from_str(text.as_str()).expect("JSON");
                if let Some(number) = value["message"]["messageId"].as_u64() {
                    let ack = json!({"messageId": number, "status": "success"});
                    self.send(&json!({"type": "messageAck", "messageAck": ack}));
                }
                self.told.push(value);
            }
            Ok(Message::Close(frame)) => panic!("closed: {frame:?}"),
            Ok(_) => {}
            Err(Error::Io(error))
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for something told of which `look` makes something; what was told before it is not looked at again.
    fn until<T>(&mut self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some((at, found)) = self.told.iter().enumerate().find_map(|(at, value)| Some((at, look(value)?))) {
                self.told.drain(..=at);
                return found;
            }
            assert!(Instant::now() < end, "nothing was told of {what}; but: {:#?}", self.told);
            self.take();
        }
    }

    /// The next update of a subscription that `like` is a part of.
    fn update(&mut self, index: u64, like: Value) -> Value {
        self.until(&format!("{like} at {index}"), |value| {
            let message = &value["message"];
            if message["subscriptionIndex"] != index {
                return None;
            }
            let mut all = message["updates"].as_array().cloned().unwrap_or_default();
            all.extend(message.get("callInfo").cloned());
            let wanted = like.as_object().expect("an object");
            all.into_iter().find(|update| wanted.iter().all(|(name, value)| update[name] == *value))
        })
    }

    fn state(&mut self, index: u64, state: &str) {
        self.until(&format!("{index} {state}"), |value| {
            let states = value["message"]["subscriptions"].as_array()?;
            states.contains(&json!({"index": index, "state": state})).then_some(())
        });
    }
}

/// The password of the first start, as the banner shows it.
fn password(appliance: &Appliance) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let log = appliance.log();
        if let Some(rest) = log.split("shown this once:").nth(1)
            && let Some(password) = rest.split_whitespace().next()
        {
            return password.to_owned();
        }
        assert!(Instant::now() < end, "no password: {log}");
        pause();
    }
}

fn join_other(browser: &mut Browser, appliance: &Appliance, name: &str) -> Page {
    let page = browser.open(&format!("{}/?conference=2000&name={name}&join=1", appliance.url()), 1280, 720);
    let connected = "window.plenum?.room?.call?.pc.connectionState === 'connected'";
    browser.until(&page, &format!("{name} is connected"), connected);
    page
}

#[test]
fn cms_28_an_event_client_follows_two_conferences_that_browsers_join_and_leave() {
    let _alone = crate::alone();
    let appliance = Appliance::start(&[]);
    let mut browser = Browser::start(&[]);
    let authorization = format!("Basic {}", STANDARD.encode(format!("admin:{}", password(&appliance))));
    let form = [("authorization", authorization.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let made = exchange(&appliance, "POST", "/api/v1/coSpaces", &form, "name=Andy%27s+coSpace&callId=2000");
    assert_eq!(made.status, 200, "{}", made.body);

    // The guide's first request: ack, pending, active.
    let mut client = Client::connect(&appliance, &authorization);
    client.subscribe(8, json!([{"index": 3, "type": "calls", "elements": ["name", "participants"]}]));
    let ack = json!({"type": "messageAck", "messageAck": {"messageId": 8, "status": "success"}});
    client.until("the ack", |value| (*value == ack).then_some(()));
    client.state(3, "pending");
    client.state(3, "active");

    // Alice's call appears; its roster and its state are subscribed to as the guide does.
    let alice = join(&mut browser, &appliance, "Alice");
    let call = client.update(3, json!({"updateType": "add", "name": "Conference 1061"}))["call"].clone();
    let roster = json!(["name", "uri", "state", "importance", "audioMuted", "activeSpeaker"]);
    client.subscribe(
        9,
        json!([
            {"index": 1, "type": "callRoster", "call": call, "elements": roster},
            {"index": 2, "type": "callInfo", "call": call, "elements": ["name", "participants", "streaming"]},
            {"index": 3, "type": "calls", "elements": ["name", "participants"]},
        ]),
    );
    client.state(1, "active");
    client.update(1, json!({"updateType": "add", "name": "Alice", "importance": null}));
    client.update(2, json!({"name": "Conference 1061", "participants": 1, "streaming": "inactive"}));

    // Bob comes in a real browser.
    let bob = join(&mut browser, &appliance, "Bob");
    let bob_id = browser.eval(&bob, "window.plenum.room.session.uuid");
    client.update(1, json!({"participant": bob_id, "updateType": "add", "name": "Bob"}));
    client.update(1, json!({"participant": bob_id, "updateType": "update", "state": "connected"}));
    sees_and_hears(&mut browser, &alice, "Alice");

    // A second conference is a second call.
    let carol = join_other(&mut browser, &appliance, "Carol");
    let other = client.update(3, json!({"updateType": "add", "name": "Andy's coSpace"}))["call"].clone();
    assert_ne!(other, call);

    // What is steered through REST shows in the events and, through MGMT, in the page.
    let path = format!("/api/v1/participants/{}", bob_id.as_str().expect("a GUID"));
    assert_eq!(exchange(&appliance, "PUT", &path, &form, "rxAudioMute=true").status, 200);
    client.update(1, json!({"participant": bob_id, "updateType": "update", "audioMuted": true}));
    let muted = "window.plenum.room.session.get('/participants').then(l => l.find(p => p.display_name === 'Bob').is_muted === 'YES')";
    browser.until(&alice, "Bob is muted in MGMT", &format!("(async () => await {muted})()"));

    // They leave: a reason for each, and the end of the call.
    browser.eval(&bob, "document.getElementById('leave').click()");
    client.update(1, json!({"participant": bob_id, "updateType": "remove", "reason": "participantLeft"}));
    browser.eval(&alice, "document.getElementById('leave').click()");
    client.update(3, json!({"call": call, "updateType": "remove"}));
    client.state(1, "deactivated");

    // The other call goes on until an operator ends it.
    let end = format!("/api/v1/calls/{}", other.as_str().expect("a GUID"));
    assert_eq!(exchange(&appliance, "DELETE", &end, &form, "").status, 200);
    client.update(3, json!({"call": other, "updateType": "remove"}));
    browser.until(
        &carol,
        "Carol's page knows that it is over",
        "window.plenum?.room?.call?.pc?.connectionState !== 'connected'",
    );
}
