//! Where webhooks may go. Without `webhooks.private_addresses` only `https` to addresses of the public Internet, so that the
//! API cannot be used to reach into the network that the appliance stands in. The address that is connected to is the one that
//! was checked, whatever the name resolves to a moment later. Redirects are not followed.

use super::MAX_URL;
use axum::http::Uri;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(url: &str, private: bool) -> Result<Target, &'static str> {
        let good = |c: char| c.is_ascii_graphic() && c != '#';
        if url.len() > MAX_URL || !url.chars().all(good) {
            return Err("a URL has at most 2048 printable ASCII characters and no fragment");
        }
        let uri: Uri = url.parse().map_err(|_| "this is no URL")?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if private => false,
            Some("http") => return Err("http needs webhooks.private_addresses; use https"),
            _ => return Err("a URL begins with https://"),
        };
        let authority = uri.authority().ok_or("a URL names a host")?;
        if authority.as_str().contains('@') {
            return Err("a URL carries no password: what is sent is signed");
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("a URL names a host");
        }
        if let Ok(ip) = host.parse::<IpAddr>()
            && !allowed(ip, private)
        {
            return Err("this address is not of the public Internet; see webhooks.private_addresses");
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Target { tls, host, port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }), path })
    }
}

/// Whether a webhook may go to this address.
pub fn allowed(ip: IpAddr, private: bool) -> bool {
    let ip = ip.to_canonical();
    if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return false;
    }
    private
        || match ip {
            IpAddr::V4(ip) => public_v4(ip),
            IpAddr::V6(ip) => public_v6(ip),
        }
}

/// Not in one of the blocks of the IANA registry of special purposes (RFC 6890).
fn public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let special =
        a == 0 || a >= 240 || (a == 192 && b == 0 && (c == 0 || c == 2)) || (a == 198 && (18..20).contains(&b));
    !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_documentation() || shared || special)
}

/// Of 2000::/3, and neither documentation nor a form that carries an IPv4 address.
fn public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let teredo_or_special = a == 0x2001 && b < 0x0200;
    (0x2000..0x4000).contains(&a) && !teredo_or_special && a != 0x2002 && !(a == 0x2001 && b == 0x0db8) && a != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached_unless_the_setting_says_otherwise() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.1.2.3",
            "192.0.2.1",
            "198.18.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
        ] {
            let ip: IpAddr = private.parse().unwrap();
            assert!(!allowed(ip, false) && allowed(ip, true), "{private}");
        }
        for public in ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(allowed(public.parse().unwrap(), false), "{public}");
        }
        for never in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1"] {
            assert!(!allowed(never.parse().unwrap(), true), "{never}");
        }
    }

    #[test]
    fn urls_are_read_or_refused_with_a_reason() {
        let target = Target::read("https://example.org/in?x=1", false).unwrap();
        assert_eq!(
            (target.tls, target.host.as_str(), target.port, target.path.as_str()),
            (true, "example.org", 443, "/in?x=1")
        );
        assert_eq!(Target::read("http://[::1]:8080", true).unwrap().host, "::1");
        for bad in [
            "",
            "x",
            "ftp://example.org/",
            "http://example.org/",
            "https://u:p@example.org/",
            "https:///x",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://example.org/#x",
            "https://example.org/ä",
            "https://example.org/\r\nx: y",
        ] {
            assert!(Target::read(bad, false).is_err(), "{bad}");
        }
    }
}
