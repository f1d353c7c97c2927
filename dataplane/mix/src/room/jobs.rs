//! The work of a room that takes long: decoding, composing, encoding. It is done wherever whoever runs the room lets it be done.
//!
//! A job owns all that it works on, a decoder, a scene or an encoder, and brings it back; so each does one thing at a time and in order, and nothing
//! is locked. Pictures are lent, not copied: decoders and scenes keep theirs as long as somebody reads it. [`AtOnce`] does each job when it is handed
//! over: that is how tests run, and what a pool of threads must equal but for time.

use super::encoding::{Encode, Encoded};
use super::screen::{Compose, Composed};
use super::source::{Decode, Decoded};
use super::stills::{Draw, Drawn};
use plenum_contract::ConferenceKey;
use plenum_packet::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Who does jobs.
pub trait Jobs {
    /// Takes a job. What came of it is handed back now, or later to [`super::Room::done`]; a job that is never done makes what it owns stand still.
    fn start(&mut self, job: Job) -> Option<Done>;
}

/// Does every job at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtOnce;

impl Jobs for AtOnce {
    fn start(&mut self, job: Job) -> Option<Done> {
        Some(job.run())
    }
}

/// A piece of work. See the module.
pub struct Job {
    from: From,
    due: Time,
    work: Work,
}

/// A piece of work that was done.
pub struct Done {
    pub(super) from: From,
    pub(super) result: Result,
}

/// Which room a job is of, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct From {
    conference: ConferenceKey,
    /// When the room began: another one of the same conference began later.
    pub(super) began: Time,
    pub(super) ticket: Ticket,
}

/// The number of a job in its room. What is out knows it, and takes back nothing else.
pub(super) type Ticket = u64;

pub(super) enum Work {
    Decode(Decode),
    Compose(Box<Compose>),
    Encode(Encode),
    Draw(Draw),
}

pub(super) enum Result {
    Decoded(Decoded),
    Composed(Box<Composed>),
    Encoded(Encoded),
    Drawn(Drawn),
}

impl Job {
    /// When it should be done: jobs are taken in this order, and in that of their coming.
    pub fn due(&self) -> Time {
        self.due
    }

    /// Does it. Takes milliseconds.
    pub fn run(self) -> Done {
        let result = match self.work {
            Work::Decode(work) => Result::Decoded(work.run()),
            Work::Compose(work) => Result::Composed(Box::new(work.run())),
            Work::Encode(work) => Result::Encoded(work.run()),
            Work::Draw(work) => Result::Drawn(work.run()),
        };
        Done { from: self.from, result }
    }
}

impl Done {
    /// Whose room it is for.
    pub fn conference(&self) -> ConferenceKey {
        self.from.conference
    }
}

/// The jobs of a room that are to be handed over, and those that came back.
pub(super) struct Desk {
    from: From,
    jobs: VecDeque<Job>,
    done: VecDeque<Done>,
    /// Jobs that are out or about to go.
    out: u32,
    now: Time,
    frame: Duration,
}

impl Desk {
    /// The desk of a room that begins now.
    pub(super) fn new(conference: ConferenceKey, now: Time) -> Desk {
        let from = From { conference, began: now, ticket: 0 };
        Desk { from, jobs: VecDeque::new(), done: VecDeque::new(), out: 0, now, frame: Duration::ZERO }
    }

    /// From here on jobs are of this moment; a frame takes so long.
    pub(super) fn turn(&mut self, now: Time, frame: Duration) {
        (self.now, self.frame) = (now, frame);
    }

    /// Puts a job up; its number. It is due within a frame for each that the room has out already: rooms with much to do leave room for others.
    pub(super) fn put(&mut self, work: Work) -> Ticket {
        self.out += 1;
        self.from.ticket += 1;
        self.jobs.push_back(Job { from: self.from, due: self.now + self.frame * self.out, work });
        self.from.ticket
    }

    /// Takes something that was done; what is not of this room is dropped.
    pub(super) fn back(&mut self, done: Done) {
        if (done.from.conference, done.from.began) == (self.from.conference, self.from.began) {
            self.out = self.out.saturating_sub(1);
            self.done.push_back(done);
        }
    }

    /// Hands over what was put up, then gives the next result.
    pub(super) fn next(&mut self, jobs: &mut dyn Jobs) -> Option<(Ticket, Result)> {
        while let Some(job) = self.jobs.pop_front() {
            if let Some(done) = jobs.start(job) {
                self.back(done);
            }
        }
        self.done.pop_front().map(|done| (done.from.ticket, done.result))
    }
}
