//! Transport-wide feedback for what the peer receives: every 50 ms while packets arrive.

use plenum_packet::Time;
use plenum_wire::rtcp::Writer;
use plenum_wire::seq::Extender;
use std::time::Duration;

/// Between two messages: libwebrtc's shortest interval.
const EVERY: Duration = Duration::from_millis(50);
/// Arrivals that wait at most; the oldest are forgotten.
const MOST: usize = 4000;

/// What arrived since the last message.
#[derive(Default)]
pub(crate) struct Feedback {
    numbers: Extender,
    arrivals: Vec<(u64, Time)>,
    /// First number that no message spoke of.
    base: Option<u64>,
    count: u8,
    due: Option<Time>,
}

impl Feedback {
    /// A packet with this number arrived.
    pub(crate) fn record(&mut self, sequence: u16, now: Time) {
        let number = self.numbers.extend(sequence);
        if self.arrivals.len() == MOST {
            self.arrivals.remove(0);
        }
        self.arrivals.push((number, now));
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
        self.arrivals.sort_unstable_by_key(|a| a.0);
        self.arrivals.dedup_by_key(|a| a.0);
        // A packet that was reported as lost and came after all is reported again, as libwebrtc does.
        let first = self.arrivals.first().map_or(0, |a| a.0);
        let base = self.base.map_or(first, |b| b.min(first));
        match writer.transport_feedback(ssrcs.0, ssrcs.1, self.count, base, &self.arrivals) {
            Ok(told) if told > 0 => {
                self.count = self.count.wrapping_add(1);
                let next = self.arrivals[told - 1].0 + 1;
                self.base = Some(self.base.map_or(next, |b| b.max(next)));
                self.arrivals.drain(..told);
            }
            _ => self.arrivals.clear(),
        }
        self.due = if self.arrivals.is_empty() { None } else { Some(now) };
    }

    /// The server is another one now.
    pub(crate) fn reset(&mut self) {
        *self = Feedback::default();
    }
}
