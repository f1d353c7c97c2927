//! What control sends.

use crate::spec::{ConferenceSpec, ParticipantSpec, SessionSpec, SubscriptionSpec};
use crate::{ConferenceKey, LegKey, ParticipantKey};
use serde::{Deserialize, Serialize};

/// One command. Wanted state is idempotent: sending it again changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// First frame of a connection.
    Hello {
        /// Contract version that control speaks.
        version: u16,
    },
    /// Create or change a conference.
    Conference(ConferenceSpec),
    /// End a conference; its participants and legs go with it.
    RemoveConference(ConferenceKey),
    /// Create or change a participant.
    Participant(ParticipantSpec),
    /// Remove a participant and their legs.
    RemoveParticipant(ParticipantKey),
    /// Open or change a session.
    Session(SessionSpec),
    /// Close a session: BYE and DTLS close-notify are sent.
    RemoveSession(LegKey),
    /// Make or change what a conference's mix looks and sounds like; it goes to the conference's home shard.
    Mix(crate::MixSpec),
    /// End a conference's mix; its legs are forwarded to.
    RemoveMix(ConferenceKey),
    /// Change what a leg wants to see.
    Subscription(SubscriptionSpec),
    /// Let media flow on this leg (MGMT-40: the client's `ack`). Until then nothing is sent to it.
    Start(LegKey),
    /// Ask for everything: answered with [`crate::Message::Snapshot`] parts.
    Snapshot,
    /// All durable events up to this number are kept by control.
    Acknowledge {
        /// Event number.
        up_to: u64,
    },
    /// Set how loud media's log is, and have its lines sent on this connection as [`crate::Message::Log`].
    Log {
        /// `off`, `error`, `warn`, `info`, `debug` or `trace`; anything else is refused.
        level: String,
    },
    /// Finish: close all sessions and end the program.
    Shutdown,
}
