//! Finds the font files of Debian's packages and reads them once, at start: the program has no files later.
//!
//! Wanted are Noto's sans-serif fonts of all scripts, one of Chinese, Japanese and Korean, and emoji. What is not installed is
//! named, and the rest is shown without it; without Noto Sans another Latin font takes its place.

use crate::text::Fonts;
use std::path::{Path, PathBuf};

/// Where Debian keeps fonts.
pub const DIRECTORIES: &[&str] = &["/usr/share/fonts", "/usr/local/share/fonts"];
/// Bytes of all fonts together that are read at most; files beyond are left out.
pub const MOST_BYTES: u64 = 256 << 20;
/// Latin fonts in the order they are preferred.
const LATIN: &[&str] = &["NotoSans-Regular.ttf", "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "FreeSans.ttf"];
/// The Chinese, Japanese and Korean one, and the emoji.
const OTHERS: &[&str] = &["NotoSansCJK-Regular.ttc", "NotoColorEmoji.ttf"];
/// Of Noto's sans-serif fonts those that no name needs: other widths of the same scripts, and five megabytes of sign writing.
const SPARE: &[&str] = &["UI-Regular.ttf", "Display-Regular.ttf", "Mono-Regular.ttf", "SignWriting-Regular.ttf"];

/// Fonts, and what was not found.
#[derive(Debug)]
pub struct Loaded {
    /// What can be set.
    pub fonts: Fonts,
    /// Debian's packages that would add something, with what they would add.
    pub missing: Vec<&'static str>,
}

/// Reads the fonts below these directories.
pub fn load<P: AsRef<Path>>(directories: &[P]) -> Loaded {
    let mut found = Vec::new();
    for directory in directories {
        walk(directory.as_ref(), 0, &mut found);
    }
    found.sort();
    let name = |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    let of = |wanted: &str| found.iter().find(|path| name(path) == wanted).cloned();
    let latin = LATIN.iter().find_map(|wanted| of(wanted));
    let others: Vec<PathBuf> = OTHERS.iter().filter_map(|wanted| of(wanted)).collect();
    let scripts = found.iter().filter(|path| {
        let name = name(path);
        name.starts_with("NotoSans")
            && name.ends_with("-Regular.ttf")
            && !SPARE.iter().any(|spare| name.ends_with(spare))
    });
    let mut files: Vec<PathBuf> = latin.into_iter().chain(others).collect();
    for path in scripts {
        if !files.contains(path) {
            files.push(path.clone());
        }
    }
    let fonts = Fonts::new(read(&files));
    let wanted = [
        ("Noto Sans", "fonts-noto-core (Latin and most scripts)"),
        ("Noto Sans CJK SC", "fonts-noto-cjk (Chinese, Japanese, Korean)"),
        ("Noto Color Emoji", "fonts-noto-color-emoji (emoji)"),
    ];
    let missing = wanted.iter().filter(|(family, _)| !fonts.has(family)).map(|(_, package)| *package).collect();
    Loaded { fonts, missing }
}

/// The files' bytes, one at a time, as far as [`MOST_BYTES`] reach. What cannot be read is left out.
fn read(files: &[PathBuf]) -> impl Iterator<Item = Vec<u8>> {
    let mut left = MOST_BYTES;
    files.iter().filter_map(move |path| {
        let size = std::fs::metadata(path).ok()?.len();
        left = left.checked_sub(size)?;
        std::fs::read(path).ok()
    })
}

/// Font files below `directory`, six levels deep at most.
fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() && depth < 6 {
            walk(&path, depth + 1, found);
        } else if path.extension().is_some_and(|e| e == "ttf" || e == "ttc" || e == "otf") {
            found.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_and_the_rest_works() {
        let empty = tempfile::tempdir().expect("a folder");
        let loaded = load(&[empty.path(), Path::new("/nowhere")]);
        assert!(loaded.fonts.is_empty());
        assert_eq!(loaded.missing.len(), 3);

        let noto = Path::new("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf");
        std::fs::copy(noto, empty.path().join("DejaVuSans.ttf")).expect("fonts-noto-core is installed");
        std::fs::write(empty.path().join("NotoColorEmoji.ttf"), "not a font").expect("written");
        let loaded = load(&[empty.path()]);
        assert_eq!(loaded.missing.len(), 2, "{:?}", loaded.missing);
        assert!(loaded.fonts.line("Zoë", 20, 300, [255; 3]).is_some());
        assert!(loaded.fonts.line("王小明", 20, 300, [255; 3]).is_some(), "boxes, no crash");
    }

    #[test]
    fn the_appliances_fonts_are_all_there() {
        assert_eq!(load(DIRECTORIES).missing, Vec::<&str>::new(), "packaging/setup.sh build installs them");
    }
}
