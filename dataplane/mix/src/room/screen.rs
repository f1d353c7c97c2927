//! One scene of a room: who stands in it, its composed picture, and the encoders of the rungs that somebody needs.
//!
//! A scene that nobody looks at costs nothing. Each rung is an encoder with its own packet numbers; all share the room's clock. A picture that has
//! not changed is encoded five times a second only. What is left out when time is short is told by a level ([`super::shed`]). Who stands where is
//! known here at any time ([`Cast`]); the picture itself goes into a job when something is to be drawn, and is shared by all encoders.

use super::encoding::{Encoded, Encoding, Picture, Stamp, Wish, Work};
use super::jobs::{self, Desk, Ticket};
use super::logo::Logo;
use super::seating::{Order, Seating};
use super::source::Decoder;
use super::{Members, PRESENTATION_BIT, RoomSettings};
use crate::layout::Layout;
use crate::scene::{Banner, Cast, Edge, Presenting, Scene, SceneSettings, Seat, SeatState};
use crate::text::Fonts;
use plenum_contract::{Codec, FromMix, MemberPicture, MixOutput, ParticipantKey, PresentationPlace, SceneSpec};
use plenum_kernels::{I420Buf, Placement};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A picture that has not changed is encoded again after this many nanoseconds: it sharpens, and who joins is not kept waiting.
const STILL: u64 = 200_000_000;
/// Sides of pictures, in pixels.
const SIDES: (u16, u16) = (64, 3840);

/// The size nearest to this that can be drawn and encoded, rungs too.
pub(super) fn within(width: u16, height: u16) -> (u16, u16) {
    let side = |side: u16| side.clamp(SIDES.0, SIDES.1) & !1;
    (side(width), side(height))
}

/// The layout that a name stands for when `people` are to be shown; an unknown one is 1:7.
fn layout(name: &str, people: usize) -> Layout {
    let default = || Layout::named("1:7", people).or(Layout::all().next());
    Layout::named(name, people).or_else(default).expect("there are layouts")
}

/// A picture that is due: when, with which timestamp, and how much of it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    /// Nanoseconds of the room's clock.
    pub(super) at: u64,
    pub(super) timestamp: u32,
    pub(super) work: Work,
}

/// What draws a scene's picture, and has it.
struct Composer {
    fonts: Fonts,
    scene: Option<Scene>,
}

/// The job: the scene becomes what the cast says, the pictures are drawn into it.
pub(super) struct Compose {
    id: u16,
    composer: Composer,
    cast: Option<Cast>,
    pictures: Vec<(u64, Arc<Decoder>)>,
    show: Show,
}

/// What came of it.
pub(super) struct Composed {
    pub(super) id: u16,
    composer: Composer,
    changed: bool,
    show: Show,
}

impl Compose {
    pub(super) fn run(self) -> Composed {
        let Compose { id, mut composer, cast, pictures, show } = self;
        if let Some(cast) = &cast {
            let Composer { fonts, scene } = &mut composer;
            scene.get_or_insert_with(|| Scene::new(cast.settings().clone(), fonts)).follow(cast);
        }
        let mut changed = false;
        if let Some(scene) = &mut composer.scene {
            for (id, decoder) in pictures {
                if let Some(picture) = decoder.picture() {
                    scene.picture(id, &picture);
                }
            }
            changed = scene.has_changed();
            scene.render();
        }
        Composed { id, composer, changed, show }
    }
}

/// A scene. See the module.
pub(super) struct Screen {
    spec: SceneSpec,
    cast: Cast,
    /// Whether the scene does not know the cast as it is now.
    recast: bool,
    seating: Seating,
    /// Not here while it draws, in the job of this number.
    composer: Option<Composer>,
    ticket: Ticket,
    /// The number of the picture of each tile that was drawn last.
    drawn: BTreeMap<u64, Ticket>,
    /// An encoding left out the picture before, which had changed.
    missed: bool,
    outputs: Vec<Encoding>,
    told: (String, Vec<Option<ParticipantKey>>),
}

impl Screen {
    pub(super) fn new(spec: &SceneSpec, room: &RoomSettings) -> Screen {
        Screen {
            cast: Cast::new(settings(spec, layout(&spec.layout, 1), &Logo::default())),
            recast: true,
            spec: spec.clone(),
            seating: Seating::default(),
            composer: Some(Composer { fonts: room.fonts.clone(), scene: None }),
            ticket: 0,
            drawn: BTreeMap::new(),
            missed: false,
            outputs: Vec::new(),
            told: Default::default(),
        }
    }

    pub(super) fn spec(&self) -> &SceneSpec {
        &self.spec
    }

    /// Another look, another size; pictures stay.
    pub(super) fn set(&mut self, spec: &SceneSpec) {
        self.spec = spec.clone();
        self.outputs.iter_mut().for_each(Encoding::ask_key);
    }

    /// Whether somebody looks at it.
    pub(super) fn is_seen(&self) -> bool {
        self.outputs.iter().any(|o| o.needed)
    }

