//! The kept form of the model's values. The model knows no serialisation; these twins do, with defaults for fields that an
//! older store does not have.

use super::{LegRecord, LostCall};
use plenum_model::layout::{LayoutAudience, LayoutEntry, LayoutName, PresentationPlace};
use plenum_model::{
    Call, CallId, Conference, ConferenceId, ConferenceKey, DialMedia, Dialled, KeepAlive, Kind, LegKey, Participant,
    ParticipantId, ParticipantKey, Protocol, Purpose, Role, ServiceState, Settings,
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
    /// When the last host leaves, the guest who came first becomes host.
    #[serde(default)]
    pub hand_over: bool,
    /// How long it exists.
    #[serde(default)]
    pub kind: KindRow,
}

/// How long a conference exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindRow {
    /// Until it is deleted.
    #[default]
    Permanent,
    /// Open between two instants, unix seconds.
    Scheduled {
        /// First second.
        begins: u64,
        /// First second after it.
        ends: u64,
    },
    /// Gone with its last participant.
    AdHoc,
}

fn yes() -> bool {
    true
}

fn full_volume() -> u16 {
    100
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
            hand_over: settings.hand_over,
            kind: match settings.kind {
                Kind::Permanent => KindRow::Permanent,
                Kind::Scheduled { begins, ends } => KindRow::Scheduled { begins, ends },
                Kind::AdHoc => KindRow::AdHoc,
            },
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
            hand_over: self.hand_over,
            kind: self.kind.kind(),
        })
    }
}

