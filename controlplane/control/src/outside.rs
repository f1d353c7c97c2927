//! Our own JSON form of people, meetings and events, as the REST API shows them and webhooks deliver them.
//!
//! An event is here what an operator may see: what one participant or guests alone are told is left out, so that each thing
//! that happens is told once.

use plenum_model::{Audience, EventBody, MeetingView, ParticipantView, Protocol, Role, ServiceState};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Kinds of events.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A meeting began, or its name, layouts, settings or what its mix leaves out changed.
    Meeting,
    /// Locked, guests muted, started, chat, recording or streaming changed.
    Status,
    /// The last one left, or it was ended: who was still there is gone.
    MeetingEnded,
    /// Somebody came, or waits.
    ParticipantJoined,
    /// What is shown of somebody changed.
    ParticipantUpdated,
    /// Somebody went.
    ParticipantLeft,
    /// Somebody presents.
    PresentationStarted,
    /// Nobody presents any more.
    PresentationStopped,
    /// Chat.
    Message,
    /// The order of speakers changed.
    Stage,
}

impl Kind {
    /// What is told unless kinds are named: everything but what people write and who speaks.
    pub const USUAL: [Kind; 8] = [
        Kind::Meeting,
        Kind::Status,
        Kind::MeetingEnded,
        Kind::ParticipantJoined,
        Kind::ParticipantUpdated,
        Kind::ParticipantLeft,
        Kind::PresentationStarted,
        Kind::PresentationStopped,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Meeting => "meeting",
            Kind::Status => "status",
            Kind::MeetingEnded => "meeting_ended",
            Kind::ParticipantJoined => "participant_joined",
            Kind::ParticipantUpdated => "participant_updated",
            Kind::ParticipantLeft => "participant_left",
            Kind::PresentationStarted => "presentation_started",
            Kind::PresentationStopped => "presentation_stopped",
            Kind::Message => "message",
            Kind::Stage => "stage",
        }
    }
}

/// The kind of an event; `None` = operators are not told.
pub fn kind(audience: Audience, body: &EventBody) -> Option<Kind> {
    if matches!(audience, Audience::One(_) | Audience::Guests) {
        return None;
    }
    Some(match body {
        EventBody::Meeting(_) => Kind::Meeting,
        EventBody::Status(_) => Kind::Status,
        EventBody::MeetingEnded => Kind::MeetingEnded,
        EventBody::Created(_) => Kind::ParticipantJoined,
        EventBody::Updated(_) => Kind::ParticipantUpdated,
        EventBody::Deleted(_) => Kind::ParticipantLeft,
        EventBody::PresentationStarted { .. } => Kind::PresentationStarted,
        EventBody::PresentationStopped => Kind::PresentationStopped,
        EventBody::Message { .. } => Kind::Message,
        EventBody::Stage(_) => Kind::Stage,
        EventBody::Roster(_)
        | EventBody::Standing(_)
        | EventBody::Layout(_)
        | EventBody::PresentationFrame
        | EventBody::CallEnded { .. }
        | EventBody::Camera(_)
        | EventBody::Moved { .. }
        | EventBody::Disconnected { .. } => return None,
    })
}

/// What an event says.
pub fn data(body: &EventBody) -> Value {
    match body {
        EventBody::Meeting(view) => json!(Meeting::of(view)),
        EventBody::Status(status) => json!({
            "locked": status.locked,
            "guests_muted": status.guests_muted,
            "started": status.started,
            "chat": status.chat,
            "recording": status.recording,
            "streaming": status.streaming,
        }),
        EventBody::Created(view) | EventBody::Updated(view) => json!(Person::of(view)),
        EventBody::Deleted(id) => json!({"id": id.to_string()}),
        EventBody::PresentationStarted { name, uri: _, id } => json!({"id": id.to_string(), "display_name": name}),
        EventBody::Message { origin, from, direct: _, content_type, payload } => json!({
            "from": from.map(|id| id.to_string()),
            "display_name": origin,
            "content_type": content_type,
            "payload": payload,
        }),
        EventBody::Stage(order) => {
            let speaker =
                |(id, speaks): &(plenum_model::ParticipantId, bool)| json!({"id": id.to_string(), "speaks": speaks});
            json!({"speakers": order.iter().map(speaker).collect::<Vec<_>>()})
        }
        _ => json!({}),
    }
}

