//! From touched rows to writes: the store gets the state that the model has at the end of a batch.

use crate::driver::legs::Legs;
use crate::store::{Write, rows};
use plenum_model::{Model, ParticipantKey, Row, TokenHash};
use std::collections::BTreeSet;

/// The writes that bring the store up to date for `touched`.
pub(super) fn writes(model: &Model, legs: &Legs, touched: &BTreeSet<Row>) -> Result<Vec<Write>, serde_json::Error> {
    let mut writes = Vec::with_capacity(touched.len());
    // A token that moved with its holder is touched in both conferences: where it no longer is must not delete it.
    let live: BTreeSet<TokenHash> = touched.iter().filter_map(|row| token(model, row)).map(|(hash, _)| hash).collect();
    for row in touched {
        writes.push(match *row {
            Row::Conference(key) => {
                let body = model.conference(key).map(rows::conference_body).transpose()?;
                Write::Conference(key.0.cast_signed(), body)
            }
            Row::Participant(place, key) => {
                // They may have moved since.
                let place = model.conference_of(key).unwrap_or(place);
                let member = model.conference(place).and_then(|conference| conference.member(key));
                let body = member.map(rows::participant_body).transpose()?;
                Write::Participant(key.0.cast_signed(), place.0.cast_signed(), body)
            }
            Row::Token(place, hash) => {
                let holder = token(model, row).map(|(_, holder)| holder);
                if holder.is_none() && live.contains(&hash) {
                    continue;
                }
                Write::Token(hash.0, holder.map(|holder| (place.0.cast_signed(), holder.0.cast_signed())))
            }
            Row::Leg(leg, _) => {
                // A leg that the model dropped is told to media, and forgotten here, only after it is written.
                let record = legs.get(leg).filter(|_| model.owner_of(leg).is_some());
                let body = record.map(serde_json::to_string).transpose()?;
                Write::Leg(leg.0.cast_signed(), body)
            }
        });
    }
    Ok(writes)
}

/// The token of a row, and who holds it.
fn token(model: &Model, row: &Row) -> Option<(TokenHash, ParticipantKey)> {
    let Row::Token(place, hash) = *row else { return None };
    Some((hash, model.conference(place)?.tokens.get(&hash)?.participant))
}
