//! A camera or a screen: VP8 frames as libwebrtc cuts them, in one to three encodings with one to three temporal layers; or what was encoded before.
//!
//! Packets of a frame differ by one byte in size, the smaller ones first. A key frame is some times larger than others, and comes
//! at the start and when it was asked for. The rate is fixed, or follows what congestion control says.

use super::stamp::{LEN, Stamp};
use crate::painted::{Painting, Player, Reel};
use plenum_contract::TrackKey;
use plenum_packet::{Bitrate, Time};
use std::sync::Arc;
use std::time::Duration;

/// Largest payload: what libwebrtc makes with its usual extensions and RTX.
const MAX_PAYLOAD: usize = 1160;
/// Smallest payload: descriptor, frame header, stamp.
const MIN_PAYLOAD: usize = 6 + FRAME_HEADER + LEN;
/// Most packets in a frame: larger ones are cut off.
const MOST_PARTS: usize = 120;
/// Bytes of a key frame's header (RFC 6386 §9.1); other frames have the same number here.
const FRAME_HEADER: usize = 10;
/// How much larger a key frame is.
const KEY_FACTOR: f64 = 4.0;
/// Key frames answer requests at most this often.
const KEY_EVERY: Duration = Duration::from_millis(300);

/// One simulcast encoding.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// Its RID; of no use when it is the only one.
    pub rid: String,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// Its rate when nothing limits it.
    pub bitrate: Bitrate,
}

impl Encoding {
    /// An encoding.
    pub fn new(rid: &str, width: u16, height: u16, kbps: u64) -> Encoding {
        Encoding { rid: rid.into(), width, height, bitrate: Bitrate::kbps(kbps) }
    }
}

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// The encodings' rates.
    Fixed,
    /// What congestion control allows by the server's feedback, from the lowest encoding up.
    Adaptive,
}

/// A camera or a screen.
#[derive(Clone, Debug)]
pub struct VideoConfig {
    /// The track it becomes.
    pub track: TrackKey,
    /// Whether it is a screen.
    pub presentation: bool,
    /// Smallest picture first.
    pub encodings: Vec<Encoding>,
    /// 1 to 3.
    pub temporal_layers: u8,
    /// Frames a second.
    pub fps: u8,
    /// How much is sent.
    pub rate: Rate,
}

impl VideoConfig {
    /// A camera with one encoding, 30 frames a second.
    pub fn single(track: TrackKey, encoding: Encoding) -> VideoConfig {
        VideoConfig {
            track,
            presentation: false,
            encodings: vec![encoding],
            temporal_layers: 1,
            fps: 30,
            rate: Rate::Fixed,
        }
    }

    /// A camera with several encodings of two temporal layers, 30 frames a second.
    pub fn simulcast(track: TrackKey, encodings: Vec<Encoding>) -> VideoConfig {
        VideoConfig { track, presentation: false, encodings, temporal_layers: 2, fps: 30, rate: Rate::Fixed }
    }

    /// RIDs as the offer names them: none for a single encoding.
    pub(crate) fn rids(&self) -> Vec<String> {
        if self.encodings.len() < 2 {
            return vec![];
        }
        self.encodings.iter().map(|e| e.rid.clone()).collect()
    }
}

/// A frame in its packets.
pub(crate) struct Frame {
    pub(crate) encoding: u8,
    pub(crate) timestamp: u32,
    /// Whether payloads bear stamps.
    pub(crate) stamped: bool,
    pub(crate) payloads: Vec<Vec<u8>>,
}

struct Encoder {
    frame: u32,
    /// Newest frame of the lowest layer.
    base: u32,
    /// The frame before this one in the pattern.
    last: u32,
    picture_id: u16,
    tl0: u8,
    position: u8,
    wants_key: bool,
    last_key: Option<Time>,
    active: bool,
    /// Share of its configured rate.
    share: f64,
}

/// The camera's state.
pub(crate) struct Camera {
    pub(crate) config: VideoConfig,
    /// Whether it is on.
    pub(crate) on: bool,
    next: Time,
    timestamp: u32,
    encoders: Vec<Encoder>,
    /// What is really shown, and where each encoding is in it.
    painting: Option<(Arc<Painting>, Vec<Player>)>,
    random: u64,
}

