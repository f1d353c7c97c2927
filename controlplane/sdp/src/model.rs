//! A session description as values: what stands in front of the m-lines, and the m-lines.
//!
//! Lines that neither WebRTC nor our SIP side uses (`i= u= e= p= r= z= k=`) are read and left out.

use crate::attr::{Attribute, Direction};

/// A session description (RFC 8866).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// `o=`
    pub origin: Origin,
    /// `s=`
    pub name: String,
    /// `c=` of the session, if any.
    pub connection: Option<Connection>,
    /// `b=` of the session.
    pub bandwidth: Vec<Bandwidth>,
    /// `t=`: start and stop in NTP seconds; 0 0 in calls.
    pub timing: (u64, u64),
    /// `a=` of the session, in order.
    pub attributes: Vec<Attribute>,
    /// `m=` sections, in order.
    pub media: Vec<Media>,
}

/// `o=`: who made the description, and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `-` when there is none.
    pub username: String,
    /// The same in every description of a call.
    pub session_id: u64,
    /// Grows by one with each description of a call.
    pub session_version: u64,
    /// Where it was made; often a dummy.
    pub address: Connection,
}

/// Network type `IN`, an address type and an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `IP6` instead of `IP4`.
    pub ipv6: bool,
    /// An address or a name, as it was written.
    pub address: String,
}

impl Connection {
    /// The address of nobody: `IN IP4 0.0.0.0`.
    pub fn unspecified() -> Connection {
        Connection { ipv6: false, address: "0.0.0.0".into() }
    }

    /// `IN IP4` or `IN IP6` with this address.
    pub fn from_ip(ip: std::net::IpAddr) -> Connection {
        Connection { ipv6: ip.is_ipv6(), address: ip.to_string() }
    }
}

/// `b=<kind>:<value>`: kbit/s with `AS`, bit/s with `TIAS` (RFC 3890).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// `AS`, `CT`, `TIAS`, …
    pub kind: String,
    /// In the unit of the kind.
    pub value: u64,
}

impl Bandwidth {
    /// Bits a second, for kinds that limit a stream.
    pub fn bits_per_second(&self) -> Option<u64> {
        match self.kind.as_str() {
            "TIAS" => Some(self.value),
            "AS" => Some(self.value.saturating_mul(1_000)),
            _ => None,
        }
    }
}

/// An m-line with everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `application`, …
    pub kind: String,
    /// Port; 0 = rejected (or bundled only, see [`Media::is_offered`]).
    pub port: u16,
    /// Transport, `UDP/TLS/RTP/SAVPF`, …
    pub protocol: String,
    /// Payload types, or what the protocol has in their place.
    pub formats: Vec<String>,
    /// `c=` of this section.
    pub connection: Option<Connection>,
    /// `b=` of this section.
    pub bandwidth: Vec<Bandwidth>,
    /// `a=` of this section, in order.
    pub attributes: Vec<Attribute>,
}

impl Session {
    /// The groups of this kind (`BUNDLE`, `LS`), each as its MIDs.
    pub fn groups<'a>(&'a self, semantics: &'a str) -> impl Iterator<Item = &'a [String]> {
        self.attributes.iter().filter_map(move |a| match a {
            Attribute::Group { semantics: s, mids } if s == semantics => Some(mids.as_slice()),
            _ => None,
        })
    }

    /// The first attribute that `pick` takes: of the media section, else of the session (RFC 8866 section 5.13).
    pub fn inherited<'a, T>(&'a self, media: &'a Media, pick: impl Fn(&'a Attribute) -> Option<T>) -> Option<T> {
        media.attributes.iter().chain(&self.attributes).find_map(pick)
    }
}

impl Media {
    /// The MID (RFC 5888).
    pub fn mid(&self) -> Option<&str> {
        self.attributes.iter().find_map(|a| match a {
            Attribute::Mid(mid) => Some(mid.as_str()),
            _ => None,
        })
    }

    /// Whether the sender of this description means the section: a port, or port 0 with `bundle-only` (RFC 9143).
    pub fn is_offered(&self) -> bool {
        self.port != 0 || self.has_flag("bundle-only")
    }

    /// Whether the attribute `a=<name>` without a value is there, for those that have no variant of their own.
    pub fn has_flag(&self, name: &str) -> bool {
        self.attributes.iter().any(|a| matches!(a, Attribute::Other { name: n, value: None } if n == name))
    }

    /// The direction, from the session where the section has none; `sendrecv` by default.
    pub fn direction(&self, session: &Session) -> Direction {
        let pick = |a: &Attribute| match a {
            Attribute::Direction(d) => Some(*d),
            _ => None,
        };
        session.inherited(self, pick).unwrap_or(Direction::SendRecv)
    }

    /// Whether it carries slides (`a=content:slides`, RFC 4796).
    pub fn is_slides(&self) -> bool {
        self.attributes.iter().any(|a| matches!(a, Attribute::Content(values) if values.iter().any(|v| v == "slides")))
    }

    /// The parameters of `a=fmtp` for a payload type, as they were written.
    pub fn fmtp(&self, payload_type: u8) -> Option<&str> {
        self.attributes.iter().find_map(|a| match a {
            Attribute::Fmtp { payload_type: pt, params } if *pt == payload_type => Some(params.as_str()),
            _ => None,
        })
    }
}

/// The value of `key` in the parameters of an `a=fmtp`; keys are compared without regard to case (RFC 6838).
pub fn fmtp_value<'a>(params: &'a str, key: &str) -> Option<&'a str> {
    params.split(';').find_map(|pair| {
        let (k, v) = pair.split_once('=')?;
        k.trim().eq_ignore_ascii_case(key).then(|| v.trim())
    })
}
