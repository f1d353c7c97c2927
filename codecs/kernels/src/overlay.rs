//! Overlays: text, icons and logos with transparency, converted once and blended onto every frame.
//!
//! An overlay lies at even places of the picture, so that its chroma meets the picture's. Chroma's alpha is the mean of its four pixels'.

use crate::level::Kernels;
use crate::view::{I420Mut, Plane, PlaneMut, SizeError, check_side};

/// A picture with transparency, ready to blend: I420 and an alpha for luma and for chroma.
#[derive(Debug, Clone)]
pub struct Overlay {
    width: usize,
    height: usize,
    /// Luma, its alpha, blue, red, chroma's alpha: one after the other without gaps.
    data: Vec<u8>,
}

impl Overlay {
    /// From red, green, blue and alpha (not premultiplied), four bytes a pixel in rows without gaps. Colours become BT.709, limited range.
    ///
    /// # Errors
    /// [`SizeError::Side`] when a side is out of range, [`SizeError::Short`] when bytes are missing.
    pub fn from_rgba(width: usize, height: usize, rgba: &[u8]) -> Result<Overlay, SizeError> {
        check_side(width, height)?;
        let pixels = rgba.as_chunks::<4>().0;
        if pixels.len() < width * height {
            return Err(SizeError::Short { have: rgba.len(), need: width * height * 4 });
        }
        let mut data = Vec::with_capacity(width * height * 2 + 3 * width.div_ceil(2) * height.div_ceil(2));
        data.extend(pixels[..width * height].iter().map(|p| luma(*p)));
        data.extend(pixels[..width * height].iter().map(|p| p[3]));
        let (mut blue, mut red, mut alpha) = (Vec::new(), Vec::new(), Vec::new());
        for y in (0..height).step_by(2) {
            for x in (0..width).step_by(2) {
                let at = |dx: usize, dy: usize| pixels[(y + dy).min(height - 1) * width + (x + dx).min(width - 1)];
                let (u, v, a) = chroma([at(0, 0), at(1, 0), at(0, 1), at(1, 1)]);
                blue.push(u);
                red.push(v);
                alpha.push(a);
            }
        }
        data.extend(blue.into_iter().chain(red).chain(alpha));
        Ok(Overlay { width, height, data })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Luma, its alpha, blue, red, chroma's alpha.
    fn planes(&self) -> [&[u8]; 5] {
        let (luma, chroma) = (self.width * self.height, self.width.div_ceil(2) * self.height.div_ceil(2));
        let (y, rest) = self.data.split_at(luma);
        let (a, rest) = rest.split_at(luma);
        let (u, rest) = rest.split_at(chroma);
        let (v, ca) = rest.split_at(chroma);
        [y, a, u, v, ca]
    }
}

fn luma([r, g, b, _]: [u8; 4]) -> u8 {
    // 0.2126, 0.7152, 0.0722 of 219 / 255, times 65536.
    let sum = 11_966 * u32::from(r) + 40_254 * u32::from(g) + 4_064 * u32::from(b);
    (16 + ((sum + 32_768) >> 16)) as u8
}

/// Chroma of four pixels weighted by their alpha, and the mean alpha.
fn chroma(pixels: [[u8; 4]; 4]) -> (u8, u8, u8) {
    let alpha: u32 = pixels.iter().map(|p| u32::from(p[3])).sum();
    let mean = |c: usize| {
        let sum: u32 = pixels.iter().map(|p| u32::from(p[c]) * u32::from(p[3])).sum();
        (sum + alpha / 2).checked_div(alpha).unwrap_or(0) as i32
    };
    let (r, g, b) = (mean(0), mean(1), mean(2));
    // 224 / 255 of (B − Y) / 1.8556 and (R − Y) / 1.5748, times 65536.
    let u = 128 + ((-6_596 * r - 22_189 * g + 28_785 * b + 32_768) >> 16);
    let v = 128 + ((28_784 * r - 26_145 * g - 2_639 * b + 32_768) >> 16);
    (u.clamp(0, 255) as u8, v.clamp(0, 255) as u8, ((alpha + 2) / 4) as u8)
}

impl Kernels {
    /// Blends `overlay` onto `picture` with its top left at (`x`, `y`), rounded down to even; parts beyond the picture are left out.
    pub fn blend(self, picture: &mut I420Mut<'_>, overlay: &Overlay, x: usize, y: usize) {
        let [luma, alpha, u, v, chroma_alpha] = overlay.planes();
        let (width, height) = (overlay.width, overlay.height);
        self.blend_rows(&mut picture.y, luma, alpha, (width, height), (x & !1, y & !1));
        let size = (width.div_ceil(2), height.div_ceil(2));
        self.blend_rows(&mut picture.u, u, chroma_alpha, size, (x / 2, y / 2));
        self.blend_rows(&mut picture.v, v, chroma_alpha, size, (x / 2, y / 2));
    }

