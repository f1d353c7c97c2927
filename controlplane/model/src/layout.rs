//! Layout names and overrides (spec/layouts.md). Where tiles stand in a picture is the mixer's business.

use crate::ids::ParticipantId;

/// A layout of spec/layouts.md, `A:B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayoutName(&'static str);

/// Every layout that is served.
pub const LAYOUTS: &[&str] =
    &["1:0", "2:0", "3:0", "4:0", "9:0", "16:0", "25:0", "1:5", "1:7", "1:9", "1:12", "1:21", "2:21", "1:33"];

impl LayoutName {
    /// What a conference has unless it says otherwise.
    pub const DEFAULT: LayoutName = LayoutName("1:7");

    /// The layout of this name.
    pub fn parse(name: &str) -> Option<LayoutName> {
        LAYOUTS.iter().find(|known| **known == name).map(|known| LayoutName(known))
    }

    /// `A:B`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// How many people it shows.
    pub fn tiles(self) -> usize {
        self.0.split(':').filter_map(|n| n.parse::<usize>().ok()).sum()
    }
}

/// Whom an override is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutAudience {
    /// `"hosts"`.
    Hosts,
    /// `""` under `/api/services/`: guests.
    Guests,
}

/// One entry of `override_layout` (MGMT-26).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutEntry {
    /// For whom.
    pub audience: LayoutAudience,
    /// Who stands first, in this order; empty = everybody may be shown.
    pub actors: Vec<ParticipantId>,
    /// Whether places left empty are filled in voice order.
    pub vad_backfill: bool,
    /// The layout.
    pub layout: LayoutName,
    /// Whether the last small tile says how many more there are.
    pub plus_n: bool,
    /// Whether names are shown.
    pub overlay_text: bool,
    /// Whether viewers who get the mix are left out of their own picture.
    pub remove_self: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_know_their_tiles_and_unknown_names_are_refused() {
        assert_eq!(LayoutName::parse("2:21").map(LayoutName::tiles), Some(23));
        assert_eq!(LayoutName::parse("1:0").map(LayoutName::tiles), Some(1));
        assert_eq!(LayoutName::parse("3:3"), None);
    }
}
