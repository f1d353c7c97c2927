//! The order of speakers, and who holds the main tile.
//!
//! First the main holder, then everybody by when they last began to speak, then those who never spoke in the order they
//! came. The main holder changes only when another dominated for a while, and not too often; when the holder leaves, the
//! next in order follows at once.

use crate::levels::MS;
use plenum_contract::ParticipantKey;

/// How long another must dominate before they take the main tile. Shorter: a cough takes it. Longer: the picture lags.
pub const DOMINANCE: u64 = 1500 * MS;
/// Shortest time between two changes of the main tile.
pub const LEAST_HOLD: u64 = 2000 * MS;
/// How much louder than a speaking holder another must be to dominate, in dB. Smaller: two who talk at once flip.
pub const LOUDER: f32 = 6.0;

const _: () = assert!(LEAST_HOLD >= DOMINANCE);

/// What the order needs to know of a member now.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    /// Whose.
    pub key: ParticipantKey,
    /// Whether they speak.
    pub speaking: bool,
    /// How loud, in dB.
    pub loudness: f32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: ParticipantKey,
    spoke: bool,
}

/// The order of one conference.
#[derive(Clone, Debug, Default)]
pub struct Speakers {
    /// Main holder first.
    order: Vec<Entry>,
    /// Who dominates, and since when.
    challenger: Option<(ParticipantKey, u64)>,
    changed: Option<u64>,
}