/// A meeting that goes on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Meeting {
    /// UUID of this meeting: from the first who comes to the last who goes.
    pub meeting: String,
    /// Name of the conference.
    pub name: String,
    /// Its first alias.
    pub alias: String,
    /// New guests wait.
    pub locked: bool,
    /// Guests who join are muted.
    pub guests_muted: bool,
    /// Guests are let in.
    pub started: bool,
    /// Whoever joins is muted.
    pub mute_on_join: bool,
    /// A recorder runs.
    pub recording: bool,
    /// A stream runs.
    pub streaming: bool,
    /// What hosts see.
    pub host_layout: &'static str,
    /// What guests see.
    pub guest_layout: &'static str,
    /// What the mixer leaves out of the composed pictures, because it is behind: 0 nothing, 1 every second picture, 2 also all
    /// but the smallest encoding, 3 also half the resolution.
    pub mix_shed: u8,
}

impl Meeting {
    fn of(view: &MeetingView) -> Meeting {
        Meeting {
            meeting: view.meeting.to_string(),
            name: view.name.clone(),
            alias: view.alias.clone(),
            locked: view.status.locked,
            guests_muted: view.status.guests_muted,
            started: view.status.started,
            mute_on_join: view.mute_on_join,
            recording: view.status.recording,
            streaming: view.status.streaming,
            host_layout: view.host_layout.as_str(),
            guest_layout: view.guest_layout.as_str(),
            mix_shed: view.mix_shed,
        }
    }
}

/// A participant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Person {
    /// UUID.
    pub id: String,
    /// Shown to people.
    pub display_name: String,
    /// `host` or `guest`.
    pub role: &'static str,
    /// `connecting` (being called), `waiting` or `in`.
    pub state: &'static str,
    /// `api` (no media yet), `webrtc`, `sip`, `h323`, `mssip` or `rtmp`.
    pub protocol: &'static str,
    /// Address, as far as known.
    pub uri: String,
    /// Browser or terminal.
    pub vendor: String,
    /// Unix seconds of joining.
    pub joined: u64,
    /// Whether media flows.
    pub has_media: bool,
    /// Whether the call has pictures.
    pub video: bool,
    /// Whether they put the conference on hold: their call takes nothing for a while.
    pub on_hold: bool,
    /// Whether they present.
    pub presenting: bool,
    /// Muted at the server.
    pub audio_muted: bool,
    /// Their own wish to be silent.
    pub self_muted: bool,
    /// Picture stopped at the server.
    pub video_muted: bool,
    /// Stands first.
    pub spotlight: bool,
    /// Hand raised.
    pub hand_raised: bool,
    /// How loud they are in mixed sound, in percent.
    pub volume: u16,
    /// The layout of their composed picture, as it is drawn now; `null` = they are forwarded to.
    pub shown_layout: Option<&'static str>,
}

impl Person {
    /// Of the model's view.
    pub fn of(view: &ParticipantView) -> Person {
        Person {
            id: view.id.to_string(),
            display_name: view.display_name.clone(),
            role: role(view.role),
            state: match view.state {
                ServiceState::Connecting => "connecting",
                ServiceState::WaitingRoom => "waiting",
                ServiceState::Conference => "in",
            },
            protocol: match view.protocol {
                Protocol::Api => "api",
                Protocol::WebRtc => "webrtc",
                Protocol::Sip | Protocol::Phone | Protocol::Auto => "sip",
                Protocol::H323 => "h323",
                Protocol::MsSip => "mssip",
                Protocol::Rtmp | Protocol::Rtsp => "rtmp",
            },
            uri: view.uri.clone(),
            vendor: view.vendor.clone(),
            joined: view.start_time,
            has_media: view.has_media,
            video: view.video,
            on_hold: view.on_hold,
            presenting: view.presenting,
            audio_muted: view.audio_muted,
            self_muted: view.self_muted,
            video_muted: view.video_muted,
            spotlight: view.spotlight > 0,
            hand_raised: view.buzz_time > 0,
            volume: view.volume,
            shown_layout: view.shown_layout.map(plenum_model::LayoutName::as_str),
        }
    }
}

/// As it is written.
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Guest => "guest",
    }
}
