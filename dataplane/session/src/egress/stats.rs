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
}

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
    fn a_report_counts_on_from_the_newest_packet() {
        let mut stats = SentStats::default();
        assert_eq!(stats.rtp_at(Time::ZERO), None);
        stats.sent(90_000, Time::from_millis(1000), 90_000, 100);
        stats.sent(87_000, Time::from_millis(1100), 90_000, 100);
        assert_eq!(stats.rtp_at(Time::from_millis(1500)), Some(90_000 + 45_000));
        assert_eq!((stats.packets, stats.octets), (2, 200));
    }
}
