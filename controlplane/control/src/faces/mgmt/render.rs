//! The model's values as MGMT has them, in the dialect of the seed or with the Pexip names of section 0.

use crate::driver::Failure;
use crate::http::failed;
use crate::serve::Settings;
use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use plenum_model::event::Status;
use plenum_model::{
    CameraAction, CameraMove, CameraMovement, EventBody, ParticipantView, Protocol, Refusal, Role, SeatView,
    ServiceState,
};
use serde_json::{Value, json};

/// Which names the caller uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `/api/services/`.
    Services,
    /// `/api/client/v2/conferences/`.
    Conferences,
    /// `/api/services/` as the dedicated cloud has it (MGMT-60), where the settings say so.
    Dedicated,
}

impl Dialect {
    /// Place in an entry's rendered texts.
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// An expiry in seconds: text for Pexip's clients, a number else unless the settings say otherwise (B2).
    pub(super) fn expires(self, seconds: u64, settings: &Settings) -> Value {
        if self == Dialect::Conferences || settings.expires_as_string {
            json!(seconds.to_string())
        } else {
            json!(seconds)
        }
    }
}

/// `{"status":"success","result":…}`.
pub(super) fn success(result: Value) -> Response {
    Json(json!({"status": "success", "result": result})).into_response()
}

/// The answer to what was not done.
pub(super) fn refuse(failure: Failure) -> Response {
    let refusal = match failure {
        Failure::Refused(refusal) => refusal,
        Failure::Call(error) => return failed(StatusCode::BAD_REQUEST, error.to_string()),
        other => {
            return failed(StatusCode::SERVICE_UNAVAILABLE, sentence(&other.to_string()));
        }
    };
    let (status, text) = match refusal {
        Refusal::NoSuchConference => (StatusCode::NOT_FOUND, "No such conference".into()),
        Refusal::InvalidToken => (StatusCode::FORBIDDEN, "Invalid token".into()),
        Refusal::Pin(need) => {
            let guest_pin = if need.guest_pin { "required" } else { "none" };
            let frame = json!({"status": "success", "result": {"pin": "required", "guest_pin": guest_pin}});
            return (StatusCode::FORBIDDEN, Json(frame)).into_response();
        }
        Refusal::HostOnly => (StatusCode::FORBIDDEN, "Only a host may do this".into()),
        Refusal::Waiting => (StatusCode::FORBIDDEN, "Waiting for a host".into()),
        Refusal::NoSuchParticipant => (StatusCode::NOT_FOUND, "No such participant".into()),
        Refusal::NoSuchCall => (StatusCode::NOT_FOUND, "No such call".into()),
        Refusal::ChatDisabled => (StatusCode::FORBIDDEN, "Chat is disabled in this conference".into()),
        Refusal::NoPresenting => (StatusCode::FORBIDDEN, "Guests may not present in this conference".into()),
        Refusal::BadValue(text) => (StatusCode::BAD_REQUEST, sentence(&text)),
        Refusal::WrongPin => (StatusCode::FORBIDDEN, "The PIN is not that of this role".into()),
        Refusal::NotAvailable(text) => (StatusCode::NOT_IMPLEMENTED, sentence(&text)),
        Refusal::NotNow(text) => (StatusCode::FORBIDDEN, text),
        Refusal::AliasTaken(alias) => (StatusCode::CONFLICT, format!("Another conference has the alias {alias}")),
        Refusal::Limit(text) => (StatusCode::SERVICE_UNAVAILABLE, sentence(&text)),
    };
    failed(status, text)
}

/// A request whose words cannot be used.
pub(super) fn bad(text: &str) -> Response {
    failed(StatusCode::BAD_REQUEST, sentence(text))
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn yes_no(flag: bool) -> &'static str {
    if flag { "YES" } else { "NO" }
}

/// `HOST` or `GUEST`, as in new_session.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Host => "HOST",
        Role::Guest => "GUEST",
    }
}

/// `service_type` of a participant.
pub(super) fn service_type(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Connecting => "connecting",
        ServiceState::WaitingRoom => "waiting_room",
        ServiceState::Conference => "conference",
    }
}

