//! What the control plane and the data plane say to each other: plain, versioned values.
//!
//! Control sends *wanted state* as whole values with a key and a revision ([`spec`]); media answers with [`event`]s and,
//! on request, with a [`snapshot`]. [`frame`] carries both over a Unix socket as length-prefixed CBOR with named fields.
//! Nothing here does I/O or decides anything. A field that is added must have a serde default, so that version N reads
//! N-1; a change of meaning raises [`VERSION`].

pub mod codec;
pub mod command;
pub mod event;
pub mod frame;
pub mod ids;
pub mod mix;
pub mod record;
pub mod snapshot;
pub mod spec;

pub use codec::{Codec, Extension, Kind, VideoLayer};
pub use command::Command;
pub use event::{Event, EventBody, LegEnd, LogLevel, LogLine, Message};
pub use ids::{ConferenceKey, LegKey, ParticipantKey, TrackKey};
pub use mix::{
    Feed, FeedKind, FromMix, MemberPicture, MixMember, MixOutput, MixPacket, MixSpec, MixerSpent, PresentationPlace,
    Rung, SceneSpec, Still, ToMix, TranscodeSpec,
};
pub use snapshot::Snapshot;
pub use spec::{ConferenceSpec, MediaSpec, ParticipantSpec, SessionSpec, SlotSpec, SourceSpec, SubscriptionSpec};

/// The version of the contract that this build speaks. It also reads [`OLDEST_VERSION`].
pub const VERSION: u16 = 1;
/// The oldest version that this build understands.
pub const OLDEST_VERSION: u16 = 1;
