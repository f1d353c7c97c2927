//! From the text behind `a=` to an [`Attribute`].

use super::{Attribute, Candidate, Direction, ExtMap, Fingerprint, Rid, RtpMap, Setup, Simulcast};

/// Most members of a group: as many as there may be m-lines or SSRCs of one source.
const MAX_MEMBERS: usize = 256;
/// Most bytes of a digest: SHA-512.
const MAX_DIGEST: usize = 64;

/// What is wrong with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAttributeError {
    /// A part is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A part cannot be what it says.
    #[error("bad {0}")]
    Bad(&'static str),
    /// More than we read.
    #[error("too many {0}")]
    TooMany(&'static str),
}

use ParseAttributeError as Error;

impl Attribute {
    /// Reads what stands behind `a=`.
    ///
    /// # Errors
    /// A known attribute is malformed.
    pub fn parse(text: &str) -> Result<Attribute, ParseAttributeError> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        match value {
            None => Ok(flag(name)),
            Some(value) => with_value(name, value),
        }
    }
}

fn flag(name: &str) -> Attribute {
    match name {
        "extmap-allow-mixed" => Attribute::ExtMapAllowMixed,
        "ice-lite" => Attribute::IceLite,
        "end-of-candidates" => Attribute::EndOfCandidates,
        "rtcp-mux" => Attribute::RtcpMux,
        "rtcp-mux-only" => Attribute::RtcpMuxOnly,
        "rtcp-rsize" => Attribute::RtcpRsize,
        "sendrecv" => Attribute::Direction(Direction::SendRecv),
        "sendonly" => Attribute::Direction(Direction::SendOnly),
        "recvonly" => Attribute::Direction(Direction::RecvOnly),
        "inactive" => Attribute::Direction(Direction::Inactive),
        _ => Attribute::Other { name: name.to_owned(), value: None },
    }
}

fn with_value(name: &str, value: &str) -> Result<Attribute, Error> {
    Ok(match name {
        "group" => {
            let (semantics, mids) = first_and_rest(value, "group semantics")?;
            Attribute::Group { semantics, mids }
        }
        "mid" => Attribute::Mid(token(value, "mid")?),
        "rtpmap" => Attribute::RtpMap(rtpmap(value)?),
        "fmtp" => {
            let (pt, params) = value.split_once(' ').ok_or(Error::Missing("format parameters"))?;
            Attribute::Fmtp { payload_type: payload_type(pt)?, params: params.to_owned() }
        }
        "rtcp-fb" => {
            let (pt, value) = value.split_once(' ').ok_or(Error::Missing("feedback"))?;
            let payload_type = if pt == "*" { None } else { Some(payload_type(pt)?) };
            Attribute::RtcpFb { payload_type, value: value.to_owned() }
        }
        "extmap" => Attribute::ExtMap(extmap(value)?),
        "ssrc" => ssrc(value)?,
        "ssrc-group" => {
            let (semantics, rest) = first_and_rest(value, "group semantics")?;
            let ssrcs = rest.iter().map(|s| s.parse().map_err(|_| Error::Bad("ssrc"))).collect::<Result<_, _>>()?;
            Attribute::SsrcGroup { semantics, ssrcs }
        }
        "msid" => match value.split_once(' ') {
            Some((stream, track)) => {
                Attribute::Msid { stream: token(stream, "msid")?, track: Some(token(track, "msid track")?) }
            }
            None => Attribute::Msid { stream: token(value, "msid")?, track: None },
        },
        "rid" => Attribute::Rid(Rid::parse(value)?),
        "simulcast" => Attribute::Simulcast(Simulcast::parse(value)?),
        "ice-ufrag" => Attribute::IceUfrag(token(value, "ice-ufrag")?),
        "ice-pwd" => Attribute::IcePwd(token(value, "ice-pwd")?),
        "ice-options" => Attribute::IceOptions(words(value, "ice-options")?),
        "candidate" => Attribute::Candidate(Candidate::parse(value)?),
        "fingerprint" => Attribute::Fingerprint(fingerprint(value)?),
        "setup" => Attribute::Setup(setup(value)?),
        "sctp-port" => Attribute::SctpPort(value.trim().parse().map_err(|_| Error::Bad("sctp-port"))?),
        "max-message-size" => {
            Attribute::MaxMessageSize(value.trim().parse().map_err(|_| Error::Bad("max-message-size"))?)
        }
        "content" => Attribute::Content(value.split(',').take(MAX_MEMBERS).map(str::to_owned).collect()),
        _ => Attribute::Other { name: name.to_owned(), value: Some(value.to_owned()) },
    })
}

fn token(value: &str, what: &'static str) -> Result<String, Error> {
    let value = value.trim_ascii();
    match value.is_empty() || value.contains(char::is_whitespace) {
        true => Err(Error::Bad(what)),
        false => Ok(value.to_owned()),
    }
}

fn words(value: &str, what: &'static str) -> Result<Vec<String>, Error> {
    let words: Vec<_> = value.split_ascii_whitespace().take(MAX_MEMBERS + 1).map(str::to_owned).collect();
    if words.len() > MAX_MEMBERS { Err(Error::TooMany(what)) } else { Ok(words) }
}