/// A participant (MGMT-57, with what real clients read besides).
pub(super) fn participant(view: &ParticipantView) -> Value {
    let mut value = json!({
        "api_url": format!("/participants/{}", view.id),
        "buzz_time": view.buzz_time,
        "call_direction": if view.outgoing { "out" } else { "in" },
        "can_receive_personal_mix": false,
        "disconnect_supported": "YES",
        "display_name": view.display_name,
        "encryption": if view.has_media { "On" } else { "Off" },
        "external_node_uuid": "",
        "fecc_supported": yes_no(view.fecc),
        "has_media": view.has_media,
        "is_audio_only_call": yes_no(view.has_media && !view.video),
        "is_client_muted": view.self_muted,
        "is_conjoined": false,
        "is_external": false,
        "is_idp_authenticated": false,
        "is_muted": yes_no(view.audio_muted),
        "is_on_hold": view.on_hold,
        "is_presenting": yes_no(view.presenting),
        "is_streaming_conference": view.streaming,
        "is_transferring": false,
        "is_video_call": yes_no(view.has_media && view.video),
        "is_video_muted": view.video_muted,
        "is_video_silent": false,
        "local_alias": view.local_alias,
        "mute_supported": "YES",
        "needs_presentation_in_mix": false,
        "overlay_text": view.overlay_text,
        "presentation_supported": "YES",
        "protocol": protocol(view.protocol),
        "receive_from_video_mix": {"mix_name": "main", "timestamp": 0},
        "role": match view.role { Role::Host => "chair", Role::Guest => "guest" },
        "rx_presentation_policy": if view.presentation_denied { "DENY" } else { "ALLOW" },
        "service_type": service_type(view.state),
        "spotlight": view.spotlight,
        "start_time": view.start_time,
        "supports_direct_chat": true,
        "transfer_supported": yes_no(view.state != ServiceState::Connecting),
        "uri": view.uri,
        "uuid": view.id.to_string(),
        "vendor": view.vendor,
    });
    // Ours: clients of conferences in which nobody uses it are told what they ever were.
    if view.volume != 100 {
        value["volume"] = json!(view.volume);
    }
    value
}

/// How somebody is connected. Pexip's clients know no telephone: that is a SIP call to them.
fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Api => "api",
        Protocol::WebRtc => "webrtc",
        Protocol::Sip | Protocol::Phone | Protocol::Auto => "sip",
        Protocol::H323 => "h323",
        Protocol::MsSip => "mssip",
        Protocol::Rtmp | Protocol::Rtsp => "rtmp",
    }
}

/// State of the conference (MGMT-19, MGMT-51).
pub(super) fn status(status: &Status) -> Value {
    json!({
        "guests_muted": status.guests_muted,
        "locked": status.locked,
        "started": status.started,
        "all_muted": false,
        "chat_enabled": status.chat,
        "direct_media": false,
        "live_captions_available": false,
        "presentation_allowed": true,
        "breakout_rooms": false,
        "Live_status": status.streaming,
        "Record_status": status.recording,
        "whiteboard": false,
        "wb_url": "",
    })
}

fn layout(seats: &SeatView) -> Value {
    let slots: Vec<Option<String>> = seats.slots.iter().map(|seat| seat.map(|id| id.to_string())).collect();
    let on_screen: Vec<&String> = slots.iter().flatten().collect();
    let view = seats.layout.as_str();
    json!({
        "view": view,
        "mixed": seats.mixed,
        "participants": on_screen,
        "requested_layout": {"primary_screen": {"chair_layout": view, "guest_layout": view}},
        "slots": slots,
        "presentation": seats.presentation.map(|id| id.to_string()),
        "call_uuid": seats.call.to_string(),
    })
}

fn camera(movement: &CameraMove) -> Value {
    let axis = |one: &CameraMovement| {
        let (axis, direction) = match one {
            CameraMovement::PanLeft => ("pan", "left"),
            CameraMovement::PanRight => ("pan", "right"),
            CameraMovement::TiltUp => ("tilt", "up"),
            CameraMovement::TiltDown => ("tilt", "down"),
            CameraMovement::ZoomIn => ("zoom", "in"),
            CameraMovement::ZoomOut => ("zoom", "out"),
        };
        json!({"axis": axis, "direction": direction})
    };
    let action = match movement.action {
        CameraAction::Start => "start",
        CameraAction::Stop => "stop",
        CameraAction::Continue => "continue",
    };
    json!({
        "action": action,
        "movement": movement.movements.iter().map(axis).collect::<Vec<_>>(),
        "timeout": movement.timeout_ms,
    })
}

