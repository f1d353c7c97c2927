//! Lip sync: sound and picture of a source are shown as far apart as they were taken, within a frame.
//!
//! A sender report ties a stream's RTP clock to the sender's wall clock, which both streams share. For each stream the *offset* is local time less wall
//! time of what is shown: two streams with the same offset are in step. The faster one waits for the slower. Without reports a stream goes at its own
//! pace. Times are nanoseconds; wall times count from 1900.

use crate::jitter::media_time;

/// A sender report of one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    /// Encoding that it belongs to.
    pub(super) encoding: u8,
    /// Wall time in nanoseconds.
    pub(super) wall: i64,
    /// RTP time of that moment.
    pub(super) rtp: u32,
}

impl Report {
    pub(super) fn new(encoding: u8, ntp: u64, rtp: u32) -> Report {
        let nanos = (u128::from(ntp) * 1_000_000_000) >> 32;
        Report { encoding, wall: nanos as i64, rtp }
    }

    /// Wall time less media time, with the report's timestamp extended by the stream's buffer.
    pub(super) fn zero(&self, extended: Option<u64>, clock: u32) -> Option<i64> {
        Some(self.wall.wrapping_sub(media_time(extended?, clock) as i64))
    }
}

/// How a member's streams are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Pictures are shown at their media time plus this; `None`: at their own pace.
    pub(super) picture: Option<i64>,
    /// Sound is played at least so long after the fastest moment.
    pub(super) sound_least: u64,
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// Wall time less media time.
    pub(super) zero: i64,
    /// Local time less media time of the fastest packet.
    pub(super) fastest: i64,
    /// Local time less media time of what is shown (sound), or could be shown (pictures).
    pub(super) shown: i64,
}

/// Brings both in step.
pub(super) fn pace(sound: Option<Stream>, picture: Option<Stream>) -> Pace {
    let Some(picture) = picture else { return Pace::default() };
    let could = picture.shown - picture.zero;
    let Some(sound) = sound else { return Pace { picture: None, sound_least: 0 } };
    // Wall clocks that disagree by seconds are two clocks: no sync is better than such a wait.
    let apart = could - (sound.shown - sound.zero);
    if apart.unsigned_abs() > MOST_APART {
        return Pace::default();
    }
    let least = could - (sound.fastest - sound.zero);
    let offset = could.max(sound.shown - sound.zero);
    Pace { picture: Some(picture.zero + offset), sound_least: least.max(0) as u64 }
}

/// Streams further apart than this, in nanoseconds, are not brought in step.
const MOST_APART: u64 = 2_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn the_faster_stream_waits_for_the_slower() {
        // Sound plays 60 ms after the wall time, pictures could come after 40: they wait.
        let sound = Stream { zero: 1000 * MS, fastest: 1020 * MS, shown: 1060 * MS };
        let picture = Stream { zero: 500 * MS, fastest: 520 * MS, shown: 540 * MS };
        assert_eq!(pace(Some(sound), Some(picture)), Pace { picture: Some(560 * MS), sound_least: 20 * MS as u64 });
        // Pictures need 200 ms: sound waits until 180 ms after its fastest moment.
        let slow = Stream { shown: 700 * MS, ..picture };
        assert_eq!(pace(Some(sound), Some(slow)), Pace { picture: Some(700 * MS), sound_least: 180 * MS as u64 });
    }

    #[test]
    fn without_reports_or_with_senseless_ones_each_goes_at_its_own_pace() {
        let stream = Stream { zero: 0, fastest: 0, shown: 0 };
        assert_eq!(pace(Some(stream), None), Pace::default());
        assert_eq!(pace(None, Some(stream)), Pace::default());
        let other = Stream { zero: 5000 * MS, ..stream };
        assert_eq!(pace(Some(stream), Some(other)), Pace::default());
    }

    #[test]
    fn a_report_ties_both_clocks() {
        let report = Report::new(0, 3 << 32 | 1 << 31, 90_000);
        assert_eq!(report.wall, 3500 * MS);
        assert_eq!(report.zero(Some(90_000), 90_000), Some(2500 * MS));
        assert_eq!(report.zero(None, 90_000), None);
    }
}
