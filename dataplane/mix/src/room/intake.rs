//! What a room takes in: whose voices, whose pictures in which size, and how long each waits for the other.
//!
//! Feeds are wanted for tiles that somebody looks at, tracks that somebody needs, voices that are heard. Lip sync is for who stands in a tile: of a single
//! track the receiver brings sound and picture in step.

use super::screen::Screen;
use super::source::{self, Source};
use super::sync::{self, Stream};
use super::{KEEP_VOICE, MAX_SOURCES, Outlet, PRESENTATION_BIT, Room, feed_of};
use crate::sound::{FRAME, MAX_VOICES};
use plenum_contract::{Feed, FeedKind, FromMix, MemberPicture, ParticipantKey};
use plenum_packet::Time;
use std::collections::{BTreeMap, BTreeSet};

impl Room {
    /// Who is heard: the loudest, as the shard says; before it says anything, those who came first.
    pub(super) fn listen(&mut self, now: u64) {
        let heard = |key: &ParticipantKey| self.people.get(key).is_some_and(|p| p.member.heard);
        let first = self.spec.members.iter().map(|m| m.participant);
        let count = usize::from(self.spec.loudest).min(MAX_VOICES);
        let loudest: Vec<ParticipantKey> = match &self.speakers {
            Some((_, loudest)) => loudest.iter().copied().filter(heard).take(count).collect(),
            None => first.filter(heard).take(count).collect(),
        };
        for (key, until) in &mut self.hearing {
            if !loudest.contains(key) {
                until.get_or_insert(now + KEEP_VOICE);
            }
        }
        for key in &loudest {
            self.hearing.insert(*key, None);
        }
        self.hearing.retain(|_, until| until.is_none_or(|until| now < until));
        // The loudest come first when there are too many: those who wait go, the oldest first.
        while self.hearing.len() > MAX_VOICES {
            let Some(oldest) = self.hearing.iter().filter_map(|(k, u)| u.map(|u| (u, *k))).min() else { break };
            self.hearing.remove(&oldest.1);
        }
        let gone: Vec<ParticipantKey> = {
            let alone: BTreeSet<ParticipantKey> = self.sound.singles().collect();
            self.sound.voices().filter(|key| !self.hearing.contains_key(key) && !alone.contains(key)).collect()
        };
        for key in gone {
            self.sound.remove(key);
        }
        let gains: Vec<_> = self.sound.voices().map(|key| (key, self.gain(key))).collect();
        for (key, gain) in gains {
            self.sound.set_gain(key, gain);
        }
    }

    /// Says what is wanted, as far as that changed.
    pub(super) fn want(&mut self, outlet: &mut dyn Outlet) {
        let mut pictures: BTreeMap<Feed, (u16, u16)> = BTreeMap::new();
        for (id, size) in self.screens.iter().filter(|s| s.is_seen()).flat_map(Screen::tiles) {
            let participant = ParticipantKey(id & !PRESENTATION_BIT);
            let kind = if id & PRESENTATION_BIT == 0 { FeedKind::Camera } else { FeedKind::Presentation };
            let shows = self.people.get(&participant).is_some_and(|p| p.member.shown == MemberPicture::Camera);
            if kind == FeedKind::Presentation || shows {
                let largest = pictures.entry(Feed { participant, kind }).or_default();
                *largest = (largest.0.max(size.0), largest.1.max(size.1));
            }
        }
        self.tiled = pictures.keys().copied().collect();
        let still =
            self.stills.wanted().map(|(participant, size)| (Feed { participant, kind: FeedKind::Presentation }, size));
        for (feed, size) in self.tracks.wanted().chain(still) {
            let largest = pictures.entry(feed).or_default();
            *largest = (largest.0.max(size.0), largest.1.max(size.1));
        }
        while pictures.len() > MAX_SOURCES {
            let smallest =
                pictures.iter().min_by_key(|(_, (w, h))| u32::from(*w) * u32::from(*h)).map(|(feed, _)| *feed);
            smallest.and_then(|feed| pictures.remove(&feed));
        }
        let needed = self.sound.is_needed();
        let voices = self.hearing.keys().copied().filter(|_| needed).chain(self.sound.singles());
        let mut wanted = pictures;
        wanted.extend(voices.map(|voice| (feed_of(voice), (0, 0))));
        let conference = self.spec.conference;
        for (feed, (width, height)) in &wanted {
            if self.wanted.get(feed) == Some(&(*width, *height)) {
                continue;
            }
            if !feed.kind.is_sound() && !self.sources.contains_key(feed) {
                self.sources.insert(*feed, Source::new());
            }
            outlet.tell(FromMix::Want { conference, feed: *feed, width: *width, height: *height });
        }
        for feed in self.wanted.keys().filter(|feed| !wanted.contains_key(feed)) {
            self.sources.remove(feed);
            self.reports.remove(feed);
            outlet.tell(FromMix::Unwant { conference, feed: *feed });
        }
        self.wanted = wanted;
    }

    /// Lip sync of everybody who is seen and heard; `at` is when the last 20 ms of sound began.
    pub(super) fn keep_in_step(&mut self, at: Time) {
        let frame = FRAME as u64 * 1_000_000 / 48;
        for (key, person) in &mut self.people {
            let feed = |kind| Feed { participant: *key, kind };
            let camera = Some(feed(FeedKind::Camera)).filter(|feed| self.tiled.contains(feed));
            let camera = camera.and_then(|feed| self.sources.get(&feed)).and_then(Source::buffer);
            let picture = camera.and_then(|(buffer, encoding)| {
                let report = self.reports.get(&feed(FeedKind::Camera)).filter(|r| r.encoding == encoding)?;
                let zero = report.zero(buffer.extend(report.rtp), source::CLOCK)?;
                Some(Stream { zero, fastest: buffer.fastest()?, shown: buffer.pace()? })
            });
            let Some(voice) = self.sound.voice(*key) else {
                person.pace = sync::pace(None, picture);
                continue;
            };
            let clock = voice.clock();
            let sound = self.reports.get(&feed(FeedKind::Audio)).and_then(|report| {
                let zero = report.zero(voice.buffer().extend(report.rtp), clock)?;
                let media = voice.playing()?.saturating_sub(frame);
                Some(Stream { zero, fastest: voice.buffer().fastest()?, shown: at.nanos() as i64 - media as i64 })
            });
            person.pace = sync::pace(sound, picture);
            voice.buffer().set_least(person.pace.sound_least);
        }
    }
}
