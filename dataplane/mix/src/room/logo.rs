//! The logo over every scene of a room: decoded when it is another file than before. One that cannot be decoded is none, and told.

use crate::canvas::Canvas;
use plenum_contract::mix::MAX_REASON;
use std::sync::Arc;

/// The logo of a spec.
#[derive(Default)]
pub(super) struct Logo {
    file: Option<Vec<u8>>,
    /// Decoded.
    pub(super) picture: Option<Arc<Canvas>>,
    /// Why it cannot be drawn, until that is told.
    refused: Option<String>,
}

impl Logo {
    pub(super) fn set(&mut self, file: Option<&[u8]>) {
        if self.file.as_deref() == file {
            return;
        }
        (self.picture, self.refused) = match file.map(crate::files::decode_png) {
            Some(Ok(picture)) => (Some(Arc::new(picture)), None),
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
