//! Before somebody is moved to another conference (MGMT-38): which of their media connections can go along.
//!
//! A leg belongs to a shard and has agreed on codecs. One whose shard is not the other conference's, or who could not be
//! understood there, ends first with a reason; the client sets it up again, as the same participant with the same token.

use super::Driver;
use crate::calls;
use plenum_contract::{Codec, Kind, SessionSpec};
use plenum_model::{Command, ConferenceKey, LegKey, MemberCommand, ParticipantId};

impl Driver {
    /// The command with what only the driver knows.
    pub(super) fn completed(&mut self, place: ConferenceKey, command: Command) -> Command {
        let Command::To { target, command: MemberCommand::Transfer(mut transfer) } = command else { return command };
        transfer.ending = self.legs_that_stay(place, target, &transfer.alias);
        Command::To { target, command: MemberCommand::Transfer(transfer) }
    }

    fn legs_that_stay(&mut self, place: ConferenceKey, target: ParticipantId, alias: &str) -> Vec<LegKey> {
        let Some(there) = self.model.resolve(alias) else { return Vec::new() };
        let mine = self.model.conference(place).and_then(|conference| conference.member_by_id(target));
        let mine: Vec<LegKey> = mine.map(|m| m.calls.iter().map(|call| call.leg).collect()).unwrap_or_default();
        let home = self.media.home(&self.legs, there);
        let others: Vec<&SessionSpec> =
            there.legs().filter_map(|leg| self.legs.get(leg)).map(|record| &record.spec).collect();
        let mixer = self.media.mixer;
        let fits = |spec: &SessionSpec| match mixer {
            // What somebody lacks is made for them.
            true => calls::check_decodable((spec, false), others.iter().map(|other| (*other, false)), true).is_ok(),
            false => others.iter().all(|other| understand(spec, other)),
        };
        let stays = |leg: &LegKey| {
            let Some(spec) = self.legs.get(*leg).map(|record| &record.spec) else { return true };
            home.is_some_and(|home| home != spec.shard) || !fits(spec)
        };
        mine.into_iter().filter(stays).collect()
    }

    /// After a move: a conference that had no leg is at home where its first one is.
    pub(super) fn settled(&mut self, target: ParticipantId) {
        let found = self.model.conferences().find_map(|c| Some((c.key, c.member_by_id(target)?.calls.first()?.leg)));
        let Some((place, leg)) = found else { return };
        if let Some(shard) = self.legs.get(leg).map(|record| record.spec.shard) {
            self.media.settle(place, shard);
        }
    }
}

/// Whether each can decode all that the other may send.
fn understand(one: &SessionSpec, other: &SessionSpec) -> bool {
    let hears = |from: &SessionSpec, to: &SessionSpec, kind: Kind| {
        let of = |spec: &SessionSpec, sends: bool| -> Vec<Codec> {
            let lines = spec.media.iter().filter(|m| m.kind == kind);
            let lines = lines.filter(|m| if sends { m.source.is_some() } else { m.slot.is_some() });
            lines.flat_map(|m| &m.codecs).map(|codec| codec.codec).collect()
        };
        let (sent, taken) = (of(from, true), of(to, false));
        // Redundancy is cut off and tones are left out towards those who do not have them.
        let free = |codec: &Codec| matches!(codec, Codec::Red | Codec::TelephoneEvent);
        taken.is_empty() || sent.iter().all(|codec| free(codec) || taken.contains(codec))
    };
    [Kind::Audio, Kind::Video].into_iter().all(|kind| hears(one, other, kind) && hears(other, one, kind))
}
