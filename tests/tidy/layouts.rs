//! Two tables know the layouts: the model's, which tells clients, and the mixer's, which draws. Neither may import the other, so here they are
//! held against each other: the same names, Cisco's among them, and of each the same layout and as many tiles, however many people are there.

use plenum_mix::layout::Layout;
use plenum_model::LayoutName;
use std::collections::BTreeSet;

/// Cisco's names (spec/layouts.md, CMS-22).
const CISCO: [&str; 13] = [
    "allEqual",
    "speakerOnly",
    "telepresence",
    "stacked",
    "allEqualQuarters",
    "allEqualNinths",
    "allEqualSixteenths",
    "allEqualTwentyFifths",
    "onePlusFive",
    "onePlusSeven",
    "onePlusNine",
    "automatic",
    "onePlusN",
];
/// More than any layout shows.
const PEOPLE: usize = Layout::MOST_TILES + 6;

/// CMS-22
#[test]
fn cms_22_the_model_and_the_mixer_know_the_same_layouts_by_the_same_names() {
    let (told, drawn): (BTreeSet<_>, BTreeSet<_>) = (LayoutName::names().collect(), Layout::names().collect());
    assert_eq!(told, drawn);
    for name in CISCO {
        assert!(told.contains(name), "{name}");
    }
    for name in told {
        for people in 0..=PEOPLE {
            let told = LayoutName::parse(name).expect("it is a name of the model's").drawn(people);
            let drawn = Layout::named(name, people).expect("it is a name of the mixer's");
            let both = ((told.as_str().to_owned(), told.tiles()), (drawn.to_string(), drawn.tiles()));
            assert_eq!(both.0, both.1, "{name} for {people}");
        }
    }
    for unknown in ["", "3:3", "onePlusTwo", "ALLEQUAL"] {
        assert!(LayoutName::parse(unknown).is_none() && Layout::named(unknown, 1).is_none(), "{unknown}");
    }
}
