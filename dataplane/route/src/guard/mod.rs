//! An independent checker of one egress stream, for tests and simulation.
//!
//! It stands where packets leave, before any network may lose them, and knows nothing of how they were made: it shares no
//! code with `rewrite`, and reads packets with its own small parser ([`Seen::parse`]). It checks what a receiver relies
//! on: every sequence number once and without gaps of our making, timestamps that grow frame by frame and keep pace with
//! real time, one payload type in a frame, picture ids that go on, a key frame at the start and at each change of source.
//!
//! Bounded memory; it never panics, so that a simulation can go on and report everything.

mod parse;

use core::time::Duration;
use plenum_packet::Time;

/// What the stream carries, as far as the guard tells codecs apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Any audio.
    Audio,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// AOMedia's format.
    Av1,
}

/// One packet as it leaves.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When.
    pub at: Time,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// RTP payload type.
    pub payload_type: u8,
    /// Bytes of payload; 0 = only takes its place.
    pub payload_len: usize,
    /// What the payload is.
    pub watched: Watched,
    /// Whether a decoder can start here.
    pub key: bool,
    /// VP8 and VP9 picture id, with whether it has 15 bits.
    pub picture_id: Option<(u16, bool)>,
    /// Who sent it, where the test knows.
    pub source: Option<u64>,
}

/// What a receiver must never see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// No RTP packet, or a payload that cannot be read.
    Unreadable,
    /// The number was sent before.
    DuplicateSequence(u16),
    /// Numbers were skipped although nothing was lost before us.
    Gap {
        /// The last number.
        after: u16,
        /// How many are missing.
        missing: u16,
    },
    /// A jump that no loss explains.
    Jump(u16, u16),
    /// A late packet from before the window.
    TooLate(u16),
    /// The timestamp went back, or a late packet's does not fit between its neighbours.
    TimestampOrder(u32, u32),
    /// A frame ended and the next packet still has its timestamp.
    FrameGoesOn(u32),
    /// A frame did not end and the next one begins.
    FrameCut(u32),
    /// The timestamp is this many milliseconds away from real time.
    Skew(i64),
    /// Two payload types in one frame.
    MixedPayloadTypes(u8, u8),
    /// Two picture ids in one frame.
    MixedPictureIds(u16, u16),
    /// The picture id does not go on.
    PictureId(u16, u16),
    /// The stream, a source or a payload type begins without a key frame.
    NoKeyFrame,
}

/// What the guard lets pass.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// RTP clock in Hz.
    pub clock: u32,
    /// Packets are lost on their way to us: gaps and cut frames are not ours.
    pub lossy: bool,
    /// Most difference between the stream's time and real time; covers jitter and pacing.
    pub most_skew: Duration,
}

/// Numbers that are remembered.
const WINDOW: usize = 4096;
/// Largest gap that loss explains.
const LARGEST_GAP: u16 = 3000;

#[derive(Clone, Copy, Debug)]
struct Place {
    sequence: u64,
    timestamp: u32,
    payload_type: u8,
    empty: bool,
}

/// The newest packet that carried something.
#[derive(Clone, Copy, Debug)]
struct Newest {
    seen: Seen,
    sequence: u64,
}

/// The checker of one stream (one SSRC).
#[derive(Debug)]
pub struct Guard {
    rules: Rules,
    places: Vec<Option<Place>>,
    highest: Option<u64>,
    newest: Option<Newest>,
    /// Real time and timestamp of the first packet.
    epoch: Option<(Time, u64)>,
    unwrapped: u64,
    violations: u64,
    packets: u64,
}

impl Guard {
    /// A guard of a stream that did not begin.
    pub fn new(rules: Rules) -> Guard {
        Guard {
            rules,
            places: vec![None; WINDOW],
            highest: None,
            newest: None,
            epoch: None,
            unwrapped: 0,
            violations: 0,
            packets: 0,
        }
    }

    /// How many packets were checked, and how many broke a rule.
    pub fn counts(&self) -> (u64, u64) {
        (self.packets, self.violations)
    }

    /// Checks the next packet that leaves.
    ///
    /// # Errors
    /// The first rule that it breaks. The guard goes on with the packet as it is.
    pub fn observe(&mut self, seen: Seen) -> Result<(), Violation> {
        self.packets += 1;
        let result = self.check(seen);
        self.violations += u64::from(result.is_err());
        result
    }

