//! Back from the store after a restart. Tokens get a fresh life: nobody is thrown out because control was away.
//!
//! Rows that contradict each other are left out and counted; a damaged row must not keep the others from coming back.

use crate::conference::{Conference, Token};
use crate::ids::{ConferenceKey, Now, ParticipantKey, TokenHash};
use crate::limits::{ANSWER_MS, Limits, TOKEN_LIFE_MS};
use crate::model::Model;
use crate::participant::Participant;
use std::sync::Arc;

/// What the store has.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Conferences; members, tokens and stage are filled from the other lists.
    pub conferences: Vec<Conference>,
    /// Participants with their calls.
    pub participants: Vec<(ConferenceKey, Participant)>,
    /// Tokens with their holders.
    pub tokens: Vec<(ConferenceKey, TokenHash, ParticipantKey)>,
}

impl Model {
    /// The model as it was kept, and how many rows were left out.
    pub fn restore(limits: Limits, first_key: u64, now: Now, saved: Saved) -> (Model, usize) {
        let mut model = Model::new(limits, first_key);
        let mut left_out = 0;
        let mut conferences = std::collections::BTreeMap::new();
        for mut conference in saved.conferences {
            conference.members.clear();
            conference.by_id.clear();
            conference.tokens.clear();
            conference.stage.clear();
            conferences.insert(conference.key, conference);
        }
        for (place, hash, participant) in saved.tokens {
            match conferences.get_mut(&place) {
                Some(conference) => {
                    conference.tokens.insert(hash, Token { participant, expires_ms: now.ms + TOKEN_LIFE_MS });
                }
                None => left_out += 1,
            }
        }
        for (place, mut participant) in saved.participants {
            let key = participant.key;
            // Whoever was dialled has no token, everybody else has.
            let called = participant.dialled.is_some();
            let home = conferences
                .get_mut(&place)
                .filter(|c| called != c.tokens.values().any(|token| token.participant == key));
            let Some(home) = home else {
                left_out += 1;
                continue;
            };
            if let Some(how) = &mut participant.dialled {
                how.answer_by_ms = now.ms + ANSWER_MS;
            }
            for call in &mut participant.calls {
                call.seats.clear();
                call.presentation = None;
            }
            home.by_id.insert(participant.id, key);
            home.members.insert(key, Arc::new(participant));
        }
        for mut conference in conferences.into_values() {
            let known: Vec<ParticipantKey> = conference.members.keys().copied().collect();
            conference.tokens.retain(|_, token| known.contains(&token.participant));
            let presents = |key: &ParticipantKey| conference.member(*key).is_some_and(|m| m.admitted());
            conference.presenter = conference.presenter.filter(presents);
            if !conference.lives() {
                left_out += conference.members.len();
                conference.members.clear();
                conference.by_id.clear();
                conference.tokens.clear();
                conference.presenter = None;
            }
            if conference.members.is_empty() {
                conference.locked = false;
                conference.guests_muted = false;
                conference.started = false;
                conference.recording = false;
                conference.layouts.clear();
                conference.meeting = 0;
                conference.mute_on_join = None;
            } else if conference.meeting == 0 {
                // The store is older than meetings' numbers.
                conference.meeting = model.fresh_key();
            }
            if conference.settings.aliases.iter().any(|alias| model.alias_owner(alias).is_some()) {
                left_out += 1;
                continue;
            }
            model.insert_conference(conference);
        }
        (model, left_out)
    }
}
