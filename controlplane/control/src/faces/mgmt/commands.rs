//! Commands to the conference and to participants (MGMT-15 to MGMT-38): from names and bodies to the model's commands.

use super::fields::{Bad, Fields};
use super::render::{self, Dialect, bad, success};
use super::{Ctx, dial, layouts, unknown};
use crate::driver::Reply;
use crate::http::failed;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use plenum_model::layout::LAYOUTS;
use plenum_model::limits::MOVEMENTS;
use plenum_model::{CameraAction, CameraMove, CameraMovement, Command, MemberCommand, ParticipantId, Role, Transfer};
use serde_json::{Value, json};

/// A command without arguments whose answer is a value.
pub(super) async fn plain(c: &Ctx, command: Command) -> Response {
    match c.command(command).await {
        Ok(Reply::Roster(list)) => success(list.iter().map(render::participant).collect()),
        Ok(Reply::Status(status)) => success(render::status(&status)),
        Ok(_) => success(true.into()),
        Err(refusal) => refusal,
    }
}

/// One participant (MGMT-57 `api_url`).
pub(super) async fn participant(c: &Ctx, id: &str) -> Response {
    match c.command(Command::Roster).await {
        Ok(Reply::Roster(list)) => match list.iter().find(|view| ParticipantId::parse(id) == Some(view.id)) {
            Some(view) => success(render::participant(view)),
            None => failed(StatusCode::NOT_FOUND, "No such participant"),
        },
        Ok(_) => unknown(),
        Err(refusal) => refusal,
    }
}

pub(super) async fn available_layouts(c: &Ctx) -> Response {
    match c.command(Command::Status).await {
        Ok(_) => success(json!(LAYOUTS)),
        Err(refusal) => refusal,
    }
}

/// Pexip's clients ask for the theme before they do anything else; 204 says that there is none.
pub(super) async fn no_theme(c: &Ctx) -> Response {
    match c.command(Command::Status).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => refusal,
    }
}

/// `POST <name>`.
pub(super) async fn conference(c: &Ctx, name: &str, fields: &Fields) -> Response {
    let command = match name {
        "lock" => Command::Lock(true),
        "unlock" => Command::Lock(false),
        // MGMT-60: answered, without effect; who may not ask is refused all the same.
        "start_service" if c.dialect == Dialect::Dedicated => return c.done(Command::Nothing).await,
        "start_service" | "start_conference" => Command::Start,
        "muteguests" => Command::MuteGuests { muted: true, but_presenter: c.dialect == Dialect::Dedicated },
        "unmuteguests" => Command::MuteGuests { muted: false, but_presenter: false },
        "disconnect" => Command::End,
        "clearallbuzz" => Command::ClearHands,
        "message" => match message(fields) {
            Ok((content_type, payload)) => Command::Message { content_type, payload },
            Err(reason) => return bad(&reason),
        },
        "override_layout" | "transform_layout" if c.dialect == Dialect::Dedicated => return unknown(),
        "override_layout" => return layouts::override_layout(c, fields).await,
        "transform_layout" => return layouts::transform_layout(c, fields).await,
        "dial" => return dial::dial(c, fields).await,
        _ => return unknown(),
    };
    c.done(command).await
}

fn message(fields: &Fields) -> Result<(String, String), Bad> {
    Ok((fields.text("type")?.unwrap_or_else(|| "text/plain".into()), fields.required("payload")?))
}

