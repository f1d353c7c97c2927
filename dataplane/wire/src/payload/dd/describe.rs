//! Descriptors of a stream of our own: one spatial layer with one to three temporal layers, as libwebrtc's L1T1, L1T2 and L1T3 have them.
//!
//! ```text
//! L1T1  0 0 0 0        every frame refers to the base frame before it
//! L1T2  0 1 0 1        a frame of layer 1 refers to the base alone, and nothing refers to it
//! L1T3  0 2 1 2        the second frame of layer 2 refers to that of layer 1
//! ```
//!
//! A frame of an upper layer may refer to lower layers alone; where an encoder leaves a frame out or begins a round again, the references differ from
//! the template's and are told. One chain runs through the base layer and protects all decode targets.

use super::structure::Template;
use super::{Dti, Dtis, Fdiffs, Frame, Mandatory, Structure};
use crate::Malformed;

/// Most bytes of a descriptor of a [`Describer`].
pub const MAX_LEN: usize = 32;
/// Most temporal layers.
const LAYERS: usize = 3;

/// Numbers the frames of a stream and describes them.
#[derive(Clone, Debug)]
pub struct Describer {
    structure: Structure,
    next: u16,
    /// The newest frame of each layer since the last key frame.
    newest: [Option<u16>; LAYERS],
}

impl Describer {
    /// For `layers` temporal layers (1 to 3) of pictures of `size` (width and height in pixels; 0 = not told), whose first frame has the number
    /// `first`. `None` for another number of layers.
    pub fn new(layers: u8, size: (u16, u16), first: u16) -> Option<Describer> {
        use Dti::{Discardable as D, NotPresent as N, Switch as S};
        // Temporal layer, indications, reference, distance to the base frame before it.
        let templates: &[(u8, &[Dti], u16, u128)] = match layers {
            1 => &[(0, &[S], 0, 0), (0, &[S], 1, 1)],
            2 => &[(0, &[S, S], 0, 0), (0, &[S, S], 2, 2), (1, &[N, D], 1, 1)],
            3 => &[
                (0, &[S, S, S], 0, 0),
                (0, &[S, S, S], 4, 4),
                (1, &[N, D, S], 2, 2),
                (2, &[N, N, D], 1, 1),
                (2, &[N, N, D], 1, 3),
            ],
            _ => return None,
        };
        let mut structure = Structure::empty(0, layers);
        (structure.count, structure.chains) = (templates.len() as u8, 1);
        for (place, (temporal, dtis, fdiff, chain)) in structure.templates.iter_mut().zip(templates) {
            let fdiffs = Fdiffs::of(Some(*fdiff).filter(|f| *f > 0));
            *place = Template { spatial: 0, temporal: *temporal, dtis: Dtis::of(dtis), fdiffs, chain_fdiffs: *chain };
        }
        structure.resolutions = (size.0 > 0 && size.1 > 0).then_some([size, (0, 0), (0, 0), (0, 0)]);
        structure.find_target_layers();
        Some(Describer { structure, next: first, newest: [None; LAYERS] })
    }

    /// The next frame: a key frame, or one of a temporal layer. A layer that the stream does not have counts as its highest; a frame without a base
    /// frame before it is described as what it would refer to if it were there.
    pub fn frame(&mut self, key: bool, temporal: u8) -> Frame {
        let number = self.next;
        self.next = number.wrapping_add(1);
        let top = self.structure.decode_targets - 1;
        let temporal = if key { 0 } else { temporal.min(top) };
        if key {
            self.newest = [None; LAYERS];
        }
        let behind = |newest: &Option<u16>| newest.map(|n| number.wrapping_sub(n));
        let below = usize::from(temporal).max(1);
        let nearest = self.newest[..below].iter().filter_map(behind).min();
        let chain = behind(&self.newest[0]).map_or(0, |distance| u8::try_from(distance).unwrap_or(0));
        self.newest[usize::from(temporal)] = Some(number);
        let template = self.structure.templates.iter().find(|t| t.temporal == temporal);
        let dtis = template.map_or(Dtis::default(), |t| t.dtis);
        let mut chain_fdiffs = [0; super::MAX_CHAINS];
        chain_fdiffs[0] = if key { 0 } else { chain };
        Frame {
            mandatory: Mandatory { start_of_frame: true, end_of_frame: true, template_id: 0, frame_number: number },
            spatial: 0,
            temporal,
            has_structure: key,
            decode_targets: self.structure.decode_targets,
            chains: 1,
            active_decode_targets: None,
            dimensions: self.structure.dimensions(0),
            own: self.structure.own((0, temporal), dtis),
            dtis,
            fdiffs: Fdiffs::of(if key { None } else { Some(nearest.unwrap_or(1)) }),
            chain_fdiffs,
        }
    }

    /// Writes the descriptor of the frame's packet that is its `first`, its `last`, both or neither, and returns its length.
    ///
    /// # Errors
    /// As [`Frame::write`]; [`MAX_LEN`] bytes suffice.
    pub fn write(&self, frame: &Frame, (first, last): (bool, bool), out: &mut [u8]) -> Result<usize, Malformed> {
        let mandatory = Mandatory { start_of_frame: first, end_of_frame: last, ..frame.mandatory };
        Frame { mandatory, has_structure: frame.has_structure && first, ..*frame }.write(&self.structure, out)
    }
}

impl Fdiffs {
    /// One reference, or none.
    fn of(fdiff: Option<u16>) -> Fdiffs {
        let mut values = [0; super::MAX_FDIFFS];
        values[0] = fdiff.unwrap_or(0);
        Fdiffs { count: u8::from(fdiff.is_some()), values }
    }
}
