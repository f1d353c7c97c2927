//! A participant and what others are shown of them.

use crate::access::Role;
use crate::dial::{Dialled, Protocol};
use crate::ids::{CallId, LegKey, ParticipantId, ParticipantKey};
use crate::layout::LayoutName;

/// Where a participant is on the way in (MGMT-57 `service_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceState {
    /// Being called.
    Connecting,
    /// Waits for a host.
    WaitingRoom,
    /// In the conference.
    Conference,
}

/// What a media connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Camera and microphone, and what the others send.
    Main,
    /// The participant's screen comes to us.
    PresentationSend,
    /// Only shows the presentation.
    PresentationReceive,
}

/// A media connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Outside name.
    pub id: CallId,
    /// Inside name.
    pub leg: LegKey,
    /// What for.
    pub purpose: Purpose,
    /// Whether it carries pictures.
    pub video: bool,
    /// Whether its camera can be steered from afar (MGMT-58).
    pub fecc: bool,
    /// Whether the client acknowledged the answer (MGMT-40): media may flow.
    pub started: bool,
    /// Whether transport is up.
    pub connected: bool,
    /// Whether its owner takes nothing any more for a while, by an update of the call.
    pub on_hold: bool,
    /// Who fills its video slots, as media last told.
    pub seats: Vec<Option<ParticipantKey>>,
    /// Who fills its presentation slot, or presents in its picture.
    pub presentation: Option<ParticipantKey>,
    /// The layout of its picture, as media last told, when it gets the mix.
    pub layout: Option<LayoutName>,
}

/// A member of a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Inside name.
    pub key: ParticipantKey,
    /// Outside name.
    pub id: ParticipantId,
    /// Grows with each change that media must know.
    pub revision: u64,
    /// Shown to people.
    pub display_name: String,
    /// Text on the tile; the name unless a host chose another.
    pub overlay_text: String,
    /// Rights.
    pub role: Role,
    /// Not in the list (MGMT-8 `hideme`).
    pub hidden: bool,
    /// Waiting or in.
    pub state: ServiceState,
    /// Address of the participant, as far as known.
    pub uri: String,
    /// The alias they entered by.
    pub local_alias: String,
    /// Terminal or browser.
    pub vendor: String,
    /// Unix seconds of joining.
    pub start_time: u64,
    /// Muted at the server.
    pub audio_muted: bool,
    /// Their own wish to be silent; a host's unmute does not undo it.
    pub self_muted: bool,
    /// Picture stopped at the server.
    pub video_muted: bool,
    /// May not be given the presentation (MGMT-33).
    pub presentation_denied: bool,
    /// How loud they are in mixed sound, in percent: 100 = as they are.
    pub volume: u16,
    /// Unix seconds of being spotlighted, 0 = not.
    pub spotlight: u64,
    /// Tells spotlights of the same second apart.
    pub spotlight_order: u64,
    /// No smoothing of what they are sent (MGMT-32).
    pub low_latency: bool,
    /// Unix seconds of raising the hand, 0 = not.
    pub buzz_time: u64,
    /// Who has a higher one stands before others, after spotlights (CMS-22).
    pub importance: Option<u8>,
    /// Their own choice of layout, which wins over the audience's (CMS-22).
    pub layout: Option<LayoutName>,
    /// Was put into the waiting room by hand: only a hand lets them out again.
    pub held: bool,
    /// Aliases of conferences that they were transferred from, in lower case: their client may go on using them.
    pub came_from: Vec<String>,
    /// Their terminal records the meeting (CMS-22).
    pub endpoint_recording: bool,
    /// Set for who was called by us; they have no token.
    pub dialled: Option<Dialled>,
    /// Media connections.
    pub calls: Vec<Call>,
}

impl Participant {
    /// Somebody of whom no more is known than this.
    pub fn new(key: ParticipantKey, id: ParticipantId, name: String, role: Role, unix: u64) -> Participant {
        Participant {
            key,
            id,
            revision: 0,
            overlay_text: name.clone(),
            display_name: name,
            role,
            hidden: false,
            state: ServiceState::Conference,
            uri: String::new(),
            local_alias: String::new(),
            vendor: String::new(),
            start_time: unix,
            audio_muted: false,
            self_muted: false,
            video_muted: false,
            presentation_denied: false,
            volume: 100,
            spotlight: 0,
            spotlight_order: 0,
            low_latency: false,
            buzz_time: 0,
            importance: None,
            layout: None,
            held: false,
            came_from: Vec::new(),
            endpoint_recording: false,
            dialled: None,
            calls: Vec::new(),
        }
    }

