//! Media connections (MGMT-39, MGMT-40): offer and answer, ack, update, candidates, end; and our own `wishes`.

use super::commands::{camera, digits};
use super::fields::{Bad, Fields};
use super::render::{Dialect, bad, refuse, success};
use super::{Ctx, unknown};
use crate::calls::Present;
use crate::driver::{Offer, Reply, Request as Ask};
use crate::http::failed;
use axum::http::StatusCode;
use axum::response::Response;
use plenum_contract::spec::SlotWish;
use plenum_model::{CallCommand, CallId, Command, MemberCommand, ParticipantId};
use serde_json::{Value, json};

/// Slots that a page may have wishes for: as many as a session may have m-lines.
const WISHES: usize = 256;

/// `POST participants/<id>/calls`.
pub(super) async fn open(c: &Ctx, id: &str, fields: &Fields) -> Response {
    let Some(target) = ParticipantId::parse(id) else { return no_participant() };
    let kind = match fields.text("call_type") {
        Ok(kind) => kind.unwrap_or_else(|| "WEBRTC".into()).to_ascii_uppercase(),
        Err(reason) => return bad(&reason),
    };
    match kind.as_str() {
        "WEBRTC" => {}
        "RTMP" => return failed(StatusCode::NOT_IMPLEMENTED, "Streaming by RTMP is not available yet"),
        _ => return bad("call_type must be WEBRTC or RTMP"),
    }
    let read = || -> Result<Wanted, Bad> {
        let present = match fields.text("present")?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "none" | "main" => None,
            "send" => Some(Present::Send),
            "receive" => Some(Present::Receive),
            _ => return Err("present must be send or receive".into()),
        };
        let bitrate = fields.number("bandwidth")?.filter(|kbit| *kbit > 0).map(|kbit| kbit.saturating_mul(1000));
        let fecc = fields.flag("fecc_supported")?.unwrap_or(false);
        let mix = match fields.text("media")?.unwrap_or_default().to_ascii_lowercase().as_str() {
            "" => None,
            "mix" => Some(true),
            "forward" => Some(false),
            _ => return Err("media must be mix or forward".into()),
        };
        Ok(Wanted { sdp: fields.required("sdp")?, present, max_bitrate: bitrate, fecc, mix })
    };
    match read() {
        Ok(wanted) => answer(c, target, None, wanted).await,
        Err(reason) => bad(&reason),
    }
}

/// What an offer comes with.
#[derive(Default)]
struct Wanted {
    sdp: String,
    present: Option<Present>,
    max_bitrate: Option<u64>,
    fecc: bool,
    mix: Option<bool>,
}

async fn answer(c: &Ctx, target: ParticipantId, call: Option<CallId>, wanted: Wanted) -> Response {
    let Wanted { sdp, present, max_bitrate, fecc, mix } = wanted;
    let by = match c.by() {
        Ok(by) => by,
        Err(failure) => return refuse(failure),
    };
    let offer = Offer { alias: c.alias.clone(), by, target, call, present, sdp, max_bitrate, fecc, mix };
    match c.ask(Ask::Offer(offer)).await {
        Ok(Reply::Answer { call, sdp }) => success(json!({"call_uuid": call.to_string(), "sdp": sdp})),
        Ok(_) => unknown(),
        Err(refusal) => refusal,
    }
}

/// `POST participants/<id>/calls/<call>/<name>`.
pub(super) async fn command(c: &Ctx, id: &str, call: &str, name: &str, fields: &Fields) -> Response {
    let Some(target) = ParticipantId::parse(id) else { return no_participant() };
    let Some(call) = CallId::parse(call) else { return failed(StatusCode::NOT_FOUND, "No such call") };
    match name {
        // Pexip's clients may put an SDP into the acknowledgement; ours is final with the answer.
        "ack" => done(c, target, CallCommand::Start(call), true.into()).await,
        "disconnect" => {
            let result = if c.dialect == Dialect::Conferences { Value::Null } else { true.into() };
            done(c, target, CallCommand::Close(call), result).await
        }
        "update" => match fields.required("sdp") {
            Ok(sdp) => answer(c, target, Some(call), Wanted { sdp, ..Wanted::default() }).await,
            Err(reason) => bad(&reason),
        },
        // We are ICE lite: a client's checks tell us where it is, its candidates do not.
        "new_candidate" => done(c, target, CallCommand::Check(call), Value::Null).await,
        "statistics" => done(c, target, CallCommand::Check(call), Value::Null).await,
        "wishes" => wishes(c, target, call, fields).await,
        "dtmf" => match digits(fields) {
            Ok(digits) => done(c, target, CallCommand::Digits(call, digits), true.into()).await,
            Err(reason) => bad(&reason),
        },
        "fecc" => match camera(fields) {
            Ok(movement) => done(c, target, CallCommand::Camera(call, movement), true.into()).await,
            Err(reason) => bad(&reason),
        },
        _ => unknown(),
    }
}

async fn done(c: &Ctx, target: ParticipantId, command: CallCommand, result: Value) -> Response {
    match c.command(Command::To { target, command: MemberCommand::Call(command) }).await {
        Ok(_) => success(result),
        Err(refusal) => refusal,
    }
}

/// `{slots:[{mid, width, height, max_fps}]}`: the sizes at which a page shows its slots; 0×0 = not shown.
async fn wishes(c: &Ctx, target: ParticipantId, call: CallId, fields: &Fields) -> Response {
    let slots = match read_wishes(fields) {
        Ok(slots) => slots,
        Err(reason) => return bad(&reason),
    };
    let by = match c.by() {
        Ok(by) => by,
        Err(failure) => return refuse(failure),
    };
    match c.ask(Ask::Wishes { alias: c.alias.clone(), by, target, call, slots }).await {
        Ok(_) => success(true.into()),
        Err(refusal) => refusal,
    }
}

fn read_wishes(fields: &Fields) -> Result<Vec<SlotWish>, Bad> {
    let list = fields.objects("slots", WISHES)?.ok_or("slots is missing")?;
    let size = |fields: &Fields, name: &str| -> Result<u16, Bad> {
        Ok(u16::try_from(fields.number(name)?.unwrap_or(0)).unwrap_or(u16::MAX))
    };
    let wish = |fields: &Fields| -> Result<SlotWish, Bad> {
        let mid = fields.required("mid")?;
        if mid.len() > 16 {
            return Err("mid is longer than 16 bytes".into());
        }
        let fps = fields.number("max_fps")?.unwrap_or(0).min(255);
        Ok(SlotWish {
            mid,
            width: size(fields, "width")?,
            height: size(fields, "height")?,
            max_fps: u8::try_from(fps).unwrap_or(u8::MAX),
            pinned: None,
        })
    };
    list.iter().map(wish).collect()
}

fn no_participant() -> Response {
    failed(StatusCode::NOT_FOUND, "No such participant")
}
