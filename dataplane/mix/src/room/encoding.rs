//! One encoding of pictures that the room makes: scaled to its size, encoded, packed.
//!
//! An encoder lives while somebody needs the encoding and the size stays; packet numbers go on through encoders. Which picture it is given, and when,
//! is the caller's affair ([`super::screen`], [`super::tracks`]).

use super::MAX_PAYLOAD;
use super::source::engine;
use plenum_contract::Codec;
use plenum_engines::{EncoderSettings, VideoEncoder, video_encoder};
use plenum_kernels::{I420, I420Buf, Kernels, ScalePlan};
use plenum_wire::payload::pack::{FrameTags, Packer};
use plenum_wire::rtp;

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

/// Memory that encodings share.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    unit: Vec<u8>,
    packet: Vec<u8>,
}

/// An encoding. See the module.
pub(super) struct Encoding {
    pub(super) codec: Codec,
    pub(super) rung: u8,
    pub(super) needed: bool,
    bitrate: u32,
    encoder: Option<Encoder>,
    scaled: Option<Scaled>,
    packer: Packer,
    sequence: u16,
    key: bool,
    /// When a frame and a key frame were made last, and an encoder.
    made: Option<u64>,
    keyed: Option<u64>,
    begun: Option<u64>,
}

struct Encoder {
    engine: Box<dyn VideoEncoder>,
    size: (u16, u16),
    fps: u32,
}

/// Plans for luma and chroma, and the picture that they make.
struct Scaled {
    luma: ScalePlan,
    chroma: ScalePlan,
    picture: I420Buf,
}

impl Encoding {
    /// One that nobody needs yet; `None` when the codec is not made.
    pub(super) fn new(codec: Codec, rung: u8) -> Option<Encoding> {
        let (_, format) = engine(codec)?;
        let packer = Packer::new(format, MAX_PAYLOAD, 0)?;
        Some(Encoding {
            codec,
            rung,
            needed: false,
            bitrate: 0,
            encoder: None,
            scaled: None,
            packer,
            sequence: 0,
            key: true,
            made: None,
            keyed: None,
            begun: None,
        })
    }

    /// Somebody needs it at `bitrate` bit/s; 0 = what its size takes.
    pub(super) fn need(&mut self, bitrate: u32) {
        self.key |= !self.needed;
        (self.needed, self.bitrate) = (true, bitrate);
        if let Some(encoder) = self.encoder.as_mut().filter(|_| bitrate > 0) {
            encoder.engine.set_rate(bitrate, encoder.fps);
        }
    }

    /// Nobody needs it any more: its encoder goes, its numbers stay.
    pub(super) fn unneeded(&mut self) {
        (self.needed, self.encoder, self.scaled) = (false, None, None);
    }

    /// The next picture is to be a key frame.
    pub(super) fn ask_key(&mut self) {
        self.key = true;
    }

    /// Whether a key frame was asked for that was not made yet.
    pub(super) fn wants_key(&self) -> bool {
        self.key
    }

    /// When a frame was made last.
    pub(super) fn made(&self) -> Option<u64> {
        self.made
    }

    /// Encodes a picture in this size and hands out its packets.
    pub(super) fn make(
        &mut self,
        picture: &I420<'_>,
        size: (u16, u16),
        stamp: Stamp,
        work: &Work,
        scratch: &mut Scratch,
        emit: &mut dyn FnMut(&[u8]),
    ) {
        let Scratch { unit, packet } = scratch;
        unit.clear();
        let Some(tags) = self.encode(picture, work.size(size), stamp, work, unit) else { return };
        let sequence = &mut self.sequence;
        // A unit that cannot be packed is our own encoder's and does not come: the next one is a key frame.
        let packed = self.packer.pack(unit, tags, &mut |piece| {
            let Stamp { timestamp, ssrc, .. } = stamp;
            let fields = rtp::Fields { marker: piece.last, sequence: *sequence, timestamp, ssrc, ..Default::default() };
            packet.clear();
            packet.resize(rtp::FIXED_LEN, 0);
            if rtp::write_header(packet, &fields).is_ok() {
                packet.extend_from_slice(piece.head);
                packet.extend_from_slice(piece.body);
                emit(packet);
                *sequence = sequence.wrapping_add(1);
            }
        });
        self.key |= packed.is_err();
    }

    /// `None` when nothing came of it.
    fn encode(
        &mut self,
        picture: &I420<'_>,
        size: (u16, u16),
        stamp: Stamp,
        work: &Work,
        unit: &mut Vec<u8>,
    ) -> Option<FrameTags> {
        let since = |at: Option<u64>| at.is_none_or(|at| stamp.now.saturating_sub(at) >= KEY_AGAIN);
        if self.encoder.as_ref().is_none_or(|e| e.size != size) {
            if !since(self.begun) && self.encoder.is_some() {
                return None;
            }
            self.begun = Some(stamp.now);
            self.encoder = Encoder::new(self.codec, size, self.bitrate, work);
        }
        let encoder = self.encoder.as_mut()?;
        if encoder.fps != work.fps {
            encoder.fps = work.fps;
            encoder.engine.set_rate(rate(self.bitrate, size, work.fps), work.fps);
        }
        let key = self.key && since(self.keyed);
        let source = (picture.width(), picture.height());
        let encoded = if source == wide(size) {
            self.scaled = None;
            encoder.engine.encode(picture, stamp.timestamp, key, unit)
        } else {
            if !self.scaled.as_ref().is_some_and(|s| s.fits(source, size)) {
                self.scaled = Scaled::new(work.kernels, source, wide(size));
            }
            encoder.engine.encode(&self.scaled.as_mut()?.run(picture)?, stamp.timestamp, key, unit)
        };
        let encoded = encoded.ok().filter(|e| !e.dropped && !unit.is_empty())?;
        self.made = Some(stamp.now);
        if encoded.key {
            (self.key, self.keyed) = (false, Some(stamp.now));
        }
        Some(FrameTags { key: encoded.key, temporal: None, sync: encoded.sync, discardable: !encoded.reference, size })
    }
}

impl Encoder {
    fn new(codec: Codec, size: (u16, u16), bitrate: u32, work: &Work) -> Option<Encoder> {
        let (width, height) = wide(size);
        let mut settings = EncoderSettings::new(width, height, work.fps, rate(bitrate, size, work.fps));
        settings.speed = if width * height >= 1280 * 720 { 3 } else { 2 };
        let engine = video_encoder(engine(codec)?.0, &settings).ok()?;
        Some(Encoder { engine, size, fps: work.fps })
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
