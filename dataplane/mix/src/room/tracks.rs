//! Single pictures of members in another codec, for those who are forwarded to and cannot decode the original.
//!
//! Each picture is encoded as soon as it is decoded, in the shape of the original, never larger, with the original's timestamps: receivers bring it in
//! step with the member's sound as they would the original. Nothing is composed, and nothing is made when nothing comes: a source that stops or is
//! broken leaves its last picture with the receivers. A stream that begins afresh shows as another SSRC. What may be made is the spec's to say, what is made those who need it.

use super::encoding::{Encoded, Encoding, Picture, Stamp, Wish, Work};
use super::jobs::{Desk, Ticket};
use super::source::{Decoder, Sent};
use plenum_contract::mix::{MAX_RUNGS, track_rung};
use plenum_contract::{Codec, Feed, FeedKind, MixOutput, MixSpec, TranscodeSpec};
use plenum_kernels::Kernels;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A key frame is asked for at the source when one is needed and no picture came for so long: of a screen that stands still nothing comes.
const STILL: u64 = 250_000_000;
/// Between two such requests.
const ASK_AGAIN: u64 = 1_000_000_000;
/// A step of timestamps beyond this, or back, is another stream's: ten seconds.
const LONGEST_STEP: u32 = 10 * 90_000;
/// Frames a second that are taken for granted before they are known.
const USUAL_FPS: u32 = 30;
/// The shapes that are taken for granted of a camera's picture and of a presentation's before they come.
const USUAL_SIZES: [(u16, u16); 2] = [(1280, 720), (3840, 2160)];
/// Slower pictures are not made slower to save work.
const LEAST_FPS: u32 = 15;

/// Everything of a room that is transcoded.
#[derive(Default)]
pub(super) struct Tracks {
    list: BTreeMap<Feed, Track>,
}

/// What is made of one feed.
#[derive(Default)]
struct Track {
    encodings: Vec<Encoding>,
    last: Option<Sent>,
    /// Counts streams that began afresh.
    epoch: u32,
    /// Smoothed step of the timestamps, and the frame rate that the encoders were told.
    step: f32,
    fps: u32,
    /// Whether the picture before was left out, when every second one is.
    skipped: bool,
    /// When a picture came last, and when a key frame was asked for.
    seen: u64,
    asked: Option<u64>,
}

/// How much is left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thrift {
    pub(super) kernels: Kernels,
    /// 0 = nothing, see [`super::shed`].
    pub(super) level: u8,
}

impl Tracks {
    /// Somebody needs an encoding at `bitrate` bit/s; whether it can be made.
    pub(super) fn need(&mut self, spec: &MixSpec, what: TranscodeSpec, rung: u8, bitrate: u32) -> bool {
        let TranscodeSpec { source, codec } = what;
        let allowed = !source.kind.is_sound() && rung < MAX_RUNGS && spec.transcodes.contains(&what);
        if !allowed {
            return false;
        }
        let track = self.list.entry(source).or_default();
        let at = match track.encodings.iter().position(|e| (e.codec, e.rung) == (codec, rung)) {
            Some(at) => at,
            None => {
                let Some(encoding) = Encoding::new(codec, rung) else { return false };
                track.encodings.push(encoding);
                track.encodings.len() - 1
            }
        };
        track.encodings[at].need(bitrate);
        true
    }

    /// Nobody needs an encoding any more.
    pub(super) fn unneeded(&mut self, feed: Feed, codec: Codec, rung: u8) {
        self.each(feed, codec, rung, Encoding::unneeded);
    }

    /// Somebody needs a key frame.
    pub(super) fn key_frame(&mut self, feed: Feed, codec: Codec, rung: u8) {
        self.each(feed, codec, rung, Encoding::ask_key);
    }

    fn each(&mut self, feed: Feed, codec: Codec, rung: u8, act: impl Fn(&mut Encoding)) {
        let encodings = self.list.get_mut(&feed).into_iter().flat_map(|track| &mut track.encodings);
        encodings.filter(|e| (e.codec, e.rung) == (codec, rung)).for_each(act);
    }

    /// Another spec: what it does not name is not made any more.
    pub(super) fn apply(&mut self, spec: &MixSpec) {
        for (feed, track) in &mut self.list {
            let source = *feed;
            track.encodings.retain(|e| spec.transcodes.contains(&TranscodeSpec { source, codec: e.codec }));
        }
        self.list.retain(|_, track| !track.encodings.is_empty());
    }

    /// Whether anything is needed.
    pub(super) fn is_needed(&self) -> bool {
        self.list.values().any(Track::is_needed)
    }

