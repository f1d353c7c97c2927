//! A stream of pictures that somebody sends: its jitter buffer, its decoder, and when it was last seen.
//!
//! Another codec, encoding or SSRC starts the buffer anew; a frame that cannot be decoded breaks the chain until a key frame. What is decoded is
//! lent to the caller, who draws it at once: nothing is kept here but what the decoder keeps.

use crate::jitter::{Frame, VideoBuffer, VideoPacket, media_time};
use core::time::Duration;
use plenum_contract::{Codec, MixPacket};
use plenum_engines::{Limits, VideoCodec, VideoDecoder, video_decoder};
use plenum_kernels::I420;
use plenum_packet::Time;
use plenum_wire::{payload, rtp};

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

/// A stream being decoded.
struct Stream {
    codec: Codec,
    encoding: u8,
    /// Changes where the sender began afresh.
    ssrc: u32,
    buffer: VideoBuffer,
    decoder: Box<dyn VideoDecoder>,
}

/// A source. See the module.
#[derive(Default)]
pub(super) struct Source {
    stream: Option<Stream>,
    /// When a picture came out last.
    pub(super) seen: Option<Time>,
    /// Whether a key frame is to be asked for now: the source is new, or somebody new looks at it.
    fresh: bool,
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
            let Some((engine, format)) = engine(packet.codec) else { return };
            let decoder = video_decoder(engine, Limits::default()).ok();
            let Some((decoder, buffer)) = decoder.zip(VideoBuffer::new(format)) else { return };
            let codec = packet.codec;
            self.stream = Some(Stream { codec, encoding, ssrc, buffer, decoder });
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

    /// Decodes what is due and hands each picture to `draw`. Pictures are shown `offset` nanoseconds after their media time, or at the stream's own
    /// pace; `ahead` nanoseconds earlier they are decoded.
    pub(super) fn decode(&mut self, now: Time, offset: Option<i64>, ahead: u64, mut draw: impl FnMut(&I420<'_>, Sent)) {
        let Some(stream) = &mut self.stream else { return };
        let Some(offset) = offset.or_else(|| stream.buffer.pace()) else { return };
        let offset = offset.saturating_sub_unsigned(ahead);
        let fastest = stream.buffer.fastest().unwrap_or(offset);
        let due = |timestamp| Time((media_time(timestamp, CLOCK) as i64).saturating_add(offset).max(0) as u64);
        // A tick decodes a few frames at most: a burst is spread over the next ones.
        for _ in 0..MOST_FRAMES {
            let Some(Frame { unit, timestamp, .. }) = stream.buffer.next(now, due) else { break };
            let captured = (media_time(timestamp, CLOCK) as i64).saturating_add(fastest).max(0) as u64;
            let sent = Sent {
                stream: (stream.codec, stream.encoding, stream.ssrc),
                timestamp: timestamp as u32,
                captured: captured.min(now.nanos()),
            };
            match stream.decoder.decode(unit) {
                Ok(Some(picture)) => {
                    self.seen = Some(now);
                    draw(&picture, sent);
                }
                Ok(None) => {}
                Err(_) => stream.buffer.broken(),
            }
        }
        // Who could not keep up for so long goes on from a key frame: decoding everything would show the past.
        if stream.buffer.behind(now, due) > MOST_BEHIND {
            stream.buffer.broken();
        }
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

/// Most frames of a source that a tick decodes.
const MOST_FRAMES: usize = 4;
/// Frames that are later than this are left out up to the next key frame. Shorter: a stall that could be caught up with costs a key frame.
/// Longer: when time is short pictures are seconds old, and the time goes into decoding them.
const MOST_BEHIND: Duration = Duration::from_millis(700);
