//! Layout names and overrides (spec/layouts.md). Where tiles stand in a picture is the mixer's business.

use crate::ids::ParticipantId;

/// A layout of spec/layouts.md, `A:B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayoutName(&'static str);

/// Every layout that is served.
pub const LAYOUTS: &[&str] =
    &["1:0", "2:0", "3:0", "4:0", "9:0", "16:0", "25:0", "1:5", "1:7", "1:9", "1:12", "1:21", "2:21", "1:33"];

/// Layouts of Cisco's that have no `A:B`: 2:0 turned upright, and two that grow with the number of people.
const OTHERS: &[&str] = &["stacked", "allEqual", "onePlusN"];
/// Cisco's names of those that have one.
const CISCO: &[(&str, &str)] = &[
    ("speakerOnly", "1:0"),
    ("allEqualQuarters", "4:0"),
    ("allEqualNinths", "9:0"),
    ("allEqualSixteenths", "16:0"),
    ("allEqualTwentyFifths", "25:0"),
    ("onePlusFive", "1:5"),
    ("onePlusSeven", "1:7"),
    ("onePlusNine", "1:9"),
    ("telepresence", "1:7"),
    ("automatic", "1:7"),
];
/// What a layout that grows is, the smallest first.
const SIZES: &[(&str, &[&str])] = &[
    ("allEqual", &["1:0", "4:0", "9:0", "16:0", "25:0"]),
    ("onePlusN", &["1:0", "1:5", "1:7", "1:9", "1:12", "1:21", "1:33"]),
];

impl LayoutName {
    /// What a conference has unless it says otherwise.
    pub const DEFAULT: LayoutName = LayoutName("1:7");

    /// The layout of this name: `A:B`, or one of Cisco's names.
    pub fn parse(name: &str) -> Option<LayoutName> {
        let same = CISCO.iter().find(|(cisco, _)| *cisco == name).map_or(name, |(_, ours)| ours);
        LAYOUTS.iter().chain(OTHERS).find(|known| **known == same).map(|known| LayoutName(known))
    }

    /// Every name that stands for a layout, ours and Cisco's.
    pub fn names() -> impl Iterator<Item = &'static str> {
        LAYOUTS.iter().chain(OTHERS).copied().chain(CISCO.iter().map(|(cisco, _)| *cisco))
    }

    /// What is drawn of it when `people` are to be shown: a layout that grows is the smallest of its sizes that shows everybody.
    pub fn drawn(self, people: usize) -> LayoutName {
        let sizes = SIZES.iter().find(|(name, _)| *name == self.0).map_or(&[][..], |(_, sizes)| sizes);
        let mut sizes = sizes.iter().map(|name| LayoutName(name));
        sizes.clone().find(|size| size.tiles() >= people).or(sizes.next_back()).unwrap_or(self)
    }

    /// `A:B`, `stacked`, `allEqual` or `onePlusN`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// How many people it shows at most.
    pub fn tiles(self) -> usize {
        if let Some((_, sizes)) = SIZES.iter().find(|(name, _)| *name == self.0) {
            return sizes.last().map_or(0, |size| LayoutName(size).tiles());
        }
        if self.0 == "stacked" {
            return 2;
        }
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

/// Where a composed picture has the presentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PresentationPlace {
    /// In the main tile.
    #[default]
    Main,
    /// Beside it.
    Beside,
    /// Nothing else is shown.
    Full,
}

impl PresentationPlace {
    /// Every place with its word.
    pub const ALL: [(PresentationPlace, &str); 3] =
        [(PresentationPlace::Main, "main"), (PresentationPlace::Beside, "beside"), (PresentationPlace::Full, "full")];

    /// The place of this word.
    pub fn parse(word: &str) -> Option<PresentationPlace> {
        PresentationPlace::ALL.iter().find(|(_, known)| *known == word).map(|(place, _)| *place)
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        PresentationPlace::ALL.iter().find(|(place, _)| *place == self).map_or("", |(_, word)| word)
    }
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
    /// Where the composed picture has the presentation.
    pub presentation: PresentationPlace,
    /// Text over the composed picture; empty = none.
    pub banner: String,
    /// Whether the composed picture has a border around who speaks.
    pub indicate_speaker: bool,
    /// Whether pictures are cropped to fill their tiles of the composed picture; else they are fitted whole, with bars.
    pub fill: bool,
}

impl LayoutEntry {
    /// A layout and nothing unusual.
    pub fn new(audience: LayoutAudience, layout: LayoutName) -> LayoutEntry {
        LayoutEntry {
            audience,
            actors: Vec::new(),
            vad_backfill: true,
            layout,
            plus_n: true,
            overlay_text: true,
            remove_self: false,
            presentation: PresentationPlace::Main,
            banner: String::new(),
            indicate_speaker: true,
            fill: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_know_their_tiles_and_unknown_names_are_refused() {
        assert_eq!(LayoutName::parse("2:21").map(LayoutName::tiles), Some(23));
        assert_eq!(LayoutName::parse("1:0").map(LayoutName::tiles), Some(1));
        assert_eq!(LayoutName::parse("3:3"), None);
        assert_eq!(LayoutName::parse("stacked").map(LayoutName::tiles), Some(2));
    }

    #[test]
    fn cms_22_cisco_names_are_layouts_and_those_that_grow_show_everybody() {
        let drawn = |name, people| LayoutName::parse(name).map(|layout| layout.drawn(people).as_str());
        for (name, people, want) in [
            ("onePlusFive", 9, "1:5"),
            ("automatic", 3, "1:7"),
            ("stacked", 9, "stacked"),
            ("allEqual", 1, "1:0"),
            ("allEqual", 5, "9:0"),
            ("allEqual", 99, "25:0"),
            ("onePlusN", 7, "1:7"),
            ("onePlusN", 14, "1:21"),
            ("onePlusN", 99, "1:33"),
        ] {
            assert_eq!(drawn(name, people), Some(want), "{name} {people}");
        }
    }
}
