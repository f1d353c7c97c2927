//! A stream of pictures that somebody sends: its jitter buffer, its decoder, and when it was last seen.
//!
//! Another codec, encoding or SSRC starts the buffer anew; a frame that cannot be decoded breaks the chain until a key frame. A frame is decoded in a
//! job that has the decoder to itself; those that come meanwhile wait in the jitter buffer. The picture stays in the decoder, for everybody who draws
//! or encodes it; once nobody reads it any more, the next frame is decoded, whether it was drawn or not.

use super::jobs::{Desk, Ticket, Work};
use crate::jitter::{Frame, VideoBuffer, VideoPacket, media_time};
use core::time::Duration;
use plenum_contract::{Codec, Feed, MixPacket};
use plenum_engines::{Limits, VideoCodec, VideoDecoder, video_decoder};
use plenum_kernels::I420;
use plenum_packet::Time;
use plenum_wire::{payload, rtp};
use std::sync::Arc;

/// The clock of every picture stream.
pub(super) const CLOCK: u32 = 90_000;

/// The video engine and the payload format of a codec.
pub(super) fn engine(codec: Codec) -> Option<(VideoCodec, payload::Codec)> {
    Some(match codec {
        Codec::Vp8 => (VideoCodec::Vp8, payload::Codec::Vp8),
        Codec::Vp9 => (VideoCodec::Vp9, payload::Codec::Vp9),
        Codec::H264 => (VideoCodec::H264, payload::Codec::H264),
        Codec::Av1 => (VideoCodec::Av1, payload::Codec::Av1),
        _ => return None,
    })
}

/// What a decoded picture was sent as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Codec, encoding and SSRC: timestamps of others have nothing in common with these.
    pub(super) stream: (Codec, u8, u32),
    /// Its RTP timestamp.
    pub(super) timestamp: u32,
    /// When it would have come, had it come as fast as any: nanoseconds of the monotonic clock.
    pub(super) captured: u64,
}

/// A decoder with its last picture, which several may read.
pub(super) struct Decoder {
    engine: Box<dyn VideoDecoder>,
    /// The frame that it is given.
    unit: Vec<u8>,
}

impl Decoder {
    pub(super) fn picture(&self) -> Option<I420<'_>> {
        self.engine.picture()
    }
}

/// The job: nobody else has this decoder.
pub(super) struct Decode {
    feed: Feed,
    decoder: Arc<Decoder>,
}

/// What came of it.
pub(super) struct Decoded {
    pub(super) feed: Feed,
    decoder: Arc<Decoder>,
    /// Whether there is a picture; an error when the frame could not be decoded.
    shown: Result<bool, ()>,
}

impl Decode {
    pub(super) fn run(self) -> Decoded {
        let Decode { feed, mut decoder } = self;
        let shown = match Arc::get_mut(&mut decoder) {
            Some(Decoder { engine, unit }) => engine.decode(unit).map(|picture| picture.is_some()).map_err(drop),
            None => Err(()),
        };
        Decoded { feed, decoder, shown }
    }
}

/// A stream being decoded.
struct Stream {
    codec: Codec,
    /// Nanoseconds of the monotonic clock.
    began: u64,
    encoding: u8,
    /// Changes where the sender began afresh.
    ssrc: u32,
    buffer: VideoBuffer,
    /// Not here while it decodes, in the job of this number.
    decoder: Option<Arc<Decoder>>,
    ticket: Ticket,
    /// What it decodes, or decoded last.
    sent: Option<Sent>,
    /// The number of the picture in the decoder, if there is one.
    picture: Option<Ticket>,
}

/// A source. See the module.
#[derive(Default)]
pub(super) struct Source {
    stream: Option<Stream>,
    /// When a picture came out last.
    pub(super) seen: Option<Time>,
    /// Whether a key frame is to be asked for now: the source is new, or somebody new looks at it.
    fresh: bool,
    /// Frames that may still be decoded in this tick.
    left: usize,
    /// A scene that was due waited for the decoder in vain: the picture is kept for the next one.
    owed: bool,
}

impl Source {
    /// One that nothing is known of.
    pub(super) fn new() -> Source {
        Source { fresh: true, ..Source::default() }
    }

    /// A key frame is to be asked for although nothing is missing.
    pub(super) fn refresh(&mut self) {
        self.fresh = true;
    }

