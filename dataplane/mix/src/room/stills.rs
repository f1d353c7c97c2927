//! Pictures of the presentation for those who fetch them: when the next one is due, and in which heights.
//!
//! One is made at once when somebody begins to ask, and when somebody else presents; then one a second as long as pictures come, one in three seconds
//! while the mixer falls behind. Between two of them nothing is copied or encoded. Nobody asks: nothing is decoded for it.

use super::jobs::{Desk, Ticket, Work};
use super::source::Decoder;
use crate::jpeg;
use plenum_contract::ParticipantKey;
use plenum_contract::mix::MAX_STILLS;
use plenum_kernels::Kernels;
use plenum_packet::Time;
use std::sync::Arc;
use std::time::Duration;

/// Between two pictures.
const EVERY: Duration = Duration::from_secs(1);
/// The same while work is left out.
const EVERY_WHEN_BEHIND: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stills {
    /// Whose presentation, when somebody asks for it.
    of: Option<ParticipantKey>,
    heights: Vec<u16>,
    next: Time,
    /// The number of the job in which files are made.
    out: Option<Ticket>,
}

/// The job.
pub(super) struct Draw {
    of: ParticipantKey,
    kernels: Kernels,
    heights: Vec<u16>,
    picture: Arc<Decoder>,
}

/// What came of it: files by their height.
pub(super) struct Drawn {
    pub(super) of: ParticipantKey,
    pub(super) files: Vec<(u16, Vec<u8>)>,
}

impl Draw {
    pub(super) fn run(self) -> Drawn {
        let picture = self.picture.picture();
        let encode = |height: &u16| Some((*height, jpeg::encode(self.kernels, picture.as_ref()?, *height)?));
        Drawn { of: self.of, files: self.heights.iter().filter_map(encode).collect() }
    }
}

impl Stills {
    /// Somebody asks for these heights of this presentation, or nobody does. True when its next picture should not be waited for.
    pub(super) fn set(&mut self, presenter: Option<ParticipantKey>, heights: &[u16]) -> bool {
        let heights = &heights[..heights.len().min(MAX_STILLS)];
        let of = presenter.filter(|_| !heights.is_empty());
        let fresh = of.is_some() && (of != self.of || heights.iter().any(|height| !self.heights.contains(height)));
        (self.of, self.heights) = (of, heights.to_vec());
        if fresh {
            self.next = Time::ZERO;
        }
        fresh
    }

    /// Whose presentation is asked for, and the largest size.
    pub(super) fn wanted(&self) -> Option<(ParticipantKey, (u16, u16))> {
        let height = self.heights.iter().copied().max()?.clamp(16, 4096);
        Some((self.of?, ((u32::from(height) * 16 / 9) as u16, height)))
    }

    /// A picture of somebody's presentation: encoded when one is due.
    pub(super) fn picture(
        &mut self,
        now: Time,
        of: ParticipantKey,
        (kernels, behind): (Kernels, bool),
        picture: &Arc<Decoder>,
        desk: &mut Desk,
    ) {
        if self.of != Some(of) || now < self.next || self.out.is_some() {
            return;
        }
        self.next = now + if behind { EVERY_WHEN_BEHIND } else { EVERY };
        let (heights, picture) = (self.heights.clone(), picture.clone());
        self.out = Some(desk.put(Work::Draw(Draw { of, kernels, heights, picture })));
    }

    /// The files of a job are there.
    pub(super) fn take(&mut self, ticket: Ticket) {
        self.out.take_if(|out| *out == ticket);
    }
}
