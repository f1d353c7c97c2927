//! Commands to the conference and to participants (MGMT-15 to MGMT-38): from names and bodies to the model's commands.

use super::fields::{Bad, Fields};
use super::render::{self, Dialect, bad, success};
use super::{Ctx, unknown};
use crate::driver::Reply;
use crate::http::failed;
use axum::http::StatusCode;
use axum::response::Response;
use plenum_model::layout::{LAYOUTS, LayoutAudience};
use plenum_model::limits::{ACTORS, DTMF_DIGITS};
use plenum_model::{Command, LayoutEntry, LayoutName, MemberCommand, ParticipantId, Role};
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

/// MGMT-46: there is no picture before there is a mixer.
pub(super) async fn no_picture(c: &Ctx) -> Response {
    let Some(token) = c.token_or_query() else {
        return failed(StatusCode::FORBIDDEN, "Invalid token");
    };
    let asked = crate::driver::Request::Do {
        alias: c.alias.clone(),
        by: plenum_model::By::Token(token),
        command: Command::Status,
    };
    match c.ask(asked).await {
        Ok(_) => {
            failed(StatusCode::NOT_FOUND, "There is no picture of the presentation: this server does not decode video")
        }
        Err(refusal) => refusal,
    }
}

pub(super) async fn layouts(c: &Ctx) -> Response {
    match c.command(Command::Status).await {
        Ok(_) => success(json!(LAYOUTS)),
        Err(refusal) => refusal,
    }
}

/// `POST <name>`.
pub(super) async fn conference(c: &Ctx, name: &str, fields: &Fields) -> Response {
    let command = match name {
        "lock" => Command::Lock(true),
        "unlock" => Command::Lock(false),
        "start_service" | "start_conference" => Command::Start,
        "muteguests" => Command::MuteGuests(true),
        "unmuteguests" => Command::MuteGuests(false),
        "disconnect" => Command::End,
        "clearallbuzz" => Command::ClearHands,
        "message" => match message(fields) {
            Ok((content_type, payload)) => Command::Message { content_type, payload },
            Err(reason) => return bad(&reason),
        },
        "override_layout" => return override_layout(c, fields).await,
        "transform_layout" => return transform_layout(c, fields).await,
        "dial" => return not_yet(c, "Dialling out needs SIP or RTMP, which this server does not have yet").await,
        _ => return unknown(),
    };
    c.done(command).await
}

/// Refuses what needs a part that is not there, but only to those who may ask.
async fn not_yet(c: &Ctx, reason: &str) -> Response {
    match c.command(Command::Status).await {
        Ok(_) => failed(StatusCode::NOT_IMPLEMENTED, reason),
        Err(refusal) => refusal,
    }
}

fn message(fields: &Fields) -> Result<(String, String), Bad> {
    Ok((fields.text("type")?.unwrap_or_else(|| "text/plain".into()), fields.required("payload")?))
}

/// MGMT-26. Under `/api/services/` the audience `""` is the guests (B7).
async fn override_layout(c: &Ctx, fields: &Fields) -> Response {
    let entries = match entries(fields) {
        Ok(entries) => entries,
        Err(reason) => return bad(&reason),
    };
    let entries = match c.dialect {
        Dialect::Services => entries,
        Dialect::Conferences => everybody_else(entries),
    };
    let active: Vec<Value> = entries.iter().map(entry_value).collect();
    match c.command(Command::OverrideLayout(entries)).await {
        Ok(_) => success(active.into()),
        Err(refusal) => refusal,
    }
}

/// On the alias path `""` is everybody whom no other entry names: alone, it is for hosts as well.
fn everybody_else(mut entries: Vec<LayoutEntry>) -> Vec<LayoutEntry> {
    if let [only] = &entries[..]
        && only.audience == LayoutAudience::Guests
    {
        let hosts = LayoutEntry { audience: LayoutAudience::Hosts, ..only.clone() };
        entries.insert(0, hosts);
    }
    entries
}

fn entries(fields: &Fields) -> Result<Vec<LayoutEntry>, Bad> {
    let list = fields.objects("layouts", 2)?.ok_or("layouts is missing")?;
    list.iter().map(entry).collect()
}

