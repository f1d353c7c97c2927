//! Small pictures with transparency, drawn once and laid over tiles many times: plates, icons, initials, logos.
//!
//! A [`Canvas`] holds straight (not premultiplied) RGBA. Shapes are given by their distance function, so that edges are smooth.
//! [`Canvas::finish`] makes of it what the kernels blend. Nothing here runs for every frame.

use plenum_kernels::{Colour, Overlay};

/// Red, green, blue and how opaque, 0 to 255.
pub type Rgba = [u8; 4];

/// A picture of RGBA that is being drawn.
#[derive(Clone, Debug)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Rgba>,
}

impl Canvas {
    /// Longest side, in pixels: that of the kernels' pictures.
    pub const LONGEST_SIDE: usize = plenum_kernels::MAX_SIDE;

    /// A transparent canvas; sides are kept within 1 to [`Canvas::LONGEST_SIDE`].
    pub fn new(width: usize, height: usize) -> Canvas {
        let (width, height) = (width.clamp(1, Canvas::LONGEST_SIDE), height.clamp(1, Canvas::LONGEST_SIDE));
        Canvas { width, height, pixels: vec![[0; 4]; width * height] }
    }

    /// From pixels in rows without gaps; `None` when they are not as many as the sides say or a side is out of range.
    pub fn from_pixels(width: usize, height: usize, pixels: Vec<Rgba>) -> Option<Canvas> {
        let good = 1..=Canvas::LONGEST_SIDE;
        let fits = good.contains(&width) && good.contains(&height) && pixels.len() == width * height;
        fits.then_some(Canvas { width, height, pixels })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixel at (`x`, `y`); transparent outside of the canvas.
    pub fn pixel(&self, x: usize, y: usize) -> Rgba {
        let inside = x < self.width && y < self.height;
        if inside { self.pixels[y * self.width + x] } else { [0; 4] }
    }

    /// Lays `colour` over the pixel at (`x`, `y`); outside of the canvas nothing happens.
    pub fn lay(&mut self, x: i32, y: i32, colour: Rgba) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x < self.width && y < self.height {
            let below = &mut self.pixels[y * self.width + x];
            *below = over(*below, colour);
        }
    }

    /// Draws a shape: `distance` gives how far the point (x, y) is outside of it (negative: inside), in pixels.
    pub fn shape(&mut self, colour: Rgba, distance: impl Fn(f32, f32) -> f32) {
        for y in 0..self.height {
            for x in 0..self.width {
                let cover = (0.5 - distance(x as f32 + 0.5, y as f32 + 0.5)).clamp(0.0, 1.0);
                let alpha = (f32::from(colour[3]) * cover + 0.5) as u8;
                if alpha > 0 {
                    let below = &mut self.pixels[y * self.width + x];
                    *below = over(*below, [colour[0], colour[1], colour[2], alpha]);
                }
            }
        }
    }

    /// The same picture in another size: each new pixel is the mean of what it covers, weighted by how opaque that is.
    pub fn scaled(&self, width: usize, height: usize) -> Canvas {
        let mut canvas = Canvas::new(width, height);
        let (across, down) = (self.width as f32 / canvas.width as f32, self.height as f32 / canvas.height as f32);
        for y in 0..canvas.height {
            for x in 0..canvas.width {
                let part = (x as f32 * across, y as f32 * down, across, down);
                canvas.pixels[y * canvas.width + x] = self.mean(part);
            }
        }
        canvas
    }

    /// The mean of a part (left, top, width, height).
    fn mean(&self, (left, top, width, height): (f32, f32, f32, f32)) -> Rgba {
        let span = |from: f32, length: f32, end: usize| from as usize..((from + length).ceil() as usize).clamp(1, end);
        let share = |at: usize, from: f32, length: f32| (at as f32 + 1.0).min(from + length) - (at as f32).max(from);
        let (mut sum, mut opaque, mut area) = ([0.0; 3], 0.0, 0.0);
        for y in span(top, height, self.height) {
            for x in span(left, width, self.width) {
                let weight = (share(y, top, height) * share(x, left, width)).max(1e-6);
                let pixel = self.pixels[y * self.width + x].map(f32::from);
                area += weight;
                opaque += weight * pixel[3];
                for (sum, channel) in sum.iter_mut().zip(pixel) {
                    *sum += weight * pixel[3] * channel;
                }
            }
        }
        let [r, g, b] = sum.map(|s| if opaque > 0.0 { (s / opaque + 0.5) as u8 } else { 0 });
        [r, g, b, (opaque / area + 0.5) as u8]
    }

    /// The canvas as the kernels blend it.
    pub fn finish(&self) -> Overlay {
        let bytes = self.pixels.as_flattened();
        Overlay::from_rgba(self.width, self.height, bytes).expect("a canvas has a good size and all its pixels")
    }
}

/// `above` laid over `below`.
fn over(below: Rgba, above: Rgba) -> Rgba {
    let (top, under) = (u32::from(above[3]), u32::from(below[3]));
    // 255 × the opacity of both together, and how much of it each gives.
    let together = 255 * top + under * (255 - top);
    if together == 0 {
        return below;
    }
    let mut mixed = [0; 4];
    for channel in 0..3 {
        let sum = 255 * top * u32::from(above[channel]) + under * (255 - top) * u32::from(below[channel]);
        mixed[channel] = ((sum + together / 2) / together) as u8;
    }
    mixed[3] = ((together + 127) / 255) as u8;
    mixed
}

