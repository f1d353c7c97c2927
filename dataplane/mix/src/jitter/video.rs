//! The jitter buffer of one picture stream: packets become whole frames, in order.
//!
//! Frames follow each other without a gap in sequence numbers, from a key frame on. A gap is waited for as long as the packets of this stream have
//! needed ([`Lateness`]); then the frame is given up, and nothing is handed out before the next key frame, which is to be asked for. An encoding
//! or a source that changes shows as numbers that jump, and starts anew. Packets without payload (probes) fill their numbers; where they
//! do not come at all, consecutive picture ids (VP8, VP9) say that nothing is missing.

use super::{Lateness, MS, media_time};
use core::time::Duration;
use plenum_packet::Time;
use plenum_wire::payload::unpack::Unpacker;
use plenum_wire::payload::{Codec, PictureId, inspect};
use plenum_wire::seq::{nearest, nearest_timestamp};

/// Packets kept, by their sequence number. A key frame of 1 MB fits; more cannot be waited for.
pub const CAPACITY: usize = 1024;
/// Longest payload that is taken.
const MAX_BYTES: usize = 1500;
/// Shortest and longest wait for what is missing. Less: no time for a packet that is asked for three times, each in vain once in ten where 5 % are lost both
/// ways; a key frame takes longer. More: the picture stands still.
pub const WAITS: (u64, u64) = (200 * MS, 400 * MS);
/// Beyond what the packets needed so far.
const MARGIN: u64 = 30 * MS;
/// Between two requests for a key frame.
const ASK_AGAIN: u64 = 500 * MS;
/// So many packets in a row from before what is expected: the source began anew.
const STRAYS: u8 = 32;
/// The clock of every picture stream, RFC 7741 and others.
const CLOCK: u32 = 90_000;

/// A packet, as far as the buffer looks at it.
#[derive(Clone, Copy, Debug)]
pub struct VideoPacket<'a> {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// The payload without padding; empty when it was nothing else.
    pub payload: &'a [u8],
    /// When it came.
    pub arrival: Time,
}

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The access unit.
    pub unit: &'a [u8],
    /// Extended RTP timestamp.
    pub timestamp: u64,
    /// Nothing before it is needed.
    pub key: bool,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// The extended number of what is kept here.
    sequence: Option<u64>,
    timestamp: u64,
    arrival: u64,
    marker: bool,
    key: bool,
    /// Where a frame begins: its picture id.
    picture: Option<PictureId>,
    payload: Vec<u8>,
}

/// A buffer. See the module.
#[derive(Debug)]
pub struct VideoBuffer {
    codec: Codec,
    unpacker: Unpacker,
    slots: Vec<Slot>,
    unit: Vec<u8>,
    /// The highest number and timestamp seen.
    newest: Option<(u64, u64)>,
    /// The number that the next frame starts with; `None` until a key frame.
    next: Option<u64>,
    /// The picture id of the frame that was handed out last.
    picture: Option<PictureId>,
    /// A number behind which nothing is looked at any more.
    floor: u64,
    late: Lateness,
    strays: u8,
    asked: Option<u64>,
    dropped: u64,
}

enum Scan {
    /// The frame ends with this number.
    Whole(u64),
    /// Nothing is missing but the rest.
    Open,
    /// A packet is missing; the first one behind it came then.
    Gap(u64),
}

impl VideoBuffer {
    /// For a video codec that can be unpacked.
    pub fn new(codec: Codec) -> Option<VideoBuffer> {
        Some(VideoBuffer {
            codec,
            unpacker: Unpacker::new(codec)?,
            slots: vec![Slot::default(); CAPACITY],
            unit: Vec::new(),
            newest: None,
            next: None,
            picture: None,
            floor: 0,
            late: Lateness::default(),
            strays: 0,
            asked: None,
            dropped: 0,
        })
    }

