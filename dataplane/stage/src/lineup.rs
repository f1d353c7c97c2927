//! In which order people are considered for slots: worked out once, for all viewers of a conference.
//!
//! A change of speech seats every viewer anew. What is the same for all of them stands here, without those who cannot be
//! seen or heard, so that a viewer costs as many steps as they have slots and not as many as there are members. Who is
//! looked for by loudness is found in a tree of maxima.

use crate::seats::{AudioSeats, Heard, Pin, SlotWant, VideoSeats};
use crate::stage::{Flags, Stage};
use plenum_contract::ParticipantKey;

/// A conference's order at one moment, for [`Stage::seat_video`] and [`Stage::seat_audio`]. Of use until the stage changes.
#[derive(Debug)]
pub struct LineUp {
    /// The pinned who can be seen, in their order.
    pinned: Vec<ParticipantKey>,
    /// Who else can be seen, in the order of speakers.
    others: Vec<ParticipantKey>,
    /// Who can be heard, in the order of speakers.
    heard: Vec<ParticipantKey>,
    /// Those of them who speak.
    speaking: Vec<Heard>,
    loudest: Loudest,
    #[cfg(test)]
    steps: core::cell::Cell<usize>,
}

impl Stage {
    /// Works the order out: a few steps for each member.
    pub fn line_up(&self) -> LineUp {
        let seen = |key: &ParticipantKey| self.member(*key).is_some_and(|m| m.flags.seen());
        let mut is_pinned = self.pinned.clone();
        is_pinned.sort_unstable();
        let mut lineup = LineUp {
            pinned: self.pinned.iter().copied().filter(seen).collect(),
            others: Vec::new(),
            heard: Vec::new(),
            speaking: Vec::new(),
            loudest: Loudest::default(),
            #[cfg(test)]
            steps: Default::default(),
        };
        for member in self.speakers.order().filter_map(|key| self.member(key)) {
            if member.flags.seen() && is_pinned.binary_search(&member.key).is_err() {
                lineup.others.push(member.key);
            }
            if member.flags.heard() {
                lineup.heard.push(member.key);
                lineup.speaking.extend(Some(member.heard()).filter(|heard| heard.speaking));
            }
        }
        lineup.loudest = Loudest::of(lineup.speaking.iter().map(|heard| heard.loudness));
        lineup
    }

    /// Seats people in the video slots of `viewer`, who sees `first` before the pinned, in this order; nobody is there
    /// twice. `wants` has one entry for each slot. Whether anything changed.
    pub fn seat_video(
        &self,
        lineup: &LineUp,
        seats: &mut VideoSeats,
        viewer: ParticipantKey,
        first: &[ParticipantKey],
        wants: &[SlotWant],
    ) -> bool {
        let flags = self.member(viewer).map_or(Flags::default(), |m| m.flags);
        let admitted = !flags.waiting;
        let may_see =
            |key: ParticipantKey| admitted && key != viewer && self.member(key).is_some_and(|m| m.flags.seen());
        let free = |key: &ParticipantKey| {
            lineup.step();
            *key != viewer && !first.contains(key)
        };
        let (pinned, others) = if admitted { (&lineup.pinned[..], &lineup.others[..]) } else { (&[][..], &[][..]) };
        let own = first.iter().copied().filter(|&key| may_see(key));
        let fixed = own.chain(pinned.iter().copied().filter(free)).map(|key| (key, true));
        let others = others.iter().copied().filter(free).take(self.last_n);
        let candidates = fixed.chain(others.map(|key| (key, false)));
        let pin = |key: ParticipantKey| match self.member(key) {
            Some(_) if may_see(key) => Pin::Seat(key),
            Some(_) => Pin::KeepEmpty,
            None => Pin::Ignore,
        };
        let shown = admitted && !flags.presentation_denied;
        let presenter = self
            .presenter
            .filter(|&key| shown && key != viewer && self.member(key).is_some_and(|m| m.flags.presents()));
        seats.present(presenter) | seats.update(wants, candidates, pin)
    }

