//! Which shard owns which leg, so that a command about a leg finds it.
//!
//! An entry stands from the request for a session until its shard says that it ended or that there is none. It decides
//! nothing: a shard that was never asked for a leg, or refused it, is not asked about it.

use plenum_contract::LegKey;
use std::collections::HashMap;

/// All legs that shards were asked for.
#[derive(Default)]
pub(crate) struct LegShards(HashMap<LegKey, Asked>);

struct Asked {
    shard: u16,
    /// Of the session that was asked for last.
    revision: u64,
}

impl LegShards {
    /// A shard is asked for a session.
    pub(crate) fn asked(&mut self, leg: LegKey, shard: u16, revision: u64) {
        self.0.insert(leg, Asked { shard, revision });
    }

    /// The shard that owns a leg.
    pub(crate) fn shard(&self, leg: LegKey) -> Option<u16> {
        self.0.get(&leg).map(|asked| asked.shard)
    }

    /// The leg is over.
    pub(crate) fn ended(&mut self, leg: LegKey) {
        self.0.remove(&leg);
    }

    /// Its shard has no such leg, having refused this revision. One that was asked for meanwhile may still become one.
    pub(crate) fn refused(&mut self, leg: LegKey, revision: u64) {
        if self.0.get(&leg).is_some_and(|asked| asked.revision == revision) {
            self.0.remove(&leg);
        }
    }

    /// Forgets every leg for which `keep` is false.
    pub(crate) fn retain(&mut self, keep: impl Fn(LegKey) -> bool) {
        self.0.retain(|leg, _| keep(*leg));
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> Vec<LegKey> {
        self.0.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_forgets_the_leg_unless_it_was_asked_for_again_meanwhile() {
        let mut legs = LegShards::default();
        legs.asked(LegKey(1), 3, 7);
        assert_eq!(legs.shard(LegKey(1)), Some(3));
        legs.asked(LegKey(1), 2, 8);
        legs.refused(LegKey(1), 7);
        assert_eq!(legs.shard(LegKey(1)), Some(2));
        legs.refused(LegKey(1), 8);
        assert_eq!(legs.shard(LegKey(1)), None);
        legs.refused(LegKey(9), 1);
        assert!(legs.keys().is_empty());
    }
}
