//! What media sends.

use crate::spec::Binding;
use crate::{ConferenceKey, LegKey, ParticipantKey, Snapshot, TrackKey, VideoLayer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One frame from media to control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// First frame of a connection.
    Hello(Hello),
    /// Something happened.
    Event(Event),
    /// A part of the answer to [`crate::Command::Snapshot`].
    Snapshot(Snapshot),
    /// Counters, once a second.
    Metrics(Metrics),
    /// Events were dropped because control read too slowly: ask for a snapshot.
    Resync {
        /// How many were dropped.
        dropped: u64,
    },
    /// A command could not be carried out; the one that was sent as number `index` on this connection.
    Refused {
        /// Commands are counted from 0 on each connection; `u64::MAX` when a shard refused it, which does not count.
        index: u64,
        /// Why, in words for the log.
        reason: String,
        /// When it was a [`crate::Command::Session`]: its leg. What control told its client is not what media does.
        #[serde(default)]
        leg: Option<LegKey>,
    },
    /// A picture of a presentation that a [`crate::MixSpec`] asks for. It has no number, and is left out when control reads slowly.
    Still(crate::Still),
    /// A line of media's log. Sent only on a connection on which control asked for it with [`crate::Command::Log`].
    Log(LogLine),
}

/// A line of media's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// How loud.
    pub level: LogLevel,
    /// One line of text.
    pub text: String,
    /// The leg that it is about.
    #[serde(default)]
    pub leg: Option<LegKey>,
    /// The shard that it is about.
    #[serde(default)]
    pub shard: Option<u16>,
    /// Milliseconds from when it was written until it was sent: lines wait while control is away.
    #[serde(default)]
    pub age_ms: u64,
}

/// How loud a line is, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something is wrong and goes on.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What an engineer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// All, the most important first.
    pub const ALL: [LogLevel; 5] = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

    /// As [`crate::Command::Log`] has it.
    pub const fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// Who this media plane is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Contract version.
    pub version: u16,
    /// Random for each start: another one means that all SRTP keys are gone.
    pub boot: u128,
    /// SHA-256 fingerprints of our certificates (one for each DTLS engine that has its own); the first is preferred.
    pub fingerprints: Vec<crate::spec::Fingerprint>,
    /// One entry for each shard.
    pub shards: Vec<ShardInfo>,
    /// The limits that hold.
    pub limits: Limits,
}

/// A shard's addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// UDP addresses it receives at (before any 1:1 NAT).
    pub udp: Vec<SocketAddr>,
    /// TCP addresses it accepts ICE-TCP at.
    pub tcp: Vec<SocketAddr>,
    /// `uring` or `mmsg`.
    pub back_end: String,
}

/// Limits of the media plane. At a limit the next request is refused and everything running goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sessions on each shard.
    pub sessions_per_shard: u32,
    /// m-lines in a session.
    pub media_per_session: u32,
    /// Most bits a second to one leg.
    pub max_bitrate: u64,
}

