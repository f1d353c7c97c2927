//! What can be asked of the model.

use crate::access::Role;
use crate::conference::Settings;
use crate::dial::Dial;
use crate::facts::Fact;
use crate::ids::{CallId, ConferenceId, ConferenceKey, LegKey, ParticipantId, TokenHash};
use crate::layout::{LayoutEntry, LayoutName};
pub use crate::participant::Purpose;
use crate::transfer::Transfer;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An operator makes a conference.
    Create(NewConference),
    /// An operator changes its settings; who is inside stays.
    Change {
        /// Which.
        key: ConferenceKey,
        /// The new settings, whole.
        settings: Settings,
    },
    /// An operator deletes it; everybody is told.
    Delete(ConferenceKey),
    /// Somebody enters.
    Join(Join),
    /// Somebody inside, or an operator, does something.
    Do {
        /// Where.
        conference: ConferenceKey,
        /// Who.
        by: By,
        /// What.
        command: Command,
    },
    /// Media tells something.
    Fact(Fact),
    /// Time has passed: tokens run out.
    Tick,
    /// The program ends: everybody is told and out.
    EndAll {
        /// Why, as clients are told.
        reason: String,
    },
}

/// A new conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConference {
    /// Its outside name.
    pub id: ConferenceId,
    /// Its settings.
    pub settings: Settings,
}

/// A new participant through an API session (MGMT-8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// As the person wrote it.
    pub alias: String,
    /// `None` = not given, `Some("")` = says to have none.
    pub pin: Option<String>,
    /// Outside name of the participant, from a random source.
    pub id: ParticipantId,
    /// Their token.
    pub token: TokenHash,
    /// Shown to people.
    pub display_name: String,
    /// Not in the list.
    pub hidden: bool,
    /// Terminal or browser.
    pub vendor: String,
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The holder of a token of that conference.
    Token(TokenHash),
    /// An operator: everything that a host may.
    Operator,
}

/// What somebody does in a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A new token; the old one stays valid until its own end (MGMT-12). The new one must not be known yet.
    Refresh {
        /// The new token.
        token: TokenHash,
        /// A new display name, when the client sent one.
        display_name: Option<String>,
    },
    /// The presented token itself lives on: what is done when a new one cannot be kept.
    Extend,
    /// Leave (MGMT-13).
    Leave,
    /// Who is there (MGMT-25).
    Roster,
    /// State of the conference (MGMT-19).
    Status,
    /// New guests wait, or no longer (MGMT-20).
    Lock(bool),
    /// Guests need not wait for a host with media (MGMT-21).
    Start,
    /// Every guest, also later ones (MGMT-22).
    MuteGuests {
        /// Or let them speak again.
        muted: bool,
        /// Whoever presents now is left alone: the dedicated cloud's variant.
        but_presenter: bool,
    },
    /// Whether everybody who joins this meeting from now on is muted (CMS-21); `None` = as the settings say.
    MuteOnJoin(Option<bool>),
    /// Every participant who is in, at the server: sound, picture, or both. One step, however many they are.
    MuteAll {
        /// Sound off or on; `None` = as it is.
        audio: Option<bool>,
        /// Picture off or on; `None` = as it is.
        video: Option<bool>,
    },
    /// Call somebody (MGMT-15).
    Dial(Box<Dial>),
    /// Ends the conference for all (MGMT-23).
    End,
    /// Chat (MGMT-24).
    Message {
        /// MIME type.
        content_type: String,
        /// Text.
        payload: String,
    },
    /// The layouts in force, of hosts and of guests.
    Layouts,
    /// Layouts for hosts and guests (MGMT-26); no entry = the default again.
    OverrideLayout {
        /// What is chosen.
        entries: Vec<LayoutEntry>,
        /// Whether an audience without an entry goes back to the default instead of keeping what it has (B7).
        whole: bool,
    },
    /// Nothing, but only for who may steer: what a profile answers without effect (MGMT-60).
    Nothing,
    /// Lowers every hand.
    ClearHands,
    /// Something to one participant.
    To {
        /// Whom.
        target: ParticipantId,
        /// What.
        command: MemberCommand,
    },
}

/// What is done to a participant. Hosts may do all of it to everybody; who else may what is said at each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberCommand {
    /// Throw out (MGMT-29).
    Disconnect,
    /// Mute or unmute at the server (MGMT-30).
    Mute(bool),
    /// Oneself: wish to be silent or not.
    SelfMute(bool),
    /// Picture off or on at the server (MGMT-31).
    VideoMute(bool),
    /// Lowest latency instead of smoothing (MGMT-32).
    LowLatency(bool),
    /// May be given the presentation (MGMT-33).
    ReceivePresentation(bool),
    /// Stand first (MGMT-34).
    Spotlight(bool),
    /// Stand before others, after spotlights; `None` = as everybody (CMS-22).
    Importance(Option<u8>),
    /// How loud they are in mixed sound, in percent up to [`crate::limits::VOLUME`].
    Volume(u16),
    /// Their own layout; `None` = the one of their audience (CMS-22).
    Layout(Option<LayoutName>),
    /// Let in (MGMT-35).
    Admit,
    /// Back into the waiting room; only a hand lets them out again (CMS-24).
    Lobby,
    /// To another conference (MGMT-38).
    Transfer(Transfer),
    /// Tones (MGMT-36).
    Digits(String),
    /// Moves their camera (MGMT-58).
    Camera(CameraMove),
    /// Another role (MGMT-37).
    Role(Role),
    /// Text on the tile.
    OverlayText(String),
    /// Oneself: raise or lower the hand. Hosts may lower it.
    Hand(bool),
    /// Chat to this participant alone. Everybody may.
    Message {
        /// MIME type.
        content_type: String,
        /// Text.
        payload: String,
    },
    /// Oneself: take the presentation floor.
    TakeFloor,
    /// Oneself: give it back.
    ReleaseFloor,
    /// Oneself: a media connection.
    Call(CallCommand),
}

/// How a camera is to be moved (MGMT-58).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraMove {
    /// What begins or ends.
    pub action: CameraAction,
    /// Along which axes.
    pub movements: Vec<CameraMovement>,
    /// Milliseconds after which the movement ends by itself, 0 = not said.
    pub timeout_ms: u32,
}

/// See [`CameraMove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraAction {
    /// Begin to move.
    Start,
    /// Stop.
    Stop,
    /// Go on moving.
    Continue,
}

/// One axis of a [`CameraMove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameraMovement {
    /// To the left.
    PanLeft,
    /// To the right.
    PanRight,
    /// Up.
    TiltUp,
    /// Down.
    TiltDown,
    /// Nearer.
    ZoomIn,
    /// Farther.
    ZoomOut,
}

/// What is done with a media connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallCommand {
    /// Set one up (MGMT-39). A second main call takes the place of the first.
    Open {
        /// Outside name.
        id: CallId,
        /// Inside name.
        leg: LegKey,
        /// What for.
        purpose: Purpose,
        /// Whether it carries pictures.
        video: bool,
        /// Whether its camera can be steered from afar.
        fecc: bool,
    },
    /// Media may flow (MGMT-40).
    Start(CallId),
    /// End it.
    Close(CallId),
    /// Its owner takes nothing any more for a while, or again.
    Hold(CallId, bool),
    /// Asks only whether this could be done: an offer to change it came.
    Check(CallId),
    /// Tones (MGMT-36).
    Digits(CallId, String),
    /// Moves the camera (MGMT-58).
    Camera(CallId, CameraMove),
    /// Asks only whether a call could be set up.
    CheckOpen(Purpose),
}