    /// Seats people in the `count` audio slots of `viewer`; whether anything changed.
    pub fn seat_audio(&self, lineup: &LineUp, seats: &mut AudioSeats, viewer: ParticipantKey, count: usize) -> bool {
        if self.member(viewer).is_some_and(|m| m.flags.waiting) {
            return seats.update(count, viewer, &LineUp::nobody(), |_| None);
        }
        let look = |key: ParticipantKey| {
            self.member(key).filter(|m| key != viewer && m.flags.heard()).map(|member| member.heard())
        };
        seats.update(count, viewer, lineup, look)
    }
}

impl LineUp {
    /// Who can be heard, in order.
    pub(crate) fn heard(&self) -> impl Iterator<Item = ParticipantKey> + '_ {
        self.heard.iter().copied().inspect(|_| self.step())
    }

    /// The next who speaks at least so loud, from place `from` on, and their place.
    pub(crate) fn speaker(&self, from: usize, least: f32) -> Option<(usize, Heard)> {
        self.step();
        let at = self.loudest.next(from, least)?;
        self.speaking.get(at).map(|heard| (at, *heard))
    }

    fn nobody() -> LineUp {
        Stage::new().line_up()
    }

    fn step(&self) {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
    }
}

/// A tree of maxima over a list: node `i` has the children `2i` and `2i + 1`, the leaves are the list.
#[derive(Debug, Default)]
struct Loudest {
    leaves: usize,
    len: usize,
    max: Vec<f32>,
}

impl Loudest {
    fn of(list: impl ExactSizeIterator<Item = f32>) -> Loudest {
        let len = list.len();
        let leaves = len.next_power_of_two();
        let mut max = vec![f32::NEG_INFINITY; 2 * leaves];
        for (leaf, value) in max[leaves..].iter_mut().zip(list) {
            *leaf = value;
        }
        for node in (1..leaves).rev() {
            max[node] = max[2 * node].max(max[2 * node + 1]);
        }
        Loudest { leaves, len, max }
    }

