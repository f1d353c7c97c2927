//! Repeats a flight when the second engine forgot to: RFC 6347 §4.2.4.
//!
//! `rtc-dtls` stops its timer at any handshake record, also at one that completes nothing: a repeated ClientHello, or a part of a
//! flight the rest of which was lost. From then on both sides may wait for ever. And it gives an association up when its timer
//! fires for the eighth time without an answer, long before a call is. So what left last is kept, and while the handshake is not
//! done and the engine waits without a timer, or must not be told that it fired, it leaves again, byte for byte: a receiver drops
//! as replays what it has, and takes what it has not. The last flight of all also leaves again when the peer repeats its own,
//! which the engine takes for a replay if it comes byte for byte.

use std::time::{Duration, Instant};

/// Time before a repetition. Longer: late calls on bad networks. Shorter: repeats what is on the way on slow ones.
pub const INTERVAL: Duration = Duration::from_millis(700);
/// Repetitions of one flight; then the handshake failed. With the engine's own they last as long as a call may be set up.
const MOST: u8 = 32;
/// How often the engine repeats a flight before the next time that its timer fires ends it.
const ENGINE: u8 = 7;
/// Datagrams of a flight; a certificate fills three. More are not kept.
const MAX_DATAGRAMS: usize = 16;

/// The last flight.
#[derive(Debug, Default)]
pub struct Repeat {
    flight: Vec<Vec<u8>>,
    due: Option<Instant>,
    repeated: u8,
    /// How often the engine's timer fired since it made something new.
    fired: u8,
    done: bool,
}

/// The first byte of a handshake record.
const HANDSHAKE: u8 = 22;

impl Repeat {
    /// Whether the engine's timer fires at `now`: whether it is due and the engine survives it.
    pub fn fires(&mut self, now: Instant, engine: Option<Instant>) -> bool {
        let fires = self.timer(engine).is_some_and(|at| now >= at);
        self.fired += u8::from(fires);
        fires
    }

    /// The engine's timer, as long as it may fire.
    pub fn timer(&self, engine: Option<Instant>) -> Option<Instant> {
        engine.filter(|_| self.fired < ENGINE)
    }

    /// The engine made datagrams while it handled one packet, or because its timer `fired`: if there are any, they are the
    /// flight now.
    pub fn made<'a>(&mut self, datagrams: impl Iterator<Item = &'a [u8]>, fired: bool) {
        let mut datagrams = datagrams.take(MAX_DATAGRAMS).peekable();
        if datagrams.peek().is_some() {
            if !fired {
                self.fired = 0;
            }
            self.flight.clear();
            self.flight.extend(datagrams.map(<[u8]>::to_vec));
            (self.due, self.repeated) = (None, 0);
        }
    }

    /// Whether the engine's own timer runs now. If it does not, ours does.
    pub fn watch(&mut self, now: Instant, engine: Option<Instant>) {
        self.due = match self.timer(engine) {
            None if !self.flight.is_empty() && !self.done => self.due.or(Some(now + INTERVAL)),
            _ => None,
        };
    }

    /// When [`Repeat::take`] gives something.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What is to leave again at `now`; `None` when it was repeated often enough.
    pub fn take(&mut self, now: Instant) -> Option<&[Vec<u8>]> {
        if self.due.is_none_or(|due| now < due) {
            return Some(&[]);
        }
        self.repeated += 1;
        self.due = Some(now + INTERVAL);
        (self.repeated <= MOST).then_some(&self.flight)
    }

    /// The handshake is done: nothing leaves by the clock any more.
    pub fn done(&mut self) {
        (self.done, self.due, self.repeated) = (true, None, 0);
    }

    /// The peer sent `packet`, which the engine answered with nothing: what leaves again.
    pub fn ignored(&mut self, packet: &[u8]) -> &[Vec<u8>] {
        if !self.done || packet.first() != Some(&HANDSHAKE) || self.repeated >= MOST {
            return &[];
        }
        self.repeated += 1;
        &self.flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_leaves_again_only_while_the_engine_has_no_timer_and_not_for_ever() {
        let mut repeat = Repeat::default();
        let mut now = Instant::now();
        repeat.watch(now, None);
        assert_eq!(repeat.due(), None, "there is nothing to repeat");
        repeat.made([&b"hello"[..], b"done"].into_iter(), false);
        repeat.watch(now, Some(now + INTERVAL));
        assert_eq!(repeat.due(), None, "the engine does");
        repeat.watch(now, None);
        repeat.watch(now + INTERVAL / 2, None);
        assert_eq!(repeat.due(), Some(now + INTERVAL), "what came meanwhile puts nothing off");
        assert_eq!(repeat.take(now), Some(&[][..]));
        for _ in 0..MOST {
            now += INTERVAL;
            assert_eq!(repeat.take(now), Some(&[b"hello".to_vec(), b"done".to_vec()][..]));
        }
        assert_eq!(repeat.take(now + INTERVAL), None);
        repeat.done();
        assert_eq!(repeat.due(), None);
        assert!(repeat.ignored(b"\x17application").is_empty());
        let again: usize = (0..100).map(|_| repeat.ignored(b"\x16finished").len()).sum();
        assert_eq!(again, 2 * usize::from(MOST), "who repeats its last flight gets ours, and not for ever");
    }

    #[test]
    fn the_engines_timer_does_not_fire_so_often_that_it_gives_up() {
        let mut repeat = Repeat::default();
        let mut now = Instant::now();
        repeat.made([&b"hello"[..]].into_iter(), false);
        for _ in 0..ENGINE {
            let due = now + INTERVAL;
            assert!(!repeat.fires(now, Some(due)));
            now = due;
            assert!(repeat.fires(now, Some(due)));
            repeat.made([&b"again"[..]].into_iter(), true);
            repeat.watch(now, Some(now + INTERVAL));
        }
        assert!(!repeat.fires(now + INTERVAL, Some(now)) && repeat.timer(Some(now)).is_none());
        assert_eq!(repeat.due(), Some(now + INTERVAL), "from here on what left last is repeated");
        assert_eq!(repeat.take(now + INTERVAL), Some(&[b"again".to_vec()][..]));
        repeat.made([&b"finished"[..]].into_iter(), false);
        assert_eq!(repeat.timer(Some(now)), Some(now), "another flight begins anew");
    }
}
