//! What comes out of one step.

use crate::access::{PinNeed, Role};
use crate::event::{Event, Status};
use crate::ids::{CallId, ConferenceId, ConferenceKey, LegKey, ParticipantId, ParticipantKey, TokenHash};
use crate::layout::LayoutEntry;
use crate::participant::{ParticipantView, ServiceState};

/// Everything that one action does outside of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// The answer.
    pub outcome: Result<Outcome, Refusal>,
    /// For the event log, in this order.
    pub events: Vec<Event>,
    /// For media, in this order.
    pub media: Vec<MediaChange>,
    /// Rows whose kept form is out of date.
    pub rows: Vec<Row>,
    /// For the parts that call people, in this order.
    pub signals: Vec<Signal>,
}

/// What a part that calls people is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Call this participant: [`crate::Participant::dialled`] says how.
    Dial(ConferenceKey, ParticipantKey),
    /// They are gone: end the call, or the attempt.
    HangUp(ParticipantKey),
    /// Send these tones.
    Digits(ParticipantKey, String),
}

/// A positive answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to tell.
    Done,
    /// A conference was made.
    Created(ConferenceKey, ConferenceId),
    /// Somebody entered.
    Joined {
        /// Where.
        conference: ConferenceKey,
        /// Inside name.
        key: ParticipantKey,
        /// Outside name.
        id: ParticipantId,
        /// Rights.
        role: Role,
        /// In, or waiting.
        state: ServiceState,
    },
    /// The token lives for 120 s from now; the role may have changed (MGMT-37).
    Refreshed(Role),
    /// Who is there.
    Roster(Vec<ParticipantView>),
    /// State of the conference.
    Status(Status),
    /// Layouts that are chosen now.
    Layouts(Vec<LayoutEntry>),
    /// Somebody is being called.
    Dialled(ParticipantId),
    /// A call that may be used.
    Call {
        /// Whose.
        participant: ParticipantKey,
        /// Its inside name; `None` = it is still to be set up.
        leg: Option<LegKey>,
    },
}

/// A negative answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No conference has this alias or key.
    NoSuchConference,
    /// The token is unknown here or ran out (MGMT-5).
    InvalidToken,
    /// A PIN is needed, or was wrong (MGMT-10).
    Pin(PinNeed),
    /// Only hosts may (MGMT-7).
    HostOnly,
    /// Whoever waits may not.
    Waiting,
    /// No such participant that the caller may see.
    NoSuchParticipant,
    /// No such call of that participant.
    NoSuchCall,
    /// Chat is off in this conference.
    ChatDisabled,
    /// Guests may not present in this conference.
    NoPresenting,
    /// A value cannot be; the text says which and why.
    BadValue(String),
    /// Another conference has this alias.
    AliasTaken(String),
    /// The PIN is not that of the role (MGMT-38).
    WrongPin,
    /// It needs a part that this server, or that participant, does not have; the text says which.
    NotAvailable(String),
    /// The conference is not open at this time.
    NotNow(String),
    /// A limit is reached; the text says which.
    Limit(String),
}

/// Something media must hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaChange {
    /// The conference changed.
    Conference(ConferenceKey),
    /// The participant changed.
    Participant(ConferenceKey, ParticipantKey),
    /// A leg may send.
    StartLeg(LegKey),
    /// A leg is over.
    RemoveLeg(LegKey),
    /// The participant is gone.
    RemoveParticipant(ParticipantKey),
    /// Nobody is left, or the conference was deleted.
    RemoveConference(ConferenceKey),
}

/// A row of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Row {
    /// The conference, with its live state; gone when the model has it no longer.
    Conference(ConferenceKey),
    /// The participant with their calls; gone when the model has them no longer.
    Participant(ConferenceKey, ParticipantKey),
    /// The token; gone when the model has it no longer.
    Token(ConferenceKey, TokenHash),
    /// The call's media connection; gone when the model has it no longer.
    Leg(LegKey, CallId),
}
