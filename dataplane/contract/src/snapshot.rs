//! Everything that media knows, in parts that fit a frame.

use crate::spec::Binding;
use crate::{ConferenceKey, LegKey, ParticipantKey};
use serde::{Deserialize, Serialize};

/// One part of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Number of the last event that the snapshot contains.
    pub last_event: u64,
    /// Conferences with their revision.
    pub conferences: Vec<(ConferenceKey, u64)>,
    /// Participants with their conference and revision.
    pub participants: Vec<(ParticipantKey, ConferenceKey, u64)>,
    /// Legs.
    pub legs: Vec<LegState>,
    /// Whether this is the last part.
    pub last: bool,
}

/// A leg as media knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegState {
    /// The leg.
    pub key: LegKey,
    /// Revision of its [`crate::SessionSpec`].
    pub revision: u64,
    /// Whose it is.
    pub participant: ParticipantKey,
    /// Whether transport is up.
    pub connected: bool,
    /// Whether media was started.
    pub started: bool,
    /// Bound SSRCs.
    pub bindings: Vec<Binding>,
}
