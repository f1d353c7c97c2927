//! Conferences as REST: `/api/plenum/v1/conferences`. A conference is named by its UUID or by any of its aliases.

use super::guard;
use crate::driver::{ConferenceInfo, Failure, Reply, Request as Ask};
use crate::http::{App, failed, read_body};
use crate::store::rows::SettingsRow;
use axum::extract::{Path, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use plenum_model::{Refusal, Settings};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;
use tower::ServiceExt as _;

const BASE: &str = "/api/plenum/v1/conferences";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route(BASE, any(guarded_all))
        .route("/api/plenum/v1/conferences/{name}", any(guarded_one))
        .route("/api/plenum/v1/status", any(guarded_status))
}

// The guard needs the application's state, which a router has only when it is complete: so it wraps each handler here.
async fn guarded_all(State(app): State<App>, request: Request) -> Response {
    behind_guard(app, request, all).await
}

async fn guarded_one(State(app): State<App>, request: Request) -> Response {
    behind_guard(app, request, one).await
}

async fn guarded_status(State(app): State<App>, request: Request) -> Response {
    behind_guard(app, request, status).await
}

async fn behind_guard<T: 'static, H: Handler<T, App> + Sync>(app: App, request: Request, handler: H) -> Response {
    let service = handler.layer(from_fn_with_state(app.clone(), guard)).with_state(app);
    match service.oneshot(request).await {
        Ok(answer) => answer.into_response(),
        Err(never) => match never {},
    }
}

async fn all(State(app): State<App>, request: Request) -> Response {
    match *request.method() {
        axum::http::Method::GET => match app.driver.ask(Ask::Conferences(None)).await {
            Ok(Reply::Conferences(list)) => {
                Json(json!({"conferences": list.iter().map(value).collect::<Vec<_>>()})).into_response()
            }
            Ok(_) => unexpected(),
            Err(failure) => refuse(failure),
        },
        axum::http::Method::POST => create(&app, request).await,
        _ => failed(StatusCode::METHOD_NOT_ALLOWED, "Only GET and POST are served here"),
    }
}

async fn create(app: &App, request: Request) -> Response {
    let settings = match settings(app, request, None).await {
        Ok(settings) => settings,
        Err(refusal) => return refusal,
    };
    match app.driver.ask(Ask::Create(settings)).await {
        Ok(Reply::Created(id)) => {
            let mut answer = show(app, &id.to_string()).await;
            *answer.status_mut() = StatusCode::CREATED;
            if let Ok(location) = HeaderValue::from_str(&format!("{BASE}/{id}")) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            answer
        }
        Ok(_) => unexpected(),
        Err(failure) => refuse(failure),
    }
}

async fn one(State(app): State<App>, Path(name): Path<String>, request: Request) -> Response {
    match *request.method() {
        axum::http::Method::GET => show(&app, &name).await,
        axum::http::Method::PUT | axum::http::Method::PATCH => change(&app, &name, request).await,
        axum::http::Method::DELETE => match app.driver.ask(Ask::Delete(name)).await {
            Ok(_) => StatusCode::NO_CONTENT.into_response(),
            Err(failure) => refuse(failure),
        },
        _ => failed(StatusCode::METHOD_NOT_ALLOWED, "Only GET, PUT, PATCH and DELETE are served here"),
    }
}

async fn show(app: &App, name: &str) -> Response {
    match find(app, name).await {
        Ok(info) => Json(value(&info)).into_response(),
        Err(refusal) => refusal,
    }
}

async fn find(app: &App, name: &str) -> Result<ConferenceInfo, Response> {
    match app.driver.ask(Ask::Conferences(Some(name.into()))).await {
        Ok(Reply::Conferences(mut list)) if !list.is_empty() => Ok(list.remove(0)),
        Ok(_) => Err(refuse(Failure::Refused(Refusal::NoSuchConference))),
        Err(failure) => Err(refuse(failure)),
    }
}

