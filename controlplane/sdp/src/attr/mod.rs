//! `a=` lines as values.
//!
//! An attribute that is known and malformed is an error; an unknown one is kept as it stands.

mod candidate;
mod read;
mod rid;
mod write;

pub use candidate::Candidate;
pub use read::ParseAttributeError;
pub use rid::{Rid, RidDirection, Simulcast, SimulcastStream};

/// One `a=` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `group:BUNDLE 0 1` (RFC 5888, RFC 9143).
    Group {
        /// `BUNDLE`, `LS`, …
        semantics: String,
        /// The members.
        mids: Vec<String>,
    },
    /// `mid` (RFC 5888).
    Mid(String),
    /// `rtpmap`
    RtpMap(RtpMap),
    /// `fmtp`
    Fmtp {
        /// 0 to 127.
        payload_type: u8,
        /// As written.
        params: String,
    },
    /// `rtcp-fb` (RFC 4585).
    RtcpFb {
        /// `None` stands for `*`: every payload type.
        payload_type: Option<u8>,
        /// `nack pli` and so on.
        value: String,
    },
    /// `extmap` (RFC 8285).
    ExtMap(ExtMap),
    /// `extmap-allow-mixed` (RFC 8285).
    ExtMapAllowMixed,
    /// `ssrc` (RFC 5576).
    Ssrc {
        /// The SSRC.
        ssrc: u32,
        /// `cname`, `msid`, …
        name: String,
        /// What follows the colon.
        value: Option<String>,
    },
    /// `ssrc-group` (RFC 5576).
    SsrcGroup {
        /// `FID`, `SIM`, `FEC-FR`.
        semantics: String,
        /// The members.
        ssrcs: Vec<u32>,
    },
    /// `msid` (RFC 8830).
    Msid {
        /// Stream, `-` for none.
        stream: String,
        /// Track.
        track: Option<String>,
    },
    /// `rid` (RFC 8851).
    Rid(Rid),
    /// `simulcast` (RFC 8853).
    Simulcast(Simulcast),
    /// `ice-ufrag` (RFC 8839).
    IceUfrag(String),
    /// `ice-pwd` (RFC 8839).
    IcePwd(String),
    /// `ice-options` (RFC 8839).
    IceOptions(Vec<String>),
    /// `ice-lite` (RFC 8839).
    IceLite,
    /// `candidate` (RFC 8839, RFC 6544).
    Candidate(Candidate),
    /// `end-of-candidates` (RFC 8838).
    EndOfCandidates,
    /// `fingerprint` (RFC 8122).
    Fingerprint(Fingerprint),
    /// `setup` (RFC 4145).
    Setup(Setup),
    /// `rtcp-mux` (RFC 5761).
    RtcpMux,
    /// `rtcp-mux-only` (RFC 8858).
    RtcpMuxOnly,
    /// `rtcp-rsize` (RFC 5506).
    RtcpRsize,
    /// `sendrecv`, `sendonly`, `recvonly`, `inactive`.
    Direction(Direction),
    /// `sctp-port` (RFC 8841).
    SctpPort(u16),
    /// `max-message-size` (RFC 8841).
    MaxMessageSize(u64),
    /// `content` (RFC 4796).
    Content(Vec<String>),
    /// Any other.
    Other {
        /// What stands in front of the first colon.
        name: String,
        /// What stands behind it.
        value: Option<String>,
    },
}

/// `rtpmap`: what a payload type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpMap {
    /// 0 to 127.
    pub payload_type: u8,
    /// Encoding name; compared without regard to case.
    pub name: String,
    /// RTP clock in Hz.
    pub clock: u32,
    /// Number of channels, for sound.
    pub channels: Option<u8>,
}

/// `extmap`: the id of a header extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtMap {
    /// 1 to 255 (1 to 14 in the one-byte form).
    pub id: u8,
    /// Who uses it, when not both.
    pub direction: Option<Direction>,
    /// Which extension.
    pub uri: String,
    /// Its parameters, as written.
    pub params: Option<String>,
}

/// `fingerprint`: the digest of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// `sha-256`, in lower case.
    pub algorithm: String,
    /// The digest, at most 64 bytes.
    pub digest: Vec<u8>,
}

/// `setup`: who opens the DTLS association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Either.
    ActPass,
    /// The sender of this description does.
    Active,
    /// The other one does.
    Passive,
    /// Nobody for now.
    HoldConn,
}

/// Which way media flows, as the sender of the description sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// It only sends.
    SendOnly,
    /// It only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// From whether the sender of the description sends and receives.
    pub const fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the sender of the description sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the sender of the description receives.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same, as the other side says it.
    pub const fn reversed(self) -> Direction {
        Direction::new(self.receives(), self.sends())
    }
}