    /// The first place from `from` on whose value is at least `least`.
    fn next(&self, from: usize, least: f32) -> Option<usize> {
        if from >= self.len {
            return None;
        }
        let mut node = self.leaves + from;
        while self.max[node] < least {
            // Up while there is nothing to the right, then to the right.
            while node & 1 == 1 {
                node >>= 1;
            }
            if node == 0 {
                return None;
            }
            node += 1;
        }
        while node < self.leaves {
            node = 2 * node + usize::from(self.max[2 * node] < least);
        }
        Some(node - self.leaves).filter(|at| *at < self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AudioLevel;
    use crate::seats::{MAX_SLOTS, TAKES_OVER};
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn p(n: u64) -> ParticipantKey {
        ParticipantKey(n)
    }

    /// Everybody who can be seen, for a viewer, in order: by a walk over all members.
    fn naive_candidates(
        stage: &Stage,
        viewer: ParticipantKey,
        first: &[ParticipantKey],
    ) -> Vec<(ParticipantKey, bool)> {
        let admitted = stage.member(viewer).is_none_or(|m| !m.flags.waiting);
        let may_see =
            |key: &ParticipantKey| admitted && *key != viewer && stage.member(*key).is_some_and(|m| m.flags.seen());
        let pinned = stage.pinned.iter().filter(|key| !first.contains(key));
        let fixed: Vec<_> = first.iter().chain(pinned).copied().filter(may_see).collect();
        let free = |key: &ParticipantKey| may_see(key) && !first.contains(key) && !stage.pinned.contains(key);
        let others = stage.speakers.order().filter(free).take(stage.last_n);
        fixed.into_iter().map(|key| (key, true)).chain(others.map(|key| (key, false))).collect()
    }

    /// Audio seats by the rule itself: each speaker in turn, then anybody.
    fn naive_audio(stage: &Stage, slots: &mut Vec<Option<ParticipantKey>>, viewer: ParticipantKey, count: usize) {
        let admitted = stage.member(viewer).is_none_or(|m| !m.flags.waiting);
        let look = |key: ParticipantKey| {
            stage.member(key).filter(|m| admitted && key != viewer && m.flags.heard()).map(|m| m.heard())
        };
        slots.resize(count, None);
        for slot in slots.iter_mut() {
            *slot = slot.filter(|key| look(*key).is_some());
        }
        let rank = |slot: Option<ParticipantKey>| {
            slot.and_then(look).map_or((0, 0.0), |h| (1 + u8::from(h.speaking), h.loudness))
        };
        for heard in stage.speakers.order().filter_map(look).filter(|h| h.speaking) {
            let weakest = (0..count).min_by(|&a, &b| rank(slots[a]).partial_cmp(&rank(slots[b])).unwrap());
            let Some(index) = weakest.filter(|_| !slots.contains(&Some(heard.key))) else { continue };
            let (state, loudness) = rank(slots[index]);
            if state < 2 || heard.loudness >= loudness + TAKES_OVER {
                slots[index] = Some(heard.key);
            }
        }
        for heard in stage.speakers.order().filter_map(look) {
            if !slots.contains(&Some(heard.key))
                && let Some(free) = slots.iter().position(Option::is_none)
            {
                slots[free] = Some(heard.key);
            }
        }
    }

    /// Video seats from all candidates instead of the first few.
    fn naive_video(
        stage: &Stage,
        seats: &mut VideoSeats,
        viewer: ParticipantKey,
        first: &[ParticipantKey],
        wants: &[SlotWant],
    ) {
        let candidates = naive_candidates(stage, viewer, first);
        let all: Vec<ParticipantKey> = candidates.iter().map(|(key, _)| *key).collect();
        let pin = |key: ParticipantKey| match stage.member(key) {
            Some(m) if m.flags.seen() && key != viewer && stage.member(viewer).is_none_or(|v| !v.flags.waiting) => {
                Pin::Seat(key)
            }
            Some(_) => Pin::KeepEmpty,
            None => Pin::Ignore,
        };
        assert!(all.iter().enumerate().all(|(at, key)| !all[..at].contains(key)), "nobody stands there twice");
        seats.update(wants, candidates.into_iter(), pin);
    }

    fn stage(members: u64, flags: impl Fn(u64) -> Flags, spoken: &[(u64, u8)]) -> Stage {
        let mut stage = Stage::new();
        for n in 1..=members {
            stage.set_member(p(n), flags(n));
        }
        for turn in 0..50 {
            let now = turn * 20 * MS;
            // One after the other begins, so that the order is not that of their keys.
            for (at, &(n, level)) in spoken.iter().enumerate().filter(|(at, _)| *at as u64 % 25 <= turn) {
                stage.handle_level(p(n), AudioLevel { voice: true, level: level.saturating_add(at as u8 % 3) }, now);
            }
            stage.tick(now);
        }
        stage
    }

    fn all() -> Flags {
        Flags { audio: true, video: true, ..Flags::default() }
    }

    /// Steps of the worst viewer when everybody speaks, and of somebody with few cameras around.
    fn steps(members: u64, flags: impl Fn(u64) -> Flags) -> usize {
        let spoken: Vec<(u64, u8)> = (1..=members).map(|n| (n, (n % 25) as u8)).collect();
        let stage = stage(members, flags, &spoken);
        let lineup = stage.line_up();
        assert!(lineup.speaking.len() as u64 == members, "everybody speaks");
        let (first, wants) = ([p(5), p(6)], [SlotWant::default(); 16]);
        let of_viewer = |viewer| {
            lineup.steps.set(0);
            stage.seat_video(&lineup, &mut VideoSeats::default(), p(viewer), &first, &wants);
            stage.seat_audio(&lineup, &mut AudioSeats::default(), p(viewer), 3);
            lineup.steps.get()
        };
        (1..=members).map(of_viewer).max().unwrap_or(0)
    }

    #[test]
    fn a_viewer_costs_as_many_steps_as_slots_whatever_the_number_of_members() {
        // Sixteen slots, two who stand first, the viewer; three sounds, each taken over a few times at most.
        let enough = 16 + 64;
        // An audience: ten cameras, so most slots stay empty however far one looks.
        let audience = |n| Flags { video: n % 100 == 0 && n <= 1_000, ..all() };
        for members in [1_000, 3_000] {
            let (crowd, few) = (steps(members, |_| all()), steps(members, audience));
            assert!(crowd <= enough && few <= enough, "{members} members: {crowd}, {few} with few cameras");
        }
    }

    #[test]
    fn the_tree_finds_what_a_walk_finds() {
        for len in [0usize, 1, 2, 3, 7, 8, 9, 100] {
            let list: Vec<f32> = (0..len).map(|i| (i * 37 % 11) as f32).collect();
            let tree = Loudest::of(list.iter().copied());
            for from in 0..len + 2 {
                for least in [f32::NEG_INFINITY, 0.0, 3.5, 10.0, 11.0] {
                    let walked = (from..len).find(|&i| list[i] >= least);
                    assert_eq!(tree.next(from, least), walked, "{len} {from} {least}");
                }
            }
        }
    }

    fn any_flags() -> impl Strategy<Value = Flags> {
        (0u8..8, any::<bool>(), any::<bool>()).prop_map(|(odd, video, waiting)| Flags {
            audio: odd != 1,
            video: video || odd > 2,
            audio_blocked: odd == 2,
            video_blocked: odd == 3,
            waiting: waiting && odd == 4,
            ..Flags::default()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Whoever is pinned, wished for, silent, blocked or gone: the common order seats as a walk over everybody does.
        #[test]
        fn seats_are_those_of_a_walk_over_all_members(
            flags in prop::collection::vec(any_flags(), 1..24),
            rounds in prop::collection::vec(prop::collection::vec((1u64..25, 0u8..100), 0..16), 1..4),
            pinned in prop::collection::vec(1u64..27, 0..5),
            first in prop::collection::hash_set(1u64..27, 0..4),
            tied in prop::collection::vec(prop::option::of(1u64..27), 0..8),
            last_n in prop_oneof![Just(usize::MAX), 0usize..6],
            sounds in 0usize..5,
        ) {
            let first: Vec<_> = first.into_iter().map(p).collect();
            let wants: Vec<_> = tied.iter().map(|n| SlotWant { shown: *n != Some(3), pinned: n.map(p) }).collect();
            let viewers = flags.len() as u64 + 1;
            let mut video = vec![(VideoSeats::default(), VideoSeats::default()); viewers as usize];
            let mut audio = vec![(AudioSeats::default(), Vec::new()); viewers as usize];
            for spoken in &rounds {
                let mut stage = stage(flags.len() as u64, |n| flags[n as usize - 1], spoken);
                stage.set_pinned(&pinned.iter().copied().map(p).collect::<Vec<_>>());
                stage.set_last_n(last_n);
                let lineup = stage.line_up();
                for viewer in 1..=viewers {
                    let (fast, slow) = &mut video[viewer as usize - 1];
                    stage.seat_video(&lineup, fast, p(viewer), &first, &wants);
                    naive_video(&stage, slow, p(viewer), &first, &wants);
                    prop_assert_eq!(fast.slots(), slow.slots());
                    let (fast, slow) = &mut audio[viewer as usize - 1];
                    stage.seat_audio(&lineup, fast, p(viewer), sounds);
                    naive_audio(&stage, slow, p(viewer), sounds.min(MAX_SLOTS));
                    prop_assert_eq!(fast.slots(), &slow[..]);
                }
            }
        }
    }
}