    /// Blends one plane: `dst` becomes the mean of `dst` and `src` weighted by `alpha` / 255.
    ///
    /// # Errors
    /// [`SizeError::Mismatch`] when the planes differ in size; nothing is written then.
    pub fn blend_plane(self, dst: &mut PlaneMut<'_>, src: Plane<'_>, alpha: Plane<'_>) -> Result<(), SizeError> {
        for plane in [src, alpha] {
            if (plane.width(), plane.height()) != (dst.width(), dst.height()) {
                return Err(SizeError::Mismatch(dst.width(), dst.height(), plane.width(), plane.height()));
            }
        }
        for y in 0..dst.height() {
            // SAFETY: the processor has this level.
            unsafe { (self.table.blend)(dst.row_mut(y), src.row(y), alpha.row(y)) };
        }
        Ok(())
    }

    fn blend_rows(self, dst: &mut PlaneMut<'_>, src: &[u8], alpha: &[u8], size: (usize, usize), at: (usize, usize)) {
        let width = size.0.min(dst.width().saturating_sub(at.0));
        let height = size.1.min(dst.height().saturating_sub(at.1));
        if width == 0 {
            return;
        }
        for row in 0..height {
            let part = row * size.0..row * size.0 + width;
            let line = &mut dst.row_mut(at.1 + row)[at.0..at.0 + width];
            // SAFETY: the processor has this level.
            unsafe { (self.table.blend)(line, &src[part.clone()], &alpha[part]) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::I420Buf;

    #[test]
    fn an_overlay_covers_blends_and_leaves_by_its_alpha() {
        let mut picture = I420Buf::new(8, 4).expect("a size");
        let pixel = |alpha| [255, 255, 255, alpha];
        let rgba: Vec<u8> = (0..2)
            .flat_map(|_| [pixel(255), pixel(255), pixel(128), pixel(128), pixel(0), pixel(0)].concat())
            .collect();
        let overlay = Overlay::from_rgba(6, 2, &rgba).expect("an overlay");
        Kernels::best().blend(&mut picture.view_mut(), &overlay, 2, 1);
        assert_eq!(picture.view().y.row(0), [16, 16, 235, 235, 126, 126, 16, 16]);
        assert_eq!(picture.view().y.row(2), [16; 8]);
        assert_eq!(picture.view().u.row(0), [128; 4]);
    }

    #[test]
    fn colours_are_those_of_bt_709() {
        for (rgb, want) in [
            ([255, 0, 0], (63, 102, 240)),
            ([0, 255, 0], (173, 42, 26)),
            ([0, 0, 255], (32, 240, 118)),
            ([9, 9, 9], (24, 128, 128)),
        ] {
            let overlay = Overlay::from_rgba(1, 1, &[rgb[0], rgb[1], rgb[2], 255]).expect("an overlay");
            let [y, _, u, v, _] = overlay.planes();
            assert_eq!((y[0], u[0], v[0]), want, "{rgb:?}");
        }
    }

    #[test]
    fn an_overlay_beyond_the_picture_is_cut_off() {
        let overlay = Overlay::from_rgba(9, 9, &[255; 324]).expect("an overlay");
        let mut picture = I420Buf::new(5, 5).expect("a size");
        for (x, y) in [(3, 3), (4, 0), (5, 5), (6, 0), (usize::MAX, usize::MAX)] {
            Kernels::best().blend(&mut picture.view_mut(), &overlay, x, y);
        }
        assert_eq!(
            (picture.view().y.row(1), picture.view().y.row(4)),
            (&[16, 16, 16, 16, 235][..], &[16, 16, 235, 235, 235][..])
        );
        assert!(Overlay::from_rgba(9, 9, &[0; 323]).is_err() && Overlay::from_rgba(0, 9, &[]).is_err());
    }
}
