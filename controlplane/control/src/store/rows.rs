//! The kept form of the model's values. The model knows no serialisation; these twins do, with defaults for fields that an
//! older store does not have.

use plenum_model::layout::{LayoutAudience, LayoutEntry, LayoutName};
use plenum_model::{
    Call, CallId, Conference, ConferenceId, ConferenceKey, LegKey, Participant, ParticipantId, ParticipantKey, Purpose,
    Role, ServiceState, Settings,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A number as SQLite has it.
pub fn conference_key(key: i64) -> ConferenceKey {
    ConferenceKey(key.cast_unsigned())
}

/// Which way a presentation call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresentRow {
    /// To us.
    Send,
    /// From us.
    Receive,
}

/// Settings, also as the operator's API has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsRow {
    /// Shown to people.
    pub name: String,
    /// Digits or addresses.
    pub aliases: Vec<String>,
    /// Makes a host.
    #[serde(default)]
    pub host_pin: Option<String>,
    /// Makes a guest.
    #[serde(default)]
    pub guest_pin: Option<String>,
    /// Whether guests may enter.
    #[serde(default = "yes")]
    pub allow_guests: bool,
    /// Whether chat is passed on.
    #[serde(default = "yes")]
    pub chat: bool,
    /// Whether guests may present.
    #[serde(default = "yes")]
    pub guests_can_present: bool,
    /// Whether everybody joins muted.
    #[serde(default)]
    pub mute_on_join: bool,
    /// `A:B`.
    #[serde(default = "default_layout")]
    pub layout: String,
}

fn yes() -> bool {
    true
}

fn default_layout() -> String {
    LayoutName::DEFAULT.as_str().into()
}

impl SettingsRow {
    /// From the model.
    pub fn of(settings: &Settings) -> SettingsRow {
        SettingsRow {
            name: settings.name.clone(),
            aliases: settings.aliases.clone(),
            host_pin: settings.host_pin.clone(),
            guest_pin: settings.guest_pin.clone(),
            allow_guests: settings.allow_guests,
            chat: settings.chat,
            guests_can_present: settings.guests_can_present,
            mute_on_join: settings.mute_on_join,
            layout: settings.layout.as_str().into(),
        }
    }

