//! What left under which transport-wide number (TWCC): when, how large, for which probe.
//!
//! A ring of the last packets: as many as left in [`REMEMBERED`], at most [`CAPACITY`]. Numbers are handed out here, in order,
//! so every number in the window has its entry and nothing is searched. The ring grows with the rate and never shrinks. A packet is reported once as received; one that was reported lost and arrives
//! late is said to be recovered, so that loss counts can be put right. Does not measure anything.

use core::time::Duration;
use plenum_packet::Time;

/// Packets remembered at the most. A power of two. Larger: more memory per peer (12 bytes each). Smaller: at high rates the
/// feedback of a long path finds nothing (2048 packets are 1.6 s at 12 Mbit/s of 1200 bytes).
pub const CAPACITY: usize = 2048;
const _: () = assert!(CAPACITY.is_power_of_two() && CAPACITY < 1 << 15, "feedback numbers are 16 bits");
/// Places of the ring at first: a second of sound and thumbnails.
const FIRST: usize = 64;
const _: () = assert!(FIRST.is_power_of_two() && FIRST <= CAPACITY);
/// A packet younger than this is not overwritten while the ring may grow: no feedback that matters is later.
const REMEMBERED: Duration = Duration::from_secs(2);

/// A probe cluster's number; 0 is "no probe".
pub type Cluster = u8;

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum State {
    #[default]
    InFlight,
    Lost,
    Received,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Microseconds, wrapping; an entry is far younger than the 71 minutes of a wrap, or it is refused.
    sent_us: u32,
    /// Bytes sent up to and with this packet, wrapping.
    cumulative: u32,
    size: u16,
    cluster: Cluster,
    state: State,
}

impl Entry {
    fn sent(&self, now: Time) -> Time {
        let now_us = now.nanos() / 1000;
        let age = u64::from((now_us as u32).wrapping_sub(self.sent_us));
        Time(now_us.saturating_sub(age) * 1000)
    }
}

/// One packet that the peer received, with what we knew when it left.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Its transport-wide number, unwrapped.
    pub sequence: u64,
    /// When it left.
    pub sent: Time,
    /// When it arrived: microseconds of the peer's clock, with an arbitrary origin.
    pub arrival_us: i64,
    /// Its bytes.
    pub size: u16,
    /// Bytes sent up to and with it, wrapping.
    pub cumulative: u32,
    /// The probe it was part of; 0 if none.
    pub cluster: Cluster,
    /// It had been reported lost before.
    pub recovered: bool,
}

/// The ring.
#[derive(Debug)]
pub struct SendHistory {
    entries: Box<[Entry]>,
    first: u64,
    next: u64,
    /// Below this number the fate of every packet was told.
    settled: u64,
    cumulative: u32,
    last_sent: Time,
}

impl Default for SendHistory {
    fn default() -> Self {
        SendHistory {
            entries: vec![Entry::default(); FIRST].into_boxed_slice(),
            first: 0,
            next: 0,
            settled: 0,
            cumulative: 0,
            last_sent: Time::ZERO,
        }
    }
}

impl SendHistory {
    /// A history whose first packet gets the number `first` (its low 16 bits go on the wire).
    pub fn starting_at(first: u16) -> SendHistory {
        SendHistory {
            first: u64::from(first),
            next: u64::from(first),
            settled: u64::from(first),
            ..SendHistory::default()
        }
    }

    /// Notes a packet that leaves now and gives its number: stamp the low 16 bits.
    pub fn sent(&mut self, now: Time, size: u16, cluster: Cluster) -> u64 {
        let sequence = self.next;
        if sequence - self.oldest() == self.entries.len() as u64 && self.entries.len() < CAPACITY {
            self.make_room(now);
        }
        self.next += 1;
        self.cumulative = self.cumulative.wrapping_add(u32::from(size));
        self.last_sent = now;
        let sent_us = (now.nanos() / 1000) as u32;
        *self.place(sequence) = Entry { sent_us, cumulative: self.cumulative, size, cluster, state: State::InFlight };
        sequence
    }

    /// When the last packet left; [`Time::ZERO`] before the first.
    pub fn last_sent(&self) -> Time {
        self.last_sent
    }

    /// The number that the next packet gets.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The unwrapped number that a 16-bit number in feedback means: the newest one that was sent and has these bits.
    /// `None` when it has left the window or was never sent.
    pub fn unwrap(&self, sequence: u16) -> Option<u64> {
        let newest = self.next.checked_sub(1)?;
        let age = u64::from((newest as u16).wrapping_sub(sequence));
        if age >= self.entries.len() as u64 {
            return None;
        }
        newest.checked_sub(age).filter(|&sequence| sequence >= self.first)
    }

    /// The peer says that it received `sequence`; `None` when that is out of the window or was said before.
    pub fn received(&mut self, now: Time, sequence: u64, arrival_us: i64) -> Option<Acked> {
        let entry = self.entry(sequence)?;
        if entry.state == State::Received {
            return None;
        }
        let recovered = entry.state == State::Lost;
        entry.state = State::Received;
        let sent = entry.sent(now);
        let Entry { cumulative, size, cluster, .. } = *entry;
        Some(Acked { sequence, sent, arrival_us, size, cumulative, cluster, recovered })
    }

    /// The peer says that it has not received `sequence`. That may change: it may be late.
    pub fn lost(&mut self, sequence: u64) {
        if let Some(entry) = self.entry(sequence)
            && entry.state == State::InFlight
        {
            entry.state = State::Lost;
        }
    }

