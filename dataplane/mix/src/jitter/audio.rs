//! The jitter buffer of one stream of sound: which packet is played next, or what stands in for it.
//!
//! Packets are ordered by their timestamps. The delay is counted against the fastest packet ([`Lateness`]) and has a target: what 97 % of the
//! packets need, or more when the picture is slower (lip sync). A packet that is missing when its time has come is lost: the one behind it may carry
//! a copy. When nothing is there at all the clock stops, so that a late packet is still played, and the delay has grown by itself; after
//! [`DRY`] without anything (DTX, muted, gone) playing starts anew with the next packet.

use super::{Lateness, MS, media_time};
use plenum_wire::seq::nearest_timestamp;
use std::collections::VecDeque;

/// Most packets kept; with one more the oldest goes. 1.3 s of 20 ms packets.
pub const MAX_PACKETS: usize = 64;
/// Longest payload that is taken; Opus has none longer than 1275 bytes, three of which may stand in one packet.
const MAX_BYTES: usize = 4000;
/// The share of the packets that the target lets come in time.
const SHARE: f32 = 0.97;
/// Least and greatest target. Less: every hiccup is heard. More: nobody can talk.
pub const TARGETS: (u64, u64) = (20 * MS, 500 * MS);
/// Without a packet for this long playing ends.
pub const DRY: u64 = 100 * MS;
/// A packet so far from what is played belongs to another clock: the buffer starts anew.
const FAR: u64 = 5_000 * MS;

