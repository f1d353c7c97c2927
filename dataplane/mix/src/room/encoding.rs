//! One encoding of pictures that the room makes: scaled to its size, encoded in two temporal layers, packed.
//!
//! The room keeps what is wished; what makes it, the [`Maker`], goes into a job with each picture and comes back with packets. A picture that comes
//! while it is out is left out. An encoder lives while somebody needs the encoding and the size stays; packet numbers go on through encoders. Which
//! picture it is given, and when, is the caller's affair ([`super::screen`], [`super::tracks`]).

use super::MAX_PAYLOAD;
use super::jobs::{self, Desk, Ticket};
use super::source::{Decoder, engine};
use plenum_contract::{Codec, MixOutput};
use plenum_engines::{EncoderSettings, VideoEncoder, video_encoder};
use plenum_kernels::{I420, I420Buf, Kernels, ScalePlan};
use plenum_wire::payload::pack::{FrameTags, Packer};
use plenum_wire::rtp;
use std::sync::Arc;

/// Temporal layers of every encoding: who cannot take it whole gets every second frame of it, from the same encoder. At 1.8 Mbit/s libvpx loses 0.6 dB by
/// two and 2.5 dB by three; OpenH264 has no more than two.
const LAYERS: u8 = 2;
/// Shortest time in nanoseconds between two key frames, and between two encoders: pictures that change their size more often are left out.
const KEY_AGAIN: u64 = 300_000_000;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) kernels: Kernels,
    /// Frames a second.
    pub(super) fps: u32,
    pub(super) smallest_only: bool,
    pub(super) half_size: bool,
}

impl Work {
    /// The size in which a picture that is to be of this size is made.
    fn size(&self, size: (u16, u16)) -> (u16, u16) {
        if self.half_size { ((size.0 / 2).max(32) & !1, (size.1 / 2).max(32) & !1) } else { size }
    }
}

/// When a picture is made, and what its packets say of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    /// Nanoseconds of the room's clock.
    pub(super) now: u64,
    /// RTP timestamp, 90 kHz.
    pub(super) timestamp: u32,
    /// Another number where timestamps begin afresh.
    pub(super) ssrc: u32,
}

/// A picture that is kept as long as somebody encodes it.
#[derive(Clone)]
pub(super) enum Picture {
    /// A scene's.
    Composed(Arc<I420Buf>),
    /// The last one of a decoder.
    Decoded(Arc<Decoder>),
}

impl Picture {
    fn view(&self) -> Option<I420<'_>> {
        match self {
            Picture::Composed(picture) => Some(picture.view()),
            Picture::Decoded(decoder) => decoder.picture(),
        }
    }
}

/// An encoding. See the module.
pub(super) struct Encoding {
    pub(super) codec: Codec,
    pub(super) rung: u8,
    pub(super) needed: bool,
    bitrate: u32,
    key: bool,
    /// When a frame was made last.
    made: Option<u64>,
    /// What makes it; not here while it does, in the job of this number.
    maker: Option<Box<Maker>>,
    ticket: Ticket,
}

/// What is to be made of a picture.
pub(super) struct Wish {
    pub(super) output: MixOutput,
    pub(super) size: (u16, u16),
    pub(super) stamp: Stamp,
    /// As receivers are told.
    pub(super) captured: u64,
    pub(super) work: Work,
}

/// The job.
pub(super) struct Encode {
    maker: Box<Maker>,
    picture: Picture,
    wish: Wish,
    key: bool,
    bitrate: u32,
}

/// What came of it: the packets lie in the maker.
pub(super) struct Encoded {
    pub(super) output: MixOutput,
    pub(super) captured: u64,
    maker: Box<Maker>,
    asked: bool,
    /// Whether there is a frame, and whether it is a key frame.
    made: Option<bool>,
    now: u64,
}

impl Encoding {
    /// One that nobody needs yet; `None` when the codec is not made.
    pub(super) fn new(codec: Codec, rung: u8) -> Option<Encoding> {
        let maker = Some(Box::new(Maker::new(codec)?));
        Some(Encoding { codec, rung, needed: false, bitrate: 0, key: true, made: None, maker, ticket: 0 })
    }

    /// Somebody needs it at `bitrate` bit/s; 0 = what its size takes.
    pub(super) fn need(&mut self, bitrate: u32) {
        self.key |= !self.needed;
        (self.needed, self.bitrate) = (true, bitrate);
    }

    /// Nobody needs it any more: its encoder goes, its numbers stay.
    pub(super) fn unneeded(&mut self) {
        self.needed = false;
        if let Some(maker) = &mut self.maker {
            maker.rest();
        }
    }

