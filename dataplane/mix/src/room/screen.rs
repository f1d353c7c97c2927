//! One scene of a room: who stands in it, its composed picture, and the encoders of the rungs that somebody needs.
//!
//! A scene that nobody looks at costs nothing. Each rung is an encoder with its own packet numbers; all share the room's clock. A picture that has
//! not changed is encoded five times a second only. What is left out when time is short is told by a level ([`super::shed`]).

use super::seating::{Order, Seating};
use super::source::engine;
use super::{Logo, MAX_PAYLOAD, Members, PRESENTATION_BIT, RoomSettings};
use crate::layout::Layout;
use crate::scene::{Banner, Edge, Presenting, Scene, SceneSettings, Seat, SeatState};
use plenum_contract::{Codec, FromMix, MemberPicture, MixOutput, ParticipantKey, PresentationPlace, SceneSpec};
use plenum_engines::{EncoderSettings, VideoEncoder, video_encoder};
use plenum_kernels::{I420Buf, Kernels, Placement, ScalePlan};
use plenum_wire::payload::pack::{FrameTags, Packer};
use plenum_wire::rtp;
use std::sync::Arc;

/// A picture that has not changed is encoded again after this many nanoseconds: it sharpens, and who joins is not kept waiting.
const STILL: u64 = 200_000_000;
/// Shortest time between two key frames of a rung.
const KEY_AGAIN: u64 = 300_000_000;
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

/// A rung in one codec.
struct Output {
    codec: Codec,
    rung: u8,
    needed: bool,
    bitrate: u32,
    encoder: Option<Encoder>,
    packer: Packer,
    sequence: u16,
    key: bool,
    /// When a frame and a key frame were made last.
    made: Option<u64>,
    keyed: Option<u64>,
}

struct Encoder {
    engine: Box<dyn VideoEncoder>,
    size: (u16, u16),
    fps: u32,
    /// Luma and chroma plans to the rung's size, and the picture; `None` when it is the scene's own size.
    scaled: Option<(ScalePlan, ScalePlan, I420Buf)>,
}

/// A scene. See the module.
pub(super) struct Screen {
    spec: SceneSpec,
    scene: Scene,
    seating: Seating,
    outputs: Vec<Output>,
    told: (String, Vec<Option<ParticipantKey>>),
    unit: Vec<u8>,
    packet: Vec<u8>,
}

impl Screen {
    pub(super) fn new(spec: &SceneSpec, room: &RoomSettings) -> Screen {
        Screen {
            scene: Scene::new(settings(spec, layout(&spec.layout, 1), &Logo::default()), &room.fonts),
            spec: spec.clone(),
            seating: Seating::default(),
            outputs: Vec::new(),
            told: Default::default(),
            unit: Vec::new(),
            packet: Vec::new(),
        }
    }

    pub(super) fn spec(&self) -> &SceneSpec {
        &self.spec
    }

