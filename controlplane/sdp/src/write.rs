//! From [`Session`] to text: lines in the order of RFC 8866 section 5, each ending in CRLF.

use crate::attr::Attribute;
use crate::model::{Bandwidth, Connection, Media, Session};
use std::fmt::{self, Display, Formatter};

impl Display for Connection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "IN {} {}", if self.ipv6 { "IP6" } else { "IP4" }, self.address)
    }
}

impl Display for Session {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let o = &self.origin;
        write!(f, "v=0\r\no={} {} {} {}\r\n", o.username, o.session_id, o.session_version, o.address)?;
        write!(f, "s={}\r\n", self.name)?;
        common(f, self.connection.as_ref(), &self.bandwidth)?;
        write!(f, "t={} {}\r\n", self.timing.0, self.timing.1)?;
        attributes(f, &self.attributes)?;
        self.media.iter().try_for_each(|m| write!(f, "{m}"))
    }
}

impl Display for Media {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {} {}\r\n", self.kind, self.port, self.protocol, self.formats.join(" "))?;
        common(f, self.connection.as_ref(), &self.bandwidth)?;
        attributes(f, &self.attributes)
    }
}

fn common(f: &mut Formatter<'_>, connection: Option<&Connection>, bandwidth: &[Bandwidth]) -> fmt::Result {
    connection.iter().try_for_each(|c| write!(f, "c={c}\r\n"))?;
    bandwidth.iter().try_for_each(|b| write!(f, "b={}:{}\r\n", b.kind, b.value))
}

fn attributes(f: &mut Formatter<'_>, attributes: &[Attribute]) -> fmt::Result {
    attributes.iter().try_for_each(|a| write!(f, "a={a}\r\n"))
}
