//! Telling what happened: numbered, written down with what made it, and only then published. So whoever was told something can
//! go on from there whatever becomes of this process, and what was answered with success is told to everybody.
//!
//! What has happened whether it can be written or not is told all the same; its part of the log is written with the next batch
//! that can be.

use super::{Driver, mixing};
use crate::events::{KEPT, Logs, Observed};
use crate::store::{Write, log};
use plenum_model::{Action, Conference, ConferenceKey, Event, LegKey, MediaChange, Model};
use std::collections::{BTreeMap, BTreeSet};

/// Entries of a log between two looks at which need not be kept any more. So a log has up to that many more rows than entries
/// are kept.
const TRIM: u64 = KEPT as u64 / 4;

impl Driver {
    /// Something that is so, whether it can be written or not. Readers are told when it is written.
    pub(super) fn happened(&mut self, action: Action) {
        let effects = self.model.apply(self.clock.now(), action);
        self.unwritten.extend(effects.rows);
        let spooled = self.spool(&effects.events);
        self.later(spooled);
        let places = mixing::touched(&effects.events, &effects.media);
        self.untold.extend(effects.events);
        self.media.tell(&self.model, &mut self.legs, &effects.media);
        self.tell_sight(&effects.media, [], places);
    }

    /// Writes down what happened, and tells it.
    pub(super) async fn write_what_happened(&mut self) {
        let events = std::mem::take(&mut self.untold);
        let told = self.numbered(events);
        let parts = self.parts(&told);
        self.later(parts);
        if !self.unwritten.is_empty() || !self.unwritten_writes.is_empty() {
            self.write(BTreeSet::new(), Vec::new()).await;
        }
        self.publish(told);
    }

    /// Numbers what happened, conference by conference.
    pub(super) fn numbered(&self, events: Vec<Event>) -> Vec<Observed> {
        let mut by_conference: BTreeMap<ConferenceKey, Vec<_>> = BTreeMap::new();
        for event in events {
            by_conference.entry(event.conference).or_default().push((event.audience, event.body));
        }
        by_conference.into_iter().map(|(key, events)| self.logs.number(key, events)).collect()
    }

    /// What is to be written down of it: one row for each conference.
    pub(super) fn parts(&self, told: &[Observed]) -> Vec<Write> {
        let mut writes = Vec::new();
        for happened in told {
            let key = happened.conference;
            let known = self.logs.of(key);
            if self.is_over(key) {
                writes.extend(known.map(|(meeting, _)| Write::LogOver(meeting.cast_signed())));
                continue;
            }
            let Some(part) = self.logs.part(happened) else { continue };
            let (meeting, floor) = known.unwrap_or((self.meeting(key), 0));
            let (meeting, last) = (meeting.cast_signed(), part.last());
            writes.push(Write::Log(meeting, last.cast_signed(), part.after.cast_signed(), log::body(&part)));
            if floor > 0 && last / TRIM != part.after / TRIM {
                writes.push(Write::TrimLog(meeting, floor.cast_signed()));
            }
        }
        writes
    }

    /// Tells what is written, or cannot be.
    pub(super) fn publish(&mut self, told: Vec<Observed>) {
        for happened in &told {
            let over = self.is_over(happened.conference);
            self.logs.publish(happened, self.meeting(happened.conference));
            if over {
                self.logs.close(happened.conference);
            }
        }
        self.logs.show(told);
    }

    /// Whether the meeting that a conference's log is of has ended. Another may have begun in the same batch: nobody follows
    /// that one yet.
    fn is_over(&self, key: ConferenceKey) -> bool {
        let empty = self.model.conference(key).is_none_or(|conference| conference.members.is_empty());
        empty || self.logs.of(key).is_some_and(|(meeting, _)| meeting != self.meeting(key))
    }

    fn meeting(&self, key: ConferenceKey) -> u64 {
        self.model.conference(key).map_or(0, |conference| conference.meeting)
    }

    /// Tells media what the mixes of these conferences are to be, and what the legs of changed participants and `others` are to see.
    pub(super) fn tell_sight(
        &mut self,
        changes: &[MediaChange],
        others: impl IntoIterator<Item = LegKey>,
        places: BTreeSet<ConferenceKey>,
    ) {
        let mut legs: BTreeSet<LegKey> = others.into_iter().collect();
        for change in changes {
            let MediaChange::Participant(_, key) = *change else { continue };
            let place = self.model.conference_of(key).and_then(|place| self.model.conference(place));
            legs.extend(place.and_then(|c| c.member(key)).into_iter().flat_map(|m| &m.calls).map(|call| call.leg));
        }
        let (now, unix_ms) = (self.clock.now().ms, self.unix_ms());
        for place in &places {
            let presenter = self.model.conference(*place).and_then(|conference| conference.presenter);
            let ask = self.settings.mixer && self.logs.readers_of(*place) > 0;
            self.media.stills.present(now, *place, presenter, ask);
        }
        self.media.tell_mixes(&self.model, &self.legs, (now, unix_ms), &places, &mut legs);
        if !legs.is_empty() {
            self.media.tell_sight(&self.model, &mut self.legs, unix_ms, &legs);
        }
    }
}

/// The logs of meetings that go on, and what is to be written of those that do not. `whole` says that the model is all that the
/// store had.
pub(super) fn restored(
    model: &Model,
    mut parts: BTreeMap<u64, Vec<crate::events::Part>>,
    whole: bool,
) -> (Logs, Vec<Write>) {
    let mut logs = Logs::default();
    for Conference { key, meeting, .. } in model.conferences().filter(|conference| conference.meeting != 0) {
        logs.restore(*key, *meeting, parts.remove(meeting).unwrap_or_default(), whole);
    }
    (logs, parts.into_keys().map(|meeting| Write::LogOver(meeting.cast_signed())).collect())
}
