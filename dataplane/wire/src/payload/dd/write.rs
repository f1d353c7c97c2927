//! Descriptors as bits: a structure, and a frame by the template that says most of it.
//!
//! What the template does not say follows as custom indications, references and chains. [`super::Parser`] reads the same values again, under the
//! number of the template that was chosen.

use super::{Frame, Structure};
use crate::bits::BitWriter;
use crate::payload::dd::structure::Template;
use crate::{Malformed, NoRoom};

/// Largest difference of frame numbers that a reference can have.
const FARTHEST: u16 = 1 << 12;

/// What of a frame its template does not say.
#[derive(Clone, Copy)]
struct Custom {
    dtis: bool,
    fdiffs: bool,
    chains: bool,
}

impl Custom {
    /// Bits that it takes.
    fn cost(self, frame: &Frame) -> u32 {
        let fdiffs = frame.fdiffs().iter().map(|f| 2 + 4 * size(*f)).sum::<u32>() + 2;
        let (targets, chains) = (u32::from(frame.decode_targets), u32::from(frame.chains));
        u32::from(self.dtis) * 2 * targets + u32::from(self.fdiffs) * fdiffs + u32::from(self.chains) * 8 * chains
    }
}

/// Nibbles of a reference.
fn size(fdiff: u16) -> u32 {
    match fdiff {
        0..=16 => 1,
        17..=256 => 2,
        _ => 3,
    }
}

impl Frame {
    /// Writes the descriptor at the start of `out` and returns its length; the template's number is that of the template of the frame's layer in
    /// `structure` that leaves least to be said. The structure itself is written where [`Frame::has_structure`] is set.
    ///
    /// # Errors
    /// [`Malformed::MissingState`] when the structure has no template of the frame's layer, or other targets and chains than the frame;
    /// [`Malformed::Value`] for a reference that cannot be written (0, or farther than 4096); [`Malformed::TooLarge`] when `out` does not suffice.
    pub fn write(&self, structure: &Structure, out: &mut [u8]) -> Result<usize, Malformed> {
        let (index, custom) = self.template(structure).ok_or(Malformed::MissingState)?;
        if custom.fdiffs && self.fdiffs().iter().any(|f| !(1..=FARTHEST).contains(f)) {
            return Err(Malformed::Value);
        }
        let mut w = BitWriter::new(out);
        self.put(structure, index, custom, &mut w).map_err(|NoRoom| Malformed::TooLarge)?;
        Ok(w.len())
    }

    /// The template of the frame's layer that says most; of two equal ones the frame's own.
    fn template(&self, structure: &Structure) -> Option<(u8, Custom)> {
        if (self.decode_targets, self.chains) != (structure.decode_targets, structure.chains) {
            return None;
        }
        let id = |index: u8| (structure.id_offset + index) % 64;
        let fits = (0..structure.count).filter_map(|index| {
            let t = &structure.templates[usize::from(index)];
            let custom = self.differs(t);
            let other = id(index) != self.mandatory.template_id;
            ((t.spatial, t.temporal) == (self.spatial, self.temporal)).then_some((index, custom, other))
        });
        let best = fits.min_by_key(|(_, custom, other)| (custom.cost(self), *other))?;
        Some((best.0, best.1))
    }

    fn differs(&self, template: &Template) -> Custom {
        let chain = |at: usize| (template.chain_fdiffs >> (4 * at) & 15) as u8;
        Custom {
            dtis: self.dtis != template.dtis,
            fdiffs: self.fdiffs != template.fdiffs,
            chains: self.chain_fdiffs().iter().enumerate().any(|(at, fdiff)| *fdiff != chain(at)),
        }
    }

    fn put(&self, structure: &Structure, index: u8, custom: Custom, w: &mut BitWriter<'_>) -> Result<(), NoRoom> {
        w.bit(self.mandatory.start_of_frame)?;
        w.bit(self.mandatory.end_of_frame)?;
        w.bits(u32::from((structure.id_offset + index) % 64), 6)?;
        w.bits(u32::from(self.mandatory.frame_number), 16)?;
        let targets = u32::from(self.decode_targets);
        let all = u32::MAX >> (32 - targets);
        let active = self.active_decode_targets.filter(|mask| !(self.has_structure && *mask == all));
        let flags = [self.has_structure, active.is_some(), custom.dtis, custom.fdiffs, custom.chains];
        if flags == [false; 5] {
            return Ok(());
        }
        flags.into_iter().try_for_each(|flag| w.bit(flag))?;
        if self.has_structure {
            structure.put(w)?;
        }
        if let Some(mask) = active {
            w.bits(mask, targets)?;
        }
        if custom.dtis {
            (0..self.decode_targets).try_for_each(|t| w.bits(self.dti(t) as u32, 2))?;
        }
        if custom.fdiffs {
            for fdiff in self.fdiffs() {
                let size = size(*fdiff);
                w.bits(size, 2)?;
                w.bits(u32::from(fdiff - 1), 4 * size)?;
            }
            w.bits(0, 2)?;
        }
        if custom.chains {
            self.chain_fdiffs().iter().try_for_each(|fdiff| w.bits(u32::from(*fdiff), 8))?;
        }
        Ok(())
    }
}

impl Structure {
    /// `template_dependency_structure()` (A.8.2).
    fn put(&self, w: &mut BitWriter<'_>) -> Result<(), NoRoom> {
        let templates = &self.templates[..usize::from(self.count)];
        w.bits(u32::from(self.id_offset), 6)?;
        w.bits(u32::from(self.decode_targets) - 1, 5)?;
        for pair in templates.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            w.bits(if a.spatial != b.spatial { 2 } else { u32::from(a.temporal != b.temporal) }, 2)?;
        }
        w.bits(3, 2)?;
        for t in templates {
            (0..self.decode_targets).try_for_each(|target| w.bits(t.dtis.get(target) as u32, 2))?;
        }
        for t in templates {
            t.fdiffs.as_slice().iter().try_for_each(|fdiff| w.bits(0x10 | u32::from(fdiff - 1), 5))?;
            w.bit(false)?;
        }
        self.put_chains(templates, w)?;
        w.bit(self.resolutions.is_some())?;
        let Some(sizes) = self.resolutions else { return Ok(()) };
        let highest = templates.iter().map(|t| t.spatial).max().unwrap_or(0);
        for (width, height) in &sizes[..=usize::from(highest)] {
            w.bits(u32::from(width.saturating_sub(1)), 16)?;
            w.bits(u32::from(height.saturating_sub(1)), 16)?;
        }
        Ok(())
    }

    fn put_chains(&self, templates: &[Template], w: &mut BitWriter<'_>) -> Result<(), NoRoom> {
        w.ns(u32::from(self.chains), u32::from(self.decode_targets) + 1)?;
        if self.chains == 0 {
            return Ok(());
        }
        for chain in &self.protected_by[..usize::from(self.decode_targets)] {
            w.ns(u32::from(*chain), u32::from(self.chains))?;
        }
        for t in templates {
            (0..self.chains).try_for_each(|chain| w.bits((t.chain_fdiffs >> (4 * chain)) as u32 & 15, 4))?;
        }
        Ok(())
    }
}
