//! Deadlines of sessions: a heap in which each session stands once, at the instant that it is armed for.
//!
//! Every session knows its place in the heap, so arming earlier and disarming move one entry. Nothing is left behind that would
//! wake the shard for nothing, and memory is that of the sessions. Every operation is logarithmic.

use plenum_packet::Time;

/// "Not in the heap" of a session.
const NOWHERE: u32 = u32::MAX;

/// The heap, earliest first, and each session's place in it.
#[derive(Default)]
pub(crate) struct Timers {
    heap: Vec<(Time, u32)>,
    places: Vec<u32>,
}

impl Timers {
    /// Wakes `session` at `at` or earlier. [`Time::NEVER`] leaves it as it is.
    pub(crate) fn arm(&mut self, session: u32, at: Time) {
        let index = session as usize;
        if self.places.len() <= index {
            self.places.resize(index + 1, NOWHERE);
        }
        match self.places[index] {
            _ if at == Time::NEVER => {}
            NOWHERE => {
                self.heap.push((at, session));
                self.rise(self.heap.len() - 1);
            }
            place if at < self.heap[place as usize].0 => {
                self.heap[place as usize].0 = at;
                self.rise(place as usize);
            }
            _ => {}
        }
    }

    /// Forgets `session`.
    pub(crate) fn disarm(&mut self, session: u32) {
        if let Some(&place) = self.places.get(session as usize)
            && place != NOWHERE
        {
            self.remove(place as usize);
        }
    }

    /// The next session whose instant is not after `now`; it is disarmed.
    pub(crate) fn pop(&mut self, now: Time) -> Option<u32> {
        let &(_, session) = self.heap.first().filter(|(at, _)| *at <= now)?;
        self.remove(0);
        Some(session)
    }

    /// The earliest instant at which a session is due.
    pub(crate) fn next(&self) -> Time {
        self.heap.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    fn remove(&mut self, place: usize) {
        let (_, session) = self.heap.swap_remove(place);
        self.places[session as usize] = NOWHERE;
        if place < self.heap.len() {
            // The last one came here: it may belong above or below.
            let place = self.sink(place);
            self.rise(place);
        }
    }

    /// Moves an entry up to where none above it is later.
    fn rise(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 && entry < self.heap[(place - 1) / 2] {
            self.put(place, self.heap[(place - 1) / 2]);
            place = (place - 1) / 2;
        }
        self.put(place, entry);
    }

    /// Moves an entry down to where none below it is earlier; its place then.
    fn sink(&mut self, mut place: usize) -> usize {
        let entry = self.heap[place];
        loop {
            let first = 2 * place + 1;
            let Some(below) = (first..(first + 2).min(self.heap.len())).min_by_key(|&i| self.heap[i]) else { break };
            if self.heap[below] >= entry {
                break;
            }
            self.put(place, self.heap[below]);
            place = below;
        }
        self.put(place, entry);
        place
    }

    fn put(&mut self, place: usize, entry: (Time, u32)) {
        self.heap[place] = entry;
        self.places[entry.1 as usize] = place as u32;
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

    #[test]
    fn a_session_that_is_armed_again_and_again_stands_there_once() {
        let mut timers = Timers::default();
        for at in (1..1000).rev() {
            timers.arm(3, Time(at));
        }
        assert_eq!((timers.heap.len(), timers.next()), (1, Time(1)));
        assert_eq!(timers.pop(Time(1)), Some(3));
        assert_eq!(timers.next(), Time::NEVER, "nothing wakes up for what was armed before");
    }

    proptest::proptest! {
        #[test]
        fn the_heap_agrees_with_a_list(steps in proptest::collection::vec((0u8..4, 0u32..12, 0u64..40), 1..300)) {
            let mut timers = Timers::default();
            let mut list = [Time::NEVER; 12];
            for (what, session, at) in steps {
                match what {
                    0 => {
                        timers.disarm(session);
                        list[session as usize] = Time::NEVER;
                    }
                    1 => {
                        let earliest = list.iter().copied().min().unwrap();
                        let popped = timers.pop(Time(at));
                        proptest::prop_assert_eq!(popped.is_some(), earliest <= Time(at));
                        if let Some(session) = popped {
                            proptest::prop_assert_eq!(list[session as usize], earliest);
                            list[session as usize] = Time::NEVER;
                        }
                    }
                    _ => {
                        timers.arm(session, Time(at));
                        list[session as usize] = list[session as usize].min(Time(at));
                    }
                }
                proptest::prop_assert_eq!(timers.next(), list.iter().copied().min().unwrap());
                proptest::prop_assert_eq!(timers.heap.len(), list.iter().filter(|t| **t != Time::NEVER).count());
            }
        }
    }
}