/// An event with its number. Numbers are per boot and have no gaps, except after [`Message::Resync`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// 1, 2, 3 …
    pub number: u64,
    /// Whether it is kept until acknowledged.
    pub durable: bool,
    /// What happened.
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// A leg's transport is up: ICE has a pair and DTLS gave keys.
    LegConnected {
        /// The leg.
        leg: LegKey,
        /// `AEAD_AES_128_GCM` and so on.
        suite: String,
        /// The peer's address.
        remote: SocketAddr,
        /// Whether it is ICE-TCP.
        tcp: bool,
        /// `DTLS1.3`, `DTLS1.2`, or `DTLS1.2, second engine`.
        dtls: String,
    },
    /// A leg lost its peer for 15 s: sending stopped. It may come back.
    LegSilent {
        /// The leg.
        leg: LegKey,
    },
    /// A leg is over (durable).
    LegEnded {
        /// The leg.
        leg: LegKey,
        /// Why.
        reason: LegEnd,
    },
    /// An SSRC was bound to a source.
    Bound {
        /// The leg.
        leg: LegKey,
        /// The binding.
        binding: Binding,
    },
    /// A track's first packet arrived, or its last was long ago.
    TrackActive {
        /// The leg.
        leg: LegKey,
        /// The track.
        track: TrackKey,
        /// Whether packets arrive.
        active: bool,
    },
    /// Speakers, most recent first.
    Speakers {
        /// The conference.
        conference: ConferenceKey,
        /// Participants with whether they speak now.
        order: Vec<(ParticipantKey, bool)>,
    },
    /// Who fills the video slots of a leg, slot 0 first; `None` = empty.
    Seats {
        /// The leg.
        leg: LegKey,
        /// Holders by slot index.
        seats: Vec<Option<ParticipantKey>>,
        /// Who fills the presentation slot.
        presentation: Option<ParticipantKey>,
        /// The layout that is drawn, when the leg gets the mix.
        #[serde(default)]
        layout: Option<String>,
    },
    /// A part of a conference's mix cannot be done; the rest is. Told once for each spec that asks for it.
    MixUnable {
        /// The conference.
        conference: ConferenceKey,
        /// What and why, in words for an operator.
        reason: String,
    },
    /// The mixer leaves out another part of what a conference's mix is to be, because it is behind; 0 = nothing any more.
    MixShed {
        /// The conference.
        conference: ConferenceKey,
        /// As [`crate::FromMix::Shed`] has it.
        level: u8,
    },
    /// Which layer a slot gets now; `None` = paused.
    Layer {
        /// The leg.
        leg: LegKey,
        /// The m-line.
        mid: String,
        /// The layer.
        layer: Option<VideoLayer>,
    },
    /// The estimate of what we may send to a leg changed by more than a tenth.
    Bandwidth {
        /// The leg.
        leg: LegKey,
        /// Bits a second.
        bitrate: u64,
    },
    /// A DTMF digit arrived by RFC 4733 (durable).
    Dtmf {
        /// The leg.
        leg: LegKey,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
    },
}

/// Why a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegEnd {
    /// Control asked for it.
    Removed,
    /// No authenticated ICE check for 30 s.
    ConsentLost,
    /// ICE or DTLS was not done in 30 s.
    SetupTimeout,
    /// The peer's certificate does not have the signalled fingerprint.
    FingerprintMismatch,
    /// The handshake failed.
    DtlsFailed,
    /// The peer closed (DTLS close-notify).
    PeerClosed,
}

impl LegEnd {
    /// The reason in words, as clients are told.
    pub const fn text(self) -> &'static str {
        match self {
            LegEnd::Removed => "Call disconnected",
            LegEnd::ConsentLost => "Connection lost",
            LegEnd::SetupTimeout => "Media connection could not be set up in time",
            LegEnd::FingerprintMismatch => "Certificate does not match its fingerprint",
            LegEnd::DtlsFailed => "Encryption handshake failed",
            LegEnd::PeerClosed => "Remote disconnect",
        }
    }
}

/// Counters of every shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// One for each shard.
    pub shards: Vec<ShardMetrics>,
    /// Estimate for each leg, bits a second.
    #[serde(default)]
    pub bandwidth: BTreeMap<u64, u64>,
}

/// Counters of one shard, since start unless it says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardMetrics {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Drops by reason label; zero entries are left out.
    pub drops: BTreeMap<String, u64>,
    /// Residence (kernel receive to send submission, without pacer wait): counts for bounds in ns, last = above all.
    pub residence: Vec<(u64, u64)>,
    /// Time in the pacer, as `residence`.
    pub pacer_wait: Vec<(u64, u64)>,
    /// Sessions now.
    pub sessions: u64,
    /// Pool slots in use now.
    pub pool_in_use: u64,
    /// Pool slots.
    pub pool_capacity: u64,
    /// Nanoseconds of the event loop spent working (not waiting).
    pub busy_ns: u64,
    /// Turns of the event loop.
    pub turns: u64,
    /// System calls.
    pub syscalls: u64,
    /// Whether a mixer is connected.
    #[serde(default)]
    pub mixer_up: bool,
    /// Mixers that came since start.
    #[serde(default)]
    pub mixer_starts: u64,
    /// How much work the mixer leaves out now ([`crate::FromMix::Load`]).
    #[serde(default)]
    pub mixer_shed: u8,
    /// What its threads did for this shard's conferences, all mixers since start together.
    #[serde(default)]
    pub mixer_spent: crate::MixerSpent,
    /// Encodings and mixes of sound that the mixer makes now.
    #[serde(default)]
    pub mixer_outputs: u64,
    /// Packets that did not fit into the ring to the mixer.
    #[serde(default)]
    pub mixer_lost: u64,
}
