//! Who speaks, and who sits where: speaker order and seats of one conference.
//!
//! A [`Stage`] is told who is there, what they send and how loud they are, and answers two questions: in which order people
//! spoke ([`Stage::order`]), and who fills the slots of a viewer ([`Stage::video_seats`], [`Stage::audio_seats`]). The rules are
//! those of the layouts' specification: pinned people first, then speakers, most recent first; the main place changes only
//! after a while of dominance; who sits keeps the seat. It knows no packet, no session and no codec.

#![forbid(unsafe_code)]

mod levels;
mod seats;
mod speakers;

pub use levels::{AudioLevel, Loudness};
pub use seats::Seats;
pub use speakers::{DOMINANCE, MAIN_STAYS};

use plenum_contract::ParticipantKey;
use plenum_packet::Time;
use speakers::Speakers;
use std::time::Duration;

/// How often speakers are judged. Shorter costs time for each member; longer delays who is heard.
pub const TICK: Duration = Duration::from_millis(100);

/// What a member sends and may do, as far as seats care.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Has a connected leg and does not wait: may be seen in a seat.
    pub present: bool,
    /// Their sound may be heard.
    pub audio: bool,
    /// Their picture may be seen.
    pub video: bool,
}

/// What a tick changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The order of speakers, or who speaks now: to be told.
    pub speakers: bool,
    /// Who sits where may have changed: seats must be asked for again.
    pub seats: bool,
}

/// One member.
#[derive(Clone, Debug)]
struct Member {
    key: ParticipantKey,
    flags: Flags,
    loudness: Loudness,
}

/// Speaker order and seats of one conference.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    members: Vec<Member>,
    speakers: Speakers,
    pinned: Vec<ParticipantKey>,
    next_tick: Time,
    seats_stale: bool,
}

impl Stage {
    /// An empty stage.
    pub fn new() -> Stage {
        Stage::default()
    }

    /// Adds a member, or changes what they may do.
    pub fn set(&mut self, key: ParticipantKey, flags: Flags) {
        match self.members.iter_mut().find(|m| m.key == key) {
            Some(member) if member.flags == flags => return,
            Some(member) => member.flags = flags,
            None => self.members.push(Member { key, flags, loudness: Loudness::default() }),
        }
        self.seats_stale = true;
    }

    /// Removes a member.
    pub fn remove(&mut self, key: ParticipantKey) {
        self.members.retain(|m| m.key != key);
        self.speakers.remove(key);
        self.seats_stale = true;
    }

    /// Who stands first whatever the speakers do, in this order.
    pub fn set_pinned(&mut self, pinned: &[ParticipantKey]) {
        if self.pinned != pinned {
            self.pinned = pinned.to_vec();
            self.seats_stale = true;
        }
    }

    /// A packet of a member's sound arrived.
    pub fn heard(&mut self, key: ParticipantKey, level: AudioLevel, now: Time) {
        if let Some(member) = self.members.iter_mut().find(|m| m.key == key) {
            member.loudness.add(level, now);
        }
    }

    /// When [`Stage::tick`] is due.
    pub fn deadline(&self) -> Time {
        if self.seats_stale { Time::ZERO } else { self.next_tick }
    }

    /// Judges the speakers. Call at [`Stage::deadline`]; earlier calls only report seats that became stale.
    pub fn tick(&mut self, now: Time) -> Changes {
        let mut changes = Changes { speakers: false, seats: std::mem::take(&mut self.seats_stale) };
        if now < self.next_tick {
            return changes;
        }
        self.next_tick = now + TICK;
        let heard = self.members.iter_mut().filter(|m| m.flags.present && m.flags.audio);
        let judged = self.speakers.judge(heard.map(|m| (m.key, m.loudness.at(now))), now);
        changes.speakers |= judged.told;
        changes.seats |= judged.order || judged.told;
        changes
    }

    /// Everybody who ever spoke and is still here, most recent first, with whether they speak now.
    pub fn order(&self) -> impl Iterator<Item = (ParticipantKey, bool)> + '_ {
        self.speakers.order()
    }

    /// Fills the picture seats of `viewer`. `pins` names who must sit in a seat, by seat.
    pub fn video_seats(&self, viewer: ParticipantKey, pins: &[Option<ParticipantKey>], seats: &mut Seats) {
        let rank = |key: ParticipantKey| self.video_rank(key);
        let mut wanted: Vec<_> =
            self.members.iter().filter(|m| m.key != viewer && m.flags.present).map(|m| (rank(m.key), m.key)).collect();
        wanted.sort_by_key(|(rank, _)| *rank);
        seats.fill(wanted.into_iter().map(|(_, key)| key), pins, true);
    }

    /// Fills the sound seats of `viewer`: the loudest who speak, then who spoke last.
    pub fn audio_seats(&self, viewer: ParticipantKey, seats: &mut Seats) {
        let mut wanted: Vec<_> = self
            .members
            .iter()
            .filter(|m| m.key != viewer && m.flags.present && m.flags.audio)
            .map(|m| (self.audio_rank(m), m.key))
            .collect();
        wanted.sort_by_key(|(rank, _)| *rank);
        seats.fill(wanted.into_iter().map(|(_, key)| key), &[], false);
    }

    /// Smaller stands first: pinned, then speakers with a picture or speaking now, then pictures, then the rest.
    fn video_rank(&self, key: ParticipantKey) -> (u8, usize) {
        if let Some(at) = self.pinned.iter().position(|p| *p == key) {
            return (0, at);
        }
        let member = self.members.iter().position(|m| m.key == key).unwrap_or(usize::MAX);
        let video = self.members.get(member).is_some_and(|m| m.flags.video);
        match self.speakers.place(key) {
            Some((at, speaking)) if video || speaking => (1, at),
            Some((at, _)) => (3, at),
            None if video => (2, member),
            None => (4, member),
        }
    }

    fn audio_rank(&self, member: &Member) -> (u8, usize) {
        let joined = self.members.iter().position(|m| m.key == member.key).unwrap_or(usize::MAX);
        match self.speakers.place(member.key) {
            Some((_, true)) => (0, usize::from(u8::MAX - member.loudness.smooth())),
            Some((at, false)) => (1, at),
            None => (2, joined),
        }
    }
}

#[cfg(test)]
mod tests;
