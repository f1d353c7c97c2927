//! Dependency descriptor (AV1 RTP payload format, appendix A): layers and references of a frame, whatever its codec.
//!
//! A descriptor refers to a template structure that came with the last key frame, so [`Parser`] keeps one per encoding;
//! its size is fixed (about 3 KiB). A structure replaces the kept one only when it was read as a whole and is newer. What is read
//! can be written ([`Frame::write`]); a [`Describer`] makes the descriptors of a stream of our own.

mod describe;
mod structure;
#[cfg(test)]
mod tests;
mod write;

pub use describe::{Describer, MAX_LEN};
pub use structure::{MAX_CHAINS, MAX_DECODE_TARGETS, MAX_FDIFFS, MAX_SPATIAL, MAX_TEMPLATES, MAX_TEMPORAL, Structure};

use super::FrameInfo;
use crate::bits::BitReader;
use crate::bytes::{u8_at, u16_at};
use crate::{Malformed, seq};

/// How a frame matters to a decode target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Dti {
    /// Not part of the decode target.
    #[default]
    NotPresent,
    /// Part of it, and no later frame of it refers to this one.
    Discardable,
    /// Once this frame is decoded, all later frames of the target are decodable.
    Switch,
    /// Part of it, and later frames may refer to it.
    Required,
}

impl Dti {
    const fn from_bits(bits: u64) -> Dti {
        match bits & 3 {
            0 => Dti::NotPresent,
            1 => Dti::Discardable,
            2 => Dti::Switch,
            _ => Dti::Required,
        }
    }
}

/// Decode target indications, two bits for each target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Dtis(u64);

impl Dtis {
    fn read(r: &mut BitReader<'_>, targets: u8) -> Result<Dtis, Malformed> {
        let mut dtis = 0;
        for target in 0..targets {
            dtis |= u64::from(r.bits(2)?) << (2 * target);
        }
        Ok(Dtis(dtis))
    }

    /// Those of a list, for the targets in order.
    fn of(list: &[Dti]) -> Dtis {
        Dtis(list.iter().enumerate().fold(0, |bits, (target, dti)| bits | (*dti as u64) << (2 * target)))
    }

    fn get(self, target: u8) -> Dti {
        if target < 32 { Dti::from_bits(self.0 >> (2 * target)) } else { Dti::NotPresent }
    }
}

/// Frame number differences to the frames that a frame refers to, at most [`MAX_FDIFFS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Fdiffs {
    count: u8,
    values: [u16; MAX_FDIFFS],
}

impl Fdiffs {
    fn push(&mut self, fdiff: u32) -> Result<(), Malformed> {
        *self.values.get_mut(usize::from(self.count)).ok_or(Malformed::TooLarge)? = fdiff as u16;
        self.count += 1;
        Ok(())
    }

    fn as_slice(&self) -> &[u16] {
        &self.values[..usize::from(self.count)]
    }
}

/// What stands in the first three bytes, readable without state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mandatory {
    /// First packet of the frame.
    pub start_of_frame: bool,
    /// Last packet of the frame.
    pub end_of_frame: bool,
    /// Id of the frame's template.
    pub template_id: u8,
    /// Number of the frame, in decoding order; wraps.
    pub frame_number: u16,
}

impl Mandatory {
    /// Reads the mandatory fields.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] below three bytes.
    pub fn parse(descriptor: &[u8]) -> Result<Mandatory, Malformed> {
        let first = u8_at(descriptor, 0)?;
        Ok(Mandatory {
            start_of_frame: first & 0x80 != 0,
            end_of_frame: first & 0x40 != 0,
            template_id: first & 0x3f,
            frame_number: u16_at(descriptor, 1)?,
        })
    }
}

/// Writes the frame number of a descriptor; one that is too short stays as it is.
pub fn set_frame_number(descriptor: &mut [u8], frame_number: u16) {
    if let Some(place) = descriptor.get_mut(1..3) {
        place.copy_from_slice(&frame_number.to_be_bytes());
    }
}

