//! The event stream (MGMT-42 to MGMT-59): server-sent events, and the WebSocket of spec/mgmt.md section 0.
//!
//! A stream belongs to the participant, not to the token it was opened with: a refreshed token keeps it, and it ends when
//! the participant is out. A reader that is too slow is told so and cut off; it comes back and is brought up to date.
//!
//! What happens within [`TOGETHER`] of the last write goes out together: one record of TLS and one packet instead of many.
//! An event after a silence goes at once.

use super::Ctx;
use super::render::{self, Dialect};
use crate::driver::{Failure, Gauges, Reply, Request as Ask};
use crate::events::{Entry, FORMS, Next, Subscription};
use crate::http::failed;
use axum::body::{Body, Bytes};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::{SinkExt, stream};
use plenum_model::{ParticipantKey, Refusal};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Between signs of life (MGMT-42: 15 to 20 s).
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Least time between two writes to one reader, so the longest that an event is held back.
const TOGETHER: Duration = Duration::from_millis(20);
/// Entries written at once; more would hold up others on the same thread.
const AT_ONCE: usize = 64;
/// What a WebSocket client may send us: nothing that we read.
const CLIENT_MESSAGE: usize = 4 * 1024;
/// What is read at once of it. The library clears this buffer at every look for input: its default of 128 KiB costs more than
/// everything else that a delivery takes.
const READ_AT_ONCE: usize = 256;
/// How long a WebSocket client may take for one message before it is cut off.
const STALLED: Duration = Duration::from_secs(10);

struct Reader {
    subscription: Subscription,
    dialect: Dialect,
    app: crate::http::App,
    /// Runs out when it may be time for a sign of life.
    timer: Pin<Box<Sleep>>,
    written: Instant,
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
            timer: Box::pin(sleep(KEEP_ALIVE)),
            written: Instant::now() - TOGETHER,
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

/// What a reader is to be given.
enum Turn {
    Next(Next),
    SignOfLife,
}

impl Reader {
    /// What comes next: entries that come soon after the last write wait for others. Safe to drop while it waits.
    async fn turn(&mut self) -> Turn {
        loop {
            // One timer for the whole stream: it is set again only when it ran out, not for every entry.
            let next = tokio::select! {
                biased;
                next = self.subscription.next() => next,
                () = self.timer.as_mut() => {
                    let due = self.written + KEEP_ALIVE;
                    let now = Instant::now();
                    self.timer.as_mut().reset(if due > now { due } else { now + KEEP_ALIVE });
                    if due > now { continue } else { return Turn::SignOfLife }
                }
            };
            return Turn::Next(next);
        }
    }

    /// Waits until the next write may be.
    async fn gather(&mut self) {
        let due = self.written + TOGETHER;
        if Instant::now() < due {
            sleep_until(due).await;
        }
    }

    /// The next piece of the stream, and whether it goes on; `None` = it is over.
    async fn next_text(&mut self) -> Option<(Bytes, bool)> {
        let piece = match self.turn().await {
            Turn::SignOfLife => Some((Bytes::from_static(b": keep-alive\n\n"), true)),
            Turn::Next(Next::Over) => None,
            Turn::Next(Next::Moved(viewer)) => Some((Bytes::new(), self.move_on(viewer).await.is_some())),
            Turn::Next(Next::Lagged) => {
                Gauges::count(&self.app.gauges.events_lagged);
                Some((Bytes::from_static(b": too slow, begin again\n\n"), false))
            }
            Turn::Next(Next::Entry(entry)) => {
                self.gather().await;
                Some((self.texts(&entry), true))
            }
        };
        self.written = Instant::now();
        piece
    }

    /// The text of `entry` and of those that are there after it. One alone is not copied.
    fn texts(&mut self, entry: &Entry) -> Bytes {
        let first = self.text(entry);
        let Some(second) = self.subscription.next_ready() else { return first };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&self.text(&second));
        for _ in 2..AT_ONCE {
            let Some(entry) = self.subscription.next_ready() else { break };
            all.extend_from_slice(&self.text(&entry));
        }
        all.freeze()
    }

    /// An entry as server-sent events. Its id is the same for every reader that has it, so it is rendered with it.
    fn text(&self, entry: &Entry) -> Bytes {
        let dialect = self.dialect;
        let make = || vec![render::sse(dialect, &entry.body, self.subscription.id(entry).as_deref()).into()];
        entry.rendered(dialect.index(), make).first().cloned().unwrap_or_default()
    }

    /// An entry as messages of a WebSocket.
    fn messages<'a>(&self, entry: &'a Entry) -> &'a [Bytes] {
        let dialect = self.dialect;
        let id = || self.subscription.id(entry);
        entry.rendered(FORMS / 2 + dialect.index(), || render::websocket(dialect, &entry.body, id().as_deref()))
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
}

/// `GET wsevents?token=`.
pub(super) async fn websocket(c: Ctx, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &c.app).await {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.into_response(),
    };
    match follow(&c).await {
        Ok(reader) => {
            let upgrade = upgrade.max_message_size(CLIENT_MESSAGE).read_buffer_size(READ_AT_ONCE);
            upgrade.on_upgrade(|socket| serve_socket(reader, socket))
        }
        Err(refusal) => refusal,
    }
}

async fn serve_socket(mut reader: Reader, mut socket: WebSocket) {
    loop {
        // What is to be told goes first: looking for input costs a way through TLS, and there is hardly ever any.
        let turn = tokio::select! {
            biased;
            turn = reader.turn() => turn,
            received = socket.recv() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        let result = match turn {
            Turn::SignOfLife => send(&mut socket, Message::Ping(Bytes::new())).await,
            Turn::Next(Next::Entry(entry)) => {
                reader.gather().await;
                tokio::time::timeout(STALLED, send_entries(&mut reader, &mut socket, entry)).await.unwrap_or_else(
                    |_| {
                        Gauges::count(&reader.app.gauges.events_lagged);
                        None
                    },
                )
            }
            Turn::Next(Next::Moved(viewer)) => reader.move_on(viewer).await,
            Turn::Next(Next::Lagged) => {
                Gauges::count(&reader.app.gauges.events_lagged);
                close(&mut socket, 1008, "too slow, begin again").await;
                return;
            }
            Turn::Next(Next::Over) => {
                close(&mut socket, 1000, "over").await;
                return;
            }
        };
        if result.is_none() {
            return;
        }
        reader.written = Instant::now();
    }
}

/// Sends an entry and those that are there after it, in one write.
async fn send_entries(reader: &mut Reader, socket: &mut WebSocket, first: Arc<Entry>) -> Option<()> {
    let mut entry = Some(first);
    for _ in 0..AT_ONCE {
        let Some(one) = entry.take() else { break };
        for message in reader.messages(&one) {
            socket.feed(Message::Text(Utf8Bytes::try_from(message.clone()).ok()?)).await.ok()?;
        }
        entry = reader.subscription.next_ready();
    }
    socket.flush().await.ok()
}

async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    tokio::time::timeout(STALLED, socket.send(message)).await.ok()?.ok()
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let _ = send(socket, Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}
