//! Media that can be looked at and listened to: encoded once, sent over and over.
//!
//! A [`Reel`] is a loop of VP8 frames that begins with a key frame; whoever asks for a key frame is given the loop's beginning. A [`Tape`]
//! is a second of a tone and a second of silence in Opus. [`Painting`] is what one publisher of the swarm shows and says: its own colour
//! with its number, in every simulcast size, and its own tone; or a [`Film`] that somebody else encoded, and its tone. Its frames may bear a
//! [`Mark`] each; when each was sent is noted beside it, so that whoever sees one knows how old it is. Nothing is encoded while media runs.

pub(crate) mod film;
mod mark;
mod paint;

pub use film::Film;
pub use mark::Mark;
pub use paint::{COLOURS, colour, paint, rgb};

use plenum_engines::{AudioCodec, AudioSettings, EncoderSettings, VideoCodec, audio_encoder, video_encoder};
use plenum_kernels::{I420Buf, I420Mut};
use plenum_wire::payload::{
    Codec,
    pack::{FrameTags, Packer},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds of a painted loop, and of one whose frames bear marks: no mark comes again while its former showing is still on its way.
const LOOP: usize = 2;
const MARKED: usize = 4;
/// Packets of 20 ms in a second.
const SECOND: usize = 50;
/// Amplitude of a tone.
const AMPLITUDE: f64 = 8000.0;

/// A loop of encoded pictures.
#[derive(Clone, Debug)]
pub struct Reel {
    codec: VideoCodec,
    size: (u16, u16),
    units: Vec<Vec<u8>>,
}

impl Reel {
    /// Encodes `frames` pictures of `size` in VP8 at `fps` and about `kbps`; `paint` is given each with its number.
    ///
    /// # Errors
    /// What the encoder refuses.
    pub fn encode(
        size: (u16, u16),
        rate: (u8, u64),
        frames: usize,
        paint: impl FnMut(&mut I420Mut<'_>, usize),
    ) -> Result<Reel, String> {
        Reel::encode_in(VideoCodec::Vp8, size, rate, frames, paint)
    }

    /// The same in another codec.
    ///
    /// # Errors
    /// What the encoder refuses.
    pub fn encode_in(
        codec: VideoCodec,
        size: (u16, u16),
        (fps, kbps): (u8, u64),
        frames: usize,
        mut paint: impl FnMut(&mut I420Mut<'_>, usize),
    ) -> Result<Reel, String> {
        let (width, height) = (usize::from(size.0), usize::from(size.1));
        let bitrate = u32::try_from(kbps * 1000).unwrap_or(u32::MAX);
        // A frame that is left out would leave a hole in the loop.
        let settings =
            EncoderSettings { may_drop: false, ..EncoderSettings::new(width, height, u32::from(fps), bitrate) };
        let mut encoder = video_encoder(codec, &settings).map_err(|e| e.to_string())?;
        let mut picture = I420Buf::new(width, height).map_err(|e| e.to_string())?;
        let mut units = Vec::with_capacity(frames);
        for frame in 0..frames.max(1) {
            paint(&mut picture.view_mut(), frame);
            let (mut unit, timestamp) = (Vec::new(), frame * 90_000 / usize::from(fps.max(1)));
            encoder.encode(&picture.view(), timestamp as u32, frame == 0, &mut unit).map_err(|e| e.to_string())?;
            if !unit.is_empty() {
                units.push(unit);
            }
        }
        if units.is_empty() { Err("the encoder made nothing".into()) } else { Ok(Reel { codec, size, units }) }
    }

    /// The codec.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// The frames, the first of which is a key frame.
    pub fn units(&self) -> &[Vec<u8>] {
        &self.units
    }
}

/// Where somebody is in a [`Reel`].
#[derive(Debug)]
pub struct Player {
    packer: Packer,
    next: usize,
    last: usize,
}

impl Player {
    /// At the beginning of a loop of VP8; payloads are of at most `most` bytes.
    pub fn new(most: usize, picture_id: u16) -> Player {
        // VP8 is always packed.
        Player::of(VideoCodec::Vp8, most, picture_id).expect("a packer of VP8")
    }

    /// The same of another codec; `None` if it were not packed.
    pub fn of(codec: VideoCodec, most: usize, picture_id: u16) -> Option<Player> {
        let format = match codec {
            VideoCodec::Vp8 => Codec::Vp8,
            VideoCodec::Vp9 => Codec::Vp9,
            VideoCodec::H264 => Codec::H264,
            VideoCodec::Av1 => Codec::Av1,
        };
        Some(Player { packer: Packer::new(format, most, picture_id)?, next: 0, last: 0 })
    }

    /// The payloads of the next frame; of the first one with `key`.
    pub fn frame(&mut self, reel: &Reel, key: bool) -> Vec<Vec<u8>> {
        let at = if key { 0 } else { self.next % reel.units.len() };
        (self.next, self.last) = (at + 1, at);
        let tags = FrameTags { key: reel.is_key(at), size: reel.size, ..FrameTags::default() };
        let mut payloads = Vec::new();
        let packed = self.packer.pack(&reel.units[at], tags, &mut |piece| {
            payloads.push([piece.head, piece.body].concat());
        });
        debug_assert!(packed.is_ok(), "a reel has no empty frame");
        payloads
    }

    /// The number of the frame that was given last.
    pub fn last(&self) -> usize {
        self.last
    }
}

/// A second of a tone and one of silence, in packets of 20 ms.
#[derive(Debug)]
pub struct Tape {
    tone: Vec<Vec<u8>>,
    silence: Vec<Vec<u8>>,
}

impl Tape {
    /// Encodes a tone of `hz`, a whole number so that the second can be repeated without a click.
    ///
    /// # Errors
    /// What the encoder refuses.
    pub fn encode(hz: u32) -> Result<Tape, String> {
        Tape::of(|sample| {
            let cycles = (sample as f64 * f64::from(hz) / 48_000.0).fract();
            ((cycles * std::f64::consts::TAU).sin() * AMPLITUDE) as i16
        })
    }

    /// Encodes a second of sound in Opus: `sample` is given the number of each sample at 48 kHz, and comes again after a second.
    ///
    /// # Errors
    /// What the encoder refuses.
    pub fn of(sample: impl Fn(usize) -> i16) -> Result<Tape, String> {
        Tape::of_codec(AudioCodec::Opus, sample)
    }

    /// The same in another codec.
    ///
    /// # Errors
    /// What the encoder refuses.
    pub fn of_codec(codec: AudioCodec, sample: impl Fn(usize) -> i16) -> Result<Tape, String> {
        Ok(Tape { tone: second(codec, sample)?, silence: second(codec, |_| 0)? })
    }

    /// The packet number `tick` of somebody who speaks, or is silent.
    pub fn packet(&self, tick: u64, speaking: bool) -> &[u8] {
        let packets = if speaking { &self.tone } else { &self.silence };
        &packets[(tick % packets.len() as u64) as usize]
    }
}

/// A second of sound: the encoder's second one, which follows a second of the same.
fn second(codec: AudioCodec, sample: impl Fn(usize) -> i16) -> Result<Vec<Vec<u8>>, String> {
    let mut encoder = audio_encoder(codec, &AudioSettings::default()).map_err(|e| e.to_string())?;
    let (len, every) = (encoder.frame(), 48_000 / encoder.rate().hz() as usize);
    let mut packets = Vec::with_capacity(2 * SECOND);
    for packet in 0..2 * SECOND {
        let pcm: Vec<i16> = (0..len).map(|i| sample((packet * len + i) * every)).collect();
        let mut payload = Vec::new();
        encoder.encode(&pcm, &mut payload).map_err(|e| e.to_string())?;
        packets.push(payload);
    }
    Ok(packets.split_off(SECOND))
}

/// What one publisher shows and says.
#[derive(Debug)]
pub struct Painting {
    /// Whose, counted from 1.
    pub number: usize,
    /// A reel for each simulcast encoding, smallest first.
    pub reels: Vec<Reel>,
    /// The tone of [`tone`].
    pub tape: Tape,
    /// When each frame of each reel was sent last, in nanoseconds; empty where frames bear no marks.
    sent: Vec<Vec<AtomicU64>>,
}

impl Painting {
    /// Encodes all that publisher `number` sends: `encodings` are size and kilobits a second.
    ///
    /// # Errors
    /// What an encoder refuses.
    pub fn encode(number: usize, fps: u8, encodings: &[((u16, u16), u64)]) -> Result<Painting, String> {
        let frames = LOOP * usize::from(fps.max(1));
        let reel = |&(size, kbps): &((u16, u16), u64)| {
            Reel::encode(size, (fps, kbps), frames, |picture, frame| paint(picture, number, frame))
        };
        let reels = encodings.iter().map(reel).collect::<Result<_, _>>()?;
        Ok(Painting { number, reels, tape: Tape::encode(tone(number))?, sent: Vec::new() })
    }

    /// The same with a [`Mark`] on each frame; publishers 1 to 15, four encodings at most.
    ///
    /// # Errors
    /// What an encoder refuses.
    pub fn marked(number: usize, fps: u8, encodings: &[((u16, u16), u64)]) -> Result<Painting, String> {
        let frames = (MARKED * usize::from(fps.max(1))).min(mark::FRAMES);
        let reel = |(encoding, &(size, kbps)): (usize, &((u16, u16), u64))| {
            Reel::encode(size, (fps, kbps), frames, |picture, frame| {
                paint(picture, number, frame);
                Mark { number, encoding, frame }.draw(picture);
            })
        };
        let reels = encodings.iter().enumerate().map(reel).collect::<Result<Vec<_>, _>>()?;
        let sent = reels.iter().map(|reel| reel.units.iter().map(|_| AtomicU64::new(0)).collect()).collect();
        Ok(Painting { number, reels, tape: Tape::encode(tone(number))?, sent })
    }

    /// A film, and the tone of publisher `number`.
    ///
    /// # Errors
    /// What the encoder of sound refuses.
    pub fn film(number: usize, film: &Film) -> Result<Painting, String> {
        Ok(Painting { number, reels: vec![film.reel.clone()], tape: Tape::encode(tone(number))?, sent: Vec::new() })
    }

    /// A frame of an encoding is sent at `now`, in nanoseconds.
    pub(crate) fn note(&self, encoding: usize, frame: usize, now: u64) {
        if let Some(sent) = self.sent.get(encoding).and_then(|sent| sent.get(frame)) {
            sent.store(now, Ordering::Relaxed);
        }
    }

    /// When the frame that bears this mark was sent last, in nanoseconds; `None` when it never was, or another publisher's.
    pub fn sent(&self, mark: Mark) -> Option<u64> {
        let sent = self.sent.get(mark.encoding)?.get(mark.frame).filter(|_| mark.number == self.number)?;
        Some(sent.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }
}

/// The tone of publisher `number`, counted from 1, in Hz: they are 110 Hz apart, and come again after 40.
pub fn tone(number: usize) -> u32 {
    330 + 110 * (number.saturating_sub(1) % 40) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_engines::{Limits, audio_decoder, video_decoder};
    use plenum_kernels::Rect;
    use plenum_wire::payload::unpack::Unpacker;
    use plenum_wire::payload::vp8::Descriptor;

    /// The pixels of a decoded picture at a tenth of its width and height, and in its middle.
    type Seen = ((u8, u8, u8), (u8, u8, u8));

    fn look(player: &mut Player, reel: &Reel, decoder: &mut dyn plenum_engines::VideoDecoder, key: bool) -> Seen {
        let (mut unpacker, mut unit) = (Unpacker::new(Codec::Vp8).unwrap(), Vec::new());
        unpacker.begin(&mut unit);
        for payload in player.frame(reel, key) {
            assert!(payload.len() <= 300);
            unpacker.push(&payload, &mut unit).unwrap();
        }
        unpacker.finish(&unit).unwrap();
        let picture = decoder.decode(&unit).unwrap().expect("a picture");
        assert_eq!((picture.width(), picture.height()), (usize::from(reel.size.0), usize::from(reel.size.1)));
        let at = |x: usize, y: usize| (picture.y.row(y)[x], picture.u.row(y / 2)[x / 2], picture.v.row(y / 2)[x / 2]);
        let (width, height) = (picture.width(), picture.height());
        (at(width / 10, height / 10), at(width / 2, height / 2))
    }

    fn near(seen: (u8, u8, u8), number: usize) -> bool {
        let wanted = colour(number);
        [(seen.0, wanted.y), (seen.1, wanted.u), (seen.2, wanted.v)].iter().all(|(a, b)| a.abs_diff(*b) < 12)
    }

    #[test]
    fn what_a_publisher_shows_decodes_to_its_colour_with_its_number_in_every_size() {
        let painting = Painting::encode(8, 15, &[((80, 46), 60), ((160, 90), 150)]).unwrap();
        for reel in &painting.reels {
            let mut player = Player::new(300, 7);
            let mut decoder = video_decoder(VideoCodec::Vp8, Limits::default()).unwrap();
            // Longer than the loop.
            for frame in 0..40 {
                let (corner, middle) = look(&mut player, reel, &mut *decoder, false);
                assert!(near(corner, 8), "frame {frame}: {corner:?}");
                assert!(!near(corner, 1), "another publisher's colour");
                // An eight is drawn in its middle.
                assert!(!near(middle, 8), "frame {frame}: {middle:?}");
            }
        }
    }

    #[test]
    fn a_key_frame_is_there_at_once_and_a_new_receiver_goes_on_from_it() {
        let painting = Painting::encode(3, 15, &[((160, 90), 150)]).unwrap();
        let reel = &painting.reels[0];
        let mut player = Player::new(300, 0);
        let mut ids = Vec::new();
        for frame in 0..9 {
            let payloads = player.frame(reel, frame == 5);
            let first = Descriptor::parse(&payloads[0]).unwrap();
            assert_eq!(first.is_key_frame(&payloads[0]), frame == 0 || frame == 5, "frame {frame}");
            ids.push(first.picture_id.unwrap().value);
        }
        assert!(ids.windows(2).all(|w| w[1] == w[0] + 1), "ids go on: {ids:?}");
        let mut late = video_decoder(VideoCodec::Vp8, Limits::default()).unwrap();
        assert!(near(look(&mut player, reel, &mut *late, true).0, 3));
        assert!(near(look(&mut player, reel, &mut *late, false).0, 3));
    }

    #[test]
    fn a_marked_frame_is_known_again_and_so_is_when_it_was_sent() {
        let painting = Painting::marked(2, 15, &[((160, 90), 150), ((320, 180), 300)]).unwrap();
        for (encoding, reel) in painting.reels.iter().enumerate() {
            let mut decoder = video_decoder(VideoCodec::Vp8, Limits::default()).unwrap();
            let whole = Rect { x: 0, y: 0, width: usize::from(reel.size.0), height: usize::from(reel.size.1) };
            for (frame, unit) in reel.units.iter().enumerate() {
                let picture = decoder.decode(unit).unwrap().expect("a picture");
                assert_eq!(Mark::read(&picture, whole), Some(Mark { number: 2, encoding, frame }));
            }
        }
        let mark = Mark { number: 2, encoding: 1, frame: 59 };
        assert_eq!(painting.sent(mark), None);
        painting.note(1, 59, 1_000);
        painting.note(7, 59, 2_000);
        assert_eq!((painting.sent(mark), painting.sent(Mark { number: 3, ..mark })), (Some(1_000), None));
    }

    /// Amplitude of a tone in sound at 48 kHz.
    fn amplitude(pcm: &[i16], hz: u32) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, sample) in pcm.iter().enumerate() {
            let phase = (i as f64 * f64::from(hz) / 48_000.0).fract() * std::f64::consts::TAU;
            re += f64::from(*sample) * phase.cos();
            im += f64::from(*sample) * phase.sin();
        }
        (re * re + im * im).sqrt() * 2.0 / pcm.len() as f64
    }

    #[test]
    fn what_a_publisher_says_decodes_to_its_tone_and_to_nothing_when_it_is_silent() {
        let tape = Tape::encode(tone(4)).unwrap();
        let hear = |speaking| {
            let mut decoder = audio_decoder(AudioCodec::Opus).unwrap();
            let mut heard = Vec::new();
            let mut pcm = vec![0; 5760];
            // Across the seam of the loop.
            for tick in 20..120 {
                let len = decoder.decode(tape.packet(tick, speaking), &mut pcm).unwrap();
                assert_eq!(len, 960);
                heard.extend_from_slice(&pcm[..len]);
            }
            heard.split_off(48_000)
        };
        let spoken = hear(true);
        assert!(amplitude(&spoken, tone(4)) > 0.7 * AMPLITUDE, "{}", amplitude(&spoken, tone(4)));
        for other in [1, 2, 3, 5, 6, 9] {
            assert!(amplitude(&spoken, tone(other)) < 0.1 * AMPLITUDE, "{other}");
        }
        assert!(hear(false).iter().all(|sample| sample.abs() < 200));
    }
}
