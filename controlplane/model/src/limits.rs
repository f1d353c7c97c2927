//! What is bounded. At a limit the next request is refused with a reason and everything running goes on.

/// Limits that are settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Conferences that exist.
    pub conferences: usize,
    /// Participants in one conference.
    pub participants_per_conference: usize,
    /// Participants in all conferences.
    pub participants: usize,
    /// Media connections of one participant.
    pub calls_per_participant: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            conferences: 10_000,
            participants_per_conference: 10_000,
            participants: 50_000,
            calls_per_participant: 4,
        }
    }
}

/// Life of a token in milliseconds (MGMT-5).
pub const TOKEN_LIFE_MS: u64 = 120_000;
/// Valid tokens of one participant. Clients refresh every 24 s, so five overlap; a client that refreshes faster loses its
/// oldest token early.
pub const TOKENS_PER_PARTICIPANT: usize = 16;
/// Characters of a display name. Longer ones are refused.
pub const NAME_CHARS: usize = 128;
/// Characters of an alias.
pub const ALIAS_CHARS: usize = 128;
/// Aliases of a conference.
pub const ALIASES: usize = 16;
/// Characters of a PIN.
pub const PIN_CHARS: usize = 20;
/// Bytes of a chat message's payload.
pub const MESSAGE_BYTES: usize = 16 * 1024;
/// How long a dialled participant may take to answer, in milliseconds (MGMT-16).
pub const ANSWER_MS: u64 = 30_000;
/// Characters of an address to call or a URL to stream to.
pub const URL_CHARS: usize = 1024;
/// Aliases that a transferred participant is still found by: those of the last four conferences at least. The oldest go first.
pub const CAME_FROM: usize = 4 * ALIASES;
/// Most that somebody is amplified in mixed sound, in percent (12 dB). What becomes too loud is limited.
pub const VOLUME: u16 = 400;
/// Movements of a camera in one command.
pub const MOVEMENTS: usize = 8;
/// Digits sent at once.
pub const DTMF_DIGITS: usize = 64;
/// Speakers that are remembered and told; as many as the largest layout has tiles, twice.
pub const STAGE: usize = 64;
/// Actors of a layout.
pub const ACTORS: usize = 64;
/// Seats of one leg that are told.
pub const SEATS: usize = 256;
