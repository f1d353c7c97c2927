//! How loud somebody is, and whether they speak: one meter per member.
//!
//! Loudness is in dB above −127 dBov, so 0 is silence and 127 the loudest (RFC 6464 turned around). It rises fast and
//! falls slowly, and speech begins and ends at different thresholds. Without levels in the packets their sizes stand in:
//! Opus spends few bytes on silence and next to none in DTX. A sender of equal sizes (CBR, G.711) tells nothing that way,
//! and counts as silent.
//!
//! Instants are nanoseconds of the data plane's monotonic clock.

/// A level as RFC 6464 sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// The sender's voice activity bit.
    pub voice: bool,
    /// Level in −dBov: 0 is the loudest, 127 silence.
    pub level: u8,
}

impl AudioLevel {
    /// From the extension's byte: voice activity in bit 7, level below.
    pub const fn from_byte(byte: u8) -> AudioLevel {
        AudioLevel { voice: byte & 0x80 != 0, level: byte & 0x7f }
    }
}

/// One millisecond.
pub(crate) const MS: u64 = 1_000_000;

/// Speech begins above this (−50 dBov). Lower: breath and fans count. Higher: quiet people do not.
pub const SPEECH_BEGINS: f32 = 77.0;
/// Speech ends below this (−60 dBov).
pub const SPEECH_ENDS: f32 = 67.0;
/// Speech goes on this long after it fell below the threshold: pauses between words.
pub const HANGOVER: u64 = 800 * MS;
/// What a clear voice bit takes off: most noise is not voice, but some senders never set the bit.
pub const NOT_VOICE: f32 = 15.0;
/// Without packets for this long the member is silent (DTX, muted).
pub const SILENT_AFTER: u64 = 250 * MS;
/// Time constant of a rise: three packets of speech are enough, a click is not.
pub const RISE: u64 = 40 * MS;
/// Time constant of a fall.
pub const FALL: u64 = 400 * MS;
/// Opus payloads up to this many bytes are DTX or comfort noise.
pub const DTX_BYTES: usize = 8;
/// Sizes tell something when the largest is this many times the smallest.
pub const CONTRAST: f32 = 1.4;

const _: () = assert!(SPEECH_BEGINS > SPEECH_ENDS && RISE < FALL && SILENT_AFTER < HANGOVER);

/// The meter of one member.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    loudness: f32,
    heard: Option<u64>,
    speaking: bool,
    /// When loudness was last above the ending threshold.
    last_loud: u64,
    /// Range of packet sizes, for senders without levels: creeping bounds.
    sizes: Option<(f32, f32)>,
}

impl Meter {
    /// An audio packet with a level.
    pub fn level(&mut self, level: AudioLevel, now: u64) {
        let loudness = f32::from(127 - level.level.min(127));
        self.hear(if level.voice { loudness } else { (loudness - NOT_VOICE).max(0.0) }, now);
    }

    /// An audio packet without a level, of `payload` bytes.
    pub fn packet(&mut self, payload: usize, now: u64) {
        if payload <= DTX_BYTES {
            return self.hear(0.0, now);
        }
        let size = payload.min(1500) as f32;
        let (small, large) = self.sizes.get_or_insert((size, size));
        // The bounds take new extremes at once and creep towards each other by about 2 % a second.
        *small = size.min(*small + (*large - *small) * 0.0004);
        *large = size.max(*large - (*large - *small) * 0.0004);
        let loudness = if *large >= *small * CONTRAST {
            // From −65 dBov at the smallest size to −30 dBov at the largest.
            62.0 + 35.0 * (size - *small) / (*large - *small)
        } else {
            0.0
        };
        self.hear(loudness, now);
    }

    /// Time passes; returns whether speech began or ended.
    pub fn tick(&mut self, now: u64) -> bool {
        if self.heard.is_some_and(|at| now.saturating_sub(at) >= SILENT_AFTER) {
            self.hear(0.0, now);
            // Silence is not a packet: the next tick is silent too.
            self.heard = Some(now.saturating_sub(SILENT_AFTER));
        }
        if self.loudness >= SPEECH_ENDS {
            self.last_loud = now;
        }
        let before = self.speaking;
        self.speaking = if before {
            self.loudness >= SPEECH_ENDS || now.saturating_sub(self.last_loud) < HANGOVER
        } else {
            self.loudness >= SPEECH_BEGINS
        };
        before != self.speaking
    }

    /// Whether they speak, pauses between words included.
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// Smoothed loudness, 0 (silence) to 127.
    pub fn loudness(&self) -> f32 {
        self.loudness
    }

    /// Forgets what was heard: muted, blocked.
    pub fn silence(&mut self) {
        *self = Meter { sizes: self.sizes, ..Meter::default() };
    }

    fn hear(&mut self, loudness: f32, now: u64) {
        // A first packet, or one after silence, counts as 20 ms.
        let passed = self.heard.map_or(20 * MS, |at| now.saturating_sub(at)).min(SILENT_AFTER) as f32;
        let constant = if loudness > self.loudness { RISE } else { FALL } as f32;
        self.loudness += (loudness - self.loudness) * passed / (passed + constant);
        self.heard = Some(self.heard.map_or(now, |at| at.max(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(meter: &mut Meter, from: u64, to: u64, voice: bool, level: u8) {
        for ms in (from..to).step_by(20) {
            meter.level(AudioLevel { voice, level }, ms * MS);
            meter.tick(ms * MS);
        }
    }

    #[test]
    fn speech_begins_within_200_ms_and_ends_after_the_hangover() {
        let mut meter = Meter::default();
        hear(&mut meter, 0, 200, true, 25);
        assert!(meter.is_speaking());
        hear(&mut meter, 200, 900, false, 90);
        assert!(meter.is_speaking(), "a pause between words");
        hear(&mut meter, 900, 1700, false, 90);
        assert!(!meter.is_speaking());
    }

    #[test]
    fn a_click_and_a_fan_are_no_speech() {
        let mut meter = Meter::default();
        hear(&mut meter, 0, 1000, false, 80);
        hear(&mut meter, 1000, 1020, true, 10);
        assert!(!meter.is_speaking());
        hear(&mut meter, 1020, 6000, false, 45);
        assert!(!meter.is_speaking());
    }

    #[test]
    fn who_stops_sending_falls_silent() {
        let mut meter = Meter::default();
        hear(&mut meter, 0, 1000, true, 20);
        let ended = (1000..4000).step_by(50).find(|ms| meter.tick(ms * MS) && !meter.is_speaking());
        assert!(ended.is_some_and(|ms| (1700..2800).contains(&ms)), "{ended:?}");
    }

    #[test]
    fn packet_sizes_stand_in_for_levels() {
        let mut meter = Meter::default();
        for ms in (0..2000).step_by(20) {
            meter.packet(25, ms * MS);
            meter.tick(ms * MS);
        }
        assert!(!meter.is_speaking());
        for ms in (2000..2400).step_by(20) {
            meter.packet(90 + (ms as usize / 20 % 3) * 10, ms * MS);
            meter.tick(ms * MS);
        }
        assert!(meter.is_speaking());
        for ms in (2400..4400).step_by(400) {
            meter.packet(3, ms * MS);
            meter.tick(ms * MS);
        }
        assert!(!meter.is_speaking(), "DTX");
        let mut constant = Meter::default();
        for ms in (0..5000).step_by(20) {
            constant.packet(160, ms * MS);
            constant.tick(ms * MS);
        }
        assert!(!constant.is_speaking(), "equal sizes tell nothing");
    }
}