    /// Another look, another size; pictures stay.
    pub(super) fn set(&mut self, spec: &SceneSpec) {
        self.spec = spec.clone();
        for output in &mut self.outputs {
            output.key = true;
        }
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
                let format = engine(codec).map(|(_, format)| format);
                let Some(packer) = format.and_then(|format| Packer::new(format, MAX_PAYLOAD, 0)) else { return false };
                let (encoder, sequence) = (None, 0);
                self.outputs.push(Output {
                    codec,
                    rung,
                    needed: false,
                    bitrate,
                    encoder,
                    packer,
                    sequence,
                    key: true,
                    made: None,
                    keyed: None,
                });
                self.outputs.len() - 1
            }
        };
        let output = &mut self.outputs[at];
        output.key |= !output.needed;
        (output.needed, output.bitrate) = (true, bitrate);
        if let Some(encoder) = output.encoder.as_mut().filter(|_| bitrate > 0) {
            encoder.engine.set_rate(bitrate, encoder.fps);
        }
        true
    }

    /// Nobody needs a rung any more: its encoder goes, its numbers stay.
    pub(super) fn unneeded(&mut self, codec: Codec, rung: u8) {
        for output in self.outputs.iter_mut().filter(|o| (o.codec, o.rung) == (codec, rung)) {
            (output.needed, output.encoder) = (false, None);
        }
    }

    /// Somebody needs a key frame of a rung.
    pub(super) fn key_frame(&mut self, codec: Codec, rung: u8) {
        for output in self.outputs.iter_mut().filter(|o| (o.codec, o.rung) == (codec, rung)) {
            output.key = true;
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
        let wanted = settings(&self.spec, layout, logo);
        if !same(self.scene.settings(), &wanted) {
            self.scene.set(wanted);
        }
        let presenter = members.presenter().filter(|_| self.spec.presentation != PresentationPlace::Absent);
        let name = |key: ParticipantKey| members.get(key).map_or("", |m| m.member.name.as_str());
        self.scene.present(presenter.map(|key| Seat {
            id: key.0 | PRESENTATION_BIT,
            name: name(key),
            state: SeatState::Shown,
            speaking: false,
        }));
        let beside = self.spec.presentation == PresentationPlace::Beside && layout.large() == 1;
        let taken = usize::from(presenter.is_some() && !beside);
        let order = Order { first: &first, others: &others, spoke: members.spoke };
        let slots = if fixed.is_empty() {
            self.seating.seat(now, self.scene.places(), layout.large().saturating_sub(taken), &order);
            self.seating.slots().to_vec()
        } else {
            fixed.into_iter().take(self.scene.places()).collect()
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
        self.scene.place(&seats, people);
        let told = (layout.to_string(), slots);
        (told != self.told && self.is_seen()).then(|| {
            self.told = told.clone();
            FromMix::Seats { conference: members.conference(), scene: self.spec.id, layout: told.0, seats: told.1 }
        })
    }

    /// A picture of somebody, or of the presentation ([`PRESENTATION_BIT`]).
    pub(super) fn draw(&mut self, id: u64, picture: &plenum_kernels::I420<'_>) {
        if self.is_seen() {
            self.scene.picture(id, picture);
        }
    }

    /// Who has a tile, by the scene's ids, with its size in pixels.
    pub(super) fn tiles(&self) -> impl Iterator<Item = (u64, (u16, u16))> + '_ {
        let side = |side: usize| u16::try_from(side).unwrap_or(u16::MAX);
        self.scene.shown().map(move |(id, rect)| (id, (side(rect.width), side(rect.height))))
    }

    /// Renders and encodes what is needed, with the 90 kHz `timestamp`, and hands out the packets.
    pub(super) fn render(&mut self, now: u64, timestamp: u32, work: &Work, emit: &mut dyn FnMut(MixOutput, &[u8])) {
        if !self.is_seen() {
            return;
        }
        let changed = self.scene.has_changed();
        let picture = self.scene.render();
        for at in 0..self.outputs.len() {
            let codec = self.outputs[at].codec;
            let smaller = self.outputs.iter().any(|o| o.needed && o.codec == codec && o.rung < self.outputs[at].rung);
            let output = &mut self.outputs[at];
            let still = !changed && !output.key && output.made.is_some_and(|made| now.saturating_sub(made) < STILL);
            if !output.needed || still || (work.smallest_only && smaller) {
                continue;
            }
            let Some(rung) = self.spec.rung(output.rung) else { continue };
            let mut size = (rung.width, rung.height);
            if work.half_size {
                size = ((size.0 / 2).max(32) & !1, (size.1 / 2).max(32) & !1);
            }
            self.unit.clear();
            let Some(tags) = output.encode(picture, size, (now, timestamp), work, &mut self.unit) else { continue };
            let (packet, sequence) = (&mut self.packet, &mut output.sequence);
            let name = MixOutput::Video { scene: self.spec.id, codec, rung: output.rung };
            // A unit that cannot be packed is our own encoder's and does not come: the next one is a key frame.
            let packed = output.packer.pack(&self.unit, tags, &mut |piece| {
                let fields = rtp::Fields { marker: piece.last, sequence: *sequence, timestamp, ..Default::default() };
                packet.clear();
                packet.resize(rtp::FIXED_LEN, 0);
                if rtp::write_header(packet, &fields).is_ok() {
                    packet.extend_from_slice(piece.head);
                    packet.extend_from_slice(piece.body);
                    emit(name, packet);
                    *sequence = sequence.wrapping_add(1);
                }
            });
            output.key |= packed.is_err();
        }
    }
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) kernels: Kernels,
    /// Frames a second.
    pub(super) fps: u32,
    pub(super) smallest_only: bool,
    pub(super) half_size: bool,
}

