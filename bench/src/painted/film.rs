//! Pictures that somebody else encoded: IVF files of VP8 and AV1, played as a loop.
//!
//! A loop begins with its first frame, which must be a key frame. Frames of AV1 keep the temporal layers that their OBUs name, up to three. What is cut
//! off at the end of a file is left out.

use super::Reel;
use plenum_engines::VideoCodec;
use std::path::Path;

/// Bytes of the file's and of a frame's header.
const FILE: usize = 32;
const FRAME: usize = 12;
/// Largest file that is read, in bytes.
const MOST: u64 = 64 << 20;
/// OBU types (AV1 specification 6.2.2): sequence header, frame header, frame.
const SEQUENCE: u8 = 1;
const FRAMES: [u8; 2] = [3, 6];

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Film {
    /// What it shows.
    pub reel: Reel,
    /// Frames a second, 1 to 120.
    pub fps: u8,
}

impl Film {
    /// Reads a file.
    ///
    /// # Errors
    /// Why it cannot be played.
    pub fn read(path: &Path) -> Result<Film, String> {
        let told = |why: String| format!("{}: {why}", path.display());
        let size = std::fs::metadata(path).map_err(|e| told(e.to_string()))?.len();
        if size > MOST {
            return Err(told(format!("longer than {MOST} bytes")));
        }
        let bytes = std::fs::read(path).map_err(|e| told(e.to_string()))?;
        Film::of(&bytes).map_err(|why| told(why.into()))
    }

    fn of(bytes: &[u8]) -> Result<Film, &'static str> {
        let units = frames(bytes).ok_or("no IVF file")?;
        let codec = match &bytes[8..12] {
            b"AV01" => VideoCodec::Av1,
            b"VP80" => VideoCodec::Vp8,
            _ => return Err("neither VP8 nor AV1"),
        };
        let side = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let fps = number(16).checked_div(number(20)).unwrap_or(0).clamp(1, 120) as u8;
        let reel = Reel { codec, size: (side(12), side(14)), units };
        if reel.units.is_empty() || !reel.is_key(0) {
            return Err("it does not begin with a key frame");
        }
        Ok(Film { reel, fps })
    }

    /// Kilobits a second.
    pub fn kbps(&self) -> u64 {
        let bytes: usize = self.reel.units.iter().map(Vec::len).sum();
        (bytes as u64 * 8 * u64::from(self.fps) / self.reel.units.len().max(1) as u64 / 1000).max(1)
    }
}

impl Reel {
    /// Whether a decoder can begin with this frame.
    pub(super) fn is_key(&self, at: usize) -> bool {
        match self.codec {
            VideoCodec::Av1 => obus(&self.units[at]).any(|(kind, _)| kind == SEQUENCE),
            VideoCodec::Vp9 | VideoCodec::H264 => at == 0,
            VideoCodec::Vp8 => self.units[at].first().is_some_and(|first| first & 1 == 0),
        }
    }

    /// Temporal layers, 1 to 3.
    pub fn temporal_layers(&self) -> u8 {
        let layer = |unit: &Vec<u8>| obus(unit).filter(|(kind, _)| FRAMES.contains(kind)).map(|(_, layer)| layer).max();
        match self.codec {
            VideoCodec::Av1 => self.units.iter().filter_map(layer).max().unwrap_or(0).min(2) + 1,
            _ => 1,
        }
    }
}

/// The frames of an IVF file.
pub(crate) fn frames(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = bytes.get(FILE..).filter(|_| bytes.starts_with(b"DKIF"))?;
    let mut frames = Vec::new();
    while let Some((size, more)) = rest.split_at_checked(FRAME) {
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        let Some((frame, more)) = more.split_at_checked(size) else { break };
        frames.push(frame.to_vec());
        rest = more;
    }
    Some(frames)
}

