//! What a peer says and shows, whatever stack carries it: its microphones and cameras, and which stream each packet belongs to.
//!
//! Streams are numbered in the order of the lines, the encodings of a camera behind each other, smallest first.

use super::audio::{Microphone, Sound};
use super::config::{Line, PeerConfig, Publish};
use super::pacing::{Pacing, Waiting};
use super::video::{Camera, Frame, Rate};
use plenum_packet::{Bitrate, Time};

/// What sound takes of a budget before pictures share the rest, for each microphone.
const SOUND: u64 = 40_000;

/// One stream to send.
pub(crate) struct Feed<'a> {
    /// Index of its line, and the line.
    pub(crate) line: (usize, &'a Line),
    pub(crate) encoding: u8,
    pub(crate) rid: Option<String>,
    /// A number of its own.
    pub(crate) random: u64,
}

/// Microphones and cameras.
pub(crate) struct Studio {
    microphones: Vec<(usize, Microphone)>,
    /// Index of a camera's first stream, and the camera.
    cameras: Vec<(usize, Camera)>,
    frames: Vec<Frame>,
}

impl Studio {
    /// Everything that `config` publishes; `feed` is told of every stream, in order.
    pub(crate) fn new(
        config: &PeerConfig,
        now: Time,
        draw: &mut dyn FnMut() -> u64,
        feed: &mut dyn FnMut(Feed<'_>),
    ) -> Studio {
        let (mut microphones, mut cameras, mut streams) = (vec![], vec![], 0);
        for (at, line) in config.lines().iter().enumerate() {
            let Some(publish) = line.publish.map(|p| &config.publishes[p]) else { continue };
            let first = streams;
            let mut stream = |encoding: u8, rid: Option<String>, random: u64| {
                feed(Feed { line: (at, line), encoding, rid, random });
                streams += 1;
            };
            match publish {
                Publish::Audio(audio) => {
                    stream(0, None, draw());
                    let mut microphone = Microphone::new(audio.clone(), now, draw());
                    microphone.painting.clone_from(&config.painting);
                    microphones.push((first, microphone));
                }
                Publish::Video(video) => {
                    let rids = video.rids();
                    (0..video.encodings.len()).for_each(|e| stream(e as u8, rids.get(e).cloned(), draw()));
                    let mut camera = Camera::new(video.clone(), now, draw());
                    camera.show(config.painting.as_ref());
                    cameras.push((first, camera));
                }
            }
        }
        Studio { microphones, cameras, frames: Vec::new() }
    }

    /// What all cameras take when nothing limits them.
    pub(crate) fn wanted(&self) -> Bitrate {
        Bitrate(self.cameras.iter().map(|(_, c)| c.wanted().bps()).sum())
    }

    /// Whether a camera follows what congestion control allows.
    pub(crate) fn is_adaptive(&self) -> bool {
        self.cameras.iter().any(|(_, c)| c.config.rate == Rate::Adaptive)
    }

    /// Everything together may take `target`; sound takes its share first.
    pub(crate) fn set_target(&mut self, target: Bitrate) {
        let pictures = target.bps().saturating_sub(SOUND * self.microphones.len() as u64);
        self.cameras.iter_mut().for_each(|(_, camera)| camera.set_budget(Bitrate(pictures)));
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        let sounds = self.microphones.iter().map(|(_, m)| m.poll_timeout());
        let pictures = self.cameras.iter().map(|(_, c)| c.poll_timeout());
        sounds.chain(pictures).min().unwrap_or(Time::NEVER)
    }

    /// The next packet of sound that is due, and its stream.
    pub(crate) fn take_sound(&mut self, now: Time) -> Option<(usize, Sound)> {
        self.microphones.iter_mut().find_map(|(stream, microphone)| Some((*stream, microphone.take(now)?)))
    }

    /// Queues the frames that are due.
    pub(crate) fn take_pictures(&mut self, now: Time, pacing: &mut Pacing) {
        for (first, camera) in &mut self.cameras {
            camera.take(now, &mut self.frames);
            for frame in self.frames.drain(..) {
                let stream = *first + usize::from(frame.encoding);
                let last = frame.payloads.len().saturating_sub(1);
                for (part, payload) in frame.payloads.into_iter().enumerate() {
                    let (timestamp, marker, stamped) = (frame.timestamp, part == last, frame.stamped);
                    pacing.push(Waiting { stream, timestamp, marker, stamped, repairs: None, payload });
                }
            }
        }
    }

    /// A receiver of this stream lost its picture.
    pub(crate) fn want_key_frame(&mut self, stream: usize) {
        if let Some((first, camera)) = self.cameras.iter_mut().rfind(|(first, _)| *first <= stream) {
            camera.want_key_frame((stream - *first) as u8);
        }
    }

    /// Whether somebody speaks into the microphones.
    pub(crate) fn set_speaking(&mut self, speaking: bool) {
        self.microphones.iter_mut().for_each(|(_, m)| m.speaking = speaking);
    }

    /// A camera by its place among the videos.
    pub(crate) fn camera(&mut self, camera: usize) -> Option<&mut Camera> {
        self.cameras.get_mut(camera).map(|(_, camera)| camera)
    }
}
