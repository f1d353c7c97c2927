//! A scene: members' pictures composed into one, in a layout, with what is laid over them.
//!
//! Pictures are scaled straight into their tile of the composed picture when they come; names, borders and signs are laid over
//! when it is taken ([`Scene::render`]). A layer keeps what is below it, so it can change without a new picture of the source,
//! and a tile whose source has not changed is not drawn again. When members change places, layout or size, the last picture
//! moves with them until the next one comes. A frame allocates nothing as long as sources keep their size.
//!
//! Who stands where is decided by the caller (spec/layouts.md); a scene decodes nothing and knows no time.

mod arrange;
mod cast;
mod layer;
mod tile;

use crate::canvas::{Canvas, colour};
use crate::layout::Layout;
use crate::look;
use crate::text::Fonts;
pub use cast::Cast;
use cast::Member;
use layer::Layer;
use plenum_kernels::{I420, I420Buf, Kernels, MAX_SIDE, Placement, Rect};
use std::sync::Arc;
use tile::{Brush, Look, Tile};

/// Where a presentation is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presenting {
    /// Instead of the main tile: people take the others.
    #[default]
    Main,
    /// Beside the main tile, with two thirds of its room. Layouts with more than one large tile give it the first.
    Beside,
    /// It fills the picture.
    Full,
}

/// Where a text lies over the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edge {
    /// In the middle of the upper edge.
    #[default]
    Top,
    /// In the middle of the lower edge.
    Bottom,
}

/// A text over the whole picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// The text, one line; cut with an ellipsis at nine tenths of the picture's width.
    pub text: String,
    /// Where.
    pub edge: Edge,
}

/// What a scene looks like. All of it may change while it runs ([`Scene::set`]).
#[derive(Clone, Debug)]
pub struct SceneSettings {
    /// Width in pixels; rounded down to even, kept within 2 to 8192.
    pub width: usize,
    /// Height in pixels; likewise.
    pub height: usize,
    /// Where tiles stand.
    pub layout: Layout,
    /// Whether names are shown.
    pub names: bool,
    /// Whether `+N` stands in the last tile when there are more members than tiles (not in layouts of a single tile).
    pub plus_n: bool,
    /// Whether those who speak have a border.
    pub border: bool,
    /// How sources of another shape stand in their tiles. A presentation is always fitted whole.
    pub placement: Placement,
    /// Where a presentation is shown.
    pub presenting: Presenting,
    /// Text over the picture.
    pub banner: Option<Banner>,
    /// A logo, at the upper right; at most a sixth of the width and an eighth of the height.
    pub logo: Option<Arc<Canvas>>,
    /// What is shown while there is nobody to show.
    pub holding: String,
}

impl SceneSettings {
    /// Settings with names, borders, `+N`, sources fitted whole; no banner, no logo.
    pub fn new(layout: Layout, width: usize, height: usize) -> SceneSettings {
        SceneSettings {
            width,
            height,
            layout,
            names: true,
            plus_n: true,
            border: true,
            placement: Placement::Letterbox,
            presenting: Presenting::default(),
            banner: None,
            logo: None,
            holding: "Waiting for others to join".to_owned(),
        }
    }

    fn size(&self) -> (usize, usize) {
        (self.width.clamp(2, MAX_SIDE) & !1, self.height.clamp(2, MAX_SIDE) & !1)
    }
}

/// What is shown of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// Their pictures; an avatar until the first one comes.
    Shown,
    /// An avatar: they send sound alone, or their pictures have stopped.
    AudioOnly,
    /// An avatar with the camera-off sign.
    CameraOff,
    /// Their last picture, frozen and grey.
    Held,
    /// Nobody: the place stays empty.
    Empty,
}

/// Somebody to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// Who; also decides the avatar's colour. No two seats of a scene, nor its presentation, share one, but empty ones, whose it means nothing.
    pub id: u64,
    /// Name, any Unicode.
    pub name: &'a str,
    /// What is shown of them.
    pub state: SeatState,
    /// Whether they have the border.
    pub speaking: bool,
}

/// A composed picture.
#[derive(Debug)]
pub struct Scene {
    cast: Cast,
    fonts: Fonts,
    kernels: Kernels,
    /// Who still has it as it was keeps it so: it is copied before it is drawn on.
    picture: Arc<I420Buf>,
    tiles: Vec<Tile>,
    /// What lies over the whole picture: holding text, banner, logo.
    over: Vec<Layer>,
    /// Whether every layer is on the picture, and it can be taken.
    closed: bool,
}

