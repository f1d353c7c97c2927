//! Conferences as REST: `/api/plenum/v1/conferences`. A conference is named by its UUID or by any of its aliases.

use super::{refuse, unexpected};
use crate::accounts::{Operator, Steerer};
use crate::driver::{ConferenceInfo, Failure, Reply, Request as Ask};
use crate::http::problem::Problem;
use crate::http::{App, read_body};
use crate::store::rows::SettingsRow;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use plenum_model::{Refusal, Settings};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;

const BASE: &str = "/api/plenum/v1/conferences";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route(BASE, get(all).merge(post(create)))
        .route("/api/plenum/v1/conferences/{name}", get(one).put(change).patch(change).delete(delete))
        .route("/api/plenum/v1/status", get(status))
}

async fn all(State(app): State<App>, _: Operator) -> Response {
    match app.driver.ask(Ask::Conferences(None)).await {
        Ok(Reply::Conferences(list)) => {
            Json(json!({"conferences": list.iter().map(value).collect::<Vec<_>>()})).into_response()
        }
        Ok(_) => unexpected().into_response(),
        Err(failure) => refuse(failure).into_response(),
    }
}

async fn create(State(app): State<App>, _: Steerer, request: Request) -> Result<Response, Response> {
    let settings = settings(&app, request, None).await?;
    match app.driver.ask(Ask::Create(settings)).await {
        Ok(Reply::Created(id)) => {
            let mut answer = show(&app, &id.to_string()).await;
            *answer.status_mut() = StatusCode::CREATED;
            if let Ok(location) = HeaderValue::from_str(&format!("{BASE}/{id}")) {
                answer.headers_mut().insert(header::LOCATION, location);
            }
            Ok(answer)
        }
        Ok(_) => Err(unexpected().into_response()),
        Err(failure) => Err(refuse(failure).into_response()),
    }
}

async fn one(State(app): State<App>, _: Operator, Path(name): Path<String>) -> Response {
    show(&app, &name).await
}

async fn delete(State(app): State<App>, _: Steerer, Path(name): Path<String>) -> Result<Response, Response> {
    match app.driver.ask(Ask::Delete(name)).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(failure) => Err(refuse(failure).into_response()),
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
        Ok(_) => Err(refuse(Failure::Refused(Refusal::NoSuchConference)).into_response()),
        Err(failure) => Err(refuse(failure).into_response()),
    }
}

/// PUT gives all settings, PATCH those that change.
async fn change(
    State(app): State<App>,
    _: Steerer,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let before = find(&app, &name).await?;
    let base = (request.method() == Method::PATCH).then_some(before.settings);
    let settings = settings(&app, request, base).await?;
    let id = before.id.to_string();
    match app.driver.ask(Ask::Change(id.clone(), settings)).await {
        Ok(_) => Ok(show(&app, &id).await),
        Err(failure) => Err(refuse(failure).into_response()),
    }
}

/// Reads settings: those of the body over those of `base`. A new conference needs a number or an alias only: its name is
/// its first alias, and digits get an address of our domain beside them.
async fn settings(app: &App, request: Request, base: Option<SettingsRow>) -> Result<Settings, Response> {
    let bad = |reason: &str| Problem::new(StatusCode::BAD_REQUEST, reason).into_response();
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

async fn status(State(app): State<App>, _: Operator) -> Response {
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
