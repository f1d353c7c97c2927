//! What faces ask of the driver, and what they get.

use super::stills::{Newest, Size};
use crate::accounts;
use crate::audit;
use crate::calls::{CallError, Present};
use crate::events::{Observer, Subscription};
use crate::hooks::Spooled;
use crate::store::rows::SettingsRow;
use plenum_contract::spec::SlotWish;
use plenum_model::event::Status;
use plenum_model::{
    By, CallId, Command, ConferenceId, ConferenceKey, Join, LayoutEntry, MeetingId, MeetingView, Participant,
    ParticipantId, ParticipantKey, ParticipantView, Refusal, Role, ServiceState, Settings, TokenHash,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One request. It is cloned only when the store failed and the batch is done again without what could not be kept.
#[derive(Clone, Debug)]
pub enum Request {
    /// Somebody enters.
    Join(Join),
    /// What role an alias and a PIN give.
    Check {
        /// As the person wrote it.
        alias: String,
        /// As in [`Join`].
        pin: Option<String>,
    },
    /// Somebody acts in a conference.
    Do {
        /// Alias or, for operators, also the conference's UUID.
        alias: String,
        /// Who.
        by: By,
        /// What.
        command: Command,
    },
    /// A media connection is offered.
    Offer(Offer),
    /// Sizes that a page shows its slots at.
    Wishes {
        /// Where.
        alias: String,
        /// Who.
        by: By,
        /// Whose call.
        target: ParticipantId,
        /// Which.
        call: CallId,
        /// Whole list.
        slots: Vec<SlotWish>,
    },
    /// Follow the events of a conference.
    Follow {
        /// Where.
        alias: String,
        /// Who.
        token: TokenHash,
        /// Id of the last entry that the reader saw.
        last_id: Option<String>,
    },
    /// A picture of the presentation.
    Picture {
        /// Where.
        alias: String,
        /// Who.
        token: TokenHash,
        /// How large.
        size: Size,
    },
    /// A follower who was moved to another conference goes on there.
    Resume(ParticipantKey),
    /// Follow all conferences, as whoever may operate.
    Observe,
    /// An operator's look at meetings that go on.
    Meetings(Which),
    /// An operator's list of conferences, or the one with this alias or UUID.
    Conferences(Option<String>),
    /// A part of that list.
    Page {
        /// How many are left out at first.
        offset: usize,
        /// Most of them.
        limit: usize,
        /// What the name or an alias contains, in any letter case; empty = all.
        filter: String,
    },
    /// An operator makes a conference.
    Create(Settings),
    /// An operator changes the one with this alias or UUID.
    Change(String, Settings),
    /// An operator deletes the one with this alias or UUID.
    Delete(String),
    /// An operator reads the logo of the one with this alias or UUID.
    Logo(String),
    /// An operator gives the one with this alias or UUID a logo, which [`crate::logo::problem`] let pass, or takes it away.
    SetLogo(String, Option<Arc<[u8]>>),
    /// An admin changes accounts or keys.
    Accounts(accounts::Change),
    /// An admin reads the audit log.
    Audit(audit::Query),
    /// What waits for a webhook.
    Spooled {
        /// Its id.
        hook: String,
        /// Most events.
        limit: u32,
    },
    /// A webhook took everything up to this event.
    Delivered {
        /// Its id.
        hook: String,
        /// The last event.
        last: u64,
    },
}

impl Request {
    /// What is asked, for the log: never by whom, with which PIN or with what content.
    pub const fn name(&self) -> &'static str {
        match self {
            Request::Join(_) => "join",
            Request::Check { .. } => "check",
            Request::Do { .. } => "do",
            Request::Offer(_) => "offer",
            Request::Wishes { .. } => "wishes",
            Request::Follow { .. } => "follow",
            Request::Picture { .. } => "picture",
            Request::Resume(_) => "resume",
            Request::Observe => "observe",
            Request::Meetings(_) => "meetings",
            Request::Conferences(_) | Request::Page { .. } => "conferences",
            Request::Create(_) => "create",
            Request::Change(..) => "change",
            Request::Delete(_) => "delete",
            Request::Logo(_) | Request::SetLogo(..) => "logo",
            Request::Accounts(_) => "accounts",
            Request::Audit(_) => "audit",
            Request::Spooled { .. } | Request::Delivered { .. } => "webhook",
        }
    }
}

