//! The order of speakers, most recent first. The first of them holds the main place.
//!
//! Somebody who starts to speak moves right behind the main speaker; to the main place they move after [`DOMINANCE`], and
//! never sooner than [`MAIN_STAYS`] after the last change of it. So a cough changes nothing and an argument does not flicker.

use plenum_contract::ParticipantKey;
use plenum_packet::Time;
use std::time::Duration;

/// How long somebody must be the loudest speaker before the main place is theirs. Shorter: coughs take it; longer: the
/// audience looks at the wrong person.
pub const DOMINANCE: Duration = Duration::from_millis(1500);
/// The main place changes at most this often.
pub const MAIN_STAYS: Duration = Duration::from_secs(2);
/// Somebody speaks once their sound has been speech for this long …
const STARTS_AFTER: Duration = Duration::from_millis(200);
/// … and no longer once it has not been for this long: pauses between sentences.
const STOPS_AFTER: Duration = Duration::from_millis(800);

const _: () = assert!(MAIN_STAYS.as_millis() > DOMINANCE.as_millis());

#[derive(Clone, Debug)]
struct Speaker {
    key: ParticipantKey,
    level: u8,
    speaking: bool,
    /// Since when the sound is (or is not) speech, against `speaking`.
    turning: Option<Time>,
}

/// Everybody who was heard; those who spoke come first, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Speakers {
    order: Vec<Speaker>,
    /// Heard, never spoke.
    quiet: Vec<Speaker>,
    challenger: Option<(ParticipantKey, Time)>,
    main_since: Option<Time>,
}

/// What judging changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Judged {
    /// The order.
    pub(crate) order: bool,
    /// The order or who speaks now.
    pub(crate) told: bool,
}

impl Speakers {
    /// Judges everybody's level: key, smoothed level, whether it is speech. Who is not among `heard` is silent.
    pub(crate) fn judge(&mut self, heard: impl Iterator<Item = (ParticipantKey, (u8, bool))>, now: Time) -> Judged {
        let mut judged = Judged::default();
        let mut silent: Vec<ParticipantKey> = self.order.iter().map(|s| s.key).collect();
        for (key, (level, speech)) in heard {
            silent.retain(|k| *k != key);
            judged.told |= self.update(key, level, speech, now);
        }
        for key in silent {
            judged.told |= self.update(key, 0, false, now);
        }
        let promoted = self.promote_starters();
        let main = self.judge_main(now);
        judged.order = promoted || main;
        judged.told |= judged.order;
        judged
    }

    /// Place in the order (0 = main) and whether they speak now; `None` for who never spoke.
    pub(crate) fn place(&self, key: ParticipantKey) -> Option<(usize, bool)> {
        let at = self.order.iter().position(|s| s.key == key)?;
        Some((at, self.order[at].speaking))
    }

    pub(crate) fn order(&self) -> impl Iterator<Item = (ParticipantKey, bool)> + '_ {
        self.order.iter().map(|s| (s.key, s.speaking))
    }

    pub(crate) fn remove(&mut self, key: ParticipantKey) {
        if self.order.first().is_some_and(|s| s.key == key) {
            self.main_since = None;
        }
        self.order.retain(|s| s.key != key);
        self.quiet.retain(|s| s.key != key);
    }

    /// Follows one level; true when they started or stopped speaking.
    fn update(&mut self, key: ParticipantKey, level: u8, speech: bool, now: Time) -> bool {
        let known = self.order.iter_mut().chain(self.quiet.iter_mut()).find(|s| s.key == key);
        let Some(speaker) = known else {
            let turning = speech.then_some(now);
            self.quiet.push(Speaker { key, level, speaking: false, turning });
            return false;
        };
        speaker.level = level;
        if speech == speaker.speaking {
            speaker.turning = None;
            return false;
        }
        let since = *speaker.turning.get_or_insert(now);
        let needed = if speech { STARTS_AFTER } else { STOPS_AFTER };
        if now.since(since) < needed {
            return false;
        }
        speaker.speaking = speech;
        speaker.turning = None;
        true
    }

    /// Who speaks now stands before who does not, behind the main speaker.
    fn promote_starters(&mut self) -> bool {
        let mut changed = false;
        while let Some(at) = self.quiet.iter().position(|s| s.speaking) {
            let speaker = self.quiet.remove(at);
            self.order.insert(self.order.len().min(1), speaker);
            changed = true;
        }
        let before: Vec<_> = self.order.iter().map(|s| s.key).collect();
        if let Some((_, rest)) = self.order.split_first_mut() {
            rest.sort_by_key(|s| !s.speaking);
        }
        changed || self.order.iter().map(|s| s.key).ne(before)
    }

    /// Gives the main place to a challenger who has dominated long enough.
    fn judge_main(&mut self, now: Time) -> bool {
        let Some(main) = self.order.first() else { return false };
        if self.main_since.is_none() {
            self.main_since = Some(now);
        }
        let main_level = if main.speaking { main.level } else { 0 };
        let loudest = self.order.iter().skip(1).filter(|s| s.speaking && s.level > main_level).max_by_key(|s| s.level);
        let Some(loudest) = loudest else {
            self.challenger = None;
            return false;
        };
        let key = loudest.key;
        let since = match self.challenger {
            Some((challenger, since)) if challenger == key => since,
            _ => now,
        };
        self.challenger = Some((key, since));
        let rested = self.main_since.is_none_or(|t| now.since(t) >= MAIN_STAYS);
        if now.since(since) < DOMINANCE || !rested {
            return false;
        }
        let at = self.order.iter().position(|s| s.key == key).unwrap_or(0);
        let speaker = self.order.remove(at);
        self.order.insert(0, speaker);
        self.challenger = None;
        self.main_since = Some(now);
        true
    }
}