    /// The feeds that are needed, and the size of the picture that would do.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (Feed, (u16, u16))> + '_ {
        self.list.iter().filter_map(|(feed, track)| {
            let largest = track.encodings.iter().filter(|e| e.needed).map(|e| e.rung).max()?;
            let (width, height) = USUAL_SIZES[usize::from(feed.kind == FeedKind::Presentation)];
            let size = track_rung(feed.kind, width, height, largest)?;
            Some((*feed, (size.width, size.height)))
        })
    }

    /// Has made what is needed of a picture that was just decoded. False when an encoder has not finished the one before: it leaves this one out.
    pub(super) fn picture(
        &mut self,
        now: u64,
        feed: Feed,
        (decoder, sent): (&Arc<Decoder>, Sent),
        thrift: Thrift,
        desk: &mut Desk,
    ) -> bool {
        let Some(track) = self.list.get_mut(&feed).filter(|track| track.is_needed()) else { return true };
        track.follow(now, sent);
        if track.leaves_out(thrift) {
            return true;
        }
        let Some((width, height)) = decoder.picture().map(|picture| (picture.width(), picture.height())) else {
            return true;
        };
        let side = |side: usize| u16::try_from(side).unwrap_or(u16::MAX);
        let (width, height) = (side(width), side(height));
        let stamp = Stamp { now, timestamp: sent.timestamp, ssrc: track.epoch };
        let fps = if thrift.level >= 1 { track.fps.div_ceil(2).max(LEAST_FPS.min(track.fps)) } else { track.fps };
        let work =
            Work { kernels: thrift.kernels, fps, smallest_only: thrift.level >= 2, half_size: thrift.level >= 3 };
        let mut all = true;
        for at in 0..track.encodings.len() {
            let Encoding { codec, rung, needed, .. } = track.encodings[at];
            let smaller = |e: &Encoding| e.needed && e.codec == codec && e.rung < rung;
            if !needed || (work.smallest_only && track.encodings.iter().any(smaller)) {
                continue;
            }
            // A picture that became smaller has fewer rungs.
            let whole = |rung| track_rung(feed.kind, width, height, rung);
            let Some(size) = (0..=rung).rev().find_map(whole) else { continue };
            let most = size.most_fps();
            if most < work.fps && track.encodings[at].rests(now, most) {
                continue;
            }
            let work = Work { fps: work.fps.min(most), ..work };
            let (output, size) = (MixOutput::Track { feed, codec, rung }, (size.width, size.height));
            let wish = Wish { output, size, stamp, captured: sent.captured, work };
            all &= track.encodings[at].make(Picture::Decoded(decoder.clone()), wish, desk);
        }
        all
    }

    /// Takes back what was made of a picture.
    pub(super) fn take(&mut self, ticket: Ticket, encoded: Encoded, emit: &mut dyn FnMut(&[u8])) {
        let MixOutput::Track { feed, codec, rung } = encoded.output else { return };
        let encodings = self.list.get_mut(&feed).map(|track| &mut track.encodings);
        if let Some(encoding) = encodings.and_then(|list| list.iter_mut().find(|e| (e.codec, e.rung) == (codec, rung)))
        {
            encoding.take(ticket, encoded, emit);
        }
    }

    /// Whether a feed is to be asked for a key frame, because one is needed and no picture comes that could become one.
    pub(super) fn wants_key(&mut self, now: u64, feed: Feed) -> bool {
        let Some(track) = self.list.get_mut(&feed) else { return false };
        let needed = track.encodings.iter().any(|e| e.needed && e.wants_key());
        let still = now.saturating_sub(track.seen) >= STILL;
        let again = track.asked.is_none_or(|at| now.saturating_sub(at) >= ASK_AGAIN);
        let asks = needed && still && again;
        if asks {
            track.asked = Some(now);
        }
        asks
    }
}

impl Track {
    fn is_needed(&self) -> bool {
        self.encodings.iter().any(|e| e.needed)
    }

    /// Notes the next picture: whether it belongs to the stream of the one before, and how fast they come.
    fn follow(&mut self, now: u64, sent: Sent) {
        let last = self.last.replace(sent);
        self.seen = now;
        let step = last.map(|last| sent.timestamp.wrapping_sub(last.timestamp));
        let continues = last.is_some_and(|last| last.stream == sent.stream);
        let Some(step) = step.filter(|step| continues && (1..=LONGEST_STEP).contains(step)) else {
            self.epoch = self.epoch.wrapping_add(1);
            self.encodings.iter_mut().for_each(Encoding::ask_key);
            (self.step, self.fps) = (90_000.0 / USUAL_FPS as f32, USUAL_FPS);
            return;
        };
        self.step += (step as f32 - self.step) / 16.0;
        let fps = (90_000.0 / self.step).clamp(1.0, 60.0);
        // Encoders are told only when it is not just unsteady.
        if (fps - self.fps as f32).abs() > self.fps as f32 * 0.3 {
            self.fps = fps.round().max(1.0) as u32;
        }
    }

    /// Whether this picture is left out to save work: every second one, unless they are slow already or a key frame is waited for.
    fn leaves_out(&mut self, thrift: Thrift) -> bool {
        let waited = self.encodings.iter().any(|e| e.needed && e.wants_key());
        self.skipped = thrift.level >= 1 && self.fps > LEAST_FPS && !self.skipped && !waited;
        self.skipped
    }
}