/// Which meetings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All that go on.
    All,
    /// This one.
    Call(MeetingId),
    /// The one that this participant is in.
    Participant(ParticipantId),
    /// The one that this media connection is of.
    Leg(CallId),
}

/// A meeting with everybody in it who may be seen.
#[derive(Clone, Debug)]
pub struct MeetingNow {
    /// The meeting itself.
    pub view: MeetingView,
    /// In the order they came.
    pub members: Vec<Arc<Participant>>,
    /// Who holds the presentation floor.
    pub presenter: Option<ParticipantKey>,
    /// Who speaks now.
    pub speaking: BTreeSet<ParticipantKey>,
}

/// An SDP offer.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Where.
    pub alias: String,
    /// Who.
    pub by: By,
    /// Whose call.
    pub target: ParticipantId,
    /// An existing call that this offer changes; `None` = a new one.
    pub call: Option<CallId>,
    /// Whether a new call is a presentation.
    pub present: Option<Present>,
    /// The offer.
    pub sdp: String,
    /// Most bits a second to send.
    pub max_bitrate: Option<u64>,
    /// Whether the client's camera can be steered from afar.
    pub fecc: bool,
    /// Whether a new call is to get the mix; `None` leaves that to us.
    pub mix: Option<bool>,
}

/// A positive answer.
#[derive(Debug)]
pub enum Reply {
    /// Nothing to tell.
    Done,
    /// Somebody entered.
    Joined {
        /// Outside name.
        id: ParticipantId,
        /// Rights.
        role: Role,
        /// In, or waiting.
        state: ServiceState,
        /// Settings of the conference.
        settings: Settings,
        /// As shown to others.
        display_name: String,
    },
    /// What an alias and PIN give.
    Checked {
        /// Rights.
        role: Role,
        /// Settings of the conference.
        settings: Settings,
    },
    /// The token to use from now on: a new one, or (`None`) the presented one lives on.
    Refreshed {
        /// Rights.
        role: Role,
        /// Whether the presented token was prolonged because a new one could not be kept.
        prolonged: bool,
    },
    /// Who is there.
    Roster(Vec<ParticipantView>),
    /// State of the conference.
    Status(Status),
    /// Layouts that are chosen now.
    Layouts(Vec<LayoutEntry>),
    /// Somebody is being called.
    Dialled(ParticipantId),
    /// Our answer.
    Answer {
        /// The call.
        call: CallId,
        /// SDP.
        sdp: String,
    },
    /// Events.
    Stream(Subscription),
    /// Pictures of the presentation; `None` = nobody presents.
    Picture(Option<Newest>),
    /// Everything that happens, from now on.
    Observing(Observer),
    /// Meetings that go on.
    Meetings(Vec<MeetingNow>),
    /// For operators.
    Conferences(Vec<ConferenceInfo>),
    /// A part of them, and how many there are in all.
    Page(Vec<ConferenceInfo>, usize),
    /// A conference's own logo; `None` = it has none.
    Logo(Option<Arc<[u8]>>),
    /// What the audit log has.
    Audit(audit::Found),
    /// What waits for a webhook.
    Spooled(Spooled),
    /// A conference was made.
    Created(ConferenceId),
}

/// A conference as operators see it.
#[derive(Clone, Debug)]
pub struct ConferenceInfo {
    /// Inside name.
    pub key: ConferenceKey,
    /// UUID.
    pub id: ConferenceId,
    /// Settings.
    pub settings: SettingsRow,
    /// State.
    pub status: Status,
    /// People, waiting ones included.
    pub participants: usize,
    /// Of them with media.
    pub with_media: usize,
    /// Whether it has a logo of its own.
    pub logo: bool,
}

/// A negative answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The model refused.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The offer cannot be answered.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Accounts and keys cannot be changed so.
    #[error(transparent)]
    Accounts(#[from] accounts::Refused),
    /// What was asked could not be kept, so it was not done.
    #[error("the store cannot be written at the moment")]
    Store,
    /// No media plane is connected.
    #[error("the media plane is being restarted")]
    Media,
    /// Too many requests are waiting already.
    #[error("too many requests are waiting")]
    Busy,
    /// The program is ending.
    #[error("the server is shutting down")]
    Ending,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }
}
