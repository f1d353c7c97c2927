//! Wanted state: what control wants to be true. Whole values, each with its key and a revision that only grows; media
//! ignores a revision that is not newer than what it has. Removing is a command of its own.

use crate::{Codec, ConferenceKey, Extension, Kind, LegKey, ParticipantKey, TrackKey};
use serde::{Deserialize, Serialize};

/// A conference: who leads, who is wanted where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConferenceSpec {
    /// Its key.
    pub key: ConferenceKey,
    /// Grows with each change.
    pub revision: u64,
    /// Who holds the presentation floor; their presentation track goes to everybody's presentation slot.
    #[serde(default)]
    pub presenter: Option<ParticipantKey>,
    /// Who stands first, in this order (actors, then spotlights), before the speakers.
    #[serde(default)]
    pub pinned: Vec<ParticipantKey>,
    /// How many of the most recent speakers are forwarded; others are not sent at all.
    #[serde(default = "every_slot")]
    pub last_n: u16,
    /// Shard that runs `stage` for this conference.
    #[serde(default)]
    pub home_shard: u16,
}

impl ConferenceSpec {
    /// [`ConferenceSpec::last_n`] that bounds no more than slots do: a receiver has no more of a kind.
    pub const EVERY_SLOT: u16 = 64;
}

fn every_slot() -> u16 {
    ConferenceSpec::EVERY_SLOT
}

/// A participant: the reasons for which their streams do not flow. Each reason is kept apart by control; a stream flows
/// when none stops it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParticipantSpec {
    /// Its key.
    pub key: ParticipantKey,
    /// The conference it belongs to; a change is a transfer.
    pub conference: ConferenceKey,
    /// Grows with each change.
    pub revision: u64,
    /// Control lets nobody hear them.
    #[serde(default)]
    pub audio_blocked: bool,
    /// Control lets nobody see them.
    #[serde(default)]
    pub video_blocked: bool,
    /// They are not shown the presentation (MGMT-33, `denyrxpresentation`); showing one is the floor's matter.
    #[serde(default)]
    pub presentation_denied: bool,
    /// They wait (room locked, no host yet): nothing flows in or out.
    #[serde(default)]
    pub waiting: bool,
}

/// ICE credentials of both sides (RFC 8839). Ours encode shard and session in the ufrag, see [`local_ufrag`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct IceSpec {
    /// Our user name fragment.
    pub local_ufrag: String,
    /// Our password: from a CSPRNG, at least 22 characters.
    pub local_pwd: String,
    /// The peer's user name fragment.
    pub remote_ufrag: String,
    /// The peer's password.
    pub remote_pwd: String,
}

impl std::fmt::Debug for IceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceSpec({}:{}, passwords hidden)", self.local_ufrag, self.remote_ufrag)
    }
}

/// One media connection, complete: everything that offer and answer agreed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionSpec {
    /// Its key.
    pub key: LegKey,
    /// Grows with each change.
    pub revision: u64,
    /// Whose it is.
    pub participant: ParticipantKey,
    /// The shard that owns it.
    pub shard: u16,
    /// ICE credentials; new ones on both sides are an ICE restart.
    pub ice: IceSpec,
    /// SHA-256 fingerprints of certificates that the peer may show (RFC 8122).
    pub fingerprints: Vec<Fingerprint>,
    /// The m-lines, in order.
    pub media: Vec<MediaSpec>,
    /// Most bits a second that we send; `None` = the configured limit.
    #[serde(default)]
    pub max_bitrate: Option<u64>,
    /// The CNAME of everything we send on this leg.
    pub cname: String,
    /// SSRC bindings that a former media plane had reported: reopened sessions know their sources at once.
    #[serde(default)]
    pub bindings: Vec<Binding>,
}

/// SHA-256 of a DER certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// An SSRC that was bound to a source after its packets authenticated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The SSRC.
    pub ssrc: u32,
    /// Index of the m-line in [`SessionSpec::media`].
    pub media: u16,
    /// Index of the encoding in [`SourceSpec::rids`], 0 without simulcast.
    pub encoding: u8,
    /// Whether it carries retransmissions (RFC 4588).
    pub rtx: bool,
}

/// One m-line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MediaSpec {
    /// Its MID; at most 16 bytes, so that it fits a one-byte extension.
    pub mid: String,
    /// Sound, picture or data.
    pub kind: Kind,
    /// Whether it carries a presentation (screen) instead of a camera.
    #[serde(default)]
    pub presentation: bool,
    /// Negotiated payload types, in the order of preference. The same table holds for both directions.
    #[serde(default)]
    pub codecs: Vec<CodecSpec>,
    /// Negotiated header extensions with their ids (1 to 255).
    #[serde(default)]
    pub extensions: Vec<(u8, Extension)>,
    /// Set when the peer sends here.
    #[serde(default)]
    pub source: Option<SourceSpec>,
    /// Set when the peer receives here.
    #[serde(default)]
    pub slot: Option<SlotSpec>,
    /// The SCTP port of the peer, for data.
    #[serde(default)]
    pub sctp_port: Option<u16>,
}

