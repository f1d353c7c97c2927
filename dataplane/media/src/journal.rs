//! Event numbers, and the durable events that control has not acknowledged yet.
//!
//! Numbers are per boot and have no gaps. At most [`MAX_PENDING`] durable events wait; when control stays away for longer,
//! the oldest go first, which its next snapshot makes up for (a leg that is not in it has ended).

use plenum_contract::{Event, EventBody};
use std::collections::VecDeque;

/// Durable events kept for a control plane that is away: all legs of a full machine may end meanwhile.
const MAX_PENDING: usize = 16_384;

/// The numbering and the waiting durable events.
#[derive(Default)]
pub(crate) struct Journal {
    last: u64,
    pending: VecDeque<Event>,
}

impl Journal {
    /// Gives `body` the next number and keeps it when it is durable.
    pub(crate) fn number(&mut self, durable: bool, body: EventBody) -> Event {
        self.last += 1;
        let event = Event { number: self.last, durable, body };
        if durable {
            if self.pending.len() == MAX_PENDING {
                self.pending.pop_front();
            }
            self.pending.push_back(event.clone());
        }
        event
    }

    /// Number of the newest event.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Forgets durable events up to `up_to`.
    pub(crate) fn acknowledge(&mut self, up_to: u64) {
        while self.pending.front().is_some_and(|e| e.number <= up_to) {
            self.pending.pop_front();
        }
    }

    /// Durable events that were not acknowledged.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Event> {
        self.pending.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_contract::{LegEnd, LegKey};

    fn ended(leg: u64) -> EventBody {
        EventBody::LegEnded { leg: LegKey(leg), reason: LegEnd::Removed }
    }

    #[test]
    fn durable_events_wait_until_they_are_acknowledged() {
        let mut journal = Journal::default();
        journal.number(true, ended(1));
        journal.number(false, EventBody::LegSilent { leg: LegKey(2) });
        journal.number(true, ended(3));
        assert_eq!(journal.pending().map(|e| e.number).collect::<Vec<_>>(), [1, 3]);
        journal.acknowledge(2);
        assert_eq!(journal.pending().map(|e| e.number).collect::<Vec<_>>(), [3]);
        assert_eq!(journal.last(), 3);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut journal = Journal::default();
        for leg in 0..MAX_PENDING as u64 + 10 {
            journal.number(true, ended(leg));
        }
        assert_eq!(journal.pending().count(), MAX_PENDING);
        assert_eq!(journal.pending().next().map(|e| e.number), Some(11));
    }
}
