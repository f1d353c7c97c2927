//! What control may ask: the snapshot, the counters, the estimates.

use crate::Shard;
use plenum_contract::Snapshot;
use plenum_contract::event::ShardMetrics;
use plenum_contract::snapshot::LegState;

impl Shard {
    /// This shard's part of a snapshot.
    pub fn snapshot(&self) -> Snapshot {
        let conference_of = |index| self.world.conferences.get(index).map(|c| c.spec.key);
        Snapshot {
            last_event: 0,
            conferences: self.world.conferences.iter().map(|(_, c)| (c.spec.key, c.spec.revision)).collect(),
            participants: self
                .world
                .participants
                .iter()
                .filter_map(|(_, p)| Some((p.spec.key, conference_of(p.conference)?, p.spec.revision)))
                .collect(),
            legs: self
                .world
                .legs
                .iter()
                .map(|(_, leg)| LegState {
                    key: leg.session.key(),
                    revision: leg.session.spec().revision,
                    participant: leg.session.spec().participant,
                    connected: leg.session.is_connected(),
                    started: leg.started,
                    bindings: leg.session.bindings().collect(),
                })
                .collect(),
            last: true,
        }
    }

    /// Adds this shard's counters to those of its I/O back-end.
    pub fn add_metrics(&self, metrics: &mut ShardMetrics) {
        metrics.sessions = self.world.legs.len() as u64;
        metrics.residence = self.residence.buckets();
        metrics.pacer_wait = self.pacer_wait.buckets();
        for (reason, count) in self.drops.iter().filter(|(_, n)| *n > 0) {
            *metrics.drops.entry(reason.label().to_owned()).or_default() += count;
        }
    }

    /// Estimates of what may be sent, bits a second, by leg key.
    pub fn bandwidth(&self) -> Vec<(u64, u64)> {
        let up = self.world.legs.iter().filter(|(_, l)| l.session.is_connected());
        up.map(|(_, l)| (l.session.key().0, l.session.target_bitrate().bps())).collect()
    }

    /// How often a packet was dropped for `reason`.
    pub fn drops(&self) -> &plenum_packet::DropCounts {
        &self.drops
    }
}
