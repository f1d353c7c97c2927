//! In-conference management API (spec/mgmt.md) and its Pexip-named alias paths (MGMT-62): the same handlers, other names.
//!
//! A request is taken apart here (path, token, body) and handed to the driver; what comes back is put into the frame of
//! MGMT-6. No rule lives here: who may do what is the model's decision.

mod calls;
mod checkjoin;
mod commands;
mod dial;
mod fields;
mod layouts;
mod picture;
mod render;
mod session;
mod stream;

use crate::audit::Origin;
use crate::driver::{Failure, Reply, Request as Ask, Size};
use crate::http::{App, Peer, failed, peer, read_body};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::routing::{any, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fields::Fields;
pub(crate) use fields::{decode, form_pairs};
use plenum_model::{By, Command, TokenHash};
use rand::RngCore as _;
use render::{Dialect, bad, refuse, success};
use sha2::{Digest, Sha256};

/// Routes of both dialects, the join check and the event WebSocket.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v3/meet/checkJoin.shtml", post(checkjoin::check_join))
        .route("/api/services/{alias}/{*rest}", any(services))
        .route("/api/client/v2/conferences/{alias}/{*rest}", any(conferences))
        .route("/wapi/services/{alias}/wsevents", get(services))
        .route("/wapi/client/v2/conferences/{alias}/wsevents", get(conferences))
}

async fn services(State(app): State<App>, request: Request) -> Response {
    let dialect = if app.settings.dedicated_compat { Dialect::Dedicated } else { Dialect::Services };
    enter(app, dialect, 3, request).await
}

async fn conferences(State(app): State<App>, request: Request) -> Response {
    enter(app, Dialect::Conferences, 5, request).await
}

/// Everything about a request but its body.
#[derive(Debug)]
pub(super) struct Ctx {
    app: App,
    dialect: Dialect,
    alias: String,
    peer: Peer,
    headers: HeaderMap,
    query: Vec<(String, String)>,
}

/// `skip`: segments of the path before the alias, counting the empty one before the first slash.
async fn enter(app: App, dialect: Dialect, skip: usize, request: Request) -> Response {
    let segments: Option<Vec<String>> = request.uri().path().split('/').skip(skip).map(|s| decode(s, false)).collect();
    let query = form_pairs(request.uri().query().unwrap_or_default().as_bytes());
    let (Some(mut segments), Some(query)) = (segments, query) else { return bad("the address is no UTF-8") };
    if segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    let Some((alias, path)) = segments.split_first() else { return unknown() };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let context =
        Ctx { app, dialect, alias: alias.clone(), peer: peer(&request), headers: request.headers().clone(), query };
    dispatch(context, &path, request).await
}

/// The table of MGMT's addresses.
async fn dispatch(c: Ctx, path: &[&str], request: Request) -> Response {
    let get = request.method() == Method::GET;
    let known = matches!(
        path,
        ["events" | "wsevents" | "participants" | "service_status" | "conference_status" | "presentation.jpeg"]
    );
    match (get, path) {
        (true, ["events"]) => stream::events(c).await,
        (true, ["wsevents"]) => stream::websocket(c, request).await,
        (true, ["service_status" | "conference_status"]) => commands::plain(&c, Command::Status).await,
        (true, ["participants"]) => commands::plain(&c, Command::Roster).await,
        (true, ["participants", id]) => commands::participant(&c, id).await,
        (true, ["presentation.jpeg"]) => picture::picture(&c, Size::Usual).await,
        (true, ["presentation_high.jpeg"]) => picture::picture(&c, Size::High).await,
        (true, ["available_layouts"]) => commands::available_layouts(&c).await,
        (true, ["override_layout"]) if c.dialect != Dialect::Dedicated => layouts::in_force(&c).await,
        (true, ["theme"]) => commands::no_theme(&c).await,
        (true, _) => unknown(),
        (false, _) if request.method() != Method::POST => {
            failed(StatusCode::METHOD_NOT_ALLOWED, "Only GET and POST are served")
        }
        (false, _) if known => failed(StatusCode::METHOD_NOT_ALLOWED, "This is read with GET"),
        (false, _) => {
            let body = match read_body(request.into_body()).await {
                Ok(body) => body,
                Err(refusal) => return refusal,
            };
            // sendBeacon sends any content type, and the answer is ignored (MGMT-13): the body is not looked at.
            if matches!(path, ["end_session" | "release_token"]) {
                return session::end(&c).await;
            }
            match Fields::json(&body) {
                Ok(fields) => post_request(c, path, fields).await,
                Err(reason) => bad(&reason),
            }
        }
    }
}

async fn post_request(c: Ctx, path: &[&str], fields: Fields) -> Response {
    match path {
        ["new_session" | "request_token"] => session::new(&c, &fields).await,
        ["refresh_session" | "refresh_token"] => session::refresh(&c, &fields).await,
        [name] => commands::conference(&c, name, &fields).await,
        ["participants", id, "calls"] => calls::open(&c, id, &fields).await,
        ["participants", id, "calls", call, name] => calls::command(&c, id, call, name, &fields).await,
        ["participants", id, name] => commands::member(&c, id, name, &fields).await,
        _ => unknown(),
    }
}

pub(super) fn unknown() -> Response {
    failed(StatusCode::NOT_FOUND, "No such request")
}

impl Ctx {
    /// The token of the header, hashed; `None` when there is none.
    fn token(&self) -> Option<TokenHash> {
        self.headers.get("token").map(|token| hash(token.as_bytes()))
    }

    /// The token of the header or of the query: for what browsers cannot give a header.
    fn token_or_query(&self) -> Option<TokenHash> {
        let asked = || self.query.iter().find(|(name, _)| name == "token").map(|(_, token)| hash(token.as_bytes()));
        self.token().or_else(asked)
    }

    /// Who acts; without a token nobody whom the model knows.
    fn by(&self) -> Result<By, Failure> {
        self.token().map(By::Token).ok_or(Failure::Refused(plenum_model::Refusal::InvalidToken))
    }

    async fn ask(&self, request: Ask) -> Result<Reply, Response> {
        let origin = Origin { face: "mgmt", ip: self.peer.ip, who: None };
        self.app.driver.ask_from(origin, request).await.map_err(refuse)
    }

    /// A command in this conference.
    async fn command(&self, command: Command) -> Result<Reply, Response> {
        let by = self.by().map_err(refuse)?;
        self.ask(Ask::Do { alias: self.alias.clone(), by, command }).await
    }

    /// Commands that answer `true`.
    async fn done(&self, command: Command) -> Response {
        match self.command(command).await {
            Ok(_) => success(true.into()),
            Err(refusal) => refusal,
        }
    }
}

/// Feeds any bytes to the reader of JSON bodies: what a fuzz target calls.
#[doc(hidden)]
pub fn parse_any_json(body: &[u8]) {
    if let Ok(fields) = Fields::json(body) {
        fields::read_any(&fields);
    }
}

/// The same for forms and queries.
#[doc(hidden)]
pub fn parse_any_form(body: &[u8]) {
    if let Ok(fields) = Fields::form(body) {
        fields::read_any(&fields);
    }
}

/// A token is kept as its hash alone: who reads the store cannot act as somebody.
pub(super) fn hash(token: &[u8]) -> TokenHash {
    TokenHash(Sha256::digest(token).into())
}

/// A fresh token of 256 random bits.
pub(super) fn fresh_token() -> (String, TokenHash) {
    let mut bytes = [0u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let hash = hash(token.as_bytes());
    (token, hash)
}
