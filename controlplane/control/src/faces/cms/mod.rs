//! Cisco-style events and the REST API beside them (spec/cms.md): an adapter for clients made for a Cisco Meeting Server.
//!
//! A call is a meeting that goes on, a coSpace is a conference, a callLeg a media connection. [`session`] is the protocol of
//! the event WebSocket, pure; [`socket`] carries it. The model decides everything; nothing here has a state of its own but the
//! tokens that open a connection. Who is not let through gets the bare status (CMS-1): its clients read no other body.

mod elements;
mod frames;
mod messages;
mod names;
mod rest;
mod session;
mod socket;
#[cfg(test)]
mod stories;
mod tokens;
mod world;

use crate::accounts::{Denied, Operator};
use crate::http::App;
use crate::serve::CmsSettings;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use std::sync::{Arc, Mutex, PoisonError};
use tokens::{Tokens, Worth};
use tokio::sync::Semaphore;

/// Routes of this face.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/authTokens", post(auth_token))
        .route("/events/v1", get(socket::events))
        .route("/api/v1/{*rest}", any(rest::serve))
}

/// What this face keeps.
#[derive(Debug)]
pub struct Cms {
    tokens: Mutex<Tokens<Operator>>,
    /// Places for event WebSockets.
    places: Arc<Semaphore>,
    /// This server's own GUID.
    bridge: Arc<str>,
}

impl Cms {
    /// With places for as many connections as the settings say.
    pub fn new(settings: &CmsSettings) -> Cms {
        let bridge = uuid::Uuid::from_bytes(settings.bridge).to_string();
        Cms {
            tokens: Mutex::new(Tokens::default()),
            places: Arc::new(Semaphore::new(settings.connections)),
            bridge: bridge.into(),
        }
    }

    /// Milliseconds since the program started.
    fn now_ms(&self, app: &App) -> u64 {
        u64::try_from(app.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn give_token(&self, app: &App, owner: Operator) -> String {
        let token = uuid::Uuid::new_v4().to_string();
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).add(self.now_ms(app), &token, owner);
        token
    }

    fn use_token(&self, app: &App, token: &str) -> Worth<Operator> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).take(self.now_ms(app), token)
    }
}

/// `POST /api/v1/authTokens` (CMS-1): whoever may read may subscribe.
async fn auth_token(State(app): State<App>, Client(reader): Client) -> Response {
    let mut answer = StatusCode::OK.into_response();
    let headers = answer.headers_mut();
    if let Ok(token) = HeaderValue::from_str(&app.cms.give_token(&app, reader)) {
        headers.insert(HeaderName::from_static("x-cisco-cms-auth-token"), token);
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// An [`Operator`] in front of this face.
struct Client(Operator);

impl FromRequestParts<App> for Client {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Client, Response> {
        Operator::from_request_parts(parts, app).await.map(Client).map_err(bare)
    }
}

/// A refusal without a body.
fn bare(denied: Denied) -> Response {
    let mut answer = denied.into_response();
    *answer.body_mut() = Body::empty();
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer
}

/// Feeds any text to an event connection, as a client would: what a fuzz target calls.
#[doc(hidden)]
pub fn parse_any_message(text: &[u8]) {
    session::take_any(text);
}

/// Feeds any bytes to the watch for fragmented frames.
#[doc(hidden)]
pub fn parse_any_frames(bytes: &[u8]) {
    frames::watch_any(bytes);
}

/// Feeds any bytes to the reader of forms.
#[doc(hidden)]
pub fn parse_any_form(bytes: &[u8]) {
    rest::read_any_form(bytes);
}

/// Writes any text into a document; the document.
#[doc(hidden)]
pub fn write_any_text(text: &str) -> String {
    rest::write_any(text)
}
