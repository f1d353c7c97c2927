//! What arrived of a stream, for its report block (RFC 3550 sections 6.4.1, A.1, A.3 and A.8).
//!
//! Numbers come in unwrapped. Retransmissions on an RTX SSRC are not part of the stream and must not be counted here.

use plenum_packet::Time;
use plenum_wire::rtcp::ReportBlock;

/// A jump forward by more is a restart of the sender, not loss (RFC 3550 A.1, MAX_DROPOUT). Larger: a restart is
/// reported as loss of everything. Smaller: a long outage looks like a restart.
const MAX_DROPOUT: u64 = 3000;

/// Counters of one SSRC.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceptionStats {
    first: Option<u64>,
    highest: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// In timestamp units, times 16.
    jitter: u64,
    /// Arrival less timestamp of the packet before, in timestamp units, wrapping.
    transit: Option<u32>,
    /// Middle of the NTP time of the last sender report, and when it came.
    sender_report: Option<(u32, Time)>,
}

impl ReceptionStats {
    /// A packet of the stream arrived. `clock_rate` is that of its payload type, in Hz.
    pub fn received(&mut self, now: Time, number: u64, timestamp: u32, clock_rate: u32) {
        if self.first.is_none() || number > self.highest.saturating_add(MAX_DROPOUT) {
            *self = ReceptionStats { sender_report: self.sender_report, ..ReceptionStats::default() };
            self.first = Some(number);
            self.highest = number;
        }
        self.received += 1;
        if number < self.highest {
            // Late packets say more about the way than about its evenness.
            return;
        }
        self.highest = number;
        let arrival = (u128::from(now.nanos()) * u128::from(clock_rate) / 1_000_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = u64::from((transit.wrapping_sub(before) as i32).unsigned_abs());
            self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
        }
    }

    /// A sender report of the stream arrived with this NTP time (32.32).
    pub fn sender_reported(&mut self, now: Time, ntp: u64) {
        self.sender_report = Some(((ntp >> 16) as u32, now));
    }

    /// The report block since the last one; `None` when nothing ever arrived.
    pub fn report(&mut self, now: Time, ssrc: u32) -> Option<ReportBlock> {
        let first = self.first?;
        let expected = self.highest.saturating_sub(first) + 1;
        let lost = (expected as i64 - self.received as i64).clamp(-0x80_0000, 0x7f_ffff) as i32;
        let expected_now = expected.saturating_sub(self.expected_before);
        let received_now = self.received.saturating_sub(self.received_before);
        let lost_now = expected_now.saturating_sub(received_now);
        (self.expected_before, self.received_before) = (expected, self.received);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        let delay = |at: Time| (now.since(at).as_nanos() * 65_536 / 1_000_000_000).min(u128::from(u32::MAX)) as u32;
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: lost,
            // Cycles count from the first packet, wherever unwrapping began.
            highest_sequence: self.highest.wrapping_sub(first & !0xffff) as u32,
            jitter: (self.jitter >> 4).min(u64::from(u32::MAX)) as u32,
            last_sender_report: self.sender_report.map_or(0, |(ntp, _)| ntp),
            delay_since_last: self.sender_report.map_or(0, |(_, at)| delay(at)),
        })
    }

    /// Jitter in milliseconds, for metrics.
    pub fn jitter_ms(&self, clock_rate: u32) -> f64 {
        (self.jitter >> 4) as f64 * 1000.0 / f64::from(clock_rate.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_reported_for_the_interval_and_for_the_whole() {
        let mut stats = ReceptionStats::default();
        assert_eq!(stats.report(Time::ZERO, 7), None);
        for i in (0..100u64).filter(|i| !i.is_multiple_of(4)) {
            stats.received(Time::from_millis(i * 20), (1 << 16) + 65_500 + i, i as u32 * 960, 48_000);
        }
        stats.received(Time::from_millis(1981), (1 << 16) + 65_500 + 96, 96 * 960, 48_000);
        let block = stats.report(Time::from_millis(2000), 7).unwrap();
        assert_eq!(block.ssrc, 7);
        assert_eq!(block.cumulative_lost, 23);
        assert_eq!(block.fraction_lost, (23 * 256 / 99) as u8);
        assert_eq!(block.highest_sequence, 65_599, "one cycle and 63");
        assert_eq!(block.jitter, 0);
        let block = stats.report(Time::from_millis(3000), 7).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 23));
    }

    #[test]
    fn duplicates_make_the_loss_negative_and_not_absurd() {
        let mut stats = ReceptionStats::default();
        for _ in 0..3 {
            stats.received(Time::from_millis(5), 9, 0, 90_000);
        }
        let block = stats.report(Time::from_millis(10), 1).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (-2, 0));
    }

    #[test]
    fn the_delay_since_the_senders_report_gives_the_round_trip() {
        let mut stats = ReceptionStats::default();
        stats.received(Time::from_millis(1), 9, 0, 90_000);
        stats.sender_reported(Time::from_millis(1000), 0x1234_5678_9abc_def0);
        let block = stats.report(Time::from_millis(1500), 1).unwrap();
        assert_eq!((block.last_sender_report, block.delay_since_last), (0x5678_9abc, 32_768));
    }

    #[test]
    fn uneven_arrival_is_jitter() {
        let mut stats = ReceptionStats::default();
        for i in 0..500u64 {
            stats.received(Time::from_millis(i * 20 + i % 2 * 10), i, i as u32 * 1800, 90_000);
        }
        let ms = stats.jitter_ms(90_000);
        assert!((9.0..11.0).contains(&ms), "{ms}");
    }

    #[test]
    fn a_sender_that_restarts_is_no_loss() {
        let mut stats = ReceptionStats::default();
        stats.received(Time::from_millis(1), 100, 0, 90_000);
        stats.received(Time::from_millis(2), 30_000, 0, 90_000);
        let block = stats.report(Time::from_millis(3), 1).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (0, 0));
    }
}
