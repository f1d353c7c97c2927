//! Calls that ended because the media plane restarted, kept for those clients that hold on to their connection: an `update`
//! with an ICE restart opens the session anew, with the sources that media had reported.
//!
//! One for each participant and purpose, for [`KEPT_MS`], also across a restart of the control plane: a client that comes later
//! sets its call up as if it were the first. Another call of the same purpose takes the lost one's place.

use super::legs::Legs;
use crate::store::{LostCall, Write, rows};
use plenum_model::{CallId, Model, Now, ParticipantKey, Purpose};
use std::collections::BTreeMap;

/// As long as a token lives: whoever did not refresh it cannot ask any more.
const KEPT_MS: u64 = 120_000;

/// All of them, with when their time is over. At most as many as there may be calls, because a participant has one for each
/// purpose.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeMap<(ParticipantKey, Purpose), (LostCall, u64)>);

impl Lost {
    /// Those that the store has, with a fresh time, as tokens have; and what is to be written of those that cannot come back.
    pub(super) fn restored(
        now: Now,
        model: &Model,
        kept: Vec<(ParticipantKey, Purpose, LostCall)>,
    ) -> (Lost, Vec<Write>) {
        let calls = kept.into_iter().map(|(key, purpose, call)| ((key, purpose), (call, now.ms + KEPT_MS)));
        let mut lost = Lost(calls.collect());
        let writes = lost.sweep(now, model);
        (lost, writes)
    }

    /// Remembers every call that there is. To be called before they end; what is to be written with that comes back.
    pub(super) fn remember(&mut self, now: Now, model: &Model, legs: &Legs) -> Vec<Write> {
        let mut writes = Vec::new();
        for (leg, record) in legs.iter() {
            let Some((place, key)) = model.owner_of(leg) else { continue };
            let Some(member) = model.conference(place).and_then(|conference| conference.member(key)) else { continue };
            let Some(call) = member.calls.iter().find(|call| call.leg == leg) else { continue };
            let lost = LostCall {
                id: call.id,
                video: call.video,
                fecc: call.fecc,
                started: call.started,
                record: record.clone(),
            };
            // A value of strings and numbers has always a JSON form.
            writes.push(write((key, call.purpose), rows::lost_body(&lost).ok()));
            self.0.insert((key, call.purpose), (lost, now.ms + KEPT_MS));
        }
        writes
    }

    /// The call with this id, whose it was and what it was for.
    pub(super) fn find(&self, now: Now, id: CallId) -> Option<(ParticipantKey, Purpose, &LostCall)> {
        let found = self.0.iter().find(|(_, (lost, until))| lost.id == id && *until > now.ms);
        found.map(|((key, purpose), (lost, _))| (*key, *purpose, lost))
    }

    /// Forgets what is too old, whose participant left, or whose place another call took; what is to be written comes back.
    pub(super) fn sweep(&mut self, now: Now, model: &Model) -> Vec<Write> {
        let mut writes = Vec::new();
        self.0.retain(|(key, purpose), (_, until)| {
            let stays = *until > now.ms && is_free(model, *key, *purpose);
            if !stays {
                writes.push(write((*key, *purpose), None));
            }
            stays
        });
        writes
    }
}

fn write((key, purpose): (ParticipantKey, Purpose), body: Option<String>) -> Write {
    Write::Lost(key.0.cast_signed(), rows::purpose_name(purpose), body)
}

/// Whether the participant is there and has no call of this purpose.
pub(super) fn is_free(model: &Model, key: ParticipantKey, purpose: Purpose) -> bool {
    let place = model.conference_of(key).and_then(|place| model.conference(place));
    place.and_then(|c| c.member(key)).is_some_and(|member| member.calls.iter().all(|call| call.purpose != purpose))
}