fn entry(fields: &Fields) -> Result<LayoutEntry, Bad> {
    let audience = match fields.text("audience")?.unwrap_or_default().to_ascii_lowercase().as_str() {
        "hosts" | "host" => LayoutAudience::Hosts,
        "" | "guests" => LayoutAudience::Guests,
        other => return Err(format!("audience must be \"hosts\" or \"\", not {other:?}")),
    };
    let actors = fields.texts("actors", ACTORS)?;
    let actors = actors.iter().map(|id| ParticipantId::parse(id).ok_or_else(|| format!("actors: {id:?} is no uuid")));
    Ok(LayoutEntry {
        audience,
        actors: actors.collect::<Result<_, _>>()?,
        vad_backfill: fields.flag("vad_backfill")?.unwrap_or(true),
        layout: layout_name(&fields.required("layout")?)?,
        plus_n: on_or_auto(fields, "plus_n")?,
        overlay_text: on_or_auto(fields, "actors_overlay_text")?,
    })
}

fn layout_name(name: &str) -> Result<LayoutName, Bad> {
    LayoutName::parse(name).ok_or_else(|| format!("layout must be one of {}", LAYOUTS.join(", ")))
}

fn on_or_auto(fields: &Fields, name: &str) -> Result<bool, Bad> {
    match fields.text(name)?.as_deref() {
        None | Some("auto" | "on" | "") => Ok(true),
        Some("off") => Ok(false),
        Some(_) => Err(format!("{name} must be \"auto\" or \"off\"")),
    }
}

fn entry_value(entry: &LayoutEntry) -> Value {
    json!({
        "audience": match entry.audience { LayoutAudience::Hosts => "hosts", LayoutAudience::Guests => "" },
        "actors": entry.actors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "vad_backfill": entry.vad_backfill,
        "layout": entry.layout.as_str(),
        "plus_n": if entry.plus_n { "auto" } else { "off" },
        "actors_overlay_text": if entry.overlay_text { "auto" } else { "off" },
    })
}

/// Pexip's way to say the same: `{transforms: {layout, host_layout, guest_layout}}`.
async fn transform_layout(c: &Ctx, fields: &Fields) -> Response {
    let read = || -> Result<Vec<LayoutEntry>, Bad> {
        let Some(wanted) = fields.object("transforms")? else { return Ok(Vec::new()) };
        let common = wanted.text("layout")?;
        let mut entries = Vec::new();
        for (name, audience) in [("host_layout", LayoutAudience::Hosts), ("guest_layout", LayoutAudience::Guests)] {
            if let Some(layout) = wanted.text(name)?.or_else(|| common.clone()) {
                entries.push(LayoutEntry {
                    audience,
                    actors: Vec::new(),
                    vad_backfill: true,
                    layout: layout_name(&layout)?,
                    plus_n: true,
                    overlay_text: wanted.flag("enable_overlay_text")?.unwrap_or(true),
                });
            }
        }
        Ok(entries)
    };
    match read() {
        Ok(entries) => c.done(Command::OverrideLayout(entries)).await,
        Err(reason) => bad(&reason),
    }
}

/// `POST participants/<id>/<name>`.
pub(super) async fn member(c: &Ctx, id: &str, name: &str, fields: &Fields) -> Response {
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
        "dtmf" => return dtmf(c, fields).await,
        "transfer" => return not_yet(c, "Transfer between conferences is not available yet").await,
        "fecc" => return not_yet(c, "No participant here has a camera that can be steered").await,
        _ => return unknown(),
    };
    match ParticipantId::parse(id) {
        Some(target) => c.done(Command::To { target, command }).await,
        None => failed(StatusCode::NOT_FOUND, "No such participant"),
    }
}

/// MGMT-36: browsers take no tones, and other legs come with SIP.
pub(super) async fn dtmf(c: &Ctx, fields: &Fields) -> Response {
    let digits = match fields.required("digits") {
        Ok(digits) => digits,
        Err(reason) => return bad(&reason),
    };
    let tone = |digit: char| digit.is_ascii_digit() || matches!(digit, '*' | '#' | ',' | 'A'..='D' | 'a'..='d');
    if digits.is_empty() || digits.len() > DTMF_DIGITS || !digits.chars().all(tone) {
        return bad(&format!("digits must be 1 to {DTMF_DIGITS} of 0-9 * # A-D"));
    }
    not_yet(c, "No participant here takes tones: they come with SIP").await
}

/// B4: roles in any of their words and letter cases.
fn role_of(word: &str) -> Result<Role, Bad> {
    match word.to_ascii_lowercase().as_str() {
        "chair" | "host" => Ok(Role::Host),
        "guest" => Ok(Role::Guest),
        _ => Err("role must be chair or guest".into()),
    }
}