/// PUT gives all settings, PATCH those that change.
async fn change(app: &App, name: &str, request: Request) -> Response {
    let before = match find(app, name).await {
        Ok(info) => info,
        Err(refusal) => return refusal,
    };
    let base = (request.method() == axum::http::Method::PATCH).then_some(before.settings);
    let settings = match settings(app, request, base).await {
        Ok(settings) => settings,
        Err(refusal) => return refusal,
    };
    let id = before.id.to_string();
    match app.driver.ask(Ask::Change(id.clone(), settings)).await {
        Ok(_) => show(app, &id).await,
        Err(failure) => refuse(failure),
    }
}

/// Reads settings: those of the body over those of `base`. A new conference needs a number or an alias only: its name is
/// its first alias, and digits get an address of our domain beside them.
async fn settings(app: &App, request: Request, base: Option<SettingsRow>) -> Result<Settings, Response> {
    let bad = |reason: &str| failed(StatusCode::BAD_REQUEST, reason);
    let body = read_body(request.into_body()).await?;
    let given: Value = serde_json::from_slice(&body).map_err(|error| bad(&format!("The body is no JSON: {error}")))?;
    let Value::Object(mut given) = given else { return Err(bad("The body must be a JSON object")) };
    let mut members = match base.as_ref().map(serde_json::to_value) {
        Some(Ok(Value::Object(members))) => members,
        _ => serde_json::Map::new(),
    };
    if base.is_none() {
        complete(app, &mut given);
    }
    members.extend(given);
    let row: SettingsRow = serde_json::from_value(Value::Object(members)).map_err(|error| bad(&error.to_string()))?;
    row.settings().ok_or_else(|| bad("layout is not one of those that are served"))
}

fn complete(app: &App, given: &mut serde_json::Map<String, Value>) {
    if let Some(id) = given.remove("number").or_else(|| given.remove("alias")) {
        given.entry("aliases").or_insert_with(|| json!([id]));
    }
    if let Some(Value::Array(aliases)) = given.get_mut("aliases")
        && let [Value::String(only)] = &aliases[..]
        && !only.is_empty()
        && only.chars().all(|c| c.is_ascii_digit())
    {
        let address = format!("{only}@{}", app.settings.domain);
        aliases.push(address.into());
    }
    let first = given.get("aliases").and_then(|aliases| aliases.get(0)).cloned();
    if let Some(first) = first {
        given.entry("name").or_insert(first);
    }
}

fn value(info: &ConferenceInfo) -> Value {
    let mut value = serde_json::to_value(&info.settings).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.insert("id".into(), info.id.to_string().into());
        members.insert("locked".into(), info.status.locked.into());
        members.insert("started".into(), info.status.started.into());
        members.insert("participants".into(), info.participants.into());
        members.insert("with_media".into(), info.with_media.into());
    }
    value
}

async fn status(State(app): State<App>, _request: Request) -> Response {
    let gauges = &app.gauges;
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": app.started.elapsed().as_secs(),
        "media": if gauges.media_up.load(Relaxed) { "up" } else { "down" },
        "media_restarts": gauges.media_restarts.load(Relaxed),
        "shards": gauges.media().shards.len(),
        "store": if gauges.store_ok.load(Relaxed) { "ok" } else { "failed" },
        "conferences": gauges.conferences.load(Relaxed),
        "active_conferences": gauges.active_conferences.load(Relaxed),
        "participants": gauges.participants.load(Relaxed),
        "calls": gauges.calls.load(Relaxed),
        "event_streams": gauges.event_streams.load(Relaxed),
    }))
    .into_response()
}

fn refuse(failure: Failure) -> Response {
    let (status, text) = match &failure {
        Failure::Refused(Refusal::NoSuchConference) => (StatusCode::NOT_FOUND, "No such conference".into()),
        Failure::Refused(Refusal::AliasTaken(alias)) => {
            (StatusCode::CONFLICT, format!("Another conference has the alias {alias}"))
        }
        Failure::Refused(Refusal::BadValue(text)) => (StatusCode::BAD_REQUEST, text.clone()),
        Failure::Refused(Refusal::Limit(text)) => (StatusCode::CONFLICT, text.clone()),
        Failure::Refused(_) => (StatusCode::BAD_REQUEST, "This cannot be done".into()),
        other => (StatusCode::SERVICE_UNAVAILABLE, other.to_string()),
    };
    failed(status, text)
}

fn unexpected() -> Response {
    failed(StatusCode::INTERNAL_SERVER_ERROR, "Unexpected answer")
}
