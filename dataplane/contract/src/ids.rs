//! Keys: numbers that control chooses and both programs use. Never shown outside; outside speaks of UUIDs and aliases.

use serde::{Deserialize, Serialize};

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);
    };
}

key!(/// One conference.
    ConferenceKey);
key!(/// One member of a conference, whatever number of legs they have.
    ParticipantKey);
key!(/// One media connection of a participant: one ICE and DTLS association.
    LegKey);
key!(/// One picture or sound that a participant sends: all its encodings. Chosen by control when the leg is set up.
    TrackKey);
