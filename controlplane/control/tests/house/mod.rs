//! A control plane for tests: the real router, driver and store, a media plane played by the test, time turned by hand.
#![allow(dead_code, missing_docs, unreachable_pub)]

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use plenum::accounts::{Account, Role, hash_password};
use plenum::driver::{Clock, Driver, Gauges, Handle};
use plenum::http::{App, Peer, router};
use plenum::link::{LinkEvent, MediaLink};
use plenum::serve::Settings;
use plenum::store::{Store, Write, rows};
use plenum_contract::event::{EventBody, Hello, Limits, ShardInfo};
use plenum_contract::spec::Fingerprint;
use plenum_contract::{Command, SessionSpec, Snapshot};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt;

pub const OFFER: &str = include_str!("../../../sdp/tests/fixtures/chromium_room.sdp");
pub const SIMPLE: &str = include_str!("../../../sdp/tests/fixtures/chromium_simple.sdp");

/// The offer with three m-lines of sound, as the room page has them: voices are forwarded one by one.
pub fn three_sounds() -> String {
    let parts: Vec<&str> = OFFER.split("m=").collect();
    let sound = parts.iter().find(|part| part.starts_with("audio")).expect("sound");
    let mid = sound.lines().find_map(|line| line.strip_prefix("a=mid:")).expect("a MID");
    let more = ["x1", "x2"].map(|new| sound.replace(&format!("a=mid:{mid}\r"), &format!("a=mid:{new}\r")));
    let bundle = OFFER.lines().find(|line| line.starts_with("a=group:BUNDLE")).expect("a bundle");
    let sdp = format!("{OFFER}m={}m={}", more[0], more[1]);
    sdp.replace(bundle, &format!("{bundle} x1 x2"))
}

/// The body of a call of a browser.
pub fn webrtc() -> Value {
    json!({"call_type": "WEBRTC", "sdp": OFFER})
}

/// An offer with fresh ICE credentials.
pub fn ice_restart() -> Value {
    let (head, tail) = OFFER.split_once("a=ice-ufrag:").unwrap();
    let old = tail.lines().next().unwrap();
    json!({"sdp": format!("{head}a=ice-ufrag:{tail}").replace(&format!("a=ice-ufrag:{old}"), "a=ice-ufrag:Zz9q")})
}

/// The session that media was told of.
pub fn session(told: &[Command]) -> SessionSpec {
    told.iter().find_map(|c| if let Command::Session(spec) = c { Some(spec.clone()) } else { None }).expect("a session")
}

pub const ROOM: &str = "/api/services/1061";
/// Of the account `admin`; `operator` and `viewer` have the same.
pub const PASSWORD: &str = "letmein";

pub struct House {
    pub router: Router,
    pub handle: Handle,
    pub gauges: Arc<Gauges>,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub media: mpsc::Sender<LinkEvent>,
    pub hand: Arc<AtomicU64>,
    pub driving: JoinHandle<()>,
    _ending: watch::Sender<bool>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
    pub text: String,
}

impl Answer {
    pub fn result(&self) -> &Value {
        assert_eq!((self.status, &self.json["status"]), (StatusCode::OK, &json!("success")), "{}", self.text);
        &self.json["result"]
    }

    /// A refusal of the REST API: what is wrong, and the field where one is.
    pub fn problem(&self, status: u16) -> (String, Option<String>) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.json["status"], json!(status), "{}", self.text);
        let text = |name: &str| self.json[name].as_str().map(String::from);
        (text("detail").unwrap(), text("field"))
    }

    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.json["status"], "failed", "{}", self.text);
        self.json["result"].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Clone, Debug)]
pub struct Person {
    pub token: String,
    pub uuid: String,
    pub role: String,
    pub state: String,
}

/// Conference 1061 without PIN.
pub fn open_room() -> rows::SettingsRow {
    rows::SettingsRow {
        name: "Conference 1061".into(),
        aliases: vec!["1061".into(), "1061@plenum.local".into()],
        host_pin: None,
        guest_pin: None,
        allow_guests: true,
        chat: true,
        guests_can_present: true,
        mute_on_join: false,
        layout: "1:7".into(),
        hand_over: false,
        kind: rows::KindRow::Permanent,
    }
}

/// The same with host PIN 1234 and guest PIN 99.
pub fn pin_room() -> rows::SettingsRow {
    rows::SettingsRow { host_pin: Some("1234".into()), guest_pin: Some("99".into()), ..open_room() }
}

impl House {
    pub async fn open() -> House {
        House::with(open_room(), Settings::default()).await
    }

    pub async fn with_pins() -> House {
        House::with(pin_room(), Settings::default()).await
    }