    /// Whether sound or picture flows between them and us.
    pub fn has_media(&self) -> bool {
        self.calls.iter().any(|call| call.purpose == Purpose::Main && (call.started || call.connected))
    }

    /// The call with this outside name.
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.iter().find(|call| call.id == id)
    }

    /// Whether they are in: neither waiting nor being called.
    pub fn admitted(&self) -> bool {
        self.state == ServiceState::Conference
    }

    /// How they are connected.
    pub fn protocol(&self) -> Protocol {
        match &self.dialled {
            Some(dialled) => dialled.protocol,
            None if self.has_media() => Protocol::WebRtc,
            None => Protocol::Api,
        }
    }

    /// What others are shown.
    pub fn view(&self, presenting: bool) -> ParticipantView {
        let main = self.calls.iter().find(|call| call.purpose == Purpose::Main && (call.started || call.connected));
        ParticipantView {
            key: self.key,
            id: self.id,
            display_name: self.display_name.clone(),
            overlay_text: self.overlay_text.clone(),
            role: self.role,
            state: self.state,
            uri: self.uri.clone(),
            local_alias: self.local_alias.clone(),
            vendor: self.vendor.clone(),
            start_time: self.start_time,
            has_media: self.has_media(),
            video: main.is_some_and(|call| call.video),
            presenting,
            audio_muted: self.audio_muted,
            self_muted: self.self_muted,
            video_muted: self.video_muted,
            presentation_denied: self.presentation_denied,
            volume: self.volume,
            on_hold: main.is_some_and(|call| call.on_hold),
            shown_layout: main.and_then(|call| call.layout),
            spotlight: self.spotlight,
            buzz_time: self.buzz_time,
            importance: self.importance,
            layout: self.layout,
            protocol: self.protocol(),
            outgoing: self.dialled.is_some(),
            streaming: self.dialled.as_ref().is_some_and(|dialled| dialled.streaming),
            fecc: self.calls.iter().any(|call| call.fecc && (call.started || call.connected)),
            moved: !self.came_from.is_empty(),
            endpoint_recording: self.endpoint_recording,
        }
    }
}

/// A participant as others see them (MGMT-57, CMS-22).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantView {
    /// Inside name.
    pub key: ParticipantKey,
    /// Outside name.
    pub id: ParticipantId,
    /// Shown to people.
    pub display_name: String,
    /// Text on the tile.
    pub overlay_text: String,
    /// Rights.
    pub role: Role,
    /// Waiting or in.
    pub state: ServiceState,
    /// Address.
    pub uri: String,
    /// The alias they entered by.
    pub local_alias: String,
    /// Terminal or browser.
    pub vendor: String,
    /// Unix seconds of joining.
    pub start_time: u64,
    /// Whether media flows.
    pub has_media: bool,
    /// Whether their call has pictures.
    pub video: bool,
    /// Whether they put us on hold.
    pub on_hold: bool,
    /// Whether they hold the presentation floor.
    pub presenting: bool,
    /// Muted at the server.
    pub audio_muted: bool,
    /// Their own wish to be silent.
    pub self_muted: bool,
    /// Picture stopped at the server.
    pub video_muted: bool,
    /// May not be given the presentation.
    pub presentation_denied: bool,
    /// See [`Participant::volume`].
    pub volume: u16,
    /// The layout of their composed picture, as it is drawn now.
    pub shown_layout: Option<LayoutName>,
    /// Unix seconds, 0 = not spotlighted.
    pub spotlight: u64,
    /// Unix seconds, 0 = hand not raised.
    pub buzz_time: u64,
    /// See [`Participant::importance`].
    pub importance: Option<u8>,
    /// See [`Participant::layout`].
    pub layout: Option<LayoutName>,
    /// How they are connected.
    pub protocol: Protocol,
    /// We called them.
    pub outgoing: bool,
    /// A stream or recorder, not a person.
    pub streaming: bool,
    /// Their camera can be steered from afar.
    pub fecc: bool,
    /// They came from another conference, under the same outside name.
    pub moved: bool,
    /// Their terminal records the meeting.
    pub endpoint_recording: bool,
}