    fn check(&mut self, seen: Seen) -> Result<(), Violation> {
        let sequence = self.unwrap_sequence(seen.sequence);
        let index = sequence as usize % WINDOW;
        if self.places[index].is_some_and(|p| p.sequence == sequence) {
            return Err(Violation::DuplicateSequence(seen.sequence));
        }
        if self.highest.is_some_and(|h| sequence + WINDOW as u64 <= h) {
            return Err(Violation::TooLate(seen.sequence));
        }
        let (timestamp, payload_type) = (seen.timestamp, seen.payload_type);
        let empty = seen.payload_len == 0;
        self.places[index] = Some(Place { sequence, timestamp, payload_type, empty });
        let highest = self.highest;
        if highest.is_none_or(|h| sequence > h) {
            self.highest = Some(sequence);
        }
        let gap = match highest {
            Some(h) if sequence < h => {
                return if empty { Ok(()) } else { self.check_late(sequence, &seen) };
            }
            Some(h) => sequence - h - 1,
            None => 0,
        };
        if gap > u64::from(LARGEST_GAP) {
            return Err(Violation::Jump(seen.sequence, gap as u16));
        }
        let whole = match gap {
            1.. if !self.rules.lossy => {
                Err(Violation::Gap { after: seen.sequence.wrapping_sub(gap as u16 + 1), missing: gap as u16 })
            }
            _ => Ok(()),
        };
        if empty {
            return whole;
        }
        // What comes after a gap is looked at as ever, or the next packet would be blamed for what this one began.
        match self.newest.replace(Newest { seen, sequence }) {
            None if seen.watched != Watched::Audio && !seen.key => Err(Violation::NoKeyFrame),
            None => self.check_time(&seen),
            Some(before) => self.check_next(&before, &seen, sequence),
        }
        .and(whole)
    }

    /// The packet is the newest.
    fn check_next(&mut self, before: &Newest, seen: &Seen, sequence: u64) -> Result<(), Violation> {
        let contiguous = (before.sequence + 1..sequence).all(|s| self.place(s).is_some_and(|p| p.empty));
        let last = &before.seen;
        let step = seen.timestamp.wrapping_sub(last.timestamp) as i32;
        if step < 0 {
            return Err(Violation::TimestampOrder(last.timestamp, seen.timestamp));
        }
        let audio = seen.watched == Watched::Audio;
        let changed = seen.source != last.source || (!audio && seen.payload_type != last.payload_type);
        if changed && step == 0 {
            return Err(Violation::TimestampOrder(last.timestamp, seen.timestamp));
        }
        if changed && !audio && !seen.key {
            return Err(Violation::NoKeyFrame);
        }
        if step == 0 {
            // Audio has no frames of several packets, but DTMF repeats a timestamp.
            if audio {
                return Ok(());
            }
            if last.marker && contiguous {
                return Err(Violation::FrameGoesOn(seen.timestamp));
            }
            return self.check_same_frame(last, seen);
        }
        if !audio && !last.marker && contiguous && !changed && !self.rules.lossy {
            return Err(Violation::FrameCut(last.timestamp));
        }
        self.check_picture_id(last, seen, contiguous, changed)?;
        self.check_time(seen)
    }

    fn check_same_frame(&self, last: &Seen, seen: &Seen) -> Result<(), Violation> {
        if last.payload_type != seen.payload_type {
            return Err(Violation::MixedPayloadTypes(last.payload_type, seen.payload_type));
        }
        match (last.picture_id, seen.picture_id) {
            (Some((a, _)), Some((b, _))) if a != b => Err(Violation::MixedPictureIds(a, b)),
            _ => Ok(()),
        }
    }

    /// The packet begins a new frame. VP8's ids count frames; VP9's may leave out pictures of higher temporal layers.
    fn check_picture_id(&self, last: &Seen, seen: &Seen, contiguous: bool, changed: bool) -> Result<(), Violation> {
        let (Some((a, _)), Some((b, wide))) = (last.picture_id, seen.picture_id) else { return Ok(()) };
        let bits: u16 = if wide { 0x7fff } else { 0x7f };
        let ahead = b.wrapping_sub(a) & bits;
        let counts = seen.watched == Watched::Vp8 || changed;
        let fine = if counts && contiguous && !self.rules.lossy { ahead == 1 } else { ahead != 0 && ahead <= bits / 2 };
        if fine { Ok(()) } else { Err(Violation::PictureId(a, b)) }
    }

    /// Time in the stream goes as time in the world.
    fn check_time(&mut self, seen: &Seen) -> Result<(), Violation> {
        let Some((begin, first)) = self.epoch else {
            self.unwrapped = u64::from(seen.timestamp) + (1 << 32);
            self.epoch = Some((seen.at, self.unwrapped));
            return Ok(());
        };
        let step = seen.timestamp.wrapping_sub(self.unwrapped as u32) as i32;
        self.unwrapped = self.unwrapped.saturating_add_signed(i64::from(step));
        let streamed = (self.unwrapped as i64 - first as i64) as f64 / f64::from(self.rules.clock.max(1));
        let skew = streamed - seen.at.since(begin).as_secs_f64();
        if skew.abs() > self.rules.most_skew.as_secs_f64() {
            return Err(Violation::Skew((skew * 1000.0) as i64));
        }
        Ok(())
    }

