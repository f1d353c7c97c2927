//! CMS sections A and B over real sockets: tokens, the WebSocket, its limits, hostile clients; and one live state with MGMT.
#![allow(missing_docs)]

mod house;

use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use house::{House, PASSWORD, login, open_room};
use plenum::serve::{CmsSettings, Settings};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::CloseFrame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A house whose router is served on a socket.
struct Served {
    house: House,
    address: SocketAddr,
}

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Served {
    async fn with(cms: CmsSettings) -> Served {
        let house = House::with(open_room(), Settings { cms, ..Settings::default() }).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = house.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Served { house, address }
    }

    async fn open() -> Served {
        Served::with(CmsSettings::default()).await
    }

    /// As the guide prints it: no body, Basic.
    async fn token_as(&self, user: &str, password: &str) -> (u16, Option<String>) {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let request = house::request("POST", "/api/v1/authTokens", None)
            .header("origin", "http://xx.xxx.xxx.xxx:8080")
            .header("content-length", "0")
            .header("authorization", format!("Basic {basic}"));
        let answer = self.house.send(request.body(axum::body::Body::empty()).unwrap()).await;
        let token = answer.headers.get("x-cisco-cms-auth-token").map(|token| token.to_str().unwrap().to_owned());
        assert!(token.is_none() || answer.text.is_empty());
        (answer.status.as_u16(), token)
    }

    async fn token(&self) -> String {
        self.token_as("operator", PASSWORD).await.1.unwrap()
    }

    async fn connect_with(&self, token: &str) -> Result<Client, u16> {
        match connect_async(format!("ws://{}/events/v1?authToken={token}", self.address)).await {
            Ok((socket, _)) => Ok(Client { socket }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(other) => panic!("{other}"),
        }
    }

    async fn connect(&self) -> Client {
        self.connect_with(&self.token().await).await.unwrap()
    }

    /// A connection past its handshake, as bytes.
    async fn raw(&self) -> TcpStream {
        let token = self.token().await;
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "GET /events/v1?authToken={token} HTTP/1.1\r\nHost: xx\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
             Upgrade: websocket\r\nOrigin: http://xx.xxx.xxx.xxx:8080\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: lGaahHe/KdA91PdPxAlZfw==\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        assert!(answer.contains("sec-websocket-accept: iekqsbnlbdiwg7zt8sk6pwlgtsq=\r\n"), "{answer}");
        assert!(answer.contains("connection: upgrade\r\n") && !answer.contains("extensions"), "{answer}");
        stream
    }
}

impl Client {
    async fn send(&mut self, value: Value) {
        self.socket.send(Message::text(value.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, number: u64, subscriptions: Value) {
        let message = json!({"messageId": number, "type": "subscribeRequest", "subscriptions": subscriptions});
        self.send(json!({"type": "message", "message": message})).await;
    }

    async fn frame(&mut self) -> Message {
        tokio::time::timeout(Duration::from_secs(20), self.socket.next()).await.unwrap().unwrap().unwrap()
    }

    /// The next message, acknowledged.
    async fn next(&mut self) -> Value {
        let value: Value = serde_json::from_str(self.frame().await.to_text().unwrap()).unwrap();
        if let Some(number) = value["message"]["messageId"].as_u64() {
            let ack = json!({"messageId": number, "status": "success"});
            self.send(json!({"type": "messageAck", "messageAck": ack})).await;
        }
        value
    }

    /// The body of the next message of this type.
    async fn until(&mut self, kind: &str) -> Value {
        loop {
            let value = self.next().await;
            if value["message"]["type"] == kind {
                return value["message"].clone();
            }
        }
    }

    /// Follows the roster of the one call there is; its GUID.
    async fn follow_roster(&mut self, elements: Value) -> String {
        self.subscribe(1, json!([{"index": 1, "type": "calls"}])).await;
        let call = self.until("callListUpdate").await["updates"][0]["call"].as_str().unwrap().to_owned();
        let roster = json!({"index": 2, "type": "callRoster", "call": call, "elements": elements});
        self.subscribe(2, json!([{"index": 1, "type": "calls"}, roster])).await;
        self.until("rosterUpdate").await;
        call
    }

    /// Reads to the end of the connection: code and reason.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.frame().await {
                Message::Close(Some(CloseFrame { code, reason })) => return (code.into(), reason.to_string()),
                Message::Close(None) => panic!("closed without a reason"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn cms_1_cms_2_a_password_gives_a_token_and_a_token_one_connection() {
    let served = Served::open().await;
    assert_eq!(served.token_as("operator", "wrong").await, (401, None));
    assert_eq!(served.house.post("/api/v1/authTokens", None, Value::Null).await.status, 401);
    let (status, token) = served.token_as("operator", PASSWORD).await;
    let token = token.unwrap();
    assert_eq!(served.token_as("viewer", PASSWORD).await.0, 200, "who may read may subscribe");
    assert!(status == 200 && uuid::Uuid::parse_str(&token).is_ok());
    assert_eq!(served.connect_with("").await.err(), Some(401));
    assert_eq!(served.connect_with("7174c102-61b3-47a6-8ff2-b86256cca958").await.err(), Some(401));
    assert_eq!(served.connect_with(&format!("{token}&authToken={token}")).await.err(), Some(401));
    served.connect_with(&token).await.unwrap();
    let plain = served.house.get(&format!("/events/v1?authToken={token}"), None).await;
    assert_eq!(plain.status, 400, "only a WebSocket is served here");
}

/// CMS-3: the router is the one of everything else, so events are on its port. CMS-7: after 101 both may speak.
#[tokio::test]
async fn cms_3_cms_5_cms_7_the_guides_handshake_is_answered_and_both_sides_may_speak() {
    let served = Served::open().await;
    let mut stream = served.raw().await;
    // A masked text frame: a request with no subscription.
    let text = br#"{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[]}}"#;
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    frame.extend(text);
    stream.write_all(&frame).await.unwrap();
    let (first, length) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
    assert_eq!(first, 0x81, "one whole text frame, without extension bits");
    let mut ack = vec![0; length as usize];
    stream.read_exact(&mut ack).await.unwrap();
    let ack: Value = serde_json::from_slice(&ack).unwrap();
    assert_eq!(ack, json!({"type": "messageAck", "messageAck": {"messageId": 1, "status": "success"}}));
}

#[tokio::test]
async fn cms_6_the_sixth_connection_is_503_and_its_token_stays_good() {
    let served = Served::open().await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(served.connect().await);
    }
    let token = served.token().await;
    assert_eq!(served.connect_with(&token).await.err(), Some(503));
    let mut gone = open.pop().unwrap();
    gone.socket.close(None).await.unwrap();
    while gone.socket.next().await.is_some() {}
    // The place is free a moment after the connection is gone.
    while served.connect_with(&token).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn cms_6_a_ping_is_answered_and_fragments_and_binary_frames_end_the_connection_with_a_reason() {
    let served = Served::open().await;
    let mut client = served.connect().await;
    client.socket.send(Message::Ping("x".into())).await.unwrap();
    assert_eq!(client.frame().await, Message::Pong("x".into()));
    client.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(client.closed().await.0, 1003);

    let mut stream = served.raw().await;
    stream.write_all(&[0x01, 0x81, 0, 0, 0, 0, b'{']).await.unwrap();
    let (first, length) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
    let mut close = vec![0; length as usize];
    stream.read_exact(&mut close).await.unwrap();
    assert_eq!((first, u16::from_be_bytes([close[0], close[1]])), (0x88, 1002));
    assert!(String::from_utf8_lossy(&close[2..]).contains("fragmented"));

    let mut client = served.connect().await;
    client.socket.send(Message::text("x".repeat(100_000))).await.unwrap();
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn cms_6_the_hundred_and_first_subscription_is_refused() {
    let served = Served::open().await;
    let mut client = served.connect().await;
    let of = |n: u64| json!({"index": n, "type": "callInfo", "call": format!("97c771ae-fc2e-4257-b129-{n:012}")});
    client.subscribe(1, (0..101).map(of).collect()).await;
    let ack = client.next().await["messageAck"].clone();
    assert_eq!((&ack["messageId"], &ack["status"]), (&json!(1), &json!("error")));
    client.subscribe(2, (0..100).map(of).collect()).await;
    assert_eq!(client.next().await["messageAck"]["status"], "success");
}

#[tokio::test]
async fn cms_18_a_silent_client_is_closed_with_a_reason() {
    let served = Served::with(CmsSettings { acknowledge_within_ms: 50, ..CmsSettings::default() }).await;
    let mut client = served.connect().await;
    client.subscribe(1, json!([{"index": 1, "type": "calls"}])).await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1008);
    assert!(reason.contains("not acknowledged"), "{reason}");
}

/// One live state: what an operator does in one face shows in the other at once.
#[tokio::test]
async fn cms_22_what_mgmt_does_shows_in_the_roster() {
    let served = Served::open().await;
    let alice = served.house.join("Alice", None).await;
    let mut client = served.connect().await;
    client.follow_roster(json!(["name", "audioMuted", "layout"])).await;
    let bob = served.house.join("Bob", None).await;
    let update = client.until("rosterUpdate").await["updates"].clone();
    let add = json!({"participant": bob.uuid, "updateType": "add", "name": "Bob", "audioMuted": false, "layout": "onePlusSeven"});
    assert_eq!(update, json!([add]));
    served.house.to(&alice, &bob, "mute", Value::Null).await.result();
    let update = client.until("rosterUpdate").await["updates"].clone();
    assert_eq!(update, json!([{"participant": bob.uuid, "updateType": "update", "audioMuted": true}]));
    served.house.act(&bob, "end_session", Value::Null).await.result();
    let update = client.until("rosterUpdate").await["updates"].clone();
    assert_eq!(update, json!([{"participant": bob.uuid, "updateType": "remove", "reason": "participantLeft"}]));
}

#[tokio::test]
async fn cms_13_when_the_server_ends_calls_are_deactivated_and_the_connection_is_closed() {
    let served = Served::open().await;
    served.house.join("Alice", None).await;
    let mut client = served.connect().await;
    client.follow_roster(json!([])).await;
    served.house.handle.end().await;
    assert_eq!(client.until("rosterUpdate").await["updates"][0]["reason"], "serverShutdown");
    assert_eq!(
        client.until("subscriptionUpdate").await["subscriptions"],
        json!([{"index": 2, "state": "deactivated"}])
    );
    assert_eq!(client.closed().await.0, 1001);
}

/// CMS-1: who is let in once is not let in for ever.
#[tokio::test]
async fn cms_1_a_connection_ends_with_a_reason_when_its_account_or_key_does_and_an_unused_token_with_them() {
    let served = Served::open().await;
    let admin = login("admin");
    let mut other = served.connect().await;
    let (_, token) = served.token_as("viewer", PASSWORD).await;
    let unused = served.token_as("viewer", PASSWORD).await.1.unwrap();
    let mut client = served.connect_with(&token.unwrap()).await.unwrap();
    let gone = served.house.operate(&admin, "DELETE", "accounts/viewer", Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let (code, reason) = client.closed().await;
    assert_eq!((code, reason.as_str()), (1008, "the account was deleted"));
    assert_eq!(served.connect_with(&unused).await.err(), Some(401));

    let made = served.house.operate(&admin, "POST", "keys", json!({"name": "robot", "role": "viewer"})).await;
    let bearer = format!("Bearer {}", made.json["key"].as_str().unwrap());
    let asked = house::request("POST", "/api/v1/authTokens", None).header("authorization", bearer);
    let answer = served.house.send(asked.body(axum::body::Body::empty()).unwrap()).await;
    let token = answer.headers["x-cisco-cms-auth-token"].to_str().unwrap().to_owned();
    let mut client = served.connect_with(&token).await.unwrap();
    served.house.operate(&admin, "DELETE", "keys/robot", Value::Null).await;
    assert_eq!(client.closed().await, (1008, "the API key was deleted".into()));
    // Another password ends it too; what happens to others does not.
    other.subscribe(1, json!([{"index": 1, "type": "calls"}])).await;
    other.until("subscriptionUpdate").await;
    served.house.operate(&admin, "PATCH", "accounts/operator", json!({"password": "another password"})).await;
    assert_eq!(other.closed().await.0, 1008);
}

/// CMS-1: 401 and 403 have no body; what was asked wrongly, or finds no place, says why as the REST API does (CMS-25).
#[tokio::test]
async fn cms_1_cms_25_refusals_are_bare_and_failures_are_failure_details() {
    let served = Served::open().await;
    let ask = async |method: &str, path: &str, authorization: Option<String>| {
        let mut asked = house::request(method, path, None);
        if let Some(authorization) = authorization {
            asked = asked.header("authorization", authorization);
        }
        served.house.send(asked.body(axum::body::Body::empty()).unwrap()).await
    };
    for (method, path) in [("POST", "/api/v1/authTokens"), ("GET", "/api/v1/calls"), ("GET", "/api/v1/nothing")] {
        for wrong in [None, Some(house::basic("operator", "wrong"))] {
            let answer = ask(method, path, wrong).await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (401, ""), "{path}");
            assert!(answer.headers.contains_key("www-authenticate") && !answer.headers.contains_key("content-type"));
        }
    }
    let answer = ask("POST", "/api/v1/coSpaces", Some(login("viewer"))).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (403, ""));
    assert!(!answer.headers.contains_key("content-type"));
    let plain = ask("GET", "/events/v1?authToken=x", None).await;
    assert_eq!(plain.status, 400);
    assert!(plain.text.contains("<failureDetails><invalidOperation reason="), "{}", plain.text);
}
