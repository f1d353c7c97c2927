//! Pictures of a presentation as JPEG, for those who fetch it instead of receiving it (MGMT-46).
//!
//! A picture is fitted into a height and 16:9 and never enlarged. A file is at most [`MAX_STILL`] bytes: what would be longer is made coarser, then
//! smaller. Samples are taken for BT.709 in limited range, as everywhere in the mixer, and brought to BT.601 in full range, which JFIF is. No file
//! is touched.

use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor};
use plenum_contract::mix::MAX_STILL;
use plenum_kernels::{I420, I420Buf, Kernels, ScalePlan, fit};

/// Qualities that are tried, the best first: text is clear at the first, legible at the last.
const QUALITIES: [u8; 3] = [85, 65, 45];
/// Times that a picture is halved before it is given up. A picture of noise at the last quality fits after one.
const HALVINGS: usize = 4;

/// The picture as a JPEG file, at most `height` pixels high; `None` for a picture without pixels.
pub fn encode(kernels: Kernels, picture: &I420<'_>, height: u16) -> Option<Vec<u8>> {
    let source = (picture.width(), picture.height());
    let mut size = within(source, usize::from(height.max(16)));
    for _ in 0..=HALVINGS {
        let scaled = scale(kernels, picture, size)?;
        let view = scaled.as_ref().map_or(*picture, I420Buf::view);
        for quality in QUALITIES {
            let file = file(&view, quality)?;
            if file.len() <= MAX_STILL {
                return Some(file);
            }
        }
        size = within(size, (size.1 / 2).max(16));
    }
    None
}

/// The size of a picture that is fitted into a height and 16:9; it is never enlarged.
fn within(source: (usize, usize), height: usize) -> (usize, usize) {
    let room = (height * 16 / 9, height);
    if source.0 <= room.0 && source.1 <= room.1 {
        return source;
    }
    let inside = fit(source, (room.0 & !1, room.1 & !1));
    (inside.width.max(2), inside.height.max(2))
}

/// The picture in another size; `Some(None)` when it has that size.
fn scale(kernels: Kernels, picture: &I420<'_>, size: (usize, usize)) -> Option<Option<I420Buf>> {
    let source = (picture.width(), picture.height());
    if source == size {
        return Some(None);
    }
    let half = |(width, height): (usize, usize)| (width.div_ceil(2), height.div_ceil(2));
    let mut luma = ScalePlan::new(kernels, source, size).ok()?;
    let mut chroma = ScalePlan::new(kernels, half(source), half(size)).ok()?;
    let mut scaled = I420Buf::new(size.0, size.1).ok()?;
    let to = scaled.view_mut();
    luma.run(picture.y, to.y).ok()?;
    chroma.run(picture.u, to.u).ok()?;
    chroma.run(picture.v, to.v).ok()?;
    Some(Some(scaled))
}

fn file(picture: &I420<'_>, quality: u8) -> Option<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode_image(Rows(*picture)).ok()?;
    Some(file)
}

/// A picture as the encoder asks for it: row by row, chroma as large as luma.
struct Rows<'a>(I420<'a>);

impl ImageBuffer for Rows<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        u16::try_from(self.0.width()).unwrap_or(0)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.0.height()).unwrap_or(0)
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let y = usize::from(y);
        let (luma, blue, red) = (self.0.y.row(y), self.0.u.row(y / 2), self.0.v.row(y / 2));
        let [into_luma, into_blue, into_red, _] = buffers;
        for (pair, (u, v)) in luma.chunks(2).zip(blue.iter().zip(red)) {
            let (u, v) = (i32::from(*u) - 128, i32::from(*v) - 128);
            let (lift, cb, cr) = (118 * u + 229 * v, 1154 * u - 129 * v, -84 * u + 1146 * v);
            for sample in pair {
                into_luma.push(rounded(1192 * (i32::from(*sample) - 16) + lift));
                into_blue.push(rounded(cb + (128 << 10)));
                into_red.push(rounded(cr + (128 << 10)));
            }
        }
    }
}

/// A value in 1024ths as a sample. The factors above are those of the matrix from BT.709 to BT.601, times 255/219 for luma and 255/224 for chroma.
fn rounded(value: i32) -> u8 {
    ((value + 512) >> 10).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::colour;
    use plenum_kernels::{Colour, Rect};

    /// A picture whose left half has one colour and whose right half another.
    fn halves(width: usize, height: usize, left: Colour, right: Colour) -> I420Buf {
        let mut picture = I420Buf::new(width, height).unwrap();
        picture.view_mut().fill(Rect { x: 0, y: 0, width, height }, left);
        let x = width / 4 * 2;
        picture.view_mut().fill(Rect { x, y: 0, width: width - x, height }, right);
        picture
    }

    fn decoded(file: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut decoder = jpeg_decoder::Decoder::new(file);
        let pixels = decoder.decode().unwrap();
        let info = decoder.info().unwrap();
        (usize::from(info.width), usize::from(info.height), pixels)
    }

    fn is(rgb: &[u8], want: [u8; 3]) -> bool {
        rgb.iter().zip(want).all(|(have, want)| have.abs_diff(want) <= 6)
    }

    #[test]
    fn colours_come_back_as_they_were_at_the_size_that_was_asked_for() {
        let (white, red) = (colour([255; 3]), colour([255, 0, 0]));
        for (size, height, want) in [
            ((1920, 1080), 720, (1280, 720)),
            ((640, 360), 720, (640, 360)),
            ((1080, 1920), 720, (404, 720)),
            ((3440, 1440), 1080, (1920, 804)),
            ((33, 17), 720, (33, 17)),
            ((1, 1), 720, (1, 1)),
        ] {
            let picture = halves(size.0, size.1, white, red);
            let (width, height, pixels) = decoded(&encode(Kernels::best(), &picture.view(), height).unwrap());
            assert_eq!((width, height), want);
            if width > 8 {
                let row = height / 2 * width;
                let at = |x: usize| &pixels[(row + x) * 3..][..3];
                assert!(is(at(width / 4), [255, 255, 255]) && is(at(width * 3 / 4), [255, 0, 0]), "{size:?}");
            }
        }
    }

    #[test]
    fn a_picture_that_would_be_too_long_is_made_coarser_and_smaller() {
        let mut noise = I420Buf::new(1920, 1080).unwrap();
        let mut seed = 7u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let planes = noise.view_mut();
        for mut plane in [planes.y, planes.u, planes.v] {
            for y in 0..plane.height() {
                plane.row_mut(y).fill_with(&mut next);
            }
        }
        let file = encode(Kernels::best(), &noise.view(), 1080).unwrap();
        assert!(file.len() <= MAX_STILL);
        let (width, height, _) = decoded(&file);
        assert!(width >= 480 && height * 16 == width * 9, "{width}x{height}");
    }
}