    /// A packet of it; a probe has no payload. One that is no picture that can be decoded is passed over.
    pub(super) fn packet(&mut self, packet: &MixPacket<'_>, header: &rtp::Header, payload: &[u8]) {
        let same = self.stream.as_ref().is_some_and(|s| s.codec == packet.codec);
        // A probe belongs to the stream that flows, and begins none.
        let (encoding, ssrc) = (packet.encoding, header.ssrc);
        if payload.is_empty() && !self.stream.as_ref().is_some_and(|s| same && (s.encoding, s.ssrc) == (encoding, ssrc))
        {
            return;
        }
        if !same {
            let early = self.stream.as_ref().is_some_and(|s| packet.arrival.saturating_sub(s.began) < CODEC_AGAIN);
            let Some((engine, format)) = engine(packet.codec).filter(|_| !early) else { return };
            let decoder = video_decoder(engine, Limits::default()).ok();
            let Some((decoder, buffer)) = decoder.zip(VideoBuffer::new(format)) else { return };
            let (codec, began) = (packet.codec, packet.arrival);
            let decoder = Some(Arc::new(Decoder { engine: decoder, unit: Vec::new() }));
            let (ticket, sent, picture) = (0, None, None);
            self.stream = Some(Stream { codec, began, encoding, ssrc, buffer, decoder, ticket, sent, picture });
        }
        let Some(stream) = &mut self.stream else { return };
        if (stream.encoding, stream.ssrc) != (encoding, ssrc) {
            (stream.encoding, stream.ssrc) = (encoding, ssrc);
            stream.buffer.reset();
        }
        stream.buffer.insert(&VideoPacket {
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            payload,
            arrival: Time(packet.arrival),
        });
    }

    /// A tick begins. It decodes a few frames at most: a burst is spread over the next ones.
    pub(super) fn turn(&mut self) {
        self.left = MOST_FRAMES;
    }

    /// Has the next frame decoded that is due, if the decoder is free. Pictures are shown `offset` nanoseconds after their media time, or at the
    /// stream's own pace; `ahead` nanoseconds earlier they are decoded.
    pub(super) fn decode(&mut self, now: Time, feed: Feed, (offset, ahead): (Option<i64>, u64), desk: &mut Desk) {
        let Some(stream) = &mut self.stream else { return };
        let Some(offset) = offset.or_else(|| stream.buffer.pace()) else { return };
        let offset = offset.saturating_sub_unsigned(ahead);
        let fastest = stream.buffer.fastest().unwrap_or(offset);
        let due = |timestamp| Time((media_time(timestamp, CLOCK) as i64).saturating_add(offset).max(0) as u64);
        let kept = self.owed && stream.picture.is_some();
        if self.left > 0
            && !kept
            && let Some(decoder) = stream.decoder.as_mut().and_then(Arc::get_mut)
            && let Some(Frame { unit, timestamp, .. }) = stream.buffer.next(now, due)
        {
            self.left -= 1;
            decoder.unit.clear();
            decoder.unit.extend_from_slice(unit);
            let captured = (media_time(timestamp, CLOCK) as i64).saturating_add(fastest).max(0) as u64;
            stream.sent = Some(Sent {
                stream: (stream.codec, stream.encoding, stream.ssrc),
                timestamp: timestamp as u32,
                captured: captured.min(now.nanos()),
            });
            stream.picture = None;
            if let Some(decoder) = stream.decoder.take() {
                stream.ticket = desk.put(Work::Decode(Decode { feed, decoder }));
            }
            return;
        }
        // Who could not keep up for so long goes on from a key frame: decoding everything would show the past.
        if stream.buffer.behind(now, due) > MOST_BEHIND {
            stream.buffer.broken();
        }
    }

    /// Takes the decoder back: what its picture was sent as, when there is one.
    pub(super) fn take(&mut self, now: Time, ticket: Ticket, decoded: Decoded) -> Option<Sent> {
        let stream = self.stream.as_mut().filter(|s| s.ticket == ticket && s.decoder.is_none())?;
        stream.decoder = Some(decoded.decoder);
        match decoded.shown {
            Ok(true) => {
                self.seen = Some(now);
                stream.picture = Some(ticket);
                stream.sent
            }
            Ok(false) => None,
            Err(()) => {
                stream.buffer.broken();
                None
            }
        }
    }

    /// The last picture with its number, while it is there.
    pub(super) fn picture(&self) -> Option<(Ticket, &Arc<Decoder>)> {
        self.stream.as_ref().and_then(|s| s.picture.zip(s.decoder.as_ref()))
    }

    /// Whether a frame is being decoded.
    pub(super) fn is_decoding(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.decoder.is_none())
    }

    /// A scene was composed. `tiled`: this source stands in one, and its picture is kept for the next when it did not come in time.
    pub(super) fn drawn(&mut self, tiled: bool) {
        self.owed = tiled && self.is_decoding();
    }

    /// Whether a key frame is to be asked for now.
    pub(super) fn wants_key(&mut self, now: Time) -> bool {
        if core::mem::take(&mut self.fresh) {
            return true;
        }
        self.stream.as_mut().is_some_and(|s| s.buffer.wants_key(now))
    }

    /// The buffer and the encoding that it holds.
    pub(super) fn buffer(&self) -> Option<(&VideoBuffer, u8)> {
        self.stream.as_ref().map(|s| (&s.buffer, s.encoding))
    }
}

/// Shortest time in nanoseconds between two codecs. What comes sooner in another one is passed over: packets of the former codec that were overtaken, or a
/// sender who changes it all the time, which would cost a decoder each time.
const CODEC_AGAIN: u64 = 300_000_000;
/// Most frames of a source that a tick decodes.
const MOST_FRAMES: usize = 4;
/// Frames that are later than this are left out up to the next key frame. Shorter: a stall that could be caught up with costs a key frame.
/// Longer: when time is short pictures are seconds old, and the time goes into decoding them.
const MOST_BEHIND: Duration = Duration::from_millis(700);
