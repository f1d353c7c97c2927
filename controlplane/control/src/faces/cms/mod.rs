//! Cisco-style events and the REST API beside them (spec/cms.md): an adapter for clients made for a Cisco Meeting Server.
//!
//! A call is a meeting that goes on, a coSpace is a conference, a callLeg a media connection. [`session`] is the protocol of
//! the event WebSocket, pure; [`socket`] carries it. The model decides everything; nothing here has a state of its own but the
//! tokens that open a connection.

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

use crate::accounts::Operator;
use crate::http::App;
use crate::serve::CmsSettings;
use axum::Router;
use axum::extract::State;
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
    tokens: Mutex<Tokens>,
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

    fn give_token(&self, app: &App) -> String {
        let token = uuid::Uuid::new_v4().to_string();
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).add(self.now_ms(app), &token);
        token
    }

    fn use_token(&self, app: &App, token: &str) -> Worth {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).take(self.now_ms(app), token)
    }
}

/// `POST /api/v1/authTokens` (CMS-1): whoever may read may subscribe.
async fn auth_token(State(app): State<App>, _reader: Operator) -> Response {
    let mut answer = StatusCode::OK.into_response();
    let headers = answer.headers_mut();
    if let Ok(token) = HeaderValue::from_str(&app.cms.give_token(&app)) {
        headers.insert(HeaderName::from_static("x-cisco-cms-auth-token"), token);
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
