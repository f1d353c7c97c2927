//! Key-frame requests to one sender: at most one per encoding in half a second, and none is lost.
//!
//! A request within the interval is remembered and becomes due when the interval ends; a key frame that arrives before
//! satisfies it. Counts who caused requests, so that an operator sees a receiver that asks without end.

use crate::info::MAX_ENCODINGS;
use core::time::Duration;
use plenum_packet::Time;

/// Shortest time between two requests for one encoding. Shorter: a lossy receiver makes everybody's picture coarse.
/// Longer: a new viewer waits in front of a black tile.
pub const INTERVAL: Duration = Duration::from_millis(500);

/// Why a key frame is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A slot changes to this encoding.
    Switch,
    /// A receiver lost its picture (PLI or FIR).
    Receiver,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Send PLI or FIR to the sender now.
    Now,
    /// One was sent lately; this one is due then, unless a key frame comes first.
    At(Time),
}

/// How often each cause asked, and how often the sender was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Requests with [`Cause::Switch`].
    pub switch: u64,
    /// Requests with [`Cause::Receiver`].
    pub receiver: u64,
    /// Requests that were sent.
    pub sent: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// When the last one was sent.
    sent: Option<Time>,
    /// One waits for the interval's end.
    pending: bool,
}

/// The throttle of one track, a state per encoding.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    states: [State; MAX_ENCODINGS],
    counts: RequestCounts,
}

impl Throttle {
    /// Asks for a key frame of `encoding`. Unknown encodings are due never.
    pub fn request(&mut self, encoding: u8, cause: Cause, now: Time) -> Ask {
        match cause {
            Cause::Switch => self.counts.switch += 1,
            Cause::Receiver => self.counts.receiver += 1,
        }
        let Some(state) = self.states.get_mut(usize::from(encoding)) else { return Ask::At(Time::NEVER) };
        match state.sent {
            Some(sent) if now < sent + INTERVAL => {
                state.pending = true;
                Ask::At(sent + INTERVAL)
            }
            _ => {
                *state = State { sent: Some(now), pending: false };
                self.counts.sent += 1;
                Ask::Now
            }
        }
    }

    /// A key frame of `encoding` began to arrive: what waits is satisfied.
    pub fn arrived(&mut self, encoding: u8) {
        if let Some(state) = self.states.get_mut(usize::from(encoding)) {
            state.pending = false;
        }
    }

    /// The next encoding whose suppressed request is due, and counts it as sent. Call until `None`.
    pub fn due(&mut self, now: Time) -> Option<u8> {
        let due = self.states.iter().position(|s| s.pending && s.sent.is_none_or(|sent| now >= sent + INTERVAL))?;
        self.states[due] = State { sent: Some(now), pending: false };
        self.counts.sent += 1;
        Some(due as u8)
    }

    /// When [`Throttle::due`] is to be called next; [`Time::NEVER`] when nothing waits.
    pub fn deadline(&self) -> Time {
        let waiting = self.states.iter().filter(|s| s.pending);
        waiting.map(|s| s.sent.map_or(Time::ZERO, |sent| sent + INTERVAL)).min().unwrap_or(Time::NEVER)
    }

    /// Counters since the track began.
    pub fn counts(&self) -> RequestCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_waits_for_the_interval_and_is_then_sent_once() {
        let mut throttle = Throttle::default();
        let at = Time::from_millis;
        assert_eq!(throttle.request(1, Cause::Switch, at(1000)), Ask::Now);
        assert_eq!(throttle.request(1, Cause::Receiver, at(1001)), Ask::At(at(1500)));
        assert_eq!(throttle.request(1, Cause::Receiver, at(1499)), Ask::At(at(1500)));
        assert_eq!(throttle.deadline(), at(1500));
        assert_eq!(throttle.due(at(1499)), None);
        assert_eq!(throttle.due(at(1500)), Some(1));
        assert_eq!(throttle.due(at(1500)), None);
        assert_eq!(throttle.request(1, Cause::Receiver, at(1999)), Ask::At(at(2000)));
        assert_eq!(throttle.counts(), RequestCounts { switch: 1, receiver: 3, sent: 2 });
    }

    #[test]
    fn a_key_frame_satisfies_what_waits_and_encodings_do_not_disturb_each_other() {
        let mut throttle = Throttle::default();
        let at = Time::from_millis;
        assert_eq!(throttle.request(0, Cause::Switch, at(0)), Ask::Now);
        assert_eq!(throttle.request(2, Cause::Switch, at(0)), Ask::Now);
        throttle.request(0, Cause::Receiver, at(10));
        throttle.request(2, Cause::Receiver, at(20));
        throttle.arrived(0);
        assert_eq!(throttle.due(at(600)), Some(2));
        assert_eq!(throttle.due(at(600)), None);
        assert_eq!(throttle.deadline(), Time::NEVER);
    }

    #[test]
    fn an_unknown_encoding_is_never_due() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.request(200, Cause::Receiver, Time::ZERO), Ask::At(Time::NEVER));
        assert_eq!(throttle.due(Time::from_millis(10_000)), None);
    }
}
