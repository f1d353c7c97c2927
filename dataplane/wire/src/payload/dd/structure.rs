//! The template structure of a dependency descriptor, and a frame's definition read with it.
//!
//! Every list has a limit that follows from the format or, where the format has none, from what encoders send.

use super::{Dti, Dtis, Fdiffs, Frame, Mandatory};
use crate::Malformed;
use crate::bits::BitReader;

/// Most templates: their ids have six bits.
pub const MAX_TEMPLATES: usize = 64;
/// Most decode targets: the count has five bits.
pub const MAX_DECODE_TARGETS: usize = 32;
/// Most chains: at most one for each decode target.
pub const MAX_CHAINS: usize = 32;
/// Most references of a frame. AV1 has 7 reference slots; the format has no limit. More are refused.
pub const MAX_FDIFFS: usize = 8;
/// Most spatial layers (appendix A.8.3). More are refused.
pub const MAX_SPATIAL: u8 = 4;
/// Most temporal layers (appendix A.8.3). More are refused.
pub const MAX_TEMPORAL: u8 = 8;

/// What most frames of a stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Template {
    pub(super) spatial: u8,
    pub(super) temporal: u8,
    pub(super) dtis: Dtis,
    pub(super) fdiffs: Fdiffs,
    /// Four bits for each chain.
    pub(super) chain_fdiffs: u128,
}

/// A template structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    pub(super) id_offset: u8,
    pub(super) count: u8,
    pub(super) decode_targets: u8,
    pub(super) chains: u8,
    pub(super) templates: [Template; MAX_TEMPLATES],
    /// Highest (spatial, temporal) layer of each decode target.
    target_layers: [(u8, u8); MAX_DECODE_TARGETS],
    /// Which chain protects each decode target.
    pub(super) protected_by: [u8; MAX_DECODE_TARGETS],
    pub(super) resolutions: Option<[(u16, u16); MAX_SPATIAL as usize]>,
}

impl Structure {
    /// Number of decode targets.
    pub fn decode_targets(&self) -> u8 {
        self.decode_targets
    }

    /// Highest spatial and temporal layer of a decode target.
    pub fn target_layer(&self, target: u8) -> Option<(u8, u8)> {
        (target < self.decode_targets).then(|| self.target_layers[usize::from(target)])
    }

    /// The chain that protects a decode target, where there are chains.
    pub fn protected_by(&self, target: u8) -> Option<u8> {
        (target < self.decode_targets && self.chains > 0).then(|| self.protected_by[usize::from(target)])
    }

    /// Width and height of a spatial layer, where the structure tells them.
    pub fn dimensions(&self, spatial: u8) -> Option<(u16, u16)> {
        let size = *self.resolutions?.get(usize::from(spatial))?;
        (size.0 > 0).then_some(size)
    }

    /// One without templates.
    pub(super) fn empty(id_offset: u8, decode_targets: u8) -> Structure {
        Structure {
            id_offset,
            count: 0,
            decode_targets,
            chains: 0,
            templates: [Template::default(); MAX_TEMPLATES],
            target_layers: [(0, 0); MAX_DECODE_TARGETS],
            protected_by: [0; MAX_DECODE_TARGETS],
            resolutions: None,
        }
    }

    /// `template_dependency_structure()` (A.8.2).
    pub(super) fn parse(r: &mut BitReader<'_>) -> Result<Structure, Malformed> {
        let id_offset = r.bits(6)? as u8;
        let decode_targets = r.bits(5)? as u8 + 1;
        let mut s = Structure::empty(id_offset, decode_targets);
        s.read_layers(r)?;
        for t in &mut s.templates[..usize::from(s.count)] {
            t.dtis = Dtis::read(r, decode_targets)?;
        }
        for t in &mut s.templates[..usize::from(s.count)] {
            while r.bit()? {
                t.fdiffs.push(r.bits(4)? + 1)?;
            }
        }
        s.read_chains(r)?;
        s.find_target_layers();
        if r.bit()? {
            s.read_resolutions(r)?;
        }
        Ok(s)
    }

