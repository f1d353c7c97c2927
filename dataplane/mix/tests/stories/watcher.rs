//! Somebody who watches what a room makes: decodes it, and remembers what was seen and when.

use crate::hall::{colour, engines};
use crate::world::MS;
use plenum_contract::Codec;
use plenum_engines::{Limits, VideoDecoder, video_decoder};
use plenum_kernels::{Colour, I420Buf};
use plenum_mix::jitter::{VideoBuffer, VideoPacket};
use plenum_packet::Time;
use plenum_wire::{payload, rtp};

/// Somebody who watches an output.
pub(crate) struct Watcher {
    format: payload::Codec,
    /// The next number, where what comes is numbered anew.
    sequence: u16,
    buffer: VideoBuffer,
    decoder: Box<dyn VideoDecoder>,
    pub(crate) picture: Option<I420Buf>,
    /// Captured time of each frame in milliseconds, and the luma at `probe`.
    pub(crate) frames: Vec<(u64, u8)>,
    /// In 1024ths of width and height; the middle at first.
    pub(crate) probe: (usize, usize),
    pub(crate) keys: usize,
    /// RTP timestamp, captured time in nanoseconds and SSRC of each packet.
    pub(crate) stamps: Vec<(u32, u64, u32)>,
}

impl Watcher {
    pub(crate) fn new(codec: Codec) -> Watcher {
        let (engine, format) = engines(codec);
        let decoder = video_decoder(engine, Limits::default()).expect("a decoder");
        let buffer = VideoBuffer::new(format).expect("a buffer");
        Watcher {
            format,
            sequence: 0,
            buffer,
            decoder,
            picture: None,
            frames: Vec::new(),
            probe: (512, 512),
            keys: 0,
            stamps: Vec::new(),
        }
    }

    /// A packet for somebody who is sent the base temporal layer alone, numbered as if there were no other: as a shard does.
    pub(crate) fn base(&mut self, now: u64, captured: u64, packet: &[u8]) {
        let header = rtp::parse(packet).expect("our own packet");
        let body = &packet[usize::from(header.payload_start)..];
        let info = payload::inspect(self.format, body, header.marker, None).expect("our own payload");
        if info.temporal == 0 && !info.discardable {
            let mut packet = packet.to_vec();
            packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            self.sequence = self.sequence.wrapping_add(1);
            self.packet(now, captured, &packet);
        }
    }

    pub(crate) fn packet(&mut self, now: u64, captured: u64, packet: &[u8]) {
        assert!(packet.len() <= 1200, "the contract's limit");
        let header = rtp::parse(packet).expect("our own packet");
        self.stamps.push((header.timestamp, captured, header.ssrc));
        self.buffer.insert(&VideoPacket {
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            payload: &packet[usize::from(header.payload_start)..],
            arrival: Time(now),
        });
        while let Some(frame) = self.buffer.next(Time(now), |_| Time::ZERO) {
            self.keys += usize::from(frame.key);
            let picture = self.decoder.decode(frame.unit).expect("our own frame").expect("a picture");
            let (width, height) = (picture.width(), picture.height());
            let copy = self.picture.take().filter(|p| (p.width(), p.height()) == (width, height));
            let mut copy = copy.unwrap_or_else(|| I420Buf::new(width, height).expect("a picture"));
            for y in 0..height {
                copy.view_mut().y.row_mut(y).copy_from_slice(&picture.y.row(y)[..width]);
            }
            for y in 0..height.div_ceil(2) {
                copy.view_mut().u.row_mut(y).copy_from_slice(&picture.u.row(y)[..width.div_ceil(2)]);
                copy.view_mut().v.row_mut(y).copy_from_slice(&picture.v.row(y)[..width.div_ceil(2)]);
            }
            let (x, y) = (self.probe.0 * width / 1024, self.probe.1 * height / 1024);
            self.frames.push((captured / MS, picture.y.row(y)[x]));
            self.picture = Some(copy);
        }
    }

    /// Width and height of what is seen.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.picture.as_ref().map_or((0, 0), |p| (p.width(), p.height()))
    }

    /// The colour at a pixel.
    pub(crate) fn at(&self, x: usize, y: usize) -> (u8, u8, u8) {
        let view = self.picture.as_ref().expect("a picture").view();
        (view.y.row(y)[x], view.u.row(y / 2)[x / 2], view.v.row(y / 2)[x / 2])
    }

    /// The share of the time from `from` (milliseconds) on in which what is probed had not changed for 200 ms.
    pub(crate) fn frozen(&self, from: u64) -> f32 {
        let frames: Vec<_> = self.frames.iter().filter(|(at, _)| *at >= from).collect();
        let (mut changed, mut frozen) = (from, 0);
        for pair in frames.windows(2) {
            if pair[0].1.abs_diff(pair[1].1) > 40 {
                frozen += (pair[1].0 - changed).saturating_sub(200);
                changed = pair[1].0;
            }
        }
        let end = frames.last().map_or(from + 1, |frame| frame.0);
        (frozen + (end - changed).saturating_sub(200)) as f32 / (end - from).max(1) as f32
    }

    /// Which of the guests stands at a pixel, by their colour.
    pub(crate) fn who(&self, x: usize, y: usize) -> Option<u64> {
        let (a, b, c) = self.at(x, y);
        let near =
            |colour: Colour| [(a, colour.y), (b, colour.u), (c, colour.v)].iter().all(|(x, y)| x.abs_diff(*y) < 20);
        (1..=7).find(|n| near(colour(*n)))
    }
}
