//! What happened, for whoever may see it. Every API family makes its own messages from these.

use crate::access::Role;
use crate::action::CameraMove;
use crate::ids::{CallId, ConferenceKey, ParticipantId, ParticipantKey};
use crate::layout::LayoutName;
use crate::meeting::MeetingView;
use crate::participant::ParticipantView;

/// One entry of a conference's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where.
    pub conference: ConferenceKey,
    /// For whom.
    pub audience: Audience,
    /// What.
    pub body: EventBody,
}

/// Who may see an event. Whoever waits is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Everybody, also who waits.
    Everybody,
    /// Everybody who is in.
    Admitted,
    /// Hosts who are in.
    Hosts,
    /// Guests who are in.
    Guests,
    /// One participant, waiting or not.
    One(ParticipantKey),
    /// Nobody inside: only those who watch all conferences, and they see everything.
    Observers,
}

/// Rights that decide what a viewer sees of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose.
    pub viewer: ParticipantKey,
    /// Sees who waits.
    pub host: bool,
    /// Does not wait.
    pub admitted: bool,
}

impl Standing {
    /// Whether this viewer may see what is for `audience`.
    pub fn sees(&self, audience: Audience) -> bool {
        match audience {
            Audience::Everybody => true,
            Audience::Admitted => self.admitted,
            Audience::Hosts => self.admitted && self.host,
            Audience::Guests => self.admitted && !self.host,
            Audience::One(key) => key == self.viewer,
            Audience::Observers => false,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventBody {
    /// Who is there, whole: at the start of a stream and when somebody is let in (MGMT-50).
    Roster(Vec<ParticipantView>),
    /// MGMT-47.
    Created(Box<ParticipantView>),
    /// MGMT-48.
    Updated(Box<ParticipantView>),
    /// MGMT-49.
    Deleted(ParticipantId),
    /// The receiver's own rights changed. Not shown: it steers what a stream lets through.
    Standing(Standing),
    /// MGMT-51.
    Status(Status),
    /// MGMT-53.
    Message {
        /// Sender's name.
        origin: String,
        /// Sender; `None` = an operator.
        from: Option<ParticipantId>,
        /// To one participant only.
        direct: bool,
        /// MIME type.
        content_type: String,
        /// Text.
        payload: String,
    },
    /// Speakers, most recent first, with whether they speak now (MGMT-54).
    Stage(Vec<(ParticipantId, bool)>),
    /// Who is on the receiver's screen (MGMT-52).
    Layout(SeatView),
    /// MGMT-44.
    PresentationStarted {
        /// Name.
        name: String,
        /// Address.
        uri: String,
        /// Who.
        id: ParticipantId,
    },
    /// MGMT-45.
    PresentationStopped,
    /// There is a new picture of the presentation to be fetched (MGMT-46).
    PresentationFrame,
    /// A call of the receiver ended, not by their own doing (MGMT-55).
    CallEnded {
        /// Which.
        call: CallId,
        /// Why.
        reason: String,
    },
    /// The receiver's camera is to be moved (MGMT-58).
    Camera(CameraMove),
    /// The receiver is in another conference from now on; their stream goes on there, with its first picture (MGMT-38).
    Moved {
        /// Which.
        to: ConferenceKey,
        /// Its first alias.
        alias: String,
        /// Its name.
        name: String,
        /// The role there.
        role: Role,
    },
    /// A meeting began, or what is known of it changed. For observers.
    Meeting(Box<MeetingView>),
    /// The last one left. For observers.
    MeetingEnded,
    /// The receiver is out; the stream ends (MGMT-56).
    Disconnected {
        /// Why.
        reason: String,
    },
}

impl EventBody {
    /// Whether it only says how things are at the moment, and often: who speaks, who is on screen, that there is a picture.
    /// Nobody needs to be told of it later, but how it is then.
    pub const fn is_passing(&self) -> bool {
        matches!(self, EventBody::Stage(_) | EventBody::Layout(_) | EventBody::PresentationFrame)
    }
}

/// State of a conference that everybody may see (MGMT-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// New guests wait.
    pub locked: bool,
    /// Guests who join are muted.
    pub guests_muted: bool,
    /// Guests are let in.
    pub started: bool,
    /// Chat is passed on.
    pub chat: bool,
    /// A recorder runs.
    pub recording: bool,
    /// A stream runs.
    pub streaming: bool,
}

/// Who fills the tiles of a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatView {
    /// The call whose slots these are.
    pub call: CallId,
    /// The layout that is drawn; of who gets single pictures, the one that was chosen.
    pub layout: LayoutName,
    /// Whether the mix comes; else single pictures do, whatever the call asked for.
    pub mixed: bool,
    /// Holders by slot; slot 0 is the main tile.
    pub slots: Vec<Option<ParticipantId>>,
    /// Who fills the presentation slot.
    pub presentation: Option<ParticipantId>,
}
