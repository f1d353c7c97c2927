//! How loud a member is: RFC 6464 levels, smoothed, with a fall-back for senders that do not tell.
//!
//! The smoothed level rises fast and falls slowly, so that a word counts at once and a pause between words does not.

use plenum_packet::Time;
use std::time::Duration;

/// Without packets for this long a member is silent (muted, DTX, gone).
const SILENT_AFTER: Duration = Duration::from_millis(400);
/// Level above which sound counts as speech when the sender does not say: −50 dBov.
const SPEECH: u8 = 127 - 50;
/// Bytes of a 20 ms Opus packet above which sound counts as speech where there are no levels: Opus with DTX or VBR needs
/// fewer for silence and noise.
const SPEECH_BYTES: usize = 40;

/// What one packet tells of its sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioLevel {
    /// RFC 6464: bit 7 voice activity, below −dBov from 0 (loudest) to 127.
    Told(u8),
    /// No level: bytes of payload.
    Unknown(usize),
}

/// The smoothed level of one member, 0 (silent) to 127 (loudest).
#[derive(Clone, Copy, Debug, Default)]
pub struct Loudness {
    /// Eighths of a level, to keep slow changes.
    level: u16,
    last: Time,
}

impl Loudness {
    /// Takes one packet in.
    pub fn add(&mut self, level: AudioLevel, now: Time) {
        let loud = match level {
            AudioLevel::Told(value) => 127 - (value & 0x7f),
            AudioLevel::Unknown(bytes) if bytes >= SPEECH_BYTES => SPEECH + (bytes / 16).min(24) as u8,
            AudioLevel::Unknown(_) => 0,
        };
        let target = u16::from(loud) * 8;
        // 20 ms packets: up by a third each, down by a sixteenth.
        self.level = match target > self.level {
            true => self.level + (target - self.level).div_ceil(3),
            false => self.level - (self.level - target).div_ceil(16),
        };
        self.last = now;
    }

    /// The level at `now`, and whether it counts as speech.
    pub(crate) fn at(&mut self, now: Time) -> (u8, bool) {
        if now.since(self.last) > SILENT_AFTER {
            self.level = 0;
        }
        (self.smooth(), self.smooth() >= SPEECH)
    }

    /// The smoothed level.
    pub fn smooth(&self) -> u8 {
        (self.level / 8).min(127) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_at_once_and_a_short_pause_does_not_end_it() {
        let mut loudness = Loudness::default();
        let mut now = Time::from_millis(1000);
        for _ in 0..10 {
            loudness.add(AudioLevel::Told(0x80 | 20), now);
            now += Duration::from_millis(20);
        }
        assert!(loudness.at(now).1);
        for _ in 0..3 {
            loudness.add(AudioLevel::Told(100), now);
            now += Duration::from_millis(20);
        }
        assert!(loudness.at(now).1, "60 ms of pause");
        for _ in 0..50 {
            loudness.add(AudioLevel::Told(100), now);
            now += Duration::from_millis(20);
        }
        assert!(!loudness.at(now).1, "a second of silence");
    }

    #[test]
    fn who_sends_nothing_is_silent() {
        let mut loudness = Loudness::default();
        for _ in 0..10 {
            loudness.add(AudioLevel::Told(10), Time::from_millis(100));
        }
        assert!(loudness.at(Time::from_millis(200)).1);
        assert_eq!(loudness.at(Time::from_millis(600)), (0, false));
    }

    #[test]
    fn packet_sizes_stand_in_for_levels() {
        let mut loudness = Loudness::default();
        for i in 0..20 {
            loudness.add(AudioLevel::Unknown(80), Time::from_millis(20 * i));
        }
        assert!(loudness.at(Time::from_millis(400)).1);
        for i in 20..80 {
            loudness.add(AudioLevel::Unknown(3), Time::from_millis(20 * i));
        }
        assert!(!loudness.at(Time::from_millis(1600)).1);
    }
}
