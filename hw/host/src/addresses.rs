//! The addresses of this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of all interfaces that are up, without loopback and IPv6 link-local ones; loopback when there is nothing else.
pub fn interface_addresses() -> Vec<IpAddr> {
    let mut all = list();
    all.sort();
    all.dedup();
    let useful: Vec<_> = all.iter().copied().filter(is_useful).collect();
    if useful.is_empty() { vec![IpAddr::V4(Ipv4Addr::LOCALHOST)] } else { useful }
}

fn is_useful(ip: &IpAddr) -> bool {
    let local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !local
}

fn list() -> Vec<IpAddr> {
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `head` is a valid place for the list's first node.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut node = head;
    while !node.is_null() {
        // SAFETY: a non-null node of the list that getifaddrs made and freeifaddrs has not freed yet.
        let entry = unsafe { &*node };
        if entry.ifa_flags & libc::IFF_UP as u32 != 0 && !entry.ifa_addr.is_null() {
            found.extend(read(entry.ifa_addr));
        }
        node = entry.ifa_next;
    }
    // SAFETY: `head` came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(head) };
    found
}

fn read(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller passes a non-null sockaddr of the list; the family tells its real type.
    match i32::from(unsafe { (*address).sa_family }) {
        libc::AF_INET => {
            // SAFETY: an AF_INET address is a sockaddr_in.
            let v4 = unsafe { &*address.cast::<libc::sockaddr_in>() };
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr))))
        }
        libc::AF_INET6 => {
            // SAFETY: an AF_INET6 address is a sockaddr_in6.
            let v6 = unsafe { &*address.cast::<libc::sockaddr_in6>() };
            Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_can_be_bound() {
        for ip in interface_addresses() {
            std::net::UdpSocket::bind((ip, 0)).unwrap();
        }
    }
}