/// Distance from a rectangle (left, top, width, height) whose corners are round.
pub fn round_rect((left, top, width, height): (f32, f32, f32, f32), radius: f32) -> impl Fn(f32, f32) -> f32 {
    let radius = radius.min(width / 2.0).min(height / 2.0);
    let (half_width, half_height) = (width / 2.0 - radius, height / 2.0 - radius);
    move |x, y| {
        let (dx, dy) = ((x - left - width / 2.0).abs() - half_width, (y - top - height / 2.0).abs() - half_height);
        dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
    }
}

/// Distance from a disc.
pub fn disc((x, y): (f32, f32), radius: f32) -> impl Fn(f32, f32) -> f32 {
    move |px, py| (px - x).hypot(py - y) - radius
}

/// Distance from a stroke between two points.
pub fn stroke(from: (f32, f32), to: (f32, f32), thickness: f32) -> impl Fn(f32, f32) -> f32 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = (dx * dx + dy * dy).max(1e-6);
    move |x, y| {
        let along = (((x - from.0) * dx + (y - from.1) * dy) / length).clamp(0.0, 1.0);
        (x - from.0 - along * dx).hypot(y - from.1 - along * dy) - thickness / 2.0
    }
}

/// A colour as the kernels fill it, BT.709 in limited range.
pub fn colour([r, g, b]: [u8; 3]) -> Colour {
    let [r, g, b] = [r, g, b].map(f32::from);
    let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let of = |value: f32, base: f32| (base + value + 0.5) as u8;
    Colour {
        y: of(luma * 219.0 / 255.0, 16.0),
        u: of((b - luma) / 1.8556 * 224.0 / 255.0, 128.0),
        v: of((r - luma) / 1.5748 * 224.0 / 255.0, 128.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plenum_kernels::{I420Buf, Kernels};

    #[test]
    fn what_is_laid_over_shows_as_far_as_it_is_opaque() {
        let mut canvas = Canvas::new(3, 1);
        canvas.lay(0, 0, [200, 100, 0, 128]);
        assert_eq!(canvas.pixel(0, 0), [200, 100, 0, 128], "over nothing");
        canvas.lay(0, 0, [0, 0, 0, 255]);
        assert_eq!(canvas.pixel(0, 0), [0, 0, 0, 255], "hidden");
        canvas.lay(1, 0, [255, 255, 255, 255]);
        canvas.lay(1, 0, [0, 0, 0, 128]);
        assert_eq!(canvas.pixel(1, 0), [127, 127, 127, 255], "half");
        for (x, y) in [(-1, 0), (0, -1), (3, 0), (0, 1)] {
            canvas.lay(x, y, [1, 1, 1, 255]);
        }
        assert_eq!(canvas.pixels.iter().filter(|p| p[3] > 0).count(), 2, "nothing outside");
    }

    #[test]
    fn shapes_have_smooth_edges() {
        let mut canvas = Canvas::new(20, 20);
        canvas.shape([255, 0, 0, 255], disc((10.0, 10.0), 8.0));
        assert_eq!((canvas.pixel(10, 10)[3], canvas.pixel(0, 0)[3]), (255, 0));
        assert!((1..255).contains(&canvas.pixel(2, 8)[3]), "the edge is between");
        let mut plate = Canvas::new(20, 10);
        plate.shape([0, 0, 0, 255], round_rect((0.0, 0.0, 20.0, 10.0), 4.0));
        assert_eq!((plate.pixel(0, 0)[3] < 64, plate.pixel(10, 0)[3], plate.pixel(10, 5)[3]), (true, 255, 255));
        let mut line = Canvas::new(9, 9);
        line.shape([0, 0, 0, 255], stroke((1.0, 4.5), (8.0, 4.5), 1.0));
        assert_eq!((line.pixel(4, 4)[3], line.pixel(4, 2)[3]), (255, 0));
    }

    #[test]
    fn a_scaled_canvas_weighs_colours_by_their_opacity() {
        let canvas = Canvas::from_pixels(2, 1, vec![[255, 0, 0, 255], [0, 255, 0, 0]]).expect("two pixels");
        assert_eq!(canvas.scaled(1, 1).pixel(0, 0), [255, 0, 0, 128]);
        assert_eq!(canvas.scaled(4, 2).pixel(1, 1), [255, 0, 0, 255]);
        assert!(Canvas::from_pixels(2, 2, vec![[0; 4]]).is_none() && Canvas::from_pixels(0, 0, Vec::new()).is_none());
    }

    #[test]
    fn filled_and_blended_colours_agree() {
        for rgb in [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255], [18, 130, 77]] {
            let [r, g, b] = rgb;
            let overlay = Canvas::from_pixels(1, 1, vec![[r, g, b, 255]]).expect("a pixel").finish();
            let mut picture = I420Buf::new(2, 2).expect("a size");
            Kernels::best().blend(&mut picture.view_mut(), &overlay, 0, 0);
            let (view, want) = (picture.view(), colour(rgb));
            assert!(view.y.row(0)[0].abs_diff(want.y) <= 1, "{rgb:?}");
            assert!(view.u.row(0)[0].abs_diff(want.u) <= 1 && view.v.row(0)[0].abs_diff(want.v) <= 1, "{rgb:?}");
        }
    }
}
