//! The seeds of the decoders' corpus. Encoders made them once, and another version would make others: so they are files, and this names them.

use super::Named;

macro_rules! kept {
    ($($target:literal: $($name:literal),+;)+) => {
        /// Every target with its seeds.
        pub(super) fn all() -> Vec<(&'static str, Named)> {
            vec![$(($target, vec![$(($name, include_bytes!(concat!("corpus/", $target, "/", $name)).to_vec())),+])),+]
        }
    };
}

// Pictures of 16 to 32 pixels a side; the sound of a tone.
kept! {
    "decode_vp8": "key_and_deltas", "another_size";
    "decode_vp9": "key_and_deltas", "another_size";
    "decode_h264": "key_and_deltas", "another_size";
    "decode_av1": "key_and_deltas";
    "decode_sound": "opus", "pcmu", "pcma", "g722", "g726", "ilbc_20", "ilbc_30";
}