fn first_and_rest(value: &str, what: &'static str) -> Result<(String, Vec<String>), Error> {
    let mut all = words(value, what)?.into_iter();
    let first = all.next().ok_or(Error::Missing(what))?;
    Ok((first, all.collect()))
}

fn payload_type(word: &str) -> Result<u8, Error> {
    word.parse().ok().filter(|pt| *pt <= 127).ok_or(Error::Bad("payload type"))
}

fn rtpmap(value: &str) -> Result<RtpMap, Error> {
    let (pt, encoding) = value.split_once(' ').ok_or(Error::Missing("encoding"))?;
    let mut parts = encoding.trim_ascii().split('/');
    let name = parts.next().filter(|n| !n.is_empty()).ok_or(Error::Missing("encoding name"))?;
    let name = token(name, "encoding name")?;
    let clock = parts.next().ok_or(Error::Missing("clock rate"))?.parse().map_err(|_| Error::Bad("clock rate"))?;
    let channels = parts.next().map(str::parse).transpose().map_err(|_| Error::Bad("channels"))?;
    if parts.next().is_some() {
        return Err(Error::Bad("encoding"));
    }
    Ok(RtpMap { payload_type: payload_type(pt)?, name, clock, channels })
}

fn extmap(value: &str) -> Result<ExtMap, Error> {
    let mut words = value.splitn(3, ' ');
    let head = words.next().unwrap_or_default();
    let (id, direction) = match head.split_once('/') {
        None => (head, None),
        Some((id, "sendrecv")) => (id, Some(Direction::SendRecv)),
        Some((id, "sendonly")) => (id, Some(Direction::SendOnly)),
        Some((id, "recvonly")) => (id, Some(Direction::RecvOnly)),
        Some((id, "inactive")) => (id, Some(Direction::Inactive)),
        Some(_) => return Err(Error::Bad("extension direction")),
    };
    let id: u16 = id.parse().map_err(|_| Error::Bad("extension id"))?;
    // 4096 to 4351 mark offers of more extensions than ids (RFC 8285 section 7), which nobody makes.
    let id = u8::try_from(id).ok().filter(|id| *id > 0).ok_or(Error::Bad("extension id"))?;
    let uri = token(words.next().ok_or(Error::Missing("extension URI"))?, "extension URI")?;
    Ok(ExtMap { id, direction, uri, params: words.next().map(str::to_owned) })
}

fn ssrc(value: &str) -> Result<Attribute, Error> {
    let (ssrc, rest) = value.split_once(' ').ok_or(Error::Missing("ssrc attribute"))?;
    let ssrc = ssrc.parse().map_err(|_| Error::Bad("ssrc"))?;
    let (name, value) = match rest.split_once(':') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (rest, None),
    };
    Ok(Attribute::Ssrc { ssrc, name: token(name, "ssrc attribute")?, value })
}

fn fingerprint(value: &str) -> Result<Fingerprint, Error> {
    let (algorithm, hex) = value.trim_ascii().split_once(' ').ok_or(Error::Missing("digest"))?;
    let mut digest = Vec::new();
    for byte in hex.trim_ascii().split(':') {
        if digest.len() == MAX_DIGEST || byte.len() != 2 || !byte.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::Bad("digest"));
        }
        digest.push(u8::from_str_radix(byte, 16).map_err(|_| Error::Bad("digest"))?);
    }
    Ok(Fingerprint { algorithm: token(algorithm, "digest algorithm")?.to_ascii_lowercase(), digest })
}

fn setup(value: &str) -> Result<Setup, Error> {
    match value.trim_ascii() {
        "actpass" => Ok(Setup::ActPass),
        "active" => Ok(Setup::Active),
        "passive" => Ok(Setup::Passive),
        "holdconn" => Ok(Setup::HoldConn),
        _ => Err(Error::Bad("setup")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_known_attributes_are_refused_and_unknown_ones_kept() {
        for bad in [
            "mid:",
            "rtpmap:96",
            "rtpmap:200 VP8/90000",
            "rtpmap:96 VP8",
            "fmtp:96",
            "extmap:0 urn:x",
            "extmap:300 urn:x",
            "extmap:1/up urn:x",
            "ssrc:x cname:y",
            "ssrc-group:FID 1 x",
            "fingerprint:sha-256 AA:B",
            "fingerprint:sha-256",
            "setup:both",
            "candidate:1 1 udp",
            "sctp-port:70000",
            "group:",
            "ice-pwd:a b",
            "fingerprint:sha-256 +1:AA",
        ] {
            assert!(Attribute::parse(bad).is_err(), "{bad}");
        }
        let other = Attribute::Other { name: "x-thing".into(), value: Some("a:b c".into()) };
        assert_eq!(Attribute::parse("x-thing:a:b c"), Ok(other));
    }

    #[test]
    fn an_extension_has_an_id_a_direction_a_uri_and_parameters() {
        let parsed = Attribute::parse("extmap:1/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on").unwrap();
        let Attribute::ExtMap(ext) = parsed else { panic!("{parsed:?}") };
        assert_eq!((ext.id, ext.direction, ext.params.as_deref()), (1, Some(Direction::RecvOnly), Some("vad=on")));
    }
}
