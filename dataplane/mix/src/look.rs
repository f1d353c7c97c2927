//! How things look: plates for names, avatars, signs, banners. Sizes follow the tile or the picture they stand on.

use crate::canvas::{Canvas, disc, round_rect, stroke};
use crate::text::{Fonts, Line};

/// What no tile covers, and bars beside a source of another shape.
pub const BACKGROUND: [u8; 3] = [17, 19, 24];
/// The border around the current speaker.
pub const SPEAKER: [u8; 3] = [61, 190, 255];
/// Behind text on a picture.
const PLATE: [u8; 4] = [12, 14, 20, 176];
const INK: [u8; 3] = [255, 255, 255];
/// Colours of avatars.
const AVATARS: [[u8; 3]; 12] = [
    [196, 72, 72],
    [201, 104, 48],
    [176, 128, 36],
    [118, 140, 46],
    [58, 146, 78],
    [38, 146, 124],
    [38, 138, 164],
    [54, 114, 196],
    [88, 92, 204],
    [132, 82, 196],
    [172, 72, 164],
    [192, 68, 118],
];

/// Letters of a name in a tile of this height, in pixels; `None` when the tile is too small for one.
pub fn letters(width: usize, height: usize) -> Option<usize> {
    let size = (height as f32).sqrt() * 0.8 + 3.2;
    (width >= 48 && height >= 28).then_some(size as usize)
}

/// Pixels between a plate and the edges of its tile.
pub fn inset(letters: usize) -> usize {
    (letters * 2 / 5).next_multiple_of(2)
}

/// Thickness of the speaker's border on a picture of this height: even, 2 pixels at least.
pub fn border(height: usize) -> usize {
    (height / 180).max(2).next_multiple_of(2)
}

/// Text on a dark plate with round corners, at most `widest` pixels wide.
pub fn plate(fonts: &Fonts, text: &str, letters: usize, widest: usize) -> Option<Canvas> {
    let margin = letters * 9 / 20;
    let line = fonts.line(text, letters, widest.checked_sub(2 * margin)?, INK)?;
    let mut canvas = Canvas::new(line.width + 2 * margin, letters * 31 / 20);
    let all = (0.0, 0.0, canvas.width() as f32, canvas.height() as f32);
    canvas.shape(PLATE, round_rect(all, letters as f32 * 0.32));
    draw_in_middle(&line, &mut canvas, margin);
    Some(canvas)
}

/// The line at `x`, its letters in the middle of the canvas' height.
fn draw_in_middle(line: &Line, canvas: &mut Canvas, x: usize) {
    line.draw(canvas, x as i32, (canvas.height() as i32 - line.height as i32) / 2);
}

/// Text without a plate, over the whole picture.
pub fn holding(fonts: &Fonts, text: &str, letters: usize, widest: usize) -> Option<Canvas> {
    let line = fonts.line(text, letters, widest, [196, 202, 214])?;
    let mut canvas = Canvas::new(line.width, line.height);
    draw_in_middle(&line, &mut canvas, 0);
    Some(canvas)
}

/// The sign of somebody whose camera is off: a camera with a stroke through it, on a dark disc of this diameter.
pub fn camera_off(diameter: usize) -> Canvas {
    let mut canvas = Canvas::new(diameter, diameter);
    let d = diameter as f32;
    let white = [255, 255, 255, 255];
    canvas.shape([12, 14, 20, 200], disc((d / 2.0, d / 2.0), d / 2.0));
    canvas.shape(white, round_rect((d * 0.23, d * 0.34, d * 0.36, d * 0.32), d * 0.06));
    // The lens: a wedge that opens to the right.
    canvas.shape(white, move |x, y| {
        let (along, away) = ((x / d - 0.61) / 0.15, (y / d - 0.5).abs());
        ((away - 0.05 - 0.09 * along) * d).max((0.0 - along) * d * 0.15).max((along - 1.0) * d * 0.15)
    });
    canvas.shape([12, 14, 20, 255], stroke((d * 0.20, d * 0.28), (d * 0.74, d * 0.82), d * 0.09));
    canvas.shape([255, 96, 88, 255], stroke((d * 0.25, d * 0.25), (d * 0.77, d * 0.77), d * 0.07));
    canvas
}

/// Colour of somebody's avatar, always the same for an id.
pub fn avatar_colour(id: u64) -> [u8; 3] {
    // Fibonacci hashing: neighbours get colours that differ.
    let hash = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    AVATARS[(hash % AVATARS.len() as u64) as usize]
}

