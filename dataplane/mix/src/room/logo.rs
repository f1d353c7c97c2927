//! The logo over every scene of a room: decoded when it is another file than before, and kept no larger than it is drawn. One that cannot be decoded is
//! none, and told.

use crate::canvas::Canvas;
use crate::{files, look};
use plenum_contract::mix::MAX_REASON;
use std::sync::Arc;

/// The logo of a spec.
#[derive(Default)]
pub(super) struct Logo {
    file: Option<Vec<u8>>,
    /// Sides of the scenes that it was decoded for.
    scenes: (usize, usize),
    /// Decoded.
    pub(super) picture: Option<Arc<Canvas>>,
    /// Why it cannot be drawn, until that is told.
    refused: Option<String>,
}

impl Logo {
    /// The file of a spec; `scenes`: the longest sides of its scenes, in pixels.
    pub(super) fn set(&mut self, file: Option<&[u8]>, scenes: (usize, usize)) {
        if self.file.as_deref() == file && (self.scenes == scenes || self.picture.is_none()) {
            return;
        }
        self.scenes = scenes;
        (self.picture, self.refused) = match file.map(files::decode_png) {
            Some(Ok(picture)) => (Some(Arc::new(look::logo(&picture, scenes))), None),
            Some(Err(why)) => {
                let reason: String =
                    format!("the logo cannot be drawn: {why}").chars().filter(|c| !c.is_control()).collect();
                (None, Some(reason[..reason.floor_char_boundary(MAX_REASON)].to_owned()))
            }
            None => (None, None),
        };
        self.file = file.map(<[u8]>::to_vec);
    }

    /// Why it cannot be drawn; once.
    pub(super) fn refused(&mut self) -> Option<String> {
        self.refused.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_large_logo_is_kept_than_the_scenes_draw() {
        let (mut file, size) = (Vec::new(), files::LOGO_SIDE);
        let mut encoder = png::Encoder::new(&mut file, size, size / 2);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&vec![255; (size * size / 2) as usize]).unwrap();
        writer.finish().unwrap();
        let mut logo = Logo::default();
        let mut kept = |scenes| {
            logo.set(Some(&file), scenes);
            let picture = logo.picture.clone().unwrap();
            ((picture.width(), picture.height()), picture)
        };
        let (small, first) = kept((1280, 720));
        assert_eq!(small, (180, 90));
        assert!(Arc::ptr_eq(&first, &kept((1280, 720)).1), "it is the same one");
        assert_eq!(kept((1920, 1080)).0, (270, 135));
        logo.set(Some(b"no PNG"), (1280, 720));
        assert!(logo.picture.is_none() && logo.refused().is_some());
        logo.set(Some(b"no PNG"), (1920, 1080));
        assert!(logo.refused().is_none(), "once");
    }
}
