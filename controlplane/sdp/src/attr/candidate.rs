//! `a=candidate` (RFC 8839 section 5.1, RFC 6544 for TCP).

use super::read::ParseAttributeError;
use std::fmt;
use std::net::SocketAddr;

/// Most pairs of extension attributes behind a candidate; browsers write four.
const MAX_EXTENSIONS: usize = 16;

/// An ICE candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Same for candidates of one kind, base and server.
    pub foundation: String,
    /// 1 = RTP (and RTCP with rtcp-mux).
    pub component: u16,
    /// `udp` or `tcp`, in lower case.
    pub transport: String,
    /// Larger is better.
    pub priority: u32,
    /// An address, or an mDNS name.
    pub address: String,
    /// Port.
    pub port: u16,
    /// `host`, `srflx`, `prflx` or `relay`.
    pub kind: String,
    /// `raddr`, `rport`, `tcptype`, `generation`, … in order.
    pub extensions: Vec<(String, String)>,
}

impl Candidate {
    /// A host candidate of component 1. `preference` ranks our own addresses: larger is better, at most 8191.
    pub fn host(address: SocketAddr, tcp: bool, preference: u16) -> Candidate {
        // RFC 8445 section 5.1.2.1: type preference 126; RFC 6544 section 4.2: passive TCP has direction preference 4 of 7,
        // so that UDP, written as 7, always wins.
        let direction: u32 = if tcp { 4 } else { 7 };
        let local = (direction << 13) | u32::from(preference.min(8191));
        let family = if address.is_ipv6() { 2 } else { 0 };
        Candidate {
            foundation: (1 + family + u32::from(tcp)).to_string(),
            component: 1,
            transport: if tcp { "tcp" } else { "udp" }.into(),
            priority: (126 << 24) | (local << 8) | 255,
            address: address.ip().to_string(),
            port: address.port(),
            kind: "host".into(),
            extensions: if tcp { vec![("tcptype".into(), "passive".into())] } else { Vec::new() },
        }
    }

    /// Reads what follows `candidate:`.
    ///
    /// # Errors
    /// A field is missing or no number.
    pub fn parse(value: &str) -> Result<Candidate, ParseAttributeError> {
        let mut words = value.split_ascii_whitespace();
        let mut next = |what| words.next().ok_or(ParseAttributeError::Missing(what));
        let foundation = next("foundation")?.to_owned();
        let component = number(next("component")?, "component")?;
        let transport = next("transport")?.to_ascii_lowercase();
        let priority = number(next("priority")?, "priority")?;
        let address = next("address")?.to_owned();
        let port = number(next("port")?, "port")?;
        if next("typ")? != "typ" {
            return Err(ParseAttributeError::Bad("typ"));
        }
        let kind = next("type")?.to_owned();
        let mut extensions = Vec::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or(ParseAttributeError::Missing("extension value"))?;
            if extensions.len() == MAX_EXTENSIONS {
                return Err(ParseAttributeError::TooMany("candidate extensions"));
            }
            extensions.push((name.to_owned(), value.to_owned()));
        }
        Ok(Candidate { foundation, component, transport, priority, address, port, kind, extensions })
    }
}

fn number<T: std::str::FromStr>(word: &str, what: &'static str) -> Result<T, ParseAttributeError> {
    word.parse().map_err(|_| ParseAttributeError::Bad(what))
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Candidate { foundation, component, transport, priority, address, port, kind, extensions } = self;
        write!(f, "{foundation} {component} {transport} {priority} {address} {port} typ {kind}")?;
        for (name, value) in extensions {
            write!(f, " {name} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn udp_ranks_above_tcp_and_a_tcp_candidate_is_passive() {
        let address: SocketAddr = "192.0.2.1:40000".parse().unwrap();
        let udp = Candidate::host(address, false, 1);
        let tcp = Candidate::host(address, true, 8191);
        assert!(udp.priority > tcp.priority);
        assert_ne!(udp.foundation, tcp.foundation);
        assert!(tcp.to_string().ends_with("192.0.2.1 40000 typ host tcptype passive"));
        assert_eq!(Candidate::parse(&tcp.to_string()), Ok(tcp));
    }

    #[test]
    fn a_browsers_candidate_with_an_mdns_name_is_read() {
        let line =
            "1467250027 1 UDP 2122260223 8d1f1a5c-1.local 46154 typ host generation 0 network-id 1 network-cost 10";
        let c = Candidate::parse(line).unwrap();
        assert_eq!((c.transport.as_str(), c.port, c.extensions.len()), ("udp", 46154, 3));
    }
}
