//! From an [`Attribute`] to the text behind `a=`.

use super::{Attribute, Direction, ExtMap, RtpMap, Setup};
use std::fmt::{self, Display, Formatter};

impl Display for Direction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        })
    }
}

impl Display for Setup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::HoldConn => "holdconn",
        })
    }
}

impl Display for RtpMap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.payload_type, self.name, self.clock)?;
        self.channels.iter().try_for_each(|c| write!(f, "/{c}"))
    }
}

impl Display for ExtMap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        self.direction.iter().try_for_each(|d| write!(f, "/{d}"))?;
        write!(f, " {}", self.uri)?;
        self.params.iter().try_for_each(|p| write!(f, " {p}"))
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T], gap: &str) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(gap)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn named_list<T: Display>(f: &mut Formatter<'_>, name: &str, head: &str, items: &[T]) -> fmt::Result {
    write!(f, "{name}:{head}")?;
    items.iter().try_for_each(|item| write!(f, " {item}"))
}

impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Group { semantics, mids } => named_list(f, "group", semantics, mids),
            Attribute::Mid(mid) => write!(f, "mid:{mid}"),
            Attribute::RtpMap(map) => write!(f, "rtpmap:{map}"),
            Attribute::Fmtp { payload_type, params } => write!(f, "fmtp:{payload_type} {params}"),
            Attribute::RtcpFb { payload_type: Some(pt), value } => write!(f, "rtcp-fb:{pt} {value}"),
            Attribute::RtcpFb { payload_type: None, value } => write!(f, "rtcp-fb:* {value}"),
            Attribute::ExtMap(map) => write!(f, "extmap:{map}"),
            Attribute::ExtMapAllowMixed => f.write_str("extmap-allow-mixed"),
            Attribute::Ssrc { ssrc, name, value } => {
                write!(f, "ssrc:{ssrc} {name}")?;
                value.iter().try_for_each(|v| write!(f, ":{v}"))
            }
            Attribute::SsrcGroup { semantics, ssrcs } => named_list(f, "ssrc-group", semantics, ssrcs),
            Attribute::Msid { stream, track } => {
                write!(f, "msid:{stream}")?;
                track.iter().try_for_each(|t| write!(f, " {t}"))
            }
            Attribute::Rid(rid) => write!(f, "rid:{rid}"),
            Attribute::Simulcast(simulcast) => write!(f, "simulcast:{simulcast}"),
            Attribute::IceUfrag(ufrag) => write!(f, "ice-ufrag:{ufrag}"),
            Attribute::IcePwd(pwd) => write!(f, "ice-pwd:{pwd}"),
            Attribute::IceOptions(options) => {
                f.write_str("ice-options:")?;
                list(f, options, " ")
            }
            Attribute::IceLite => f.write_str("ice-lite"),
            Attribute::Candidate(candidate) => write!(f, "candidate:{candidate}"),
            Attribute::EndOfCandidates => f.write_str("end-of-candidates"),
            Attribute::Fingerprint(fingerprint) => {
                write!(f, "fingerprint:{} ", fingerprint.algorithm)?;
                for (i, byte) in fingerprint.digest.iter().enumerate() {
                    write!(f, "{}{byte:02X}", if i > 0 { ":" } else { "" })?;
                }
                Ok(())
            }
            Attribute::Setup(setup) => write!(f, "setup:{setup}"),
            Attribute::RtcpMux => f.write_str("rtcp-mux"),
            Attribute::RtcpMuxOnly => f.write_str("rtcp-mux-only"),
            Attribute::RtcpRsize => f.write_str("rtcp-rsize"),
            Attribute::Direction(direction) => write!(f, "{direction}"),
            Attribute::SctpPort(port) => write!(f, "sctp-port:{port}"),
            Attribute::MaxMessageSize(size) => write!(f, "max-message-size:{size}"),
            Attribute::Content(values) => {
                f.write_str("content:")?;
                list(f, values, ",")
            }
            Attribute::Other { name, value: Some(value) } => write!(f, "{name}:{value}"),
            Attribute::Other { name, value: None } => f.write_str(name),
        }
    }
}