impl Scene {
    /// An empty scene: it shows the holding text.
    pub fn new(settings: SceneSettings, fonts: &Fonts) -> Scene {
        let size = settings.size();
        let mut scene = Scene {
            cast: Cast::new(settings),
            fonts: fonts.clone(),
            kernels: Kernels::best(),
            picture: Arc::new(blank(size)),
            tiles: Vec::new(),
            over: Vec::new(),
            closed: false,
        };
        scene.arrange(Change::Look);
        scene
    }

    /// What it looks like now.
    pub fn settings(&self) -> &SceneSettings {
        &self.cast.settings
    }

    /// Makes it look otherwise. Pictures stay until the next ones come, in their new places and sizes.
    pub fn set(&mut self, settings: SceneSettings) {
        let change = if settings.size() != self.cast.settings.size() {
            Change::Size
        } else if settings.placement != self.cast.settings.placement {
            Change::Placement
        } else {
            Change::Look
        };
        self.cast.settings = settings;
        self.arrange(change);
    }

    /// Looks like `cast`, with whom it says.
    pub fn follow(&mut self, cast: &Cast) {
        if !cast::same(&self.cast.settings, &cast.settings) {
            self.set(cast.settings.clone());
        }
        let now = (&self.cast.members, &self.cast.presentation, self.cast.total);
        if now != (&cast.members, &cast.presentation, cast.total) {
            self.cast = cast.clone();
            self.arrange(Change::Members);
        }
    }

    /// How many members have a tile, at most.
    pub fn places(&self) -> usize {
        self.cast.places()
    }