/// A descriptor with its template filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The mandatory fields.
    pub mandatory: Mandatory,
    /// Spatial layer of the frame, below [`MAX_SPATIAL`].
    pub spatial: u8,
    /// Temporal layer of the frame, below [`MAX_TEMPORAL`].
    pub temporal: u8,
    /// Whether a template structure came with it: with the first packet of a key frame.
    pub has_structure: bool,
    /// Number of decode targets, at most [`MAX_DECODE_TARGETS`].
    pub decode_targets: u8,
    /// Number of chains, at most [`MAX_CHAINS`].
    pub chains: u8,
    /// Bit mask of the decode targets that are produced, where this packet says so.
    pub active_decode_targets: Option<u32>,
    /// Width and height of this spatial layer, where the structure tells them.
    pub dimensions: Option<(u16, u16)>,
    /// How the frame matters to the decode target of its own layer.
    pub own: Dti,
    dtis: Dtis,
    fdiffs: Fdiffs,
    chain_fdiffs: [u8; MAX_CHAINS],
}

impl Frame {
    /// How the frame matters to a decode target.
    pub fn dti(&self, target: u8) -> Dti {
        self.dtis.get(target)
    }

    /// Frame number differences to the frames it refers to, each at least 1.
    pub fn fdiffs(&self) -> &[u16] {
        self.fdiffs.as_slice()
    }

    /// Frame number difference to the frame before it in each chain; 0 for a chain that starts with it.
    pub fn chain_fdiffs(&self) -> &[u8] {
        &self.chain_fdiffs[..usize::from(self.chains)]
    }

    /// Whether it refers to no other frame and is the base layer of a picture that brings a structure.
    pub fn is_key_frame(&self) -> bool {
        self.has_structure && self.spatial == 0 && self.fdiffs.count == 0
    }

    /// Whether all its references lie in its own picture, so that a receiver of the spatial layer below can go up with
    /// it. Every layer frame of a picture has a number, so references below the spatial layer's index stay inside.
    fn stays_in_picture(&self) -> bool {
        self.fdiffs().iter().all(|&fdiff| fdiff <= u16::from(self.spatial))
    }

    /// Adds what the descriptor knows to what the payload said: frame boundaries, layers, switch points, numbers.
    pub fn amend(&self, info: &mut FrameInfo) {
        info.start_of_frame = self.mandatory.start_of_frame;
        info.end_of_frame = self.mandatory.end_of_frame;
        info.spatial = self.spatial;
        info.temporal = self.temporal;
        info.temporal_sync = self.own == Dti::Switch;
        info.spatial_sync = self.own == Dti::Switch && self.stays_in_picture();
        info.discardable = self.own == Dti::Discardable;
        info.dimensions = self.dimensions.or(info.dimensions);
        info.frame_number = Some(self.mandatory.frame_number);
    }
}

/// A structure is late, and does not replace the kept one, when its frame is at most this many frames older: a key frame
/// that came again or out of order. Beyond it numbers have wrapped or begun anew. Some ten seconds of three layers.
const LATE: u16 = 1024;

/// Reads the descriptors of one stream.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    structure: Option<Structure>,
    /// Number of the frame that brought the structure; follows [`LATE`] behind the newest frame where key frames are rare.
    since: u16,
}

impl Parser {
    /// A parser that knows no structure.
    pub fn new() -> Parser {
        Parser::default()
    }

    /// The structure in force.
    pub fn structure(&self) -> Option<&Structure> {
        self.structure.as_ref()
    }

    /// Reads one descriptor. A structure in it is kept, unless a newer one is.
    ///
    /// # Errors
    /// [`Malformed::MissingState`] before the first structure; [`Malformed::Value`] for a template that the structure
    /// lacks; [`Malformed::TooLarge`] beyond the limits of [`Structure`]. The kept structure then stays.
    pub fn parse(&mut self, descriptor: &[u8]) -> Result<Frame, Malformed> {
        let mandatory = Mandatory::parse(descriptor)?;
        let mut r = BitReader::new(&descriptor[3..]);
        let flags = if descriptor.len() > 3 { r.bits(5)? } else { 0 };
        let has = |bit: u32| flags >> bit & 1 == 1;
        if !has(4) {
            let structure = self.structure.as_ref().ok_or(Malformed::MissingState)?;
            let frame = structure.frame(mandatory, flags, &mut r)?;
            let behind = mandatory.frame_number.wrapping_sub(LATE);
            if seq::newer(behind, self.since) {
                self.since = behind;
            }
            return Ok(frame);
        }
        let structure = Structure::parse(&mut r)?;
        let frame = structure.frame(mandatory, flags, &mut r)?;
        let late = (1..=LATE).contains(&self.since.wrapping_sub(mandatory.frame_number));
        if self.structure.is_none() || !late {
            self.structure = Some(structure);
            self.since = mandatory.frame_number;
        }
        Ok(frame)
    }
}