    /// Tells `fate` of each packet that left before `before`, once: when it left, and whether it was lost. Packets
    /// that no feedback spoke of are passed over.
    pub fn settle(&mut self, now: Time, before: Time, mut fate: impl FnMut(Time, bool)) {
        self.settled = self.settled.max(self.oldest());
        while self.settled < self.next {
            let entry = *self.place(self.settled);
            let sent = entry.sent(now);
            if sent >= before {
                break;
            }
            match entry.state {
                State::InFlight => {}
                State::Lost => fate(sent, true),
                State::Received => fate(sent, false),
            }
            self.settled += 1;
        }
    }

    /// Bytes of the packets between number `after` and number `until`, both left out; 0 when they are not known.
    pub fn bytes_between(&mut self, after: u64, until: u64) -> u32 {
        let Some(start) = self.entry(after).map(|e| e.cumulative) else { return 0 };
        let Some(end) = self.entry(until).map(|e| e.cumulative.wrapping_sub(u32::from(e.size))) else { return 0 };
        if after < until { end.wrapping_sub(start) } else { 0 }
    }

    fn entry(&mut self, sequence: u64) -> Option<&mut Entry> {
        let in_window = (self.oldest()..self.next).contains(&sequence);
        in_window.then(|| self.place(sequence))
    }

    /// The oldest number that has its entry, or would have the next one.
    fn oldest(&self) -> u64 {
        self.next.saturating_sub(self.entries.len() as u64).max(self.first)
    }

    fn place(&mut self, sequence: u64) -> &mut Entry {
        let mask = self.entries.len() - 1;
        &mut self.entries[sequence as usize & mask]
    }

    /// Doubles a full ring whose oldest packet is still young.
    fn make_room(&mut self, now: Time) {
        let oldest = self.oldest();
        if now.since(self.place(oldest).sent(now)) >= REMEMBERED {
            return;
        }
        let larger = vec![Entry::default(); self.entries.len() * 2].into_boxed_slice();
        let smaller = core::mem::replace(&mut self.entries, larger);
        for sequence in oldest..self.next {
            *self.place(sequence) = smaller[sequence as usize & (smaller.len() - 1)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_on_the_wire_and_not_inside() {
        let mut history = SendHistory::starting_at(0xFFFE);
        for i in 0..4u64 {
            assert_eq!(history.sent(Time::from_millis(i), 100, 0), 0xFFFE + i);
        }
        assert_eq!(history.unwrap(0xFFFF), Some(0xFFFF));
        assert_eq!(history.unwrap(0x0001), Some(0x1_0001));
        assert_eq!(history.unwrap(0x0002), None, "not sent yet");
        let acked = history.received(Time::from_millis(90), 0x1_0001, 5).unwrap();
        assert_eq!((acked.sent, acked.cumulative, acked.recovered), (Time::from_millis(3), 400, false));
        assert!(history.received(Time::from_millis(91), 0x1_0001, 5).is_none(), "said twice");
    }

    #[test]
    fn the_fate_of_every_packet_is_told_once_and_late_packets_are_not_lost() {
        let mut history = SendHistory::starting_at(9);
        let at = Time::from_millis;
        let numbers: Vec<u64> = (0..5).map(|i| history.sent(at(10 + i), 700, 3)).collect();
        numbers[..4].iter().for_each(|&n| history.lost(n));
        let late = history.received(at(50), numbers[1], 1).unwrap();
        assert!(late.recovered && late.cluster == 3);
        let mut told = Vec::new();
        history.settle(at(60), at(13), |sent, lost| told.push((sent.millis(), lost)));
        history.settle(at(60), at(13), |_, _| panic!("told before"));
        assert_eq!(told, [(10, true), (11, false), (12, true)]);
        history.settle(at(70), at(60), |sent, lost| told.push((sent.millis(), lost)));
        assert_eq!(told[3..], [(13, true)], "nothing was said of the last one");
        assert_eq!(history.bytes_between(numbers[0], numbers[3]), 1400);
        assert_eq!(history.bytes_between(numbers[3], numbers[0]), 0);
    }

    #[test]
    fn the_ring_grows_with_the_rate_and_forgets_nothing_young() {
        let mut slow = SendHistory::starting_at(65_500);
        for i in 0..1000 {
            slow.sent(Time::from_millis(40 * i), 100, 0);
        }
        assert_eq!(slow.entries.len(), FIRST, "25 packets a second");
        let mut fast = SendHistory::starting_at(65_500);
        let numbers: Vec<u64> = (0..1000).map(|i| fast.sent(Time::from_millis(2 * i), 100 + i as u16, 0)).collect();
        assert_eq!(fast.entries.len(), 1024, "500 packets a second");
        for (i, &number) in numbers.iter().enumerate() {
            let acked = fast.received(Time::from_millis(2000), number, 0).expect("it is remembered");
            assert_eq!((acked.sent, acked.size), (Time::from_millis(2 * i as u64), 100 + i as u16));
            assert_eq!(fast.unwrap(number as u16), Some(number));
        }
        for i in 0..9000 {
            fast.sent(Time::from_millis(2000 + i / 8), 100, 0);
        }
        assert_eq!(fast.entries.len(), CAPACITY, "and no further");
    }

    #[test]
    fn feedback_about_what_has_left_the_window_is_ignored() {
        let mut history = SendHistory::default();
        assert_eq!(history.unwrap(0), None, "nothing was sent");
        for _ in 0..=CAPACITY {
            history.sent(Time::from_millis(1), 100, 0);
        }
        assert_eq!(history.unwrap(0), None);
        assert_eq!(history.unwrap(1), Some(1));
        assert!(history.received(Time::from_millis(2), 0, 0).is_none());
        assert!(history.received(Time::from_millis(2), u64::MAX / 2, 0).is_none());
    }
}