    /// Somebody needs a rung at `bitrate` bit/s (0 = what its size takes); whether it can be made.
    pub(super) fn need(&mut self, codec: Codec, rung: u8, bitrate: u32) -> bool {
        if self.spec.rung(rung).is_none() {
            return false;
        }
        let at = match self.outputs.iter().position(|o| (o.codec, o.rung) == (codec, rung)) {
            Some(at) => at,
            None => {
                let Some(encoding) = Encoding::new(codec, rung) else { return false };
                self.outputs.push(encoding);
                self.outputs.len() - 1
            }
        };
        self.outputs[at].need(bitrate);
        true
    }

    /// Nobody needs a rung any more: its encoder goes, its numbers stay.
    pub(super) fn unneeded(&mut self, codec: Codec, rung: u8) {
        for output in self.outputs.iter_mut().filter(|o| (o.codec, o.rung) == (codec, rung)) {
            output.unneeded();
        }
    }

    /// Somebody needs a key frame of a rung.
    pub(super) fn key_frame(&mut self, codec: Codec, rung: u8) {
        for output in self.outputs.iter_mut().filter(|o| (o.codec, o.rung) == (codec, rung)) {
            output.ask_key();
        }
    }

    /// Seats people and says who is shown. `order`: the speakers first, then the others as they came.
    pub(super) fn place(
        &mut self,
        now: u64,
        members: &Members<'_>,
        order: &[ParticipantKey],
        logo: &Logo,
    ) -> Option<FromMix<'static>> {
        // Who is alone sees the holding picture and not themselves.
        let alone = members.is_one();
        let visible = |key: &ParticipantKey| {
            !alone
                && Some(*key) != self.spec.without
                && members.get(*key).is_some_and(|m| m.member.shown != MemberPicture::Nothing)
        };
        let mut first: Vec<ParticipantKey> = Vec::new();
        for key in self.spec.first.iter().filter(|key| visible(key)) {
            if !first.contains(key) {
                first.push(*key);
            }
        }
        let mut others: Vec<ParticipantKey> =
            order.iter().copied().filter(|k| visible(k) && !first.contains(k)).collect();
        let fixed = fixed(&self.spec.fixed, visible);
        if !fixed.is_empty() {
            others.clear();
        }
        let people = if fixed.is_empty() { first.len() + others.len() } else { fixed.len() };
        let layout = layout(&self.spec.layout, people);
        self.recast |= self.cast.set(settings(&self.spec, layout, logo));
        let presenter = members.presenter().filter(|_| self.spec.presentation != PresentationPlace::Absent);
        let name = |key: ParticipantKey| members.get(key).map_or("", |m| m.member.name.as_str());
        self.recast |= self.cast.present(presenter.map(|key| Seat {
            id: key.0 | PRESENTATION_BIT,
            name: name(key),
            state: SeatState::Shown,
            speaking: false,
        }));
        let beside = self.spec.presentation == PresentationPlace::Beside && layout.large() == 1;
        let taken = usize::from(presenter.is_some() && !beside);
        let order = Order { first: &first, others: &others, spoke: members.spoke };
        let slots = if fixed.is_empty() {
            self.seating.seat(now, self.cast.places(), layout.large().saturating_sub(taken), &order);
            self.seating.slots().to_vec()
        } else {
            fixed.into_iter().take(self.cast.places()).collect()
        };
        let empty = Seat { id: u64::MAX, name: "", state: SeatState::Empty, speaking: false };
        let seat = |slot: &Option<ParticipantKey>| match slot.and_then(|key| Some((key, members.get(key)?))) {
            Some((key, m)) => {
                let (state, speaking) = (m.state(), members.speaker() == Some(key));
                Seat { id: key.0, name: &m.member.name, state, speaking }
            }
            None => empty,
        };
        let seats: Vec<Seat<'_>> = slots.iter().map(seat).collect();
        self.recast |= self.cast.place(&seats, people);
        let told = (layout.to_string(), slots);
        (told != self.told && self.is_seen()).then(|| {
            self.told = told.clone();
            FromMix::Seats { conference: members.conference(), scene: self.spec.id, layout: told.0, seats: told.1 }
        })
    }

    /// Who has a tile, by the scene's ids, with its size in pixels.
    pub(super) fn tiles(&self) -> impl Iterator<Item = (u64, (u16, u16))> + '_ {
        let side = |side: usize| u16::try_from(side).unwrap_or(u16::MAX);
        self.cast.shown().map(move |(id, rect)| (id, (side(rect.width), side(rect.height))))
    }

    /// The picture is due: has drawn what is new, if anything is, and then encoded what is needed. `picture` gives the last picture of a tile's
    /// source with its number. False when the one before is not done: then this one is left out, wholly or for some encodings.
    pub(super) fn show<'a>(
        &mut self,
        show: Show,
        picture: impl Fn(u64) -> Option<(Ticket, &'a Arc<Decoder>)>,
        desk: &mut Desk,
    ) -> bool {
        if !self.is_seen() {
            return true;
        }
        let Some(composer) = self.composer.take() else { return false };
        let tiles: Vec<u64> = self.cast.pictured().collect();
        self.drawn.retain(|id, _| tiles.contains(id));
        let mut pictures = Vec::new();
        for id in tiles {
            if let Some((number, decoder)) = picture(id)
                && self.drawn.insert(id, number) != Some(number)
            {
                pictures.push((id, decoder.clone()));
            }
        }
        let recast = std::mem::take(&mut self.recast);
        if !recast && pictures.is_empty() {
            let rendered = composer.scene.as_ref().map(Scene::rendered);
            self.composer = Some(composer);
            return rendered.is_none_or(|rendered| self.encode(&rendered, false, show, desk));
        }
        let cast = recast.then(|| self.cast.clone());
        let work = Compose { id: self.spec.id, composer, cast, pictures, show };
        self.ticket = desk.put(jobs::Work::Compose(Box::new(work)));
        true
    }

    /// Takes back the scene, and has its picture encoded. False as for [`Screen::show`].
    pub(super) fn take(&mut self, ticket: Ticket, composed: Composed, desk: &mut Desk) -> bool {
        if ticket != self.ticket || self.composer.is_some() {
            return true;
        }
        let rendered = composed.composer.scene.as_ref().map(Scene::rendered);
        self.composer = Some(composed.composer);
        rendered.is_none_or(|rendered| self.encode(&rendered, composed.changed, composed.show, desk))
    }

    /// Has encoded what is needed.
    fn encode(&mut self, picture: &Arc<I420Buf>, changed: bool, show: Show, desk: &mut Desk) -> bool {
        let Show { at: now, timestamp, work } = show;
        let (changed, mut all) = (changed || self.missed, true);
        for at in 0..self.outputs.len() {
            let codec = self.outputs[at].codec;
            let smaller = self.outputs.iter().any(|o| o.needed && o.codec == codec && o.rung < self.outputs[at].rung);
            let output = &mut self.outputs[at];
            let still = !changed && !output.wants_key() && output.made().is_some_and(|m| now.saturating_sub(m) < STILL);
            if !output.needed || still || (work.smallest_only && smaller) {
                continue;
            }
            let Some(rung) = self.spec.rung(output.rung) else { continue };
            let name = MixOutput::Video { scene: self.spec.id, codec, rung: output.rung };
            let (size, stamp) = ((rung.width, rung.height), Stamp { now, timestamp, ssrc: 0 });
            let wish = Wish { output: name, size, stamp, captured: now, work };
            all &= output.make(Picture::Composed(picture.clone()), wish, desk);
        }
        self.missed = changed && !all;
        all
    }

    /// Takes back what was made of a picture.
    pub(super) fn encoded(&mut self, ticket: Ticket, encoded: Encoded, emit: &mut dyn FnMut(&[u8])) {
        let MixOutput::Video { codec, rung, .. } = encoded.output else { return };
        if let Some(output) = self.outputs.iter_mut().find(|o| (o.codec, o.rung) == (codec, rung)) {
            output.take(ticket, encoded, emit);
        }
    }
}

