//! A network for one measurement: the server in a namespace of its own, joined to us by a veth pair; and a null device there.
//!
//! ```text
//!  here                                      namespace
//!  10.213.77.1, 10.213.78.1  plb0 ──── plb1  10.213.77.2   the server
//!                                      ifb0  where 10.213.78.0/24 goes once it is swallowed
//! ```
//!
//! veth charges the receiver's soft interrupts to the sender's core, as performance.md says. The null device drops at once what
//! it is given; trains are cut in software before, as for a network card that cannot. Everything goes with the value.

use crate::process::run;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

const NAMESPACE: &str = "plenum-bench";
const OUTSIDE: &str = "plb0";
const INSIDE: &str = "plb1";
/// Whoever is to stay reachable.
pub const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 213, 77, 1));
/// Whoever may be swallowed.
pub const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 213, 78, 1));
/// The server.
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 213, 77, 2));

/// The network.
pub struct Network(());

impl Network {
    /// Makes it.
    ///
    /// # Errors
    /// Which step failed, in the words of `ip`: it needs root.
    pub fn new() -> Result<Network, String> {
        // What a run that was killed left behind.
        let _ = run("ip", &["netns", "del", NAMESPACE]);
        let _ = run("ip", &["link", "del", OUTSIDE]);
        run("ip", &["netns", "add", NAMESPACE])?;
        let network = Network(());
        run("ip", &["link", "add", OUTSIDE, "type", "veth", "peer", "name", INSIDE, "netns", NAMESPACE])?;
        run("ip", &["addr", "add", "10.213.77.1/24", "dev", OUTSIDE])?;
        run("ip", &["addr", "add", "10.213.78.1/24", "dev", OUTSIDE])?;
        run("ip", &["link", "set", OUTSIDE, "up"])?;
        inside(&["addr", "add", "10.213.77.2/24", "dev", INSIDE])?;
        inside(&["link", "set", "lo", "up"])?;
        inside(&["link", "set", INSIDE, "up"])?;
        inside(&["route", "add", "10.213.78.0/24", "via", "10.213.77.1"])?;
        // Replies of those who are swallowed come over veth while their route leads elsewhere.
        let open = "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done";
        run("ip", &["netns", "exec", NAMESPACE, "sh", "-c", open])?;
        Ok(network)
    }

    /// A command that runs in the server's namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", NAMESPACE, program]);
        command
    }

    /// From now on everything that the server sends to [`FAR`] goes into the null device.
    ///
    /// # Errors
    /// When the kernel has no `ifb`.
    pub fn swallow(&self) -> Result<(), String> {
        inside(&["link", "add", "ifb0", "type", "ifb"])?;
        // One segment at most: the kernel cuts trains itself, as it must for most cards.
        inside(&["link", "set", "ifb0", "gso_max_segs", "1"])?;
        inside(&["link", "set", "ifb0", "up"])?;
        inside(&["route", "replace", "10.213.78.0/24", "dev", "ifb0"])?;
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = run("ip", &["netns", "del", NAMESPACE]);
        let _ = run("ip", &["link", "del", OUTSIDE]);
    }
}

fn inside(arguments: &[&str]) -> Result<String, String> {
    run("ip", &[&["-n", NAMESPACE], arguments].concat())
}