/// What to play next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull<'a> {
    /// Silence: nothing plays, or not yet.
    Nothing,
    /// Decode this payload, and say with [`AudioBuffer::played`] how long it was.
    Packet(&'a [u8]),
    /// A frame is lost; this is the payload right behind it, which stays. Say how long the replacement was.
    Recover(&'a [u8]),
    /// A frame is lost. Say how long the replacement was.
    Lost,
    /// Nothing has come: conceal, the clock stands.
    Wait,
}

#[derive(Debug)]
struct Stored {
    timestamp: u64,
    arrival: u64,
    payload: Vec<u8>,
}

/// A buffer. See the module.
#[derive(Debug)]
pub struct AudioBuffer {
    clock: u32,
    queue: VecDeque<Stored>,
    /// Vectors to use again.
    spare: Vec<Vec<u8>>,
    /// The payload handed out last.
    current: Vec<u8>,
    newest: Option<u64>,
    /// The timestamp that is played next, while playing.
    next: Option<u64>,
    /// When there was nothing to play first.
    dry: Option<u64>,
    /// What was concealed while the clock stood, in its ticks.
    waited: u64,
    /// Length of a packet in ticks of the clock.
    frame: u64,
    late: Lateness,
    least: u64,
    /// Packets that came too late, and frames that were lost.
    lost: (u64, u64),
}

impl AudioBuffer {
    /// For a media clock of `clock` Hz.
    pub fn new(clock: u32) -> AudioBuffer {
        let clock = clock.max(1000);
        AudioBuffer {
            clock,
            queue: VecDeque::with_capacity(MAX_PACKETS + 1),
            spare: Vec::with_capacity(MAX_PACKETS + 1),
            current: Vec::new(),
            newest: None,
            next: None,
            dry: None,
            waited: 0,
            frame: u64::from(clock / 50),
            late: Lateness::default(),
            least: 0,
            lost: (0, 0),
        }
    }

    /// A payload arrived. `copy`: it is a redundant one (RFC 2198), and tells nothing about the network.
    pub fn insert(&mut self, timestamp: u32, payload: &[u8], arrival: u64, copy: bool) {
        if payload.is_empty() || payload.len() > MAX_BYTES {
            return;
        }
        let mut timestamp = self.newest.map_or(1 << 32 | u64::from(timestamp), |n| nearest_timestamp(timestamp, n));
        if let Some(newest) = self.newest
            && media_time(newest.abs_diff(timestamp), self.clock) > FAR
        {
            if copy {
                return;
            }
            self.restart();
            timestamp = 1 << 32 | timestamp & 0xffff_ffff;
        }
        if !copy {
            self.newest = Some(self.newest.map_or(timestamp, |n| n.max(timestamp)));
            self.late.arrived(media_time(timestamp, self.clock), arrival);
        }
        if self.next.is_some_and(|next| timestamp < next) {
            self.lost.0 += u64::from(!copy);
            return;
        }
        let Err(at) = self.queue.binary_search_by_key(&timestamp, |s| s.timestamp) else { return };
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(payload);
        self.queue.insert(at, Stored { timestamp, arrival, payload: bytes });
        if self.queue.len() > MAX_PACKETS {
            self.drop_front();
        }
    }

    /// What to play at `now`, when `ahead` nanoseconds of sound are decoded already and not yet played.
    pub fn pull(&mut self, now: u64, ahead: u64) -> Pull<'_> {
        let Some(next) = self.next.or_else(|| self.start(now)) else { return Pull::Nothing };
        while self.queue.front().is_some_and(|s| s.timestamp < next) {
            self.drop_front();
        }
        let Some(front) = self.queue.front().map(|s| s.timestamp) else {
            let since = *self.dry.get_or_insert(now);
            if now.saturating_sub(since) >= DRY.saturating_sub(ahead) {
                (self.next, self.dry) = (None, None);
                return Pull::Nothing;
            }
            return Pull::Wait;
        };
        self.dry = None;
        // What was waited for is late, and the delay has grown; or it is lost, and has been concealed already.
        let waited = core::mem::take(&mut self.waited).min(front - next);
        let next = next + waited;
        self.next = Some(next);
        let gap = front - next;
        if gap == 0 {
            let mut taken = self.queue.pop_front().map(|s| s.payload).unwrap_or_default();
            core::mem::swap(&mut self.current, &mut taken);
            self.spare.push(taken);
            return Pull::Packet(&self.current);
        }
        self.lost.1 += 1;
        match self.queue.front() {
            Some(front) if gap <= self.frame => Pull::Recover(&front.payload),
            _ => Pull::Lost,
        }
    }

    /// What was pulled came to so many ticks of the clock. `packet`: it was one, and tells how long they are.
    pub fn played(&mut self, ticks: u64, packet: bool) {
        if packet && ticks > 0 {
            self.frame = ticks;
        }
        let limit = if packet { u64::MAX } else { self.queue.front().map_or(u64::MAX, |s| s.timestamp) };
        self.next = self.next.map(|next| (next + ticks).min(limit));
    }

    /// So many ticks were concealed while the clock stood.
    pub fn waited(&mut self, ticks: u64) {
        self.waited += ticks;
    }

    /// Length of a frame, as the last packet had it, in ticks of the clock.
    pub fn frame(&self) -> u64 {
        self.frame
    }

    /// How long after the fastest possible moment sound should be played, in nanoseconds.
    pub fn target(&self) -> u64 {
        let frame = media_time(self.frame, self.clock);
        (self.late.quantile(SHARE) + frame / 2).max(self.least).clamp(TARGETS.0, TARGETS.1)
    }

    /// The target is at least this: lip sync.
    pub fn set_least(&mut self, least: u64) {
        self.least = least.min(TARGETS.1);
    }

    /// How long after the fastest possible moment sound is played now; `None` while nothing plays.
    pub fn delay(&self, now: u64, ahead: u64) -> Option<i64> {
        Some(now as i64 - self.late.zero()? - self.playing(ahead)? as i64)
    }

    /// The media time, in nanoseconds, of what is played when `ahead` nanoseconds more are decoded already.
    pub fn playing(&self, ahead: u64) -> Option<u64> {
        self.next.map(|next| media_time(next, self.clock).saturating_sub(ahead))
    }

    /// Leaves out what is more than `excess` nanoseconds too old: after a stall everything came at once. Whether anything was.
    pub fn skip(&mut self, excess: u64) -> bool {
        let Some(next) = self.next else { return false };
        let to = next + excess * u64::from(self.clock) / (1_000 * MS);
        let Some(front) = self.queue.iter().find(|s| s.timestamp >= to).map(|s| s.timestamp) else { return false };
        self.next = Some(front);
        true
    }

    /// Late packets, and frames that were missing when their time came.
    pub fn lost(&self) -> (u64, u64) {
        self.lost
    }

    /// Local time less media time of the fastest packet, in nanoseconds.
    pub fn fastest(&self) -> Option<i64> {
        self.late.zero()
    }

    /// Extends a timestamp that is not a packet's, as a sender report's.
    pub fn extend(&self, timestamp: u32) -> Option<u64> {
        self.newest.map(|newest| nearest_timestamp(timestamp, newest))
    }

    /// Forgets everything but what was lost: another source.
    pub fn restart(&mut self) {
        while !self.queue.is_empty() {
            self.drop_front();
        }
        (self.newest, self.next, self.dry) = (None, None, None);
        self.late.reset();
    }

    /// Starts playing when the oldest packet has waited long enough.
    fn start(&mut self, now: u64) -> Option<u64> {
        let front = self.queue.front()?;
        let fastest = self.late.zero()? + media_time(front.timestamp, self.clock) as i64;
        let waited = now as i64 - fastest.min(front.arrival as i64);
        if waited < self.target() as i64 {
            return None;
        }
        (self.next, self.dry, self.waited) = (Some(front.timestamp), None, 0);
        self.next
    }

    fn drop_front(&mut self) {
        self.spare.extend(self.queue.pop_front().map(|s| s.payload));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms, told apart by a byte, through a buffer that is pulled every 20 ms: what was played.
    struct Line {
        buffer: AudioBuffer,
        played: Vec<String>,
        now: u64,
    }

    impl Line {
        fn new() -> Line {
            Line { buffer: AudioBuffer::new(48_000), played: Vec::new(), now: 0 }
        }

        fn send(&mut self, n: u64, at_ms: u64) {
            let first = 0xffff_ff00_u32;
            self.buffer.insert(first.wrapping_add(960 * n as u32), &[n as u8], at_ms * MS, false);
        }

        fn pull(&mut self) {
            let (name, ticks, packet) = match self.buffer.pull(self.now, 0) {
                Pull::Nothing => (".".to_owned(), 0, false),
                Pull::Packet(p) => (p[0].to_string(), 960, true),
                Pull::Recover(p) => (format!("<{}", p[0]), 960, false),
                Pull::Lost => ("x".to_owned(), 960, false),
                Pull::Wait => ("w".to_owned(), 0, false),
            };
            self.buffer.played(ticks, packet);
            if name == "w" {
                self.buffer.waited(960);
            }
            self.played.push(name);
            self.now += 20 * MS;
        }
    }

    #[test]
    fn a_steady_stream_plays_in_order_across_the_wrap_of_its_timestamps() {
        let mut line = Line::new();
        for n in 0..8 {
            line.send(n, n * 20);
            line.pull();
        }
        assert_eq!(line.played.join(" "), ". 0 1 2 3 4 5 6");
    }

    #[test]
    fn swapped_packets_are_put_in_order_and_a_lost_one_is_recovered_from_the_next() {
        let mut line = Line::new();
        for n in [0, 2, 1, 3, 5, 6, 7] {
            line.send(n, 0);
        }
        line.send(1, 0);
        (0..9).for_each(|_| line.pull());
        assert_eq!(line.played.join(" "), "0 1 2 3 <5 5 6 7 w");
        assert_eq!(line.buffer.lost().1, 1);
    }

    #[test]
    fn two_lost_in_a_row_are_concealed_first_and_then_recovered() {
        let mut line = Line::new();
        for n in [0, 1, 4, 5] {
            line.send(n, n * 20);
        }
        line.now = 60 * MS;
        (0..6).for_each(|_| line.pull());
        assert_eq!(line.played.join(" "), "0 1 x <4 4 5");
    }

    #[test]
    fn a_late_packet_is_waited_for_and_a_pause_ends_playing() {
        let mut line = Line::new();
        line.send(0, 0);
        (0..3).for_each(|_| line.pull());
        line.send(1, 60);
        (0..8).for_each(|_| line.pull());
        assert_eq!(line.played.join(" "), ". 0 w 1 w w w w w . .");
        // What comes after the pause plays at once with its own delay, not with the pause as a delay.
        line.send(40, line.now / MS);
        let from = line.played.len();
        (0..6).for_each(|_| line.pull());
        assert!(line.played[from..].contains(&"40".to_owned()), "{:?}", &line.played[from..]);
    }

    #[test]
    fn what_was_concealed_while_it_was_waited_for_is_not_concealed_again() {
        let mut line = Line::new();
        line.send(0, 0);
        line.now = 20 * MS;
        (0..2).for_each(|_| line.pull());
        line.send(2, 40);
        (0..2).for_each(|_| line.pull());
        line.send(4, 80);
        line.pull();
        assert_eq!(line.played.join(" "), "0 w 2 w 4");
    }

    #[test]
    fn the_target_grows_with_the_jitter_and_for_lip_sync() {
        let mut line = Line::new();
        for n in 0..300 {
            line.send(n, n * 20 + n * 7 % 11 * 20);
        }
        assert!((190..=260).contains(&(line.buffer.target() / MS)), "{}", line.buffer.target() / MS);
        line.buffer.set_least(350 * MS);
        assert_eq!(line.buffer.target(), 350 * MS);
        line.buffer.set_least(u64::MAX);
        assert_eq!(line.buffer.target(), TARGETS.1);
    }

    #[test]
    fn memory_is_bounded_and_another_clock_starts_anew() {
        let mut line = Line::new();
        for n in 0..500 {
            line.send(n, 0);
        }
        assert_eq!(line.buffer.queue.len(), MAX_PACKETS);
        line.buffer.insert(7, &[], 0, false);
        line.buffer.insert(7, &[0; MAX_BYTES + 1], 0, false);
        line.send(1_000_000, 10);
        assert_eq!(line.buffer.queue.len(), 1);
        line.buffer.insert(3, &[1], 0, true);
        assert_eq!(line.buffer.queue.len(), 1, "a copy of another clock is passed over");
    }
}
