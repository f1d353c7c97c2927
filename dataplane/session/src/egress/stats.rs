//! What a slot sent, as its sender reports say (RFC 3550 §6.4.1), and what the peer reported about it.

use plenum_packet::Time;
use std::time::Duration;

/// Counters of one slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SentStats {
    /// Packets, wrapping as in the report.
    pub(crate) packets: u32,
    /// Payload bytes, wrapping as in the report.
    pub(crate) octets: u32,
    /// RTP timestamp, capture-side time and clock of the newest packet.
    latest: Option<(u32, Time, u32)>,
    /// Share of the packets that the peer lost lately, see [`SentStats::lost`].
    loss: f32,
}

/// What a report of more loss counts, and one of less. More: single lost packets steer. Less: loss is long over before it is known.
const WORSE: f32 = 0.5;
/// See [`WORSE`]. Loss comes in bursts, and whoever repairs it ahead should not have stopped when the next one comes.
const BETTER: f32 = 0.1;

impl SentStats {
    /// A packet left.
    pub(crate) fn sent(&mut self, timestamp: u32, captured: Time, clock: u32, payload_len: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u32);
        let newer = self.latest.is_none_or(|(t, _, _)| timestamp.wrapping_sub(t) as i32 > 0);
        if newer {
            self.latest = Some((timestamp, captured, clock));
        }
    }

    /// The peer reports the loss since its last report, in 256ths. Rises are followed soon, falls slowly.
    pub(crate) fn lost(&mut self, fraction: u8) {
        let change = f32::from(fraction) / 256.0 - self.loss;
        self.loss += change * if change > 0.0 { WORSE } else { BETTER };
    }

    /// Share of the packets that the peer lost lately, before anything was sent again.
    pub(crate) fn loss(&self) -> f32 {
        self.loss
    }

    /// The RTP timestamp of the newest packet.
    pub(crate) fn latest_timestamp(&self) -> Option<u32> {
        self.latest.map(|(timestamp, _, _)| timestamp)
    }

    /// The RTP timestamp of `now`; `None` before the first packet. It counts on from the newest packet, by the time when that
    /// one was captured ([`plenum_wire::Plan::captured`]): untouched by the pacer, and for sound and picture of a mix by one clock.
    pub(crate) fn rtp_at(&self, now: Time) -> Option<u32> {
        let (timestamp, at, clock) = self.latest?;
        Some(timestamp.wrapping_add(ticks(now.since(at), clock)))
    }
}

fn ticks(d: Duration, clock: u32) -> u32 {
    (d.as_nanos() * u128::from(clock) / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_believed_soon_and_forgotten_slowly() {
        let mut stats = SentStats::default();
        let after = |stats: &mut SentStats, fraction, reports| {
            (0..reports).for_each(|_| stats.lost(fraction));
            (stats.loss() * 100.0).round()
        };
        assert_eq!(after(&mut stats, 51, 1), 10.0);
        assert_eq!(after(&mut stats, 51, 3), 19.0);
        assert_eq!(after(&mut stats, 0, 1), 17.0);
        assert_eq!(after(&mut stats, 0, 40), 0.0);
    }

    #[test]
    fn a_report_counts_on_from_the_newest_packet() {
        let mut stats = SentStats::default();
        assert_eq!(stats.rtp_at(Time::ZERO), None);
        stats.sent(90_000, Time::from_millis(1000), 90_000, 100);
        stats.sent(87_000, Time::from_millis(1100), 90_000, 100);
        assert_eq!(stats.rtp_at(Time::from_millis(1500)), Some(90_000 + 45_000));
        assert_eq!((stats.packets, stats.octets), (2, 200));
    }
}