    /// The next picture is to be a key frame.
    pub(super) fn ask_key(&mut self) {
        self.key = true;
    }

    /// Whether it is too early for the next picture, of `fps` a second. One that is to be a key frame is never too early.
    pub(super) fn rests(&self, now: u64, fps: u32) -> bool {
        // A tenth earlier, for those that come unsteadily.
        let least = 900_000_000 / u64::from(fps.max(1));
        !self.key && self.made.is_some_and(|at| now.saturating_sub(at) < least)
    }

    /// Whether a key frame was asked for that was not made yet.
    pub(super) fn wants_key(&self) -> bool {
        self.key
    }

    /// When a frame was made last.
    pub(super) fn made(&self) -> Option<u64> {
        self.made
    }

    /// Has a picture encoded. False when the one before is still being made: then this one is left out.
    pub(super) fn make(&mut self, picture: Picture, wish: Wish, desk: &mut Desk) -> bool {
        let Some(maker) = self.maker.take() else { return false };
        let key = std::mem::take(&mut self.key);
        self.ticket = desk.put(jobs::Work::Encode(Encode { maker, picture, wish, key, bitrate: self.bitrate }));
        true
    }

    /// Takes back what was made, and hands out its packets. What is of another job is not this encoding's.
    pub(super) fn take(&mut self, ticket: Ticket, encoded: Encoded, emit: &mut dyn FnMut(&[u8])) {
        if ticket != self.ticket || self.maker.is_some() {
            return;
        }
        let Encoded { mut maker, asked, made, now, .. } = encoded;
        self.key |= asked && made != Some(true);
        if made.is_some() {
            self.made = Some(now);
        }
        maker.packets.drain(emit);
        if !self.needed {
            maker.rest();
        }
        self.maker = Some(maker);
    }
}

impl Encode {
    /// Scales, encodes and packs.
    pub(super) fn run(self) -> Encoded {
        let Encode { mut maker, picture, wish, key, bitrate } = self;
        let Wish { output, size, stamp, captured, work } = wish;
        let size = work.size(size);
        let tags = picture.view().and_then(|picture| maker.encode(&picture, size, stamp, (key, bitrate), &work));
        // A unit that cannot be packed is our own encoder's and does not come: the next one is a key frame.
        let packed = tags.is_none_or(|tags| maker.pack(tags, stamp));
        let made = tags.filter(|_| packed).map(|tags| tags.key);
        Encoded { output, captured, maker, asked: key || !packed, made, now: stamp.now }
    }
}

/// Packets, one after the other.
#[derive(Default)]
struct Packets {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Packets {
    fn drain(&mut self, take: &mut dyn FnMut(&[u8])) {
        let mut start = 0;
        for end in self.ends.drain(..) {
            take(&self.bytes[start..end]);
            start = end;
        }
        self.bytes.clear();
    }
}

/// What makes an encoding: all that stays from frame to frame.
struct Maker {
    codec: Codec,
    encoder: Option<Encoder>,
    scaled: Option<Scaled>,
    packer: Packer,
    sequence: u16,
    /// When a key frame was made last, and an encoder.
    keyed: Option<u64>,
    begun: Option<u64>,
    unit: Vec<u8>,
    packets: Packets,
}

struct Encoder {
    engine: Box<dyn VideoEncoder>,
    size: (u16, u16),
    rate: u32,
    fps: u32,
}

/// Plans for luma and chroma, and the picture that they make.
struct Scaled {
    luma: ScalePlan,
    chroma: ScalePlan,
    picture: I420Buf,
}

impl Maker {
    fn new(codec: Codec) -> Option<Maker> {
        let (_, format) = engine(codec).filter(|_| codec.encoded().is_some())?;
        Some(Maker {
            codec,
            encoder: None,
            scaled: None,
            packer: Packer::new(format, MAX_PAYLOAD, 0)?,
            sequence: 0,
            keyed: None,
            begun: None,
            unit: Vec::new(),
            packets: Packets::default(),
        })
    }

    /// Gives up what takes memory.
    fn rest(&mut self) {
        (self.encoder, self.scaled) = (None, None);
    }

