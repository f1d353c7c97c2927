//! Sessions: new_session, refresh_session, end_session (MGMT-8 to MGMT-14).

use super::fields::Fields;
use super::render::{Dialect, bad, refuse, role_name, service_type, success};
use super::{Ctx, fresh_token};
use crate::driver::{Failure, Reply, Request as Ask};
use crate::http::limiter::{Kind, WRONG_GUESS};
use crate::http::{failed, too_many};
use crate::serve::Settings;
use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plenum_model::{By, Command, Join, ParticipantId, Refusal};
use serde_json::{Value, json};

/// Seconds that a token lives.
const LIFE: u64 = plenum_model::limits::TOKEN_LIFE_MS / 1000;

pub(super) async fn new(c: &Ctx, fields: &Fields) -> Response {
    if !c.app.limiter.allow(c.peer.ip, Kind::Join) {
        return too_many();
    }
    let read = || -> Result<(String, bool), String> {
        Ok((fields.text("display_name")?.unwrap_or_default(), fields.flag("hideme")?.unwrap_or(false)))
    };
    let (display_name, hidden) = match read() {
        Ok(read) => read,
        Err(reason) => return bad(&reason),
    };
    let pin = match pin(&c.headers) {
        Ok(pin) => pin,
        Err(refusal) => return *refusal,
    };
    let (token, hash) = fresh_token();
    let vendor = c.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let join = Join {
        alias: c.alias.clone(),
        pin,
        id: ParticipantId(*uuid::Uuid::new_v4().as_bytes()),
        token: hash,
        display_name,
        hidden,
        vendor: vendor.into(),
    };
    match c.app.driver.ask(Ask::Join(join)).await {
        Ok(reply) => joined(c, &token, reply),
        Err(Failure::Refused(Refusal::Pin(need))) => {
            if need.wrong {
                c.app.limiter.charge(c.peer.ip, WRONG_GUESS);
            }
            pin_needed(c.dialect, need.guest_pin)
        }
        Err(failure) => refuse(failure),
    }
}

fn joined(c: &Ctx, token: &str, reply: Reply) -> Response {
    let Reply::Joined { id, role, state, settings, display_name } = reply else {
        return failed(StatusCode::INTERNAL_SERVER_ERROR, "Unexpected answer");
    };
    let ours = &c.app.settings;
    let mut result = json!({
        "token": token,
        "expires": c.dialect.expires(LIFE, ours),
        "participant_uuid": id.to_string(),
        "display_name": display_name,
        "stun": stun(ours),
        "turn": turn(ours),
        "analytics_enabled": false,
        "version": version(),
        "role": role_name(role),
        "service_type": "conference",
        "chat_enabled": settings.chat,
        "current_service_type": service_type(state),
    });
    let more = json!({
        "allow_1080p": true,
        "bandwidth_in": 0,
        "bandwidth_out": 0,
        "call_type": "video",
        "conference_name": settings.name,
        "direct_media": false,
        "fecc_enabled": true,
        "guests_can_present": settings.guests_can_present,
        "owner": "",
        "rtmp_enabled": false,
        "rtsp_enabled": false,
        "trickle_ice_enabled": true,
        "vp9_enabled": false,
    });
    // The dedicated cloud lacks the fields of 2.2.0 (MGMT-60).
    if c.dialect != Dialect::Dedicated
        && let (Value::Object(result), Value::Object(more)) = (&mut result, more)
    {
        result.extend(more);
    }
    // Pexip's clients make an ICE server of an empty list, which browsers refuse.
    if c.dialect == Dialect::Conferences
        && ours.stun.is_empty()
        && let Value::Object(result) = &mut result
    {
        result.remove("stun");
    }
    success(result)
}

/// MGMT-61.
fn version() -> Value {
    json!({"pseudo_version": "25010.0.0", "version_id": "12"})
}

/// MGMT-10. Pexip's clients take it only with the version.
fn pin_needed(dialect: Dialect, guest_pin: bool) -> Response {
    let mut result = json!({"pin": "required", "guest_pin": if guest_pin { "required" } else { "none" }});
    if dialect == Dialect::Conferences {
        result["version"] = version();
    }
    (StatusCode::FORBIDDEN, Json(json!({"status": "success", "result": result}))).into_response()
}

fn stun(settings: &Settings) -> Value {
    settings.stun.iter().map(|url| json!({"url": url})).collect()
}

fn turn(settings: &Settings) -> Value {
    let server = |turn: &crate::serve::TurnServer| json!({"urls": turn.urls, "username": turn.username, "credential": turn.credential});
    settings.turn.iter().map(server).collect()
}

/// The `pin` header: not there, or empty or `none` (the person has none), or a PIN.
fn pin(headers: &HeaderMap) -> Result<Option<String>, Box<Response>> {
    let Some(pin) = headers.get("pin") else { return Ok(None) };
    match pin.to_str() {
        Ok(pin) if pin.trim().is_empty() || pin.trim().eq_ignore_ascii_case("none") => Ok(Some(String::new())),
        Ok(pin) if pin.len() <= 64 => Ok(Some(pin.trim().into())),
        _ => Err(Box::new(bad("the pin header cannot be a PIN"))),
    }
}

pub(super) async fn refresh(c: &Ctx, fields: &Fields) -> Response {
    let display_name = match fields.text("display_name") {
        Ok(name) => name.filter(|name| !name.trim().is_empty()),
        Err(reason) => return bad(&reason),
    };
    let (token, hash) = fresh_token();
    match c.command(Command::Refresh { token: hash, display_name }).await {
        Ok(Reply::Refreshed { role, prolonged }) => {
            let old = c.headers.get("token").and_then(|old| old.to_str().ok()).unwrap_or_default();
            let token = if prolonged { old } else { &token };
            let expires = c.dialect.expires(LIFE, &c.app.settings);
            success(json!({"token": token, "expires": expires, "role": role_name(role)}))
        }
        Ok(_) => failed(StatusCode::INTERNAL_SERVER_ERROR, "Unexpected answer"),
        Err(refusal) => refusal,
    }
}

pub(super) async fn end(c: &Ctx) -> Response {
    let Some(token) = c.token_or_query() else { return refuse(Failure::Refused(Refusal::InvalidToken)) };
    match c.ask(Ask::Do { alias: c.alias.clone(), by: By::Token(token), command: Command::Leave }).await {
        Ok(_) => success(true.into()),
        Err(refusal) => refusal,
    }
}
