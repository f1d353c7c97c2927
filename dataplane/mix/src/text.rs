//! Text in any script, set in type from fonts that are held in memory.
//!
//! Text is hostile: control characters and line breaks become spaces, direction overrides are taken out, and what is longer
//! than [`LONGEST`] is cut before it is shaped. What is wider than its room ends with an ellipsis. Should the shaping engine
//! panic on some text, that text is left out and the engine made anew. Without any font nothing is set.

use crate::canvas::{Canvas, Rgba};
use cosmic_text::fontdb::{Database, Source};
use cosmic_text::{
    Align, Attrs, Buffer, Color, Ellipsize, EllipsizeHeightLimit, Family, FontSystem, Metrics, Shaping, SwashCache,
    Wrap,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Characters of a text that are shaped; the rest is cut off.
pub const LONGEST: usize = 200;
/// Smallest and largest size of letters, in pixels.
pub const SIZES: std::ops::RangeInclusive<usize> = 6..=256;
/// Glyphs that are kept in memory; when there are more, all are forgotten.
const GLYPHS: usize = 1024;
/// Invisible marks that turn the direction of what follows them.
const TURNS: &[char] =
    &['\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}'];

/// The fonts, and what sets them. Clones share it: it is held for a moment when a text changes, never for a frame.
#[derive(Clone, Debug)]
pub struct Fonts(Arc<Mutex<Option<Typesetter>>>);

#[derive(Debug)]
struct Typesetter {
    fonts: FontSystem,
    glyphs: SwashCache,
}

/// One line of text as pixels.
#[derive(Clone, Debug)]
pub struct Line {
    /// How far it advances, in pixels.
    pub width: usize,
    /// Height of a line of this size, in pixels: letters stand in its middle.
    pub height: usize,
    /// Pixels from the line's top left, with how much of the ink or which colour lies there.
    pixels: Vec<(i32, i32, Rgba)>,
}

impl Line {
    /// Lays it on `canvas` with its top left at (`x`, `y`).
    pub fn draw(&self, canvas: &mut Canvas, x: i32, y: i32) {
        for (dx, dy, colour) in &self.pixels {
            canvas.lay(x + dx, y + dy, *colour);
        }
    }

    /// Lays it on `canvas` so that what can be seen of it has its middle at (`x`, `y`).
    pub fn draw_centred(&self, canvas: &mut Canvas, x: i32, y: i32) {
        let ends = |of: fn(&(i32, i32, Rgba)) -> i32| {
            let seen = self.pixels.iter().filter(|p| p.2[3] > 64).map(of);
            seen.clone().min().unwrap_or_default() + seen.max().unwrap_or_default()
        };
        self.draw(canvas, x - ends(|p| p.0) / 2, y - ends(|p| p.1) / 2);
    }
}

impl Fonts {
    /// No fonts: no text is shown.
    pub fn none() -> Fonts {
        Fonts(Arc::new(Mutex::new(None)))
    }

    /// These font files, the first that is one being preferred. Files that are no fonts are passed over.
    pub fn new(files: impl IntoIterator<Item = Vec<u8>>) -> Fonts {
        let mut fonts = Database::new();
        for file in files {
            fonts.load_font_source(Source::Binary(Arc::new(file)));
        }
        let first = fonts.faces().next().and_then(|face| face.families.first()).map(|family| family.0.clone());
        let Some(first) = first else { return Fonts::none() };
        fonts.set_sans_serif_family(first);
        Fonts(Arc::new(Mutex::new(Some(Typesetter::new(fonts)))))
    }

    /// Whether there is any font.
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Whether a font of this family is there, e.g. `Noto Sans Arabic`.
    pub fn has(&self, family: &str) -> bool {
        let setter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        setter.as_ref().is_some_and(|s| s.fonts.db().faces().any(|face| face.families.iter().any(|f| f.0 == family)))
    }

    /// `text` in letters of `size` pixels (kept within [`SIZES`]), at most `widest` pixels wide. `None` when nothing is to be
    /// seen, there is no room for two letters, or there are no fonts.
    pub fn line(&self, text: &str, size: usize, widest: usize, ink: [u8; 3]) -> Option<Line> {
        let text = visible(text);
        let size = size.clamp(*SIZES.start(), *SIZES.end());
        if text.is_empty() || widest < 2 * size {
            return None;
        }
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let setter = guard.as_mut()?;
        let line = catch_unwind(AssertUnwindSafe(|| setter.line(&text, size, widest, ink)));
        line.unwrap_or_else(|_| {
            *setter = Typesetter::new(setter.fonts.db().clone());
            None
        })
    }
}

impl Typesetter {
    fn new(fonts: Database) -> Typesetter {
        let fonts = FontSystem::new_with_locale_and_db("en".into(), fonts);
        Typesetter { fonts, glyphs: SwashCache::new() }
    }

    fn line(&mut self, text: &str, size: usize, widest: usize, [r, g, b]: [u8; 3]) -> Option<Line> {
        let mut buffer = Buffer::new(&mut self.fonts, Metrics::new(size as f32, height(size) as f32));
        buffer.set_wrap(Wrap::None);
        buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(1)));
        buffer.set_size(Some(widest as f32), Some(height(size) as f32 * 1.2));
        let attributes = Attrs::new().family(family(text));
        buffer.set_text(text, &attributes, Shaping::Advanced, Some(Align::Left));
        buffer.shape_until_scroll(&mut self.fonts, false);
        let width = buffer.layout_runs().map(|run| run.line_w).fold(0.0, f32::max).ceil() as usize;
        let mut pixels = Vec::new();
        buffer.draw(&mut self.fonts, &mut self.glyphs, Color::rgb(r, g, b), |x, y, w, h, colour| {
            let colour = colour.as_rgba();
            if colour[3] > 0 {
                pixels.extend((0..h as i32).flat_map(|dy| (0..w as i32).map(move |dx| (x + dx, y + dy, colour))));
            }
        });
        if self.glyphs.image_cache.len() > GLYPHS {
            self.glyphs.image_cache.clear();
        }
        (!pixels.is_empty()).then_some(Line { width: width.min(widest), height: height(size), pixels })
    }
}