/// Type and temporal layer of the OBUs of a temporal unit, each of which has its size; ends where that is not so.
fn obus(mut unit: &[u8]) -> impl Iterator<Item = (u8, u8)> {
    std::iter::from_fn(move || {
        let (&head, mut rest) = unit.split_first()?;
        let mut layer = 0;
        if head & 0x04 != 0 {
            let (&extension, more) = rest.split_first()?;
            (layer, rest) = (extension >> 5, more);
        }
        let bytes = rest.iter().take(4).position(|byte| byte & 0x80 == 0).filter(|_| head & 0x02 != 0)? + 1;
        let size = (0..bytes).fold(0, |size, at| size | usize::from(rest[at] & 0x7f) << (7 * at));
        unit = rest.get(bytes + size..)?;
        Some((head >> 3 & 15, layer))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::painted::Player;
    use plenum_engines::{Limits, video_decoder};
    use plenum_wire::payload::{Codec, unpack::Unpacker};

    const AV1: &[u8] = include_bytes!("../../../codecs/engines/tests/vectors/av1.ivf");

    #[test]
    fn frames_are_read_and_what_is_cut_off_is_left_out() {
        let mut file = [b"DKIF".to_vec(), vec![0; FILE - 4]].concat();
        for frame in [&[1, 2, 3][..], &[4]] {
            file.extend((frame.len() as u32).to_le_bytes());
            file.extend([0; 8]);
            file.extend(frame);
        }
        assert_eq!(frames(&file), Some(vec![vec![1, 2, 3], vec![4]]));
        assert_eq!(frames(&file[..file.len() - 1]), Some(vec![vec![1, 2, 3]]));
        assert_eq!(frames(b"RIFF"), None);
        assert_eq!(Film::of(&file).err(), Some("neither VP8 nor AV1"));
    }

    #[test]
    fn a_film_in_av1_is_a_loop_that_a_decoder_follows() {
        let film = Film::of(AV1).unwrap();
        let reel = &film.reel;
        assert_eq!((reel.size, film.fps, reel.units.len(), reel.temporal_layers()), ((96, 64), 30, 10, 1));
        assert!(film.kbps() > 10 && reel.is_key(0) && !reel.is_key(1));
        let mut player = Player::of(reel.codec, 300, 0).unwrap();
        let mut decoder = video_decoder(VideoCodec::Av1, Limits::default()).unwrap();
        for frame in 0..25 {
            let (mut unpacker, mut unit) = (Unpacker::new(Codec::Av1).unwrap(), Vec::new());
            unpacker.begin(&mut unit);
            // Somebody comes late.
            let payloads = player.frame(reel, frame == 14);
            payloads.iter().for_each(|payload| unpacker.push(payload, &mut unit).unwrap());
            assert_eq!(payloads[0][0] & 0x08 != 0, [0, 10, 14, 24].contains(&frame), "frame {frame}");
            let picture = decoder.decode(&unit).unwrap().expect("a picture");
            assert_eq!((picture.width(), picture.height()), (96, 64));
        }
        let headless = [&AV1[..FILE], &AV1[FILE + FRAME + reel.units[0].len()..]].concat();
        assert_eq!(Film::of(&headless).err(), Some("it does not begin with a key frame"));
        assert_eq!(Film::of(&AV1[..FILE]).err(), Some("it does not begin with a key frame"));
    }

    #[test]
    fn layers_are_told_by_the_extension_of_frames() {
        let unit = |layer: u8| vec![0x12, 0, 0x36, layer << 5, 1, 7];
        let reel = |layers: &[u8]| Reel {
            codec: VideoCodec::Av1,
            size: (2, 2),
            units: layers.iter().map(|l| unit(*l)).collect(),
        };
        assert_eq!([&[0, 0][..], &[0, 1], &[0, 2, 1]].map(|layers| reel(layers).temporal_layers()), [1, 2, 3]);
        assert_eq!(obus(&[0x32, 0xff, 0xff, 0xff, 0xff]).count() + obus(&[0x30, 1]).count(), 0);
    }
}