/// The messages that an event makes, in order: name and data.
pub(super) fn messages(dialect: Dialect, body: &EventBody) -> Vec<(&'static str, Value)> {
    let seed = dialect != Dialect::Conferences;
    // The dedicated cloud tells nothing of who comes but their changes, and nothing of pictures of the presentation (MGMT-60).
    let creates = dialect != Dialect::Dedicated;
    match body {
        EventBody::Roster(views) => {
            let mut list = vec![("participant_sync_begin", Value::Null)];
            list.extend(views.iter().filter(|_| creates).map(|view| ("participant_create", participant(view))));
            list.push(("participant_sync_end", Value::Null));
            list
        }
        EventBody::Created(_) if !creates => Vec::new(),
        EventBody::Created(view) => vec![("participant_create", participant(view))],
        EventBody::Updated(view) => vec![("participant_update", participant(view))],
        EventBody::Deleted(id) => vec![("participant_delete", json!({"uuid": id.to_string()}))],
        EventBody::Standing(_) | EventBody::Meeting(_) | EventBody::MeetingEnded => Vec::new(),
        EventBody::Status(state) => vec![(if seed { "service_update" } else { "conference_update" }, status(state))],
        EventBody::Message { origin, from, direct, content_type, payload } => {
            let data = json!({
                "origin": origin,
                "type": content_type,
                "payload": payload,
                "uuid": from.map(|id| id.to_string()).unwrap_or_default(),
                "direct": direct,
            });
            vec![(if seed { "message" } else { "message_received" }, data)]
        }
        EventBody::Stage(stage) => {
            let entry = |(index, (id, speaks)): (usize, &(plenum_model::ParticipantId, bool))| json!({"stage_index": index, "participant_uuid": id.to_string(), "vad": if *speaks { 100 } else { 0 }});
            vec![("stage", stage.iter().enumerate().map(entry).collect())]
        }
        EventBody::Layout(seats) => vec![("layout", layout(seats))],
        EventBody::PresentationStarted { name, uri, id } => {
            let data = json!({"presenter_name": name, "presenter_uri": uri, "presenter_uuid": id.to_string()});
            vec![("presentation_start", data)]
        }
        EventBody::PresentationFrame if !creates => Vec::new(),
        EventBody::PresentationFrame => vec![("presentation_frame", Value::Null)],
        EventBody::PresentationStopped => vec![("presentation_stop", Value::Null)],
        EventBody::CallEnded { call, reason } => {
            vec![("call_disconnected", json!({"call_uuid": call.to_string(), "reason": reason}))]
        }
        EventBody::Camera(movement) => vec![("fecc", camera(movement))],
        // Pexip's clients have no word for being moved by the server: they see another roster.
        EventBody::Moved { .. } if !seed => Vec::new(),
        EventBody::Moved { alias, name, role, .. } => {
            let data = json!({"conference_alias": alias, "conference_name": name, "role": role_name(*role)});
            vec![("transfer", data)]
        }
        EventBody::Disconnected { reason } => vec![("disconnect", json!({"reason": reason}))],
    }
}

/// The event as server-sent events: blocks that end with an empty line, the id in the last one. Events without data say
/// `null`: an EventSource drops what has no data at all.
pub(super) fn sse(dialect: Dialect, body: &EventBody, id: Option<&str>) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let messages = messages(dialect, body);
    let last = messages.len().saturating_sub(1);
    for (n, (name, data)) in messages.into_iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "event: {name}\ndata: {data}");
        if let Some(id) = id.filter(|_| n == last) {
            let _ = writeln!(out, "id: {id}");
        }
        out.push('\n');
    }
    out
}