    pub async fn with(room: rows::SettingsRow, settings: Settings) -> House {
        let mut store = Store::in_memory().await.unwrap();
        add_room(&mut store, room).await;
        House::start(store, settings).await
    }

    /// On a file, to be started again on the same one.
    pub async fn on(file: &Path) -> House {
        House::on_with(file, Settings::default()).await
    }

    pub async fn on_with(file: &Path, settings: Settings) -> House {
        let fresh = !file.exists();
        let mut store = Store::open(file).await.unwrap();
        if fresh {
            add_room(&mut store, pin_room()).await;
        }
        House::start(store, settings).await
    }

    async fn start(mut store: Store, settings: Settings) -> House {
        if store.directory().await.unwrap().accounts.is_empty() {
            add_accounts(&mut store).await;
        }
        let (link, commands) = MediaLink::channel();
        let (media, facts) = mpsc::channel(64);
        let (clock, hand) = Clock::manual();
        let settings = Arc::new(settings);
        let (driver, handle, gauges) = Driver::new(settings.clone(), store, clock, link, facts).await.unwrap();
        let driving = tokio::spawn(driver.run());
        let (ending, closing) = watch::channel(false);
        let private = settings.webhook_private;
        tokio::spawn(plenum::hooks::deliver::run(handle.clone(), gauges.clone(), private, closing.clone()));
        let app = App::new(settings, handle.clone(), gauges.clone(), closing);
        House { router: router(app), handle, gauges, commands, media, hand, driving, _ending: ending }
    }

    /// A media plane of this boot connects.
    pub async fn media_up(&mut self, boot: u128, same_boot: bool) {
        self.media_up_with(boot, same_boot, Snapshot { last: true, ..Snapshot::default() }).await;
    }

    pub async fn media_up_with(&mut self, boot: u128, same_boot: bool, snapshot: Snapshot) {
        let address = "192.0.2.1:40000".parse().unwrap();
        let hello = Hello {
            version: plenum_contract::VERSION,
            boot,
            fingerprints: vec![Fingerprint([boot as u8; 32])],
            shards: vec![ShardInfo { udp: vec![address], tcp: vec![address], back_end: "mmsg".into() }],
            limits: Limits { sessions_per_shard: 10, media_per_session: 64, max_bitrate: 10_000_000 },
        };
        self.media.send(LinkEvent::Up { hello, same_boot, snapshot }).await.unwrap();
        self.settle().await;
    }

    /// A media plane of this boot with several shards connects.
    pub async fn media_up_sharded(&mut self, boot: u128, shards: usize) {
        let address = "192.0.2.1:40000".parse().unwrap();
        let shard = ShardInfo { udp: vec![address], tcp: vec![address], back_end: "mmsg".into() };
        let hello = Hello {
            version: plenum_contract::VERSION,
            boot,
            fingerprints: vec![Fingerprint([boot as u8; 32])],
            shards: vec![shard; shards],
            limits: Limits { sessions_per_shard: 10, media_per_session: 64, max_bitrate: 10_000_000 },
        };
        let snapshot = Snapshot { last: true, ..Snapshot::default() };
        self.media.send(LinkEvent::Up { hello, same_boot: false, snapshot }).await.unwrap();
        self.settle().await;
    }

    pub async fn media_says(&self, body: EventBody) {
        self.media.send(LinkEvent::Event(body)).await.unwrap();
        self.settle().await;
    }

    /// Everything that was sent to the driver is done: its loop picks at random among what is ready, so ask several times.
    pub async fn settle(&self) {
        while self.media.capacity() < self.media.max_capacity() {
            self.handle.tick().await;
        }
        self.handle.tick().await;
    }

    pub async fn pass(&self, seconds: u64) {
        self.hand.fetch_add(seconds * 1000, Ordering::Relaxed);
        self.handle.tick().await;
    }