/// One payload type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CodecSpec {
    /// 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub codec: Codec,
    /// RTP clock in Hz.
    pub clock: u32,
    /// Payload type of its retransmissions.
    #[serde(default)]
    pub rtx: Option<u8>,
    /// Distinguishes payload types of one codec that must not be mixed up: H.264 profile and packetization mode, VP9
    /// profile, AV1 profile. 0 where the codec has none. Two legs can exchange a codec when codec and profile agree.
    #[serde(default)]
    pub profile: u32,
    /// Generic NACK (RFC 4585).
    #[serde(default)]
    pub nack: bool,
    /// Picture loss indication (RFC 4585).
    #[serde(default)]
    pub pli: bool,
    /// Full intra request (RFC 5104).
    #[serde(default)]
    pub fir: bool,
    /// Transport-wide congestion control feedback.
    #[serde(default)]
    pub twcc: bool,
    /// Receiver-estimated maximum bitrate.
    #[serde(default)]
    pub remb: bool,
}

/// What the peer sends on an m-line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// The track it becomes.
    pub track: TrackKey,
    /// Signalled SSRCs with their RTX SSRCs, when the offer names them.
    #[serde(default)]
    pub ssrcs: Vec<(u32, Option<u32>)>,
    /// Simulcast encodings by RID, smallest picture first; empty = one encoding.
    #[serde(default)]
    pub rids: Vec<String>,
}

/// A slot: one continuous stream to the peer, whoever fills it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotSpec {
    /// Position among the slots of its kind: 0 is the main tile, or the loudest. A presentation slot has its own count.
    pub index: u16,
    /// Our SSRC.
    pub ssrc: u32,
    /// Our SSRC for retransmissions and probes, when RTX was negotiated.
    #[serde(default)]
    pub rtx_ssrc: Option<u32>,
}

/// What a leg wants to see in its slots; changes often, so it is apart from [`SessionSpec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionSpec {
    /// The leg.
    pub leg: LegKey,
    /// Grows with each change.
    pub revision: u64,
    /// Wishes by MID; a slot without one gets the default (640×360 for the main tile, 320×180 for others).
    #[serde(default)]
    pub slots: Vec<SlotWish>,
    /// Whom this leg sees first, in this order, before those of [`ConferenceSpec::pinned`]: actors of its own layout.
    #[serde(default)]
    pub first: Vec<ParticipantKey>,
    /// Nothing that is sent to this leg waits to be smoothed: lowest latency, at the risk of bursts that a narrow link loses.
    #[serde(default)]
    pub low_latency: bool,
    /// The scene ([`crate::SceneSpec::id`]) that this leg gets with the mixed sound, instead of what others send. While there is
    /// no mix or no mixer, it is forwarded to.
    #[serde(default)]
    pub mix: Option<u16>,
    /// A leg that is forwarded to gets the mixed sound in its one sound slot, where a single voice would leave out who speaks at the same time.
    /// While there is no mix or no mixer, it gets the loudest voice. Says nothing of a leg with a `mix`.
    #[serde(default)]
    pub mixed_sound: bool,
}

/// What one slot is wanted for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotWish {
    /// The m-line.
    pub mid: String,
    /// Size of the tile in physical pixels; 0×0 = not shown: nothing is sent.
    pub width: u16,
    /// See `width`.
    pub height: u16,
    /// Most frames a second, 0 = no limit.
    #[serde(default)]
    pub max_fps: u8,
    /// Whose picture this slot holds whatever the speaker order says.
    #[serde(default)]
    pub pinned: Option<ParticipantKey>,
}

/// Our ICE user name fragment: shard, leg and a random tail, so that a shard finds the session of the first STUN request
/// without a table shared by shards. `tail` comes from a CSPRNG and is at least 8 ice-chars.
pub fn local_ufrag(shard: u16, leg: LegKey, tail: &str) -> String {
    format!("{shard:x}/{:x}/{tail}", leg.0)
}

/// Shard and leg that [`local_ufrag`] encoded; `None` for what it did not make.
pub fn parse_local_ufrag(ufrag: &str) -> Option<(u16, LegKey)> {
    let mut parts = ufrag.split('/');
    let shard = u16::from_str_radix(parts.next()?, 16).ok()?;
    let leg = u64::from_str_radix(parts.next()?, 16).ok()?;
    parts.next().filter(|tail| tail.len() >= 8)?;
    parts.next().is_none().then_some((shard, LegKey(leg)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ufrag_tells_shard_and_leg_and_nothing_else_parses() {
        let ufrag = local_ufrag(3, LegKey(0xabcdef), "k3Jd82hs");
        assert_eq!(parse_local_ufrag(&ufrag), Some((3, LegKey(0xabcdef))));
        for bad in ["", "3", "3/abc", "3/abc/short", "x/abc/k3Jd82hs", "3/abc/k3Jd82hs/more", "99999/1/k3Jd82hs"] {
            assert_eq!(parse_local_ufrag(bad), None, "{bad}");
        }
    }
}
