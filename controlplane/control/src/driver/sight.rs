//! What a leg is to see: the client's wishes, bounded by the layout that a host chose for it (MGMT-26) or that is its own.
//!
//! A layout of five tiles gives five pictures, whatever the client has room for. Actors stand first in their order; where
//! places of actors who left are to stay empty (no `vad_backfill`), each slot is tied to its actor and the others are empty.

use super::legs::Legs;
use super::mixing::Mixes;
use crate::store::LegRecord;
use plenum_contract as contract;
use plenum_contract::spec::SlotWish;
use plenum_contract::{Kind, MediaSpec, SubscriptionSpec};
use plenum_model::{Conference, LayoutName, LegKey, Model, Participant};

/// What media gives a slot for which nobody wishes anything: the main tile, and a small one.
const MAIN: (u16, u16) = (640, 360);
const SMALL: (u16, u16) = (320, 180);

/// What `leg` is to see; `None` when it is nobody's.
pub(super) fn wanted(model: &Model, legs: &Legs, mixes: &Mixes, leg: LegKey) -> Option<SubscriptionSpec> {
    let (place, key) = model.owner_of(leg)?;
    let conference = model.conference(place)?;
    let member = conference.member(key)?;
    let record = legs.get(leg)?;
    let actors = conference.actors_for(member);
    let mix = mixes.scene_of(conference, member, record);
    let others = |key: &plenum_model::ParticipantKey| *key != member.key;
    Some(SubscriptionSpec {
        leg: contract::LegKey(leg.0),
        revision: 0,
        slots: slots(conference, member, record, legs.told(leg), mix.is_some()),
        first: actors.into_iter().flatten().filter(others).map(|key| contract::ParticipantKey(key.0)).collect(),
        low_latency: member.low_latency,
        mix,
        mixed_sound: mix.is_none() && mixes.heard_by(conference, record),
    })
}

/// `told`: what media was last told. A slot that it was told of must be named again, or it would keep what it has. `mixed`: the
/// layout is in the picture, and no matter of slots.
fn slots(
    conference: &Conference,
    member: &Participant,
    record: &LegRecord,
    told: &[SlotWish],
    mixed: bool,
) -> Vec<SlotWish> {
    let chosen = conference.override_for(member.role);
    let own_choice = member.layout.is_some() || chosen.is_some() || conference.settings.layout != LayoutName::DEFAULT;
    let tiles = (own_choice && !mixed).then(|| conference.layout_for(member).tiles());
    let tied = !mixed && chosen.is_some_and(|entry| !entry.vad_backfill && !entry.actors.is_empty());
    let mut wishes = record.wishes.clone();
    let places: Vec<_> = conference.actors_for(member).into_iter().filter(|actor| *actor != Some(member.key)).collect();
    for (slot, media) in pictures(record) {
        let at = match wishes.iter().position(|wish| wish.mid == media.mid) {
            Some(at) => at,
            None if tiles.is_none() && !tied && !told.iter().any(|wish| wish.mid == media.mid) => continue,
            None => {
                let (width, height) = if slot == 0 { MAIN } else { SMALL };
                wishes.push(SlotWish { mid: media.mid.clone(), width, height, max_fps: 0, pinned: None });
                wishes.len() - 1
            }
        };
        let wish = &mut wishes[at];
        let hidden = tiles.is_some_and(|tiles| slot >= tiles);
        let actor = places.get(slot).copied().flatten().filter(|_| tied);
        wish.pinned = actor.map(|key| contract::ParticipantKey(key.0));
        if hidden || (tied && actor.is_none()) {
            (wish.width, wish.height) = (0, 0);
        }
    }
    wishes
}

/// The slots of a leg that show people, with their numbers.
fn pictures(record: &LegRecord) -> impl Iterator<Item = (usize, &MediaSpec)> {
    let people = |media: &&MediaSpec| media.kind == Kind::Video && !media.presentation;
    record.spec.media.iter().filter(people).filter_map(|media| Some((usize::from(media.slot.as_ref()?.index), media)))
}
