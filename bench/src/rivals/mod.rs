//! Other servers under the same peers, the same network and the same loads: Janus, and a small SFU on Pion, both as Debian has them.
//!
//! Each run is a fresh process in a fresh network. Runs take turns with Plenum's, A B A B, and what is reported is the ratio of
//! packets for each second of processor time. A server that cannot be had is a counted skip.

mod chapter;
mod janus;
mod pion;

pub use chapter::run;

use crate::fanout::{Scenario, Server};
use crate::load;
use crate::peer::{Peer, PeerConfig, Shared};
use crate::swarm::Driver;
use crate::swarm::offer::Told;
use plenum_contract::spec::Fingerprint;
use plenum_packet::{Path, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for the publishers, before viewers are let in.
const PUBLISHERS: Duration = Duration::from_secs(20);

/// A server that peers join by descriptions.
trait Rival: Server {
    /// Whether it wants to make the offer to viewers.
    fn signal(&mut self, join: &Join<'_>) -> Result<Told, String>;
}

/// One peer that wants to join.
struct Join<'a> {
    config: &'a PeerConfig,
    room: usize,
    publishes: bool,
    ufrag: &'a str,
    pwd: &'a str,
    fingerprint: Fingerprint,
}

/// Joins everybody: publishers, then, when they are up, the viewers.
fn join(rival: &mut dyn Rival, scenario: &Scenario, driver: &mut Driver, shared: &Arc<Shared>) -> Result<(), String> {
    let own: Vec<SocketAddr> = driver.addresses().to_vec();
    // Peers that insist on a profile show the second certificate.
    let fingerprint = *shared.fingerprints().get(1).ok_or("no certificate")?;
    for (index, address) in own.into_iter().enumerate() {
        if index == scenario.rooms {
            let end = Driver::now() + PUBLISHERS;
            driver.run(end, |driver| driver.up() == scenario.rooms).map_err(|e| format!("sockets: {e}"))?;
            if driver.up() < scenario.rooms {
                let pairs = driver.peers().iter().filter(|p| p.is_nominated()).count();
                let (up, all) = (driver.up(), scenario.rooms);
                return Err(format!("{up} of {all} publishers connected, {pairs} have a pair"));
            }
        }
        let leg = index as u64 + 1;
        let path = Path { transport: Transport::Udp, local: address, remote: address };
        let publishes = index < scenario.rooms;
        let mut config = match publishes {
            true => load::publisher(leg, path, scenario.media, scenario.suite),
            false => PeerConfig { twcc: false, ..load::viewer(leg, path, scenario.media, scenario.suite) },
        };
        // Neither sends retransmissions on an SSRC of their own that this peer's numbers would fit.
        config.rtx = false;
        config.signals_ssrcs = true;
        let (ufrag, pwd) = (format!("pb{index:04x}"), format!("peerpasswordlongenough{index:06x}"));
        let join =
            Join { config: &config, room: scenario.room_of(index), publishes, ufrag: &ufrag, pwd: &pwd, fingerprint };
        let told = rival.signal(&join).map_err(|e| format!("peer {leg}: {e}"))?;
        config.path.local = told.address;
        config.answered = told.ssrcs.clone();
        driver.add(Box::new(Peer::new(config, &told.ice(&ufrag, &pwd), shared, Driver::now())));
        // Those who are in must not wait for those who come.
        driver.run(Driver::now(), |_| false).map_err(|e| format!("sockets: {e}"))?;
    }
    Ok(())
}
