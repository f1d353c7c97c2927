//! Conferences, participants, roles and layout wishes: a pure state machine.
//!
//! [`Model::apply`] takes the time and one [`Action`] and returns [`Effects`]: an answer or a refusal, events for whoever
//! may see them, changes that media must hear of, and the rows that must be kept. A refused action changes nothing. No
//! clock, no randomness, no I/O, no serialisation: ids and secrets come in with the actions. One conference lives here
//! once; every API family reads the same events. Between [`Model::begin`] and [`Model::commit`] all can be taken back.

#![forbid(unsafe_code)]

pub mod access;
pub mod action;
mod calls;
mod commands;
pub mod conference;
pub mod dial;
pub mod effects;
pub mod event;
mod facts;
mod floor;
pub mod ids;
mod join;
pub mod layout;
mod leaving;
pub mod limits;
pub mod meeting;
mod members;
pub mod model;
pub mod participant;
mod picture;
mod restore;
pub mod transfer;

pub use access::{PinNeed, Role};
pub use action::{
    Action, By, CallCommand, CameraAction, CameraMove, CameraMovement, Command, Join, MemberCommand, NewConference,
    Purpose,
};
pub use conference::{Conference, Kind, Settings};
pub use dial::{Capabilities, Dial, DialMedia, Dialled, KeepAlive, Protocol};
pub use effects::{Effects, MediaChange, Outcome, Refusal, Row, Signal};
pub use event::{Audience, Event, EventBody, SeatView, Status};
pub use facts::Fact;
pub use ids::{CallId, ConferenceId, ConferenceKey, LegKey, MeetingId, Now, ParticipantId, ParticipantKey, TokenHash};
pub use layout::{LayoutEntry, LayoutName};
pub use limits::Limits;
pub use meeting::MeetingView;
pub use model::Model;
pub use participant::{Call, Participant, ParticipantView, ServiceState};
pub use restore::Saved;
pub use transfer::Transfer;
