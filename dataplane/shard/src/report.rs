//! What control may ask: the snapshot, the counters, the estimates.

use crate::Shard;
use plenum_contract::event::ShardMetrics;
use plenum_contract::snapshot::LegState;
use plenum_contract::{EventBody, LegKey, Snapshot};
use plenum_route::Layer;

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

    /// Bytes of the retransmission cache beside the packets' slots: each track's, and what sessions remember of what they sent.
    pub fn resend_footprint(&self) -> usize {
        let sent: usize = self.world.legs.iter().map(|(_, leg)| leg.session.resend_footprint()).sum();
        let kept: usize = self.world.sources.iter().map(|(_, source)| source.track.cache_footprint()).sum();
        sent + kept
    }

    /// Tells who speaks, who sits where, which layers flow and what mixes leave out anew, for a control plane that has just asked for a snapshot.
    pub fn tell_again(&mut self) {
        let mut events = Vec::new();
        for (_, conference) in self.world.conferences.iter() {
            let order: Vec<_> = conference.stage.speakers().collect();
            if !order.is_empty() {
                events.push(EventBody::Speakers { conference: conference.spec.key, order });
            }
            let shed = conference.mix.as_ref().map(|mix| mix.shed);
            events.extend(shed.map(|level| EventBody::MixShed { conference: conference.spec.key, level }));
        }
        for (_, leg) in self.world.legs.iter() {
            let key = leg.session.key();
            events.extend(leg.told_seats.clone().map(|told| told.event(key)));
            for slot in leg.slots.iter().filter(|s| s.told_layer.is_some()) {
                events.push(EventBody::Layer { leg: key, mid: slot.mid.clone(), layer: slot.told_layer });
            }
        }
        for event in events {
            self.tell(false, event);
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

    /// The layer that the last decision gives to a slot: `None` while it is paused or empty, or not there. It flows once a key
    /// frame of it came.
    pub fn decided(&self, leg: LegKey, mid: &str) -> Option<Layer> {
        let leg = self.world.leg(leg).and_then(|index| self.world.legs.get(index))?;
        leg.slots.iter().find(|s| s.mid == mid)?.subscriber.target()
    }

    /// How often a packet was dropped for `reason`.
    pub fn drops(&self) -> &plenum_packet::DropCounts {
        &self.drops
    }
}
