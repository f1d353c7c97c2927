//! Transport-wide feedback for what a peer sends: notes arrivals by transport number and writes them every 50 to 100
//! ms.
//!
//! A packet that arrives after it was reported lost is reported again, with all since, so that reordering does not look
//! like loss. Bounded: the last [`WINDOW`] numbers are known; older ones are ignored. Nothing is allocated after `new`.

use core::time::Duration;
use plenum_packet::Time;
use plenum_wire::NoRoom;
use plenum_wire::rtcp::{Arrival, Writer};
use plenum_wire::seq::Extender;

/// Numbers remembered. A power of two. Larger: memory (8 bytes each). Smaller: late packets are called lost for good.
pub const WINDOW: usize = 1024;
const _: () = assert!(WINDOW.is_power_of_two());
/// Longest time that an arrival waits to be reported. Longer: the sender notices queues late. Shorter: more packets.
pub const INTERVAL: Duration = Duration::from_millis(100);
/// The time at high rates, when [`MANY`] packets wait.
pub const SHORT_INTERVAL: Duration = Duration::from_millis(50);
/// See [`SHORT_INTERVAL`].
const MANY: u32 = 64;
/// Arrivals in one message; about 300 bytes.
const BATCH: usize = 192;

/// The arrivals of one transport.
#[derive(Debug)]
pub struct ArrivalRecorder {
    /// By number; [`Time::ZERO`] is "not arrived".
    arrivals: Box<[Time]>,
    extender: Extender,
    /// Lowest number that the next report begins with, once something is there to report.
    from: u64,
    /// New arrivals, and since when the first of them waits.
    waiting: u32,
    since: Time,
    count: u8,
}

impl Default for ArrivalRecorder {
    fn default() -> Self {
        ArrivalRecorder {
            arrivals: vec![Time::ZERO; WINDOW].into_boxed_slice(),
            extender: Extender::new(),
            from: 0,
            waiting: 0,
            since: Time::ZERO,
            count: 0,
        }
    }
}

impl ArrivalRecorder {
    /// An authenticated packet arrived. Duplicates and what has left the window are ignored.
    pub fn record(&mut self, sequence: u16, received: Time) {
        let received = received.max(Time(1));
        let before = self.extender.highest();
        let number = self.extender.extend(sequence);
        match before {
            None => self.from = number,
            Some(newest) if number > newest => self.advance(newest, number),
            Some(newest) if number + WINDOW as u64 <= newest => return,
            Some(_) => {}
        }
        let place = &mut self.arrivals[number as usize % WINDOW];
        if *place != Time::ZERO {
            return;
        }
        *place = received;
        self.from = self.from.min(number);
        if self.waiting == 0 {
            self.since = received;
        }
        self.waiting += 1;
    }

    /// When a report is due; [`Time::NEVER`] when nothing is new.
    pub fn poll_timeout(&self) -> Time {
        match self.waiting {
            0 => Time::NEVER,
            n if n >= MANY => self.since + SHORT_INTERVAL,
            _ => self.since + INTERVAL,
        }
    }

    /// Appends one feedback message about what is new. Call again while [`ArrivalRecorder::poll_timeout`] is due.
    ///
    /// # Errors
    /// [`NoRoom`]; nothing was written, and nothing forgotten.
    pub fn write(&mut self, writer: &mut Writer<'_>, sender_ssrc: u32, media_ssrc: u32) -> Result<(), NoRoom> {
        let (Some(newest), true) = (self.extender.highest(), self.waiting > 0) else { return Ok(()) };
        let mut batch: [Arrival; BATCH] = [(0, Time::ZERO); BATCH];
        let mut len = 0;
        let oldest = (newest + 1).saturating_sub(WINDOW as u64);
        for number in self.from.max(oldest)..=newest {
            let arrival = self.arrivals[number as usize % WINDOW];
            if arrival != Time::ZERO && len < BATCH {
                batch[len] = (number, arrival);
                len += 1;
            }
        }
        let batch = &batch[..len];
        let base = self.from.max(oldest);
        let taken = writer.transport_feedback(sender_ssrc, media_ssrc, self.count, base, batch)?;
        self.count = self.count.wrapping_add(1);
        self.from = batch[..taken].last().map_or(newest + 1, |&(number, _)| number + 1);
        if self.from > newest || taken == 0 {
            self.from = newest + 1;
            self.waiting = 0;
        }
        Ok(())
    }