/// The event as messages of the event WebSocket (spec/mgmt.md section 0).
pub(super) fn websocket(dialect: Dialect, body: &EventBody, id: Option<&str>) -> Vec<Bytes> {
    let message = |(name, data)| json!({"_command": "event", "_eventName": name, "_eventId": id, "data": data});
    messages(dialect, body).into_iter().map(|one| message(one).to_string().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_model::{CallId, LayoutName, ParticipantId, ParticipantKey};

    fn view() -> ParticipantView {
        ParticipantView {
            key: ParticipantKey(1),
            id: ParticipantId([7; 16]),
            display_name: "Alice \n\u{2028}会".into(),
            overlay_text: "Alice".into(),
            role: Role::Guest,
            state: ServiceState::WaitingRoom,
            uri: String::new(),
            local_alias: "1061".into(),
            vendor: "Chromium".into(),
            start_time: 1_700_000_000,
            has_media: false,
            video: false,
            presenting: false,
            audio_muted: true,
            self_muted: false,
            video_muted: false,
            presentation_denied: true,
            volume: 100,
            on_hold: false,
            shown_layout: None,
            spotlight: 0,
            buzz_time: 0,
            importance: None,
            layout: None,
            protocol: Protocol::Api,
            outgoing: false,
            streaming: false,
            fecc: false,
            moved: false,
            endpoint_recording: false,
        }
    }

    #[test]
    fn mgmt_57_a_participant_has_every_field_with_its_own_kind_of_truth() {
        let value = participant(&view());
        let expected = [
            ("call_direction", json!("in")),
            ("encryption", json!("Off")),
            ("has_media", json!(false)),
            ("is_audio_only_call", json!("NO")),
            ("is_external", json!(false)),
            ("is_muted", json!("YES")),
            ("is_presenting", json!("NO")),
            ("is_streaming_conference", json!(false)),
            ("is_video_call", json!("NO")),
            ("local_alias", json!("1061")),
            ("overlay_text", json!("Alice")),
            ("presentation_supported", json!("YES")),
            ("protocol", json!("api")),
            ("role", json!("guest")),
            ("rx_presentation_policy", json!("DENY")),
            ("service_type", json!("waiting_room")),
            ("spotlight", json!(0)),
            ("start_time", json!(1_700_000_000u64)),
            ("uri", json!("")),
            ("vendor", json!("Chromium")),
        ];
        for (name, wanted) in expected {
            assert_eq!(value[name], wanted, "{name}");
        }
        assert_eq!(value["api_url"], "/participants/07070707-0707-0707-0707-070707070707");
    }

    #[test]
    fn mgmt_42_an_event_is_one_line_of_data_whatever_a_name_contains() {
        let text = sse(Dialect::Services, &EventBody::Created(Box::new(view())), Some("a-1"));
        assert!(text.starts_with("event: participant_create\ndata: {") && text.ends_with("}\nid: a-1\n\n"));
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn mgmt_62_b8_the_two_dialects_differ_in_names_alone() {
        let status = EventBody::Status(Status {
            locked: true,
            guests_muted: false,
            started: true,
            chat: true,
            recording: false,
            streaming: false,
        });
        let (ours, theirs) = (messages(Dialect::Services, &status), messages(Dialect::Conferences, &status));
        assert_eq!((ours[0].0, theirs[0].0), ("service_update", "conference_update"));
        assert_eq!(ours[0].1, theirs[0].1);
        let chat = EventBody::Message {
            origin: "A".into(),
            from: None,
            direct: false,
            content_type: "text/plain".into(),
            payload: "hi".into(),
        };
        assert_eq!(messages(Dialect::Services, &chat)[0].0, "message");
        assert_eq!(messages(Dialect::Conferences, &chat)[0].0, "message_received");
    }

    #[test]
    fn mgmt_50_a_roster_is_framed_and_mgmt_52_a_layout_names_who_is_on_screen() {
        let names: Vec<_> =
            messages(Dialect::Services, &EventBody::Roster(vec![view()])).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["participant_sync_begin", "participant_create", "participant_sync_end"]);
        let id = ParticipantId([7; 16]);
        let seats = SeatView {
            call: CallId([1; 16]),
            layout: LayoutName::DEFAULT,
            mixed: true,
            slots: vec![None, Some(id)],
            presentation: None,
        };
        let (_, data) = messages(Dialect::Services, &EventBody::Layout(seats)).remove(0);
        assert_eq!((&data["view"], &data["mixed"]), (&json!("1:7"), &json!(true)));
        assert_eq!(data["participants"], json!([id.to_string()]));
        assert_eq!(data["slots"], json!([null, id.to_string()]));
    }

    #[test]
    fn mgmt_54_the_stage_counts_from_the_most_recent_speaker() {
        let stage = EventBody::Stage(vec![(ParticipantId([1; 16]), true), (ParticipantId([2; 16]), false)]);
        let (name, data) = messages(Dialect::Services, &stage).remove(0);
        assert_eq!(name, "stage");
        assert_eq!((&data[0]["stage_index"], &data[0]["vad"]), (&json!(0), &json!(100)));
        assert_eq!((&data[1]["stage_index"], &data[1]["vad"]), (&json!(1), &json!(0)));
    }
}
