//! How a room's pictures go: frames are decoded when they are due, scenes composed on the room's clock, encodings made of them.
//!
//! Each step is a job; what comes back sets off the next one. When a picture is due, scenes wait for what is being decoded for them, half a frame at
//! most. Of pictures that come faster than they are shown, the last one is drawn.

use super::encoding::Work;
use super::jobs::{self, Jobs, Ticket};
use super::screen::Show;
use super::source::{Decoded, Source};
use super::tracks::Thrift;
use super::{Outlet, PRESENTATION_BIT, Room, STOPPED};
use plenum_contract::{Feed, FeedKind, FromMix, MixOutput, ParticipantKey};
use plenum_packet::Time;

/// A picture that is due.
pub(super) struct Showing {
    show: Show,
    /// When it is composed of what there is.
    pub(super) until: Time,
}

impl Room {
    /// Begins to decode what is due, and asks for key frames.
    pub(super) fn decode(&mut self, now: Time, jobs: &mut dyn Jobs, outlet: &mut dyn Outlet) {
        let feeds: Vec<Feed> = self.sources.keys().copied().collect();
        let conference = self.spec.conference;
        for feed in feeds {
            if let Some(source) = self.sources.get_mut(&feed) {
                source.turn();
            }
            self.decode_next(now, feed);
            self.settle(now, jobs, outlet);
            let source = self.sources.get_mut(&feed);
            if source.is_some_and(|source| source.wants_key(now)) | self.tracks.wants_key(now.nanos(), feed) {
                outlet.tell(FromMix::KeyFrame { conference, feed });
            }
        }
    }

    /// Decodes the next frame of a source, if it is due.
    fn decode_next(&mut self, now: Time, feed: Feed) {
        // Half a frame earlier is nearer to its time than the next frame.
        let half = self.interval().as_nanos() as u64 / 2;
        // What stands in no tile need not wait for its sound: whoever receives it does that.
        let ahead = if self.tiled.contains(&feed) { half } else { u64::MAX };
        let camera = feed.kind == FeedKind::Camera;
        let pace = self.people.get(&feed.participant).and_then(|p| p.pace.picture).filter(|_| camera);
        if let Some(source) = self.sources.get_mut(&feed) {
            source.decode(now, feed, (pace, ahead), &mut self.desk);
        }
    }

    /// The picture that is due is to be composed.
    pub(super) fn show(&mut self, now: Time) {
        let (interval, late) = (self.interval(), now.since(self.next_picture));
        // What is still at work when the next picture is due took longer than a frame.
        let late = if std::mem::take(&mut self.overran) { late.max(interval * 2) } else { late };
        if now.since(self.next_picture) > STOPPED {
            self.next_picture = now;
        } else if self.shedder.frame(now.nanos(), late.as_nanos() as u64, interval.as_nanos() as u64) {
            self.stirred = true;
        }
        let level = self.shedder.level();
        let work = Work {
            kernels: self.settings.kernels,
            fps: (1_000_000_000 / interval.as_nanos().max(1)) as u32,
            smallest_only: level >= 2,
            half_size: level >= 3,
        };
        let at = self.next_picture;
        let timestamp = (at.since(self.epoch).as_nanos() * 9 / 100_000) as u32;
        self.showing = Some(Showing { show: Show { at: at.nanos(), timestamp, work }, until: now + interval / 2 });
        // Frames whose time is past are not made.
        let missed = (now.since(at).as_nanos() / interval.as_nanos().max(1)) as u32;
        self.next_picture = at + interval * (missed + 1);
    }

    /// Hands over jobs and takes what was done, until there is neither.
    pub(super) fn settle(&mut self, now: Time, jobs: &mut dyn Jobs, outlet: &mut dyn Outlet) {
        loop {
            if let Some((ticket, result)) = self.desk.next(jobs) {
                self.take(now, ticket, result, outlet);
            } else if let Some(feed) = self.freed.pop() {
                self.decode_next(now, feed);
            } else if !self.compose(now) {
                return;
            }
        }
    }

    fn take(&mut self, now: Time, ticket: Ticket, result: jobs::Result, outlet: &mut dyn Outlet) {
        let conference = self.spec.conference;
        match result {
            jobs::Result::Decoded(decoded) => self.decoded(now, ticket, decoded),
            jobs::Result::Composed(composed) => {
                let screen = self.screens.iter_mut().find(|screen| screen.spec().id == composed.id);
                let all = screen.is_none_or(|screen| screen.take(ticket, *composed, &mut self.desk));
                self.overran |= !all;
            }
            jobs::Result::Encoded(encoded) => {
                let (output, captured) = (encoded.output, encoded.captured);
                let emit = &mut |rtp: &[u8]| outlet.tell(FromMix::Packet { conference, output, captured, rtp });
                match output {
                    MixOutput::Video { scene, .. } => {
                        if let Some(screen) = self.screens.iter_mut().find(|screen| screen.spec().id == scene) {
                            screen.encoded(ticket, encoded, emit);
                        }
                    }
                    MixOutput::Track { feed, .. } => {
                        self.tracks.take(ticket, encoded, emit);
                        self.freed.push(feed);
                    }
                    MixOutput::Audio { .. } => {}
                }
            }
            jobs::Result::Drawn(drawn) => {
                self.stills.take(ticket);
                for (height, jpeg) in &drawn.files {
                    outlet.tell(FromMix::Still { conference, presenter: drawn.of, height: *height, jpeg });
                }
            }
        }
    }

    /// A frame was decoded: whoever makes something of each picture gets it, and the next frame follows when nobody reads it any more.
    fn decoded(&mut self, now: Time, ticket: Ticket, decoded: Decoded) {
        let feed = decoded.feed;
        let Some(source) = self.sources.get_mut(&feed) else { return };
        let sent = source.take(now, ticket, decoded);
        if let Some((sent, (_, decoder))) = sent.zip(source.picture()) {
            let thrift = Thrift { kernels: self.settings.kernels, level: self.shedder.level() };
            if feed.kind == FeedKind::Presentation {
                let how = (thrift.kernels, thrift.level > 0);
                self.stills.picture(now, feed.participant, how, decoder, &mut self.desk);
            }
            let all = self.tracks.picture(now.nanos(), feed, (decoder, sent), thrift, &mut self.desk);
            self.overran |= !all;
        }
        self.freed.push(feed);
    }

    /// Has the picture composed that is due, when what is drawn in it is there or its time is up. Whether it was.
    fn compose(&mut self, now: Time) -> bool {
        let waits = || self.tiled.iter().filter_map(|feed| self.sources.get(feed)).any(Source::is_decoding);
        let Some(Showing { show, .. }) = self.showing.take_if(|showing| now >= showing.until || !waits()) else {
            return false;
        };
        let Room { screens, sources, desk, .. } = self;
        let picture = |id: u64| {
            let kind = if id & PRESENTATION_BIT == 0 { FeedKind::Camera } else { FeedKind::Presentation };
            sources.get(&Feed { participant: ParticipantKey(id & !PRESENTATION_BIT), kind })?.picture()
        };
        let mut all = true;
        for screen in screens {
            all &= screen.show(show, picture, desk);
        }
        self.overran |= !all;
        for (feed, source) in &mut self.sources {
            source.drawn(self.tiled.contains(feed));
        }
        true
    }
}
