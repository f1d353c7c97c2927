//! Timing small pieces of work on a machine whose speed swings: cases take turns, and the median of their rounds counts.
//!
//! A round is short enough to be rarely interrupted; an interrupted one is an outlier that the median ignores. What takes turns
//! meets the same swings, so ratios hold where single times do not.

use std::time::Instant;

/// One piece of work.
pub struct Case<'a> {
    /// What the report calls it.
    pub name: String,
    /// One round: does the work, and says how often.
    pub round: Box<dyn FnMut() -> u64 + 'a>,
}

impl<'a> Case<'a> {
    /// A case.
    pub fn new(name: impl Into<String>, round: impl FnMut() -> u64 + 'a) -> Case<'a> {
        Case { name: name.into(), round: Box::new(round) }
    }
}

/// What the rounds of a case took, nanoseconds for each piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Half of the rounds were faster.
    pub median: f64,
    /// A tenth of the rounds was faster: what a quiet machine gives.
    pub low: f64,
}

/// Runs every case `rounds` times, in turns, after a tenth of that to warm up.
pub fn in_turns(cases: &mut [Case<'_>], rounds: usize) -> Vec<Taken> {
    let mut times = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..rounds + rounds / 10 {
        for (case, times) in cases.iter_mut().zip(&mut times) {
            let start = Instant::now();
            let count = (case.round)();
            let nanos = start.elapsed().as_nanos() as f64;
            if round >= rounds / 10 {
                times.push(nanos / count.max(1) as f64);
            }
        }
    }
    times.iter_mut().map(|t| taken(t)).collect()
}

fn taken(times: &mut [f64]) -> Taken {
    times.sort_unstable_by(f64::total_cmp);
    let at = |part: usize| times.get(times.len() * part / 10).copied().unwrap_or_default();
    Taken { median: at(5), low: at(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_rounds_and_warms_up() {
        let mut runs = [0, 0];
        let [a, b] = &mut runs;
        let mut cases = [
            Case::new("a", move || {
                *a += 1;
                1
            }),
            Case::new("b", move || {
                *b += 1;
                1
            }),
        ];
        assert_eq!(in_turns(&mut cases, 20).len(), 2);
        drop(cases);
        assert_eq!(runs, [22, 22]);
    }

    #[test]
    fn the_median_ignores_interruptions() {
        let mut times: Vec<f64> = (0..10).map(f64::from).chain([1e9]).collect();
        let taken = taken(&mut times);
        assert_eq!((taken.median, taken.low), (5.0, 1.0));
    }
}
