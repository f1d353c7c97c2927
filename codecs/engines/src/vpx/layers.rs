//! VP8's temporal layers: which frame is in which layer, and what it may refer to and replace.
//!
//! ```text
//! 2 layers   0 1 0 1 …       a frame of layer 1 refers to the base alone and is never referred to
//! 3 layers   0 2 1 2 …       layer 1 is kept in the golden buffer; the second 2 of a round refers to it too
//! ```
//!
//! Every layer refers to the newest base frame, so a receiver goes up at once where `sync` says so. A key frame starts the round again.

use vpx_sys::{
    VP8_EFLAG_NO_REF_ARF, VP8_EFLAG_NO_REF_GF, VP8_EFLAG_NO_UPD_ARF, VP8_EFLAG_NO_UPD_ENTROPY, VP8_EFLAG_NO_UPD_GF,
    VP8_EFLAG_NO_UPD_LAST, vpx_codec_enc_cfg_t,
};

/// A frame's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) temporal: u8,
    pub(super) sync: bool,
    pub(super) reference: bool,
    pub(super) flags: u32,
}

const BASE: Place = Place {
    temporal: 0,
    sync: false,
    reference: true,
    flags: VP8_EFLAG_NO_REF_GF | VP8_EFLAG_NO_REF_ARF | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF,
};
const NOTHING_KEPT: u32 = VP8_EFLAG_NO_UPD_LAST | VP8_EFLAG_NO_UPD_GF | VP8_EFLAG_NO_UPD_ARF | VP8_EFLAG_NO_UPD_ENTROPY;
/// Refers to the base, kept by nobody.
const TOP: Place = Place {
    temporal: 0,
    sync: true,
    reference: false,
    flags: NOTHING_KEPT | VP8_EFLAG_NO_REF_GF | VP8_EFLAG_NO_REF_ARF,
};

const TWO: &[Place] = &[BASE, Place { temporal: 1, ..TOP }];
const THREE: &[Place] = &[
    BASE,
    Place { temporal: 2, ..TOP },
    Place {
        temporal: 1,
        sync: true,
        reference: true,
        flags: VP8_EFLAG_NO_REF_GF
            | VP8_EFLAG_NO_REF_ARF
            | VP8_EFLAG_NO_UPD_LAST
            | VP8_EFLAG_NO_UPD_ARF
            | VP8_EFLAG_NO_UPD_ENTROPY,
    },
    Place { temporal: 2, sync: false, reference: false, flags: NOTHING_KEPT | VP8_EFLAG_NO_REF_ARF },
];
/// libvpx decides.
const ONE: &[Place] = &[Place { temporal: 0, sync: false, reference: true, flags: 0 }];

/// Share of the bitrate that a layer and those below it take, in per cent.
const SHARES: [[u32; 3]; 3] = [[100, 100, 100], [60, 100, 100], [40, 60, 100]];

/// The round of frames.
pub(super) struct Layers {
    count: usize,
    round: &'static [Place],
    next: usize,
}

impl Layers {
    pub(super) fn new(layers: u8) -> Option<Self> {
        let round = match layers {
            1 => ONE,
            2 => TWO,
            3 => THREE,
            _ => return None,
        };
        Some(Layers { count: usize::from(layers), round, next: 0 })
    }

    /// How many layers.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The next frame's place; a key frame's is the first.
    pub(super) fn place(&mut self, key: bool) -> Place {
        if key {
            self.next = 0;
        }
        self.round[self.next % self.round.len()]
    }

    /// The frame was encoded or left out: the round goes on. A key frame of the encoder's own making starts it again.
    pub(super) fn step(&mut self, key: bool) {
        self.next = if key { 1 } else { self.next + 1 };
        self.next %= self.round.len();
    }

    /// Writes the layers and their shares of `kbps` into the configuration.
    pub(super) fn configure(&self, config: &mut vpx_codec_enc_cfg_t, kbps: u32) {
        let count = self.count;
        config.ts_number_layers = count as u32;
        config.ts_periodicity = self.round.len() as u32;
        for (layer, share) in SHARES[count - 1][..count].iter().enumerate() {
            config.ts_target_bitrate[layer] = (kbps * share / 100).max(1);
            config.layer_target_bitrate[layer] = config.ts_target_bitrate[layer];
            config.ts_rate_decimator[layer] = 1 << (count - 1 - layer);
        }
        for (id, place) in config.ts_layer_id.iter_mut().zip(self.round) {
            *id = u32::from(place.temporal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_refers_only_to_its_own_and_lower_layers() {
        for layers in [2, 3] {
            let mut round = Layers::new(layers).expect("layers");
            assert_eq!(round.count(), usize::from(layers));
            let mut golden = 0;
            for frame in 0..16 {
                let place = round.place(frame == 0);
                assert!(place.flags & VP8_EFLAG_NO_REF_ARF != 0 && place.flags & VP8_EFLAG_NO_UPD_ARF != 0);
                if place.flags & VP8_EFLAG_NO_REF_GF == 0 {
                    assert!(golden <= place.temporal && !place.sync);
                }
                if place.flags & VP8_EFLAG_NO_UPD_GF == 0 {
                    golden = place.temporal;
                }
                assert_eq!(place.flags & VP8_EFLAG_NO_UPD_LAST == 0, place.temporal == 0, "the base alone is LAST");
                assert_eq!(place.reference, place.flags & NOTHING_KEPT != NOTHING_KEPT);
                round.step(false);
            }
        }
    }
}