/// Colour of the tile around an avatar: a dark tint of it.
pub fn avatar_tile(id: u64) -> [u8; 3] {
    let tint = avatar_colour(id);
    std::array::from_fn(|c| ((u16::from(tint[c]) * 3 + u16::from(BACKGROUND[c]) * 10) / 13) as u8)
}

/// The disc of an avatar with the name's initials.
pub fn avatar(fonts: &Fonts, id: u64, name: &str, diameter: usize) -> Canvas {
    let [r, g, b] = avatar_colour(id);
    let mut canvas = Canvas::new(diameter, diameter);
    let middle = diameter as f32 / 2.0;
    canvas.shape([r, g, b, 255], disc((middle, middle), middle));
    let initials = initials(name);
    let letters = if initials.chars().count() > 1 { diameter * 2 / 5 } else { diameter / 2 };
    match fonts.line(&initials, letters, diameter, INK) {
        Some(line) => line.draw_centred(&mut canvas, middle as i32, middle as i32),
        None => person(&mut canvas),
    }
    canvas
}

/// Head and shoulders, for somebody without a name.
fn person(canvas: &mut Canvas) {
    let d = canvas.width() as f32;
    let white = [255, 255, 255, 235];
    canvas.shape(white, disc((d * 0.5, d * 0.39), d * 0.15));
    let shoulders = round_rect((d * 0.23, d * 0.6, d * 0.54, d * 0.6), d * 0.24);
    canvas.shape(white, move |x, y| shoulders(x, y).max(y - d * 0.8));
}

/// First letters of the first and the last word; one sign for names whose scripts have no capitals or that are no words.
fn initials(name: &str) -> String {
    let mut firsts = name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let Some(first) = firsts.next() else {
        return name.chars().find(|c| !c.is_whitespace() && !c.is_control()).map(String::from).unwrap_or_default();
    };
    let capitals = |c: char| c.is_uppercase() || c.is_lowercase();
    let last = firsts.next_back().filter(|last| capitals(first) && capitals(*last));
    std::iter::once(first).chain(last).flat_map(char::to_uppercase).collect()
}

/// A logo as large as it may be: a sixth of the picture's width, an eighth of its height. Smaller ones stay as they are.
pub fn logo(logo: &Canvas, (width, height): (usize, usize)) -> Canvas {
    let (widest, highest) = ((width / 6).max(1), (height / 8).max(1));
    if logo.width() <= widest && logo.height() <= highest {
        return logo.clone();
    }
    let by_width = (widest, (logo.height() * widest / logo.width()).max(1));
    let (w, h) =
        if by_width.1 <= highest { by_width } else { ((logo.width() * highest / logo.height()).max(1), highest) };
    logo.scaled(w, h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_come_from_any_name() {
        for (name, want) in [
            ("Ada Lovelace", "AL"),
            ("zoë", "Z"),
            ("Jean Luc de la Tour", "JT"),
            ("王小明", "王"),
            ("محمد علي", "م"),
            ("田中 さくら", "田"),
            ("🎉🚀", "🎉"),
            ("  ", ""),
            ("\"Bob\" (phone)", "BP"),
            ("+49 30 1234", "4"),
            ("ß", "SS"),
        ] {
            assert_eq!(initials(name), want, "{name}");
        }
    }

    #[test]
    fn an_avatars_colour_stays_and_neighbours_differ() {
        assert_eq!(avatar_colour(7), avatar_colour(7));
        let colours: std::collections::BTreeSet<_> = (0..12).map(avatar_colour).collect();
        assert!(colours.len() > 6, "{colours:?}");
    }

    #[test]
    fn nothing_is_too_small_to_be_drawn() {
        for size in [0, 1, 2, 3, 5] {
            let fonts = Fonts::none();
            camera_off(size);
            avatar(&fonts, 1, "A B", size);
            assert!(plate(&fonts, "name", size, size).is_none() && holding(&fonts, "text", size, 0).is_none());
        }
        let wide = Canvas::new(4000, 2);
        assert_eq!((logo(&wide, (600, 300)).width(), logo(&wide, (2, 2)).height()), (100, 1));
        let small = logo(&Canvas::new(10, 10), (600, 300));
        assert_eq!((small.width(), small.height()), (10, 10), "small ones are not enlarged");
    }
}
