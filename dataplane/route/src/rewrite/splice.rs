//! A counter that closes the gaps of what was left out and keeps the gaps of what was lost.
//!
//! Ingress numbers (unwrapped) map to egress numbers by a difference that shrinks with every number left out. Recent
//! runs of left-out numbers are remembered, so that late packets find the difference that held at their place. A number
//! that was neither passed nor left out when its successors passed stays a hole in the egress stream: a receiver asks for
//! it (NACK), and it can still be filled.

use std::collections::VecDeque;

/// Most remembered runs. With every second frame left out at 30 frames/s they reach 4 s back, beyond any retransmission.
/// Numbers before the oldest run cannot be mapped any more: their packets are dropped.
pub const MAX_RUNS: usize = 64;

/// Numbers `start..end` were left out; behind them egress = ingress + `delta`.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u64,
    end: u64,
    delta: i64,
}

/// What became of a number that is to be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// No gap shows.
    Closed,
    /// Its successors passed already, with a hole at its place: this egress number.
    Hole(u64),
    /// It is older than what is remembered, or was left out before.
    Known,
}

/// The map from one ingress stream to the egress stream.
#[derive(Clone, Debug)]
pub struct Splice {
    runs: VecDeque<Run>,
    /// Before the oldest run egress = ingress + `base`.
    base: i64,
    /// Numbers below cannot be mapped.
    floor: u64,
    /// Highest ingress number passed or left out.
    highest: u64,
    /// Highest egress number given away.
    last: u64,
    /// Whether an ingress stream began.
    running: bool,
}

impl Splice {
    /// A stream whose first egress number is `first` (plus one cycle of 2^16, so that lower ones exist). `layered`:
    /// whether numbers will be left out; then the memory for that is taken at once.
    pub fn new(first: u16, layered: bool) -> Splice {
        let runs = if layered { VecDeque::with_capacity(MAX_RUNS) } else { VecDeque::new() };
        Splice { runs, base: 0, floor: 0, highest: 0, last: (1 << 16) + u64::from(first) - 1, running: false }
    }

    /// Another ingress stream begins at `number`: it takes the next egress number. Older numbers are not mapped.
    pub fn begin(&mut self, number: u64) {
        self.runs.clear();
        self.base = (self.last + 1) as i64 - number as i64;
        self.floor = number;
        self.highest = number.wrapping_sub(1);
        self.running = true;
    }

    /// The highest ingress number passed or left out in the running stream.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The highest egress number given away.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Whether `number` is newer than everything passed or left out.
    pub fn is_new(&self, number: u64) -> bool {
        self.running && (self.highest == u64::MAX || number > self.highest)
    }

    /// The egress number of `number`; `None` when it was left out, or is older than what is remembered.
    pub fn pass(&mut self, number: u64) -> Option<u64> {
        if self.is_new(number) {
            self.highest = number;
            let out = number.checked_add_signed(self.delta())?;
            self.last = self.last.max(out);
            return Some(out);
        }
        self.take(number)
    }

    /// Leaves `number` out. With `joined` also everything between the run before it and it: the caller knows that what
    /// was lost there would have been left out too.
    pub fn leave_out(&mut self, number: u64, joined: bool) -> LeftOut {
        if !self.is_new(number) {
            return self.take(number).map_or(LeftOut::Known, LeftOut::Hole);
        }
        let next = self.highest.wrapping_add(1);
        // A run reaches up to the highest number only when nothing passed since: then it grows.
        let grows = self.runs.back().is_some_and(|run| run.end == next);
        let start = if joined && grows { next } else { number };
        let delta = self.delta() - (number + 1 - start) as i64;
        self.highest = number;
        match self.runs.back_mut() {
            Some(run) if grows && run.end == start => {
                run.end = number + 1;
                run.delta = delta;
            }
            _ => self.remember(Run { start, end: number + 1, delta }),
        }
        LeftOut::Closed
    }

    /// Whether `number` was left out.
    pub fn was_left_out(&self, number: u64) -> bool {
        self.runs.iter().rev().any(|run| (run.start..run.end).contains(&number))
    }

    fn remember(&mut self, run: Run) {
        if self.runs.len() == MAX_RUNS
            && let Some(oldest) = self.runs.pop_front()
        {
            self.base = oldest.delta;
            self.floor = oldest.end;
        }
        self.runs.push_back(run);
    }

    fn delta(&self) -> i64 {
        self.runs.back().map_or(self.base, |run| run.delta)
    }

    /// The egress number of an old `number`, which is given away with that: its successors may all have been left out, so
    /// it can be the highest.
    fn take(&mut self, number: u64) -> Option<u64> {
        let out = self.mapped(number)?;
        self.last = self.last.max(out);
        Some(out)
    }