impl Camera {
    pub(crate) fn new(config: VideoConfig, now: Time, random: u64) -> Camera {
        let interval = 1_000_000 / u64::from(config.fps.max(1));
        let encoders = (0..config.encodings.len())
            .map(|e| Encoder {
                frame: 0,
                base: 0,
                last: 0,
                picture_id: (random >> (8 + e)) as u16 & 0x7fff,
                tl0: (random >> (20 + e)) as u8,
                position: 0,
                wants_key: true,
                last_key: None,
                active: true,
                share: 1.0,
            })
            .collect();
        let next = now + Duration::from_micros(random % interval);
        let timestamp = (random >> 16) as u32;
        Camera { config, on: true, next, timestamp, encoders, painting: None, random: random | 1 }
    }

    /// Shows a painting instead of stamped bytes, when it has a reel for each encoding.
    pub(crate) fn show(&mut self, painting: Option<&Arc<Painting>>) {
        let fits = painting.filter(|painting| painting.reels.len() == self.encoders.len());
        self.painting = fits.map(|painting| {
            let player = |(encoder, reel): (&Encoder, &Reel)| {
                Player::of(reel.codec(), MAX_PAYLOAD, encoder.picture_id).expect("every codec of reels is packed")
            };
            let players = self.encoders.iter().zip(&painting.reels).map(player).collect();
            (painting.clone(), players)
        });
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        if self.on { self.next } else { Time::NEVER }
    }

    /// A receiver lost its picture.
    pub(crate) fn want_key_frame(&mut self, encoding: u8) {
        if let Some(encoder) = self.encoders.get_mut(usize::from(encoding)) {
            encoder.wants_key = true;
        }
    }

    /// Switches it on or off; on, every encoding begins with a key frame.
    pub(crate) fn set_on(&mut self, on: bool) {
        self.on = on;
        self.encoders.iter_mut().for_each(|e| e.wants_key = true);
    }

    /// All encodings together may take this much: shared out from the lowest up, the first one always lives.
    pub(crate) fn set_budget(&mut self, budget: Bitrate) {
        if self.config.rate == Rate::Fixed {
            return;
        }
        let mut left = budget.bps() as f64;
        for (index, (encoder, encoding)) in self.encoders.iter_mut().zip(&self.config.encodings).enumerate() {
            let full = encoding.bitrate.bps() as f64;
            let share = (left / full).min(1.0);
            let active = index == 0 || share >= 0.5;
            if active && !encoder.active {
                encoder.wants_key = true;
            }
            encoder.active = active;
            encoder.share = share.max(0.1);
            left = if active { (left - full * share).max(0.0) } else { 0.0 };
        }
    }

    /// What all encodings take when nothing limits them.
    pub(crate) fn wanted(&self) -> Bitrate {
        Bitrate(self.config.encodings.iter().map(|e| e.bitrate.bps()).sum())
    }

    /// Switches an encoding off or on: what a browser does when its server says so, or its processor is busy.
    pub(crate) fn set_active(&mut self, encoding: usize, active: bool) {
        if let Some(encoder) = self.encoders.get_mut(encoding) {
            encoder.wants_key |= active && !encoder.active;
            encoder.active = active;
        }
    }

    /// The frames that are due, one for each active encoding.
    pub(crate) fn take(&mut self, now: Time, frames: &mut Vec<Frame>) {
        let interval = Duration::from_nanos(1_000_000_000 / u64::from(self.config.fps.max(1)));
        while self.poll_timeout() <= now {
            let due = self.next;
            self.next += interval;
            if now.since(due) > interval {
                continue;
            }
            let timestamp = self.timestamp.wrapping_add((u128::from(due.nanos()) * 9 / 100_000) as u32);
            for encoding in 0..self.encoders.len() {
                if self.encoders[encoding].active {
                    let stamped = self.painting.is_none();
                    let payloads = if stamped { self.encode(now, encoding) } else { self.play(now, encoding) };
                    frames.push(Frame { encoding: encoding as u8, timestamp, stamped, payloads });
                }
            }
        }
    }

    /// The next frame of the painting.
    fn play(&mut self, now: Time, encoding: usize) -> Vec<Vec<u8>> {
        let Some((painting, players)) = &mut self.painting else { return Vec::new() };
        let key = self.encoders[encoding].takes_key(now);
        let payloads = players[encoding].frame(&painting.reels[encoding], key);
        painting.note(encoding, players[encoding].last(), now.nanos());
        payloads
    }

