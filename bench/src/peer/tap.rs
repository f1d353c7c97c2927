//! The independent guard over everything that the server sends to a peer.
//!
//! It may stand before the network ([`super::Guarding::Tap`]): then packets can be seen before the peer itself has the keys, and
//! wait for them.

use super::config::PeerConfig;
use super::stamp::Stamp;
use super::{audio, stats::PeerStats};
use plenum_contract::Kind;
use plenum_packet::Time;
use plenum_route::guard::{Guard, Rules, Seen, Watched};
use std::time::Duration;

/// Packets that wait for keys; more are not looked at.
const MOST: usize = 20_000;

/// What may differ between a stream's time and the world's: jitter and recovery on the way in, pacing on the way out.
const MOST_SKEW: Duration = Duration::from_millis(2500);

struct Watch {
    ssrc: u32,
    mid: String,
    watched: Watched,
    guard: Guard,
    /// Who sent the newest packet that said so.
    source: Option<u64>,
}

/// The guards of all streams.
pub(crate) struct Tap {
    watches: Vec<Watch>,
    pub(crate) waiting: Vec<(Time, Vec<u8>)>,
}

impl Tap {
    /// Guards for everything that `config` receives.
    pub(crate) fn of(config: &PeerConfig) -> Tap {
        let mut tap = Tap { watches: Vec::new(), waiting: Vec::new() };
        for (at, line) in config.lines().iter().enumerate().filter(|(_, l)| l.slot.is_some()) {
            tap.watch(config.slot_ssrcs(at, line.kind).0, &line.mid, line.kind == Kind::Video);
        }
        tap
    }

    fn watch(&mut self, ssrc: u32, mid: &str, video: bool) {
        let (clock, watched) = if video { (90_000, Watched::Vp8) } else { (48_000, Watched::Audio) };
        let rules = Rules { clock, lossy: true, most_skew: MOST_SKEW };
        self.watches.push(Watch { ssrc, mid: mid.to_owned(), watched, guard: Guard::new(rules), source: None });
    }

    /// Keeps a packet until there are keys.
    pub(crate) fn wait(&mut self, now: Time, bytes: &[u8]) {
        if self.waiting.len() < MOST {
            self.waiting.push((now, bytes.to_vec()));
        }
    }

    /// Looks at a plaintext packet.
    pub(crate) fn see(&mut self, now: Time, packet: &[u8], stats: &mut PeerStats) {
        let Ok(header) = plenum_wire::rtp::parse(packet) else { return };
        let Some(watch) = self.watches.iter_mut().find(|w| w.ssrc == header.ssrc) else { return };
        stats.guarded += 1;
        let mut seen = match Seen::parse(now, packet, watch.watched) {
            Ok(seen) => seen,
            Err(violation) => return stats.violation(now, &watch.mid, violation),
        };
        let payload = packet.get(usize::from(header.payload_start)..).unwrap_or_default();
        let stamp = match watch.watched {
            Watched::Audio => audio::stamp(payload),
            _ => Stamp::in_vp8(payload),
        };
        watch.source = stamp.map(|s| s.source()).or(watch.source);
        seen.source = watch.source;
        if let Err(violation) = watch.guard.observe(seen) {
            stats.violation(now, &watch.mid, violation);
        }
    }
}
