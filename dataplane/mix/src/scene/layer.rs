//! What is laid over a drawn tile, and can be taken off again: it keeps what was below it.

use crate::canvas::colour;
use crate::look;
use plenum_kernels::{I420, I420Buf, I420Mut, Kernels, Overlay, Plane, Rect, SizeError};
use std::sync::Arc;

/// What a layer shows.
#[derive(Clone, Debug)]
pub(super) enum Paint {
    /// A picture with transparency.
    Overlay(Arc<Overlay>),
    /// The speaker's border, of this thickness.
    Border(usize),
}

/// Paint at a place of the picture.
#[derive(Debug)]
pub(super) struct Layer {
    paint: Paint,
    area: Rect,
    /// Parts of the picture that the paint touches, as they were.
    under: Vec<(Rect, I420Buf)>,
}

impl Layer {
    /// An overlay with its left top at (`x`, `y`) on a picture of size `size`, whose sides are even. `None` when it lies outside.
    pub(super) fn overlay(overlay: Arc<Overlay>, (x, y): (usize, usize), size: (usize, usize)) -> Option<Layer> {
        let (x, y) = (x & !1, y & !1);
        let width = overlay.width().next_multiple_of(2).min(size.0.saturating_sub(x));
        let height = overlay.height().next_multiple_of(2).min(size.1.saturating_sub(y));
        let area = Rect { x, y, width, height };
        Layer::new(Paint::Overlay(overlay), area, &[area])
    }

    /// A border along the inside of `area`, whose sides are even.
    pub(super) fn border(area: Rect, thickness: usize) -> Option<Layer> {
        let thickness = thickness.next_multiple_of(2).min(area.width / 4 * 2).min(area.height / 4 * 2);
        let inner = area.height - 2 * thickness;
        let (bottom, right) = (area.y + area.height - thickness, area.x + area.width - thickness);
        let parts = [
            Rect { height: thickness, ..area },
            Rect { y: bottom, height: thickness, ..area },
            Rect { y: area.y + thickness, width: thickness, height: inner, ..area },
            Rect { x: right, y: area.y + thickness, width: thickness, height: inner },
        ];
        Layer::new(Paint::Border(thickness), area, &parts)
    }

    fn new(paint: Paint, area: Rect, parts: &[Rect]) -> Option<Layer> {
        let under =
            parts.iter().filter_map(|part| Some((*part, I420Buf::new(part.width, part.height).ok()?))).collect();
        (area.width > 0 && area.height > 0).then_some(Layer { paint, area, under })
    }

    /// Draws it. Allocates nothing.
    pub(super) fn draw(&mut self, kernels: Kernels, picture: &mut I420Buf) {
        for (part, kept) in &mut self.under {
            if let Ok(from) = part_of(&picture.view(), *part) {
                copy(&from, &mut kept.view_mut());
            }
        }
        let mut view = picture.view_mut();
        match &self.paint {
            Paint::Overlay(overlay) => kernels.blend(&mut view, overlay, self.area.x, self.area.y),
            Paint::Border(thickness) => view.border(self.area, *thickness, colour(look::SPEAKER)),
        }
    }

    /// Takes it off: what was below it is there again.
    pub(super) fn undo(&self, picture: &mut I420Buf) {
        for (part, kept) in &self.under {
            if let Ok(mut to) = part_of_mut(picture.view_mut(), *part) {
                copy(&kept.view(), &mut to);
            }
        }
    }
}

/// A part of a picture; its left, top and sides are even.
pub(super) fn part_of<'a>(picture: &I420<'a>, part: Rect) -> Result<I420<'a>, SizeError> {
    let chroma = |plane: Plane<'a>| plane.part(part.x / 2, part.y / 2, part.width / 2, part.height / 2);
    let luma = picture.y.part(part.x, part.y, part.width, part.height)?;
    I420::new(luma, chroma(picture.u)?, chroma(picture.v)?)
}

/// The same, to write.
pub(super) fn part_of_mut(picture: I420Mut<'_>, part: Rect) -> Result<I420Mut<'_>, SizeError> {
    let (x, y, width, height) = (part.x / 2, part.y / 2, part.width / 2, part.height / 2);
    let luma = picture.y.part(part.x, part.y, part.width, part.height)?;
    I420Mut::new(luma, picture.u.part(x, y, width, height)?, picture.v.part(x, y, width, height)?)
}

/// Copies a picture onto one of the same size.
pub(super) fn copy(from: &I420<'_>, to: &mut I420Mut<'_>) {
    for (from, to) in [(from.y, &mut to.y), (from.u, &mut to.u), (from.v, &mut to.v)] {
        for y in 0..from.height().min(to.height()) {
            let row = to.row_mut(y);
            let width = row.len().min(from.width());
            row[..width].copy_from_slice(&from.row(y)[..width]);
        }
    }
}