    fn encode(&mut self, now: Time, encoding: usize) -> Vec<Vec<u8>> {
        // Frames of a real encoder vary in size.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let vary = 0.85 + 0.3 * (self.random % 1000) as f64 / 1000.0;
        let config = &self.config.encodings[encoding];
        let layers = self.config.temporal_layers.clamp(1, 3);
        let encoder = &mut self.encoders[encoding];
        let key = encoder.takes_key(now);
        let picture = encoder.next(key, layers);
        let average = config.bitrate.bps() as f64 * encoder.share / 8.0 / f64::from(self.config.fps.max(1));
        let weight = if key { KEY_FACTOR } else { picture.weight(layers) };
        let size = (average * weight * vary) as usize;
        let stamp = Stamp {
            track: self.config.track.0 as u32,
            frame: picture.frame,
            refers: picture.refers,
            base: picture.base,
            part: 0,
            parts: 0,
            fps: self.config.fps,
            encoding: encoding as u8,
            temporal: picture.temporal,
            sent: now,
        };
        let (width, height) = (config.width, config.height);
        split(size)
            .into_iter()
            .enumerate()
            .map(|(part, (len, parts))| {
                let stamp = Stamp { part: part as u8, parts, ..stamp };
                picture.payload(len, layers, stamp, (width, height))
            })
            .collect()
    }
}

/// Sizes of a frame's packets with their number: equal but for one byte, the smaller first (libwebrtc's `SplitAboutEqually`).
fn split(size: usize) -> Vec<(usize, u8)> {
    let parts = size.div_ceil(MAX_PAYLOAD).clamp(1, MOST_PARTS);
    let size = size.min(parts * MAX_PAYLOAD);
    let (small, larger) = (size / parts, size % parts);
    (0..parts).map(|i| ((small + usize::from(i >= parts - larger)).max(MIN_PAYLOAD), parts as u8)).collect()
}

/// What a frame is, in its encoding.
struct Picture {
    key: bool,
    frame: u32,
    refers: u32,
    base: u32,
    temporal: u8,
    sync: bool,
    non_reference: bool,
    picture_id: u16,
    tl0: u8,
}

impl Encoder {
    /// Whether the frame of `now` is to be a key frame that was asked for.
    fn takes_key(&mut self, now: Time) -> bool {
        let key = self.wants_key && self.last_key.is_none_or(|at| now.since(at) >= KEY_EVERY);
        if key {
            self.wants_key = false;
            self.last_key = Some(now);
        }
        key
    }

    /// The next picture of the pattern: 0 | 0 1 | 0 2 1 2.
    fn next(&mut self, key: bool, layers: u8) -> Picture {
        self.frame += 1;
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        if key {
            self.position = 0;
        }
        let (temporal, refers, sync, non_reference) = match (layers, self.position) {
            (_, 0) => (0, self.base, false, false),
            (2, _) => (1, self.base, true, true),
            (_, 1) => (2, self.base, true, true),
            (_, 2) => (1, self.base, true, false),
            (_, _) => (2, self.last, false, true),
        };
        if temporal == 0 {
            self.base = self.frame;
            self.tl0 = self.tl0.wrapping_add(1);
        }
        if !non_reference {
            self.last = self.frame;
        }
        let length = [1, 2, 4][usize::from(layers - 1)];
        self.position = (self.position + 1) % length;
        Picture {
            key,
            frame: self.frame,
            refers: if key { self.frame } else { refers },
            base: self.base,
            temporal,
            sync,
            non_reference,
            picture_id: self.picture_id,
            tl0: self.tl0,
        }
    }
}

impl Picture {
    /// Share of an average frame's size; those of a pattern sum up to its length.
    fn weight(&self, layers: u8) -> f64 {
        match (layers, self.temporal) {
            (2, 0) => 1.2,
            (2, _) => 0.8,
            (3, 0) => 1.6,
            (3, 1) => 1.2,
            (3, _) => 0.6,
            _ => 1.0,
        }
    }

