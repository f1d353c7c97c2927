//! The event WebSocket: handshake, and the task around a [`Session`].
//!
//! Bounds: places (CMS-6), [`MESSAGE`] bytes of a message, [`STALLED`] for a client to take one of ours, the session's own rules,
//! and the feed's ring: whoever falls behind it is closed. We never send pings; pings are answered. A client that vanished is
//! noticed by the kernel (`http::server`) and gives its place back. A connection ends when the account or key that its token was
//! given to does.

use super::bare;
use super::frames::{FRAGMENTED, Whole};
use super::rest::Fail;
use super::session::{Closing, Rules, Session};
use super::tokens::Worth;
use crate::accounts::{self, Denied, Standing};
use crate::driver::{Gauges, Reply, Request as Ask};
use crate::events::{Observer, Seen};
use crate::faces::mgmt::form_pairs;
use crate::http::App;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Most bytes of a client's message: a hundred subscriptions with all elements are some 40 KiB.
const MESSAGE: usize = 64 << 10;
/// How long a client may take for one message, and for our closing.
const STALLED: Duration = Duration::from_secs(10);
/// What is read at once: the library clears this buffer at every look for input.
const READ_AT_ONCE: usize = 4 << 10;
/// Whoever may read may subscribe.
const NEEDED: accounts::Role = accounts::Role::Viewer;
/// When nothing else is due.
const LONG: Duration = Duration::from_secs(3_600);

type Socket = WebSocketStream<Whole<TokioIo<Upgraded>>>;

/// `GET /events/v1?authToken=`.
pub(super) async fn events(State(app): State<App>, mut request: Request) -> Response {
    match admit(&app, &mut request).await {
        Ok((upgrade, key, connection)) => {
            tokio::spawn(async move {
                let place = connection.place;
                match upgrade.await {
                    Ok(upgraded) => serve(&app, upgraded, connection.observer, connection.standing).await,
                    Err(error) => tracing::debug!(%error, "no WebSocket came of it"),
                }
                drop(place);
            });
            switching(&key)
        }
        Err(refusal) => refusal,
    }
}

struct Connection {
    place: OwnedSemaphorePermit,
    observer: Observer,
    standing: Standing,
}

async fn admit(app: &App, request: &mut Request) -> Result<(OnUpgrade, String, Connection), Response> {
    let bad = |reason: &str| Fail::new("invalidOperation", reason).into_response();
    if !origin_allowed(&app.settings.cms.origins, request.headers()) {
        return Err(StatusCode::FORBIDDEN.into_response());
    }
    let key = upgrade_key(request).ok_or_else(|| bad("this is opened as a WebSocket of version 13"))?;
    let query = form_pairs(request.uri().query().unwrap_or_default().as_bytes()).ok_or_else(|| bad("no UTF-8"))?;
    let mut tokens = query.iter().filter(|(name, _)| name == "authToken");
    let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
        return Err(StatusCode::UNAUTHORIZED.into_response());
    };
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| bad("this connection cannot switch"))?;
    // A place first: whoever finds none can come back with the same token.
    let Ok(place) = app.cms.places.clone().try_acquire_owned() else {
        let most = app.settings.cms.connections;
        let reason = format!("limit of {most} event connections reached");
        return Err(Fail::busy("connectionLimitReached", reason).into_response());
    };
    let owner = match app.cms.use_token(app, token) {
        Worth::Good(owner) => owner,
        Worth::Unknown => return Err(StatusCode::UNAUTHORIZED.into_response()),
        Worth::Used => return Err(StatusCode::FORBIDDEN.into_response()),
    };
    if owner.still(&app.accounts.now(), NEEDED).is_err() {
        return Err(bare(Denied::Wrong));
    }
    let standing = Standing::new(owner, NEEDED, &app.accounts);
    match app.driver.ask(Ask::Observe).await {
        Ok(Reply::Observing(observer)) => Ok((upgrade, key, Connection { place, observer, standing })),
        _ => Err(Fail::busy("databaseNotReady", "the server has no time at the moment").into_response()),
    }
}

/// CMS-4: no list allows every origin, and a client that names none is no page of another site.
fn origin_allowed(allowed: &[String], headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    allowed.is_empty() || allowed.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
}