    /// Who is to be shown, in stage order, and how many members there are in all, those of the presentation not counted. Without seats and
    /// presentation the holding text is shown. Members beyond the last tile are not shown.
    pub fn place(&mut self, seats: &[Seat<'_>], total: usize) {
        if self.cast.place(seats, total) {
            self.arrange(Change::Members);
        }
    }

    /// The presentation, or that there is none. Its pictures come to [`Scene::picture`] under its id.
    pub fn present(&mut self, presentation: Option<Seat<'_>>) {
        if self.cast.present(presentation) {
            self.arrange(Change::Members);
        }
    }

    /// A picture of a seat or of the presentation: it is scaled into its tile now. Returns whether it was drawn: it is not when nobody
    /// of that id has a tile, or their state shows no pictures.
    pub fn picture(&mut self, id: u64, source: &I420<'_>) -> bool {
        let Some(at) = self.tiles.iter().position(|tile| tile.id == id && tile.wants()) else { return false };
        self.open();
        let mut brush = Brush {
            kernels: self.kernels,
            fonts: &self.fonts,
            placement: self.cast.settings.placement,
            picture: Arc::make_mut(&mut self.picture),
        };
        self.tiles[at].draw(&mut brush, *source);
        true
    }

    /// Whether the picture has changed since it was last taken.
    pub fn has_changed(&self) -> bool {
        !self.closed
    }

    /// The composed picture. Only what has changed is drawn.
    pub fn render(&mut self) -> &I420Buf {
        if !self.closed {
            let picture = Arc::make_mut(&mut self.picture);
            for tile in self.tiles.iter_mut().filter(|tile| tile.is_open()) {
                tile.close(self.kernels, picture);
            }
            for layer in &mut self.over {
                layer.draw(self.kernels, picture);
            }
            self.closed = true;
        }
        &self.picture
    }

    /// The picture as it was rendered last, to be kept: what is drawn while it is kept is drawn on a copy.
    pub fn rendered(&self) -> Arc<I420Buf> {
        self.picture.clone()
    }

    /// Size in pixels of the tile that pictures of `id` are wanted for; `None` when none are.
    pub fn wanted(&self, id: u64) -> Option<(u16, u16)> {
        let tile = self.tiles.iter().find(|tile| tile.id == id && tile.wants())?;
        Some((u16::try_from(tile.rect.width).ok()?, u16::try_from(tile.rect.height).ok()?))
    }

    /// Who has a tile and where, the presentation first, then members in stage order.
    pub fn shown(&self) -> impl Iterator<Item = (u64, Rect)> {
        self.tiles.iter().map(|tile| (tile.id, tile.rect))
    }

    /// Takes off what lies over the whole picture, so that tiles can be drawn.
    fn open(&mut self) {
        if self.closed {
            let picture = Arc::make_mut(&mut self.picture);
            for layer in self.over.iter().rev() {
                layer.undo(picture);
            }
            self.closed = false;
        }
    }

    /// Brings the tiles in line with settings, members and presentation.
    fn arrange(&mut self, change: Change) {
        self.open();
        let places = self.cast.places();
        let slots: Vec<(Member, Rect, bool)> =
            self.cast.slots().into_iter().map(|(member, rect, presents)| (member.clone(), rect, presents)).collect();
        let was_holding = self.tiles.is_empty();
        self.seat(&slots, change);
        let settings = &self.cast.settings;
        let (size, last) = (settings.size(), slots.len().saturating_sub(1));
        let hidden = self.cast.total.saturating_sub(places);
        let mut brush = Brush {
            kernels: self.kernels,
            fonts: &self.fonts,
            placement: settings.placement,
            picture: Arc::make_mut(&mut self.picture),
        };
        for (n, (tile, (member, _, presents))) in self.tiles.iter_mut().zip(&slots).enumerate() {
            let full = self.cast.members.len() >= places;
            let counts = settings.plus_n && !presents && n == last && places > 1 && full;
            let look = Look {
                name: (settings.names && !member.name.trim().is_empty()).then(|| member.name.clone()),
                border: settings.border && member.speaking,
                camera_off: member.state == SeatState::CameraOff,
                plus: if counts { hidden } else { 0 },
            };
            tile.show(&mut brush, member, look, size);
        }
        if change != Change::Members || was_holding != self.tiles.is_empty() {
            self.over = self.overlays();
        }
    }

    /// Gives every slot its tile: the one it had, or a new one with the last picture of who moved there.
    fn seat(&mut self, slots: &[(Member, Rect, bool)], change: Change) {
        let stays = |tile: &Tile| {
            let same =
                |slot: &&(Member, Rect, bool)| (slot.0.id, slot.1, slot.2) == (tile.id, tile.rect, tile.presentation);
            change != Change::Size && change != Change::Placement && slots.iter().find(same).is_some()
        };
        let (mut kept, mut old): (Vec<Tile>, Vec<Tile>) = std::mem::take(&mut self.tiles).into_iter().partition(stays);
        let picture = Arc::make_mut(&mut self.picture);
        let moved = |tile: &mut Tile| {
            let elsewhere = slots.iter().any(|slot| slot.0.id == tile.id);
            if elsewhere { tile.cut(picture).map(|cut| (tile.id, cut)) } else { None }
        };
        let carried: Vec<(u64, (I420Buf, bool))> = old.iter_mut().filter_map(moved).collect();
        if change == Change::Size {
            self.picture = Arc::new(blank(self.cast.settings.size()));
        }
        let picture = Arc::make_mut(&mut self.picture);
        for rect in old.iter().map(|tile| tile.rect).filter(|_| change != Change::Size) {
            picture.view_mut().fill(rect, colour(look::BACKGROUND));
        }
        let mut brush =
            Brush { kernels: self.kernels, fonts: &self.fonts, placement: self.cast.settings.placement, picture };
        for (member, rect, presents) in slots {
            let stayed = kept.iter().position(|tile| tile.id == member.id).map(|at| kept.swap_remove(at));
            let tile = stayed.unwrap_or_else(|| {
                let mut tile = Tile::new(member.id, *rect, *presents);
                if let Some((_, cut)) = carried.iter().find(|(id, _)| *id == member.id) {
                    tile.carry(&mut brush, cut);
                }
                tile
            });
            self.tiles.push(tile);
        }
    }

    /// What lies over the whole picture.
    fn overlays(&self) -> Vec<Layer> {
        let size @ (width, height) = self.cast.settings.size();
        let margin = (height / 36).max(2);
        let mut layers = Vec::new();
        let mut lay = |canvas: Canvas, x: usize, y: usize| layers.extend(tile::over(&canvas, (x, y), size));
        if self.tiles.is_empty()
            && let Some(text) = look::holding(&self.fonts, &self.cast.settings.holding, height / 18, width * 9 / 10)
        {
            let at = ((width - text.width().min(width)) / 2, (height - text.height().min(height)) / 2);
            lay(text, at.0, at.1);
        }
        if let Some(banner) = &self.cast.settings.banner
            && let Some(plate) = look::plate(&self.fonts, &banner.text, (height / 26).max(10), width * 9 / 10)
        {
            let down = match banner.edge {
                Edge::Top => margin,
                Edge::Bottom => height.saturating_sub(margin + plate.height()),
            };
            let across = (width - plate.width().min(width)) / 2;
            lay(plate, across, down);
        }
        if let Some(logo) = &self.cast.settings.logo {
            let logo = look::logo(logo, size);
            let across = width.saturating_sub(margin + logo.width());
            lay(logo, across, margin);
        }
        layers
    }
}

/// What is to be arranged anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Who is shown.
    Members,
    /// Layout or overlays.
    Look,
    /// How sources stand in their tiles.
    Placement,
    /// The picture's size.
    Size,
}

/// A picture of nothing but background.
fn blank((width, height): (usize, usize)) -> I420Buf {
    let mut picture = I420Buf::new(width, height).expect("a scene's size is kept in range");
    picture.view_mut().fill(Rect { x: 0, y: 0, width, height }, colour(look::BACKGROUND));
    picture
}
