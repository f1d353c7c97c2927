//! A network that loses: datagrams between one client and the appliance pass a relay on loopback, which drops a share of all of them in each
//! direction, of media, feedback and handshakes alike. Which ones is the same in every run.

use crate::appliance::Appliance;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A relay; ends with its value.
pub(crate) struct Relay {
    port: u16,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
}

/// Datagrams of both directions.
#[derive(Default)]
struct Counts {
    came: AtomicU64,
    lost: AtomicU64,
}

impl Relay {
    /// A relay to the media port of an appliance of one shard that drops `percent` of 100 datagrams.
    pub(crate) fn start(at: &Appliance, percent: u64) -> Relay {
        let log = at.log();
        let told = log.split("receives at udp [").nth(1).and_then(|rest| rest.split([',', ']']).next());
        let media: SocketAddr = told.and_then(|a| a.parse().ok()).expect("media says where it receives");
        let [inside, outside] = std::array::from_fn(|_| UdpSocket::bind("127.0.0.1:0").expect("loopback"));
        outside.connect(media).expect("loopback");
        for socket in [&inside, &outside] {
            // Whoever waits looks around now and then whether it is to stop.
            socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
        }
        let port = inside.local_addr().expect("bound").port();
        let relay = Relay { port, counts: Arc::default(), stop: Arc::default() };
        let (inside, outside) = (Arc::new(inside), Arc::new(outside));
        let client: Arc<std::sync::OnceLock<SocketAddr>> = Arc::default();
        for (seed, outward) in [(1, true), (2, false)] {
            let (inside, outside, client) = (inside.clone(), outside.clone(), client.clone());
            let (counts, stop) = (relay.counts.clone(), relay.stop.clone());
            std::thread::spawn(move || {
                let (mut bytes, mut random) = ([0; 2048], seed);
                while !stop.load(Ordering::Relaxed) {
                    let from = if outward { &inside } else { &outside };
                    let (len, source) = match from.recv_from(&mut bytes) {
                        Ok(came) => came,
                        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                        Err(_) => continue,
                    };
                    counts.came.fetch_add(1, Ordering::Relaxed);
                    if draw(&mut random) % 100 < percent {
                        counts.lost.fetch_add(1, Ordering::Relaxed);
                    } else if outward {
                        client.get_or_init(|| source);
                        let _ = outside.send(&bytes[..len]);
                    } else if let Some(client) = client.get() {
                        let _ = inside.send_to(&bytes[..len], client);
                    }
                }
            });
        }
        relay
    }

    /// What a page is to run first, so that its media takes this way alone.
    pub(crate) fn script(&self) -> String {
        let port = self.port;
        format!(
            r"const set = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function ({{ type, sdp }}) {{
  const lines = sdp.split('\r\n').filter((l) => !/^a=candidate:\S+ \d+ tcp /i.test(l));
  sdp = lines.map((l) => l.replace(/^(a=candidate:\S+ \d+ udp \d+ \S+) \d+ /i, '$1 {port} ')).join('\r\n');
  return set.call(this, {{ type, sdp }});
}};"
        )
    }

    /// Datagrams that came, and how many of them were dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.counts.came.load(Ordering::Relaxed), self.counts.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Splitmix64.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