/// `POST participants/<id>/<name>`.
pub(super) async fn member(c: &Ctx, id: &str, name: &str, fields: &Fields) -> Response {
    // MGMT-60.
    let missing = ["spotlighton", "spotlightoff", "unlock", "role", "transfer", "volume"];
    if c.dialect == Dialect::Dedicated && missing.contains(&name) {
        return unknown();
    }
    let command = match name {
        "disconnect" => MemberCommand::Disconnect,
        "mute" => MemberCommand::Mute(true),
        "unmute" => MemberCommand::Mute(false),
        "client_mute" => MemberCommand::SelfMute(true),
        "client_unmute" => MemberCommand::SelfMute(false),
        "hard_vmute" | "video_muted" => MemberCommand::VideoMute(true),
        "hard_uvmute" | "video_unmuted" => MemberCommand::VideoMute(false),
        "cancel_delay" => MemberCommand::LowLatency(true),
        "resume_delay" => MemberCommand::LowLatency(false),
        "allowrxpresentation" => MemberCommand::ReceivePresentation(true),
        "denyrxpresentation" => MemberCommand::ReceivePresentation(false),
        "spotlighton" => MemberCommand::Spotlight(true),
        "spotlightoff" => MemberCommand::Spotlight(false),
        "volume" => match volume(fields) {
            Ok(percent) => MemberCommand::Volume(percent),
            Err(reason) => return bad(&reason),
        },
        "unlock" => MemberCommand::Admit,
        "buzz" => MemberCommand::Hand(true),
        "clearbuzz" => MemberCommand::Hand(false),
        "take_floor" => MemberCommand::TakeFloor,
        "release_floor" => MemberCommand::ReleaseFloor,
        "role" => match fields.required("role").and_then(|role| role_of(&role)) {
            Ok(role) => MemberCommand::Role(role),
            Err(reason) => return bad(&reason),
        },
        "overlaytext" => match fields.text("text") {
            Ok(text) => MemberCommand::OverlayText(text.unwrap_or_default()),
            Err(reason) => return bad(&reason),
        },
        "message" => match message(fields) {
            Ok((content_type, payload)) => MemberCommand::Message { content_type, payload },
            Err(reason) => return bad(&reason),
        },
        "dtmf" => match digits(fields) {
            Ok(digits) => MemberCommand::Digits(digits),
            Err(reason) => return bad(&reason),
        },
        "transfer" => match transfer(fields) {
            Ok(transfer) => MemberCommand::Transfer(transfer),
            Err(reason) => return bad(&reason),
        },
        "fecc" => match camera(fields) {
            Ok(movement) => MemberCommand::Camera(movement),
            Err(reason) => return bad(&reason),
        },
        "lobby" => MemberCommand::Lobby,
        // Pexip's clients tell these by themselves: nobody is thrown out for doing nothing, and there is no mix to shape.
        "notify_not_afk" | "preferred_aspect_ratio" => return c.done(Command::Status).await,
        _ => return unknown(),
    };
    // Pexip's clients take nothing but null here.
    let floor = c.dialect == Dialect::Conferences && matches!(name, "take_floor" | "release_floor");
    let result = if floor { Value::Null } else { true.into() };
    match ParticipantId::parse(id) {
        Some(target) => c.command(Command::To { target, command }).await.map_or_else(|no| no, |_| success(result)),
        None => failed(StatusCode::NOT_FOUND, "No such participant"),
    }
}

/// Ours: how loud somebody is in mixed sound; the model knows the bound.
fn volume(fields: &Fields) -> Result<u16, Bad> {
    let percent = fields.number("percent")?.ok_or("percent is missing")?;
    Ok(u16::try_from(percent).unwrap_or(u16::MAX))
}

/// MGMT-36: the digits; the model says what digits are and who takes them.
pub(super) fn digits(fields: &Fields) -> Result<String, Bad> {
    fields.required("digits")
}

/// MGMT-58.
pub(super) fn camera(fields: &Fields) -> Result<CameraMove, Bad> {
    let action = match fields.required("action")?.to_ascii_lowercase().as_str() {
        "start" => CameraAction::Start,
        "stop" => CameraAction::Stop,
        "continue" => CameraAction::Continue,
        _ => return Err("action must be start, stop or continue".into()),
    };
    let movement = |fields: &Fields| {
        let words = (fields.required("axis")?.to_ascii_lowercase(), fields.required("direction")?.to_ascii_lowercase());
        Ok(match (words.0.as_str(), words.1.as_str()) {
            ("pan", "left") => CameraMovement::PanLeft,
            ("pan", "right") => CameraMovement::PanRight,
            ("tilt", "up") => CameraMovement::TiltUp,
            ("tilt", "down") => CameraMovement::TiltDown,
            ("zoom", "in") => CameraMovement::ZoomIn,
            ("zoom", "out") => CameraMovement::ZoomOut,
            (axis, direction) => return Err(format!("movement: no direction {direction:?} of axis {axis:?}")),
        })
    };
    let movements = fields.objects("movement", MOVEMENTS)?.unwrap_or_default();
    Ok(CameraMove {
        action,
        movements: movements.iter().map(movement).collect::<Result<_, Bad>>()?,
        timeout_ms: u32::try_from(fields.number("timeout")?.unwrap_or(0)).unwrap_or(u32::MAX),
    })
}

/// MGMT-38. A PIN that is not given, or said to be none, is that of somebody who has none.
fn transfer(fields: &Fields) -> Result<Transfer, Bad> {
    let alias = match fields.text("conference_alias")? {
        Some(alias) if !alias.trim().is_empty() => alias.trim().to_owned(),
        _ => return Err("conference_alias is missing".into()),
    };
    let pin = fields.text("pin")?.unwrap_or_default();
    let pin = if pin.trim().eq_ignore_ascii_case("none") { String::new() } else { pin.trim().to_owned() };
    let role = fields.text("role")?.filter(|role| !role.is_empty()).map(|role| role_of(&role)).transpose()?;
    Ok(Transfer { alias, pin: Some(pin), role, ending: Vec::new() })
}

/// B4: roles in any of their words and letter cases.
pub(super) fn role_of(word: &str) -> Result<Role, Bad> {
    match word.to_ascii_lowercase().as_str() {
        "chair" | "host" => Ok(Role::Host),
        "guest" => Ok(Role::Guest),
        _ => Err("role must be chair or guest".into()),
    }
}
