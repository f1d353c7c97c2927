//! Deadlines of sessions: a heap with lazy removal.
//!
//! A session is armed for one instant at a time; arming it earlier leaves the later entry in the heap, which is skipped when it
//! surfaces. So every operation is logarithmic and nothing is searched.

use plenum_packet::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The heap, and for each session the instant it is armed for.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, u32)>>,
    armed: Vec<Time>,
}

impl Timers {
    /// Wakes `session` at `at` or earlier. [`Time::NEVER`] leaves it as it is.
    pub(crate) fn arm(&mut self, session: u32, at: Time) {
        let index = session as usize;
        if self.armed.len() <= index {
            self.armed.resize(index + 1, Time::NEVER);
        }
        if at < self.armed[index] {
            self.armed[index] = at;
            self.heap.push(Reverse((at, session)));
        }
    }

    /// Forgets `session`.
    pub(crate) fn disarm(&mut self, session: u32) {
        if let Some(armed) = self.armed.get_mut(session as usize) {
            *armed = Time::NEVER;
        }
    }

    /// The next session whose instant is not after `now`; it is disarmed.
    pub(crate) fn pop(&mut self, now: Time) -> Option<u32> {
        while let Some(&Reverse((at, session))) = self.heap.peek() {
            let current = self.armed[session as usize] == at;
            if current && at > now {
                return None;
            }
            self.heap.pop();
            if current {
                self.armed[session as usize] = Time::NEVER;
                return Some(session);
            }
        }
        None
    }

    /// The earliest instant at which a session may be due.
    pub(crate) fn next(&self) -> Time {
        self.heap.peek().map_or(Time::NEVER, |Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_due_in_the_order_of_their_last_arming() {
        let mut timers = Timers::default();
        timers.arm(1, Time(30));
        timers.arm(2, Time(20));
        timers.arm(1, Time(10));
        timers.arm(1, Time(40));
        assert_eq!(timers.next(), Time(10));
        assert_eq!(timers.pop(Time(5)), None);
        assert_eq!(timers.pop(Time(25)), Some(1));
        assert_eq!(timers.pop(Time(25)), Some(2));
        assert_eq!(timers.pop(Time(100)), None);
    }

    #[test]
    fn a_disarmed_session_is_not_due() {
        let mut timers = Timers::default();
        timers.arm(4, Time(10));
        timers.disarm(4);
        assert_eq!(timers.pop(Time(100)), None);
        timers.arm(4, Time(50));
        assert_eq!(timers.pop(Time(100)), Some(4));
    }
}