impl Output {
    /// Encodes the picture in the rung's size; `None` when nothing came of it.
    fn encode(
        &mut self,
        picture: &I420Buf,
        size: (u16, u16),
        (now, timestamp): (u64, u32),
        work: &Work,
        unit: &mut Vec<u8>,
    ) -> Option<FrameTags> {
        let source = (picture.width(), picture.height());
        let fits =
            |e: &Encoder| e.size == size && e.scaled.as_ref().map_or(source == wide(size), |s| s.0.src() == source);
        if !self.encoder.as_ref().is_some_and(fits) {
            self.encoder = Encoder::new(self.codec, source, size, self.bitrate, work);
        }
        let encoder = self.encoder.as_mut()?;
        if encoder.fps != work.fps {
            encoder.fps = work.fps;
            encoder.engine.set_rate(rate(self.bitrate, size, work.fps), work.fps);
        }
        let key = self.key && self.keyed.is_none_or(|at| now.saturating_sub(at) >= KEY_AGAIN);
        let encoded = match &mut encoder.scaled {
            None => encoder.engine.encode(&picture.view(), timestamp, key, unit),
            Some((luma, chroma, small)) => {
                let (from, to) = (picture.view(), small.view_mut());
                luma.run(from.y, to.y)
                    .and_then(|()| chroma.run(from.u, to.u))
                    .and_then(|()| chroma.run(from.v, to.v))
                    .ok()?;
                encoder.engine.encode(&small.view(), timestamp, key, unit)
            }
        };
        let encoded = encoded.ok().filter(|e| !e.dropped && !unit.is_empty())?;
        self.made = Some(now);
        if encoded.key {
            (self.key, self.keyed) = (false, Some(now));
        }
        Some(FrameTags { key: encoded.key, temporal: None, sync: encoded.sync, discardable: !encoded.reference, size })
    }
}

impl Encoder {
    fn new(codec: Codec, source: (usize, usize), size: (u16, u16), bitrate: u32, work: &Work) -> Option<Encoder> {
        let (width, height) = wide(size);
        let mut settings = EncoderSettings::new(width, height, work.fps, rate(bitrate, size, work.fps));
        settings.speed = if width * height >= 1280 * 720 { 3 } else { 2 };
        let engine = video_encoder(engine(codec)?.0, &settings).ok()?;
        let half = |(w, h): (usize, usize)| (w.div_ceil(2), h.div_ceil(2));
        let scaled = if source == (width, height) {
            None
        } else {
            let luma = ScalePlan::new(work.kernels, source, (width, height)).ok()?;
            let chroma = ScalePlan::new(work.kernels, half(source), half((width, height))).ok()?;
            Some((luma, chroma, I420Buf::new(width, height).ok()?))
        };
        Some(Encoder { engine, size, fps: work.fps, scaled })
    }
}

fn wide(size: (u16, u16)) -> (usize, usize) {
    (usize::from(size.0), usize::from(size.1))
}

/// The bitrate that was asked for, or what such pictures take.
fn rate(bitrate: u32, size: (u16, u16), fps: u32) -> u32 {
    if bitrate > 0 {
        return bitrate;
    }
    let pixels = u64::from(size.0) * u64::from(size.1) * u64::from(fps);
    (pixels * 7 / 100).clamp(100_000, 8_000_000) as u32
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

/// Whether nothing that a spec sets differs.
fn same(a: &SceneSettings, b: &SceneSettings) -> bool {
    (a.width, a.height, a.layout, a.names, a.plus_n, a.border)
        == (b.width, b.height, b.layout, b.names, b.plus_n, b.border)
        && (a.placement, a.presenting) == (b.placement, b.presenting)
        && a.banner == b.banner
        && match (&a.logo, &b.logo) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
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