    /// The egress number at the place of an old `number`.
    fn mapped(&self, number: u64) -> Option<u64> {
        if !self.running || number < self.floor || number > self.highest {
            return None;
        }
        for run in self.runs.iter().rev() {
            if number >= run.end {
                return number.checked_add_signed(run.delta);
            }
            if number >= run.start {
                return None;
            }
        }
        number.checked_add_signed(self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn begun(at: u64) -> Splice {
        let mut splice = Splice::new(100, true);
        splice.begin(at);
        splice
    }
    const FIRST: u64 = (1 << 16) + 100;

    #[test]
    fn what_is_left_out_leaves_no_gap_and_what_is_lost_does() {
        let mut s = begun(5000);
        assert_eq!(s.pass(5000), Some(FIRST));
        assert_eq!(s.leave_out(5001, false), LeftOut::Closed);
        assert_eq!(s.leave_out(5002, false), LeftOut::Closed);
        assert_eq!(s.pass(5003), Some(FIRST + 1));
        assert_eq!(s.pass(5005), Some(FIRST + 3));
        assert_eq!(s.pass(5004), Some(FIRST + 2));
        assert_eq!(s.pass(5001), None);
        assert!(s.was_left_out(5002) && !s.was_left_out(5003));
        assert_eq!(s.pass(4999), None);
    }

    #[test]
    fn a_late_packet_that_is_not_wanted_names_its_hole() {
        let mut s = begun(10);
        assert_eq!(s.pass(10), Some(FIRST));
        assert_eq!(s.leave_out(11, false), LeftOut::Closed);
        assert_eq!(s.pass(13), Some(FIRST + 2));
        assert_eq!(s.leave_out(12, false), LeftOut::Hole(FIRST + 1));
        assert_eq!(s.leave_out(11, false), LeftOut::Known);
    }

    #[test]
    fn a_gap_inside_a_frame_that_is_left_out_is_closed_with_it() {
        let mut s = begun(10);
        assert_eq!(s.pass(10), Some(FIRST));
        s.leave_out(11, false);
        assert_eq!(s.leave_out(14, true), LeftOut::Closed);
        assert_eq!(s.pass(15), Some(FIRST + 1));
        assert_eq!(s.leave_out(12, false), LeftOut::Known);
        // Joining reaches back to the last packet that passed, never over it.
        assert_eq!(s.leave_out(18, true), LeftOut::Closed);
        assert_eq!(s.pass(19), Some(FIRST + 4));
    }

    #[test]
    fn the_next_stream_goes_on_where_the_last_ended() {
        let mut s = begun(10);
        s.pass(10);
        s.pass(12);
        s.begin(900_000);
        assert_eq!(s.pass(900_000), Some(FIRST + 3));
        assert_eq!(s.pass(899_999), None);
        s.begin(0);
        assert_eq!(s.pass(0), Some(FIRST + 4));
        assert_eq!(s.pass(1), Some(FIRST + 5));
    }

    #[test]
    fn a_late_packet_behind_which_all_were_left_out_keeps_its_number_from_the_next_stream() {
        let mut s = begun(10);
        assert_eq!(s.pass(10), Some(FIRST));
        s.leave_out(12, false);
        assert_eq!(s.pass(11), Some(FIRST + 1));
        s.begin(500);
        assert_eq!(s.pass(500), Some(FIRST + 2));
    }

    proptest! {
        /// Against a plain model: egress numbers of passed packets keep their order, no two are equal, and the space
        /// between two neighbours is what was lost between them.
        #[test]
        fn the_map_agrees_with_a_list_of_everything(
            start in 0u64..100_000,
            steps in proptest::collection::vec((0u8..4, 0u64..3), 1..300),
        ) {
            let mut s = begun(start);
            let mut passed = BTreeMap::new();
            let mut left_out = Vec::new();
            let mut number = start;
            for (what, gap) in steps {
                number += gap;
                if what == 0 {
                    prop_assert_eq!(s.leave_out(number, false), LeftOut::Closed);
                    left_out.push(number);
                } else {
                    passed.insert(number, s.pass(number).unwrap());
                }
                number += 1;
            }
            let list: Vec<_> = passed.iter().map(|(&n, &out)| (n, out)).collect();
            for pair in list.windows(2) {
                let between = left_out.iter().filter(|&&n| pair[0].0 < n && n < pair[1].0).count() as u64;
                prop_assert_eq!(pair[1].1 - pair[0].1, pair[1].0 - pair[0].0 - between);
            }
            // Late copies map to the same numbers, as far back as is remembered.
            for (n, out) in list {
                if n >= s.floor {
                    prop_assert_eq!(s.pass(n), Some(out));
                }
            }
            prop_assert!(s.runs.len() <= MAX_RUNS);
        }
    }
}
