//! From a client's SDP offer to our answer and to the session that media is asked for.
//!
//! Pure: secrets and keys come in with the context. It decides no business rule: whether the participant may have the
//! call was decided before.

use plenum_contract::event::ShardInfo;
use plenum_contract::spec::Fingerprint;
use plenum_contract::{Codec, LegKey, ParticipantKey, SessionSpec, TrackKey};

/// Which way a presentation call goes (MGMT-39 `present`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// The client's screen comes to us.
    Send,
    /// The client only wants to see the presentation.
    Receive,
}

/// Everything beside the offer that an answer is made of.
#[derive(Clone, Debug)]
pub struct AnswerContext<'a> {
    /// Key of the leg.
    pub leg: LegKey,
    /// Whose leg it is.
    pub participant: ParticipantKey,
    /// Revision that the spec gets.
    pub revision: u64,
    /// First of [`TRACKS_PER_LEG`] track keys that belong to this leg: the m-line's index is added to it.
    pub first_track: TrackKey,
    /// Index of the shard that owns the leg.
    pub shard: u16,
    /// Its addresses.
    pub shard_info: &'a ShardInfo,
    /// Fingerprints of media's certificates, the preferred one first.
    pub fingerprints: &'a [Fingerprint],
    /// From a CSPRNG; the ICE credentials and SSRCs are made of it.
    pub seed: [u8; 32],
    /// CNAME of all that we send.
    pub cname: &'a str,
    /// Codecs that the conference allows, the preferred one first.
    pub codecs: &'a [Codec],
    /// Set when the whole call is a presentation.
    pub present: Option<Present>,
    /// Most bits a second to send.
    pub max_bitrate: Option<u64>,
    /// Most m-lines in a session.
    pub max_media: u32,
}

/// How many track keys a leg owns; more m-lines than this are refused.
pub const TRACKS_PER_LEG: u64 = 256;

/// An answer and the session that it promises.
#[derive(Clone, Debug)]
pub struct Answer {
    /// For the client.
    pub sdp: String,
    /// For media.
    pub spec: SessionSpec,
}

/// Why an offer gets no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The offer cannot be read or lacks what WebRTC demands.
    #[error("The offer cannot be used: {0}")]
    Malformed(String),
    /// Nothing in the offer can be served.
    #[error("The offer has no media that this conference can use: {0}")]
    NothingInCommon(String),
}

/// Answers a first offer.
pub fn answer(_offer: &str, _context: &AnswerContext<'_>) -> Result<Answer, CallError> {
    Err(CallError::NothingInCommon("no media plane".into()))
}

/// Answers a later offer of the same call: an ICE restart or changed media.
pub fn update(offer: &str, _previous: &SessionSpec, context: &AnswerContext<'_>) -> Result<Answer, CallError> {
    answer(offer, context)
}