    /// The numbers between `newest` and `number` have not arrived yet; what they overwrite is forgotten.
    fn advance(&mut self, newest: u64, number: u64) {
        for missing in (newest + 1..=number).rev().take(WINDOW) {
            self.arrivals[missing as usize % WINDOW] = Time::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_wire::rtcp::{self, Packet, Status};

    fn read(recorder: &mut ArrivalRecorder) -> (u8, Vec<Status>) {
        let mut bytes = [0; 1200];
        let mut writer = Writer::new(&mut bytes);
        recorder.write(&mut writer, 1, 2).unwrap();
        let len = writer.len();
        let Some(Packet::TransportFeedback(feedback)) = rtcp::parse(&bytes[..len]).unwrap().next() else {
            panic!("no feedback")
        };
        (feedback.feedback_count, feedback.statuses().collect())
    }

    fn received(statuses: &[Status]) -> Vec<u16> {
        statuses.iter().filter(|s| s.arrival.is_some()).map(|s| s.sequence).collect()
    }

    #[test]
    fn arrivals_are_reported_in_order_across_the_wrap_and_gaps_are_losses() {
        let mut recorder = ArrivalRecorder::default();
        assert_eq!(recorder.poll_timeout(), Time::NEVER);
        for (sequence, ms) in [(65533, 1000), (65534, 1005), (1, 1010), (0, 1012)] {
            recorder.record(sequence, Time::from_millis(ms));
        }
        recorder.record(0, Time::from_millis(1013));
        assert_eq!(recorder.poll_timeout(), Time::from_millis(1100));
        let (count, statuses) = read(&mut recorder);
        assert_eq!((count, statuses.len()), (0, 5));
        assert_eq!(received(&statuses), [65533, 65534, 0, 1]);
        let ticks: Vec<_> = statuses.iter().filter_map(|s| s.arrival).collect();
        assert_eq!(ticks[1] - ticks[0], 20);
        assert_eq!(recorder.poll_timeout(), Time::NEVER);
    }

    #[test]
    fn a_late_packet_is_reported_although_it_was_called_lost() {
        let mut recorder = ArrivalRecorder::default();
        [10, 11, 13].iter().for_each(|&s| recorder.record(s, Time::from_millis(10)));
        assert_eq!(received(&read(&mut recorder).1), [10, 11, 13]);
        [12, 14].iter().for_each(|&s| recorder.record(s, Time::from_millis(120)));
        assert_eq!(received(&read(&mut recorder).1), [12, 13, 14]);
        recorder.record(15, Time::from_millis(130));
        let (count, statuses) = read(&mut recorder);
        assert_eq!((count, received(&statuses)), (2, vec![15]));
    }

    #[test]
    fn many_packets_are_reported_sooner_and_in_several_messages() {
        let mut recorder = ArrivalRecorder::default();
        (0..500).for_each(|s| recorder.record(s, Time::from_millis(1000 + u64::from(s) / 10)));
        assert_eq!(recorder.poll_timeout(), Time::from_millis(1050));
        let mut seen = Vec::new();
        while recorder.poll_timeout() != Time::NEVER {
            seen.extend(received(&read(&mut recorder).1));
        }
        assert_eq!(seen, (0..500).collect::<Vec<u16>>());
    }

    #[test]
    fn jumps_of_the_number_cost_neither_memory_nor_time() {
        let mut recorder = ArrivalRecorder::default();
        for sequence in [0, 30_000, 60_000, 25_000, 100, 65_535, 32_767] {
            recorder.record(sequence, Time::from_millis(5));
        }
        let (_, statuses) = read(&mut recorder);
        assert!(!statuses.is_empty() && statuses.len() <= WINDOW);
        recorder.write(&mut Writer::new(&mut []), 1, 2).unwrap();
    }
}