    /// For the model; `None` = no such layout.
    pub fn settings(self) -> Option<Settings> {
        Some(Settings {
            layout: LayoutName::parse(&self.layout)?,
            name: self.name,
            aliases: self.aliases,
            host_pin: self.host_pin,
            guest_pin: self.guest_pin,
            allow_guests: self.allow_guests,
            chat: self.chat,
            guests_can_present: self.guests_can_present,
            mute_on_join: self.mute_on_join,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct ConferenceRow {
    id: String,
    settings: SettingsRow,
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    locked: bool,
    #[serde(default)]
    guests_muted: bool,
    #[serde(default)]
    started: bool,
    #[serde(default)]
    presenter: Option<u64>,
    #[serde(default)]
    layouts: Vec<LayoutRow>,
}

#[derive(Serialize, Deserialize)]
struct LayoutRow {
    hosts: bool,
    actors: Vec<String>,
    vad_backfill: bool,
    layout: String,
    plus_n: bool,
    overlay_text: bool,
}

/// A conference without its members.
///
/// # Errors
/// Never for values that the model holds.
pub fn conference_body(conference: &Conference) -> Result<String, serde_json::Error> {
    let layout = |entry: &LayoutEntry| LayoutRow {
        hosts: entry.audience == LayoutAudience::Hosts,
        actors: entry.actors.iter().map(ToString::to_string).collect(),
        vad_backfill: entry.vad_backfill,
        layout: entry.layout.as_str().into(),
        plus_n: entry.plus_n,
        overlay_text: entry.overlay_text,
    };
    serde_json::to_string(&ConferenceRow {
        id: conference.id.to_string(),
        settings: SettingsRow::of(&conference.settings),
        revision: conference.revision,
        locked: conference.locked,
        guests_muted: conference.guests_muted,
        started: conference.started,
        presenter: conference.presenter.map(|key| key.0),
        layouts: conference.layouts.iter().map(layout).collect(),
    })
}

/// A conference in which nobody was yet.
///
/// # Errors
/// Never.
pub fn new_conference_body(id: &str, settings: SettingsRow) -> Result<String, serde_json::Error> {
    serde_json::to_string(&ConferenceRow {
        id: id.into(),
        settings,
        revision: 0,
        locked: false,
        guests_muted: false,
        started: false,
        presenter: None,
        layouts: Vec::new(),
    })
}

/// The conference of a row; `None` when it cannot be read.
pub fn conference(key: i64, body: &str) -> Option<Conference> {
    let row: ConferenceRow = serde_json::from_str(body).ok()?;
    let layout = |row: LayoutRow| {
        Some(LayoutEntry {
            audience: if row.hosts { LayoutAudience::Hosts } else { LayoutAudience::Guests },
            actors: row.actors.iter().map(|id| ParticipantId::parse(id)).collect::<Option<_>>()?,
            vad_backfill: row.vad_backfill,
            layout: LayoutName::parse(&row.layout)?,
            plus_n: row.plus_n,
            overlay_text: row.overlay_text,
        })
    };
    Some(Conference {
        key: conference_key(key),
        id: ConferenceId::parse(&row.id)?,
        settings: row.settings.settings()?,
        revision: row.revision,
        locked: row.locked,
        guests_muted: row.guests_muted,
        started: row.started,
        presenter: row.presenter.map(ParticipantKey),
        layouts: row.layouts.into_iter().filter_map(layout).collect(),
        stage: Vec::new(),
        members: BTreeMap::new(),
        by_id: BTreeMap::new(),
        tokens: BTreeMap::new(),
    })
}

#[derive(Serialize, Deserialize)]
struct ParticipantRow {
    id: String,
    #[serde(default)]
    revision: u64,
    display_name: String,
    overlay_text: String,
    host: bool,
    #[serde(default)]
    hidden: bool,
    state: StateRow,
    #[serde(default)]
    uri: String,
    #[serde(default)]
    local_alias: String,
    #[serde(default)]
    vendor: String,
    start_time: u64,
    #[serde(default)]
    audio_muted: bool,
    #[serde(default)]
    self_muted: bool,
    #[serde(default)]
    video_muted: bool,
    #[serde(default)]
    presentation_denied: bool,
    #[serde(default)]
    spotlight: u64,
    #[serde(default)]
    spotlight_order: u64,
    #[serde(default)]
    low_latency: bool,
    #[serde(default)]
    buzz_time: u64,
    #[serde(default)]
    calls: Vec<CallRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateRow {
    Connecting,
    WaitingRoom,
    Conference,
}

#[derive(Serialize, Deserialize)]
struct CallRow {
    id: String,
    leg: u64,
    purpose: PurposeRow,
    video: bool,
    started: bool,
    connected: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PurposeRow {
    Main,
    PresentationSend,
    PresentationReceive,
}

/// A participant with their calls.
///
/// # Errors
/// Never for values that the model holds.
pub fn participant_body(participant: &Participant) -> Result<String, serde_json::Error> {
    let call = |call: &Call| CallRow {
        id: call.id.to_string(),
        leg: call.leg.0,
        purpose: match call.purpose {
            Purpose::Main => PurposeRow::Main,
            Purpose::PresentationSend => PurposeRow::PresentationSend,
            Purpose::PresentationReceive => PurposeRow::PresentationReceive,
        },
        video: call.video,
        started: call.started,
        connected: call.connected,
    };
    serde_json::to_string(&ParticipantRow {
        id: participant.id.to_string(),
        revision: participant.revision,
        display_name: participant.display_name.clone(),
        overlay_text: participant.overlay_text.clone(),
        host: participant.role == Role::Host,
        hidden: participant.hidden,
        state: match participant.state {
            ServiceState::Connecting => StateRow::Connecting,
            ServiceState::WaitingRoom => StateRow::WaitingRoom,
            ServiceState::Conference => StateRow::Conference,
        },
        uri: participant.uri.clone(),
        local_alias: participant.local_alias.clone(),
        vendor: participant.vendor.clone(),
        start_time: participant.start_time,
        audio_muted: participant.audio_muted,
        self_muted: participant.self_muted,
        video_muted: participant.video_muted,
        presentation_denied: participant.presentation_denied,
        spotlight: participant.spotlight,
        spotlight_order: participant.spotlight_order,
        low_latency: participant.low_latency,
        buzz_time: participant.buzz_time,
        calls: participant.calls.iter().map(call).collect(),
    })
}

/// The participant of a row; `None` when it cannot be read.
pub fn participant(key: i64, body: &str) -> Option<Participant> {
    let row: ParticipantRow = serde_json::from_str(body).ok()?;
    let call = |row: CallRow| {
        Some(Call {
            id: CallId::parse(&row.id)?,
            leg: LegKey(row.leg),
            purpose: match row.purpose {
                PurposeRow::Main => Purpose::Main,
                PurposeRow::PresentationSend => Purpose::PresentationSend,
                PurposeRow::PresentationReceive => Purpose::PresentationReceive,
            },
            video: row.video,
            started: row.started,
            connected: row.connected,
            seats: Vec::new(),
            presentation: None,
        })
    };
    Some(Participant {
        key: ParticipantKey(key.cast_unsigned()),
        id: ParticipantId::parse(&row.id)?,
        revision: row.revision,
        display_name: row.display_name,
        overlay_text: row.overlay_text,
        role: if row.host { Role::Host } else { Role::Guest },
        hidden: row.hidden,
        state: match row.state {
            StateRow::Connecting => ServiceState::Connecting,
            StateRow::WaitingRoom => ServiceState::WaitingRoom,
            StateRow::Conference => ServiceState::Conference,
        },
        uri: row.uri,
        local_alias: row.local_alias,
        vendor: row.vendor,
        start_time: row.start_time,
        audio_muted: row.audio_muted,
        self_muted: row.self_muted,
        video_muted: row.video_muted,
        presentation_denied: row.presentation_denied,
        spotlight: row.spotlight,
        spotlight_order: row.spotlight_order,
        low_latency: row.low_latency,
        buzz_time: row.buzz_time,
        calls: row.calls.into_iter().filter_map(call).collect(),
    })
}
