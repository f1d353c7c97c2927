//! Calling somebody (MGMT-15 to MGMT-18): from words to the model's command. Whether there is a part that can call is the
//! model's to say.

use super::commands::role_of;
use super::fields::{Bad, Fields};
use super::render::{Dialect, bad, success};
use super::{Ctx, unknown};
use crate::driver::Reply;
use axum::response::Response;
use plenum_model::{Command, Dial, DialMedia, Dialled, KeepAlive, ParticipantId, Protocol, Role};
use serde_json::json;

pub(super) async fn dial(c: &Ctx, fields: &Fields) -> Response {
    let dial = match read(c.dialect, fields) {
        Ok(dial) => dial,
        Err(reason) => return bad(&reason),
    };
    match c.command(Command::Dial(Box::new(dial))).await {
        Ok(Reply::Dialled(id)) => success(json!([id.to_string()])),
        Ok(_) => unknown(),
        Err(refusal) => refusal,
    }
}

fn read(dialect: Dialect, fields: &Fields) -> Result<Dial, Bad> {
    let text = |name: &str| Ok::<String, Bad>(fields.text(name)?.unwrap_or_default());
    let protocol = match text("protocol")?.to_ascii_lowercase().as_str() {
        "sip" => Protocol::Sip,
        "h323" => Protocol::H323,
        _ if dialect == Dialect::Dedicated => return Err("protocol must be sip or h323".into()),
        "rtmp" => Protocol::Rtmp,
        "rtsp" => Protocol::Rtsp,
        "mssip" => Protocol::MsSip,
        "phone" => Protocol::Phone,
        "auto" | "" => Protocol::Auto,
        _ => return Err("protocol must be one of sip, h323, rtmp, rtsp, mssip, phone, auto".into()),
    };
    let media = match text("call_type")?.to_ascii_lowercase().as_str() {
        "video" | "" => DialMedia::Video,
        "video-only" => DialMedia::VideoOnly,
        "audio" => DialMedia::Audio,
        _ => return Err("call_type must be video, video-only or audio".into()),
    };
    let streaming = fields.flag("streaming")?.unwrap_or(false);
    let keep_alive = match text("keep_conference_alive")?.to_ascii_lowercase().as_str() {
        "keep_conference_alive" => KeepAlive::Yes,
        "keep_conference_alive_if_multiple" => KeepAlive::IfMultiple,
        "keep_conference_alive_never" => KeepAlive::Never,
        "" if streaming => KeepAlive::Never,
        "" => KeepAlive::Yes,
        _ => return Err("keep_conference_alive is none of its three values".into()),
    };
    let role = text("role")?;
    Ok(Dial {
        id: ParticipantId(*uuid::Uuid::new_v4().as_bytes()),
        destination: fields.required("destination")?,
        role: if role.is_empty() { Role::Guest } else { role_of(&role)? },
        display_name: text("remote_display_name")?,
        how: Dialled {
            protocol,
            media,
            streaming,
            keep_alive,
            dtmf_sequence: text("dtmf_sequence")?,
            presentation_url: text("presentation_url")?,
            source: text("source")?,
            source_display_name: text("source_display_name")?,
            answer_by_ms: 0,
        },
    })
}
