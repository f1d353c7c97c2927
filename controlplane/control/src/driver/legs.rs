//! Media connections: the session that each leg was promised, and a journal so that a batch can be taken back.

use crate::store::LegRecord;
use plenum_contract::SubscriptionSpec;
use plenum_contract::spec::{Binding, SlotWish};
use plenum_model::LegKey;
use std::collections::BTreeMap;

/// Most bindings remembered for a leg: every encoding of every m-line with its RTX fits.
const BINDINGS: usize = 128;

/// All legs.
#[derive(Debug, Default)]
pub(super) struct Legs {
    records: BTreeMap<LegKey, LegRecord>,
    /// What media was last told that a leg is to see.
    told: BTreeMap<LegKey, SubscriptionSpec>,
    journal: Option<BTreeMap<LegKey, Option<LegRecord>>>,
    /// Legs on each shard.
    load: Vec<u32>,
}

impl Legs {
    pub(super) fn get(&self, leg: LegKey) -> Option<&LegRecord> {
        self.records.get(&leg)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LegKey, &LegRecord)> {
        self.records.iter().map(|(key, record)| (*key, record))
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Legs on a shard.
    pub(super) fn load(&self, shard: u16) -> u32 {
        self.load.get(usize::from(shard)).copied().unwrap_or(0)
    }

    pub(super) fn insert(&mut self, leg: LegKey, record: LegRecord) {
        let before = self.put(leg, Some(record));
        self.note(leg, before);
    }

    pub(super) fn remove(&mut self, leg: LegKey) {
        self.told.remove(&leg);
        if let Some(before) = self.put(leg, None) {
            self.note(leg, Some(before));
        }
    }

    /// Sets or removes a record and keeps the count.
    fn put(&mut self, leg: LegKey, record: Option<LegRecord>) -> Option<LegRecord> {
        let mut count = |record: &LegRecord, by: fn(u32, u32) -> u32| {
            let shard = usize::from(record.spec.shard);
            if self.load.len() <= shard {
                self.load.resize(shard + 1, 0);
            }
            self.load[shard] = by(self.load[shard], 1);
        };
        if let Some(record) = &record {
            count(record, u32::saturating_add);
        }
        if let Some(before) = self.records.get(&leg) {
            count(before, u32::saturating_sub);
        }
        match record {
            Some(record) => self.records.insert(leg, record),
            None => self.records.remove(&leg),
        }
    }

    /// What media bound to this leg's sources: a session that is reopened knows them at once.
    pub(super) fn bind(&mut self, leg: LegKey, binding: Binding) {
        let Some(record) = self.records.get_mut(&leg) else { return };
        let bindings = &mut record.spec.bindings;
        bindings.retain(|known| known.ssrc != binding.ssrc);
        if bindings.len() < BINDINGS {
            bindings.push(binding);
        }
    }

    /// Media has this revision of the session already: the next one must be newer.
    pub(super) fn raise_revision(&mut self, leg: LegKey, known: u64) {
        if let Some(record) = self.records.get_mut(&leg) {
            record.spec.revision = record.spec.revision.max(known + 1);
        }
    }

    /// Keeps the sizes that the client shows.
    pub(super) fn wish(&mut self, leg: LegKey, slots: Vec<SlotWish>) {
        if let Some(record) = self.get(leg).cloned() {
            self.insert(leg, LegRecord { wishes: slots, ..record });
        }
    }

    /// What media was last told of the slots of a leg.
    pub(super) fn told(&self, leg: LegKey) -> &[SlotWish] {
        self.told.get(&leg).map_or(&[], |told| &told.slots)
    }

    /// What media is to be told, if that is news. The revision is newer than any before, also than those of a former process,
    /// because it starts from wall-clock milliseconds.
    pub(super) fn news(&mut self, unix_ms: u64, mut wanted: SubscriptionSpec) -> Option<SubscriptionSpec> {
        let leg = LegKey(wanted.leg.0);
        let before = self.told.get(&leg);
        wanted.revision = before.map_or(0, |told| told.revision);
        // A leg that was told nothing sees what legs see by default.
        let plain = wanted.slots.is_empty() && wanted.first.is_empty() && !wanted.low_latency;
        let default = plain && wanted.mix.is_none() && !wanted.mixed_sound;
        if before.map_or(default, |told| *told == wanted) {
            return None;
        }
        wanted.revision = unix_ms.max(wanted.revision + 1);
        self.told.insert(leg, wanted.clone());
        Some(wanted)
    }

    /// Another media plane knows nothing of what legs are to see.
    pub(super) fn forget_told(&mut self) {
        self.told.clear();
    }

    pub(super) fn begin(&mut self) {
        self.journal = Some(BTreeMap::new());
    }

    pub(super) fn commit(&mut self) {
        self.journal = None;
    }

    pub(super) fn rollback(&mut self) {
        for (leg, before) in self.journal.take().into_iter().flatten() {
            self.put(leg, before);
        }
    }

    fn note(&mut self, leg: LegKey, before: Option<LegRecord>) {
        if let Some(journal) = &mut self.journal {
            journal.entry(leg).or_insert(before);
        }
    }
}
