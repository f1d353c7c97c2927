//! A viewer who really looks: packets become pictures, and the marks in their tiles tell how old what they show is.
//!
//! Each frame of a publisher counts once, when it is seen for the first time: from the moment its sender handed it to its pacer to the moment the
//! mixed picture was decoded. Both ends have one clock.

use crate::painted::{Mark, Painting};
use crate::peer::Watch;
use hdrhistogram::Histogram;
use plenum_engines::{Limits, VideoCodec, VideoDecoder, video_decoder};
use plenum_kernels::{I420, Rect};
use plenum_mix::jitter::{VideoBuffer, VideoPacket};
use plenum_packet::Time;
use plenum_wire::payload::Codec;
use plenum_wire::rtp;
use std::sync::{Arc, Mutex};

/// What was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Age of what is new in the large tile, in microseconds.
    pub(super) large: Histogram<u32>,
    /// The same of all small tiles.
    pub(super) small: Histogram<u32>,
    /// Pictures decoded, and the last one's size.
    pub(super) pictures: u64,
    pub(super) size: (usize, usize),
    /// Tiles looked at without finding a mark.
    pub(super) unread: u64,
    /// From a picture's last packet to having it decoded, in microseconds, the sum.
    pub(super) decoding: u64,
}

impl Default for Seen {
    fn default() -> Seen {
        // The bounds are constant and valid.
        let histogram = || Histogram::new_with_bounds(1, 10_000_000, 3).expect("constant bounds");
        let (large, small) = (histogram(), histogram());
        Seen { large, small, pictures: 0, size: (0, 0), unread: 0, decoding: 0 }
    }
}

/// A viewer's eye.
pub(super) struct Eye {
    paintings: Vec<Arc<Painting>>,
    /// Where tiles stand in a picture of `size`.
    tiles: Vec<Rect>,
    size: (usize, usize),
    buffer: VideoBuffer,
    decoder: Box<dyn VideoDecoder>,
    newest: Vec<Option<Mark>>,
    seen: Arc<Mutex<Seen>>,
    clock: fn() -> u64,
}

impl Eye {
    /// Looks at pictures whose `tiles` stand as said in one of `size`; `clock` is that of the senders, in nanoseconds.
    pub(super) fn new(
        paintings: &[Arc<Painting>],
        tiles: Vec<Rect>,
        size: (usize, usize),
        clock: fn() -> u64,
    ) -> Result<Eye, String> {
        Ok(Eye {
            paintings: paintings.to_vec(),
            newest: vec![None; tiles.len()],
            tiles,
            size,
            buffer: VideoBuffer::new(Codec::Vp8).ok_or("no buffer for VP8")?,
            decoder: video_decoder(VideoCodec::Vp8, Limits::default()).map_err(|e| e.to_string())?,
            seen: Arc::default(),
            clock,
        })
    }

    /// What it sees, from now on.
    pub(super) fn seen(&self) -> Arc<Mutex<Seen>> {
        self.seen.clone()
    }

    /// The eye as a peer takes it.
    pub(super) fn watch(mut self) -> Watch {
        Box::new(move |now, header, payload| self.packet(now, header, payload))
    }

    fn packet(&mut self, now: Time, header: &rtp::Header, payload: &[u8]) {
        let rtp::Header { sequence, timestamp, marker, .. } = *header;
        self.buffer.insert(&VideoPacket { sequence, timestamp, marker, payload, arrival: now });
        let Eye { buffer, decoder, paintings, tiles, size, newest, seen, clock } = self;
        let mut broken = false;
        while let Some(frame) = buffer.next(now, |_| Time::ZERO) {
            match decoder.decode(frame.unit) {
                Ok(Some(picture)) => {
                    let Ok(mut seen) = seen.lock() else { return };
                    seen.look(&picture, (tiles, *size), newest, paintings, clock());
                    seen.decoding += clock().saturating_sub(now.nanos()) / 1000;
                }
                Ok(None) => {}
                Err(_) => broken = true,
            }
            if broken {
                break;
            }
        }
        if broken {
            buffer.broken();
        }
    }
}

impl Seen {
    fn look(
        &mut self,
        picture: &I420<'_>,
        (tiles, size): (&[Rect], (usize, usize)),
        newest: &mut [Option<Mark>],
        paintings: &[Arc<Painting>],
        now: u64,
    ) {
        self.pictures += 1;
        self.size = (picture.width(), picture.height());
        let scaled = |r: &Rect| Rect {
            x: r.x * picture.width() / size.0,
            y: r.y * picture.height() / size.1,
            width: r.width * picture.width() / size.0,
            height: r.height * picture.height() / size.1,
        };
        for (at, (tile, last)) in tiles.iter().zip(newest).enumerate() {
            let Some(mark) = Mark::read(picture, scaled(tile)) else {
                self.unread += 1;
                continue;
            };
            if last.replace(mark) == Some(mark) {
                continue;
            }
            let Some(sent) = paintings.iter().find_map(|painting| painting.sent(mark)) else { continue };
            let of = if at == 0 { &mut self.large } else { &mut self.small };
            of.saturating_record((now.saturating_sub(sent) / 1000).max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::painted::Player;

    /// The test's clock: what a mark is compared with.
    fn clock() -> u64 {
        90_000_000
    }

    #[test]
    fn a_frame_counts_once_by_its_age_when_it_is_first_seen() {
        let painting = Arc::new(Painting::marked(4, 5, &[((320, 180), 300)]).unwrap());
        let whole = Rect { x: 0, y: 0, width: 320, height: 180 };
        let eye = Eye::new(std::slice::from_ref(&painting), vec![whole, whole], (320, 180), clock).unwrap();
        let seen = eye.seen();
        let mut watch = eye.watch();
        let mut player = Player::new(400, 0);
        let mut sequence = 0;
        for frame in 0..10_u32 {
            painting.note(0, frame as usize, 50_000_000);
            let payloads = player.frame(&painting.reels[0], false);
            let last = payloads.len() - 1;
            for (part, payload) in payloads.iter().enumerate() {
                let header = rtp::Header { sequence, timestamp: frame * 18_000, marker: part == last, ..parsed() };
                watch(Time(80_000_000), &header, payload);
                sequence += 1;
            }
        }
        let seen = seen.lock().unwrap().clone();
        assert_eq!((seen.pictures, seen.size, seen.unread), (10, (320, 180), 0));
        assert_eq!((seen.large.len(), seen.small.len()), (10, 10));
        assert!(seen.large.min() >= 39_900 && seen.large.max() <= 40_100, "{} us", seen.large.max());
    }

    /// Any header.
    fn parsed() -> rtp::Header {
        let mut bytes = [0; rtp::FIXED_LEN];
        rtp::write_header(&mut bytes, &rtp::Fields::default()).unwrap();
        rtp::parse(&bytes).unwrap()
    }
}
