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
/// The same of senders that are none of ours: their clocks stand still when their machine is busy, and the server passes that on.
const THEIR_SKEW: Duration = Duration::from_secs(24 * 3600);

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
            let ssrc = config.slot_ssrcs(at, line.kind).0;
            let (clock, watched) =
                if line.kind == Kind::Video { (90_000, Watched::Vp8) } else { (48_000, Watched::Audio) };
            let most_skew = if config.stamped { MOST_SKEW } else { THEIR_SKEW };
            let guard = Guard::new(Rules { clock, lossy: !config.lossless, most_skew });
            tap.watches.push(Watch { ssrc, mid: line.mid.clone(), watched, guard, source: None });
        }
        tap
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Slots;
    use plenum_packet::{Path, Transport};

    /// What the guard makes of two frames without stamps: the second has this number, and this RTP time.
    fn found(stamped: bool, sequence: u16, timestamp: u32) -> Vec<String> {
        let address = "192.0.2.1:40000".parse().unwrap();
        let path = Path { transport: Transport::Udp, local: address, remote: address };
        let slots = Slots { audio: 0, video: 1, presentation: false };
        let config = PeerConfig { slots, stamped, ..PeerConfig::new(1, path) };
        let (mut tap, mut stats) = (Tap::of(&config), PeerStats::new());
        let mut frame = |key: u8, (sequence, timestamp): (u16, u32)| {
            let ssrc = tap.watches[0].ssrc;
            let mut packet = vec![0x80, 0xe0];
            packet.extend(sequence.to_be_bytes());
            packet.extend(timestamp.to_be_bytes());
            packet.extend(ssrc.to_be_bytes());
            // The first packet of a frame without picture id (RFC 7741), and VP8's first byte: 0 in a key frame.
            packet.extend([0x10, 1 - key, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0]);
            tap.see(Time(1_000_000_000), &packet, &mut stats);
        };
        frame(1, (7, 1000));
        frame(0, (sequence, timestamp));
        assert_eq!(stats.guarded, 2);
        stats.violations.into_iter().map(|(_, _, what)| what).collect()
    }

    #[test]
    fn streams_without_stamps_are_held_to_everything_but_the_senders_clock() {
        let (hour, none) = (1000 + 3600 * 90_000, Vec::<String>::new());
        assert_eq!(found(false, 8, 4000), none);
        assert_eq!(found(false, 8, hour), none);
        assert_eq!(found(true, 8, hour), ["Skew(3600000)"]);
        assert_eq!(found(false, 7, 4000), ["DuplicateSequence(7)"]);
        assert_eq!(found(false, 8, 900), ["TimestampOrder(1000, 900)"]);
    }
}
