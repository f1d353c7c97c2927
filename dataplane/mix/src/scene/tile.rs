//! One tile of a scene: what it shows now, and what lies over that.

use super::SeatState;
use super::cast::Member;
use super::layer::{Layer, copy, part_of, part_of_mut};
use crate::canvas::colour;
use crate::look;
use crate::text::Fonts;
use plenum_kernels::{I420, I420Buf, Kernels, Placement, Rect, TilePlan};
use std::sync::Arc;

/// How much of its light a picture on hold keeps, of 256.
const HELD: u16 = 168;

/// What is drawn in a tile, below its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// Nothing yet.
    Nothing,
    /// An avatar with this name's initials; grey for somebody on hold.
    Avatar { name: String, grey: bool },
    /// A picture of the source; grey when it is frozen.
    Picture { grey: bool },
}

/// What lies over a tile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The name, if it is shown.
    pub(super) name: Option<String>,
    /// The speaker's border.
    pub(super) border: bool,
    /// The camera-off sign.
    pub(super) camera_off: bool,
    /// `+N`, 0 = none.
    pub(super) plus: usize,
}

/// A tile with somebody in it.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) id: u64,
    pub(super) rect: Rect,
    /// A presentation is never cropped.
    pub(super) presentation: bool,
    state: SeatState,
    content: Content,
    plan: Option<((usize, usize), TilePlan)>,
    look: Look,
    layers: Vec<Layer>,
    /// Whether the layers are on the picture.
    layered: bool,
}

/// What tiles are drawn with.
pub(super) struct Brush<'a> {
    pub(super) kernels: Kernels,
    pub(super) fonts: &'a Fonts,
    pub(super) placement: Placement,
    pub(super) picture: &'a mut I420Buf,
}

impl Tile {
    /// A tile in which nothing is drawn yet.
    pub(super) fn new(id: u64, rect: Rect, presentation: bool) -> Tile {
        Tile {
            id,
            rect,
            presentation,
            state: SeatState::Shown,
            content: Content::Nothing,
            plan: None,
            look: Look::default(),
            layers: Vec::new(),
            layered: false,
        }
    }

    /// Whether pictures of the source are wanted.
    pub(super) fn wants(&self) -> bool {
        self.state == SeatState::Shown
    }

    /// Whether the layers are to be drawn before the picture is shown.
    pub(super) fn is_open(&self) -> bool {
        !self.layered
    }

    /// Draws a picture of the source. Allocates only when its size has changed.
    pub(super) fn draw(&mut self, brush: &mut Brush<'_>, source: I420<'_>) {
        let size = (source.width(), source.height());
        if self.plan.as_ref().is_none_or(|(planned, _)| *planned != size) {
            let placement = if self.presentation { Placement::Letterbox } else { brush.placement };
            self.plan = TilePlan::new(brush.kernels, size, self.rect, placement).ok().map(|plan| (size, plan));
        }
        if let Some((_, plan)) = &mut self.plan
            && plan.draw(source, &mut brush.picture.view_mut(), colour(look::BACKGROUND)).is_ok()
        {
            self.content = Content::Picture { grey: false };
            self.layered = false;
        }
    }

    /// Takes the layers off and copies the source's last picture out of the tile, for another tile; with whether it is grey.
    pub(super) fn cut(&mut self, picture: &mut I420Buf) -> Option<(I420Buf, bool)> {
        let Content::Picture { grey } = self.content else { return None };
        self.open(picture);
        let inside = self.plan.as_ref()?.1.inside();
        let mut kept = I420Buf::new(inside.width, inside.height).ok()?;
        copy(&part_of(&picture.view(), inside).ok()?, &mut kept.view_mut());
        Some((kept, grey))
    }

    /// Draws what [`Tile::cut`] took out of another tile.
    pub(super) fn carry(&mut self, brush: &mut Brush<'_>, (picture, grey): &(I420Buf, bool)) {
        self.draw(brush, picture.view());
        if self.content == (Content::Picture { grey: false }) {
            self.content = Content::Picture { grey: *grey };
        }
    }