/// Height of a line of letters of `size` pixels.
fn height(size: usize) -> usize {
    size * 13 / 10
}

/// Chinese characters look different in Japan and Korea: kana and Hangul tell whose they are.
fn family(text: &str) -> Family<'static> {
    if text.contains(|c| ('\u{3040}'..='\u{30ff}').contains(&c)) {
        Family::Name("Noto Sans CJK JP")
    } else if text.contains(|c| ('\u{ac00}'..='\u{d7a3}').contains(&c)) {
        Family::Name("Noto Sans CJK KR")
    } else {
        Family::SansSerif
    }
}

/// What can be seen of a text.
fn visible(text: &str) -> String {
    let kept = text.chars().filter(|c| !TURNS.contains(c)).take(LONGEST);
    let spaced: String =
        kept.map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fonts;

    const WHITE: [u8; 3] = [255; 3];

    #[test]
    fn names_in_five_scripts_are_set_and_their_glyphs_are_in_the_fonts() {
        let fonts = fonts::load(fonts::DIRECTORIES).fonts;
        let missing = fonts.line("\u{10ffff}", 20, 600, WHITE).expect("a box for what no font has");
        for name in ["Zoë Müller", "王小明", "田中 さくら", "محمد علي", "🎉🚀", "김민준", "Дмитрий", "अनिता"]
        {
            let line = fonts.line(name, 20, 600, WHITE).expect(name);
            assert!(line.width > 20 && line.width < 200, "{name}: {}", line.width);
            let boxes = name.chars().filter(|c| !c.is_whitespace()).count() * missing.pixels.len();
            assert_ne!(line.pixels.len(), boxes, "{name} is boxes");
        }
        let party = fonts.line("🎉", 20, 600, WHITE).expect("emoji");
        assert!(party.pixels.iter().any(|p| p.2[0].abs_diff(p.2[2]) > 60), "emoji have colours");
    }

    #[test]
    fn a_long_name_ends_with_an_ellipsis_and_keeps_to_its_room() {
        let fonts = fonts::load(fonts::DIRECTORIES).fonts;
        for name in
            ["Maximiliane Hubertina von und zu Hohenstein", "محمد عبد الرحمن بن عبد العزيز الفلاني", &"王".repeat(150)]
        {
            let line = fonts.line(name, 12, 90, WHITE).expect(name);
            assert!((60..=90).contains(&line.width), "{name}: {}", line.width);
            let right = line.pixels.iter().map(|p| p.0).max().expect("pixels");
            assert!(right <= 92, "{name} reaches to {right}");
        }
    }

    #[test]
    fn what_is_hostile_in_a_name_is_taken_out_and_nothing_panics() {
        assert_eq!(visible("a\u{202e}b\n\tc\u{2028}d\0"), "ab c d");
        assert_eq!(visible(&"x".repeat(1000)).len(), LONGEST);
        let fonts = fonts::load(fonts::DIRECTORIES).fonts;
        assert!(fonts.line(" \u{200b}\u{202e}\n", 20, 300, WHITE).is_none());
        let zalgo: String =
            std::iter::once('a').chain((0..150).map(|n| char::from_u32(0x300 + n % 112).expect("a mark"))).collect();
        let mixed = "א\u{200f}b\u{200e}ج\u{200d}\u{fe0f}👩‍👩‍👧‍👦\u{1f1e9}\u{1f1ea}\u{e0001}";
        for text in [zalgo.as_str(), mixed, "\u{fffd}\u{feff}\u{ad}x", "\u{10ffff}", "\u{0600}\u{06dd}\u{0e33}\u{0e33}"]
        {
            for (size, widest) in [(0, 12), (7, 15), (20, 41), (400, 5000)] {
                let _ = fonts.line(text, size, widest, WHITE);
            }
        }
        assert!(fonts.line("still here", 20, 300, WHITE).is_some());
    }

    #[test]
    fn without_fonts_there_is_no_text_and_no_crash() {
        let fonts = Fonts::new([b"not a font".to_vec(), Vec::new()]);
        assert!(fonts.is_empty() && fonts.line("x", 20, 300, WHITE).is_none() && !fonts.has("Noto Sans"));
    }
}