/// Places that are tied to somebody, who is in them when they are visible and stand in none before it. None when nobody is tied.
fn fixed(places: &[Option<ParticipantKey>], visible: impl Fn(&ParticipantKey) -> bool) -> Vec<Option<ParticipantKey>> {
    let mut seats: Vec<Option<ParticipantKey>> = Vec::new();
    for place in places.iter().take(Layout::MOST_TILES) {
        let holder = place.filter(|key| visible(key) && !seats.contains(&Some(*key)));
        seats.push(holder);
    }
    seats
}

fn settings(spec: &SceneSpec, layout: Layout, logo: &Logo) -> SceneSettings {
    let mut settings = SceneSettings::new(layout, usize::from(spec.width), usize::from(spec.height));
    (settings.names, settings.plus_n, settings.border) = (spec.names, spec.plus_n, spec.border);
    settings.placement = if spec.fill { Placement::Fill } else { Placement::Letterbox };
    settings.presenting = match spec.presentation {
        PresentationPlace::Full => Presenting::Full,
        PresentationPlace::Beside => Presenting::Beside,
        PresentationPlace::Main | PresentationPlace::Absent => Presenting::Main,
    };
    settings.logo = logo.picture.clone();
    settings.banner = spec.banner.clone().map(|text| Banner { text, edge: Edge::default() });
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sides_of_any_scene_and_its_rungs_can_be_encoded() {
        for (width, height, sides) in [(1280, 720, (1280, 720)), (0, u16::MAX, (64, 3840)), (u16::MAX, 0, (3840, 64))] {
            assert_eq!(within(width, height), sides);
        }
        assert_eq!(within(641, 361), (640, 360));
    }

    #[test]
    fn an_unknown_layout_is_the_usual_one() {
        assert_eq!(
            (layout("nonsense", 3).to_string(), layout("onePlusN", 9).to_string()),
            ("1:7".into(), "1:9".into())
        );
    }
}
