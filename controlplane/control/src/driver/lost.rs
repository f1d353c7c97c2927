//! Calls that ended because the media plane restarted, kept for those clients that hold on to their connection: an `update`
//! with an ICE restart opens the session anew, with the sources that media had reported.
//!
//! One for each participant and purpose, for [`KEPT_MS`], and only in memory: a client that comes later, or finds another
//! control plane, sets its call up as if it were the first. Another call of the same purpose takes the lost one's place.

use super::legs::Legs;
use crate::store::LegRecord;
use plenum_model::{CallId, Model, Now, ParticipantKey, Purpose};
use std::collections::BTreeMap;

/// As long as a token lives: whoever did not refresh it cannot ask any more.
const KEPT_MS: u64 = 120_000;

/// A call that may come back.
#[derive(Clone, Debug)]
pub(super) struct LostCall {
    pub(super) id: CallId,
    pub(super) video: bool,
    pub(super) fecc: bool,
    /// Whether the client had acknowledged it: it does not do so again.
    pub(super) started: bool,
    pub(super) record: LegRecord,
    until: u64,
}

/// All of them. At most as many as there may be calls, because a participant has one for each purpose.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeMap<(ParticipantKey, Purpose), LostCall>);

impl Lost {
    /// Remembers every call that there is. To be called before they end.
    pub(super) fn remember(&mut self, now: Now, model: &Model, legs: &Legs) {
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
                until: now.ms + KEPT_MS,
            };
            self.0.insert((key, call.purpose), lost);
        }
    }

    /// The call with this id, whose it was and what it was for.
    pub(super) fn find(&self, now: Now, id: CallId) -> Option<(ParticipantKey, Purpose, &LostCall)> {
        let found = self.0.iter().find(|(_, lost)| lost.id == id && lost.until > now.ms);
        found.map(|((key, purpose), lost)| (*key, *purpose, lost))
    }

    /// Forgets what is too old, whose participant left, or whose place another call took.
    pub(super) fn sweep(&mut self, now: Now, model: &Model) {
        self.0.retain(|(key, purpose), lost| lost.until > now.ms && is_free(model, *key, *purpose));
    }
}

/// Whether the participant is there and has no call of this purpose.
pub(super) fn is_free(model: &Model, key: ParticipantKey, purpose: Purpose) -> bool {
    let place = model.conference_of(key).and_then(|place| model.conference(place));
    place.and_then(|c| c.member(key)).is_some_and(|member| member.calls.iter().all(|call| call.purpose != purpose))
}