impl Speakers {
    /// Everybody, main holder first.
    pub fn order(&self) -> impl Iterator<Item = ParticipantKey> + Clone + '_ {
        self.order.iter().map(|e| e.key)
    }

    /// Those who ever spoke, in the same order.
    pub fn spoke(&self) -> impl Iterator<Item = ParticipantKey> + '_ {
        self.order.iter().filter(|e| e.spoke).map(|e| e.key)
    }

    /// Who holds the main tile.
    pub fn main(&self) -> Option<ParticipantKey> {
        self.order.first().map(|e| e.key)
    }

    /// Somebody comes: last in order.
    pub fn join(&mut self, key: ParticipantKey) {
        if self.position(key).is_none() {
            self.order.push(Entry { key, spoke: false });
        }
    }

    /// Somebody leaves; the next in order takes their place.
    pub fn leave(&mut self, key: ParticipantKey) {
        self.order.retain(|e| e.key != key);
        if self.challenger.is_some_and(|(k, _)| k == key) {
            self.challenger = None;
        }
    }

    /// Somebody began to speak: first behind the main holder. Returns whether the order changed.
    pub fn began(&mut self, key: ParticipantKey) -> bool {
        if let Some(index) = self.position(key) {
            self.order[index].spoke = true;
        }
        self.move_to(key, 1)
    }

    /// Time passes: lets who dominates take the main tile. Returns whether they did.
    pub fn tick(&mut self, voices: impl Iterator<Item = Voice>, now: u64) -> bool {
        let Some(main) = self.main() else { return false };
        let mut holder = None;
        let mut loudest: Option<Voice> = None;
        let mut challenger = None;
        for voice in voices.filter(|v| v.speaking) {
            if voice.key == main {
                holder = Some(voice.loudness);
                continue;
            }
            if self.challenger.is_some_and(|(key, _)| key == voice.key) {
                challenger = Some(voice);
            }
            if loudest.is_none_or(|l| voice.loudness > l.loudness) {
                loudest = Some(voice);
            }
        }
        // Among equals who challenges stays the challenger: another one starts the clock again.
        let loudest = challenger.filter(|c| loudest.is_some_and(|l| c.loudness + LOUDER >= l.loudness)).or(loudest);
        let Some(loudest) = loudest.filter(|l| holder.is_none_or(|h| l.loudness >= h + LOUDER)) else {
            self.challenger = None;
            return false;
        };
        let since = match self.challenger {
            Some((key, since)) if key == loudest.key => since,
            _ => now,
        };
        self.challenger = Some((loudest.key, since));
        let may = self.changed.is_none_or(|at| now.saturating_sub(at) >= LEAST_HOLD);
        if now.saturating_sub(since) < DOMINANCE || !may {
            return false;
        }
        self.challenger = None;
        self.changed = Some(now);
        self.move_to(loudest.key, 0);
        // A former holder who only came first, and never spoke, stands behind those who did.
        if let Some(former) = self.order.get(1).filter(|e| !e.spoke) {
            let (former, last) = (former.key, self.order.iter().rposition(|e| e.spoke).unwrap_or(0));
            if last > 1 {
                self.order[1..=last].rotate_left(1);
                debug_assert_eq!(self.order[last].key, former);
            }
        }
        true
    }

    fn position(&self, key: ParticipantKey) -> Option<usize> {
        self.order.iter().position(|e| e.key == key)
    }

    fn move_to(&mut self, key: ParticipantKey, to: usize) -> bool {
        let Some(from) = self.position(key).filter(|&from| from > to) else { return false };
        self.order[to..=from].rotate_right(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ParticipantKey = ParticipantKey(1);
    const B: ParticipantKey = ParticipantKey(2);
    const C: ParticipantKey = ParticipantKey(3);

    fn voice(key: ParticipantKey, loudness: f32) -> Voice {
        Voice { key, speaking: loudness > 0.0, loudness }
    }

    fn three() -> Speakers {
        let mut s = Speakers::default();
        for key in [A, B, C] {
            s.join(key);
        }
        s
    }

    /// When the main tile changes, ticking every 100 ms.
    fn run(s: &mut Speakers, from: u64, to: u64, voices: &[Voice]) -> Vec<(u64, ParticipantKey)> {
        let mut changes = Vec::new();
        for ms in (from..to).step_by(100) {
            if s.tick(voices.iter().copied(), ms * MS) {
                changes.push((ms, s.main().unwrap()));
            }
        }
        changes
    }

    #[test]
    fn the_main_tile_changes_after_a_second_and_a_half_of_dominance_and_not_before() {
        let mut s = three();
        assert_eq!(run(&mut s, 0, 1500, &[voice(B, 90.0)]), []);
        assert_eq!(run(&mut s, 1500, 1600, &[voice(B, 90.0)]), [(1500, B)]);
        assert_eq!(s.order().collect::<Vec<_>>(), [B, A, C]);
    }

    #[test]
    fn a_pause_starts_the_clock_again() {
        let mut s = three();
        run(&mut s, 0, 1400, &[voice(B, 90.0)]);
        run(&mut s, 1400, 1500, &[]);
        assert_eq!(run(&mut s, 1500, 4000, &[voice(B, 90.0)]), [(3000, B)]);
    }

    #[test]
    fn changes_are_two_seconds_apart() {
        let mut s = three();
        assert_eq!(run(&mut s, 0, 1600, &[voice(B, 90.0)]), [(1500, B)]);
        assert_eq!(run(&mut s, 1600, 4000, &[voice(C, 90.0)]), [(3500, C)]);
    }

    #[test]
    fn a_speaking_holder_yields_only_to_somebody_clearly_louder() {
        let mut s = three();
        assert_eq!(run(&mut s, 0, 9000, &[voice(A, 90.0), voice(B, 95.0)]), []);
        assert_eq!(run(&mut s, 9000, 12_000, &[voice(A, 90.0), voice(B, 97.0)]), [(10_500, B)]);
    }

    #[test]
    fn who_begins_to_speak_stands_behind_the_main_holder() {
        let mut s = three();
        assert!(s.began(C));
        assert_eq!(s.order().collect::<Vec<_>>(), [A, C, B]);
        assert!(!s.began(C) && !s.began(A));
        s.leave(A);
        assert_eq!(s.order().collect::<Vec<_>>(), [C, B]);
    }

    #[test]
    fn two_equals_who_talk_at_once_do_not_start_each_others_clock() {
        let mut s = three();
        let mut changed = None;
        for ms in (0..4000).step_by(100) {
            let (b, c) = if ms % 200 == 0 { (91.0, 90.0) } else { (90.0, 91.0) };
            if s.tick([voice(B, b), voice(C, c)].into_iter(), ms * MS) {
                changed.get_or_insert(ms);
            }
        }
        assert_eq!(changed, Some(1500));
    }
}
