//! The HTTP side: one router for every face, and what holds for every request: size and time limits, a request id, rates for
//! each address, CORS, counters. Faces convert; nothing here knows what a request means.

mod leftover;
pub mod limiter;
mod patience;
pub(crate) mod places;
pub mod problem;
mod sending;
pub mod server;

use crate::accounts::{Accounts, Logins};
use crate::driver::{Gauges, Handle};
use crate::faces;
use crate::faces::cms::Cms;
use crate::serve::Settings;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use limiter::{Kind, Limiter};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;

/// Largest body. An offer with 64 m-lines is some 100 KiB.
pub const BODY: usize = 256 * 1024;
/// How long a request may take, its body included. Streams of events only begin within it.
const PATIENCE: Duration = Duration::from_secs(15);

/// What handlers need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

/// See [`App`].
#[derive(Debug)]
pub struct Inner {
    /// Settings.
    pub settings: Arc<Settings>,
    /// The one who decides.
    pub driver: Handle,
    /// Numbers.
    pub gauges: Arc<Gauges>,
    /// Who may operate.
    pub accounts: Accounts,
    /// How their passwords are checked.
    pub logins: Logins,
    /// Rates.
    pub limiter: Limiter,
    /// What the CMS face keeps.
    pub cms: Cms,
    /// Places for event streams.
    pub streams: Arc<Semaphore>,
    /// Becomes true when the program ends.
    pub ending: watch::Receiver<bool>,
    /// When the program started.
    pub started: Instant,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Puts the parts together.
    pub fn new(settings: Arc<Settings>, driver: Handle, gauges: Arc<Gauges>, ending: watch::Receiver<bool>) -> App {
        let limits = &settings.limits;
        App(Arc::new(Inner {
            limiter: Limiter::new(driver.clock().clone(), limits.requests_per_address, limits.joins_per_address),
            cms: Cms::new(&settings.cms),
            streams: Arc::new(Semaphore::new(limits.event_streams.min(Semaphore::MAX_PERMITS))),
            settings,
            accounts: driver.accounts().clone(),
            logins: Logins::new(driver.clock().clone()),
            driver,
            gauges,
            ending,
            started: Instant::now(),
        }))
    }
}

/// Where a request came from; set by the server. Requests without it (tests) come from this machine.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The address.
    pub ip: IpAddr,
    /// Came by the Unix socket in the data folder: whoever can open it is an operator.
    pub local: bool,
}

impl Default for Peer {
    fn default() -> Peer {
        Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), local: false }
    }
}

/// Who sent a request.
pub fn peer(request: &Request) -> Peer {
    request.extensions().get::<Peer>().copied().unwrap_or_default()
}

/// Everything that is served.
pub fn router(app: App) -> Router {
    Router::new()
        .merge(faces::mgmt::routes())
        .merge(faces::cms::routes())
        .merge(faces::operator::routes())
        .merge(faces::room::routes())
        .fallback(|| async { failed(StatusCode::NOT_FOUND, "No such address") })
        .layer(axum::extract::DefaultBodyLimit::max(BODY))
        .layer(axum::middleware::from_fn_with_state(app.clone(), around))
        .layer(axum::middleware::from_fn(leftover::take))
        .with_state(app)
}

/// The error frame of MGMT-6.
pub fn failed(status: StatusCode, result: impl Into<String>) -> Response {
    (status, Json(json!({"status": "failed", "result": result.into()}))).into_response()
}

/// Reads a body of at most [`BODY`] bytes.
pub(crate) async fn read_body(body: Body) -> Result<Bytes, Response> {
    axum::body::to_bytes(body, BODY).await.map_err(|_| {
        failed(StatusCode::PAYLOAD_TOO_LARGE, format!("The body is longer than {BODY} bytes, or broke off"))
    })
}

/// Around every request.
async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = HeaderValue::from_str(&uuid::Uuid::new_v4().simple().to_string()).unwrap_or(HeaderValue::from_static("0"));
    let peer = peer(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let api = path.starts_with("/api/") || path.starts_with("/wapi/");
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default(), %method, path, ip = %peer.ip);
    request.extensions_mut().insert(peer);
    let answer = async {
        if !peer.local && !app.limiter.allow(peer.ip, Kind::Request) {
            Gauges::count(&app.gauges.limited);
            return too_many();
        }
        if api && method == Method::OPTIONS {
            return preflight(request.headers());
        }
        match tokio::time::timeout(PATIENCE, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => failed(StatusCode::REQUEST_TIMEOUT, "The request took too long"),
        }
    };
    let mut answer = answer.instrument(span.clone()).await;
    let status = answer.status();
    let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
    app.gauges.answers[class].fetch_add(1, Relaxed);
    if status.is_server_error() {
        span.in_scope(|| tracing::warn!(status = status.as_u16(), "answered"));
    } else {
        span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
    }
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("x-request-id"), id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if api {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    answer
}

/// Refuses an address that asks too much.
pub(crate) fn too_many() -> Response {
    let mut answer = failed(StatusCode::TOO_MANY_REQUESTS, "Too many requests from this address");
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Pages of other origins may use the API: it carries its authority in a header, never in a cookie.
fn preflight(asked: &HeaderMap) -> Response {
    let mut answer = StatusCode::NO_CONTENT.into_response();
    let headers = answer.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let allowed = wanted.unwrap_or(HeaderValue::from_static("token, pin, content-type"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    answer
}