    /// Encodes into `unit`; `None` when nothing came of it.
    fn encode(
        &mut self,
        picture: &I420<'_>,
        size: (u16, u16),
        stamp: Stamp,
        (key, bitrate): (bool, u32),
        work: &Work,
    ) -> Option<FrameTags> {
        self.unit.clear();
        let since = |at: Option<u64>| at.is_none_or(|at| stamp.now.saturating_sub(at) >= KEY_AGAIN);
        if self.encoder.as_ref().is_none_or(|e| e.size != size) {
            if !since(self.begun) && self.encoder.is_some() {
                return None;
            }
            self.begun = Some(stamp.now);
            self.encoder = Encoder::new(self.codec, size, bitrate, work);
        }
        let encoder = self.encoder.as_mut()?;
        encoder.set_rate(rate(bitrate, size, work.fps), work.fps);
        let key = key && since(self.keyed);
        let source = (picture.width(), picture.height());
        let encoded = if source == wide(size) {
            self.scaled = None;
            encoder.engine.encode(picture, stamp.timestamp, key, &mut self.unit)
        } else {
            if !self.scaled.as_ref().is_some_and(|s| s.fits(source, size)) {
                self.scaled = Scaled::new(work.kernels, source, wide(size));
            }
            encoder.engine.encode(&self.scaled.as_mut()?.run(picture)?, stamp.timestamp, key, &mut self.unit)
        };
        let encoded = encoded.ok().filter(|e| !e.dropped && !self.unit.is_empty())?;
        if encoded.key {
            self.keyed = Some(stamp.now);
        }
        let (temporal, discardable) = (Some(encoded.temporal), !encoded.reference);
        Some(FrameTags { key: encoded.key, temporal, sync: encoded.sync, discardable, size })
    }

    /// Makes packets of the unit; whether it could be packed.
    fn pack(&mut self, tags: FrameTags, stamp: Stamp) -> bool {
        let (sequence, Packets { bytes, ends }) = (&mut self.sequence, &mut self.packets);
        let packed = self.packer.pack(&self.unit, tags, &mut |piece| {
            let Stamp { timestamp, ssrc, .. } = stamp;
            let fields = rtp::Fields { marker: piece.last, sequence: *sequence, timestamp, ssrc, ..Default::default() };
            let start = bytes.len();
            bytes.resize(start + rtp::FIXED_LEN, 0);
            if rtp::write_header(&mut bytes[start..], &fields).is_err() {
                return bytes.truncate(start);
            }
            bytes.extend_from_slice(piece.head);
            bytes.extend_from_slice(piece.body);
            ends.push(bytes.len());
            *sequence = sequence.wrapping_add(1);
        });
        packed.is_ok()
    }
}

impl Encoder {
    fn new(codec: Codec, size: (u16, u16), bitrate: u32, work: &Work) -> Option<Encoder> {
        let (width, height) = wide(size);
        let mut settings = EncoderSettings::new(width, height, work.fps, rate(bitrate, size, work.fps));
        settings.speed = if width * height >= 1280 * 720 { 3 } else { 2 };
        settings.temporal_layers = LAYERS;
        let engine = video_encoder(engine(codec)?.0, &settings).ok()?;
        Some(Encoder { engine, size, rate: settings.bitrate, fps: settings.fps })
    }

    fn set_rate(&mut self, rate: u32, fps: u32) {
        if (self.rate, self.fps) != (rate, fps) {
            (self.rate, self.fps) = (rate, fps);
            self.engine.set_rate(rate, fps);
        }
    }
}

impl Scaled {
    fn new(kernels: Kernels, source: (usize, usize), size: (usize, usize)) -> Option<Scaled> {
        let half = |(w, h): (usize, usize)| (w.div_ceil(2), h.div_ceil(2));
        let luma = ScalePlan::new(kernels, source, size).ok()?;
        let chroma = ScalePlan::new(kernels, half(source), half(size)).ok()?;
        Some(Scaled { luma, chroma, picture: I420Buf::new(size.0, size.1).ok()? })
    }

    fn fits(&self, source: (usize, usize), size: (u16, u16)) -> bool {
        self.luma.src() == source && (self.picture.width(), self.picture.height()) == wide(size)
    }

    fn run(&mut self, from: &I420<'_>) -> Option<I420<'_>> {
        let to = self.picture.view_mut();
        self.luma.run(from.y, to.y).ok()?;
        self.chroma.run(from.u, to.u).ok()?;
        self.chroma.run(from.v, to.v).ok()?;
        Some(self.picture.view())
    }
}

fn wide(size: (u16, u16)) -> (usize, usize) {
    (usize::from(size.0), usize::from(size.1))
}

/// The bitrate that was asked for, or what such pictures take.
fn rate(bitrate: u32, size: (u16, u16), fps: u32) -> u32 {
    if bitrate > 0 {
        return bitrate;
    }
    let pixels = u64::from(size.0) * u64::from(size.1) * u64::from(fps);
    (pixels * 7 / 100).clamp(100_000, 8_000_000) as u32
}