    /// A packet arrived. What is too old, too long or there already is passed over.
    pub fn insert(&mut self, packet: &VideoPacket<'_>) {
        if packet.payload.len() > MAX_BYTES {
            return;
        }
        let (newest, newest_time) =
            self.newest.unwrap_or((1 << 16 | u64::from(packet.sequence), 1 << 32 | u64::from(packet.timestamp)));
        let mut sequence = nearest(packet.sequence, newest);
        let mut timestamp = nearest_timestamp(packet.timestamp, newest_time);
        if sequence < self.floor {
            self.strays = self.strays.saturating_add(1);
        }
        if sequence.abs_diff(newest) > CAPACITY as u64 || self.strays >= STRAYS {
            self.reset();
            (sequence, timestamp) = (1 << 16 | sequence & 0xffff, 1 << 32 | timestamp & 0xffff_ffff);
        }
        if sequence < self.floor || (self.next.is_some_and(|next| sequence >= next + CAPACITY as u64)) {
            return;
        }
        self.strays = 0;
        self.newest = Some(match self.newest {
            Some((s, t)) if s >= sequence => (s, t),
            _ => (sequence, timestamp),
        });
        // A probe has the timestamp of the frame before it, whenever it is sent.
        if !packet.payload.is_empty() {
            self.late.arrived(media_time(timestamp, CLOCK), packet.arrival.nanos());
        }
        let slot = &mut self.slots[sequence as usize % CAPACITY];
        if slot.sequence == Some(sequence) {
            return;
        }
        let info = inspect(self.codec, packet.payload, packet.marker, None);
        slot.sequence = Some(sequence);
        slot.timestamp = timestamp;
        slot.arrival = packet.arrival.nanos();
        slot.marker = packet.marker;
        let begins = info.ok().filter(|info| info.start_of_frame && info.spatial == 0);
        slot.key = info.is_ok_and(|info| info.key_frame);
        slot.picture = begins.and_then(|info| info.picture_id);
        slot.payload.clear();
        slot.payload.extend_from_slice(packet.payload);
    }