    fn read_layers(&mut self, r: &mut BitReader<'_>) -> Result<(), Malformed> {
        let (mut spatial, mut temporal) = (0, 0);
        loop {
            let place = self.templates.get_mut(usize::from(self.count)).ok_or(Malformed::TooLarge)?;
            (place.spatial, place.temporal) = (spatial, temporal);
            self.count += 1;
            match r.bits(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => return Ok(()),
            }
            if spatial >= MAX_SPATIAL || temporal >= MAX_TEMPORAL {
                return Err(Malformed::TooLarge);
            }
        }
    }

    fn read_chains(&mut self, r: &mut BitReader<'_>) -> Result<(), Malformed> {
        self.chains = r.ns(u32::from(self.decode_targets) + 1)? as u8;
        if self.chains == 0 {
            return Ok(());
        }
        for chain in &mut self.protected_by[..usize::from(self.decode_targets)] {
            *chain = r.ns(u32::from(self.chains))? as u8;
        }
        for t in &mut self.templates[..usize::from(self.count)] {
            for chain in 0..self.chains {
                t.chain_fdiffs |= u128::from(r.bits(4)?) << (4 * chain);
            }
        }
        Ok(())
    }

    /// `decode_target_layers()`: the highest layers among the templates that are part of the target.
    pub(super) fn find_target_layers(&mut self) {
        for target in 0..self.decode_targets {
            let layer = &mut self.target_layers[usize::from(target)];
            for t in &self.templates[..usize::from(self.count)] {
                if t.dtis.get(target) != Dti::NotPresent {
                    *layer = (layer.0.max(t.spatial), layer.1.max(t.temporal));
                }
            }
        }
    }

    fn read_resolutions(&mut self, r: &mut BitReader<'_>) -> Result<(), Malformed> {
        let highest = self.templates[..usize::from(self.count)].iter().map(|t| t.spatial).max().unwrap_or(0);
        let mut sizes = [(0, 0); MAX_SPATIAL as usize];
        for size in &mut sizes[..=usize::from(highest)] {
            let mut side = || r.bits(16).map(|minus_1| (minus_1 as u16).saturating_add(1));
            *size = (side()?, side()?);
        }
        self.resolutions = Some(sizes);
        Ok(())
    }

    /// `frame_dependency_definition()` (A.8.2), with the five flags that stand before it.
    pub(super) fn frame(&self, mandatory: Mandatory, flags: u32, r: &mut BitReader<'_>) -> Result<Frame, Malformed> {
        let has = |bit: u32| flags >> bit & 1 == 1;
        let has_structure = has(4);
        let mut active = has_structure.then_some(u32::MAX >> (32 - u32::from(self.decode_targets)));
        if has(3) {
            active = Some(r.bits(u32::from(self.decode_targets))?);
        }
        let index = (mandatory.template_id + 64 - self.id_offset) % 64;
        if index >= self.count {
            return Err(Malformed::Value);
        }
        let template = &self.templates[usize::from(index)];
        let dtis = if has(2) { Dtis::read(r, self.decode_targets)? } else { template.dtis };
        let fdiffs = if has(1) { read_frame_fdiffs(r)? } else { template.fdiffs };
        let mut chain_fdiffs = [0; MAX_CHAINS];
        for (chain, fdiff) in chain_fdiffs[..usize::from(self.chains)].iter_mut().enumerate() {
            *fdiff = if has(0) { r.bits(8)? as u8 } else { (template.chain_fdiffs >> (4 * chain) & 15) as u8 };
        }
        let own = self.own((template.spatial, template.temporal), dtis);
        Ok(Frame {
            mandatory,
            spatial: template.spatial,
            temporal: template.temporal,
            has_structure,
            decode_targets: self.decode_targets,
            chains: self.chains,
            active_decode_targets: active,
            dimensions: self.dimensions(template.spatial),
            own,
            dtis,
            fdiffs,
            chain_fdiffs,
        })
    }

    /// How a frame of a layer matters to the decode target of that layer.
    pub(super) fn own(&self, layer: (u8, u8), dtis: Dtis) -> Dti {
        let own = (0..self.decode_targets).find(|&t| self.target_layers[usize::from(t)] == layer);
        own.map_or(Dti::NotPresent, |t| dtis.get(t))
    }
}

fn read_frame_fdiffs(r: &mut BitReader<'_>) -> Result<Fdiffs, Malformed> {
    let mut fdiffs = Fdiffs::default();
    loop {
        match r.bits(2)? {
            0 => return Ok(fdiffs),
            size => fdiffs.push(r.bits(4 * size)? + 1)?,
        }
    }
}