    /// What media was told since the last time.
    pub fn told(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.commands.try_recv().ok()).collect()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 24).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, json, text }
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Answer {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request("POST", path, token).body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(request("GET", path, token).body(Body::empty()).unwrap()).await
    }

    /// An operator's request to the REST API, below `/api/plenum/v1/`.
    pub async fn operate(&self, authorization: &str, method: &str, path: &str, body: Value) -> Answer {
        let asked = request(method, &format!("/api/plenum/v1/{path}"), None).header("authorization", authorization);
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(asked.body(body).unwrap()).await
    }

    pub async fn try_join(&self, name: &str, pin: Option<&str>) -> Answer {
        let mut request = request("POST", &format!("{ROOM}/new_session"), None);
        if let Some(pin) = pin {
            request = request.header("pin", pin);
        }
        self.send(request.body(Body::from(json!({"display_name": name}).to_string())).unwrap()).await
    }

    pub async fn join(&self, name: &str, pin: Option<&str>) -> Person {
        person(&self.try_join(name, pin).await)
    }

    /// Sets a call up and acknowledges it; its UUID and our answer.
    pub async fn call(&self, who: &Person, body: Value) -> (String, String) {
        let answer = self.post(&format!("{ROOM}/participants/{}/calls", who.uuid), Some(&who.token), body).await;
        let result = answer.result();
        let call = result["call_uuid"].as_str().unwrap().to_owned();
        let sdp = result["sdp"].as_str().unwrap().to_owned();
        let ack = format!("{ROOM}/participants/{}/calls/{call}/ack", who.uuid);
        assert_eq!(self.post(&ack, Some(&who.token), Value::Null).await.result(), &json!(true));
        (call, sdp)
    }

    /// As somebody, to a path below the conference.
    pub async fn act(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.post(&format!("{ROOM}/{path}"), Some(&who.token), body).await
    }

    /// As somebody, to somebody.
    pub async fn to(&self, who: &Person, whom: &Person, name: &str, body: Value) -> Answer {
        self.act(who, &format!("participants/{}/{name}", whom.uuid), body).await
    }

    pub async fn events(&self, who: &Person) -> Events {
        self.events_since(who, None).await
    }

    pub async fn events_since(&self, who: &Person, last: Option<&str>) -> Events {
        self.events_at(&format!("{ROOM}/events?token={}", who.token), last).await
    }

    pub async fn events_at(&self, path: &str, last: Option<&str>) -> Events {
        let mut request = request("GET", path, None);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Events { body: answer.into_body().into_data_stream(), text: String::new(), last_id: None }
    }
}

async fn add_room(store: &mut Store, room: rows::SettingsRow) {
    let body = rows::new_conference_body("5e010203-0405-0607-0809-0a0b0c0d0eff", room).unwrap();
    store.commit(&[Write::Conference(1, Some(body))]).await.unwrap();
}

/// Accounts `admin`, `operator` and `viewer`, with one password hash: argon2id is slow by design.
async fn add_accounts(store: &mut Store) {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let hash = HASH.get_or_init(|| hash_password(PASSWORD).unwrap());
    for role in [Role::Admin, Role::Operator, Role::Viewer] {
        let account = Account { role, password: hash.as_str().into(), created: 0 };
        let body = serde_json::to_string(&account).unwrap();
        store.commit(&[Write::Account(role.name().into(), Some(body))]).await.unwrap();
    }
}

/// The `Authorization` of an account with [`PASSWORD`].
pub fn login(name: &str) -> String {
    basic(name, PASSWORD)
}

pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

pub fn request(method: &str, path: &str, token: Option<&str>) -> axum::http::request::Builder {
    let mut builder = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        builder = builder.header("token", token);
    }
    builder
}

/// From another address.
pub fn from(mut request: Request<Body>, ip: &str) -> Request<Body> {
    request.extensions_mut().insert(Peer { ip: ip.parse::<IpAddr>().unwrap(), local: false });
    request
}

pub fn person(answer: &Answer) -> Person {
    let result = answer.result();
    let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
    Person {
        token: text("token"),
        uuid: text("participant_uuid"),
        role: text("role"),
        state: text("current_service_type"),
    }
}

/// An event stream, read block by block.
pub struct Events {
    body: axum::body::BodyDataStream,
    text: String,
    pub last_id: Option<String>,
}

impl Events {
    /// The next event; `None` = the stream is over.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()))
                };
                if let Some(id) = field("id:") {
                    self.last_id = Some(id);
                }
                if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                    return Some((name, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let chunk =
                tokio::time::timeout(Duration::from_secs(20), self.body.next()).await.expect("an event within 20 s")?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    /// Reads until an event of this name.
    pub async fn until(&mut self, name: &str) -> Value {
        loop {
            let (got, data) = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
            if got == name {
                return data;
            }
        }
    }

    /// Reads the first picture: the names of who is there.
    pub async fn sync(&mut self) -> Vec<String> {
        let (first, _) = self.next().await.unwrap();
        assert_eq!(first, "participant_sync_begin");
        let mut names = Vec::new();
        loop {
            match self.next().await.unwrap() {
                (name, data) if name == "participant_create" => {
                    names.push(data["display_name"].as_str().unwrap().to_owned())
                }
                (name, _) => {
                    assert_eq!(name, "participant_sync_end");
                    return names;
                }
            }
        }
    }

    /// Reads to the end of the stream; the names of the events.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some((name, _)) = self.next().await {
            names.push(name);
        }
        names
    }
}