    /// A packet of `len` bytes: descriptor (RFC 7741 §4.2), frame header in the first one, stamp.
    fn payload(&self, len: usize, layers: u8, stamp: Stamp, size: (u16, u16)) -> Vec<u8> {
        let mut out = vec![0x33; len];
        let layered = layers > 1;
        out[0] = 0x80 | u8::from(self.non_reference) << 5 | u8::from(stamp.part == 0) << 4;
        out[1] = if layered { 0xe0 } else { 0x80 };
        out[2..4].copy_from_slice(&(0x8000 | self.picture_id).to_be_bytes());
        let mut at = 4;
        if layered {
            out[4] = self.tl0;
            out[5] = self.temporal << 6 | u8::from(self.sync) << 5;
            at = 6;
        }
        if stamp.part == 0 {
            let header = &mut out[at..at + FRAME_HEADER];
            header.fill(0);
            header[0] = u8::from(!self.key) | 0x10;
            if self.key {
                header[3..6].copy_from_slice(&[0x9d, 0x01, 0x2a]);
                header[6..8].copy_from_slice(&size.0.to_le_bytes());
                header[8..10].copy_from_slice(&size.1.to_le_bytes());
            }
            at += FRAME_HEADER;
        }
        stamp.write(&mut out[at..at + LEN]);
        out
    }
}

/// Where the coded bytes that are no frame header start in one of our payloads; read from the descriptor as it arrived.
pub(crate) fn coded_offset(payload: &[u8]) -> Option<usize> {
    let (first, second) = (*payload.first()?, *payload.get(1)?);
    if first & 0x80 == 0 {
        return None;
    }
    let mut at = 2;
    if second & 0x80 != 0 {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    at += usize::from(second & 0x40 != 0) + usize::from(second & 0x30 != 0);
    Some(at + if first & 0x10 != 0 { FRAME_HEADER } else { 0 })
}

/// TL0PICIDX of one of our payloads as it arrived.
pub(crate) fn tl0(payload: &[u8]) -> Option<u8> {
    let second = *payload.get(1)?;
    if payload[0] & 0x80 == 0 || second & 0x40 == 0 {
        return None;
    }
    let wide = second & 0x80 != 0 && payload.get(2)? & 0x80 != 0;
    payload.get(2 + usize::from(second & 0x80 != 0) + usize::from(wide)).copied()
}

/// A picture's stamp tells when its packet really left.
pub(crate) fn stamp_sent(payload: &mut [u8], now: Time) {
    let place = coded_offset(payload).map(|at| at + Stamp::SENT_AT);
    if let Some(place) = place.and_then(|at| payload.get_mut(at..at + 8)) {
        place.copy_from_slice(&now.nanos().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_a_frame_differ_by_one_byte_and_the_smaller_come_first() {
        let sizes = split(8333);
        assert_eq!(sizes.len(), 8);
        assert_eq!(sizes.iter().map(|s| s.0).sum::<usize>(), 8333);
        assert!(sizes.windows(2).all(|w| w[0].0 <= w[1].0 && w[1].0 - w[0].0 <= 1));
        assert_eq!(split(10), [(MIN_PAYLOAD, 1)]);
    }

    #[test]
    fn a_camera_sends_its_rate_in_frames_that_can_be_decoded() {
        let config =
            VideoConfig { temporal_layers: 3, ..VideoConfig::single(TrackKey(7), Encoding::new("", 640, 360, 2000)) };
        let mut camera = Camera::new(config, Time::ZERO, 99);
        let (mut frames, mut bytes) = (vec![], 0);
        let mut seen = vec![];
        for ms in 0..10_000 {
            camera.take(Time::from_millis(ms), &mut frames);
            for frame in frames.drain(..) {
                bytes += frame.payloads.iter().map(Vec::len).sum::<usize>();
                let stamps: Vec<_> = frame.payloads.iter().map(|p| Stamp::in_vp8(p).unwrap()).collect();
                assert!(stamps.iter().enumerate().all(|(i, s)| usize::from(s.part) == i));
                assert_eq!(usize::from(stamps[0].parts), stamps.len());
                let d = plenum_wire::payload::vp8::Descriptor::parse(&frame.payloads[0]).unwrap();
                assert_eq!(d.is_key_frame(&frame.payloads[0]), stamps[0].is_key());
                assert_eq!(d.temporal, Some(stamps[0].temporal));
                assert_eq!(d.tl0_pic_idx, tl0(&frame.payloads[0]));
                seen.push(stamps[0]);
            }
        }
        assert_eq!(seen.len(), 300);
        let rate = bytes as f64 * 8.0 / 10.0;
        assert!((1_800_000.0..2_300_000.0).contains(&rate), "{rate}");
        assert!(seen[0].is_key() && seen[1..].iter().all(|s| !s.is_key() && s.refers < s.frame));
    }
}
