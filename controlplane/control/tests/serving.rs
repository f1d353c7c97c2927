//! The whole program but for media: sockets, first start, WebSocket events, the operator's socket, the way out.
#![allow(missing_docs)]

use base64::Engine as _;
use futures_util::StreamExt;
use plenum::link::MediaLink;
use plenum::serve::{Control, Listener, Settings};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

struct Program {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    password: Option<String>,
    _media: mpsc::Sender<plenum::link::LinkEvent>,
}

async fn start(data: &Path) -> Program {
    let settings = Settings { data: data.into(), ..Settings::default() };
    let control = Control::open(settings).await.unwrap();
    let password = control.first_password.clone();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let (link, _commands) = MediaLink::channel();
    let (media, facts) = mpsc::channel(8);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(async move {
        control.run(vec![Listener { tcp, tls: None }], link, facts, stopped).await.unwrap();
    });
    Program { address, stop, running, password, _media: media }
}

/// One HTTP/1.1 exchange on a connection that ends with it.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> (u16, Value) {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

impl Program {
    async fn post(&self, path: &str, headers: &str, body: Value) -> (u16, Value) {
        exchange(TcpStream::connect(self.address).await.unwrap(), "POST", path, headers, &body.to_string()).await
    }

    async fn local(&self, data: &Path, method: &str, path: &str) -> (u16, Value) {
        // The socket is there a moment after the start.
        let stream = loop {
            match UnixStream::connect(data.join("control.sock")).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        exchange(stream, method, path, "", "").await
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(20), self.running).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_first_start_makes_1061_and_an_operator_and_the_second_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = start(folder.path()).await;
    let password = program.password.clone().expect("a first password");
    let (status, joined) =
        program.post("/api/services/1061@plenum.local/new_session", "", json!({"display_name": "A"})).await;
    assert_eq!((status, &joined["result"]["role"]), (200, &json!("HOST")), "no PIN");
    let (status, list) = program.local(folder.path(), "GET", "/api/plenum/v1/conferences").await;
    assert_eq!((status, &list["conferences"][0]["aliases"]), (200, &json!(["1061", "1061@plenum.local"])));
    let mode = std::fs::metadata(folder.path().join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "who owns the folder operates, nobody else");
    let (status, _) = program.local(folder.path(), "DELETE", "/api/plenum/v1/conferences/1061").await;
    assert_eq!(status, 204);
    program.end().await;
    assert!(!folder.path().join("control.sock").exists());

    let program = start(folder.path()).await;
    assert_eq!(program.password, None, "shown once");
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("admin:{password}"));
    let login = format!("authorization: Basic {pair}\r\n");
    let stream = TcpStream::connect(program.address).await.unwrap();
    let (status, list) = exchange(stream, "GET", "/api/plenum/v1/conferences", &login, "").await;
    assert_eq!((status, &list["conferences"]), (200, &json!([])), "deleted, it does not come back");
    program.end().await;
}

#[tokio::test]
async fn the_event_websocket_tells_the_same_and_the_end_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let program = start(folder.path()).await;
    let (_, joined) = program.post("/api/services/1061/new_session", "", json!({"display_name": "A"})).await;
    let token = joined["result"]["token"].as_str().unwrap().to_owned();
    let url = |token: &str| format!("ws://{}/wapi/services/1061/wsevents?token={token}", program.address);
    let refused = tokio_tungstenite::connect_async(url("nonsense")).await;
    assert!(matches!(refused, Err(tokio_tungstenite::tungstenite::Error::Http(answer)) if answer.status() == 403));
    let (mut socket, _) = tokio_tungstenite::connect_async(url(&token)).await.unwrap();
    let mut next = async || loop {
        let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.unwrap()?.unwrap();
        if message.is_text() {
            let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
            assert_eq!(event["_command"], "event");
            break Some(event);
        }
        if message.is_close() {
            break None;
        }
    };
    let begin = next().await.unwrap();
    assert_eq!((&begin["_eventName"], &begin["_eventId"]), (&json!("participant_sync_begin"), &Value::Null));
    assert_eq!(next().await.unwrap()["data"]["display_name"], "A");
    program.post("/api/services/1061/message", &format!("token: {token}\r\n"), json!({"payload": "hi"})).await;
    loop {
        let event = next().await.unwrap();
        if event["_eventName"] == "message" {
            assert_eq!(event["data"]["payload"], "hi");
            assert!(event["_eventId"].is_string());
            break;
        }
    }
    program.stop.send(true).unwrap();
    assert_eq!(next().await.unwrap()["_eventName"], "disconnect");
    assert_eq!(next().await, None, "the socket is closed in order");
    program.running.await.unwrap();
}
