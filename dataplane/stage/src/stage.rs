//! One conference: its members, what flows from them, their voices, and the order that follows from that.
//!
//! Members are kept sorted by key, so that a packet's level finds its meter in a few comparisons. Instants are
//! nanoseconds of the data plane's monotonic clock.

use crate::levels::{AudioLevel, Meter};
use crate::seats::Heard;
use crate::speakers::{Speakers, Voice};
use plenum_contract::ParticipantKey;
use std::collections::BTreeSet;

/// Most members of a conference; a further one is refused.
pub const MAX_MEMBERS: usize = 10_000;
/// Most entries in [`Stage::speakers`].
pub const MAX_SPEAKERS: usize = 32;

/// What flows from a member. The default is somebody who sends nothing and whom nothing stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// They have an audio track.
    pub audio: bool,
    /// They have a camera track that brings packets.
    pub video: bool,
    /// They have a presentation track that brings packets.
    pub presentation: bool,
    /// Control lets nobody hear them.
    pub audio_blocked: bool,
    /// Control lets nobody see them.
    pub video_blocked: bool,
    /// They see no presentation; they may show one.
    pub presentation_denied: bool,
    /// Nothing flows from them or to them.
    pub waiting: bool,
}

impl Flags {
    pub(crate) fn heard(self) -> bool {
        self.audio && !self.audio_blocked && !self.waiting
    }
    pub(crate) fn seen(self) -> bool {
        self.video && !self.video_blocked && !self.waiting
    }
    pub(crate) fn presents(self) -> bool {
        self.presentation && !self.waiting
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) key: ParticipantKey,
    pub(crate) flags: Flags,
    meter: Meter,
}

impl Member {
    pub(crate) fn heard(&self) -> Heard {
        Heard { key: self.key, speaking: self.meter.is_speaking(), loudness: self.meter.loudness() }
    }
}

/// What a tick changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// [`Stage::speakers`] is another list: send the event.
    pub speakers: bool,
    /// Seats may be others: call [`Stage::seat_video`] and [`Stage::seat_audio`] for every viewer, with one [`Stage::line_up`].
    pub seats: bool,
}

/// One conference.
#[derive(Clone, Debug)]
pub struct Stage {
    members: Vec<Member>,
    pub(crate) speakers: Speakers,
    pub(crate) pinned: Vec<ParticipantKey>,
    pub(crate) presenter: Option<ParticipantKey>,
    pub(crate) last_n: usize,
    /// What changed outside of ticks.
    pending: Changes,
}

impl Default for Stage {
    fn default() -> Stage {
        Stage::new()
    }
}

impl Stage {
    /// An empty conference that forwards everybody.
    pub fn new() -> Stage {
        Stage {
            members: Vec::new(),
            speakers: Speakers::default(),
            pinned: Vec::new(),
            presenter: None,
            last_n: usize::MAX,
            pending: Changes::default(),
        }
    }

    // ---- who is here ----------------------------------------------------------------------------------------------

    /// Adds a member, or changes what flows from them. `false` when the conference is full.
    pub fn set_member(&mut self, key: ParticipantKey, flags: Flags) -> bool {
        match self.find(key) {
            Ok(index) => {
                let member = &mut self.members[index];
                if member.flags == flags {
                    return true;
                }
                if !flags.heard() {
                    self.pending.speakers |= member.meter.is_speaking();
                    member.meter.silence();
                }
                member.flags = flags;
            }
            Err(_) if self.members.len() >= MAX_MEMBERS => return false,
            Err(index) => {
                self.members.insert(index, Member { key, flags, meter: Meter::default() });
                self.speakers.join(key);
            }
        }
        self.pending.seats = true;
        true
    }

    /// Removes a member.
    pub fn remove_member(&mut self, key: ParticipantKey) {
        let Ok(index) = self.find(key) else { return };
        self.members.remove(index);
        self.pending.speakers |= self.speakers.spoke().any(|k| k == key);
        self.speakers.leave(key);
        self.pending.seats = true;
    }

    /// What flows from a member.
    pub fn flags(&self, key: ParticipantKey) -> Option<Flags> {
        self.find(key).ok().map(|i| self.members[i].flags)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    // ---- what control wants ---------------------------------------------------------------------------------------

    /// Who stands first, in this order. Repeated entries count once.
    pub fn set_pinned(&mut self, pinned: &[ParticipantKey]) {
        let mut known = BTreeSet::new();
        let list: Vec<_> = pinned.iter().copied().take(MAX_MEMBERS).filter(|key| known.insert(*key)).collect();
        self.pending.seats |= list != self.pinned;
        self.pinned = list;
    }

    /// Who holds the presentation floor.
    pub fn set_presenter(&mut self, presenter: Option<ParticipantKey>) {
        self.pending.seats |= presenter != self.presenter;
        self.presenter = presenter;
    }

    /// How many of those who can be seen are forwarded, by the speaker order, besides the pinned.
    pub fn set_last_n(&mut self, last_n: usize) {
        self.pending.seats |= last_n != self.last_n;
        self.last_n = last_n;
    }

    // ---- what is heard --------------------------------------------------------------------------------------------

    /// An audio packet of a member with its level (RFC 6464).
    pub fn handle_level(&mut self, key: ParticipantKey, level: AudioLevel, now: u64) {
        if let Some(meter) = self.meter(key) {
            meter.level(level, now);
        }
    }

    /// An audio packet of a member without a level.
    pub fn handle_packet(&mut self, key: ParticipantKey, payload_bytes: usize, now: u64) {
        if let Some(meter) = self.meter(key) {
            meter.packet(payload_bytes, now);
        }
    }

    /// Time passes; call every 50 to 100 ms. Tells what changed since the last tick, by whatever cause.
    pub fn tick(&mut self, now: u64) -> Changes {
        let mut changes = core::mem::take(&mut self.pending);
        for member in &mut self.members {
            if !member.meter.tick(now) {
                continue;
            }
            changes.speakers = true;
            // Audio slots follow speech, whatever becomes of the pictures.
            changes.seats = true;
            if member.meter.is_speaking() {
                self.speakers.began(member.key);
            }
        }
        let voices = self.members.iter().map(|m| Voice {
            key: m.key,
            speaking: m.meter.is_speaking(),
            loudness: m.meter.loudness(),
        });
        if self.speakers.tick(voices, now) {
            changes = Changes { speakers: true, seats: true };
        }
        changes
    }

    /// Who spoke, the main holder first, then the most recent, with whether they speak now; at most [`MAX_SPEAKERS`].
    pub fn speakers(&self) -> impl Iterator<Item = (ParticipantKey, bool)> + '_ {
        let members = self.speakers.spoke().filter_map(|key| self.member(key));
        members.map(|m| (m.key, m.meter.is_speaking())).take(MAX_SPEAKERS)
    }

    /// Who stands first among the speakers; before anybody spoke, who came first.
    pub fn main(&self) -> Option<ParticipantKey> {
        self.speakers.main()
    }

    fn find(&self, key: ParticipantKey) -> Result<usize, usize> {
        self.members.binary_search_by_key(&key, |m| m.key)
    }

    pub(crate) fn member(&self, key: ParticipantKey) -> Option<&Member> {
        self.find(key).ok().map(|i| &self.members[i])
    }

    fn meter(&mut self, key: ParticipantKey) -> Option<&mut Meter> {
        let index = self.find(key).ok()?;
        let member = &mut self.members[index];
        member.flags.heard().then_some(&mut member.meter)
    }
}