impl KindRow {
    /// For the model.
    pub fn kind(self) -> Kind {
        match self {
            KindRow::Permanent => Kind::Permanent,
            KindRow::Scheduled { begins, ends } => Kind::Scheduled { begins, ends },
            KindRow::AdHoc => Kind::AdHoc,
        }
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
    recording: bool,
    #[serde(default)]
    meeting: u64,
    #[serde(default)]
    mute_on_join: Option<bool>,
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
    #[serde(default)]
    remove_self: bool,
    #[serde(default)]
    presentation: String,
    #[serde(default)]
    banner: String,
    #[serde(default = "yes")]
    indicate_speaker: bool,
    #[serde(default)]
    fill: bool,
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
        remove_self: entry.remove_self,
        presentation: entry.presentation.as_str().into(),
        banner: entry.banner.clone(),
        indicate_speaker: entry.indicate_speaker,
        fill: entry.fill,
    };
    serde_json::to_string(&ConferenceRow {
        id: conference.id.to_string(),
        settings: SettingsRow::of(&conference.settings),
        revision: conference.revision,
        locked: conference.locked,
        guests_muted: conference.guests_muted,
        started: conference.started,
        recording: conference.recording,
        meeting: conference.meeting,
        mute_on_join: conference.mute_on_join,
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
        recording: false,
        meeting: 0,
        mute_on_join: None,
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
            remove_self: row.remove_self,
            presentation: PresentationPlace::parse(&row.presentation).unwrap_or_default(),
            banner: row.banner,
            indicate_speaker: row.indicate_speaker,
            fill: row.fill,
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
        recording: row.recording,
        meeting: row.meeting,
        mute_on_join: row.mute_on_join,
        presenter: row.presenter.map(ParticipantKey),
        layouts: row.layouts.into_iter().filter_map(layout).collect(),
        mix_shed: 0,
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
    #[serde(default = "full_volume")]
    volume: u16,
    #[serde(default)]
    spotlight: u64,
    #[serde(default)]
    spotlight_order: u64,
    #[serde(default)]
    low_latency: bool,
    #[serde(default)]
    buzz_time: u64,
    #[serde(default)]
    importance: Option<u8>,
    #[serde(default)]
    layout: Option<String>,
    #[serde(default)]
    held: bool,
    #[serde(default)]
    came_from: Vec<String>,
    #[serde(default)]
    endpoint_recording: bool,
    #[serde(default)]
    dialled: Option<DialledRow>,
    #[serde(default)]
    calls: Vec<CallRow>,
}

#[derive(Serialize, Deserialize)]
struct DialledRow {
    protocol: ProtocolRow,
    media: DialMediaRow,
    streaming: bool,
    keep_alive: KeepAliveRow,
    #[serde(default)]
    dtmf_sequence: String,
    #[serde(default)]
    presentation_url: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    source_display_name: String,
}

/// Twin of an enum of the model, with names that are kept.
macro_rules! twin {
    ($shown:vis $row:ident, $model:ident, $($name:ident)+) => {
        #[derive(Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        $shown enum $row { $($name),+ }

        impl $row {
            $shown fn of(value: $model) -> $row {
                match value { $($model::$name => $row::$name),+ }
            }

            $shown fn model(&self) -> $model {
                match self { $($row::$name => $model::$name),+ }
            }
        }
    };
}
pub(super) use twin;

twin!(pub(super) ProtocolRow, Protocol, Api WebRtc Sip H323 MsSip Phone Rtmp Rtsp Auto);
twin!(DialMediaRow, DialMedia, Video VideoOnly Audio);
twin!(KeepAliveRow, KeepAlive, Yes IfMultiple Never);
twin!(pub(super) StateRow, ServiceState, Connecting WaitingRoom Conference);
twin!(pub(super) PurposeRow, Purpose, Main PresentationSend PresentationReceive);

impl DialledRow {
    fn of(how: &Dialled) -> DialledRow {
        DialledRow {
            protocol: ProtocolRow::of(how.protocol),
            media: DialMediaRow::of(how.media),
            streaming: how.streaming,
            keep_alive: KeepAliveRow::of(how.keep_alive),
            dtmf_sequence: how.dtmf_sequence.clone(),
            presentation_url: how.presentation_url.clone(),
            source: how.source.clone(),
            source_display_name: how.source_display_name.clone(),
        }
    }

    /// The model gives them a fresh time to answer.
    fn model(self) -> Dialled {
        Dialled {
            protocol: self.protocol.model(),
            media: self.media.model(),
            streaming: self.streaming,
            keep_alive: self.keep_alive.model(),
            dtmf_sequence: self.dtmf_sequence,
            presentation_url: self.presentation_url,
            source: self.source,
            source_display_name: self.source_display_name,
            answer_by_ms: 0,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct CallRow {
    id: String,
    leg: u64,
    purpose: PurposeRow,
    video: bool,
    #[serde(default)]
    fecc: bool,
    started: bool,
    connected: bool,
    #[serde(default)]
    on_hold: bool,
}

/// The kept name of a purpose.
pub const fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Main => "main",
        Purpose::PresentationSend => "presentation_send",
        Purpose::PresentationReceive => "presentation_receive",
    }
}

/// The purpose of this name.
pub fn purpose(name: &str) -> Option<Purpose> {
    let all = [Purpose::Main, Purpose::PresentationSend, Purpose::PresentationReceive];
    all.into_iter().find(|purpose| purpose_name(*purpose) == name)
}

#[derive(Serialize, Deserialize)]
struct LostRow {
    id: String,
    video: bool,
    fecc: bool,
    started: bool,
    record: LegRecord,
}

/// A call that may come back.
///
/// # Errors
/// Never for values that the driver holds.
pub fn lost_body(call: &LostCall) -> Result<String, serde_json::Error> {
    let LostCall { id, video, fecc, started, record } = call.clone();
    serde_json::to_string(&LostRow { id: id.to_string(), video, fecc, started, record })
}

/// The call of a row; `None` when it cannot be read.
pub fn lost_call(body: &str) -> Option<LostCall> {
    let LostRow { id, video, fecc, started, record } = serde_json::from_str(body).ok()?;
    Some(LostCall { id: CallId::parse(&id)?, video, fecc, started, record })
}

/// A participant with their calls.
///
/// # Errors
/// Never for values that the model holds.
pub fn participant_body(participant: &Participant) -> Result<String, serde_json::Error> {
    let call = |call: &Call| CallRow {
        id: call.id.to_string(),
        leg: call.leg.0,
        purpose: PurposeRow::of(call.purpose),
        video: call.video,
        fecc: call.fecc,
        started: call.started,
        connected: call.connected,
        on_hold: call.on_hold,
    };
    serde_json::to_string(&ParticipantRow {
        id: participant.id.to_string(),
        revision: participant.revision,
        display_name: participant.display_name.clone(),
        overlay_text: participant.overlay_text.clone(),
        host: participant.role == Role::Host,
        hidden: participant.hidden,
        state: StateRow::of(participant.state),
        uri: participant.uri.clone(),
        local_alias: participant.local_alias.clone(),
        vendor: participant.vendor.clone(),
        start_time: participant.start_time,
        audio_muted: participant.audio_muted,
        self_muted: participant.self_muted,
        video_muted: participant.video_muted,
        presentation_denied: participant.presentation_denied,
        volume: participant.volume,
        spotlight: participant.spotlight,
        spotlight_order: participant.spotlight_order,
        low_latency: participant.low_latency,
        buzz_time: participant.buzz_time,
        importance: participant.importance,
        layout: participant.layout.map(|layout| layout.as_str().into()),
        held: participant.held,
        came_from: participant.came_from.clone(),
        endpoint_recording: participant.endpoint_recording,
        dialled: participant.dialled.as_ref().map(DialledRow::of),
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
            purpose: row.purpose.model(),
            video: row.video,
            fecc: row.fecc,
            started: row.started,
            connected: row.connected,
            on_hold: row.on_hold,
            seats: Vec::new(),
            presentation: None,
            layout: None,
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
        state: row.state.model(),
        uri: row.uri,
        local_alias: row.local_alias,
        vendor: row.vendor,
        start_time: row.start_time,
        audio_muted: row.audio_muted,
        self_muted: row.self_muted,
        video_muted: row.video_muted,
        presentation_denied: row.presentation_denied,
        volume: row.volume,
        spotlight: row.spotlight,
        spotlight_order: row.spotlight_order,
        low_latency: row.low_latency,
        buzz_time: row.buzz_time,
        importance: row.importance,
        layout: row.layout.as_deref().and_then(LayoutName::parse),
        held: row.held,
        came_from: row.came_from,
        endpoint_recording: row.endpoint_recording,
        dialled: row.dialled.map(DialledRow::model),
        calls: row.calls.into_iter().filter_map(call).collect(),
    })
}
