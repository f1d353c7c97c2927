//! Who stands in a scene, and how it looks: all that a scene is told, without the picture.
//!
//! It is cheap to change and to ask, whoever has the scene at that moment ([`super::Scene::follow`]).

use super::arrange::{Arrangement, arrange};
use super::{SceneSettings, Seat, SeatState};
use crate::layout::Layout;
use plenum_kernels::Rect;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug)]
pub struct Cast {
    pub(super) settings: SceneSettings,
    pub(super) members: Vec<Member>,
    pub(super) presentation: Option<Member>,
    pub(super) total: usize,
}

/// A seat that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) state: SeatState,
    pub(super) speaking: bool,
}

impl Member {
    fn of(seat: &Seat<'_>) -> Member {
        // Nobody sees more of a name.
        let name = seat.name.chars().take(crate::text::LONGEST).collect();
        Member { id: seat.id, name, state: seat.state, speaking: seat.speaking }
    }

    fn is(&self, seat: &Seat<'_>) -> bool {
        let name =
            self.name.len() <= seat.name.len() && self.name.chars().eq(seat.name.chars().take(crate::text::LONGEST));
        (self.id, self.state, self.speaking) == (seat.id, seat.state, seat.speaking) && name
    }
}

impl Cast {
    /// Nobody, in a scene of this look.
    pub fn new(settings: SceneSettings) -> Cast {
        Cast { settings, members: Vec::new(), presentation: None, total: 0 }
    }

    /// How it looks.
    pub fn settings(&self) -> &SceneSettings {
        &self.settings
    }

    /// Another look; whether it is one.
    pub fn set(&mut self, settings: SceneSettings) -> bool {
        let changed = !same(&self.settings, &settings);
        if changed {
            self.settings = settings;
        }
        changed
    }

    /// The presentation, or that there is none. Whether that is news.
    pub fn present(&mut self, presentation: Option<Seat<'_>>) -> bool {
        let same = match (&self.presentation, &presentation) {
            (Some(member), Some(seat)) => member.is(seat),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.presentation = presentation.as_ref().map(Member::of);
        }
        !same
    }

    /// Who is to be shown, as for [`super::Scene::place`]. Whether that is news.
    pub fn place(&mut self, seats: &[Seat<'_>], total: usize) -> bool {
        let seats = &seats[..seats.len().min(Layout::MOST_TILES)];
        let same =
            self.members.len() == seats.len() && self.members.iter().zip(seats).all(|(member, seat)| member.is(seat));
        let changed = !same || total != self.total;
        if changed {
            self.members = seats.iter().map(Member::of).collect();
            self.total = total;
        }
        changed
    }

    /// How many members have a tile, at most.
    pub fn places(&self) -> usize {
        self.arrangement().seats.len()
    }

    /// Who has a tile and where, the presentation first, then members in stage order.
    pub fn shown(&self) -> impl Iterator<Item = (u64, Rect)> {
        self.slots().into_iter().map(|(member, rect, _)| (member.id, rect))
    }

    /// Whose pictures are drawn: those who have a tile that shows them.
    pub fn pictured(&self) -> impl Iterator<Item = u64> {
        self.slots().into_iter().filter(|(member, ..)| member.state == SeatState::Shown).map(|(member, ..)| member.id)
    }

    /// Who has a tile, with their place and whether it is the presentation.
    pub(super) fn slots(&self) -> Vec<(&Member, Rect, bool)> {
        let arrangement = self.arrangement();
        let presentation = self.presentation.as_ref().zip(arrangement.presentation);
        let seated = self.members.iter().zip(arrangement.seats).filter(|(member, _)| member.state != SeatState::Empty);
        let presentation = presentation.into_iter().map(|(member, rect)| (member, rect, true));
        presentation.chain(seated.map(|(member, rect)| (member, rect, false))).collect()
    }

    fn arrangement(&self) -> Arrangement {
        let presenting = self.presentation.as_ref().map(|_| self.settings.presenting);
        arrange(self.settings.layout, self.settings.size(), presenting)
    }
}

/// Whether two looks are the same; a logo is when it is the same one in memory.
pub(super) fn same(a: &SceneSettings, b: &SceneSettings) -> bool {
    (a.width, a.height, a.layout, a.names, a.plus_n, a.border)
        == (b.width, b.height, b.layout, b.names, b.plus_n, b.border)
        && (a.placement, a.presenting) == (b.placement, b.presenting)
        && (&a.banner, &a.holding) == (&b.banner, &b.holding)
        && match (&a.logo, &b.logo) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
}