/// The key of an upgrade request of RFC 6455 section 4.2.1.
fn upgrade_key(request: &Request) -> Option<String> {
    let headers = request.headers();
    let names = |name, word: &str| {
        let all = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        all.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    let asks = names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket")
        && names(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    (request.method() == Method::GET && asks && key.len() == 24).then(|| key.to_owned())
}

fn switching(key: &str) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}

async fn serve(app: &App, upgraded: Upgraded, mut observer: Observer, mut standing: Standing) {
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE)).max_frame_size(Some(MESSAGE));
    let config = config.read_buffer_size(READ_AT_ONCE);
    let stream = Whole::new(TokioIo::new(upgraded));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let settings = &app.settings.cms;
    let rules = Rules {
        subscriptions: settings.subscriptions,
        unacked: settings.unacknowledged,
        ack_ms: settings.acknowledge_within_ms,
    };
    let mut session = Session::new(rules, app.cms.bridge.clone(), app.cms.now_ms(app));
    if let Seen::Happened(picture) = observer.next().await {
        session.happened(app.cms.now_ms(app), &picture);
    }
    let closing = tokio::select! {
        biased;
        reason = standing.lost() => Some(Closing(1008, reason.into())),
        closing = converse(app, &mut socket, &mut session, &mut observer) => closing,
    };
    let Some(Closing(code, reason)) = closing else { return };
    tracing::info!(code, reason, "an event client is closed");
    let frame = CloseFrame { code: code.into(), reason: reason.into() };
    let _ = timeout(STALLED, async {
        let _ = socket.close(Some(frame)).await;
        // What is on its way is read until the client has closed too: else it might never see why.
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
}

/// Serves until the client goes (`None`) or is to be closed.
async fn converse(app: &App, socket: &mut Socket, session: &mut Session, observer: &mut Observer) -> Option<Closing> {
    loop {
        for text in session.take() {
            match timeout(STALLED, socket.send(Message::text(text))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => {
                    Gauges::count(&app.gauges.events_lagged);
                    return Some(Closing(1008, "too slow".into()));
                }
            }
        }
        if let Some(closing) = session.closing() {
            return Some(closing.clone());
        }
        let now = app.cms.now_ms(app);
        let wait = session.deadline_ms().map_or(LONG, |at| Duration::from_millis(at.saturating_sub(now)));
        tokio::select! {
            seen = observer.next() => match seen {
                Seen::Happened(happened) => session.happened(app.cms.now_ms(app), &happened),
                Seen::Lagged => {
                    Gauges::count(&app.gauges.events_lagged);
                    return Some(Closing(1008, "too slow".into()));
                }
                Seen::Over => return Some(Closing(1001, "the server is shutting down".into())),
            },
            received = socket.next() => match received {
                None | Some(Ok(Message::Close(_))) => return None,
                Some(Ok(Message::Text(text))) => session.received(app.cms.now_ms(app), text.as_str()),
                Some(Ok(Message::Binary(_))) => return Some(Closing(1003, "binary frames are not supported".into())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return unreadable(&error),
            },
            () = sleep(wait) => session.tick(app.cms.now_ms(app)),
        }
    }
}

/// What the client is told of bytes that cannot be read; `None` = it is gone.
fn unreadable(error: &Error) -> Option<Closing> {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Some(Closing(1002, FRAGMENTED.into())),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            Some(Closing(1009, format!("a message has at most {MESSAGE} bytes")))
        }
        Error::Utf8(_) => Some(Closing(1007, "text frames carry UTF-8".into())),
        Error::Protocol(error) => Some(Closing(1002, error.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&str>) -> HeaderMap {
        let origin = origin.map(|origin| (header::ORIGIN, HeaderValue::from_str(origin).unwrap()));
        origin.into_iter().collect()
    }

    #[test]
    fn cms_4_an_origin_of_another_site_is_accepted_unless_a_list_says_otherwise() {
        let list = ["http://xx.example:8080".to_owned()];
        assert!(origin_allowed(&[], &headers(Some("http://evil.example"))));
        assert!(origin_allowed(&list, &headers(Some("http://XX.example:8080"))));
        assert!(origin_allowed(&list, &headers(None)));
        assert!(!origin_allowed(&list, &headers(Some("http://xx.example:8081"))));
    }

    /// CMS-5 (D10): the key of the guide's sample; the accept that it prints belongs to another key.
    #[test]
    fn cms_5_the_accept_is_that_of_rfc_6455_and_no_extension_is_agreed_on() {
        let answer = switching("lGaahHe/KdA91PdPxAlZfw==");
        assert_eq!(answer.headers()[header::SEC_WEBSOCKET_ACCEPT], "iEkQSbNlBdIwG7zT8sk6pwlGtSQ=");
        assert!(!answer.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS));
    }
}
