//! Transport-wide feedback for what the peer receives: every 50 ms while packets arrive.
//!
//! As libwebrtc's: arrivals are remembered for half a second, and a late one moves the next message back to it, which then
//! speaks of everything since once more. So a message that was lost is often made good.

use plenum_packet::Time;
use plenum_wire::rtcp::Writer;
use plenum_wire::seq::Extender;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two messages: libwebrtc's shortest interval.
const EVERY: Duration = Duration::from_millis(50);
/// Arrivals are remembered this long.
const REMEMBERED: Duration = Duration::from_millis(500);
/// And no more than this many.
const MOST: usize = 4000;

/// What arrived lately.
#[derive(Default)]
pub(crate) struct Feedback {
    numbers: Extender,
    arrivals: BTreeMap<u64, Time>,
    /// First number that the next message speaks of.
    base: Option<u64>,
    count: u8,
    due: Option<Time>,
    told: Vec<(u64, Time)>,
}

impl Feedback {
    /// A packet with this number arrived.
    pub(crate) fn record(&mut self, sequence: u16, now: Time) {
        let number = self.numbers.extend(sequence);
        if self.arrivals.contains_key(&number) {
            return;
        }
        while self.arrivals.len() >= MOST
            || self.arrivals.first_key_value().is_some_and(|(n, at)| *n < number && now.since(*at) > REMEMBERED)
        {
            self.arrivals.pop_first();
        }
        self.arrivals.insert(number, now);
        self.base = Some(self.base.map_or(number, |base| base.min(number)));
        self.due.get_or_insert(now + EVERY);
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        self.due.unwrap_or(Time::NEVER)
    }

    /// Writes one message about what arrived; what does not fit waits for the next call, which is due at once.
    pub(crate) fn write(&mut self, now: Time, writer: &mut Writer<'_>, ssrcs: (u32, u32)) {
        if self.poll_timeout() > now {
            return;
        }
        self.due = None;
        let Some(base) = self.base else { return };
        self.told.clear();
        self.told.extend(self.arrivals.range(base..).map(|(n, at)| (*n, *at)));
        match writer.transport_feedback(ssrcs.0, ssrcs.1, self.count, base, &self.told) {
            Ok(told) if told > 0 => {
                self.count = self.count.wrapping_add(1);
                self.base = Some(self.told[told - 1].0 + 1);
                self.due = (told < self.told.len()).then_some(now);
            }
            // No room in this packet: there is in the next one.
            _ => self.due = (!self.told.is_empty()).then_some(now),
        }
    }

    /// The server is another one now.
    pub(crate) fn reset(&mut self) {
        *self = Feedback::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_wire::rtcp::{Packet, parse};

    fn message(feedback: &mut Feedback, ms: u64) -> Vec<(u16, bool)> {
        let mut bytes = [0; 500];
        let mut writer = Writer::new(&mut bytes);
        feedback.write(Time::from_millis(ms), &mut writer, (1, 2));
        let len = writer.len();
        let Some(Packet::TransportFeedback(told)) = parse(&bytes[..len]).unwrap().next() else { panic!("no feedback") };
        told.statuses().map(|s| (s.sequence, s.arrival.is_some())).collect()
    }

    #[test]
    fn a_late_packet_makes_the_next_message_speak_of_everything_since() {
        let mut feedback = Feedback::default();
        for (sequence, ms) in [(10, 0), (11, 10), (13, 20)] {
            feedback.record(sequence, Time::from_millis(ms));
        }
        assert_eq!(message(&mut feedback, 50), [(10, true), (11, true), (12, false), (13, true)]);
        feedback.record(12, Time::from_millis(60));
        feedback.record(15, Time::from_millis(70));
        assert_eq!(message(&mut feedback, 120), [(12, true), (13, true), (14, false), (15, true)]);
        assert_eq!(feedback.poll_timeout(), Time::NEVER);
    }
}