    /// Makes the tile show `member` as they are now.
    pub(super) fn show(&mut self, brush: &mut Brush<'_>, member: &Member, look: Look, size: (usize, usize)) {
        self.state = member.state;
        let held = member.state == SeatState::Held;
        let pictured = matches!(self.content, Content::Picture { .. })
            && matches!(member.state, SeatState::Shown | SeatState::Held);
        let want = if pictured {
            // The colours of a picture that was frozen come back with the next one.
            Content::Picture { grey: held || self.content == (Content::Picture { grey: true }) }
        } else {
            Content::Avatar { name: member.name.clone(), grey: held }
        };
        if want != self.content {
            self.open(brush.picture);
            if !pictured {
                self.draw_avatar(brush, member);
            }
            if held && let Ok(mut part) = part_of_mut(brush.picture.view_mut(), self.rect) {
                brush.kernels.grey_out(&mut part, HELD);
            }
            self.content = want;
        }
        if look != self.look {
            self.open(brush.picture);
            self.layers = layers(&look, self.rect, brush.fonts, size);
            self.look = look;
        }
    }

    fn draw_avatar(&mut self, brush: &mut Brush<'_>, member: &Member) {
        let Rect { x, y, width, height } = self.rect;
        brush.picture.view_mut().fill(self.rect, colour(look::avatar_tile(self.id)));
        let diameter = (width.min(height) / 2) & !1;
        let disc = look::avatar(brush.fonts, self.id, &member.name, diameter).finish();
        let at = (x + (width - diameter) / 2, y + (height - diameter) / 2);
        brush.kernels.blend(&mut brush.picture.view_mut(), &disc, at.0, at.1);
    }

    /// Takes the layers off, if they are on.
    pub(super) fn open(&mut self, picture: &mut I420Buf) {
        if self.layered {
            self.layers.iter().rev().for_each(|layer| layer.undo(picture));
            self.layered = false;
        }
    }

    /// Lays the layers over the tile. Allocates nothing.
    pub(super) fn close(&mut self, kernels: Kernels, picture: &mut I420Buf) {
        self.layers.iter_mut().for_each(|layer| layer.draw(kernels, picture));
        self.layered = true;
    }
}

/// The layers of a look: `size` is that of the whole picture.
fn layers(look: &Look, rect: Rect, fonts: &Fonts, size: (usize, usize)) -> Vec<Layer> {
    let mut layers = Vec::new();
    if look.border {
        layers.extend(Layer::border(rect, look::border(size.1)));
    }
    let Some(letters) = look::letters(rect.width, rect.height) else { return layers };
    let inset = look::inset(letters);
    let mut room = rect.width.saturating_sub(2 * inset);
    let mut lay = |canvas: &crate::canvas::Canvas, x: usize, y: usize| {
        layers.extend(Layer::overlay(Arc::new(canvas.finish()), (x, y), size));
    };
    if look.plus > 0
        && let Some(plus) = look::plate(fonts, &format!("+{}", look.plus), letters, room)
    {
        lay(&plus, rect.x + rect.width - inset - plus.width(), rect.y + rect.height - inset - plus.height());
        room = room.saturating_sub(plus.width() + inset);
    }
    if look.camera_off {
        let sign = look::camera_off(letters * 2);
        lay(&sign, (rect.x + rect.width).saturating_sub(inset + sign.width()), rect.y + inset);
    }
    if let Some(plate) = look.name.as_ref().and_then(|name| look::plate(fonts, name, letters, room)) {
        lay(&plate, rect.x + inset, rect.y + rect.height - inset - plate.height());
    }
    layers
}

/// A layer with something over the whole picture.
pub(super) fn over(overlay: &crate::canvas::Canvas, at: (usize, usize), size: (usize, usize)) -> Option<Layer> {
    Layer::overlay(Arc::new(overlay.finish()), at, size)
}
