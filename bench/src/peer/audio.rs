//! A microphone: 20 ms packets of the size of Opus at 32 kbit/s, with levels (RFC 6464), and with DTX while nobody speaks.

use super::stamp::{LEN, Stamp};
use crate::painted::Painting;
use plenum_contract::TrackKey;
use plenum_packet::Time;
use std::sync::Arc;
use std::time::Duration;

/// Between two packets.
const EVERY: Duration = Duration::from_millis(20);
/// Between two packets of comfort noise while DTX is on: what Opus does.
const SILENCE_EVERY: u64 = 20;
/// Bytes of a packet of speech: 32 kbit/s.
const SPEECH: usize = 80;
/// Bytes of a packet of silence without DTX.
const SILENCE: usize = 40;
/// Level of speech and of silence, −dBov.
const LEVELS: (u8, u8) = (25, 110);

/// A microphone.
#[derive(Clone, Debug)]
pub struct AudioConfig {
    /// The track it becomes.
    pub track: TrackKey,
    /// Whether silence is not sent.
    pub dtx: bool,
    /// Whether packets carry their level.
    pub levels: bool,
}

/// One packet of sound.
pub(crate) struct Sound {
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) level: Option<u8>,
    pub(crate) payload: Vec<u8>,
}

/// The microphone's state.
pub(crate) struct Microphone {
    pub(crate) config: AudioConfig,
    /// Whether somebody speaks.
    pub(crate) speaking: bool,
    /// Whether it is on at all.
    pub(crate) on: bool,
    /// What is really said.
    pub(crate) painting: Option<Arc<Painting>>,
    next: Time,
    first: Time,
    timestamp: u32,
    count: u64,
    spoke: bool,
}

impl Microphone {
    /// Starts at `now` plus a part of an interval, so that peers do not send in step.
    pub(crate) fn new(config: AudioConfig, now: Time, random: u64) -> Microphone {
        let first = now + Duration::from_micros(random % EVERY.as_micros() as u64);
        let timestamp = random as u32;
        Microphone {
            config,
            speaking: false,
            on: true,
            painting: None,
            next: first,
            first,
            timestamp,
            count: 0,
            spoke: false,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        if self.on { self.next } else { Time::NEVER }
    }

    /// The packet that is due, if there is one.
    pub(crate) fn take(&mut self, now: Time) -> Option<Sound> {
        while self.poll_timeout() <= now {
            let due = self.next;
            self.next += EVERY;
            if now.since(due) > Duration::from_secs(1) {
                // It was switched off for a while.
                continue;
            }
            let tick = due.since(self.first).as_millis() as u64 / EVERY.as_millis() as u64;
            if self.config.dtx && !self.speaking && !tick.is_multiple_of(SILENCE_EVERY) {
                self.spoke = false;
                continue;
            }
            let marker = self.speaking && !self.spoke;
            self.spoke = self.speaking;
            self.count += 1;
            return Some(Sound {
                timestamp: self.timestamp.wrapping_add((tick * 960) as u32),
                marker,
                level: self.config.levels.then_some(if self.speaking { 0x80 | LEVELS.0 } else { LEVELS.1 }),
                payload: match &self.painting {
                    Some(painting) => painting.tape.packet(tick, self.speaking).to_vec(),
                    None => self.payload(now),
                },
            });
        }
        None
    }

    fn payload(&self, now: Time) -> Vec<u8> {
        let mut payload = vec![0x55; if self.speaking { SPEECH } else { SILENCE }];
        let frame = self.count as u32;
        let stamp = Stamp {
            track: self.config.track.0 as u32,
            frame,
            refers: frame,
            base: frame,
            part: 0,
            parts: 1,
            fps: 50,
            encoding: 0,
            temporal: 0,
            sent: now,
        };
        stamp.write(&mut payload[1..1 + LEN]);
        payload
    }
}

/// The stamp in a payload of sound: behind the first byte, which Opus calls TOC.
pub(crate) fn stamp(payload: &[u8]) -> Option<Stamp> {
    Stamp::read(payload.get(1..)?)
}
