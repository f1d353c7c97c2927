//! Notices a shard whose thread hangs: it turns no more, and everybody on it is cut off without a word.
//!
//! Every turn of a shard counts a beat. The control thread looks several times a second; a shard that did not turn for
//! [`STALL_AFTER`] is told, and the program ends so that the supervisor starts it anew: keys and sessions of a hung shard cannot
//! be saved, and clients set their calls up again. Time in which this thread did not look either (a stopped process, a
//! machine that slept) does not count.

use core::time::Duration;
use plenum_packet::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shard turns at least once a second. Shorter: a machine that swaps loses its calls. Longer: clients, who give up after 15 to
/// 30 s without consent, do so before the restart helps them; and control, who hears nothing when the last shard hangs, kills the
/// program after 10 s without knowing why.
pub(crate) const STALL_AFTER: Duration = Duration::from_secs(8);
/// Most time between two looks that counts; looks are 250 ms apart.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

const _: () = assert!(STALL_AFTER.as_secs() >= 5 * crate::event_loop::METRICS_EVERY.as_secs());

/// The count of a shard's turns, written by its thread alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// The shard turned.
    pub(crate) fn beat(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// Looks at every shard.
#[derive(Debug)]
pub(crate) struct Watch {
    shards: Vec<Watched>,
    looked: Option<Time>,
}

#[derive(Debug)]
struct Watched {
    pulse: Pulse,
    seen: u64,
    still: Duration,
}

impl Watch {
    pub(crate) fn new(pulses: impl Iterator<Item = Pulse>) -> Watch {
        let shards = pulses.map(|pulse| Watched { pulse, seen: 0, still: Duration::ZERO }).collect();
        Watch { shards, looked: None }
    }

    /// A shard that hangs.
    pub(crate) fn look(&mut self, now: Time) -> Option<u16> {
        let passed = self.looked.map_or(Duration::ZERO, |at| now.since(at)).min(LONGEST_LOOK);
        self.looked = Some(now);
        for shard in &mut self.shards {
            let beats = shard.pulse.0.load(Ordering::Relaxed);
            shard.still = if beats == shard.seen { shard.still + passed } else { Duration::ZERO };
            shard.seen = beats;
        }
        self.shards.iter().position(|shard| shard.still >= STALL_AFTER).map(|index| index as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 250 ms until `to` while the pulses in `beating` beat once a second; the first that hangs, and when.
    fn run(watch: &mut Watch, pulses: &[Pulse], from: u64, to: u64, beating: &[usize]) -> Option<(u16, u64)> {
        for ms in (from..to).step_by(250) {
            if ms % 1000 == 0 {
                beating.iter().for_each(|&index| pulses[index].beat());
            }
            if let Some(index) = watch.look(Time::from_millis(ms)) {
                return Some((index, ms));
            }
        }
        None
    }

    fn three() -> (Watch, [Pulse; 3]) {
        let pulses: [Pulse; 3] = Default::default();
        (Watch::new(pulses.iter().cloned()), pulses)
    }

    #[test]
    fn a_shard_that_does_not_turn_for_eight_seconds_is_told_and_not_before() {
        let (mut watch, pulses) = three();
        assert_eq!(run(&mut watch, &pulses, 0, 60_000, &[0, 1, 2]), None);
        assert_eq!(run(&mut watch, &pulses, 60_000, 66_000, &[0, 2]), None);
        assert_eq!(run(&mut watch, &pulses, 66_000, 70_000, &[0, 1, 2]), None, "it was only slow");
        assert_eq!(run(&mut watch, &pulses, 70_000, 90_000, &[0, 2]), Some((1, 77_000)));
    }

    #[test]
    fn a_process_that_was_stopped_for_an_hour_has_no_hanging_shard() {
        let (mut watch, pulses) = three();
        assert_eq!(run(&mut watch, &pulses, 0, 5_000, &[0, 1, 2]), None);
        assert_eq!(watch.look(Time::from_millis(3_600_000)), None);
        assert_eq!(run(&mut watch, &pulses, 3_601_000, 3_620_000, &[0, 1, 2]), None);
    }
}
