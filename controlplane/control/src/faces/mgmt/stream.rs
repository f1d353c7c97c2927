//! The event stream (MGMT-42 to MGMT-59): server-sent events, and the WebSocket of spec/mgmt.md section 0.
//!
//! A stream belongs to the participant, not to the token it was opened with: a refreshed token keeps it, and it ends when
//! the participant is out. A reader that is too slow is told so and cut off; it comes back and is brought up to date.

use super::Ctx;
use super::render::{self, Dialect};
use crate::driver::{Failure, Gauges, Reply, Request as Ask};
use crate::events::{Entry, Next, Subscription};
use crate::http::failed;
use axum::body::{Body, Bytes};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use plenum_model::{ParticipantKey, Refusal};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

/// Between signs of life (MGMT-42: 15 to 20 s).
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Entries written at once; more would hold up others on the same thread.
const AT_ONCE: usize = 64;
/// What a WebSocket client may send us: nothing that we read.
const CLIENT_MESSAGE: usize = 4 * 1024;
/// How long a WebSocket client may take for one message before it is cut off.
const STALLED: Duration = Duration::from_secs(10);

struct Reader {
    subscription: Subscription,
    dialect: Dialect,
    app: crate::http::App,
    next_sign: Instant,
    _place: OwnedSemaphorePermit,
}

async fn follow(c: &Ctx) -> Result<Reader, Response> {
    let Some(token) = c.token_or_query() else {
        return Err(render::refuse(Failure::Refused(Refusal::InvalidToken)));
    };
    let Ok(place) = c.app.streams.clone().try_acquire_owned() else {
        let limit = c.app.settings.limits.event_streams;
        return Err(failed(StatusCode::SERVICE_UNAVAILABLE, format!("Limit of {limit} event streams reached")));
    };
    let asked = c.query.iter().find(|(name, _)| name == "last_event_id").map(|(_, id)| id.clone());
    let header = c.headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(String::from);
    match c.ask(Ask::Follow { alias: c.alias.clone(), token, last_id: header.or(asked) }).await? {
        Reply::Stream(subscription) => Ok(Reader {
            subscription,
            dialect: c.dialect,
            app: c.app.clone(),
            next_sign: Instant::now() + KEEP_ALIVE,
            _place: place,
        }),
        _ => Err(super::unknown()),
    }
}

/// `GET events?token=`.
pub(super) async fn events(c: Ctx) -> Response {
    let reader = match follow(&c).await {
        Ok(reader) => reader,
        Err(refusal) => return refusal,
    };
    // The first bytes go at once: EventSource is open only when they are there.
    let begin = stream::once(async { Ok::<_, std::convert::Infallible>(Bytes::from_static(b"retry: 1000\n\n")) });
    let rest = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        let (text, goes_on) = reader.next_text().await?;
        Some((Ok(text), goes_on.then_some(reader)))
    });
    let body = Body::from_stream(futures_util::StreamExt::chain(begin, rest));
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

impl Reader {
    /// The next piece of the stream, and whether it goes on; `None` = it is over.
    async fn next_text(&mut self) -> Option<(Bytes, bool)> {
        match timeout_at(self.next_sign, self.subscription.next()).await {
            Err(_) => {
                self.next_sign = Instant::now() + KEEP_ALIVE;
                Some((Bytes::from_static(b": keep-alive\n\n"), true))
            }
            Ok(Next::Over) => None,
            Ok(Next::Moved(viewer)) => Some((Bytes::new(), self.move_on(viewer).await.is_some())),
            Ok(Next::Lagged) => {
                Gauges::count(&self.app.gauges.events_lagged);
                Some((Bytes::from_static(b": too slow, begin again\n\n"), false))
            }
            Ok(Next::Entry(entry)) => {
                self.next_sign = Instant::now() + KEEP_ALIVE;
                let mut text = String::new();
                self.write(&entry, &mut text);
                for _ in 1..AT_ONCE {
                    let Some(entry) = self.subscription.next_ready() else { break };
                    self.write(&entry, &mut text);
                }
                Some((text.into(), true))
            }
        }
    }

    /// Follows the conference that the reader was moved to.
    async fn move_on(&mut self, viewer: ParticipantKey) -> Option<()> {
        match self.app.driver.ask(Ask::Resume(viewer)).await {
            Ok(Reply::Stream(subscription)) => {
                self.subscription = subscription;
                Some(())
            }
            _ => None,
        }
    }

    fn write(&self, entry: &Arc<Entry>, out: &mut String) {
        let dialect = self.dialect;
        let text = entry.rendered(dialect.index(), |body| render::sse(dialect, body));
        // An id goes into the last block of the entry, before the empty line that ends it.
        match (self.subscription.id(entry), text.strip_suffix('\n')) {
            (Some(id), Some(open)) => {
                out.push_str(open);
                out.push_str("id: ");
                out.push_str(&id);
                out.push_str("\n\n");
            }
            _ => out.push_str(&text),
        }
    }
}

/// `GET wsevents?token=`.
pub(super) async fn websocket(c: Ctx, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &c.app).await {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.into_response(),
    };
    match follow(&c).await {
        Ok(reader) => upgrade.max_message_size(CLIENT_MESSAGE).on_upgrade(|socket| serve_socket(reader, socket)),
        Err(refusal) => refusal,
    }
}

async fn serve_socket(mut reader: Reader, mut socket: WebSocket) {
    loop {
        let message = tokio::select! {
            next = timeout_at(reader.next_sign, reader.subscription.next()) => next,
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        reader.next_sign = Instant::now() + KEEP_ALIVE;
        let result = match message {
            Err(_) => send(&mut socket, Message::Ping(Bytes::new())).await,
            Ok(Next::Entry(entry)) => send_entry(&reader, &mut socket, &entry).await,
            Ok(Next::Moved(viewer)) => reader.move_on(viewer).await,
            Ok(Next::Lagged) => {
                Gauges::count(&reader.app.gauges.events_lagged);
                close(&mut socket, 1008, "too slow, begin again").await;
                return;
            }
            Ok(Next::Over) => {
                close(&mut socket, 1000, "over").await;
                return;
            }
        };
        if result.is_none() {
            return;
        }
    }
}

async fn send_entry(reader: &Reader, socket: &mut WebSocket, entry: &Entry) -> Option<()> {
    let id = reader.subscription.id(entry);
    for (name, data) in render::messages(reader.dialect, &entry.body) {
        let message = json!({"_command": "event", "_eventName": name, "_eventId": id, "data": data});
        send(socket, Message::Text(message.to_string().into())).await?;
    }
    Some(())
}

async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    tokio::time::timeout(STALLED, socket.send(message)).await.ok()?.ok()
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let _ = send(socket, Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}