    /// The next whole frame whose time has come: `due` says when a timestamp is shown.
    pub fn next(&mut self, now: Time, due: impl Fn(u64) -> Time) -> Option<Frame<'_>> {
        loop {
            let start = self.next.or_else(|| self.find_key(self.floor))?;
            let start = self.following(start).unwrap_or(start);
            let start = self.past_probes(start);
            self.next = Some(start);
            match self.scan(start) {
                Scan::Open => return None,
                Scan::Gap(since) if now.nanos().saturating_sub(since) < self.wait() => {
                    // A key frame behind the gap that is whole makes the gap unimportant.
                    let key = self.find_key(start + 1).filter(|&key| matches!(self.scan(key), Scan::Whole(_)))?;
                    self.give_up(key);
                }
                Scan::Gap(_) => match self.find_key(start + 1) {
                    Some(key) => self.give_up(key),
                    None => {
                        self.broken();
                        return None;
                    }
                },
                Scan::Whole(end) => {
                    let (timestamp, key) = (self.slot(start)?.timestamp, self.is_key(start, end));
                    if due(timestamp) > now {
                        return None;
                    }
                    self.picture = self.slot(start).and_then(|slot| slot.picture);
                    self.next = Some(end + 1);
                    self.floor = end + 1;
                    match self.put_together(start, end) {
                        Some(true) => {
                            return Some(Frame { unit: &self.unit, timestamp, key });
                        }
                        Some(false) => {}
                        None => self.broken(),
                    }
                }
            }
        }
    }

    /// How long the frame that comes next should have been shown by now; nothing while none is here.
    pub fn behind(&self, now: Time, due: impl Fn(u64) -> Time) -> Duration {
        let next = self.next.and_then(|start| self.slot(self.past_probes(start)));
        next.map_or(Duration::ZERO, |slot| now.since(due(slot.timestamp)))
    }

    /// What was handed out could not be decoded, or what follows cannot be: wait for a key frame.
    pub fn broken(&mut self) {
        self.dropped += 1;
        let end = self.newest.map_or(self.floor, |(newest, _)| newest + 1);
        // What is here and begins with a key frame stays; everything else is of no use.
        let from = self.next.unwrap_or(self.floor);
        self.floor = self.find_key(from + 1).unwrap_or(end).max(self.floor);
        self.next = None;
    }

    /// Whether a key frame is to be asked for now.
    pub fn wants_key(&mut self, now: Time) -> bool {
        let waits = self.next.is_none() && self.newest.is_some();
        let again = self.asked.is_none_or(|at| now.nanos().saturating_sub(at) >= ASK_AGAIN);
        if waits && again {
            self.asked = Some(now.nanos());
        }
        waits && again
    }

    /// How long what is missing is waited for, in nanoseconds.
    pub fn wait(&self) -> u64 {
        (self.late.quantile(0.98) + MARGIN).clamp(WAITS.0, WAITS.1)
    }

    /// Local time less media time at which nearly every frame has come, in nanoseconds; `None` before any packet.
    pub fn pace(&self) -> Option<i64> {
        Some(self.late.zero()? + self.late.quantile(0.97).min(WAITS.1) as i64)
    }

    /// Local time less media time of the fastest packet, in nanoseconds.
    pub fn fastest(&self) -> Option<i64> {
        self.late.zero()
    }

    /// Extends a timestamp that is not a packet's, as a sender report's.
    pub fn extend(&self, timestamp: u32) -> Option<u64> {
        self.newest.map(|(_, newest)| nearest_timestamp(timestamp, newest))
    }

    /// Frames given up.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets everything but what was lost: another encoding, another source.
    pub fn reset(&mut self) {
        for slot in &mut self.slots {
            slot.sequence = None;
        }
        (self.newest, self.next, self.picture, self.floor, self.strays) = (None, None, None, 0, 0);
        self.late.reset();
    }

    fn slot(&self, sequence: u64) -> Option<&Slot> {
        Some(&self.slots[sequence as usize % CAPACITY]).filter(|s| s.sequence == Some(sequence))
    }

    /// Where nothing came with the number `start`: the number that the next frame starts with after all, when its picture id follows the last one's.
    fn following(&self, start: u64) -> Option<u64> {
        let (last, (newest, _)) = (self.picture?, self.newest?);
        if self.slot(start).is_some() {
            return None;
        }
        let sequence = (start..=newest).find(|s| self.slot(*s).is_some())?;
        let picture = self.slot(sequence)?.picture?;
        let wrap = if last.wide { 0x7fff } else { 0x7f };
        (picture == PictureId { value: (last.value + 1) & wrap, ..last }).then_some(sequence)
    }

    /// The first number from `start` on that is no probe's: a frame has the timestamp of its own first packet.
    fn past_probes(&self, start: u64) -> u64 {
        let end = start + CAPACITY as u64;
        let probe = |s: &u64| self.slot(*s).is_some_and(|slot| slot.payload.is_empty());
        (start..end).find(|s| !probe(s)).unwrap_or(end)
    }

    /// Where the frame that starts at `start` ends.
    fn scan(&self, start: u64) -> Scan {
        let newest = self.newest.map_or(0, |(s, _)| s);
        let mut timestamp = None;
        for sequence in start..=newest {
            let Some(slot) = self.slot(sequence) else {
                let behind = (sequence + 1..=newest).find_map(|s| self.slot(s));
                return behind.map_or(Scan::Open, |slot| Scan::Gap(slot.arrival));
            };
            if slot.payload.is_empty() {
                continue;
            }
            if timestamp.is_some_and(|t| t != slot.timestamp) {
                return Scan::Whole(sequence - 1);
            }
            if slot.marker {
                return Scan::Whole(sequence);
            }
            timestamp = Some(slot.timestamp);
        }
        Scan::Open
    }

    fn is_key(&self, start: u64, end: u64) -> bool {
        (start..=end).any(|s| self.slot(s).is_some_and(|slot| slot.key))
    }

    /// The first packet of the earliest key frame from `from` on.
    fn find_key(&self, from: u64) -> Option<u64> {
        let (newest, _) = self.newest?;
        let from = from.max(newest.saturating_sub(CAPACITY as u64 - 1));
        let key = (from..=newest).find(|&s| self.slot(s).is_some_and(|slot| slot.key))?;
        // What stands before the parameter sets belongs to the frame.
        let timestamp = self.slot(key)?.timestamp;
        let same = |s: u64| self.slot(s).is_some_and(|slot| slot.timestamp == timestamp && !slot.payload.is_empty());
        Some((from..key).rev().take_while(|&s| same(s)).last().unwrap_or(key))
    }

    fn give_up(&mut self, key: u64) {
        self.dropped += 1;
        (self.next, self.floor) = (Some(key), key);
    }

    /// Unpacks a whole frame: `Some(false)` when there was nothing in it, `None` when it is malformed.
    fn put_together(&mut self, start: u64, end: u64) -> Option<bool> {
        self.unpacker.begin(&mut self.unit);
        let mut any = false;
        for sequence in start..=end {
            let slot = &mut self.slots[sequence as usize % CAPACITY];
            if slot.sequence.take() == Some(sequence) && !slot.payload.is_empty() {
                any = true;
                self.unpacker.push(&slot.payload, &mut self.unit).ok()?;
            }
        }
        if any {
            self.unpacker.finish(&self.unit).ok()?;
        }
        Some(any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VP8 frames of `packets` packets each, one every 33 ms; frame `n` carries the byte `n`.
    fn frame(n: u16, first: u16, packets: u16, key: bool) -> Vec<(u16, u32, bool, Vec<u8>)> {
        let head = |i| if i == 0 { 0x10 } else { 0x00 };
        let lead = u8::from(!key);
        (0..packets)
            .map(|i| (first.wrapping_add(i), u32::from(n) * 3000, i + 1 == packets, vec![head(i), lead, n as u8]))
            .collect()
    }

    struct Line {
        buffer: VideoBuffer,
        now: u64,
    }

    impl Line {
        fn new() -> Line {
            Line { buffer: VideoBuffer::new(Codec::Vp8).unwrap(), now: 1000 }
        }

        fn send(&mut self, packets: &[(u16, u32, bool, Vec<u8>)]) {
            for (sequence, timestamp, marker, payload) in packets {
                self.buffer.insert(&VideoPacket {
                    sequence: *sequence,
                    timestamp: *timestamp,
                    marker: *marker,
                    payload,
                    arrival: Time::from_millis(self.now),
                });
            }
        }

        /// The numbers of the frames that come out now.
        fn take(&mut self) -> Vec<u8> {
            let mut out = Vec::new();
            while let Some(frame) = self.buffer.next(Time::from_millis(self.now), |_| Time::ZERO) {
                out.push(frame.unit[1]);
            }
            out
        }
    }

    #[test]
    fn frames_come_out_whole_and_in_order_whatever_the_order_of_their_packets() {
        let mut line = Line::new();
        let (a, b) = (frame(0, 65534, 3, true), frame(1, 1, 2, false));
        line.send(&b[1..]);
        line.send(&a[2..]);
        assert!(line.take().is_empty());
        line.send(&a[..2]);
        assert_eq!(line.take(), [0]);
        line.send(&b[..1]);
        assert_eq!(line.take(), [1]);
        assert_eq!(line.buffer.dropped(), 0);
    }

    #[test]
    fn before_the_first_key_frame_there_is_nothing_and_one_is_asked_for() {
        let mut line = Line::new();
        assert!(!line.buffer.wants_key(Time::from_millis(line.now)), "nobody is there to ask");
        line.send(&frame(0, 0, 2, false));
        assert!(line.take().is_empty());
        let asks = |line: &mut Line, ms| line.buffer.wants_key(Time::from_millis(ms));
        assert!(asks(&mut line, 1000) && !asks(&mut line, 1499) && asks(&mut line, 1500));
        line.send(&frame(1, 2, 2, true));
        assert_eq!(line.take(), [1]);
        assert!(!asks(&mut line, 5000));
    }

    #[test]
    fn a_lost_packet_is_waited_for_then_given_up_until_a_key_frame() {
        let mut line = Line::new();
        line.send(&frame(0, 0, 2, true));
        assert_eq!(line.take(), [0]);
        line.send(&frame(1, 2, 2, false)[..1]);
        line.send(&frame(2, 4, 2, false));
        line.now += 50;
        assert!(line.take().is_empty() && !line.buffer.wants_key(Time::from_millis(line.now)));
        // It comes in time: nothing is lost.
        line.send(&frame(1, 2, 2, false)[1..]);
        assert_eq!(line.take(), [1, 2]);
        line.send(&frame(3, 6, 2, false)[..1]);
        line.send(&frame(4, 8, 2, false));
        line.now += 401;
        assert!(line.take().is_empty() && line.buffer.wants_key(Time::from_millis(line.now)));
        line.send(&frame(5, 10, 2, false));
        line.send(&frame(6, 12, 3, true));
        line.send(&frame(7, 15, 1, false));
        assert_eq!(line.take(), [6, 7]);
    }

    #[test]
    fn a_whole_key_frame_behind_a_gap_is_not_kept_waiting() {
        let mut line = Line::new();
        line.send(&frame(0, 0, 1, true));
        line.send(&frame(2, 3, 2, true));
        assert_eq!(line.take(), [0, 2]);
        assert_eq!(line.buffer.dropped(), 1);
    }

    #[test]
    fn another_encoding_or_a_restart_begins_anew() {
        let mut line = Line::new();
        line.send(&frame(0, 0, 1, true));
        line.send(&frame(1, 30_000, 2, true));
        assert_eq!(line.take(), [1]);
        // Back by a little, as after a crash of the sender: taken as late at first, then as another stream.
        for n in 0..STRAYS as u16 + 2 {
            line.send(&frame(n, 29_900 + n, 1, n % 8 == 0));
        }
        assert!(!line.take().is_empty());
    }

    #[test]
    fn probes_without_payload_leave_no_gap() {
        let mut line = Line::new();
        line.send(&frame(0, 0, 1, true));
        line.send(&[(1, 0, false, vec![]), (2, 0, false, vec![])]);
        line.send(&frame(1, 3, 1, false));
        assert_eq!(line.take(), [0, 1]);
    }

    #[test]
    fn late_probes_make_no_frame_late_and_lend_it_no_timestamp() {
        let mut line = Line::new();
        line.send(&frame(0, 0, 1, true));
        assert_eq!(line.take(), [0]);
        // While the camera stands still the sender probes for half a minute with its last timestamp.
        let (wait, pace) = (line.buffer.wait(), line.buffer.pace());
        for n in 1..=2_000 {
            line.now += 15;
            line.send(&[(n, 0, false, vec![])]);
            assert_eq!(line.take(), []);
        }
        assert_eq!((line.buffer.wait(), line.buffer.pace()), (wait, pace));
        line.send(&frame(900, 2_001, 1, false));
        let shown = line.buffer.next(Time::from_millis(line.now), |_| Time::ZERO).map(|f| f.timestamp & 0xffff_ffff);
        assert_eq!((shown, line.buffer.dropped()), (Some(900 * 3000), 0));
    }

    #[test]
    fn probes_that_are_left_out_are_no_gap_when_the_picture_ids_follow_each_other() {
        let mut line = Line::new();
        let numbered = |n: u16, sequence: u16, id: u8, key: bool| {
            let mut packets = frame(n, sequence, 1, key);
            packets[0].3.splice(0..1, [0x90, 0x80, id]);
            packets
        };
        line.send(&numbered(0, 0, 0x7f, true));
        line.send(&numbered(1, 3, 0x00, false));
        assert_eq!(line.take(), [0, 1], "the numbers 1 and 2 were probes");
        line.send(&numbered(2, 6, 0x02, false));
        assert!(line.take().is_empty(), "picture 1 is missing");
        line.send(&numbered(3, 4, 0x01, false));
        assert_eq!(line.take(), [3, 2]);
        assert_eq!(line.buffer.dropped(), 0);
    }

    #[test]
    fn what_is_not_due_stays_and_what_is_malformed_breaks_the_chain() {
        let mut line = Line::new();
        line.send(&frame(0, 0, 1, true));
        let later = Time::from_millis(line.now + 20);
        assert!(line.buffer.next(Time::from_millis(line.now), |_| later).is_none());
        assert!(line.buffer.next(later, |_| later).is_some());
        // A second beginning within a frame.
        let mut bad = frame(1, 1, 2, false);
        bad[1].3[0] = 0x10;
        line.send(&bad);
        line.send(&frame(2, 3, 1, false));
        assert!(line.take().is_empty() && line.buffer.wants_key(later));
        line.send(&[(4, 9, true, vec![0; MAX_BYTES + 1])]);
        line.send(&frame(4, 5, 1, true));
        assert_eq!(line.take(), [4]);
    }
}