    /// The packet fills a hole: it must fit between what stands on both sides.
    fn check_late(&self, sequence: u64, seen: &Seen) -> Result<(), Violation> {
        let reach = 64;
        let below = (sequence.saturating_sub(reach)..sequence).rev().find_map(|s| self.carried(s));
        let above = (sequence + 1..=sequence + reach).find_map(|s| self.carried(s));
        let order = |a: u32, b: u32| {
            if (b.wrapping_sub(a) as i32) < 0 { Err(Violation::TimestampOrder(a, b)) } else { Ok(()) }
        };
        for (neighbour, is_below) in [(below, true), (above, false)] {
            let Some(place) = neighbour else { continue };
            if is_below {
                order(place.timestamp, seen.timestamp)?;
            } else {
                order(seen.timestamp, place.timestamp)?;
            }
            if place.timestamp == seen.timestamp && place.payload_type != seen.payload_type {
                return Err(Violation::MixedPayloadTypes(place.payload_type, seen.payload_type));
            }
        }
        Ok(())
    }

    fn carried(&self, sequence: u64) -> Option<Place> {
        self.place(sequence).filter(|p| !p.empty)
    }

    fn place(&self, sequence: u64) -> Option<Place> {
        self.places[sequence as usize % WINDOW].filter(|p| p.sequence == sequence)
    }

    fn unwrap_sequence(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else { return u64::from(sequence) + 0x1_0000 };
        let ahead = sequence.wrapping_sub(highest as u16);
        if ahead < 0x8000 { highest + u64::from(ahead) } else { highest - u64::from(ahead.wrapping_neg()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(lossy: bool) -> Guard {
        Guard::new(Rules { clock: 90_000, lossy, most_skew: Duration::from_millis(200) })
    }

    /// Frame `n` of a VP8 stream of one packet per frame at 30 frames/s.
    fn frame(n: u64) -> Seen {
        Seen {
            at: Time(n * 33_333_333),
            sequence: 65_530u16.wrapping_add(n as u16),
            timestamp: (u32::MAX - 9_000).wrapping_add(n as u32 * 3000),
            marker: true,
            payload_type: 96,
            payload_len: 1000,
            watched: Watched::Vp8,
            key: n == 0,
            picture_id: Some((0x7ffau16.wrapping_add(n as u16) & 0x7fff, true)),
            source: Some(1),
        }
    }

    fn after_ten(lossy: bool) -> Guard {
        let mut guard = guard(lossy);
        for n in 0..10 {
            assert_eq!(guard.observe(frame(n)), Ok(()), "frame {n}");
        }
        guard
    }

    #[test]
    fn a_good_stream_passes_across_every_wrap() {
        let mut guard = guard(false);
        for n in 0..70_000 {
            assert_eq!(guard.observe(frame(n)), Ok(()), "frame {n}");
        }
        assert_eq!(guard.counts(), (70_000, 0));
    }

    #[test]
    fn each_rule_bites() {
        let cases: &[(&str, Seen, Violation)] = &[
            ("twice", frame(9), Violation::DuplicateSequence(frame(9).sequence)),
            ("skips", frame(11), Violation::Gap { after: frame(9).sequence, missing: 1 }),
            (
                "time goes back",
                Seen { timestamp: frame(8).timestamp, ..frame(10) },
                Violation::TimestampOrder(frame(9).timestamp, frame(8).timestamp),
            ),
            (
                "goes on",
                Seen { timestamp: frame(9).timestamp, ..frame(10) },
                Violation::FrameGoesOn(frame(9).timestamp),
            ),
            ("skew", Seen { timestamp: frame(40).timestamp, ..frame(10) }, Violation::Skew(1000)),
            ("payload type", Seen { payload_type: 97, ..frame(10) }, Violation::NoKeyFrame),
            ("source", Seen { source: Some(2), ..frame(10) }, Violation::NoKeyFrame),
            (
                "id stays",
                Seen { picture_id: frame(9).picture_id, ..frame(10) },
                Violation::PictureId(frame(9).picture_id.unwrap().0, frame(9).picture_id.unwrap().0),
            ),
            (
                "id skips",
                Seen { picture_id: frame(11).picture_id, ..frame(10) },
                Violation::PictureId(frame(9).picture_id.unwrap().0, frame(11).picture_id.unwrap().0),
            ),
        ];
        for (name, seen, violation) in cases {
            assert_eq!(after_ten(false).observe(*seen), Err(*violation), "{name}");
        }
        assert_eq!(guard(false).observe(frame(1)), Err(Violation::NoKeyFrame));
    }

    #[test]
    fn loss_before_us_is_allowed_where_it_is_declared_and_holes_may_be_filled_once() {
        let mut guard = after_ten(true);
        assert_eq!(guard.observe(frame(14)), Ok(()));
        assert_eq!(guard.observe(frame(12)), Ok(()));
        assert_eq!(guard.observe(frame(12)), Err(Violation::DuplicateSequence(frame(12).sequence)));
        let wrong = Seen { timestamp: frame(15).timestamp, ..frame(13) };
        assert!(matches!(guard.observe(wrong), Err(Violation::TimestampOrder(..))));
        let filler = Seen { payload_len: 0, timestamp: 0, ..frame(11) };
        assert_eq!(guard.observe(filler), Ok(()));
    }
}
